//! Tells recipients that a person was erased, so that what they hold goes too. Source: GDPR Art. 17(2), 19.
//!
//! The registers keep who is still to be told ([`plan_notices`](RegisterStore::plan_notices)); here is
//! what is said, and what comes of it. A notice names the person as the recipient knows them, and nothing
//! of it leaves before the ledger holds that it will. What fails is tried again, later each time, and in
//! the end given up and reported: it is never forgotten and never sent to anybody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;

use super::state::Gateway;
use crate::action::Action;
use crate::decide::notice_forms;
use crate::https::CallFault;
use crate::keys::KeyRing;
use crate::ledger::Note;
use crate::observe::Event;
use crate::policy::Policy;
use crate::policy::model::{ErasureNotice, Purpose};
use crate::registers::{
    ErasureNotification, NOTICE_ATTEMPTS, NoticeEnd, RecordError, RegisterStore, Registers as _,
    RegistersUnavailable,
};
use crate::terms::{DataSubject, PurposeId, RecipientId, Statements};

/// Notices to one recipient in one round. A receiver that does not take one is not asked again in it.
const IN_A_ROUND: usize = 64;

/// How long a recipient may keep a round; an attempt that has begun is not cut off.
const ROUND: Duration = Duration::from_secs(10);

/// Why a notice was not delivered at an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undelivered {
    /// The rules in force do not list the recipient.
    NotListed,
    /// Nothing may be transferred to where the recipient is.
    Transfer,
    /// The id cannot be put into the form that the recipient knows.
    Nameless,
    /// The registers do not say where the person is.
    Registers,
    /// The ledger does not take the entry.
    Ledger,
    /// The call failed.
    Call(CallFault),
}

impl Undelivered {
    /// The stable code for logs and metrics.
    const fn code(self) -> &'static str {
        match self {
            Self::NotListed => "not-listed",
            Self::Transfer => "transfer",
            Self::Nameless => "nameless",
            Self::Registers => "registers",
            Self::Ledger => "ledger",
            Self::Call(fault) => fault.code(),
        }
    }

    /// Whether it is the receiver's, so that the next notice would fare the same.
    const fn is_of_the_receiver(self) -> bool {
        matches!(self, Self::Call(_))
    }
}

/// Tells.
pub(super) struct Notifier {
    registers: Arc<RegisterStore>,
    in_force: Arc<ArcSwap<Gateway>>,
}

impl Notifier {
    pub(super) fn new(registers: Arc<RegisterStore>, in_force: Arc<ArcSwap<Gateway>>) -> Self {
        Self { registers, in_force }
    }

