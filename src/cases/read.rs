//! Case files: YAML → [`Case`]. The form is in docs/RULES.md, "Cases". A misspelt key, an unknown
//! name or a case that expects nothing is an error: a case that proves nothing must not pass.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::said::{Papers, Said, SaidCase, SaidOrder};

/// When cases happen that do not say when: a day on which the contracts of the packs are in date.
const USUAL_MOMENT: &str = "2026-06-01T12:00:00Z";

/// A documentation address (RFC 5737), for cases that do not say where the client is.
const USUAL_ADDRESS: &str = "203.0.113.77";

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, in words.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// The line it begins on.
    pub line: u64,
    /// The promises it proves.
    pub keeps: Vec<String>,
    /// A change of the rules that it is about.
    pub change: Option<Change>,
    /// What is to be seen.
    pub expected: Expected,
}

/// What a case is about.
#[derive(Clone, Debug)]
pub enum Expected {
    /// `tamis check` says this of the changed rules, and not of the rules as they are.
    Finding(String),
    /// An exchange comes to this.
    Exchange(Box<Exchange>),
    /// Whoever is told that a person was erased gets these names of them.
    Notices(Box<Notices>),
}

/// An erasure, and who is told of whom.
#[derive(Clone, Debug)]
pub struct Notices {
    pub(super) person: String,
    pub(super) at: Timestamp,
    pub(super) said: BTreeMap<String, Said>,
    /// By recipient, nobody else: the names; empty where nothing may be told there.
    pub(super) tells: BTreeMap<String, Vec<String>>,
}

/// Other rules than those of the pack.
#[derive(Clone, Debug)]
pub struct Change {
    /// A text of the rules that stands in them exactly once.
    pub instead_of: String,
    /// What is written there.
    pub write: String,
}

/// A request, a backend's answer, and what the client is to get.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(super) recipient: String,
    pub(super) person: Option<String>,
    pub(super) credential_purposes: Option<Vec<String>>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) address: std::net::IpAddr,
    pub(super) at: Timestamp,
    pub(super) said: BTreeMap<String, Said>,
    pub(super) papers: Papers,
    pub(super) brings: Option<String>,
    pub(super) backend: String,
    pub(super) backend_status: StatusCode,
    pub(super) backend_headers: HeaderMap,
    pub(super) gets: Option<Gets>,
    pub(super) refused: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) answer_headers: BTreeMap<String, Option<OneOrMany>>,
    pub(super) backend_asked_with: BTreeMap<String, Option<OneOrMany>>,
    pub(super) backend_asked_for: Option<String>,
    pub(super) backend_gets: Option<Value>,
    pub(super) asked_again: Option<String>,
    pub(super) logs: Option<Value>,
    /// What becomes of that line when it is older.
    pub(super) logs_cold: Option<Value>,
}

/// How an expected body is compared.
#[derive(Clone, Debug)]
pub(super) enum Gets {
    /// As JSON; a string that ends in `…` stands for every string that begins so.
    Json(Value),
    /// Byte for byte.
    Bytes(String),
    /// As JSON whose objects may hold more; for documents that are about nobody.
    AtLeast(Value),
}

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn list(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().map(String::as_str).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    answers: BTreeMap<String, String>,
    #[serde(default)]
    orders: BTreeMap<String, SaidOrder>,
    #[serde(default)]
    opened: BTreeMap<String, SaidCase>,
    cases: Vec<Spanned<RawCase>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    case: String,
    #[serde(default)]
    keeps: Vec<String>,
    instead_of: Option<String>,
    write: Option<String>,
    finds: Option<String>,
    #[serde(rename = "as")]
    recipient: Option<String>,
    person: Option<String>,
    #[serde(rename = "for")]
    purposes: Option<OneOrMany>,
    credential_for: Option<Vec<String>>,
    ask: Option<String>,
    erases: Option<String>,
    tells: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, rename = "with")]
    headers: BTreeMap<String, String>,
    address: Option<String>,
    at: Option<String>,
    #[serde(default)]
    said: BTreeMap<String, Said>,
    #[serde(default)]
    orders: BTreeMap<String, SaidOrder>,
    #[serde(default)]
    opened: BTreeMap<String, SaidCase>,
    brings: Option<String>,
    backend: Option<String>,
    backend_status: Option<u16>,
    #[serde(default)]
    backend_headers: BTreeMap<String, OneOrMany>,
    gets: Option<String>,
    gets_exactly: Option<String>,
    gets_at_least: Option<String>,
    refused: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    answer_headers: BTreeMap<String, Option<OneOrMany>>,
    #[serde(default)]
    backend_asked_with: BTreeMap<String, Option<OneOrMany>>,
    backend_asked_for: Option<String>,
    backend_gets: Option<String>,
    asked_again: Option<String>,
    logs: Option<String>,
    logs_cold: Option<String>,
}

