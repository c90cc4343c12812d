//! What worlds by chance have found, each as small as it gets.

use std::sync::Arc;

use tamis::policy::Policy;
use tamis::terms::RefusalReason;

use super::played::play_by;
use super::world::{Ask, Files, GROUP, PEOPLE, PERSON, Rules, Said, World};

/// A world of one recipient, for one purpose, with six routes of which one is asked.
fn world(show: &str, route: usize, line: &str, document: &str) -> World {
    let other = |name: &str| {
        format!(
            "{{match: GET /{name}, upstream: u, subjects: {{a: \"$.id\"}}, fields: {{\"$.id\": account.id}}}}"
        )
    };
    let mut routes: Vec<String> = (0..6).map(|at| other(&format!("r{at}"))).collect();
    line.clone_into(&mut routes[route]);
    let rules = Rules {
        categories: vec!["account.id: {type: text}".into(), "contact.email: {type: text}".into()],
        purposes: vec!["service: {text: The text of service, basis: contract}".into()],
        recipients: vec![
            "desk: {role: internal, country: DE, authenticate: {mtls: \"dns:d.example.invalid\"}, \
             purposes: [service], default_purpose: service}"
                .into(),
        ],
        routes,
        release: vec![format!("{{to: [desk], for: [service], show: {{{show}}}}}")],
        transfers: vec!["{from: EEA, to: EEA, by: same-region}".into()],
        ..Rules::default()
    };
    World {
        rules,
        people: [("u1", Said::default()), ("u2", Said::default())].into(),
        files: Files { case: (vec![], false), order: ("desk", vec![], false) },
        ask: Ask {
            recipient: "desk",
            person: None,
            bound: None,
            declared: vec![],
            route,
            id: "u1",
            query: vec![],
            gpc: false,
            case: false,
            order: false,
        },
        document: document.to_owned(),
    }
}

fn gets(world: &World) -> Result<String, RefusalReason> {
    let policy = Policy::parse("found.yaml", &world.rules.text());
    let policy = policy.unwrap_or_else(|found| panic!("{found}"));
    let body = play_by(&Arc::new(policy), world).body?;
    Ok(String::from_utf8(body).expect("UTF-8"))
}

/// A token was enough to filter by the value in clear. Whoever gets tokens of addresses could ask
/// with address after address, and learn whose token each is.
#[test]
fn a_token_is_no_leave_to_filter_by_the_value() {
    let list = "{match: GET /people, upstream: u, each: \"$.people[*]\", subjects: {person: \"@.id\"}, \
                query: {mail: contact.email}, \
                fields: {\"@.id\": account.id, \"@.mail\": contact.email}}";
    let document = r#"{"people":[{"id":"u1","mail":"a@example.invalid"}]}"#;
    let mut world = world("account.id: keep, contact.email: keep", PEOPLE, list, document);
    world.ask.query = vec!["mail"];
    assert_eq!(gets(&world), Ok(document.to_owned()), "in clear");
    // Somebody must get it in clear, or the rules do not load.
    world
        .rules
        .recipients
        .push(world.rules.recipients[0].replace("desk", "other").replace("d.ex", "o.ex"));
    world.rules.release[0] = world.rules.release[0].replace("[desk]", "[other]");
    world.rules.release.push(
        "{to: [desk], for: [service], show: {account.id: keep, contact.email: token}}".into(),
    );
    assert_eq!(gets(&world), Err(RefusalReason::QueryOnWithheldField));
}

