//! Findings that depend on the day: what has run out, and what soon will.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::policy::syntax::Findings;
use crate::policy::{Diagnostic, Place, Policy};

/// How long before its end something is worth a word: time enough for a new contract.
const DAYS_BEFORE: i32 = 60;

impl Policy {
    /// Contracts and transfer mechanisms that have run out by `today`, or will within 60 days.
    /// Warnings: the rules hold, and what has run out is refused.
    #[must_use]
    pub fn due(&self, today: Date) -> Vec<Diagnostic> {
        let mut findings = Findings::default();
        for (id, recipient) in &self.recipients {
            if let Some(contract) = &recipient.contract {
                let what = format!("the contract {} with `{id}`", contract.reference);
                say(&mut findings, "T120", &recipient.place, &what, contract.until, today);
            }
        }
        for mechanism in self.transfers.iter().flat_map(|transfers| &transfers.table) {
            if let Some(until) = mechanism.until {
                let reference = mechanism.reference.as_deref().unwrap_or_default();
                let what = format!("the transfer mechanism {} {reference}", mechanism.by);
                say(&mut findings, "T310", &mechanism.place, what.trim_end(), until, today);
            }
        }
        findings.into_sorted()
    }
}

fn say(
    findings: &mut Findings,
    code: &'static str,
    place: &Place,
    what: &str,
    until: Date,
    today: Date,
) {
    let soon = today.checked_add(DAYS_BEFORE.days()).unwrap_or(Date::MAX);
    if until < today {
        let help = Some("nothing is disclosed by it any more".to_owned());
        findings.warn(code, place, format!("{what} ran out on {until}"), help);
    } else if until < soon {
        findings.warn(code, place, format!("{what} runs out on {until}"), None);
    }
}
