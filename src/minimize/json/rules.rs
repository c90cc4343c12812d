//! What governs a place: no rule, one cell's treatment, or the join of several.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use crate::action::pseudonym::{Canonical, Scope};
use crate::action::{Action, Applied, Generalisation, Incremental, Mask, Scalar, Treatment};
use crate::minimize::Treatments;
use crate::policy::CellId;

/// What governs a place. Small, so that it can stand in every frame of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// Nobody catalogued it.
    Unlisted,
    /// Kept because what contains it is kept whole, or because unlisted places are kept.
    Keep,
    /// A cell.
    Cell(CellId),
    /// Several cells, joined: position in [`Rules::joined`].
    Joined(u16),
}

/// The treatments of one document or element, and their joins as they are met.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    treatments: Treatments,
    joined: Vec<Treatment>,
    known: BTreeMap<(Rule, Rule), Rule>,
    /// In force where the table of treatments is too short: withholds.
    missing: Treatment,
    blank: Treatment,
}

impl Rules {
    pub(super) fn new(treatments: Treatments) -> Self {
        Self {
            treatments,
            joined: Vec::new(),
            known: BTreeMap::new(),
            missing: bare(Action::Remove),
            blank: bare(Action::Blank),
        }
    }

    /// The table in force.
    pub(super) fn treatments(&self) -> &Treatments {
        &self.treatments
    }

    /// Goes on with another table. Returns whether it is another one.
    pub(super) fn replace(&mut self, treatments: Treatments) -> bool {
        let other = !Arc::ptr_eq(&self.treatments, &treatments);
        if other {
            self.treatments = treatments;
            self.joined.clear();
            self.known.clear();
        }
        other
    }

    /// The stricter of two rules.
    pub(super) fn join(&mut self, a: Rule, b: Rule) -> Rule {
        match (a, b) {
            (Rule::Unlisted | Rule::Keep, other) | (other, Rule::Unlisted | Rule::Keep) => other,
            (Rule::Cell(_) | Rule::Joined(_), Rule::Cell(_) | Rule::Joined(_)) if a == b => a,
            (Rule::Cell(_) | Rule::Joined(_), Rule::Cell(_) | Rule::Joined(_)) => {
                if let Some(known) = self.known.get(&(a, b)) {
                    return *known;
                }
                let joined = join(self.treatment(a), self.treatment(b));
                let rule = u16::try_from(self.joined.len()).map(Rule::Joined);
                // More joins than there are pairs of cells cannot be met; if they are, withhold.
                let Ok(rule) = rule else { return Rule::Unlisted };
                self.joined.push(joined);
                self.known.insert((a, b), rule);
                rule
            }
        }
    }

    /// The action in force. For [`Rule::Unlisted`] that is to remove.
    #[inline]
    pub(super) fn action(&self, rule: Rule) -> &Action {
        match rule {
            Rule::Keep => &Action::Keep,
            Rule::Unlisted => &Action::Remove,
            Rule::Cell(_) | Rule::Joined(_) => &self.treatment(rule).action,
        }
    }

    /// Writes what a scalar becomes.
    pub(super) fn apply(&self, rule: Rule, value: Scalar<'_>, out: &mut Vec<u8>) -> Applied {
        self.treatment(rule).apply(value, out)
    }

    /// What takes in a string piece by piece, if the action can.
    pub(super) fn incremental(&self, rule: Rule) -> Option<Incremental> {
        self.treatment(rule).incremental()
    }

    /// Whether a link stands where this rule is in force.
    #[inline]
    pub(super) fn is_of_links(&self, rule: Rule) -> bool {
        match rule {
            Rule::Cell(_) | Rule::Joined(_) => self.treatment(rule).link.is_some(),
            Rule::Unlisted | Rule::Keep => false,
        }
    }

    /// What becomes of a link; `None`: it is removed.
    pub(super) fn link(&self, rule: Rule, text: &str) -> Option<String> {
        self.treatment(rule).link.as_ref()?.rewrite(text)
    }

    /// What a member's name becomes; `None`: none that still tells two people apart.
    pub(super) fn name(&self, rule: Rule, name: &str) -> Option<String> {
        self.treatment(rule).within(name)
    }

    /// Writes the placeholder for a scalar that could not be treated.
    pub(super) fn blank(&self, value: Scalar<'_>, out: &mut Vec<u8>) {
        self.blank.apply(value, out);
    }

    #[inline]
    fn treatment(&self, rule: Rule) -> &Treatment {
        match rule {
            Rule::Cell(cell) => self.treatments.get(usize::from(cell.0)).unwrap_or(&self.missing),
            Rule::Joined(index) => &self.joined[usize::from(index)],
            Rule::Unlisted | Rule::Keep => &self.missing,
        }
    }
}

/// Whether an action's result is the same for every value of the example's type, so that the value
/// itself need not be captured.
pub(super) fn needs_no_value(action: &Action, example: Scalar<'_>) -> bool {
    match action {
        Action::Blank => true,
        // A number is masked if it is an integer; only strings are all masked alike.
        Action::Mask(Mask::Redact) => matches!(example, Scalar::String(_)),
        _ => false,
    }
}

