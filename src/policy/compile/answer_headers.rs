//! `answer_headers:` of a route: the headers of an answer in which links may leave.

use super::Compiler;
use crate::policy::model::{AnswerHeader, LinkHeader, Locator, Route};
use crate::policy::syntax::{Fields, Key, Node, closest};

impl Compiler<'_> {
    /// Reads `answer_headers`, once the route's subjects and list are known.
    pub(super) fn answer_headers(&mut self, fields: &mut Fields<'_>, route: &mut Route) {
        if let Some(node) = fields.take("answer_headers") {
            self.entries_of(node, route);
        }
        // Who is named in a link is found by the category that stands there.
        for (role, subject) in route.subjects.iter().enumerate() {
            let Locator::Header(name) = &subject.locator else { continue };
            let is_it = |header: &LinkHeader| header.as_str().eq_ignore_ascii_case(name);
            let Some(header) = LinkHeader::ALL.into_iter().find(is_it) else { continue };
            let mut of_role = route
                .answer_headers
                .iter()
                .filter(|one| one.header == header && one.of == Some(role));
            if header == LinkHeader::Link || of_role.next().is_none() || of_role.next().is_some() {
                let message = format!("nobody can say which id of `{}` this is", header.as_str());
                let help = "write under `answer_headers` which category of this person stands in \
                            its `Location` or `Content-Location`";
                self.findings.error_with("T106", &subject.place, message, Some(help.to_owned()));
            }
        }
    }

    fn entries_of(&mut self, node: &Node, route: &mut Route) {
        if route.serve.is_some() {
            let message = "the gateway answers this itself, with headers of its own";
            self.findings.error("T104", &node.place, message);
        }
        for (key, node) in node.entries(self.findings, "headers with what may stand in them") {
            let named = |header: &LinkHeader| header.as_str().eq_ignore_ascii_case(&key.text);
            let Some(header) = LinkHeader::ALL.into_iter().find(named) else {
                let message = format!("`{}` is no header in which links stand", key.text);
                let help = closest(&key.text, LinkHeader::ALL.map(LinkHeader::as_str));
                let help = help
                    .or_else(|| Some("`Location`, `Content-Location` and `Link` are".to_owned()));
                self.findings.error_with("T102", &key.place, message, help);
                continue;
            };
            self.answer_header(key, header, node, route);
        }
    }

    fn answer_header(&mut self, key: &Key, header: LinkHeader, node: &Node, route: &mut Route) {
        if route.names(header) {
            let message = format!("`{}` stands here twice", header.as_str());
            self.findings.error("T102", &key.place, message);
        }
        let place = key.place.clone();
        if node.scalar() == Some("open") {
            route.answer_headers.push(AnswerHeader { header, category: None, of: None, place });
            return;
        }
        let list = if node.is_map() {
            std::slice::from_ref(node)
        } else {
            node.one_or_many(self.findings, "`open`, a category, or a list of categories")
        };
        for node in list {
            let Some((category, of, subtree)) = self.category_of(node, route) else { continue };
            if subtree {
                let message = "a link is a text, and has nothing beneath";
                self.findings.error("T102", &node.place, message);
            }
            let subject = of.and_then(|of| route.subjects.get(of));
            if let Some(subject) = subject
                && matches!(subject.locator, Locator::Element(_))
            {
                let message = format!(
                    "a header leaves once for the list in which `{}` is named: whose is it",
                    subject.role
                );
                let help = "let cursors stand in it (`open`), or say where this person is named \
                            in the request or the document";
                self.findings.error_with("T106", &node.place, message, Some(help.to_owned()));
            }
            let (category, place) = (Some(category), place.clone());
            route.answer_headers.push(AnswerHeader { header, category, of, place });
        }
    }
}
