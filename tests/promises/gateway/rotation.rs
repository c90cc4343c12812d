//! Keys are exchanged while clients ask: no request fails, each name says of which version it is, names of
//! earlier versions are taken as long as their key is in the ring, and not a moment longer.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tamis::keys::KeyRing;
use tokio::task::JoinSet;

use super::backend::json;
use super::stage::{HOST, Stage, changed, request, until};

const RULES: &str = include_str!("../../cases/tokens.rules.yaml");

const PERSON: &str = r#"{"id":"u1","name":"Testina Musterfrau","email":"t@example.invalid"}"#;

/// Requests of each client between two exchanges.
const SOME: u32 = 25;

/// One gets tokens, the other pseudonyms.
fn rules() -> String {
    let both = "{to: [tool, rival], for: [survey], show: {account.id: token,";
    let each = "{to: [rival], for: [survey], show: {account.id: pseudonym, identity.name: initials}}\n  \
                - {to: [tool], for: [survey], show: {account.id: token,";
    changed(RULES, &[(both, each)])
}

/// What all clients know of the keys.
#[derive(Default)]
struct Known {
    /// Who asks from now on gets names of this version or a later one.
    least: AtomicU32,
    /// Nobody gets names of a later version than this yet.
    most: AtomicU32,
    is_over: AtomicBool,
}

/// One connection.
enum Line {
    H1(http1::SendRequest<Empty<Bytes>>),
    H2(http2::SendRequest<Empty<Bytes>>),
}

impl Line {
    async fn open(stage: &Stage, recipient: &str, is_http2: bool) -> Self {
        let protocol: &[u8] = if is_http2 { b"h2" } else { b"http/1.1" };
        let stream = stage.connect(Some(recipient), HOST, Some(protocol)).await;
        let io = TokioIo::new(stream.expect("a handshake"));
        if is_http2 {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.expect("HTTP");
            tokio::spawn(connection);
            Self::H2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.expect("HTTP");
            tokio::spawn(connection);
            Self::H1(sender)
        }
    }

    /// The person's name in the answer, which must be one.
    async fn ask(&mut self, target: &str) -> String {
        let answer = match self {
            Self::H1(sender) => {
                sender.ready().await.expect("the connection stays");
                sender.send_request(request("GET", target, &[])).await
            }
            Self::H2(sender) => {
                let whole = http::Request::get(format!("https://{HOST}{target}"));
                sender.send_request(whole.body(Empty::new()).expect("a target")).await
            }
        };
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{target}");
        let body = answer.into_body().collect().await.expect("whole").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["name"], "T. M.");
        body["id"].as_str().expect("a name").to_owned()
    }
}

/// The version that a name says it is of.
fn version(name: &str) -> u32 {
    let (version, _) = name[2..].split_once('_').expect("tk1_… or ps1_…");
    version.parse().expect("a number")
}

/// Asks until it is over, each time by the name that it got last, if it is one that can be opened. What it
/// was called, by version.
async fn client(
    stage: Arc<Stage>,
    (recipient, is_http2): (&'static str, bool),
    known: Arc<Known>,
    asked: Arc<[AtomicU32; 4]>,
    at: usize,
) -> BTreeMap<u32, String> {
    let mut line = Line::open(&stage, recipient, is_http2).await;
    let mut names = BTreeMap::new();
    let mut by = "u1".to_owned();
    while !known.is_over.load(Ordering::SeqCst) {
        let least = known.least.load(Ordering::SeqCst);
        let name = line.ask(&format!("/people/{by}")).await;
        let most = known.most.load(Ordering::SeqCst);
        let version = version(&name);
        assert!((least..=most).contains(&version), "{version} in {least}..={most}");
        let first = names.entry(version).or_insert_with(|| name.clone());
        assert_eq!(*first, name, "of one version the person has one name");
        if recipient == "tool" {
            by = name;
        }
        asked[at].fetch_add(1, Ordering::SeqCst);
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_under_load_and_no_request_fails() {
    let stage = Stage::embedded(&rules(), &[]).await;
    stage.backend.says("/people/u1", json(PERSON));
    // A busy machine is no failure of a rotation.
    stage.edit("tamis.yaml", "response_timeout: 300ms", "response_timeout: 60s");
    assert_eq!(stage.running.reload().await.activated, ["settings"]);
    let stage = Arc::new(stage);
    let known = Arc::new(Known::default());
    known.least.store(1, Ordering::SeqCst);
    known.most.store(1, Ordering::SeqCst);
    let asked: Arc<[AtomicU32; 4]> = Arc::default();
    let mut clients = JoinSet::new();
    let lines = [("tool", false), ("tool", true), ("rival", false), ("rival", true)];
    for (at, line) in lines.into_iter().enumerate() {
        let shared = (Arc::clone(&stage), Arc::clone(&known), Arc::clone(&asked));
        clients.spawn(client(shared.0, line, shared.1, shared.2, at));
    }
    // Everybody has asked so often again, with what holds now.
    let some_more = async || {
        let before: Vec<u32> = asked.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        until("clients ask on", || {
            let more =
                |(count, before): (&AtomicU32, &u32)| count.load(Ordering::SeqCst) >= before + SOME;
            asked.iter().zip(&before).all(more)
        })
        .await;
    };
    let reload = async || {
        let reloaded = stage.running.reload().await;
        assert_eq!((reloaded.activated, reloaded.refused), (vec!["keys"], vec![]));
    };
    some_more().await;
    let mut of_before = Line::open(&stage, "tool", false).await;
    let mut old = of_before.ask("/people/u1").await;
    for newest in 2..=4 {
        known.most.store(newest, Ordering::SeqCst);
        let rotated = KeyRing::rotate(&stage.path("keys")).expect("rotated");
        assert_eq!(rotated.get(), newest);
        reload().await;
        known.least.store(newest, Ordering::SeqCst);
        some_more().await;
        // Both are taken while both keys are there, also over a connection of before.
        assert_eq!(version(&old), newest - 1);
        let new = of_before.ask(&format!("/people/{old}")).await;
        assert_eq!(version(&new), newest);
        // Everybody has a newer name: the old key can go.
        let gone = NonZeroU32::new(newest - 1).expect("from 1 on");
        KeyRing::retire(&stage.path("keys"), gone).expect("retired");
        reload().await;
        assert_eq!(stage.ask("tool", &format!("/people/{old}")).await.status, 404, "{old}");
        assert_eq!(version(&of_before.ask(&format!("/people/{new}")).await), newest);
        some_more().await;
        old = new;
    }
    known.is_over.store(true, Ordering::SeqCst);
    let mut names = Vec::new();
    while let Some(of_client) = clients.join_next().await {
        let of_client = of_client.expect("no request failed");
        assert_eq!(of_client.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
        names.extend(of_client.into_values());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 8, "one name for each recipient and version: {names:?}");
}
