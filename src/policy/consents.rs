//! For whom it matters what people have consented to.

use super::Policy;
use super::model::{Limit, Need, Show};
use crate::terms::{RecipientId, Role};

impl Policy {
    /// Whether something of what `recipient` may get rests on a consent: on the basis of one of its
    /// purposes, on what a grant or a limit needs, or on how data are transferred. Where nothing does,
    /// nobody has to be asked what people have consented to.
    #[must_use]
    pub fn rests_on_consent(&self, recipient: &RecipientId) -> bool {
        let Some(known) = self.recipients.get(recipient).filter(|_| self.registers.consent) else {
            return false;
        };
        let by_purpose = known.purposes.iter().any(|purpose| {
            self.purposes.get(purpose).is_some_and(|purpose| purpose.basis.rests_on_consent())
        });
        let by_grant = self
            .grants
            .iter()
            .filter(|grant| grant.to.contains(recipient))
            .any(|grant| is_consent(&grant.needs) || matches!(grant.show, Show::ByConsent(_)));
        let by_limit = self.limits.iter().any(|limit| match limit {
            Limit::ThirdParties { needs, .. } => {
                known.role == Role::ThirdParty && is_consent(needs)
            }
            Limit::Sensitive { needs, .. } => is_consent(needs),
            Limit::AtLeast { .. } | Limit::Minors { .. } | Limit::Disputed { .. } => false,
        });
        let by_transfer = self.transfers.as_ref().is_some_and(|transfers| {
            transfers.table.iter().any(|mechanism| mechanism.consent.is_some())
        });
        by_purpose || by_grant || by_limit || by_transfer
    }
}

/// Whether one of these needs is a consent.
fn is_consent(needs: &[Need]) -> bool {
    needs.iter().any(|need| match need {
        Need::Consent | Need::ExplicitConsent | Need::ListedConsent => true,
        Need::Notice | Need::OneTimeGrant => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    #[test]
    fn consents_matter_to_whom_a_purpose_a_grant_or_a_limit_asks_for_them() {
        let rules = include_str!("../../tests/cases/gateway.rules.yaml");
        let matters = |rules: &str, to: &str| {
            let policy = Policy::parse("rules.yaml", rules).expect("it loads");
            policy.rests_on_consent(&to.into())
        };
        for (to, expected) in
            [("partner", true), ("courier", false), ("desk", false), ("nobody", false)]
        {
            assert_eq!(matters(rules, to), expected, "{to}");
        }
        let needing =
            rules.replace("for: [service.parcel],", "for: [service.parcel], needs: [consent],");
        assert_ne!(needing, rules);
        assert!(matters(&needing, "courier") && !matters(&needing, "desk"));
    }
}
