//! The records of a ledger as what happened: each disclosure with everybody it named and how it ended,
//! each refusal, and what was lost. For reports that count.
//!
//! The segments are read once, record by record. Kept in memory are disclosures whose outcome has not
//! come by yet. Links are not checked here: that is [`verify`](super::verify)'s business, and every
//! report says what it found. What the law forbids to tell for now is left out here, so that no report
//! can forget it.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use memchr::memmem;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::segment::lines;
use super::{LedgerUnavailable, Place};

/// From when until when; the end is not part of it. Without bounds: everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The first moment that is outside again.
    pub until: Option<Timestamp>,
}

impl Window {
    /// Whether a record's `at` lies in it. A time that cannot be read lies in every window: it is to be
    /// looked at.
    #[must_use]
    pub fn holds(&self, at: &str) -> bool {
        let Ok(at) = at.parse::<Timestamp>() else { return true };
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Entry {
    /// Something left, or may have.
    Disclosure(Box<Disclosed>),
    /// A request was refused.
    Refusal(RefusedEntry),
    /// This many entries were lost while the ledger could not be written.
    Lost(u64),
}

/// One disclosure.
#[derive(Debug, Deserialize)]
pub struct Disclosed {
    /// The opening record's number.
    pub seq: u64,
    /// When, RFC 3339, UTC.
    pub at: String,
    /// The gateway that entered it.
    #[serde(default)]
    pub node: String,
    /// The rules by which it was decided.
    pub policy: PolicyOf,
    /// The route.
    pub route: String,
    /// To whom.
    pub recipient: String,
    /// What they are to the controller.
    pub role: String,
    /// The category of recipients.
    pub category_of_recipient: Option<String>,
    /// Where they are.
    pub country: Option<String>,
    /// What for.
    pub purposes: Vec<String>,
    /// Why it was lawful, in the order of `purposes`.
    pub basis: Vec<String>,
    /// The order it rests on.
    pub order: Option<String>,
    /// Category → in which form.
    pub released: BTreeMap<String, String>,
    /// Whom it named, with those of later records; empty without an index of data subjects.
    #[serde(default)]
    pub subjects: Vec<Part>,
    /// From which of several ledgers that are read together it is, by their order.
    #[serde(skip)]
    pub ledger: usize,
    /// How it ended; `None`: nobody knows, so it counts as having left.
    #[serde(skip)]
    pub outcome: Option<Ended>,
    gag_until: Option<String>,
}

/// Which rules.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyOf {
    /// The policy's id.
    pub id: String,
    /// Its revision.
    pub rev: String,
    /// Its digest.
    pub digest: String,
}

/// People in one role.
#[derive(Debug, Deserialize)]
pub struct Part {
    /// Category → in which form, of these people.
    pub categories: BTreeMap<String, String>,
    /// Who, by tag.
    pub tags: Vec<String>,
}

/// How a disclosure ended.
#[derive(Debug, Deserialize)]
pub struct Ended {
    opening: u64,
    /// Whether the answer was complete.
    pub complete: bool,
    /// Bytes that left.
    pub bytes: u64,
    /// Members that no rule lists, all of them removed.
    #[serde(default)]
    pub unlisted: u64,
    elements: Option<Elements>,
}

impl Ended {
    /// Elements of the list that left; 1 where the answer was no list.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.elements.as_ref().map_or(1, |elements| elements.released)
    }
}

#[derive(Debug, Deserialize)]
struct Elements {
    released: u64,
}

/// A request that was refused.
#[derive(Debug, Deserialize)]
pub struct RefusedEntry {
    /// When.
    pub at: String,
    /// Why, as it truly was.
    pub reason: String,
    /// The route, where one matched.
    pub route: Option<String>,
    /// The recipient, where known.
    pub recipient: Option<String>,
    /// What for, as far as it was established.
    pub purposes: Vec<String>,
}

#[derive(Deserialize)]
struct Further {
    opening: u64,
    subjects: Vec<Part>,
}

#[derive(Deserialize)]
struct Omission {
    at: String,
    entries: u64,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// Tells `look` what happened within `window`, as far as record `up_to`; disclosures when they ended.
/// Gives how many lines were no records.
///
/// # Errors
/// The ledger cannot be read.
pub fn scan(
    place: impl Into<Place>,
    up_to: u64,
    window: &Window,
    now: Timestamp,
    look: &mut dyn FnMut(Entry),
) -> Result<u64, LedgerUnavailable> {
    let unreadable = |error: io::Error| LedgerUnavailable(format!("ledger: {}", error.kind()));
    let mut open: BTreeMap<u64, Box<Disclosed>> = BTreeMap::new();
    let mut spoilt = 0;
    let place = place.into();
    for segment in place.numbers().map_err(unreadable)? {
        lines(place.open(segment).map_err(unreadable)?, unreadable, &mut |line| {
            match read(line) {
                Some((number, _)) if number > up_to => {}
                Some((_, Record::Opening(opening))) => {
                    if window.holds(&opening.at) && !is_gagged(opening.gag_until.as_deref(), now) {
                        open.insert(opening.seq, opening);
                    }
                }
                Some((_, Record::Further(further))) => {
                    if let Some(opening) = open.get_mut(&further.opening) {
                        opening.subjects.extend(further.subjects);
                    }
                }
                Some((_, Record::Ended(ended))) => {
                    if let Some(mut opening) = open.remove(&ended.opening)
                        && ended.bytes > 0
                    {
                        opening.outcome = Some(ended);
                        look(Entry::Disclosure(opening));
                    }
                }
                Some((_, Record::Refusal(refusal))) => {
                    if window.holds(&refusal.at) {
                        look(Entry::Refusal(refusal));
                    }
                }
                Some((_, Record::Omission(omission))) => {
                    if window.holds(&omission.at) {
                        look(Entry::Lost(omission.entries));
                    }
                }
                Some((_, Record::Other)) => {}
                None => spoilt += 1,
            }
            Ok(())
        })?;
    }
    // Whatever has no outcome was cut off by a crash, or is going on: it counts.
    for opening in open.into_values() {
        look(Entry::Disclosure(opening));
    }
    Ok(spoilt)
}

enum Record {
    Opening(Box<Disclosed>),
    Further(Further),
    Ended(Ended),
    Refusal(RefusedEntry),
    Omission(Omission),
    Other,
}

/// A record with its number. Members before `kind` are no maps with free names, and quotes within
/// texts are escaped: the first `"kind":"` is the record's own.
fn read(line: &[u8]) -> Option<(u64, Record)> {
    let kind = memmem::find(line, b"\"kind\":\"")? + 8;
    let kind = &line[kind..];
    let kind = &kind[..memchr::memchr(b'"', kind)?];
    let number = |line| parse::<Numbered>(line).map(|numbered| numbered.seq);
    let record = match kind {
        b"disclosure" => {
            let opening: Box<Disclosed> = parse(line)?;
            return Some((opening.seq, Record::Opening(opening)));
        }
        b"subjects" => Record::Further(parse(line)?),
        b"outcome" => Record::Ended(parse(line)?),
        b"refusal" => Record::Refusal(parse(line)?),
        b"omission" => Record::Omission(parse(line)?),
        _ => Record::Other,
    };
    Some((number(line)?, record))
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(line).ok()
}

/// An order may forbid to tell the person until a moment. One whose moment cannot be read is one.
pub(super) fn is_gagged(until: Option<&str>, now: Timestamp) -> bool {
    let Some(until) = until else { return false };
    until.parse::<Timestamp>().map_or(true, |until| now < until)
}
