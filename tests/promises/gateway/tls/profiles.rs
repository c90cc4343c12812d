//! What is spoken, by version, suite and key exchange, told by OpenSSL and by rustls.

use std::fs;
use std::net::SocketAddr;

use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::version::{TLS12, TLS13};

use super::super::stage::{HOST, Stage};
use super::client::Client;
use super::openssl::{connect, openssl};

const RULES: &str = include_str!("../../../cases/gateway.rules.yaml");

/// A name with a certificate whose key is an RSA key.
const RSA_HOST: &str = "rsa.example.invalid";

/// Whether OpenSSL comes through with these arguments, and what it says of the session.
async fn handshake(at: SocketAddr, name: &str, arguments: &[&str]) -> Option<String> {
    let said = connect(at, name, &[&["-brief"], arguments].concat()).await;
    said.contains("CONNECTION ESTABLISHED").then_some(said)
}

async fn stage(more: &str) -> Stage {
    let stage = Stage::embedded_with(RULES, &[], more).await;
    let made = format!(
        "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=rsa -addext subjectAltName=DNS:{RSA_HOST} \
         -keyout rsa.key -out rsa.pem"
    );
    openssl(&stage.path(""), &made);
    stage.edit("tamis.yaml", "certificates: [", "certificates: [{chain: rsa.pem, key: rsa.key}, ");
    assert_eq!(stage.running.reload().await.refused, []);
    stage
}

/// Suites of Mozilla's intermediate profile in TLS 1.2, by the kind of key; and such as are not in it.
const ECDSA: [&str; 3] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
];
const RSA: [&str; 3] =
    ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"];
const NEVER: [&str; 5] = [
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
];
const IN_1_3: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

#[tokio::test(flavor = "multi_thread")]
async fn each_profile_speaks_its_versions_and_suites_and_no_others() {
    for (more, speaks_1_2) in
        [("", true), ("tls: {profile: intermediate}\n", true), ("tls: {profile: modern}\n", false)]
    {
        let stage = stage(more).await;
        let at = stage.running.addresses.https;
        for (name, suites) in [(HOST, ECDSA), (RSA_HOST, RSA)] {
            for suite in suites {
                let said = handshake(at, name, &["-tls1_2", "-cipher", suite]).await;
                assert_eq!(said.is_some(), speaks_1_2, "{more}{suite}");
                assert!(said.is_none_or(|said| said.contains(suite)), "{suite}");
            }
            for suite in NEVER {
                let cipher = format!("{suite}:@SECLEVEL=0");
                let said = handshake(at, name, &["-tls1_2", "-cipher", &cipher]).await;
                assert_eq!(said, None, "{more}{suite}");
            }
            for version in ["-tls1", "-tls1_1"] {
                let said = handshake(at, name, &[version, "-cipher", "ALL:@SECLEVEL=0"]).await;
                assert_eq!(said, None, "{more}{version}");
            }
            for suite in IN_1_3 {
                let said = handshake(at, name, &["-tls1_3", "-ciphersuites", suite]).await;
                assert!(said.is_some_and(|said| said.contains(suite)), "{more}{suite}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_takes_effect_with_a_reload() {
    let stage = stage("").await;
    let at = stage.running.addresses.https;
    assert!(handshake(at, HOST, &["-tls1_2"]).await.is_some());
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    fs::write(stage.path("tamis.yaml"), format!("{settings}tls: {{profile: modern}}\n"))
        .expect("ours");
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["certificates", "settings"], vec![]));
    assert_eq!(handshake(at, HOST, &["-tls1_2"]).await, None);
    assert!(handshake(at, HOST, &["-tls1_3"]).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_beyond_the_reach_of_quantum_computers_where_the_client_can() {
    let stage = Stage::embedded(RULES, &[]).await;
    let all = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    let cases = [
        (&TLS13, all.clone(), NamedGroup::X25519MLKEM768),
        (&TLS13, vec![kx_group::X25519], NamedGroup::X25519),
        (&TLS13, vec![kx_group::SECP384R1], NamedGroup::secp384r1),
        (&TLS12, all, NamedGroup::X25519),
    ];
    for (version, kx_groups, expected) in cases {
        let mut provider = default_provider();
        provider.kx_groups = kx_groups;
        let client = Client::with(&stage, None, &[version], provider);
        let stream = client.connect().await.expect("a handshake");
        let group = stream.get_ref().1.negotiated_key_exchange_group().expect("one");
        assert_eq!(group.name(), expected);
    }
}
