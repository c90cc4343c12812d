//! What a report rests on.

use std::{fmt, io};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ReportError, Sources};
use crate::ledger::{
    Anchor, COMPLETENESS, Checkpoint, Disclosed, Entry, Notes, PolicyOf, VerifyError, Window,
    kept_notes, scan, verify, verify_signed,
};
use crate::terms::Digest;

/// Whether the ledger is what it must be.
#[derive(Debug)]
pub enum Chain {
    /// Every link holds, and so does what was signed.
    Holds,
    /// The first thing that is wrong.
    Broken(VerifyError),
    /// A checkpoint beside the ledger is not signed by the key.
    NotSigned,
    /// The checkpoints beside the ledger cannot be read, so that nothing was compared with them.
    Unread(io::ErrorKind),
}

/// What a report rests on.
#[derive(Debug)]
pub struct Basis {
    /// When it was made.
    pub as_of: Timestamp,
    /// Of when it speaks.
    pub window: Window,
    /// Whether the ledger holds.
    pub chain: Chain,
    /// The last record that was read, and the root over all of them; `None` in a broken chain, of which
    /// every line that can be read is counted.
    pub head: Option<(Anchor, Digest)>,
    /// The last signed checkpoint.
    pub signed: Option<Checkpoint>,
    /// The rules in force now.
    pub policy: PolicyOf,
    /// Their title.
    pub policy_title: String,
    /// The controller.
    pub controller: String,
    /// Entries in the window that were lost while the ledger could not be written.
    pub lost: u64,
    /// Lines that are no records.
    pub unreadable: u64,
    /// Lines beside the ledger that should be checkpoints and are none.
    pub checkpoints_unreadable: u64,
    /// People whose secrets no key of the ring opens: what was entered of them before is found for nobody.
    pub unopened: u64,
}

impl Chain {
    /// Whether it does.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("every link holds"),
            Self::Broken(error) => write!(f, "broken: {error}; what follows is not vouched for"),
            Self::NotSigned => {
                f.write_str("a checkpoint beside the ledger is not signed by the key")
            }
            Self::Unread(kind) => write!(
                f,
                "the checkpoints beside the ledger cannot be read ({kind}); nothing was compared"
            ),
        }
    }
}

impl Basis {
    /// Verifies the ledger and notes how far it goes.
    pub(super) fn of(
        window: Window,
        sources: &Sources<'_>,
        now: Timestamp,
    ) -> Result<Self, ReportError> {
        let policy = sources.policy;
        let mut basis = Self {
            as_of: now,
            window,
            chain: Chain::Holds,
            head: None,
            signed: None,
            policy: PolicyOf {
                id: policy.id.to_string(),
                rev: policy.revision.clone(),
                digest: policy.digest.to_string(),
            },
            policy_title: policy.title.clone(),
            controller: policy.about.controller.clone(),
            lost: 0,
            unreadable: 0,
            checkpoints_unreadable: 0,
            unopened: sources.index.unopened()?,
        };
        let mut checkpoints = Vec::new();
        if let Some(key) = sources.key {
            let found = kept_notes(sources.ledger).unwrap_or_else(|error| {
                basis.chain = Chain::Unread(error.kind());
                Notes::default()
            });
            basis.checkpoints_unreadable = found.unreadable;
            for note in found.notes {
                let text = key.open(&note).ok().and_then(Checkpoint::parse);
                match text.filter(|checkpoint| checkpoint.origin == key.name()) {
                    Some(checkpoint) => checkpoints.push(checkpoint),
                    None => basis.chain = Chain::NotSigned,
                }
            }
        }
        let verified = match sources.key {
            Some(_) => verify_signed(sources.ledger, None, &checkpoints),
            None => verify(sources.ledger, None),
        };
        match verified {
            Ok(found) => basis.head = Some((found.head, found.root)),
            Err(VerifyError::Empty) => {
                return Err(ReportError::NoLedger(sources.ledger.to_owned()));
            }
            // That nothing bears a cut out follows from what is said already.
            Err(VerifyError::CutNotSigned { .. }) if !basis.chain.holds() => {}
            Err(error) => basis.chain = Chain::Broken(error),
        }
        basis.signed = checkpoints.into_iter().max_by_key(|checkpoint| checkpoint.size);
        Ok(basis)
    }

    /// Tells `look` of every entry of the window, as far as the ledger was verified.
    pub(super) fn scan(
        &mut self,
        sources: &Sources<'_>,
        look: &mut dyn FnMut(Entry),
    ) -> Result<(), ReportError> {
        let up_to = self.head.map_or(u64::MAX, |(anchor, _)| anchor.sequence);
        let mut lost = 0;
        let spoilt = scan(sources.ledger, up_to, &self.window, self.as_of, &mut |entry| {
            if let Entry::Lost(count) = entry {
                lost += count;
            }
            look(entry);
        })?;
        self.lost = lost;
        self.unreadable = spoilt;
        Ok(())
    }

    /// Tells `look` of every disclosure of the window.
    pub(super) fn disclosures(
        &mut self,
        sources: &Sources<'_>,
        look: &mut dyn FnMut(&Disclosed),
    ) -> Result<(), ReportError> {
        self.scan(sources, &mut |entry| {
            if let Entry::Disclosure(disclosed) = entry {
                look(&disclosed);
            }
        })
    }

    /// Its members in the order in which they are read.
    pub(super) fn rows(&self) -> Vec<(&'static str, Value)> {
        let moment = |at: Option<Timestamp>, none: &str| {
            at.map_or_else(|| none.to_owned(), |at| format!("{at:.0}"))
        };
        let Window { from, until } = self.window;
        let mut rows = vec![
            ("as_of", json!(format!("{:.0}", self.as_of))),
            ("from", json!(moment(from, "the first record that is kept"))),
            ("until", json!(moment(until, "now"))),
            ("controller", json!(self.controller)),
            ("policy", json!(self.policy_title)),
            ("policy_revision", json!(self.policy.rev)),
            ("policy_digest", json!(self.policy.digest)),
            ("chain", json!(self.chain.to_string())),
        ];
        if let Some((head, root)) = &self.head {
            rows.push(("tree_size", json!(head.sequence)));
            rows.push(("root", json!(root.hex())));
            rows.push(("head", json!(head.to_string())));
        }
        let signed = self.signed.as_ref().map_or_else(
            || "none: nobody can tell whether this ledger was computed anew".to_owned(),
            |one| format!("{} records of {}, root {}", one.size, one.origin, one.root.hex()),
        );
        rows.push(("signed_checkpoint", json!(signed)));
        if self.checkpoints_unreadable > 0 {
            rows.push(("checkpoints_unreadable", json!(self.checkpoints_unreadable)));
        }
        if self.lost > 0 {
            rows.push(("entries_lost", json!(self.lost)));
        }
        if self.unreadable > 0 {
            rows.push(("lines_unreadable", json!(self.unreadable)));
        }
        if self.unopened > 0 {
            rows.push(("people_under_retired_keys", json!(self.unopened)));
        }
        rows.push(("completeness", json!(COMPLETENESS)));
        rows
    }

    pub(super) fn json(&self) -> Value {
        let rows = self.rows().into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut members: Map<String, Value> = rows.collect();
        members.insert("chain_holds".into(), self.chain.holds().into());
        Value::Object(members)
    }
}
