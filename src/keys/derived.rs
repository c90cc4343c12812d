//! Domain keys: derived from the root once for what is asked for again and again, and what opens the
//! tokens and cursors that were made with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;

use super::KeyRing;
use crate::action::pseudonym::{Domain, DomainKey, Scope, TokenKeys, Use};
use crate::action::{Action, Period};
use crate::policy::Policy;
use crate::terms::{CategoryId, Personal, PurposeId, RecipientId};

/// Derived keys kept at a time. A policy has a few dozen domains; daily ones come anew each day, and
/// the whole store is dropped when it is full, so that yesterday's do not stay for ever.
pub(super) const DERIVED_KEYS: usize = 4096;

/// Keys derived so far.
#[derive(Default)]
pub(super) struct DerivedKeys {
    keys: Mutex<HashMap<DerivedKey, Arc<DomainKey>>>,
}

#[cfg(test)]
impl DerivedKeys {
    pub(super) fn len(&self) -> usize {
        self.keys.lock().expect("not poisoned").len()
    }
}

#[derive(PartialEq, Eq, Hash)]
pub(super) struct DerivedKey {
    used_for: Use,
    policy: Arc<str>,
    category: CategoryId,
    scope: Scope,
    recipient: RecipientId,
    purpose: String,
    extra: String,
    period: String,
}

/// Keys of one answer alone. Nobody asks for them again: kept, they would push out those of others.
pub(super) type OwnKeys = HashMap<DerivedKey, Arc<DomainKey>>;

/// What a domain may depend on beside the member: who gets it, what for, in which case and answer.
pub(super) struct Disclosure {
    pub(super) policy: Arc<str>,
    pub(super) recipient: RecipientId,
    pub(super) purposes: Vec<PurposeId>,
    pub(super) case: Option<String>,
    pub(super) decision: String,
    pub(super) today: Date,
}

impl KeyRing {
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
        let of = |recipient: &RecipientId| self.lasting(policy, recipient, category, Use::Token);
        let canonical = policy.categories.get(category).map(|found| found.canonical);
        TokenKeys::new(canonical.unwrap_or_default(), issued_to.iter().flat_map(of).collect())
    }

    /// The keys of what a recipient keeps over purposes, cases and time, one for each version of the ring.
    fn lasting(
        &self,
        policy: &Policy,
        recipient: &RecipientId,
        category: &CategoryId,
        used_for: Use,
    ) -> Vec<DomainKey> {
        self.all_keys(&Domain {
            used_for,
            policy: &policy.id,
            category: category.as_str(),
            scope: Scope::Recipient,
            recipient: recipient.as_str(),
            purpose: "",
            extra: "",
            period: "",
        })
    }

    /// The names by which a recipient knows a person whose id is `id` of `category`, in the form of
    /// `action`: one for each version of the ring, since what it was given earlier goes on naming them.
    /// Empty where the id is not of the category's type, or the action is none that names anybody.
    #[must_use]
    pub fn names_for(
        &self,
        policy: &Policy,
        recipient: &RecipientId,
        (category, action): (&CategoryId, &Action),
        id: &str,
    ) -> Vec<String> {
        let used_for = match action {
            Action::Keep => return vec![id.to_owned()],
            Action::Token => Use::Token,
            Action::Pseudonym(Period::Unlimited) => Use::Pseudonym,
            _ => return Vec::new(),
        };
        let canonical = policy.categories.get(category).map(|found| found.canonical);
        let canonical = canonical.unwrap_or_default();
        let keys = self.lasting(policy, recipient, category, used_for);
        let name = |key: &DomainKey| match used_for {
            Use::Token => key.token(canonical, id),
            Use::Pseudonym | Use::Fpe => key.pseudonym(canonical, id),
        };
        keys.iter().filter_map(name).collect()
    }

    /// The key that an action needs; `None` for an action that needs none, and where what the scope
    /// ends with is not known: the value is blanked then.
    pub(super) fn key_for(
        &self,
        action: &Action,
        disclosure: &Disclosure,
        category: &CategoryId,
        scope: Scope,
        own: &mut OwnKeys,
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
            Scope::Case | Scope::CaseAndPurpose => disclosure.case.as_deref()?,
            Scope::Response => &disclosure.decision,
        };
        let purposes = if scope.by_purpose() { disclosure.purposes.as_slice() } else { &[] };
        let purposes: Vec<&str> = purposes.iter().map(PurposeId::as_str).collect();
        let name = DerivedKey {
            used_for,
            policy: Arc::clone(&disclosure.policy),
            category: category.clone(),
            scope,
            recipient: disclosure.recipient.clone(),
            purpose: purposes.join("+"),
            extra: extra.to_owned(),
            period: in_words(period, disclosure.today),
        };
        if scope == Scope::Response {
            if let Some(key) = own.get(&name) {
                return Some(Arc::clone(key));
            }
            let key = Arc::new(self.derive(&name));
            own.insert(name, Arc::clone(&key));
            return Some(key);
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
    use jiff::Timestamp;
    use jiff::tz::Offset;

    use super::*;

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
            let today = Offset::UTC.to_datetime(time.parse::<Timestamp>().expect("a time")).date();
            assert_eq!(in_words(period, today), expected, "{period:?} {time}");
        }
    }
}
