//! The names that a file declares, collected before anything is resolved so that the order of
//! sections has no meaning; and the readers that resolve a name or say what was meant.

use std::collections::BTreeMap;

use super::Compiler;
use crate::policy::Place;
use crate::policy::syntax::{Findings, Node, closest};
use crate::terms::{CategoryId, CategoryPattern, PurposeId, PurposePattern, RecipientId};

/// Names declared in one file, with where each stands.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) categories: BTreeMap<CategoryId, Place>,
    pub(super) purposes: BTreeMap<PurposeId, Place>,
    pub(super) recipients: BTreeMap<RecipientId, Place>,
    /// Regions of the transfers table; `EEA` is always one.
    pub(super) regions: Vec<String>,
    /// Categories that members of a request's body are of.
    pub(super) bound_elsewhere: Vec<CategoryId>,
}

impl Names {
    /// Reads the keys of the sections that declare names. Makes no findings: the sections do.
    pub(super) fn collect(root: &Node) -> Self {
        let mut quiet = Findings::default();
        let mut fields = root.fields(&mut quiet, "the file");
        let mut keys = |section: Option<&Node>| -> Vec<(String, Place)> {
            section.map_or_else(Vec::new, |node| {
                node.entries(&mut quiet, "a mapping")
                    .iter()
                    .map(|(key, _)| (key.text.clone(), key.place.clone()))
                    .collect()
            })
        };
        let categories = keys(fields.take("categories"));
        let purposes = keys(fields.take("purposes"));
        let recipients = keys(fields.take("recipients"));
        let regions = fields
            .take("transfers")
            .and_then(|node| node.fields(&mut Findings::default(), "transfers").take("regions"));
        let regions = keys(regions);
        Self {
            categories: categories.into_iter().map(|(name, at)| (name.into(), at)).collect(),
            purposes: purposes.into_iter().map(|(name, at)| (name.into(), at)).collect(),
            recipients: recipients.into_iter().map(|(name, at)| (name.into(), at)).collect(),
            regions: std::iter::once("EEA".to_owned())
                .chain(regions.into_iter().map(|(name, _)| name))
                .collect(),
            bound_elsewhere: Vec::new(),
        }
    }
}

impl Compiler<'_> {
    /// A name that is being declared: it will stand in logs, metrics and the ledger.
    pub(super) fn declared_name(&mut self, text: &str, place: &Place) {
        let well_formed = text.bytes().all(
            |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_'),
        );
        if text.is_empty() || !well_formed {
            let message = format!("`{text}` is not a name of letters, digits, `.`, `-` and `_`");
            self.findings.error("T102", place, message);
        }
    }

    pub(super) fn category(&mut self, node: &Node) -> Option<CategoryId> {
        let text = node.text(self.findings, "a category")?;
        self.category_at(text, &node.place)
    }

    pub(super) fn category_at(&mut self, text: &str, place: &Place) -> Option<CategoryId> {
        if self.names.categories.contains_key(text) {
            return Some(text.into());
        }
        let help = closest(text, self.names.categories.keys().map(CategoryId::as_str));
        self.findings.error_with("T101", place, format!("undefined category `{text}`"), help);
        None
    }

    pub(super) fn category_list(&mut self, node: &Node) -> Vec<CategoryId> {
        let items = node.list(self.findings, "a list of categories");
        items.iter().filter_map(|item| self.category(item)).collect()
    }

    /// A category, a subtree `a.*` or `*`; it must cover at least one declared category.
    pub(super) fn category_pattern(&mut self, node: &Node) -> Option<CategoryPattern> {
        let text = node.text(self.findings, "a category or a pattern such as `contact.*`")?;
        self.category_pattern_at(text, &node.place)
    }

    pub(super) fn category_pattern_at(
        &mut self,
        text: &str,
        place: &Place,
    ) -> Option<CategoryPattern> {
        if !text.contains('*') {
            return self.category_at(text, place).map(|_| CategoryPattern::new(text));
        }
        let pattern = CategoryPattern::new(text);
        if self.names.categories.keys().any(|category| pattern.covers(category)) {
            return Some(pattern);
        }
        let message = format!("`{text}` covers no declared category");
        self.findings.error("T101", place, message);
        None
    }

    pub(super) fn category_patterns(&mut self, node: &Node) -> Vec<CategoryPattern> {
        let items = node.one_or_many(self.findings, "categories");
        items.iter().filter_map(|item| self.category_pattern(item)).collect()
    }

    pub(super) fn purpose(&mut self, node: &Node) -> Option<PurposeId> {
        let text = node.text(self.findings, "a purpose")?;
        if self.names.purposes.contains_key(text) {
            return Some(text.into());
        }
        let help = closest(text, self.names.purposes.keys().map(PurposeId::as_str));
        let message = format!("undefined purpose `{text}`");
        self.findings.error_with("T101", &node.place, message, help);
        None
    }

    pub(super) fn purpose_list(&mut self, node: &Node) -> Vec<PurposeId> {
        let items = node.list(self.findings, "a list of purposes");
        items.iter().filter_map(|item| self.purpose(item)).collect()
    }

    /// A purpose or a subtree of purposes; it must cover at least one declared purpose.
    pub(super) fn purpose_pattern(&mut self, node: &Node) -> Option<PurposePattern> {
        let text = node.text(self.findings, "a purpose or a pattern such as `marketing.*`")?;
        if !text.contains('*') {
            return self.purpose(node).map(|_| PurposePattern::new(text));
        }
        let pattern = PurposePattern::new(text);
        if self.names.purposes.keys().any(|purpose| pattern.covers(purpose)) {
            return Some(pattern);
        }
        let message = format!("`{text}` covers no declared purpose");
        self.findings.error("T101", &node.place, message);
        None
    }

    pub(super) fn purpose_patterns(&mut self, node: &Node) -> Vec<PurposePattern> {
        let items = node.one_or_many(self.findings, "purposes");
        items.iter().filter_map(|item| self.purpose_pattern(item)).collect()
    }

    pub(super) fn recipient_list(&mut self, node: &Node) -> Vec<RecipientId> {
        let items = node.list(self.findings, "a list of recipients");
        items.iter().filter_map(|item| self.recipient(item)).collect()
    }

    fn recipient(&mut self, node: &Node) -> Option<RecipientId> {
        let text = node.text(self.findings, "a recipient")?;
        self.recipient_at(text, &node.place)
    }

    pub(super) fn recipient_at(&mut self, text: &str, place: &Place) -> Option<RecipientId> {
        if self.names.recipients.contains_key(text) {
            return Some(text.into());
        }
        let help = closest(text, self.names.recipients.keys().map(RecipientId::as_str));
        let message = format!("undefined recipient `{text}`");
        self.findings.error_with("T101", place, message, help);
        None
    }
}
