//! Who may use the admin API: holders of a token, and no browser.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, HeaderMap, ORIGIN};
use http::uri::Authority;
use subtle::ConstantTimeEq as _;

use super::AdminState;
use super::problem::Problem;
use crate::observe::Event;
use crate::terms::Digest;

/// Longest token that is looked at.
const TOKEN_BYTES: usize = 1024;

/// The name of the token's holder, for what is done in a person's own name.
#[derive(Clone)]
pub(super) struct Holder(pub(super) String);

/// Refuses whatever a browser or a foreign name brings, then whoever holds no token, and counts the
/// request under its route's template.
pub(super) async fn admin(
    State(state): State<AdminState>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let by = holder(request.headers(), &state.tokens).map(str::to_owned);
    let response = match foreign(&request, &state.hosts) {
        Some(why) => Problem::Forbidden(why).into_response(),
        None => match by.clone() {
            None => Problem::Unauthorized.into_response(),
            Some(by) => {
                request.extensions_mut().insert(Holder(by));
                next.run(request).await
            }
        },
    };
    let route = path.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    Event::AdminUsed { by: by.as_deref(), route, status }.emit(&state.metrics);
    response
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

/// The name of the token's holder. Every token of the configuration is compared, in constant time.
fn holder<'a>(headers: &HeaderMap, tokens: &'a BTreeMap<String, Digest>) -> Option<&'a str> {
    let mut stated = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (stated.next(), stated.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > TOKEN_BYTES {
        return None;
    }
    let digest = Digest::of(token.as_bytes());
    let mut found = None;
    for (name, known) in tokens {
        if bool::from(digest.as_bytes().ct_eq(known.as_bytes())) {
            found = Some(name.as_str());
        }
    }
    found
}
