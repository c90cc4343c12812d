//! `request_fields:` and `request_must:` of a route: what reaches the backend of a request's body.

use std::sync::Arc;

use super::Compiler;
use crate::policy::automaton::{Automaton, CellId, Mark, Unlisted};
use crate::policy::model::{Literal, Locator, Must, RequestBody, Route};
use crate::policy::syntax::{Fields, Node};

impl Compiler<'_> {
    pub(super) fn request(
        &mut self,
        fields: &mut Fields<'_>,
        route: &Route,
    ) -> Option<RequestBody> {
        let (members, musts) = (fields.take("request_fields"), fields.take("request_must"));
        let node = members.or(musts)?;
        if matches!(route.method.as_str(), "GET" | "DELETE") {
            let message = format!("a {} has no body to reduce", route.method);
            self.findings.error("T104", &node.place, message);
        }
        if members.is_none() {
            let help = Some("list the members that pass under `request_fields`".to_owned());
            let message = "a body of which no member passes";
            self.findings.error_with("T102", &node.place, message, help);
        }
        let (mut rules, mut selectors, mut categories) = (Vec::new(), Vec::new(), Vec::new());
        let entries = members.map(|node| node.entries(self.findings, "selectors with categories"));
        for (key, node) in entries.unwrap_or_default() {
            let selector = self.selector_at(key, None);
            let category = match node.scalar() {
                Some("open") => None,
                _ => self.category(node),
            };
            self.names.bound_elsewhere.extend(category.clone());
            let at = u16::try_from(rules.len());
            if let (Some(selector), Ok(at)) = (selector, at) {
                selectors.push(selector.text.clone());
                rules.push((selector, Mark::Cell { cell: CellId(at), subtree: false }));
                categories.push(category);
            }
        }
        let must = musts.map(|node| self.musts(node)).unwrap_or_default();
        let of_people = rules.iter().zip(&categories).filter(|(_, category)| category.is_some());
        let personal = of_people.map(|((selector, _), _)| selector.clone()).collect();
        match Automaton::compile(&rules, Unlisted::Remove) {
            Ok(automaton) => {
                let automaton = Arc::new(automaton);
                Some(RequestBody { automaton, selectors, members: categories, personal, must })
            }
            Err(error) => {
                self.findings.error("T103", &node.place, error.to_string());
                None
            }
        }
    }

    /// A person whom a body names is named by a member that reaches the backend, as what it is.
    pub(super) fn named_in_body(&mut self, route: &Route) {
        for subject in &route.subjects {
            let Locator::Body(selector) = &subject.locator else { continue };
            let brought = route.request.iter().flat_map(|request| &request.personal);
            if !brought.into_iter().any(|one| one.segments == selector.segments) {
                let message = format!(
                    "no member of a category at `{}`: whom does the request name",
                    selector.text
                );
                let help = "list it under `request_fields` with the category that it is of";
                self.findings.error_with("T106", &subject.place, message, Some(help.to_owned()));
            }
        }
    }

    fn musts(&mut self, node: &Node) -> Vec<Must> {
        let mut musts = Vec::new();
        for (key, node) in node.entries(self.findings, "selectors with the value of each") {
            let selector = self.selector_at(key, None);
            let text = node.text(self.findings, "a value");
            let (Some(selector), Some(text)) = (selector, text) else { continue };
            if !selector.is_singular() {
                let message = format!("`{}` is no single member", key.text);
                self.findings.error("T103", &key.place, message);
                continue;
            }
            musts.push(Must { selector, value: literal(text, node.is_quoted()) });
        }
        musts
    }
}

/// What stands in quotes is a text, as everywhere in YAML.
fn literal(text: &str, quoted: bool) -> Literal {
    match text {
        "true" if !quoted => Literal::Bool(true),
        "false" if !quoted => Literal::Bool(false),
        _ => match text.parse() {
            Ok(number) if !quoted => Literal::Integer(number),
            Ok(_) | Err(_) => Literal::Text(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Literal, literal};

    #[test]
    fn quotes_make_a_text() {
        let cases = [
            ("true", false, Literal::Bool(true)),
            ("true", true, Literal::Text("true".into())),
            ("18", false, Literal::Integer(18)),
            ("18", true, Literal::Text("18".into())),
            ("yes", false, Literal::Text("yes".into())),
        ];
        for (text, quoted, expected) in cases {
            assert_eq!(literal(text, quoted), expected, "{text} {quoted}");
        }
    }
}
