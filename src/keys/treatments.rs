//! A plan's actions with their keys: what the minimizer applies to values.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::KeyRing;
use crate::action::link::ReadsLinks;
use crate::action::pseudonym::{Canonical, Domain, DomainKey, Scope, TokenKeys, Use};
use crate::action::{Action, Link, Period, Treatment};
use crate::decide::{Adjustment, Permit};
use crate::minimize::Treatments;
use crate::minimize::link::{Links, Origins};
use crate::policy::Policy;
use crate::policy::model::{Category, Derivation, Form, QueryParameter};
use crate::policy::plan::Cell;
use crate::terms::{CategoryId, Personal, PurposeId, RecipientId};

/// Derived keys kept at a time. A policy has a few dozen domains; daily ones come anew each day, and
/// the whole store is dropped when it is full, so that yesterday's do not stay for ever.
const DERIVED_KEYS: usize = 4096;

/// Keys derived so far.
#[derive(Default)]
pub(super) struct DerivedKeys {
    keys: Mutex<HashMap<DerivedKey, Arc<DomainKey>>>,
}

#[derive(PartialEq, Eq, Hash)]
struct DerivedKey {
    used_for: Use,
    policy: Arc<str>,
    category: CategoryId,
    scope: Scope,
    recipient: RecipientId,
    purpose: String,
    extra: String,
    period: String,
}

/// What a domain may depend on beside the member: who gets it, what for, in which case and answer.
struct Disclosure<'a> {
    policy: &'a Arc<str>,
    recipient: &'a RecipientId,
    purposes: &'a [PurposeId],
    case: Option<&'a str>,
    decision: &'a str,
    today: Date,
}

impl KeyRing {
    /// The actions of the permit's plan with their keys, tightened by what the subjects' gates
    /// adjusted: one treatment for each cell, by its position.
    #[must_use]
    pub fn treatments(
        &self,
        permit: &Permit,
        adjustments: &[Adjustment],
        origins: &Arc<Origins>,
        now: Timestamp,
    ) -> Treatments {
        let (policy, plan) = (permit.policy(), permit.plan());
        let disclosure = Disclosure {
            policy: &policy.id,
            recipient: &plan.recipient,
            purposes: &plan.purposes,
            case: permit.case().map(|case| &*case.id),
            decision: permit.decision().as_str(),
            today: Offset::UTC.to_datetime(now).date(),
        };
        let treatments = self.treat(&disclosure, &policy.categories, &plan.cells, adjustments);
        let is_linked = |cell: &Cell| matches!(cell.form, Form::Link | Form::Header(_));
        if !plan.cells.iter().any(is_linked) {
            return treatments;
        }
        let links: Arc<dyn ReadsLinks> =
            Arc::new(Links::new(Arc::clone(policy), Arc::clone(origins)));
        let cursors = self.cursors(&disclosure, policy);
        let linked = |(cell, treatment): (&Cell, &Treatment)| {
            let mut treatment = treatment.clone();
            if is_linked(cell) {
                let own = cell.category.iter().map(|id| (id.clone(), treatment.clone()));
                let values = cursors.iter().cloned().chain(own).collect();
                treatment.link = Some(Arc::new(Link::new(Arc::clone(&links), values)));
            }
            treatment
        };
        plan.cells.iter().zip(treatments.iter()).map(linked).collect()
    }

    /// What seals each cursor that some route takes back, by its domain.
    fn cursors(
        &self,
        disclosure: &Disclosure<'_>,
        policy: &Policy,
    ) -> Vec<(CategoryId, Treatment)> {
        let of_routes = policy.routes.iter().flat_map(|route| route.query.values());
        let sealed = of_routes.filter_map(|parameter| match parameter {
            QueryParameter::Sealed { domain } => Some(domain),
            QueryParameter::Open | QueryParameter::Category(_) => None,
        });
        let seals = |domain: &CategoryId| {
            let (action, today) = (Action::Token, disclosure.today);
            let key = self.key_for(&action, disclosure, domain, Scope::Recipient);
            let canonical = Canonical::default();
            let treatment =
                Treatment { action, key, opens: None, link: None, canonical, groups: None, today };
            (domain.clone(), treatment)
        };
        sealed.map(seals).collect()
    }

