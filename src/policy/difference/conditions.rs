//! Conditions of a release that are not in its cells: bases, objections, ages, contracts, transfers,
//! cookies, log fields.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::{Change, Way, transfers};
use crate::policy::Policy;
use crate::policy::company::Company;
use crate::policy::model::{
    Contract, Cookie, Need, Purpose, Recipient, RegisterRules, Retention, RowCondition, TlsRules,
};
use crate::terms::{IdShape, Objectable, PurposePattern, Role};

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
    transfers::changes(old, new, &mut changes);
    other(&mut changes, "limits on people", &people(old), &people(new));
    other(&mut changes, "what leaves together or alone", &company(old), &company(new));
    other(&mut changes, "retention", &retention(old), &retention(new));
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
    let TlsRules { only_1_3, upstream_required } = new.tls;
    guard(&mut changes, "tls", "only 1.3", old.tls.only_1_3, only_1_3);
    let was_required = old.tls.upstream_required;
    guard(&mut changes, "tls", "required towards backends", was_required, upstream_required);
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
    let Purpose {
        text,
        // Of the text.
        text_digest: _,
        basis,
        consent_names_recipient,
        objectable,
        survives_restriction,
        survives_erasure,
        min_age,
        needs_case,
        internal_only,
        place: _,
    } = new;
    other_of(changes, about, "text (earlier consents to it are stale)", &old.text, text);
    if old.basis.as_str() != basis.as_str() {
        let way = match (old.basis.rests_on_consent(), basis.rests_on_consent()) {
            (true, false) => Way::Widened,
            (false, true) => Way::Narrowed,
            _ => Way::Changed,
        };
        push(changes, way, about, "basis", old.basis.as_str(), basis.as_str());
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
    if old.objectable != *objectable {
        let way =
            if rank(*objectable) < rank(old.objectable) { Way::Widened } else { Way::Narrowed };
        push(changes, way, about, "objectable", words(old.objectable), words(*objectable));
    }
    let guards = [
        ("consent must name the recipient", old.consent_names_recipient, *consent_names_recipient),
        ("stops at a restriction", !old.survives_restriction, !survives_restriction),
        ("stops at an erasure", !old.survives_erasure, !survives_erasure),
        ("only for adults", old.min_age.is_some(), min_age.is_some()),
        ("needs a case", old.needs_case, *needs_case),
        ("only inside the controller", old.internal_only, *internal_only),
    ];
    for (what, was, is) in guards {
        guard(changes, about, what, was, is);
    }
    if let (Some(was), Some(is)) = (old.min_age, *min_age) {
        least(changes, about, "least age", was.into(), is.into());
    }
}

fn recipient(about: &str, old: &Recipient, new: &Recipient, changes: &mut Vec<Change>) {
    let Recipient {
        role,
        // For reports.
        category: _,
        country: _,
        authenticate,
        contract,
        // What they let through is in the cells, and in who is answered without a grant.
        purposes: _,
        phase: _,
        default_purpose,
        only_where,
        subjects_per_hour,
        party,
        place: _,
    } = new;
    other_of(changes, about, "role", old.role.as_str(), role.as_str());
    let country = |recipient: &Recipient| {
        recipient.country.as_ref().map_or("-".to_owned(), ToString::to_string)
    };
    other_of(changes, about, "country", &country(old), &country(new));
    other_of(
        changes,
        about,
        "how it is recognised",
        &format!("{:?}", old.authenticate),
        &format!("{authenticate:?}"),
    );
    // Ids of people and businesses stay in the rules: what is found here is logged by a reload.
    let words = |known: bool, same: bool| match (known, same) {
        (false, _) => "none",
        (true, true) => "one",
        (true, false) => "another",
    };
    let same = old.party.is_none() || old.party == *party;
    let (before, after) = (words(old.party.is_some(), true), words(party.is_some(), same));
    other_of(changes, about, "which party it is", before, after);
    let rows = |conditions: &[RowCondition]| -> BTreeMap<String, String> {
        let row = |RowCondition { selector, value }: &RowCondition| {
            (selector.text.clone(), value.clone())
        };
        conditions.iter().map(row).collect()
    };
    let (before, after) = (rows(&old.only_where), rows(only_where));
    for selector in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(selector), after.get(selector));
        let what = format!("only where {selector} has its value");
        guard(changes, about, &what, was.is_some(), is.is_some());
        let same = was.is_none() || is.is_none() || was == is;
        other_of(changes, about, &what, "one", words(true, same));
    }
    if old.subjects_per_hour != *subjects_per_hour {
        let most = |budget: Option<NonZeroU32>| budget.map_or(u32::MAX, NonZeroU32::get);
        let (was, is) = (old.subjects_per_hour, *subjects_per_hour);
        let way = if most(is) > most(was) { Way::Widened } else { Way::Narrowed };
        let words = |budget: Option<NonZeroU32>| {
            budget.map_or("any number".to_owned(), |most| most.to_string())
        };
        push(changes, way, about, "different people an hour", &words(was), &words(is));
    }
    let until = |contract: &Option<Contract>| {
        contract.as_ref().map(|Contract { reference: _, until }| *until)
    };
    let (was, is) = (until(&old.contract), until(contract));
    if was != is {
        let way = if is > was { Way::Widened } else { Way::Narrowed };
        let words = |until: Option<jiff::civil::Date>| {
            until.map_or("none".to_owned(), |day| day.to_string())
        };
        push(changes, way, about, "contract until", &words(was), &words(is));
    }
    if *role != Role::Own && old.default_purpose != *default_purpose {
        let words = |recipient: &Recipient| {
            recipient.default_purpose.as_ref().map_or("none".to_owned(), ToString::to_string)
        };
        push(changes, Way::Changed, about, "default purpose", &words(old), &words(new));
    }
}

