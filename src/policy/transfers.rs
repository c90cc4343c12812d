//! Which data may go to which countries, and by what mechanism. Source: GDPR Art. 44–49.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::Place;
use super::model::ShowCell;
use super::region::RegionSources;
use crate::terms::{Country, PurposeId};

/// Which regions' data may go to which countries.
#[derive(Clone, Debug)]
pub struct Transfers {
    /// Where regions are learned.
    pub sources: RegionSources,
    /// The region of a subject of whom none is known.
    pub unknown_region: Country,
    /// Countries that anything may go to at all.
    pub allowed: Vec<Country>,
    /// Members of each named region.
    pub regions: BTreeMap<Country, Vec<Country>>,
    /// The mechanisms.
    pub table: Vec<Mechanism>,
}

impl Transfers {
    /// Whether a country is `of`, or lies within the region of that name.
    #[must_use]
    pub fn is_within(&self, country: &Country, of: &Country) -> bool {
        country == of || self.regions.get(of).is_some_and(|members| members.contains(country))
    }
}

/// A transfer mechanism. Source: GDPR Art. 44–49.
#[derive(Clone, Debug)]
pub struct Mechanism {
    /// From these regions.
    pub from: Vec<Country>,
    /// To these countries or regions; empty: any that is allowed.
    pub to: Vec<Country>,
    /// Its kind: `adequacy`, `scc`, `same-region`, `home-law`, …
    pub by: String,
    /// Its reference.
    pub reference: Option<String>,
    /// Its last day.
    pub until: Option<Date>,
    /// What must happen to these categories on the way.
    pub measure: Vec<ShowCell>,
    /// It carries the data of those who have consented to this explicitly, naming the recipient,
    /// and of nobody else. Source: GDPR Art. 49(1)(a).
    pub consent: Option<PurposeId>,
    /// It carries answers of aggregate routes, and nothing else.
    pub aggregates_only: bool,
    /// Where it stands.
    pub place: Place,
}
