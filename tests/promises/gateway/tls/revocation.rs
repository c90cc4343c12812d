//! Revoked client certificates: on new connections, on such as are open, on resumed sessions; and lists
//! that cannot be relied on.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use rustls::version::{TLS12, TLS13};
use tamis::config::Config;
use tamis::gateway::{Gateway, StartError, TlsError};
use tamis::identity::development::{Authority, Issued};

use super::super::TESTINA;
use super::super::backend::json;
use super::super::stage::{Stage, until};
use super::client::{Client, Connection, issued};

/// From a minute ago for so long.
fn window(seconds: i64) -> (Timestamp, Timestamp) {
    let now = Timestamp::now();
    (now - SignedDuration::from_mins(1), now + SignedDuration::from_secs(seconds))
}

const HOUR: i64 = 3600;

/// A gateway whose clients' authority keeps a list, on which nobody stands.
async fn stage() -> Stage {
    let stage = Stage::embedded(include_str!("../../../cases/gateway.rules.yaml"), &[]).await;
    stage.backend.says("/people/u1", json(TESTINA));
    list(&stage, &[], 1, HOUR);
    stage.edit("tamis.yaml", "client_ca: ca.pem\n", "client_ca: ca.pem\ncrls: [clients.crl]\n");
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["crls", "settings"], vec![]));
    stage
}

/// The `number`th list of what the authority of a stage has revoked.
fn revocation_list(
    stage: &Stage,
    revoked: &[&Issued],
    number: u64,
    window: (Timestamp, Timestamp),
) -> String {
    stage.authority.revocation_list(revoked, number, window).expect("a list")
}

