//! Sessions that are resumed: they do not outlive the authorities that vouched for whoever began them.

use std::fs;
use std::io;

use jiff::Timestamp;
use rustls::HandshakeKind;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tamis::identity::development::Authority;

use super::super::TESTINA;
use super::super::backend::json;
use super::super::stage::Stage;
use super::client::{Client, Connection, issued};

/// What kind of handshake a new connection makes, and what it is answered.
async fn resumed(client: &Client) -> io::Result<(HandshakeKind, Option<u16>)> {
    let stream = client.connect().await?;
    let kind = stream.get_ref().1.handshake_kind().expect("it is complete");
    let mut connection = Connection::over(stream).await.expect("HTTP");
    Ok((kind, connection.ask("/people/u1").await))
}

async fn outlives_no_authority(version: &'static SupportedProtocolVersion) {
    let stage = Stage::embedded(include_str!("../../../cases/gateway.rules.yaml"), &[]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    let shown = issued(&stage, "desk");
    let client = Client::new(&stage, Some(&shown), &[version]);
    assert_eq!(resumed(&client).await.ok(), Some((HandshakeKind::Full, Some(200))));
    let again = resumed(&client).await.ok();
    assert_eq!(again, Some((HandshakeKind::Resumed, Some(200))), "or the rest shows nothing");

    // What has nothing to do with TLS ends no session.
    stage.edit("rules.yaml", "identity.name: keep, contact.email: keep}", "identity.name: keep}");
    assert_eq!(stage.running.reload().await.activated, ["rules"]);
    assert_eq!(resumed(&client).await.ok(), Some((HandshakeKind::Resumed, Some(200))));

    let ours = fs::read_to_string(stage.path("ca.pem")).expect("ours");
    let other = Authority::generate(Timestamp::now()).expect("keys");
    fs::write(stage.path("ca.pem"), other.certificate()).expect("ours");
    assert_eq!(stage.running.reload().await.activated, ["client_ca"]);
    match resumed(&client).await {
        // The certificate was asked for again, and refused.
        Err(_) | Ok((HandshakeKind::Full, None)) => {}
        Ok(other) => panic!("{other:?}"),
    }
    fs::write(stage.path("ca.pem"), ours).expect("ours");
    assert_eq!(stage.running.reload().await.activated, ["client_ca"]);
    assert_eq!(resumed(&client).await.ok(), Some((HandshakeKind::Full, Some(200))));
    assert_eq!(resumed(&client).await.ok(), Some((HandshakeKind::Resumed, Some(200))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_tls_1_3_does_not_outlive_a_change_of_authorities() {
    outlives_no_authority(&TLS13).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_tls_1_2_does_not_outlive_a_change_of_authorities() {
    outlives_no_authority(&TLS12).await;
}
