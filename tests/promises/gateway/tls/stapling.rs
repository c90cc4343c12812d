//! Answers of an authority about the server's certificate: stapled while they count, and only then.

use std::fs;

use jiff::{SignedDuration, Timestamp};

use super::super::stage::{Stage, until};
use super::openssl::{connect, openssl};

const NAME: &str = "stapled.example.invalid";

/// What somebody does to an answer.
type Change = Box<dyn Fn(&Stage)>;

/// A gateway with one more certificate, of an authority that answers (OpenSSL); `ext` goes into it.
async fn stage(ext: &str, ocsp: &str) -> Stage {
    let stage = Stage::embedded(include_str!("../../../cases/gateway.rules.yaml"), &[]).await;
    let folder = stage.path("");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        &folder,
        &format!("req -x509 {key} -keyout oca.key -out oca.pem -subj /CN=oca -days 2"),
    );
    openssl(&folder, &format!("req {key} -keyout stapled.key -out stapled.csr -subj /CN=stapled"));
    fs::write(stage.path("ext"), format!("subjectAltName=DNS:{NAME}\n{ext}")).expect("ours");
    openssl(
        &folder,
        "x509 -req -in stapled.csr -CA oca.pem -CAkey oca.key -set_serial 0x1234 -days 1 -extfile ext \
         -out stapled.pem",
    );
    answer(&stage, "V", "1234");
    stage.edit(
        "tamis.yaml",
        "certificates: [",
        &format!("certificates: [{{chain: stapled.pem, key: stapled.key{ocsp}}}, "),
    );
    stage
}

/// Has the authority say that the certificate of this serial is valid (`V`) or revoked (`R`), for a day.
fn answer(stage: &Stage, word: &str, serial: &str) {
    let revoked = if word == "R" { "261101000000Z" } else { "" };
    let index = format!("{word}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN=stapled\n");
    fs::write(stage.path("index"), index).expect("ours");
    let arguments = format!(
        "ocsp -index index -rsigner oca.pem -rkey oca.key -CA oca.pem -issuer oca.pem -serial 0x{serial} \
         -ndays 1 -respout stapled.ocsp"
    );
    openssl(&stage.path(""), &arguments);
}

/// The same answer with another end. Its signature is worth nothing then, which is for clients to see.
fn ending(stage: &Stage, end: Timestamp) {
    let mut answer = fs::read(stage.path("stapled.ocsp")).expect("ours");
    let time = |at: Timestamp| at.strftime("%Y%m%d%H%M%SZ").to_string();
    // The last of the three times: producedAt, thisUpdate, nextUpdate, each after its tag and length.
    let places: Vec<usize> = (2..answer.len() - 15)
        .filter(|&at| answer[at - 2..at] == [0x18, 15] && answer[at + 14] == b'Z')
        .collect();
    let at = *places.get(2).expect("three times");
    answer[at..at + 15].copy_from_slice(time(end).as_bytes());
    fs::write(stage.path("stapled.ocsp"), answer).expect("ours");
}

async fn is_stapled(stage: &Stage) -> bool {
    let is_1_2 = is_stapled_in(stage, "-tls1_2").await;
    assert_eq!(is_stapled_in(stage, "-tls1_3").await, is_1_2, "both versions alike");
    is_1_2
}

