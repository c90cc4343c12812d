//! Where answers and rules have drifted apart, as findings about the rules (T601): members that no rule
//! lists, and purposes that nobody uses.
//!
//! The ledger counts both, so that a finding rests on what happened and outlasts a restart. It knows no
//! member's name, since a name may be a person's id, and nor does a finding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{Span, Timestamp};

use crate::ledger::{Entry, LedgerUnavailable, Window, scan};
use crate::policy::{Diagnostic, Place, Policy, Severity};

/// What was counted of one route.
#[derive(Default)]
struct Unlisted {
    members: u64,
    answers: u64,
    of: u64,
}

/// What the last `days` days of a ledger say about these rules. Members are counted under these very
/// rules; a purpose counts as used under any, and is said to be unused only by a ledger that goes back
/// so far.
///
/// # Errors
/// The ledger cannot be read.
pub fn drift(
    policy: &Policy,
    ledger: &Path,
    days: u16,
    now: Timestamp,
) -> Result<Vec<Diagnostic>, LedgerUnavailable> {
    let period = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
    let from = now.checked_sub(Span::new().hours(24 * i64::from(days))).ok();
    let (mut routes, mut used) = (BTreeMap::<String, Unlisted>::new(), BTreeSet::new());
    let (mut first, digest) = (None::<String>, policy.digest.to_string());
    scan(ledger, u64::MAX, &Window::default(), now, &mut |entry| {
        let Entry::Disclosure(one) = entry else { return };
        first = first.take().filter(|first| *first <= one.at).or_else(|| Some(one.at.clone()));
        if from.is_some_and(|from| one.at.parse::<Timestamp>().is_ok_and(|at| at < from)) {
            return;
        }
        for purpose in &one.purposes {
            used.insert((one.recipient.clone(), purpose.clone()));
        }
        if one.policy.digest == digest {
            let counted = routes.entry(one.route).or_default();
            let members = one.outcome.as_ref().map_or(0, |ended| ended.unlisted);
            counted.members += members;
            counted.answers += u64::from(members > 0);
            counted.of += 1;
        }
    })?;
    let mut findings = Vec::new();
    for route in &policy.routes {
        let Some(counted) = routes.get(route.id.as_str()).filter(|one| one.members > 0) else {
            continue;
        };
        let Unlisted { members, answers, of } = counted;
        let message = format!(
            "{members} members of answers are listed by no rule, in {answers} of {of} answers within \
             {period}"
        );
        let help = "they were withheld; compare what the backend describes with `fields` and `open` \
                    (`tamis import openapi`). Names are not kept: one may be a person's id";
        findings.push(note(&route.place, message, help));
    }
    let is_old_enough = |first: &String| {
        let first = first.parse::<Timestamp>().ok();
        first.zip(from).is_some_and(|(first, from)| first <= from)
    };
    if first.as_ref().is_some_and(is_old_enough) {
        for (id, recipient) in &policy.recipients {
            for purpose in &recipient.purposes {
                if !used.contains(&(id.to_string(), purpose.to_string())) {
                    let message = format!("`{id}` got nothing for `{purpose}` within {period}");
                    let help = "take the purpose away from it if it is not needed any more";
                    findings.push(note(&recipient.place, message, help));
                }
            }
        }
    }
    Ok(findings)
}

fn note(place: &Place, message: String, help: &str) -> Diagnostic {
    let help = Some(help.to_owned());
    Diagnostic { code: "T601", severity: Severity::Note, message, place: place.clone(), help }
}
