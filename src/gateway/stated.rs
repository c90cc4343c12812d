//! Whom the head of an answer names.

use std::sync::Arc;

use http::HeaderMap;

use crate::decide::{Permit, SubjectIds};
use crate::minimize::link::{Links, Origins};
use crate::policy::model::Locator;
use crate::terms::Personal;

/// Longest id of a subject in a header of an answer, in bytes.
const LONGEST_ID: usize = 512;

/// The subjects that headers of an answer name: a link by what it holds of the person's category.
pub(super) fn stated(
    permit: &Permit,
    headers: &HeaderMap,
    origins: &Arc<Origins>,
) -> Vec<(usize, SubjectIds)> {
    let route = &permit.policy().routes[permit.plan().route_index];
    let id = |role: usize, name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?.trim();
        if values.next().is_some() {
            return None;
        }
        let linked = route
            .answer_headers
            .iter()
            .find(|one| one.of == Some(role) && one.header.as_str().eq_ignore_ascii_case(name));
        let id = match linked.and_then(|one| one.category.as_ref()) {
            Some(category) => Links::new(Arc::clone(permit.policy()), Arc::clone(origins))
                .only(value, category)?,
            None => value.to_owned(),
        };
        let fits = !id.is_empty() && id.len() <= LONGEST_ID;
        fits.then(|| SubjectIds::One(Personal::new(id.into())))
    };
    let in_head = |(role, locator): (usize, &Locator)| match locator {
        Locator::Header(name) => Some((role, id(role, name).unwrap_or(SubjectIds::Unresolved))),
        Locator::Path(_)
        | Locator::Query(_)
        | Locator::Body(_)
        | Locator::Document(_)
        | Locator::Element(_) => None,
    };
    let locators = route.subjects.iter().map(|subject| &subject.locator);
    locators.enumerate().filter_map(in_head).collect()
}
