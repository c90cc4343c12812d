//! Selectors that are each right, and of which together no plan can be made (T103). The gateway would
//! refuse every request for it; who writes rules is to hear of it first.

use crate::policy::model::Route;
use crate::policy::path::Step;
use crate::policy::syntax::Findings;
use crate::policy::{Plan, Policy, Selector};

/// More fields than this are tried whatever they look like.
const MANY: usize = 200;

pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    let served = |route: &Route| route.serve.is_none();
    for (index, route) in policy.routes.iter().enumerate() {
        if !served(route) || !may_fail(route) {
            continue;
        }
        let uses = policy.recipients.iter().flat_map(|(id, recipient)| {
            recipient.purposes.iter().map(move |purpose| (id, std::slice::from_ref(purpose)))
        });
        let mut plans = uses.map(|(id, purpose)| Plan::build(policy, index, id, purpose));
        if let Some(error) = plans.find_map(Result::err) {
            findings.error("T103", &route.place, error.to_string());
        }
    }
}

/// Names and wildcards, and not too many of them, always make a plan.
fn may_fail(route: &Route) -> bool {
    let fields = route.fields.iter().map(|field| &field.selector);
    let mut all = fields.chain(route.open.iter().map(|open| &open.selector));
    let is_plain = |selector: &Selector| {
        selector.segments.iter().all(|segment| {
            let plain = |step: &Step| matches!(step, Step::Name(_) | Step::Wildcard);
            !segment.descendant && segment.steps.iter().all(plain)
        })
    };
    route.fields.len() + route.open.len() > MANY || !all.all(is_plain)
}
