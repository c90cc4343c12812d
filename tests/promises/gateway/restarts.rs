//! One process takes over from another under load: no request fails.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;

use http::HeaderMap;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use super::TESTINA;
use super::backend::json;
use super::http2::PATIENCE;
use super::load::{Asked, Counts, Load};
use super::shared_ledger::Shared;
use super::stage::{HOST, LISTEN, Stage, changed};

/// Answers before a change, and after it.
const ENOUGH: u64 = 60;

/// A gateway as a process, which does not outlive its test.
pub(super) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lines that a process writes.
type Lines<R> = std::io::Lines<BufReader<R>>;

/// Reads on until a line holds this, in bounded time.
async fn said<R: std::io::Read + Send + 'static>(mut lines: Lines<R>, what: &str) -> Lines<R> {
    let what = what.to_owned();
    let reads = tokio::task::spawn_blocking(move || {
        while let Some(line) = lines.next() {
            if line.expect("UTF-8").contains(&what) {
                return lines;
            }
        }
        panic!("it ended and has not said `{what}`");
    });
    timeout(PATIENCE, reads).await.expect("it says so in time").expect("it says so")
}

impl Process {
    /// On a socket that is handed over, as systemd does it, or on those of its settings.
    fn start(config: &Path, handed: Option<&TcpListener>) -> Self {
        let hands_over = "LISTEN_PID=$$ exec \"$0\" run --config \"$1\" 3<&0 0</dev/null";
        let run = "exec \"$0\" run --config \"$1\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", if handed.is_some() { hands_over } else { run }])
            .arg(env!("CARGO_BIN_EXE_tamis"))
            .arg(config)
            .env("TAMIS_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(socket) = handed {
            let socket = OwnedFd::from(socket.try_clone().expect("a descriptor"));
            command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "https").stdin(socket);
        }
        Self(command.spawn().expect("the program starts"))
    }

    /// Under a service manager that is told at this socket, and wants to hear within so many microseconds
    /// that it lives.
    pub(super) fn supervised(config: &Path, told_at: &Path, within: u32) -> Self {
        let run = "WATCHDOG_PID=$$ exec \"$0\" run --config \"$1\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", run])
            .arg(env!("CARGO_BIN_EXE_tamis"))
            .arg(config)
            .env("NOTIFY_SOCKET", told_at)
            .env("WATCHDOG_USEC", within.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("the program starts"))
    }

    fn printed(&mut self) -> Lines<std::process::ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped")).lines()
    }

    fn logged(&mut self) -> Lines<std::process::ChildStderr> {
        BufReader::new(self.0.stderr.take().expect("piped")).lines()
    }

    /// SIGTERM.
    pub(super) fn stop(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGHUP.
    pub(super) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("small")).expect("a process");
        kill_process(pid, signal).expect("ours");
    }

    pub(super) async fn ended(mut self) -> ExitStatus {
        let waits = tokio::task::spawn_blocking(move || self.0.wait().expect("ours"));
        timeout(PATIENCE, waits).await.expect("it ends in time").expect("no panic")
    }
}

/// A stage with settings for processes of their own, and what clients ask of them.
pub(super) async fn set(listen: &str) -> (Stage, std::path::PathBuf, Asked) {
    let stage = Stage::set().await;
    stage.backend.says("/people/u1", json(TESTINA));
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let settings = changed(&settings, &[(LISTEN, listen)]);
    let own = format!("{settings}ledger: of-process\nregisters: of-process.sqlite\n");
    let file = stage.path("process.yaml");
    fs::write(&file, own).expect("ours");
    let asked = Asked {
        tls: stage.client_config(Some("courier")),
        address: stage.running.addresses.https,
        host: HOST.to_owned(),
        path: "/people/u1".to_owned(),
        headers: HeaderMap::new(),
        secret: "CANARY",
    };
    (stage, file, asked)
}

