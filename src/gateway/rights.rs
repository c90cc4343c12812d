//! What people ask of the gateway itself: who was told what about me; erase, restrict or correct; and
//! the one click by which somebody leaves a mailing list.
//!
//! A report and a receipt are for the person who asks and for nobody else; each is noted in the ledger
//! before it leaves. A request counts in the registers from the moment the receipt is given.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{AcquireError, Semaphore};
use tokio::time::timeout;

use super::fit::is_json;
use super::state::Gateway;
use crate::decide::{RouteMatch, Service};
use crate::keys::KeyRing;
use crate::ledger::{Ledger, LedgerUnavailable, Note, ToldToOthers, subject_report};
use crate::minimize::without_doubles;
use crate::observe::Event;
use crate::policy::Policy;
use crate::policy::model::{Route, Serve};
use crate::registers::{ObjectionRecord, Record, RecordError, RequestReceipt, RightRequest};
use crate::terms::{
    CategoryPattern, DataSubject, DecisionId, Personal, PurposeId, PurposePattern, RefusalReason,
    Right, RouteId,
};

/// Longest body of a request: a list of categories, or the one pair of RFC 8058.
const BODY_BYTES: usize = 4 << 10;

/// Most reports made at a time: each reads the ledger from its beginning.
pub(super) const REPORTS: usize = 2;

/// What the gateway has to say, and whether it only took something in.
pub(super) struct Given {
    pub(super) document: Map<String, Value>,
    pub(super) is_receipt: bool,
}

/// Answers one person about themselves.
pub(super) async fn give(
    gateway: &Gateway,
    policy: &Arc<Policy>,
    service: &Service,
    route: &Route,
    (headers, body): (&HeaderMap, Incoming),
    now: Timestamp,
) -> Result<Given, RefusalReason> {
    if !gateway.pace.allows(service.person(), Instant::now()) {
        return Err(RefusalReason::RateLimited);
    }
    match route.serve {
        Some(Serve::SubjectReport) => {
            note(gateway, policy, service.decision(), &route.id, "subject-report").await?;
            let account = account(&gateway.reports, &gateway.ledger, service.person()).await;
            let account = account.map_err(|unavailable| {
                Event::LedgerUnavailable { why: &unavailable.0 }.emit(&gateway.metrics);
                RefusalReason::LedgerUnavailable
            })?;
            let document = subject_report(policy, &account, now);
            Ok(Given { document, is_receipt: false })
        }
        Some(Serve::RightsInbox(right)) => {
            let body = small(gateway, headers, body).await?;
            let categories = categories(policy, right, headers, &body)?;
            let subject = service.person().clone();
            let request = RightRequest { subject, right, categories };
            let registers = Arc::clone(&gateway.registers);
            let taken = tokio::task::spawn_blocking(move || registers.request(&request)).await;
            let taken = match taken {
                Ok(Ok(taken)) => taken.ok_or(RefusalReason::RateLimited)?,
                Ok(Err(RecordError::Invalid(_))) => return Err(RefusalReason::RequestContent),
                Ok(Err(RecordError::Unavailable(_))) | Err(_) => {
                    Event::RegistersUnavailable.emit(&gateway.metrics);
                    return Err(RefusalReason::RegisterStale);
                }
            };
            note(gateway, policy, service.decision(), &route.id, right.as_str()).await?;
            Ok(Given { document: receipt(right, &taken), is_receipt: true })
        }
        Some(Serve::Objection | Serve::PolicyDocument | Serve::ControllerContact) | None => {
            Err(RefusalReason::RouteNotCatalogued)
        }
    }
}

/// What the ledger says of one person, read in its turn. The reading goes on when the person is gone, and
/// the turn is over with it.
async fn account(
    turns: &Arc<Semaphore>,
    ledger: &Arc<dyn Ledger>,
    person: &DataSubject,
) -> Result<ToldToOthers, LedgerUnavailable> {
    let ended = |_: AcquireError| LedgerUnavailable("the ledger was not read".into());
    let turn = Arc::clone(turns).acquire_owned().await.map_err(ended)?;
    let (ledger, person) = (Arc::clone(ledger), person.clone());
    let read = tokio::spawn(async move {
        let _turn = turn;
        ledger.about(&person).await
    });
    read.await.map_err(|_| LedgerUnavailable("the ledger was not read".into()))?
}

