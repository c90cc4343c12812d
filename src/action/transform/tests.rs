//! Every action on every kind of value, as a table.

use std::num::NonZeroU32;

use proptest::prelude::*;
use zeroize::Zeroizing;

mod pieces;
mod plain;

use super::*;
use crate::action::lattice::tests::any_action;
use crate::action::pseudonym::{Domain, RootKey, Scope, Use};

fn treatment(action: Action) -> Treatment {
    let used_for = match action {
        Action::Token => Use::Token,
        Action::Fpe => Use::Fpe,
        _ => Use::Pseudonym,
    };
    let root = std::array::from_fn(|at| u8::try_from(at).expect("32 bytes"));
    let key = DomainKey::derive(
        &RootKey::new(NonZeroU32::MIN, Zeroizing::new(root)),
        &Domain {
            used_for,
            policy: "webllet",
            category: "account.id",
            scope: Scope::Recipient,
            recipient: "help-desk",
            purpose: "",
            extra: "",
            period: "",
        },
    );
    let groups = [("nurse", "health"), ("7", "seven"), ("true", "yes")];
    Treatment {
        action,
        key: Some(Arc::new(key)),
        scope: Scope::Recipient,
        opens: None,
        link: None,
        canonical: Canonical::Text,
        groups: Some(Arc::new(
            groups.into_iter().map(|(value, group)| (value.into(), group.into())).collect(),
        )),
        today: Date::constant(2026, 11, 24),
    }
}

fn apply(treatment: &Treatment, json: &str) -> (String, Applied) {
    let string: Option<String> = serde_json::from_str(json).ok();
    let scalar = match json {
        "null" => Scalar::Null,
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        _ => string.as_deref().map_or(Scalar::Number(json), Scalar::String),
    };
    let mut out = Vec::new();
    let applied = treatment.apply(scalar, &mut out);
    (String::from_utf8(out).expect("JSON is UTF-8"), applied)
}

