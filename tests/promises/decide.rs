//! Decisions: each gate of docs/RULES.md, in its order, on one policy that has a route for each.

mod alike;
mod notices;
mod parts;
mod transfers;
mod tunnels;

use std::sync::Arc;

use jiff::Timestamp;
use tamis::action::Action;
use tamis::decide::{
    Caller, Facts, Gate, Judge, KnownSubject, Named, Part, Permit, Refusal, RouteMatch, SubjectIds,
    decide,
};
use tamis::policy::Policy;
use tamis::terms::{
    AgeClass, Case, CategoryPattern, Consent, ConsentEvent, ConsentStatus, Country, DataSubject,
    DecisionId, Digest, Erasure, LegalOrder, Notice, Objection, Personal, PurposeId,
    PurposePattern, RecipientId, RefusalReason, Restriction, Statements,
};

const PERSON: usize = 0;
const PEOPLE: usize = 1;
const ORDER: usize = 2;
const RECEIPT: usize = 3;
const BILL: usize = 4;
const BASKET: usize = 5;
const GROUP: usize = 6;

const TEXT: &str = include_str!("../cases/gates.rules.yaml");

fn policy() -> Arc<Policy> {
    parsed(TEXT)
}

/// The policy with one place changed.
fn changed(from: &str, to: &str) -> Arc<Policy> {
    assert!(TEXT.contains(from), "the policy has no `{from}`");
    parsed(&TEXT.replacen(from, to, 1))
}

fn parsed(text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse("gates.rules.yaml", text).unwrap_or_else(|found| panic!("{found:?}")))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("within range")
}

fn subject(id: &str) -> DataSubject {
    Personal::new(id.into())
}

fn digest_of(policy: &Policy, purpose: &str) -> Digest {
    policy.purposes[&PurposeId::from(purpose)].text_digest
}

fn consent(
    policy: &Policy,
    purpose: &str,
    recipients: &[&str],
    events: &[(i64, ConsentStatus)],
) -> Consent {
    Consent {
        id: format!("con_{purpose}").into(),
        purpose: purpose.into(),
        purpose_text_digest: Some(digest_of(policy, purpose)),
        recipients: recipients.iter().map(|id| RecipientId::from(*id)).collect(),
        categories: vec![],
        explicit: false,
        expires_at: None,
        events: events
            .iter()
            .map(|&(second, status)| ConsentEvent { at: at(second), status })
            .collect(),
    }
}

fn given(policy: &Policy, purpose: &str, recipients: &[&str]) -> Consent {
    consent(policy, purpose, recipients, &[(-10, ConsentStatus::Given)])
}

fn notice(policy: &Policy, purpose: &str) -> Notice {
    Notice {
        purpose: purpose.into(),
        purpose_text_digest: Some(digest_of(policy, purpose)),
        shown_at: at(-20),
    }
}

/// One request; what is not said is what most cases share.
struct Request<'a> {
    recipient: &'a str,
    person: Option<&'a str>,
    bound: Option<&'a [&'a str]>,
    purposes: &'a [&'a str],
    route: usize,
    query: &'a [&'a str],
    gpc: bool,
    case: Named<Case>,
    order: Named<LegalOrder>,
    said: Statements,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            recipient: "desk",
            person: None,
            bound: None,
            purposes: &["service.support"],
            route: PERSON,
            query: &[],
            gpc: false,
            case: Named::Nothing,
            order: Named::Nothing,
            said: Statements::default(),
        }
    }
}

fn ask(policy: &Arc<Policy>, request: &Request<'_>) -> Result<Permit, Refusal> {
    let names =
        |names: &[&str]| names.iter().map(|name| PurposeId::from(*name)).collect::<Vec<_>>();
    let caller = Caller {
        recipient: request.recipient.into(),
        person: request.person.map(subject),
        purposes: request.bound.map(names),
    };
    let route = RouteMatch { index: request.route, parameters: vec![] };
    let said = Arc::new(request.said.clone());
    let known = [KnownSubject { role: 0, id: subject("u1"), statements: said }];
    let facts = Facts {
        caller: &caller,
        declared_purposes: &names(request.purposes),
        route: &route,
        query: &request.query.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        case: &request.case,
        order: &request.order,
        gpc: request.gpc,
        known: if [PERSON, BILL].contains(&request.route) { &known } else { &[] },
    };
    decide(policy, &facts, DecisionId::from("d_1"), at(0))
}

