//! What else rules by chance promise: periods, company, regions, places that a filter chooses.

use std::fmt::Write as _;

use super::chance::Chance;
use super::world::{CATEGORIES, PURPOSES};

/// Periods, so that dates of documents lie before, on and behind their ends.
const PERIODS: [&str; 3] = ["30d", "1y", "30d"];

/// Filters in fields. What they look at is doubled now and then.
const FILTERS: [&str; 7] = [
    "@.kind=='work'",
    "@.n==2",
    "@.kind=='work' && @.n==2",
    "@.kind=='work' || @.n",
    "!(@.kind=='work')",
    "!@.n",
    "@.kind",
];

/// The same filter without a category would be no place of its own.
const WITHIN: [&str; 2] = ["number", "holder"];

impl Chance {
    /// Periods after which categories no longer leave.
    pub(super) fn retention(&mut self) -> Vec<String> {
        if !self.one_in(4) {
            return Vec::new();
        }
        (0..=self.below(2)).map(|_| self.period()).collect()
    }

    fn period(&mut self) -> String {
        let mut parts = format!("category: {}, after: {}", self.pattern(), self.choose(&PERIODS));
        if !self.one_in(4) {
            parts += ", start: \"@.at\"";
        }
        if !self.one_in(3) {
            let _ = write!(parts, ", then: {}", self.choose(&["remove", "drop", "pseudonymise"]));
        }
        if self.one_in(4) {
            let _ = write!(parts, ", except_for: [{}]", self.choose(&PURPOSES));
        }
        format!("{{{parts}}}")
    }

    /// Where a route's dates stand, if it says so.
    pub(super) fn since(&mut self, dates: &[&str]) -> String {
        if self.one_in(3) {
            return String::new();
        }
        let date = self.choose(dates);
        let also = match self.below(3) {
            0 => format!(", contact.*: \"{}\"", self.choose(dates)),
            _ => String::new(),
        };
        format!("since: {{\"*\": \"{date}\"{also}}}, ")
    }

    /// The member that dates a part is catalogued, as open, or not at all.
    pub(super) fn dated<'a>(&mut self, at: &'a str) -> Option<&'a str> {
        (!self.one_in(4)).then_some(at)
    }

    /// What may not leave together, and what not alone.
    pub(super) fn company(&mut self) -> Vec<String> {
        let mut limits = Vec::new();
        if self.one_in(4) {
            let what = self.choose(&[
                ["account.id", "contact.*"],
                ["contact.email", "identity.name"],
                ["payment.amount", "trait.born"],
                ["health.note", "contact.*"],
            ]);
            let third = if self.one_in(3) { ", payment.*" } else { "" };
            let third = if what.contains(&"payment.amount") { "" } else { third };
            let then = match self.below(4) {
                0 => String::new(),
                1 => ", then: drop".to_owned(),
                _ => format!(", then: remove {}", self.choose(&what)),
            };
            let except = if self.one_in(4) { ", except_to: [desk]" } else { "" };
            limits.push(format!("{{together_never: [{}{third}]{then}{except}}}", what.join(", ")));
        }
        if self.one_in(4) {
            let what = self.choose(&["account.id", "contact.*", "payment.amount", "trait.*"]);
            let then = self.choose(&["", ", then: remove", ", then: drop"]);
            let except = if self.one_in(4) { ", except_to: [desk]" } else { "" };
            limits.push(format!("{{alone_never: {what}{then}{except}}}"));
        }
        limits
    }

    /// Fields behind a filter, with categories by chance.
    pub(super) fn filtered(&mut self, list: &str) -> String {
        let mut fields = String::new();
        let mut names = Vec::new();
        for _ in 0..self.below(3) {
            let (filter, within) = (self.choose(&FILTERS), self.choose(&WITHIN));
            if names.contains(&(filter, within)) {
                continue;
            }
            names.push((filter, within));
            let _ =
                write!(fields, ", \"{list}[?{filter}].{within}\": {}", self.choose(&CATEGORIES));
        }
        if !fields.is_empty() && self.one_in(4) {
            let _ = write!(fields, ", \"{list}[*].number\": {}", self.choose(&CATEGORIES));
        }
        fields
    }

    /// Where the answer says in which country somebody is.
    pub(super) fn region(&mut self, roles: &str) -> String {
        if self.one_in(3) { String::new() } else { format!("region: {{{roles}}}, ") }
    }

    /// Cookies by class, each with a purpose that rests on consent.
    pub(super) fn cookies(&mut self, purposes: &[String]) -> Vec<String> {
        let rest_on_consent: Vec<&str> = purposes
            .iter()
            .filter(|line| line.contains("basis: consent") || line.contains("basis: explicit"))
            .filter_map(|line| line.split(':').next())
            .collect();
        let mut cookies = vec!["session: {class: essential}".to_owned()];
        for (name, class) in [("pref", "preference"), ("ana", "analytics"), ("ads", "advertising")]
        {
            if !rest_on_consent.is_empty() {
                let purpose = self.choose(&rest_on_consent);
                cookies.push(format!("{name}: {{class: {class}, consent: {purpose}}}"));
            }
        }
        cookies
    }
}
