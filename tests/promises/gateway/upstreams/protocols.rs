//! What is spoken with a backend: TLS with names and certificates on both sides, HTTP/1.1, HTTP/2.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::super::http2::{
    END_HEADERS, END_STREAM, HEADERS, PSEUDO, fields, frame, next, opening_with_window,
};
use super::super::stage::{HOST, Stage};
use super::super::{FOR_COURIER, TESTINA};
use super::{PATIENCE, RULES, until, with};

/// What a backend's certificate says, and its URL.
const NAME: &str = "people.internal.invalid";

/// What a backend saw of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    version: Version,
    server_name: Option<String>,
    is_certified: bool,
    authority: String,
}

/// How a backend takes connections.
#[derive(Clone)]
enum Door {
    /// In plaintext.
    Open,
    /// With this certificate and these protocols.
    Tls(Arc<ServerConfig>),
}

/// A backend that speaks whatever was agreed.
struct Speaker {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Speaker {
    async fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (its, accepted) = (Arc::clone(&seen), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (door, seen) = (door.clone(), Arc::clone(&its));
                tokio::spawn(async move {
                    match door {
                        Door::Open => talk(stream, true, (None, false), seen).await,
                        Door::Tls(config) => {
                            let accepted = TlsAcceptor::from(config).accept(stream).await;
                            let Ok(stream) = accepted else { return };
                            let (_, tls) = stream.get_ref();
                            let is_h2 = tls.alpn_protocol() == Some(b"h2");
                            let name = tls.server_name().map(str::to_owned);
                            let who = (name, tls.peer_certificates().is_some());
                            talk(stream, is_h2, who, seen).await;
                        }
                    }
                });
            }
        });
        Self { address, seen, connections, task }
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_h2: bool,
    (server_name, is_certified): (Option<String>, bool),
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let host = request.headers().get("host").and_then(|host| host.to_str().ok());
        let authority = request.uri().authority().map(ToString::to_string);
        seen.lock().expect("no panic").push(Seen {
            version: request.version(),
            server_name: server_name.clone(),
            is_certified,
            authority: authority.or(host.map(str::to_owned)).unwrap_or_default(),
        });
        let response = answer(request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let stream = TokioIo::new(stream);
    // How a connection ends is the gateway's to say.
    let _ = if is_h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(stream, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
    };
}

/// A body of these frames; an error resets its stream.
struct Frames(VecDeque<io::Result<Frame<Bytes>>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop_front())
    }
}

fn answer(path: &str) -> Response<Frames> {
    let whole = || Ok(Frame::data(Bytes::from_static(TESTINA.as_bytes())));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("a value"));
    let frames = match path {
        "/people/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-secret", "CANARY".parse().expect("a value"));
            vec![whole(), Ok(Frame::trailers(trailers))]
        }
        "/people/reset" => vec![whole(), Err(io::Error::other("reset"))],
        "/people/short" => {
            headers.insert("content-length", "500".parse().expect("a value"));
            vec![whole()]
        }
        "/people" => {
            // Many times what is read ahead of it.
            let name = "a".repeat(1000);
            let person = |n: usize| format!(r#"{{"id":"u{n}","name":"Testina {name}"}}"#);
            let people: Vec<String> = (0..3000).map(person).collect();
            let list = Bytes::from(format!(r#"{{"people":[{}]}}"#, people.join(",")));
            vec![Ok(Frame::data(list))]
        }
        _ => vec![whole()],
    };
    let mut response = Response::new(Frames(frames.into()));
    *response.headers_mut() = headers;
    response
}

/// A backend's side of TLS: its name, whether it asks who is there, and what it speaks.
fn door(stage: &Stage, asks: bool, protocols: &[&[u8]]) -> Door {
    let authority = CertificateDer::from_pem_slice(stage.authority().as_bytes()).expect("ours");
    let (chain, key) = stage.issued_for(NAME);
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("ours")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("ours");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("ours");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().expect("one authority"))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Door::Tls(Arc::new(config))
}

/// A gateway whose backend is this one, by its name over TLS, with these settings.
async fn before(door_of: impl FnOnce(&Stage) -> Door, settings: &str) -> (Stage, Speaker) {
    let stage = Stage::embedded(RULES, &[]).await;
    stage.certify("gateway");
    let speaker = Speaker::start(door_of(&stage)).await;
    let url = format!("url: 'http://{}'", stage.backend.address);
    let at = format!("url: 'https://{NAME}:8443', addresses: ['{}']", speaker.address);
    stage.edit("tamis.yaml", &url, &at);
    stage.edit(
        "tamis.yaml",
        "response_timeout: 300ms",
        &format!("response_timeout: 5s, {settings}"),
    );
    assert_eq!(stage.running.reload().await.refused, vec![]);
    (stage, speaker)
}

