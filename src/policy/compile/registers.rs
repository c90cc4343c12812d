//! `registers:` and `cookies:`.

use std::collections::BTreeMap;

use super::Compiler;
use crate::policy::model::{Cookie, RegisterRules};
use crate::policy::syntax::{Fields, Node};
use crate::terms::IdShape;

/// What the rules say of the registers.
#[derive(Debug, Default)]
pub(super) struct Registers {
    pub(super) rules: RegisterRules,
    /// Declared, whether or not its source can be read.
    pub(super) consent_declared: bool,
    pub(super) orders_declared: bool,
}

impl Compiler<'_> {
    pub(super) fn registers(&mut self, node: &Node) -> Registers {
        let mut fields = node.fields(self.findings, "`registers`");
        let mut registers = Registers::default();
        let rules = &mut registers.rules;
        if let Some(node) = fields.take("consent") {
            registers.consent_declared = true;
            let mut consent = node.fields(self.findings, "`registers.consent`");
            self.consent_source(&mut consent, rules);
            rules.max_staleness = consent.take("max_staleness").and_then(|node| self.period(node));
            if let Some(node) = consent.take("withdrawal_effect") {
                // A withdrawal takes effect on the next element released: sooner than any period.
                self.period(node);
            }
            if let Some(node) = consent.take("bound_to") {
                let words = [("purpose.text_digest", ())];
                node.word(self.findings, "something a consent is bound to", &words);
            }
            self.keeps(consent.take("keeps"));
            consent.finish(self.findings);
        }
        if let Some(node) = fields.take("notice") {
            let mut notice = node.fields(self.findings, "`registers.notice`");
            self.only_api(&mut notice);
            rules.notice = true;
            self.keeps(notice.take("keeps"));
            notice.finish(self.findings);
        }
        if let Some(node) = fields.take("objection") {
            let mut objection = node.fields(self.findings, "`registers.objection`");
            self.only_api(&mut objection);
            if let Some(node) = objection.take("gpc") {
                let mut gpc = node.fields(self.findings, "`gpc`");
                if let Some(node) = gpc.require(self.findings, "objects_to") {
                    rules.gpc_objects_to = self.purpose_patterns(node);
                }
                gpc.finish(self.findings);
            }
            self.keeps(objection.take("keeps"));
            objection.finish(self.findings);
        }
        if let Some(node) = fields.take("restriction") {
            let mut restriction = node.fields(self.findings, "`registers.restriction`");
            self.only_api(&mut restriction);
            self.keeps(restriction.take("keeps"));
            restriction.finish(self.findings);
        }
        if let Some(node) = fields.take("erasure") {
            let mut erasure = node.fields(self.findings, "`registers.erasure`");
            self.only_api(&mut erasure);
            if let Some(node) = erasure.take("webhook") {
                rules.erasure_notices = self.erasure_notices(node);
            }
            self.keeps(erasure.take("keeps"));
            erasure.finish(self.findings);
        }
        if let Some(node) = fields.take("orders") {
            registers.orders_declared = true;
            let mut orders = node.fields(self.findings, "`registers.orders`");
            self.only_api(&mut orders);
            if let Some(node) = orders.take("approvers")
                && let Some(approvers) = node.number::<u8>(self.findings, "a number of approvers")
            {
                if approvers < 2 {
                    let message = "an order needs two different approvers";
                    self.findings.error("T302", &node.place, message);
                }
                rules.order_approvers = usize::from(approvers.max(2));
            }
            self.keeps(orders.take("keeps"));
            orders.finish(self.findings);
        }
        if let Some(node) = fields.take("ids") {
            let shape = node.word(self.findings, "a spelling of people's ids", &IdShape::WORDS);
            rules.ids = shape.unwrap_or_default();
        }
        fields.finish(self.findings);
        registers
    }

    /// Where consents come from: the registers' own API, or a file that feeds the registers.
    fn consent_source(&mut self, fields: &mut Fields<'_>, rules: &mut RegisterRules) {
        let Some(node) = fields.require(self.findings, "from") else { return };
        if !node.is_map() {
            let known = [("api", ())];
            rules.consent = node.word(self.findings, "a source of consents", &known).is_some();
            return;
        }
        let mut source = node.fields(self.findings, "a source of consents");
        if source.has("kafka") {
            let message = "consents from `kafka`: no client of a broker is built in";
            let help = "let a consumer append them to a file, `from: {file: consents.ndjson}`, or \
                        send them to the admin API, `from: api`";
            self.findings.error_with("T102", &node.place, message, Some(help.to_owned()));
            for key in ["kafka", "snapshot"] {
                source.take(key);
            }
        } else if let Some(node) = source.require(self.findings, "file") {
            rules.consent_file = node.text(self.findings, "a path").map(str::to_owned);
            rules.consent = rules.consent_file.is_some();
        }
        source.finish(self.findings);
    }

    /// A register that is not read would permit what a person has forbidden, so any other source
    /// is an error.
    fn only_api(&mut self, fields: &mut Fields<'_>) {
        if let Some(node) = fields.require(self.findings, "from") {
            node.word(self.findings, "a source that can be read", &[("api", ())]);
        }
    }

    pub(super) fn cookies(&mut self, node: &Node) -> BTreeMap<String, Cookie> {
        let mut cookies = BTreeMap::new();
        for (key, node) in node.entries(self.findings, "cookies with their class") {
            if key.text == "other" {
                node.word(self.findings, "a treatment of other cookies", &[("strip", ())]);
                continue;
            }
            let mut fields = node.fields(self.findings, "a cookie");
            let classes = [
                ("essential", "essential"),
                ("preference", "preference"),
                ("analytics", "analytics"),
                ("advertising", "advertising"),
            ];
            let class = fields
                .require(self.findings, "class")
                .and_then(|node| node.word(self.findings, "a class of cookies", &classes));
            let named = fields.take("consent");
            let mut consent = named.and_then(|node| self.purpose(node));
            self.keeps(fields.take("keeps"));
            fields.finish(self.findings);
            let Some(class) = class else { continue };
            if named.is_none() && class != "essential" {
                // A class that needs consent needs it whether or not a name for it is given.
                let purpose = format!("cookies.{class}");
                if !self.names.purposes.contains_key(purpose.as_str()) {
                    let message = format!("a cookie of this class needs consent, to `{purpose}`");
                    let help = "declare that purpose with the text that people agree to, or name \
                                another one under `consent`";
                    self.findings.error_with("T101", &key.place, message, Some(help.to_owned()));
                }
                consent = Some(purpose.as_str().into());
            }
            let cookie = Cookie { class: class.to_owned(), consent, place: key.place.clone() };
            cookies.insert(key.text.clone(), cookie);
        }
        cookies
    }
}
