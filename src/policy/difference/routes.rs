//! What routes let in and whom they ask, as far as it stands in no cell: their parameters and bodies,
//! whose data they hold, whether they show groups alone.
//!
//! A route that is not in force lets nobody in. Of one that is new, that it is there is told once.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions::{guard, other_of, push, set};
use super::{Change, Way, is_in_force};
use crate::policy::aggregate::Aggregate;
use crate::policy::model::{Literal, Locator, QueryParameter, RequestBody, Route, Serve};
use crate::policy::{Policy, Selector};
use crate::terms::CategoryId;

/// Changes of routes, one by one.
pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (in_force(old), in_force(new));
    for (id, is) in &after {
        let about = format!("route {id}");
        match before.get(id) {
            Some(was) => route(&about, was, is, changes),
            None => push(changes, Way::Widened, &about, "is asked for", "no", "yes"),
        }
    }
    for id in before.keys().filter(|id| !after.contains_key(*id)) {
        push(changes, Way::Narrowed, &format!("route {id}"), "is asked for", "yes", "no");
    }
}

fn in_force(policy: &Policy) -> BTreeMap<&str, &Route> {
    let routes = policy.routes.iter().filter(|route| is_in_force(route));
    routes.map(|route| (route.id.as_str(), route)).collect()
}

