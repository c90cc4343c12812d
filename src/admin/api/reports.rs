//! Reports. What is about one person is asked for in a body, since URLs end up in logs; the rest by a
//! plain `GET`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as Parameters, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Answer, Body, read, subject_of};
use crate::admin::AdminState;
use crate::admin::guard::About;
use crate::admin::problem::Problem;
use crate::keys::NoteKey;
use crate::ledger::SubjectIndex;
use crate::reports::{self, Document, Form, Name, Query, ReportError, Sources, window};
use crate::terms::DataSubject;

/// Most reports made at a time: each reads the ledger from its beginning, twice.
const TURNS: usize = 1;

/// What reports are made from, beside the registers and the rules in force.
pub struct Reporting {
    /// The ledger's directory.
    pub ledger: PathBuf,
    /// Its index of data subjects.
    pub index: Arc<SubjectIndex>,
    /// The key that its checkpoints are signed with.
    pub key: Option<NoteKey>,
    turns: Semaphore,
}

impl Reporting {
    /// From this ledger.
    #[must_use]
    pub fn new(ledger: PathBuf, index: Arc<SubjectIndex>, key: Option<NoteKey>) -> Self {
        Self { ledger, index, key, turns: Semaphore::new(TURNS) }
    }
}

/// What a `GET` may ask.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    recipient: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
}

/// What a `POST` may ask: about somebody, or which of some people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedAbout {
    subject: Option<String>,
    #[serde(default)]
    among: Vec<String>,
    recipient: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
}

/// A report that is about nobody.
pub(super) async fn report(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    asked: Result<Parameters<Asked>, QueryRejection>,
) -> Answer {
    let name = Name::parse(&name).ok_or(Problem::NotFound)?;
    // The words of the rejection quote what was written.
    let Ok(Parameters(asked)) = asked else {
        return Err(Problem::Invalid("known here: recipient, from, to, format".into()));
    };
    if name.is_about_a_person() {
        let how = "a report about a person is asked for by POST, with the subject in the body";
        return Err(Problem::Invalid(how.into()));
    }
    let query = Query {
        recipient: asked.recipient.map(Into::into),
        window: window(asked.from.as_deref(), asked.to.as_deref())
            .map_err(|error| invalid(&error))?,
        ..Query::default()
    };
    let form = form(asked.format.as_deref())?;
    let document = make(&state, name, query).await?;
    written(&document, form)
}

/// A report that is about people, who are entered in the ledger as looked up.
pub(super) async fn report_about(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name = Name::parse(&name).ok_or(Problem::NotFound)?;
    let asked: AskedAbout = read(&headers, body)?;
    let query = Query {
        person: asked.subject.map(subject_of).transpose()?,
        recipient: asked.recipient.map(Into::into),
        window: window(asked.from.as_deref(), asked.to.as_deref())
            .map_err(|error| invalid(&error))?,
        among: asked.among.into_iter().map(subject_of).collect::<Result<_, _>>()?,
    };
    let form = form(asked.format.as_deref())?;
    let people = known(&state, &query).await?;
    let document = make(&state, name, query).await?;
    let mut answer = written(&document, form)?;
    answer.extensions_mut().insert(About(people));
    Ok(answer)
}

/// Whoever has a secret in the index. Nobody gets one for having been looked up.
async fn known(state: &AdminState, query: &Query) -> Result<Vec<DataSubject>, Problem> {
    let mut people: Vec<DataSubject> = query.person.iter().cloned().collect();
    people.extend(query.among.iter().cloned());
    let index = Arc::clone(&state.reports.index);
    let kept = tokio::task::spawn_blocking(move || {
        people.retain(|person| index.knows(person).unwrap_or(false));
        people
    });
    kept.await.map_err(|_| Problem::Unavailable)
}

/// Makes it aside, one at a time, since it reads the whole ledger.
async fn make(state: &AdminState, name: Name, query: Query) -> Result<Document, Problem> {
    let reporting = Arc::clone(&state.reports);
    let _turn = reporting.turns.acquire().await.map_err(|_| Problem::Unavailable)?;
    let (policy, registers) = (state.policy.load_full(), Arc::clone(&state.registers));
    let place = Arc::clone(&state.reports);
    let made = tokio::task::spawn_blocking(move || {
        let sources = Sources {
            policy: &policy,
            ledger: &place.ledger,
            index: &place.index,
            registers: &registers,
            key: place.key.as_ref(),
        };
        reports::report(name, &query, &sources, Timestamp::now())
    });
    match made.await.map_err(|_| Problem::Unavailable)? {
        Ok(document) => Ok(document),
        Err(ReportError::Registers(_)) => Err(Problem::Unavailable),
        Err(ReportError::Ledger(error)) => {
            tracing::warn!(%error, "a report was not made");
            Err(Problem::NotEntered)
        }
        Err(ReportError::NoLedger(_)) => Err(Problem::NotEntered),
        Err(error) => Err(invalid(&error)),
    }
}

fn invalid(error: &ReportError) -> Problem {
    Problem::Invalid(error.to_string())
}

fn form(word: Option<&str>) -> Result<Form, Problem> {
    let known = || Problem::Invalid("format: json, csv, html or jsonld".into());
    word.map_or(Some(Form::default()), Form::parse).ok_or_else(known)
}

/// A report of a broken ledger is one all the same: its head says what is wrong.
fn written(document: &Document, form: Form) -> Answer {
    let no_form = || Problem::Invalid("only art30 can be had as JSON-LD".into());
    let text = form.write(document).ok_or_else(no_form)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(form.media_type())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let answer: Response = (StatusCode::OK, headers, text).into_response();
    Ok(answer)
}
