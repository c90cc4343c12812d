//! Entries as JSON records. Each body here gets `v`, `seq`, `at`, `node`, `prev` and `hash` from the
//! writer, which alone knows what came before.
//!
//! Members that are not known are left out; `null` is no member of any record.

use serde_json::{Map, Value};

use super::chain::{FIRST_INEXACT, linked};
use super::{
    Concerned, Disclosure, LedgerUnavailable, Note, Outcome, Receipt, Refused, SubjectIndex,
};
use crate::terms::{Digest, is_file_id};

/// The version of the record format. 2 added `subjects`, to disclosures and as a kind, `service`
/// and `call`.
const VERSION: u64 = 2;

/// The members that say what happened.
pub(super) type Body = Map<String, Value>;

/// The last record of a chain so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its number; 0 before the first.
    pub(super) sequence: u64,
    /// Its hash.
    pub(super) hash: Digest,
}

impl Head {
    /// Before the first record.
    pub(super) const START: Self = Self { sequence: 0, hash: super::GENESIS };

    /// Makes `body` the next record: appends its line to `lines` and moves on. `None`: it has no
    /// canonical form. Those that this file makes have one.
    #[must_use]
    pub(super) fn append(&mut self, mut body: Body, node: &str, lines: &mut Vec<u8>) -> Option<()> {
        let sequence = self.sequence + 1;
        body.insert("v".into(), VERSION.into());
        body.insert("seq".into(), whole(sequence));
        body.insert("node".into(), node.into());
        let hash = linked(&self.hash, &body, lines)?;
        lines.push(b'\n');
        *self = Self { sequence, hash };
        Some(())
    }
}

pub(super) fn disclosure(entry: &Disclosure) -> Body {
    let (id, revision, digest) = &entry.policy;
    let mut body = body("disclosure");
    body.insert("id".into(), entry.decision.as_str().into());
    body.insert("policy".into(), policy(id, revision, digest));
    body.insert("route".into(), entry.route.as_str().into());
    body.insert("recipient".into(), entry.recipient.as_str().into());
    body.insert("role".into(), entry.role.into());
    optional(&mut body, "category_of_recipient", entry.category_of_recipient.as_deref());
    optional(&mut body, "country", entry.country.as_deref());
    body.insert("purposes".into(), entry.purposes.as_slice().into());
    body.insert("basis".into(), entry.basis.as_slice().into());
    optional(&mut body, "case", entry.case.as_deref().map(file_id));
    if let Some((order, gag_until)) = &entry.order {
        body.insert("order".into(), file_id(order).into());
        optional(&mut body, "gag_until", gag_until.as_deref());
    }
    if let Some(k) = entry.aggregated {
        let mut aggregated = Map::new();
        aggregated.insert("k".into(), whole(k));
        body.insert("aggregated".into(), aggregated.into());
    }
    optional(&mut body, "tunnel", entry.tunnel);
    body.insert("released".into(), pairs(&entry.released));
    body.insert("withheld".into(), pairs(&entry.withheld));
    body
}

pub(super) fn outcome(receipt: &Receipt, outcome: &Outcome) -> Body {
    let mut body = body("outcome");
    body.insert("id".into(), receipt.decision.as_str().into());
    body.insert("opening".into(), whole(receipt.sequence));
    body.insert("complete".into(), outcome.complete.into());
    optional(&mut body, "refusal", outcome.refusal.map(crate::terms::RefusalReason::code));
    body.insert("status".into(), u64::from(outcome.status).into());
    body.insert("bytes".into(), whole(outcome.bytes));
    if let Some((released, dropped)) = outcome.elements {
        let mut elements = Map::new();
        elements.insert("released".into(), whole(released));
        elements.insert("dropped".into(), whole(dropped));
        body.insert("elements".into(), elements.into());
    }
    body.insert("unlisted".into(), whole(outcome.unlisted));
    if let Some(end) = outcome.tunnel {
        let mut tunnel = Map::new();
        tunnel.insert("received".into(), whole(end.received));
        tunnel.insert("ended".into(), end.ended.into());
        body.insert("tunnel".into(), tunnel.into());
    }
    body
}

pub(super) fn refused(entry: &Refused) -> Body {
    let mut body = body("refusal");
    body.insert("id".into(), entry.decision.as_str().into());
    body.insert("reason".into(), entry.reason.code().into());
    body.insert("policy".into(), entry.policy.to_string().into());
    optional(&mut body, "route", entry.route.as_deref());
    optional(&mut body, "recipient", entry.recipient.as_deref());
    optional(&mut body, "role", entry.role);
    body.insert("purposes".into(), entry.purposes.as_slice().into());
    body
}

