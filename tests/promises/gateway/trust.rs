//! Whom the gateway trusts after a reload: authorities of backends, of clients, and of connections that
//! are older than they are.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tamis::identity::development::{Authority, Issued};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::TESTINA;
use super::backend::json;
use super::stage::{HOST, Stage, request};

/// What the desk is shown, and less.
const WIDE: &str = "identity.name: keep, contact.email: keep}";
const NARROW: &str = "identity.name: keep}";

async fn stage() -> Stage {
    let stage = Stage::embedded(include_str!("../../cases/gateway.rules.yaml"), &[]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    stage
}

/// TLS in front of a backend, with a certificate of this authority.
async fn in_front_of(backend: SocketAddr, authority: &Authority) -> SocketAddr {
    let issued = authority.issue_server(&["127.0.0.1"], Timestamp::now()).expect("a name");
    shown_by(backend, &issued).await
}

/// TLS in front of a backend, with this certificate.
async fn shown_by(backend: SocketAddr, issued: &Issued) -> SocketAddr {
    let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain.expect("PEM of ours")], key.expect("PEM of ours"))
        .expect("a pair of ours");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut behind = TcpStream::connect(backend).await.expect("it listens");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_a_backend_that_came_with_refused_rules_is_taken_with_the_next() {
    let stage = stage().await;
    let now = Timestamp::now();
    let [old, new] = [(); 2].map(|()| Authority::generate(now).expect("keys"));
    fs::write(stage.path("backend.pem"), old.certificate()).expect("ours");
    let front = in_front_of(stage.backend.address, &new).await;
    let plain = format!("url: 'http://{}'", stage.backend.address);
    stage.edit("tamis.yaml", &plain, &format!("url: 'https://{front}', ca: backend.pem"));
    stage.edit("rules.yaml", WIDE, NARROW);
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["rules", "settings"], vec![]));
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 502, "nobody knows this authority");

    fs::write(stage.path("backend.pem"), new.certificate()).expect("ours");
    stage.edit("rules.yaml", NARROW, WIDE);
    assert_eq!(stage.running.reload().await.refused.len(), 1, "the rules release more");
    stage.edit("rules.yaml", WIDE, NARROW);
    assert_eq!(stage.running.reload().await.refused, []);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_certificate_is_revoked_is_not_asked() {
    let stage = stage().await;
    let now = Timestamp::now();
    let authority = Authority::generate(now).expect("keys");
    let issued = authority.issue_server(&["127.0.0.1"], now).expect("a name");
    fs::write(stage.path("backend.pem"), authority.certificate()).expect("ours");
    let list = |revoked: &[&Issued], number| {
        let window = (now, now + jiff::SignedDuration::from_hours(1));
        let list = authority.revocation_list(revoked, number, window).expect("a list");
        fs::write(stage.path("backend.crl"), list).expect("ours");
    };
    list(&[], 1);
    let front = shown_by(stage.backend.address, &issued).await;
    let plain = format!("url: 'http://{}'", stage.backend.address);
    let secured = format!("url: 'https://{front}', ca: backend.pem, crls: [backend.crl]");
    stage.edit("tamis.yaml", &plain, &secured);
    assert_eq!(stage.running.reload().await.refused, []);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);
    list(&[&issued], 2);
    assert_eq!(stage.running.reload().await.refused, []);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 502);
    fs::write(stage.path("backend.crl"), "garbage").expect("ours");
    let refused = stage.running.reload().await.refused;
    assert!(refused.iter().any(|(_, why)| why.contains("backend.crl")), "{refused:?}");
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 502, "as it was");

    // Whoever can write the file cannot take a revocation back with a list that still counts.
    list(&[], 1);
    let refused = stage.running.reload().await.refused;
    assert!(refused.iter().any(|(_, why)| why.contains("older than the list in force")));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 502, "as it was");
    list(&[], 3);
    assert_eq!(stage.running.reload().await.refused, []);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200);

    // A revocation does not wait for rules, nor does it bring along what came with them.
    list(&[&issued], 4);
    stage.edit("rules.yaml", "keep", "keeep");
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["crls"]);
    assert_eq!(reloaded.refused.len(), 1, "{:?}", reloaded.refused);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 502);
    list(&[], 5);
    fs::write(stage.path("backend.pem"), "garbage").expect("ours");
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused.len()), (vec!["crls"], 2));
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 200, "it is not revoked any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_counts_on_certificates_goes_ahead_of_them() {
    let stage = stage().await;
    let config = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let config = format!("{config}reload: {{widening: accept}}\n");
    let rules = fs::read_to_string(stage.path("rules.yaml")).expect("ours");
    let chain = fs::read_to_string(stage.path("server.pem")).expect("ours");
    let other = Authority::generate(Timestamp::now()).expect("keys");
    fs::write(stage.path("other-ca.pem"), other.certificate()).expect("ours");
    fs::write(stage.path("tamis.yaml"), &config).expect("ours");
    assert_eq!(stage.running.reload().await.refused, []);
    let admin = "admin: {client_ca: other-ca.pem}\n";
    let caller = "admin: {client_ca: ca.pem, callers: {app: {roles: [reader], certificate: 'dns:app.example.invalid'}}}\n";
    let cases = [
        (
            config.replace("client_ca: ca.pem", "client_ca: other-ca.pem"),
            rules.clone(),
            "client_ca",
        ),
        (format!("{config}{admin}"), rules.clone(), "admin.client_ca"),
        (format!("{config}{caller}"), rules.clone(), "admin.callers"),
        (
            config.clone(),
            rules.replace("dns:desk.example.invalid", "dns:courier2.example.invalid"),
            "authenticate",
        ),
        (config.clone(), rules.replace("tls: {hsts", "tls: {min: \"1.3\", hsts"), "tls: min"),
    ];
    for (new_config, new_rules, why) in cases {
        assert!(new_config != config || new_rules != rules, "{why}");
        fs::write(stage.path("tamis.yaml"), new_config).expect("ours");
        fs::write(stage.path("rules.yaml"), new_rules).expect("ours");
        fs::write(stage.path("server.pem"), "-----BEGIN CERT").expect("ours");
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.activated, Vec::<&str>::new(), "{why}");
        let told: Vec<&str> = reloaded.refused.iter().map(|(_, why)| why.as_str()).collect();
        assert!(
            told.iter().any(|words| words.contains("rejected: ") && words.contains(why)),
            "{told:?}"
        );
        assert!(told.iter().any(|words| words.contains("server.pem")), "{told:?}");
        assert_eq!(stage.ask("desk", "/people/u1").await.status, 200, "{why}: as it was");
        fs::write(stage.path("server.pem"), &chain).expect("ours");
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.refused, [], "{why}: whole, it is taken");
        fs::write(stage.path("tamis.yaml"), &config).expect("ours");
        fs::write(stage.path("rules.yaml"), &rules).expect("ours");
        assert_eq!(stage.running.reload().await.refused, [], "{why}");
    }
    // Who is let in no more is let in no more at once.
    fs::write(stage.path("server.pem"), "-----BEGIN CERT").expect("ours");
    stage.edit(
        "rules.yaml",
        "authenticate: {mtls: \"dns:desk.example.invalid\"}",
        "authenticate: {api_key: \"sha256:ref:desk\"}",
    );
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["rules"], "{:?}", reloaded.refused);
    assert_eq!(stage.ask("desk", "/people/u1").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_clients_waits_for_the_rules_that_it_came_with() {
    let stage = stage().await;
    let ours = fs::read_to_string(stage.path("ca.pem")).expect("ours");
    let other = Authority::generate(Timestamp::now()).expect("keys").certificate().to_owned();
    let both = format!("{ours}{other}");
    stage.edit("rules.yaml", "keep", "keeep");
    // Beside broken rules: one more, others altogether, and a new certificate of the server.
    for (authorities, activated) in
        [(&both, vec![]), (&other, vec![]), (&other, vec!["certificates"])]
    {
        fs::write(stage.path("ca.pem"), authorities).expect("ours");
        if !activated.is_empty() {
            stage.renew();
        }
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.activated, activated);
        assert_eq!(reloaded.refused.len(), 1, "{:?}", reloaded.refused);
        assert_eq!(stage.ask("desk", "/people/u1").await.status, 200, "as it was");
    }
    // With whole rules all of it is taken; one that is gone needs no rules.
    stage.edit("rules.yaml", "keeep", "keep");
    fs::write(stage.path("ca.pem"), &both).expect("ours");
    assert_eq!(stage.running.reload().await.activated, ["client_ca"]);
    stage.edit("rules.yaml", "keep", "keeep");
    fs::write(stage.path("ca.pem"), &other).expect("ours");
    assert_eq!(stage.running.reload().await.activated, ["client_ca"]);
    // In TLS 1.3 a client learns of it when it reads, if at all.
    if let Ok(mut stream) = stage.connect(Some("desk"), HOST, Some(b"http/1.1")).await {
        let asks = format!("GET /people/u1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let _ = stream.write_all(asks.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_worth_no_more_than_the_authorities_in_force() {
    let stage = stage().await;
    let first = stage.connect(Some("desk"), HOST, Some(b"http/1.1")).await.expect("a handshake");
    let (mut one, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(first)).await.expect("HTTP");
    tokio::spawn(connection);
    let second = stage.connect(Some("desk"), HOST, Some(b"h2")).await.expect("a handshake");
    let (mut two, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(second))
            .await
            .expect("HTTP");
    tokio::spawn(connection);
    let ours = fs::read_to_string(stage.path("ca.pem")).expect("ours");
    let other = Authority::generate(Timestamp::now()).expect("keys").certificate().to_owned();
    let steps = [(ours.clone(), 200), (format!("{ours}{other}"), 200), (other, 401), (ours, 200)];
    for (step, (authorities, status)) in steps.into_iter().enumerate() {
        fs::write(stage.path("ca.pem"), authorities).expect("ours");
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.refused, []);
        assert_eq!(reloaded.activated, if step == 0 { vec![] } else { vec!["client_ca"] });
        one.ready().await.expect("it stays open");
        let request = request("GET", "/people/u1", &[]);
        let response = one.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), status, "{step}");
        response.into_body().collect().await.expect("whole");
        let request = http::Request::get(format!("https://{HOST}/people/u1"))
            .body(http_body_util::Empty::<bytes::Bytes>::new());
        let response = two.send_request(request.expect("a target")).await.expect("an answer");
        assert_eq!(response.status(), status, "{step}");
    }
}
