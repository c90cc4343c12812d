//! Calls to services outside: to the address that is named, to nobody who cannot prove who they are, and
//! within bounds.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::Timestamp;
use tamis::https::{Bounds, CallFault, CertificateFiles, HttpsClient, Schemes, Trust, TrustError};
use tamis::identity::development::Authority;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::service::{Reply, Service};

/// Patient, for what does not wait.
const PATIENT: Bounds = Bounds {
    connect: Duration::from_secs(30),
    total: Duration::from_mins(1),
    answer_bytes: 1000,
    kept: 0,
};

/// For what waits for ever.
const HASTY: Bounds =
    Bounds { connect: Duration::from_millis(300), total: Duration::from_millis(300), ..PATIENT };

fn written(folder: &TempDir, name: &str, pem: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, pem).expect("ours");
    path
}

/// A client that trusts this authority alone.
fn client(authority: &str, bounds: Bounds) -> HttpsClient {
    let folder = tempfile::tempdir().expect("a folder");
    let trust = Trust::by(Some(written(&folder, "ca.pem", authority)));
    HttpsClient::new(&trust, Schemes::HttpsOnly, bounds).expect("set up")
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).expect("a request of ours")
}

#[tokio::test]
async fn an_answer_comes_back_whole_whatever_its_status_and_a_redirect_is_one() {
    let service = Service::start(|call| match call.path.as_str() {
        "/echo" => Reply::Say(200, call.body.clone()),
        "/chunks" => Reply::Chunks(207, call.body.clone()),
        "/moved" => Reply::Elsewhere("https://localhost/elsewhere".into()),
        _ => Reply::status(503),
    })
    .await;
    let client = client(service.authority(), PATIENT);
    for (path, status) in [("/echo", 200), ("/chunks", 207)] {
        let request = Request::put(service.url(path)).body(Bytes::from_static(b"one"));
        let answer = client.call(request.expect("ours")).await.expect("an answer");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (status, &b"one"[..]));
        assert!(answer.success().is_ok());
    }
    for (path, status) in
        [("/moved", StatusCode::FOUND), ("/gone", StatusCode::SERVICE_UNAVAILABLE)]
    {
        let answer = client.call(get(&service.url(path))).await.expect("an answer");
        assert_eq!(answer.status, status);
        assert_eq!(answer.success().expect_err(path), CallFault::Status(status));
        let delivered = client.deliver(get(&service.url(path))).await;
        assert_eq!(delivered, Err(CallFault::Status(status)));
    }
    let calls = service.calls();
    assert_eq!(calls.len(), 6, "nobody is asked whom an answer names");
    assert_eq!((calls[0].method.as_str(), calls[2].method.as_str()), ("PUT", "GET"));
    assert!(calls.iter().all(|call| {
        call.header("user-agent").is_some_and(|agent| agent.starts_with("tamis/"))
    }));
}

#[tokio::test]
async fn what_went_wrong_has_a_code_and_nothing_is_waited_for_without_end() {
    let service = Service::start(|call| match call.path.as_str() {
        "/hang" => Reply::Hang,
        "/stall" => Reply::Stall(b"one".to_vec()),
        "/break" => Reply::Break,
        "/said" => Reply::Say(200, vec![b'a'; 1001]),
        "/unsaid" => Reply::Chunks(200, vec![b'a'; 1001]),
        "/most" => Reply::Chunks(200, vec![b'a'; 1000]),
        _ => Reply::status(204),
    })
    .await;
    let ours = service.authority();
    let cases = [
        ("/hang", HASTY, "timeout"),
        ("/stall", HASTY, "timeout"),
        ("/break", PATIENT, "broken"),
        ("/said", PATIENT, "too-large"),
        ("/unsaid", PATIENT, "too-large"),
    ];
    for (path, bounds, code) in cases {
        let answer = client(ours, bounds).call(get(&service.url(path))).await;
        assert_eq!(answer.map(|answer| answer.status).expect_err(path).code(), code, "{path}");
    }
    assert!(client(ours, PATIENT).call(get(&service.url("/most"))).await.is_ok());
    // Of what is only delivered the body is not read.
    assert_eq!(client(ours, PATIENT).deliver(get(&service.url("/said"))).await, Ok(()));
    assert_eq!(client(ours, PATIENT).deliver(get(&service.url("/stall"))).await, Ok(()));
}

