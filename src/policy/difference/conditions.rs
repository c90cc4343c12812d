//! Conditions of a release that are not in its cells: bases, objections, ages, contracts, transfers,
//! cookies, log fields.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::{Change, Way};
use crate::policy::Policy;
use crate::policy::model::{Aggregate, Cookie, Need, Purpose, Recipient, RegisterRules};
use crate::terms::{CategoryId, IdShape, Objectable, Role};

/// Changes of conditions, purpose by purpose and recipient by recipient.
pub(super) fn changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    for (id, after) in &new.purposes {
        if let Some(before) = old.purposes.get(id) {
            purpose(&format!("purpose {id}"), before, after, &mut changes);
        }
    }
    for (id, after) in &new.recipients {
        if let Some(before) = old.recipients.get(id) {
            recipient(&format!("recipient {id}"), before, after, &mut changes);
        }
    }
    registers(&old.registers, &new.registers, &mut changes);
    // Tables and limits on people are compared as they are: whether one of two is stricter depends on
    // who asks about whom, so a person must look.
    other(&mut changes, "transfers", &transfers(old), &transfers(new));
    other(&mut changes, "limits on people", &people(old), &people(new));
    other(&mut changes, "what leaves together or alone", &company(old), &company(new));
    other(&mut changes, "retention", &retention(old), &retention(new));
    for route in &new.routes {
        let was = old.routes.iter().find(|one| one.id == route.id);
        if let Some((old, new)) =
            was.and_then(|was| was.aggregate.as_ref()).zip(route.aggregate.as_ref())
        {
            aggregate(&format!("aggregate {}", route.id), old, new, &mut changes);
        }
    }
    set(&mut changes, "tokens that are opened", &tokens(old), &tokens(new));
    set(&mut changes, "cookies that pass", &cookies(old), &cookies(new));
    let agreed = "cookies that pass by consent";
    set(&mut changes, agreed, &cookies_by_consent(old), &cookies_by_consent(new));
    let fields = |policy: &Policy| -> BTreeSet<String> {
        policy.access_log.fields.iter().cloned().collect()
    };
    set(&mut changes, "fields of the access log", &fields(old), &fields(new));
    let (v4, v6) = old.access_log.ip_prefix;
    let (new_v4, new_v6) = new.access_log.ip_prefix;
    bits(&mut changes, "IPv4 bits in the access log", v4, new_v4);
    bits(&mut changes, "IPv6 bits in the access log", v6, new_v6);
    let life = |policy: &Policy| {
        let log = &policy.access_log;
        format!("coarser {:?}, deleted after {:?}", log.cold, log.delete_after)
    };
    other(&mut changes, "life of the access log", &life(old), &life(new));
    guard(&mut changes, "tls", "only 1.3", old.tls.only_1_3, new.tls.only_1_3);
    let upstream = |policy: &Policy| policy.tls.upstream_required;
    guard(&mut changes, "tls", "required towards backends", upstream(old), upstream(new));
    let index = |policy: &Policy| policy.ledger.subject_index;
    guard(&mut changes, "ledger", "people find themselves in it", index(old), index(new));
    let signed = |policy: &Policy| {
        policy.checkpoint_every.map_or("not signed".to_owned(), |span| format!("{span:#}"))
    };
    other_of(&mut changes, "ledger", "checkpoints", &signed(old), &signed(new));
    other(
        &mut changes,
        "conceal_as",
        &format!("{:?}", old.conceal_as),
        &format!("{:?}", new.conceal_as),
    );
    changes
}

/// A need in words.
pub(super) fn need(need: Need) -> String {
    match need {
        Need::Consent => "consent",
        Need::ExplicitConsent => "explicit consent",
        Need::Notice => "notice",
        Need::OneTimeGrant => "a grant for once",
        Need::ListedConsent => "consent that lists the category",
    }
    .to_owned()
}

