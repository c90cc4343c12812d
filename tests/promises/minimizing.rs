//! A body under a permit: a withdrawal takes effect on the next element, at every split.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tamis::decide::{Caller, Facts, Named, Permit, RouteMatch, decide};
use tamis::gateway::minimizing::{Minimizing, MinimizingError};
use tamis::keys::KeyRing;
use tamis::minimize::JsonLimits;
use tamis::minimize::link::Origins;
use tamis::policy::Policy;
use tamis::registers::{Registers, RegistersUnavailable};
use tamis::terms::{Consent, ConsentEvent, ConsentStatus, DataSubject, PurposeId, Statements};

const PURPOSE: &str = "marketing.email";
const PEOPLE: usize = 1;
const BODY: &str = r#"{"people":[{"id":"u1","name":"Testina M","email":"a@example.invalid"},{"id":"u2","name":"Imagina N","email":"b@example.invalid"},{"id":"u3","email":"c@example.invalid"}],"total":3}"#;

/// Everybody has consented, until `withdrawn` of them have been asked about.
struct WithdrawnAfter {
    asked: Mutex<usize>,
    consents: usize,
    given: Consent,
}

impl Registers for WithdrawnAfter {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        let mut asked = self.asked.lock().expect("not poisoned");
        *asked += 1;
        let mut consent = self.given.clone();
        if *asked > self.consents {
            let at = consent.events[0].at;
            consent.events.push(ConsentEvent { at, status: ConsentStatus::Withdrawn });
        }
        Ok(Arc::new(Statements { consents: vec![consent], ..Statements::default() }))
    }
}

/// Registers that do not answer.
struct Silent;

impl Registers for Silent {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Err(RegistersUnavailable("down".into()))
    }
}

fn policy() -> Arc<Policy> {
    let text = include_str!("../cases/gates.rules.yaml");
    Arc::new(Policy::parse("gates.rules.yaml", text).expect("it loads"))
}

fn permit(policy: &Arc<Policy>) -> Arc<Permit> {
    let caller = Caller { recipient: "desk".into(), person: None, purposes: None };
    let facts = Facts {
        caller: &caller,
        declared_purposes: &[PurposeId::from(PURPOSE)],
        route: &RouteMatch { index: PEOPLE, parameters: vec![] },
        query: &[],
        case: &Named::Nothing,
        order: &Named::Nothing,
        gpc: false,
        known: &[],
    };
    Arc::new(
        decide(policy, &facts, "d_1".into(), Timestamp::now()).expect("subjects are in the body"),
    )
}

fn withdrawn_after(policy: &Policy, consents: usize) -> Arc<dyn Registers> {
    let given = Consent {
        id: "con_1".into(),
        purpose: PURPOSE.into(),
        purpose_text_digest: Some(policy.purposes[&PurposeId::from(PURPOSE)].text_digest),
        recipients: vec![],
        categories: vec![],
        explicit: false,
        expires_at: None,
        events: vec![ConsentEvent { at: Timestamp::UNIX_EPOCH, status: ConsentStatus::Given }],
    };
    Arc::new(WithdrawnAfter { asked: Mutex::new(0), consents, given })
}

fn minimize(
    policy: &Arc<Policy>,
    registers: Arc<dyn Registers>,
    pieces: [&str; 2],
) -> (Result<(), MinimizingError>, String) {
    let keys = Arc::new(KeyRing::ephemeral().expect("random bytes"));
    let keys = (keys, Arc::new(Origins::made_up(policy)));
    let now = Timestamp::now();
    let limits = JsonLimits::default();
    let mut out = Vec::new();
    let outcome = Minimizing::json(&permit(policy), vec![], registers, keys, limits, now).and_then(
        |mut body| {
            for piece in pieces {
                body.feed(piece.as_bytes(), &mut out, now)?;
            }
            body.finish(&mut out, now)
        },
    );
    (outcome, String::from_utf8(out).expect("only whole characters leave"))
}

#[test]
fn a_withdrawal_takes_effect_on_the_next_element_at_every_split() {
    let policy = policy();
    let cases = [
        (0, r#"{"people":[],"total":0}"#),
        (1, r#"{"people":[{"name":"Testina","email":"a@example.invalid"}],"total":1}"#),
        (
            2,
            r#"{"people":[{"name":"Testina","email":"a@example.invalid"},{"name":"Imagina","email":"b@example.invalid"}],"total":2}"#,
        ),
    ];
    for (consents, expected) in cases {
        for split in 0..=BODY.len() {
            let pieces = BODY.split_at(split);
            let (outcome, out) =
                minimize(&policy, withdrawn_after(&policy, consents), [pieces.0, pieces.1]);
            assert!(outcome.is_ok(), "{consents} consents, split at {split}");
            assert_eq!(out, expected, "{consents} consents, split at {split}");
        }
    }
}

#[test]
fn silent_registers_end_the_body_before_anyone_is_in_it() {
    let (outcome, out) = minimize(&policy(), Arc::new(Silent), [BODY, ""]);
    assert!(matches!(outcome, Err(MinimizingError::Registers(_))));
    assert!(!out.contains("example.invalid"), "{out}");
}
