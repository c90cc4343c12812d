//! Findings that need the whole policy: what is declared and never used, granted and never
//! reachable, or lawful only at first sight.

use std::collections::{BTreeMap, BTreeSet};

use super::{care, meetings, region, scope};
use crate::action::Action;
use crate::action::pseudonym::Canonical;
use crate::policy::model::{
    Authenticator, Form, Grant, Limit, LogSource, Mechanism, Need, Policy, Recipient, Route, Show,
};
use crate::policy::overlap::may_meet;
use crate::policy::syntax::Findings;
use crate::policy::{Place, Selector};
use crate::terms::{CategoryId, LegalBasis, RecipientId, Role};

/// What the rules declare and the policy does not hold.
pub(super) struct Declared<'a> {
    pub(super) consent_register: bool,
    pub(super) order_register: bool,
    pub(super) category_places: &'a BTreeMap<CategoryId, Place>,
    /// Of members of a request's body.
    pub(super) bound_elsewhere: &'a [CategoryId],
    pub(super) withheld_on_purpose: &'a [CategoryId],
    /// Whether the rules name a law by which they are to be judged.
    pub(super) profiles: bool,
}

/// All findings about a policy as a whole.
pub(super) fn lint(policy: &Policy, declared: &Declared<'_>, findings: &mut Findings) {
    grants(policy, declared, findings);
    authorities(policy, declared, findings);
    region::lint(policy, findings);
    permuted_into_real_ones(policy, findings);
    scope::lint(policy, findings);
    cookies(policy, findings);
    // What is unused in rules with an error is mostly so because of the error.
    if findings.has_error() {
        return;
    }
    categories(policy, declared, findings);
    unused_purposes(policy, findings);
    sensitive_in_clear(policy, findings);
    guessable(policy, findings);
    beside_the_log(policy, findings);
    meeting_selectors(policy, findings);
    super::links::lint(&policy.routes, findings);
    super::member_names::lint(policy, findings);
    countries(policy, findings);
    derogations(policy, findings);
    meetings::lint(policy, findings);
    care::lint(policy, declared, findings);
}

/// T301: what a person agrees to for a cookie must be something that rests on that.
fn cookies(policy: &Policy, findings: &mut Findings) {
    for (name, cookie) in &policy.cookies {
        let purpose = cookie.consent.as_ref().and_then(|id| Some((id, policy.purposes.get(id)?)));
        if let Some((id, purpose)) = purpose
            && !purpose.basis.rests_on_consent()
        {
            let message =
                format!("the cookie `{name}` needs consent to `{id}`, which rests on none");
            let help = Some("give that purpose `basis: consent`".to_owned());
            findings.error_with("T301", &cookie.place, message, help);
        }
    }
}

/// T110, T111.
fn categories(policy: &Policy, declared: &Declared<'_>, findings: &mut Findings) {
    let bound: BTreeSet<&CategoryId> = policy.routes.iter().flat_map(Route::categories).collect();
    for (category, place) in declared.category_places {
        if !bound.contains(category) && !declared.bound_elsewhere.contains(category) {
            let message = format!("category `{category}` is bound to no field");
            findings.warn("T111", place, message, None);
            continue;
        }
        let granted = policy.grants.iter().any(|grant| mentions(grant, category));
        if !granted && !declared.withheld_on_purpose.contains(category) {
            let message = format!("category `{category}` is released to nobody");
            let help = Some("list it under `withheld_on_purpose` if that is meant".to_owned());
            findings.warn("T110", place, message, help);
        }
    }
}

fn mentions(grant: &Grant, category: &CategoryId) -> bool {
    match &grant.show {
        Show::Cells(cells) => cells.iter().any(|cell| cell.pattern.covers(category)),
        Show::ByOrder => true,
        Show::ByConsent(among) => among.contains(category),
    }
}

