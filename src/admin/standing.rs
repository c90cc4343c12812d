//! How the files stand to what is in force: when they were last good, and what was refused since. For
//! `/status`, which `tamis status` prints. Names files and lines; nothing in it is about a person.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

/// What of TLS is judged apart when files are read anew.
pub(super) const TLS_PARTS: [&str; 3] = ["certificates", "client_ca", "crls"];

/// Told by whoever reads anew, read by whoever asks.
pub struct Standing {
    inner: Mutex<Inner>,
    /// How backends stand, by name.
    backends: Box<dyn Fn() -> Value + Send + Sync>,
    /// How the places stand to which checkpoints of the ledger are sent, and what is wrong with any.
    targets: Box<dyn Fn(Timestamp) -> (Value, Option<String>) + Send + Sync>,
    /// What of that which handshakes rest on needs somebody, in words.
    material: Box<dyn Fn() -> Material + Send + Sync>,
}

/// How that stands which handshakes rest on: certificates, lists of revoked ones, stapled answers.
pub struct Material {
    /// What of it needs somebody, in words; `None`: nothing does.
    pub words: Option<String>,
    /// Whether a handshake can be made at all.
    pub serves: bool,
}

struct Inner {
    started: Timestamp,
    /// When each part came into force that was read anew.
    activated: Vec<(&'static str, Timestamp)>,
    last_good: Timestamp,
    last_tried: Timestamp,
    refused: Vec<(&'static str, String)>,
}

impl Standing {
    /// Everything is in force since now. `backends` says how those stand, and `material` what of that
    /// which handshakes rest on ends or is of no use, whenever it is asked.
    #[must_use]
    pub fn since(
        now: Timestamp,
        backends: impl Fn() -> Value + Send + Sync + 'static,
        material: impl Fn() -> Material + Send + Sync + 'static,
    ) -> Self {
        let inner = Mutex::new(Inner {
            started: now,
            activated: Vec::new(),
            last_good: now,
            last_tried: now,
            refused: Vec::new(),
        });
        let targets = |_| (json!({}), None);
        Self {
            inner,
            backends: Box::new(backends),
            material: Box::new(material),
            targets: Box::new(targets),
        }
    }

    /// With targets of checkpoints, which say how they stand and what is wrong, whenever they are asked.
    #[must_use]
    pub fn sending(
        self,
        targets: impl Fn(Timestamp) -> (Value, Option<String>) + Send + Sync + 'static,
    ) -> Self {
        Self { targets: Box::new(targets), ..self }
    }

    /// The files were read anew at this time, with this outcome.
    pub fn reloaded(
        &self,
        now: Timestamp,
        activated: &[&'static str],
        refused: &[(&'static str, String)],
    ) {
        self.taken(now, activated);
        let mut inner = self.inner();
        inner.last_tried = now;
        if refused.is_empty() {
            inner.last_good = now;
        }
        inner.refused = refused.to_vec();
    }

    /// These parts are others since this time; no file besides was read.
    pub fn taken(&self, now: Timestamp, activated: &[&'static str]) {
        let mut inner = self.inner();
        for what in activated {
            inner.activated.retain(|(other, _)| other != what);
            inner.activated.push((what, now));
        }
    }

    /// Whether nothing was refused when the files were read last.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.inner().refused.is_empty()
    }

    /// Why any of these parts was refused when they were last read anew, if it was.
    pub(super) fn refused(&self, parts: &[&str]) -> Option<String> {
        let inner = self.inner();
        let refused = inner.refused.iter().filter(|(what, _)| parts.contains(what));
        let words: Vec<&str> = refused.map(|(_, why)| why.as_str()).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// What is wrong with a target of checkpoints.
    pub(super) fn undelivered(&self) -> Option<String> {
        (self.targets)(Timestamp::now()).1
    }

    /// What of certificates, lists of revoked ones and stapled answers needs somebody.
    pub(super) fn material(&self) -> Material {
        (self.material)()
    }

    /// As JSON; ages in whole seconds.
    pub(super) fn document(&self, now: Timestamp) -> Value {
        let inner = self.inner();
        let age = |at: Timestamp| now.duration_since(at).as_secs().max(0);
        let since = |what: &str| {
            let activated = inner.activated.iter().find(|(other, _)| *other == what);
            activated.map_or(inner.started, |(_, at)| *at)
        };
        let parts = ["settings", "rules", "keys"].into_iter().chain(TLS_PARTS);
        let in_force: serde_json::Map<String, Value> = parts
            .map(|what| (what.into(), json!({"since": since(what), "age": age(since(what))})))
            .collect();
        let refused: Vec<Value> =
            inner.refused.iter().map(|(what, why)| json!({"what": what, "why": why})).collect();
        json!({
            "started": inner.started,
            "in_force": in_force,
            "last_good": {"at": inner.last_good, "age": age(inner.last_good)},
            "last_tried": {"at": inner.last_tried, "age": age(inner.last_tried)},
            "refused": refused,
            "upstreams": (self.backends)(),
            "checkpoint_targets": (self.targets)(now).0,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics between two writes to it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