fn list(stage: &Stage, revoked: &[&Issued], number: u64, seconds: i64) {
    let list = revocation_list(stage, revoked, number, window(seconds));
    fs::write(stage.path("clients.crl"), list).expect("ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_revoked_is_nobody_on_every_connection_old_and_new() {
    let stage = stage().await;
    let (lost, kept) = (issued(&stage, "desk"), issued(&stage, "desk"));
    let before = Client::new(&stage, Some(&lost), &[&TLS13]);
    let before_1_2 = Client::new(&stage, Some(&lost), &[&TLS12]);
    let other = Client::new(&stage, Some(&kept), &[&TLS13]);
    let mut open = Connection::over(before.connect().await.expect("in")).await.expect("HTTP");
    let mut open_1_2 =
        Connection::over(before_1_2.connect().await.expect("in")).await.expect("HTTP");
    for connection in [&mut open, &mut open_1_2] {
        assert_eq!(connection.ask("/people/u1").await, Some(200));
    }
    assert_eq!(other.ask("/people/u1").await, Some(200));

    list(&stage, &[&lost], 2, HOUR);
    // As it is in operation: seen to have changed, at rest, read.
    assert_eq!(stage.running.look_at_files().await, None);
    let reloaded = stage.running.look_at_files().await.expect("the list has changed");
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["crls"], vec![]));
    for connection in [&mut open, &mut open_1_2] {
        assert_eq!(connection.ask("/people/u1").await, Some(401), "open before it was revoked");
    }
    // Both have a session to resume.
    assert_eq!(before.ask("/people/u1").await, None);
    assert!(before_1_2.connect().await.is_err());
    assert_eq!(other.ask("/people/u1").await, Some(200));
    let metrics = stage.metrics();
    assert!(metrics.contains("tamis_tls_failures_total{kind=\"revoked\"} 2"), "{metrics}");
    assert!(stage.health("/readyz").await.contains("\"certificates\":\"ok\""));

    // Whoever has no certificate at all is asked for something else, as before.
    let without = Client::new(&stage, None, &[&TLS13]);
    assert_eq!(without.ask("/people/u1").await, Some(401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_relied_on_is_refused_and_the_last_good_one_stays() {
    let stage = stage().await;
    let (lost, kept) = (issued(&stage, "desk"), issued(&stage, "desk"));
    let [lost, kept] =
        [&lost, &kept].map(|shown| (shown, Client::new(&stage, Some(shown), &[&TLS13])));
    list(&stage, &[lost.0], 7, HOUR);
    assert_eq!(stage.running.reload().await.refused, []);
    let ours = fs::read_to_string(stage.path("clients.crl")).expect("ours");
    let other = Authority::generate(Timestamp::now()).expect("keys");
    let later = (Timestamp::now() + SignedDuration::from_hours(1), window(2 * HOUR).1);
    let cases = [
        (
            "of another authority of that name",
            other.revocation_list(&[], 9, window(HOUR)).expect("a list"),
            "not signed by the authority",
        ),
        ("over", revocation_list(&stage, &[], 9, window(-30)), "over since"),
        ("not begun", revocation_list(&stage, &[], 9, later), "begins only at"),
        (
            "rolled back",
            revocation_list(&stage, &[], 6, window(HOUR)),
            "older than the list in force",
        ),
        ("two", format!("{ours}{ours}"), "a second list"),
        ("nothing", String::new(), "no list"),
        ("half", ours[..ours.len() / 2].to_owned(), "no list"),
        ("a certificate", stage.authority().to_owned(), "no list"),
        ("garbage", "0garbage".to_owned(), "no list"),
    ];
    for (what, text, why) in cases {
        fs::write(stage.path("clients.crl"), text).expect("ours");
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.activated, Vec::<&str>::new(), "{what}");
        let [(part, told)] = &reloaded.refused[..] else {
            panic!("{what}: {:?}", reloaded.refused)
        };
        assert!(
            *part == "crls" && told.contains(why) && told.contains("clients.crl"),
            "{what}: {told}"
        );
        assert!(stage.health("/readyz").await.contains(why), "{what}");
        assert_eq!(lost.1.ask("/people/u1").await, None, "{what}");
        assert_eq!(kept.1.ask("/people/u1").await, Some(200), "{what}");
    }
    fs::remove_file(stage.path("clients.crl")).expect("ours");
    let refused = stage.running.reload().await.refused;
    assert!(refused[0].1.contains("cannot be read"), "{refused:?}");
    assert_eq!(lost.1.ask("/people/u1").await, None);
    // In DER it is the same list.
    let der = <rustls::pki_types::CertificateRevocationListDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(ours.as_bytes());
    fs::write(stage.path("clients.crl"), &*der.expect("PEM of ours")).expect("ours");
    assert_eq!(stage.running.reload().await.refused, []);
    assert_eq!(lost.1.ask("/people/u1").await, None);

    // An authority without a list: nobody with its certificates could come in.
    let both = format!("{}{}", stage.authority(), other.certificate());
    fs::write(stage.path("ca.pem"), both).expect("ours");
    let refused = stage.running.reload().await.refused;
    assert!(refused[0].1.contains("has no list of one of the authorities in"), "{refused:?}");
}

/// TLS was read whole or not at all: a chain without its key kept whoever was revoked that day in, until
/// somebody mended it.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_counts_although_another_file_is_broken() {
    let stage = stage().await;
    let (mut gone, kept) = (Vec::new(), issued(&stage, "desk"));
    let kept = Client::new(&stage, Some(&kept), &[&TLS13]);
    let cases = [
        ("server.pem", "certificates"),
        ("other.key", "certificates"),
        ("ca.pem", "client_ca"),
        ("rules.yaml", "rules"),
    ];
    for (number, (file, part)) in (2..).zip(cases) {
        gone.push(issued(&stage, "desk"));
        let lost = Client::new(&stage, gone.last(), &[&TLS13]);
        assert_eq!(lost.ask("/people/u1").await, Some(200), "{file}");
        let good = fs::read(stage.path(file)).expect("ours");
        fs::write(stage.path(file), "-----BEGIN CERT").expect("ours");
        list(&stage, &gone.iter().collect::<Vec<_>>(), number, HOUR);
        let reloaded = stage.running.reload().await;
        assert_eq!(reloaded.activated, ["crls"], "{file}");
        let [(what, why)] = &reloaded.refused[..] else { panic!("{:?}", reloaded.refused) };
        assert!(*what == part && why.contains(file), "{what}: {why}");
        assert_eq!(lost.ask("/people/u1").await, None, "{file}");
        assert_eq!(kept.ask("/people/u1").await, Some(200), "{file}: the last good one goes on");
        if part != "rules" {
            assert!(stage.health("/readyz").await.contains(file), "{file}");
        }
        let status = stage.health("/status").await;
        assert!(status.contains(&format!("\"what\":\"{part}\"")), "{status}");
        let counted = format!("tamis_reloads_total{{outcome=\"refused\",what=\"{part}\"}}");
        assert!(stage.metrics().contains(&counted), "{counted}");
        fs::write(stage.path(file), good).expect("ours");
        let reloaded = stage.running.reload().await;
        assert_eq!((reloaded.activated, reloaded.refused), (vec![], vec![]), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_counts_although_the_one_beside_it_does_not() {
    let stage = stage().await;
    let now = Timestamp::now();
    let [other, third] = ["another authority", "a third authority"]
        .map(|name| Authority::named(name, now).expect("keys"));
    let of_other = |revoked: &[&Issued], number, seconds| {
        let list = other.revocation_list(revoked, number, window(seconds)).expect("a list");
        fs::write(stage.path("other.crl"), list).expect("ours");
    };
    let ours = stage.authority().to_owned();
    let both = format!("{ours}{}", other.certificate());
    fs::write(stage.path("ca.pem"), &both).expect("ours");
    of_other(&[], 1, HOUR);
    stage.edit("tamis.yaml", "crls: [clients.crl]", "crls: [clients.crl, other.crl]");
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["client_ca", "crls", "settings"], "{:?}", reloaded.refused);
    let first = issued(&stage, "desk");
    let second = issued(&stage, "desk");
    let elsewhere = other.issue_client("dns:desk.example.invalid", now).expect("a name");
    let client = |shown| Client::new(&stage, Some(shown), &[&TLS13]);
    for shown in [&first, &second, &elsewhere] {
        assert_eq!(client(shown).ask("/people/u1").await, Some(200));
    }

    list(&stage, &[&first], 2, HOUR);
    of_other(&[], 2, -30);
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["crls"]);
    let [("crls", why)] = &reloaded.refused[..] else { panic!("{:?}", reloaded.refused) };
    assert!(why.contains("other.crl") && why.contains("over since"), "{why}");
    assert_eq!(client(&first).ask("/people/u1").await, None);
    for shown in [&second, &elsewhere] {
        assert_eq!(client(shown).ask("/people/u1").await, Some(200), "as it was");
    }

    // An authority without a list of its own does not come in, nor keep a list out.
    fs::write(stage.path("ca.pem"), format!("{both}{}", third.certificate())).expect("ours");
    list(&stage, &[&first, &second], 3, HOUR);
    of_other(&[], 3, HOUR);
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["crls"]);
    let [("crls", why)] = &reloaded.refused[..] else { panic!("{:?}", reloaded.refused) };
    assert!(why.contains("has no list of one of the authorities in"), "{why}");
    let unlisted = third.issue_client("dns:desk.example.invalid", now).expect("a name");
    for (shown, status) in [(&second, None), (&unlisted, None), (&elsewhere, Some(200))] {
        assert_eq!(client(shown).ask("/people/u1").await, status);
    }

    // One that is gone is gone, although a list is broken.
    fs::write(stage.path("ca.pem"), &ours).expect("ours");
    fs::write(stage.path("other.crl"), "garbage").expect("ours");
    let reloaded = stage.running.reload().await;
    assert_eq!(reloaded.activated, ["client_ca"]);
    assert_eq!(reloaded.refused.len(), 1, "{:?}", reloaded.refused);
    assert_eq!(client(&elsewhere).ask("/people/u1").await, None);
    assert_eq!(client(&issued(&stage, "desk")).ask("/people/u1").await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_does_not_start_on_a_list_that_it_cannot_rely_on() {
    let stage = stage().await;
    let settings = fs::read_to_string(stage.path("tamis.yaml")).expect("ours");
    let own = format!("{settings}ledger: other-ledger\nregisters: other.sqlite\n");
    fs::write(stage.path("other.yaml"), own).expect("ours");
    let config = || Config::load(&stage.path("other.yaml")).expect("a configuration of ours");
    for seconds in [-30, HOUR] {
        list(&stage, &[], 2, seconds);
        let started = Gateway::start(config()).await;
        match started {
            Err(StartError::Tls(TlsError::Crl(file, _))) if seconds < 0 => {
                assert_eq!(file, stage.path("clients.crl"));
            }
            Ok(running) if seconds > 0 => assert_eq!(running.stop().await, 0),
            other => panic!("{:?}", other.err()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_list_is_over_its_authority_vouches_for_nobody() {
    let stage = stage().await;
    let shown = issued(&stage, "desk");
    let [first, second, third] = [(); 3].map(|()| Client::new(&stage, Some(&shown), &[&TLS13]));
    let second_1_2 = Client::new(&stage, Some(&shown), &[&TLS12]);
    list(&stage, &[], 2, 4);
    assert_eq!(stage.running.reload().await.refused, []);
    let mut open = Connection::over(first.connect().await.expect("in")).await.expect("HTTP");
    // Sessions that can be resumed without showing the certificate again.
    for client in [&second, &second_1_2] {
        assert_eq!(client.ask("/people/u1").await, Some(200));
    }
    assert_eq!(open.ask("/people/u1").await, Some(200));
    let ready = stage.health("/readyz").await;
    assert!(ready.contains("\"ready\":true"), "{ready}");
    until("it is over", || {
        let metrics = stage.metrics();
        metrics.lines().any(|line| {
            line.starts_with("tamis_tls_material_good{")
                && line.contains("clients.crl")
                && line.ends_with(" 0")
        })
    })
    .await;
    let ready = stage.health("/readyz").await;
    assert!(ready.contains("is over since") && ready.contains("\"ready\":true"), "{ready}");
    assert_eq!(open.ask("/people/u1").await, Some(401));
    for client in [&second, &second_1_2] {
        let stream = client.connect().await.expect("a session that is resumed");
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed), "or this shows nothing");
        let mut resumed = Connection::over(stream).await.expect("HTTP");
        assert_eq!(resumed.ask("/people/u1").await, Some(401));
    }
    assert_eq!(third.ask("/people/u1").await, None);
    let metrics = stage.metrics();
    assert!(
        metrics.contains("tamis_tls_failures_total{kind=\"revocation-unknown\"} 1"),
        "{metrics}"
    );

    // The same file again changes nothing and keeps nothing else out.
    stage.renew();
    let reloaded = stage.running.reload().await;
    assert_eq!((reloaded.activated, reloaded.refused), (vec!["certificates"], vec![]));
    assert_eq!(third.ask("/people/u1").await, None);
    list(&stage, &[], 3, HOUR);
    assert_eq!(stage.running.reload().await.refused, []);
    assert_eq!(open.ask("/people/u1").await, Some(200));
    assert_eq!(third.ask("/people/u1").await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_said_before_a_list_is_over() {
    let stage = stage().await;
    // Made long ago, and over in a minute.
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let list = revocation_list(&stage, &[], 2, (long_ago, window(60).1));
    fs::write(stage.path("clients.crl"), list).expect("ours");
    assert_eq!(stage.running.reload().await.refused, []);
    let ready = stage.health("/readyz").await;
    assert!(ready.contains("clients.crl ends at") && ready.contains("\"ready\":true"), "{ready}");
}
