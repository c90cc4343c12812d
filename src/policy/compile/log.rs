//! `access_log:`.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::civil::date;

use super::Compiler;
use crate::action::{Action, Generalisation};
use crate::policy::model::{AccessLogRules, Coarser, Cold, LogSource};
use crate::policy::syntax::{Fields, Node};

/// Fields that a line may have.
const FIELDS: [(&str, ()); 18] = [
    ("time", ()),
    ("method", ()),
    ("route", ()),
    ("status", ()),
    ("error_code", ()),
    ("bytes", ()),
    ("duration_ms", ()),
    ("recipient", ()),
    ("purpose", ()),
    ("visitor", ()),
    ("ip_prefix", ()),
    ("agent", ()),
    ("device", ()),
    ("device_model", ()),
    ("os", ()),
    ("battery", ()),
    ("referrer_origin", ()),
    ("decision", ()),
];

/// Headers that say who somebody is: a pseudonym of them would be one of the person.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "tamis-api-key"];

impl Compiler<'_> {
    pub(super) fn access_log(&mut self, node: &Node) -> AccessLogRules {
        let mut fields = node.fields(self.findings, "`access_log`");
        let mut rules = AccessLogRules::default();
        let place = fields.place().clone();
        if let Some(node) = fields.take("fields") {
            rules.fields = self.log_fields(node);
        }
        if let Some(node) = fields.take("visitor") {
            rules.visitor = self.log_pseudonym(node);
        }
        if let Some(node) = fields.take("device") {
            rules.device = self.log_pseudonym(node);
        }
        self.said_by_devices(&mut fields, &mut rules);
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
        rules.cold = fields.take("cold_after").and_then(|node| self.cold(node));
        if let Some(node) = fields.take("delete_after")
            && let Some(period) = self.period(node)
        {
            self.kept_for_long(node, period, &rules);
            rules.delete_after = Some(at_most(period));
        }
        if let (Some(cold), Some(deleted)) = (&rules.cold, rules.delete_after)
            && cold.after >= deleted
        {
            let message = "lines are deleted before they would be made coarser";
            self.findings.error("T102", &place, message);
        }
        self.made_from_something(&place, &rules);
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        rules
    }

    fn said_by_devices(&mut self, fields: &mut Fields<'_>, rules: &mut AccessLogRules) {
        if let Some(node) = fields.take("device_model") {
            let mut model = node.fields(self.findings, "`access_log.device_model`");
            let source = self.one_source(&mut model);
            let known = model.require(self.findings, "known").map(|node| {
                // Any other text is the client's own, and may be a name.
                let items = node.list(self.findings, "a list of models");
                let texts = items.iter().filter_map(|item| item.text(self.findings, "a model"));
                texts.map(str::to_owned).collect::<BTreeSet<_>>()
            });
            model.finish(self.findings);
            rules.device_model = source.zip(known);
        }
        if let Some(node) = fields.take("os") {
            let mut os = node.fields(self.findings, "`access_log.os`");
            rules.os = self.one_source(&mut os);
            os.finish(self.findings);
        }
        if let Some(node) = fields.take("battery") {
            let mut battery = node.fields(self.findings, "`access_log.battery`");
            let source = self.one_source(&mut battery);
            let step = battery.require(self.findings, "to").and_then(|node| {
                let step = match self.action(node)? {
                    Action::Generalise(Generalisation::Bucket(step)) => u8::try_from(step).ok(),
                    _ => None,
                };
                let step = step.filter(|step| (10..=100).contains(step));
                if step.is_none() {
                    let message = "a battery is written in steps of 10 per cent at least";
                    let help = Some("write `generalise bucket 10`".to_owned());
                    self.findings.error_with("T102", &node.place, message, help);
                }
                step
            });
            battery.finish(self.findings);
            rules.battery = source.zip(step);
        }
    }

    /// A field that is written must be made from something.
    fn made_from_something(&mut self, place: &crate::policy::Place, rules: &AccessLogRules) {
        let has = [
            ("visitor", !rules.visitor.is_empty()),
            ("device", !rules.device.is_empty()),
            ("device_model", rules.device_model.is_some()),
            ("os", rules.os.is_some()),
            ("battery", rules.battery.is_some()),
        ];
        for (field, _) in has.into_iter().filter(|(_, has)| !has) {
            if rules.fields.iter().any(|written| written == field) {
                let message =
                    format!("`fields` names `{field}`, and nothing says what it is made from");
                let help = Some(format!("add `{field}: {{from: [\"header:…\"], …}}`"));
                self.findings.error_with("T101", place, message, help);
            }
        }
    }

    /// The period after which lines become coarser, and how.
    fn cold(&mut self, node: &Node) -> Option<Cold> {
        let entries = node.entries(self.findings, "a period with what is done then");
        let [(key, node)] = entries else {
            let message = "lines become coarser once: one period";
            self.findings.error("T102", &node.place, message);
            return None;
        };
        let after = self.period_of(&key.text, &key.place).map(at_most);
        let mut fields = Vec::new();
        for (key, node) in node.entries(self.findings, "log fields with what becomes of each") {
            if !FIELDS.iter().any(|(field, ())| *field == key.text) {
                let message = format!("`{}` is no log field", key.text);
                self.findings.error("T102", &key.place, message);
                continue;
            }
            let words: &[(&str, Coarser)] = match key.text.as_str() {
                "time" => {
                    &[("hour", Coarser::Hour), ("day", Coarser::Day), ("remove", Coarser::Remove)]
                }
                _ => &[("remove", Coarser::Remove)],
            };
            let how = node.word(self.findings, "what becomes of an older field", words);
            fields.extend(how.map(|how| (key.text.clone(), how)));
        }
        Some(Cold { after: after?, fields })
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
            if item.word(self.findings, "a log field", &FIELDS).is_some() {
                written.push(item.scalar().unwrap_or_default().to_owned());
            }
        }
        written
    }

    fn log_pseudonym(&mut self, node: &Node) -> Vec<LogSource> {
        let mut fields: Fields<'_> = node.fields(self.findings, "a pseudonym in the log");
        let mut sources = Vec::new();
        if let Some(node) = fields.require(self.findings, "from") {
            for item in node.list(self.findings, "a list of what it is made from") {
                sources.extend(self.log_source(item));
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
        sources
    }

    fn one_source(&mut self, fields: &mut Fields<'_>) -> Option<LogSource> {
        let node = fields.require(self.findings, "from")?;
        let [item] = node.one_or_many(self.findings, "where it is said") else {
            self.findings.error("T102", &node.place, "it is said in one place");
            return None;
        };
        match self.log_source(item)? {
            LogSource::Ip => {
                self.findings.error("T102", &item.place, "an address does not say that");
                None
            }
            source => Some(source),
        }
    }

    fn log_source(&mut self, node: &Node) -> Option<LogSource> {
        let text = node.text(self.findings, "a property of the request")?;
        match text {
            "ip" => return Some(LogSource::Ip),
            "user_agent" => return Some(LogSource::UserAgent),
            _ => {}
        }
        let name = text.strip_prefix("header:").map(str::to_ascii_lowercase);
        let is_name = |name: &String| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let Some(name) = name.filter(is_name) else {
            let help = Some("`ip`, `user_agent` or `header:<name>`".to_owned());
            let message = format!("`{text}` is no property of a request");
            self.findings.error_with("T102", &node.place, message, help);
            return None;
        };
        if CREDENTIALS.contains(&name.as_str()) {
            let message = "a credential says who somebody is: it makes no pseudonym of a visitor";
            self.findings.error("T102", &node.place, message);
            return None;
        }
        Some(LogSource::Header(name))
    }
}

/// A period as a fixed time; a month has 28 days, so that nothing is kept longer than said.
fn at_most(period: jiff::Span) -> SignedDuration {
    let start = date(2026, 2, 1).at(0, 0, 0, 0);
    start.checked_add(period).map_or(SignedDuration::ZERO, |end| end.duration_since(start))
}