    /// Looks once a second: commands enter erasures beside the gateway.
    pub(super) async fn keep_telling(self) {
        let this = Arc::new(self);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            this.round().await;
        }
    }

    /// Makes notices of what is new and sends what is due, to several recipients at a time.
    async fn round(self: &Arc<Self>) {
        let gateway = self.in_force.load_full();
        let (registers, policy) = (Arc::clone(&self.registers), Arc::clone(&gateway.policy));
        let found = tokio::task::spawn_blocking(move || due(&registers, &policy, Timestamp::now()));
        let (found, counts) = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "notices of erasures wait");
                return;
            }
            Err(_) => {
                Event::Internal { kind: "erasure-notices" }.emit(&gateway.metrics);
                return;
            }
        };
        gateway.metrics.erasure_notices_undelivered(counts.0, counts.1);
        let mut by_recipient: BTreeMap<RecipientId, Vec<ErasureNotification>> = BTreeMap::new();
        for notice in found {
            by_recipient.entry(notice.recipient.clone()).or_default().push(notice);
        }
        let mut telling = JoinSet::new();
        for notices in by_recipient.into_values() {
            let (this, gateway) = (Arc::clone(self), Arc::clone(&gateway));
            telling.spawn(async move { this.tell_all(&gateway, notices).await });
        }
        while let Some(told) = telling.join_next().await {
            if told.is_err() {
                Event::Internal { kind: "erasure-notices" }.emit(&gateway.metrics);
            }
        }
    }

    /// All of one recipient, one after the other.
    async fn tell_all(&self, gateway: &Gateway, notices: Vec<ErasureNotification>) {
        let begun = Instant::now();
        // A receiver that is slow must not keep others waiting; what is left stays due.
        for notice in notices.into_iter().take_while(|_| begun.elapsed() < ROUND) {
            match self.tell(gateway, &notice).await {
                Ok(()) => {}
                Err(Interrupted::Receiver) => return,
                Err(Interrupted::Registers(error)) => {
                    tracing::warn!(%error, "notices of erasures wait");
                    return;
                }
            }
        }
    }

    /// One attempt at one notice, unless another gateway makes it.
    async fn tell(
        &self,
        gateway: &Gateway,
        notice: &ErasureNotification,
    ) -> Result<(), Interrupted> {
        let (taken, now) = (notice.clone(), Timestamp::now());
        if !self.store(move |registers| registers.take_notice(&taken, now)).await? {
            return Ok(());
        }
        let delivered = if notice.attempts < NOTICE_ATTEMPTS {
            self.attempt(gateway, notice, now).await
        } else {
            // Whoever made the last attempt did not come to say what became of it.
            return self.end(gateway, notice, NoticeEnd::GivenUp).await;
        };
        match delivered {
            Ok(()) => self.end(gateway, notice, NoticeEnd::Delivered).await,
            Err(why) => {
                let recipient = &notice.recipient;
                Event::ErasureNoticeFailed { recipient, kind: why.code() }.emit(&gateway.metrics);
                if notice.attempts + 1 >= NOTICE_ATTEMPTS {
                    self.end(gateway, notice, NoticeEnd::GivenUp).await?;
                }
                if why.is_of_the_receiver() { Err(Interrupted::Receiver) } else { Ok(()) }
            }
        }
    }

    async fn attempt(
        &self,
        gateway: &Gateway,
        notice: &ErasureNotification,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let policy = &gateway.policy;
        let rules = policy.registers.erasure_notices.get(&notice.recipient);
        let rules = rules.ok_or(Undelivered::NotListed)?;
        let person = notice.person.clone();
        let said = self.store(move |registers| {
            registers.statements(&person).map_err(|error| RecordError::Unavailable(error.0))
        });
        let said = said.await;
        let said = said.map_err(|_| Undelivered::Registers)?;
        let by = (&**policy, &*gateway.keys);
        let told = names_told(by, (&notice.recipient, rules), (&notice.person, &said), now);
        if told.0.is_empty() {
            return Err(Undelivered::Transfer);
        }
        let ids = told.names();
        if ids.is_empty() {
            return Err(Undelivered::Nameless);
        }
        // What differs from what was entered, by other rules or for a person who moved, is entered anew.
        let released = told.in_words(rules);
        let what = format!("{released:?} by {}", policy.digest);
        if notice.entered.as_ref() != Some(&what) {
            let note = note(policy, notice, "sending", released);
            gateway.ledger.note(&note).await.map_err(|unavailable| {
                Event::LedgerUnavailable { why: &unavailable.0 }.emit(&gateway.metrics);
                Undelivered::Ledger
            })?;
            let id = notice.id.clone();
            let entered = self.store(move |registers| registers.notice_entered(&id, &what)).await;
            entered.map_err(|_| Undelivered::Registers)?;
        }
        let body = said_of(policy, notice, rules, &ids, now);
        let webhooks = &gateway.webhooks;
        let called = webhooks.call(&notice.recipient, (&notice.id, now), body).await;
        called.map_err(Undelivered::Call)
    }

    /// In the ledger first: what was entered twice is one, what was not is missing.
    async fn end(
        &self,
        gateway: &Gateway,
        notice: &ErasureNotification,
        end: NoticeEnd,
    ) -> Result<(), Interrupted> {
        let note = note(&gateway.policy, notice, end.as_str(), Vec::new());
        if let Err(unavailable) = gateway.ledger.note(&note).await {
            // It stays in the outbox and is sent again under the same id.
            Event::LedgerUnavailable { why: &unavailable.0 }.emit(&gateway.metrics);
            return Err(Interrupted::Receiver);
        }
        let (id, now) = (notice.id.clone(), Timestamp::now());
        self.store(move |registers| registers.end_notice(&id, end, now)).await?;
        let (recipient, attempts) = (&notice.recipient, notice.attempts + 1);
        let notice = notice.id.as_str();
        Event::ErasureNoticeEnded { recipient, notice, outcome: end.as_str(), attempts }
            .emit(&gateway.metrics);
        Ok(())
    }

    async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RegisterStore) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, RecordError> {
        let registers = Arc::clone(&self.registers);
        let done = tokio::task::spawn_blocking(move || work(&registers)).await;
        done.map_err(|error| RecordError::Unavailable(Box::new(error)))?
    }
}

