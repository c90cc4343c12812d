//! What the ledger says about one person: each disclosure in which something of theirs left.
//!
//! The segments are walked twice: once for the records that hold a tag of the person, once for those
//! that belong to them. Only these are read as JSON. What the law forbids to tell for now is left
//! out here, so that no report can forget it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::slice;

use jiff::Timestamp;
use memchr::memmem;
use serde_json::Value;

use super::scan::is_gagged;
use super::segment::lines;
use super::subjects::{Secret, TAG_LETTERS};
use super::{Anchor, LedgerUnavailable, Place, SubjectIndex};
use crate::terms::{DataSubject, Digest};

/// One disclosure, as far as it concerns one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number in the ledger.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The gateway that entered it.
    pub node: String,
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
    /// Category → in which form.
    pub categories: BTreeMap<String, String>,
    /// Whether it rests on an order of an authority.
    pub ordered: bool,
    /// The digest of the rules by which it was decided.
    pub policy: String,
}

/// All of one person, and up to which record the ledger was read.
#[derive(Debug, PartialEq, Eq)]
pub struct ToldToOthers {
    /// By time; of one moment by gateway, and in the order of its ledger.
    pub disclosures: Vec<Told>,
    /// The last record of each gateway that was read; nothing for an empty ledger.
    pub up_to: Vec<(String, Anchor)>,
}

impl ToldToOthers {
    /// What several ledgers say of one person, together.
    #[must_use]
    pub fn merged(accounts: impl IntoIterator<Item = Self>) -> Self {
        let mut merged = Self { disclosures: Vec::new(), up_to: Vec::new() };
        for account in accounts {
            merged.disclosures.extend(account.disclosures);
            merged.up_to.extend(account.up_to);
        }
        // The times of records have one form, in which text sorts as time.
        let by = |one: &Told| (one.at.clone(), one.node.clone(), one.sequence);
        if merged.up_to.len() > 1 {
            merged.disclosures.sort_by_cached_key(by);
        }
        merged
    }
}

/// Reads what the ledger at `place` says about `person`, as of `now`; on a server, those of all gateways
/// that share its index.
///
/// # Errors
/// The ledger or its index cannot be read.
pub fn about(
    place: impl Into<Place>,
    index: &SubjectIndex,
    person: &DataSubject,
    now: Timestamp,
) -> Result<ToldToOthers, LedgerUnavailable> {
    let told = about_each(place, index, slice::from_ref(person), now)?.pop();
    told.unwrap_or_else(|| Err(broken()))
}

/// As [`about`], of each of `people`, who are different ones, in their order; the ledger is read for all of
/// them together. A record that cannot be read spoils what is told of those whom it names, and of nobody
/// else.
///
/// # Errors
/// The ledger cannot be read at all.
pub fn about_each(
    place: impl Into<Place>,
    index: &SubjectIndex,
    people: &[DataSubject],
    now: Timestamp,
) -> Result<Vec<Result<ToldToOthers, LedgerUnavailable>>, LedgerUnavailable> {
    let mut all: Vec<Vec<Result<ToldToOthers, LedgerUnavailable>>> = Vec::new();
    for chain in place.into().sharing_index()? {
        all.push(in_chain(&chain, index, people, now)?);
    }
    let mut all: Vec<_> = all.into_iter().map(Vec::into_iter).collect();
    let each = people.iter().map(|_| {
        let accounts = all.iter_mut().filter_map(Iterator::next);
        accounts.collect::<Result<Vec<_>, _>>().map(ToldToOthers::merged)
    });
    Ok(each.collect())
}

