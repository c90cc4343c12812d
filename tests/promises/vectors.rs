//! Pseudonyms and tokens keep their bytes: our own vectors, those of the RFCs, and Wycheproof's.

use std::num::NonZeroU32;

use aes_siv::siv::{Aes128Siv, Aes256Siv};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use tamis::action::pseudonym::{Canonical, Domain, DomainKey, RootKey, Scope, Use};
use zeroize::Zeroizing;

fn key(version: u32, domain: &Domain<'_>) -> DomainKey {
    let root = std::array::from_fn(|at| u8::try_from(at).expect("32 bytes"));
    let version = NonZeroU32::new(version).expect("versions start at 1");
    DomainKey::derive(&RootKey::new(version, Zeroizing::new(root)), domain)
}

fn domain<'a>(category: &'a str, recipient: &'a str) -> Domain<'a> {
    Domain {
        used_for: Use::Pseudonym,
        policy: "webllet",
        category,
        scope: Scope::Recipient,
        recipient,
        purpose: "",
        extra: "",
        period: "",
    }
}

/// The vectors V1 to V14, which a second implementation computed as well.
#[test]
fn pseudonyms_keep_their_bytes() {
    let help_desk = domain("account.id", "help-desk");
    let by_purpose =
        Domain { scope: Scope::RecipientAndPurpose, purpose: "service.support", ..help_desk };
    let daily = Domain { period: "2026-11-23", ..domain("account.id", "web-analytics") };
    let of_case = Domain { scope: Scope::Case, extra: "C-1", ..help_desk };
    let of_answer = Domain { scope: Scope::Response, extra: "d_1", ..help_desk };
    let of_both = Domain {
        scope: Scope::CaseAndPurpose,
        purpose: "fraud.investigate+service.support",
        ..of_case
    };
    let by_month = Domain { period: "2026-11", ..by_purpose };
    let of_day_and_case = Domain { period: "2026-11-23", ..of_case };
    let esp = "marketing-esp";
    let cases = [
        ("V1", 1, help_desk, Canonical::Text, "c1", "ps1_4pulu2vyfw5kefdozwttqy7vhe"),
        (
            "V2",
            1,
            domain("account.id", esp),
            Canonical::Text,
            "c1",
            "ps1_vebvj6dtr4fkxajg57pvxblrzq",
        ),
        ("V3", 1, by_purpose, Canonical::Text, "c1", "ps1_aanzmbojvj5uov33xij2y4yrzq"),
        (
            "V4",
            1,
            domain("payment.card_number", "help-desk"),
            Canonical::Text,
            "c1",
            "ps1_gdc4kidf322popmhnlbvjk2zle",
        ),
        ("V5", 2, help_desk, Canonical::Text, "c1", "ps2_xahtvt2mwjqp4kqi4xbl7ndjie"),
        ("V6", 1, daily, Canonical::Text, "c1", "ps1_xi4gy2g4dfwlnbvdlx37l3w6re"),
        (
            "V7",
            1,
            domain("contact.email", esp),
            Canonical::Email,
            " ANNA@Example.com",
            "ps1_lxrqjm6snhv7cbynnjapcymrfu",
        ),
        ("V8", 1, help_desk, Canonical::Decimal, "42.0", "ps1_fk6nojkmh76vfo2qmaxs5t665a"),
        (
            "V9",
            1,
            domain("online.ip", "soc"),
            Canonical::Ip,
            "::ffff:203.0.113.77",
            "ps1_chdnzjscffgnis5m67khmdwjgm",
        ),
        ("V10", 1, of_case, Canonical::Text, "c1", "ps1_b3pjcrvt3m77qoamw2ei7mq5j4"),
        ("V11", 1, of_answer, Canonical::Text, "c1", "ps1_3z5m7myv57iakow5wecl7tvzxu"),
        ("V12", 1, of_both, Canonical::Text, "c1", "ps1_3ppb23cxvsxbjf4eswjf3rgseq"),
        ("V13", 1, by_month, Canonical::Text, "c1", "ps1_jahou5gnrnbamwv3ed74r7b2m4"),
        ("V14", 1, of_day_and_case, Canonical::Text, "c1", "ps1_7bhnz4q4n6gqmnmydgqmoswwam"),
    ];
    for (name, version, domain, canonical, value, expected) in cases {
        let pseudonym = key(version, &domain).pseudonym(canonical, value);
        assert_eq!(pseudonym.as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn a_uuid_stays_a_uuid() {
    let key = key(1, &domain("account.id", "help-desk"));
    let one = "6f3f4f0e-7f55-4a0c-9d1b-0b5d6a3c2e11";
    let pseudonym = key.pseudonym(Canonical::Uuid, one).expect("a UUID");
    assert_eq!(uuid::Uuid::parse_str(&pseudonym).expect("a UUID").get_version_num(), 8);
    assert_eq!(key.pseudonym(Canonical::Uuid, &one.to_uppercase()), Some(pseudonym));
}

#[test]
fn an_address_stays_an_address_that_nobody_has() {
    let key = key(1, &domain("contact.email", "marketing-esp"));
    let pseudonym = key.pseudonym(Canonical::Mailbox, " ANNA@Example.com").expect("an address");
    assert_eq!(pseudonym, "ps1_lxrqjm6snhv7cbynnjapcymrfu@pseudonym.invalid", "V7 and a domain");
    // RFC 5321 §4.5.3.1: 64 octets before the `@`; letters, figures and `_` need no quotes there.
    let (local, _) = pseudonym.split_once('@').expect("an address");
    assert!(local.len() <= 64);
    assert!(local.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'_'));
    for none in ["", "anna", "anna@", "@example.com"] {
        assert_eq!(key.pseudonym(Canonical::Mailbox, none), None, "{none}");
    }
}

#[test]
fn every_part_of_the_domain_separates() {
    let base = domain("account.id", "help-desk");
    let others = [
        base,
        Domain { policy: "we-lock", ..base },
        Domain { category: "account.idh", recipient: "elp-desk", ..base },
        Domain { category: "account.name", ..base },
        Domain { scope: Scope::RecipientAndPurpose, ..base },
        Domain { scope: Scope::Case, ..base },
        Domain { scope: Scope::CaseAndPurpose, ..base },
        Domain { scope: Scope::Response, ..base },
        Domain { period: "a", ..base },
        Domain { period: "a", extra: "b", ..base },
        Domain { recipient: "help-desk-2", ..base },
        Domain { purpose: "a", ..base },
        Domain { extra: "a", ..base },
    ];
    let all: std::collections::BTreeSet<_> =
        others.iter().map(|domain| key(1, domain).pseudonym(Canonical::Text, "c1")).collect();
    assert_eq!(all.len(), others.len());
}

#[test]
fn spellings_of_one_value_share_a_pseudonym_and_non_values_have_none() {
    let key = key(1, &domain("account.id", "help-desk"));
    let ten_kilobytes = "x".repeat(10_000);
    let same: [(Canonical, &str, &str); 3] = [
        (Canonical::Text, "Jose\u{301}", "Jos\u{e9}"),
        (Canonical::Decimal, "42", "4.2e1"),
        (Canonical::Ip, "::ffff:203.0.113.77", "203.0.113.77"),
    ];
    for (canonical, one, other) in same {
        assert!(key.pseudonym(canonical, one).is_some());
        assert_eq!(key.pseudonym(canonical, one), key.pseudonym(canonical, other), "{one}");
    }
    for value in ["", ten_kilobytes.as_str()] {
        assert_eq!(key.pseudonym(Canonical::Text, value).map(|text| text.len()), Some(30));
    }
    for canonical in [Canonical::Email, Canonical::Phone, Canonical::Decimal, Canonical::Uuid] {
        assert_eq!(key.pseudonym(canonical, ""), None, "{canonical:?}");
    }
}

fn token_key(version: u32, recipient: &str) -> DomainKey {
    key(version, &Domain { used_for: Use::Token, ..domain("account.id", recipient) })
}

const T1: &str = "tk1_mgvzygkkmvsgjo4ywqtshzvvj2ooga2vshdvuprdnvb3u5s5xbma";

#[test]
fn tokens_keep_their_bytes_and_open_for_their_domain_only() {
    let key = token_key(1, "help-desk");
    assert_eq!(key.token(Canonical::Text, "c1").as_deref(), Some(T1));
    let opened = |key: &DomainKey, token: &str| {
        key.open_token(Canonical::Text, token).map(|value| value.expose().clone())
    };
    assert_eq!(opened(&key, T1).as_deref(), Some("c1"));
    assert_eq!(opened(&key, &T1.to_uppercase()).as_deref(), Some("c1"));
    let flipped = T1.replacen("mgv", "mgw", 1);
    // 'a' carries no left-over bits, 'b' carries some: the same bytes, another text.
    let tail = format!("{}b", &T1[..T1.len() - 1]);
    let refused = [
        flipped.as_str(),
        tail.as_str(),
        &T1[..T1.len() - 8],
        &T1[..4],
        "",
        "tk1_",
        "tk1",
        "ps1_4pulu2vyfw5kefdozwttqy7vhe",
        &T1.replacen("tk1", "tk2", 1),
        &T1.replacen("tk1", "tk01", 1),
        &format!("{T1}aaaaaaaa"),
    ];
    for token in refused {
        assert_eq!(opened(&key, token), None, "{token}");
    }
    assert_eq!(opened(&token_key(1, "marketing-esp"), T1), None, "another recipient's");
    assert_eq!(opened(&token_key(2, "help-desk"), &T1.replacen("tk1", "tk2", 1)), None);
}

#[test]
fn every_value_comes_back_from_its_token_and_its_length_does_not_show() {
    let key = token_key(1, "help-desk");
    let ten_kilobytes = "x".repeat(10_000);
    let cases = [
        (Canonical::Text, "", ""),
        (Canonical::Text, "exactly-16-bytes", "exactly-16-bytes"),
        (Canonical::Text, "ends in zero\0", "ends in zero\0"),
        (Canonical::Text, ten_kilobytes.as_str(), ten_kilobytes.as_str()),
        (Canonical::Decimal, "042", "42"),
        (Canonical::Ip, "::ffff:203.0.113.77", "203.0.113.77"),
        (Canonical::Ip, "2001:DB8::1", "2001:db8::1"),
        (
            Canonical::Uuid,
            "6F3F4F0E7F554A0C9D1B0B5D6A3C2E11",
            "6f3f4f0e-7f55-4a0c-9d1b-0b5d6a3c2e11",
        ),
    ];
    for (canonical, value, expected) in cases {
        let token = key.token(canonical, value).expect("a value of its type");
        let opened = key.open_token(canonical, &token).expect("our own token");
        assert_eq!(opened.expose(), expected);
    }
    let length = |value: &str| key.token(Canonical::Text, value).map(|token| token.len());
    assert_eq!(length("a"), length("fifteen-bytes-x"));
}

// -- The primitives beneath, as the RFCs and Wycheproof print them. A change of crate that changed
//    a byte would show here first.

#[derive(Deserialize)]
struct Suite<Group> {
    #[serde(rename = "testGroups")]
    groups: Vec<Group>,
}

fn suite<Group: serde::de::DeserializeOwned>(text: &str) -> Vec<Group> {
    serde_json::from_str::<Suite<Group>>(text).expect("a vendored file").groups
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// Source: RFC 4231 §4.2–4.8 (case 5 truncates to 128 bits, as we do).
#[test]
fn hmac_sha256_is_that_of_rfc_4231() {
    let long = [0xaa; 131];
    let cases: [(&[u8], &[u8], &str); 6] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        (
            &long,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &long,
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, message, tag) in cases {
        let tag = hex(tag);
        assert_eq!(mac(key, message)[..tag.len()], tag);
    }
}

/// Source: RFC 5869 A.1 to A.3.
#[test]
fn hkdf_sha256_is_that_of_rfc_5869() {
    let bytes = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            bytes(0, 12),
            bytes(0xf0, 0xf9),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(0, 0x4f),
            bytes(0x60, 0xaf),
            bytes(0xb0, 0xff),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (input, salt, info, expected) in cases {
        let expected = hex(expected);
        let mut output = vec![0; expected.len()];
        Hkdf::<Sha256>::new(Some(&salt), &input).expand(&info, &mut output).expect("short");
        assert_eq!(output, expected);
    }
}

/// Source: RFC 5297 A.1.
#[test]
fn aes_siv_is_that_of_rfc_5297() {
    let key = hex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let data = hex("101112131415161718191a1b1c1d1e1f2021222324252627");
    let mut siv = Aes128Siv::new_from_slice(&key).expect("32 bytes");
    assert_eq!(
        siv.encrypt([&data], &hex("112233445566778899aabbccddee")).expect("seals"),
        hex("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c")
    );
}

#[derive(Deserialize)]
struct MacGroup {
    #[serde(rename = "tagSize")]
    tag_bits: usize,
    tests: Vec<MacTest>,
}

#[derive(Deserialize)]
struct MacTest {
    #[serde(rename = "tcId")]
    id: u32,
    key: String,
    msg: String,
    tag: String,
    result: String,
}

#[test]
fn hmac_sha256_passes_wycheproof() {
    let groups: Vec<MacGroup> = suite(include_str!("../data/wycheproof/hmac_sha256_test.json"));
    let mut run = 0;
    for group in groups {
        for test in group.tests {
            let tag = &mac(&hex(&test.key), &hex(&test.msg))[..group.tag_bits / 8];
            assert_eq!(tag == hex(&test.tag), test.result == "valid", "{}", test.id);
            run += 1;
        }
    }
    assert_eq!(run, 129);
}

#[derive(Deserialize)]
struct HkdfGroup {
    tests: Vec<HkdfTest>,
}

#[derive(Deserialize)]
struct HkdfTest {
    #[serde(rename = "tcId")]
    id: u32,
    ikm: String,
    salt: String,
    info: String,
    size: usize,
    okm: String,
    result: String,
}

#[test]
fn hkdf_sha256_passes_wycheproof() {
    let groups: Vec<HkdfGroup> = suite(include_str!("../data/wycheproof/hkdf_sha256_test.json"));
    let mut run = 0;
    for test in groups.into_iter().flat_map(|group| group.tests) {
        let mut output = vec![0; test.size];
        let hkdf = Hkdf::<Sha256>::new(Some(&hex(&test.salt)), &hex(&test.ikm));
        let right = hkdf.expand(&hex(&test.info), &mut output).is_ok() && output == hex(&test.okm);
        assert_eq!(right, test.result == "valid", "{}", test.id);
        run += 1;
    }
    assert_eq!(run, 54);
}

#[derive(Deserialize)]
struct SivGroup {
    #[serde(rename = "keySize")]
    key_bits: usize,
    tests: Vec<SivTest>,
}

#[derive(Deserialize)]
struct SivTest {
    #[serde(rename = "tcId")]
    id: u32,
    key: String,
    aad: String,
    msg: String,
    ct: String,
    result: String,
}

#[test]
fn aes_siv_passes_wycheproof() {
    let groups: Vec<SivGroup> = suite(include_str!("../data/wycheproof/aes_siv_cmac_test.json"));
    let mut run = 0;
    // Tokens use 512-bit keys only; the 256-bit ones cost nothing. There is no 384-bit type.
    for group in groups.into_iter().filter(|group| group.key_bits != 384) {
        for test in group.tests {
            let (key, data) = (hex(&test.key), hex(&test.aad));
            let (message, sealed) = (hex(&test.msg), hex(&test.ct));
            let opened = if group.key_bits == 256 {
                Aes128Siv::new_from_slice(&key).expect("32 bytes").decrypt([&data], &sealed)
            } else {
                let mut siv = Aes256Siv::new_from_slice(&key).expect("64 bytes");
                if test.result == "valid" {
                    assert_eq!(
                        siv.encrypt([&data], &message).expect("seals"),
                        sealed,
                        "{}",
                        test.id
                    );
                }
                siv.decrypt([&data], &sealed)
            };
            match test.result.as_str() {
                "valid" => assert_eq!(opened.ok(), Some(message), "{}", test.id),
                _ => assert!(opened.is_err(), "{}", test.id),
            }
            run += 1;
        }
    }
    assert_eq!(run, 218);
}
