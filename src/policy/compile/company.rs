//! `together_never` and `alone_never` of `limits:`.

use super::Compiler;
use crate::policy::company::{Company, Never, Parting};
use crate::policy::syntax::{Fields, Node};
use crate::terms::CategoryPattern;

impl Compiler<'_> {
    pub(super) fn together_never(&mut self, fields: &mut Fields<'_>) {
        let Some((key, node)) = fields.take_entry("together_never") else { return };
        let categories = self.category_patterns(node);
        let then = fields.take("then").map(|node| self.parting(node, &categories));
        let except_to = fields.take("except_to").map(|node| self.recipient_list(node));
        if categories.len() < 2 && !self.findings.has_error() {
            let message = "one category alone meets no other";
            self.findings.error("T102", &node.place, message);
        }
        self.company.push(Company {
            categories,
            never: Never::Together,
            then: then.unwrap_or_default(),
            except_to: except_to.unwrap_or_default(),
            place: key.clone(),
        });
    }

    pub(super) fn alone_never(&mut self, fields: &mut Fields<'_>) {
        let Some((key, node)) = fields.take_entry("alone_never") else { return };
        let categories = self.category_patterns(node);
        let words = [("remove", Parting::Remove), ("drop", Parting::Drop)];
        let then =
            fields.take("then").and_then(|node| node.word(self.findings, "a consequence", &words));
        let except_to = fields.take("except_to").map(|node| self.recipient_list(node));
        self.company.push(Company {
            categories,
            never: Never::Alone,
            then: then.unwrap_or_default(),
            except_to: except_to.unwrap_or_default(),
            place: key.clone(),
        });
    }

    fn parting(&mut self, node: &Node, together: &[CategoryPattern]) -> Parting {
        let text = node.text(self.findings, "`drop`, `remove` or `remove <category>`");
        if let Some(category) = text.and_then(|text| text.strip_prefix("remove ")) {
            let one = self.category_pattern_at(category, &node.place);
            if let Some(one) = one.filter(|one| together.contains(one)) {
                return Parting::RemoveOne(one);
            }
            if !self.findings.has_error() {
                let message = format!("`{category}` is none of the categories named here");
                self.findings.error("T102", &node.place, message);
            }
            return Parting::Remove;
        }
        let words = [("remove", Parting::Remove), ("drop", Parting::Drop)];
        node.word(self.findings, "a consequence", &words).unwrap_or_default()
    }
}
