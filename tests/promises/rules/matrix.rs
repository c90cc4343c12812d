//! What each recipient gets, field by field, in the three policies. Each case comes from a clause
//! of the policy's text; the clause stands beside it.

use tamis::policy::Plan;
use tamis::policy::model::Need;
use tamis::terms::{PurposeId, RecipientId};

use super::load;

fn plan(policy: &str, recipient: &str, purposes: &[&str], route: &str) -> Plan {
    let rules = load(policy);
    let index = rules.routes.iter().position(|one| one.id.as_str() == route);
    let index = index.unwrap_or_else(|| panic!("{policy} has no {route}"));
    let mut purposes: Vec<PurposeId> = purposes.iter().map(|one| PurposeId::from(*one)).collect();
    purposes.sort();
    Plan::build(&rules, index, &RecipientId::from(recipient), &purposes).expect("within bounds")
}

fn action(plan: &Plan, selector: &str) -> String {
    let cell = plan.cells.iter().find(|cell| cell.selector == selector);
    cell.unwrap_or_else(|| panic!("no {selector}")).action.to_string()
}

const USER: &str = "GET /v2/users/{user_id}";
const USERS: &str = "GET /v2/users";
const ACTIVITY: &str = "GET /v2/users/{user_id}/activity";
const ORDER: &str = "GET /v2/orders/{order_id}";
const REVIEWS: &str = "GET /v2/reviews";
const ENQUIRY: &str = "GET /v2/enquiries/{enquiry_id}";