fn outcome(policy: &Arc<Policy>, request: &Request<'_>) -> Result<(), RefusalReason> {
    ask(policy, request).map(|_| ()).map_err(|refusal| refusal.reason)
}

#[test]
fn what_stands_before_the_subject_refuses_by_name() {
    use RefusalReason::{
        CaseRequired, ContractExpired, NothingGranted, PurposeNotAllowed, PurposeRequired,
        QueryNotCatalogued, QueryOnWithheldField, RecipientUnknown, TransferNotCovered,
    };
    let policy = policy();
    let base = Request::default;
    let cases: Vec<(&str, Request<'_>, Result<(), RefusalReason>)> = vec![
        ("a declared purpose", base(), Ok(())),
        ("an unknown recipient", Request { recipient: "nobody", ..base() }, Err(RecipientUnknown)),
        ("no purpose", Request { purposes: &[], ..base() }, Err(PurposeRequired)),
        (
            "a default purpose",
            Request { recipient: "self", person: Some("u1"), purposes: &[], ..base() },
            Ok(()),
        ),
        (
            "a purpose of others",
            Request { purposes: &["share.partner"], ..base() },
            Err(PurposeNotAllowed),
        ),
        (
            "a purpose of nobody",
            Request { purposes: &["world.domination"], ..base() },
            Err(PurposeNotAllowed),
        ),
        (
            "a purpose that the token is not bound to",
            Request { bound: Some(&["research"]), ..base() },
            Err(PurposeNotAllowed),
        ),
        (
            "a token that names its purpose",
            Request { bound: Some(&["research"]), purposes: &[], ..base() },
            Ok(()),
        ),
        ("an expired contract", Request { recipient: "lapsed", ..base() }, Err(ContractExpired)),
        ("a case purpose", Request { purposes: &["cases"], ..base() }, Err(CaseRequired)),
        (
            "a country that nothing may go to",
            Request { recipient: "overseas", ..base() },
            Err(TransferNotCovered),
        ),
        ("a country with a mechanism", Request { recipient: "american", ..base() }, Ok(())),
        ("a declared open parameter", Request { query: &["lang"], ..base() }, Ok(())),
        ("a parameter on a field in clear", Request { query: &["name"], ..base() }, Ok(())),
        (
            "a parameter on a masked field",
            Request { query: &["email"], ..base() },
            Err(QueryOnWithheldField),
        ),
        (
            "an undeclared parameter",
            Request { query: &["lang", "debug"], ..base() },
            Err(QueryNotCatalogued),
        ),
        (
            "a route of which nothing is granted",
            Request { recipient: "partner", purposes: &["share.partner"], route: ORDER, ..base() },
            Err(NothingGranted),
        ),
    ];
    for (name, request, expected) in cases {
        assert_eq!(outcome(&policy, &request), expected, "{name}");
    }
}

