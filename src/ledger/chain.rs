//! The hash chain: `SHA-256("tamis-ledger-v1\0" ‖ previous ‖ u32_be(length) ‖ canonical record)`.
//!
//! A record is canonical as RFC 8785 says. Records hold strings, whole numbers below 2⁵³, booleans,
//! arrays and objects only, so that no question of number formats arises and an auditor can write a
//! second verifier in an afternoon. [`canonical`] refuses everything else.

use serde_json::{Map, Value};
use sha2::Digest as _;

use crate::terms::Digest;

/// What the first record follows: 32 zero bytes.
pub const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// Sets this chain apart from every other use of SHA-256, and its format from later ones.
const DOMAIN: &[u8] = b"tamis-ledger-v1\0";

/// Whole numbers from here on are not exact in every JSON reader. Source: RFC 8785 §3.2.2.3.
pub(super) const FIRST_INEXACT: u64 = 1 << 53;

/// The hash of a record whose canonical form (RFC 8785, without `prev` and `hash`) is `canonical`.
#[must_use]
pub fn link(previous: &Digest, canonical: &[u8]) -> Digest {
    let length = u32::try_from(canonical.len()).unwrap_or(u32::MAX);
    let mut hasher = sha2::Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(previous.as_bytes());
    hasher.update(length.to_be_bytes());
    hasher.update(canonical);
    Digest::from_bytes(hasher.finalize().into())
}

/// The canonical form of `value`; `None` where it holds what a record may not hold (`null`, a
/// fraction, a negative number, a number from 2⁵³ on).
pub(super) fn canonical(value: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    write(value, &mut bytes)?;
    Some(bytes)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => return None,
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Number(number) => {
            let whole = number.as_u64().filter(|whole| *whole < FIRST_INEXACT)?;
            serde_json::to_writer(out, &whole).ok()?;
        }
        Value::String(text) => write_text(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            let mut is_first = true;
            in_order(members, |name, item| {
                if !std::mem::replace(&mut is_first, false) {
                    out.push(b',');
                }
                write_text(name, out)?;
                out.push(b':');
                write(item, out)
            })?;
            out.push(b'}');
        }
    }
    Some(())
}

/// Calls `each` for the members in the order of RFC 8785 §3.2.3, by UTF-16 code units; that differs
/// from byte order beyond the basic plane.
fn in_order(
    members: &Map<String, Value>,
    mut each: impl FnMut(&str, &Value) -> Option<()>,
) -> Option<()> {
    // Our own names are ASCII and come in order, unless serde_json has its `preserve_order`.
    if members.keys().all(|name| name.is_ascii()) && members.keys().is_sorted() {
        return members.iter().try_for_each(|(name, item)| each(name, item));
    }
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    sorted.into_iter().try_for_each(|(name, item)| each(name, item))
}

/// Appends the next record of a chain to `lines`, without the end of its line, and gives its hash.
/// `record` has neither `prev` nor `hash`, and members before and behind both; `None`, and nothing
/// appended, where [`canonical`] gives none.
pub(super) fn linked(
    previous: &Digest,
    record: &Map<String, Value>,
    lines: &mut Vec<u8>,
) -> Option<Digest> {
    let mut bytes = Vec::with_capacity(1024);
    let (mut before_hash, mut before_prev) = (0, 0);
    in_order(record, |name, item| {
        bytes.push(if bytes.is_empty() { b'{' } else { b',' });
        if name < "hash" {
            before_hash = usize::MAX;
        } else if before_hash == usize::MAX {
            before_hash = bytes.len();
        }
        if name < "prev" {
            before_prev = usize::MAX;
        } else if before_prev == usize::MAX {
            before_prev = bytes.len();
        }
        write_text(name, &mut bytes)?;
        bytes.push(b':');
        write(item, &mut bytes)
    })?;
    bytes.push(b'}');
    let hash = link(previous, &bytes);
    let (start, middle, end) = (
        bytes.get(..before_hash)?,
        bytes.get(before_hash..before_prev)?,
        bytes.get(before_prev..)?,
    );
    let (hashed, followed) = (hash.hex(), previous.hex());
    for part in [
        start,
        b"\"hash\":\"",
        hashed.as_bytes(),
        b"\",",
        middle,
        b"\"prev\":\"",
        followed.as_bytes(),
        b"\",",
        end,
    ] {
        lines.extend_from_slice(part);
    }
    Some(hash)
}

/// serde_json escapes exactly what RFC 8785 §3.2.2.2 escapes, in the same spelling.
fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{GENESIS, canonical, link, linked};

    #[test]
    fn the_chain_gives_the_published_vectors() {
        let first = link(&GENESIS, br#"{"recipient":"help-desk","seq":1,"v":1}"#);
        assert_eq!(first.hex(), "25512ad166892fe12e2a004b26e08445a3935d5dc81d61c0c64c4318d2f0bb4a");
        let second = link(&first, br#"{"recipient":"soc","seq":2,"v":1}"#);
        assert_eq!(
            second.hex(),
            "45f4ee674824413d7bd872b632ef8b7d8cd8c1ff61dead5ae56a19e07da492f3"
        );
    }

    #[test]
    fn a_linked_record_is_the_canonical_form_with_both_hashes() {
        let first = json!({"v": 1, "seq": 1, "at": "2026", "recipient": "soc", "kind": "\u{e9}\n"});
        let mut line = Vec::new();
        let hash = linked(&GENESIS, first.as_object().expect("ours"), &mut line);
        let hash = hash.expect("canonical");
        assert_eq!(hash, link(&GENESIS, &canonical(&first).expect("canonical")));
        let mut whole = first;
        whole["prev"] = GENESIS.hex().into();
        whole["hash"] = hash.hex().into();
        assert_eq!(Some(line), canonical(&whole));
        let bare = json!({"a": 1});
        let mut line = Vec::new();
        let none = linked(&GENESIS, bare.as_object().expect("ours"), &mut line);
        assert_eq!((none, line), (None, Vec::new()), "no place for both");
    }

    #[test]
    fn members_are_sorted_by_utf16_and_written_without_white_space() {
        let value = json!({"v": 1, "recipient": "soc", "seq": 2});
        let expected = br#"{"recipient":"soc","seq":2,"v":1}"#.to_vec();
        assert_eq!(canonical(&value), Some(expected));

        // U+1F600 is D83D DE00 in UTF-16, before U+FB33; by bytes it would come after.
        let beyond = json!({"\u{fb33}": 1, "\u{1f600}": 2, "\u{20ac}": 3, "\r": 4, "1": 5});
        let expected = "{\"\\r\":4,\"1\":5,\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}";
        assert_eq!(canonical(&beyond), Some(expected.as_bytes().to_vec()));
    }

    #[test]
    fn what_json_readers_disagree_on_is_no_record() {
        for value in [json!(null), json!(0.5), json!(-1), json!(1_u64 << 53), json!([[null]])] {
            assert_eq!(canonical(&value), None, "{value}");
        }
        assert_eq!(canonical(&json!((1_u64 << 53) - 1)), Some(b"9007199254740991".to_vec()));
    }

    #[test]
    fn control_characters_cannot_break_a_line() {
        let text = canonical(&json!("a\nb\u{1b}[0m\u{7f}\"")).expect("text is canonical");
        assert_eq!(text, "\"a\\nb\\u001b[0m\u{7f}\\\"\"".as_bytes());
    }
}