fn purpose(about: &str, old: &Purpose, new: &Purpose, changes: &mut Vec<Change>) {
    other_of(changes, about, "text (earlier consents to it are stale)", &old.text, &new.text);
    let basis = (old.basis.as_str(), new.basis.as_str());
    if basis.0 != basis.1 {
        let way = match (old.basis.rests_on_consent(), new.basis.rests_on_consent()) {
            (true, false) => Way::Widened,
            (false, true) => Way::Narrowed,
            _ => Way::Changed,
        };
        push(changes, way, about, "basis", basis.0, basis.1);
    }
    let rank = |objectable: Objectable| match objectable {
        Objectable::Never => 0,
        Objectable::OnGrounds => 1,
        Objectable::Always => 2,
    };
    let words = |objectable: Objectable| match objectable {
        Objectable::Never => "never",
        Objectable::OnGrounds => "on-grounds",
        Objectable::Always => "always",
    };
    if old.objectable != new.objectable {
        let way =
            if rank(new.objectable) < rank(old.objectable) { Way::Widened } else { Way::Narrowed };
        push(changes, way, about, "objectable", words(old.objectable), words(new.objectable));
    }
    let guards = [
        (
            "consent must name the recipient",
            old.consent_names_recipient,
            new.consent_names_recipient,
        ),
        ("stops at a restriction", !old.survives_restriction, !new.survives_restriction),
        ("stops at an erasure", !old.survives_erasure, !new.survives_erasure),
        ("only for adults", old.min_age.is_some(), new.min_age.is_some()),
        ("needs a case", old.needs_case, new.needs_case),
        ("only inside the controller", old.internal_only, new.internal_only),
    ];
    for (what, was, is) in guards {
        guard(changes, about, what, was, is);
    }
}

fn recipient(about: &str, old: &Recipient, new: &Recipient, changes: &mut Vec<Change>) {
    other_of(changes, about, "role", old.role.as_str(), new.role.as_str());
    let country = |recipient: &Recipient| {
        recipient.country.as_ref().map_or("-".to_owned(), ToString::to_string)
    };
    other_of(changes, about, "country", &country(old), &country(new));
    other_of(
        changes,
        about,
        "how it is recognised",
        &format!("{:?}", old.authenticate),
        &format!("{:?}", new.authenticate),
    );
    let party = |recipient: &Recipient| {
        recipient.party.as_ref().map_or("none".to_owned(), |party| party.expose().to_string())
    };
    other_of(changes, about, "which party it is", &party(old), &party(new));
    let until = |recipient: &Recipient| recipient.contract.as_ref().map(|contract| contract.until);
    if until(old) != until(new) {
        let way = if until(new) > until(old) { Way::Widened } else { Way::Narrowed };
        let words = |recipient: &Recipient| {
            until(recipient).map_or("none".to_owned(), |until| until.to_string())
        };
        push(changes, way, about, "contract until", &words(old), &words(new));
    }
    let budget = |recipient: &Recipient| recipient.subjects_per_hour.map(NonZeroU32::get);
    if budget(old) != budget(new) {
        let most = |recipient: &Recipient| budget(recipient).unwrap_or(u32::MAX);
        let way = if most(new) > most(old) { Way::Widened } else { Way::Narrowed };
        let words = |recipient: &Recipient| {
            budget(recipient).map_or("any number".to_owned(), |most| most.to_string())
        };
        push(changes, way, about, "different people an hour", &words(old), &words(new));
    }
    if new.role != Role::Own && old.default_purpose != new.default_purpose {
        let words = |recipient: &Recipient| {
            recipient.default_purpose.as_ref().map_or("none".to_owned(), ToString::to_string)
        };
        push(changes, Way::Changed, about, "default purpose", &words(old), &words(new));
    }
}

