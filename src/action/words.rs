//! The action grammar: the closed set of words that `show`, `limits` and `rewrite --rule` accept.

use std::fmt;
use std::str::FromStr;

use super::lattice::{Action, Generalisation, Mask, Period};

/// The text is no action. Carries what the author may have meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown action")]
pub struct UnknownAction {
    /// A word of the grammar that is close to what was written.
    pub suggestion: Option<&'static str>,
}

/// One example of every form, shown in help texts and used for suggestions.
pub(super) const FORMS: [&str; 32] = [
    "keep",
    "mask last 4",
    "mask first 2",
    "mask bin+last4",
    "mask length",
    "redact",
    "initials",
    "first-word",
    "generalise hour",
    "generalise day",
    "generalise month",
    "generalise quarter",
    "generalise year",
    "generalise 5-year band",
    "generalise bucket 10",
    "generalise group",
    "generalise category",
    "generalise prefix 2",
    "generalise 0.1 deg",
    "prefix /24 /48",
    "family",
    "origin",
    "path-template",
    "pseudonym",
    "pseudonym daily",
    "token",
    "fpe",
    "round 2",
    "scrub",
    "own lines",
    "blank",
    "remove",
];

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let words: Vec<&str> = text.split_whitespace().collect();
        parse(&words).ok_or_else(|| UnknownAction { suggestion: closest(text) })
    }
}

fn parse(words: &[&str]) -> Option<Action> {
    Some(match words {
        ["keep"] => Action::Keep,
        ["mask", "last", n] => Action::Mask(Mask::Last(count(n)?)),
        ["mask", "first", n] => Action::Mask(Mask::First(count(n)?)),
        ["mask", "bin+last4"] => Action::Mask(Mask::BinAndLast4),
        ["mask", "length"] => Action::Mask(Mask::Length),
        ["redact"] | ["mask", "all"] => Action::Mask(Mask::Redact),
        ["initials"] => Action::Initials,
        ["first-word"] => Action::FirstWord,
        ["generalise", rest @ ..] => Action::Generalise(generalisation(rest)?),
        ["prefix", v4, v6] => Action::IpPrefix { v4: bits(v4, 32)?, v6: bits(v6, 128)? },
        ["family"] => Action::AgentFamily,
        ["origin"] => Action::Origin,
        ["path-template"] => Action::PathTemplate,
        ["pseudonym"] => Action::Pseudonym(Period::Unlimited),
        ["pseudonym", "daily"] => Action::Pseudonym(Period::Day),
        ["pseudonym", "weekly"] => Action::Pseudonym(Period::Week),
        ["pseudonym", "monthly"] => Action::Pseudonym(Period::Month),
        ["pseudonym", "yearly"] => Action::Pseudonym(Period::Year),
        ["token"] => Action::Token,
        ["fpe"] => Action::Fpe,
        ["round", n] => {
            Action::Generalise(Generalisation::Round(n.parse().ok().filter(|n| *n <= 15)?))
        }
        ["scrub"] => Action::Scrub,
        ["own", "lines"] => Action::OwnLines,
        ["blank"] => Action::Blank,
        ["remove"] => Action::Remove,
        ["drop"] => Action::Drop,
        ["refuse"] => Action::Refuse,
        _ => return None,
    })
}

fn generalisation(words: &[&str]) -> Option<Generalisation> {
    Some(match words {
        ["hour"] => Generalisation::Hour,
        ["day"] => Generalisation::Day,
        ["month"] => Generalisation::Month,
        ["quarter"] => Generalisation::Quarter,
        ["year"] => Generalisation::Year,
        [band, "band"] => Generalisation::YearBand(
            band.strip_suffix("-year")?.parse().ok().filter(|n| (1..=100).contains(n))?,
        ),
        ["bucket", step] => {
            Generalisation::Bucket(step.parse().ok().filter(|n| (1..=1_000_000_000).contains(n))?)
        }
        ["group" | "category"] => Generalisation::Group,
        ["prefix", n] => Generalisation::Prefix(count(n)?),
        [degrees, "deg"] => Generalisation::Degrees(match *degrees {
            "0.001" => 3,
            "0.01" => 2,
            "0.1" => 1,
            "1" => 0,
            _ => return None,
        }),
        _ => return None,
    })
}