#[test]
fn each_gate_refuses_what_the_person_has_not_permitted() {
    use RefusalReason::{
        ConsentMissing, ConsentStale, Erased, Minor, NotAParty, NoticeMissing, Objected, Restricted,
    };
    let policy = policy();
    let base = Request::default;
    let said = Statements::default;
    let erased = |except: &[&str]| Statements {
        erasure: Some(Erasure {
            effective_at: at(-1),
            except: except.iter().map(|pattern| PurposePattern::new(pattern)).collect(),
        }),
        ..said()
    };
    let restricted = |categories: &[&str], until: Option<i64>| Statements {
        restrictions: vec![Restriction {
            categories: categories.iter().map(|pattern| CategoryPattern::new(pattern)).collect(),
            since: at(-1),
            until: until.map(at),
            disputed: false,
        }],
        ..said()
    };
    let objects = |pattern: &str| Statements {
        objections: vec![Objection { purpose: PurposePattern::new(pattern), since: at(-1) }],
        ..said()
    };
    let consents = |consents: Vec<Consent>| Statements { consents, ..said() };
    let partner = |said: Statements| Request {
        recipient: "partner",
        purposes: &["share.partner"],
        said,
        ..base()
    };
    let mail = |said: Statements| Request { purposes: &["marketing.email"], said, ..base() };
    let mut stale = given(&policy, "marketing.email", &[]);
    stale.purpose_text_digest = Some(Digest::of(b"an earlier text"));
    let mut over = given(&policy, "marketing.email", &[]);
    over.expires_at = Some(at(-1));

    let cases: Vec<(&str, Request<'_>, Result<(), RefusalReason>)> = vec![
        ("erased", Request { said: erased(&[]), ..base() }, Err(Erased)),
        (
            "erased, and the purpose survives it",
            Request { purposes: &["claims"], said: erased(&[]), ..base() },
            Ok(()),
        ),
        ("erased, except for support", Request { said: erased(&["service.*"]), ..base() }, Ok(())),
        ("restricted", Request { said: restricted(&["*"], None), ..base() }, Err(Restricted)),
        ("restricted no longer", Request { said: restricted(&["*"], Some(-1)), ..base() }, Ok(())),
        (
            "restricted in one category",
            Request { said: restricted(&["contact.*"], None), ..base() },
            Ok(()),
        ),
        (
            "restricted, and the purpose survives it",
            Request { purposes: &["claims"], said: restricted(&["*"], None), ..base() },
            Ok(()),
        ),
        ("objected to what rests on a contract", Request { said: objects("*"), ..base() }, Ok(())),
        (
            "objected to research",
            Request { purposes: &["research"], said: objects("research"), ..base() },
            Err(Objected),
        ),
        ("objected to the subtree", mail(objects("marketing.*")), Err(Objected)),
        (
            "the browser objects",
            Request { gpc: true, ..mail(consents(vec![given(&policy, "marketing.email", &[])])) },
            Err(Objected),
        ),
        (
            "a minor, as far as anybody knows",
            Request { purposes: &["adults.club"], ..base() },
            Err(Minor),
        ),
        (
            "an adult",
            Request {
                purposes: &["adults.club"],
                said: Statements { age: AgeClass::Adult, ..said() },
                ..base()
            },
            Ok(()),
        ),
        ("no consent", mail(said()), Err(ConsentMissing)),
        ("consent", mail(consents(vec![given(&policy, "marketing.email", &[])])), Ok(())),
        (
            "consent to the parent does not flow down",
            mail(consents(vec![given(&policy, "marketing", &[])])),
            Err(ConsentMissing),
        ),
        ("consent to an earlier text", mail(consents(vec![stale])), Err(ConsentStale)),
        ("consent that ran out", mail(consents(vec![over])), Err(ConsentMissing)),
        (
            "withdrawn",
            mail(consents(vec![consent(
                &policy,
                "marketing.email",
                &[],
                &[(-10, ConsentStatus::Given), (-5, ConsentStatus::Withdrawn)],
            )])),
            Err(ConsentMissing),
        ),
        (
            "withdrawal of the parent flows down",
            mail(consents(vec![
                given(&policy, "marketing.email", &[]),
                consent(
                    &policy,
                    "marketing",
                    &[],
                    &[(-20, ConsentStatus::Given), (-5, ConsentStatus::Withdrawn)],
                ),
            ])),
            Err(ConsentMissing),
        ),
        (
            "given afresh after the parent was withdrawn",
            mail(consents(vec![
                given(&policy, "marketing.email", &[]),
                consent(&policy, "marketing", &[], &[(-20, ConsentStatus::Withdrawn)]),
            ])),
            Ok(()),
        ),
        (
            "a third party without a notice",
            partner(consents(vec![given(&policy, "share.partner", &["partner"])])),
            Err(NoticeMissing),
        ),
        (
            "a third party that the consent does not name",
            partner(Statements {
                notices: vec![notice(&policy, "share.partner")],
                ..consents(vec![given(&policy, "share.partner", &["another"])])
            }),
            Err(ConsentMissing),
        ),
        (
            "a third party that the consent names",
            partner(Statements {
                notices: vec![notice(&policy, "share.partner")],
                ..consents(vec![given(&policy, "share.partner", &["partner"])])
            }),
            Ok(()),
        ),
        (
            "another person's data",
            Request { recipient: "self", person: Some("u2"), purposes: &[], ..base() },
            Err(NotAParty),
        ),
        ("nobody's token", Request { recipient: "self", purposes: &[], ..base() }, Err(NotAParty)),
    ];
    for (name, request, expected) in cases {
        assert_eq!(outcome(&policy, &request), expected, "{name}");
    }
}