/// Every member of a route is named here, so that a new one cannot be forgotten.
fn route(about: &str, old: &Route, new: &Route, changes: &mut Vec<Change>) {
    let Route {
        // The method and path are the id; `regions` are compared with the transfers; `derive` and
        // `open` with the cells, as what they do with a member.
        id: _,
        method: _,
        template: _,
        regions: _,
        derive: _,
        mode: _,
        refuses: _,
        place: _,
        upstream,
        serve,
        subjects,
        each,
        aggregate,
        media,
        since,
        fields,
        open,
        request,
        path,
        open_path,
        query,
        parties_only,
        purposes,
    } = new;
    whether_groups_alone(about, old.aggregate.as_ref(), aggregate.as_ref(), changes);

    let path = in_path(path, open_path);
    parameters(about, "path", &in_path(&old.path, &old.open_path), &path, changes);
    parameters(about, "query", &in_query(&old.query), &in_query(query), changes);

    other_of(changes, about, "backend", &word(old.upstream.as_ref()), &word(upstream.as_ref()));
    other_of(changes, about, "what it serves", &served(old.serve), &served(*serve));
    let list = |each: &Option<Selector>| word(each.as_ref().map(|each| &each.text));
    other_of(changes, about, "list", &list(&old.each), &list(each));
    let people = |subjects: &[crate::policy::model::Subject]| {
        let one = |subject: &crate::policy::model::Subject| {
            format!("{} at {}", subject.role, located(&subject.locator))
        };
        subjects.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    other_of(changes, about, "whose data it holds", &people(&old.subjects), &people(subjects));

    let words = |all: &BTreeSet<String>| match all.len() {
        0 => "everybody".to_owned(),
        _ => all.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let roles = |route: &Route, roles: &[usize]| -> BTreeSet<String> {
        let named = roles.iter().filter_map(|role| route.subjects.get(*role));
        named.map(|subject| subject.role.to_string()).collect()
    };
    narrowing(
        about,
        "parties",
        words,
        &roles(old, &old.parties_only),
        &roles(new, parties_only),
        changes,
    );
    let used_for = |purposes: &Option<Vec<_>>| -> BTreeSet<String> {
        purposes.iter().flatten().map(ToString::to_string).collect()
    };
    let words = |all: &BTreeSet<String>| match all.len() {
        0 => "every purpose".to_owned(),
        _ => all.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    narrowing(about, "purposes", words, &used_for(&old.purposes), &used_for(purposes), changes);

    let kinds = |media: &[crate::terms::Picture]| -> BTreeSet<String> {
        media.iter().map(|kind| format!("answers of {}", kind.media_type())).collect()
    };
    set(changes, about, &kinds(&old.media), &kinds(media));
    let whole = |fields: &[crate::policy::model::Field], open: &[crate::policy::model::Open]| {
        let fields = fields.iter().filter(|field| field.subtree).map(|field| &field.selector);
        let open = open.iter().filter(|open| open.subtree).map(|open| &open.selector);
        let all = fields.chain(open);
        all.map(|selector| format!("everything beneath {}", selector.text)).collect::<BTreeSet<_>>()
    };
    set(changes, about, &whole(&old.fields, &old.open), &whole(fields, open));
    // What is there on one side only is told with what leaves of it.
    let (before, after) = (meanings(old), meanings(new));
    for (selector, is) in &after {
        if let Some(was) = before.get(selector) {
            other_of(changes, about, &format!("what {selector} is"), was, is);
        }
    }
    let dates = |since: &[crate::policy::model::Since]| {
        let mut all: Vec<String> = since
            .iter()
            .map(|since| format!("{} from {}", since.categories, since.selector.text))
            .collect();
        all.sort();
        all.join(", ")
    };
    other_of(changes, about, "dates", &dates(&old.since), &dates(since));
    bodies(about, old.request.as_ref(), request.as_ref(), changes);
}

/// A route that shows groups alone asks nobody, and one about people shows each of them.
fn whether_groups_alone(
    about: &str,
    old: Option<&Aggregate>,
    new: Option<&Aggregate>,
    changes: &mut Vec<Change>,
) {
    let groups = |aggregate: &Aggregate| format!("groups of {} or more", aggregate.k);
    let people = "people one by one";
    match (old, new) {
        (None, None) => {}
        (Some(old), Some(new)) => aggregate(&format!("aggregate of {about}"), old, new, changes),
        (Some(old), None) => push(changes, Way::Widened, about, "shows", &groups(old), people),
        // Less of each, but nobody's word counts any more.
        (None, Some(new)) => push(changes, Way::Changed, about, "shows", people, &groups(new)),
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

/// What a parameter takes.
#[derive(Clone, PartialEq)]
enum Takes {
    /// Anything: it says nothing about a person.
    Anything,
    /// Values and tokens of a category.
    Values(CategoryId),
    /// Cursors that the gateway sealed for this parameter.
    Cursors,
}

impl Takes {
    fn in_words(&self) -> String {
        match self {
            Self::Anything => "open".to_owned(),
            Self::Values(category) => category.to_string(),
            Self::Cursors => "sealed".to_owned(),
        }
    }
}

fn in_path(
    path: &BTreeMap<String, CategoryId>,
    open: &BTreeSet<String>,
) -> BTreeMap<String, Takes> {
    let values =
        path.iter().map(|(name, category)| (name.clone(), Takes::Values(category.clone())));
    values.chain(open.iter().map(|name| (name.clone(), Takes::Anything))).collect()
}

fn in_query(query: &BTreeMap<String, QueryParameter>) -> BTreeMap<String, Takes> {
    let takes = |parameter: &QueryParameter| match parameter {
        QueryParameter::Open => Takes::Anything,
        QueryParameter::Category(category) => Takes::Values(category.clone()),
        QueryParameter::Sealed { .. } => Takes::Cursors,
    };
    query.iter().map(|(name, parameter)| (name.clone(), takes(parameter))).collect()
}

/// One parameter more is one question more that can be asked, and in a path one link more that leaves.
fn parameters(
    about: &str,
    of: &str,
    old: &BTreeMap<String, Takes>,
    new: &BTreeMap<String, Takes>,
    changes: &mut Vec<Change>,
) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (old.get(name), new.get(name));
        if was == is {
            continue;
        }
        let way = match (was, is) {
            (Some(_), None) => Way::Narrowed,
            (None, _) | (_, Some(Takes::Anything)) => Way::Widened,
            // In a path what is open opens no token.
            (Some(Takes::Anything), Some(_)) if of == "query" => Way::Narrowed,
            (Some(_), Some(_)) => Way::Changed,
        };
        let words = |takes: Option<&Takes>| takes.map_or("-".to_owned(), Takes::in_words);
        push(changes, way, about, &format!("{of} parameter {name}"), &words(was), &words(is));
    }
}

/// A set that narrows to its members, and to nothing where it is empty.
fn narrowing(
    about: &str,
    what: &str,
    words: impl Fn(&BTreeSet<String>) -> String,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
    changes: &mut Vec<Change>,
) {
    if old == new {
        return;
    }
    let way = if new.is_empty() || (!old.is_empty() && new.is_superset(old)) {
        Way::Widened
    } else if old.is_empty() || new.is_subset(old) {
        Way::Narrowed
    } else {
        Way::Changed
    };
    push(changes, way, about, what, &words(old), &words(new));
}

/// Selector → which categories of whom stand there.
fn meanings(route: &Route) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for field in &route.fields {
        let role = field.of.and_then(|of| route.subjects.get(of)).map(|subject| &subject.role);
        let words = match role {
            Some(role) => format!("{} of {role}", field.category),
            None => field.category.to_string(),
        };
        all.entry(&field.selector.text).or_default().insert(words);
    }
    for open in &route.open {
        all.entry(&open.selector.text).or_default().insert("open".to_owned());
    }
    for derived in &route.derive {
        all.entry(&derived.selector.text).or_default().insert(format!("{:?}", derived.how));
    }
    let joined = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join(", ");
    all.into_iter().map(|(selector, words)| (selector, joined(words))).collect()
}

fn bodies(
    about: &str,
    old: Option<&RequestBody>,
    new: Option<&RequestBody>,
    changes: &mut Vec<Change>,
) {
    let members = |body: Option<&RequestBody>| -> BTreeSet<String> {
        let all = body.into_iter().flat_map(|body| body.selectors.iter().zip(&body.members));
        let words = |(selector, category): (&String, &Option<CategoryId>)| {
            let category = category.as_ref().map_or("open".to_owned(), ToString::to_string);
            format!("{selector} of a request, {category}")
        };
        all.map(words).collect()
    };
    set(changes, about, &members(old), &members(new));
    let musts = |body: Option<&RequestBody>| -> BTreeSet<String> {
        let all = body.into_iter().flat_map(|body| &body.must);
        all.map(|must| {
            let value = match &must.value {
                Literal::Bool(value) => value.to_string(),
                Literal::Integer(value) => value.to_string(),
                Literal::Text(value) => format!("{value:?}"),
            };
            format!("{} of a request must be {value}", must.selector.text)
        })
        .collect()
    };
    let (old, new) = (musts(old), musts(new));
    for lost in old.difference(&new) {
        guard(changes, about, lost, true, false);
    }
    for gained in new.difference(&old) {
        guard(changes, about, gained, false, true);
    }
}

fn located(locator: &Locator) -> String {
    match locator {
        Locator::Path(name) => format!("path:{name}"),
        Locator::Query(name) => format!("query:{name}"),
        Locator::Header(name) => format!("header:{name}"),
        Locator::Document(selector) | Locator::Element(selector) => selector.text.clone(),
    }
}

fn served(serve: Option<Serve>) -> String {
    serve.map_or("a backend's answer".to_owned(), |serve| format!("{serve:?}"))
}

fn word<T: ToString>(value: Option<&T>) -> String {
    value.map_or("-".to_owned(), ToString::to_string)
}