/// T120.
fn grants(policy: &Policy, declared: &Declared<'_>, findings: &mut Findings) {
    for grant in &policy.grants {
        for id in &grant.to {
            let Some(recipient) = policy.recipients.get(id) else { continue };
            for purpose in &grant.purposes {
                if !recipient.purposes.contains(purpose) {
                    let message =
                        format!("`{id}` may not use `{purpose}`: the grant is never reached");
                    let help =
                        format!("add `{purpose}` to `purposes` of `{id}`, or take it out here");
                    findings.error_with("T120", &grant.place, message, Some(help));
                }
            }
            if let Some(phase) = &grant.phase
                && recipient.phase.as_ref() != Some(phase)
            {
                let message = format!("`{id}` is not in the phase `{phase}`");
                findings.warn("T120", &grant.place, message, None);
            }
        }
        for id in grant.to.iter().filter(|_| shows_own_lines(grant)) {
            let Some(recipient) = policy.recipients.get(id) else { continue };
            if recipient.party.is_none() && !has_a_person(recipient) {
                let message = format!("`{id}` is a party of nothing: its own lines are none");
                let help = "write `party: <its id in documents>` at the recipient";
                findings.warn("T120", &grant.place, message, Some(help.to_owned()));
            }
        }
        let on_consent = grant.purposes.iter().find(|purpose| {
            policy.purposes.get(*purpose).is_some_and(|purpose| purpose.basis.rests_on_consent())
        });
        let needs_consent =
            grant.needs.iter().any(|need| matches!(need, Need::Consent | Need::ExplicitConsent))
                || matches!(grant.show, Show::ByConsent(_));
        if (on_consent.is_some() || needs_consent) && !declared.consent_register {
            let message = "it rests on consent, and there is no consent register";
            let help = Some("write `registers: {consent: {from: api}}`".to_owned());
            findings.error_with("T120", &grant.place, message, help);
        }
    }
}

fn shows_own_lines(grant: &Grant) -> bool {
    match &grant.show {
        Show::Cells(cells) => cells.iter().any(|cell| cell.action == Action::OwnLines),
        Show::ByOrder | Show::ByConsent(_) => false,
    }
}

/// Whether a credential of the recipient can name a person who asks.
fn has_a_person(recipient: &Recipient) -> bool {
    let by_token = |one: &Authenticator| matches!(one, Authenticator::Jwt { .. });
    (recipient.role.is_person() || recipient.role == Role::Internal)
        && recipient.authenticate.iter().any(by_token)
}

/// T121.
fn unused_purposes(policy: &Policy, findings: &mut Findings) {
    for (id, recipient) in &policy.recipients {
        for purpose in &recipient.purposes {
            let granted = policy
                .grants
                .iter()
                .any(|grant| grant.to.contains(id) && grant.purposes.contains(purpose));
            if !granted {
                let message = format!("`{id}` may use `{purpose}` and is granted nothing for it");
                findings.warn("T121", &recipient.place, message, None);
            }
        }
    }
}

/// T205.
fn sensitive_in_clear(policy: &Policy, findings: &mut Findings) {
    let asked_for_all = policy.limits.iter().any(|limit| match limit {
        Limit::Sensitive { needs, .. } => needs.contains(&Need::ExplicitConsent),
        Limit::AtLeast { .. }
        | Limit::ThirdParties { .. }
        | Limit::Minors { .. }
        | Limit::Disputed { .. } => false,
    });
    if asked_for_all {
        return;
    }
    for grant in &policy.grants {
        let Show::Cells(cells) = &grant.show else { continue };
        let own = grant.only_own || all_own(policy, &grant.to);
        let lawful = grant.purposes.iter().all(|purpose| {
            policy.purposes.get(purpose).is_some_and(|purpose| {
                matches!(purpose.basis, LegalBasis::ExplicitConsent | LegalBasis::LegalObligation)
            })
        });
        if own || lawful || grant.needs.contains(&Need::ExplicitConsent) {
            continue;
        }
        for cell in cells.iter().filter(|cell| cell.action == Action::Keep) {
            let sensitive = policy
                .categories
                .iter()
                .find(|(id, category)| category.sensitive && cell.pattern.covers(id));
            if let Some((category, _)) = sensitive {
                let message = format!("sensitive `{category}` is kept without explicit consent");
                let help = "add `needs: [explicit-consent]`, mask it, or rest the purpose on a law";
                findings.warn("T205", &cell.place, message, Some(help.to_owned()));
            }
        }
    }
}

