//! What a consent service answers: consents of each person who was asked about, in the form in which
//! records are imported. Anything else makes all of the answer nothing.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};

use super::super::record::{Record, sort_events};
use crate::minimize::without_doubles;
use crate::terms::{Consent, DataSubject};

/// Consents of one person, beyond which an answer is a mistake or an attack.
const CONSENTS: usize = 256;

/// How long an answer counts at least, whatever it says: for those who waited for it.
const LEAST: Duration = Duration::from_secs(1);

/// The consents of one person, and bytes of the answer that are about them.
pub(super) type OfPerson = (Arc<[Consent]>, usize);

/// The body of a question about these people.
pub(super) fn question(people: &[DataSubject]) -> Vec<u8> {
    let ids: Vec<&str> = people.iter().map(|person| &**person.expose()).collect();
    json!({"subjects": ids}).to_string().into_bytes()
}

/// The consents of each of `people`, in their order; `None`: the answer is none, of one of them at least.
pub(super) fn read(
    people: &[DataSubject],
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Vec<OfPerson>> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    if !kind.split(';').next()?.trim().eq_ignore_ascii_case("application/json") {
        return None;
    }
    let Value::Object(mut document) = without_doubles(body)? else { return None };
    let Some(Value::Array(said)) = document.remove("subjects") else { return None };
    if !document.is_empty() || said.len() != people.len() {
        return None;
    }
    let mut found: Vec<Option<OfPerson>> = vec![None; people.len()];
    for one in said {
        let Value::Object(mut one) = one else { return None };
        let (Some(Value::String(id)), Some(Value::Array(consents))) =
            (one.remove("subject"), one.remove("consents"))
        else {
            return None;
        };
        // Nobody who was not asked about, nobody twice, and so nobody left out.
        let at = people.iter().position(|person| **person.expose() == *id)?;
        if !one.is_empty() || consents.len() > CONSENTS || found[at].is_some() {
            return None;
        }
        let consents = consents.into_iter().map(|consent| read_one(&id, consent));
        let consents: Vec<(Consent, usize)> = consents.collect::<Option<_>>()?;
        let bytes = id.len() + consents.iter().map(|(_, bytes)| bytes).sum::<usize>();
        found[at] = Some((consents.into_iter().map(|(consent, _)| consent).collect(), bytes));
    }
    found.into_iter().collect()
}

/// One consent record of the person `id`, who need not be named in it again.
fn read_one(id: &str, consent: Value) -> Option<(Consent, usize)> {
    let Value::Object(mut members) = consent else { return None };
    if members.entry("subject").or_insert_with(|| id.into()) != id {
        return None;
    }
    let text = Value::Object(members).to_string();
    let Ok(Record::Consent(record)) = Record::parse_as("consent", text.as_bytes()) else {
        return None;
    };
    let mut consent = Consent {
        id: record.id.into(),
        purpose: record.purpose,
        purpose_text_digest: record.purpose_text_digest,
        recipients: record.recipients,
        categories: record.categories,
        explicit: record.explicit,
        expires_at: record.expires_at,
        events: record.events,
    };
    sort_events(&mut consent.events);
    Some((consent, text.len()))
}