    fn treat(
        &self,
        disclosure: &Disclosure<'_>,
        categories: &BTreeMap<CategoryId, Category>,
        cells: &[Cell],
        adjustments: &[Adjustment],
    ) -> Treatments {
        let today = disclosure.today;
        let treatment = |(position, cell): (usize, &Cell)| {
            // An adjustment can only tighten: it is joined to the plan's action, never put in its place.
            let action = adjustments
                .iter()
                .filter(|adjustment| usize::from(adjustment.cell.0) == position)
                .fold(cell.action.clone(), |action, adjustment| {
                    action.join(adjustment.action.clone())
                });
            let category = cell.category.as_ref().and_then(|id| Some((id, categories.get(id)?)));
            let (canonical, groups) = category
                .map_or((Canonical::default(), None), |(_, found)| {
                    (found.canonical, found.groups.clone())
                });
            // Without a category there is no domain, so no key: such a value is blanked. Cursors have
            // a domain of their own.
            let domain = match &cell.derived {
                Some(Derivation::Sealed { domain }) => Some(domain),
                Some(Derivation::CountEach) | None => category.map(|(id, _)| id),
            };
            let key = domain.and_then(|id| self.key_for(&action, disclosure, id, cell.scope));
            Treatment { action, key, opens: None, link: None, canonical, groups, today }
        };
        cells.iter().enumerate().map(treatment).collect()
    }

    /// What a cursor of this domain was before it was sealed for this recipient; `None` for one that
    /// was sealed for another recipient, route or parameter, changed, or made up.
    #[must_use]
    pub fn open_cursor(
        &self,
        policy: &Policy,
        recipient: &RecipientId,
        domain: &CategoryId,
        sealed: &str,
    ) -> Option<Personal<String>> {
        self.keys_of_tokens(policy, std::slice::from_ref(recipient), domain).open(sealed)
    }

    /// What opens tokens of `category` that were issued to any of `issued_to`, by every key that is
    /// still in the ring. For what needs no category, such as a cursor, the value is taken as text.
    #[must_use]
    pub fn keys_of_tokens(
        &self,
        policy: &Policy,
        issued_to: &[RecipientId],
        category: &CategoryId,
    ) -> TokenKeys {
        let of = |recipient: &RecipientId| {
            self.all_keys(&Domain {
                used_for: Use::Token,
                policy: &policy.id,
                category: category.as_str(),
                scope: Scope::Recipient,
                recipient: recipient.as_str(),
                purpose: "",
                extra: "",
                period: "",
            })
        };
        let canonical = policy.categories.get(category).map(|found| found.canonical);
        TokenKeys::new(canonical.unwrap_or_default(), issued_to.iter().flat_map(of).collect())
    }

    /// The key that an action needs; `None` for an action that needs none, and where what the scope
    /// ends with is not known: the value is blanked then.
    fn key_for(
        &self,
        action: &Action,
        disclosure: &Disclosure<'_>,
        category: &CategoryId,
        scope: Scope,
    ) -> Option<Arc<DomainKey>> {
        let (used_for, period) = match action {
            Action::Pseudonym(period) => (Use::Pseudonym, *period),
            // A token is opened on its way in, where nobody knows the answer that it came with.
            Action::Token if scope != Scope::Recipient => return None,
            Action::Token => (Use::Token, Period::Unlimited),
            Action::Fpe => (Use::Fpe, Period::Unlimited),
            Action::Keep
            | Action::Mask(_)
            | Action::Initials
            | Action::FirstWord
            | Action::Generalise(_)
            | Action::IpPrefix { .. }
            | Action::AgentFamily
            | Action::PathTemplate
            | Action::Origin
            | Action::Scrub
            | Action::OwnLines
            | Action::Blank
            | Action::Remove
            | Action::Drop
            | Action::Refuse => return None,
        };
        let extra = match scope {
            Scope::Recipient | Scope::RecipientAndPurpose => "",
            Scope::Case | Scope::CaseAndPurpose => disclosure.case?,
            Scope::Response => disclosure.decision,
        };
        let purposes = if scope.by_purpose() { disclosure.purposes } else { &[] };
        let purposes: Vec<&str> = purposes.iter().map(PurposeId::as_str).collect();
        let name = DerivedKey {
            used_for,
            policy: Arc::clone(disclosure.policy),
            category: category.clone(),
            scope,
            recipient: disclosure.recipient.clone(),
            purpose: purposes.join("+"),
            extra: extra.to_owned(),
            period: in_words(period, disclosure.today),
        };
        // Nobody asks for the key of one answer again: kept, it would push out those of others.
        if scope == Scope::Response {
            return Some(Arc::new(self.derive(&name)));
        }
        // A panic elsewhere cannot leave a key half derived: entries are only ever put in whole.
        let mut keys = self.derived.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&name) {
            return Some(Arc::clone(key));
        }
        let key = Arc::new(self.derive(&name));
        if keys.len() >= DERIVED_KEYS {
            keys.clear();
        }
        keys.insert(name, Arc::clone(&key));
        Some(key)
    }

    fn derive(&self, name: &DerivedKey) -> DomainKey {
        self.key(&Domain {
            used_for: name.used_for,
            policy: &name.policy,
            category: name.category.as_str(),
            scope: name.scope,
            recipient: name.recipient.as_str(),
            purpose: &name.purpose,
            extra: &name.extra,
            period: &name.period,
        })
    }
}

