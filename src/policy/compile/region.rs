//! `region:` of a route: where the answer says in which country or region a person is.

use super::Compiler;
use crate::policy::Place;
use crate::policy::model::{Locator, Policy, Region, Route};
use crate::policy::path::PathSegment;
use crate::policy::syntax::{Fields, Findings, Node};

impl Compiler<'_> {
    /// `region: "$.country"` where the answer is about one person, else by role.
    pub(super) fn regions(&mut self, fields: &mut Fields<'_>, route: &Route) -> Vec<Region> {
        let Some(node) = fields.take("region") else { return Vec::new() };
        if !node.is_map() {
            if route.subjects.len() != 1 {
                let roles: Vec<&str> =
                    route.subjects.iter().map(|subject| subject.role.as_str()).collect();
                let message = "whose region is it";
                let help = Some(format!("write `{{role: selector}}` with a role of {roles:?}"));
                self.findings.error_with("T106", &node.place, message, help);
                return Vec::new();
            }
            return self.region(node, 0, &node.place, route).into_iter().collect();
        }
        let mut regions = Vec::new();
        for (key, node) in node.entries(self.findings, "subject roles with a selector each") {
            if let Some(of) = self.role_named(&key.text, &key.place, &route.subjects) {
                regions.extend(self.region(node, of, &key.place, route));
            }
        }
        regions
    }

    fn region(&mut self, node: &Node, of: usize, place: &Place, route: &Route) -> Option<Region> {
        let text = node.text(self.findings, "the selector of a region")?;
        let selector = self.selector(text, &node.place, node.is_quoted(), route.each.as_ref())?;
        let each = route.each.as_ref().filter(|each| selector.continues(each));
        let own = &selector.segments[each.map_or(0, |each| each.segments.len())..];
        if own.is_empty() || !own.iter().all(PathSegment::is_singular) {
            let message = format!("`{text}` is no single member");
            self.findings.error("T103", &node.place, message);
        }
        let subject = &route.subjects[of];
        let in_element = each.is_some();
        // Who is known from the request is asked about before any element is read.
        if in_element && !matches!(subject.locator, Locator::Element(_)) {
            let message = format!(
                "`{text}` stands in the elements of a list, and `{}` is named outside them",
                subject.role
            );
            let help = "select the region in the document, or say where each element names them";
            self.findings.error_with("T106", &node.place, message, Some(help.to_owned()));
        }
        Some(Region { of, selector, in_element, place: place.clone() })
    }
}

/// A route that says where a person is, and nobody who looks there (T101).
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    if policy.transfers.as_ref().is_some_and(|transfers| transfers.sources.route) {
        return;
    }
    for region in policy.routes.iter().flat_map(|route| &route.regions) {
        let message = "no transfer looks at the region that a route names";
        let help = "write `region_of_subject: {from: [route.region, …]}` under `transfers`";
        findings.error_with("T101", &region.place, message, Some(help.to_owned()));
    }
}
