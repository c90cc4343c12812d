//! What changes under load, and what clients see of it.
//!
//! `cargo build --release && cargo run --release --example changes`. Starts the gateway as a process
//! before a backend that is a process too, lets clients ask over HTTP/1.1 and HTTP/2 without a pause, and
//! meanwhile reads everything anew, exchanges certificates, replaces the gateway in both ways that
//! docs/OPERATIONS.md names, and kills the backend. Prints how many requests were answered, asked again
//! and failed, and how many answers held what they must not. Ends with an error where something failed
//! that must not.

mod gateway;
#[path = "../../tests/promises/gateway/load.rs"]
mod load;

use std::error::Error;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tamis::demo::{Backend, People, Show, Stage, StageListen};
use tamis::identity::development::Authority;

use gateway::Gateway;
use load::{Asked, Counts, Load};

type Fault = Box<dyn Error + Send + Sync>;

/// Clients of each kind.
const CLIENTS: usize = 2;

/// Answers before a change, between two and after the last.
const ENOUGH: u64 = 100;

/// How often what can be repeated is.
const TIMES: usize = 10;

/// Who asks, what for, and what must not stand in an answer.
const WHO: &str = "mailer";
const PURPOSE: &str = "service.notices";
const PATH: &str = "/v2/users/u-1001";
const SECRET: &str = "card_number";

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    if let (Some("backend"), Some(port)) = (arguments.next().as_deref(), arguments.next()) {
        return backend(port.parse()?).await;
    }
    let folder = tempfile::tempdir()?;
    let mut scene = Scene::set(folder.path()).await?;
    let mut out = io::stdout();
    writeln!(
        out,
        "| under load | answered | asked again | connections made again | failed | leaks |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    let mut has_failed = false;
    for (name, change, may_fail) in CHANGES {
        let counts = scene.under_load(change).await.map_err(|fault| format!("{name}: {fault}"))?;
        let failures = counts.failures();
        let failed: u64 = failures.values().sum();
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
        let kinds: Vec<String> = failures.iter().map(|(kind, n)| format!("{n} × {kind}")).collect();
        let kinds =
            if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        writeln!(
            out,
            "| {name} | {} | {} | {} | {failed}{kinds} | {} |",
            of(&counts.answered),
            of(&counts.again),
            of(&counts.unmade),
            of(&counts.leaks)
        )?;
        has_failed |= (failed > 0 && !may_fail) || of(&counts.leaks) > 0;
    }
    if has_failed { Err("something failed that must not".into()) } else { Ok(()) }
}

#[derive(Clone, Copy)]
enum Change {
    Nothing,
    Reload,
    Certificate,
    HandedOver,
    BesideIt,
    KilledBackend,
}

/// What is done, and whether requests may fail of it.
const CHANGES: [(&str, Change, bool); 6] = [
    ("nothing changes", Change::Nothing, false),
    ("ten times read anew (SIGHUP)", Change::Reload, false),
    ("ten new certificates", Change::Certificate, false),
    ("three restarts, sockets handed over", Change::HandedOver, false),
    ("three restarts, `reuse_port`", Change::BesideIt, false),
    ("the backend killed and started again, three times", Change::KilledBackend, true),
];

struct Scene {
    stage: Stage,
    folder: PathBuf,
    backend: OtherBackend,
    port: u16,
}

/// The backend as a process.
struct OtherBackend(Child);

impl Drop for OtherBackend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl OtherBackend {
    fn start(port: u16) -> Result<Self, Fault> {
        let child = Command::new(std::env::current_exe()?)
            .args(["backend", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self(child))
    }
}

async fn backend(port: u16) -> Result<(), Fault> {
    let people = Arc::new(People::of_the_demo());
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let _backend = Backend::start(Show::Letsmasak.backend(), people, address).await?;
    std::future::pending().await
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Scene {
    async fn set(folder: &Path) -> Result<Self, Fault> {
        let port = free_port()?;
        let backend = tokio::task::spawn_blocking(move || OtherBackend::start(port)).await??;
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let folder = folder.join("demo");
        let listen = StageListen::around(loopback);
        let url = format!("http://127.0.0.1:{port}");
        let stage = Stage::prepare(Show::Letsmasak, &folder, &url, listen)?;
        Ok(Self { stage, folder, backend, port })
    }

    /// Clients ask, this happens meanwhile, and clients go on asking.
    async fn under_load(&mut self, change: Change) -> Result<Arc<Counts>, Fault> {
        let settings = std::fs::read_to_string(self.stage.config_file())?;
        let handed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = handed.local_addr()?.port();
        let (config, socket) = if matches!(change, Change::BesideIt) {
            drop(handed);
            let own = settings.replace(
                "https: \"127.0.0.1:0\"",
                &format!("reuse_port: true, https: \"127.0.0.1:{port}\""),
            );
            (own, None)
        } else {
            (settings.clone(), Some(handed))
        };
        let file = self.folder.join("changes.yaml");
        std::fs::write(&file, &config)?;
        let mut gateway = Gateway::start(&file, socket.as_ref())?;
        gateway.listens()?;
        let load = Load::start(&self.asked(port)?, CLIENTS);
        load.more(ENOUGH).await;
        match change {
            Change::Nothing => load.more(ENOUGH * 5).await,
            Change::Reload => {
                for round in 0..TIMES {
                    // Something is new each time.
                    let own = format!("{config}forwarding: {{forwarded: {}}}\n", round % 2 == 0);
                    std::fs::write(&file, own)?;
                    gateway.signal(Signal::HUP)?;
                    load.more(ENOUGH / 2).await;
                }
            }
            Change::Certificate => {
                let authority = Authority::load(&self.folder)?.ok_or("no authority")?;
                for _ in 0..TIMES {
                    let issued = authority.issue_server(&["localhost"], Timestamp::now())?;
                    issued.write(&self.folder, "server")?;
                    gateway.signal(Signal::HUP)?;
                    load.more(ENOUGH / 2).await;
                }
            }
            Change::HandedOver => {
                for _ in 0..3 {
                    gateway.signal(Signal::TERM)?;
                    gateway.ended()?;
                    gateway = Gateway::start(&file, socket.as_ref())?;
                    gateway.listens()?;
                    load.more(ENOUGH).await;
                }
            }
            Change::BesideIt => {
                for _ in 0..3 {
                    let mut next = Gateway::start(&file, None)?;
                    next.waits()?;
                    gateway.signal(Signal::TERM)?;
                    gateway.ended()?;
                    next.listens()?;
                    gateway = next;
                    load.more(ENOUGH).await;
                }
            }
            Change::KilledBackend => {
                for _ in 0..3 {
                    self.backend.0.kill()?;
                    self.backend.0.wait()?;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    let port = self.port;
                    self.backend =
                        tokio::task::spawn_blocking(move || OtherBackend::start(port)).await??;
                    load.more(ENOUGH).await;
                }
            }
        }
        let counts = load.stop().await;
        gateway.signal(Signal::TERM)?;
        gateway.ended()?;
        Ok(counts)
    }

    fn asked(&self, port: u16) -> Result<Asked, Fault> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_file_iter(self.stage.authority_file())? {
            roots.add(authority?)?;
        }
        let at = |name: &str| self.folder.join(format!("{WHO}.{name}"));
        let chain = CertificateDer::pem_file_iter(at("pem"))?.collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(at("key"))?)?;
        let mut headers = HeaderMap::new();
        headers.insert("tamis-purpose", PURPOSE.parse()?);
        Ok(Asked {
            tls,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            host: "localhost".to_owned(),
            path: PATH.to_owned(),
            headers,
            secret: SECRET,
        })
    }
}
