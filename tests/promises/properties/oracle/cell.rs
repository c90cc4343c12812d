//! "How a field is decided": the grants and limits of one category.

use std::collections::{BTreeMap, BTreeSet};

use super::act::Act;
use super::request::reaches_purpose;
use super::text::{Grant, Show, Text, covers};
use crate::properties::world::{Ask, CATEGORIES, NOTE, PERSON};

/// What the rules say about a category, for all purposes of a request.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) act: Act,
    /// The same, where an order may list everything.
    pub(super) by_rules: Act,
    /// What has to be there for it, for every purpose.
    pub(super) needs: BTreeSet<String>,
    /// It is shown only as far as consents list it.
    pub(super) listed: bool,
    /// Something said `own lines`: no element of others, whatever else was said.
    pub(super) own_lines: bool,
    /// Only to the person themselves.
    pub(super) only_self: bool,
}

pub(super) fn cell(
    text: &Text,
    ask: &Ask,
    purposes: &[&str],
    category: &str,
    order: Option<&[&str]>,
) -> Cell {
    let cell = joined(text, ask, purposes, category, order);
    // What an order does not list is still a matter of the rules for all that is not its value.
    match order.map(|_| joined(text, ask, purposes, category, Some(&CATEGORIES))) {
        Some(whole) => {
            let is_listed = order.is_some_and(|listed| listed.contains(&category));
            let act = if is_listed { cell.act } else { whole.act.join(Act::Remove) };
            Cell { act, by_rules: whole.act, own_lines: whole.own_lines, ..cell }
        }
        None => Cell { by_rules: cell.act, ..cell },
    }
}

fn joined(
    text: &Text,
    ask: &Ask,
    purposes: &[&str],
    category: &str,
    order: Option<&[&str]>,
) -> Cell {
    let mut whole = Cell {
        act: Act::Keep,
        by_rules: Act::Keep,
        needs: BTreeSet::new(),
        listed: false,
        own_lines: false,
        only_self: false,
    };
    for purpose in purposes {
        let mut act = None;
        for grant in &text.release {
            if !applies(text, ask, grant, purpose) {
                continue;
            }
            let Some(shown) = shown(grant, category, order) else { continue };
            whole.own_lines |= shown == Act::OwnLines;
            act = Some(act.map_or(shown, |act: Act| act.join(shown)));
            whole.needs.extend(grant.needs.iter().cloned());
            whole.listed |= matches!(&grant.show, Show::Word(word) if word == "by-consent");
            whole.only_self |= grant.only_subject.is_some();
        }
        // Each limit is asked about what the grants come to, not about what another limit made of it.
        let granted = act.unwrap_or(Act::Remove);
        let mut act = granted;
        for limit in &text.limits {
            let (Some(patterns), Some(to)) = (&limit.what, &limit.to) else { continue };
            let applies = patterns.list().iter().any(|pattern| covers(pattern, category))
                && !limit.except_to.iter().any(|one| one == ask.recipient)
                && limit.when.as_ref().is_none_or(|when| {
                    when.purposes.list().iter().any(|one| reaches_purpose(one, purpose))
                });
            let alternatives: Vec<Act> = to.list().into_iter().map(Act::read).collect();
            if applies && !alternatives.iter().any(|one| granted.at_least(*one)) {
                act = act.join(alternatives[0]);
                whole.own_lines |= alternatives[0] == Act::OwnLines;
            }
        }
        whole.act = whole.act.join(act);
    }
    whole
}

/// Whether a grant is for this recipient, purpose, phase and route.
pub(super) fn applies(text: &Text, ask: &Ask, grant: &Grant, purpose: &str) -> bool {
    let phase = text.recipients[ask.recipient].phase.as_deref();
    let is_now =
        |during: &BTreeMap<String, String>| during.get("phase").map(String::as_str) == phase;
    grant.to.iter().any(|to| to == ask.recipient)
        && grant.purposes.iter().any(|one| one == purpose)
        && grant.during.as_ref().is_none_or(is_now)
        && (!grant.single_subject || [PERSON, NOTE].contains(&ask.route))
}

/// What a grant says about a category; `None`: nothing.
fn shown(grant: &Grant, category: &str, order: Option<&[&str]>) -> Option<Act> {
    if order.is_some_and(|listed| !listed.contains(&category)) {
        return None;
    }
    match &grant.show {
        Show::Word(word) if word == "by-order" => order.map(|_| Act::Keep),
        Show::Word(_) => grant.among.iter().any(|one| one == category).then_some(Act::Keep),
        Show::Map(show) => show
            .iter()
            .filter(|(pattern, _)| covers(pattern, category))
            .max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()))
            .map(|(_, action)| Act::read(action)),
    }
}
