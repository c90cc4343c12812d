//! `access_log:`.

use super::Compiler;
use crate::action::Action;
use crate::policy::model::AccessLogRules;
use crate::policy::syntax::{Fields, Node};

/// Fields that a line may have, and whether this version writes them. The time, the route's
/// template and the rest say nothing about a person; what is made from a device or a visitor needs
/// a key of its own that this version does not keep.
const FIELDS: [(&str, bool); 18] = [
    ("time", true),
    ("method", true),
    ("route", true),
    ("status", true),
    ("error_code", true),
    ("bytes", true),
    ("duration_ms", true),
    ("recipient", true),
    ("purpose", true),
    ("ip_prefix", true),
    ("agent", true),
    ("referrer_origin", true),
    ("decision", true),
    ("visitor", false),
    ("device", false),
    ("device_model", false),
    ("os", false),
    ("battery", false),
];

impl Compiler<'_> {
    pub(super) fn access_log(&mut self, node: &Node) -> AccessLogRules {
        let mut fields = node.fields(self.findings, "`access_log`");
        let mut rules = AccessLogRules::default();
        if let Some(node) = fields.take("fields") {
            rules.fields = self.log_fields(node);
        }
        for key in ["visitor", "device"] {
            if let Some(node) = fields.take(key) {
                self.log_pseudonym(node);
            }
        }
        if let Some(node) = fields.take("battery") {
            self.action(node);
        }
        if let Some(node) = fields.take("ip") {
            match self.action(node) {
                Some(Action::IpPrefix { v4, v6 }) => rules.ip_prefix = (v4, v6),
                Some(_) => {
                    let help = Some("write `prefix /24 /48`".to_owned());
                    let message = "an address is cut to its network in the log, nothing else";
                    self.findings.error_with("T102", &node.place, message, help);
                }
                None => {}
            }
        }
        if let Some(node) = fields.take("agent") {
            node.word(self.findings, "a treatment of the agent", &[("family", ())]);
        }
        if let Some(node) = fields.take("referrer") {
            node.word(self.findings, "a treatment of the referrer", &[("origin", ())]);
        }
        if let Some(node) = fields.take("query") {
            node.word(self.findings, "a treatment of the query", &[("drop", ())]);
        }
        if let Some(node) = fields.take("cold_after") {
            for (key, node) in node.entries(self.findings, "periods with what is done then") {
                for (_, node) in node.entries(self.findings, "log fields with an action each") {
                    node.text(self.findings, "an action");
                }
                let what = format!("access_log.cold_after {}", key.text);
                let effect = "lines are not rewritten; the log is to be deleted by then";
                self.refuse(&key.place, what, effect);
            }
        }
        if let Some(node) = fields.take("delete_after") {
            if let Some(period) = self.period(node) {
                self.kept_for_long(node, period, &rules);
            }
            let effect = "the gateway deletes no log; rotate and delete it by that period";
            self.refuse(&node.place, "access_log.delete_after", effect);
        }
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        rules
    }

    /// Networks of addresses are still about people where few share one.
    fn kept_for_long(&mut self, node: &Node, period: jiff::Span, rules: &AccessLogRules) {
        let day = jiff::civil::date(2026, 1, 1);
        let ends = day.checked_add(period).unwrap_or(jiff::civil::Date::MAX);
        let month = day.checked_add(jiff::Span::new().days(30)).unwrap_or(day);
        if ends > month && rules.fields.iter().any(|field| field == "ip_prefix") {
            let message = "an access log with addresses is kept for more than 30 days";
            let help = Some("shorten it, or take `ip_prefix` out of `fields`".to_owned());
            self.findings.warn("T330", &node.place, message, help);
        }
    }

    fn log_fields(&mut self, node: &Node) -> Vec<String> {
        let mut written = Vec::new();
        for item in node.list(self.findings, "a list of log fields") {
            let Some(is_written) = item.word(self.findings, "a log field", &FIELDS) else {
                continue;
            };
            let name = item.scalar().unwrap_or_default();
            if is_written {
                written.push(name.to_owned());
            } else {
                let what = format!("log field {name}");
                self.refuse(&item.place, what, format!("{name} is not written"));
            }
        }
        written
    }

    fn log_pseudonym(&mut self, node: &Node) {
        let mut fields: Fields<'_> = node.fields(self.findings, "a pseudonym in the log");
        if let Some(node) = fields.require(self.findings, "from") {
            for item in node.list(self.findings, "a list of what it is made from") {
                item.text(self.findings, "a property of the request");
            }
        }
        if let Some(node) = fields.require(self.findings, "pseudonym") {
            // A longer period would make the log a profile.
            node.word(self.findings, "a period of a log's pseudonym", &[("daily", ())]);
        }
        if let Some(node) = fields.require(self.findings, "key") {
            node.word(self.findings, "a key of the log alone", &[("access-log", ())]);
        }
        fields.finish(self.findings);
    }
}
