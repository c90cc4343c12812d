//! What of routes is not in the cells of a release: whom an answer is about, what is catalogued of it,
//! what of a request counts and reaches the backend, and who may ask where nothing personal is answered.

use std::collections::{BTreeMap, BTreeSet};

use super::aggregate::whether_groups_alone;
use super::conditions::{other_of, push, set};
use super::parameters::{in_path, in_query, parameters};
use super::{Change, Way};
use crate::policy::model::{
    AnswerHeader, Derivation, Derived, Field, Form, Literal, Locator, Must, Open, Region,
    RequestBody, Route, Segment, Since, Subject,
};
use crate::policy::overlap::may_touch;
use crate::policy::tunnel::Tunnel;
use crate::policy::{Mode, Plan, Policy, Selector};
use crate::terms::{CategoryId, PurposeId, RecipientId, RouteId};

/// Changes of routes that both have. Of a route that is not in force nothing leaves.
pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    for after in new.routes.iter().filter(|route| is_in_force(route)) {
        if let Some(before) = old.routes.iter().find(|one| one.id == after.id) {
            route(&format!("route {}", after.id), before, after, changes);
        }
    }
    // What was asked of a route that is gone may be asked of another one now.
    for before in &old.routes {
        let is_gone = new.routes.iter().all(|one| one.id != before.id);
        let segment = |segment: &Segment| match segment {
            Segment::Literal(literal) => literal.clone(),
            // Nobody writes this as a literal.
            Segment::Parameter(_) => "\u{0}".to_owned(),
        };
        let segments: Vec<String> = before.template.iter().map(segment).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let instead = new.route(&before.method, &segments).filter(|_| is_gone);
        let instead = instead.map(|matched| &new.routes[matched.index]);
        if let Some(instead) = instead.filter(|instead| is_in_force(instead)) {
            let about = format!("route {}", before.id);
            other_of(changes, &about, "is answered by", before.id.as_str(), instead.id.as_str());
        }
    }
    set(changes, "who is answered without a grant", &asks(old), &asks(new));
}

/// Whether anything leaves by it.
pub(super) fn is_in_force(route: &Route) -> bool {
    route.mode == Mode::Enforce
}

fn route(about: &str, old: &Route, new: &Route, changes: &mut Vec<Change>) {
    let Route {
        id: _,
        // Both stand in the id.
        method: _,
        template: _,
        upstream,
        serve,
        subjects,
        each,
        aggregate,
        regions,
        media,
        tunnel,
        since,
        fields,
        open,
        request,
        path,
        open_path,
        query,
        derive,
        parties_only,
        answer_headers,
        // What they let through is in the cells, and in who is answered without a grant.
        purposes: _,
        mode: _,
        place: _,
    } = new;
    let text = |selector: &Option<Selector>| selector.as_ref().map(|each| each.text.clone());
    let backend = |route: &Route| format!("{:?}", route.upstream);
    if old.upstream != *upstream {
        other_of(changes, about, "backend", &backend(old), &backend(new));
    }
    if old.serve != *serve {
        let words = |route: &Route| format!("{:?}", route.serve);
        other_of(changes, about, "what the gateway answers itself", &words(old), &words(new));
    }
    let whom = "whom it is about";
    other_of(changes, about, whom, &subjects_of(&old.subjects), &subjects_of(subjects));
    let list = |each: &Option<Selector>| text(each).unwrap_or_else(|| "no list".to_owned());
    other_of(changes, about, "the list that is cut", &list(&old.each), &list(each));
    let told = "where it says in which region people are";
    other_of(changes, about, told, &regions_of(old, &old.regions), &regions_of(new, regions));
    let kinds = |media: &[crate::terms::Picture]| -> BTreeSet<String> {
        media.iter().map(|kind| kind.media_type().to_owned()).collect()
    };
    set(changes, &format!("{about}: kinds of pictures"), &kinds(&old.media), &kinds(media));
    tunnels(about, old.tunnel.as_ref(), tunnel.as_ref(), changes);
    other_of(changes, about, "where its dates stand", &dates(&old.since), &dates(since));
    let catalogued = Catalogue { of: new, fields, open, derive };
    let before = Catalogue { of: old, fields: &old.fields, open: &old.open, derive: &old.derive };
    before.changes(&catalogued, about, changes);
    body(about, old.request.as_ref(), request.as_ref(), changes);
    whether_groups_alone(about, old.aggregate.as_ref(), aggregate.as_ref(), changes);
    let path = in_path(path, open_path);
    parameters(about, "path", &in_path(&old.path, &old.open_path), &path, changes);
    parameters(about, "query", &in_query(&old.query), &in_query(query), changes);
    parties(about, (old, &old.parties_only), (new, parties_only), changes);
    set(
        changes,
        about,
        &links_in_head(old, &old.answer_headers),
        &links_in_head(new, answer_headers),
    );
}

