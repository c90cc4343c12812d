//! A gateway in this process, with certificates of its own, in front of a backend of ours.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tamis::config::Config;
use tamis::gateway::{Gateway, Running, StartError, Stores};
use tamis::identity::development::{Authority, Issued, TokenClaims, TokenSigner};
use tamis::keys::KeyRing;
use tamis::ledger::LedgerPlace;
use tamis::registers::{Record, RegisterPlace, Registers};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::backend::Backend;
use super::stores::{Switched, Switches};

/// The host that clients name.
pub(super) const HOST: &str = "api.example.invalid";

/// Where most tests listen.
pub(super) const LISTEN: &str =
    "listen: {https: '127.0.0.1:0', http: '127.0.0.1:0', admin: off, metrics: '127.0.0.1:0'}";

/// Who signs people in.
const ISSUER: &str = "https://id.example.invalid";

/// `rules` with each of these texts, which must stand in them once, replaced by the one beside it.
pub(super) fn changed(rules: &str, with: &[(&str, &str)]) -> String {
    with.iter().fold(rules.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replacen(from, to, 1)
    })
}

/// Everything for one test.
pub(super) struct Stage {
    pub(super) backend: Backend,
    pub(super) switches: Arc<Switches>,
    pub(super) running: Running,
    pub(super) stores: Arc<Switched>,
    directory: TempDir,
    pub(super) authority: Authority,
    signer: TokenSigner,
}

/// What a gateway is started from.
struct Prepared {
    directory: TempDir,
    authority: Authority,
    backend: Backend,
    config: Config,
    signer: TokenSigner,
}

/// An answer, whole or broken.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// `None`: it broke off.
    pub(super) body: Option<String>,
}

/// Files that are their owner's alone.
fn write_own(directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    }
}

/// The limits of most tests.
fn usual(concealed_after: &str) -> String {
    format!("concealed_after: {concealed_after}, response_body: 1MiB, drain_timeout: 5s")
}