/// Action, value, what leaves. `blank` stands for the placeholder, counted.
const CASES: &[(&str, &[(&str, &str)])] = &[
    (
        "keep",
        &[
            ("1.50e3", "1.50e3"),
            ("true", "true"),
            (r#""a\"b\\c\u0000\u001f\n\té\u2028""#, "\"a\\\"b\\\\c\\u0000\\u001f\\n\\té\u{2028}\""),
        ],
    ),
    ("own lines", &[("7", "7"), (r#""x""#, r#""x""#)]),
    (
        "mask last 4",
        &[
            (r#""4111 1111 1111 1234""#, r#""****1234""#),
            (r#""4111-1111-1111-1234""#, r#""****1234""#),
            ("4111111111111234", r#""****1234""#),
            (r#""DE89 3704 0044 0532 0130 00""#, r#""****3000""#),
            (r#""GB29 NWBK 6016 1331 9268 19""#, r#""****6819""#),
            (r#""+49 30 1234-5 67""#, r#""****4567""#),
            (r#""Testina Musterfrau""#, r#""****frau""#),
            // The space counts in a text, so these are eight characters and nine.
            (r#""abcd efg""#, r#""****""#),
            (r#""abcd efgh""#, r#""****efgh""#),
            (r#""12345678""#, r#""****""#),
            (r#""1234 5678""#, r#""****""#),
            (r#""123456789""#, r#""****6789""#),
            (r#""""#, r#""****""#),
            // One family, one flag, one accented letter: each is one character.
            (r#""abcde👨‍👩‍👧🇲🇾e\u0301z""#, "\"****👨‍👩‍👧🇲🇾e\u{301}z\""),
            ("-12345678901", "blank"),
            ("1234567890.5", "blank"),
            ("true", "blank"),
        ],
    ),
    ("mask last 3", &[(r#""+60 12-345 6789""#, r#""****789""#), (r#""123456""#, r#""****""#)]),
    (
        "mask first 2",
        &[
            (r#""Musterfrau""#, r#""Mu****""#),
            (r#""Must""#, r#""****""#),
            (r#""50 450""#, r#""50****""#),
        ],
    ),
    (
        "mask bin+last4",
        &[
            (r#""4111 1111 1111 1234""#, r#""411111****1234""#),
            ("4111111111111234", r#""411111****1234""#),
            (r#""4111111111234""#, r#""411111****1234""#),
            (r#""411111111234""#, r#""****""#),
            (r#""41111111111111111234""#, r#""****""#),
            (r#""DE89370400440532013000""#, r#""****""#),
            (r#""Testina""#, r#""****""#),
        ],
    ),
    (
        "mask length",
        &[(r#""Testina""#, r#""*******""#), (r#""e\u0301a""#, r#""**""#), (r#""""#, r#""""#)],
    ),
    ("redact", &[(r#""Testina""#, r#""****""#), (r#""""#, r#""****""#), ("7", r#""****""#)]),
    (
        "initials",
        &[
            (r#""Testina Musterfrau""#, r#""T. M.""#),
            (r#""testina  von der Muster-Frau""#, r#""t. v. d. M.""#),
            (r#""X Musterfrau""#, r#""*. M.""#),
            (r#""J. Doe-Example""#, r#""J. D.""#),
            (r#""(Testina) 2nd""#, r#""T. n.""#),
            (r#""E\u0301mile Muster""#, "\"E\u{301}. M.\""),
            (r#""12 34""#, "blank"),
            (r#""""#, "blank"),
            ("7", "blank"),
        ],
    ),
    (
        "first-word",
        &[
            (r#""Testina Musterfrau""#, r#""Testina""#),
            (r#"" Musterfrau, Testina""#, r#""Musterfrau""#),
            (r#"" , ""#, "blank"),
            (r#""""#, "blank"),
            ("7", "blank"),
        ],
    ),
    (
        "generalise hour",
        &[
            (r#""2026-11-24T23:59:59.999+08:00""#, r#""2026-11-24T15:00:00Z""#),
            (r#""2026-11-24t06:31:00z""#, r#""2026-11-24T06:00:00Z""#),
            (r#""2026-11-24 06:31:00Z""#, r#""2026-11-24T06:00:00Z""#),
            (r#""2026-11-24T06:31:00""#, r#""2026-11-24T06:00:00""#),
            (r#""2026-11-24""#, r#""2026-11-24""#),
            (r#""2026-11-24T25:00:00Z""#, "blank"),
            (r#""06:31""#, "blank"),
            ("1763970000", "blank"),
        ],
    ),
    (
        "generalise day",
        &[
            (r#""2026-12-31T23:30:00-05:00""#, r#""2027-01-01""#),
            (r#""2026-11-24""#, r#""2026-11-24""#),
            (r#""2026-02-30""#, "blank"),
            (r#""24.11.2026""#, "blank"),
            (r#""20261124""#, "blank"),
            (r#""""#, "blank"),
            (r#""2026-11-24x""#, "blank"),
        ],
    ),
    (
        "generalise month",
        &[
            (r#""2026-11-24T06:31:00Z""#, r#""2026-11""#),
            (r#""2026-11""#, r#""2026-11""#),
            (r#""2026""#, r#""2026""#),
            (r#""2026-13""#, "blank"),
        ],
    ),
    (
        "generalise quarter",
        &[
            (r#""2026-01-31""#, r#""2026-Q1""#),
            (r#""2026-11-24T06:31:00Z""#, r#""2026-Q4""#),
            (r#""2026""#, r#""2026""#),
        ],
    ),
    ("generalise year", &[(r#""2026-11-24""#, r#""2026""#), ("2026", "blank")]),
    (
        "generalise 5-year band",
        &[
            (r#""1987-03-14""#, r#""1985-1989""#),
            (r#""1987-03-14T00:00:00Z""#, r#""1985-1989""#),
            ("1987", r#""1985-1989""#),
            (r#""1987""#, r#""1985-1989""#),
            (r#""1936-12-31""#, r#""../1936""#),
            (r#""1937-01-01""#, r#""1937-1939""#),
            ("37", r#""35-39""#),
            (r#""37""#, r#""35-39""#),
            ("0", r#""0-17""#),
            ("17", r#""0-17""#),
            ("18", r#""18-19""#),
            ("89", r#""85-89""#),
            ("90", r#""90+""#),
            ("112", r#""90+""#),
            ("131", "blank"),
            ("1799", "blank"),
            ("37.5", "blank"),
            ("-37", "blank"),
            (r#""about 37""#, "blank"),
        ],
    ),
    ("generalise 7-year band", &[("86", r#""84-89""#)]),
    (
        "generalise 10-year band",
        &[
            (r#""30-39""#, r#""30-39""#),
            (r#""35-39""#, r#""30-39""#),
            (r#""18-19""#, r#""18-19""#),
            (r#""0-17""#, r#""0-17""#),
            (r#""90+""#, r#""90+""#),
            (r#""35-44""#, "blank"),
            (r#""39-30""#, "blank"),
            (r#""30-39-40""#, "blank"),
            (r#""17-19""#, "blank"),
        ],
    ),
    ("generalise 1-year band", &[("37", r#""37""#)]),
    (
        "generalise bucket 10",
        &[
            ("47", "40"),
            ("40", "40"),
            ("9.99", "0"),
            ("-3", "-10"),
            ("-0.5", "-10"),
            ("-20", "-20"),
            ("-0", "0"),
            ("4.7e1", "40"),
            ("47e-1", "0"),
            (r#""47.50""#, r#""40""#),
            ("123456789012345678901234567895.5", "123456789012345678901234567890"),
            (r#""EUR 47""#, "blank"),
            (r#""""#, "blank"),
            (r#""047""#, "blank"),
            ("1e999999999", "blank"),
            ("true", "blank"),
        ],
    ),
    ("generalise bucket 7", &[("100", "98"), ("-100", "-105"), ("1e3", "994")]),
    (
        "round 2",
        &[
            ("12345", "12300"),
            ("12350", "12400"),
            ("12250", "12200"),
            ("12250.01", "12300"),
            ("9950", "10000"),
            ("50", "0"),
            ("51", "100"),
            ("7", "0"),
            ("-12350", "-12400"),
            ("-7", "0"),
            (r#""12345""#, r#""12300""#),
        ],
    ),
    ("round 0", &[("0.5", "0"), ("1.5", "2"), ("2.5", "2"), ("2.51", "3"), ("99.9", "100")]),
    (
        "generalise prefix 2",
        &[
            (r#""50450""#, r#""50***""#),
            ("50450", r#""50***""#),
            (r#""SW1A 1AA""#, r#""SW******""#),
            (r#""50""#, r#""**""#),
            (r#""5""#, r#""*""#),
            (r#""""#, "blank"),
            ("-50450", "blank"),
        ],
    ),
    (
        "generalise 0.1 deg",
        &[
            ("3.1390", "3.1"),
            ("-3.1390", "-3.2"),
            ("-3.1", "-3.1"),
            ("0.05", "0.0"),
            ("-0.05", "-0.1"),
            ("-0.0", "0.0"),
            ("101", "101.0"),
            ("1.016869e2", "101.6"),
            (r#""101.6869""#, r#""101.6""#),
            ("180", "180.0"),
            ("-179.96", "-180.0"),
            ("180.1", "blank"),
            ("-180.01", "blank"),
            ("65536", "blank"),
            (r#""3.1N""#, "blank"),
        ],
    ),
    ("generalise 1 deg", &[("3.9", "3"), ("-3.1", "-4")]),
    (
        "generalise group",
        &[
            (r#""nurse""#, r#""health""#),
            (r#""health""#, r#""health""#),
            (r#""Nurse""#, r#""other""#),
            (r#""""#, r#""other""#),
            ("7", r#""seven""#),
            ("true", r#""yes""#),
            ("false", r#""other""#),
        ],
    ),
    (
        "prefix /24 /48",
        &[
            (r#""203.0.113.77""#, r#""203.0.113.0/24""#),
            (r#""::ffff:203.0.113.77""#, r#""203.0.113.0/24""#),
            (r#""2001:db8:1:2:3:4:5:6""#, r#""2001:db8:1::/48""#),
            (r#""203.0.113.77:443""#, "blank"),
            (r#""203.0.113.77, 10.0.0.1""#, "blank"),
            (r#""unknown""#, "blank"),
            ("7", "blank"),
        ],
    ),
    ("prefix /0 /0", &[(r#""203.0.113.77""#, r#""0.0.0.0/0""#), (r#""2001:db8::1""#, r#""::/0""#)]),
    (
        "prefix /32 /128",
        &[
            (r#""203.0.113.77""#, r#""203.0.113.77/32""#),
            (r#""2001:db8::1""#, r#""2001:db8::1/128""#),
        ],
    ),
    (
        "family",
        &[
            (
                r#""Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0""#,
                r#""Firefox/142""#,
            ),
            (
                r#""Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.1""#,
                r#""Edge/141""#,
            ),
            (
                r#""Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1""#,
                r#""Safari/18""#,
            ),
            (r#""curl/8.5.0""#, r#""curl/8""#),
            (r#""Mozilla/4.0 (compatible; MSIE 8.0)""#, r#""Internet Explorer/8""#),
            (r#""app-of-testina/3.1""#, r#""Other""#),
            (r#""not-curl/8""#, r#""Other""#),
            (r#""""#, r#""Other""#),
            ("7", "blank"),
        ],
    ),
    (
        "origin",
        &[
            (r#""https://testina:pw@Shop.Example:8443/a?b#c""#, r#""https://shop.example:8443""#),
            (r#""http://shop.example""#, r#""http://shop.example""#),
            (r#""https://[2001:db8::1]/x""#, r#""https://[2001:db8::1]""#),
            (r#""mailto:testina@example.invalid""#, "blank"),
            (r#""ftp://shop.example/x""#, "blank"),
            (r#""/users/42""#, "blank"),
            (r#""//shop.example/x""#, "blank"),
            (r#""testina""#, "blank"),
            (r#""https://test ina.example/""#, "blank"),
        ],
    ),
    (
        "path-template",
        &[
            (r#""/users/42/orders""#, r#""/users/{}/orders""#),
            (r#""/users/42/orders?email=t@example.invalid#top""#, r#""/users/{}/orders""#),
            (r#""/users/testina/orders""#, r#""/users/{}/orders""#),
            (r#""/profile/testina""#, r#""/profile/{}""#),
            (r#""/api/v2/shop/Testina-Musterfrau/""#, r#""/api/v2/shop/{}/""#),
            (r#""/search/testina%20musterfrau""#, r#""/search/{}""#),
            (r#""/a1b2c3""#, r#""/{}""#),
            (r#""/abcdefghijklmnopqrstuvwxyz""#, r#""/{}""#),
            (r#""/""#, r#""/""#),
            (r#""https://t@shop.example/users/42?x""#, r#""https://shop.example/users/{}""#),
            (r#""https://shop.example?x=testina""#, r#""https://shop.example""#),
            (r#""https://shop.example#testina""#, r#""https://shop.example""#),
            (r#""users/42""#, "blank"),
            (r#""//shop.example/users/42""#, "blank"),
            (r#""""#, "blank"),
        ],
    ),
    ("pseudonym", &[(r#""c1""#, r#""ps1_4pulu2vyfw5kefdozwttqy7vhe""#), ("true", "blank")]),
    (
        "token",
        &[
            (r#""c1""#, r#""tk1_mgvzygkkmvsgjo4ywqtshzvvj2ooga2vshdvuprdnvb3u5s5xbma""#),
            ("false", "blank"),
        ],
    ),
    // The numbers were computed apart from this code.
    (
        "fpe",
        &[
            ("42", "693971437012431"),
            ("4.2e1", "693971437012431"),
            (r#""00123456""#, r#""18367527""#),
            (r#""123456""#, r#""302185""#),
            (r#""42""#, "blank"),
            ("4.2", "blank"),
            ("-42", "blank"),
            ("1000000000000000", "blank"),
            (r#""c1""#, "blank"),
            ("true", "blank"),
        ],
    ),
    (
        "scrub",
        &[
            (r#""call +49 30 1234567""#, r#""call [phone]""#),
            ("4111111111111111", "blank"),
            ("true", "blank"),
        ],
    ),
    ("remove", &[(r#""x""#, "blank"), ("7", "blank")]),
    ("refuse", &[(r#""x""#, "blank")]),
    ("drop", &[(r#""x""#, "blank")]),
];

#[test]
fn each_action_does_to_each_kind_of_value_what_the_rules_say() {
    for (action, values) in CASES {
        let treatment = treatment(action.parse().expect("an action"));
        for (json, expected) in *values {
            let expected = match (*expected, json.starts_with('"')) {
                ("blank", true) => ("\"\"".to_owned(), Applied::Blanked),
                ("blank", false) => ("null".to_owned(), Applied::Blanked),
                (text, _) => (text.to_owned(), Applied::Written),
            };
            assert_eq!(apply(&treatment, json), expected, "{action} on {json}");
        }
    }
}

#[test]
fn null_stays_null_and_blank_keeps_the_kind() {
    for (action, _) in CASES {
        let treatment = treatment(action.parse().expect("an action"));
        assert_eq!(apply(&treatment, "null"), ("null".to_owned(), Applied::Written), "{action}");
    }
    let blank = treatment(Action::Blank);
    for (json, expected) in [(r#""x""#, r#""""#), ("7", "null"), ("false", "null")] {
        assert_eq!(apply(&blank, json), (expected.to_owned(), Applied::Written), "{json}");
    }
}

#[test]
fn without_a_key_there_is_no_pseudonym_and_no_value() {
    for action in ["pseudonym", "pseudonym daily", "token", "fpe"] {
        let bare = Treatment { key: None, ..treatment(action.parse().expect("an action")) };
        assert_eq!(apply(&bare, r#""c1""#), ("\"\"".to_owned(), Applied::Blanked), "{action}");
    }
    // A key of the other use is no key.
    let wrong =
        Treatment { action: Action::Token, ..treatment("pseudonym".parse().expect("known")) };
    assert_eq!(apply(&wrong, r#""c1""#), ("\"\"".to_owned(), Applied::Blanked));
}

#[test]
fn a_number_and_its_text_share_a_pseudonym_where_the_category_is_decimal() {
    let decimal = Treatment {
        canonical: Canonical::Decimal,
        ..treatment("pseudonym".parse().expect("known"))
    };
    let expected = ("\"ps1_fk6nojkmh76vfo2qmaxs5t665a\"".to_owned(), Applied::Written);
    for json in ["42", r#""42""#, "42.0", r#""042""#] {
        assert_eq!(apply(&decimal, json), expected, "{json}");
    }
    assert_eq!(apply(&decimal, "4.2").1, Applied::Blanked);
}

#[test]
fn a_number_and_its_text_are_permuted_alike_where_the_category_is_decimal() {
    let of = |canonical| Treatment { canonical, ..treatment(Action::Fpe) };
    let decimal = of(Canonical::Decimal);
    assert_eq!(apply(&decimal, "42"), ("693971437012431".to_owned(), Applied::Written));
    assert_eq!(apply(&decimal, r#""042""#), ("\"693971437012431\"".to_owned(), Applied::Written));
    for canonical in [Canonical::Phone, Canonical::Compact, Canonical::Email, Canonical::Ip] {
        let refused = ("\"\"".to_owned(), Applied::Blanked);
        assert_eq!(apply(&of(canonical), r#""4111111111111111""#), refused, "{canonical:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn whatever_comes_out_is_one_json_scalar(action in any_action(), text in "\\PC{0,24}|[0-9 T:+.eE/-]{0,24}") {
        let mut out = Vec::new();
        treatment(action).apply(Scalar::String(&text), &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        prop_assert!(value.is_string(), "{value}");
    }

    #[test]
    fn a_number_becomes_a_number_a_string_or_null(action in any_action(), number in any::<f64>(), whole in any::<i64>()) {
        prop_assume!(number.is_finite());
        for text in [format!("{number:e}"), whole.to_string()] {
            let mut out = Vec::new();
            treatment(action.clone()).apply(Scalar::Number(&text), &mut out);
            let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            prop_assert!(value.is_number() || value.is_string() || value.is_null(), "{value}");
        }
    }

    /// The long way round: the oracle works in integers of 128 bits.
    #[test]
    fn buckets_and_rounding_agree_with_integer_arithmetic(value in any::<i64>(), step in 1..1_000_000_u64, exponent in 0..12_u8) {
        let value = i128::from(value);
        let step_wide = i128::from(step);
        let floor = value.div_euclid(step_wide) * step_wide;
        let written = |write: &dyn Fn(&mut Vec<u8>) -> Option<()>| {
            let mut out = Vec::new();
            write(&mut out).map(|()| String::from_utf8(out).expect("digits"))
        };
        let text = value.to_string();
        prop_assert_eq!(written(&|out| number::bucket(&text, step, out)), Some(floor.to_string()));
        let unit = 10_i128.pow(u32::from(exponent));
        let (below, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
        let up = 2 * rest > unit || (2 * rest == unit && below % 2 != 0);
        let rounded = (below + i128::from(up)) * unit;
        prop_assert_eq!(written(&|out| number::round(&text, exponent, out)), Some(rounded.to_string()));
    }
}
