//! Gates, needs and linkability in words.

use std::collections::BTreeSet;

use crate::action::pseudonym::Scope;
use crate::action::{Action, Period};
use crate::policy::company::Never;
use crate::policy::model::{ErasureNotice, Limit, Need, QueryParameter, Route};
use crate::policy::{Mode, Plan, Policy};
use crate::terms::{CategoryId, Objectable, RecipientId, Role};

/// Who asks, what for, and how much of it leaves, before anybody looks at single fields.
pub(super) fn in_short(policy: &Policy, plan: &Plan) -> Vec<String> {
    let recipient = &policy.recipients[&plan.recipient];
    let country = recipient.country.as_ref().map_or("no country", |country| country.as_str());
    let mut lines = vec![format!("{}: {}, {country}", plan.recipient, recipient.role.as_str())];
    for id in &plan.purposes {
        lines.push(format!("{id}: \u{201c}{}\u{201d}", policy.purposes[id].text));
    }
    if policy.routes[plan.route_index].tunnel.is_some() {
        lines.push(format!(
            "A tunnel of {} categories: all of it passes unseen, in both directions, or nothing does.",
            plan.cells.len()
        ));
        return lines;
    }
    let (mut kept, mut changed, mut removed) = (0_usize, 0_usize, 0_usize);
    for cell in &plan.cells {
        match (&cell.derived, &cell.action) {
            (Some(_), _) => changed += 1,
            (None, Action::Keep) => kept += 1,
            (None, Action::Remove | Action::Drop) => removed += 1,
            (None, _) => changed += 1,
        }
    }
    lines.push(format!(
        "Of {} catalogued members {kept} leave as they are, {changed} changed; {removed} are removed, \
         and so is whatever is not catalogued.",
        plan.cells.len()
    ));
    lines
}

/// Where and how the recipient is told that somebody was erased.
pub(super) fn notice(policy: &Policy, recipient: &RecipientId) -> Vec<String> {
    let notice = policy.registers.erasure_notices.get(recipient);
    let line = |notice: &ErasureNotice| {
        let ErasureNotice { url, category, action, plaintext, place } = notice;
        let how = if *plaintext { ", in plaintext" } else { "" };
        format!("at {url}{how}, by the person's {category}: {action}, {place}")
    };
    notice.map(line).into_iter().collect()
}

/// What holds for counts of groups.
pub(super) fn aggregate(route: &Route) -> Vec<String> {
    let Some(aggregate) = &route.aggregate else { return Vec::new() };
    let k = aggregate.k;
    let mut lines = vec![
        format!("{}: no group of fewer than {k} people is shown", aggregate.label()),
        format!("numbers are multiples of {}", aggregate.round),
        "a total leaves only while it does not tell how large a hidden group is".to_owned(),
        "anything that is not catalogued refuses the whole answer".to_owned(),
    ];
    if aggregate.merges_rare {
        lines.push(format!("values of fewer than {k} people become `other`"));
    }
    let diverse = aggregate.diversity.iter();
    lines.extend(diverse.map(|(category, least)| {
        format!("groups that show fewer than {least} values of {category} are hidden")
    }));
    let several = aggregate.several.iter();
    lines.extend(several.map(|category| {
        format!("one person may have several values of {category}: nothing is added up over it")
    }));
    lines.push("what single people have said cannot be asked: nobody is named".to_owned());
    lines
}

/// What a query may ask for.
pub(super) fn query(route: &Route) -> Vec<String> {
    let word = |parameter: &QueryParameter| match parameter {
        QueryParameter::Open => "says nothing about a person".to_owned(),
        QueryParameter::Category(category) => {
            format!("finds people by {category}: only for who gets it in clear")
        }
        QueryParameter::Sealed { .. } => "a cursor, sealed for one recipient and route".to_owned(),
    };
    let lines = route.query.iter().map(|(name, parameter)| format!("{name}: {}", word(parameter)));
    lines.collect()
}

