//! `retention:`, and `since:` of a route.

use super::Compiler;
use crate::policy::Selector;
use crate::policy::model::Route;
use crate::policy::retention::{Retention, Since, TooOld};
use crate::policy::syntax::{Fields, Node};

impl Compiler<'_> {
    pub(super) fn retention(&mut self, node: &Node) -> Vec<Retention> {
        let items = node.list(self.findings, "a list of periods");
        items.iter().filter_map(|item| self.one_period(item)).collect()
    }

    fn one_period(&mut self, node: &Node) -> Option<Retention> {
        let mut fields = node.fields(self.findings, "a retention period");
        let category = fields.require(self.findings, "category");
        let categories = category.and_then(|node| self.category_pattern(node));
        let after = fields.require(self.findings, "after");
        let after = after.and_then(|node| Some((self.period(node)?, node.scalar()?.to_owned())));
        // Relative to whatever list a route has.
        let element = Selector { segments: Vec::new(), text: "@".to_owned() };
        let start = fields.take("start").and_then(|node| self.date(node, Some(&element)));
        let words = [TooOld::Remove, TooOld::Drop, TooOld::Pseudonymise];
        let words = words.map(|word| (word.as_str(), word));
        let then =
            fields.take("then").and_then(|node| node.word(self.findings, "a consequence", &words));
        let except_for = fields.take("except_for").map(|node| self.purpose_list(node));
        self.keeps(fields.take("keeps"));
        let place = category.map_or_else(|| fields.place().clone(), |node| node.place.clone());
        fields.finish(self.findings);
        let (after, written) = after?;
        Some(Retention {
            categories: categories?,
            after,
            written,
            start,
            then: then.unwrap_or_default(),
            except_for: except_for.unwrap_or_default(),
            place,
        })
    }

    /// `since`: where the dates of a route stand.
    pub(super) fn since(&mut self, fields: &mut Fields<'_>, route: &Route) -> Vec<Since> {
        let Some(node) = fields.take("since") else { return Vec::new() };
        let mut since = Vec::new();
        for (key, node) in node.entries(self.findings, "categories with the place of a date") {
            let categories = self.category_pattern_at(&key.text, &key.place);
            let selector = self.date(node, route.each.as_ref());
            let (Some(categories), Some(selector)) = (categories, selector) else { continue };
            since.push(Since { categories, selector });
        }
        since
    }

    /// Where a date stands. What a value says of itself must not decide how old it is.
    fn date(&mut self, node: &Node, each: Option<&Selector>) -> Option<Selector> {
        let text = node.text(self.findings, "the selector of a date")?;
        let selector = self.selector(text, &node.place, node.is_quoted(), each)?;
        if selector.has_filter() {
            let message = format!("`{text}` is the place of a date and has a filter");
            self.findings.error("T103", &node.place, message);
            return None;
        }
        Some(selector)
    }
}
