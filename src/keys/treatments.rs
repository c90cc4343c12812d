//! A plan's actions with their keys, links and cursors: what the minimizer applies to the values of one
//! answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::KeyRing;
use super::derived::{Disclosure, OwnKeys};
use crate::action::link::ReadsLinks;
use crate::action::pseudonym::{Canonical, Scope};
use crate::action::{Action, Link, Treatment};
use crate::decide::{Adjustment, Permit};
use crate::minimize::Treatments;
use crate::minimize::link::{Links, Origins};
use crate::policy::Policy;
use crate::policy::model::{Category, Derivation, Form, QueryParameter};
use crate::policy::plan::Cell;
use crate::terms::CategoryId;

/// Tables of one answer that are kept. People whose gates tightened the same share one; there are as many
/// as their statements differ. When it is full they are made anew.
const TABLES: usize = 64;

/// What of a cell stays the same, whatever the gates tighten.
struct Base {
    action: Action,
    category: Option<CategoryId>,
    /// In which its keys are made. Without one there is no key, so the value is blanked.
    domain: Option<CategoryId>,
    scope: Scope,
    canonical: Canonical,
    groups: Option<Arc<BTreeMap<String, String>>>,
    form: Form,
}

impl Base {
    fn of(cell: &Cell, categories: &BTreeMap<CategoryId, Category>) -> Self {
        let category = cell.category.as_ref().and_then(|id| Some((id, categories.get(id)?)));
        // Cursors have a domain of their own.
        let domain = match &cell.derived {
            Some(Derivation::Sealed { domain }) => Some(domain.clone()),
            Some(Derivation::CountEach) | None => category.map(|(id, _)| id.clone()),
        };
        let (canonical, groups) = category.map_or((Canonical::default(), None), |(_, found)| {
            (found.canonical, found.groups.clone())
        });
        Self {
            action: cell.action.clone(),
            category: cell.category.clone(),
            domain,
            scope: cell.scope,
            canonical,
            groups,
            form: cell.form,
        }
    }
}

/// Whether what stands at a place is read as a link, in the body or in the head.
const fn holds_links(form: Form) -> bool {
    match form {
        Form::Link | Form::Header(_) => true,
        Form::Value | Form::Name => false,
    }
}

/// How the links of one answer are read, and the cursors that may stand in any of them.
struct InLinks {
    reads: Arc<dyn ReadsLinks>,
    cursors: Vec<(CategoryId, Treatment)>,
}

/// The treatments of one answer. Keys, links and cursors are made once for it, and a table once for all
/// parts of which the gates tightened the same. The whole answer is treated as of the day it began.
pub struct Treating {
    ring: Arc<KeyRing>,
    disclosure: Disclosure,
    own: OwnKeys,
    bases: Vec<Base>,
    links: Option<InLinks>,
    /// Where the gates tighten nothing.
    plain: Vec<Treatment>,
    made: HashMap<Vec<Adjustment>, Treatments>,
}

impl Treating {
    /// Prepares the answer under `permit`, in which links lead to `origins`, as of `now`.
    #[must_use]
    pub fn new(ring: Arc<KeyRing>, permit: &Permit, origins: Arc<Origins>, now: Timestamp) -> Self {
        let (policy, plan) = (permit.policy(), permit.plan());
        let disclosure = Disclosure {
            policy: Arc::clone(&policy.id),
            recipient: plan.recipient.clone(),
            purposes: plan.purposes.clone(),
            case: permit.case().map(|case| case.id.to_string()),
            decision: permit.decision().as_str().to_owned(),
            today: Offset::UTC.to_datetime(now).date(),
        };
        let mut treating = Self::prepared(ring, disclosure, &policy.categories, &plan.cells);
        if plan.cells.iter().any(|cell| holds_links(cell.form)) {
            let reads = Arc::new(Links::new(Arc::clone(policy), origins));
            let cursors = treating.cursors(policy);
            treating.links = Some(InLinks { reads, cursors });
            treating.make_plain();
        }
        treating
    }

    fn prepared(
        ring: Arc<KeyRing>,
        disclosure: Disclosure,
        categories: &BTreeMap<CategoryId, Category>,
        cells: &[Cell],
    ) -> Self {
        let bases = cells.iter().map(|cell| Base::of(cell, categories)).collect();
        let (own, plain, made) = (OwnKeys::new(), Vec::new(), HashMap::new());
        let mut treating = Self { ring, disclosure, own, bases, links: None, plain, made };
        treating.make_plain();
        treating
    }

    fn make_plain(&mut self) {
        let all = 0..self.bases.len();
        self.plain = all
            .map(|position| self.treatment(position, self.bases[position].action.clone()))
            .collect();
    }

