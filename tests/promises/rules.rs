//! Rules: what the three policies release, what is rejected and how it is said, and the laws that
//! hold for any rules at all.

mod compared;
mod differences;
mod documented;
mod laws;
mod matrix;
mod rejected;
mod routes;
mod typos;

use tamis::policy::Policy;

/// The policies in `rules/`.
const POLICIES: [&str; 3] = ["letsmasak", "we-lock", "webllet"];

fn text_of(policy: &str) -> String {
    let path = format!("{}/rules/{policy}/rules.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the policy is part of the repository")
}

fn load(policy: &str) -> Policy {
    Policy::parse("rules.yaml", &text_of(policy))
        .unwrap_or_else(|rejected| panic!("{policy} is rejected:\n{rejected}"))
}
