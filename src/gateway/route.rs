//! The request's target: judged once, and forwarded byte for byte as it was judged.
//!
//! A target that could be read in two ways is refused; see [`target`](crate::policy::target).

use std::sync::Arc;

use http::{Method, Uri};

use super::fault::RequestFault;
use super::returned::Opener;
use crate::action::pseudonym::is_token;
use crate::decide::RouteMatch;
use crate::policy::Policy;
use crate::policy::model::{Locator, QueryParameter, Route, Segment};
use crate::policy::target::{LONGEST, encoded, is_segment, pair, segments};
use crate::terms::{DataSubject, Personal};

/// A target that can be read in one way only. It holds personal values, so it does not print.
pub(super) struct Target {
    /// As it came; ASCII.
    path: String,
    /// The path's segments, decoded.
    segments: Vec<String>,
    /// As it came, where there is one; ASCII.
    query: Option<String>,
    /// The query's parameters, in order.
    parameters: Vec<Parameter>,
}

struct Parameter {
    name: String,
    /// Decoded, and opened where it was sealed.
    value: DataSubject,
    /// It came as a token of the category that the route declares, whether it opened or not.
    is_token: bool,
}

/// A target with what it held sealed in its place.
pub(super) struct Opened {
    pub(super) target: Target,
    pub(super) matched: RouteMatch,
    pub(super) tokens: Tokens,
}

/// Whether the tokens of a request open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    /// All do; there may be none.
    Open,
    /// One does not: it stands for nobody, so what is asked for does not exist.
    Unknown,
}