/// The period as it enters the derivation, in UTC. Part of the format: it can never change.
fn in_words(period: Period, today: Date) -> String {
    let (year, month, day) = (today.year(), today.month(), today.day());
    match period {
        Period::Unlimited => String::new(),
        Period::Year => format!("{year:04}"),
        Period::Month => format!("{year:04}-{month:02}"),
        Period::Week => {
            let week = today.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        Period::Day => format!("{year:04}-{month:02}-{day:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Applied, Mask, Scalar};
    use crate::policy::{CellId, Place};

    fn ring() -> KeyRing {
        KeyRing::parse(
            "ring",
            "1: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        )
        .expect("a ring")
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
            decided_by: Place { file: "rules.yaml".into(), line: 1, column: 1, length: 1 },
            because: "release".to_owned(),
            selector: "$.value".to_owned(),
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    fn treat(
        ring: &KeyRing,
        recipient: &str,
        cells: &[Cell],
        adjustments: &[Adjustment],
        now: &str,
    ) -> Treatments {
        let categories = ["account.id", "online.device_id"]
            .map(|id| (CategoryId::from(id), Category::default()))
            .into();
        let purposes = ["fraud.investigate".into(), "service.support".into()];
        let disclosure = Disclosure {
            policy: &"webllet".into(),
            recipient: &recipient.into(),
            purposes: &purposes[1..],
            case: Some("C-1"),
            decision: "d_1",
            today: Offset::UTC.to_datetime(at(now)).date(),
        };
        ring.treat(&disclosure, &categories, cells, adjustments)
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
    fn periods_are_those_of_utc() {
        let cases = [
            (Period::Unlimited, "2026-11-23T23:59:59Z", ""),
            (Period::Day, "2026-11-23T23:59:59Z", "2026-11-23"),
            (Period::Day, "2026-11-24T07:59:59+08:00", "2026-11-23"),
            (Period::Day, "2026-11-24T00:00:00Z", "2026-11-24"),
            (Period::Week, "2026-11-23T00:00:00Z", "2026-W48"),
            (Period::Week, "2027-01-03T23:59:59Z", "2026-W53"),
            (Period::Week, "2027-01-04T00:00:00Z", "2027-W01"),
            (Period::Month, "2026-11-30T23:59:59Z", "2026-11"),
            (Period::Year, "2026-12-31T23:59:59Z", "2026"),
        ];
        for (period, time, expected) in cases {
            let today = Offset::UTC.to_datetime(at(time)).date();
            assert_eq!(in_words(period, today), expected, "{period:?} {time}");
        }
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
            let purposes: Vec<PurposeId> = purposes.iter().map(|id| (*id).into()).collect();
            let disclosure = Disclosure {
                policy: &"webllet".into(),
                recipient: &"help-desk".into(),
                purposes: &purposes,
                case,
                decision,
                today: Offset::UTC.to_datetime(at(NOON)).date(),
            };
            let categories = [("account.id".into(), Category::default())].into();
            c1(&ring().treat(&disclosure, &categories, &cells, &[])[0]).0
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
        let kept = ring.derived.keys.lock().expect("not poisoned").len();
        assert!((1..=DERIVED_KEYS).contains(&kept), "{kept}");
    }
}