/// T410.
fn guessable(policy: &Policy, findings: &mut Findings) {
    let cells = policy.grants.iter().filter_map(|grant| match &grant.show {
        Show::Cells(cells) => Some(cells),
        Show::ByOrder | Show::ByConsent(_) => None,
    });
    for cell in cells.flatten() {
        if !matches!(cell.action, Action::Pseudonym(_) | Action::Token | Action::Fpe) {
            continue;
        }
        let low = policy
            .categories
            .iter()
            .find(|(id, category)| category.low_entropy && cell.pattern.covers(id));
        if let Some((category, _)) = low {
            let message = format!("`{category}` has few values: they can be told apart by count");
            let help = "a pseudonym hides who it is only among many; mask or generalise it";
            findings.warn("T410", &cell.place, message, Some(help.to_owned()));
        }
    }
}

/// T410 for what the access log has a pseudonym of too. Its key is no other's, so that nothing joins by
/// the text; who holds both can still match them by time and count.
fn beside_the_log(policy: &Policy, findings: &mut Findings) {
    let log = &policy.access_log;
    let written = |field: &str| log.fields.iter().any(|one| one == field);
    let sources = [("visitor", &log.visitor), ("device", &log.device)];
    let sources: Vec<(&str, &LogSource)> = sources
        .into_iter()
        .filter(|(field, _)| written(field))
        .flat_map(|(field, sources)| sources.iter().map(move |source| (field, source)))
        .collect();
    for grant in &policy.grants {
        let Show::Cells(cells) = &grant.show else { continue };
        for (id, category) in &policy.categories {
            let shown = cells
                .iter()
                .filter(|cell| cell.pattern.covers(id))
                .max_by_key(|cell| cell.pattern.specificity())
                .filter(|cell| matches!(cell.action, Action::Pseudonym(_)));
            let same = sources.iter().find(|(_, source)| source.tells(id, category.canonical));
            if let (Some(cell), Some((field, _))) = (shown, same) {
                let message = format!(
                    "{id} is a pseudonym here, and `{field}` of the access log is one of the same"
                );
                let help = "who sees both can match them by time: let nobody have both";
                findings.warn("T410", &cell.place, message, Some(help.to_owned()));
            }
        }
    }
}

/// T401 of `fpe`: digits that are permuted into digits of the same form are somebody else's phone
/// number or card.
fn permuted_into_real_ones(policy: &Policy, findings: &mut Findings) {
    let cells = policy.grants.iter().filter_map(|grant| match &grant.show {
        Show::Cells(cells) => Some(cells),
        Show::ByOrder | Show::ByConsent(_) => None,
    });
    for cell in cells.flatten().filter(|cell| cell.action == Action::Fpe) {
        let real = policy.categories.iter().find(|(id, category)| {
            let opaque = matches!(category.canonical, Canonical::Text | Canonical::Decimal);
            !opaque && cell.pattern.covers(id)
        });
        if let Some((category, _)) = real {
            let message = format!("`fpe` of `{category}` could be somebody else's real one");
            let help = "`fpe` is for opaque numbers; use `pseudonym`, `token` or a mask";
            findings.error_with("T401", &cell.place, message, Some(help.to_owned()));
        }
    }
}

fn all_own(policy: &Policy, to: &[RecipientId]) -> bool {
    to.iter().all(|id| policy.recipients.get(id).is_some_and(|to| to.role == Role::Own))
}