/// The action in force for a category of the first route, after the gates.
fn action_of(permit: &Permit, category: &str) -> Action {
    let plan = permit.plan();
    let at = plan
        .cells
        .iter()
        .position(|cell| cell.category.as_ref().is_some_and(|id| id.as_str() == category))
        .expect("the category is on the route");
    let adjusted =
        permit.adjustments().iter().find(|adjustment| usize::from(adjustment.cell.0) == at);
    adjusted.map_or_else(|| plan.cells[at].action.clone(), |adjustment| adjustment.action.clone())
}

#[test]
fn gates_of_single_fields_withhold_the_field_and_leave_the_rest() {
    let policy = policy();
    let mut explicit = given(&policy, "service.support", &[]);
    explicit.explicit = true;
    let restricted = Statements {
        restrictions: vec![Restriction {
            categories: vec![CategoryPattern::new("contact.*")],
            since: at(-1),
            until: None,
            disputed: false,
        }],
        ..Statements::default()
    };
    let mut narrow = given(&policy, "marketing.email", &[]);
    narrow.categories = vec!["contact.email".into()];
    let cases: Vec<(&str, Request<'_>, &str, Action)> = vec![
        ("sensitive without explicit consent", Request::default(), "health.note", Action::Remove),
        (
            "sensitive with explicit consent",
            Request {
                said: Statements { consents: vec![explicit], ..Statements::default() },
                ..Request::default()
            },
            "health.note",
            Action::Keep,
        ),
        ("the rest of it", Request::default(), "identity.name", Action::Keep),
        (
            "a restricted category",
            Request { said: restricted.clone(), ..Request::default() },
            "contact.email",
            Action::Remove,
        ),
        (
            "beside a restricted category",
            Request { said: restricted, ..Request::default() },
            "identity.name",
            Action::Keep,
        ),
        (
            "a category that the consent does not list",
            Request {
                purposes: &["marketing.email"],
                said: Statements { consents: vec![narrow], ..Statements::default() },
                ..Request::default()
            },
            "identity.name",
            Action::Remove,
        ),
        (
            "a supplementary measure of the transfer",
            Request { recipient: "american", ..Request::default() },
            "contact.email",
            "pseudonym".parse().expect("an action"),
        ),
        (
            "no measure where there is no transfer",
            Request {
                recipient: "american",
                said: Statements { region: Some(Country::from("US")), ..Statements::default() },
                ..Request::default()
            },
            "identity.name",
            Action::Remove,
        ),
    ];
    for (name, request, category, expected) in cases {
        match ask(&policy, &request) {
            Ok(permit) => assert_eq!(action_of(&permit, category), expected, "{name}"),
            // No mechanism leads from that region: nothing is shown at all.
            Err(refusal) => assert_eq!(
                (refusal.reason, expected),
                (RefusalReason::TransferOfSubject, Action::Remove),
                "{name}"
            ),
        }
    }
}

