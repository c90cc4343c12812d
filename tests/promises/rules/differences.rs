//! What a change of rules means: each condition of a release, taken away or put in.

use tamis::policy::Policy;
use tamis::policy::difference::{Way, changes};

use super::{POLICIES, load};

const RULES: &str = include_str!("../../cases/differences.rules.yaml");

fn parsed(rules: &str) -> Policy {
    Policy::parse("rules.yaml", rules).unwrap_or_else(|rejected| panic!("{rejected}"))
}

#[test]
fn each_condition_of_a_release_is_compared() {
    use Way::{Changed, Narrowed, Widened};
    let old = parsed(RULES);
    // What stands there, what it becomes, which way, and the way back.
    let cases: &[(&str, &str, &str, Way, Way)] = &[
        ("\n    parties_only: [buyer, seller]", "", "who asks must be", Widened, Narrowed),
        (
            "parties_only: [buyer, seller]",
            "parties_only: [buyer]",
            "who asks must be",
            Narrowed,
            Widened,
        ),
        (
            r#"{buyer: "$.buyer.id", seller: "$.seller.id"}"#,
            r#"{seller: "$.seller.id", buyer: "$.buyer.id"}"#,
            "whom it is about",
            Changed,
            Changed,
        ),
        (r#"{buyer: "@.buyer"}"#, r#"{buyer: "@.owner"}"#, "whom it is about", Changed, Changed),
        ("mail: contact.email", "mail: open", "query parameter mail", Widened, Narrowed),
        (
            "lang: open",
            "lang: open, name: identity.name",
            "query parameter name",
            Widened,
            Narrowed,
        ),
        ("cursor: sealed", "cursor: open", "query parameter cursor", Widened, Narrowed),
        ("path: {id: account.id}", "path: {id: open}", "path parameter id", Widened, Changed),
        (
            r#""$.agreed": open"#,
            r#""$.agreed": open, "$.email": contact.email"#,
            "$.email of a request reaches",
            Widened,
            Narrowed,
        ),
        (
            "\n    request_must: {\"$.agreed\": true}",
            "",
            "$.agreed of a request must be",
            Widened,
            Narrowed,
        ),
        (
            r#"request_must: {"$.agreed": true}"#,
            r#"request_must: {"$.agreed": false}"#,
            "$.agreed of a request must be",
            Changed,
            Changed,
        ),
        (
            r#"open: ["$.taken"]"#,
            r#"open: ["$.taken", "$.number"]"#,
            "desk for service POST /people $.number",
            Widened,
            Narrowed,
        ),
        ("only_subject: self, show", "show", "only about the person who asks", Widened, Narrowed),
        (
            "{account.id: keep, identity.name: keep}}\n  - {to: [desk], for: [service]",
            "{account.id: own lines, identity.name: own lines}}\n  - {to: [desk], for: [service]",
            "only lines of the person",
            Narrowed,
            Widened,
        ),
        (
            r#", only_where: {"@.dealer": "7"}"#,
            "",
            "only where @.dealer has its value",
            Widened,
            Narrowed,
        ),
        (
            r#"only_where: {"@.dealer": "7"}"#,
            r#"only_where: {"@.dealer": "8"}"#,
            "only where @.dealer has its value",
            Changed,
            Changed,
        ),
        ("approvers: 3", "approvers: 2", "people who approve an order", Widened, Narrowed),
        ("file: consents.ndjson", "file: others.ndjson", "file of consents", Changed, Changed),
        ("min_age: 18", "min_age: 16", "least age", Widened, Narrowed),
        (", min_age: 18", "", "only for adults", Widened, Narrowed),
        (
            "{is: contact.address, subtree: true}",
            "contact.address",
            "all beneath $.address",
            Narrowed,
            Widened,
        ),
        (r#"{subtree: "$.meta"}"#, r#""$.meta""#, "all beneath $.meta", Narrowed, Widened),
        (
            "{is: identity.name, of: seller}",
            "{is: identity.name, of: buyer}",
            "what stands at $.seller.name",
            Changed,
            Changed,
        ),
        (
            r#"region: "$.country""#,
            r#"region: "$.address.country""#,
            "in which region people are",
            Changed,
            Changed,
        ),
        (
            r#"since: {contact.*: "$.written"}"#,
            r#"since: {contact.*: "$.written_at"}"#,
            "where its dates stand",
            Changed,
            Changed,
        ),
        (
            "media: [image/jpeg]",
            "media: [image/jpeg, image/png]",
            "kinds of pictures image/png",
            Widened,
            Narrowed,
        ),
        ("upstream: shop\n    each", "upstream: other\n    each", "backend", Changed, Changed),
        (
            r#"each: "$.orders[*]""#,
            r#"each: "$.rows[*]""#,
            "the list that is cut",
            Changed,
            Changed,
        ),
        (
            "health: [doctor, nurse]",
            "doctors: [doctor], nurses: [nurse]",
            "category trait.job groups",
            Changed,
            Changed,
        ),
        ("{type: email}", "{type: mailbox}", "category contact.email type", Changed, Changed),
        ("{sensitive: true}", "{}", "category trait.faith sensitive", Widened, Narrowed),
        ("id: differences", "id: others", "policy id", Changed, Changed),
        ("NEAR: [DE, FR]", "NEAR: [DE, FR, US]", "region NEAR", Changed, Changed),
        ("consent: share.abroad", "consent: share.other", "transfers", Changed, Changed),
        (
            "{from: [ip], pseudonym",
            "{from: [user_agent], pseudonym",
            "access log visitor",
            Changed,
            Changed,
        ),
        (
            "known: [WL-1, WL-2]",
            "known: [WL-1, WL-2, WL-3]",
            "access log device_model",
            Changed,
            Changed,
        ),
        (
            "html_headers: {referrer_policy: no-referrer}\n",
            "",
            "Referrer-Policy",
            Widened,
            Narrowed,
        ),
        ("hsts: 1y", "hsts: 1d", "Strict-Transport-Security", Changed, Changed),
        (", keep: 10y", "", "ledger kept", Changed, Changed),
        (
            "serve: subject-report}",
            "serve: subject-report}\n  - {match: POST /me/erasure, serve: rights-inbox, right: erasure}",
            "self for rights.self by POST /me/erasure",
            Widened,
            Narrowed,
        ),
        (
            "serve: subject-report",
            "serve: policy-document",
            "what the gateway answers itself",
            Changed,
            Changed,
        ),
        (
            "  - match: POST /people\n",
            "  - match: POST /people\n    mode: shadow\n",
            "desk for service by POST /people",
            Narrowed,
            Widened,
        ),
        (
            "  - match: POST /people\n",
            "  - match: POST /people\n    purpose: adults.club\n",
            "desk for service by POST /people",
            Narrowed,
            Widened,
        ),
    ];
    for (from, to, words, there, back) in cases {
        assert_eq!(RULES.matches(from).count(), 1, "{from}");
        let new = parsed(&RULES.replacen(from, to, 1));
        for (old, new, way) in [(&old, &new, there), (&new, &old, back)] {
            let found = changes(old, new).expect("plans of a small policy");
            let tells = found.iter().any(|change| {
                change.way == *way && format!("{} {}", change.about, change.what).contains(words)
            });
            assert!(tells, "{from} -> {to}: {way:?} {found:#?}");
        }
    }
    // One that only keeps others back: without it they leave where it stood.
    let new = parsed(&RULES.replacen(", \"$..faith\": trait.faith", "", 1));
    let found = changes(&old, &new).expect("plans of a small policy");
    let told = found.iter().any(|change| change.way == Changed && change.what.contains("$..faith"));
    assert!(told, "{found:#?}");
}

#[test]
fn a_route_that_becomes_a_tunnel_shows_more_and_so_does_one_more_page() {
    let with = |keys: &str| {
        let route = format!(
            "\n  - match: GET /live/{{id}}\n    upstream: people\n    \
             subjects: {{person: \"path:id\"}}\n    {keys}\nrelease:\n"
        );
        parsed(&RULES.replacen("\nrelease:\n", &route, 1))
    };
    let answer = with("fields: {\"$.id\": account.id}");
    let tunnel = with("tunnel: websocket\n    discloses: [account.id]");
    let of_page = with(
        "tunnel: websocket\n    discloses: [account.id]\n    origins: [\"https://app.example.invalid\"]",
    );
    for (old, new, way, words) in [
        (&answer, &tunnel, Way::Widened, "is a tunnel, in which nothing is minimized"),
        (&tunnel, &answer, Way::Narrowed, "is a tunnel, in which nothing is minimized"),
        (&tunnel, &of_page, Way::Widened, "https://app.example.invalid"),
        (&of_page, &tunnel, Way::Narrowed, "https://app.example.invalid"),
    ] {
        let found = changes(old, new).expect("plans of a small policy");
        let tells = found.iter().any(|change| change.way == way && change.what.contains(words));
        assert!(tells, "{words}: {found:#?}");
    }
}

#[test]
fn a_policy_differs_in_nothing_from_itself() {
    assert_eq!(changes(&parsed(RULES), &parsed(RULES)), Ok(Vec::new()));
    for policy in POLICIES {
        assert_eq!(changes(&load(policy), &load(policy)), Ok(Vec::new()), "{policy}");
    }
}
