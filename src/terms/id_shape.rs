//! How people's ids are written: each in one way only.
//!
//! What a person has said is looked up by their id, to the byte. A backend may be less exact, and take
//! `042` for `42` or `U1` for `u1`: then another spelling would be asked about somebody who has said
//! nothing, and answered with what is theirs. So a spelling that is not the one is nobody's.
//! Source: docs/decisions/0012-one-spelling-of-an-id.md.

use uuid::Uuid;

/// The spelling of all ids of data subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdShape {
    /// Signs of ASCII without capitals, and nothing that is another way to write a number or a UUID.
    #[default]
    Lower,
    /// The same with capitals, and without small letters.
    Upper,
    /// Digits, without a zero in front.
    Digits,
    /// A UUID in small letters, with its hyphens. Source: RFC 9562 §4.
    Uuid,
    /// Any: the backend takes an id only as it is written.
    Exact,
}

/// From here on, floating numbers are no integers that a backend could have meant: 2⁶⁴ has 20 digits.
const NO_INTEGER: f64 = 1e20;

impl IdShape {
    /// The words of the rules.
    pub const WORDS: [(&str, Self); 5] = [
        ("lower", Self::Lower),
        ("upper", Self::Upper),
        ("digits", Self::Digits),
        ("uuid", Self::Uuid),
        ("exact", Self::Exact),
    ];

    /// Whether this is how the id of a person is written.
    #[must_use]
    pub fn admits(self, id: &str) -> bool {
        match self {
            Self::Lower => !id.bytes().any(|byte| byte.is_ascii_uppercase()) && is_plain(id, self),
            Self::Upper => !id.bytes().any(|byte| byte.is_ascii_lowercase()) && is_plain(id, self),
            Self::Digits => is_number(id),
            Self::Uuid => is_canonical_uuid(id),
            Self::Exact => !id.is_empty(),
        }
    }

    /// In words, for explanations.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Lower => "in small letters, digits and signs of ASCII",
            Self::Upper => "in capital letters, digits and signs of ASCII",
            Self::Digits => "in digits, without a zero in front",
            Self::Uuid => "as a UUID in small letters with hyphens",
            Self::Exact => "in any way, to the byte",
        }
    }
}

/// Digits, and no zero in front of others.
fn is_number(id: &str) -> bool {
    !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_digit())
        && (id == "0" || !id.starts_with('0'))
}

/// Visible signs of ASCII, of which no usual reader of numbers or UUIDs makes another id.
fn is_plain(id: &str, shape: IdShape) -> bool {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let digits = id.strip_prefix('-').unwrap_or(id);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return is_number(digits) && id != "-0";
    }
    let is_uuid = match shape {
        IdShape::Upper => is_canonical_uuid(&id.to_ascii_lowercase()),
        IdShape::Lower | IdShape::Digits | IdShape::Uuid | IdShape::Exact => is_canonical_uuid(id),
    };
    is_uuid || !(is_other_number(id) || (may_be_a_uuid(id) && is_other_uuid(id)))
}

/// A UUID in the one spelling of RFC 9562 §4.
fn is_canonical_uuid(id: &str) -> bool {
    id.len() == UUID_LENGTH && Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == id)
}

/// Hexadecimal digits of a UUID.
const UUID_DIGITS: usize = 32;

/// Length of a UUID with its hyphens.
const UUID_LENGTH: usize = 36;

/// Whether [`is_other_uuid`] has to be asked at all, which takes copies of the text: nearly no id looks
/// like a UUID from afar, and each person of a list is asked about.
fn may_be_a_uuid(id: &str) -> bool {
    // Signs that are in no spelling of a UUID, except in lists of numbers, which have commas.
    let is_strange =
        |sign: u8| !sign.is_ascii_hexdigit() && !b"-_+:{}()[]<>\"'xXuUrRnNiI".contains(&sign);
    // Or in front and behind, whatever they are.
    if id.contains(',') || id.len() == UUID_LENGTH + 2 {
        return true;
    }
    let has_groups = || id.bytes().filter(|sign| *sign == b'-').count() >= 4;
    (id.len() >= UUID_DIGITS || has_groups()) && !id.bytes().any(is_strange)
}

