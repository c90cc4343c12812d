//! Pictures: they leave as a whole and alone, or not at all.

use super::backend::{Reply, answer};
use super::stage::{Stage, changed};

const RULES: &str = include_str!("../../cases/wire.rules.yaml");

fn rules() -> String {
    let with = [
        ("categories:\n", "categories:\n  content.photo: {}\n"),
        (
            "routes:\n",
            "routes:\n  - match: GET /photos/{id}\n    upstream: people\n    subjects: {person: \"header:x-owner\"}\n    media: [image/jpeg, image/png]\n    body: content.photo\n",
        ),
        (
            "{to: [desk], for: [service], show: {",
            "{to: [desk], for: [service], show: {content.photo: keep, ",
        ),
        (
            "{to: [dealer], for: [aftersales], show: {",
            "{to: [dealer], for: [aftersales], show: {content.photo: keep, ",
        ),
        (
            "{to: [counsel], for: [claims], show: {",
            "{to: [counsel], for: [claims], show: {content.photo: redact, ",
        ),
    ];
    changed(RULES, &with)
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).expect("short").to_be_bytes();
    [&[0xff, marker][..], &length, content].concat()
}

/// A picture, with and without what is told beside it.
fn jpeg(beside: &[u8]) -> Vec<u8> {
    let (table, frame, scan) = (segment(0xdb, b"t"), segment(0xc0, b"f"), segment(0xda, b"s"));
    [&[0xff, 0xd8][..], beside, &table, &frame, &scan, b"drawn", &[0xff, 0xd9]].concat()
}

fn says(owner: &str, media: &str, body: &[u8]) -> Reply {
    answer(&format!("Content-Type: {media}\r\nX-Owner: {owner}\r\nETag: CANARY\r\n"), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_leaves_without_place_camera_and_names() {
    let stage = Stage::with_rules(&rules()).await;
    let told =
        [segment(0xe1, b"Exif\0\0CANARY"), segment(0xed, b"CANARY"), segment(0xfe, b"CANARY")];
    let told = jpeg(&told.concat());
    stage.backend.says("/photos/1", says("u1", "image/jpeg", &told));
    let got = stage.ask("desk", "/photos/1").await;
    assert_eq!(
        (got.status.as_u16(), &got.headers["content-type"]),
        (200, &"image/jpeg".parse().expect("a value"))
    );
    let expected = String::from_utf8_lossy(&jpeg(b"")).into_owned();
    assert_eq!(got.body.as_deref(), Some(expected.as_str()));
    assert!(!got.headers.contains_key("x-owner"));
    // The tag is of what left: the same picture with nothing beside it has the same.
    stage.backend.says("/photos/1", says("u1", "image/jpeg", &jpeg(b"")));
    let bare = stage.ask("desk", "/photos/1").await;
    assert_eq!(got.headers["etag"], bare.headers["etag"]);
    assert!(!got.headers["etag"].to_str().expect("visible").contains("CANARY"));
    let asked = stage.backend.asked().concat();
    assert!(asked.contains("accept: image/jpeg, image/png\r\n"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_picture_or_nobody_s_does_not_leave() {
    let stage = Stage::with_rules(&rules()).await;
    stage.record(r#"{"kind":"erasure","subject":"gone","requested_at":"2026-01-01T00:00:00Z","effective_at":"2026-01-01T00:00:00Z"}"#);
    stage.record(r#"{"kind":"restriction","subject":"shy","categories":["content.*"],"since":"2026-01-01T00:00:00Z"}"#);
    let (told, whole) = (jpeg(&segment(0xfe, b"CANARY")), jpeg(b"CANARY"));
    let cut = &told[..told.len() - 1];
    let large = jpeg(&segment(0xfe, &b"x".repeat(60_000)).repeat(20));
    for (owner, media, body, status) in [
        ("u1", "image/jpeg", cut, 502),
        ("u1", "image/jpeg", whole.as_slice(), 502),
        ("u1", "image/png", &told, 502),
        ("u1", "image/webp", &told, 502),
        ("u1", "image/jpeg; x=y", &told, 502),
        ("u1", "application/json", b"{\"name\":\"CANARY\"}", 502),
        ("u1", "text/html", b"<p>CANARY", 502),
        ("u1", "image/jpeg", &large, 502),
        ("", "image/jpeg", &told, 403),
        ("gone", "image/jpeg", &told, 403),
        ("shy", "image/jpeg", &told, 403),
    ] {
        stage.backend.says("/photos/1", says(owner, media, body));
        let got = stage.ask("desk", "/photos/1").await;
        assert_eq!(got.status, status, "{owner} {media}");
        let body = got.body.expect("whole");
        assert!(!body.contains("CANARY") && !body.contains("drawn"), "{owner} {media} {body}");
    }
    // A picture is no row in which a member has a value, and nothing but to keep it can be done.
    stage.backend.says("/photos/1", says("u1", "image/jpeg", &told));
    assert_eq!(stage.ask("dealer", "/photos/1").await.status, 404);
    let ledger = stage.ledger();
    assert!(!ledger.contains("CANARY"));
}