/// The gate of a list of guests held for the guests alone, unless there was exactly one: then it took
/// the owner's part away too (decision 0003).
#[test]
fn the_only_guest_takes_no_more_away_than_two_do() {
    let group = "{match: \"GET /groups/{group}\", upstream: u, \
                 subjects: {owner: \"$.owner\", guest: \"$.guests[*].id\"}, \
                 fields: {\"$.owner\": {is: account.id, of: owner}, \
                 \"$.guests[*].id\": {is: account.id, of: guest}}}";
    for (guests, left) in [
        (r#"[{"id":"u2"}]"#, "[{}]"),
        (r#"[{"id":"u2"},{"id":"u3"}]"#, "[{},{}]"),
        (r#"[{"id":"u3"}]"#, r#"[{"id":"u3"}]"#),
    ] {
        let document = format!(r#"{{"owner":"u1","guests":{guests}}}"#);
        let mut world = world("account.id: keep", GROUP, group, &document);
        let guest = world.people.get_mut("u2").expect("there");
        guest.erasure = Some((-1, vec![]));
        assert_eq!(gets(&world), Ok(format!(r#"{{"owner":"u1","guests":{left}}}"#)), "{guests}");
        let owner = world.people.get_mut("u1").expect("there");
        owner.erasure = Some((-1, vec![]));
        assert_eq!(gets(&world), Err(RefusalReason::Erased), "the owner's part is the answer");
    }
}

/// Somebody of the list, with a name, an address and a card.
const LIST: &str = "{match: GET /people, upstream: u, each: \"$.people[*]\", subjects: {person: \"@.id\"}, \
                    fields: {\"@.id\": account.id, \"@.mail\": contact.email, \"@.name\": identity.name}}";
const ONE: &str = r#"{"people":[{"id":"u1","mail":"a@example.invalid","name":"Testina"}]}"#;

/// A list under rules with these limits.
fn listed(show: &str, line: &str, limits: &[&str]) -> World {
    let mut world = world(show, PEOPLE, line, ONE);
    world.rules.categories.push("identity.name: {type: text}".into());
    world.rules.limits.extend(limits.iter().map(|limit| (*limit).to_owned()));
    world
}

/// Two that may not leave together were still company for a third, though neither of them left.
#[test]
fn what_was_taken_out_is_nobodys_company() {
    let keep = "account.id: keep, contact.email: keep, identity.name: keep";
    let pair = "{together_never: [contact.email, identity.name]}";
    assert_eq!(
        gets(&listed(keep, LIST, &[pair])),
        Ok(r#"{"people":[{"id":"u1"}]}"#.to_owned()),
        "it may be alone"
    );
    let alone = "{alone_never: account.id}";
    for limits in [[pair, alone], [alone, pair]] {
        assert_eq!(gets(&listed(keep, LIST, &limits)), Ok(r#"{"people":[{}]}"#.to_owned()));
    }
    // Of two limits on one category both count, whichever stands first.
    let mut world = listed("account.id: keep", LIST, &["{alone_never: account.id, then: drop}"]);
    world.rules.limits.extend(["{alone_never: account.id}".to_owned()]);
    assert_eq!(gets(&world), Ok(r#"{"people":[]}"#.to_owned()));
    world.rules.limits.reverse();
    assert_eq!(gets(&world), Ok(r#"{"people":[]}"#.to_owned()));
    // And one that leaves alone itself is no company for the next.
    let show = "account.id: keep, identity.name: keep";
    let limits = ["{alone_never: identity.name, then: drop}", "{alone_never: account.id}"];
    let mut world = listed(show, LIST, &limits);
    assert_eq!(gets(&world), Ok(r#"{"people":[{"id":"u1","name":"Testina"}]}"#.to_owned()));
    world.document = world.document.replace("Testina", "");
    assert_eq!(gets(&world), Ok(r#"{"people":[]}"#.to_owned()), "an empty name is no company");
}

/// No plan could be made where a filter looked at a possible companion: each request was refused, and
/// `tamis check` had found nothing.
#[test]
fn what_another_filter_looks_at_is_no_company() {
    let line = LIST.replace(
        "\"@.mail\": contact.email",
        "\"@.cards[*].number\": contact.email, \"@.cards[?@.kind=='work'].holder\": account.id",
    );
    let mut world = listed(
        "account.id: keep, contact.email: keep, identity.name: keep",
        &line,
        &["{alone_never: account.id}"],
    );
    let cards = r#""cards":[{"kind":"work","number":"n-1","holder":"h-1"}]"#;
    world.document =
        format!(r#"{{"people":[{{"id":"u1",{cards}}},{{"id":"u2","name":"T",{cards}}}]}}"#);
    let expected = r#"{"people":[{"cards":[{"number":"n-1"}]},{"id":"u2","name":"T","cards":[{"number":"n-1","holder":"h-1"}]}]}"#;
    assert_eq!(gets(&world), Ok(expected.to_owned()));

    // Where the gateway could make no plan, the rules do not load.
    world.rules.retention.push("{category: contact.email, after: 30d}".into());
    let line = &mut world.rules.routes[PEOPLE];
    *line = line.replace("fields:", "since: {contact.email: \"@.cards[*].at\"}, fields:");
    let rejected =
        Policy::parse("found.yaml", &world.rules.text()).expect_err("a date in a filter");
    assert_eq!(rejected.findings.iter().map(|one| one.code).collect::<Vec<_>>(), ["T103"]);
}

/// A period without a date took out the member alone, and the element that the grant drops stayed.
#[test]
fn a_period_without_a_date_does_not_keep_what_is_dropped() {
    let mut world = listed("account.id: keep, contact.email: drop", LIST, &[]);
    assert_eq!(gets(&world), Ok(r#"{"people":[]}"#.to_owned()));
    world.rules.retention.push("{category: contact.email, after: 30d}".into());
    assert_eq!(gets(&world), Ok(r#"{"people":[]}"#.to_owned()));
}

/// A recipient that is a party of its own lines was not the person of `only_subject: self`, and got the
/// open members of its lines and nothing else.
#[test]
fn a_party_is_the_person_of_only_subject() {
    let mut world = listed("account.id: keep, contact.email: keep", LIST, &[]);
    let recipient = &mut world.rules.recipients[0];
    *recipient = recipient.replace("role: internal", "role: internal, party: u2");
    world.rules.release[0] = world.rules.release[0].replace("show:", "only_subject: self, show:");
    world.document =
        r#"{"people":[{"id":"u1","mail":"CANARY"},{"id":"u2","mail":"b"}]}"#.to_owned();
    assert_eq!(gets(&world), Ok(r#"{"people":[{"id":"u2","mail":"b"}]}"#.to_owned()));
}

/// The name of a member was taken for a value above all that stands in the member. Where it left, objects of
/// which nothing may leave came along empty.
#[test]
fn a_name_that_leaves_is_no_reason_to_go_into_what_may_not() {
    let line = "{match: GET /people, upstream: u, each: \"$.people[*]\", \
                subjects: {person: \"keys($.people)\"}, open: [\"@.state\"], \
                fields: {\"keys($.people)\": account.id, \"@.deep.mail\": contact.email}}";
    let document = r#"{"people":{"u1":{"deep":{"mail":"a"},"state":"x"}}}"#;
    for (show, left) in [
        ("account.id: keep", r#"{"people":{"u1":{"state":"x"}}}"#),
        ("account.id: keep, contact.email: keep", document),
        // A name that may not leave takes its member along, whatever stands in it.
        ("contact.email: keep", r#"{"people":{}}"#),
    ] {
        assert_eq!(gets(&world(show, PEOPLE, line, document)), Ok(left.to_owned()), "{show}");
    }
}

/// The oracle let a filter of what leaves for nobody leave another one open: it expected an empty object of
/// what the other filter says no to.
#[test]
fn a_filter_of_what_may_not_leave_leaves_no_other_open() {
    let one = "{match: \"GET /people/{id}\", upstream: u, subjects: {person: \"path:id\"}, \
               fields: {\"$.cards[?@.kind].number\": contact.email, \
               \"$.cards[?!@.n].holder\": account.id}}";
    let card = r#"{"cards":[{"n":2,"kind":"work","kind":"home","number":"a","holder":"h"}]}"#;
    for (show, left) in [
        ("account.id: keep", r#"{"cards":[]}"#),
        // In doubt about the kind, nothing of the card is certain.
        ("account.id: keep, contact.email: keep", r#"{"cards":[{}]}"#),
    ] {
        assert_eq!(gets(&world(show, PERSON, one, card)), Ok(left.to_owned()), "{show}");
    }
}

/// `own lines` as a limit was forgotten where it met another action: lines of others were shown.
#[test]
fn a_limit_to_own_lines_holds_whatever_the_grant_says() {
    for show in ["keep", "redact", "own lines"] {
        let show = format!("account.id: keep, contact.email: {show}");
        let world = listed(&show, LIST, &["{limit: contact.email, to: own lines}"]);
        assert_eq!(gets(&world), Ok(r#"{"people":[]}"#.to_owned()), "{show}");
    }
}

/// A grant for one use counts from its moment to its end, for its purpose and recipient. Worlds by chance
/// come to it too seldom.
#[test]
fn a_grant_for_one_use_is_in_date_and_for_this_recipient_and_purpose() {
    let one = "{match: \"GET /people/{id}\", upstream: u, subjects: {person: \"path:id\"}, \
               fields: {\"$.id\": account.id}}";
    for (once, left) in [
        (("service", "desk", -9, None), r#"{"id":"u1"}"#),
        (("service", "desk", 0, Some(9)), r#"{"id":"u1"}"#),
        (("service", "desk", 9, None), "{}"),
        (("service", "desk", -9, Some(0)), "{}"),
        (("service", "courier", -9, None), "{}"),
        (("news", "desk", -9, None), "{}"),
    ] {
        let mut world = world("account.id: keep", PERSON, one, r#"{"id":"u1"}"#);
        world.rules.release[0] =
            world.rules.release[0].replace("show:", "needs: [one-time-grant], show:");
        world.people.get_mut("u1").expect("there").once.push(once);
        assert_eq!(gets(&world), Ok(left.to_owned()), "{once:?}");
    }
}
