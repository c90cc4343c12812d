//! A world, played by the code that the gateway runs.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use tamis::decide::{Caller, Facts, KnownSubject, Named, RouteMatch, decide};
use tamis::gateway::minimizing::Minimizing;
use tamis::gateway::rehearsal::{Asked, Backend, Rehearsed, Stage, rehearse};
use tamis::keys::KeyRing;
use tamis::minimize::JsonLimits;
use tamis::minimize::link::Origins;
use tamis::policy::Policy;
use tamis::registers::{Registers, RegistersUnavailable};
use tamis::terms::{
    AgeClass, Case, CategoryPattern, Consent, ConsentEvent, ConsentStatus, DataSubject, DecisionId,
    Digest, Erasure, LegalOrder, Notice, Objection, OneTimeGrant, Personal, PurposePattern,
    Restriction, Statements,
};

use super::world::{
    Ask, BASKET, COOKIES, Files, GROUP, NAMED, NOTE, ORDER, PEOPLE, PERSON, Said, World,
};

/// A key that everybody knows.
pub(super) const KEY: &str = "1: 62d56a0c0305e05fc92b3716e46d6b9c66174db7f02a51582124d50fdb20156e";

/// The moment of the question.
pub(super) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("a moment")
}

fn at(second: i64) -> Timestamp {
    now() + SignedDuration::from_secs(second)
}

/// What the client of a world gets.
pub(super) fn play_by(policy: &Arc<Policy>, world: &World) -> Rehearsed {
    let stage = Stage {
        policy: Arc::clone(policy),
        registers: Arc::new(People::of(world)),
        keys: Arc::new(KeyRing::parse("a key of tests", KEY).expect("a key")),
        now: now(),
    };
    let mut headers = HeaderMap::new();
    for name in COOKIES {
        let cookie = HeaderValue::from_str(&format!("{name}=1; Path=/")).expect("plain");
        headers.append(http::header::SET_COOKIE, cookie);
    }
    let backend = Backend {
        status: http::StatusCode::OK,
        headers,
        body: world.document.clone().into_bytes(),
    };
    rehearse(&stage, &asked(&world.ask), &backend)
}

/// The body of the same answer, where the backend's arrives cut at these places.
pub(super) fn play_in_pieces(
    policy: &Arc<Policy>,
    world: &World,
    cuts: &[usize],
) -> Option<Vec<u8>> {
    let ask = &world.ask;
    let registers: Arc<dyn Registers> = Arc::new(People::of(world));
    let statements = registers.statements(&Personal::new(ask.id.into())).ok()?;
    let known = KnownSubject { role: 0, id: Personal::new(ask.id.into()), statements };
    let known = [PERSON, BASKET].contains(&ask.route).then_some(known);
    let case = Named::look_up(ask.case.then_some("C-1"), |id| registers.case(id)).ok()?;
    let order = Named::look_up(ask.order.then_some("ord-1"), |id| registers.order(id)).ok()?;
    let facts = Facts {
        caller: &asked(ask).caller,
        declared_purposes: &ask.declared.iter().map(|one| (*one).into()).collect::<Vec<_>>(),
        route: &RouteMatch { index: ask.route, parameters: Vec::new() },
        query: &ask.query.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        case: &case,
        order: &order,
        gpc: ask.gpc,
        known: known.as_slice(),
    };
    let permit = Arc::new(decide(policy, &facts, "d_chance".into(), now()).ok()?);
    let keys = Arc::new(KeyRing::parse("a key of tests", KEY).expect("a key"));
    let keys = (keys, Arc::new(Origins::made_up(policy)));
    let limits = JsonLimits::default();
    let mut body = Minimizing::json(&permit, vec![], registers, keys, limits, now()).ok()?;
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    let (mut out, mut from) = (Vec::new(), 0);
    let document = world.document.as_bytes();
    for to in cuts.into_iter().chain([document.len()]) {
        body.feed(&document[from..to], &mut out, now()).ok()?;
        from = to;
    }
    body.finish(&mut out, now()).ok()?;
    Some(out)
}

fn asked(ask: &Ask) -> Asked {
    let path = match ask.route {
        PERSON => format!("/people/{}", ask.id),
        PEOPLE => "/people".to_owned(),
        NAMED => "/names".to_owned(),
        ORDER => "/orders/o1".to_owned(),
        NOTE => "/notes/n1".to_owned(),
        GROUP => "/groups/g1".to_owned(),
        BASKET => format!("/baskets/{}", ask.id),
        other => panic!("no route {other}"),
    };
    let query: Vec<String> = ask.query.iter().map(|name| format!("{name}=x")).collect();
    let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    let mut headers = HeaderMap::new();
    let mut header = |name: &'static str, value: &str| {
        headers.append(name, HeaderValue::from_str(value).expect("plain"));
    };
    header("cookie", &COOKIES.map(|name| format!("{name}=1")).join("; "));
    for purpose in &ask.declared {
        header("tamis-purpose", purpose);
    }
    for (given, name, value) in [
        (ask.gpc, "sec-gpc", "1"),
        (ask.case, "tamis-case", "\"C-1\""),
        (ask.order, "tamis-order", "\"ord-1\""),
    ] {
        if given {
            header(name, value);
        }
    }
    let bound = ask.bound.as_ref();
    Asked {
        caller: Caller {
            recipient: ask.recipient.into(),
            person: ask.person.map(|id| Personal::new(id.into())),
            purposes: bound.map(|bound| bound.iter().map(|one| (*one).into()).collect()),
        },
        method: http::Method::GET,
        uri: target.parse().expect("a target"),
        headers,
        client: "203.0.113.77".parse().expect("an address"),
        body: None,
        decision: DecisionId::from("d_chance"),
    }
}

