//! `scrub`: free text in which what can be recognised by its form is replaced by a mark.
//!
//! Best effort, and labelled so wherever it is explained: it finds e-mail addresses, phone numbers,
//! IBANs, card numbers, IP addresses and links, and no names, streets or stories. Where a form is in
//! doubt it takes too much rather than too little: a long number that passes the check of a card is one.

mod links;
mod numbers;

use std::ops::Range;

use super::json::write_escaped;

/// What a piece of text is replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Url,
    Email,
    Iban,
    Card,
    Ip,
    Phone,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "[URL]",
            Self::Email => "[e-mail]",
            Self::Iban => "[IBAN]",
            Self::Card => "[card]",
            Self::Ip => "[IP]",
            Self::Phone => "[phone]",
        }
    }
}

/// Finds all of its kind in a text, in order and without overlap.
type Detector = fn(&str) -> Vec<Range<usize>>;

/// What is surest by its form comes first. Each looks only at what those before it left.
const DETECTORS: [(Mark, Detector); 6] = [
    (Mark::Url, links::urls),
    (Mark::Email, links::emails),
    (Mark::Iban, numbers::ibans),
    (Mark::Card, numbers::cards),
    (Mark::Ip, links::addresses),
    (Mark::Phone, numbers::phones),
];

enum Piece<'a> {
    Text(&'a str),
    Mark(Mark),
}

/// Writes `text`, as it stands between the quotation marks of JSON, with marks for what was found.
pub(super) fn scrub(text: &str, out: &mut Vec<u8>) {
    let mut pieces = vec![Piece::Text(text)];
    for (mark, detector) in DETECTORS {
        let mut split = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Text(text) => cut(text, mark, &detector(text), &mut split),
                Piece::Mark(_) => split.push(piece),
            }
        }
        pieces = split;
    }
    for piece in pieces {
        match piece {
            Piece::Text(text) => write_escaped(text, out),
            Piece::Mark(mark) => out.extend_from_slice(mark.as_str().as_bytes()),
        }
    }
}

fn cut<'a>(text: &'a str, mark: Mark, found: &[Range<usize>], pieces: &mut Vec<Piece<'a>>) {
    let mut begin = 0;
    for range in found {
        if begin < range.start {
            pieces.push(Piece::Text(&text[begin..range.start]));
        }
        pieces.push(Piece::Mark(mark));
        begin = range.end;
    }
    if begin < text.len() {
        pieces.push(Piece::Text(&text[begin..]));
    }
}

#[cfg(test)]
mod tests;
