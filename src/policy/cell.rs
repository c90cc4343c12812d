//! What happens to one field: grants, then limits.
//!
//! - Inside one `show` the most specific pattern decides; a pattern that is not there says nothing.
//! - Grants that mention the category are joined; nobody mentions it: removed.
//! - Each limit is asked about what the grants gave for one purpose, and all answers are joined. So
//!   limits have no order, and one more limit can only tighten.
//! - Over several purposes the join again, so a field must be granted for each of them.

use super::model::{Field, Grant, Limit, Locator, Need, Policy, Route, Show};
use super::plan::Cell;
use super::{Place, RoleIndex};
use crate::action::Action;
use crate::action::pseudonym::Scope;
use crate::terms::{CategoryId, PurposeId, RecipientId, Role};

/// A grant that applies, with those of its purposes that are asked for.
pub(super) struct Applicable<'a> {
    grant: &'a Grant,
    purposes: Vec<&'a PurposeId>,
}

impl std::ops::Deref for Applicable<'_> {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        self.grant
    }
}

impl Applicable<'_> {
    /// Whether what it grants rests on consent anyway, so that its needs are needs of the whole.
    pub(super) fn rests_on_consent(&self, policy: &Policy) -> bool {
        self.purposes.iter().any(|id| {
            policy.purposes.get(*id).is_none_or(|purpose| purpose.basis.rests_on_consent())
        })
    }
}

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) policy: &'a Policy,
    pub(super) recipient: &'a RecipientId,
    pub(super) purposes: &'a [PurposeId],
    pub(super) grants: &'a [Applicable<'a>],
    pub(super) only_own: bool,
}

/// Grants to the recipient for any of the purposes whose conditions are met on this route.
pub(super) fn grants_for<'a>(
    policy: &'a Policy,
    route: &Route,
    recipient: &RecipientId,
    purposes: &'a [PurposeId],
) -> Vec<Applicable<'a>> {
    let phase = policy.recipients.get(recipient).and_then(|recipient| recipient.phase.as_ref());
    policy
        .grants
        .iter()
        .filter(|grant| {
            grant.to.contains(recipient)
                && (grant.phase.is_none() || grant.phase.as_ref() == phase)
                && !(grant.single_subject && is_about_several(route))
                && (route.aggregate.is_some() || !grant.aggregate_only)
        })
        .map(|grant| {
            let purposes =
                purposes.iter().filter(|purpose| grant.purposes.contains(purpose)).collect();
            Applicable { grant, purposes }
        })
        .filter(|applicable| !applicable.purposes.is_empty())
        .collect()
}

/// Whether the answer of a route can be about more people than one in each role.
fn is_about_several(route: &Route) -> bool {
    route.each.is_some()
        || route.subjects.iter().any(|subject| match &subject.locator {
            Locator::Document(selector) | Locator::Element(selector) => !selector.is_singular(),
            Locator::Path(_) | Locator::Query(_) | Locator::Body(_) | Locator::Header(_) => false,
        })
}

/// An action with the line that led to it.
#[derive(Clone, Debug)]
struct Decided {
    action: Action,
    by: Place,
    because: String,
}

impl Decided {
    /// The stricter of both, with the line of the one that decided. Of two lines that say the same
    /// the earlier is named, so that the order of joining does not show.
    fn join(self, other: Self) -> Self {
        let action = self.action.clone().join(other.action.clone());
        if action == self.action && action == other.action {
            return if other.by < self.by { other } else { self };
        }
        if action == self.action {
            return self;
        }
        if action == other.action {
            return other;
        }
        let (first, second) = if other.by < self.by { (&other, &self) } else { (&self, &other) };
        let because = format!("`{}` and `{}` meet only at `{action}`", first.action, second.action);
        Self { by: second.by.clone(), action, because }
    }
}

/// Decides one field.
pub(super) fn decide(asked: &Asked<'_>, field: &Field) -> Cell {
    let policy = asked.policy;
    let category = &field.category;
    // Limits are asked purpose by purpose: an action that one purpose's grant made lax enough to
    // pass must not excuse that of another.
    let decided = asked
        .purposes
        .iter()
        .map(|purpose| {
            let granted = granted(asked, purpose, field);
            limits(asked, category, &granted).fold(granted.clone(), Decided::join)
        })
        .reduce(Decided::join)
        .unwrap_or_else(|| no_grant(field, None));

    let properties = policy.categories.get(category);
    // A category without properties is not declared: a gap in the compiler, so the strictest.
    let sensitive = properties.is_none_or(|properties| properties.sensitive);
    let of = field.of.and_then(|role| u8::try_from(role).ok()).map(RoleIndex);
    Cell {
        category: Some(category.clone()),
        of,
        action: decided.action,
        scope: scope(asked, category),
        needs: needs(asked, category, sensitive),
        derived: None,
        form: field.form,
        sensitive,
        decided_by: decided.by,
        because: decided.because,
        selector: field.selector.text.clone(),
    }
}

