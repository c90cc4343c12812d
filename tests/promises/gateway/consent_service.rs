//! Consents from a service outside: asked once for those who matter, relied on within a bound, unknown
//! whenever it does not answer as it should; and what our own registers have heard counts all the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tamis::gateway::StartError;
use tamis::policy::Policy;
use tamis::registers::Record;
use tamis::terms::{Personal, PurposePattern};
use tokio::sync::Semaphore;

use super::TESTINA;
use super::backend::json as answer;
use super::stage::{Stage, changed};
use crate::outside::service::{Call, Reply, Service};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// What is answered instead of what should be.
type Fault = fn() -> Reply;

/// What the service knows, and how it behaves.
#[derive(Default)]
struct Desk {
    /// Consents by person. Of whom nothing is here, nothing was said.
    said: Mutex<HashMap<String, Vec<Value>>>,
    /// Instead of an answer.
    fault: Mutex<Option<Fault>>,
    /// Given before each answer leaves, if there is one.
    word: Mutex<Option<Arc<Semaphore>>>,
    cache_control: Mutex<Option<&'static str>>,
}

impl Desk {
    fn says(&self, person: &str, status: &str) {
        let policy = Policy::parse("rules.yaml", RULES).expect("it loads");
        let consent = json!({
            "id": format!("con-{person}"), "purpose": "share.partner", "recipients": ["partner"],
            "purpose_text_digest": policy.purposes["share.partner"].text_digest.to_string(),
            "status": status, "given_at": "2026-01-01T00:00:00Z",
        });
        self.said.lock().expect("ours").insert(person.to_owned(), vec![consent]);
    }

    fn fails(&self, fault: Option<Fault>) {
        *self.fault.lock().expect("ours") = fault;
    }

    fn reply(&self, call: &Call) -> Reply {
        if let Some(fault) = *self.fault.lock().expect("ours") {
            return fault();
        }
        let said = self.said.lock().expect("ours");
        let asked = people(call);
        if let [one] = asked.as_slice()
            && !said.contains_key(one)
        {
            return Reply::status(404);
        }
        let of = |id: &String| json!({"subject": id, "consents": said.get(id).cloned().unwrap_or_default()});
        let subjects: Vec<Value> = asked.iter().map(of).collect();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let control = *self.cache_control.lock().expect("ours");
        headers.extend(control.map(|control| ("cache-control", control.to_owned())));
        let body = json!({"subjects": subjects}).to_string().into_bytes();
        let reply = Reply::Headed(200, headers, body);
        match &*self.word.lock().expect("ours") {
            Some(word) => Reply::After(Arc::clone(word), Box::new(reply)),
            None => reply,
        }
    }
}

/// Whom a call asks about.
fn people(call: &Call) -> Vec<String> {
    let body: Value = serde_json::from_slice(&call.body).expect("JSON");
    let ids = body["subjects"].as_array().expect("a list").iter();
    ids.map(|id| id.as_str().expect("text").to_owned()).collect()
}

struct Scene {
    stage: Stage,
    service: Service,
    desk: Arc<Desk>,
}

impl Scene {
    /// With more settings of the service.
    async fn set(more: &str) -> Self {
        let desk = Arc::new(Desk::default());
        let asked = Arc::clone(&desk);
        let service = Service::start(move |call| asked.reply(call)).await;
        let settings = format!(
            "consent_service: {{url: '{}', ca: service.pem, token: token, {more}}}\n",
            service.url("/statements")
        );
        let files = [("service.pem", service.authority()), ("token", "a-token-of-tests\n")];
        let stage = Stage::try_embedded(RULES, &files, &settings).await;
        let stage = stage.unwrap_or_else(|error| panic!("{error:?}"));
        stage.backend.says("/people/u1", answer(TESTINA));
        Self { stage, service, desk }
    }

    async fn partner(&self) -> u16 {
        self.stage.ask("partner", "/people/u1").await.status.as_u16()
    }

    async fn courier(&self) -> u16 {
        self.stage.ask("courier", "/people/u1").await.status.as_u16()
    }

    async fn partner_gets(&self, status: u16) {
        let until = Instant::now() + Duration::from_mins(1);
        while self.partner().await != status {
            assert!(Instant::now() < until, "never {status}");
        }
    }

