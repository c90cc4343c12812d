//! What worlds by chance have found, each as small as it gets.

use std::sync::Arc;

use tamis::policy::Policy;
use tamis::terms::RefusalReason;

use super::played::play_by;
use super::world::{Ask, Files, GROUP, PEOPLE, Rules, Said, World};

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