/// By which names a recipient is told of a person: the forms in which it has their id, each with the
/// names that it makes of it.
pub(crate) struct Naming(Vec<(Action, Vec<String>)>);

impl Naming {
    /// All names. They are alike: the recipient looks for each.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().flat_map(|(_, names)| names.iter().cloned()).collect()
    }

    /// Category and form, without a name.
    fn in_words(&self, rules: &ErasureNotice) -> Vec<(String, String)> {
        let forms: Vec<String> = self.0.iter().map(|(form, _)| form.to_string()).collect();
        vec![(rules.category.to_string(), forms.join(", "))]
    }
}

/// The names by which `recipient` is told of a person who said this. No form: nothing may be told there.
pub(crate) fn names_told(
    (policy, keys): (&Policy, &KeyRing),
    (recipient, rules): (&RecipientId, &ErasureNotice),
    (person, said): (&DataSubject, &Statements),
    now: Timestamp,
) -> Naming {
    let forms = notice_forms(policy, recipient, rules, said, now);
    let named = forms.into_iter().map(|form| {
        let names = keys.names_for(policy, recipient, (&rules.category, &form), person.expose());
        (form, names)
    });
    Naming(named.collect())
}

/// Why no more notices go to this recipient in this round.
enum Interrupted {
    Receiver,
    Registers(RecordError),
}

impl From<RecordError> for Interrupted {
    fn from(error: RecordError) -> Self {
        Self::Registers(error)
    }
}

type Due = (Vec<ErasureNotification>, (u64, u64));

fn due(registers: &RegisterStore, policy: &Policy, now: Timestamp) -> Result<Due, RecordError> {
    let listed: Vec<RecipientId> = policy.registers.erasure_notices.keys().cloned().collect();
    let unavailable = |error: RegistersUnavailable| RecordError::Unavailable(error.0);
    registers.plan_notices(&listed, now)?;
    let counts = registers.count_notices().map_err(unavailable)?;
    Ok((registers.due_notices(now, IN_A_ROUND).map_err(unavailable)?, counts))
}

fn note(
    policy: &Policy,
    notice: &ErasureNotification,
    state: &'static str,
    released: Vec<(String, String)>,
) -> Note {
    Note::ErasureNotice {
        notice: notice.id.clone(),
        recipient: notice.recipient.to_string(),
        state,
        attempts: notice.attempts + 1,
        released,
        policy: policy.digest,
    }
}

/// What the recipient is told. Its form is in docs/RULES.md, "Telling of erasures".
fn said_of(
    policy: &Policy,
    notice: &ErasureNotification,
    rules: &ErasureNotice,
    ids: &[String],
    now: Timestamp,
) -> Vec<u8> {
    let may_use = policy.recipients.get(&notice.recipient).map(|one| one.purposes.as_slice());
    let goes_on = |id: &&PurposeId| {
        let survives = |purpose: &Purpose| purpose.survives_erasure;
        policy.purposes.get(*id).is_some_and(survives)
            || notice.erasure.except.iter().any(|except| except.covers(id))
    };
    let kept: Vec<&str> =
        may_use.unwrap_or_default().iter().filter(goes_on).map(PurposeId::as_str).collect();
    let document = json!({
        "type": "erasure",
        "timestamp": format!("{now:.0}"),
        "data": {
            "policy": &*policy.id,
            "subject": {"category": rules.category.as_str(), "ids": ids},
            "requested_at": format!("{:.0}", notice.requested_at),
            "effective_at": format!("{:.0}", notice.erasure.effective_at),
            "may_be_kept_for": kept,
        },
    });
    document.to_string().into_bytes()
}