/// Whether bytes pass unseen, and for pages of which origins.
fn tunnels(about: &str, old: Option<&Tunnel>, new: Option<&Tunnel>, changes: &mut Vec<Change>) {
    let word = |tunnel: Option<&Tunnel>| tunnel.map_or("no", |tunnel| tunnel.protocol.as_str());
    let way = match (old, new) {
        (None, Some(_)) => Way::Widened,
        (Some(_), None) => Way::Narrowed,
        (None, None) | (Some(_), Some(_)) => Way::Changed,
    };
    if word(old) != word(new) {
        push(
            changes,
            way,
            about,
            "is a tunnel, in which nothing is minimized",
            word(old),
            word(new),
        );
    }
    let origins = |tunnel: Option<&Tunnel>| tunnel.map(|it| it.origins.clone()).unwrap_or_default();
    set(changes, &format!("{about}: pages that open it"), &origins(old), &origins(new));
}

fn subjects_of(subjects: &[Subject]) -> String {
    let words: Vec<String> = subjects
        .iter()
        .map(|Subject { role, locator, place: _, by_name }| {
            let at = match locator {
                Locator::Path(name) => format!("`{name}` in the path"),
                Locator::Query(name) => format!("`{name}` in the query"),
                Locator::Body(selector) => format!("{} of the request", selector.text),
                Locator::Header(name) => format!("header {name}"),
                Locator::Document(selector) | Locator::Element(selector) => selector.text.clone(),
            };
            let named = if *by_name { "names of members at " } else { "" };
            format!("{role} by {named}{at}")
        })
        .collect();
    if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
}

/// What may stand in the links of which header.
fn links_in_head(route: &Route, headers: &[AnswerHeader]) -> BTreeSet<String> {
    let words = |AnswerHeader { header, category, of, place: _ }: &AnswerHeader| {
        let what = category.as_ref().map_or("links without ids".to_owned(), ToString::to_string);
        let whose = of.map(|at| format!(" of {}", role(route, at))).unwrap_or_default();
        format!("{what}{whose} in {} of an answer", header.as_str())
    };
    headers.iter().map(words).collect()
}

/// A role of the route by its name.
fn role(route: &Route, at: usize) -> &str {
    route.subjects.get(at).map_or("-", |subject| subject.role.as_str())
}

fn regions_of(route: &Route, regions: &[Region]) -> String {
    let mut words: Vec<String> = regions
        .iter()
        .map(|Region { of, selector, in_element, place: _ }| {
            let once = if *in_element { "" } else { ", once" };
            format!("{} of {}{once}", selector.text, role(route, *of))
        })
        .collect();
    words.sort();
    if words.is_empty() { "nowhere".to_owned() } else { words.join(", ") }
}

fn dates(since: &[Since]) -> String {
    let mut words: Vec<String> = since
        .iter()
        .map(|Since { categories, selector }| format!("of {categories} at {}", selector.text))
        .collect();
    words.sort();
    if words.is_empty() { "by the period alone".to_owned() } else { words.join(", ") }
}

/// All that a route says about members of its answers.
struct Catalogue<'a> {
    of: &'a Route,
    fields: &'a [Field],
    open: &'a [Open],
    derive: &'a [Derived],
}

/// One place of it. What happens there to whom is in the cells.
struct Entry<'a> {
    selector: &'a Selector,
    is: String,
    subtree: bool,
}

