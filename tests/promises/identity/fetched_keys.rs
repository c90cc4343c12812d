//! Keys of an issuer that are fetched: from the configured address only, within bounds, and no token
//! is believed before they are there.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{Span, Timestamp};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tamis::identity::development::{Authority, TokenSigner};
use tamis::identity::{IdentityError, IssuerKeys, KeySource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{PEOPLE, issuer_of, recognised, who, world};

/// Answers each connection with `answer`, over TLS, until the test ends.
async fn issuer_server(authority: &Authority, answer: Vec<u8>) -> SocketAddr {
    let issued = authority.issue_server(&["localhost"], Timestamp::now()).expect("a certificate");
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn keys_are_fetched_from_the_configured_address_only_and_within_bounds() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::generate(Timestamp::now()).expect("an authority");
    let other = Authority::generate(Timestamp::now()).expect("an authority");
    let (ours, theirs) = (directory.path().join("ca.pem"), directory.path().join("other.pem"));
    std::fs::write(&ours, authority.certificate()).expect("writes");
    std::fs::write(&theirs, other.certificate()).expect("writes");
    let signer = TokenSigner::generate().expect("a key");
    let jwks = signer.jwks();
    let good = issuer_server(&authority, answer("200 OK", "", &jwks)).await;
    let moved = format!("location: https://localhost:{}/\r\n", good.port());
    let cases = [
        ("good", answer("200 OK", "", &jwks), &ours, None),
        ("redirect", answer("302 Found", &moved, ""), &ours, Some("status 302 Found")),
        ("error", answer("500 Oops", "", &jwks), &ours, Some("status 500")),
        (
            "too large",
            answer("200 OK", "", &format!("{}{jwks}", " ".repeat(256 * 1024))),
            &ours,
            Some("larger than"),
        ),
        ("no keys", answer("200 OK", "", r#"{"keys":[]}"#), &ours, Some("no usable")),
        ("cut off", answer("200 OK", "", &jwks)[..90].to_vec(), &ours, Some("broke off")),
        ("foreign authority", answer("200 OK", "", &jwks), &theirs, Some("proves who answers")),
    ];
    for (case, answer, authorities, expected) in cases {
        let address = issuer_server(&authority, answer).await;
        let url = format!("https://localhost:{}/jwks", address.port()).parse().expect("a URL");
        let source = KeySource::Url { url, authorities: Some(authorities.clone()) };
        let keys = IssuerKeys::open(issuer_of(PEOPLE, source)).expect("set up");
        assert!(!keys.ready(Timestamp::now()), "{case}: nothing before it is fetched");
        let fetched = keys.refresh().await;
        assert_eq!(keys.ready(Timestamp::now()), expected.is_none(), "{case}");
        let words = fetched.err().map(|fault| {
            let cause = std::error::Error::source(&fault).map(ToString::to_string);
            format!("{fault}: {}", cause.unwrap_or_default())
        });
        match (words, expected) {
            (None, None) => {
                let day_later = Timestamp::now() + Span::new().hours(25);
                assert!(!keys.ready(day_later), "a set that could not be renewed ends");
            }
            (Some(words), Some(expected)) => assert!(words.contains(expected), "{case}: {words}"),
            (words, _) => panic!("{case}: {words:?}"),
        }
    }
    let plain = KeySource::Url {
        url: "http://localhost/jwks".parse().expect("a URL"),
        authorities: Some(ours),
    };
    assert!(IssuerKeys::open(issuer_of(PEOPLE, plain)).is_err(), "plain http");
}

#[tokio::test]
async fn without_the_issuers_keys_no_token_is_believed_and_with_them_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::generate(Timestamp::now()).expect("an authority");
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, authority.certificate()).expect("writes");
    let mut world = world();
    let address = issuer_server(&authority, answer("200 OK", "", &world.people.jwks())).await;
    let url = format!("https://localhost:{}/jwks", address.port()).parse().expect("a URL");
    let source = KeySource::Url { url, authorities: Some(path) };
    let keys = Arc::new(IssuerKeys::open(issuer_of(PEOPLE, source)).expect("set up"));
    world.identifier.issuers.insert(PEOPLE.to_owned(), Arc::clone(&keys));
    let token = world.token(&json!({}));
    assert_eq!(who(world.bearer(&token)), Err(IdentityError::KeysMissing));
    keys.refresh().await.expect("fetched");
    assert_eq!(who(world.bearer(&token)), recognised("self"));
}
