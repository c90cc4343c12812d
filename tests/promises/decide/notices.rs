//! By which names recipients are told of erasures (GDPR Art. 17(2), 19): never more than they are shown,
//! nothing where no transfer goes, and under every key by which they may have got one.

use std::sync::Arc;

use jiff::Timestamp;
use tamis::action::{Action, Period};
use tamis::decide::notice_forms;
use tamis::keys::KeyRing;
use tamis::policy::Policy;
use tamis::terms::{Country, RecipientId, Statements};

use super::{TEXT, at, parsed};

const ERASURE: &str = "  notice:    {from: api}\n";

fn with(webhook: &str) -> String {
    let erasure = format!("{ERASURE}  erasure:   {{from: api, webhook: {webhook}}}\n");
    assert!(TEXT.contains(ERASURE));
    TEXT.replacen(ERASURE, &erasure, 1)
}

fn policy() -> Arc<Policy> {
    let one = |id: &str, show: &str| {
        format!("{id}: {{url: \"https://{id}.example.invalid/\", show: {{{show}}}}}")
    };
    let all = [
        one("desk", "account.id: keep"),
        one("lapsed", "contact.email: keep"),
        one("overseas", "contact.email: keep"),
        one("american", "contact.email: keep"),
    ];
    parsed(&with(&format!("{{{}}}", all.join(", "))))
}

fn forms(policy: &Policy, recipient: &str, region: Option<&str>, now: Timestamp) -> Vec<Action> {
    let id = RecipientId::from(recipient);
    let said = Statements { region: region.map(Country::from), ..Statements::default() };
    notice_forms(policy, &id, &policy.registers.erasure_notices[&id], &said, now)
}

#[test]
fn a_notice_goes_where_a_transfer_may_and_as_strictly() {
    let policy = policy();
    let (keep, pseudonym) = (Action::Keep, Action::Pseudonym(Period::Unlimited));
    for (recipient, region, expected) in [
        ("desk", Some("DE"), vec![keep.clone()]),
        ("desk", None, vec![keep.clone()]),
        // A contract that ran out ends what is released, not the duty to tell.
        ("lapsed", None, vec![keep]),
        // No row of the table begins in the US.
        ("desk", Some("US"), vec![]),
        ("american", Some("DE"), vec![pseudonym.clone()]),
        ("american", None, vec![pseudonym]),
        ("american", Some("US"), vec![]),
        ("overseas", Some("DE"), vec![]),
    ] {
        assert_eq!(forms(&policy, recipient, region, at(0)), expected, "{recipient}, {region:?}");
    }
    let later: Timestamp = "2031-01-01T00:00:00Z".parse().expect("a time");
    assert!(forms(&policy, "american", Some("DE"), later).is_empty(), "the clauses ran out");

    let moves = "    - {from: US, to: \"US\", by: home-law}\n  otherwise: refuse";
    let text = with("{american: {url: \"https://a.example/\", show: {contact.email: keep}}}");
    let policy = parsed(&text.replacen("  otherwise: refuse", moves, 1));
    let here = forms(&policy, "american", Some("US"), at(0));
    assert_eq!(here, [Action::Keep, Action::Pseudonym(Period::Unlimited)], "they may have moved");
    assert_eq!(forms(&policy, "american", None, at(0)).len(), 1, "never less strict");
}

#[test]
fn a_person_is_named_by_every_key_that_is_left() {
    let ring = KeyRing::parse(
        "ring",
        "1: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
         2: 1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100",
    )
    .expect("a ring");
    let policy = policy();
    let (desk, category) = (RecipientId::from("desk"), "account.id".into());
    let names = |action: &Action| ring.names_for(&policy, &desk, (&category, action), "u1");
    assert_eq!(names(&Action::Keep), ["u1"]);
    for (action, marks) in [
        (Action::Token, ["tk2_", "tk1_"]),
        (Action::Pseudonym(Period::Unlimited), ["ps2_", "ps1_"]),
    ] {
        let names = names(&action);
        let begins = names.iter().zip(marks).all(|(name, mark)| name.starts_with(mark));
        assert!(names.len() == 2 && begins, "{names:?}");
    }
    assert!(names(&Action::Pseudonym(Period::Day)).is_empty(), "it has changed since");
    let opened = ring.keys_of_tokens(&policy, std::slice::from_ref(&desk), &category);
    let token = &names(&Action::Token)[1];
    assert_eq!(opened.open(token).expect("of the desk").expose(), "u1");
}

