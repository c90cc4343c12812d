//! Reloads: all or nothing, nothing wider by mistake, and no request is the worse for it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tamis::keys::KeyRing;
use tamis::policy::Policy;
use tokio::sync::Notify;

use super::TESTINA;
use super::backend::{Reply, json};
use super::stage::{HOST, Stage, request};

/// What the desk is shown, and less.
const WIDE: &str = "identity.name: keep, contact.email: keep}";
const NARROW: &str = "identity.name: keep}";

async fn shown(stage: &Stage) -> String {
    stage.ask("desk", "/people/u1").await.body.expect("an answer")
}

async fn stage() -> Stage {
    let stage = Stage::embedded(include_str!("../../cases/gateway.rules.yaml"), &[]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_release_less_are_taken_and_such_as_release_more_need_a_word() {
    let stage = stage().await;
    assert!(shown(&stage).await.contains("email"));
    stage.edit("rules.yaml", WIDE, NARROW);
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["rules"], vec![]));
    assert!(!shown(&stage).await.contains("email"));
    let metrics = stage.metrics();
    assert!(
        metrics.contains("tamis_reloads_total{outcome=\"activated\",what=\"rules\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("tamis_reload_good 1"), "{metrics}");
    let narrow =
        Policy::parse("rules.yaml", &fs::read_to_string(stage.path("rules.yaml")).expect("ours"));
    let narrow = narrow.expect("it loads").digest.to_string();
    assert!(metrics.contains(&narrow), "the digest in force is the one that is counted");
    assert_eq!(stage.ledger().matches(&format!("\"{narrow}\"")).count(), 2, "entered, and used");

    stage.edit("rules.yaml", NARROW, WIDE);
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, Vec::<&str>::new());
    let [(what, why)] = &reloaded.refused[..] else { panic!("{:?}", reloaded.refused) };
    assert_eq!(*what, "rules");
    assert!(why.contains("contact.email") || why.contains("$.email"), "{why}");
    assert!(!shown(&stage).await.contains("email"));
    assert!(stage.metrics().contains("tamis_reload_good 0"));

    // Said once, for these very rules.
    let wide = why.split("confirmed: ").nth(1).and_then(|rest| rest.split('}').next());
    let config = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let confirmed = format!("{config}reload: {{confirmed: '{}'}}\n", wide.expect("a digest"));
    fs::write(stage.path("tamis.yaml"), confirmed).expect("ours");
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["rules", "settings"], vec![]));
    assert!(shown(&stage).await.contains("email"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_leaves_in_force_what_is() {
    let stage = stage().await;
    let rules = fs::read_to_string(stage.path("rules.yaml")).expect("ours");
    let config = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let keys = fs::read_to_string(stage.path("keys")).expect("ours");
    let half = rules.split_at(rules.len() / 2).0.to_owned();
    let cases: [(&str, String, &str, &str); 9] = [
        ("rules.yaml", String::new(), "rules", "rules.yaml:1"),
        ("rules.yaml", half, "rules", "rules.yaml:"),
        ("rules.yaml", rules.replace("keep", "keeep"), "rules", "rules.yaml:"),
        ("rules.yaml", rules.replace("upstream: people", "upstream: nobody"), "rules", "nobody"),
        ("rules.yaml", format!("{rules}ledger: {{checkpoint: 5m}}\n"), "rules", "new-key"),
        ("rules.yaml", format!("{rules}include: [absent.yaml]\n"), "rules", "cannot be included"),
        ("tamis.yaml", config.replace("key_ring", "keyring"), "settings", "tamis.yaml:"),
        ("tamis.yaml", config.replace("http: '127.0.0.1:0'", "http: off"), "settings", "listen"),
        ("keys", keys.replace("\n1:", "\n2:"), "keys", "version 1"),
    ];
    for (file, text, what, why) in cases {
        let before = fs::read_to_string(stage.path(file)).expect("ours");
        assert_ne!(before, text, "{file} {why}");
        fs::write(stage.path(file), text).expect("ours");
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.activated, Vec::<&str>::new(), "{why}");
        let [(about, words)] = &reloaded.refused[..] else { panic!("{:?}", reloaded.refused) };
        assert!(*about == what && words.contains(why), "{about}: {words}");
        assert!(shown(&stage).await.contains("Testina"), "{why}");
        fs::write(stage.path(file), before).expect("ours");
    }
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec![], vec![]), "all is well again");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_rules_do_not_wait_for_each_other() {
    let stage = stage().await;
    stage.edit("rules.yaml", "keep", "keeep");
    stage.renew();
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["certificates"]);
    assert_eq!(reloaded.refused.len(), 1);
    stage.edit("rules.yaml", "keeep", "keep");
    stage.edit("rules.yaml", WIDE, NARROW);
    fs::write(stage.path("server.pem"), "-----BEGIN CERT").expect("ours");
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["rules"]);
    assert!(reloaded.refused[0].1.contains("server.pem"), "{:?}", reloaded.refused);
    assert!(!shown(&stage).await.contains("email"), "handshakes go on with the last good one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_makes_new_values_and_the_old_ones_stay_readable() {
    let stage = stage().await;
    KeyRing::rotate(&stage.path("keys")).expect("rotated");
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["keys"], vec![]));
    assert!(shown(&stage).await.contains("Testina"));
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_read_once_they_have_come_to_rest() {
    let stage = stage().await;
    assert_eq!(stage.running.look_at_files().await, None);
    stage.edit("rules.yaml", WIDE, NARROW);
    assert_eq!(stage.running.look_at_files().await, None, "somebody may be writing still");
    stage.edit("rules.yaml", "title: A policy", "title: The policy");
    assert_eq!(stage.running.look_at_files().await, None, "somebody was");
    let reloaded = stage.running.look_at_files().await.expect("it has come to rest");
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["rules"], vec![]));
    // What was refused is not tried again until it changes.
    stage.edit("rules.yaml", "keep", "keeep");
    stage.running.look_at_files().await;
    assert!(
        stage.running.look_at_files().await.is_some_and(|reloaded| !reloaded.refused.is_empty())
    );
    assert_eq!(stage.running.look_at_files().await, None);
    assert!(!shown(&stage).await.contains("email"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_without_a_change() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    stage.edit("rules.yaml", WIDE, NARROW);
    stage.switches.notes_fail.store(true, Ordering::SeqCst);
    assert_eq!(stage.running.look_at_files().await, None);
    // Tried at this look, at the next one, and then after twice as many each time.
    for is_tried in [true, true, false, true, false, false, false, true] {
        let reloaded = stage.running.look_at_files().await;
        assert_eq!(reloaded.is_some(), is_tried, "{reloaded:?}");
        if let Some(reloaded) = reloaded {
            assert_eq!(reloaded.activated, Vec::<&str>::new());
            assert!(reloaded.refused[0].1.contains("ledger"), "{:?}", reloaded.refused);
        }
        assert!(shown(&stage).await.contains("email"));
    }
    stage.switches.notes_fail.store(false, Ordering::SeqCst);
    let mut looks = 0;
    let reloaded = loop {
        looks += 1;
        if let Some(reloaded) = stage.running.look_at_files().await {
            break reloaded;
        }
    };
    assert_eq!(looks, 8);
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["rules"], vec![]));
    assert!(!shown(&stage).await.contains("email"));
    assert_eq!(stage.running.look_at_files().await, None, "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_move_take_their_file_of_consents_along() {
    let rules = include_str!("../../cases/gateway.rules.yaml");
    let rules =
        rules.replace("from: api, max_staleness", "from: {file: consents.ndjson}, max_staleness");
    let digest = Policy::parse("rules.yaml", &rules).expect("it loads").purposes["share.partner"]
        .text_digest;
    let given = format!(
        "{{\"id\":\"con_1\",\"subject\":\"u1\",\"purpose\":\"share.partner\",\
         \"purpose_text_digest\":\"{digest}\",\"recipients\":[\"partner\"],\"status\":\"given\",\
         \"given_at\":\"2026-01-01T00:00:00Z\"}}\n"
    );
    let stage = Stage::embedded(&rules, &[("consents.ndjson", &given)]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    assert_eq!(stage.ask("partner", "/people/u1").await.status, 200);
    // The same rules, word for word, beside no such file.
    fs::create_dir(stage.path("elsewhere")).expect("ours");
    fs::copy(stage.path("rules.yaml"), stage.path("elsewhere/rules.yaml")).expect("ours");
    stage.edit("tamis.yaml", "rules: rules.yaml", "rules: elsewhere/rules.yaml");
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    assert_eq!(stage.ask("partner", "/people/u1").await.status, 404, "consents are unknown");
    stage.entered("\"reason\":\"consent-unknown\"").await;
    fs::copy(stage.path("consents.ndjson"), stage.path("elsewhere/consents.ndjson")).expect("ours");
    stage.edit("tamis.yaml", "elsewhere/rules.yaml", "rules.yaml");
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    assert_eq!(stage.ask("partner", "/people/u1").await.status, 200);
}

/// What the log says, for as long as this lives and on this thread.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_safeguard_that_a_reload_switches_off_is_told_once() {
    let stage = stage().await;
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
    let _here = tracing::subscriber::set_default(lines.finish());
    let far = "far: {url: 'http://192.0.2.1:80', dangerous_plaintext: true}";
    stage.edit("tamis.yaml", "upstreams: {", &format!("upstreams: {{{far}, "));
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    stage.edit("tamis.yaml", "response_body: 1MiB", "response_body: 2MiB");
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    let said = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("UTF-8");
    let told: Vec<&str> =
        said.lines().filter(|line| line.contains("a safeguard is switched off")).collect();
    assert_eq!(told.len(), 1, "{said}");
    assert!(told[0].contains("upstreams.far: personal data cross a network"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_ends_under_the_rules_it_began_with() {
    let stage = stage().await;
    stage.edit("tamis.yaml", "response_timeout: 300ms", "response_timeout: 60s");
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["settings"], vec![]));
    let go = Arc::new(Notify::new());
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        TESTINA.len()
    );
    let (first, rest) = TESTINA.split_at(TESTINA.len() / 2);
    let halves = Reply::InTwo([&head, first].concat().into(), Arc::clone(&go), rest.into());
    stage.backend.says("/people/u1", halves);
    stage.backend.asked();
    let stage = Arc::new(stage);
    let asking = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move { shown(&stage).await }
    });
    while stage.backend.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    stage.edit("rules.yaml", WIDE, NARROW);
    assert_eq!(stage.running.reload().await.activated, ["rules"]);
    go.notify_one();
    assert!(asking.await.expect("no panic").contains("email"), "as it was decided");
    stage.backend.says("/people/u1", json(TESTINA));
    assert!(!shown(&stage).await.contains("email"), "the next one is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_request_fails_and_none_gets_what_no_rules_release() {
    let stage = stage().await;
    stage.backend.says("/people/u1", json(&TESTINA.replacen('{', "{\"more\":\"LEAK\",", 1)));
    let config = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    fs::write(stage.path("tamis.yaml"), format!("{config}reload: {{widening: accept}}\n"))
        .expect("ours");
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    let stage = Arc::new(stage);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for at in 0..4 {
        let (stage, is_over) = (Arc::clone(&stage), Arc::clone(&is_over));
        // Each on one connection for all of it: one that was dropped would fail.
        clients.spawn(async move {
            let mut answered = 0_u32;
            if at % 2 == 0 {
                let stream = stage.connect(Some("desk"), HOST, Some(b"http/1.1")).await;
                let io = TokioIo::new(stream.expect("a handshake"));
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(io).await.expect("HTTP");
                tokio::spawn(connection);
                while !is_over.load(Ordering::Relaxed) {
                    sender.ready().await.expect("the connection stays");
                    let request = request("GET", "/people/u1", &[]);
                    check(sender.send_request(request).await.expect("an answer")).await;
                    answered += 1;
                }
            } else {
                let stream = stage.connect(Some("desk"), HOST, Some(b"h2")).await;
                let io = TokioIo::new(stream.expect("a handshake"));
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                        .await
                        .expect("HTTP");
                tokio::spawn(connection);
                while !is_over.load(Ordering::Relaxed) {
                    let target = format!("https://{HOST}/people/u1");
                    let request = http::Request::get(target).body(Empty::<Bytes>::new());
                    let request = request.expect("a target");
                    check(sender.send_request(request).await.expect("an answer")).await;
                    answered += 1;
                }
            }
            answered
        });
    }
    for turn in 0..12 {
        let (from, to) = if turn % 2 == 0 { (WIDE, NARROW) } else { (NARROW, WIDE) };
        stage.edit("rules.yaml", from, to);
        stage.renew();
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.refused, []);
        assert_eq!(reloaded.activated, ["certificates", "rules"]);
        // New connections are made with the new certificate meanwhile.
        assert!(shown(&stage).await.contains("Testina"));
    }
    is_over.store(true, Ordering::Relaxed);
    let answered: Vec<u32> = clients.join_all().await;
    assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
}

/// Whole, and of either rules.
async fn check(response: http::Response<hyper::body::Incoming>) {
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.expect("it does not break off").to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert!(value["name"].is_string() && value.get("secret").is_none(), "{body}");
    assert!(!body.contains("LEAK"), "{body}");
}
