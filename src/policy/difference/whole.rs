//! A policy as a whole, taken apart by name, so that a new member of it cannot be forgotten: it does not
//! compile until somebody has said where it is compared. What is compared nowhere else is so here.

use std::collections::BTreeSet;

use super::conditions::{guard, other_of, push};
use super::{Change, Way};
use crate::policy::Policy;
use crate::policy::model::{AccessLogRules, Category, LedgerRules, PageHeaders};

/// Changes of it.
pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let Policy {
        id,
        // What people read.
        title: _,
        revision: _,
        about: _,
        promises: _,
        // Of the whole text.
        digest: _,
        categories,
        // By themselves.
        routes: _,
        // What they come to is in the cells.
        grants: _,
        // Among the conditions.
        conceal_as: _,
        purposes: _,
        recipients: _,
        limits: _,
        company: _,
        transfers: _,
        retention: _,
        registers: _,
        cookies: _,
        checkpoint_every: _,
        tls: _,
        access_log,
        // Headers that say where the policy stands, and nothing about a person.
        policy_link: _,
        terms_header_roles: _,
        page_headers,
        hsts,
        ledger,
        warnings: _,
        plans: _,
    } = new;
    // The first part of every pseudonym's domain.
    other_of(changes, "policy", "id", &old.id, id);
    for (id, after) in categories {
        if let Some(before) = old.categories.get(id) {
            category(&format!("category {id}"), before, after, changes);
        }
    }
    log(&old.access_log, access_log, changes);
    let [was, is] = [&old.page_headers, page_headers].map(|headers| page(headers.as_ref()));
    for ((name, was), (_, is)) in was.into_iter().zip(is) {
        sent(changes, name, [was, is]);
    }
    let span = |span: Option<jiff::Span>| span.map(|span| format!("{span:#}"));
    sent(changes, "Strict-Transport-Security", [span(old.hsts), span(*hsts)]);
    // Whether people find themselves in it is among the conditions.
    let LedgerRules { subject_index: _, keep } = ledger;
    let kept = [old.ledger.keep, *keep].map(|keep| span(keep).unwrap_or_else(|| "for ever".into()));
    other_of(changes, "ledger", "kept", &kept[0], &kept[1]);
}

/// What a browser is told.
fn page(headers: Option<&PageHeaders>) -> [(&'static str, Option<String>); 3] {
    let nothing = headers.map(|_| "nothing is loaded".to_owned());
    let (referrer, permissions) = match headers {
        None => (None, None),
        Some(PageHeaders { referrer_policy, permissions_policy }) => {
            (referrer_policy.clone(), permissions_policy.clone())
        }
    };
    [
        ("Content-Security-Policy", nothing),
        ("Referrer-Policy", referrer),
        ("Permissions-Policy", permissions),
    ]
}

/// A header that browsers are told: without it they do more.
fn sent(changes: &mut Vec<Change>, name: &str, [was, is]: [Option<String>; 2]) {
    if was == is {
        return;
    }
    let way = match (&was, &is) {
        (Some(_), None) => Way::Widened,
        (None, Some(_)) => Way::Narrowed,
        _ => Way::Changed,
    };
    let words = |value: Option<String>| value.unwrap_or_else(|| "not sent".to_owned());
    push(changes, way, "headers of answers", name, &words(was), &words(is));
}

fn category(about: &str, old: &Category, new: &Category, changes: &mut Vec<Change>) {
    // How few values there are is for a warning.
    let Category { sensitive, low_entropy: _, canonical, groups } = new;
    guard(changes, about, "sensitive", old.sensitive, *sensitive);
    if old.canonical != *canonical {
        let form = |category: &Category| format!("{:?}", category.canonical);
        push(changes, Way::Changed, about, "type", &form(old), &form(new));
    }
    if old.groups != *groups {
        let words = |category: &Category| {
            let groups = category.groups.as_deref();
            groups.map_or("none".to_owned(), |groups| {
                let named: BTreeSet<&String> = groups.values().collect();
                format!("{} values in {named:?}", groups.len())
            })
        };
        push(changes, Way::Changed, about, "groups", &words(old), &words(new));
    }
}

/// What a field of the log is made of. Which fields there are is among the conditions.
fn log(old: &AccessLogRules, new: &AccessLogRules, changes: &mut Vec<Change>) {
    let AccessLogRules {
        fields: _,
        ip_prefix: _,
        cold: _,
        delete_after: _,
        visitor,
        device,
        device_model,
        os,
        battery,
    } = new;
    let about = "access log";
    other_of(changes, about, "visitor", &format!("{:?}", old.visitor), &format!("{visitor:?}"));
    other_of(changes, about, "device", &format!("{:?}", old.device), &format!("{device:?}"));
    let (was, is) = (format!("{:?}", old.device_model), format!("{device_model:?}"));
    other_of(changes, about, "device_model", &was, &is);
    other_of(changes, about, "os", &format!("{:?}", old.os), &format!("{os:?}"));
    other_of(changes, about, "battery", &format!("{:?}", old.battery), &format!("{battery:?}"));
}