impl<'a> Catalogue<'a> {
    fn entries(&self) -> BTreeMap<&'a str, Vec<Entry<'a>>> {
        let linked = |form: Form| match form {
            Form::Value => "",
            Form::Link | Form::Header(_) => " in a link",
            Form::Name => " as a name",
        };
        let mut all: BTreeMap<&str, Vec<Entry<'_>>> = BTreeMap::new();
        for Field { selector, category, of, subtree, form, place: _ } in self.fields {
            let whose = of.map(|at| format!(" of {}", role(self.of, at))).unwrap_or_default();
            let is = format!("{category}{whose}{}", linked(*form));
            all.entry(&selector.text).or_default().push(Entry { selector, is, subtree: *subtree });
        }
        // That a name only looks personal is a word to the reader.
        for Open { selector, subtree, not_personal: _, form, place: _ } in self.open {
            let is = format!("open{}", linked(*form));
            all.entry(&selector.text).or_default().push(Entry { selector, is, subtree: *subtree });
        }
        for Derived { selector, how, place: _ } in self.derive {
            let is = match how {
                Derivation::CountEach => "counted anew".to_owned(),
                Derivation::Sealed { domain } => format!("sealed as {domain}"),
            };
            all.entry(&selector.text).or_default().push(Entry { selector, is, subtree: false });
        }
        all
    }

    fn changes(&self, new: &Self, about: &str, changes: &mut Vec<Change>) {
        let (before, after) = (self.entries(), new.entries());
        let words = |entries: &[Entry<'_>]| {
            let mut words: Vec<&str> = entries.iter().map(|entry| entry.is.as_str()).collect();
            words.sort_unstable();
            words.join(" and ")
        };
        for (text, was) in &before {
            let what = format!("what stands at {text}");
            let Some(is) = after.get(text) else {
                // Where two places meet the stricter wins: one that is gone may have kept another back.
                let meets = |one: &Entry<'_>| {
                    let mut left = after.values().flatten();
                    left.any(|other| may_touch(one.selector, other.selector))
                };
                if was.iter().any(meets) {
                    other_of(changes, about, &what, &words(was), "nothing of its own");
                }
                continue;
            };
            other_of(changes, about, &what, &words(was), &words(is));
            let whole = |entries: &[Entry<'_>]| entries.iter().all(|entry| entry.subtree);
            let (was, is) = (whole(was), whole(is));
            if was != is {
                let way = if is { Way::Widened } else { Way::Narrowed };
                let words = |yes: bool| if yes { "yes" } else { "no" };
                push(changes, way, about, &format!("all beneath {text}"), words(was), words(is));
            }
        }
    }
}

/// What a request may bring.
fn body(
    about: &str,
    old: Option<&RequestBody>,
    new: Option<&RequestBody>,
    changes: &mut Vec<Change>,
) {
    let (old_members, old_musts) = old.map(brought).unwrap_or_default();
    let (members, musts) = new.map(brought).unwrap_or_default();
    let what = |at: &str| format!("{at} of a request reaches the backend");
    compared(&old_members, &members, |at, was, is| {
        let way = match (was, is) {
            (None, _) => Way::Widened,
            (_, None) => Way::Narrowed,
            _ => Way::Changed,
        };
        push(changes, way, about, &what(at), was.map_or("no", String::as_str), is_or_no(is));
    });
    // A route that takes no body any more has nothing to demand of one.
    let (Some(_), Some(_)) = (old, new) else { return };
    compared(&old_musts, &musts, |at, was, is| {
        let way = match (was, is) {
            (_, None) => Way::Widened,
            (None, _) => Way::Narrowed,
            _ => Way::Changed,
        };
        let what = format!("{at} of a request must be");
        push(
            changes,
            way,
            about,
            &what,
            was.map_or("anything", String::as_str),
            match is {
                Some(is) => is,
                None => "anything",
            },
        );
    });
}

fn is_or_no(is: Option<&String>) -> &str {
    is.map_or("no", String::as_str)
}

type Members = BTreeMap<String, String>;

