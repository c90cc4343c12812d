//! "Retention": by the date that stands beside the data, and the clock at the moment of release.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::text::{Period, Route, Text, covers};
use crate::oracle::Tree;
use crate::properties::played::now;

/// The periods that bind a category for these purposes.
pub(super) fn binding<'a>(
    text: &'a Text,
    category: &'a str,
    purposes: &'a [&str],
) -> impl Iterator<Item = &'a Period> {
    text.retention.iter().filter(move |period| {
        let is_excepted = |purpose: &&str| period.except_for.iter().any(|one| one == purpose);
        covers(&period.category, category) && !purposes.iter().all(is_excepted)
    })
}

/// Where the date of a category stands on a route, if it says so: by `since`, or because the member at
/// `start` is catalogued.
pub(super) fn date_on(route: &Route, category: &str, start: Option<&str>) -> Option<String> {
    let since = route.since.iter().filter(|(pattern, _)| covers(pattern, category));
    let specific = since.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
    if let Some((_, date)) = specific {
        return Some(date.clone());
    }
    // From the element, or from the answer where there is no list.
    let start = start?;
    let written = if route.each.is_none() { start.replacen('@', "$", 1) } else { start.to_owned() };
    let is_it = |selector: &String| *selector == written;
    (route.fields.keys().any(is_it) || route.open.iter().any(is_it)).then_some(written)
}

/// Whether each period that binds a field has a date on this route. Elements are dated one by one: what
/// stands beside them has none of theirs.
pub(super) fn has_date(
    text: &Text,
    route: &Route,
    purposes: &[&str],
    selector: &str,
    category: &str,
) -> bool {
    binding(text, category, purposes).all(|period| {
        date_on(route, category, period.start.as_deref())
            .is_some_and(|date| selector.starts_with('@') || !date.starts_with('@'))
    })
}

/// Whether data with these dates are younger than the period: all of the dates are read, none lies
/// more than a day ahead, and the oldest counts.
pub(super) fn are_young(dates: &[&Tree], after: &str) -> bool {
    let moments: Option<Vec<Timestamp>> = dates.iter().map(|date| moment(date)).collect();
    let Some(moments) = moments.filter(|moments| !moments.is_empty()) else { return false };
    let tomorrow = now() + 24.hours();
    let is_over = |from: &Timestamp| {
        let from = TimeZone::UTC.to_datetime(*from);
        let end = match after {
            "30d" => from + 30.days(),
            "1y" => from + 1.year(),
            other => panic!("the oracle knows no period `{other}`"),
        };
        TimeZone::UTC.to_timestamp(end).is_ok_and(|end| end < now())
    };
    !moments.iter().any(|moment| *moment > tomorrow || is_over(moment))
}

/// RFC 3339, a day (its beginning, UTC), seconds or milliseconds since 1970.
fn moment(date: &Tree) -> Option<Timestamp> {
    match date {
        Tree::String(text) if text.len() == "2026-01-31".len() => {
            let day: Date = text.parse().ok()?;
            TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
        }
        Tree::String(text) => text.parse().ok(),
        Tree::Number(digits) => match digits.parse::<i64>().ok()? {
            seconds if digits.len() <= 10 => Timestamp::from_second(seconds).ok(),
            milliseconds => Timestamp::from_millisecond(milliseconds).ok(),
        },
        _ => None,
    }
}
