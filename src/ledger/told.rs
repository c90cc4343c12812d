//! What the ledger says about one person: each disclosure in which something of theirs left.
//!
//! The segments are walked twice: once for the records that hold a tag of the person, once for those
//! that belong to them. Only these are read as JSON. What the law forbids to tell for now is left
//! out here, so that no report can forget it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use jiff::Timestamp;
use memchr::memmem;
use serde_json::Value;

use super::scan::is_gagged;
use super::segment::{lines, numbers, path_of};
use super::{Anchor, LedgerUnavailable, SubjectIndex};
use crate::terms::{DataSubject, Digest};

/// One disclosure, as far as it concerns one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number in the ledger.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
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
    /// In the order of the ledger.
    pub disclosures: Vec<Told>,
    /// The last record that was read; `None` for an empty ledger.
    pub up_to: Option<Anchor>,
}

/// Reads what the ledger in `directory` says about `person`, as of `now`.
///
/// # Errors
/// The ledger or its index cannot be read.
pub fn about(
    directory: &Path,
    index: &SubjectIndex,
    person: &DataSubject,
    now: Timestamp,
) -> Result<ToldToOthers, LedgerUnavailable> {
    let Some(secret) = index.secret(person)? else {
        let up_to = last_of(directory)?;
        return Ok(ToldToOthers { disclosures: Vec::new(), up_to });
    };
    let mut tags: HashMap<String, String> = HashMap::new();
    // Number of the opening → what of the person is in it.
    let mut concerned: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
    let mut last: Option<Vec<u8>> = None;
    walk(directory, &mut |line| {
        line.clone_into(last.get_or_insert_default());
        let Some(month) = month_of(line) else { return Ok(()) };
        let tag = tags.entry(month.to_owned()).or_insert_with(|| secret.tag(month));
        if memmem::find(line, tag.as_bytes()).is_none() {
            return Ok(());
        }
        let record = parse(line)?;
        let of = match record["kind"].as_str() {
            Some("disclosure") => record["seq"].as_u64(),
            Some("subjects") => record["opening"].as_u64(),
            _ => None,
        };
        let Some(of) = of else { return Ok(()) };
        let categories = concerned.entry(of).or_default();
        for part in record["subjects"].as_array().into_iter().flatten() {
            let is_theirs = part["tags"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one.as_str() == Some(tag.as_str())));
            if is_theirs {
                categories.extend(pairs(&part["categories"]));
            }
        }
        Ok(())
    })?;
    let mut found: BTreeMap<u64, Told> = BTreeMap::new();
    let mut nothing_left: BTreeSet<u64> = BTreeSet::new();
    walk(directory, &mut |line| {
        if let Some(opening) = number(line, b"\"opening\":")
            && concerned.contains_key(&opening)
        {
            let record = parse(line)?;
            if record["kind"].as_str() == Some("outcome") && record["bytes"].as_u64() == Some(0) {
                nothing_left.insert(opening);
            }
        } else if let Some(sequence) = number(line, b"\"seq\":")
            && let Some(categories) = concerned.get(&sequence)
        {
            let record = parse(line)?;
            if !is_silent(&record, now) {
                found.insert(sequence, told(&record, sequence, categories.clone()));
            }
        }
        Ok(())
    })?;
    found.retain(|sequence, _| !nothing_left.contains(sequence));
    let up_to = last.as_deref().map(anchor).transpose()?;
    Ok(ToldToOthers { disclosures: found.into_values().collect(), up_to })
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
    directory: &Path,
    look: &mut dyn FnMut(&[u8]) -> Result<(), LedgerUnavailable>,
) -> Result<(), LedgerUnavailable> {
    for segment in numbers(directory).map_err(|error| unreadable(&error))? {
        lines(&path_of(directory, segment), |error| unreadable(&error), look)?;
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> LedgerUnavailable {
    match error.kind() {
        io::ErrorKind::InvalidData => broken(),
        kind => LedgerUnavailable(format!("ledger: {kind}")),
    }
}

fn last_of(directory: &Path) -> Result<Option<Anchor>, LedgerUnavailable> {
    let mut last: Option<Vec<u8>> = None;
    walk(directory, &mut |line| {
        line.clone_into(last.get_or_insert_default());
        Ok(())
    })?;
    last.as_deref().map(anchor).transpose()
}

fn anchor(line: &[u8]) -> Result<Anchor, LedgerUnavailable> {
    let record = parse(line)?;
    let hash = record["hash"].as_str().and_then(Digest::parse);
    let (Some(sequence), Some(hash)) = (record["seq"].as_u64(), hash) else { return Err(broken()) };
    Ok(Anchor { sequence, hash })
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