/// Whether some usual reader takes the text for a UUID. They disagree: PostgreSQL, MariaDB and Python
/// take hyphens anywhere or none, most take braces, .NET parentheses and a list of `0x` numbers too,
/// Python `urn:` and `uuid:` wherever they stand and any number that is 32 signs long, Go any sign in
/// front and behind, Java five short or long groups.
fn is_other_uuid(id: &str) -> bool {
    let lower = id.to_ascii_lowercase();
    if lower.len() == UUID_LENGTH + 2
        && lower.get(1..=UUID_LENGTH).is_some_and(|inner| Uuid::try_parse(inner).is_ok())
    {
        return true;
    }
    let wrapped =
        |sign: char| matches!(sign, '{' | '}' | '(' | ')' | '[' | ']' | '<' | '>' | '"' | '\'');
    let bare = lower.replace("urn:", "").replace("uuid:", "").replace(wrapped, "");
    // A list of numbers in braces: `{0x550e8400,0xe29b,0x41d4,{0xa7,…}}`.
    if bare.len() < lower.len() && bare.starts_with("0x") && bare.contains(',') {
        return true;
    }
    let digits = bare.replace('-', "");
    if digits.len() == UUID_DIGITS {
        let unsigned = digits.trim_start_matches('+');
        let unsigned = unsigned.strip_prefix("0x").unwrap_or(unsigned);
        if unsigned.bytes().all(|sign| sign.is_ascii_hexdigit() || sign == b'_') {
            return true;
        }
    }
    // Java drops what is empty behind the last group, and takes the low bits of what is too long.
    let groups: Vec<&str> = bare.trim_end_matches('-').split('-').collect();
    let is_group = |group: &&str| {
        let unsigned = group.strip_prefix('+').unwrap_or(group);
        !unsigned.is_empty() && unsigned.bytes().all(|sign| sign.is_ascii_hexdigit())
    };
    groups.len() == 5 && groups.iter().all(is_group)
}

