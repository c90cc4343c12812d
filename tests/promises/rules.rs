//! t
use tamis::policy::{Look, Policy, render};
#[test]
fn drafts() {
    for p in ["letsmasak", "we-lock", "webllet"] {
        let text = std::fs::read_to_string(format!("rules/{p}/rules.yaml")).unwrap();
        match Policy::parse(p, &text) {
            Ok(policy) => {
                println!("{}", render(&policy.warnings, &text, Look::Plain));
                for u in &policy.unenforced {
                    println!("{}: {} -> {}", u.place, u.what, u.effect);
                }
            }
            Err(e) => println!("{e}"),
        }
    }
}
