//! `url(…)`: links, under `fields` and `open` of a route.

use super::Compiler;
use crate::policy::Selector;
use crate::policy::model::{Field, Form, QueryParameter, Route};
use crate::policy::syntax::{Findings, Key, Node};
use crate::terms::CategoryId;

/// What `url(…)` selects; `None` where it is no such selector.
pub(super) fn linked(text: &str) -> Option<&str> {
    text.strip_prefix("url(")?.strip_suffix(')').map(str::trim)
}

impl Compiler<'_> {
    /// A link, with the categories whose values may stand in it: one, or a list.
    pub(super) fn link_field(&mut self, key: &Key, inner: &str, node: &Node, route: &mut Route) {
        let rows = route.each.clone();
        let within = Key { text: inner.to_owned(), ..key.clone() };
        let selector = self.selector_at(&within, rows.as_ref());
        let list = if node.is_map() {
            std::slice::from_ref(node)
        } else {
            node.one_or_many(self.findings, "a category, or a list of categories")
        };
        for node in list {
            let Some((category, of, subtree)) = self.category_of(node, route) else { continue };
            if subtree {
                let message = "a link is a text, and has nothing beneath";
                self.findings.error("T102", &node.place, message);
            }
            let Some(selector) = &selector else { continue };
            self.whose_it_can_be(key, selector, of, route);
            let selector = Selector { text: key.text.clone(), ..selector.clone() };
            let (form, place) = (Form::Link, key.place.clone());
            route.fields.push(Field { selector, category, of, subtree: false, form, place });
        }
    }

    /// The selector within `url(…)`, which is called as the whole is written.
    pub(super) fn selector_within(
        &mut self,
        text: &str,
        inner: &str,
        node: &Node,
        each: Option<&Selector>,
    ) -> Option<Selector> {
        let found = self.selector(inner, &node.place, node.is_quoted(), each)?;
        Some(Selector { text: text.to_owned(), ..found })
    }
}

/// T111 for links: a category of which no route takes values stands in no link.
pub(super) fn lint(routes: &[Route], findings: &mut Findings) {
    let takes = |category: &CategoryId| {
        routes.iter().any(|route| {
            let of_query = |parameter: &QueryParameter| {
                matches!(parameter, QueryParameter::Category(one) if one == category)
            };
            route.path.values().any(|one| one == category) || route.query.values().any(of_query)
        })
    };
    for route in routes {
        let members = route.fields.iter().filter(|field| field.form == Form::Link);
        let members = members.map(|field| (&field.category, &field.place));
        let headers = route.answer_headers.iter();
        let headers = headers.filter_map(|one| Some((one.category.as_ref()?, &one.place)));
        for (category, place) in members.chain(headers) {
            if !takes(category) {
                let message = format!(
                    "no route takes {category} in its path or query, so no link holds it: all are \
                     removed"
                );
                let help = "say under `path` or `query` of the route that the link leads to what \
                            stands in it";
                findings.warn("T111", place, message, Some(help.to_owned()));
            }
        }
    }
}