    /// The actions of the plan with their keys, tightened by what the subjects' gates adjusted: one
    /// treatment for each cell, by its position.
    #[must_use]
    pub fn treatments(&mut self, adjustments: &[Adjustment]) -> Treatments {
        if let Some(known) = self.made.get(adjustments) {
            return Arc::clone(known);
        }
        // An adjustment can only tighten: it is joined to the plan's action, never put in its place.
        let mut tightened: BTreeMap<usize, Action> = BTreeMap::new();
        for Adjustment { cell, action } in adjustments {
            let position = usize::from(cell.0);
            let Some(base) = self.bases.get(position) else { continue };
            let so_far = tightened.remove(&position).unwrap_or_else(|| base.action.clone());
            tightened.insert(position, so_far.join(action.clone()));
        }
        let mut table = self.plain.clone();
        for (position, action) in tightened {
            table[position] = self.treatment(position, action);
        }
        let table: Treatments = table.into();
        if self.made.len() >= TABLES {
            self.made.clear();
        }
        self.made.insert(adjustments.to_vec(), Arc::clone(&table));
        table
    }

    fn treatment(&mut self, position: usize, action: Action) -> Treatment {
        let base = &self.bases[position];
        let (ring, disclosure, own) = (&self.ring, &self.disclosure, &mut self.own);
        let key = base
            .domain
            .as_ref()
            .and_then(|id| ring.key_for(&action, disclosure, id, base.scope, own));
        let mut treatment = Treatment {
            action,
            key,
            scope: base.scope,
            opens: None,
            link: None,
            canonical: base.canonical,
            groups: base.groups.clone(),
            today: disclosure.today,
        };
        if let (true, Some(links)) = (holds_links(base.form), &self.links) {
            let own = base.category.iter().map(|id| (id.clone(), treatment.clone()));
            let values = links.cursors.iter().cloned().chain(own).collect();
            treatment.link = Some(Arc::new(Link::new(Arc::clone(&links.reads), values)));
        }
        treatment
    }