fn registers(old: &RegisterRules, new: &RegisterRules, changes: &mut Vec<Change>) {
    let patterns = |rules: &RegisterRules| -> BTreeSet<String> {
        rules.gpc_objects_to.iter().map(|pattern| pattern.as_str().to_owned()).collect()
    };
    for lost in patterns(old).difference(&patterns(new)) {
        guard(changes, "registers", &format!("Sec-GPC objects to {lost}"), true, false);
    }
    for gained in patterns(new).difference(&patterns(old)) {
        guard(changes, "registers", &format!("Sec-GPC objects to {gained}"), false, true);
    }
    // With a register of consents, what rests on consent can be released at all.
    guard(changes, "registers", "consents count as unknown", !old.consent, !new.consent);
    let age = |rules: &RegisterRules| {
        rules.max_staleness.map_or("any age".to_owned(), |span| format!("{span:#}"))
    };
    other_of(changes, "registers", "max_staleness", &age(old), &age(new));
    if old.ids != new.ids {
        let way = match (old.ids, new.ids) {
            (_, IdShape::Exact) => Way::Widened,
            (IdShape::Exact, _) => Way::Narrowed,
            _ => Way::Changed,
        };
        push(changes, way, "registers", "ids", old.ids.in_words(), new.ids.in_words());
    }
}

/// Floors of an aggregate; a higher one shows less.
fn aggregate(about: &str, old: &Aggregate, new: &Aggregate, changes: &mut Vec<Change>) {
    let mut floor = |what: &str, old: u64, new: u64| {
        if old != new {
            let way = if new < old { Way::Widened } else { Way::Narrowed };
            push(changes, way, about, what, &old.to_string(), &new.to_string());
        }
    };
    floor("fewest people of a group", old.k, new.k);
    let of = |aggregate: &Aggregate, category: &CategoryId| {
        let bound = aggregate.diversity.iter().find(|(bound, _)| bound == category);
        bound.map_or(1, |(_, least)| *least as u64)
    };
    let bound = old.diversity.iter().chain(&new.diversity).map(|(category, _)| category);
    for category in bound.collect::<BTreeSet<_>>() {
        floor(&format!("fewest values of {category}"), of(old, category), of(new, category));
    }
    // A step is coarser than another only if it is a multiple of it.
    if old.round != new.round {
        let way = if new.round.is_multiple_of(old.round) {
            Way::Narrowed
        } else if old.round.is_multiple_of(new.round) {
            Way::Widened
        } else {
            Way::Changed
        };
        push(changes, way, about, "step", &old.round.to_string(), &new.round.to_string());
    }
    let rest = |aggregate: &Aggregate| {
        let Aggregate { list, count, merges_rare, several, all, totals, .. } = aggregate;
        format!(
            "rows {list:?}, count {count}, rare values joined {merges_rare}, several {several:?}, all \
             {all:?}, totals {totals:?}"
        )
    };
    other_of(changes, about, "table", &rest(old), &rest(new));
}

fn transfers(policy: &Policy) -> String {
    let Some(transfers) = &policy.transfers else { return "none: data go anywhere".to_owned() };
    let mut rows: Vec<String> = transfers
        .table
        .iter()
        .map(|row| {
            let measure: Vec<String> = row
                .measure
                .iter()
                .map(|cell| format!("{} {}", cell.pattern, cell.action))
                .collect();
            format!(
                "{:?} to {:?} by {} until {:?} {}",
                row.from,
                row.to,
                row.by,
                row.until,
                measure.join(", ")
            )
        })
        .collect();
    rows.sort();
    let regions: Vec<String> = policy
        .routes
        .iter()
        .flat_map(|route| route.regions.iter().map(move |region| (route, region)))
        .map(|(route, region)| format!(", {} of {}", region.selector.text, route.id))
        .collect();
    format!(
        "regions from {:?}{}; unknown {}; allowed {:?}; {}",
        transfers.sources,
        regions.concat(),
        transfers.unknown_region,
        transfers.allowed,
        rows.join("; ")
    )
}