async fn is_stapled_in(stage: &Stage, version: &str) -> bool {
    let said = connect(stage.running.addresses.https, NAME, &["-status", version]).await;
    assert!(said.contains("OCSP response:"), "{said}");
    let is_good = said.contains("OCSP Response Status: successful");
    assert_eq!(is_good, !said.contains("OCSP response: no response sent"), "{said}");
    is_good
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_stapled_while_it_counts_and_follows_its_file() {
    let stage = stage("", ", ocsp: stapled.ocsp").await;
    assert_eq!(stage.running.reload().await.refused, []);
    assert!(is_stapled(&stage).await);
    assert!(stage.health("/readyz").await.contains("\"certificates\":\"ok\""));
    let good = fs::read(stage.path("stapled.ocsp")).expect("ours");
    let now = Timestamp::now();

    let cases: [(&str, Change); 6] = [
        ("about another certificate", Box::new(|stage| answer(stage, "V", "9999"))),
        ("the certificate is revoked", Box::new(|stage| answer(stage, "R", "1234"))),
        (
            "not an answer of OCSP",
            Box::new(|stage| fs::write(stage.path("stapled.ocsp"), "garbage").expect("ours")),
        ),
        (
            "not an answer of OCSP",
            Box::new(|stage| {
                fs::write(
                    stage.path("stapled.ocsp"),
                    fs::read(stage.path("oca.pem")).expect("ours"),
                )
                .expect("ours");
            }),
        ),
        (
            "over",
            Box::new(move |stage| {
                answer(stage, "V", "1234");
                ending(stage, now - SignedDuration::from_secs(1));
            }),
        ),
        (
            "cannot be read",
            Box::new(|stage| fs::remove_file(stage.path("stapled.ocsp")).expect("ours")),
        ),
    ];
    for (why, change) in cases {
        change(&stage);
        assert_eq!(stage.running.look_at_files().await, None);
        let reloaded = stage.running.look_at_files().await.expect("the file has changed");
        assert_eq!(reloaded.refused, [], "{why}: the certificate is good without it");
        assert!(!is_stapled(&stage).await, "{why}");
        let ready = stage.health("/readyz").await;
        assert!(ready.contains("stapled.ocsp is not used: ") && ready.contains(why), "{ready}");
        let told = "tamis_tls_material_good{file=";
        until("it is counted", || {
            let metrics = stage.metrics();
            metrics.lines().any(|line| {
                line.starts_with(told) && line.contains("stapled.ocsp") && line.ends_with(" 0")
            })
        })
        .await;
        fs::write(stage.path("stapled.ocsp"), &good).expect("ours");
        assert_eq!(stage.running.reload().await.refused, []);
        assert!(is_stapled(&stage).await, "{why}: mended");
    }

    // It ends by itself too.
    let end = Timestamp::now() + SignedDuration::from_secs(8);
    ending(&stage, end);
    assert_eq!(stage.running.reload().await.refused, []);
    let mut was_stapled = false;
    while is_stapled_in(&stage, "-tls1_3").await {
        was_stapled = true;
        assert!(Timestamp::now() < end + SignedDuration::from_secs(30), "it is over");
    }
    // The answer knows whole seconds only.
    assert!(was_stapled && Timestamp::now().as_second() >= end.as_second());
    assert!(stage.health("/readyz").await.contains("is over since"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_counts_only_with_an_answer_is_not_taken_without() {
    const MUST: &str = "tlsfeature=status_request\n";
    let stage = stage(MUST, "").await;
    let refused = stage.running.reload().await.refused;
    assert!(
        refused
            .iter()
            .any(|(_, why)| why.contains("must-staple") && why.contains("name it as `ocsp`")),
        "{refused:?}"
    );
    stage.edit("tamis.yaml", "key: stapled.key", "key: stapled.key, ocsp: stapled.ocsp");
    answer(&stage, "R", "1234");
    let refused = stage.running.reload().await.refused;
    assert!(
        refused.iter().any(|(_, why)| why.contains("the certificate is revoked")),
        "{refused:?}"
    );
    answer(&stage, "V", "1234");
    assert_eq!(stage.running.reload().await.refused, []);
    assert!(is_stapled(&stage).await);
    // A worse answer leaves in force what is.
    fs::write(stage.path("stapled.ocsp"), "garbage").expect("ours");
    let refused = stage.running.reload().await.refused;
    assert!(refused.iter().any(|(_, why)| why.contains("not an answer of OCSP")), "{refused:?}");
    assert!(is_stapled(&stage).await);
}
