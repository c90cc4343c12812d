//! Dates, times, years and ages made coarser. Always a string, since `2026-11` is no number.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::number::is_plain_integer;
use crate::action::Generalisation;

/// From this age on there are so few that an age points at a person. Source: HIPAA 45 CFR
/// 164.514(b)(2)(i)(C).
const TOP_CODED_AGE: u16 = 90;

/// Children form one band: their exact age is nobody's statistics. Source: GDPR recital 38.
const ADULT_AGE: u16 = 18;

/// What is read as an age and what as a year; numbers between are neither.
const AGES: std::ops::RangeInclusive<u16> = 0..=130;
const YEARS: std::ops::RangeInclusive<u16> = 1800..=2200;

/// A point in time, as precise as it was written.
struct Moment {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    /// The hour, and whether it is known to be one of UTC.
    hour: Option<(i8, bool)>,
}

/// Writes the value cut to the level that `how` names, in UTC if the value says its offset. What is
/// coarser already stays as coarse as it is. `None` if it is no RFC 3339 date or date-time.
pub(super) fn cut(how: Generalisation, value: &str, out: &mut Vec<u8>) -> Option<()> {
    let Moment { year, month, day, hour } = moment(value)?;
    let (with_month, with_day, with_hour) = match how {
        Generalisation::Hour => (true, true, true),
        Generalisation::Day => (true, true, false),
        Generalisation::Month | Generalisation::Quarter => (true, false, false),
        // Year. Everything else is no level of the calendar, and the year is the safest of them.
        _ => (false, false, false),
    };
    write!(out, "{year:04}").ok()?;
    let Some(month) = month.filter(|_| with_month) else { return Some(()) };
    if how == Generalisation::Quarter {
        return write!(out, "-Q{}", (month - 1) / 3 + 1).ok();
    }
    write!(out, "-{month:02}").ok()?;
    let Some(day) = day.filter(|_| with_day) else { return Some(()) };
    write!(out, "-{day:02}").ok()?;
    match hour.filter(|_| with_hour) {
        None => Some(()),
        Some((hour, true)) => write!(out, "T{hour:02}:00:00Z").ok(),
        Some((hour, false)) => write!(out, "T{hour:02}:00:00").ok(),
    }
}

/// Writes a band of `years` years. A date or a year gives the band of years it lies in (`1985-1989`); a bare
/// number up to 130 is an age and gives the band of ages (`35-39`, `0-17`, `90+`). Years in which
/// people of 90 and more were born are one band, written `../1936` (ISO 8601-2, open interval).
pub(super) fn band(years: u16, value: &str, today: Date, out: &mut Vec<u8>) -> Option<()> {
    let value = value.trim();
    let years = years.max(1);
    if is_plain_integer(value) && value.len() <= 4 {
        let number: u16 = value.parse().ok()?;
        if AGES.contains(&number) {
            return age_band(years, number, out);
        }
        return YEARS.contains(&number).then(|| year_band(years, number, today, out))?;
    }
    if let Some(ages) = ages(value) {
        return wider_band(years, ages, out);
    }
    let year = u16::try_from(moment(value)?.year).ok()?;
    year_band(years, year, today, out)
}

/// The ages of a band as this module writes it, first and last.
fn ages(value: &str) -> Option<(u16, u16)> {
    let age = |text: &str| {
        let age: u16 = text.parse().ok().filter(|_| is_plain_integer(text))?;
        AGES.contains(&age).then_some(age)
    };
    if let Some(first) = value.strip_suffix('+') {
        return age(first).map(|first| (first, *AGES.end()));
    }
    let (first, last) = value.split_once('-')?;
    age(first).zip(age(last)).filter(|(first, last)| first <= last)
}

/// The band in which all of another lies, so that what was made a band before is one again.
fn wider_band(years: u16, (first, last): (u16, u16), out: &mut Vec<u8>) -> Option<()> {
    let begin = out.len();
    age_band(years, last, out)?;
    let of_last = out.split_off(begin);
    age_band(years, first, out)?;
    (out[begin..] == of_last).then_some(())
}

fn age_band(years: u16, age: u16, out: &mut Vec<u8>) -> Option<()> {
    if age < ADULT_AGE {
        return write!(out, "0-{}", ADULT_AGE - 1).ok();
    }
    if age >= TOP_CODED_AGE {
        return write!(out, "{TOP_CODED_AGE}+").ok();
    }
    let (first, last) = bounds(years, age);
    range(first.max(ADULT_AGE), last.min(TOP_CODED_AGE - 1), out)
}

fn year_band(years: u16, year: u16, today: Date, out: &mut Vec<u8>) -> Option<()> {
    let this_year = u16::try_from(today.year()).unwrap_or(u16::MAX);
    let top_coded = this_year.saturating_sub(TOP_CODED_AGE);
    if year <= top_coded {
        return write!(out, "../{top_coded}").ok();
    }
    let (first, last) = bounds(years, year);
    range(first.max(top_coded + 1), last, out)
}

fn bounds(years: u16, value: u16) -> (u16, u16) {
    let first = value / years * years;
    (first, first.saturating_add(years - 1))
}

fn range(first: u16, last: u16, out: &mut Vec<u8>) -> Option<()> {
    if first == last { write!(out, "{first}") } else { write!(out, "{first}-{last}") }.ok()
}

fn moment(value: &str) -> Option<Moment> {
    let value = value.trim();
    let bytes = value.as_bytes();
    let figures = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    // The parser knows more spellings than RFC 3339; only this one is a promise.
    if !figures(0..4) {
        return None;
    }
    let year = value[..4].parse().ok()?;
    if bytes.len() == 4 {
        return Some(Moment { year, month: None, day: None, hour: None });
    }
    if bytes[4] != b'-' || !figures(5..7) {
        return None;
    }
    if bytes.len() == 7 {
        let month = value[5..7].parse().ok().filter(|month| (1..=12).contains(month))?;
        return Some(Moment { year, month: Some(month), day: None, hour: None });
    }
    if bytes[7] != b'-' || !figures(8..10) {
        return None;
    }
    if bytes.len() == 10 {
        let date: Date = value.parse().ok()?;
        return Some(of(date, None));
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    if let Ok(timestamp) = value.parse::<Timestamp>() {
        let utc = Offset::UTC.to_datetime(timestamp);
        return Some(of(utc.date(), Some((utc.hour(), true))));
    }
    // Without an offset it is local time of nobody knows where: cut as it stands.
    let local: DateTime = value.parse().ok()?;
    Some(of(local.date(), Some((local.hour(), false))))
}

fn of(date: Date, hour: Option<(i8, bool)>) -> Moment {
    Moment { year: date.year(), month: Some(date.month()), day: Some(date.day()), hour }
}
