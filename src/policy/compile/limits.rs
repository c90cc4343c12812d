//! `limits:`, which can only tighten.

use super::Compiler;
use crate::policy::model::Limit;
use crate::policy::syntax::{Fields, Node};

/// The kinds of limit, by the key that says which it is.
const KINDS: [&str; 9] = [
    "limit",
    "third_parties",
    "sensitive",
    "minors",
    "together_never",
    "alone_never",
    "disputed_data",
    "aggregate_routes",
    "purpose_text_changed",
];

impl Compiler<'_> {
    pub(super) fn limits(&mut self, node: &Node) -> Vec<Limit> {
        let items = node.list(self.findings, "a list of limits");
        items.iter().filter_map(|item| self.one_limit(item)).collect()
    }

    fn one_limit(&mut self, node: &Node) -> Option<Limit> {
        let mut fields = node.fields(self.findings, "a limit");
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
        if kinds.len() > 1 {
            let message = format!("a limit is of one kind, not {}", kinds.join(" and "));
            self.findings.error("T102", fields.place(), message);
        }
        let limit = match kinds.first().copied() {
            Some("limit") => self.at_least(&mut fields),
            Some("third_parties") => self.third_parties(&mut fields),
            Some("sensitive") => self.sensitive(&mut fields),
            Some("minors") => self.minors(&mut fields),
            Some("together_never") => {
                self.together_never(&mut fields);
                None
            }
            Some("alone_never") => {
                self.alone_never(&mut fields);
                None
            }
            Some("disputed_data") => self.disputed_data(&mut fields),
            Some("aggregate_routes") => self.aggregate_routes(&mut fields),
            Some("purpose_text_changed") => self.purpose_text_changed(&mut fields),
            Some(_) | None => {
                // So that a misspelt kind is answered with the kind that was meant.
                for kind in KINDS {
                    fields.take(kind);
                }
                for key in ["to", "except_to", "except_for", "when", "for", "then", "to_roles"] {
                    fields.take(key);
                }
                self.findings.error("T102", fields.place(), "a limit that limits nothing");
                None
            }
        };
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        limit
    }

    fn at_least(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let (key, node) = fields.take_entry("limit")?;
        let categories = self.category_patterns(node);
        let mut to = Vec::new();
        if let Some(node) = fields.require(self.findings, "to") {
            for item in node.one_or_many(self.findings, "actions") {
                to.extend(self.action(item));
            }
        }
        let except_to = fields.take("except_to").map(|node| self.recipient_list(node));
        let only_for = fields.take("when").map(|node| {
            let mut when = node.fields(self.findings, "`when`");
            let purposes =
                when.require(self.findings, "for").map(|node| self.purpose_patterns(node));
            when.finish(self.findings);
            purposes.unwrap_or_default()
        });
        (!to.is_empty()).then(|| Limit::AtLeast {
            categories,
            to,
            except_to: except_to.unwrap_or_default(),
            only_for: only_for.unwrap_or_default(),
            place: key.clone(),
        })
    }

    fn third_parties(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let (key, node) = fields.take_entry("third_parties")?;
        let mut inner = node.fields(self.findings, "`third_parties`");
        let needs = inner.require(self.findings, "needs").map(|node| self.needs(node));
        inner.finish(self.findings);
        let except_for = fields.take("except_for").map(|node| self.purpose_list(node));
        Some(Limit::ThirdParties {
            needs: needs.unwrap_or_default(),
            except_for: except_for.unwrap_or_default(),
            place: key.clone(),
        })
    }

    fn sensitive(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let (key, node) = fields.take_entry("sensitive")?;
        let mut inner = node.fields(self.findings, "`sensitive`");
        let needs = inner.require(self.findings, "needs").map(|node| self.needs(node));
        if let Some(node) = inner.take("withhold") {
            node.word(self.findings, "something to withhold", &[("field", ())]);
        }
        inner.finish(self.findings);
        Some(Limit::Sensitive { needs: needs.unwrap_or_default(), place: key.clone() })
    }

    fn minors(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let (key, node) = fields.take_entry("minors")?;
        node.word(self.findings, "a treatment of minors", &[("drop", ())]);
        let purposes = fields.require(self.findings, "for").map(|node| self.purpose_patterns(node));
        if let Some(node) = fields.take("unknown_age") {
            node.word(self.findings, "a reading of an unknown age", &[("minor", ())]);
        }
        Some(Limit::Minors { purposes: purposes.unwrap_or_default(), place: key.clone() })
    }

    fn disputed_data(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let (key, node) = fields.take_entry("disputed_data")?;
        node.word(self.findings, "a treatment of disputed data", &[("remove", ())]);
        let roles = fields.take("to_roles").map(|node| self.roles(node));
        Some(Limit::Disputed { roles: roles.unwrap_or_default(), place: key.clone() })
    }

    /// What no aggregate route may hold: a member of it there is an error of the rules, so that nothing
    /// is left to be removed.
    fn aggregate_routes(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let node = fields.take("aggregate_routes")?;
        let mut inner = node.fields(self.findings, "`aggregate_routes`");
        if let Some(node) = inner.require(self.findings, "limit") {
            let patterns = self.category_patterns(node);
            self.never_counted.get_or_insert_default().extend(patterns);
        }
        if let Some(node) = inner.require(self.findings, "to") {
            node.word(self.findings, "what becomes of them", &[("remove", ())]);
        }
        inner.finish(self.findings);
        None
    }

    /// What is always so: a consent is bound to the digest of the text that was shown.
    fn purpose_text_changed(&mut self, fields: &mut Fields<'_>) -> Option<Limit> {
        let node = fields.take("purpose_text_changed")?;
        node.word(self.findings, "an effect of a changed text", &[("consent stale", ())]);
        None
    }
}
