//! One request, from top to bottom. START HERE.
//!
//! Who asks, which route, what for, whom about → [`decide`] → a permit. Only with it is the backend
//! asked, the ledger opened and a byte released, in this order. Whatever fails on the way refuses;
//! nothing is passed through. What leaves is a [`ClientBody`]: minimized, our own words, or nothing.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

use super::account::{Account, Opening};
use super::asked::{self, asked_about, identify};
use super::body::{ClientBody, MinimizedBody};
use super::codings::{Accepted, Coding};
use super::consents::{fetched, fetched_anyway, fetched_stated};
use super::cookies::Cookies;
use super::decode::Decoder;
use super::encode::{self, Begun};
use super::fault::{self, RequestFault};
use super::minimizing::Minimizing;
use super::refusals::{NotReleased, failed, not_understood, permitted_but, refusal};
use super::respond::{self, Released};
use super::returned::Opener;
use super::rights::Given;
use super::route::{Opened, Target, Tokens};
use super::state::Gateway;
use super::stated::stated;
use super::tls::Handshake;
use super::told::Asking;
use super::transit::{Delivery, HELD, Progress, Transit, TransitError, deliver};
use super::tunnel::{Still, handshake};
use super::upstream::{Answer, Wanted};
use super::waits::{Asked, lot};
use super::{
    authority, bodiless, conditions, fit, headers, observed, purpose, request_body, rights, serve,
    tunnel,
};
use crate::decide::{Facts, Permit, Refusal, SubjectIds, decide, decide_named, decide_service};
use crate::ledger::{Disclosure, Outcome, Receipt, Refused};
use crate::minimize::link::Origins;
use crate::observe::Event;
use crate::policy::Mode;
use crate::policy::model::{Route, Serve};
use crate::terms::{DecisionId, RefusalReason};

/// How many pieces wait for a client that is slower than the backend.
const WAITING_PIECES: usize = 4;

/// The other end of a connection, as far as it is known.
pub(super) struct Peer {
    pub(super) address: IpAddr,
    pub(super) handshake: Handshake,
    /// What is in force, also for what goes on when the request was answered.
    pub(super) in_force: Arc<ArcSwap<Gateway>>,
}

