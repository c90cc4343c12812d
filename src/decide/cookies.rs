//! Which cookies a person agreed to. A cookie is set for one browser and read by the backend, so it
//! is nobody's disclosure: what decides is the word of the person who is signed in, for the purpose
//! that the rules give the cookie. Whoever is not known has agreed to nothing.
//! Source: Directive 2002/58/EC Art. 5(3); GDPR Art. 4(11), 7.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::subject::{Asker, covered, is_erased, is_for_adults, restricts_all, valid_consents};
use crate::policy::Policy;
use crate::policy::model::Need;
use crate::terms::{AgeClass, LegalBasis, PurposeId, RecipientId, Statements};

/// The purposes of cookies that this person agreed to, as of `now`. `gpc`: the request objects by
/// `Sec-GPC: 1` where the rules say so.
#[must_use]
pub fn agreed_cookies(
    policy: &Policy,
    recipient: &RecipientId,
    said: &Statements,
    gpc: bool,
    now: Timestamp,
) -> BTreeSet<PurposeId> {
    let purposes: BTreeSet<&PurposeId> =
        policy.cookies.values().filter_map(|cookie| cookie.consent.as_ref()).collect();
    let agreed = |purpose: &PurposeId| {
        let Some(rules) = policy.purposes.get(purpose) else { return false };
        let objected = said
            .objections
            .iter()
            .any(|objection| objection.since <= now && objection.purpose.covers(purpose))
            || (gpc && covered(&policy.registers.gpc_objects_to, purpose));
        let too_young = is_for_adults(policy, purpose) && said.age != AgeClass::Adult;
        let need = match rules.basis {
            LegalBasis::ExplicitConsent => Need::ExplicitConsent,
            _ => Need::Consent,
        };
        let asker = Asker { policy, recipient, must_be_named: rules.consent_names_recipient };
        !objected
            && !too_young
            && !is_erased(said, now)
            && !restricts_all(said, now)
            && valid_consents(&asker, purpose, need, said, now).is_ok()
    };
    purposes.into_iter().filter(|purpose| agreed(purpose)).cloned().collect()
}
