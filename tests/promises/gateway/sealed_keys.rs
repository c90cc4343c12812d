//! A key ring that lies under a key which a Vault unwraps: without Vault no gateway starts and no ring is
//! changed; a gateway that runs goes on with the last good one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json as value};
use tamis::config::Config;
use tamis::gateway::{Gateway, Running, StartError};
use tamis::keys::{KeyRing, KeyRingError, WrapError};

use super::stage::{Stage, until};
use crate::outside::service::{Call, Reply, Service};

const RULES: &str = include_str!("../../cases/gateway.rules.yaml");

const TOKEN: &str = "hvs.CANARY-token";

/// How the Vault behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// As it is documented.
    Well,
    /// It is sealed itself, or a standby without an active one.
    Sealed,
    Hangs,
    /// It answers with something else, as a proxy before it might.
    Page,
    /// Without the member that was asked for.
    Empty,
    /// What it unwraps has 16 bytes.
    Short,
    /// It has 48.
    Long,
    /// Another 32 bytes.
    Other,
    /// No base64.
    Garbled,
}

#[derive(Default)]
struct Kept {
    /// Plaintexts in base64, by ciphertext.
    wrapped: BTreeMap<String, String>,
}

/// Answers as the documents of Vault's Transit engine say.
struct Vault {
    service: Service,
    mood: Arc<Mutex<Mood>>,
}

impl Vault {
    async fn start() -> Self {
        let (mood, kept) = (Arc::new(Mutex::new(Mood::Well)), Mutex::new(Kept::default()));
        let now = Arc::clone(&mood);
        let service = Service::start(move |call: &Call| {
            answer(*now.lock().expect("ours"), &mut kept.lock().expect("ours"), call)
        })
        .await;
        Self { service, mood }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().expect("ours") = mood;
    }

    fn settings(&self) -> String {
        let url = self.service.url("");
        format!(
            "{{file: sealed.keys, unwrap: {{vault: {{url: '{url}', key: tamis, mount: kms/transit, \
             token_file: vault.token, ca: vault.pem}}}}}}"
        )
    }
}

fn json(status: u16, body: &Value) -> Reply {
    Reply::Say(status, body.to_string().into_bytes())
}

fn answer(mood: Mood, kept: &mut Kept, call: &Call) -> Reply {
    match mood {
        Mood::Sealed => return json(503, &value!({"errors": ["Vault is sealed"]})),
        Mood::Hangs => return Reply::Hang,
        Mood::Page => return Reply::Say(200, b"<html>CANARY</html>".to_vec()),
        Mood::Empty => return json(200, &value!({"data": {}})),
        _ => {}
    }
    if call.header("x-vault-token") != Some(TOKEN) {
        return json(403, &value!({"errors": ["permission denied"]}));
    }
    let asked: Value = serde_json::from_str(call.text()).expect("JSON");
    let of = |member: &str| asked[member].as_str().expect("text").to_owned();
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/v1/kms/transit/encrypt/tamis") => {
            let ciphertext = format!("vault:v1:{:08}+/=", kept.wrapped.len());
            kept.wrapped.insert(ciphertext.clone(), of("plaintext"));
            json(200, &value!({"data": {"ciphertext": ciphertext, "key_version": 1}}))
        }
        ("POST", "/v1/kms/transit/decrypt/tamis") => {
            let Some(plaintext) = kept.wrapped.get(&of("ciphertext")) else {
                return json(400, &value!({"errors": ["invalid ciphertext: no prefix"]}));
            };
            let plaintext = match mood {
                Mood::Short => format!("{}==", "A".repeat(22)),
                Mood::Long => "A".repeat(64),
                Mood::Other => format!("{}=", "A".repeat(43)),
                Mood::Garbled => "?CANARY?".to_owned(),
                _ => plaintext.clone(),
            };
            json(200, &value!({"request_id": "1", "data": {"plaintext": plaintext}}))
        }
        _ => json(404, &value!({"errors": []})),
    }
}

/// A stage whose own gateway has a plain ring, and settings for another with that ring sealed.
async fn stage(vault: &Vault) -> Stage {
    let stage = Stage::embedded(RULES, &[]).await;
    stage.backend.says("/people/u1", super::backend::json(super::TESTINA));
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let settings = settings.replace("key_ring: keys", &format!("key_ring: {}", vault.settings()));
    let own = format!("{settings}ledger: sealed-ledger\nregisters: sealed.sqlite\n");
    fs::write(stage.path("sealed.yaml"), own).expect("ours");
    fs::write(stage.path("vault.pem"), vault.service.authority()).expect("ours");
    secret(&stage.path("vault.token"), TOKEN);
    stage
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

async fn keys(stage: &Stage, arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
    let at = stage.path("");
    let asked = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.arg("keys").args(arguments).current_dir(at).output().expect("the program starts")
    });
    asked.await.expect("no panic")
}

async fn start(stage: &Stage) -> Result<Running, StartError> {
    Gateway::start(Config::load(&stage.path("sealed.yaml")).expect("ours")).await
}

