//! One exchange without sockets, stores or a ledger: what a request and a backend's answer come to.
//!
//! It walks the way of `exchange` with the same parts (target, purposes, `decide`, headers, minimizer,
//! answer, access-log line), so that what `tamis test` proves is what the gateway does. Nothing is
//! fetched, entered or sent. A whole backend answer comes in, a whole answer goes out; a body that
//! fails on its way is refused whole, as the gateway does with bodies that it still holds.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::body::MinimizedBody;
use super::cookies::Cookies;
use super::fault::RequestFault;
use super::minimizing::{Minimizing, MinimizingError};
use super::respond::{self, Released};
use super::returned::Opener;
use super::route::{Opened, Target, Tokens};
use super::stated::stated;
use super::told::{Asking, Told};
use super::{account, conditions, fit, headers, purpose, request_body, rights, serve};
use crate::decide::{
    Caller, Facts, KnownSubject, Permit, Refusal, RouteMatch, decide, decide_named, decide_service,
};
use crate::keys::KeyRing;
use crate::ledger::{ToldToOthers, subject_report};
use crate::minimize::head::Links;
use crate::minimize::link::Origins;
use crate::minimize::{JsonLimits, Tally};
use crate::observe::{AccessDecision, AccessLine, Salt, coarser};
use crate::policy::model::{LinkHeader, Route, Serve};
use crate::policy::{Mode, Policy};
use crate::registers::{Registers, RequestReceipt};
use crate::terms::{DecisionId, RefusalReason, RouteId};

/// The salt of every rehearsed day, so that pseudonyms in log lines can be written down. The gateway
/// draws one at random.
const SALT: [u8; 32] = [0x5a; 32];

/// What everything rests on.
pub struct Stage {
    /// The rules.
    pub policy: Arc<Policy>,
    /// What people have said.
    pub registers: Arc<dyn Registers>,
    /// Keys of pseudonyms.
    pub keys: Arc<KeyRing>,
    /// The moment of the request.
    pub now: Timestamp,
}

/// A request, its caller already recognised.
pub struct Asked {
    /// Who asks.
    pub caller: Caller,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The client's address.
    pub client: IpAddr,
    /// The body, where the request brings one.
    pub body: Option<Vec<u8>>,
    /// Under which the request is decided.
    pub decision: DecisionId,
}

/// The backend's answer, of media type JSON.
pub struct Backend {
    /// Its status; what is neither a success nor leads elsewhere is not rehearsed.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decoded.
    pub body: Vec<u8>,
}

/// What the client would get, and what would be written down about it.
pub struct Rehearsed {
    /// The status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: HeaderMap,
    /// The minimized body, or why there is none.
    pub body: Result<Vec<u8>, RefusalReason>,
    /// What the refusal says to operators and internal recipients beside its reason.
    pub detail: Option<String>,
    /// What the backend would be asked; `None` where it would not be asked.
    pub towards_backend: Option<TowardsBackend>,
    /// The access log's line.
    pub log_line: String,
    /// What becomes of the line when it is older, where the rules say something of that.
    pub log_line_cold: Option<String>,
}

/// A request as a backend sees it.
pub struct TowardsBackend {
    /// Path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// What is left of the body, where the request brought one.
    pub body: Option<Bytes>,
}

/// Plays one exchange.
#[must_use]
pub fn rehearse(stage: &Stage, asked: &Asked, backend: &Backend) -> Rehearsed {
    let rehearsed = rehearsed(stage, asked, backend);
    let cold = stage.policy.access_log.cold.as_ref();
    let log_line_cold = cold.and_then(|cold| coarser(rehearsed.log_line.as_bytes(), cold));
    Rehearsed { log_line_cold, ..rehearsed }
}

