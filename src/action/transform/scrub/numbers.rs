//! Numbers of accounts, cards and phones in a text.

use std::ops::Range;

/// Letters and figures of an IBAN. Source: ISO 13616; the shortest in use is Norway's.
const IBAN: std::ops::RangeInclusive<usize> = 15..=34;

/// Figures of a card's number. Source: ISO/IEC 7812-1, and the shortest still in use.
const CARD: std::ops::RangeInclusive<usize> = 13..=19;

/// Fewer figures are a house's number, a postal code or an amount. Longer numbers than ITU-T E.164 has are
/// taken too: somebody wrote two in a row.
const FEWEST_OF_A_PHONE: usize = 7;

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
    let (mut signs, mut at) = (Vec::with_capacity(*IBAN.end()), 0);
    let (mut at_a_word, mut anywhere) = (None, None);
    while signs.len() < *IBAN.end() {
        let skipped = usize::from(!signs.is_empty()) * separator(&bytes[at..]);
        let Some(&sign) = bytes.get(at + skipped).filter(|sign| sign.is_ascii_alphanumeric())
        else {
            break;
        };
        at += skipped + 1;
        let fits = match signs.len() {
            0 | 1 => sign.is_ascii_alphabetic(),
            2 | 3 => sign.is_ascii_digit(),
            _ => true,
        };
        if !fits {
            break;
        }
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

/// Groups of figures, run by run: two groups belong together where `gap` finds nothing else between.
fn runs(text: &str, gap: fn(&[u8]) -> usize) -> Vec<Vec<Group>> {
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
        let follows = end_of_last.is_some_and(|end: usize| end + gap(&bytes[end..]) == at);
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
    for run in runs(text, separator) {
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
            let longest = (figures.len() - from).min(*CARD.end());
            (*CARD.start()..=longest).any(|length| is_card(&figures[from..from + length]))
        });
        if any {
            return Some(1);
        }
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

/// How many bytes stand first that people write between the figures of a phone number: three signs at
/// most, such as `) `.
fn phone_gap(bytes: &[u8]) -> usize {
    let mut gap = 0;
    for _ in 0..3 {
        gap += match &bytes[gap..] {
            [b'/' | b'(' | b')', ..] => 1,
            rest => separator(rest),
        };
    }
    gap
}

/// International numbers, national ones with a leading 0, North American ones, and every long number
/// behind a word such as `tel`. What follows in the same run belongs to it: too much rather than too
/// little.
pub(super) fn phones(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    for run in runs(text, phone_gap) {
        let mut first = 0;
        while first < run.len() {
            if is_date(bytes, &run[first..]) {
                first += 3;
                continue;
            }
            let figures: usize = run[first..].iter().map(|group| group.place.len()).sum();
            if figures >= FEWEST_OF_A_PHONE && begins_a_phone(text, &run[first..], first == 0) {
                let start = run[first].place.start;
                // With the signs that belong in front.
                let before = &text[..start];
                let start = before.trim_end_matches(['+', '(']).len();
                found.push(start..run[run.len() - 1].place.end);
                break;
            }
            first += 1;
        }
    }
    found
}

fn begins_a_phone(text: &str, groups: &[Group], is_first: bool) -> bool {
    let bytes = text.as_bytes();
    let start = groups[0].place.start;
    let before = |back: usize| start.checked_sub(back).map(|at| bytes[at]);
    if before(1) == Some(b'+') || (before(1) == Some(b'(') && before(2) == Some(b'+')) {
        return true;
    }
    if is_first && behind_a_phone_word(&text[..start]) {
        return true;
    }
    // Part of a word, of an amount or of a time.
    let in_a_word = before(1).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let in_a_number = matches!(before(1), Some(b',' | b':'))
        && before(2).is_some_and(|byte| byte.is_ascii_digit());
    if in_a_word || in_a_number {
        return false;
    }
    let figures = &bytes[groups[0].place.clone()];
    let is_fraction = figures == b"0" && bytes.get(groups[0].place.end) == Some(&b'.');
    if figures.first() == Some(&b'0') && !is_fraction {
        return true;
    }
    let lengths: Vec<usize> = groups.iter().take(4).map(|group| group.place.len()).collect();
    let north_american = match lengths.as_slice() {
        [1, rest @ ..] if figures == b"1" => rest.starts_with(&[3, 3, 4]),
        all => all.starts_with(&[3, 3, 4]),
    };
    north_american && matches!(figures.first(), Some(b'1'..=b'9'))
}

/// Whether the text ends in a word that announces a phone number.
fn behind_a_phone_word(before: &str) -> bool {
    let before = before.trim_end_matches([' ', ':', '.', '(', '\u{a0}']);
    let word = before.trim_end_matches(char::is_alphabetic).len();
    let word = before[word..].to_lowercase();
    PHONE_WORDS.contains(&word.as_str())
}

/// Whether three groups are a date, as people and machines write it.
fn is_date(text: &[u8], groups: &[Group]) -> bool {
    let [a, b, c, ..] = groups else { return false };
    let between = |a: &Group, b: &Group| match text.get(a.place.end..b.place.start) {
        Some([sign @ (b'.' | b'-' | b'/')]) => Some(*sign),
        _ => None,
    };
    let same = between(a, b).is_some() && between(a, b) == between(b, c);
    let is_year = |group: &Group| {
        let figures = &text[group.place.clone()];
        figures.len() == 4 && (figures.starts_with(b"19") || figures.starts_with(b"20"))
    };
    let is_day = |group: &Group| group.place.len() <= 2;
    same && is_day(b) && ((is_year(a) && is_day(c)) || (is_day(a) && is_year(c)))
}
