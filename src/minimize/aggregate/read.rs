//! A document to rows. Whatever is not expected ends the reading.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::shape::{Dimension, Shape};
use super::table::{Part, Row};
use super::{THOUSANDTHS, Unsound};
use crate::action::{Action, Applied, Scalar, Treatment};

/// Most rows: every combination of a few dimensions with a few values each.
const MOST_ROWS: usize = 5_000;

/// Most people, and the largest sum of anything else: beyond it is no count, and far below it sums of
/// all rows fit into 64 bits.
const MOST: u64 = 1_000_000_000_000;

/// Longest value of a dimension, in bytes: a value is a word, not a text.
const LONGEST_VALUE: usize = 120;

/// Longest text beside the rows, in bytes: a period or a title. What is longer could tell of anybody.
const LONGEST_BESIDE: usize = 200;

/// Words that stand for all values where nothing was said of totals. A backend that uses one counts
/// people twice.
const TOTAL_WORDS: [&str; 9] =
    ["all", "alle", "any", "everyone", "gesamt", "sum", "total", "(all)", "*"];

/// A document that was checked.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) rows: Vec<Row>,
    /// Totals of the whole: where each stands, and how many people it says.
    pub(super) totals: Vec<(Vec<&'a str>, u64)>,
}

/// Checks a document and takes its rows.
pub(super) fn document<'a>(shape: &Shape, document: &'a Value) -> Result<Read<'a>, Unsound> {
    let mut read = Read { rows: Vec::new(), totals: Vec::new() };
    let mut has_list = false;
    object(shape, document, &[], &mut read, &mut has_list)?;
    if has_list { Ok(read) } else { Err(Unsound::Member) }
}

fn object<'a>(
    shape: &Shape,
    value: &'a Value,
    at: &[&'a str],
    read: &mut Read<'a>,
    has_list: &mut bool,
) -> Result<(), Unsound> {
    let members = value.as_object().ok_or(Unsound::Member)?;
    for (name, value) in members {
        let path = [at, &[name.as_str()]].concat();
        if path == shape.list {
            read.rows = rows(shape, value)?;
            *has_list = true;
        } else if shape.totals.contains(&owned(&path)) {
            read.totals.push((path, people(value)?));
        } else if shape.open.contains(&owned(&path)) {
            beside(value)?;
        } else if shape.is_on_the_way(&path) {
            object(shape, value, &path, read, has_list)?;
        } else {
            return Err(Unsound::Member);
        }
    }
    Ok(())
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

/// A member beside the rows: a period or a title. A number could be a total that nobody declared.
fn beside(value: &Value) -> Result<(), Unsound> {
    match value {
        Value::String(text) if is_a_number(text) => Err(Unsound::Total),
        Value::String(text) if text.len() > LONGEST_BESIDE || looks_personal(text) => {
            Err(Unsound::Personal)
        }
        Value::String(_) | Value::Bool(_) | Value::Null => Ok(()),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(Unsound::Total),
    }
}

/// Whether a text is nothing but a number, whatever parts its digits: `60`, `1,204`, `1 204.5`, `60 %`,
/// `6e1`. A date or a quarter is more than that.
fn is_a_number(text: &str) -> bool {
    let text = text.trim();
    let bare: String = text
        .trim_start_matches([
            '+', '-', '\u{2212}', '~', '\u{2248}', '<', '>', '=', '\u{2264}', '\u{2265}',
        ])
        .trim_end_matches(['%', '\u{2030}', '+'])
        .chars()
        .filter(|sign| {
            !sign.is_whitespace() && !matches!(sign, '.' | ',' | '\'' | '\u{2019}' | '_')
        })
        .collect();
    let digits = !bare.is_empty() && bare.chars().all(char::is_numeric);
    digits || text.parse::<f64>().is_ok()
}

fn rows(shape: &Shape, value: &Value) -> Result<Vec<Row>, Unsound> {
    let items = value.as_array().ok_or(Unsound::Member)?;
    if items.len() > MOST_ROWS {
        return Err(Unsound::Rows);
    }
    let mut seen = BTreeSet::new();
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let members = item.as_object().ok_or(Unsound::Member)?;
        let is_known = |name: &String| {
            *name == shape.count
                || shape.dimensions.iter().any(|dimension| dimension.name == *name)
                || shape.measures.iter().any(|measure| measure.name == *name)
        };
        if !members.keys().all(is_known) {
            return Err(Unsound::Member);
        }
        let count = people(members.get(&shape.count).ok_or(Unsound::Count)?)?;
        let (sent, row) = row(shape, members, count)?;
        if !seen.insert(sent) {
            return Err(Unsound::Twice);
        }
        rows.extend(row);
    }
    Ok(rows)
}

