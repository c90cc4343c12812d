//! The door of the admin API: no browser, no foreign name, a known caller, one of its roles, its share
//! of the minute; and afterwards the entry of the call.
//!
//! Each call of a known caller is in the ledger: who, in which role, which route, with what status,
//! and by tags about whom. What tells of people waits for that entry; what changes the registers does
//! not, since what a person said must not wait for a disk: its entry is kept until the disk is back. A
//! client that goes away ends neither a call nor its entry. Calls of nobody are counted and logged only,
//! or anybody could fill the ledger.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, HeaderMap, ORIGIN};
use http::uri::Authority;

use super::AdminState;
use super::problem::Problem;
use super::repeat::{key_of, known};
use super::roles::{Rule, Touches, rules_of};
use crate::identity::SubjectAlternativeNames;
use crate::ledger::Note;
use crate::observe::{Event, Metrics};
use crate::terms::{AdminRole, DataSubject};

/// Who makes a call, and by which role it is theirs to make.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) role: AdminRole,
    /// All that it has, for calls that carry several kinds of records.
    pub(super) roles: BTreeSet<AdminRole>,
}

/// Goes with an answer that is about people: whom, for the tags in the ledger.
#[derive(Clone)]
pub(super) struct About(pub(super) Vec<DataSubject>);

/// Lets a request through to its handler, or says why not; then enters and counts it under its route's
/// template. All of it in a task of its own: whoever resets the connection must not leave a change
/// behind that has no author.
pub(super) async fn admin(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> Response {
    let begun = state.calls.begin();
    let metrics = Arc::clone(&state.metrics);
    let task = tokio::spawn(async move {
        let _begun = begun;
        enter(state, request, next).await
    });
    task.await.unwrap_or_else(|_| defect(&metrics).into_response())
}

/// A panic is one answer.
fn defect(metrics: &Metrics) -> Problem {
    Event::Internal { kind: "panic" }.emit(metrics);
    Problem::Unavailable
}

async fn enter(state: AdminState, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("-", MatchedPath::as_str);
    let method = method_word(&request);
    let (known, admitted) = admit(&state, &request, route);
    let role = admitted.as_ref().ok().map(|(caller, _)| caller.role);
    let touches = admitted.as_ref().map_or(Touches::Nobody, |(_, rule)| rule.touches);
    let mut response = match admitted {
        Ok((caller, row)) => {
            request.extensions_mut().insert(caller.clone());
            let making = state.clone();
            // Apart, so that a call that panics is entered as one that failed.
            let task =
                tokio::spawn(async move { make(&making, &caller, row, request, next).await });
            let made = task.await.unwrap_or_else(|_| Err(defect(&state.metrics)));
            made.unwrap_or_else(IntoResponse::into_response)
        }
        Err(problem) => problem.into_response(),
    };
    if let Some(by) = &known
        && response.status() != StatusCode::TOO_MANY_REQUESTS
    {
        let about = response.extensions_mut().remove::<About>();
        let named = about.filter(|_| state.policy.load().ledger.subject_index);
        let entry = |status: StatusCode, about| Note::Call {
            by: by.clone(),
            role: role.map(AdminRole::as_str),
            method,
            route: route.to_owned(),
            status: status.as_u16(),
            about,
        };
        let people = named.map(|About(people)| people).unwrap_or_default();
        if let Err(error) = state.ledger.note(&entry(response.status(), people)).await {
            tracing::warn!(%error, "a call of the admin API is not entered yet");
            if touches == Touches::People {
                response = Problem::NotEntered.into_response();
            }
            state.ledger.later(&entry(response.status(), Vec::new()));
        }
    }
    let status = response.status().as_u16();
    let role = role.map(AdminRole::as_str);
    Event::AdminUsed { by: known.as_deref(), role, method, route, status }.emit(&state.metrics);
    response
}

/// Makes the call; once only, where it changes something and has a key.
async fn make(
    state: &AdminState,
    caller: &Caller,
    rule: &Rule,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = match rule.touches {
        Touches::Registers => key_of(request.headers())?,
        Touches::Nobody | Touches::People => None,
    };
    let Some(key) = key else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, rule.body_bytes()).await.map_err(|_| Problem::TooLarge)?;
    let (registers, name) = (Arc::clone(&state.registers), caller.name.clone());
    match known(registers, name, key, &mut parts, body.clone()).await? {
        Some(answer) => Ok(answer),
        None => Ok(next.run(Request::from_parts(parts, Body::from(body))).await),
    }
}

/// The caller's name as far as it is known, and whether the call may be made.
fn admit(
    state: &AdminState,
    request: &Request,
    route: &str,
) -> (Option<String>, Result<(Caller, &'static Rule), Problem>) {
    let access = state.access.load();
    if let Some(why) = foreign(request, &access.hosts) {
        return (None, Err(Problem::Forbidden(why)));
    }
    let certificate = request.extensions().get::<SubjectAlternativeNames>();
    // Around the routes and the fallback alike: without credentials nobody learns what there is.
    let Some((name, roles)) = access.caller(request.headers(), certificate) else {
        return (None, Err(Problem::Unauthorized));
    };
    let known = Some(name.to_owned());
    if let Err(wait) = access.take_turn(name, Instant::now()) {
        return (known, Err(Problem::TooMany(wait)));
    }
    let mut methods = Vec::new();
    for rule in rules_of(route) {
        if rule.method == request.method().as_str() {
            let role = rule.permits(roles).ok_or(Problem::WrongRole);
            return (
                known,
                role.map(|role| {
                    (Caller { name: name.to_owned(), role, roles: roles.clone() }, rule)
                }),
            );
        }
        methods.push(rule.method);
    }
    let problem = match methods.as_slice() {
        [] => Problem::NotFound,
        _ => Problem::MethodNotAllowed(methods.join(", ")),
    };
    (known, Err(problem))
}

/// The method if it is one of ours: another one is any text.
fn method_word(request: &Request) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    known.into_iter().find(|word| *word == request.method().as_str()).unwrap_or("-")
}

/// Refuses browsers: a page must not be able to read metrics of the machine it is shown on. To a name
/// that was bent to this machine a browser sends neither `Origin` nor, in plaintext, `Sec-Fetch-*`;
/// but it says its languages, which no scraper does.
pub(super) async fn no_browser(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let speaks = headers.contains_key(ACCEPT_LANGUAGE).then_some("not for browsers");
    match browser(headers).or(speaks) {
        Some(why) => Problem::Forbidden(why).into_response(),
        None => next.run(request).await,
    }
}

/// Why the request must be from a browser, or by way of a name that somebody else controls.
fn foreign(request: &Request, hosts: &[String]) -> Option<&'static str> {
    if let Some(why) = browser(request.headers()) {
        return Some(why);
    }
    let stated: Vec<_> = request.headers().get_all(HOST).iter().collect();
    let host = match (request.uri().authority(), stated.as_slice()) {
        (Some(authority), [] | [_]) => Some(authority.clone()),
        (None, [host]) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    let ours = host.is_some_and(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    });
    (!ours).then_some("this host is not the admin API's")
}

fn browser(headers: &HeaderMap) -> Option<&'static str> {
    let signs = headers.contains_key(ORIGIN)
        || headers.contains_key(COOKIE)
        || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    signs.then_some("not for browsers")
}