struct People {
    said: HashMap<String, Arc<Statements>>,
    case: Case,
    order: LegalOrder,
}

impl People {
    fn of(world: &World) -> Self {
        let Files { case: (purposes, is_open), order: (recipient, categories, in_force) } =
            &world.files;
        let case = Case {
            id: "C-1".into(),
            purposes: purposes.iter().map(|one| (*one).into()).collect(),
            opened_at: at(-9),
            until: None,
            closed: !is_open,
        };
        let order = LegalOrder {
            id: "ord-1".into(),
            recipient: (*recipient).into(),
            categories: categories.iter().map(|one| (*one).into()).collect(),
            from: at(-9),
            until: at(9),
            gag_until: None,
            approved_by: ["legal".into(), "dpo".into()].into(),
            lifted: !in_force,
        };
        let people = world
            .people
            .iter()
            .map(|(id, said)| ((*id).to_owned(), Arc::new(statements(said, &case, &order))));
        Self { said: people.collect(), case, order }
    }
}

impl Registers for People {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(self.said.get(subject.expose().as_ref()).cloned().unwrap_or_default())
    }

    fn order(&self, id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        Ok((id == "ord-1").then(|| self.order.clone()))
    }

    fn case(&self, id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        Ok((id == "C-1").then(|| self.case.clone()))
    }

    /// Each world is played anew, so nobody was here before.
    fn use_grants(&self, _: &[Arc<str>], _: &DecisionId) -> Result<bool, RegistersUnavailable> {
        Ok(true)
    }
}

fn status(word: &str) -> ConsentStatus {
    let all = [
        ConsentStatus::Requested,
        ConsentStatus::Given,
        ConsentStatus::Renewed,
        ConsentStatus::Refused,
        ConsentStatus::Withdrawn,
        ConsentStatus::Revoked,
        ConsentStatus::Expired,
        ConsentStatus::Invalidated,
    ];
    all.into_iter().find(|one| one.as_str() == word).expect("a status")
}

fn digest(purpose: &str, is_present: bool) -> Digest {
    let text = format!("The text of {purpose}");
    Digest::of(if is_present { text.as_bytes() } else { b"an older text" })
}

fn statements(said: &Said, case: &Case, order: &LegalOrder) -> Statements {
    let patterns = |of: &[&str]| of.iter().map(|one| PurposePattern::new(one)).collect();
    Statements {
        consents_unknown: false,
        withdrawals: Vec::new(),
        consents: said
            .consents
            .iter()
            .enumerate()
            .map(|(number, consent)| Consent {
                id: format!("con_{number}").into(),
                purpose: consent.purpose.into(),
                purpose_text_digest: Some(digest(consent.purpose, consent.present)),
                recipients: consent.to.iter().map(|to| (*to).into()).collect(),
                categories: consent.categories.iter().map(|one| (*one).into()).collect(),
                explicit: consent.explicit,
                expires_at: consent.expires.map(at),
                events: consent
                    .events
                    .iter()
                    .map(|(second, word)| ConsentEvent { at: at(*second), status: status(word) })
                    .collect(),
            })
            .collect(),
        notices: said
            .notices
            .iter()
            .map(|(purpose, present, second)| Notice {
                purpose: (*purpose).into(),
                purpose_text_digest: Some(digest(purpose, *present)),
                shown_at: at(*second),
            })
            .collect(),
        objections: said
            .objections
            .iter()
            .map(|(pattern, second)| Objection {
                purpose: PurposePattern::new(pattern),
                since: at(*second),
            })
            .collect(),
        restrictions: said
            .restrictions
            .iter()
            .map(|(categories, since, until)| Restriction {
                categories: categories.iter().map(|one| CategoryPattern::new(one)).collect(),
                since: at(*since),
                until: until.map(at),
                disputed: false,
            })
            .collect(),
        erasure: said.erasure.as_ref().map(|(second, except)| Erasure {
            effective_at: at(*second),
            except: patterns(except),
        }),
        one_time_grants: said
            .once
            .iter()
            .enumerate()
            .map(|(number, (purpose, recipient, since, until))| OneTimeGrant {
                id: format!("once_{number}").into(),
                purpose: (*purpose).into(),
                recipient: (*recipient).into(),
                granted_at: at(*since),
                expires_at: until.map(at),
                used_by: None,
            })
            .collect(),
        orders: said.orders.iter().map(|_| order.clone()).collect(),
        cases: said.cases.iter().map(|_| case.clone()).collect(),
        age: match said.adult {
            None => AgeClass::Unknown,
            Some(true) => AgeClass::Adult,
            Some(false) => AgeClass::Minor,
        },
        region: said.region.map(Into::into),
    }
}

/// The names of the cookies that reached the backend, and of those that reached the client.
pub(super) fn cookies(got: &Rehearsed) -> (Option<Vec<String>>, Vec<String>) {
    let named = |text: &str| text.split('=').next().unwrap_or_default().trim().to_owned();
    let sent = got.towards_backend.as_ref().map(|request| {
        let sent = request.headers.get_all("cookie").iter();
        let sent = sent.filter_map(|line| line.to_str().ok());
        sent.flat_map(|line| line.split(';')).map(named).collect()
    });
    let answered = got.headers.get_all("set-cookie").iter();
    (sent, answered.filter_map(|line| line.to_str().ok()).map(named).collect())
}