/// Who answers people's requests about data that the company only works with: the refusal that says
/// so, and the controller's contact. A controller that the rules do not name is none.
pub(super) fn other_controller(
    policy: &Policy,
    matched: &RouteMatch,
) -> (RefusalReason, Option<String>) {
    let named = matched.parameters.first();
    let contact = named.and_then(|(_, name)| policy.about.controllers.get(&**name.expose()));
    match contact {
        Some(contact) => (RefusalReason::OtherController, Some(contact.clone())),
        None => (RefusalReason::NotFound, None),
    }
}

/// The receipt for a request. Source: GDPR Art. 12(3).
pub(super) fn receipt(right: Right, taken: &RequestReceipt) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("receipt".into(), json!(taken.id));
    document.insert("right".into(), json!(right.as_str()));
    document.insert("received_at".into(), json!(format!("{:.0}", taken.received_at)));
    document.insert(
        "answer_by".into(),
        json!(taken.answer_by().map(|day| day.to_string()).unwrap_or_default()),
    );
    document.insert("in_force".into(), json!(right.is_in_force_at_once()));
    document
}

/// Hears an objection that a token in the path stands for. Whoever has the token got it from us.
/// Source: RFC 8058.
pub(super) async fn object(
    gateway: &Gateway,
    policy: &Arc<Policy>,
    matched: &RouteMatch,
    (headers, body): (&HeaderMap, Incoming),
    decision: &DecisionId,
) -> Result<Given, RefusalReason> {
    let body = small(gateway, headers, body).await?;
    if !is_one_click(headers, &body) {
        return Err(RefusalReason::RequestContent);
    }
    let (subject, purpose) =
        whose(&gateway.keys, policy, matched).ok_or(RefusalReason::NotFound)?;
    let registers = Arc::clone(&gateway.registers);
    let pattern = PurposePattern::new(purpose.as_str());
    let about = purpose.clone();
    let heard = tokio::task::spawn_blocking(move || {
        let now = Timestamp::now();
        let said = registers.statements(&subject).map_err(|_| ())?;
        let is_known = |objection: &crate::terms::Objection| {
            objection.since <= now && objection.purpose.covers(&about)
        };
        if said.objections.iter().any(is_known) {
            return Ok(false);
        }
        let record = Record::Objection(ObjectionRecord {
            id: None,
            subject,
            purpose: pattern,
            since: now,
            channel: Some("one-click".into()),
            source: Some("gateway".into()),
        });
        registers.record(&record).map(|_| true).map_err(|_| ())
    });
    let Ok(Ok(is_new)) = heard.await else {
        Event::RegistersUnavailable.emit(&gateway.metrics);
        return Err(RefusalReason::RegisterStale);
    };
    // A click on what was heard already changes nothing: whoever has a link could fill the ledger.
    if is_new {
        note(gateway, policy, decision, &policy.routes[matched.index].id, "objection").await?;
    }
    Ok(Given { document: heard_of(&purpose), is_receipt: false })
}

pub(super) fn heard_of(purpose: &PurposeId) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("objected_to".into(), json!(purpose.as_str()));
    document
}

/// Whom the token in the path stands for, and the purpose that they object to. It is a token of a
/// recipient that is granted tokens for this purpose; one of anybody else stands for nobody.
pub(super) fn whose(
    keys: &KeyRing,
    policy: &Policy,
    matched: &RouteMatch,
) -> Option<(DataSubject, PurposeId)> {
    let [(_, token)] = matched.parameters.as_slice() else { return None };
    let [purpose] = policy.routes[matched.index].purposes.as_deref()? else { return None };
    let found = policy.token_holders(purpose).find_map(|(recipient, category)| {
        let issued_to = std::slice::from_ref(recipient);
        keys.keys_of_tokens(policy, issued_to, category).open(token.expose())
    })?;
    Some((Personal::new(found.expose().as_str().into()), purpose.clone()))
}

/// The one pair of RFC 8058 §3.1, in either of the two forms that it allows.
pub(super) fn is_one_click(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let Ok(text) = std::str::from_utf8(body) else { return false };
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return text.trim() == "List-Unsubscribe=One-Click";
    }
    let boundary = declared.and_then(|value| value.split_once("boundary="));
    let Some((_, boundary)) = boundary else { return false };
    let boundary =
        format!("--{}", boundary.split(';').next().unwrap_or_default().trim_matches('"'));
    let parts: Vec<&str> = text.split(boundary.as_str()).collect();
    let is_pair = |part: &&str| {
        part.split_once("\r\n\r\n").is_some_and(|(head, value)| {
            head.contains("name=\"List-Unsubscribe\"") && value.trim() == "One-Click"
        })
    };
    media_type.eq_ignore_ascii_case("multipart/form-data")
        && parts.len() == 3
        && parts.iter().filter(|part| is_pair(part)).count() == 1
}