/// Whether a grant or a limit says `own lines` of this field. Asked of each of them and not of what
/// they were joined to: a stricter rule for this one field must not open elements to those who are no
/// party.
pub(super) fn says_own_lines(asked: &Asked<'_>, field: &Field) -> bool {
    let grants = asked
        .grants
        .iter()
        .filter_map(|applicable| shown(applicable.grant, &field.category))
        .any(|decided| decided.action == Action::OwnLines);
    grants
        || asked.purposes.iter().any(|purpose| {
            let granted = granted(asked, purpose, field);
            let mut limits = limits(asked, &field.category, &granted);
            limits.any(|decided| decided.action == Action::OwnLines)
        })
}

fn no_grant(field: &Field, purpose: Option<&PurposeId>) -> Decided {
    let because = match purpose {
        Some(purpose) => format!("no grant for {purpose}"),
        None => "no grant".to_owned(),
    };
    Decided { action: Action::Remove, by: field.place.clone(), because }
}

/// The join of all grants that mention the category for this purpose.
fn granted(asked: &Asked<'_>, purpose: &PurposeId, field: &Field) -> Decided {
    asked
        .grants
        .iter()
        .filter(|applicable| applicable.purposes.contains(&purpose))
        .filter_map(|applicable| shown(applicable.grant, &field.category))
        .reduce(Decided::join)
        .unwrap_or_else(|| no_grant(field, (asked.purposes.len() > 1).then_some(purpose)))
}

/// What one grant says about a category; `None` if it does not mention it.
fn shown(grant: &Grant, category: &CategoryId) -> Option<Decided> {
    let (action, place, because) = match &grant.show {
        Show::Cells(cells) => {
            let cell = cells
                .iter()
                .filter(|cell| cell.pattern.covers(category))
                .max_by_key(|cell| cell.pattern.specificity())?;
            (cell.action.clone(), &cell.place, "release")
        }
        // Which of them an order or a consent lists is asked for each person.
        Show::ByOrder => (Action::Keep, &grant.place, "what the order lists"),
        Show::ByConsent(among) if !among.contains(category) => return None,
        Show::ByConsent(_) => (Action::Keep, &grant.place, "what the consent lists"),
    };
    Some(Decided { action, by: place.clone(), because: because.to_owned() })
}

/// The answer of every limit that binds this field, to what the grants gave.
fn limits<'a>(
    asked: &'a Asked<'_>,
    category: &'a CategoryId,
    granted: &'a Decided,
) -> impl Iterator<Item = Decided> + 'a {
    asked.policy.limits.iter().filter_map(move |limit| match limit {
        Limit::AtLeast { categories, to, except_to, only_for, place } => {
            let binds = categories.iter().any(|pattern| pattern.covers(category))
                && !except_to.contains(asked.recipient)
                && (only_for.is_empty()
                    || asked
                        .purposes
                        .iter()
                        .any(|purpose| only_for.iter().any(|only| only.covers(purpose))));
            let passes = to.iter().any(|alternative| granted.action.at_least(alternative));
            if !binds || passes {
                return None;
            }
            let first = to.first().cloned().unwrap_or(Action::Remove);
            let because = "limit".to_owned();
            Some(Decided { action: first, by: place.clone(), because })
        }
        Limit::ThirdParties { .. }
        | Limit::Sensitive { .. }
        | Limit::Minors { .. }
        | Limit::Disputed { .. } => None,
    })
}

/// Within what pseudonyms of this field link. Over all purposes and grants that mention it, so that
/// one more grant can only narrow it.
fn scope(asked: &Asked<'_>, category: &CategoryId) -> Scope {
    asked
        .grants
        .iter()
        .filter(|applicable| shown(applicable.grant, category).is_some())
        .fold(Scope::Recipient, |scope, applicable| scope.join(applicable.grant.scope))
}

/// Needs of this field alone: those of the grants that mention it, and of sensitive data.
fn needs(asked: &Asked<'_>, category: &CategoryId, sensitive: bool) -> Vec<Need> {
    let mut needs: Vec<Need> = asked
        .grants
        .iter()
        .filter(|applicable| shown(applicable.grant, category).is_some())
        .flat_map(|applicable| {
            let listed = matches!(applicable.grant.show, Show::ByConsent(_));
            let listed = listed.then_some(Need::ListedConsent);
            applicable.grant.needs.iter().copied().chain(listed)
        })
        .collect();
    let role = asked.policy.recipients.get(asked.recipient).map(|one| one.role);
    // People need nobody's consent to see their own data.
    let own = role == Some(Role::Own) && asked.only_own;
    if sensitive && !own {
        for limit in &asked.policy.limits {
            match limit {
                Limit::Sensitive { needs: needed, .. } => needs.extend_from_slice(needed),
                Limit::AtLeast { .. }
                | Limit::ThirdParties { .. }
                | Limit::Minors { .. }
                | Limit::Disputed { .. } => {}
            }
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}