/// How old an answer is by its own word, and how long it may be relied on from when it was made.
/// Source: RFC 9111 §4.2.1, §5.1, §5.2.2.
pub(super) fn freshness(headers: &HeaderMap, max_staleness: Duration) -> (Duration, Duration) {
    let seconds = |text: &str| text.trim().trim_matches('"').parse().map(Duration::from_secs).ok();
    let age = headers.get(AGE).and_then(|value| value.to_str().ok()).and_then(seconds);
    let (age, mut fresh_for) = (age.unwrap_or_default(), max_staleness);
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or("no-store").split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => fresh_for = Duration::ZERO,
                // What cannot be read says nothing longer.
                "max-age" => fresh_for = fresh_for.min(seconds(argument).unwrap_or_default()),
                _ => {}
            }
        }
    }
    (age.min(max_staleness), fresh_for.max(age.min(max_staleness) + LEAST))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::terms::Personal;

    fn people(ids: &[&str]) -> Vec<DataSubject> {
        ids.iter().map(|id| Personal::new((*id).into())).collect()
    }

    fn headers(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    fn of(people: &[DataSubject], body: &str) -> Option<Vec<usize>> {
        let found = read(people, &headers("application/json; charset=utf-8"), body.as_bytes())?;
        Some(found.iter().map(|(consents, _)| consents.len()).collect())
    }

    const GIVEN: &str =
        r#"{"id":"c","purpose":"p","status":"given","given_at":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn an_answer_is_about_all_who_were_asked_about_and_nobody_else() {
        let both = people(&["u1", "u2"]);
        let two = format!(
            r#"{{"subjects":[{{"subject":"u2","consents":[]}},{{"subject":"u1","consents":[{GIVEN}]}}]}}"#
        );
        assert_eq!(of(&both, &two), Some(vec![1, 0]), "in the order of the question");
        assert_eq!(of(&both[..1], &two), None, "one more than was asked about");
        assert_eq!(of(&people(&["u1", "u3"]), &two), None, "another one");
        assert_eq!(of(&people(&["u1", "u2", "u3"]), &two), None, "one is missing");
        let twice = two.replace("u2", "u1");
        assert_eq!(of(&both, &twice), None, "one twice");
        let named = two.replace(r#"{"id":"c""#, r#"{"subject":"u1","id":"c""#);
        assert_eq!(of(&both, &named), Some(vec![1, 0]));
        assert_eq!(
            of(&both, &named.replace(r#"{"subject":"u1","id""#, r#"{"subject":"u2","id""#)),
            None
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let one = people(&["u1"]);
        let good = format!(r#"{{"subjects":[{{"subject":"u1","consents":[{GIVEN}]}}]}}"#);
        assert_eq!(of(&one, &good), Some(vec![1]));
        assert!(read(&one, &headers("text/html"), good.as_bytes()).is_none());
        assert!(read(&one, &HeaderMap::new(), good.as_bytes()).is_none());
        for (from, to) in [
            ("{\"subjects", "{\"more\":1,\"subjects"),
            ("{\"subjects", "{\"subjects\":[],\"subjects"),
            ("subjects", "people"),
            ("{\"subject\"", "{\"more\":1,\"subject\""),
            ("\"u1\"", "7"),
            ("\"given\"", "\"perhaps\""),
            ("\"given\"", "\"given\",\"more\":1"),
            ("\"p\"", "\"p.*\""),
            ("\"id\":\"c\",", ""),
            ("2026-01-01T00:00:00Z", "yesterday"),
            ("]}]}", "]}]"),
        ] {
            assert!(good.contains(from), "{from}");
            assert_eq!(of(&one, &good.replacen(from, to, 1)), None, "{from} -> {to}");
        }
        let many = vec![GIVEN; CONSENTS + 1].join(",");
        assert_eq!(of(&one, &good.replace(GIVEN, &many)), None);
    }

    #[test]
    fn the_service_shortens_how_long_it_is_relied_on_and_never_lengthens_it() {
        let minute = Duration::from_mins(1);
        let freshness = |control: &[&'static str], age: &'static str| {
            let mut headers = HeaderMap::new();
            for value in control {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            if !age.is_empty() {
                headers.insert(AGE, HeaderValue::from_static(age));
            }
            let (age, fresh_for) = super::freshness(&headers, minute);
            (age.as_secs(), fresh_for.as_secs())
        };
        assert_eq!(freshness(&[], ""), (0, 60));
        assert_eq!(freshness(&["private, max-age=10"], ""), (0, 10));
        assert_eq!(freshness(&["max-age=\"10\""], "4"), (4, 10));
        assert_eq!(freshness(&["max-age=3600"], ""), (0, 60));
        assert_eq!(freshness(&["max-age=10", "no-cache"], ""), (0, 1));
        assert_eq!(freshness(&["No-Store"], ""), (0, 1));
        assert_eq!(freshness(&["max-age=soon"], ""), (0, 1));
        assert_eq!(freshness(&["max-age=10"], "30"), (30, 31));
        assert_eq!(freshness(&[], "3600"), (60, 61));
    }
}
