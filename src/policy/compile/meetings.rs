//! Findings about rules that meet: limits that change nothing (T122), grants that differ (T201),
//! actions that have nothing in common but `blank` (T204).
//!
//! All are warnings. What happens is defined in each case: grants are joined, limits only tighten.
//! An error would forbid to write a limit before the grant that it is to bind.

use crate::action::Action;
use crate::policy::Place;
use crate::policy::model::{Grant, Limit, Policy, Show, ShowCell};
use crate::policy::syntax::Findings;
use crate::terms::{CategoryId, CategoryPattern, PurposeId, PurposePattern, RecipientId};

/// All findings of this kind.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    for cell in cells(policy) {
        differing_grants(&cell, findings);
        meets_at_blank(policy, &cell, findings);
    }
    limits(policy, findings);
}

/// What the grants say of one category for one recipient and purpose.
struct Granted<'a> {
    recipient: &'a RecipientId,
    purpose: &'a PurposeId,
    category: &'a CategoryId,
    by: Vec<&'a ShowCell>,
}

fn cells(policy: &Policy) -> Vec<Granted<'_>> {
    let mut all = Vec::new();
    for (recipient, declared) in &policy.recipients {
        for purpose in &declared.purposes {
            let applies = |grant: &&Grant| {
                grant.to.contains(recipient)
                    && grant.purposes.contains(purpose)
                    && (grant.phase.is_none() || grant.phase == declared.phase)
            };
            for category in policy.categories.keys() {
                let by: Vec<&ShowCell> = policy
                    .grants
                    .iter()
                    .filter(applies)
                    .filter_map(|grant| shown(grant, category))
                    .collect();
                if !by.is_empty() {
                    all.push(Granted { recipient, purpose, category, by });
                }
            }
        }
    }
    all
}

/// What a grant shows of a category: its most specific pattern.
pub(super) fn shown<'a>(grant: &'a Grant, category: &CategoryId) -> Option<&'a ShowCell> {
    match &grant.show {
        Show::Cells(cells) => cells
            .iter()
            .filter(|cell| cell.pattern.covers(category))
            .max_by_key(|cell| cell.pattern.specificity()),
        Show::ByOrder | Show::ByConsent(_) => None,
    }
}

/// T201.
fn differing_grants(cell: &Granted<'_>, findings: &mut Findings) {
    let Some((first, others)) = cell.by.split_first() else { return };
    for other in others.iter().filter(|other| other.action != first.action) {
        let message = format!(
            "`{}` gets {} as `{}` here and as `{}` in line {} for `{}`",
            cell.recipient,
            cell.category,
            other.action,
            first.action,
            first.place.line,
            cell.purpose
        );
        let joined = first.action.clone().join(other.action.clone());
        let help = Some(format!("both apply, which comes to `{joined}`; write it once"));
        findings.warn("T201", &other.place, message, help);
    }
}

/// T204.
fn meets_at_blank(policy: &Policy, cell: &Granted<'_>, findings: &mut Findings) {
    let blank = |action: &Action| *action == Action::Blank;
    let actions = cell.by.iter().map(|cell| cell.action.clone());
    let Some(granted) = actions.reduce(Action::join) else { return };
    let last = cell.by[cell.by.len() - 1];
    if blank(&granted) && !cell.by.iter().any(|cell| blank(&cell.action)) {
        let message = format!(
            "grants to `{}` have nothing in common: {} is blanked",
            cell.recipient, cell.category
        );
        findings.warn("T204", &last.place, message, None);
    }
    for limit in &policy.limits {
        let Limit::AtLeast { to, place, .. } = limit else { continue };
        let passes = to.iter().any(|alternative| granted.at_least(alternative));
        let Some(first) = to.first().filter(|_| binds(limit, cell) && !passes) else { continue };
        if blank(&granted.clone().join(first.clone())) && !blank(&granted) && !blank(first) {
            let message = format!(
                "`{}` for `{}` and the limit `{first}` have nothing in common: {} is blanked",
                granted, cell.recipient, cell.category
            );
            let help = Some(format!("allow it: `to: [{first}, {granted}]`"));
            findings.warn("T204", place, message, help);
        }
    }
}

fn binds(limit: &Limit, cell: &Granted<'_>) -> bool {
    match limit {
        Limit::AtLeast { categories, except_to, only_for, .. } => {
            categories.iter().any(|pattern| pattern.covers(cell.category))
                && !except_to.contains(cell.recipient)
                && (only_for.is_empty() || only_for.iter().any(|only| only.covers(cell.purpose)))
        }
        Limit::ThirdParties { .. }
        | Limit::Sensitive { .. }
        | Limit::Minors { .. }
        | Limit::Disputed { .. } => false,
    }
}

/// T122.
fn limits(policy: &Policy, findings: &mut Findings) {
    let cells = cells(policy);
    let at_least: Vec<(&Limit, Bound<'_>)> =
        policy.limits.iter().filter_map(|limit| Some((limit, Bound::of(limit)?))).collect();
    for (at, (limit, bound)) in at_least.iter().enumerate() {
        let tightens = |cell: &Granted<'_>| {
            let granted = cell.by.iter().map(|cell| cell.action.clone()).reduce(Action::join);
            granted.is_some_and(|granted| {
                binds(limit, cell) && !bound.to.iter().any(|other| granted.at_least(other))
            })
        };
        if !cells.iter().any(tightens) {
            let message = "no grant shows more than this limit allows: it changes nothing today";
            findings.warn("T122", bound.place, message, None);
            continue;
        }
        let shadow = at_least
            .iter()
            .enumerate()
            .find(|(other, (_, shadow))| *other != at && shadow.implies(bound));
        if let Some((_, (_, shadow))) = shadow {
            let message = format!(
                "the limit in line {} is as strict wherever this one binds",
                shadow.place.line
            );
            findings.warn("T122", bound.place, message, Some("keep one of them".to_owned()));
        }
    }
}

/// The parts of a limit on actions.
struct Bound<'a> {
    categories: &'a [CategoryPattern],
    to: &'a [Action],
    except_to: &'a [RecipientId],
    only_for: &'a [PurposePattern],
    place: &'a Place,
}

impl<'a> Bound<'a> {
    fn of(limit: &'a Limit) -> Option<Self> {
        match limit {
            Limit::AtLeast { categories, to, except_to, only_for, place } => {
                Some(Self { categories, to, except_to, only_for, place })
            }
            Limit::ThirdParties { .. }
            | Limit::Sensitive { .. }
            | Limit::Minors { .. }
            | Limit::Disputed { .. } => None,
        }
    }

    /// Whether whatever passes this limit passes `other` too, wherever that one binds.
    fn implies(&self, other: &Self) -> bool {
        let covers = |pattern: &CategoryPattern| {
            self.categories.iter().any(|own| {
                own == pattern || own.as_str() == "*" || {
                    let stem = pattern.as_str().trim_end_matches(".*");
                    own.covers(&CategoryId::from(stem))
                }
            })
        };
        let no_wider = |alternative: &Action| other.to.iter().any(|lax| alternative.at_least(lax));
        let same_purposes = self.only_for.is_empty()
            || (!other.only_for.is_empty()
                && other.only_for.iter().all(|purpose| self.only_for.contains(purpose)));
        other.categories.iter().all(covers)
            && self.to.iter().all(no_wider)
            && self.except_to.iter().all(|recipient| other.except_to.contains(recipient))
            && same_purposes
    }
}