    /// Waits until the last refusal in the ledger is for this reason: it is written beside the answer.
    async fn refused_for(&self, reason: &str) {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let ledger = self.stage.ledger();
            let refused = ledger.lines().rev().find(|line| line.contains("\"kind\":\"refusal\""));
            let entry = refused.and_then(|line| serde_json::from_str::<Value>(line).ok());
            let last = entry.map(|entry| entry["reason"].clone());
            if last.as_ref().is_some_and(|last| last == reason) {
                return;
            }
            assert!(Instant::now() < until, "{last:?} and never {reason}");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_asked_once_about_whom_it_matters_and_no_id_stands_in_a_url() {
    let scene = Scene::set("max_staleness: 5m").await;
    scene.desk.says("u1", "given");
    assert_eq!(scene.courier().await, 200);
    assert_eq!(scene.service.count(), 0, "what rests on a contract is nobody's to ask about");
    for _ in 0..3 {
        assert_eq!(scene.partner().await, 200);
    }
    let calls = scene.service.calls();
    assert_eq!(calls.len(), 1, "the answer is kept");
    assert_eq!((calls[0].method.as_str(), calls[0].path.as_str()), ("POST", "/statements"));
    assert_eq!(calls[0].header("authorization"), Some("Bearer a-token-of-tests"));
    assert_eq!(people(&calls[0]), ["u1"]);
    let metrics = scene.stage.metrics();
    assert!(metrics.contains("tamis_consent_service_calls_total{outcome=\"answered\"} 1"));
    assert!(metrics.contains("tamis_consent_service_cached_people 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_at_the_service_has_its_effect_within_the_bound() {
    let scene = Scene::set("max_staleness: 2s").await;
    scene.desk.says("u1", "given");
    assert_eq!(scene.partner().await, 200);
    scene.desk.says("u1", "withdrawn");
    scene.partner_gets(404).await;
    scene.refused_for("consent-missing").await;
    // Its own word shortens the bound, and cannot lengthen it.
    let scene = Scene::set("max_staleness: 5m").await;
    *scene.desk.cache_control.lock().expect("ours") = Some("max-age=2");
    scene.desk.says("u1", "given");
    assert_eq!(scene.partner().await, 200);
    scene.desk.says("u1", "withdrawn");
    scene.partner_gets(404).await;
    scene.refused_for("consent-missing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_of_whom_the_service_knows_nothing_has_consented_to_nothing() {
    let scene = Scene::set("max_staleness: 5m").await;
    assert_eq!(scene.partner().await, 404);
    scene.refused_for("consent-missing").await;
    assert_eq!(scene.partner().await, 404);
    assert_eq!(scene.service.count(), 1, "that nothing was said is kept as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_answer_consents_are_unknown_and_the_rest_goes_on() {
    fn say(body: &str) -> Reply {
        let kind = vec![("content-type", "application/json".to_owned())];
        Reply::Headed(200, kind, body.as_bytes().to_vec())
    }
    // Long enough for one request; each asks anew.
    let scene = Scene::set("max_staleness: 1ms, timeout: 1s").await;
    let faults: [(&str, Fault); 8] = [
        ("timeout", || Reply::Hang),
        ("broken", || Reply::Break),
        ("status", || Reply::status(500)),
        ("status", || Reply::Elsewhere("https://localhost:1/".to_owned())),
        ("malformed", || Reply::Say(200, b"{\"subjects\":[]}".to_vec())),
        ("malformed", || say("{\"subjects\":[{\"subject\":\"u2\",\"consents\":[]}]}")),
        ("malformed", || say("{\"subjects\":[{\"subject\":\"u1\",\"consents\":[{}]}]}")),
        ("too-large", || say(&"x".repeat((4 << 20) + 1))),
    ];
    scene.desk.says("u1", "given");
    for (kind, fault) in faults {
        scene.desk.fails(Some(fault));
        let outcome = format!("tamis_consent_service_calls_total{{outcome=\"{kind}\"}} ");
        let count = |metrics: &str| -> u64 {
            let line = metrics.lines().find_map(|line| line.strip_prefix(&outcome));
            line.map_or(0, |count| count.parse().expect("a number"))
        };
        let before = count(&scene.stage.metrics());
        let until = Instant::now() + Duration::from_mins(1);
        while count(&scene.stage.metrics()) == before {
            assert_eq!(scene.partner().await, 404, "{kind}");
            scene.refused_for("consent-unknown").await;
            assert!(Instant::now() < until, "never {kind}");
        }
        assert_eq!(scene.courier().await, 200, "{kind}");
    }
    assert!(!scene.stage.metrics().contains("u1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_failing_is_left_alone_for_a_while_and_comes_back_by_itself() {
    let scene = Scene::set("max_staleness: 5m").await;
    scene.desk.says("u1", "given");
    scene.desk.fails(Some(|| Reply::status(503)));
    for _ in 0..20 {
        assert_eq!(scene.partner().await, 404);
    }
    let asked = scene.service.count();
    assert!((3..20).contains(&asked), "{asked}");
    scene.desk.fails(None);
    scene.partner_gets(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_who_wait_for_one_answer_ask_once() {
    let scene = Scene::set("max_staleness: 5m, timeout: 30s").await;
    scene.desk.says("u1", "given");
    let word = Arc::new(Semaphore::new(0));
    *scene.desk.word.lock().expect("ours") = Some(Arc::clone(&word));
    let asked = async {
        let until = Instant::now() + Duration::from_mins(1);
        while scene.service.count() == 0 {
            assert!(Instant::now() < until, "never asked");
            tokio::task::yield_now().await;
        }
        word.add_permits(1_000);
    };
    let partner = || scene.partner();
    let (one, two, three, four, ()) =
        tokio::join!(partner(), partner(), partner(), partner(), asked);
    assert_eq!([one, two, three, four], [200; 4]);
    assert_eq!(scene.service.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_list_are_asked_about_together_as_they_are_met() {
    let scene = Scene::set("max_staleness: 5m").await;
    let all: Vec<String> = (0..1_000).map(|number| format!("u{number}")).collect();
    for id in all.iter().step_by(2) {
        scene.desk.says(id, "given");
    }
    let person = |id: &String| json!({"id": id, "name": "Testina Musterfrau", "email": format!("{id}@example.invalid")});
    let body = json!({"people": all.iter().map(person).collect::<Vec<_>>()}).to_string();
    assert!(body.len() > 64 * 1024, "more than is minimized at a time");
    scene.stage.backend.says("/people", answer(&body));
    let list = async |who: &str| -> Vec<String> {
        let body = scene.stage.ask(who, "/people").await.body.expect("whole");
        let list: Value = serde_json::from_str(&body).expect("JSON");
        let rows = list["people"].as_array().expect("a list").iter();
        rows.map(|row| row["id"].as_str().expect("text").to_owned()).collect()
    };
    let expected: Vec<String> = all.iter().step_by(2).cloned().collect();
    assert_eq!(list("partner").await, expected);
    let calls = scene.service.calls();
    let asked: Vec<String> = calls.iter().flat_map(people).collect();
    assert_eq!(asked.len(), all.len(), "nobody twice");
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), all.len(), "and everybody");
    assert!(calls.len() <= 20, "{} calls", calls.len());
    assert_eq!(list("partner").await, expected);
    assert_eq!(scene.service.count(), calls.len(), "they are known now");

    // Of whom nobody answers, nothing leaves; the others' part does.
    scene.desk.fails(Some(|| Reply::status(500)));
    let more: Vec<String> = ["u0", "u1", "n1", "n2"].map(str::to_owned).to_vec();
    let body = json!({"people": more.iter().map(person).collect::<Vec<_>>()}).to_string();
    scene.stage.backend.says("/people", answer(&body));
    assert_eq!(list("partner").await, ["u0"]);
    assert_eq!(list("courier").await, more);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_registers_hear_counts_at_once_whatever_the_service_says() {
    let scene = Scene::set("max_staleness: 5m").await;
    scene.desk.says("u1", "given");
    let registers = &scene.stage.stores.registers;
    let objection =
        r#"{"kind":"objection","subject":"u1","purpose":"share.*","since":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(scene.partner().await, 200);
    registers.record(&Record::parse(objection.as_bytes()).expect("a record")).expect("taken");
    assert_eq!(scene.partner().await, 404);
    scene.refused_for("objected").await;
    let person = Personal::new("u1".into());
    registers.lift_objection(&person, &PurposePattern::new("share.*")).expect("taken");
    assert_eq!(scene.partner().await, 200);
    registers.withdraw(&person, &PurposePattern::new("share"), None).expect("taken");
    assert_eq!(scene.partner().await, 404);
    scene.refused_for("consent-missing").await;
    assert_eq!(scene.service.count(), 1, "all within one answer");
    // What was given here alone is not what the service says.
    let policy = Policy::parse("rules.yaml", RULES).expect("it loads");
    let given = json!({
        "id": "con-here", "subject": "u2", "purpose": "share.partner", "recipients": ["partner"],
        "purpose_text_digest": policy.purposes["share.partner"].text_digest.to_string(),
        "status": "given", "given_at": "2026-01-01T00:00:00Z",
    });
    let given = Record::parse(given.to_string().as_bytes()).expect("a record");
    registers.record(&given).expect("taken");
    scene.stage.backend.says("/people/u2", answer(&TESTINA.replace("u1", "u2")));
    assert_eq!(scene.stage.ask("partner", "/people/u2").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_do_not_come_from_a_file_and_a_service() {
    let rules =
        changed(RULES, &[("from: api, max_staleness: 5m", "from: {file: consents.ndjson}")]);
    let settings = "consent_service: {url: 'https://localhost:1/statements'}\n";
    let files = [("consents.ndjson", "")];
    let started = Stage::try_embedded(&rules, &files, settings).await;
    assert!(matches!(started, Err(StartError::TwoSources)));
}
