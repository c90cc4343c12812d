//! `recipients:`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::Compiler;
use super::head::ROLES;
use crate::policy::Selector;
use crate::policy::model::{Authenticator, Contract, Recipient, RowCondition};
use crate::policy::syntax::{Key, Node};
use crate::terms::{Personal, RecipientId, Role};

/// Largest budget of people an hour: some 50 MB of memory.
const MOST_SUBJECTS: u32 = 1_000_000;

impl Compiler<'_> {
    pub(super) fn recipients(&mut self, node: &Node) -> BTreeMap<RecipientId, Recipient> {
        let mut recipients = BTreeMap::new();
        for (key, node) in node.entries(self.findings, "recipients with their properties") {
            self.declared_name(&key.text, &key.place);
            recipients.insert(key.text.as_str().into(), self.one_recipient(key, node));
        }
        recipients
    }

    fn one_recipient(&mut self, key: &Key, node: &Node) -> Recipient {
        let mut fields = node.fields(self.findings, "a recipient");
        let role = fields
            .require(self.findings, "role")
            .and_then(|node| node.word(self.findings, "a role", &ROLES));
        let category = fields
            .take("category")
            .and_then(|node| node.text(self.findings, "a category of recipients"))
            .map(str::to_owned);
        let country = fields.take("country").and_then(|node| self.country(node));
        let authenticate = fields
            .require(self.findings, "authenticate")
            .map(|node| self.authenticators(node))
            .unwrap_or_default();
        let contract = fields.take("contract").and_then(|node| self.contract(node));
        if contract.is_none()
            && !fields.has("contract")
            && let Some(role) = role.filter(|role| role.needs_contract())
        {
            let message = format!("{} `{}` has no contract", role.as_str(), key.text);
            let help = Some("write `contract: {ref: …, until: \"2027-12-31\"}`".to_owned());
            self.findings.error_with("T302", &key.place, message, help);
        }
        let purposes =
            fields.require(self.findings, "purposes").map(|node| self.purpose_list(node));
        let purposes = purposes.unwrap_or_default();
        let default_purpose = fields.take("default_purpose").and_then(|node| {
            let purpose = self.purpose(node)?;
            if !purposes.contains(&purpose) {
                let message = format!("`{}` may not use `{purpose}`", key.text);
                self.findings.error("T120", &node.place, message);
            }
            Some(purpose)
        });
        let phase = fields.take("phase").and_then(|node| node.text(self.findings, "a phase"));
        let only_where = fields.take("only_where").map(|node| self.only_where(node));
        let party = fields.take("party").and_then(|node| {
            let id = node.text(self.findings, "the id of a party")?;
            if role.is_some_and(Role::is_person) {
                let message = "which party a person is, their token says";
                self.findings.error("T102", &node.place, message);
            }
            Some(Personal::new(id.into()))
        });
        let subjects_per_hour =
            fields.take("subjects_per_hour").and_then(|node| self.subjects_per_hour(node));
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        Recipient {
            role: role.unwrap_or(Role::Public),
            category,
            country,
            authenticate,
            contract,
            purposes,
            default_purpose,
            phase: phase.map(str::to_owned),
            only_where: only_where.unwrap_or_default(),
            party,
            subjects_per_hour,
            place: key.place.clone(),
        }
    }

    /// A number that the gateway can count to: it keeps something of each of these people.
    fn subjects_per_hour(&mut self, node: &Node) -> Option<NonZeroU32> {
        let number: NonZeroU32 = node.number(self.findings, "a number of people, 1 or more")?;
        if number.get() > MOST_SUBJECTS {
            let message = format!("more than {MOST_SUBJECTS} people an hour are not counted");
            self.findings.error("T102", &node.place, message);
        }
        Some(number)
    }

    fn contract(&mut self, node: &Node) -> Option<Contract> {
        let mut fields = node.fields(self.findings, "`contract`");
        let reference = fields
            .require(self.findings, "ref")
            .and_then(|node| node.text(self.findings, "the contract's reference"));
        let until =
            fields.require(self.findings, "until").and_then(|node| node.date(self.findings));
        fields.finish(self.findings);
        Some(Contract { reference: reference?.to_owned(), until: until? })
    }

    /// Only rows with a certain value, each at one place of the row.
    fn only_where(&mut self, node: &Node) -> Vec<RowCondition> {
        let row = Selector { segments: Vec::new(), text: "@".to_owned() };
        let mut conditions = Vec::new();
        for (key, node) in node.entries(self.findings, "selectors with the value of each") {
            let value = node.text(self.findings, "a value");
            let selector = self.selector_at(key, Some(&row));
            let Some(selector) = selector else { continue };
            if !key.text.starts_with('@') || !selector.is_singular() {
                let message = format!("`{}` is no single member of an element", key.text);
                let help = Some("write `@.` and names, such as `@.dealer_id`".to_owned());
                self.findings.error_with("T103", &key.place, message, help);
                continue;
            }
            conditions
                .extend(value.map(|value| RowCondition { selector, value: value.to_owned() }));
        }
        if conditions.is_empty() && !self.findings.has_error() {
            let message = "`only_where` without a condition says nothing";
            self.findings.error("T102", &node.place, message);
        }
        conditions
    }

    /// A mapping of kinds; any one of them recognises the recipient.
    fn authenticators(&mut self, node: &Node) -> Vec<Authenticator> {
        let mut fields = node.fields(self.findings, "`authenticate`");
        let mut authenticators = Vec::new();
        if let Some(node) = fields.take("mtls") {
            for item in node.one_or_many(self.findings, "a name in a client certificate") {
                authenticators.extend(self.mtls(item));
            }
        }
        if let Some(node) = fields.take("jwt") {
            authenticators.extend(self.jwt(node));
        }
        if let Some(node) = fields.take("api_key") {
            let text = node.text(self.findings, "a reference to a key").unwrap_or_default();
            match text.strip_prefix("sha256:ref:").filter(|reference| !reference.is_empty()) {
                Some(reference) => {
                    authenticators.push(Authenticator::ApiKey { reference: reference.to_owned() });
                }
                None if text.is_empty() => {}
                None => {
                    // The text is not repeated: it may be the key itself.
                    let help = Some(
                        "write `sha256:ref:<name>`; the gateway's configuration holds \
                                     the key's SHA-256 under that name"
                            .to_owned(),
                    );
                    let message = "an API key is named by reference, never written here";
                    self.findings.error_with("T102", &node.place, message, help);
                }
            }
        }
        if authenticators.is_empty()
            && !["mtls", "jwt", "api_key"].into_iter().any(|kind| fields.has(kind))
        {
            let message = "nothing recognises this recipient";
            let help = Some("write `mtls`, `jwt` or `api_key`".to_owned());
            self.findings.error_with("T102", fields.place(), message, help);
        }
        fields.finish(self.findings);
        authenticators
    }

    fn mtls(&mut self, node: &Node) -> Option<Authenticator> {
        let text = node.text(self.findings, "a name in a client certificate")?;
        if let Some(name) = text.strip_prefix("dns:").filter(|name| !name.is_empty()) {
            return Some(Authenticator::MtlsDns(name.to_ascii_lowercase()));
        }
        if text.starts_with("spiffe://") {
            return Some(Authenticator::MtlsUri(text.to_owned()));
        }
        if let Some(uri) = text.strip_prefix("uri:").filter(|uri| !uri.is_empty()) {
            return Some(Authenticator::MtlsUri(uri.to_owned()));
        }
        let help = Some("write `dns:<name>`, `spiffe://…` or `uri:<URI>`".to_owned());
        let message = format!("`{text}` is not a name in a client certificate");
        self.findings.error_with("T102", &node.place, message, help);
        None
    }

    fn jwt(&mut self, node: &Node) -> Option<Authenticator> {
        let mut fields = node.fields(self.findings, "`jwt`");
        let issuer = fields
            .require(self.findings, "issuer")
            .and_then(|node| node.text(self.findings, "an issuer"));
        let client = fields.take("client").and_then(|node| node.text(self.findings, "a client id"));
        let subject_is = fields.take("subject_is").and_then(|node| self.category(node));
        fields.finish(self.findings);
        Some(Authenticator::Jwt {
            issuer: issuer?.to_owned(),
            client: client.map(str::to_owned),
            subject_is,
        })
    }
}