pub(super) fn note(entry: &Note) -> Body {
    match entry {
        Note::Register { number, recorded_at, register, change, purpose } => {
            let mut body = body("register");
            body.insert("number".into(), whole(*number));
            body.insert("recorded_at".into(), recorded_at.as_str().into());
            body.insert("register".into(), register.as_str().into());
            body.insert("change".into(), change.as_str().into());
            optional(&mut body, "purpose", purpose.as_deref());
            body
        }
        Note::Service { decision, service, route, policy } => {
            let mut body = body("service");
            body.insert("id".into(), decision.as_str().into());
            body.insert("service".into(), (*service).into());
            body.insert("route".into(), route.as_str().into());
            body.insert("policy".into(), policy.to_string().into());
            body
        }
        Note::ErasureNotice { notice, recipient, state, attempts, released, policy } => {
            let mut body = body("erasure-notice");
            body.insert("id".into(), notice.as_str().into());
            body.insert("recipient".into(), recipient.as_str().into());
            body.insert("state".into(), (*state).into());
            body.insert("attempts".into(), u64::from(*attempts).into());
            body.insert("released".into(), pairs(released));
            body.insert("policy".into(), policy.to_string().into());
            body
        }
        Note::Call { by, role, method, route, status, about: _ } => {
            let mut body = body("call");
            body.insert("by".into(), file_id(by).into());
            optional(&mut body, "role", *role);
            body.insert("method".into(), (*method).into());
            body.insert("route".into(), route.as_str().into());
            body.insert("status".into(), u64::from(*status).into());
            body
        }
        Note::Retired { cut, before, policy } => {
            let mut body = body("retired");
            body.insert("records".into(), whole(cut.records));
            body.insert("cut_hash".into(), cut.hash.hex().into());
            body.insert("cut_root".into(), cut.root.hex().into());
            body.insert("before".into(), before.to_string().into());
            body.insert("policy".into(), policy.to_string().into());
            body
        }
        Note::Policy { id, revision, digest } => {
            let mut body = body("policy");
            body.insert("policy".into(), policy(id, revision, digest));
            body
        }
    }
}

/// The same note once more, for further people whom it is about: `continues` is its first record.
pub(super) fn continued(entry: &Note, first: u64) -> Body {
    let mut body = note(entry);
    body.insert("continues".into(), whole(first));
    body
}

/// Further people in a disclosure that is open.
pub(super) fn subjects(receipt: &Receipt) -> Body {
    let mut body = body("subjects");
    body.insert("id".into(), receipt.decision.as_str().into());
    body.insert("opening".into(), whole(receipt.sequence));
    body
}

/// Adds tags of people to a body, of the month in which it was made.
pub(super) fn tag(
    body: &mut Body,
    people: &[Concerned],
    index: &SubjectIndex,
) -> Result<(), LedgerUnavailable> {
    let at = body.get("at").and_then(Value::as_str).and_then(|at| at.get(..7));
    let month = at.ok_or_else(|| LedgerUnavailable("a record without a time".into()))?.to_owned();
    let mut parts = Vec::with_capacity(people.len());
    for concerned in people {
        let tags = index.tags(&concerned.people, &month)?;
        let mut part = Map::new();
        part.insert("role".into(), concerned.role.as_str().into());
        part.insert("categories".into(), pairs(&concerned.categories));
        part.insert("tags".into(), tags.into());
        parts.push(Value::Object(part));
    }
    body.insert("subjects".into(), parts.into());
    Ok(())
}

/// After a crash or a failed write: `bytes` that never were a whole, acknowledged record are gone.
pub(super) fn recovery(bytes: u64) -> Body {
    let mut body = body("recovery");
    body.insert("bytes_cut".into(), whole(bytes));
    body
}

/// `count` entries that nobody waited for could not be kept while the ledger could not be written.
pub(super) fn omission(count: u64) -> Body {
    let mut body = body("omission");
    body.insert("entries".into(), whole(count));
    body
}

fn body(kind: &str) -> Body {
    let mut body = Map::new();
    body.insert("kind".into(), kind.into());
    body.insert("at".into(), format!("{:.3}", jiff::Timestamp::now()).into());
    body
}

fn policy(id: &str, revision: &str, digest: &Digest) -> Value {
    let mut policy = Map::new();
    policy.insert("id".into(), id.into());
    policy.insert("rev".into(), revision.into());
    policy.insert("digest".into(), digest.to_string().into());
    policy.into()
}

fn optional(body: &mut Body, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        body.insert(name.into(), value.into());
    }
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs
        .iter()
        .map(|(name, word)| (name.clone(), Value::from(word.as_str())))
        .collect::<Map<_, _>>()
        .into()
}

/// Counts beyond 2⁵³ − 1 are entered as that number; nothing that is counted here gets there.
fn whole(count: u64) -> Value {
    count.min(FIRST_INEXACT - 1).into()
}

/// What stands in the ledger cannot be erased: what does not look like an id is not entered.
fn file_id(text: &str) -> &str {
    if is_file_id(text) { text } else { "not-an-id" }
}

#[cfg(test)]
mod tests {
    use super::{Head, file_id, omission};

    #[test]
    fn a_case_that_is_no_id_is_not_entered() {
        assert_eq!(file_id("C-2026/114"), "C-2026/114");
        for text in ["testina@example.invalid", "Testina Musterfrau", "a\nb", &"9".repeat(65)] {
            assert_eq!(file_id(text), "not-an-id");
        }
    }

    #[test]
    fn each_record_names_the_one_before() {
        let mut head = Head::START;
        let mut lines = Vec::new();
        head.append(omission(1), "gw-1", &mut lines).expect("canonical");
        let first = head;
        head.append(omission(2), "gw-1", &mut lines).expect("canonical");
        let text = String::from_utf8(lines).expect("JSON is UTF-8");
        let second = text.lines().nth(1).expect("two lines");
        assert!(second.contains(&format!("\"prev\":\"{}\"", first.hash.hex())));
        assert!(second.contains("\"seq\":2"));
    }
}