/// Reads one file of cases. The error is in words, with file and line.
pub(super) fn cases(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let raw: RawFile = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let words = error.without_snippet().to_string();
        format!("{file}:{line}: {}", words.lines().next().unwrap_or("malformed"))
    })?;
    let shared =
        Shared { answers: raw.answers, papers: Papers { orders: raw.orders, cases: raw.opened } };
    let mut cases = Vec::new();
    for spanned in raw.cases {
        let line = spanned.referenced.line();
        let case = case(&shared, spanned.value).map_err(|what| format!("{file}:{line}: {what}"))?;
        cases.push(Case { file: file.to_owned(), line, ..case });
    }
    if cases.is_empty() {
        return Err(format!("{file}: no cases"));
    }
    Ok(cases)
}

/// What all cases of a file share.
struct Shared {
    answers: BTreeMap<String, String>,
    papers: Papers,
}

fn case(shared: &Shared, raw: RawCase) -> Result<Case, String> {
    let change = match (raw.instead_of.clone(), raw.write.clone()) {
        (Some(instead_of), Some(write)) => Some(Change { instead_of, write }),
        (None, None) => None,
        _ => return Err("`instead_of` and `write` belong together".to_owned()),
    };
    let (name, keeps) = (raw.case.clone(), raw.keeps.clone());
    let expected = match (&raw.finds, &raw.ask, &raw.erases) {
        (Some(_), None, None) if change.is_none() => {
            return Err("`finds` is about changed rules: write `instead_of` and `write`".to_owned());
        }
        (Some(code), None, None) => Expected::Finding(code.clone()),
        (None, Some(_), None) => Expected::Exchange(Box::new(exchange(shared, raw)?)),
        (None, None, Some(_)) => Expected::Notices(Box::new(notices(raw)?)),
        (None, None, None) => return Err("a case needs `ask`, `finds` or `erases`".to_owned()),
        _ => return Err("a case asks, finds or erases: one of them".to_owned()),
    };
    Ok(Case { name, file: String::new(), line: 0, keeps, change, expected })
}