fn rehearsed(stage: &Stage, asked: &Asked, backend: &Backend) -> Rehearsed {
    let decision = asked.decision.clone();
    let mut route = None;
    let mut towards_backend = None;
    let played = play(stage, asked, backend, &decision, &mut route, &mut towards_backend);
    let text = |name: http::HeaderName| asked.headers.get(name)?.to_str().ok();
    let said = account::said(&asked.headers, &stage.policy.access_log);
    let line = |status: u16, bytes: u64, asker: Asker<'_>, decision_of| {
        let (recipient, purposes) = match asker {
            Asker::Nobody => (None, &[][..]),
            Asker::Permitted(permit) => {
                (Some((permit.recipient(), permit.role())), permit.purposes())
            }
            Asker::Refused(refusal) => {
                (refusal.recipient.as_ref().zip(refusal.role), &refusal.purposes[..])
            }
        };
        AccessLine {
            at: stage.now,
            method: &asked.method,
            route: route.as_ref(),
            status,
            bytes,
            took: Duration::ZERO,
            recipient,
            purposes,
            client: asked.client,
            user_agent: text(http::header::USER_AGENT),
            referrer: text(http::header::REFERER),
            headers: &said,
            authority: None,
            decision: decision_of,
            decision_id: Some(&decision),
            tls: None,
        }
        .render(&stage.policy.access_log, Some(&Salt::new(SALT)))
    };
    match played {
        Ok(Played::Own(document)) => {
            let response = respond::served(&stage.policy, &document);
            let status = response.status().as_u16();
            let log_line = line(status, 0, Asker::Nobody, AccessDecision::Own);
            let headers = response.into_parts().0.headers;
            let body = Ok(Value::Object(document).to_string().into_bytes());
            let (detail, log_line_cold) = (None, None);
            Rehearsed { status, headers, body, detail, towards_backend, log_line, log_line_cold }
        }
        Ok(Played::Released { permit, body, links, tally }) => {
            let mut passed = headers::towards_client(&backend.headers, &cookies(stage, asked));
            let rules = &permit.policy().routes[permit.plan().route_index];
            if let Some(kind) = fit::picture(rules, &backend.headers) {
                passed.insert(CONTENT_TYPE, HeaderValue::from_static(kind.media_type()));
            }
            headers::add_links(&mut passed, &links);
            let whole = if bodiless(rules, backend) {
                Released::NoContent
            } else {
                Released::Body(MinimizedBody::whole(body.clone().into()))
            };
            let response = respond::released(&permit, backend.status, passed, Some(&tally), whole);
            let status = response.status().as_u16();
            let length = body.len() as u64;
            let outcome = if body == backend.body {
                AccessDecision::Released
            } else {
                AccessDecision::Minimized
            };
            let log_line = line(status, length, Asker::Permitted(&permit), outcome);
            let headers = response.into_parts().0.headers;
            let (body, detail, log_line_cold) = (Ok(body), None, None);
            Rehearsed { status, headers, body, detail, towards_backend, log_line, log_line_cold }
        }
        Ok(Played::Tunnel(permit)) => {
            let passed = headers::towards_client(&backend.headers, &cookies(stage, asked));
            let told = Released::Switched;
            let response = respond::released(&permit, backend.status, passed, None, told);
            let status = response.status().as_u16();
            let log_line = line(status, 0, Asker::Permitted(&permit), AccessDecision::Released);
            let headers = response.into_parts().0.headers;
            let (body, detail, log_line_cold) = (Ok(Vec::new()), None, None);
            Rehearsed { status, headers, body, detail, towards_backend, log_line, log_line_cold }
        }
        Err(NotPlayed::Fault(fault)) => {
            let response = respond::fault(&stage.policy, fault, &asked.decision);
            let status = response.status().as_u16();
            let reason = respond::reason_of(fault);
            let log_line = line(status, 0, Asker::Nobody, AccessDecision::Refused(reason));
            let headers = response.into_parts().0.headers;
            let (body, detail, log_line_cold) = (Err(reason), None, None);
            Rehearsed { status, headers, body, detail, towards_backend, log_line, log_line_cold }
        }
        Err(NotPlayed::Refused(refusal)) => {
            let response = respond::refused(&stage.policy, &refusal, None);
            let status = response.status().as_u16();
            let outcome = AccessDecision::Refused(refusal.reason);
            Rehearsed {
                status,
                headers: response.into_parts().0.headers,
                body: Err(refusal.reason),
                log_line: line(status, 0, Asker::Refused(&refusal), outcome),
                log_line_cold: None,
                detail: refusal.detail,
                towards_backend,
            }
        }
    }
}