/// The stricter action with the key, canonical form and groups of the treatment that asked for it. Where
/// both ask for a key, it is one whose results link within what each of them allows; without such a one
/// the value is blanked, as it is where one of them has no key.
fn join(a: &Treatment, b: &Treatment) -> Treatment {
    let action = a.action.clone().join(b.action.clone());
    let link = match (&a.link, &b.link) {
        (None, None) => None,
        (Some(a), Some(b)) => Some(Arc::new(a.and(b))),
        (Some(link), None) if b.action == Action::Keep => Some(Arc::clone(link)),
        (None, Some(link)) if a.action == Action::Keep => Some(Arc::clone(link)),
        // Another action speaks of the whole text, and a link's of what stands in it: neither is the
        // stricter.
        (Some(_), None) | (None, Some(_)) => return bare(action.join(Action::Remove)),
    };
    // By two tables one value can be in two groups, and neither is the coarser.
    if action == Action::Generalise(Generalisation::Group)
        && a.action == b.action
        && a.groups != b.groups
    {
        return bare(Action::Blank);
    }
    let is_narrower = b.scope != a.scope && b.scope.is_within(a.scope);
    let b_decides = b.action == action && (a.action != action || is_narrower);
    let (source, other) = if b_decides { (b, a) } else { (a, b) };
    let (mut key, mut scope) = (source.key.clone(), source.scope);
    if source.action.needs_key() && other.action.needs_key() {
        scope = source.scope.join(other.scope);
        // On its way in, what opens tokens needs no key.
        let is_missing = other.key.is_none() && other.opens.is_none();
        if is_missing || scope != source.scope {
            key = None;
        }
    }
    Treatment { action, key, scope, link, ..source.clone() }
}

fn bare(action: Action) -> Treatment {
    Treatment {
        action,
        key: None,
        scope: Scope::Recipient,
        opens: None,
        link: None,
        canonical: Canonical::default(),
        groups: None,
        today: Date::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::action::Period;
    use crate::action::pseudonym::{Domain, DomainKey, RootKey, Use};

    /// As the plan and the key ring make it: a token within a scope has no key.
    fn treatment(action: &str, scope: Scope) -> Treatment {
        let action: Action = action.parse().expect("an action");
        let (used_for, period) = match action {
            Action::Pseudonym(Period::Unlimited) => (Use::Pseudonym, ""),
            Action::Pseudonym(_) => (Use::Pseudonym, "2026"),
            Action::Token => (Use::Token, ""),
            _ => (Use::Fpe, ""),
        };
        let domain = Domain {
            used_for,
            policy: "joined",
            category: "account.id",
            scope,
            recipient: "desk",
            purpose: if scope.by_purpose() { "service" } else { "" },
            extra: if scope.ends_with_case() { "C-1" } else { "" },
            period,
        };
        let root = RootKey::new(NonZeroU32::MIN, [7; 32].into());
        let has_key = action.needs_key() && (action != Action::Token || scope == Scope::Recipient);
        let key = has_key.then(|| Arc::new(DomainKey::derive(&root, &domain)));
        Treatment { key, scope, ..bare(action) }
    }

    fn applied(treatment: &Treatment) -> (String, Applied) {
        let mut out = Vec::new();
        let applied = treatment.apply(Scalar::String("123456"), &mut out);
        (String::from_utf8(out).expect("JSON"), applied)
    }

    /// The first cell's key once won, although the other's reached less far.
    #[test]
    fn a_joined_key_links_no_further_than_each_alone() {
        use Scope::{Case, CaseAndPurpose, Recipient, RecipientAndPurpose, Response};
        let of = treatment;
        // Both, and which of them the join is as; `None`: it is blank.
        for (a, b, as_which) in [
            (of("pseudonym", Recipient), of("pseudonym", Case), Some(1)),
            (of("pseudonym", Response), of("pseudonym", Case), Some(0)),
            (of("pseudonym", CaseAndPurpose), of("pseudonym", RecipientAndPurpose), Some(0)),
            (of("pseudonym", Case), of("pseudonym", RecipientAndPurpose), None),
            (of("pseudonym yearly", Case), of("pseudonym", Recipient), Some(0)),
            (of("pseudonym yearly", Recipient), of("pseudonym", Case), None),
            (of("token", Recipient), of("pseudonym", Case), Some(1)),
            (of("fpe", Case), of("pseudonym", Recipient), None),
            (of("fpe", Case), of("token", Recipient), None),
            (of("fpe", Recipient), of("token", Recipient), Some(1)),
            (of("token", Recipient), of("token", Case), None),
            (of("token", Case), of("pseudonym", Case), None),
            (of("keep", Case), of("pseudonym", Recipient), Some(1)),
            (of("keep", Response), of("token", Recipient), Some(1)),
        ] {
            let (one, other) = (applied(&a), applied(&b));
            let expected = match as_which {
                Some(0) => one,
                Some(_) => other,
                None => ("\"\"".to_owned(), Applied::Blanked),
            };
            for joined in [join(&a, &b), join(&b, &a)] {
                assert_eq!(applied(&joined), expected, "{a:?} {b:?}");
                // What is narrow or blank stays so, whatever is joined to it.
                let wide = join(&joined, &of("pseudonym", Recipient));
                assert!(as_which.is_some() || applied(&wide).1 == Applied::Blanked, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn by_two_tables_of_groups_a_value_is_in_none() {
        let table = |group: &str| {
            let groups = [("123456".to_owned(), group.to_owned())].into();
            let bare = treatment("generalise group", Scope::Recipient);
            Treatment { groups: Some(Arc::new(groups)), ..bare }
        };
        assert_eq!(applied(&join(&table("crafts"), &table("crafts"))).0, "\"crafts\"");
        assert_eq!(applied(&join(&table("crafts"), &table("bakers"))).0, "\"\"");
    }
}