#[tokio::test]
async fn nobody_is_asked_who_cannot_prove_who_they_are() {
    let service = Service::start(|_| Reply::status(204)).await;
    let other = Authority::generate(Timestamp::now()).expect("an authority");
    let foreign = client(other.certificate(), PATIENT);
    assert_eq!(foreign.deliver(get(&service.url("/"))).await, Err(CallFault::Tls));
    let ours = client(service.authority(), PATIENT);
    let by_address = format!("https://127.0.0.1:{}/", service.address.port());
    assert_eq!(ours.deliver(get(&by_address)).await, Err(CallFault::Tls), "another name");
    let plain = format!("http://localhost:{}/", service.address.port());
    assert_eq!(ours.deliver(get(&plain)).await, Err(CallFault::Connect), "no https");
    assert_eq!(service.count(), 0, "nobody was asked anything");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let silent = format!("https://localhost:{port}/");
    let hasty = client(service.authority(), HASTY);
    assert_eq!(hasty.deliver(get(&silent)).await, Err(CallFault::Timeout), "no handshake");
    let greeted = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    assert_eq!(ours.deliver(get(&silent)).await, Err(CallFault::Tls), "no TLS");
    greeted.abort();
    assert!(greeted.await.is_err(), "the listener is gone");
    assert_eq!(ours.deliver(get(&silent)).await, Err(CallFault::Connect), "nobody listens");
}

#[tokio::test]
async fn a_certificate_is_shown_to_who_asks_for_one() {
    let clients = Authority::generate(Timestamp::now()).expect("an authority");
    let service = Service::asking(&clients, |_| Reply::status(204)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let issued = clients.issue_client("dns:gw-1.example.invalid", Timestamp::now()).expect("names");
    let (chain, key) = issued.write(folder.path(), "gw-1").expect("ours");
    let mut trust = Trust::by(Some(written(&folder, "ca.pem", service.authority())));
    let nobody = HttpsClient::new(&trust, Schemes::HttpsOnly, PATIENT).expect("set up");
    assert_eq!(nobody.deliver(get(&service.url("/"))).await, Err(CallFault::Tls));
    trust.certificate =
        Some(CertificateFiles { chain: chain.clone(), key: key.clone(), ocsp: None });
    let known = HttpsClient::new(&trust, Schemes::HttpsOnly, PATIENT).expect("set up");
    assert_eq!(known.deliver(get(&service.url("/"))).await, Ok(()));
    assert_eq!(trust.files().count(), 3);

    let swapped = CertificateFiles { chain: key, key: chain, ocsp: None };
    let broken = [
        Trust { certificate: Some(swapped), ..trust.clone() },
        Trust::by(Some(folder.path().join("absent"))),
        Trust::by(Some(written(&folder, "empty", ""))),
        Trust::by(Some(written(&folder, "half", &service.authority()[..100]))),
    ];
    for trust in broken {
        let made = HttpsClient::new(&trust, Schemes::HttpsOnly, PATIENT).map(drop);
        assert!(matches!(made, Err(TrustError::Pem(..))), "{made:?}");
    }
}

#[tokio::test]
async fn connections_are_kept_only_where_somebody_says_so() {
    let service = Service::start(|_| Reply::Say(200, b"one".to_vec())).await;
    let kept = client(service.authority(), Bounds { kept: 1, ..PATIENT });
    for _ in 0..3 {
        kept.call(get(&service.url("/kept"))).await.expect("an answer");
        // The connection goes back to the others in a task of its own, on this thread.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    let each = client(service.authority(), PATIENT);
    for _ in 0..3 {
        each.call(get(&service.url("/each"))).await.expect("an answer");
    }
    let calls = service.calls();
    let of =
        |path: &str| calls.iter().filter(|call| call.path == path).cloned().collect::<Vec<_>>();
    assert!(of("/kept").iter().all(|call| call.connection == 1));
    let each: Vec<usize> = of("/each").iter().map(|call| call.connection).collect();
    assert_eq!(each, [2, 3, 4]);
    assert!(of("/each").iter().all(|call| call.header("connection") == Some("close")));
    assert!(of("/kept").iter().all(|call| call.header("connection").is_none()));
}
