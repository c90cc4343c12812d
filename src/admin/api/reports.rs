//! Reports. What is about one person is asked for in a body, since URLs end up in logs; the rest by a
//! plain `GET`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as Parameters, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Answer, Body, about, read, subject_of};
use crate::admin::AdminState;
use crate::admin::problem::Problem;
use crate::keys::NoteKey;
use crate::ledger::{LedgerUnavailable, Place, SubjectIndex};
use crate::reports::{self, Document, Form, Name, Query, ReportError, Source, Sources, window};
use crate::terms::DataSubject;

/// Most reports made at a time: each reads the ledger from its beginning, twice.
const TURNS: usize = 1;

/// Most reports made or waited for. They are made to the end though nobody waits any more, so that
/// there must be a bound.
const ASKED: usize = 16;

/// What reports are made from, beside the registers and the rules in force.
pub struct Reporting {
    /// The ledger, with its index of data subjects.
    pub source: Source,
    /// The key that its checkpoints are signed with, if they are.
    pub keys: Vec<NoteKey>,
    turns: Arc<Semaphore>,
    asked: Arc<Semaphore>,
}

/// What a `GET` may ask.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedOpenly {
    recipient: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
}

impl From<AskedOpenly> for Asked {
    fn from(AskedOpenly { recipient, from, to, format }: AskedOpenly) -> Self {
        Self { subject: None, among: Vec::new(), recipient, from, to, format }
    }
}

impl Asked {
    fn read(self) -> Result<(Query, Form), Problem> {
        let query = Query {
            person: self.subject.map(subject_of).transpose()?,
            recipient: self.recipient.map(Into::into),
            window: window(self.from.as_deref(), self.to.as_deref())
                .map_err(|error| invalid(&error))?,
            among: self.among.into_iter().map(subject_of).collect::<Result<_, _>>()?,
        };
        Ok((query, form(self.format.as_deref())?))
    }
}

impl Reporting {
    /// From this ledger.
    #[must_use]
    pub fn new(place: impl Into<Place>, index: Arc<SubjectIndex>, key: Option<NoteKey>) -> Self {
        let [turns, asked] = [TURNS, ASKED].map(|most| Arc::new(Semaphore::new(most)));
        let keys = key.into_iter().collect();
        Self { source: Source { place: place.into(), index }, keys, turns, asked }
    }
}

/// What may be asked: by a `GET` without people, by a `POST` about somebody, or which of some people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
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
    asked: Result<Parameters<AskedOpenly>, QueryRejection>,
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
    let (query, form) = Asked::from(asked).read()?;
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
    let (query, form) = read::<Asked>(&headers, body)?.read()?;
    let people = query.person.iter().chain(&query.among).cloned().collect();
    let document = make(&state, name, query).await?;
    let answer = written(&document, form)?;
    Ok(about(answer, known(Arc::clone(&state.reports.source.index), people).await?))
}

/// Whoever has a secret in the index, now that the report is made: who got one meanwhile may stand in
/// it, and who was erased meanwhile gets none for having been looked up. While nobody can say who has
/// one, nothing is told.
async fn known(
    index: Arc<SubjectIndex>,
    people: Vec<DataSubject>,
) -> Result<Vec<DataSubject>, Problem> {
    let kept = tokio::task::spawn_blocking(move || {
        let mut kept = Vec::new();
        for person in people {
            if index.knows(&person)? {
                kept.push(person);
            }
        }
        Ok(kept)
    });
    let kept: Result<_, LedgerUnavailable> = kept.await.map_err(|_| Problem::Unavailable)?;
    kept.map_err(|error| not_made(&error))
}

/// Makes it aside, one at a time, since it reads the whole ledger.
async fn make(state: &AdminState, name: Name, query: Query) -> Result<Document, Problem> {
    let asked = Arc::clone(&state.reports.asked).try_acquire_owned().map_err(|_| Problem::Busy)?;
    let turn = Arc::clone(&state.reports.turns).acquire_owned().await;
    let turn = turn.map_err(|_| Problem::Unavailable)?;
    let (policy, registers) = (state.policy.load_full(), Arc::clone(&state.registers));
    let place = Arc::clone(&state.reports);
    let made = tokio::task::spawn_blocking(move || {
        // The turn is over with the work, whoever still waits for it.
        let _turns = (asked, turn);
        let sources = Sources {
            policy: &policy,
            ledgers: std::slice::from_ref(&place.source),
            registers: &registers,
            keys: &place.keys,
        };
        reports::report(name, &query, &sources, Timestamp::now())
    });
    match made.await.map_err(|_| Problem::Unavailable)? {
        Ok(document) => Ok(document),
        Err(ReportError::Registers(_)) => Err(Problem::Unavailable),
        Err(ReportError::Ledger(error)) => Err(not_made(&error)),
        Err(ReportError::NoLedger(_) | ReportError::Unreadable(..)) => Err(Problem::NotEntered),
        Err(error) => Err(invalid(&error)),
    }
}

