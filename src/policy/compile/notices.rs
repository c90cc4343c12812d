//! `registers.erasure.webhook`: who is told of erasures, and T340.
//!
//! A notice names a person, so it may say no more than its recipient is shown anyway, and must say it in
//! the form by which the recipient finds what it holds.

use std::collections::BTreeMap;

use super::Compiler;
use crate::action::pseudonym::Scope;
use crate::action::{Action, Period};
use crate::policy::model::{ErasureNotice, Policy};
use crate::policy::syntax::{Findings, Node};
use crate::policy::{Mode, Plan};
use crate::terms::{CategoryId, RecipientId, Role};

/// Longest URL; a longer one is a slip of the pen.
const URL_BYTES: usize = 2048;

impl Compiler<'_> {
    pub(super) fn erasure_notices(&mut self, node: &Node) -> BTreeMap<RecipientId, ErasureNotice> {
        let mut notices = BTreeMap::new();
        if !node.is_map() {
            let message = "a webhook that does not say which recipient it is";
            let help =
                "write `webhook: {<recipient>: {url: \"https://…\", show: {<category>: token}}}`";
            self.findings.error_with("T102", &node.place, message, Some(help.to_owned()));
            return notices;
        }
        for (key, node) in node.entries(self.findings, "recipients with where they are told") {
            let recipient = self.recipient_at(&key.text, &key.place);
            let mut fields = node.fields(self.findings, "a notice of erasures");
            let plaintext =
                fields.take("dangerous_plaintext").is_some_and(|node| node.flag(self.findings));
            let url = fields.require(self.findings, "url");
            let url = url.and_then(|node| self.webhook_url(node, plaintext));
            let shown = fields.require(self.findings, "show").and_then(|node| self.shown_as(node));
            fields.finish(self.findings);
            let (Some(recipient), Some(url), Some((category, action))) = (recipient, url, shown)
            else {
                continue;
            };
            let place = key.place.clone();
            let notice = ErasureNotice { url, category, action, plaintext, place };
            notices.insert(recipient, notice);
        }
        notices
    }

    fn webhook_url(&mut self, node: &Node, plaintext: bool) -> Option<String> {
        let text = node.text(self.findings, "a URL")?;
        if text.starts_with("http://") && !plaintext {
            let message = "the name of a person would cross a network in plaintext";
            let help = "use https, or write `dangerous_plaintext: true` beside it";
            self.findings.error_with("T102", &node.place, message, Some(help.to_owned()));
            return None;
        }
        if is_webhook_url(text) {
            return Some(text.to_owned());
        }
        // The text is not repeated: it may hold a password.
        let message = "not a URL that can be called";
        let help = "write https://host/path, without user, password and `#`";
        self.findings.error_with("T102", &node.place, message, Some(help.to_owned()));
        None
    }

    /// One category and the form in which its values are given.
    fn shown_as(&mut self, node: &Node) -> Option<(CategoryId, Action)> {
        let [(key, value)] = node.entries(self.findings, "one category with its action") else {
            if node.is_map() {
                let message = "a notice names a person by one category";
                self.findings.error("T102", &node.place, message);
            }
            return None;
        };
        let category = self.category_at(&key.text, &key.place);
        let action = self.action(value)?;
        if !matches!(action, Action::Keep | Action::Token | Action::Pseudonym(Period::Unlimited)) {
            let message = format!("nobody finds a person again by `{action}`");
            let help = "`keep`, `token` or `pseudonym`: the form in which the recipient has it";
            self.findings.error_with("T340", &value.place, message, Some(help.to_owned()));
            return None;
        }
        Some((category?, action))
    }
}

/// An absolute http URL of printable ASCII with a host, and without credentials and fragment.
fn is_webhook_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let named = host.split(':').next().is_some_and(|name| !name.is_empty());
    let plain =
        text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte));
    named && plain && !host.contains('@') && text.len() <= URL_BYTES
}

/// T340: a notice that tells more than the recipient is shown, or nothing that it could look for.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    for (id, notice) in &policy.registers.erasure_notices {
        let Some(recipient) = policy.recipients.get(id) else { continue };
        match recipient.role {
            Role::Internal | Role::Processor | Role::Joint | Role::ThirdParty | Role::Successor => {
            }
            Role::Own | Role::User | Role::Authority | Role::Public => {
                let role = recipient.role.as_str();
                let message = format!("`{id}` is {role}: nobody is told of an erasure there");
                let help =
                    "notices go to internal recipients, processors and those with a contract";
                findings.error_with("T340", &notice.place, message, Some(help.to_owned()));
                continue;
            }
        }
        let shown = forms(policy, id, &notice.category);
        if shown.iter().any(|(action, scope)| {
            *action == notice.action && (*action == Action::Keep || *scope == Scope::Recipient)
        }) {
            continue;
        }
        let message = match shown.first() {
            None => format!("`{id}` is not shown `{}` at all", notice.category),
            Some((action, scope)) if *scope != Scope::Recipient && *action == notice.action => {
                format!("`{id}` is shown `{}` as `{action}` within {scope}", notice.category)
            }
            Some((action, _)) => {
                format!(
                    "`{id}` is shown `{}` as `{action}`, not `{}`",
                    notice.category, notice.action
                )
            }
        };
        let help =
            "a notice names the person in a form that a grant shows this recipient, over time";
        findings.error_with("T340", &notice.place, message, Some(help.to_owned()));
    }
}

/// The forms in which a recipient is shown a category, on any route in force and for any of its purposes.
fn forms(policy: &Policy, id: &RecipientId, category: &CategoryId) -> Vec<(Action, Scope)> {
    let mut forms = Vec::new();
    let purposes = policy.recipients.get(id).map(|one| one.purposes.as_slice()).unwrap_or_default();
    for (index, route) in policy.routes.iter().enumerate() {
        if route.aggregate.is_some() || route.serve.is_some() || route.mode != Mode::Enforce {
            continue;
        }
        let for_route = route.purposes.as_ref();
        let asked = purposes.iter().filter(|one| for_route.is_none_or(|only| only.contains(one)));
        for purpose in asked {
            // What no plan can be made of is told elsewhere, and shows nothing.
            let plan = Plan::build(policy, index, id, std::slice::from_ref(purpose));
            let cells = plan.map(|plan| plan.cells).unwrap_or_default();
            let shown = cells.into_iter().filter(|cell| cell.category.as_ref() == Some(category));
            let shown = shown.filter(|cell| cell.action.releases());
            forms.extend(shown.map(|cell| (cell.action, cell.scope)));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::is_webhook_url;

    #[test]
    fn a_url_holds_a_host_and_no_credentials() {
        for good in ["https://a.example/erase", "https://a.example:8443/?x=1", "http://a.example"] {
            assert!(is_webhook_url(good), "{good}");
        }
        let long = format!("https://a.example/{}", "x".repeat(2048));
        for bad in [
            "ftp://a.example/",
            "https:///erase",
            "https://:8443/",
            "https://user@a.example/",
            "https://a.example/#part",
            "https://a.example/with blank",
            "https://ä.example/",
            "a.example/erase",
            &long,
        ] {
            assert!(!is_webhook_url(bad), "{bad}");
        }
    }
}