fn cookies<'a>(stage: &'a Stage, asked: &Asked) -> Cookies<'a> {
    let gpc = purpose::gpc(&asked.headers);
    Cookies::of(&stage.policy, &asked.caller, &*stage.registers, gpc, stage.now)
}

/// Who asked, as far as the access log's line tells.
enum Asker<'a> {
    /// Nobody was recognised, because nobody had to be.
    Nobody,
    Permitted(&'a Permit),
    Refused(&'a Refusal),
}

/// Why nothing is released.
enum NotPlayed {
    /// The request is not understood.
    Fault(RequestFault),
    /// It is refused.
    Refused(Box<Refusal>),
}

impl From<RequestFault> for NotPlayed {
    fn from(fault: RequestFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for NotPlayed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

enum Played {
    /// A backend's answer, minimized.
    Released { permit: Arc<Permit>, body: Vec<u8>, links: Links, tally: Tally },
    /// A connection through which bytes would pass; the backend agrees.
    Tunnel(Arc<Permit>),
    /// A document of our own, about nobody.
    Own(Map<String, Value>),
}

fn play(
    stage: &Stage,
    asked: &Asked,
    backend: &Backend,
    decision: &DecisionId,
    route: &mut Option<RouteId>,
    towards_backend: &mut Option<TowardsBackend>,
) -> Result<Played, NotPlayed> {
    let policy = &stage.policy;
    let role = policy.recipients.get(&asked.caller.recipient).map(|recipient| recipient.role);
    let refused = |reason: RefusalReason| Refusal {
        reason,
        decision: decision.clone(),
        recipient: role.map(|_| asked.caller.recipient.clone()),
        role,
        purposes: Vec::new(),
        detail: None,
    };
    conditions::judge(&asked.method, &asked.headers)?;
    let target = Target::judge(&asked.uri)?;
    let matched = target.matches(policy, &asked.method);
    let takes_body = matched.as_ref().is_some_and(|at| policy.routes[at.index].takes_body());
    if !takes_body && asked.body.is_some() {
        return Err(RequestFault::Body.into());
    }
    if matched.is_none()
        && let Some(document) = serve::well_known(policy, &asked.method, asked.uri.path())
    {
        return Ok(Played::Own(document));
    }
    if let Some((id, document)) =
        matched.as_ref().and_then(|matched| serve::document(policy, matched.index))
    {
        *route = Some(id);
        return Ok(Played::Own(document));
    }
    if let Some(matched) = matched.as_ref()
        && policy.routes[matched.index].serve == Some(Serve::Objection)
    {
        *route = Some(policy.routes[matched.index].id.clone());
        return objected(stage, asked, matched).map_err(|reason| refused(reason).into());
    }
    let declared_purposes = purpose::declared(&asked.headers)?;
    let case = purpose::id(&asked.headers, &purpose::TAMIS_CASE)?;
    let order = purpose::id(&asked.headers, &purpose::TAMIS_ORDER)?;
    let matched = matched.ok_or_else(|| refused(RefusalReason::RouteNotCatalogued))?;
    let rules = &policy.routes[matched.index];
    *route = Some(rules.id.clone());
    if let Some(serve) = rules.serve {
        let query = target.parameter_names();
        let plain = Facts::plain(&asked.caller, &matched, &declared_purposes);
        let facts = Facts { query: &query, ..plain };
        let service = decide_service(policy, &facts, decision.clone(), stage.now)?;
        let purposes = service.purposes().to_vec();
        if serve == Serve::ControllerContact {
            let (reason, detail) = rights::other_controller(policy, &matched);
            return Err(Refusal { purposes, detail, ..refused(reason) }.into());
        }
        let given = would_be_given(policy, serve, asked, stage.now);
        return given
            .map(Played::Own)
            .map_err(|reason| Refusal { purposes, ..refused(reason) }.into());
    }
    let opener = Opener::before(&stage.keys, policy, &asked.caller, rules, &declared_purposes);
    let Opened { target, matched, tokens } = target
        .opened(rules, matched, &opener)
        .ok_or_else(|| refused(RefusalReason::RequestMalformed))?;
    let unknown = |_| refused(RefusalReason::RegisterStale);
    let mut known = Vec::new();
    for (role, id) in target.subjects(rules, &matched) {
        let statements = stage.registers.statements(&id);
        let statements = statements.map_err(unknown)?;
        known.push(KnownSubject { role, id, statements });
    }
    let named = super::asked::files(&*stage.registers, case.as_deref(), order.as_deref());
    let (case, order) = named.map_err(unknown)?;
    let facts = Facts {
        caller: &asked.caller,
        declared_purposes: &declared_purposes,
        route: &matched,
        query: &target.parameter_names(),
        case: &case,
        order: &order,
        gpc: purpose::gpc(&asked.headers),
        known: &known,
    };
    let permit = Arc::new(decide(policy, &facts, decision.clone(), stage.now)?);
    let permitted_but = |reason| -> NotPlayed {
        Refusal { purposes: permit.purposes().to_vec(), ..refused(reason) }.into()
    };
    // As the gateway answers; what it would measure is nobody's expectation.
    if rules.mode != Mode::Enforce {
        return Err(permitted_but(RefusalReason::NotInForce));
    }
    let body = match &rules.request {
        None => None,
        Some(named) => {
            request_body::announced(&asked.headers).map_err(permitted_but)?;
            let whole = asked.body.as_deref().unwrap_or_default();
            let left = request_body::judged(
                named,
                &opener.members(&named.members),
                whole,
                JsonLimits::default(),
            );
            Some(left.map_err(permitted_but)?)
        }
    };
    let in_body = body.as_ref().map_or(Ok(Vec::new()), |body| request_body::people(rules, body));
    let in_body = in_body.map_err(permitted_but)?;
    let named = !in_body.is_empty();
    for (role, id) in in_body {
        let statements = stage.registers.statements(&id);
        known.push(KnownSubject { role, id, statements: statements.map_err(unknown)? });
    }
    let permit = if named { Arc::new(decide_named(&permit, &known, stage.now)?) } else { permit };
    let permitted_but = |reason| -> NotPlayed {
        Refusal { purposes: permit.purposes().to_vec(), ..refused(reason) }.into()
    };
    if tokens == Tokens::Unknown {
        return Err(permitted_but(RefusalReason::NotFound));
    }
    let decided = permit.decision().as_str();
    let passes = cookies(stage, asked);
    let mut towards = headers::towards_upstream(&asked.headers, &passes, &rules.media, decided);
    let asking = Asking {
        permit: &permit,
        caller: &asked.caller,
        upstream: rules.upstream.as_ref(),
        address: asked.client,
        host: "",
        headers: &asked.headers,
    };
    // What is configured beside the rules is not part of what they promise.
    Told::usual().write(&mut towards, &asking, stage.now);
    *towards_backend =
        Some(TowardsBackend { target: target.path_and_query(), headers: towards, body });
    // Whether a handshake is one is no matter of the rules.
    if rules.tunnel.is_some() {
        return Ok(Played::Tunnel(permit));
    }
    if backend.status.is_redirection() && !fit::is_moved(rules, backend.status) {
        return Err(permitted_but(RefusalReason::Unfilterable));
    }
    let failed = |error: MinimizingError| permitted_but(error.reason());
    let origins = Arc::new(Origins::made_up(policy));
    let people = stated(&permit, &backend.headers, &origins);
    let registers = Arc::clone(&stage.registers);
    let keys = (Arc::clone(&stage.keys), origins);
    let minimizing = match fit::picture(rules, &backend.headers) {
        Some(kind) => Minimizing::picture(&permit, kind, people, registers, keys, stage.now),
        // A case's backend says that it is JSON, unless it says otherwise.
        None if !rules.media.is_empty() => return Err(permitted_but(RefusalReason::Unfilterable)),
        None => {
            Minimizing::json(&permit, people, registers, keys, JsonLimits::default(), stage.now)
        }
    };
    let mut minimizing = minimizing.map_err(failed)?;
    let mut body = Vec::new();
    if !bodiless(rules, backend) {
        minimizing.feed(&backend.body, &mut body, stage.now).map_err(failed)?;
        minimizing.finish(&mut body, stage.now).map_err(failed)?;
    }
    let rests_on_grant = asked.method == Method::HEAD && !permit.one_time_grants().is_empty();
    let links = if rests_on_grant { Links::default() } else { minimizing.links(&backend.headers) };
    if fit::is_moved(rules, backend.status) && !links.has(LinkHeader::Location) {
        return Err(permitted_but(RefusalReason::Unfilterable));
    }
    let tally = minimizing.tally();
    // Where grants for one use carry the answer, they are used up before it leaves.
    if !permit.one_time_grants().is_empty() && asked.method != Method::HEAD {
        match stage.registers.use_grants(permit.one_time_grants(), permit.decision()) {
            Ok(true) => {}
            Ok(false) => return Err(permitted_but(RefusalReason::ConsentMissing)),
            Err(_) => return Err(permitted_but(RefusalReason::RegisterStale)),
        }
    }
    Ok(Played::Released { permit, body, links, tally })
}

/// Whether the backend's answer is a head and nothing else.
fn bodiless(route: &Route, backend: &Backend) -> bool {
    fit::is_moved(route, backend.status)
        || fit::is_silent(route, backend.status, backend.body.is_empty())
}

/// One click, as the gateway hears it; nothing is recorded.
fn objected(stage: &Stage, asked: &Asked, matched: &RouteMatch) -> Result<Played, RefusalReason> {
    let body = asked.body.as_deref().unwrap_or_default();
    rights::is_small(&asked.headers, body)?;
    if !rights::is_one_click(&asked.headers, body) {
        return Err(RefusalReason::RequestContent);
    }
    let (_, purpose) =
        rights::whose(&stage.keys, &stage.policy, matched).ok_or(RefusalReason::NotFound)?;
    Ok(Played::Own(rights::heard_of(&purpose)))
}

/// What a person would be given: the report of an empty ledger, or a receipt.
fn would_be_given(
    policy: &Policy,
    serve: Serve,
    asked: &Asked,
    now: Timestamp,
) -> Result<Map<String, Value>, RefusalReason> {
    Ok(match serve {
        Serve::RightsInbox(right) => {
            let body = asked.body.as_deref().unwrap_or_default();
            rights::is_small(&asked.headers, body)?;
            rights::categories(policy, right, &asked.headers, body)?;
            let receipt = RequestReceipt { id: "rq_rehearsal".into(), received_at: now };
            rights::receipt(right, &receipt)
        }
        Serve::SubjectReport
        | Serve::Objection
        | Serve::PolicyDocument
        | Serve::ControllerContact => {
            let nothing = ToldToOthers { disclosures: Vec::new(), up_to: Vec::new() };
            subject_report(policy, &nothing, now)
        }
    })
}
