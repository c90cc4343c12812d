//! `policy:` and the small sections that stand beside it: `tls`, `terms_header`, `ledger`,
//! `policy_link`, `roles_as_processor`, `html_headers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Compiler, no_text};
use crate::policy::Place;
use crate::policy::model::{
    About, Conceal, LedgerRules, PageHeaders, PolicyLink, Recipient, Route, Serve, TlsRules,
};
use crate::policy::syntax::{Findings, Node};
use crate::terms::{RecipientId, Role};

/// The policy's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: Arc<str>,
    pub(super) title: String,
    pub(super) revision: String,
    pub(super) conceal_as: Conceal,
    /// What people are told beside the rules.
    pub(super) about: About,
    /// Whether a law is named by which the rules are to be judged.
    pub(super) profiles: bool,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            id: no_text(),
            title: String::new(),
            revision: String::new(),
            conceal_as: Conceal::NotFound,
            about: About::default(),
            profiles: false,
        }
    }
}

/// `tls:`.
#[derive(Debug, Default)]
pub(super) struct Tls {
    pub(super) hsts: Option<jiff::Span>,
    pub(super) rules: TlsRules,
}

/// The words for roles, as rules use them.
pub(super) const ROLES: [(&str, Role); 9] = [
    ("self", Role::Own),
    ("user", Role::User),
    ("internal", Role::Internal),
    ("processor", Role::Processor),
    ("joint", Role::Joint),
    ("third-party", Role::ThirdParty),
    ("authority", Role::Authority),
    ("successor", Role::Successor),
    ("public", Role::Public),
];