/// The key as it was sent, and the row. No row where it is a total over a dimension that does not
/// leave: without that dimension the groups themselves are that total.
fn row(
    shape: &Shape,
    members: &Map<String, Value>,
    count: u64,
) -> Result<(Vec<Part>, Option<Row>), Unsound> {
    let (mut sent, mut key, mut overlapping) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_row = true;
    for dimension in &shape.dimensions {
        let value = members.get(&dimension.name).ok_or(Unsound::Key)?;
        let part = as_sent(shape, value)?;
        if dimension.leaves() {
            key.push(match part {
                Part::All => Part::All,
                Part::Value(_) => Part::Value(treated(dimension, value)?),
            });
        } else {
            is_row &= part != Part::All;
        }
        if let (true, Part::Value(value)) = (dimension.several, &part) {
            overlapping.push(value.clone());
        }
        sent.push(part);
    }
    let others = shape.measures.iter().filter(|measure| !measure.is_count);
    let measures = others.map(|one| number(members.get(&one.name))).collect::<Result<_, _>>()?;
    let row = is_row.then_some(Row { key, count, measures, overlapping });
    Ok((sent, row))
}

/// Whether a value stands for all, or which it is.
fn as_sent(shape: &Shape, value: &Value) -> Result<Part, Unsound> {
    match value {
        Value::String(text) if shape.all.as_deref() == Some(text) => Ok(Part::All),
        Value::String(text) if stands_for_all(shape, text) => Err(Unsound::Total),
        Value::String(text) if text.len() > LONGEST_VALUE => Err(Unsound::Key),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            Ok(Part::Value(value.to_string().into_bytes()))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Unsound::Key),
    }
}

/// Whether a text is a word for all values, if not the one that the rules declare to the letter.
fn stands_for_all(shape: &Shape, text: &str) -> bool {
    let word = text.trim().to_lowercase();
    TOTAL_WORDS.contains(&word.as_str())
        || shape.all.as_ref().is_some_and(|all| all.trim().to_lowercase() == word)
}

/// What a value becomes, as JSON text.
fn treated(dimension: &Dimension, value: &Value) -> Result<Vec<u8>, Unsound> {
    let number;
    let scalar = match value {
        Value::String(text) => Scalar::String(text),
        Value::Bool(flag) => Scalar::Bool(*flag),
        Value::Number(found) => {
            number = found.to_string();
            Scalar::Number(&number)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(Unsound::Key),
    };
    let mut text = Vec::new();
    // A placeholder would make one group of all that the action was not made for.
    if dimension.treatment.apply(scalar, &mut text) == Applied::Blanked {
        return Err(Unsound::Key);
    }
    let shown: Value = serde_json::from_slice(&text).map_err(|_| Unsound::Key)?;
    let is_personal = match &shown {
        Value::String(text) => looks_personal(text),
        Value::Number(number) => is_fine_place(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    if is_personal { Err(Unsound::Personal) } else { Ok(text) }
}

/// What the detectors of free text find, and coordinates.
fn looks_personal(text: &str) -> bool {
    let scrub = Treatment {
        action: Action::Scrub,
        key: None,
        scope: crate::action::pseudonym::Scope::Recipient,
        opens: None,
        canonical: crate::action::pseudonym::Canonical::default(),
        groups: None,
        link: None,
        today: jiff::civil::Date::ZERO,
    };
    let (mut scrubbed, mut whole) = (Vec::new(), Vec::new());
    scrub.apply(Scalar::String(text), &mut scrubbed);
    crate::action::write_string(text, &mut whole);
    scrubbed != whole || is_fine_place(text)
}

/// Numbers with more than one decimal place and nothing else: a coordinate to a kilometre or better,
/// which is finer than a city.
fn is_fine_place(text: &str) -> bool {
    let decimals = |number: &str| number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let mut numbers = text.split([',', ';', ' ', '/']).filter(|part| !part.is_empty()).peekable();
    numbers.peek().is_some()
        && numbers.clone().all(|part| part.parse::<f64>().is_ok())
        && numbers.any(|part| decimals(part) > 1)
}

/// A whole number of people.
fn people(value: &Value) -> Result<u64, Unsound> {
    value.as_u64().filter(|count| *count <= MOST).ok_or(Unsound::Count)
}

/// Any other number, in thousandths.
fn number(value: Option<&Value>) -> Result<u64, Unsound> {
    let Some(Value::Number(number)) = value else { return Err(Unsound::Measure) };
    if let Some(whole) = number.as_u64() {
        return (whole <= MOST).then(|| whole * THOUSANDTHS).ok_or(Unsound::Measure);
    }
    let parts = number.as_f64().filter(|number| (0.0..=1e12).contains(number));
    // Below 2^53, so that the text of the rounded number is a whole one.
    let thousandths = parts.map(|number| (number * 1000.0).round());
    thousandths.and_then(|number| format!("{number:.0}").parse().ok()).ok_or(Unsound::Measure)
}
