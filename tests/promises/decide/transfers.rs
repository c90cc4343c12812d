//! Transfers that rest on a person's consent to the transfer itself (GDPR Art. 49(1)(a)).

use std::sync::Arc;

use tamis::decide::{Gate, Judge, Part, SubjectIds};
use tamis::policy::Policy;
use tamis::terms::{Consent, ConsentStatus, Country, RefusalReason, Statements};

use super::{PEOPLE, Request, TEXT, ask, at, consent, given, judge, outcome, parsed, subject};

const RISKS: &str =
    "  transfer.overseas: {text: Brazil has no decision on adequacy, basis: explicit-consent}\n";
const LAST_ROW: &str = "  otherwise: refuse";

/// Europeans' data reach Brazil by their consent alone; those of people in the US by clauses.
fn policy() -> Arc<Policy> {
    let rows = "    - {from: EEA, to: BR, by: derogation-consent, consent: transfer.overseas}\n    \
                - {from: US, to: BR, by: scc, ref: SCC-2}\n";
    parsed(&with_rows(rows))
}

fn with_rows(rows: &str) -> String {
    TEXT.replacen("[EEA, \"US\"]", "[EEA, \"US\", BR]", 1)
        .replacen("\nrecipients:", &format!("{RISKS}\nrecipients:"), 1)
        .replacen(LAST_ROW, &format!("{rows}{LAST_ROW}"), 1)
}

fn agreed(policy: &Policy, to: &[&str]) -> Consent {
    Consent { explicit: true, ..given(policy, "transfer.overseas", to) }
}

fn said(consents: Vec<Consent>) -> Statements {
    Statements { region: Some(Country::from("DE")), consents, ..Statements::default() }
}

fn overseas(said: Statements) -> Request<'static> {
    Request { recipient: "overseas", said, ..Request::default() }
}

#[test]
fn a_european_goes_overseas_by_explicit_consent_that_names_the_recipient() {
    let policy = policy();
    assert_eq!(outcome(&policy, &overseas(said(vec![agreed(&policy, &["overseas"])]))), Ok(()));
    let withdrawn = consent(
        &policy,
        "transfer.overseas",
        &["overseas"],
        &[(-10, ConsentStatus::Given), (-5, ConsentStatus::Withdrawn)],
    );
    let none = [
        ("nothing said", vec![]),
        ("not explicit", vec![given(&policy, "transfer.overseas", &["overseas"])]),
        ("no recipient named", vec![agreed(&policy, &[])]),
        ("another recipient", vec![agreed(&policy, &["american"])]),
        ("withdrawn", vec![Consent { explicit: true, ..withdrawn }]),
        (
            "for some categories",
            vec![Consent {
                categories: vec!["contact.email".into()],
                ..agreed(&policy, &["overseas"])
            }],
        ),
        ("ran out", vec![Consent { expires_at: Some(at(-1)), ..agreed(&policy, &["overseas"]) }]),
    ];
    for (what, consents) in none {
        let outcome = outcome(&policy, &overseas(said(consents)));
        assert_eq!(outcome, Err(RefusalReason::TransferOfSubject), "{what}");
    }
}

#[test]
fn others_go_by_the_mechanism_of_their_own_region() {
    let policy = policy();
    let american = Statements { region: Some(Country::from("US")), ..Statements::default() };
    assert_eq!(outcome(&policy, &overseas(american)), Ok(()));
}

#[test]
fn a_list_never_leaves_by_consent_to_the_transfer() {
    let policy = policy();
    let request = Request { route: PEOPLE, ..overseas(Statements::default()) };
    let permit = ask(&policy, &request).expect("the people are known only inside the body");
    let mut court = Judge::new(Arc::new(permit));
    let someone = [(0, SubjectIds::One(subject("u1")))];
    let agreed = said(vec![agreed(&policy, &["overseas"])]);
    let gate = judge(&mut court, Part::Element, &someone, &agreed);
    assert_eq!(gate, Gate::Drop(RefusalReason::TransferOfSubject));
}

#[test]
fn rules_that_would_send_lists_or_everybody_by_consent_are_rejected() {
    let wrong = [
        ("    - {from: EEA, to: BR, by: derogation-consent}\n", "no purpose that people agree to"),
        (
            "    - {from: EEA, to: BR, by: derogation-consent, consent: service.support}\n",
            "does not rest on explicit consent",
        ),
        (
            "    - {from: EEA, to: BR, by: scc, consent: transfer.overseas}\n",
            "belongs to `by: derogation-consent`",
        ),
        (
            "    - {from: EEA, to: BR, by: derogation-consent, consent: transfer.overseas}\n",
            "is for one at a time",
        ),
    ];
    for (row, words) in wrong {
        let rejected = Policy::parse("gates.rules.yaml", &with_rows(row)).expect_err(words);
        let rejected = rejected.to_string();
        assert!(rejected.contains("T310") && rejected.contains(words), "{words}: {rejected}");
    }
}