impl Compiler<'_> {
    pub(super) fn head(&mut self, node: &Node) -> Head {
        let mut fields = node.fields(self.findings, "`policy`");
        let mut head = Head::default();
        if let Some(node) = fields.require(self.findings, "id")
            && let Some(text) = node.text(self.findings, "the policy's id")
        {
            self.declared_name(text, &node.place);
            head.id = text.into();
        }
        if let Some(node) = fields.require(self.findings, "title") {
            head.title = node.text(self.findings, "a title").unwrap_or_default().into();
        }
        if let Some(node) = fields.require(self.findings, "source") {
            let mut source = node.fields(self.findings, "`policy.source`");
            for key in ["file", "promises"] {
                if let Some(node) = source.take(key) {
                    node.text(self.findings, "a file name");
                }
            }
            if let Some(node) = source.require(self.findings, "revision") {
                head.revision = node.text(self.findings, "a revision").unwrap_or_default().into();
            }
            source.finish(self.findings);
        }
        if let Some(node) = fields.require(self.findings, "controller") {
            let mut controller = node.fields(self.findings, "`policy.controller`");
            if let Some(node) = controller.require(self.findings, "name") {
                let name = node.text(self.findings, "the controller's name");
                name.unwrap_or_default().clone_into(&mut head.about.controller);
            }
            if let Some(node) = controller.require(self.findings, "seat") {
                self.country(node);
            }
            if let Some(node) = controller.take("contact") {
                head.about.contact = node.text(self.findings, "a contact").map(str::to_owned);
            }
            controller.finish(self.findings);
        }
        head.about.data_sources = self.sentence(fields.take("data_sources"));
        head.about.automated_decisions = self.sentence(fields.take("automated_decisions"));
        if let Some(node) = fields.take("profiles") {
            for item in node.list(self.findings, "a list of profiles") {
                let known = [("gdpr", ()), ("hk-pdpo", ()), ("pdpa-my", ())];
                head.profiles |= item.word(self.findings, "a profile", &known).is_some();
            }
        }
        if let Some(node) = fields.require(self.findings, "default") {
            // Anything else would make the rules a list of what is forbidden.
            node.word(self.findings, "an accepted default", &[("remove", ())]);
        }
        if let Some(node) = fields.take("conceal_as") {
            let words = [("404", Conceal::NotFound), ("403", Conceal::Forbidden)];
            let word = node.word(self.findings, "a status to conceal by", &words);
            head.conceal_as = word.unwrap_or(head.conceal_as);
        }
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        head
    }

    fn sentence(&mut self, node: Option<&Node>) -> Option<String> {
        node?.text(self.findings, "a sentence for people").map(str::to_owned)
    }

    pub(super) fn tls(&mut self, node: &Node) -> Tls {
        let mut fields = node.fields(self.findings, "`tls`");
        let mut tls = Tls::default();
        if let Some(node) = fields.take("min") {
            let at_least = node.word(self.findings, "a TLS version", &[("1.2", 2), ("1.3", 3)]);
            tls.rules.only_1_3 = at_least == Some(3);
        }
        tls.hsts = fields.take("hsts").and_then(|node| self.period(node));
        if let Some(node) = fields.take("plaintext") {
            let words = [("redirect-get-only", ())];
            node.word(self.findings, "what the plaintext listener may do", &words);
        }
        if let Some(node) = fields.take("upstream") {
            let word = node.word(self.findings, "a rule for backends", &[("required", ())]);
            tls.rules.upstream_required = word.is_some();
        }
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        tls
    }

    pub(super) fn terms_header(&mut self, node: &Node) -> Vec<Role> {
        let mut fields = node.fields(self.findings, "`terms_header`");
        let roles = fields.require(self.findings, "to_roles").map(|node| self.roles(node));
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        roles.unwrap_or_default()
    }

    pub(super) fn roles(&mut self, node: &Node) -> Vec<Role> {
        let items = node.list(self.findings, "a list of roles");
        items.iter().filter_map(|item| item.word(self.findings, "a role", &ROLES)).collect()
    }

    /// What the ledger must do, and how often a checkpoint of it is to be signed.
    pub(super) fn ledger(&mut self, node: &Node) -> (LedgerRules, Option<jiff::Span>) {
        let mut fields = node.fields(self.findings, "`ledger`");
        let mut rules = LedgerRules::default();
        if let Some(node) = fields.take("subject_index") {
            let forms = [("encrypted", ())];
            let form = node.word(self.findings, "a form of the index", &forms);
            rules.subject_index = form.is_some();
        }
        if let Some(node) = fields.take("keep") {
            rules.keep = self.period(node);
        }
        let checkpoint = fields.take("checkpoint").and_then(|node| self.period(node));
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        (rules, checkpoint)
    }

    /// A link to the policy that some recipients must be sent, to where the gateway serves it.
    pub(super) fn policy_link(
        &mut self,
        node: &Node,
        recipients: &BTreeMap<RecipientId, Recipient>,
        routes: &[Route],
    ) -> Option<PolicyLink> {
        let mut fields = node.fields(self.findings, "`policy_link`");
        let mut to = Vec::new();
        if let Some(node) = fields.require(self.findings, "to_categories") {
            for item in node.list(self.findings, "a list of categories of recipients") {
                let Some(category) = item.text(self.findings, "a category of recipients") else {
                    continue;
                };
                let before = to.len();
                let bound = recipients
                    .iter()
                    .filter(|(_, recipient)| recipient.category.as_deref() == Some(category));
                to.extend(bound.map(|(id, _)| id.clone()));
                if to.len() == before {
                    let message = format!("no recipient is of the category `{category}`");
                    self.findings.error("T101", &item.place, message);
                }
            }
        }
        self.keeps(fields.take("keeps"));
        let served = routes.iter().find(|route| route.serve == Some(Serve::PolicyDocument));
        if served.is_none() {
            let message = "there is nothing to link to";
            let help = "add a route such as `{match: GET /.well-known/privacy-policy, serve: \
                        policy-document}`";
            self.findings.error_with("T101", fields.place(), message, Some(help.to_owned()));
        }
        fields.finish(self.findings);
        let path = served?.id.as_str().split_once(' ')?.1.to_owned();
        Some(PolicyLink { path, to })
    }

    /// The controllers that the company only works for, each with its contact.
    pub(super) fn roles_as_processor(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut fields = node.fields(self.findings, "`roles_as_processor`");
        let mut contacts = BTreeMap::new();
        if let Some(node) = fields.require(self.findings, "controllers") {
            for (key, node) in node.entries(self.findings, "controllers with the contact of each") {
                let contact = node.text(self.findings, "how to reach a controller");
                contacts.extend(contact.map(|contact| (key.text.clone(), contact.to_owned())));
            }
        }
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        contacts
    }

    /// What every answer tells a browser. Embeds are read and never allowed, consent or not: no page
    /// comes through here that could show one.
    pub(super) fn html_headers(&mut self, node: &Node) -> PageHeaders {
        let mut fields = node.fields(self.findings, "`html_headers`");
        let referrer_policy = fields.take("referrer_policy");
        let permissions_policy = fields.take("permissions_policy");
        let headers = PageHeaders {
            referrer_policy: referrer_policy.and_then(|node| self.header_value(node)),
            permissions_policy: permissions_policy.and_then(|node| self.header_value(node)),
        };
        if let Some(node) = fields.take("csp_embeds") {
            for (_, value) in node.entries(self.findings, "embeds with what each needs") {
                value.text(self.findings, "what an embed needs");
            }
        }
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        headers
    }

    fn header_value(&mut self, node: &Node) -> Option<String> {
        let text = node.text(self.findings, "a header's value")?;
        let is_plain = text.len() <= 1024 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_plain {
            self.findings.error("T102", &node.place, "this can be no header's value");
        }
        is_plain.then(|| text.to_owned())
    }

    /// A period such as `60s`, `5m`, `24h`, `30d`, `13mo`, `7y`.
    pub(super) fn period(&mut self, node: &Node) -> Option<jiff::Span> {
        let text = node.text(self.findings, "a period such as `5m` or `7y`")?;
        self.period_of(text, &node.place)
    }

    pub(super) fn period_of(&mut self, text: &str, place: &Place) -> Option<jiff::Span> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count: Option<i32> = count.parse().ok().filter(|count| (1..=10_000).contains(count));
        let span = count.and_then(|count| {
            let span = jiff::Span::new();
            match unit {
                "s" => span.try_seconds(count).ok(),
                "m" => span.try_minutes(count).ok(),
                "h" => span.try_hours(count).ok(),
                "d" => span.try_days(count).ok(),
                "mo" => span.try_months(count).ok(),
                "y" => span.try_years(count).ok(),
                _ => None,
            }
        });
        if span.is_none() {
            let help = Some("a number and one of `s`, `m`, `h`, `d`, `mo`, `y`".to_owned());
            let message = format!("`{text}` is not a period");
            self.findings.error_with("T102", place, message, help);
        }
        span
    }
}

/// The periods that the rules name, in their own words; what is wrong with them is found elsewhere.
pub(super) fn periods(node: &Node) -> Vec<(String, String)> {
    let text = |node: &Node, key| node.member(key).and_then(Node::scalar).map(str::to_owned);
    let items = node.list(&mut Findings::default(), "a list of periods").iter();
    items.filter_map(|item| Some((text(item, "category")?, text(item, "after")?))).collect()
}
