//! How old data are, by the date that stands beside them.
//!
//! A date is RFC 3339, a calendar day, or a number of seconds or milliseconds since 1970. What is
//! none of these, or lies in the future by more than clocks and time zones explain, is no date:
//! then nobody knows how old the data are, and they count as too old.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use super::{Part, Permit, SubjectIds};
use crate::policy::retention::Dated;
use crate::terms::DataSubject;

/// From here on a number counts milliseconds: as seconds it would lie in the year 5138, and as
/// milliseconds in 1973.
const MILLISECONDS: i64 = 100_000_000_000;

/// How far ahead of the gateway's clock a date may be: a day that has begun elsewhere.
const AHEAD_HOURS: i64 = 24;

/// How old a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Its period is not over.
    Young,
    /// It is.
    Old,
    /// It has no date that can be read.
    Undated,
}

/// The dates that a plan asks for, with where among the ids of a part they are found.
pub(super) fn dates(permit: &Permit) -> impl Iterator<Item = (usize, &Dated)> {
    let route = &permit.policy.routes[permit.plan.route_index];
    let first = route.subjects.len() + permit.plan.only_where.len() + permit.plan.regions.len();
    (first..).zip(&permit.plan.dated)
}

/// How old a part is by each date of the plan; `None` where the part is not what is dated.
pub(super) fn ages(
    permit: &Permit,
    part: Part,
    ids: &[Option<SubjectIds>],
    now: Timestamp,
) -> Vec<Option<Age>> {
    let is_dated = |dated: &Dated| match part {
        Part::Request => false,
        Part::Document => !dated.in_element,
        Part::Element => true,
    };
    dates(permit)
        .map(|(at, dated)| {
            is_dated(dated).then(|| age(ids.get(at).and_then(Option::as_ref), dated.after, now))
        })
        .collect()
}

/// How old the part is in which these dates were found. Of several the worst counts.
fn age(found: Option<&SubjectIds>, after: Span, now: Timestamp) -> Age {
    let of = |text: &DataSubject| match moment(text.expose(), now) {
        None => Age::Undated,
        Some(moment) => match ends(moment, after) {
            Some(end) if now < end => Age::Young,
            Some(_) => Age::Old,
            None => Age::Undated,
        },
    };
    match found {
        Some(SubjectIds::One(text)) => of(text),
        Some(SubjectIds::Many(texts)) => {
            let ages: Vec<Age> = texts.iter().map(of).collect();
            let worst = [Age::Undated, Age::Old].into_iter().find(|age| ages.contains(age));
            worst.unwrap_or(Age::Young)
        }
        Some(SubjectIds::Unresolved) | None => Age::Undated,
    }
}

/// The moment that a text names, unless it is absurd.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let moment = match text.parse::<i64>() {
        Ok(number) if number.unsigned_abs() < MILLISECONDS.unsigned_abs() => {
            Timestamp::from_second(number).ok()?
        }
        Ok(number) => Timestamp::from_millisecond(number).ok()?,
        Err(_) if text.len() == "2026-01-01".len() => {
            text.parse::<Date>().ok()?.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp()
        }
        Err(_) => text.parse::<Timestamp>().ok()?,
    };
    let latest = now.checked_add(AHEAD_HOURS.hours()).ok()?;
    (moment <= latest).then_some(moment)
}

/// When a period that begins at `moment` is over, by the calendar.
fn ends(moment: Timestamp, after: Span) -> Option<Timestamp> {
    Some(moment.to_zoned_datetime(TimeZone::UTC).checked_add(after).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Personal;

    fn of(text: &str) -> Age {
        let now = "2026-06-01T12:00:00Z".parse().expect("a moment");
        age(Some(&SubjectIds::One(Personal::new(text.into()))), 90.days(), now)
    }

    #[test]
    fn a_date_is_read_in_each_of_its_forms() {
        let cases = [
            ("2026-05-31T12:00:00Z", Age::Young),
            ("2026-05-31T14:00:00+02:00", Age::Young),
            ("2026-03-03T12:00:01Z", Age::Young),
            ("2026-03-03T12:00:00Z", Age::Old),
            ("2026-03-04", Age::Young),
            ("2026-03-03", Age::Old),
            // 2026-05-31 and 2026-02-01 in seconds and in milliseconds.
            ("1780185600", Age::Young),
            ("1780185600000", Age::Young),
            ("1769904000", Age::Old),
            ("1769904000000", Age::Old),
            ("0", Age::Old),
            ("-1", Age::Old),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_too_old() {
        for text in [
            "",
            "yesterday",
            "2026-05-31T12:00:00",
            "2026-13-01",
            "31.05.2026",
            "2026-06-02T12:00:01Z",
            "2026-06-03",
            "9999-12-31T23:59:59Z",
            "99999999999999999999",
            "9223372036854775807",
            "1780185600.5",
            "99999999999",
        ] {
            assert_eq!(of(text), Age::Undated, "{text}");
        }
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(age(None, 90.days(), now), Age::Undated);
        assert_eq!(age(Some(&SubjectIds::Unresolved), 90.days(), now), Age::Undated);
    }

    #[test]
    fn of_several_dates_the_worst_counts() {
        let now = "2026-06-01T12:00:00Z".parse().expect("a moment");
        let cases = [
            (["2026-05-31", "2026-05-30"], Age::Young),
            (["2026-05-31", "2020-01-01"], Age::Old),
            (["2020-01-01", "soon"], Age::Undated),
        ];
        for (texts, expected) in cases {
            let texts = texts.map(|text| Personal::new(text.into())).to_vec();
            assert_eq!(age(Some(&SubjectIds::Many(texts)), 90.days(), now), expected);
        }
    }
}