fn people(policy: &Policy) -> String {
    use crate::policy::model::Limit;
    let mut rows: Vec<String> = policy
        .limits
        .iter()
        .filter_map(|limit| match limit {
            Limit::Minors { purposes, .. } => Some(format!("no minors for {purposes:?}")),
            Limit::Disputed { roles, .. } => Some(format!("nothing disputed to {roles:?}")),
            // In the cells already.
            Limit::AtLeast { .. } | Limit::ThirdParties { .. } | Limit::Sensitive { .. } => None,
        })
        .collect();
    rows.sort();
    rows.join("; ")
}

fn company(policy: &Policy) -> String {
    let mut rows: Vec<String> = policy
        .company
        .iter()
        .map(|one| {
            let (never, then) = (one.never, &one.then);
            format!("{:?} never {never:?}, {then:?}, but to {:?}", one.categories, one.except_to)
        })
        .collect();
    rows.sort();
    rows.join("; ")
}

fn retention(policy: &Policy) -> String {
    let mut rows: Vec<String> = policy
        .retention
        .iter()
        .map(|period| {
            let start = period.start.as_ref().map_or("a date of the route", |start| &start.text);
            let (categories, after, then) =
                (&period.categories, &period.written, period.then.as_str());
            format!("{then} {categories} {after} from {start} but for {:?}", period.except_for)
        })
        .collect();
    rows.sort();
    rows.join("; ")
}

/// Whose tokens open for whom, and where.
fn tokens(policy: &Policy) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for grant in &policy.grants {
        for (to, purpose) in
            grant.to.iter().flat_map(|to| grant.purposes.iter().map(move |purpose| (to, purpose)))
        {
            let of = grant.resolves_tokens_of.iter();
            all.extend(of.map(|of| format!("those of {of} sent by {to} for {purpose}")));
        }
    }
    for route in &policy.routes {
        let opened = route.path.iter();
        all.extend(opened.map(|(name, category)| format!("{category} at {name} of {}", route.id)));
    }
    all
}

fn cookies(policy: &Policy) -> BTreeSet<String> {
    let passes = policy.cookies.iter().filter(|(_, cookie)| cookie.consent.is_none());
    passes.map(|(name, _)| name.clone()).collect()
}

fn cookies_by_consent(policy: &Policy) -> BTreeSet<String> {
    let by_consent = |(name, cookie): (&String, &Cookie)| {
        cookie.consent.as_ref().map(|purpose| format!("{name} for {purpose}"))
    };
    policy.cookies.iter().filter_map(by_consent).collect()
}

/// A condition that is there or not.
fn guard(changes: &mut Vec<Change>, about: &str, what: &str, was: bool, is: bool) {
    if was != is {
        let way = if is { Way::Narrowed } else { Way::Widened };
        let words = |yes: bool| if yes { "yes" } else { "no" };
        push(changes, way, about, what, words(was), words(is));
    }
}

fn set(changes: &mut Vec<Change>, about: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
    for gained in new.difference(old) {
        push(changes, Way::Widened, about, gained, "no", "yes");
    }
    for lost in old.difference(new) {
        push(changes, Way::Narrowed, about, lost, "yes", "no");
    }
}

fn bits(changes: &mut Vec<Change>, about: &str, old: u8, new: u8) {
    if old != new {
        let way = if new > old { Way::Widened } else { Way::Narrowed };
        push(changes, way, about, "prefix", &old.to_string(), &new.to_string());
    }
}

fn other(changes: &mut Vec<Change>, about: &str, old: &str, new: &str) {
    other_of(changes, about, "as a whole", old, new);
}

fn other_of(changes: &mut Vec<Change>, about: &str, what: &str, old: &str, new: &str) {
    if old != new {
        push(changes, Way::Changed, about, what, old, new);
    }
}

fn push(changes: &mut Vec<Change>, way: Way, about: &str, what: &str, before: &str, after: &str) {
    changes.push(Change {
        way,
        about: about.to_owned(),
        what: what.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    });
}
