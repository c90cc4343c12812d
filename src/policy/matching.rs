//! Which route a request is for, and whose tokens may stand in it.

use std::collections::BTreeSet;

use super::Policy;
use super::model::{Route, Segment, Show};
use crate::action::Action;
use crate::terms::{CategoryId, PurposeId, RecipientId};

/// The route that a request matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched<'a> {
    /// Position in [`Policy::routes`].
    pub index: usize,
    /// Path parameters: name and value, in the order of the path. Values are the client's own text
    /// and may be personal.
    pub parameters: Vec<(&'a str, &'a str)>,
}

impl Policy {
    /// The route for `method` and a path of these `segments`, percent-decoded and normalised.
    ///
    /// A literal segment beats a parameter, from the left; two routes that no segment tells apart
    /// are an error of the load, so there is never more than one answer. An empty segment matches
    /// nothing.
    #[must_use]
    pub fn route<'a>(&'a self, method: &str, segments: &[&'a str]) -> Option<Matched<'a>> {
        let candidates = self.routes.iter().enumerate().filter(|(_, route)| {
            route.method == method
                && route.template.len() == segments.len()
                && route.template.iter().zip(segments).all(|(template, segment)| match template {
                    Segment::Literal(literal) => literal == segment,
                    Segment::Parameter(_) => !segment.is_empty(),
                })
        });
        let (index, route) = candidates.min_by_key(|(_, route)| precedence(route))?;
        let parameters =
            route.template.iter().zip(segments).filter_map(|(template, segment)| match template {
                Segment::Literal(_) => None,
                Segment::Parameter(name) => Some((name.as_str(), *segment)),
            });
        Some(Matched { index, parameters: parameters.collect() })
    }

    /// Whose tokens a recipient may send for all of these purposes: its own, and those of whom a grant
    /// to it names.
    #[must_use]
    pub fn resolved_by(&self, recipient: &RecipientId, purposes: &[PurposeId]) -> Vec<RecipientId> {
        let phase = self.recipients.get(recipient).and_then(|found| found.phase.as_ref());
        let named = |purpose: &PurposeId| -> BTreeSet<&RecipientId> {
            self.grants
                .iter()
                .filter(|grant| grant.to.contains(recipient) && grant.purposes.contains(purpose))
                .filter(|grant| grant.phase.is_none() || grant.phase.as_ref() == phase)
                .flat_map(|grant| &grant.resolves_tokens_of)
                .collect()
        };
        let others = purposes.iter().map(named).reduce(|all, one| &all & &one);
        let others = others.unwrap_or_default().into_iter().filter(|other| *other != recipient);
        std::iter::once(recipient).chain(others).cloned().collect()
    }

    /// Whether anybody is given tokens of the category.
    #[must_use]
    pub fn issues_tokens_of(&self, category: &CategoryId) -> bool {
        self.grants.iter().any(|grant| match &grant.show {
            Show::Cells(cells) => cells
                .iter()
                .any(|cell| cell.action == Action::Token && cell.pattern.covers(category)),
            Show::ByOrder | Show::ByConsent(_) => false,
        })
    }
}

/// Least first: literals before parameters, from the left.
fn precedence(route: &Route) -> Vec<bool> {
    route.template.iter().map(|segment| matches!(segment, Segment::Parameter(_))).collect()
}