fn registers(old: &RegisterRules, new: &RegisterRules, changes: &mut Vec<Change>) {
    let RegisterRules {
        consent,
        consent_file,
        // A notice is needed where a grant says so, whether or not there is a register of them.
        notice: _,
        ids,
        order_approvers,
        max_staleness: _,
        gpc_objects_to,
        // By themselves.
        erasure_notices: _,
    } = new;
    let patterns = |patterns: &[PurposePattern]| -> BTreeSet<String> {
        patterns.iter().map(|pattern| format!("Sec-GPC objects to {}", pattern.as_str())).collect()
    };
    let (was, is) = (patterns(&old.gpc_objects_to), patterns(gpc_objects_to));
    guards_by_name(changes, "registers", &was, &is);
    // With a register of consents, what rests on consent can be released at all.
    guard(changes, "registers", "consents count as unknown", !old.consent, !consent);
    let file = |file: &Option<String>| file.clone().unwrap_or_else(|| "none".to_owned());
    let (was, is) = (file(&old.consent_file), file(consent_file));
    other_of(changes, "registers", "file of consents", &was, &is);
    let (was, is) = (old.order_approvers as u64, *order_approvers as u64);
    least(changes, "registers", "people who approve an order", was, is);
    let age = |rules: &RegisterRules| {
        rules.max_staleness.map_or("any age".to_owned(), |span| format!("{span:#}"))
    };
    other_of(changes, "registers", "max_staleness", &age(old), &age(new));
    if old.ids != *ids {
        let way = match (old.ids, *ids) {
            (_, IdShape::Exact) => Way::Widened,
            (IdShape::Exact, _) => Way::Narrowed,
            _ => Way::Changed,
        };
        push(changes, way, "registers", "ids", old.ids.in_words(), ids.in_words());
    }
}

fn people(policy: &Policy) -> String {
    use crate::policy::model::Limit;
    let mut rows: Vec<String> = policy
        .limits
        .iter()
        .filter_map(|limit| match limit {
            Limit::Minors { purposes, place: _ } => Some(format!("no minors for {purposes:?}")),
            Limit::Disputed { roles, place: _ } => Some(format!("nothing disputed to {roles:?}")),
            // In the cells already.
            Limit::AtLeast { categories: _, to: _, except_to: _, only_for: _, place: _ }
            | Limit::ThirdParties { needs: _, except_for: _, place: _ }
            | Limit::Sensitive { needs: _, place: _ } => None,
        })
        .collect();
    rows.sort();
    rows.join("; ")
}

fn company(policy: &Policy) -> String {
    let mut rows: Vec<String> = policy
        .company
        .iter()
        .map(|Company { categories, never, then, except_to, place: _ }| {
            format!("{categories:?} never {never:?}, {then:?}, but to {except_to:?}")
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
            // The period is what is written.
            let Retention { categories, after: _, written, start, then, except_for, place: _ } =
                period;
            let start = start.as_ref().map_or("a date of the route", |start| &start.text);
            let then = then.as_str();
            format!("{then} {categories} {written} from {start} but for {except_for:?}")
        })
        .collect();
    rows.sort();
    rows.join("; ")
}

/// Whose tokens open for whom. Where they do is told with the parameters of routes.
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
    all
}

fn cookies(policy: &Policy) -> BTreeSet<String> {
    let passes = policy.cookies.iter().filter(|(_, cookie)| cookie.consent.is_none());
    passes.map(|(name, _)| name.clone()).collect()
}

fn cookies_by_consent(policy: &Policy) -> BTreeSet<String> {
    // A class is a purpose to ask about, or none.
    let by_consent = |(name, cookie): (&String, &Cookie)| {
        let Cookie { class: _, consent, place: _ } = cookie;
        consent.as_ref().map(|purpose| format!("{name} for {purpose}"))
    };
    policy.cookies.iter().filter_map(by_consent).collect()
}

/// A number that is the least: a lower one asks for less.
fn least(changes: &mut Vec<Change>, about: &str, what: &str, old: u64, new: u64) {
    if old != new {
        let way = if new < old { Way::Widened } else { Way::Narrowed };
        push(changes, way, about, what, &old.to_string(), &new.to_string());
    }
}

/// Conditions, each of which holds or not.
fn guards_by_name(
    changes: &mut Vec<Change>,
    about: &str,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
) {
    for lost in old.difference(new) {
        guard(changes, about, lost, true, false);
    }
    for gained in new.difference(old) {
        guard(changes, about, gained, false, true);
    }
}

/// A condition that is there or not.
pub(super) fn guard(changes: &mut Vec<Change>, about: &str, what: &str, was: bool, is: bool) {
    if was != is {
        let way = if is { Way::Narrowed } else { Way::Widened };
        let words = |yes: bool| if yes { "yes" } else { "no" };
        push(changes, way, about, what, words(was), words(is));
    }
}

pub(super) fn set(
    changes: &mut Vec<Change>,
    about: &str,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
) {
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

pub(super) fn other_of(changes: &mut Vec<Change>, about: &str, what: &str, old: &str, new: &str) {
    if old != new {
        push(changes, Way::Changed, about, what, old, new);
    }
}

pub(super) fn push(
    changes: &mut Vec<Change>,
    way: Way,
    about: &str,
    what: &str,
    before: &str,
    after: &str,
) {
    changes.push(Change {
        way,
        about: about.to_owned(),
        what: what.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    });
}
