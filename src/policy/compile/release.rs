//! `release:`: the grants, and the action words that they, limits and measures share.

use super::Compiler;
use crate::action::Action;
use crate::policy::Place;
use crate::policy::model::{Grant, Need, Show, ShowCell};
use crate::policy::syntax::{Fields, Node};

const NEEDS: [(&str, Need); 4] = [
    ("consent", Need::Consent),
    ("explicit-consent", Need::ExplicitConsent),
    ("notice", Need::Notice),
    ("one-time-grant", Need::OneTimeGrant),
];

impl Compiler<'_> {
    pub(super) fn release(&mut self, node: &Node) -> Vec<Grant> {
        let items = node.list(self.findings, "a list of grants");
        items.iter().filter_map(|item| self.one_grant(item)).collect()
    }

    fn one_grant(&mut self, node: &Node) -> Option<Grant> {
        let mut fields = node.fields(self.findings, "a grant");
        let to = fields.require(self.findings, "to").map(|node| self.recipient_list(node));
        let to = to.unwrap_or_default();
        let purposes = fields.require(self.findings, "for").map(|node| self.purpose_list(node));
        let purposes = purposes.unwrap_or_default();
        let mut place = fields.place().clone();
        let show = self.show(&mut fields, &mut place);
        let needs = fields.take("needs").map(|node| self.needs(node)).unwrap_or_default();
        let only_own = fields.take("only_subject").is_some_and(|node| {
            // Whatever was meant, it narrows.
            node.word(self.findings, "a subject", &[("self", true)]).unwrap_or(true)
        });
        let single_subject =
            fields.take("single_subject").is_some_and(|node| node.flag(self.findings));
        let aggregate_only =
            fields.take("aggregate_only").is_some_and(|node| node.flag(self.findings));
        let phase = fields.take("while").and_then(|node| {
            let mut fields = node.fields(self.findings, "`while`");
            let phase = fields
                .require(self.findings, "phase")
                .and_then(|node| node.text(self.findings, "a phase"));
            fields.finish(self.findings);
            phase
        });
        let resolves = fields.take("resolves_tokens_of").map(|node| self.recipient_list(node));
        let scope = fields.take("pseudonym_scope").map(|node| self.pseudonym_scope(node));
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        Some(Grant {
            to,
            purposes,
            show: show?,
            needs,
            only_own,
            single_subject,
            aggregate_only,
            phase: phase.map(str::to_owned),
            resolves_tokens_of: resolves.unwrap_or_default(),
            scope: scope.unwrap_or_default(),
            place,
        })
    }

    fn show(&mut self, fields: &mut Fields<'_>, place: &mut Place) -> Option<Show> {
        let (key, node) = fields.take_entry("show").or_else(|| {
            let message = "a grant has no `show`";
            self.findings.error("T102", fields.place(), message);
            None
        })?;
        place.clone_from(key);
        let among = fields.take("among").map(|node| self.category_list(node));
        match node.scalar() {
            None => {
                if among.is_some() {
                    self.findings.error("T102", key, "`among` belongs to `show: by-consent`");
                }
                Some(Show::Cells(self.show_cells(node)))
            }
            Some("by-order") => {
                if among.is_some() {
                    self.findings.error("T102", key, "`among` belongs to `show: by-consent`");
                }
                Some(Show::ByOrder)
            }
            Some("by-consent") => {
                if among.is_none() {
                    let message = "`by-consent` does not say what a consent may list";
                    let help = Some("write `among: [<category>, …]`".to_owned());
                    self.findings.error_with("T102", key, message, help);
                }
                Some(Show::ByConsent(among.unwrap_or_default()))
            }
            Some(text) => {
                let help = Some("a mapping of categories, `by-order` or `by-consent`".to_owned());
                let message = format!("`{text}` is nothing that can be shown");
                self.findings.error_with("T102", &node.place, message, help);
                None
            }
        }
    }

    /// Category pattern → action.
    pub(super) fn show_cells(&mut self, node: &Node) -> Vec<ShowCell> {
        let mut cells = Vec::new();
        for (key, node) in node.entries(self.findings, "categories with an action each") {
            let pattern = self.category_pattern_at(&key.text, &key.place);
            let Some(action) = self.action(node) else { continue };
            let Some(pattern) = pattern else { continue };
            cells.push(ShowCell { pattern, action, place: key.place.clone() });
        }
        cells
    }

    pub(super) fn action(&mut self, node: &Node) -> Option<Action> {
        let text = node.text(self.findings, "an action such as `keep` or `mask last 4`")?;
        match text.parse::<Action>() {
            Ok(action) => Some(action),
            Err(unknown) => {
                let help = unknown.suggestion.map(|form| format!("did you mean `{form}`?"));
                let message = format!("unknown action `{text}`");
                self.findings.error_with("T107", &node.place, message, help);
                None
            }
        }
    }

    pub(super) fn needs(&mut self, node: &Node) -> Vec<Need> {
        let items = node.list(self.findings, "a list of needs");
        items.iter().filter_map(|item| item.word(self.findings, "a need", &NEEDS)).collect()
    }
}