#[test]
fn letsmasak_releases_what_its_text_promises() {
    let cases = [
        // L-01, L-22: the public card is three members.
        ("user", "service.identify_users", USER, "$.letsmasak_id", "keep"),
        ("user", "service.identify_users", USER, "$.nickname", "keep"),
        ("user", "service.identify_users", USER, "$.icon_url", "keep"),
        ("user", "service.identify_users", USER, "$.name", "remove"),
        ("user", "service.identify_users", USER, "$.verified", "remove"),
        ("user", "service.identify_users", REVIEWS, "@.author.nickname", "keep"),
        ("user", "service.identify_users", REVIEWS, "@.author.user_id", "remove"),
        ("user", "service.identify_users", REVIEWS, "@.text", "keep"),
        // L-04 to L-06: characteristics, generalised; no name.
        ("ads-engine", "personalise.ads", USER, "$.name", "remove"),
        ("ads-engine", "personalise.ads", USER, "$.gender", "keep"),
        ("ads-engine", "personalise.ads", USER, "$.user_id", "pseudonym"),
        ("ads-engine", "personalise.ads", USER, "$.postal_code", "generalise prefix 2"),
        ("ads-engine", "personalise.ads", USER, "$.age", "generalise 5-year band"),
        ("ads-engine", "personalise.ads", ACTIVITY, "@.page", "path-template"),
        ("ads-engine", "personalise.ads", ACTIVITY, "@.at", "generalise hour"),
        ("ads-engine", "personalise.ads", ACTIVITY, "@.bought", "generalise group"),
        // L-08: the survey tool never sees an address.
        ("survey-tool", "survey.select", USERS, "@.user_id", "token"),
        ("survey-tool", "survey.select", USERS, "@.email", "remove"),
        ("mailer", "service.notices", USERS, "@.email", "keep"),
        ("mailer", "service.notices", USERS, "@.gender", "remove"),
        // L-09: advertisers get aggregates only.
        ("advertiser", "insight.partners", USER, "$.gender", "remove"),
        // L-11, L-12, L-17: own data in clear, but a card number never beyond its last four.
        ("self", "rights.self", USER, "$.mailing_address", "keep"),
        ("self", "rights.self", USER, "$.card_number", "mask last 4"),
        ("self", "rights.self", USER, "$.bank_account", "keep"),
        // L-13, L-18: parties see the card of the other and their own lines.
        ("user", "service.order", ORDER, "$.buyer.nickname", "keep"),
        ("user", "service.order", ORDER, "$.delivery.proof", "keep"),
        ("user", "service.order", ORDER, "$.delivery.address", "remove"),
        ("user", "service.order", ORDER, "@.amount", "own lines"),
        // L-14: the courier gets name, address, phone.
        ("courier", "service.delivery", USER, "$.name", "keep"),
        ("courier", "service.delivery", USER, "$.mailing_address", "keep"),
        ("courier", "service.delivery", USER, "$.telephone", "keep"),
        ("courier", "service.delivery", USER, "$.email", "remove"),
        // L-16, L-17.
        ("kyc", "service.verify", USER, "$.date_of_birth", "keep"),
        ("kyc", "service.verify", USER, "$.card_number", "mask last 4"),
        ("kyc", "service.verify", USER, "$.bank_account", "mask last 4"),
        // L-19, L-20.
        ("psp", "service.billing", USER, "$.card_number", "keep"),
        ("biz-partner", "service.billing", ORDER, "@.amount", "own lines"),
        // L-21: what the consent lists among these; that it lists it is asked for each person.
        ("linked-app", "service.instructed", USER, "$.email", "keep"),
        ("linked-app", "service.instructed", USER, "$.name", "remove"),
        // L-23.
        ("trust-team", "service.enforce", USER, "$.conduct[*]", "keep"),
        ("trust-team", "service.enforce", USER, "$.blocked", "keep"),
        ("user", "service.identify_users", USER, "$.conduct[*]", "remove"),
        // L-24: free text only scrubbed.
        ("call-centre", "service.support", ENQUIRY, "$.text", "scrub"),
        ("call-centre", "service.support", ENQUIRY, "$.fees", "keep"),
        ("call-centre", "service.support", USER, "$.bank_account", "remove"),
        // L-30 to L-32.
        ("loyalty-partner", "share.partner", USERS, "@.email", "keep"),
        ("loyalty-partner", "share.partner", USERS, "@.user_id", "pseudonym"),
        ("loyalty-partner", "share.partner", USERS, "@.nickname", "remove"),
        // L-33, L-34: what an order lists is asked for each request; claims are for one person.
        ("authority", "legal.order", USER, "$.name", "keep"),
        ("legal-counsel", "legal.claims", USER, "$.name", "keep"),
        ("legal-counsel", "legal.claims", USERS, "@.user_id", "remove"),
    ];
    for (recipient, purpose, route, selector, expected) in cases {
        let plan = plan("letsmasak", recipient, &[purpose], route);
        assert_eq!(action(&plan, selector), expected, "{recipient} {purpose} {route} {selector}");
    }
}