fn judge(counts: &Counts) {
    assert_eq!(counts.failures(), [].into(), "after {} answers", counts.answered());
    assert_eq!(counts.leaks.load(Ordering::SeqCst), 0);
    assert!(counts.answered() >= 2 * ENOUGH);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_socket_that_is_handed_over_a_restart_costs_no_request_and_no_connection() {
    let (_stage, config, asked) =
        set("listen: {http: off, admin: off, metrics: '127.0.0.1:0'}").await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let asked = Asked { address: socket.local_addr().expect("bound"), ..asked };
    let mut first = Process::start(&config, Some(&socket));
    let _printed = said(first.printed(), "metrics").await;
    let load = Load::start(&asked, 2);
    timeout(PATIENCE, load.more(ENOUGH)).await.expect("it answers");
    first.stop();
    assert!(first.ended().await.success(), "it finished what it had begun");
    let mut second = Process::start(&config, Some(&socket));
    let _printed = said(second.printed(), "metrics").await;
    timeout(PATIENCE, load.more(ENOUGH)).await.expect("the second answers");
    let counts = timeout(PATIENCE, load.stop()).await.expect("none hangs");
    judge(&counts);
    assert_eq!(counts.unmade.load(Ordering::SeqCst), 0, "none was reset");
    second.stop();
    assert!(second.ended().await.success());
    // One ledger, written by one after the other.
    let ledger =
        fs::read_to_string(config.with_file_name("of-process/000001.jsonl")).expect("kept");
    assert_eq!(ledger.matches("\"kind\":\"policy\"").count(), 2, "two starts");
    assert!(ledger.matches("\"kind\":\"disclosure\"").count() as u64 >= counts.answered());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_the_old_process_a_new_one_waits_for_its_ledger_and_takes_over() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("bound");
    // A port that is free: nobody else on this machine asks the kernel for this one.
    drop(socket);
    let listen = format!(
        "listen: {{https: '{address}', http: off, admin: off, metrics: '127.0.0.1:0', reuse_port: true}}"
    );
    let (_stage, config, asked) = set(&listen).await;
    let asked = Asked { address, ..asked };
    let mut first = Process::start(&config, None);
    let _printed = said(first.printed(), "metrics").await;
    let load = Load::start(&asked, 2);
    timeout(PATIENCE, load.more(ENOUGH)).await.expect("it answers");
    let mut second = Process::start(&config, None);
    let _logged = said(second.logged(), "waiting for its end").await;
    first.stop();
    assert!(first.ended().await.success(), "it finished what it had begun");
    let _printed = said(second.printed(), "metrics").await;
    timeout(PATIENCE, load.more(ENOUGH)).await.expect("the second answers");
    let counts = timeout(PATIENCE, load.stop()).await.expect("none hangs");
    judge(&counts);
    second.stop();
    assert!(second.ended().await.success());
}

/// A log that cannot be opened, a key that is missing and a ledger of which nobody is the writer were found
/// once the old process had been ended for the new one, or after the whole wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_begin_says_so_without_waiting_for_the_one_before_it() {
    let listen = "listen: {https: '127.0.0.1:0', http: off, admin: off, metrics: '127.0.0.1:0', reuse_port: true}";
    let (stage, config, _) = set(listen).await;
    let mut first = Process::start(&config, None);
    let _printed = said(first.printed(), "metrics").await;
    let settings = fs::read_to_string(&config).expect("ours");
    fs::write(stage.path("in-the-way"), "").expect("ours");
    // Nobody listens there: the port is the kernel's again.
    let gone = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    let url = format!("postgresql://gateway:none@{gone}/none");
    fs::write(stage.path("ledger.url"), url).expect("ours");
    let own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(stage.path("ledger.url"), own).expect("ours");
    let acme = "acme: {directory: 'https://127.0.0.1:1/dir', ca: ca.pem, domains: [api.example.invalid], \
                storage: in-the-way, challenge: tls-alpn-01, terms_agreed: true}\n";
    let cases = [
        (
            settings.replace("access_log: access.log", "access_log: absent/access.log"),
            "the access log cannot be opened",
        ),
        (format!("{settings}checkpoint_key: absent.key\n"), "checkpoints cannot be signed"),
        (format!("{settings}{acme}"), "cannot hold a certificate"),
        (
            settings.replace(
                "ledger: of-process",
                "ledger: {store: postgres, url_file: ledger.url, ca: ca.pem}\nnode: gw-1",
            ),
            "the ledger cannot be opened",
        ),
    ];
    for (settings, expected) in cases {
        fs::write(stage.path("next.yaml"), settings).expect("ours");
        let mut next = Process::start(&stage.path("next.yaml"), None);
        let mut logged = next.0.stderr.take().expect("piped");
        let reads = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            logged.read_to_string(&mut said).map(|_| said)
        });
        let said = timeout(PATIENCE, reads).await.expect("it ends in time").expect("no panic");
        let said = said.expect("UTF-8");
        assert_eq!(next.ended().await.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("waiting for its end"), "{expected}: {said}");
    }
    first.stop();
    assert!(first.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_on_a_server_is_taken_over_once_the_old_process_lets_go_of_it() {
    let ledger = Shared::new("ledger_taken_over");
    let stage = ledger.gateway("gw-1", None).await;
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let listen = "listen: {https: '127.0.0.1:0', http: off, admin: off, metrics: '127.0.0.1:0', reuse_port: true}";
    let file = stage.path("next.yaml");
    fs::write(&file, changed(&settings, &[(LISTEN, listen)])).expect("ours");
    let mut next = Process::start(&file, None);
    let _logged = said(next.logged(), "waiting for its end").await;
    let _folder = stage.stopped().await;
    let _printed = said(next.printed(), "metrics").await;
    next.stop();
    assert!(next.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_are_handed_over_without_a_known_name_are_refused() {
    let (_stage, config, _) = set("listen: {http: off, admin: off, metrics: off}").await;
    for (names, expected) in [
        ("", "1 sockets were handed over with 0 names"),
        ("https:http", "1 sockets were handed over with 2 names"),
        ("tamis.socket", "handed over as `tamis.socket`"),
        ("http", "which `listen` says is off"),
    ] {
        let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let output = Command::new("sh")
            .args(["-c", "LISTEN_PID=$$ exec \"$0\" run --config \"$1\" 3<&0 0</dev/null"])
            .arg(env!("CARGO_BIN_EXE_tamis"))
            .arg(&config)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", names)
            .stdin(OwnedFd::from(socket))
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{names}: {said}");
        assert!(said.contains(expected), "{names}: {said}");
    }
}
