//! Findings about what a careful reader would ask: an open member that looks personal (T210), a
//! filter on what nobody gets (T230), consent that is none
//! (T320), data without a period (T330) or without a date (T331), data that can be linked (T420).

use std::collections::{BTreeMap, BTreeSet};

use super::lint::Declared;
use super::meetings::shown;
use crate::action::pseudonym::Scope;
use crate::action::{Action, Period};
use crate::policy::model::{Grant, Policy, QueryParameter, Route};
use crate::policy::path::Step;
use crate::policy::plan::Plan;
use crate::policy::retention::date_of;
use crate::policy::syntax::Findings;
use crate::terms::{CategoryId, PurposeId, RecipientId, Role};

/// Names of members that hold personal data nearly everywhere. Compared without case and separators.
/// A name that things have as well (`id`, `title`, `number`) is not here: a finding that is mostly
/// wrong is not read.
const PERSONAL_NAMES: [&str; 48] = [
    "address",
    "addressline1",
    "addressline2",
    "bankaccount",
    "birthdate",
    "birthday",
    "bssid",
    "cardnumber",
    "cookieid",
    "dateofbirth",
    "deviceid",
    "dob",
    "email",
    "emailaddress",
    "familyname",
    "fingerprint",
    "firstname",
    "fullname",
    "geolocation",
    "geotag",
    "givenname",
    "gps",
    "homeaddress",
    "iban",
    "ip",
    "ipaddress",
    "lastname",
    "lat",
    "latitude",
    "lng",
    "longitude",
    "mailingaddress",
    "middlename",
    "mobile",
    "nationalid",
    "nickname",
    "pan",
    "passport",
    "passportnumber",
    "phone",
    "phonenumber",
    "postalcode",
    "postcode",
    "ssn",
    "street",
    "surname",
    "telephone",
    "username",
];

/// All findings of this kind.
pub(super) fn lint(policy: &Policy, declared: &Declared<'_>, findings: &mut Findings) {
    for route in &policy.routes {
        looks_personal(route, findings);
    }
    queries(policy, findings);
    dates(policy, findings);
    if declared.profiles {
        periods(policy, declared, findings);
        linkage(policy, findings);
    }
}

/// Whether a member's name says that it is about a person.
pub(crate) fn is_personal_name(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    PERSONAL_NAMES.binary_search(&plain.as_str()).is_ok()
}

/// T210.
fn looks_personal(route: &Route, findings: &mut Findings) {
    for open in route.open.iter().filter(|open| !open.not_personal) {
        let names = open.selector.segments.iter().flat_map(|segment| &segment.steps);
        let mut spelt = names.filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Wildcard | Step::Index(_) | Step::Slice { .. } | Step::Filter(_) => None,
        });
        if let Some(name) = spelt.next_back().filter(|name| is_personal_name(name)) {
            let message = format!("`{name}` looks personal and is open to everybody");
            let help = format!(
                "list it under `fields` with its category; if it is about no person, write \
                 `{{not_personal: \"{}\"}}`",
                open.selector.text
            );
            findings.error_with("T210", &open.place, message, Some(help));
        }
    }
}

/// T230.
fn queries(policy: &Policy, findings: &mut Findings) {
    for (index, route) in policy.routes.iter().enumerate() {
        for (name, parameter) in &route.query {
            let QueryParameter::Category(category) = parameter else { continue };
            let is_answered =
                anybody_gets_in_clear(policy, index, category) || policy.issues_tokens_of(category);
            if !is_answered {
                let message = format!(
                    "`{name}` filters on {category}, which nobody gets in clear or as a token"
                );
                let help = "an answer would tell who has the value that was asked for";
                findings.error_with("T230", &route.place, message, Some(help.to_owned()));
            }
        }
    }
}

fn anybody_gets_in_clear(policy: &Policy, route: usize, category: &CategoryId) -> bool {
    policy.recipients.iter().any(|(id, recipient)| {
        recipient.purposes.iter().any(|purpose| {
            Plan::build(policy, route, id, std::slice::from_ref(purpose)).is_ok_and(|plan| {
                plan.cells.iter().any(|cell| {
                    cell.category.as_ref() == Some(category) && cell.action.may_be_queried()
                })
            })
        })
    })
}

/// T330.
fn periods(policy: &Policy, declared: &Declared<'_>, findings: &mut Findings) {
    let bound: BTreeSet<&CategoryId> = policy.routes.iter().flat_map(Route::categories).collect();
    let without: Vec<&CategoryId> = bound
        .into_iter()
        .filter(|category| {
            !policy.retention.iter().any(|period| period.categories.covers(category))
        })
        .collect();
    let Some(place) = without.first().and_then(|first| declared.category_places.get(*first)) else {
        return;
    };
    let names: Vec<&str> = without.iter().take(4).map(|category| category.as_str()).collect();
    let more = if without.len() > names.len() { ", …" } else { "" };
    let message = format!(
        "{} categories have no retention period: {}{more}",
        without.len(),
        names.join(", ")
    );
    let help = "the controller must know for how long (GDPR Art. 5(1)(e)); see `retention`";
    findings.warn("T330", place, message, Some(help.to_owned()));
}

