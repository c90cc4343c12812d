//! Numbers of accounts, cards and phones in a text.

use std::ops::Range;

/// Letters and figures of an IBAN. Source: ISO 13616; the shortest in use is Norway's.
const IBAN: std::ops::RangeInclusive<usize> = 15..=34;

/// Figures of a card's number. Source: ISO/IEC 7812-1, and the shortest still in use.
const CARD: std::ops::RangeInclusive<usize> = 13..=19;

/// Figures of a phone number. Source: ITU-T E.164 for the most; fewer than seven are a house's.
const PHONE: std::ops::RangeInclusive<usize> = 7..=15;

/// Words behind which a number is a phone's, whatever its form.
const PHONE_WORDS: [&str; 9] =
    ["tel", "telefon", "phone", "mobile", "mobil", "handy", "call", "fax", "whatsapp"];

/// Two letters, two figures and up to thirty more of both, which pass the check; perhaps in groups.
pub(super) fn ibans(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match iban(&bytes[at..]) {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// The length of the IBAN with which these bytes begin. The longest that ends with a word; else the
/// longest of all.
fn iban(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = *bytes else { return None };
    let is_head = a.is_ascii_alphabetic() && b.is_ascii_alphabetic();
    if !is_head || !c.is_ascii_digit() || !d.is_ascii_digit() {
        return None;
    }
    let (mut signs, mut at) = (Vec::with_capacity(*IBAN.end()), 0);
    let (mut at_a_word, mut anywhere) = (None, None);
    while signs.len() < *IBAN.end() {
        let skipped = usize::from(!signs.is_empty()) * separator(&bytes[at..]);
        let Some(&sign) = bytes.get(at + skipped).filter(|sign| sign.is_ascii_alphanumeric())
        else {
            break;
        };
        at += skipped + 1;
        signs.push(sign.to_ascii_uppercase());
        if IBAN.contains(&signs.len()) && passes_mod_97(&signs) {
            anywhere = Some(at);
            if !bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
                at_a_word = Some(at);
            }
        }
    }
    at_a_word.or(anywhere)
}

/// Source: ISO/IEC 7064, MOD 97-10.
fn passes_mod_97(signs: &[u8]) -> bool {
    let (head, rest) = signs.split_at(4);
    let remainder = rest.iter().chain(head).fold(0_u32, |remainder, sign| match sign {
        b'0'..=b'9' => (remainder * 10 + u32::from(sign - b'0')) % 97,
        _ => (remainder * 100 + u32::from(sign - b'A') + 10) % 97,
    });
    remainder == 1
}

/// How many bytes of a blank or dash stand first: people group figures by them.
fn separator(bytes: &[u8]) -> usize {
    match bytes {
        [b' ' | b'-' | b'.', ..] => 1,
        // No-break space; narrow no-break space and the dashes beside the hyphen.
        [0xc2, 0xa0, ..] => 2,
        [0xe2, 0x80, 0xaf | 0x90..=0x93, ..] => 3,
        _ => 0,
    }
}

/// Figures without a gap.
struct Group {
    place: Range<usize>,
}

/// Groups of figures with one separator between two of them, run by run.
fn runs(text: &str) -> Vec<Vec<Group>> {
    let bytes = text.as_bytes();
    let mut runs: Vec<Vec<Group>> = Vec::new();
    let mut at = 0;
    let mut end_of_last = None;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let group = Group { place: at..at + length };
        let follows = end_of_last
            .is_some_and(|end: usize| end + separator(&bytes[end..]) == at && end < at);
        match runs.last_mut().filter(|_| follows) {
            Some(run) => run.push(group),
            None => runs.push(vec![group]),
        }
        at += length;
        end_of_last = Some(at);
    }
    runs
}

/// 13 to 19 figures that pass the check, in one group or several. A longer group in which such a number
/// could stand is taken whole.
pub(super) fn cards(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for run in runs(text) {
        let mut first = 0;
        while first < run.len() {
            match card(bytes, &run[first..]) {
                Some(groups) => {
                    found.push(run[first].place.start..run[first + groups - 1].place.end);
                    first += groups;
                }
                None => first += 1,
            }
        }
    }
    found
}

/// How many of these groups, from the first on, are a card's number; the most of them.
fn card(text: &[u8], groups: &[Group]) -> Option<usize> {
    let figures = &text[groups[0].place.clone()];
    if figures.len() >= *CARD.start() {
        let any = (0..figures.len()).any(|from| {
            CARD.filter_map_lengths(figures.len() - from)
                .any(|length| is_card(&figures[from..from + length]))
        });
        return any.then_some(1);
    }
    let mut all = Vec::with_capacity(*CARD.end());
    let mut most = None;
    for (at, group) in groups.iter().enumerate() {
        all.extend_from_slice(&text[group.place.clone()]);
        if all.len() > *CARD.end() {
            break;
        }
        if CARD.contains(&all.len()) && is_card(&all) {
            most = Some(at + 1);
        }
    }
    most
}

trait Lengths {
    /// The lengths in this range that are at most `most`.
    fn filter_map_lengths(&self, most: usize) -> impl Iterator<Item = usize>;
}

impl Lengths for std::ops::RangeInclusive<usize> {
    fn filter_map_lengths(&self, most: usize) -> impl Iterator<Item = usize> {
        *self.start()..=(*self.end()).min(most)
    }
}

/// Source: ISO/IEC 7812-1, Annex B. No card begins with 0.
fn is_card(figures: &[u8]) -> bool {
    let sum: u32 = figures
        .iter()
        .rev()
        .enumerate()
        .map(|(at, figure)| {
            let value = u32::from(figure - b'0');
            match at % 2 {
                0 => value,
                _ if value > 4 => value * 2 - 9,
                _ => value * 2,
            }
        })
        .sum();
    figures.first() != Some(&b'0') && sum.is_multiple_of(10)
}
