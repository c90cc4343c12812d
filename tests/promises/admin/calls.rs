//! Calls over TLS to the admin listener of a gateway as `tamis run` starts it: one caller a role by
//! token, one by certificate, one by both.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tamis::config::Config;
use tamis::gateway::{Gateway, Running};
use tamis::identity::development::Authority;
use tamis::keys::KeyRing;
use tamis::terms::{AdminRole, Digest};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const HOST: &str = "api.example.invalid";

/// Rules with an index of data subjects, so that calls are entered with tags.
const INDEX: &str = "\nledger: {subject_index: encrypted}\n";

/// A gateway whose admin listener is open.
pub(super) struct Desk {
    /// `None`: it ended.
    gateway: Option<Runs>,
    directory: TempDir,
    /// Of servers and callers.
    authority: Authority,
    /// Of recipients: it vouches for nobody here.
    strangers: Authority,
}

/// Where the gateway runs.
enum Runs {
    /// In this process.
    Here(Box<Running>),
    /// In one of its own.
    Apart(Process),
}

/// A process that does not outlive its test.
struct Process {
    child: Child,
    /// Of its admin listener.
    address: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Runs {
    async fn here(at: &Path) -> Self {
        let config = Config::load(&at.join("tamis.yaml"));
        let config = config.unwrap_or_else(|error| panic!("{error:?}"));
        let running = Gateway::start(config).await.unwrap_or_else(|error| panic!("{error:?}"));
        Self::Here(Box::new(running))
    }

    fn apart(at: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
            .args(["run", "--config"])
            .arg(at.join("tamis.yaml"))
            .env("TAMIS_LOG", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary is built for the tests");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = said.lines().map(|line| line.expect("text"));
        let address = lines.find_map(|line| {
            let (name, address) = line.trim().split_once(char::is_whitespace)?;
            (name == "admin").then(|| address.trim().parse().expect("an address"))
        });
        Self::Apart(Process { child, address: address.expect("it listens") })
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum As<'a> {
    Nobody,
    /// By the token of this name.
    Token(&'a str),
    /// By a certificate with this name.
    Certificate(&'a str),
    /// By the certificate of this name and the token of the other.
    Both(&'a str, &'a str),
    /// By a certificate with this name from the recipients' authority.
    Stranger(&'a str),
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

impl Desk {
    pub(super) async fn open() -> Self {
        Self::open_with(&rules(), "calls_per_minute: 100000").await
    }

    /// Under these rules, with a line more in `admin:`.
    pub(super) async fn open_with(rules: &str, line: &str) -> Self {
        Self::open_on(rules, line, "").await
    }

    /// As `open_with`, with more lines of settings.
    pub(super) async fn open_on(rules: &str, line: &str, settings: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let at = directory.path();
        let now = Timestamp::now();
        let authority = Authority::generate(now).expect("keys");
        let strangers = Authority::generate(now).expect("keys");
        fs::write(at.join("callers.pem"), authority.certificate()).expect("writable");
        fs::write(at.join("recipients.pem"), strangers.certificate()).expect("writable");
        let issued = authority.issue_server(&[HOST, "127.0.0.1"], now).expect("names");
        issued.write(at, "server").expect("writable");
        KeyRing::generate(&at.join("keys")).expect("writable");
        fs::write(at.join("rules.yaml"), rules).expect("writable");
        fs::write(at.join("jwks.json"), r#"{"keys":[]}"#).expect("writable");
        let mut callers = String::new();
        for name in AdminRole::ALL.map(AdminRole::as_str).into_iter().chain(["second-dpo"]) {
            let role = name.trim_start_matches("second-");
            let digest = Digest::of(name.as_bytes());
            writeln!(callers, "    {name}: {{roles: [{role}], token: '{digest}'}}").expect("text");
        }
        let digest = Digest::of(b"both");
        let config = format!(
            "rules: rules.yaml\n\
             listen: {{https: '127.0.0.1:0', http: off, admin: '127.0.0.1:0', metrics: off}}\n\
             certificates: [{{chain: server.pem, key: server.key}}]\n\
             client_ca: recipients.pem\n\
             upstreams: {{marketplace: {{url: 'http://127.0.0.1:9'}}}}\n\
             key_ring: keys\n\
             {settings}\
             access_log: access.log\n\
             admin:\n  client_ca: callers.pem\n  {line}\n  callers:\n{callers}    \
             app: {{roles: [consent-desk], certificate: 'dns:app.example.invalid'}}\n    \
             both: {{roles: [dpo], certificate: 'spiffe://shop/both', token: '{digest}'}}\n"
        );
        fs::write(at.join("tamis.yaml"), config).expect("writable");
        let gateway = Some(Runs::here(at).await);
        Self { gateway, directory, authority, strangers }
    }

    /// Ends the gateway and starts one on what it has left behind.
    pub(super) async fn restarted(mut self) -> Self {
        self.end().await;
        self.gateway = Some(Runs::here(self.directory.path()).await);
        self
    }

    /// As `restarted`, in a process of its own, which can be killed.
    pub(super) async fn apart(mut self) -> Self {
        self.end().await;
        self.gateway = Some(Runs::apart(self.directory.path()));
        self
    }

    /// Ends the gateway at once, as a machine that loses its power would.
    pub(super) fn kill(&mut self) {
        assert!(matches!(self.gateway, Some(Runs::Apart(..))), "it runs here");
        self.gateway = None;
    }

    async fn end(&mut self) {
        if let Some(Runs::Here(running)) = self.gateway.take() {
            running.stop().await;
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn ledger(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("ledger/000001.jsonl")).expect("it has begun");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn address(&self) -> SocketAddr {
        match self.gateway.as_ref().expect("it runs") {
            Runs::Here(running) => running.addresses.admin.expect("it listens"),
            Runs::Apart(process) => process.address,
        }
    }

    /// One call with a body of JSON, or with none.
    pub(super) async fn call(&self, who: As<'_>, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(who, method, path, body, |_| {}).await.expect("an answer")
    }

    /// As `call`, with a request that `change` has changed. `None`: there was no answer.
    pub(super) async fn call_with(
        &self,
        who: As<'_>,
        method: &str,
        path: &str,
        body: &str,
        change: impl FnOnce(&mut Request<Full<Bytes>>),
    ) -> Option<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        if !body.is_empty() {
            request.headers_mut().insert("content-type", "application/json".parse().expect("text"));
        }
        if let As::Token(token) | As::Both(_, token) = who {
            let value = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        change(&mut request);
        let mut sender = self.connected(who).await?;
        let response = sender.send_request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Some(Answer { status: parts.status, headers: parts.headers, text })
    }

    /// A connection that stays. `None`: there was no handshake.
    pub(super) async fn connected(&self, who: As<'_>) -> Option<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address()).await.expect("it listens");
        let name = ServerName::try_from(HOST).expect("a name");
        let stream = self.connector(who).connect(name, stream).await.ok()?;
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    /// Takes these authorities of callers, as a reload does.
    pub(super) async fn trusts(&self, authorities: &str) {
        fs::write(self.path("callers.pem"), authorities).expect("ours");
        self.reloads().await;
    }

    async fn reloads(&self) {
        let Some(Runs::Here(running)) = &self.gateway else { panic!("it does not run here") };
        assert_eq!(running.reload().await.refused, []);
    }

    /// Takes a list of what the authority of callers has revoked, for so many seconds.
    pub(super) async fn asks_what_was_revoked(&self, number: u64, seconds: i64) {
        let now = Timestamp::now();
        let window = (now, now + jiff::SignedDuration::from_secs(seconds));
        let list = self.authority.revocation_list(&[], number, window).expect("a list");
        fs::write(self.path("callers.crl"), list).expect("ours");
        let config = fs::read_to_string(self.path("tamis.yaml")).expect("ours");
        let named = "  client_ca: callers.pem\n  crls: [callers.crl]\n";
        if !config.contains(named) {
            let config = config.replace("  client_ca: callers.pem\n", named);
            fs::write(self.path("tamis.yaml"), config).expect("ours");
        }
        self.reloads().await;
    }

    /// The certificate of the authority of callers, and of another one.
    pub(super) fn authorities(&self) -> [&str; 2] {
        [self.authority.certificate(), self.strangers.certificate()]
    }

    fn connector(&self, who: As<'_>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.authority.certificate().as_bytes());
        roots.add(ca.expect("PEM of ours")).expect("a certificate of ours");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let (authority, name) = match who {
            As::Nobody | As::Token(_) => {
                return TlsConnector::from(Arc::new(builder.with_no_client_auth()));
            }
            As::Certificate(name) | As::Both(name, _) => (&self.authority, name),
            As::Stranger(name) => (&self.strangers, name),
        };
        let issued = authority.issue_client(name, Timestamp::now()).expect("a name");
        let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
        let chain = vec![certificate.expect("PEM of ours")];
        let config = builder.with_client_auth_cert(chain, key.expect("PEM of ours"));
        TlsConnector::from(Arc::new(config.expect("a pair of ours")))
    }
}

/// The rules of a marketplace, which ask for no issuer's keys here.
pub(super) fn rules() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/admin.rules.yaml");
    fs::read_to_string(path).expect("the rules are there") + INDEX
}