/// T331.
fn dates(policy: &Policy, findings: &mut Findings) {
    let dated = |route: &&Route| route.aggregate.is_none();
    for route in policy.routes.iter().filter(dated) {
        for period in &policy.retention {
            let members = route.fields.iter().map(|field| &field.category);
            let members = members.filter(|one| date_of(route, period, one).is_none());
            // No date stands beside a header.
            let headers = route.answer_headers.iter().filter_map(|one| one.category.as_ref());
            let without: BTreeSet<&str> = members
                .chain(headers)
                .filter(|category| period.categories.covers(category))
                .map(CategoryId::as_str)
                .collect();
            if without.is_empty() {
                continue;
            }
            let names: Vec<&str> = without.into_iter().collect();
            let message = format!(
                "nobody can say how old {} is: it leaves only for purposes without a period",
                names.join(", ")
            );
            let help = match &period.start {
                Some(start) => format!("catalogue `{}`, or write `since`", start.text),
                None => "write where its date stands: `since: {<category>: <selector>}`".to_owned(),
            };
            findings.warn("T331", &route.place, message, Some(help));
        }
    }
}

/// Where a pseudonym is made, as far as a purpose does not part it; `None`: as a token.
type Domain = Option<(Scope, Period)>;

/// T420.
fn linkage(policy: &Policy, findings: &mut Findings) {
    for grant in &policy.grants {
        for recipient in &grant.to {
            quasi_identifiers(policy, grant, recipient, findings);
        }
    }
    let mut seen: BTreeMap<(&RecipientId, &CategoryId), (&PurposeId, Domain)> = BTreeMap::new();
    for grant in &policy.grants {
        for (recipient, category) in grant
            .to
            .iter()
            .flat_map(|to| policy.categories.keys().map(move |category| (to, category)))
        {
            let Some(cell) = shown(grant, category) else { continue };
            let period = match cell.action {
                Action::Pseudonym(_)
                    if grant.scope.by_purpose() || grant.scope == Scope::Response =>
                {
                    continue;
                }
                Action::Pseudonym(period) => Some((grant.scope, period)),
                Action::Token => None,
                _ => continue,
            };
            for purpose in &grant.purposes {
                match seen.get(&(recipient, category)) {
                    Some((other, same)) if *other != purpose && *same == period => {
                        let message = format!(
                            "`{recipient}` can link {category} of `{other}` with that of `{purpose}`"
                        );
                        let help = "both are made in one domain; write `pseudonym_scope: recipient+purpose`";
                        findings.warn("T420", &cell.place, message, Some(help.to_owned()));
                    }
                    Some(_) => {}
                    None => {
                        seen.insert((recipient, category), (purpose, period));
                    }
                }
            }
        }
    }
}

/// Postal code, birth date or age, and gender together tell most people apart.
/// Source: L. Sweeney, "Simple Demographics Often Identify People Uniquely", 2000.
fn quasi_identifiers(
    policy: &Policy,
    grant: &Grant,
    recipient: &RecipientId,
    findings: &mut Findings,
) {
    let role = policy.recipients.get(recipient).map(|recipient| recipient.role);
    if role == Some(Role::Own) || grant.aggregate_only {
        return;
    }
    let kept = |names: [&str; 3]| {
        policy.categories.keys().find_map(|category| {
            let last = category.as_str().rsplit('.').next().unwrap_or_default();
            let cell = shown(grant, category).filter(|cell| cell.action == Action::Keep)?;
            names.contains(&last).then_some(cell)
        })
    };
    let where_from = kept(["postal_code", "postcode", "zip"]);
    let how_old = kept(["birth_date", "date_of_birth", "age"]);
    let gender = kept(["gender", "sex", "gender_identity"]);
    if let (Some(cell), Some(_), Some(_)) = (where_from, how_old, gender) {
        let message = format!(
            "postal code, age and gender together tell people apart; `{recipient}` gets all in clear"
        );
        let help = "generalise two of them: `generalise prefix 2`, `generalise 5-year band`";
        findings.warn("T420", &cell.place, message, Some(help.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::{PERSONAL_NAMES, is_personal_name};

    #[test]
    fn names_are_compared_without_case_and_separators() {
        assert!(PERSONAL_NAMES.is_sorted(), "they are searched by halves");
        for (name, expected) in [
            ("email", true),
            ("E-Mail", true),
            ("dateOfBirth", true),
            ("card_number", true),
            ("ip", true),
            ("zip_file", false),
            ("id", false),
            ("description", false),
            ("", false),
        ] {
            assert_eq!(is_personal_name(name), expected, "{name}");
        }
    }
}