/// A small count of characters: nothing between 1 and 64 is a slip of the pen.
fn count(word: &str) -> Option<u8> {
    word.parse().ok().filter(|n| (1..=64).contains(n))
}

fn bits(word: &str, most: u8) -> Option<u8> {
    word.strip_prefix('/')?.parse().ok().filter(|n| *n <= most)
}

fn closest(text: &str) -> Option<&'static str> {
    // The name of a city or a country is not to be had from a coordinate without a gazetteer.
    match text {
        "generalise city" => return Some("generalise 0.1 deg"),
        "generalise country" => return Some("generalise 1 deg"),
        _ => {}
    }
    FORMS
        .iter()
        .map(|form| (distance(text, form), *form))
        .min()
        .filter(|(distance, form)| *distance <= form.len() / 2)
        .map(|(_, form)| form)
}

/// Levenshtein distance in bytes; the texts are short words of rules.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Mask(Mask::BinAndLast4) => f.write_str("mask bin+last4"),
            Self::Mask(Mask::First(n)) => write!(f, "mask first {n}"),
            Self::Mask(Mask::Last(n)) => write!(f, "mask last {n}"),
            Self::Mask(Mask::Length) => f.write_str("mask length"),
            Self::Mask(Mask::Redact) => f.write_str("redact"),
            Self::Initials => f.write_str("initials"),
            Self::FirstWord => f.write_str("first-word"),
            Self::Generalise(Generalisation::Hour) => f.write_str("generalise hour"),
            Self::Generalise(Generalisation::Day) => f.write_str("generalise day"),
            Self::Generalise(Generalisation::Month) => f.write_str("generalise month"),
            Self::Generalise(Generalisation::Quarter) => f.write_str("generalise quarter"),
            Self::Generalise(Generalisation::Year) => f.write_str("generalise year"),
            Self::Generalise(Generalisation::YearBand(n)) => write!(f, "generalise {n}-year band"),
            Self::Generalise(Generalisation::Bucket(n)) => write!(f, "generalise bucket {n}"),
            Self::Generalise(Generalisation::Round(n)) => write!(f, "round {n}"),
            Self::Generalise(Generalisation::Prefix(n)) => write!(f, "generalise prefix {n}"),
            Self::Generalise(Generalisation::Degrees(n)) => {
                let degrees = ["1", "0.1", "0.01", "0.001"][usize::from(*n).min(3)];
                write!(f, "generalise {degrees} deg")
            }
            Self::Generalise(Generalisation::Group) => f.write_str("generalise group"),
            Self::IpPrefix { v4, v6 } => write!(f, "prefix /{v4} /{v6}"),
            Self::AgentFamily => f.write_str("family"),
            Self::PathTemplate => f.write_str("path-template"),
            Self::Origin => f.write_str("origin"),
            Self::Fpe => f.write_str("fpe"),
            Self::Token => f.write_str("token"),
            Self::Pseudonym(Period::Unlimited) => f.write_str("pseudonym"),
            Self::Pseudonym(Period::Year) => f.write_str("pseudonym yearly"),
            Self::Pseudonym(Period::Month) => f.write_str("pseudonym monthly"),
            Self::Pseudonym(Period::Week) => f.write_str("pseudonym weekly"),
            Self::Pseudonym(Period::Day) => f.write_str("pseudonym daily"),
            Self::Scrub => f.write_str("scrub"),
            Self::OwnLines => f.write_str("own lines"),
            Self::Blank => f.write_str("blank"),
            Self::Remove => f.write_str("remove"),
            Self::Drop => f.write_str("drop"),
            Self::Refuse => f.write_str("refuse"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_what_it_prints() {
        for form in FORMS {
            let action: Action = form.parse().expect(form);
            assert_eq!(action.to_string().parse::<Action>(), Ok(action), "{form}");
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_a_suggestion() {
        let cases = [
            ("kep", Some("keep")),
            ("mask lst 4", Some("mask last 4")),
            ("pseudonym hourly", Some("pseudonym daily")),
            ("mask last 0", Some("mask last 4")),
            ("delete everything at once please", None),
        ];
        for (text, suggestion) in cases {
            assert_eq!(text.parse::<Action>(), Err(UnknownAction { suggestion }), "{text}");
        }
    }
}