const OURS: &str = "ca: ca.pem, certificate: {chain: gateway.pem, key: gateway.key}";

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_connection_show_who_they_are() {
    let asks = |stage: &Stage| door(stage, true, &[]);
    let (stage, speaker) = before(asks, OURS).await;
    let answer = stage.ask("courier", "/people/u1").await;
    assert_eq!(answer.body.as_deref(), Some(FOR_COURIER));
    let seen = Seen {
        version: Version::HTTP_11,
        server_name: Some(NAME.to_owned()),
        is_certified: true,
        authority: format!("{NAME}:8443"),
    };
    assert_eq!(speaker.seen(), [seen]);

    // Without ours, under authorities that are not its own, or by another name: not a byte is asked.
    for settings in [
        "ca: ca.pem",
        "certificate: {chain: gateway.pem, key: gateway.key}",
        "ca: ca.pem, certificate: {chain: gateway.pem, key: gateway.key}, server_name: orders.invalid",
    ] {
        let (stage, speaker) = before(asks, settings).await;
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 502, "{settings}");
        assert_eq!(speaker.seen(), [], "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_in_the_certificate_need_not_be_that_of_the_url() {
    let named = format!("ca: ca.pem, server_name: {NAME}");
    let (stage, speaker) = before(|stage| door(stage, false, &[]), &named).await;
    stage.edit("tamis.yaml", &format!("https://{NAME}:8443"), "https://orders.invalid:8443");
    assert_eq!(stage.running.reload().await.refused, vec![]);
    assert_eq!(stage.ask("courier", "/people/u1").await.status, 200);
    let seen = speaker.seen();
    assert_eq!(seen[0].server_name.as_deref(), Some(NAME));
    assert_eq!(seen[0].authority, "orders.invalid:8443");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_agreed_on_over_tls() {
    let speaks_both = |stage: &Stage| door(stage, false, &[b"http/1.1", b"h2"]);
    let (stage, speaker) = before(speaks_both, "ca: ca.pem, protocol: h2").await;
    speaks_http_2(&stage, &speaker, &format!("{NAME}:8443")).await;

    // One that does not is not asked in another way.
    for protocols in [&[b"http/1.1".as_slice()][..], &[]] {
        let (stage, speaker) =
            before(|stage| door(stage, false, protocols), "ca: ca.pem, protocol: h2").await;
        assert_eq!(stage.ask("courier", "/people/u1").await.status, 502);
        assert_eq!(speaker.seen(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_in_plaintext_without_asking() {
    let speaker = Speaker::start(Door::Open).await;
    let stage = with(&format!("addresses: ['{}'], protocol: h2c", speaker.address)).await;
    speaks_http_2(&stage, &speaker, &stage.backend.address.to_string()).await;
    // Health checks speak it too.
    let health = "protocol: h2c, health: {path: /healthz, every: 20ms, timeout: 20s}";
    stage.edit("tamis.yaml", "protocol: h2c", health);
    assert_eq!(stage.running.reload().await.refused, vec![]);
    until(|| stage.metrics().contains("outcome=\"good\",upstream=\"people\"}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_keep_no_other_from_coming_on_the_same_connection() {
    let speaker = Speaker::start(Door::Open).await;
    let at = format!("addresses: ['{}'], protocol: h2c", speaker.address);
    let stage = with(&format!("{at}, response_timeout: 5s, breaker: {{failures: 1}}")).await;
    stage.edit("tamis.yaml", "response_body: 1MiB", "response_body: 8MiB");
    assert_eq!(stage.running.reload().await.refused, vec![]);
    let mut slow = stage.connect(Some("courier"), HOST, Some(b"h2")).await.expect("a handshake");
    slow.write_all(&opening_with_window(0)).await.expect("taken");
    let asks = PSEUDO.map(|(name, value)| (name, if name == ":path" { "/people" } else { value }));
    for id in [1, 3, 5] {
        let asks = frame(HEADERS, END_STREAM | END_HEADERS, id, &fields(&asks));
        slow.write_all(&asks).await.expect("taken");
    }
    let begun = timeout(PATIENCE, async {
        let mut begun = 0;
        while begun < 3 {
            let (kind, ..) = next(&mut slow).await.expect("it goes on");
            begun += usize::from(kind == HEADERS);
        }
    });
    assert!(begun.await.is_ok(), "their heads come");
    for _ in 0..50 {
        let answer = stage.ask("courier", "/people/u1").await;
        assert_eq!((answer.status.as_u16(), answer.body.as_deref()), (200, Some(FOR_COURIER)));
    }
    assert!(stage.metrics().contains("tamis_upstream_breaker{upstream=\"people\"} 0"));
}

/// Everything that holds of HTTP/1.1 holds.
async fn speaks_http_2(stage: &Stage, speaker: &Speaker, authority: &str) {
    for path in ["u1", "trailers"] {
        let answer = stage.ask("courier", &format!("/people/{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_deref()), (200, Some(FOR_COURIER)));
        assert!(!format!("{:?}", answer.headers).contains("CANARY"), "{path}");
    }
    // A body that is cut is replaced, whichever way it is cut.
    for path in ["reset", "short"] {
        let answer = stage.ask("courier", &format!("/people/{path}")).await;
        assert_eq!(answer.status, 502, "{path}");
        assert!(!answer.body.expect("a problem").contains("Testina"));
    }
    let three = ["/people/u1", "/people/u2", "/people/u3"].map(|path| stage.ask("courier", path));
    let [one, two, three] = three;
    let (one, two, three) = tokio::join!(one, two, three);
    assert!([one, two, three].iter().all(|answer| answer.status == 200));
    let seen = speaker.seen();
    assert_eq!(seen.len(), 7);
    // One, and another where the first was idle for too long.
    assert!(speaker.connections.load(Ordering::SeqCst) < 4, "requests share connections");
    for one in seen {
        assert_eq!((one.version, one.authority.as_str()), (Version::HTTP_2, authority));
    }
    let status: serde_json::Value = serde_json::from_str(&stage.status().await).expect("JSON");
    assert!(status["upstreams"]["people"]["protocol"].as_str().expect("said").starts_with("h2"));
}