#[test]
fn we_lock_releases_what_its_text_promises() {
    let lock = "GET /api/locks/{lock_id}";
    let events = "GET /api/locks/{lock_id}/events";
    let account = "GET /api/account/{uid}";
    let answers = "GET /api/surveys/{survey_id}/answers";
    let notices = "GET /api/notices/{kind}/recipients";
    let logs = "GET /api/service-logs";
    let cases = [
        // K-03.
        ("lock-cloud", "service.lock", account, "$.nickname", "keep"),
        ("lock-cloud", "service.lock", account, "$.mobile", "remove"),
        // K-05.
        ("insight-team", "improve.research", answers, "@.choices", "keep"),
        ("insight-team", "improve.research", answers, "@.name", "remove"),
        ("event-desk", "events.prizes", answers, "@.home_address", "keep"),
        // K-15, K-16: the network's names leave for the lock's own cloud only.
        ("lock-cloud", "service.location", lock, "$.location", "keep"),
        ("lock-cloud", "service.lock", lock, "$.location", "remove"),
        ("lock-cloud", "service.lock", lock, "$.wifi.*", "keep"),
        ("insight-team", "improve.research", lock, "$.wifi.*", "remove"),
        ("insight-team", "improve.research", lock, "$.location", "generalise 0.1 deg"),
        // K-27: a grid as coarse as a city.
        ("app-personaliser", "personalise", lock, "$.location", "generalise 0.1 deg"),
        // K-28: the last three digits; how old events are is asked of each.
        ("support-partner", "service.support", lock, "$.guests[*].mobile", "mask last 3"),
        ("support-partner", "service.support", events, "@.kind", "keep"),
        // K-31: the most specific pattern decides over `device.*`.
        ("insight-team", "improve.research", lock, "$.device_id", "pseudonym yearly"),
        ("insight-team", "improve.research", lock, "$.battery", "generalise bucket 10"),
        ("insight-team", "improve.research", lock, "$.model", "keep"),
        // K-30, K-32.
        ("news-mailer", "marketing.news", notices, "@.mobile", "remove"),
        ("safety-mailer", "safety.notice", notices, "@.mobile", "keep"),
        // K-23, K-24: whether a cookie's id stands alone is asked of each element.
        (
            "ad-server",
            "marketing.personal_ads",
            "GET /api/ads/profiles",
            "@.cookie_id",
            "pseudonym",
        ),
        ("ad-server", "marketing.personal_ads", "GET /api/ads/profiles", "@.segment", "keep"),
        // K-33: fraud is investigated person by person, and the log is of many.
        ("fraud-desk", "fraud.investigate", logs, "@.ip", "remove"),
        // K-45.
        ("self", "rights.self", account, "$.mobile", "keep"),
        ("self", "rights.self", events, "@.kind", "keep"),
    ];
    for (recipient, purpose, route, selector, expected) in cases {
        let plan = plan("we-lock", recipient, &[purpose], route);
        assert_eq!(action(&plan, selector), expected, "{recipient} {purpose} {route} {selector}");
    }
}

#[test]
fn webllet_releases_what_its_text_promises() {
    let customer = "GET /v1/customers/{customer_id}";
    let payments = "GET /v1/customers/{customer_id}/payments";
    let newsletter = "GET /v1/newsletter/recipients";
    let visits = "GET /v1/analytics/visits";
    let ticket = "GET /v1/tickets/{ticket_id}";
    let cases = [
        // W-20, W-21.
        ("kyc-team", "service.identify", customer, "$.id_document.number", "keep"),
        ("help-desk", "service.support", customer, "$.id_document.number", "remove"),
        ("help-desk", "service.support", customer, "$.phone", "mask last 4"),
        ("help-desk", "service.support", ticket, "$.messages[*].text", "keep"),
        // W-22: the account is a pseudonym; how old payments and devices are is asked of each.
        ("fraud-engine", "fraud.detect", payments, "@.customer_id", "pseudonym"),
        ("fraud-engine", "fraud.detect", payments, "@.counterparty.name", "remove"),
        ("fraud-engine", "fraud.detect", payments, "@.device.ip", "keep"),
        ("help-desk", "service.support", payments, "@.amount", "keep"),
        ("legal-counsel", "legal.claims", customer, "$.name.*", "keep"),
        // W-24, W-25.
        ("research-team", "improve.research", customer, "$.birth_date", "generalise 5-year band"),
        ("mailer", "service.notice", newsletter, "@.email", "keep"),
        ("mailer", "service.notice", newsletter, "@.name", "remove"),
        // W-26, W-31.
        ("marketing-esp", "marketing.email", newsletter, "@.name", "first-word"),
        ("marketing-esp", "marketing.email", customer, "$.phone", "remove"),
        // W-36: web analytics sees visits of nobody.
        ("web-analytics", "improve.site", visits, "@.visitor_id", "pseudonym daily"),
        ("web-analytics", "improve.site", visits, "@.customer_id", "remove"),
        // W-63: own data.
        ("self", "rights.self", customer, "$.id_document.number", "keep"),
        ("self", "rights.self", customer, "$.risk_score", "keep"),
        // W-69: with a grant that is used up, and never what was inferred.
        ("bank-y", "rights.portability", customer, "$.email", "keep"),
        ("bank-y", "rights.portability", customer, "$.risk_score", "remove"),
    ];
    for (recipient, purpose, route, selector, expected) in cases {
        let plan = plan("webllet", recipient, &[purpose], route);
        assert_eq!(action(&plan, selector), expected, "{recipient} {purpose} {route} {selector}");
    }
}

