//! A misspelt key is a leak waiting to happen: each mapping of the language refuses one, says where
//! and, where a known key is near, which was meant.

use tamis::policy::Policy;

use super::text_of;

/// Policy, a key as it stands there (with enough around it to be found), and the mapping it is in.
const KEYS: &[(&str, &str, &str, &str)] = &[
    ("letsmasak", "\nlimits:", "limits", "the file"),
    ("letsmasak", "  conceal_as:", "conceal_as", "`policy`"),
    ("letsmasak", "{file: letsmasak.txt", "file", "`policy.source`"),
    ("webllet", "seat: HK, contact:", "contact", "`policy.controller`"),
    ("letsmasak", "{sensitive: true", "sensitive", "a category"),
    ("letsmasak", "balancing: LIA-1", "balancing", "a purpose"),
    ("letsmasak", "default_purpose: rights.self", "default_purpose", "a recipient"),
    ("letsmasak", "authenticate: {mtls:", "mtls", "`authenticate`"),
    ("letsmasak", "subject_is: account.id", "subject_is", "`jwt`"),
    ("letsmasak", "{ref: DPA-5", "ref", "`contract`"),
    ("letsmasak", "parties_only: [buyer", "parties_only", "a route"),
    ("letsmasak", "{is: account.id, of: buyer", "of", "a field"),
    ("letsmasak", "{k: 20, l:", "l", "`aggregate`"),
    ("letsmasak", "single_subject: true", "single_subject", "a grant"),
    ("webllet", "{phase: due-diligence}", "phase", "`while`"),
    ("letsmasak", "except_to: [psp]", "except_to", "a limit"),
    ("webllet", "when: {for: rights", "for", "`when`"),
    ("webllet", "third_parties: {needs:", "needs", "`third_parties`"),
    ("we-lock", "withhold: field", "withhold", "`sensitive`"),
    ("letsmasak", "{aggregate_routes: {limit:", "limit", "`aggregate_routes`"),
    ("letsmasak", "  notice:  {from: api", "notice", "`registers`"),
    ("letsmasak", "max_staleness: 5m", "max_staleness", "`registers.consent`"),
    ("letsmasak", "notice:  {from: api", "from", "`registers.notice`"),
    ("webllet", "gpc: {objects_to:", "gpc", "`registers.objection`"),
    ("webllet", "{objects_to:", "objects_to", "`gpc`"),
    ("webllet", "restriction: {from: api", "from", "`registers.restriction`"),
    ("webllet", "    webhook:    ", "webhook", "`registers.erasure`"),
    ("webllet", "url: \"https://dsr.webllet", "url", "a notice of erasures"),
    ("webllet", "approvers: 2", "approvers", "`registers.orders`"),
    ("we-lock", "{file: consents.jsonl}", "file", "a source of consents"),
    ("webllet", "  regions: {EEA", "regions", "`transfers`"),
    ("webllet", "{from: [route.region, directory], unknown:", "unknown", "`region_of_subject`"),
    ("webllet", "measure: {account.id", "measure", "a mechanism"),
    ("webllet", "{category: payment.*, after: 7y", "after", "a retention period"),
    ("webllet", "consent: cookies.preference", "consent", "a cookie"),
    ("webllet", "  referrer: origin", "referrer", "`access_log`"),
    ("webllet", "{from: [ip, user_agent], pseudonym: daily", "pseudonym", "a pseudonym in the log"),
    ("webllet", "hsts: 1y", "hsts", "`tls`"),
    ("webllet", "terms_header: {to_roles:", "to_roles", "`terms_header`"),
    ("webllet", "checkpoint: 5m", "checkpoint", "`ledger`"),
    ("we-lock", "policy_link: {to_categories:", "to_categories", "`policy_link`"),
    ("webllet", "roles_as_processor: {controllers:", "controllers", "`roles_as_processor`"),
    ("letsmasak", "{referrer_policy:", "referrer_policy", "`html_headers`"),
];

#[test]
fn a_misspelt_key_is_refused_in_every_mapping() {
    for (policy, around, key, mapping) in KEYS {
        let text = text_of(policy);
        assert!(text.contains(around), "{policy} has no `{around}`");
        let misspelt = format!("{key}x");
        let (before, after) = around.rsplit_once(key).expect("the key is part of it");
        let text = text.replacen(around, &format!("{before}{misspelt}{after}"), 1);
        let Err(rejected) = Policy::parse("rules.yaml", &text) else {
            panic!("`{misspelt}` in {mapping} was accepted");
        };
        let expected = format!("unknown key `{misspelt}` in {mapping}");
        let found = rejected.findings.iter().find(|finding| finding.message == expected);
        let found = found.unwrap_or_else(|| panic!("no `{expected}` in:\n{rejected}"));
        if key.len() > 2 {
            assert_eq!(found.help.as_deref(), Some(format!("did you mean `{key}`?").as_str()));
        }
        let line = text.lines().nth(found.place.line as usize - 1).expect("within the file");
        let written: String = line
            .chars()
            .skip(found.place.column as usize - 1)
            .take(found.place.length as usize)
            .collect();
        assert_eq!(written, misspelt, "the caret stands under the key");
    }
}

#[test]
fn an_open_subtree_refuses_a_misspelt_key() {
    let text = super::rejected::SMALL
        .replace("upstream: people", "upstream: people\n    open: [{subtre: \"$.meta\"}]");
    let rejected = Policy::parse("rules.yaml", &text).expect_err("misspelt");
    let messages: Vec<&str> = rejected.findings.iter().map(|one| one.message.as_str()).collect();
    assert!(messages.contains(&"unknown key `subtre` in an open member"), "{messages:?}");
}
