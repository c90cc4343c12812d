//! `pseudonym_scope` of a grant, and findings about it (T401, T122, T201).

use super::Compiler;
use super::meetings::shown;
use crate::action::Action;
use crate::action::pseudonym::Scope;
use crate::policy::model::{Grant, Limit, Policy, Show, ShowCell};
use crate::policy::retention::TooOld;
use crate::policy::syntax::{Findings, Node};

/// What a grant may say, and what once meant something.
#[derive(Clone, Copy)]
enum Said {
    Scope(Scope),
    Period,
    Global,
}

impl Compiler<'_> {
    /// A misspelt scope counts as the narrowest until it is mended.
    pub(super) fn pseudonym_scope(&mut self, node: &Node) -> Scope {
        let scopes = [
            ("recipient", Said::Scope(Scope::Recipient)),
            ("recipient+purpose", Said::Scope(Scope::RecipientAndPurpose)),
            ("case", Said::Scope(Scope::Case)),
            ("response", Said::Scope(Scope::Response)),
            ("recipient+period", Said::Period),
            ("global", Said::Global),
        ];
        match node.word(self.findings, "a scope of pseudonyms", &scopes) {
            None => Scope::Response,
            Some(Said::Scope(scope)) => scope,
            Some(Said::Period) => {
                let message = "a period is part of the action";
                let help = "write `pseudonym yearly`, `monthly`, `weekly` or `daily` under `show`";
                self.findings.error_with("T401", &node.place, message, Some(help.to_owned()));
                Scope::Response
            }
            Some(Said::Global) => {
                let message = "a pseudonym that is the same for everybody lets everybody join";
                self.findings.error("T401", &node.place, message);
                Scope::Response
            }
        }
    }
}

/// What would make a scope mean nothing, or a token that never opens.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    for grant in policy.grants.iter().filter(|grant| grant.scope != Scope::Recipient) {
        without_a_case(policy, grant, findings);
        let Show::Cells(cells) = &grant.show else { continue };
        for cell in cells.iter().filter(|cell| cell.action == Action::Token) {
            let message =
                format!("a token within the scope `{}` could never come back", grant.scope);
            let help = "write `pseudonym`, or grant the tokens without `pseudonym_scope`";
            findings.error_with("T401", &cell.place, message, Some(help.to_owned()));
        }
        if !cells.iter().any(is_pseudonym) && !others_pseudonymise(policy) {
            let message = "`pseudonym_scope`, and nothing here is shown as a pseudonym";
            findings.warn("T122", &grant.place, message, None);
        }
    }
    differing(policy, findings);
}

fn without_a_case(policy: &Policy, grant: &Grant, findings: &mut Findings) {
    let needs_none = |id: &&_| policy.purposes.get(*id).is_some_and(|purpose| !purpose.needs_case);
    let purpose = grant.purposes.iter().find(needs_none);
    if let Some(purpose) = purpose.filter(|_| grant.scope.ends_with_case()) {
        let message = format!("pseudonyms of a case, and `{purpose}` is used without one");
        let help = format!("write `needs_case: true` at `{purpose}`");
        findings.error_with("T401", &grant.place, message, Some(help));
    }
}

fn is_pseudonym(cell: &ShowCell) -> bool {
    matches!(cell.action, Action::Pseudonym(_) | Action::Fpe)
}

/// Whether anything but a grant can make a pseudonym of what it shows.
fn others_pseudonymise(policy: &Policy) -> bool {
    let mut limits = policy.limits.iter().filter_map(|limit| match limit {
        Limit::AtLeast { to, .. } => Some(to),
        Limit::ThirdParties { .. }
        | Limit::Sensitive { .. }
        | Limit::Minors { .. }
        | Limit::Disputed { .. } => None,
    });
    let one = |action: &Action| matches!(action, Action::Pseudonym(_) | Action::Fpe);
    limits.any(|to| to.iter().any(one))
        || policy.retention.iter().any(|period| period.then == TooOld::Pseudonymise)
        || policy
            .transfers
            .iter()
            .flat_map(|transfers| &transfers.table)
            .any(|mechanism| mechanism.measure.iter().any(is_pseudonym))
}

/// T201: the narrower of two scopes applies, and whoever wrote the wider one should know.
fn differing(policy: &Policy, findings: &mut Findings) {
    for (at, grant) in policy.grants.iter().enumerate() {
        for other in &policy.grants[..at] {
            let together = grant.scope != other.scope
                && grant.to.iter().any(|to| other.to.contains(to))
                && grant.purposes.iter().any(|purpose| other.purposes.contains(purpose));
            let both = policy.categories.keys().find(|category| {
                let pseudonym = |grant| shown(grant, category).is_some_and(is_pseudonym);
                together && pseudonym(grant) && pseudonym(other)
            });
            if let Some(category) = both {
                let message = format!(
                    "pseudonyms of {category} within `{}` here and within `{}` in line {}",
                    grant.scope, other.scope, other.place.line
                );
                let joined = grant.scope.join(other.scope);
                let help = Some(format!("both apply, which comes to `{joined}`; write it once"));
                findings.warn("T201", &grant.place, message, help);
            }
        }
    }
}
