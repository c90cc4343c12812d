//! Which route a request is for.

use tamis::policy::Policy;

use super::load;

#[test]
fn a_literal_beats_a_parameter_and_nothing_else_matches() {
    let text = super::rejected::SMALL.replace(
        "routes:\n",
        "routes:\n  - {match: GET /people/new, upstream: people}\n  - {match: \"GET /{kind}/{id}\", upstream: people}\n  - {match: \"GET /{kind}/new\", upstream: people}\n",
    );
    let policy = Policy::parse("rules.yaml", &text).unwrap_or_else(|found| panic!("{found}"));
    let cases: [(&str, &[&str], Option<&str>); 9] = [
        ("GET", &["people", "new"], Some("GET /people/new")),
        ("GET", &["people", "u1"], Some("GET /people/{id}")),
        ("GET", &["things", "u1"], Some("GET /{kind}/{id}")),
        ("GET", &["things", "new"], Some("GET /{kind}/new")),
        ("POST", &["people", "u1"], None),
        ("get", &["people", "u1"], None),
        ("GET", &["people"], None),
        ("GET", &["people", ""], None),
        ("GET", &["people", "u1", "x"], None),
    ];
    for (method, segments, expected) in cases {
        let matched = policy.route(method, segments);
        let id = matched.map(|matched| policy.routes[matched.index].id.as_str());
        assert_eq!(id, expected, "{method} {segments:?}");
    }
}

#[test]
fn parameters_come_with_their_values() {
    let policy = load("letsmasak");
    let matched = policy.route("GET", &["v2", "users", "u1", "activity"]).expect("catalogued");
    assert_eq!(matched.parameters, [("user_id", "u1")]);
    assert!(policy.route("GET", &["v2", "admin"]).is_none());
}