/// The same of one chain.
fn in_chain(
    place: &Place,
    index: &SubjectIndex,
    people: &[DataSubject],
    now: Timestamp,
) -> Result<Vec<Result<ToldToOthers, LedgerUnavailable>>, LedgerUnavailable> {
    let mut sought = Sought::new(index, people);
    let mut last: Option<Vec<u8>> = None;
    walk(place, &mut |line| {
        line.clone_into(last.get_or_insert_default());
        sought.meet(line);
        Ok(())
    })?;
    if !sought.openings.is_empty() {
        walk(place, &mut |line| {
            sought.tell(line, now);
            Ok(())
        })?;
    }
    let up_to = last.as_deref().map(anchor).transpose()?;
    Ok(sought.told(up_to.as_ref()))
}

/// What is known so far of people who are sought together; each by their place.
struct Sought {
    people: Vec<Result<Found, LedgerUnavailable>>,
    secrets: Vec<(usize, Secret)>,
    /// Month → tag → whose.
    tags: HashMap<String, HashMap<Vec<u8>, usize>>,
    /// Number of an opening → who is in it.
    openings: HashMap<u64, BTreeSet<usize>>,
    /// Openings of which nothing left after all.
    nothing_left: BTreeSet<u64>,
}

/// What is known so far of one of them.
#[derive(Default)]
struct Found {
    /// Number of the opening → what of the person is in it.
    concerned: BTreeMap<u64, BTreeMap<String, String>>,
    told: BTreeMap<u64, Told>,
}

impl Sought {
    fn new(index: &SubjectIndex, people: &[DataSubject]) -> Self {
        let mut sought = Self {
            people: Vec::with_capacity(people.len()),
            secrets: Vec::new(),
            tags: HashMap::new(),
            openings: HashMap::new(),
            nothing_left: BTreeSet::new(),
        };
        for (at, person) in people.iter().enumerate() {
            sought.people.push(index.secret(person).map(|secret| {
                sought.secrets.extend(secret.map(|secret| (at, secret)));
                Found::default()
            }));
        }
        sought
    }

    /// Notes who is in a record, and what of them.
    fn meet(&mut self, line: &[u8]) {
        let Some(month) = month_of(line) else { return };
        if !self.tags.contains_key(month) {
            let tag = |(at, secret): &(usize, Secret)| (secret.tag(month).into_bytes(), *at);
            self.tags.insert(month.to_owned(), self.secrets.iter().map(tag).collect());
        }
        let tags = &self.tags[month];
        let whose = |at: usize| tags.get(line.get(at + 1..at + 1 + TAG_LETTERS)?).copied();
        let met: BTreeSet<usize> = memmem::find_iter(line, b"\"t_").filter_map(whose).collect();
        if met.is_empty() {
            return;
        }
        let Ok(record) = parse(line) else { return self.spoil(&met) };
        let of = match record["kind"].as_str() {
            Some("disclosure") => record["seq"].as_u64(),
            Some("subjects") => record["opening"].as_u64(),
            _ => None,
        };
        let Some(of) = of else { return };
        for part in record["subjects"].as_array().into_iter().flatten() {
            let words = part["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for at in words.filter_map(|word| tags.get(word.as_bytes()).copied()) {
                if let Ok(found) = &mut self.people[at] {
                    found.concerned.entry(of).or_default().extend(pairs(&part["categories"]));
                    self.openings.entry(of).or_default().insert(at);
                }
            }
        }
    }

    /// Notes what a record says of a disclosure that concerns somebody.
    fn tell(&mut self, line: &[u8], now: Timestamp) {
        if let Some(opening) = number(line, b"\"opening\":") {
            // Whom other records name was noted when they were met.
            let Some(met) = self.openings.get(&opening) else { return };
            if memmem::find(line, b"\"kind\":\"outcome\"").is_none() {
                return;
            }
            let Ok(record) = parse(line) else { return self.spoil(&met.clone()) };
            if record["bytes"].as_u64() == Some(0) {
                self.nothing_left.insert(opening);
            }
        } else if let Some(sequence) = number(line, b"\"seq\":")
            && let Some(met) = self.openings.get(&sequence)
        {
            let Ok(record) = parse(line) else { return self.spoil(&met.clone()) };
            if is_silent(&record, now) {
                return;
            }
            for at in met {
                if let Ok(Found { concerned, told: all }) = &mut self.people[*at]
                    && let Some(categories) = concerned.get(&sequence)
                {
                    all.insert(sequence, told(&record, sequence, categories.clone()));
                }
            }
        }
    }