/// Whether some reader takes the text for an integer: `+42`, `42.0`, `4.2e1`, `4_2`, `0x2a`.
fn is_other_number(id: &str) -> bool {
    let unsigned = id.trim_start_matches(['+', '-', '_']);
    // Words such as `nan` and `inf` are floating numbers too, and nobody's integer.
    let begins = unsigned.starts_with(|sign: char| sign.is_ascii_digit() || sign == '.');
    if !begins {
        return false;
    }
    let plain: String = unsigned.chars().filter(|sign| !matches!(sign, '_' | ',' | '\'')).collect();
    if plain.parse::<f64>().is_ok_and(|number| number < NO_INTEGER) {
        return true;
    }
    let lower = plain.to_ascii_lowercase();
    let of = |prefix: &str, radix: u32| {
        lower
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(radix)))
    };
    of("0x", 16) || of("0o", 8) || of("0b", 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        use IdShape::{Digits, Exact, Lower, Upper, Uuid};
        let of = |word: &str| match word {
            "l" => Lower,
            "u" => Upper,
            "d" => Digits,
            "i" => Uuid,
            _ => Exact,
        };
        for (id, admitted_by) in [
            ("42", "ldue"),
            ("0", "ldue"),
            ("-42", "lue"),
            ("u1", "le"),
            ("U1", "ue"),
            ("uSer", "e"),
            ("a@example.invalid", "le"),
            ("550e8400-e29b-41d4-a716-446655440000", "lie"),
            ("550E8400-E29B-41D4-A716-446655440000", "ue"),
            ("507f1f77bcf86cd799439011", "le"),
            ("00aa", "le"),
            ("nan", "le"),
            ("e1", "le"),
            ("042", "e"),
            ("00", "e"),
            ("-0", "e"),
            ("-042", "e"),
            ("+42", "e"),
            ("42.0", "e"),
            ("42.", "e"),
            (".42e2", "e"),
            ("4.2e1", "e"),
            ("4.2E1", "e"),
            ("42e0", "e"),
            ("042e0", "e"),
            ("4_2", "e"),
            ("0x2a", "e"),
            ("0X2A", "e"),
            ("0b101010", "e"),
            ("0o52", "e"),
            ("550e8400e29b41d4a716446655440000", "e"),
            ("{550e8400-e29b-41d4-a716-446655440000}", "e"),
            ("urn:uuid:550e8400-e29b-41d4-a716-446655440000", "e"),
            ("550e8400-E29b-41d4-a716-446655440000", "e"),
            ("a-b-c-d", "le"),
            ("a-b-c-d-e-f", "le"),
            ("sku-a-b-c-d", "le"),
            ("{a}", "le"),
            ("urn:example:a", "le"),
            (" 42", "e"),
            ("42 ", "e"),
            ("4 2", "e"),
            ("42\n", "e"),
            ("42\u{0}", "e"),
            ("４２", "e"),
            ("42\u{200b}", "e"),
            ("é", "e"),
            ("e\u{301}", "e"),
            ("ı", "e"),
            ("", ""),
        ] {
            for word in ["l", "u", "d", "i", "e"] {
                assert_eq!(of(word).admits(id), admitted_by.contains(word), "{id:?} {word}");
            }
        }
    }

    /// Other hyphens, braces, `urn:uuid:` and short groups were admitted once: PostgreSQL, Python, Go and
    /// Java read each of them as the one id that had been withdrawn.
    #[test]
    fn of_the_spellings_of_a_uuid_one_is_admitted() {
        let one = "550e8400-e29b-41d4-a716-446655440000";
        let none = "550e8400e29b41d4a716446655440000";
        let mut spellings = vec![
            none.to_owned(),
            "550e-8400-e29b-41d4-a716-4466-5544-0000".to_owned(),
            "550e8400-e29b41d4-a7164466-55440000".to_owned(),
            none.chars().flat_map(|digit| [digit, '-']).collect(),
            format!("{one}-"),
            format!("-{one}"),
            format!("550e8400--{}", &one[9..]),
            format!("({one})"),
            format!("[{one}]"),
            format!("\"{one}\""),
            format!("x{one}x"),
            format!("/{one}/"),
            format!("{{{{{one}}}}}"),
            format!("uuid:{one}"),
            format!("urn:{none}"),
            format!("550e8400urn:{}", &one[8..]),
            "0000550e8400-e29b-41d4-a716-446655440000".to_owned(),
            "550e8400-e29b-0041d4-a716-446655440000".to_owned(),
            "+550e8400-e29b-41d4-a716-446655440000".to_owned(),
            "{0x550e8400,0xe29b,0x41d4,{0xa7,0x16,0x44,0x66,0x55,0x44,0x0,0x0}}".to_owned(),
            // Those with zeros in front are written shorter.
            "1-1-1-1-1".to_owned(),
            "{1-1-1-1-1}".to_owned(),
            "+1-1-1-1-1".to_owned(),
            "1-1-1-1-1--".to_owned(),
            "00000001-0001-0001-0001-1".to_owned(),
            "0x0e8400e29b41d4a716446655440000".to_owned(),
            "55_e8400e29b41d4a716446655440000".to_owned(),
            "+50e8400e29b41d4a716446655440000".to_owned(),
        ];
        for uuid in [one, none] {
            spellings.extend([format!("{{{uuid}}}"), format!("urn:uuid:{uuid}")]);
        }
        for spelling in spellings {
            assert!(!IdShape::Lower.admits(&spelling), "{spelling}");
            let upper = spelling.to_ascii_uppercase();
            assert!(!IdShape::Upper.admits(&upper), "{upper}");
        }
        assert!(IdShape::Lower.admits(one) && IdShape::Upper.admits(&one.to_ascii_uppercase()));
    }

    #[test]
    fn what_does_not_look_like_a_uuid_from_afar_is_none() {
        let signs: Vec<char> = "0fFxu:-{(\"',_+sgGrnid1".chars().collect();
        let one = "550e8400-e29b-41d4-a716-446655440000";
        let mut number = 1_u64;
        let mut roll = |sides: usize| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (number >> 33) as usize % sides
        };
        let mut uuids = 0;
        for _ in 0..200_000 {
            let mut id = match roll(4) {
                0 => one.to_owned(),
                1 => format!("urn:uuid:{}", one.replace('-', "")),
                2 => "{0x550e8400,0xe29b,0x41d4}".to_owned(),
                _ => "1-1-1-1-1".to_owned(),
            };
            for _ in 0..roll(4) {
                let at = roll(id.len());
                match roll(3) {
                    0 => id.insert(at, signs[roll(signs.len())]),
                    1 => drop(id.remove(at)),
                    _ => id.replace_range(at..=at, &signs[roll(signs.len())].to_string()),
                }
            }
            uuids += usize::from(is_other_uuid(&id));
            assert!(may_be_a_uuid(&id) || !is_other_uuid(&id), "{id}");
        }
        assert!(uuids > 1000);
    }

    #[test]
    fn among_spellings_that_any_fold_makes_one_at_most_one_is_admitted() {
        let fold = |id: &str| -> String {
            let folded = id.to_lowercase().replace('_', "");
            let folded = folded.trim().trim_start_matches('+').trim_start_matches('0');
            folded.strip_suffix(".0").unwrap_or(folded).to_owned()
        };
        let signs = ["0", "4", "2", "a", "A", "_", "+", " ", ".0"];
        let mut known = std::collections::BTreeMap::new();
        for number in 0..signs.len().pow(4) {
            let mut id = String::new();
            let mut rest = number;
            for _ in 0..4 {
                id.push_str(signs[rest % signs.len()]);
                rest /= signs.len();
            }
            // A zero in front of letters, or a sign within them, is part of a name and no number.
            let folded = fold(&id);
            let is_number = !folded.is_empty() && folded.bytes().all(|byte| byte.is_ascii_digit());
            if is_number && IdShape::Lower.admits(&id) {
                let other = known.insert(folded, id.clone());
                assert!(other.is_none(), "{id} and {other:?}");
            }
        }
        assert!(known.len() > 10);
    }
}
