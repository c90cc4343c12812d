//! Which route a request is for.

use super::Policy;
use super::model::{Route, Segment};

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
}

/// Least first: literals before parameters, from the left.
fn precedence(route: &Route) -> Vec<bool> {
    route.template.iter().map(|segment| matches!(segment, Segment::Parameter(_))).collect()
}