#[test]
fn several_purposes_release_what_all_of_them_release() {
    let visits = "GET /v1/analytics/visits";
    let both = plan("webllet", "soc", &["improve.site", "security.monitor"], visits);
    assert_eq!(action(&both, "@.pages[*]"), "remove", "granted for one of two");
    let lock = "GET /api/locks/{lock_id}";
    let both = plan("we-lock", "lock-cloud", &["service.lock", "service.location"], lock);
    assert_eq!(action(&both, "$.owner.uid"), "keep");
    assert_eq!(action(&both, "$.location"), "remove");
    let cell = both.cells.iter().find(|cell| cell.selector == "$.location").expect("catalogued");
    assert_eq!(cell.because, "no grant for service.lock");
}

#[test]
fn needs_stand_at_the_whole_or_at_the_field() {
    use Need::{Consent, ExplicitConsent, Notice};
    let lock = "GET /api/locks/{lock_id}";
    let cases: [(&str, &str, &str, &str, &[Need]); 7] = [
        ("letsmasak", "ads-engine", "personalise.ads", USER, &[Consent]),
        ("letsmasak", "loyalty-partner", "share.partner", USERS, &[Consent, Notice]),
        // A third party for a purpose that the limit does not except.
        ("letsmasak", "biz-partner", "service.billing", ORDER, &[Consent, Notice]),
        ("letsmasak", "advertiser", "insight.partners", USER, &[]),
        ("letsmasak", "courier", "service.delivery", USER, &[]),
        ("we-lock", "partner-app", "consented.other", lock, &[ExplicitConsent]),
        ("we-lock", "lock-cloud", "service.lock", lock, &[]),
    ];
    for (policy, recipient, purpose, route, expected) in cases {
        let plan = plan(policy, recipient, &[purpose], route);
        assert_eq!(plan.needs, expected, "{policy} {recipient} {purpose}");
    }
    let needs_of = |plan: &Plan, selector: &str| {
        plan.cells.iter().find(|cell| cell.selector == selector).map(|cell| cell.needs.clone())
    };
    let cloud = plan("we-lock", "lock-cloud", &["service.lock"], lock);
    assert_eq!(needs_of(&cloud, "$.fingerprint"), Some(vec![ExplicitConsent]), "K-06, K-07");
    assert_eq!(needs_of(&cloud, "$.model"), Some(vec![]));
    let own = plan("we-lock", "self", &["rights.self"], lock);
    assert_eq!(needs_of(&own, "$.fingerprint"), Some(vec![]), "nobody consents to see their own");
}

#[test]
fn a_document_is_held_when_its_people_are_only_known_at_its_end() {
    for (policy, recipient, purpose, route, expected) in [
        ("letsmasak", "user", "service.order", ORDER, true),
        ("letsmasak", "courier", "service.delivery", USER, false),
        ("letsmasak", "mailer", "service.notices", USERS, false),
        ("letsmasak", "call-centre", "service.support", ENQUIRY, true),
    ] {
        let plan = plan(policy, recipient, &[purpose], route);
        assert_eq!(plan.holds_document, expected, "{route}");
    }
}

#[test]
fn the_line_that_decided_is_named() {
    let user = plan("letsmasak", "self", &["rights.self"], USER);
    let cell = |selector: &str| {
        user.cells.iter().find(|cell| cell.selector == selector).expect("catalogued")
    };
    let line = |selector: &str| {
        let text = super::text_of("letsmasak");
        let number = cell(selector).decided_by.line as usize;
        text.lines().nth(number - 1).expect("within the file").trim().to_owned()
    };
    assert!(line("$.card_number").starts_with("- {limit: payment.card_number"));
    assert_eq!(cell("$.card_number").because, "limit");
    assert!(line("$.email").starts_with("- {to: [self]"));
    assert_eq!(cell("$.email").because, "release");
}
