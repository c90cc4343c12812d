//! What a report rests on.

use std::collections::BTreeSet;
use std::{fmt, io};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ReportError, Sources};
use crate::keys::NoteKey;
use crate::ledger::{
    Anchor, COMPLETENESS, Checkpoint, Disclosed, Entry, Notes, Place, PolicyOf, VerifyError,
    Window, kept_notes, scan, verify, verify_signed,
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

/// One chain that a report rests on.
#[derive(Debug)]
pub struct ChainBasis {
    /// Whose it is: the gateway that writes it.
    pub node: String,
    /// Whether it holds.
    pub state: Chain,
    /// The last record that was read, and the root over all of them; `None` in a broken chain, of which
    /// every line that can be read is counted.
    pub head: Option<(Anchor, Digest)>,
    /// The last signed checkpoint.
    pub signed: Option<Checkpoint>,
    /// Checkpoints of which nobody has given the key, so that nothing was compared with them.
    pub unchecked: usize,
    /// Lines beside the ledger that should be checkpoints and are none.
    pub checkpoints_unreadable: u64,
    /// Which of the sources it belongs to.
    pub(super) ledger: usize,
    pub(super) place: Place,
}

/// What a report rests on.
#[derive(Debug)]
pub struct Basis {
    /// When it was made.
    pub as_of: Timestamp,
    /// Of when it speaks.
    pub window: Window,
    /// The chains that were read: at least one.
    pub chains: Vec<ChainBasis>,
    /// The rules in force now.
    pub policy: PolicyOf,
    /// Their title.
    pub policy_title: String,
    /// The controller.
    pub controller: String,
    /// Digests of the rules by which what is told was decided.
    pub decided_by: BTreeSet<String>,
    /// Entries in the window that were lost while the ledger could not be written.
    pub lost: u64,
    /// Lines that are no records.
    pub unreadable: u64,
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

impl ChainBasis {
    /// Verifies one chain and notes how far it goes; `None` where there is none. With `keys` so do
    /// checkpoints, as far as one of them is this chain's; `is_alone` says that the key must be.
    fn of(
        (ledger, place): (usize, Place),
        keys: &[NoteKey],
        is_alone: bool,
    ) -> Option<Result<Self, VerifyError>> {
        let node = match place.node() {
            Ok(node) => node,
            Err(error) => return Some(Err(error.into())),
        };
        let mut basis = Self {
            node,
            state: Chain::Holds,
            head: None,
            signed: None,
            unchecked: 0,
            checkpoints_unreadable: 0,
            ledger,
            place,
        };
        let (mut state, mut checkpoints, mut is_checked) = (Chain::Holds, Vec::new(), false);
        if !keys.is_empty() {
            let found = kept_notes(&basis.place).unwrap_or_else(|error| {
                state = Chain::Unread(error.kind());
                Notes::default()
            });
            basis.checkpoints_unreadable = found.unreadable;
            let named = |key: &&NoteKey| {
                found.notes.iter().any(|note| note.lines().next() == Some(key.name()))
            };
            let only = keys.first().filter(|_| is_alone && keys.len() == 1);
            match only.or_else(|| keys.iter().find(named)) {
                None => basis.unchecked = found.notes.len(),
                Some(key) => {
                    is_checked = true;
                    for note in &found.notes {
                        let text = key.open(note).ok().and_then(Checkpoint::parse);
                        match text.filter(|checkpoint| checkpoint.origin == key.name()) {
                            Some(checkpoint) => checkpoints.push(checkpoint),
                            None => state = Chain::NotSigned,
                        }
                    }
                }
            }
        }
        let verified = if is_checked {
            verify_signed(&basis.place, None, &checkpoints)
        } else {
            verify(&basis.place, None)
        };
        match verified {
            Ok(found) => basis.head = Some((found.head, found.root)),
            Err(VerifyError::Empty) => return None,
            // That nothing bears a cut out follows from what is said already.
            Err(VerifyError::CutNotSigned { .. }) if !state.holds() => {}
            Err(error) => state = Chain::Broken(error),
        }
        basis.signed = checkpoints.into_iter().max_by_key(|checkpoint| checkpoint.size);
        basis.state = state;
        Some(Ok(basis))
    }

    fn said_of_signatures(&self) -> String {
        match &self.signed {
            Some(one) => {
                format!("{} records of {}, root {}", one.size, one.origin, one.root.hex())
            }
            None if self.unchecked > 0 => {
                format!("{} that nobody checked: the key was not given", self.unchecked)
            }
            None => "none: nobody can tell whether this ledger was computed anew".to_owned(),
        }
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let mut rows = Vec::new();
        if let Some((head, root)) = &self.head {
            rows.push(("tree_size", json!(head.sequence)));
            rows.push(("root", json!(root.hex())));
            rows.push(("head", json!(head.to_string())));
        }
        rows.push(("signed_checkpoint", json!(self.said_of_signatures())));
        if self.checkpoints_unreadable > 0 {
            rows.push(("checkpoints_unreadable", json!(self.checkpoints_unreadable)));
        }
        rows
    }

    fn object(&self) -> Value {
        let mut object = Map::new();
        object.insert("node".into(), json!(self.node));
        object.insert("chain".into(), json!(self.state.to_string()));
        object.extend(self.rows().into_iter().map(|(key, value)| (key.to_owned(), value)));
        object.into()
    }
}

impl Basis {
    /// Verifies the ledgers and notes how far they go.
    pub(super) fn of(
        window: Window,
        sources: &Sources<'_>,
        now: Timestamp,
    ) -> Result<Self, ReportError> {
        let policy = sources.policy;
        let (mut places, mut unopened) = (Vec::new(), 0);
        for (ledger, source) in sources.ledgers.iter().enumerate() {
            unopened += source.index.unopened()?;
            let chains = source.place.sharing_index()?;
            if chains.is_empty() {
                return Err(ReportError::NoLedger(source.place.to_string()));
            }
            places.extend(chains.into_iter().map(|place| (ledger, place)));
        }
        let is_alone = places.len() == 1;
        let mut chains = Vec::with_capacity(places.len());
        for of in places {
            let name = of.1.to_string();
            match ChainBasis::of(of, sources.keys, is_alone) {
                Some(Ok(chain)) => chains.push(chain),
                Some(Err(error)) => return Err(ReportError::Unreadable(name, error)),
                None => return Err(ReportError::NoLedger(name)),
            }
        }
        Ok(Self {
            as_of: now,
            window,
            chains,
            policy: PolicyOf {
                id: policy.id.to_string(),
                rev: policy.revision.clone(),
                digest: policy.digest.to_string(),
            },
            policy_title: policy.title.clone(),
            controller: policy.about.controller.clone(),
            decided_by: BTreeSet::new(),
            lost: 0,
            unreadable: 0,
            unopened,
        })
    }

    /// The first chain that does not hold.
    #[must_use]
    pub fn broken(&self) -> Option<&ChainBasis> {
        self.chains.iter().find(|chain| !chain.state.holds())
    }

    /// Whether the ledgers are what they must be, in words.
    #[must_use]
    pub fn state(&self) -> String {
        if self.chains.len() == 1 {
            return self.chains.iter().map(|chain| chain.state.to_string()).collect();
        }
        let broken = self.chains.iter().filter(|chain| !chain.state.holds());
        let said: Vec<String> =
            broken.map(|chain| format!("{}: {}", chain.node, chain.state)).collect();
        if said.is_empty() {
            return format!("every link holds, of {} chains", self.chains.len());
        }
        said.join("; ")
    }

    /// Tells `look` of every entry of the window, as far as the ledgers were verified: chain by chain.
    pub(super) fn scan(&mut self, look: &mut dyn FnMut(Entry)) -> Result<(), ReportError> {
        let (mut lost, mut unreadable) = (0, 0);
        for chain in &self.chains {
            let up_to = chain.head.map_or(u64::MAX, |(anchor, _)| anchor.sequence);
            let decided_by = &mut self.decided_by;
            unreadable += scan(&chain.place, up_to, &self.window, self.as_of, &mut |mut entry| {
                match &mut entry {
                    Entry::Lost(count) => lost += *count,
                    Entry::Disclosure(one) => {
                        one.ledger = chain.ledger;
                        if !decided_by.contains(&one.policy.digest) {
                            decided_by.insert(one.policy.digest.clone());
                        }
                    }
                    Entry::Refusal(_) => {}
                }
                look(entry);
            })?;
        }
        self.lost = lost;
        self.unreadable = unreadable;
        Ok(())
    }

    /// Tells `look` of every disclosure of the window.
    pub(super) fn disclosures(
        &mut self,
        look: &mut dyn FnMut(&Disclosed),
    ) -> Result<(), ReportError> {
        self.scan(&mut |entry| {
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
            ("chain", json!(self.state())),
        ];
        match self.chains.as_slice() {
            [one] => rows.extend(one.rows()),
            several => {
                let several: Vec<Value> = several.iter().map(ChainBasis::object).collect();
                rows.push(("ledgers", several.into()));
            }
        }
        if !self.decided_by.is_empty() {
            rows.push(("decided_by", json!(self.decided_by)));
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
        members.insert("chain_holds".into(), self.broken().is_none().into());
        Value::Object(members)
    }
}
