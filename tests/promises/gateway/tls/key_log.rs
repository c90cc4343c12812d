//! Session keys are written only where the settings say so.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustls::KeyLog;
use rustls::version::{TLS12, TLS13};

use super::super::TESTINA;
use super::super::backend::json;
use super::super::stage::Stage;
use super::client::{Client, issued};

const RULES: &str = include_str!("../../../cases/gateway.rules.yaml");

/// What a client knows of its own session keys.
#[derive(Debug, Default)]
struct Known(Mutex<Vec<String>>);

impl KeyLog for Known {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = label.to_owned();
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                write!(line, "{byte:02x}").expect("a text");
            }
        }
        self.0.lock().expect("no panic").push(line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_keys_are_written_only_with_a_dangerous_key_and_only_for_their_owner() {
    let setting = "dangerous_tls_key_log: session.keys\n";
    let stage = Stage::embedded_with(RULES, &[], setting).await;
    stage.backend.says("/people/u1", json(TESTINA));
    let shown = issued(&stage, "desk");
    for version in [&TLS13, &TLS12] {
        let known = Arc::new(Known::default());
        let mut client = Client::new(&stage, Some(&shown), &[version]);
        client.config.key_log = Arc::<Known>::clone(&known);
        assert_eq!(client.ask("/people/u1").await, Some(200));
        let written = fs::read_to_string(stage.path("session.keys")).expect("written");
        let known = known.0.lock().expect("no panic");
        assert!(!known.is_empty());
        for line in known.iter().filter(|line| !line.starts_with("EXPORTER")) {
            assert!(written.lines().any(|other| other == line), "{line}");
        }
    }
    let rights = fs::metadata(stage.path("session.keys")).expect("written").permissions().mode();
    assert_eq!(rights & 0o777, 0o600);

    // A file that others may read is refused, and the gateway goes on as it was.
    fs::set_permissions(stage.path("session.keys"), fs::Permissions::from_mode(0o644))
        .expect("ours");
    let reloaded = stage.running.reload().await;
    assert!(reloaded.refused[0].1.contains("must be 0600"), "{:?}", reloaded.refused);
    // Without the key nothing is written any more.
    stage.edit("tamis.yaml", setting, "");
    assert_eq!(stage.running.reload().await.refused, []);
    let before = fs::read(stage.path("session.keys")).expect("written").len();
    assert_eq!(Client::new(&stage, Some(&shown), &[&TLS13]).ask("/people/u1").await, Some(200));
    assert_eq!(fs::read(stage.path("session.keys")).expect("written").len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_alone_makes_nobody_write_session_keys() {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let own = format!("{settings}ledger: other-ledger\nregisters: other.sqlite\n");
    fs::write(stage.path("other.yaml"), own).expect("ours");
    let mut program = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["run", "--config"])
        .arg(stage.path("other.yaml"))
        .env("SSLKEYLOGFILE", stage.path("by-environment"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(program.stdout.take().expect("piped"));
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        said.read_line(&mut line).map(|_| line)
    });
    let first = first.await.expect("no panic").expect("it says where it listens");
    let at = first.strip_prefix("https").expect("that first").trim().parse().expect("an address");
    let shown = issued(&stage, "desk");
    let client = Client::new(&stage, Some(&shown), &[&TLS13]).to(at);
    let answered = client.ask("/people/u1").await;
    program.kill().expect("ours");
    let ended = program.wait_with_output().expect("it ends");
    assert_eq!(answered, Some(200));
    assert!(!stage.path("by-environment").exists());
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("a safeguard is switched off"));
}
