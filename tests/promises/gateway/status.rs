//! `/readyz` and `tamis status`: whether the gateway is ready, and the reasons where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use tamis::config::Config;
use tamis::gateway::{Gateway, Running};

use super::stage::{Stage, changed};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

/// Another gateway from the files of a stage, with consents from a file and a metrics listener.
async fn gateway(stage: &Stage, consents: &str) -> Running {
    write(&stage.path("consents.ndjson"), consents);
    let rules =
        changed(RULES, &[("consent:   {from: api,", "consent:   {from: {file: consents.ndjson},")]);
    fs::write(stage.path("rules.yaml"), rules).expect("ours");
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let own = format!("{settings}ledger: other-ledger\nregisters: other.sqlite\n");
    fs::write(stage.path("other.yaml"), own).expect("ours");
    let config = Config::load(&stage.path("other.yaml")).expect("a configuration of ours");
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error:?}"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

async fn status(running: &Running, more: &[&str]) -> (Option<i32>, String) {
    let address = running.addresses.metrics.expect("it is on").to_string();
    let more: Vec<String> = more.iter().map(|&one| one.to_owned()).collect();
    let asked = tokio::task::spawn_blocking(move || -> Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_tamis"))
            .args(["status", "--metrics", &address])
            .args(more)
            .output()
            .expect("the program starts")
    });
    let output = asked.await.expect("no panic");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_says_that_it_is_ready_and_why_it_is_not() {
    let stage = Stage::set().await;
    let running = gateway(&stage, "").await;
    let (code, said) = status(&running, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(": ready\n") && said.contains("policy gateway ("), "{said}");
    for check in ["registers", "ledger", "consents", "key_ring", "certificates", "taking_requests"]
    {
        let is_good = |line: &str| line.trim().starts_with(check) && line.ends_with(" ok");
        assert!(said.lines().any(is_good), "{check}: {said}");
    }
    let (_, json) = status(&running, &["--format", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["readiness"]["ready"], true);
    assert_eq!(json["status"]["policy"]["id"], "gateway");

    // A key ring that others may read is refused, and the one in force goes on.
    fs::set_permissions(stage.path("keys"), fs::Permissions::from_mode(0o644)).expect("ours");
    assert!(running.reload().await.refused.iter().any(|(what, _)| *what == "keys"));
    let (code, said) = status(&running, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(": ready\n") && said.contains("refused when the files were read"),
        "{said}"
    );
    let key_ring = said.lines().find(|line| line.trim().starts_with("key_ring"));
    assert!(key_ring.is_some_and(|line| !line.ends_with(" ok")), "{said}");
    fs::set_permissions(stage.path("keys"), fs::Permissions::from_mode(0o600)).expect("ours");
    running.stop().await;

    let running = gateway(&stage, "{\"id\":\"CANARY\"}\n").await;
    let (code, said) = status(&running, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(": not ready\n"), "{said}");
    assert!(said.contains("the file of consents cannot be relied on"), "{said}");
    assert!(!said.contains("CANARY"), "{said}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_without_a_gateway_is_a_failure_that_says_so() {
    let stage = Stage::set().await;
    let running = gateway(&stage, "").await;
    let address = running.addresses;
    let settings = stage.path("other.yaml").display().to_string();
    let (code, said) = status(&running, &["--config", "/nowhere/tamis.yaml"]).await;
    assert_eq!(code, Some(0), "the address that is given counts: {said}");
    let asks = |arguments: Vec<String>| async move {
        let asked = tokio::task::spawn_blocking(move || {
            std::process::Command::new(env!("CARGO_BIN_EXE_tamis")).args(arguments).output()
        });
        let output = asked.await.expect("no panic").expect("the program starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, said) = asks(vec!["status".into(), "--config".into(), settings]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--metrics"), "{said}");
    let nowhere = stage.path("nowhere.yaml").display().to_string();
    let (code, _) = asks(vec!["status".into(), "--config".into(), nowhere]).await;
    assert_eq!(code, Some(64));
    let metrics = address.metrics.expect("it is on").to_string();
    running.stop().await;
    let (code, said) = asks(vec!["status".into(), "--metrics".into(), metrics]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no gateway at"), "{said}");
}