/// `{"categories": ["contact.*"]}`, `{}` or nothing. Erasure is of everything.
pub(super) fn categories(
    policy: &Policy,
    right: Right,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<CategoryPattern>, RefusalReason> {
    let malformed = RefusalReason::RequestContent;
    if body.is_empty() {
        return Ok(vec![CategoryPattern::new("*")]);
    }
    if !is_json(headers) {
        return Err(malformed);
    }
    let Some(Value::Object(mut members)) = without_doubles(body) else { return Err(malformed) };
    let named = members.remove("categories");
    if !members.is_empty() || (named.is_some() && right == Right::Erasure) {
        return Err(malformed);
    }
    let Some(named) = named else { return Ok(vec![CategoryPattern::new("*")]) };
    let list = named.as_array().filter(|list| !list.is_empty()).ok_or(malformed)?;
    let mut patterns = Vec::with_capacity(list.len());
    for name in list {
        let pattern = CategoryPattern::new(name.as_str().ok_or(malformed)?);
        if !policy.categories.keys().any(|category| pattern.covers(category)) {
            return Err(malformed);
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

/// Refuses a body that came whole and would not be read so.
pub(super) fn is_small(headers: &HeaderMap, body: &[u8]) -> Result<(), RefusalReason> {
    announced(headers)?;
    if body.len() > BODY_BYTES { Err(RefusalReason::RequestBody) } else { Ok(()) }
}

fn announced(headers: &HeaderMap) -> Result<(), RefusalReason> {
    if headers.contains_key(CONTENT_ENCODING) || headers.contains_key(TRANSFER_ENCODING) {
        return Err(RefusalReason::RequestBody);
    }
    Ok(())
}

/// A body that fits on one page, or none.
async fn small(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<bytes::Bytes, RefusalReason> {
    announced(headers)?;
    let whole =
        timeout(gateway.limits.idle_timeout, Limited::new(body, BODY_BYTES).collect()).await;
    let whole = whole.map_err(|_| RefusalReason::RequestLate)?;
    let whole = whole.map_err(|_| RefusalReason::RequestBody)?;
    Ok(whole.to_bytes())
}

/// Nothing of this is given without its entry.
async fn note(
    gateway: &Gateway,
    policy: &Policy,
    decision: &DecisionId,
    route: &RouteId,
    service: &'static str,
) -> Result<(), RefusalReason> {
    let note = Note::Service {
        decision: decision.clone(),
        service,
        route: route.to_string(),
        policy: policy.digest,
    };
    gateway.ledger.note(&note).await.map(|_| ()).map_err(|unavailable| {
        Event::LedgerUnavailable { why: &unavailable.0 }.emit(&gateway.metrics);
        RefusalReason::LedgerUnavailable
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::gateway::subject_index;
    use crate::ledger::FileLedger;

    /// Only so many reports read the ledger at a time: whoever resets and asks again gets no more.
    #[test]
    fn a_reading_whose_person_is_gone_keeps_its_turn_until_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("ledger");
        let keys = KeyRing::ephemeral().expect("a ring");
        let index = subject_index(&directory, &keys).expect("opens");
        let ledger = FileLedger::open(&directory, "gw-test").expect("opens").with_index(index);
        let ledger: Arc<dyn Ledger> = Arc::new(ledger);
        // One thread reads, and it is held up.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().expect("a runtime");
        let (go_on, held) = std::sync::mpsc::channel::<()>();
        let turns = Arc::new(Semaphore::new(1));
        runtime.block_on(async {
            tokio::task::spawn_blocking(move || held.recv());
            let person = Personal::new("u1".into());
            {
                let mut reading = pin!(account(&turns, &ledger, &person));
                let asked = std::future::poll_fn(|context| {
                    Poll::Ready(reading.as_mut().poll(context).is_pending())
                });
                assert!(asked.await);
            }
            // Whatever is ready has run.
            tokio::task::yield_now().await;
            assert!(turns.try_acquire().is_err(), "it goes on");
            go_on.send(()).expect("it is held up");
            assert!(turns.acquire().await.is_ok());
        });
    }
}