/// T211.
fn meeting_selectors(policy: &Policy, findings: &mut Findings) {
    // A tunnel has no members.
    for route in policy.routes.iter().filter(|route| route.tunnel.is_none()) {
        // What a name says and what stands under it are two things.
        let values = route.fields.iter().filter(|field| field.form != Form::Name);
        let fields = values.map(|field| (&field.selector, Some(&field.category), &field.place));
        let open = route.open.iter().map(|open| (&open.selector, None, &open.place));
        let places: Vec<(&Selector, Option<&CategoryId>, &Place)> = fields.chain(open).collect();
        for (at, (selector, category, place)) in places.iter().enumerate() {
            for (other, other_category, _) in &places[..at] {
                // Several fields of one link: each speaks of its own values.
                let of_one_link = category.is_some()
                    && other_category.is_some()
                    && selector.text == other.text
                    && selector.text.starts_with("url(");
                if category != other_category && !of_one_link && may_meet(selector, other) {
                    let name = |category: Option<&CategoryId>| {
                        category.map_or("not personal".to_owned(), ToString::to_string)
                    };
                    let message = format!(
                        "`{}` ({}) and `{}` ({}) can select the same member",
                        selector.text,
                        name(*category),
                        other.text,
                        name(*other_category),
                    );
                    let help = Some("the stricter of both applies there".to_owned());
                    findings.warn("T211", place, message, help);
                }
            }
        }
    }
}

/// T310 as far as it does not depend on the day.
fn countries(policy: &Policy, findings: &mut Findings) {
    let Some(transfers) = &policy.transfers else { return };
    for (id, recipient) in &policy.recipients {
        if recipient.role.is_person() {
            continue;
        }
        let Some(country) = &recipient.country else {
            let message = format!("`{id}` names no country, so nothing is transferred to it");
            findings.warn("T310", &recipient.place, message, None);
            continue;
        };
        if !transfers.allowed.iter().any(|allowed| transfers.is_within(country, allowed)) {
            let message = format!("`{id}` is in {country}, which is no allowed country");
            findings.warn("T310", &recipient.place, message, None);
        }
    }
}

/// T310 for consent to a transfer, which is for single cases: a list never leaves by it.
fn derogations(policy: &Policy, findings: &mut Findings) {
    let Some(transfers) = &policy.transfers else { return };
    for mechanism in transfers.table.iter().filter(|mechanism| mechanism.consent.is_some()) {
        for (id, recipient) in &policy.recipients {
            let Some(country) = &recipient.country else { continue };
            let leads_there = |mechanism: &Mechanism| {
                let to = &mechanism.to;
                to.is_empty() || to.iter().any(|to| transfers.is_within(country, to))
            };
            let otherwise = transfers.table.iter().any(|other| {
                other.consent.is_none() && !other.aggregates_only && leads_there(other)
            });
            if recipient.role.is_person() || otherwise || !leads_there(mechanism) {
                continue;
            }
            let granted = |category: &CategoryId| {
                policy.grants.iter().any(|grant| grant.to.contains(id) && mentions(grant, category))
            };
            let bulk = policy.routes.iter().find(|route| {
                route.each.is_some() && route.aggregate.is_none() && route.categories().any(granted)
            });
            if let Some(route) = bulk {
                let message = format!(
                    "`{}` shows many people to `{id}`, and `derogation-consent` is for one at a time",
                    route.id
                );
                let help = "name a mechanism for regular transfers (GDPR Art. 45, 46), or take \
                            the list away from this recipient";
                findings.error_with("T310", &mechanism.place, message, Some(help.to_owned()));
            }
        }
    }
}

/// T302 for authorities.
fn authorities(policy: &Policy, declared: &Declared<'_>, findings: &mut Findings) {
    for (id, recipient) in &policy.recipients {
        if recipient.role == Role::Authority && !declared.order_register {
            let message = format!("authority `{id}` and no register of orders");
            let help = Some("write `registers: {orders: {from: api}}`".to_owned());
            findings.error_with("T302", &recipient.place, message, help);
        }
    }
    for grant in policy.grants.iter().filter(|grant| matches!(grant.show, Show::ByOrder)) {
        for id in &grant.to {
            let role = policy.recipients.get(id).map(|recipient| recipient.role);
            if role.is_some_and(|role| role != Role::Authority) {
                let message = format!("`show: by-order` is for authorities, and `{id}` is none");
                findings.error("T302", &grant.place, message);
            }
        }
    }
}
