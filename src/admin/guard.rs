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

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, HeaderMap, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode};

use super::AdminState;
use super::problem::Problem;
use super::repeat::{Given, Turn, key_of};
use super::roles::{Rule, Touches, rules_of};
use crate::identity::SubjectAlternativeNames;
use crate::ledger::Note;
use crate::observe::{Event, Metrics};
use crate::terms::{AdminRole, DataSubject, Digest};

/// Longest answer that is kept under a key: an import names at most a hundred wrong lines.
const ANSWER_BYTES: usize = 64 << 10;

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
    state.access.load().answered.forget(Instant::now());
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
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, rule.body_bytes()).await.map_err(|_| Problem::TooLarge)?;
    let asked = digest(&parts, body.clone()).await?;
    let answered = Arc::clone(&state.access.load().answered);
    let turn = answered.turn(&caller.name, key, asked, Instant::now())?;
    let making = match turn {
        Turn::Again(kept) => {
            let mut response = (kept.status, Body::from(kept.body)).into_response();
            let headers = response.headers_mut();
            headers.extend(kept.media_type.map(|media_type| (CONTENT_TYPE, media_type)));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
            return Ok(response);
        }
        Turn::First(making) => making,
    };
    let (answer, body) = next.run(Request::from_parts(parts, Body::from(body))).await.into_parts();
    let body = to_bytes(body, ANSWER_BYTES).await.map_err(|_| Problem::Unavailable)?;
    // What failed on our side is to be tried again.
    if !answer.status.is_server_error() {
        let media_type = answer.headers.get(CONTENT_TYPE).cloned();
        making.keep(Given { status: answer.status, media_type, body: body.clone() });
    }
    Ok(Response::from_parts(answer, Body::from(body)))
}

/// What a key stands for. An import is long, so that its digest is made aside.
async fn digest(head: &Parts, body: Bytes) -> Result<Digest, Problem> {
    let method = head.method.clone();
    let target = head.uri.path_and_query().cloned();
    let media_type = head.headers.get(CONTENT_TYPE).cloned();
    let made = tokio::task::spawn_blocking(move || {
        let target = target.as_ref().map_or("", |target| target.as_str());
        let media_type = media_type.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        Digest::of_parts(&[method.as_str().as_bytes(), target.as_bytes(), media_type, &body])
    });
    made.await.map_err(|_| Problem::Unavailable)
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// A body of an import is so long that others would wait for its digest.
    #[test]
    fn the_digest_of_a_call_is_made_beside_the_calls_of_others() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().expect("a runtime");
        let (go_on, waiting) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async {
            tokio::task::spawn_blocking(move || waiting.recv());
            let head = Request::post("/v1/import").body(()).expect("a request").into_parts().0;
            let mut made = pin!(digest(&head, Bytes::from_static(b"{}")));
            let waits = std::future::poll_fn(|context| {
                Poll::Ready(made.as_mut().poll(context).is_pending())
            });
            assert!(waits.await);
            go_on.send(()).expect("it is held up");
            let once = made.await.expect("made");
            let other = Request::post("/v1/import?").body(()).expect("a request").into_parts().0;
            for (head, body, is_same) in
                [(&head, "{}", true), (&head, "[]", false), (&other, "{}", false)]
            {
                let again = digest(head, Bytes::from_static(body.as_bytes())).await;
                assert_eq!(again.expect("made") == once, is_same, "{body}");
            }
        });
    }
}