    /// What seals each cursor that some route takes back, by its domain.
    fn cursors(&mut self, policy: &Policy) -> Vec<(CategoryId, Treatment)> {
        let of_routes = policy.routes.iter().flat_map(|route| route.query.values());
        let sealed = of_routes.filter_map(|parameter| match parameter {
            QueryParameter::Sealed { domain } => Some(domain),
            QueryParameter::Open | QueryParameter::Category(_) => None,
        });
        let (ring, disclosure, keys) = (&self.ring, &self.disclosure, &mut self.own);
        let seals = |domain: &CategoryId| {
            let (action, scope) = (Action::Token, Scope::Recipient);
            let key = ring.key_for(&action, disclosure, domain, scope, keys);
            let treatment = Treatment {
                action,
                key,
                scope,
                opens: None,
                link: None,
                canonical: Canonical::default(),
                groups: None,
                today: disclosure.today,
            };
            (domain.clone(), treatment)
        };
        sealed.map(seals).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::derived::DERIVED_KEYS;
    use super::*;
    use crate::action::{Applied, Mask, Period, Scalar};
    use crate::policy::CellId;

    fn ring() -> Arc<KeyRing> {
        let ring = KeyRing::parse(
            "ring",
            "1: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        );
        Arc::new(ring.expect("a ring"))
    }

    fn cell(category: Option<&str>, action: Action) -> Cell {
        Cell {
            category: category.map(CategoryId::from),
            of: None,
            action,
            scope: Scope::Recipient,
            needs: vec![],
            derived: None,
            form: Form::Value,
            sensitive: false,
            decided_by: crate::policy::Place {
                file: "rules.yaml".into(),
                line: 1,
                column: 1,
                length: 1,
            },
            because: "release".to_owned(),
            selector: "$.value".to_owned(),
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    fn treating(ring: &Arc<KeyRing>, recipient: &str, cells: &[Cell], now: &str) -> Treating {
        let categories = ["account.id", "online.device_id"]
            .map(|id| (CategoryId::from(id), Category::default()))
            .into();
        let disclosure = Disclosure {
            policy: "webllet".into(),
            recipient: recipient.into(),
            purposes: vec!["service.support".into()],
            case: Some("C-1".to_owned()),
            decision: "d_1".to_owned(),
            today: Offset::UTC.to_datetime(at(now)).date(),
        };
        Treating::prepared(Arc::clone(ring), disclosure, &categories, cells)
    }

    fn treat(
        ring: &Arc<KeyRing>,
        recipient: &str,
        cells: &[Cell],
        adjustments: &[Adjustment],
        now: &str,
    ) -> Treatments {
        treating(ring, recipient, cells, now).treatments(adjustments)
    }

    fn c1(treatment: &Treatment) -> (String, Applied) {
        let mut out = Vec::new();
        let applied = treatment.apply(Scalar::String("c1"), &mut out);
        (String::from_utf8(out).expect("JSON"), applied)
    }

    const NOON: &str = "2026-11-23T12:00:00Z";

    #[test]
    fn a_treatment_has_the_key_of_its_policy_category_and_recipient() {
        let cells = [
            cell(Some("account.id"), Action::Pseudonym(Period::Unlimited)),
            cell(Some("account.id"), Action::Token),
            cell(Some("account.id"), Action::Keep),
        ];
        let treatments = treat(&ring(), "help-desk", &cells, &[], NOON);
        // V1 and T1.
        assert_eq!(c1(&treatments[0]).0, r#""ps1_4pulu2vyfw5kefdozwttqy7vhe""#);
        assert_eq!(
            c1(&treatments[1]).0,
            r#""tk1_mgvzygkkmvsgjo4ywqtshzvvj2ooga2vshdvuprdnvb3u5s5xbma""#
        );
        assert_eq!(c1(&treatments[2]).0, r#""c1""#);
        let other = treat(&ring(), "marketing-esp", &cells, &[], NOON);
        assert_eq!(c1(&other[0]).0, r#""ps1_vebvj6dtr4fkxajg57pvxblrzq""#, "V2");
    }

    #[test]
    fn a_daily_pseudonym_lasts_one_day() {
        let cells = [cell(Some("account.id"), Action::Pseudonym(Period::Day))];
        let ring = ring();
        let of = |time: &str| c1(&treat(&ring, "web-analytics", &cells, &[], time)[0]).0;
        assert_eq!(of(NOON), r#""ps1_xi4gy2g4dfwlnbvdlx37l3w6re""#, "V6");
        assert_eq!(of("2026-11-23T00:00:00Z"), of(NOON));
        assert_ne!(of("2026-11-24T00:00:00Z"), of(NOON));
    }

    #[test]
    fn a_scope_parts_what_it_names() {
        let of = |scope, action: Action, case: Option<&str>, purposes: &[&str], decision: &str| {
            let cells = [Cell { scope, ..cell(Some("account.id"), action) }];
            let disclosure = Disclosure {
                policy: "webllet".into(),
                recipient: "help-desk".into(),
                purposes: purposes.iter().map(|id| (*id).into()).collect(),
                case: case.map(str::to_owned),
                decision: decision.to_owned(),
                today: Offset::UTC.to_datetime(at(NOON)).date(),
            };
            let categories = [("account.id".into(), Category::default())].into();
            c1(&Treating::prepared(ring(), disclosure, &categories, &cells).treatments(&[])[0]).0
        };
        let pseudonym = || Action::Pseudonym(Period::Unlimited);
        let support = &["service.support"][..];
        let both = &["fraud.investigate", "service.support"][..];
        let v3 = of(Scope::RecipientAndPurpose, pseudonym(), None, support, "d_1");
        assert_eq!(v3, r#""ps1_aanzmbojvj5uov33xij2y4yrzq""#, "V3");
        assert_ne!(of(Scope::RecipientAndPurpose, pseudonym(), None, both, "d_1"), v3);
        let v10 = of(Scope::Case, pseudonym(), Some("C-1"), support, "d_1");
        assert_eq!(v10, r#""ps1_b3pjcrvt3m77qoamw2ei7mq5j4""#, "V10");
        assert_eq!(of(Scope::Case, pseudonym(), Some("C-1"), both, "d_2"), v10);
        assert_ne!(of(Scope::Case, pseudonym(), Some("C-2"), support, "d_1"), v10);
        let v11 = of(Scope::Response, pseudonym(), None, support, "d_1");
        assert_eq!(v11, r#""ps1_3z5m7myv57iakow5wecl7tvzxu""#, "V11");
        assert_ne!(of(Scope::Response, pseudonym(), None, support, "d_2"), v11);
        let v12 = of(Scope::CaseAndPurpose, pseudonym(), Some("C-1"), both, "d_1");
        assert_eq!(v12, r#""ps1_3ppb23cxvsxbjf4eswjf3rgseq""#, "V12");
        let daily = Action::Pseudonym(Period::Day);
        let v14 = of(Scope::Case, daily, Some("C-1"), support, "d_1");
        assert_eq!(v14, r#""ps1_7bhnz4q4n6gqmnmydgqmoswwam""#, "V14");
        // Without a case there is no pseudonym of one, and a token knows no scope.
        assert_eq!(of(Scope::Case, pseudonym(), None, support, "d_1"), r#""""#);
        assert_eq!(of(Scope::Case, Action::Token, Some("C-1"), support, "d_1"), r#""""#);
        assert_eq!(of(Scope::Response, Action::Token, None, support, "d_1"), r#""""#);
    }

    #[test]
    fn adjustments_only_tighten() {
        let cells = [
            cell(Some("account.id"), Action::Pseudonym(Period::Unlimited)),
            cell(Some("account.id"), Action::Keep),
            cell(Some("account.id"), Action::Remove),
        ];
        let adjust = |cell, action| Adjustment { cell: CellId(cell), action };
        let adjustments = [
            adjust(0, Action::Keep),
            adjust(1, Action::Mask(Mask::Last(4))),
            adjust(1, Action::Mask(Mask::Redact)),
            adjust(2, Action::Keep),
            adjust(7, Action::Keep),
        ];
        let treatments = treat(&ring(), "help-desk", &cells, &adjustments, NOON);
        let actions: Vec<_> = treatments.iter().map(|treatment| treatment.action.clone()).collect();
        assert_eq!(
            actions,
            [Action::Pseudonym(Period::Unlimited), Action::Mask(Mask::Redact), Action::Remove]
        );
        // A cell that becomes a pseudonym by an adjustment gets its key as well.
        let adjusted = treat(
            &ring(),
            "help-desk",
            &cells,
            &[adjust(1, Action::Pseudonym(Period::Unlimited))],
            NOON,
        );
        assert_eq!(c1(&adjusted[1]).0, r#""ps1_4pulu2vyfw5kefdozwttqy7vhe""#);
    }

    /// Keys of one answer, links and cursors were made anew for each element that differed.
    #[test]
    fn of_one_answer_everything_is_made_once() {
        let within = |scope, action| Cell { scope, ..cell(Some("account.id"), action) };
        let pseudonym = Action::Pseudonym(Period::Unlimited);
        let cells = [
            within(Scope::Response, pseudonym.clone()),
            within(Scope::Response, Action::Keep),
            within(Scope::Recipient, Action::Keep),
        ];
        let mut treating = treating(&ring(), "help-desk", &cells, NOON);
        let plain = treating.treatments(&[]);
        assert!(Arc::ptr_eq(&plain, &treating.treatments(&[])));
        let adjust = |cell| Adjustment { cell: CellId(cell), action: pseudonym.clone() };
        let tables =
            [vec![adjust(1)], vec![adjust(2)], vec![adjust(1), adjust(2)]].map(|adjustments| {
                let table = treating.treatments(&adjustments);
                assert!(Arc::ptr_eq(&table, &treating.treatments(&adjustments)));
                table
            });
        let key = |table: &Treatments, at: usize| table[at].key.clone().expect("a key");
        for table in &tables {
            assert!(Arc::ptr_eq(&key(table, 0), &key(&plain, 0)));
        }
        assert!(Arc::ptr_eq(&key(&tables[0], 1), &key(&plain, 0)), "one domain, one key");
        assert!(Arc::ptr_eq(&key(&tables[1], 2), &key(&tables[2], 2)));
        for number in 0..200 {
            let _ =
                treating.treatments(&[Adjustment { cell: CellId(number), action: Action::Keep }]);
        }
        assert!(treating.made.len() <= TABLES);
    }

    #[test]
    fn without_a_known_category_a_pseudonym_is_blank() {
        for category in [None, Some("unheard.of")] {
            let cells = [cell(category, Action::Pseudonym(Period::Unlimited))];
            let treatments = treat(&ring(), "help-desk", &cells, &[], NOON);
            assert_eq!(c1(&treatments[0]), ("\"\"".to_owned(), Applied::Blanked));
        }
    }

    #[test]
    fn derived_keys_are_kept_within_their_bound() {
        let ring = ring();
        let cells = [cell(Some("account.id"), Action::Pseudonym(Period::Unlimited))];
        let first = treat(&ring, "r", &cells, &[], NOON)[0].key.clone().expect("a key");
        let again = treat(&ring, "r", &cells, &[], NOON)[0].key.clone().expect("a key");
        assert!(Arc::ptr_eq(&first, &again), "the second request derives nothing");
        for number in 0..DERIVED_KEYS + 10 {
            let _ = treat(&ring, &format!("r{number}"), &cells, &[], NOON);
        }
        let kept = ring.derived.len();
        assert!((1..=DERIVED_KEYS).contains(&kept), "{kept}");
    }
}