fn refused(started: Result<Running, StartError>) -> KeyRingError {
    match started.err().expect("no start") {
        StartError::Keys(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_ring_is_opened_by_vault_alone_and_tells_nothing_by_itself() {
    let vault = Vault::start().await;
    let stage = stage(&vault).await;
    let wrapped = keys(&stage, &["wrap", "keys", "--config", "sealed.yaml"]).await;
    assert!(wrapped.status.success(), "{wrapped:?}");
    let sealed = fs::read_to_string(stage.path("sealed.keys")).expect("there");
    let mode = fs::metadata(stage.path("sealed.keys")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let plain = fs::read_to_string(stage.path("keys")).expect("ours");
    let digits = plain.split_whitespace().find(|word| word.len() == 64).expect("a key");
    assert!(!sealed.contains(digits));
    assert!(vault.service.calls().iter().all(|call| !call.text().contains(digits)));
    let again = keys(&stage, &["wrap", "keys", "--config", "sealed.yaml"]).await;
    assert_eq!(again.status.code(), Some(1), "never in the place of another: {again:?}");

    // The same keys: what one gateway made, the other makes.
    let running = start(&stage).await.unwrap_or_else(|error| panic!("{error:?}"));
    running.stop().await;
    let status = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let clear = status(keys(&stage, &["status", "keys", "--format", "json"]).await);
    let of_sealed = ["status", "--config", "sealed.yaml", "--format", "json"];
    assert_eq!(status(keys(&stage, &of_sealed).await), clear);

    let unwrap = ["unwrap", "--config", "sealed.yaml", "--out", "backup"];
    assert!(keys(&stage, &unwrap).await.status.success());
    assert_eq!(fs::read_to_string(stage.path("backup")).expect("there"), plain);
    assert_eq!(keys(&stage, &unwrap).await.status.code(), Some(1), "never in the place of another");

    // Without the settings it is no ring, and a ring in clear is none where a sealed one is expected.
    let closed = keys(&stage, &["status", "sealed.keys"]).await;
    let said = String::from_utf8_lossy(&closed.stderr).into_owned();
    assert!(closed.status.code() == Some(1) && said.contains("--config"), "{said}");
    fs::copy(stage.path("keys"), stage.path("sealed.keys")).expect("ours");
    let error = refused(start(&stage).await);
    assert!(matches!(error, KeyRingError::NotSealed(_)), "{error}");
    let spoilt = sealed.replacen("vault:v1:00000000", "vault:v1:00000001", 1);
    for text in [&sealed[..sealed.len() / 2], &spoilt] {
        secret(&stage.path("sealed.keys"), text);
        assert!(start(&stage).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_vault_does_nobody_starts_without_its_key() {
    let vault = Vault::start().await;
    let stage = stage(&vault).await;
    let made = keys(&stage, &["new", "--config", "sealed.yaml"]).await;
    assert!(made.status.success(), "{made:?}");
    start(&stage).await.unwrap_or_else(|error| panic!("{error:?}")).stop().await;
    let moods = [
        (Mood::Sealed, "status 503"),
        (Mood::Page, "without what it was asked for"),
        (Mood::Empty, "without what it was asked for"),
        (Mood::Garbled, "without what it was asked for"),
        (Mood::Short, "no key of ours"),
        (Mood::Long, "no key of ours"),
        (Mood::Other, "changed or cut"),
        (Mood::Hangs, "no answer in time"),
    ];
    for (mood, expected) in moods {
        vault.is(mood);
        let error = refused(start(&stage).await);
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let words = format!("{error}: {cause}");
        assert!(words.contains(expected) && !words.contains("CANARY"), "{words}");
    }
    vault.is(Mood::Well);
    secret(&stage.path("vault.token"), "hvs.another");
    let error = refused(start(&stage).await);
    assert!(matches!(&error, KeyRingError::Wrap(WrapError::Call(_))), "{error:?}");
    let status = keys(&stage, &["status", "--config", "sealed.yaml"]).await;
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(status.status.code() == Some(1) && said.contains("403"), "{said}");
    assert!(!said.contains("hvs"), "{said}");
    let token = fs::Permissions::from_mode(0o644);
    fs::set_permissions(stage.path("vault.token"), token).expect("ours");
    let error = refused(start(&stage).await);
    assert!(
        matches!(error, KeyRingError::Wrap(WrapError::Token(_))),
        "others may read it: {error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_runs_keeps_the_last_good_ring() {
    let vault = Vault::start().await;
    let stage = stage(&vault).await;
    assert!(keys(&stage, &["new", "--config", "sealed.yaml"]).await.status.success());
    let running = start(&stage).await.unwrap_or_else(|error| panic!("{error:?}"));
    let asked = vault.service.count();
    // What nobody changed needs no Vault.
    vault.is(Mood::Sealed);
    stage.edit("rules.yaml", "title: A policy", "title: The policy");
    let reloaded = running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["rules"], vec![]));
    assert_eq!(vault.service.count(), asked);
    let rotate = ["rotate", "--config", "sealed.yaml"];
    assert_eq!(keys(&stage, &rotate).await.status.code(), Some(1), "nothing is half rotated");
    assert_eq!(running.reload().await.refused, vec![]);

    vault.is(Mood::Well);
    let before = fs::read_to_string(stage.path("sealed.keys")).expect("there");
    assert!(keys(&stage, &rotate).await.status.success());
    let after = fs::read_to_string(stage.path("sealed.keys")).expect("there");
    assert_ne!(before.lines().nth(1), after.lines().nth(1), "a key of its own for each text");
    vault.is(Mood::Sealed);
    let reloaded = running.reload().await;
    assert_eq!(reloaded.activated, Vec::<&str>::new());
    let [(what, why)] = &reloaded.refused[..] else { panic!("{:?}", reloaded.refused) };
    assert!(*what == "keys" && why.contains("503"), "{what}: {why}");
    // It is tried again without a change of any file, and taken when Vault is back.
    vault.is(Mood::Well);
    let mut taken = None;
    for _ in 0..200 {
        if let Some(reloaded) = running.look_at_files().await {
            taken = Some(reloaded.activated);
            break;
        }
    }
    assert_eq!(taken, Some(vec!["keys"]));
    assert!(running.metrics().contains("tamis_reload_good 1"));
    until("all is well", || !running.metrics().contains("CANARY")).await;
    running.stop().await;
    assert!(KeyRing::load(&stage.path("keys")).is_ok(), "the other gateway's is untouched");
}