    fn spoil(&mut self, whom: &BTreeSet<usize>) {
        for at in whom {
            self.people[*at] = Err(broken());
        }
    }

    fn told(
        self,
        up_to: Option<&(String, Anchor)>,
    ) -> Vec<Result<ToldToOthers, LedgerUnavailable>> {
        let nothing_left = self.nothing_left;
        let of = |found: Found| {
            let left =
                found.told.into_iter().filter(|(opening, _)| !nothing_left.contains(opening));
            let up_to = up_to.into_iter().cloned().collect();
            ToldToOthers { disclosures: left.map(|(_, told)| told).collect(), up_to }
        };
        self.people.into_iter().map(|found| found.map(of)).collect()
    }
}

fn is_silent(record: &Value, now: Timestamp) -> bool {
    let until = record.get("gag_until").map(|until| until.as_str().unwrap_or_default());
    is_gagged(until, now)
}

fn told(record: &Value, sequence: u64, categories: BTreeMap<String, String>) -> Told {
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    let texts = |name: &str| {
        let items = record[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Told {
        sequence,
        at: text("at").unwrap_or_default(),
        node: text("node").unwrap_or_default(),
        recipient: text("recipient").unwrap_or_default(),
        role: text("role").unwrap_or_default(),
        category_of_recipient: text("category_of_recipient"),
        country: text("country"),
        purposes: texts("purposes"),
        basis: texts("basis"),
        categories,
        ordered: record.get("order").is_some(),
        policy: record["policy"]["digest"].as_str().unwrap_or_default().to_owned(),
    }
}

fn pairs(object: &Value) -> impl Iterator<Item = (String, String)> {
    let members = object.as_object().into_iter().flatten();
    members.filter_map(|(name, word)| Some((name.clone(), word.as_str()?.to_owned())))
}

/// Every whole line of every segment. What the gateway is writing just now is left out.
fn walk(
    place: &Place,
    look: &mut dyn FnMut(&[u8]) -> Result<(), LedgerUnavailable>,
) -> Result<(), LedgerUnavailable> {
    for segment in place.numbers().map_err(|error| unreadable(&error))? {
        let segment = place.open(segment).map_err(|error| unreadable(&error))?;
        lines(segment, |error| unreadable(&error), look)?;
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> LedgerUnavailable {
    match error.kind() {
        io::ErrorKind::InvalidData => broken(),
        kind => LedgerUnavailable(format!("ledger: {kind}")),
    }
}

fn anchor(line: &[u8]) -> Result<(String, Anchor), LedgerUnavailable> {
    let record = parse(line)?;
    let hash = record["hash"].as_str().and_then(Digest::parse);
    let (Some(sequence), Some(hash)) = (record["seq"].as_u64(), hash) else { return Err(broken()) };
    let node = record["node"].as_str().unwrap_or_default().to_owned();
    Ok((node, Anchor { sequence, hash }))
}

/// `2026-11` of a record's `at`. Records are canonical, so that no blank stands in between.
fn month_of(line: &[u8]) -> Option<&str> {
    let at = memmem::find(line, b"\"at\":\"")? + 6;
    std::str::from_utf8(line.get(at..at + 7)?).ok()
}

/// The whole number after `name`. A category may be called the same, but is followed by a word.
fn number(line: &[u8], name: &[u8]) -> Option<u64> {
    memmem::find_iter(line, name).find_map(|at| {
        let rest = &line[at + name.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    })
}

fn parse(line: &[u8]) -> Result<Value, LedgerUnavailable> {
    serde_json::from_slice(line).map_err(|_| broken())
}

fn broken() -> LedgerUnavailable {
    LedgerUnavailable("the ledger holds what is no record; see `tamis ledger verify`".into())
}