#[test]
fn only_a_recipient_that_has_the_data_is_told_and_only_over_tls() {
    let one =
        |id: &str, url: &str, show: &str| format!("{{{id}: {{url: \"{url}\", show: {{{show}}}}}}}");
    let (url, shown) = ("https://a.example/", "account.id: keep");
    let codes = |webhook: &str| {
        let found = Policy::parse("rules.yaml", &with(webhook))
            .map_or_else(|rejected| rejected.findings, |policy| policy.warnings);
        let errors = found.into_iter().filter(|one| one.severity.as_str() == "error");
        errors.map(|one| (one.code, one.message)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&one("desk", url, shown)), []);
    for (webhook, code) in [
        (format!("\"{url}\""), "T102"),
        (one("nobody", url, shown), "T101"),
        (one("desk", "http://a.example/", shown), "T102"),
        (one("desk", "https://user:CANARY@a.example/", shown), "T102"),
        (one("desk", "mailto:a@example.invalid", shown), "T102"),
        (one("desk", url, "account.id: keep, contact.email: keep"), "T102"),
        (one("desk", url, "account.idd: keep"), "T101"),
        (one("desk", url, "account.id: token"), "T340"),
        (one("desk", url, "identity.name: initials"), "T340"),
        (one("desk", url, "payment.amount: keep"), "T340"),
        (one("partner", url, "account.id: keep"), "T340"),
        (one("self", url, shown), "T340"),
        (one("user", url, shown), "T340"),
        (format!("{{desk: {{url: \"{url}\", show: {{{shown}}}, token: x}}}}"), "T102"),
        (format!("{{desk: {{show: {{{shown}}}}}}}"), "T102"),
        (format!("{{desk: {{url: \"{url}\"}}}}"), "T102"),
    ] {
        let found = codes(&webhook);
        assert!(found.iter().any(|(found, _)| *found == code), "{webhook}: {found:?}");
        assert!(!format!("{found:?}").contains("CANARY"), "{found:?}");
    }
    let plaintext = "{desk: {url: \"http://a.example/\", show: {account.id: keep}, \
                     dangerous_plaintext: true}}";
    assert_eq!(codes(plaintext), []);
    let narrow = TEXT.replacen("show: {account.id: keep, identity.name: keep, contact.email: mask",
        "pseudonym_scope: recipient+purpose, show: {account.id: pseudonym, identity.name: keep, contact.email: mask", 1);
    let webhook = one("desk", url, "account.id: pseudonym");
    let erasure = format!("{ERASURE}  erasure:   {{from: api, webhook: {webhook}}}\n");
    let narrow = Policy::parse("rules.yaml", &narrow.replacen(ERASURE, &erasure, 1));
    let found = narrow.expect_err("within a purpose nobody else finds them").findings;
    assert!(found.iter().any(|one| one.code == "T340" && one.message.contains("within")));
}

#[test]
fn a_recipient_that_is_told_anew_is_a_widening_and_any_other_change_is_looked_at() {
    let none = parsed(TEXT);
    let some = policy();
    let ways = |old: &Policy, new: &Policy| {
        let changes = tamis::policy::difference::changes(old, new).expect("small");
        changes.iter().map(|one| one.way.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(ways(&none, &some), ["widened"; 4]);
    assert_eq!(ways(&some, &none), ["changed"; 4]);
    assert_eq!(ways(&some, &some), [""; 0]);
}