fn brought(body: &RequestBody) -> (Members, Members) {
    // The automaton is made of the selectors, and so is what is personal of them.
    let RequestBody { automaton: _, selectors, members, personal: _, must } = body;
    let word = |category: &Option<CategoryId>| {
        category.as_ref().map_or("open".to_owned(), ToString::to_string)
    };
    let members = selectors.iter().zip(members);
    let members = members.map(|(at, category)| (at.clone(), word(category))).collect();
    let musts = must.iter().map(|Must { selector, value }| {
        let value = match value {
            Literal::Bool(yes) => yes.to_string(),
            Literal::Integer(number) => number.to_string(),
            Literal::Text(text) => format!("{text:?}"),
        };
        (selector.text.clone(), value)
    });
    (members, musts.collect())
}

/// Tells of each name whose words differ.
fn compared(
    old: &Members,
    new: &Members,
    mut tell: impl FnMut(&str, Option<&String>, Option<&String>),
) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (old.get(name), new.get(name));
        if was != is {
            tell(name, was, is);
        }
    }
}

/// Of whom a person who asks must be one. More roles let more people in; none lets in everybody.
fn parties(
    about: &str,
    (old_route, old): (&Route, &[usize]),
    (new_route, new): (&Route, &[usize]),
    changes: &mut Vec<Change>,
) {
    let names = |route: &Route, roles: &[usize]| -> BTreeSet<String> {
        roles.iter().map(|at| role(route, *at).to_owned()).collect()
    };
    let (was, is) = (names(old_route, old), names(new_route, new));
    if was == is {
        return;
    }
    let way = match (was.is_empty(), is.is_empty()) {
        (_, true) => Way::Widened,
        (true, _) => Way::Narrowed,
        _ if is.is_superset(&was) => Way::Widened,
        _ if is.is_subset(&was) => Way::Narrowed,
        _ => Way::Changed,
    };
    let words = |names: BTreeSet<String>| match names.len() {
        0 => "anybody".to_owned(),
        _ => names.into_iter().collect::<Vec<_>>().join(" or "),
    };
    push(changes, way, about, "who asks must be", &words(was), &words(is));
}

/// Who may have what the gateway answers itself, and who may send something in: neither has a cell.
fn asks(policy: &Policy) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (id, recipient) in &policy.recipients {
        for route in policy.routes.iter().filter(|route| is_in_force(route)) {
            if route.serve.is_none() && !route.only_takes() {
                continue;
            }
            let purposes =
                recipient.purposes.iter().filter(|purpose| super::is_for(route, purpose));
            all.extend(purposes.map(|purpose| format!("{id} for {purpose} by {}", route.id)));
        }
    }
    all
}

/// A route as one recipient is answered it for one purpose.
pub(super) type Asked = (RecipientId, PurposeId, RouteId);

/// Conditions of an answer as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Conditions {
    only_own: bool,
    own_lines: bool,
}

impl Conditions {
    pub(super) fn of(plan: &Plan) -> Self {
        let Plan {
            route: _,
            route_index: _,
            recipient: _,
            purposes: _,
            // With the needs of the whole, in the release.
            cells: _,
            needs: _,
            // Made of what is compared.
            automaton: _,
            holds_document: _,
            companions: _,
            only_own,
            // The recipient's.
            only_where: _,
            // The route's.
            regions: _,
            // Of the retention and of what may not leave together, both compared by themselves.
            dated: _,
            company: _,
            own_lines,
        } = plan;
        Self { only_own: *only_own, own_lines: *own_lines }
    }
}

/// Changes of conditions of what both release.
pub(super) fn wholes(
    old: &BTreeMap<Asked, Conditions>,
    new: &BTreeMap<Asked, Conditions>,
    changes: &mut Vec<Change>,
) {
    for (place, is) in new {
        let Some(was) = old.get(place) else { continue };
        let (recipient, purpose, route) = place;
        let about = format!("{recipient} for {purpose}");
        let guards = [
            ("only about the person who asks", was.only_own, is.only_own),
            ("only lines of the person who asks", was.own_lines, is.own_lines),
        ];
        for (what, was, is) in guards {
            super::conditions::guard(changes, &about, &format!("{route} {what}"), was, is);
        }
    }
}
