//! `categories:`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Compiler;
use crate::action::pseudonym::Canonical;
use crate::policy::company::{Company, Never, Parting};
use crate::policy::model::Category;
use crate::policy::syntax::Node;
use crate::terms::{CategoryId, CategoryPattern};

const TYPES: [(&str, Canonical); 9] = [
    ("text", Canonical::Text),
    ("email", Canonical::Email),
    ("mailbox", Canonical::Mailbox),
    ("phone", Canonical::Phone),
    ("decimal", Canonical::Decimal),
    ("uuid", Canonical::Uuid),
    ("ip", Canonical::Ip),
    ("card", Canonical::Compact),
    ("iban", Canonical::Compact),
];

/// The type of categories whose name says what they hold.
fn usual_type(category: &str) -> Canonical {
    match category {
        "contact.email" => Canonical::Email,
        "contact.phone" => Canonical::Phone,
        "online.ip" => Canonical::Ip,
        "payment.card_number" | "payment.bank_account" => Canonical::Compact,
        _ => Canonical::Text,
    }
}

impl Compiler<'_> {
    pub(super) fn categories(&mut self, node: &Node) -> BTreeMap<CategoryId, Category> {
        let mut categories = BTreeMap::new();
        for (key, node) in node.entries(self.findings, "categories with their properties") {
            self.declared_name(&key.text, &key.place);
            categories.insert(key.text.as_str().into(), self.one_category(&key.text, node));
        }
        categories
    }

    fn one_category(&mut self, name: &str, node: &Node) -> Category {
        let mut category = Category { canonical: usual_type(name), ..Category::default() };
        let mut fields = node.fields(self.findings, "a category");
        if let Some(node) = fields.take("identifier") {
            let kinds = [("direct", ()), ("quasi", ()), ("opaque", ())];
            node.word(self.findings, "a kind of identifier", &kinds);
        }
        if let Some(node) = fields.take("public") {
            node.flag(self.findings);
        }
        category.sensitive = fields.take("sensitive").is_some_and(|node| node.flag(self.findings));
        if let Some(node) = fields.take("entropy") {
            category.low_entropy =
                node.word(self.findings, "a degree of entropy", &[("low", ())]).is_some();
        }
        if let Some(node) = fields.take("type") {
            let canonical = node.word(self.findings, "a type of values", &TYPES);
            category.canonical = canonical.unwrap_or_default();
        }
        category.groups = fields.take("groups").map(|node| self.groups(node));
        // Drafts had these. A route says that its body is a picture, and none leaves with metadata.
        for word in ["media", "strip"] {
            if let Some((key, _)) = fields.take_entry(word) {
                let message =
                    format!("a category has no `{word}`: no picture leaves with metadata");
                let help = "write `media` and `body` at the route whose answer is the picture";
                self.findings.error_with("T102", key, message, Some(help.to_owned()));
            }
        }
        if let Some(node) = fields.take("alone") {
            node.word(self.findings, "an answer to whether it may stand alone", &[("never", ())]);
            self.company.push(Company {
                categories: vec![CategoryPattern::new(name)],
                never: Never::Alone,
                then: Parting::Remove,
                except_to: Vec::new(),
                place: node.place.clone(),
            });
        }
        fields.finish(self.findings);
        category
    }

    fn groups(&mut self, node: &Node) -> Arc<BTreeMap<String, String>> {
        let mut group_of = BTreeMap::new();
        for (group, values) in node.entries(self.findings, "groups with their values") {
            for item in values.list(self.findings, "the group's values") {
                let Some(value) = item.text(self.findings, "a value") else { continue };
                if group_of.insert(value.to_owned(), group.text.clone()).is_some() {
                    let message = format!("`{value}` is in a group already");
                    self.findings.error("T102", &item.place, message);
                }
            }
        }
        Arc::new(group_of)
    }
}