/// What of a request's body reaches the backend, and what it must hold.
pub(super) fn brings(route: &Route) -> Vec<String> {
    let Some(request) = &route.request else { return Vec::new() };
    let mut lines: Vec<String> = request
        .members
        .iter()
        .map(|category| {
            category.as_ref().map_or("what is not personal".into(), ToString::to_string)
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines.push("anything else is removed before the backend sees it".to_owned());
    let musts =
        request.must.iter().map(|must| format!("{} must be as the rules say", must.selector.text));
    lines.extend(musts);
    lines
}

/// What a person must have said.
pub(super) fn needs(needs: &[Need]) -> Vec<&'static str> {
    let word = |need: &Need| match need {
        Need::Consent => "consent",
        Need::ExplicitConsent => "explicit consent",
        Need::Notice => "notice",
        Need::OneTimeGrant => "one-time grant",
        Need::ListedConsent => "consent that lists the category",
    };
    needs.iter().map(word).collect()
}

/// Why a request like this is refused whatever anybody has said.
pub(super) fn refusals(policy: &Policy, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let route = &policy.routes[plan.route_index];
    let recipient = &policy.recipients[&plan.recipient];
    if route.mode != Mode::Enforce {
        let mode = route.mode.as_str();
        lines.push(format!("the route is in mode `{mode}`: nothing leaves until it is enforced"));
    }
    for id in &plan.purposes {
        let purpose = &policy.purposes[id];
        if !recipient.purposes.contains(id) {
            lines.push(format!("{} may not use {id}", plan.recipient));
        }
        if route.purposes.as_ref().is_some_and(|allowed| !allowed.contains(id)) {
            lines.push(format!("the route may not be used for {id}"));
        }
        if purpose.internal_only && recipient.role != Role::Internal {
            lines.push(format!("{id} is for recipients inside the controller"));
        }
    }
    if !plan.releases_personal_data() {
        lines.push("no field is released".to_owned());
    } else if route.tunnel.is_some() && !plan.passes_unseen(None) {
        lines.push("it is a tunnel, and not all that may be in it is released as it is".to_owned());
    }
    lines
}

/// What holds for a connection through which bytes pass unseen.
pub(super) fn tunnel(route: &Route) -> Vec<String> {
    let Some(tunnel) = &route.tunnel else { return Vec::new() };
    let mut lines = vec![
        format!("{}, after a handshake; nothing in it is minimized", tunnel.protocol.as_str()),
        "it opens only if nothing of what it discloses would be kept back from anybody".to_owned(),
        "it is judged again and again while it lasts, and ends when it would not be opened"
            .to_owned(),
        "a page opens it from the gateway's own host".to_owned(),
    ];
    lines.extend(tunnel.origins.iter().map(|origin| format!("a page opens it from {origin}")));
    lines
}

/// What is asked about each person at the moment of release.
pub(super) fn gates(policy: &Policy, plan: &Plan) -> Vec<String> {
    let route = &policy.routes[plan.route_index];
    let recipient = &policy.recipients[&plan.recipient];
    let mut lines = Vec::new();
    if !route.subjects.is_empty() {
        let ids = policy.registers.ids.in_words();
        lines.push(format!("their id is written {ids}; any other spelling is nobody's"));
    }
    if plan.only_own {
        lines.push("only data about the person who asks".to_owned());
    }
    if !route.parties_only.is_empty() && recipient.role == Role::User {
        let roles: Vec<&str> = route
            .parties_only
            .iter()
            .filter_map(|role| route.subjects.get(*role))
            .map(|subject| subject.role.as_str())
            .collect();
        lines.push(format!("the person who asks must be one of: {}", roles.join(", ")));
    }
    if plan.own_lines {
        let who = match (&recipient.party, recipient.role.is_person()) {
            (Some(party), _) => format!("{} ({})", plan.recipient, party.expose()),
            (None, true) => "the person who asks".to_owned(),
            (None, false) => format!("whoever asks for {}", plan.recipient),
        };
        lines.push(format!("only elements of which {who} is a party"));
    }
    if let Some(most) = recipient.subjects_per_hour {
        lines.push(format!(
            "{} may be told of {most} different people within an hour, over all routes",
            plan.recipient
        ));
    }
    for condition in &recipient.only_where {
        let (member, value) = (&condition.selector.text, &condition.value);
        lines.push(format!("only where {member} is {value}"));
    }
    for bound in &plan.company {
        let cells = bound.groups.iter().flatten();
        let names: BTreeSet<&str> = cells
            .filter_map(|cell| plan.cell(*cell).category.as_ref().map(CategoryId::as_str))
            .collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        lines.push(match bound.never {
            Never::Together => format!("never together: {names}"),
            Never::Alone => format!("never alone: {names}"),
        });
    }
    lines.extend(plan.dated.iter().map(|dated| dated.words.clone()));
    if let Some(contract) = &recipient.contract {
        lines.push(format!("contract {} until {}", contract.reference, contract.until));
    }
    if recipient.role == Role::Authority {
        let order = "an order in force must name the person and list the category (Tamis-Order)";
        lines.push(order.to_owned());
    }
    for id in &plan.purposes {
        let purpose = &policy.purposes[id];
        let survives = |yes: bool, what: &str| {
            let how = if yes { "goes on although" } else { "stops when" };
            format!("{id} {how} {what}")
        };
        lines.push(format!("{id} rests on {}", purpose.basis.as_str()));
        if purpose.needs_case {
            lines.push(format!("{id} needs an open case that names the person (Tamis-Case)"));
        }
        lines.push(survives(purpose.survives_erasure, "the person was erased"));
        lines.push(survives(purpose.survives_restriction, "processing is restricted"));
        lines.push(match purpose.objectable {
            Objectable::Always => format!("{id} stops at an objection"),
            Objectable::OnGrounds => {
                format!("{id} stops at an objection until the grounds are weighed")
            }
            Objectable::Never => format!("{id} is not open to objection"),
        });
        let gpc = &policy.registers.gpc_objects_to;
        let objectable = purpose.objectable != Objectable::Never;
        if objectable && gpc.iter().any(|pattern| pattern.covers(id)) {
            lines.push(format!("Sec-GPC: 1 objects to {id}"));
        }
        let for_adults = policy.limits.iter().any(|limit| match limit {
            Limit::Minors { purposes, .. } => purposes.iter().any(|pattern| pattern.covers(id)),
            Limit::AtLeast { .. }
            | Limit::ThirdParties { .. }
            | Limit::Sensitive { .. }
            | Limit::Disputed { .. } => false,
        });
        if for_adults || purpose.min_age.is_some() {
            lines.push(format!("{id} leaves out minors and people of unknown age"));
        }
        if purpose.consent_names_recipient || recipient.role == Role::ThirdParty {
            lines.push(format!("a consent to {id} must name {}", plan.recipient));
        }
    }
    if policy.limits.iter().any(|limit| limit.keeps_disputed_from(recipient.role)) {
        lines.push("what the person disputes is left out".to_owned());
    }
    if policy.transfers.is_some() && !recipient.role.is_person() {
        lines.push(match &recipient.country {
            Some(country) => format!("the person's region must have a mechanism to {country}"),
            None => "no transfer: the recipient's country is not known".to_owned(),
        });
        for region in &plan.regions {
            let (role, at) = (&route.subjects[region.of].role, &region.selector.text);
            lines.push(format!("the region of the {role} stands at {at}"));
        }
    }
    lines
}

/// Who can join what is pseudonymised here, and which tokens may come back.
pub(super) fn pseudonyms(policy: &Policy, plan: &Plan) -> Vec<String> {
    let mut lines = linkability(plan);
    let route = &policy.routes[plan.route_index];
    let in_path = route.path.iter();
    let in_query = route.query.iter().filter_map(|(name, parameter)| match parameter {
        QueryParameter::Category(category) => Some((name, category)),
        QueryParameter::Open | QueryParameter::Sealed { .. } => None,
    });
    let opened: Vec<(&String, &CategoryId)> =
        in_path.chain(in_query).filter(|(_, category)| policy.issues_tokens_of(category)).collect();
    let issued_to = policy.resolved_by(&plan.recipient, &plan.purposes);
    for (name, category) in opened {
        for whose in &issued_to {
            lines.push(format!("`{name}` takes a token of {category} that {whose} was given"));
        }
    }
    lines
}

fn linkability(plan: &Plan) -> Vec<String> {
    let recipient = &plan.recipient;
    let mut lines = Vec::new();
    for cell in &plan.cells {
        let Some(category) = &cell.category else { continue };
        let line = match cell.action {
            Action::Token => format!(
                "{category}: a token; {recipient} can link it over time, nobody else can join it, \
                 and the gateway can turn it back"
            ),
            Action::Scrub => format!(
                "{category}: free text, scrubbed by best effort; names, and whatever has no form of its \
                 own, stay in it"
            ),
            Action::Fpe => format!(
                "{category}: other digits of the same form; {}; no other recipient can join them",
                within(recipient, "them", cell.scope, Period::Unlimited)
            ),
            Action::Pseudonym(period) => format!(
                "{category}: {}; no other recipient can join it",
                within(recipient, "it", cell.scope, period)
            ),
            _ => continue,
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// How far a recipient can link what is pseudonymised.
fn within(recipient: &RecipientId, what: &str, scope: Scope, period: Period) -> String {
    let period = match period {
        Period::Unlimited => None,
        Period::Year => Some("calendar year"),
        Period::Month => Some("calendar month"),
        Period::Week => Some("week"),
        Period::Day => Some("day"),
    };
    let scope = match scope {
        Scope::Recipient => None,
        Scope::RecipientAndPurpose => Some("purpose"),
        Scope::Case => Some("case"),
        Scope::CaseAndPurpose => Some("case and purpose"),
        Scope::Response => {
            return format!("{recipient} can link {what} within one answer, not beyond");
        }
    };
    match (scope, period) {
        (None, None) => {
            format!("{recipient} can link {what} over time, until the key is changed")
        }
        (None, Some(period)) => {
            format!("{recipient} can link {what} within one {period} (UTC), not beyond")
        }
        (Some(scope), None) => {
            format!("{recipient} can link {what} within one {scope}, not beyond")
        }
        (Some(scope), Some(period)) => format!(
            "{recipient} can link {what} within one {scope} and one {period} (UTC), not beyond"
        ),
    }
}