#[test]
fn several_purposes_release_only_what_each_of_them_releases() {
    let policy = policy();
    let both = Request {
        purposes: &["service.support", "marketing.email"],
        said: Statements {
            consents: vec![
                given(&policy, "marketing.email", &[]),
                given(&policy, "service.support", &[]),
            ],
            ..Statements::default()
        },
        ..Request::default()
    };
    let permit = ask(&policy, &both).expect("both are allowed");
    assert_eq!(action_of(&permit, "identity.name"), Action::FirstWord);
    assert_eq!(permit.case(), None, "a case that no purpose asks for is not kept");
    assert_eq!(action_of(&permit, "account.id"), Action::Remove);
}

/// Asks a judge about one part, with nobody having said anything but what `said` gives.
fn judge(
    judge: &mut Judge,
    part: Part,
    located: &[(usize, SubjectIds)],
    said: &Statements,
) -> Gate {
    let said = Arc::new(said.clone());
    judge
        .gate(part, located.to_vec(), |_| Ok::<_, RefusalReason>(Arc::clone(&said)), at(0))
        .expect("the registers answer")
}

#[test]
fn a_list_is_judged_element_by_element() {
    let policy = policy();
    let request = Request { purposes: &["marketing.email"], route: PEOPLE, ..Request::default() };
    let permit = Arc::new(ask(&policy, &request).expect("subjects are known only inside the body"));
    let mut court = Judge::new(permit);
    let yes = Statements {
        consents: vec![given(&policy, "marketing.email", &[])],
        ..Statements::default()
    };
    let no = Statements::default();
    let one = |id: &str| vec![(0, SubjectIds::One(subject(id)))];
    assert_eq!(judge(&mut court, Part::Element, &one("u1"), &yes), Gate::Release(vec![]));
    assert_eq!(
        judge(&mut court, Part::Element, &one("u2"), &no),
        Gate::Drop(RefusalReason::ConsentMissing)
    );
    assert_eq!(
        judge(&mut court, Part::Element, &[(0, SubjectIds::Unresolved)], &yes),
        Gate::Drop(RefusalReason::ConsentMissing),
        "an element that says contradictory things about whose it is"
    );
    assert_eq!(
        judge(&mut court, Part::Element, &[], &yes),
        Gate::Drop(RefusalReason::ConsentMissing),
        "an element that does not say whose it is"
    );
}

#[test]
fn registers_that_fail_release_nothing() {
    let policy = policy();
    let request = Request { purposes: &["marketing.email"], route: PEOPLE, ..Request::default() };
    let mut court = Judge::new(Arc::new(ask(&policy, &request).expect("permitted")));
    let located = vec![(0, SubjectIds::One(subject("u1")))];
    let answer = court.gate(Part::Element, located, |_| Err("down"), at(0));
    assert_eq!(answer, Err("down"));
}

#[test]
fn an_order_shows_each_party_their_own_lines() {
    let policy = policy();
    let document = vec![
        (0, SubjectIds::One(subject("buyer"))),
        (1, SubjectIds::Many(vec![subject("seller-1"), subject("seller-2")])),
    ];
    let line = |seller: &str| vec![(1, SubjectIds::One(subject(seller)))];
    let said = Statements::default();
    let cases = [("buyer", true, true), ("seller-1", true, false), ("stranger", false, false)];
    for (person, sees_order, sees_second_line) in cases {
        let request = Request {
            recipient: "user",
            person: Some(person),
            purposes: &[],
            route: ORDER,
            ..Request::default()
        };
        let mut court =
            Judge::new(Arc::new(ask(&policy, &request).expect("decided inside the body")));
        let whole = judge(&mut court, Part::Document, &document, &said);
        assert_eq!(matches!(whole, Gate::Release(_)), sees_order, "{person}");
        if sees_order {
            let first = judge(&mut court, Part::Element, &line("seller-1"), &said);
            assert!(matches!(first, Gate::Release(_)), "{person}");
            let second = judge(&mut court, Part::Element, &line("seller-2"), &said);
            assert_eq!(matches!(second, Gate::Release(_)), sees_second_line, "{person}");
        }
    }
}