fn exchange(shared: &Shared, raw: RawCase) -> Result<Exchange, String> {
    let ask = raw.ask.unwrap_or_default();
    let (method, target) = ask.split_once(' ').ok_or("`ask` is a method and a target")?;
    let method = method.parse().map_err(|_| "`ask` begins with no method")?;
    let uri = target.parse().map_err(|_| "`ask` names no target")?;
    let mut headers = HeaderMap::new();
    for (name, value) in &raw.headers {
        add(&mut headers, name, value)?;
    }
    if raw.brings.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for purpose in raw.purposes.iter().flat_map(OneOrMany::list) {
        add(&mut headers, "tamis-purpose", purpose)?;
    }
    let mut backend_headers = HeaderMap::new();
    for (name, values) in &raw.backend_headers {
        for value in values.list() {
            add(&mut backend_headers, name, value)?;
        }
    }
    let backend = match raw.backend {
        None => "{}".to_owned(),
        Some(text) if text.is_empty() || text.trim_start().starts_with(['{', '[']) => text,
        Some(name) => shared
            .answers
            .get(&name)
            .cloned()
            .ok_or_else(|| format!("`answers` has no `{name}`"))?,
    };
    let json = |text: &str, what: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("`{what}` is no JSON: {error}"))
    };
    let gets = match (&raw.gets, raw.gets_exactly, &raw.gets_at_least) {
        (Some(text), None, None) => Some(Gets::Json(json(text, "gets")?)),
        (None, Some(text), None) => Some(Gets::Bytes(text)),
        (None, None, Some(text)) => Some(Gets::AtLeast(json(text, "gets_at_least")?)),
        (None, None, None) => None,
        _ => return Err("`gets`, `gets_exactly`, `gets_at_least`: one of them".to_owned()),
    };
    let backend_gets =
        raw.backend_gets.as_deref().map(|text| json(text, "backend_gets")).transpose()?;
    let backend_status = raw
        .backend_status
        .unwrap_or(200)
        .try_into()
        .ok()
        .filter(|status: &StatusCode| status.is_success() || status.is_redirection())
        .ok_or("`backend_status` is none of a success or a redirect")?;
    let mut papers = shared.papers.clone();
    papers.orders.extend(raw.orders);
    papers.cases.extend(raw.opened);
    let logs = raw.logs.as_deref().map(|text| json(text, "logs")).transpose()?;
    let logs_cold = raw.logs_cold.as_deref().map(|text| json(text, "logs_cold")).transpose()?;
    if gets.is_some() == raw.refused.is_some() {
        return Err("say what it gets, or that it is refused".to_owned());
    }
    let moment = raw.at.as_deref().unwrap_or(USUAL_MOMENT);
    let address = raw.address.as_deref().unwrap_or(USUAL_ADDRESS);
    Ok(Exchange {
        recipient: raw.recipient.ok_or("`as` is missing: who asks?")?,
        person: raw.person,
        credential_purposes: raw.credential_for,
        method,
        uri,
        headers,
        address: address.parse().map_err(|_| "`address` is no IP address")?,
        at: moment.parse().map_err(|_| "`at` is no moment such as \"2026-06-01T12:00:00Z\"")?,
        said: raw.said,
        papers,
        brings: raw.brings,
        backend,
        backend_status,
        backend_headers,
        gets,
        refused: raw.refused,
        status: raw.status,
        answer_headers: raw.answer_headers,
        backend_asked_with: raw.backend_asked_with,
        backend_asked_for: raw.backend_asked_for,
        backend_gets,
        asked_again: raw.asked_again,
        logs,
        logs_cold,
    })
}

fn notices(raw: RawCase) -> Result<Notices, String> {
    let moment = raw.at.as_deref().unwrap_or(USUAL_MOMENT);
    Ok(Notices {
        person: raw.erases.unwrap_or_default(),
        at: moment.parse().map_err(|_| "`at` is no moment such as \"2026-06-01T12:00:00Z\"")?,
        said: raw.said,
        tells: raw.tells.ok_or("say whom it `tells`, by which names")?,
    })
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header"))?;
    let value = HeaderValue::from_str(value).map_err(|_| format!("no value for `{name}`"))?;
    headers.append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cases;

    const WHOLE: &str = "cases:\n- {case: a, as: desk, ask: GET /x, refused: erased}\n";

    #[test]
    fn a_case_that_proves_nothing_is_an_error() {
        assert_eq!(cases("f", WHOLE).map(|cases| cases.len()), Ok(1));
        for (written, instead, complaint) in [
            ("refused", "refuesd", "unknown field"),
            (", refused: erased", "", "say what it gets"),
            ("ask: GET /x, ", "", "needs `ask`, `finds` or `erases`"),
            ("as: desk, ", "", "who asks?"),
            ("GET /x", "/x", "method and a target"),
            ("refused: erased", "gets: '{', refused: erased", "no JSON"),
            ("case: a", "case: a, backend: nothing", "no `nothing`"),
            ("case: a", "case: a, write: b", "belong together"),
            ("case: a", "case: a, backend_status: 404", "none of a success"),
            ("refused: erased", "gets: '{}', gets_at_least: '{}'", "one of them"),
            ("ask: GET /x, refused: erased", "erases: u1", "whom it `tells`"),
            ("ask: GET /x", "ask: GET /x, erases: u1, tells: {}", "one of them"),
            ("case: a", "case: a, opened: {C-1: {for: [a]}}", "missing field"),
            ("case: a", "case: a, orders: {o: {to: a, abuot: []}}", "unknown field"),
        ] {
            let spoilt = WHOLE.replace(written, instead);
            let error = cases("f", &spoilt).expect_err(&spoilt);
            assert!(error.contains(complaint), "{spoilt}: {error}");
            assert!(error.starts_with("f:"), "{error}");
        }
    }
}
