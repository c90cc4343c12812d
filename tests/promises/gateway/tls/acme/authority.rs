//! Authorities: Pebble with a name server that knows every name, and one that has too much to do.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::super::super::stage::Stage;
use super::super::client::Client;

/// A port that is free just now, for a program that cannot be given port 0.
pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").port()
}

/// Pebble, until it is dropped.
pub(super) struct Pebble {
    program: Child,
    names: JoinHandle<()>,
    management: u16,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.names.abort();
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Pebble {
    /// Where the gateway of a stage is looked at: plaintext, and TLS.
    pub(super) fn ports(stage: &Stage) -> (u16, u16) {
        let addresses = &stage.running.addresses;
        (addresses.http.expect("it is on").port(), addresses.https.port())
    }

    /// One that looks at the gateway of a stage, and whose certificates last.
    pub(super) fn usual(stage: &Stage) -> serde_json::Value {
        Self::config(stage, Self::ports(stage), 0)
    }

    /// One that looks at these ports, and whose certificates last so many seconds; 0: years.
    pub(super) fn config(
        stage: &Stage,
        (http, https): (u16, u16),
        seconds: u64,
    ) -> serde_json::Value {
        let (certificate, key) = stage.issued_for("127.0.0.1");
        fs::write(stage.path("pebble.pem"), certificate).expect("ours");
        fs::write(stage.path("pebble.key"), key).expect("ours");
        json!({
            "certificate": stage.path("pebble.pem"),
            "privateKey": stage.path("pebble.key"),
            "httpPort": http,
            "tlsPort": https,
            "certificateValidityPeriod": seconds,
        })
    }

    /// Starts it at this port.
    pub(super) async fn start(stage: &Stage, port: u16, config: &serde_json::Value) -> Self {
        let (names, at) = every_name().await;
        let mut config = config.clone();
        let management = free_port();
        config["listenAddress"] = json!(format!("127.0.0.1:{port}"));
        config["managementListenAddress"] = json!(format!("127.0.0.1:{management}"));
        let file = stage.path("pebble.json");
        fs::write(&file, json!({"pebble": config}).to_string()).expect("ours");
        let program = Command::new("pebble")
            .arg("-config")
            .arg(file)
            .args(["-dnsserver", &at.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", "15")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is in the set-up");
        let pebble = Self { program, names, management };
        for port in [port, management] {
            let listens = tokio::time::timeout(std::time::Duration::from_secs(30), async {
                while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    tokio::task::yield_now().await;
                }
            });
            assert!(listens.await.is_ok(), "pebble listens");
        }
        pebble
    }

    /// The authority that its certificates come from, PEM.
    pub(super) async fn root(&self, stage: &Stage) -> String {
        let at = SocketAddr::from(([127, 0, 0, 1], self.management));
        let client = Client::new(stage, None, &[&TLS13]).to(at).named("127.0.0.1");
        let mut stream = client.connect().await.expect("a handshake");
        let asks = "GET /roots/0 HTTP/1.1\r\nHost: pebble\r\nConnection: close\r\n\r\n";
        stream.write_all(asks.as_bytes()).await.expect("taken");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        let begin = answer.find("-----BEGIN").expect("PEM");
        let end = answer.find("-----END CERTIFICATE-----").expect("PEM");
        format!("{}-----END CERTIFICATE-----\n", &answer[begin..end])
    }
}

/// A name server to which every name is this machine. Source: RFC 1035 §4.
async fn every_name() -> (JoinHandle<()>, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let at = socket.local_addr().expect("bound");
    let task = tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let Some(question) = query[..length].get(12..) else { continue };
            let Some(name) = question.iter().position(|&byte| byte == 0) else { continue };
            let question = &question[..(name + 5).min(question.len())];
            let is_address = question[name + 1..] == [0, 1, 0, 1];
            let mut answer = query[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, is_address.into(), 0, 0, 0, 0]);
            answer.extend(question);
            if is_address {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    (task, at)
}

/// An authority that has too much to do, whatever it is asked.
pub(super) struct Throttling {
    pub(super) port: u16,
    asked: Arc<AtomicUsize>,
}

impl Throttling {
    pub(super) fn times(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub(super) async fn throttling(stage: &Stage, retry_after: &'static str) -> Throttling {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let port = answering(stage, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let problem = r#"{"type":"urn:ietf:params:acme:error:rateLimited"}"#.to_owned();
        ("429 Too Many Requests", format!("Retry-After: {retry_after}\r\n"), problem)
    });
    Throttling { port: port.await, asked }
}

/// A server that answers each request by its path: with a status, header lines and a body.
async fn answering(
    stage: &Stage,
    says: impl Fn(&str) -> (&'static str, String, String) + Send + 'static,
) -> u16 {
    let (certificate, key) = stage.issued_for("127.0.0.1");
    let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM of ours");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM of ours");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("a pair of ours");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let (status, headers, body) = says(head.split(' ').nth(1).unwrap_or_default());
            let answer = format!(
                "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\nContent-Length: \
                 {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

/// What an authority says of when to renew. Source: RFC 9773 §4.2.
#[derive(Clone, Copy)]
pub(super) enum Suggests {
    /// Between these times.
    Window(Timestamp, Timestamp),
    /// Not now.
    Broken,
}

/// The directory of a Pebble, with what Pebbles of some ages do not have: when to renew.
pub(super) struct Suggesting {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Suggesting {
    /// Certificates of which it was asked.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// In front of the Pebble at this port: one answer for each time it is asked, the last again and again.
pub(super) async fn suggesting(stage: &Stage, pebble: u16, says: Vec<Suggests>) -> Suggesting {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    let own = Arc::new(AtomicU16::new(0));
    let told = Arc::clone(&own);
    let port = answering(stage, move |path| {
        let Some(of) = path.strip_prefix("/when/") else {
            let at = |path: &str| format!("https://127.0.0.1:{pebble}/{path}");
            let directory = json!({
                "newNonce": at("nonce-plz"),
                "newAccount": at("sign-me-up"),
                "newOrder": at("order-plz"),
                "revokeCert": at("revoke-cert"),
                "keyChange": at("rollover-account-key"),
                "renewalInfo": format!("https://127.0.0.1:{}/when", told.load(Ordering::SeqCst)),
            });
            return ("200 OK", String::new(), directory.to_string());
        };
        let mut note = note.lock().expect("no panic");
        note.push(of.to_owned());
        match says[(note.len() - 1).min(says.len() - 1)] {
            Suggests::Window(start, end) => {
                let window = json!({"suggestedWindow": {"start": start, "end": end}});
                ("200 OK", "Retry-After: 21600\r\n".to_owned(), window.to_string())
            }
            Suggests::Broken => ("500 Internal Server Error", String::new(), "{}".to_owned()),
        }
    });
    let port = port.await;
    own.store(port, Ordering::SeqCst);
    Suggesting { port, asked }
}

/// What a listener in plaintext says at this path.
pub(super) async fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let asks = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(asks.as_bytes()).await.expect("taken");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}