/// Answers one request.
pub(super) async fn exchange(
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Response<ClientBody> {
    let mut account = Account::open(Opening {
        policy: Arc::clone(&gateway.policy),
        metrics: Arc::clone(&gateway.metrics),
        log: Arc::clone(&gateway.access_log),
        decision: DecisionId::from(format!("d_{}", Uuid::now_v7().simple())),
        method: request.method(),
        headers: request.headers(),
        client: peer.address,
        tls: peer.handshake.version,
    });
    let came_of_it = walk(&gateway, &peer, request, &mut account).await;
    let turns = account.turns.clone();
    let response = match came_of_it {
        Ok(Answered::Released(ready)) => release(&gateway, ready, account),
        Ok(Answered::Tunnel(opened)) => tunnel::begin(&gateway, *opened, account),
        Ok(Answered::Own(document)) => {
            let response = respond::served(&account.policy, &document);
            account.served(response.status());
            response
        }
        Ok(Answered::Given(given)) => {
            let response = if given.is_receipt {
                respond::taken(&account.policy, &given.document)
            } else {
                respond::served(&account.policy, &given.document)
            };
            account.released(response.status());
            response
        }
        Err(NotReleased::Fault(fault)) => {
            let refusal = not_understood(fault, &account.decision);
            let response = respond::fault(&account.policy, fault, &account.decision);
            account.refused(&refusal, response.status());
            response
        }
        Err(NotReleased::Refused(refusal)) => refuse(&gateway, &refusal, account).await,
    };
    response.map(|body| body.holding(turns))
}

/// What a request comes to that is not refused.
enum Answered {
    /// An answer of a backend.
    Released(Ready),
    /// A connection through which bytes pass from now on.
    Tunnel(Box<tunnel::Opened>),
    /// A document of our own, about nobody.
    Own(Map<String, Value>),
    /// A document of our own for one person.
    Given(Given),
}

/// An answer that may begin to leave.
struct Ready {
    permit: Arc<Permit>,
    /// What the backend said came of it.
    status: StatusCode,
    passed: HeaderMap,
    content: Content,
}

enum Content {
    /// The backend had nothing to say, but perhaps in its head: then that is entered in the ledger.
    None { receipt: Option<Receipt> },
    /// Its first bytes, entered in the ledger.
    Entered(Box<Entered>),
}

struct Entered {
    receipt: Receipt,
    transit: Transit,
    first: Vec<u8>,
    progress: Progress,
    coding: Option<Coding>,
    head_only: bool,
    is_unchanged: bool,
}

/// Everything that has to be in order before the first byte leaves.
async fn walk(
    gateway: &Gateway,
    peer: &Arc<Peer>,
    request: Request<Incoming>,
    account: &mut Account,
) -> Result<Answered, NotReleased> {
    let policy = Arc::clone(&account.policy);
    account.turns.of_all = gateway.at_once.enter(gateway.limits.requests).map(Arc::new);
    if account.turns.of_all.is_none() {
        return Err(refusal(account, RefusalReason::Overloaded, None).into());
    }

    // What is asked, in one reading only.
    let (mut head, body) = request.into_parts();
    fault::sized(&head, &gateway.limits)?;
    if head.version < Version::HTTP_11 {
        return Err(RequestFault::Version.into());
    }
    conditions::judge(&head.method, &head.headers)?;
    let host = authority::host(&head.uri, &head.headers)?;
    authority::judge(&host, peer.handshake.server_name.as_deref(), &gateway.tls.names)?;
    account.authority = Some(host);
    let origins = Arc::new(gateway.origins.called(&authority::called(&head.uri, &head.headers)));
    let method = handshake::method(&head)?;
    let target = Target::judge(&head.uri)?;
    let matched = target.matches(&policy, &method);
    let takes_body = matched.as_ref().is_some_and(|at| policy.routes[at.index].takes_body());
    if !takes_body && (request_body::is_announced(&head.headers) || !body.is_end_stream()) {
        return Err(RequestFault::Body.into());
    }
    let offer = handshake::offered(&policy, matched.as_ref(), &mut head)?;
    if matched.is_none()
        && let Some(document) = serve::well_known(&policy, &head.method, head.uri.path())
    {
        return Ok(Answered::Own(document));
    }
    if let Some((route, document)) =
        matched.as_ref().and_then(|matched| serve::document(&policy, matched.index))
    {
        account.route = Some(route);
        return Ok(Answered::Own(document));
    }
    if let Some(matched) = matched.as_ref()
        && policy.routes[matched.index].serve == Some(Serve::Objection)
    {
        account.route = Some(policy.routes[matched.index].id.clone());
        if policy.routes[matched.index].mode != Mode::Enforce {
            return Err(refusal(account, RefusalReason::NotInForce, None).into());
        }
        let asked = (&head.headers, body);
        return rights::object(gateway, &policy, matched, asked, &account.decision)
            .await
            .map(Answered::Given)
            .map_err(|reason| refusal(account, reason, None).into());
    }
    let declared_purposes = purpose::declared(&head.headers)?;
    let case = purpose::id(&head.headers, &purpose::TAMIS_CASE)?;
    let order = purpose::id(&head.headers, &purpose::TAMIS_ORDER)?;

    // Who asks.
    let now = Timestamp::now();
    let caller = identify(gateway, &policy, peer, &head.headers, &declared_purposes, now)
        .ok_or_else(|| refusal(account, RefusalReason::RecipientUnknown, None))?;
    let role = policy.recipients.get(&caller.recipient).map(|recipient| recipient.role);
    account.established(role.map(|role| (caller.recipient.clone(), role)), &[]);

    let is_in_time =
        gateway.rates.allow(&policy, &caller.recipient, &gateway.limits, account.began);
    if is_in_time {
        let most = gateway.limits.recipient_requests;
        let turn = gateway.of_recipients.enter(&policy, &caller.recipient, most);
        account.turns.of_recipient = turn.map(Arc::new);
    }
    if account.turns.of_recipient.is_none() {
        account.retry_after = Some(1);
        return Err(refusal(account, RefusalReason::RecipientRate, Some((&caller, role))).into());
    }

    // Which route, and whom the request itself is about.
    let matched = matched.ok_or_else(|| {
        refusal(account, RefusalReason::RouteNotCatalogued, Some((&caller, role)))
    })?;
    let route = &policy.routes[matched.index];
    account.route = Some(route.id.clone());
    account.mode = route.mode;
    if route.serve.is_some() {
        let query = target.parameter_names();
        let facts = Facts { query: &query, ..Facts::plain(&caller, &matched, &declared_purposes) };
        let service = decide_service(&policy, &facts, account.decision.clone(), now)?;
        if route.mode != Mode::Enforce {
            return Err(refusal(account, RefusalReason::NotInForce, Some((&caller, role))).into());
        }
        account.established(role.map(|role| (caller.recipient.clone(), role)), service.purposes());
        if route.serve == Some(Serve::ControllerContact) {
            let (reason, detail) = rights::other_controller(&policy, &matched);
            let purposes = service.purposes().to_vec();
            let refusal = refusal(account, reason, Some((&caller, role)));
            return Err(Refusal { purposes, detail, ..refusal }.into());
        }
        let asked = (&head.headers, body);
        return rights::give(gateway, &policy, &service, route, asked, now)
            .await
            .map(Answered::Given)
            .map_err(|reason| {
                let purposes = service.purposes().to_vec();
                Refusal { purposes, ..refusal(account, reason, Some((&caller, role))) }.into()
            });
    }
    let opener = Opener::before(&gateway.keys, &policy, &caller, route, &declared_purposes);
    let Opened { target, matched, tokens } = target
        .opened(route, matched, &opener)
        .ok_or_else(|| refusal(account, RefusalReason::RequestMalformed, Some((&caller, role))))?;
    let named = target.subjects(route, &matched);
    account
        .spend(&gateway.budgets, &caller.recipient, route, &named)
        .map_err(|reason| refusal(account, reason, Some((&caller, role))))?;
    let mut known = asked_about(gateway, &caller.recipient, named)
        .await
        .map_err(|reason| refusal(account, reason, Some((&caller, role))))?;
    let unknown = |_| {
        Event::RegistersUnavailable.emit(&gateway.metrics);
        refusal(account, RefusalReason::RegisterStale, Some((&caller, role)))
    };
    let named = asked::files(&*gateway.registers, case.as_deref(), order.as_deref());
    let (case, order) = named.map_err(unknown)?;

    // May it be disclosed?
    let facts = Facts {
        caller: &caller,
        declared_purposes: &declared_purposes,
        route: &matched,
        query: &target.parameter_names(),
        case: &case,
        order: &order,
        gpc: purpose::gpc(&head.headers),
        known: &known,
    };
    let permit = Arc::new(decide(&policy, &facts, account.decision.clone(), now)?);
    account.established(Some((permit.recipient().clone(), permit.role())), permit.purposes());

    // A route that is not in force ends here, or where its answer was measured.
    if !observed::asks_backend(route) {
        observed::permitted(route, account);
        return Err(permitted_but(&permit, RefusalReason::NotInForce).into());
    }

    // The backend, asked for what was judged and told no more than it needs.
    let brought = match &route.request {
        None => None,
        Some(rules) => {
            let opens = opener.members(&rules.members);
            let reduced =
                request_body::reduced(rules, &opens, &head.headers, body, &gateway.limits).await;
            Some(reduced.map_err(|reason| permitted_but(&permit, reason))?)
        }
    };
    let in_body = brought.as_ref().map_or(Ok(Vec::new()), |body| request_body::people(route, body));
    let in_body = in_body.map_err(|reason| permitted_but(&permit, reason))?;
    let permit = if in_body.is_empty() {
        permit
    } else {
        let told = match account.spend_more(permit.recipient(), &in_body) {
            Ok(()) => asked_about(gateway, permit.recipient(), in_body).await,
            Err(reason) => Err(reason),
        };
        known.extend(told.map_err(|reason| permitted_but(&permit, reason))?);
        Arc::new(decide_named(&permit, &known, now)?)
    };
    // Only now, so that whoever is refused for another reason is refused for that.
    if tokens == Tokens::Unknown {
        return Err(permitted_but(&permit, RefusalReason::NotFound).into());
    }
    let gpc = purpose::gpc(&head.headers);
    if policy.cookies.values().any(|cookie| cookie.consent.is_some()) {
        fetched_anyway(gateway, caller.person.iter()).await;
    }
    let cookies = Cookies::of(&policy, &caller, &*gateway.registers, gpc, now);
    let id = permit.decision().as_str();
    let mut towards = headers::towards_upstream(&head.headers, &cookies, &route.media, id);
    let asking = Asking {
        permit: &permit,
        caller: &caller,
        upstream: route.upstream.as_ref(),
        address: peer.address,
        host: account.authority.as_deref().unwrap_or_default(),
        headers: &head.headers,
    };
    gateway.told.write(&mut towards, &asking, now);
    let subject = known.first().map(|known| &known.id);
    let mut wanted = Wanted { target: &target, headers: towards, body: brought, subject };
    if let Some(offer) = offer {
        let key = handshake::ask(&mut wanted.headers, &offer);
        let answer = fetch(gateway, &permit, wanted, account).await?;
        let still = Still::new(peer, head, declared_purposes, &permit);
        let agreed = (offer, key, answer);
        let tunnel = tunnel::open(gateway, account, &permit, agreed, &cookies, still).await?;
        return Ok(Answered::Tunnel(Box::new(tunnel)));
    }
    let answer = fetch(gateway, &permit, wanted, account).await?;
    let mut passed = headers::towards_client(&answer.headers, &cookies);
    let (status, head_only) = (answer.status, head.method == Method::HEAD);
    // With `HEAD` no grant is used up, so that nothing leaves that rests on one.
    let rests_on_grant = head_only && !permit.one_time_grants().is_empty();
    let links = if rests_on_grant { HeaderMap::new() } else { headers::of_links(&answer.headers) };
    let is_moved = fit::is_moved(route, status);
    if is_moved || fit::is_silent(route, status, fit::is_empty(&answer.headers)) {
        if route.mode != Mode::Enforce {
            observed::permitted(route, account);
            return Err(permitted_but(&permit, RefusalReason::NotInForce).into());
        }
        let people = stated(&permit, &answer.headers, &origins);
        fetched_stated(gateway, &permit, &people).await;
        let parts = (&links, people);
        let told = bodiless::told(gateway, account, &permit, parts, &origins, is_moved, now);
        let bodiless::Told { links, receipt } = told.await?;
        headers::add_links(&mut passed, &links);
        let content = Content::None { receipt };
        return Ok(Answered::Released(Ready { permit, status, passed, content }));
    }
    fit::fit(&permit, &answer, gateway.limits.response_body_bytes, account)
        .map_err(|reason| permitted_but(&permit, reason))?;
    if let Some(kind) = fit::picture(route, &answer.headers) {
        passed.insert(CONTENT_TYPE, HeaderValue::from_static(kind.media_type()));
    }

    // Pictures are as small as they get.
    let is_picture = passed.contains_key(CONTENT_TYPE);
    let shows_certificate = peer.handshake.certificate.is_some();
    let accepted = Accepted::of(&head.headers, shows_certificate, gateway.encoding);
    let accepted = accepted.filter(|_| !is_picture);

    // Its body: minimized so far that what is wrong with a short one is known before the head.
    let people = stated(&permit, &answer.headers, &origins);
    fetched_stated(gateway, &permit, &people).await;
    // They are judged again with the body: what was said of them may be too old by now.
    fetched(gateway, permit.recipient(), known.iter().map(|known| &known.id)).await;
    let mut transit = transit(gateway, &permit, route, (answer, people), &origins, now)
        .map_err(|error| failed(&permit, account, &error))?;
    if route.mode != Mode::Enforce {
        let measured = observed::measure(&mut transit, &links, account).await;
        measured.map_err(|error| failed(&permit, account, &error))?;
        return Err(permitted_but(&permit, RefusalReason::NotInForce).into());
    }
    let mut first = Vec::new();
    let progress = loop {
        let progress =
            transit.advance(&mut first).await.map_err(|error| failed(&permit, account, &error))?;
        if progress == Progress::Ended || first.len() >= HELD {
            break progress;
        }
    };

    // By now the people of the whole answer are known.
    let links = transit.links(&links);
    bodiless::tell(&permit, &links, &account.metrics);
    headers::add_links(&mut passed, &links);

    // No disclosure without its entry.
    let met = account.tell(transit.take_met()).map_err(|reason| permitted_but(&permit, reason))?;
    let receipt =
        gateway.ledger.open(&Disclosure::of(&permit, met)).await.map_err(|unavailable| {
            Event::LedgerUnavailable { why: &unavailable.0 }.emit(&account.metrics);
            permitted_but(&permit, RefusalReason::LedgerUnavailable)
        })?;
    if !head_only {
        use_grants(gateway, &permit, &receipt).await?;
    }
    // A tag of a whole body only; with `HEAD` it would tell of what no grant was used for.
    let is_tagged = progress == Progress::Ended && head.method == Method::GET;
    // Nor does a coding, which is there from a certain length on.
    let accepted = accepted.filter(|_| !rests_on_grant);
    let coding = accepted.and_then(|it| it.for_length(first.len(), progress == Progress::Ended));
    let tagged = (first.as_slice(), coding);
    let is_unchanged = is_tagged && gateway.tags.tell(&permit, tagged, &head.headers, &mut passed);
    let entered = Entered { receipt, transit, first, progress, coding, head_only, is_unchanged };
    let content = Content::Entered(Box::new(entered));
    Ok(Answered::Released(Ready { permit, status, passed, content }))
}

/// Asks the backend, and tells how long that took or why it failed.
async fn fetch(
    gateway: &Gateway,
    permit: &Permit,
    wanted: Wanted<'_>,
    account: &mut Account,
) -> Result<Answer, Refusal> {
    account.has_asked = true;
    let answer = gateway.upstreams.fetch(permit, wanted).await.map_err(|fault| {
        account.retry_after = fault.retry_after().map(respond::whole_seconds);
        failed(permit, account, &fault.into())
    })?;
    if let Some(upstream) = &permit.policy().routes[permit.plan().route_index].upstream {
        Event::UpstreamAnswered { upstream, took: answer.took }.emit(&account.metrics);
    }
    Ok(answer)
}

/// Uses up the grants for one use that the answer rests on, before its first byte leaves. Where
/// another request was first, nothing does.
pub(super) async fn use_grants(
    gateway: &Gateway,
    permit: &Arc<Permit>,
    receipt: &Receipt,
) -> Result<(), NotReleased> {
    if permit.one_time_grants().is_empty() {
        return Ok(());
    }
    let (registers, permitted) = (Arc::clone(&gateway.registers), Arc::clone(permit));
    let used = tokio::task::spawn_blocking(move || {
        registers.use_grants(permitted.one_time_grants(), permitted.decision())
    });
    let reason = match used.await {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => RefusalReason::ConsentMissing,
        Ok(Err(_)) | Err(_) => RefusalReason::RegisterStale,
    };
    let refusal = permitted_but(permit, reason);
    let status = respond::refused(permit.policy(), &refusal, None).status().as_u16();
    gateway.ledger.close(receipt.clone(), Outcome::nothing(reason, status));
    Err(refusal.into())
}

/// Sends head and first bytes, and the rest behind them.
fn release(gateway: &Arc<Gateway>, ready: Ready, mut account: Account) -> Response<ClientBody> {
    let Ready { permit, status: came_of_it, mut passed, content } = ready;
    let entered = match content {
        Content::None { receipt } => {
            let response =
                respond::released(&permit, came_of_it, passed, None, Released::NoContent);
            account.released(response.status());
            if let Some(receipt) = receipt {
                gateway.ledger.close(receipt, Outcome::whole(response.status().as_u16()));
            }
            return response;
        }
        Content::Entered(entered) => *entered,
    };
    let Entered { receipt, transit, first, progress, coding, head_only, is_unchanged } = entered;
    let ended = (progress == Progress::Ended).then(|| transit.tally());
    let length = first.len() as u64;
    let ledger = Arc::clone(&gateway.ledger);
    let is_left = !head_only && !is_unchanged;
    let Begun { first, coding, encoder } = if is_left {
        encode::begin(first, coding, progress == Progress::Ended)
    } else {
        Begun { first, coding: coding.filter(|_| head_only), encoder: None }
    };
    if let Some(coding) = coding {
        passed.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        Event::Encoded { coding: coding.as_str() }.emit(&account.metrics);
    }

    // A `HEAD` has gone the whole way of a `GET`, so that it tells nothing that a `GET` would not;
    // its body ends here.
    if head_only || progress == Progress::Ended {
        let (released, length) = if head_only {
            (Released::HeadOnly, 0)
        } else if is_unchanged {
            (Released::Unchanged, 0)
        } else {
            (Released::Body(MinimizedBody::whole(first.into())), length)
        };
        let response = respond::released(&permit, came_of_it, passed, ended.as_ref(), released);
        let status = response.status();
        account.released(status);
        transit.complete(account, &*ledger, receipt, status.as_u16(), length);
        return response;
    }

    let (pieces, rest) = mpsc::channel(WAITING_PIECES);
    let body = Released::Body(MinimizedBody::begun(first.into(), rest));
    let response = respond::released(&permit, came_of_it, passed, None, body);
    let status = response.status();
    account.released(status);
    let patience = gateway.limits.idle_timeout;
    let until = account.began + gateway.limits.answer_time;
    let (status, bytes) = (status.as_u16(), length);
    let way = Delivery { ledger, receipt, pieces, encoder, status, bytes, patience, until };
    tokio::spawn(deliver(transit, account, way));
    response
}

/// Sends a refusal. What is concealed takes as long as a backend that has no such thing.
async fn refuse(
    gateway: &Gateway,
    refusal: &Refusal,
    mut account: Account,
) -> Response<ClientBody> {
    if let Some(route) = account.route.as_ref().filter(|_| account.mode != Mode::Enforce)
        && refusal.reason != RefusalReason::NotInForce
    {
        let (mode, outcome) = (account.mode, "refused");
        Event::Observed { route, mode, outcome }.emit(&account.metrics);
    }
    // Who asks too often would fill the ledger with it.
    if refusal.role.is_some() && refusal.reason != RefusalReason::RecipientRate {
        let refused = Refused::of(refusal, account.route.as_ref(), &account.policy);
        gateway.ledger.refuse(refused);
    }
    let response = respond::refused(&account.policy, refusal, account.retry_after);
    account.refused(refusal, response.status());
    if respond::is_concealed(refusal) {
        let asked = match refusal.reason {
            _ if !account.has_asked => Asked::Not,
            RefusalReason::NotFound => Asked::KnowsNobody,
            _ => Asked::Answered,
        };
        let (waits, elapsed) = (&gateway.waits, account.elapsed());
        let multiple_of = gateway.limits.concealed_after;
        let until = waits.until(account.route.as_ref(), asked, elapsed, multiple_of, lot);
        sleep(until.saturating_sub(account.elapsed())).await;
    }
    response
}

/// Prepares the way of a body.
fn transit(
    gateway: &Gateway,
    permit: &Arc<Permit>,
    route: &Route,
    (answer, people): (Answer, Vec<(usize, SubjectIds)>),
    origins: &Arc<Origins>,
    now: Timestamp,
) -> Result<Transit, TransitError> {
    let limits = &gateway.limits;
    let decoder =
        Decoder::of(&answer.headers, limits.response_body_bytes, limits.decompression_ratio)?;
    let registers = Arc::clone(&gateway.registers);
    let keys = (Arc::clone(&gateway.keys), Arc::clone(origins));
    let minimizing = match fit::picture(route, &answer.headers) {
        Some(kind) => Minimizing::picture(permit, kind, people, registers, keys, now)?,
        None => Minimizing::json(permit, people, registers, keys, limits.json, now)?,
    };
    Ok(Transit::new(Arc::clone(permit), answer.body, decoder, minimizing))
}