impl Target {
    /// Judges a request's target.
    pub(super) fn judge(uri: &Uri) -> Result<Self, RequestFault> {
        let path = uri.path();
        let query = uri.query().filter(|query| !query.is_empty());
        if path.len() > LONGEST || query.is_some_and(|query| query.len() > LONGEST) {
            return Err(RequestFault::Path);
        }
        let segments = segments(path).ok_or(RequestFault::Path)?;
        let mut parameters = Vec::new();
        for raw in query.iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair(raw).ok_or(RequestFault::Query)?;
            let value = Personal::new(Arc::from(value));
            parameters.push(Parameter { name, value, is_token: false });
        }
        Ok(Self { path: path.to_owned(), segments, query: query.map(str::to_owned), parameters })
    }

    /// Opens the cursors and tokens that the route declares. `None`: a cursor does not open. What is
    /// forwarded holds the opened values, encoded anew. A token that does not open stays as it is, the
    /// name of nobody: the request is decided as for a person who does not exist.
    pub(super) fn opened(
        mut self,
        route: &Route,
        mut matched: RouteMatch,
        keys: &Opener<'_>,
    ) -> Option<Opened> {
        let in_path = self.open_path(route, &mut matched, keys);
        let in_query = self.open_query(route, keys)?;
        let all = in_path == Tokens::Open && in_query == Tokens::Open;
        let tokens = if all { Tokens::Open } else { Tokens::Unknown };
        Some(Opened { target: self, matched, tokens })
    }

    fn open_path(&mut self, route: &Route, matched: &mut RouteMatch, keys: &Opener<'_>) -> Tokens {
        let mut tokens = Tokens::Open;
        let mut raw: Vec<String> = self.path.split('/').map(str::to_owned).collect();
        let is_parameter =
            |(_, segment): &(usize, &Segment)| matches!(segment, Segment::Parameter(_));
        let parameters = route.template.iter().enumerate().filter(is_parameter);
        for ((at, _), (name, value)) in parameters.zip(&mut matched.parameters) {
            let Some(category) = route.path.get(name) else { continue };
            if !is_token(value.expose()) {
                continue;
            }
            let opened = keys.token(category, value.expose());
            let Some(opened) = opened.filter(|opened| is_segment(opened.expose())) else {
                tokens = Tokens::Unknown;
                continue;
            };
            // The path begins with a slash, so its first part is empty.
            if let Some(part) = raw.get_mut(at + 1) {
                *part = encoded(opened.expose());
            }
            self.segments[at].clone_from(opened.expose());
            *value = Personal::new(opened.expose().as_str().into());
        }
        self.path = raw.join("/");
        tokens
    }

    fn open_query(&mut self, route: &Route, keys: &Opener<'_>) -> Option<Tokens> {
        let mut tokens = Tokens::Open;
        let Some(query) = &self.query else { return Some(tokens) };
        let mut pairs: Vec<String> = query.split('&').map(str::to_owned).collect();
        for (parameter, pair) in self.parameters.iter_mut().zip(&mut pairs) {
            let sent = parameter.value.expose();
            let opened = match route.query.get(&parameter.name) {
                Some(QueryParameter::Sealed { domain }) => keys.cursor(domain, sent)?,
                Some(QueryParameter::Category(category)) if is_token(sent) => {
                    parameter.is_token = true;
                    let Some(opened) = keys.token(category, sent) else {
                        tokens = Tokens::Unknown;
                        continue;
                    };
                    opened
                }
                Some(QueryParameter::Category(_) | QueryParameter::Open) | None => continue,
            };
            *pair = format!("{}={}", encoded(&parameter.name), encoded(opened.expose()));
            parameter.value = Personal::new(opened.expose().as_str().into());
        }
        self.query = Some(pairs.join("&"));
        Some(tokens)
    }

    /// What is forwarded: the path and query that were judged.
    pub(super) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Names of the query's parameters, in order, with repetitions. Without those that came as tokens:
    /// who was given a token learns nothing by asking with it.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        let told = self.parameters.iter().filter(|parameter| !parameter.is_token);
        told.map(|parameter| parameter.name.clone()).collect()
    }

    /// The route that method and path match. A `HEAD` is judged as the `GET` it asks about.
    pub(super) fn matches(&self, policy: &Policy, method: &Method) -> Option<RouteMatch> {
        let method = if method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let matched = policy.route(method, &segments)?;
        let personal = |(name, value): (&str, &str)| (name.to_owned(), Personal::new(value.into()));
        let parameters = matched.parameters.into_iter().map(personal).collect();
        Some(RouteMatch { index: matched.index, parameters })
    }

    /// The ids that path and query name, by role of the route. A role may come several times.
    pub(super) fn subjects(
        &self,
        route: &Route,
        matched: &RouteMatch,
    ) -> Vec<(usize, DataSubject)> {
        let mut found = Vec::new();
        for (role, subject) in route.subjects.iter().enumerate() {
            let ids: Vec<&DataSubject> = match &subject.locator {
                Locator::Path(wanted) => {
                    let of_path = matched.parameters.iter();
                    of_path.filter(|(name, _)| name == wanted).map(|(_, id)| id).collect()
                }
                Locator::Query(wanted) => {
                    let of_query = self.parameters.iter();
                    of_query.filter(|one| one.name == *wanted).map(|one| &one.value).collect()
                }
                // Whom a body names is known once it was read.
                Locator::Body(_)
                | Locator::Header(_)
                | Locator::Document(_)
                | Locator::Element(_) => continue,
            };
            let ids = ids.into_iter().filter(|id| !id.expose().is_empty());
            found.extend(ids.map(|id| (role, id.clone())));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::{RequestFault, Target};

    #[test]
    fn a_target_with_two_readings_is_refused() {
        let cases = [
            ("/users/7", true),
            ("/users/7/", true),
            ("/users/7?", true),
            ("/", true),
            ("/users/a%40example.invalid", true),
            ("/users/M%C3%BCller", true),
            ("/users/two%20words", true),
            ("//users/7", false),
            ("/users//7", false),
            ("/users/7//", false),
            ("/users/./7", false),
            ("/users/../7", false),
            ("/users/%2e%2e/7", false),
            ("/users/.%2e/7", false),
            ("/%75sers/7", false),
            ("/users%2f7", false),
            ("/users%2F7", false),
            ("/users%5C7", false),
            ("/users;v=1/7", false),
            ("/users%3B/7", false),
            ("/users/7%00", false),
            ("/users/7%0d%0aX:1", false),
            ("/users/%c0%ae", false),
            ("/users/%ff", false),
            ("/users/%252e", false),
            ("/users/%", false),
            ("/users/%4", false),
            ("/users/%zz", false),
            ("/users/7%3Fa=b", false),
            ("/users/7%23", false),
            ("/users?a=1&b=2", true),
            ("/users?a", true),
            ("/users?filter[name]=x", true),
            ("/users?a=1&&b=2", false),
            ("/users?=1", false),
            ("/users?a=1;b=2", false),
            ("/users?a=b+c", false),
            ("/users?%61=1", false),
            ("/users?a=%00", false),
        ];
        for (target, accepted) in cases {
            let judged = target.parse::<Uri>().map_err(|_| RequestFault::Path);
            let judged = judged.and_then(|uri| Target::judge(&uri));
            assert_eq!(judged.is_ok(), accepted, "{target}");
            if let Ok(judged) = judged {
                let forwarded = judged.path_and_query();
                assert_eq!(forwarded, target.trim_end_matches('?'), "forwarded as judged");
            }
        }
    }
}
