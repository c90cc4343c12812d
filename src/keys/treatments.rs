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
use crate::decide::Adjustment;
use crate::minimize::Treatments;
use crate::minimize::link::{Links, Origins};
use crate::policy::model::{Category, Derivation, Form, QueryParameter};
use crate::policy::plan::Cell;
use crate::policy::{Plan, Policy};
use crate::terms::{CategoryId, Personal, RecipientId};

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
    recipient: RecipientId,
    extra: String,
}

impl KeyRing {
    /// The plan's actions with their keys, tightened by what the subjects' gates adjusted: one
    /// treatment for each cell, by its position.
    #[must_use]
    pub fn treatments(
        &self,
        policy: &Arc<Policy>,
        plan: &Plan,
        adjustments: &[Adjustment],
        origins: &Arc<Origins>,
        now: Timestamp,
    ) -> Treatments {
        let for_whom = (&policy.id, &plan.recipient);
        let treatments = self.treat(for_whom, &policy.categories, &plan.cells, adjustments, now);
        if plan.cells.iter().all(|cell| cell.form != Form::Link) {
            return treatments;
        }
        let links: Arc<dyn ReadsLinks> =
            Arc::new(Links::new(Arc::clone(policy), Arc::clone(origins)));
        let cursors = self.cursors(policy, &plan.recipient, now);
        let linked = |(cell, treatment): (&Cell, &Treatment)| {
            let mut treatment = treatment.clone();
            if cell.form == Form::Link {
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
        policy: &Policy,
        recipient: &RecipientId,
        now: Timestamp,
    ) -> Vec<(CategoryId, Treatment)> {
        let today = Offset::UTC.to_datetime(now).date();
        let of_routes = policy.routes.iter().flat_map(|route| route.query.values());
        let sealed = of_routes.filter_map(|parameter| match parameter {
            QueryParameter::Sealed { domain } => Some(domain),
            QueryParameter::Open | QueryParameter::Category(_) => None,
        });
        let seals = |domain: &CategoryId| {
            let action = Action::Token;
            let key = self.key_for(&action, (&policy.id, recipient), domain, today);
            let canonical = Canonical::default();
            let treatment =
                Treatment { action, key, opens: None, link: None, canonical, groups: None, today };
            (domain.clone(), treatment)
        };
        sealed.map(seals).collect()
    }

    fn treat(
        &self,
        (policy, recipient): (&Arc<str>, &RecipientId),
        categories: &BTreeMap<CategoryId, Category>,
        cells: &[Cell],
        adjustments: &[Adjustment],
        now: Timestamp,
    ) -> Treatments {
        let today = Offset::UTC.to_datetime(now).date();
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
            let key = domain.and_then(|id| self.key_for(&action, (policy, recipient), id, today));
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
            })
        };
        let canonical = policy.categories.get(category).map(|found| found.canonical);
        TokenKeys::new(canonical.unwrap_or_default(), issued_to.iter().flat_map(of).collect())
    }

    /// The key that an action needs; `None` for an action that needs none.
    fn key_for(
        &self,
        action: &Action,
        (policy, recipient): (&Arc<str>, &RecipientId),
        category: &CategoryId,
        today: Date,
    ) -> Option<Arc<DomainKey>> {
        let (used_for, period) = match action {
            Action::Pseudonym(period) => (Use::Pseudonym, *period),
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
        let name = DerivedKey {
            used_for,
            policy: Arc::clone(policy),
            category: category.clone(),
            recipient: recipient.clone(),
            extra: extra(period, today),
        };
        // A panic elsewhere cannot leave a key half derived: entries are only ever put in whole.
        let mut keys = self.derived.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&name) {
            return Some(Arc::clone(key));
        }
        let scope = match period {
            Period::Unlimited => Scope::Recipient,
            Period::Year | Period::Month | Period::Week | Period::Day => Scope::RecipientAndPeriod,
        };
        let key = Arc::new(self.key(&Domain {
            used_for,
            policy,
            category: category.as_str(),
            scope,
            recipient: recipient.as_str(),
            purpose: "",
            extra: &name.extra,
        }));
        if keys.len() >= DERIVED_KEYS {
            keys.clear();
        }
        keys.insert(name, Arc::clone(&key));
        Some(key)
    }
}

/// The period as it enters the derivation, in UTC. Part of the format: it can never change.
fn extra(period: Period, today: Date) -> String {
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
        let recipient = RecipientId::from(recipient);
        ring.treat((&"webllet".into(), &recipient), &categories, cells, adjustments, at(now))
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
            assert_eq!(extra(period, today), expected, "{period:?} {time}");
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
