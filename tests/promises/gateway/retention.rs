//! How old data are decides whether they leave: element by element, by the gateway's clock.

use jiff::{Timestamp, ToSpan};
use tamis::policy::Policy;
use tamis::terms::{PurposeId, RecipientId};

use super::backend::json;
use super::stage::{Answer, Stage};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

/// A moment so many days ago; an hour later, so that the test may take its time.
fn ago(days: i64) -> Timestamp {
    Timestamp::now().checked_sub((days * 24 - 1).hours()).expect("within range")
}

fn body(answer: Answer) -> String {
    answer.body.expect("whole").replace(['\n', ' '], "")
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_removed_or_pseudonyms_and_elements_dropped_when_their_period_is_over() {
    let stage = Stage::with_rules(RULES).await;
    let visit = |id: &str, at: &str| {
        format!(r#"{{"id":"{id}","page":"p","place":"q","device":"d","at":{at}}}"#)
    };
    let (day, week, month, quarter) = (ago(1), ago(8), ago(31), ago(91));
    let visits = [
        visit("u1", &format!("\"{day}\"")),
        visit("u2", &week.as_second().to_string()),
        visit("u3", &month.as_millisecond().to_string()),
        visit("u4", &format!("\"{quarter}\"")),
        visit("u5", "null"),
        visit("u6", "\"soon\""),
        visit("u7", &ago(-3).as_second().to_string()),
        visit("u8", &format!("\"{day}\",\"at\":\"{quarter}\"")),
        r#"{"id":"u9","page":"CANARY"}"#.to_owned(),
    ];
    let answer = format!(r#"{{"visits":[{}]}}"#, visits.join(","));
    stage.backend.says("/visits", json(&answer));
    let given = body(stage.ask("desk", "/visits").await);
    let value: serde_json::Value = serde_json::from_str(&given).expect("JSON");
    let visits = value["visits"].as_array().expect("a list");
    let ids: Vec<&str> = visits.iter().filter_map(|visit| visit["id"].as_str()).collect();
    assert_eq!(ids, ["u1", "u2", "u3"], "{given}");
    let has = |at: usize, member: &str| visits[at].get(member).is_some();
    assert!(has(0, "place") && has(1, "place") && !has(2, "place"), "{given}");
    assert_eq!(visits[0]["device"], "d");
    for visit in &visits[1..] {
        let device = visit["device"].as_str().expect("a pseudonym");
        assert!(device.starts_with("ps1_"), "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_of_the_whole_answer_counts_for_all_of_it() {
    let stage = Stage::with_rules(RULES).await;
    for (days, expected) in [
        (1, r#"{"id":"u1","from":"f","stops":[{"page":"p","place":"q"}]}"#),
        (31, r#"{"id":"u1","stops":[{"page":"p"}]}"#),
        (91, r#"{"id":"u1","stops":[]}"#),
    ] {
        // Where the date stands does not matter. The car has none: elements are dated one by one.
        let began = ago(days);
        for answer in [
            format!(
                r#"{{"began":"{began}","id":"u1","from":"f","car":"CANARY","stops":[{{"page":"p","place":"q"}}]}}"#
            ),
            format!(
                r#"{{"id":"u1","from":"f","stops":[{{"page":"p","place":"q"}}],"began":"{began}"}}"#
            ),
        ] {
            stage.backend.says("/trips/1", json(&answer));
            assert_eq!(body(stage.ask("desk", "/trips/1").await), expected, "{days}");
        }
    }
    // Where there is no element, members are removed. Of several dates the oldest counts.
    for (dates, expected) in [
        (vec![ago(1), ago(2)], r#"{"id":"u1","page":"p","place":"q"}"#),
        (vec![ago(1), ago(31)], r#"{"id":"u1","page":"p"}"#),
        (vec![ago(91), ago(1)], r#"{"id":"u1"}"#),
        (vec![], r#"{"id":"u1"}"#),
    ] {
        let dates: Vec<String> = dates.iter().map(|date| format!("\"{date}\"")).collect();
        let dates = dates.join(",");
        let answer = format!(r#"{{"id":"u1","page":"p","place":"q","dates":[{dates}]}}"#);
        stage.backend.says("/visit/1", json(&answer));
        assert_eq!(body(stage.ask("desk", "/visit/1").await), expected, "{dates}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_names_no_date_releases_nothing_that_has_a_period() {
    let stage = Stage::with_rules(RULES).await;
    let now = Timestamp::now();
    let answer = format!(r#"{{"visits":[{{"id":"u1","page":"CANARY","at":"{now}"}}]}}"#);
    stage.backend.says("/undated", json(&answer));
    assert_eq!(body(stage.ask("desk", "/undated").await), r#"{"visits":[{"id":"u1"}]}"#);
}

#[test]
fn a_purpose_that_is_excepted_has_no_period() {
    let policy = Policy::parse("wire.rules.yaml", RULES).expect("it loads");
    let visits = policy.routes.iter().position(|route| route.id.as_str() == "GET /visits");
    let bound = |recipient: &str, purpose: &str| -> Vec<String> {
        let (recipient, purposes) = (RecipientId::from(recipient), [PurposeId::from(purpose)]);
        let plan = policy.plan(visits.expect("a route"), &recipient, &purposes).expect("small");
        let cells = plan.dated.iter().flat_map(|dated| &dated.cells);
        cells.filter_map(|cell| Some(plan.cell(*cell).category.as_ref()?.to_string())).collect()
    };
    assert_eq!(bound("desk", "service"), ["visit.page", "visit.place", "visit.device"]);
    assert_eq!(bound("counsel", "claims"), ["visit.place", "visit.device"]);
}
