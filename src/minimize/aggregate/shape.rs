//! What an aggregate answer of one route looks like for one recipient: its dimensions with what
//! happens to their values, its numbers, its floors.

use super::super::Treatments;
use super::table::Floors;
use crate::action::Treatment;
use crate::policy::aggregate::Aggregate;
use crate::policy::model::Route;
use crate::policy::path::Selector;

/// The members of an answer, and what they are.
#[derive(Debug)]
pub struct Shape {
    pub(super) floors: Floors,
    pub(super) round: u64,
    /// How many cells the plan has.
    pub(super) cells: usize,
    /// Names that lead to the list of rows.
    pub(super) list: Vec<String>,
    /// The member that counts people.
    pub(super) count: String,
    /// The same, where it leaves.
    pub(super) shown_count: Option<String>,
    /// Parts of a row's key.
    pub(super) dimensions: Vec<Dimension>,
    /// Numbers of a row that leave, the count among them.
    pub(super) measures: Vec<Measure>,
    /// The word for "all values".
    pub(super) all: Option<String>,
    /// Members of the document that count the people of all rows.
    pub(super) totals: Vec<Vec<String>>,
    /// Other members of the document.
    pub(super) open: Vec<Vec<String>>,
}

/// A member that is part of a row's key.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) name: String,
    /// Its cell in the plan.
    pub(super) cell: usize,
    pub(super) treatment: Treatment,
    /// One person may have several of its values.
    pub(super) several: bool,
}

/// A number of a row.
#[derive(Debug)]
pub(super) struct Measure {
    pub(super) name: String,
    pub(super) cell: usize,
    pub(super) is_count: bool,
}

impl Dimension {
    /// Whether it stands in what leaves.
    pub(super) const fn leaves(&self) -> bool {
        self.treatment.action.tells_groups_apart()
    }
}

impl Shape {
    /// The shape of `route` under these treatments, one for each cell of its plan.
    #[must_use]
    pub fn of(route: &Route, rules: &Aggregate, treatments: &Treatments) -> Self {
        let name_in_row = |selector: &Selector| selector.member_of(&rules.rows).map(str::to_owned);
        let fields = route.fields.iter().zip(treatments.iter()).enumerate();
        let dimensions: Vec<Dimension> = fields
            .filter_map(|(cell, (field, treatment))| {
                let name = name_in_row(&field.selector)?;
                let several = rules.several.contains(&field.category);
                Some(Dimension { name, cell, treatment: treatment.clone(), several })
            })
            .collect();
        let open = || route.open.iter().enumerate();
        let measures: Vec<Measure> = open()
            .filter_map(|(at, open)| {
                let name = name_in_row(&open.selector)?;
                let is_count = name == rules.count;
                Some(Measure { name, cell: route.fields.len() + at, is_count })
            })
            .collect();
        let leaving: Vec<&Dimension> =
            dimensions.iter().filter(|dimension| dimension.leaves()).collect();
        // Each member of the category tells it; one that does not leave tells nothing.
        let bound = |(at, dimension): (usize, &&Dimension)| {
            let category = &route.fields[dimension.cell].category;
            let (_, least) = rules.diversity.iter().find(|(bound, _)| bound == category)?;
            Some((at, *least))
        };
        let floors = Floors {
            k: rules.k,
            diversity: leaving.iter().enumerate().filter_map(bound).collect(),
            merges_rare: rules.merges_rare,
            several: leaving.iter().map(|dimension| dimension.several).collect(),
        };
        let beside = open().filter(|(_, open)| !open.selector.continues(&rules.rows));
        Self {
            floors,
            round: rules.round.max(1),
            cells: treatments.len(),
            list: rules.list.clone(),
            count: rules.count.clone(),
            shown_count: measures.iter().any(|one| one.is_count).then(|| rules.count.clone()),
            dimensions,
            measures,
            all: rules.all.clone(),
            totals: rules.totals.clone(),
            open: beside.filter_map(|(_, open)| open.selector.names()).collect(),
        }
    }

    /// Whether a member of the document lies on the way to one that is known.
    pub(super) fn is_on_the_way(&self, path: &[&str]) -> bool {
        let leads = |known: &Vec<String>| {
            known.len() > path.len() && known.iter().zip(path).all(|(known, name)| known == name)
        };
        leads(&self.list) || self.totals.iter().any(leads) || self.open.iter().any(leads)
    }
}