fn keep(issued: &Issued, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    issued.write(directory, name).expect("a directory of ours")
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::with_rules(include_str!("../../cases/gateway.rules.yaml")).await
    }

    pub(super) async fn with_rules(rules: &str) -> Self {
        Self::with(rules, "1ms").await
    }

    /// Under these rules, with this `limits.concealed_after`.
    pub(super) async fn with(rules: &str, concealed_after: &str) -> Self {
        Self::begun(Self::prepare(rules, &usual(concealed_after), "300ms").await).await
    }

    /// With these `limits`, in front of a backend that may take its time.
    pub(super) async fn limited(rules: &str, limits: &str) -> Self {
        Self::limited_with(rules, limits, "").await
    }

    /// As [`limited`](Self::limited), with more settings; `listen` among them takes the place of the usual.
    pub(super) async fn limited_with(rules: &str, limits: &str, more: &str) -> Self {
        Self::begun(Self::prepare_with(rules, limits, "30s", more).await).await
    }

    async fn begun(prepared: Prepared) -> Self {
        let Prepared { directory, authority, backend, config, signer } = prepared;
        let LedgerPlace::Directory(ledger) = &config.ledger else { panic!("a directory") };
        let (switches, stores) = Switched::open(&config.registers, ledger);
        let registers: Arc<dyn Registers> = Arc::<Switched>::clone(&stores) as _;
        let ledger = Arc::<Switched>::clone(&stores);
        let running = Gateway::start_with(config, Stores { registers, ledger })
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        Self { backend, switches, running, stores, directory, authority, signer }
    }

    /// A gateway on the embedded stores, as `tamis run` starts it, with these files beside its rules.
    /// `stores` writes into the same registers; its ledger is another one.
    pub(super) async fn embedded(rules: &str, files: &[(&str, &str)]) -> Self {
        Self::embedded_with(rules, files, "").await
    }

    /// As [`embedded`](Self::embedded), with more settings.
    pub(super) async fn embedded_with(rules: &str, files: &[(&str, &str)], more: &str) -> Self {
        Self::try_embedded(rules, files, more).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// As [`embedded_with`](Self::embedded_with), if it starts.
    pub(super) async fn try_embedded(
        rules: &str,
        files: &[(&str, &str)],
        more: &str,
    ) -> Result<Self, StartError> {
        let Prepared { directory, authority, backend, config, signer } =
            Self::prepare_with(rules, &usual("1ms"), "300ms", more).await;
        write_own(directory.path(), files);
        let aside = directory.path().join("aside");
        let (switches, stores) = Switched::open(&config.registers, &aside);
        let running = Gateway::start(config).await?;
        Ok(Self { backend, switches, running, stores, directory, authority, signer })
    }

    /// A gateway as `tamis run` starts it, with its registers elsewhere.
    pub(super) async fn on(rules: &str, registers: RegisterPlace) -> Self {
        Self::on_with(rules, registers, &[], "").await
    }

    /// As [`on`](Self::on), with these files beside its rules and more settings.
    pub(super) async fn on_with(
        rules: &str,
        registers: RegisterPlace,
        files: &[(&str, &str)],
        more: &str,
    ) -> Self {
        let Prepared { directory, authority, backend, mut config, signer } =
            Self::prepare_with(rules, &usual("1ms"), "300ms", more).await;
        write_own(directory.path(), files);
        config.registers = registers;
        let aside = directory.path().join("aside");
        let (switches, stores) = Switched::open(&config.registers, &aside);
        let running = Gateway::start(config).await.unwrap_or_else(|error| panic!("{error:?}"));
        Self { backend, switches, running, stores, directory, authority, signer }
    }

    async fn prepare(rules: &str, limits: &str, response_timeout: &str) -> Prepared {
        Self::prepare_with(rules, limits, response_timeout, "").await
    }

    async fn prepare_with(
        rules: &str,
        limits: &str,
        response_timeout: &str,
        more: &str,
    ) -> Prepared {
        let directory = TempDir::new().expect("a directory");
        let at = directory.path();
        let authority = Authority::generate(Timestamp::now()).expect("keys");
        fs::write(at.join("ca.pem"), authority.certificate()).expect("writable");
        for (name, hosts) in
            [("server", &[HOST, "127.0.0.1"][..]), ("other", &["other.example.invalid"])]
        {
            let issued = authority.issue_server(hosts, Timestamp::now()).expect("names");
            keep(&issued, at, name);
        }
        KeyRing::generate(&at.join("keys")).expect("writable");
        let signer = TokenSigner::generate().expect("keys");
        fs::write(at.join("jwks.json"), signer.jwks()).expect("writable");
        fs::write(at.join("rules.yaml"), rules).expect("writable");
        let backend = Backend::start().await;
        let listen = if more.contains("listen:") { "" } else { LISTEN };
        let config = format!(
            "rules: rules.yaml\n\
             {listen}\n\
             certificates: [{{chain: server.pem, key: server.key}}, {{chain: other.pem, key: other.key}}]\n\
             client_ca: ca.pem\n\
             issuers: {{'{ISSUER}': {{jwks: {{file: jwks.json}}, audience: tamis, algorithms: [ES256]}}}}\n\
             upstreams: {{people: {{url: 'http://{}', response_timeout: {response_timeout}, breaker: off}}}}\n\
             key_ring: keys\n\
             access_log: access.log\n\
             limits: {{{limits}}}\n\
             {more}",
            backend.address
        );
        fs::write(at.join("tamis.yaml"), config).expect("writable");
        let config = Config::load(&at.join("tamis.yaml")).expect("a configuration of ours");
        Prepared { directory, authority, backend, config, signer }
    }

    /// Ends the gateway, so that all that it does at its end is done. The folder stays as long as what
    /// this gives.
    pub(super) async fn stopped(self) -> TempDir {
        self.running.stop().await;
        self.directory
    }

    /// Writes anew what the gateway was started from: `from` becomes `to`, which must differ.
    pub(super) fn edit(&self, name: &str, from: &str, to: &str) {
        let old = fs::read_to_string(self.path(name)).expect("ours");
        let new = old.replace(from, to);
        assert_ne!(new, old, "nothing is edited");
        fs::write(self.path(name), new).expect("ours");
    }

    /// Another certificate of the server, by the same authority.
    pub(super) fn renew(&self) {
        let issued = self.authority.issue_server(&[HOST, "127.0.0.1"], Timestamp::now());
        keep(&issued.expect("names"), self.directory.path(), "server");
    }

    /// The authority of this stage, PEM.
    pub(super) fn authority(&self) -> &str {
        self.authority.certificate()
    }

    /// A certificate of a server of this name, and its key, PEM.
    pub(super) fn issued_for(&self, name: &str) -> (String, String) {
        let issued = self.authority.issue_server(&[name], Timestamp::now()).expect("a name");
        (issued.certificate.clone(), issued.key.to_string())
    }

    /// Writes a client's certificate and key under this name beside the settings.
    pub(super) fn certify(&self, name: &str) {
        let san = format!("dns:{name}.example.invalid");
        let issued = self.authority.issue_client(&san, Timestamp::now()).expect("a name");
        keep(&issued, self.directory.path(), name);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A token by which `person` is signed in.
    pub(super) fn token(&self, person: &str) -> String {
        let now = Timestamp::now();
        let claims = TokenClaims {
            issuer: ISSUER,
            audience: "tamis",
            subject: Some(person),
            client: None,
            purposes: &[],
            issued_at: now,
            expires_at: now + jiff::SignedDuration::from_mins(5),
        };
        self.signer.sign(&claims).expect("signed")
    }

    /// One request of a person, with or without a body of JSON.
    pub(super) async fn ask_as(
        &self,
        person: &str,
        method: &str,
        target: &str,
        body: Option<&str>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token(person));
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(body.map(|_| ("content-type", "application/json")));
        let (parts, _) = request(method, target, &headers).into_parts();
        let body = Full::new(Bytes::from(body.unwrap_or_default().to_owned()));
        self.send(None, Request::from_parts(parts, body)).await
    }

    /// Takes a record in its JSON form.
    pub(super) fn record(&self, json: &str) {
        let record = Record::parse(json.as_bytes()).expect("a record of ours");
        self.stores.registers.record(&record).expect("taken");
    }

    /// What the gateway counts, as an operator reads it.
    pub(super) fn metrics(&self) -> String {
        self.running.metrics()
    }

    /// The ledger's segment as it stands.
    /// Returns once this stands in the ledger: what nobody waits for is entered a little later.
    pub(super) async fn entered(&self, text: &str) {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(5));
        let waiting = async {
            while !self.ledger().contains(text) {
                looks.tick().await;
            }
        };
        let entered = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
        assert!(entered.is_ok(), "{text} is not in the ledger");
    }

    /// What stands in the ledger by now.
    pub(super) fn ledger(&self) -> String {
        fs::read_to_string(self.path("ledger/000001.jsonl")).expect("the ledger has begun")
    }

    /// A TLS connection as `recipient` (none: without a certificate), asking for `server_name`.
    pub(super) async fn connect(
        &self,
        recipient: Option<&str>,
        server_name: &str,
        protocol: Option<&[u8]>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_to(self.running.addresses.https, recipient, server_name, protocol).await
    }

    /// The same at another address, where a gateway with the same certificates listens.
    pub(super) async fn connect_to(
        &self,
        at: SocketAddr,
        recipient: Option<&str>,
        server_name: &str,
        protocol: Option<&[u8]>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(at).await?;
        self.handshake(stream, recipient, server_name, protocol).await
    }

    /// The handshake on a connection that is there.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        recipient: Option<&str>,
        server_name: &str,
        protocol: Option<&[u8]>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = self.client_config(recipient);
        config.alpn_protocols = protocol.iter().map(|protocol| protocol.to_vec()).collect();
        let name = ServerName::try_from(server_name.to_owned()).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// TLS as `recipient` has it.
    pub(super) fn client_config(&self, recipient: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.authority.certificate().as_bytes());
        roots.add(ca.expect("PEM of ours")).expect("a certificate of ours");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        match recipient {
            None => builder.with_no_client_auth(),
            Some(recipient) => {
                let name = format!("dns:{recipient}.example.invalid");
                let issued = self.authority.issue_client(&name, Timestamp::now()).expect("a name");
                let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
                builder
                    .with_client_auth_cert(
                        vec![certificate.expect("PEM of ours")],
                        key.expect("PEM of ours"),
                    )
                    .expect("a pair of ours")
            }
        }
    }

    /// Whether a client without TLS 1.3 comes through.
    pub(super) async fn speaks_tls_1_2(&self) -> bool {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.authority.certificate().as_bytes());
        roots.add(ca.expect("PEM of ours")).expect("a certificate of ours");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.running.addresses.https).await.expect("it listens");
        let name = ServerName::try_from(HOST).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
    }

    /// One request over HTTP/1.1.
    pub(super) async fn ask(&self, recipient: &str, target: &str) -> Answer {
        self.send(Some(recipient), request("GET", target, &[])).await
    }

    /// One request with a body of JSON.
    pub(super) async fn post(&self, recipient: &str, target: &str, body: &str) -> Answer {
        self.ask_with(recipient, "POST", target, body).await
    }

    /// The same by this method.
    pub(super) async fn ask_with(
        &self,
        recipient: &str,
        method: &str,
        target: &str,
        body: &str,
    ) -> Answer {
        let (parts, ()) = request(method, target, &[("content-type", "application/json")])
            .map(|_| ())
            .into_parts();
        let body = Full::new(Bytes::from(body.to_owned()));
        self.send(Some(recipient), Request::from_parts(parts, body)).await
    }

    pub(super) async fn send<B>(&self, recipient: Option<&str>, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let stream = self.connect(recipient, HOST, Some(b"http/1.1")).await.expect("a handshake");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.expect("an answer");
        let answer = collect(response).await;
        driver.abort();
        answer
    }

    /// One request over HTTP/2.
    pub(super) async fn ask_http2(&self, recipient: &str, target: &str) -> Answer {
        let stream = self.connect(Some(recipient), HOST, Some(b"h2")).await.expect("a handshake");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP");
        let driver = tokio::spawn(connection);
        let request = Request::get(format!("https://{HOST}{target}")).body(Empty::<Bytes>::new());
        let response = sender.send_request(request.expect("a target")).await.expect("an answer");
        let answer = collect(response).await;
        driver.abort();
        answer
    }

    /// These bytes over TLS, and whatever comes back until the end.
    pub(super) async fn raw(&self, recipient: &str, bytes: &[u8]) -> String {
        let mut stream =
            self.connect(Some(recipient), HOST, Some(b"http/1.1")).await.expect("a handshake");
        stream.write_all(bytes).await.expect("taken");
        let mut answer = Vec::new();
        // A connection that is cut is an end too.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What `/status` says, of a gateway on embedded stores.
    pub(super) async fn status(&self) -> String {
        self.health("/status").await
    }

    /// What the metrics listener says at this path, of a gateway on embedded stores.
    pub(super) async fn health(&self, path: &str) -> String {
        let address = self.running.addresses.metrics.expect("it is on");
        let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        let answer = Self::told(address, ask.as_bytes()).await;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a head")
    }

    /// These bytes to the plaintext listener.
    pub(super) async fn plaintext(&self, bytes: &[u8]) -> String {
        Self::told(self.running.addresses.http.expect("it is on"), bytes).await
    }

    /// What comes back of these bytes until the end.
    async fn told(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(bytes).await.expect("taken");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let is_there = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    });
    assert!(is_there.await.is_ok(), "{what}");
}

/// A request with a host.
pub(super) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Request<Empty<Bytes>> {
    let mut builder = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| *name == "host") {
        builder = builder.header("host", HOST);
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Empty::new()).expect("a request of ours")
}

async fn collect(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
    let body = body.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Answer { status: head.status, headers: head.headers, body }
}
