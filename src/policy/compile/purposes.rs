//! `purposes:`.

use std::collections::BTreeMap;

use super::Compiler;
use crate::policy::model::Purpose;
use crate::policy::syntax::{Key, Node};
use crate::terms::{Digest, LegalBasis, Objectable, PurposeId};

const BASES: [(&str, LegalBasis); 7] = [
    ("consent", LegalBasis::Consent),
    ("explicit-consent", LegalBasis::ExplicitConsent),
    ("contract", LegalBasis::Contract),
    ("legal-obligation", LegalBasis::LegalObligation),
    ("vital", LegalBasis::Vital),
    ("public-task", LegalBasis::PublicTask),
    ("legitimate-interests", LegalBasis::LegitimateInterests),
];

const OBJECTABLE: [(&str, Objectable); 3] = [
    ("always", Objectable::Always),
    ("on-grounds", Objectable::OnGrounds),
    ("never", Objectable::Never),
];

#[derive(Clone, Copy)]
enum Survives {
    Restriction,
    Erasure,
}

impl Compiler<'_> {
    pub(super) fn purposes(&mut self, node: &Node) -> BTreeMap<PurposeId, Purpose> {
        let entries = node.entries(self.findings, "purposes with their properties");
        // Bases first: a purpose without one has its parent's, wherever that stands in the file.
        let mut bases = BTreeMap::new();
        for (key, properties) in entries {
            if let Some(node) = properties.member("basis")
                && let Some(basis) = node.word(self.findings, "a legal basis", &BASES)
            {
                bases.insert(key.text.as_str(), basis);
            }
        }
        let mut purposes = BTreeMap::new();
        for (key, node) in entries {
            self.declared_name(&key.text, &key.place);
            let relied_on = inherited(&bases, &key.text);
            self.whose_consent(key, &bases, relied_on);
            purposes.insert(key.text.as_str().into(), self.one_purpose(key, node, relied_on));
        }
        purposes
    }

    /// A consent is to one purpose. A purpose that takes over the consent of the purpose above it looks
    /// as if one yes covered both.
    fn whose_consent(
        &mut self,
        key: &Key,
        bases: &BTreeMap<&str, LegalBasis>,
        relied_on: Option<LegalBasis>,
    ) {
        let inherits = !bases.contains_key(key.text.as_str());
        if inherits && relied_on.is_some_and(LegalBasis::rests_on_consent) {
            let message = format!("`{}` takes over the consent to the purpose above it", key.text);
            let help = "each purpose is asked for by itself; write its own `basis` (Recital 32)";
            self.findings.warn("T320", &key.place, message, Some(help.to_owned()));
        }
    }

    fn one_purpose(&mut self, key: &Key, node: &Node, basis: Option<LegalBasis>) -> Purpose {
        let mut fields = node.fields(self.findings, "a purpose");
        let text = fields
            .require(self.findings, "text")
            .and_then(|node| node.text(self.findings, "the text that people are shown"))
            .unwrap_or_default();
        let written = fields.take("basis").is_some();
        if basis.is_none() && !written {
            let help =
                Some("write `basis: …`; a purpose beneath one that has a basis takes it over");
            let message = format!("purpose `{}` has no legal basis", key.text);
            self.findings.error_with("T301", &key.place, message, help.map(str::to_owned));
        }
        if let Some(node) = fields.take("how") {
            let ways = [("asked", true), ("implied", false), ("bundled", false)];
            if node.word(self.findings, "a way in which consent is given", &ways) == Some(false) {
                let message = "consent that is implied or bundled is no consent";
                let help = "ask for each purpose by itself (GDPR Art. 4(11), 7); or name a basis that \
                            holds without consent";
                self.findings.warn("T320", &node.place, message, Some(help.to_owned()));
            }
        }
        let balancing = fields.take("balancing");
        if let Some(node) = balancing {
            node.text(self.findings, "a reference to the balancing test");
        } else if basis == Some(LegalBasis::LegitimateInterests) {
            let message = format!("purpose `{}` names no balancing test", key.text);
            let help = Some("write `balancing: <reference>` (GDPR Art. 6(1)(f))".to_owned());
            self.findings.warn("T301", &key.place, message, help);
        }
        let consent_names_recipient = fields.take("consent_scope").is_some_and(|node| {
            let scopes = [("purpose", false), ("purpose+recipient", true)];
            // A misspelt scope counts as the narrower one until it is mended.
            node.word(self.findings, "a scope of consent", &scopes).unwrap_or(true)
        });
        let objectable = fields
            .take("objectable")
            .and_then(|node| {
                node.word(self.findings, "an answer to whether objection stops it", &OBJECTABLE)
            })
            .unwrap_or_else(|| usually_objectable(basis));
        let mut survives_restriction = false;
        let mut survives_erasure = false;
        if let Some(node) = fields.take("survives") {
            for item in node.list(self.findings, "a list of what it survives") {
                let words =
                    [("restriction", Survives::Restriction), ("erasure", Survives::Erasure)];
                match item.word(self.findings, "something a purpose survives", &words) {
                    Some(Survives::Restriction) => survives_restriction = true,
                    Some(Survives::Erasure) => survives_erasure = true,
                    None => {}
                }
            }
        }
        let min_age = fields.take("min_age").and_then(|node| self.least_age(node));
        let needs_case = fields.take("needs_case").is_some_and(|node| node.flag(self.findings));
        let internal_only =
            fields.take("internal_only").is_some_and(|node| node.flag(self.findings));
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        Purpose {
            text: text.to_owned(),
            text_digest: Digest::of(text.as_bytes()),
            // Without one the rules are rejected; this only keeps other findings from following.
            basis: basis.unwrap_or(LegalBasis::Contract),
            consent_names_recipient,
            objectable,
            survives_restriction,
            survives_erasure,
            min_age,
            needs_case,
            internal_only,
            place: key.place.clone(),
        }
    }

    /// The registers know of people that they are of age, or minors, and nothing in between.
    fn least_age(&mut self, node: &Node) -> Option<u8> {
        let age = node.number(self.findings, "an age")?;
        if age > 18 {
            let message = format!("nobody is known to be {age} years old, only to be of age");
            self.findings.error_with("T102", &node.place, message, Some("write 18".to_owned()));
        }
        Some(age)
    }
}

/// The basis of `purpose` itself or of the nearest purpose above it.
fn inherited(bases: &BTreeMap<&str, LegalBasis>, purpose: &str) -> Option<LegalBasis> {
    let mut name = purpose;
    loop {
        if let Some(basis) = bases.get(name) {
            return Some(*basis);
        }
        name = name.rsplit_once('.')?.0;
    }
}

/// What the law gives where the rules say nothing. Source: GDPR Art. 21(1): the right to object
/// exists where processing rests on Art. 6(1)(e) or (f).
fn usually_objectable(basis: Option<LegalBasis>) -> Objectable {
    match basis {
        Some(LegalBasis::PublicTask | LegalBasis::LegitimateInterests) => Objectable::OnGrounds,
        Some(
            LegalBasis::Consent
            | LegalBasis::ExplicitConsent
            | LegalBasis::Contract
            | LegalBasis::LegalObligation
            | LegalBasis::Vital,
        )
        | None => Objectable::Never,
    }
}