fn not_made(error: &LedgerUnavailable) -> Problem {
    tracing::warn!(%error, "a report was not made");
    Problem::NotEntered
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use arc_swap::ArcSwap;
    use rusqlite::Connection;
    use tempfile::TempDir;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::admin::guard::About;
    use crate::admin::{Access, Calls, ChangeDrain, Material, Standing};
    use crate::config::AdminConfig;
    use crate::keys::KeyRing;
    use crate::ledger::{FileLedger, IndexKey, Ledger, Note};
    use crate::policy::Policy;
    use crate::registers::RegisterStore;
    use crate::terms::Personal;

    const RULES: &str = include_str!("../../../tests/cases/reports.rules.yaml");

    /// What reports are made from, and one thread to make them.
    struct Office {
        state: AdminState,
        runtime: Runtime,
        folder: TempDir,
    }

    impl Office {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let place = folder.path().join("ledger");
            let keys = KeyRing::ephemeral().expect("a ring").index_keys().into_iter();
            let keys = keys.map(|(rows, secrets)| IndexKey { rows, secrets }).collect();
            let index = Arc::new(SubjectIndex::open(&place, keys).expect("opens"));
            let ledger = FileLedger::open(&place, "gw-1").expect("opens");
            let ledger: Arc<dyn Ledger> = Arc::new(ledger.with_index(Arc::clone(&index)));
            let registers = RegisterStore::embedded(&folder.path().join("registers.db"));
            let (registers, metrics) = (Arc::new(registers.expect("opens")), Arc::default());
            let drain =
                ChangeDrain::new(Arc::clone(&registers), Arc::clone(&ledger), Arc::clone(&metrics));
            let policy = Policy::parse("rules.yaml", RULES).expect("the rules load");
            let access = Access::new(AdminConfig::default(), Vec::new());
            let state = AdminState {
                consents_elsewhere: false,
                policy: Arc::new(ArcSwap::from_pointee(policy)),
                registers,
                ledger,
                drain: Arc::new(drain),
                metrics,
                access: Arc::new(ArcSwap::from_pointee(access)),
                calls: Arc::new(Calls::default()),
                reports: Arc::new(Reporting::new(&place, index, None)),
                standing: Arc::new(Standing::since(
                    Timestamp::now(),
                    || serde_json::json!({}),
                    || Material { words: None, serves: true },
                )),
                stopping: Arc::default(),
            };
            let mut runtime = Builder::new_current_thread();
            let runtime = runtime.max_blocking_threads(1).build().expect("a runtime");
            Self { state, runtime, folder }
        }

        /// From here on the ledger knows this person.
        async fn meet(&self, id: &str) {
            let note = Note::Call {
                by: "desk".into(),
                role: None,
                method: "GET",
                route: "-".into(),
                status: 200,
                about: vec![Personal::new(id.into())],
            };
            self.state.ledger.note(&note).await.expect("durable");
        }
    }

    /// Whether it waits for something.
    async fn waits(asked: std::pin::Pin<&mut impl Future>) -> bool {
        let mut asked = asked;
        std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await
    }

    #[test]
    fn a_report_whose_caller_is_gone_keeps_its_turn_until_it_is_made() {
        let office = Office::new();
        let (go_on, held) = std::sync::mpsc::channel::<()>();
        let turns = Arc::clone(&office.state.reports.turns);
        office.runtime.block_on(async {
            tokio::task::spawn_blocking(move || held.recv());
            {
                let made = make(&office.state, Name::Refusals, Query::default());
                assert!(waits(pin!(made)).await);
            }
            assert!(turns.try_acquire().is_err(), "it is being made");
            go_on.send(()).expect("it is held up");
            assert!(turns.acquire().await.is_ok());
        });
    }

    #[test]
    fn more_reports_than_may_wait_are_refused() {
        let office = Office::new();
        office.runtime.block_on(async {
            let asked = office.state.reports.asked.acquire_many(u32::try_from(ASKED).expect("few"));
            let _all = asked.await.expect("free");
            let made = make(&office.state, Name::Refusals, Query::default()).await;
            assert!(matches!(made, Err(Problem::Busy)));
        });
    }

    #[test]
    fn whom_a_report_is_about_is_asked_when_it_is_made_and_no_guess_is_an_answer() {
        let office = Office::new();
        let ask = || {
            let json = HeaderValue::from_static("application/json");
            let body = Ok("{\"subject\":\"u1\"}".into());
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
            report_about(State(office.state.clone()), Path("subject".into()), headers, body)
        };
        office.runtime.block_on(async {
            let turn = office.state.reports.turns.acquire().await.expect("free");
            let mut asked = pin!(ask());
            // One more time than it has steps before its turn.
            for _ in 0..3 {
                assert!(waits(asked.as_mut()).await);
                tokio::task::yield_now().await;
            }
            office.meet("u1").await;
            drop(turn);
            let answer = asked.await.expect("an answer");
            let About(people) = answer.extensions().get::<About>().expect("it is said").clone();
            assert_eq!(people, [Personal::new("u1".into())], "they may stand in the report");
        });
        let file = Connection::open(office.folder.path().join("ledger/subjects.db"));
        let spoil = "UPDATE secrets SET secret = 'x'";
        assert_eq!(file.expect("ours").execute(spoil, []).ok(), Some(1));
        let index = Arc::clone(&office.state.reports.source.index);
        let people = vec![Personal::new("u1".into())];
        let found = office.runtime.block_on(known(index, people));
        assert!(matches!(found, Err(Problem::NotEntered)), "nobody can say who is known");
    }
}
