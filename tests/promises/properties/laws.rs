//! Laws that hold in every world: what may change without changing an answer, and what can only ever
//! make one shorter.

use std::sync::Arc;

use tamis::gateway::rehearsal::Rehearsed;
use tamis::policy::Policy;

use super::chance::{Ground, SHARE};
use super::played::{play_by, play_in_pieces};
use super::world::{BASKET, PERSON, World};
use crate::differential::random::Random;
use crate::differential::setting;
use crate::oracle::{Tree, read};

/// Worlds for each law; a second or two of one core in a debug build.
const WORLDS: u64 = 800;

/// Calls `law` with each world whose rules load and with what it comes to; it says whether it was put
/// to the test, which has to happen now and then.
fn every(law: impl Fn(&Arc<Policy>, &World, &Rehearsed, &mut Random) -> bool) {
    every_of(WORLDS, law);
}

fn every_of(usual: u64, law: impl Fn(&Arc<Policy>, &World, &Rehearsed, &mut Random) -> bool) {
    let first = setting("TAMIS_FIRST").unwrap_or(0);
    let worlds = setting("TAMIS_WORLDS").unwrap_or(usual);
    let mut tested = 0;
    for ground_number in first / SHARE..(first + worlds) / SHARE {
        let ground = Ground::new(ground_number);
        let Ok(policy) = Policy::parse("chance.yaml", &ground.rules.text()).map(Arc::new) else {
            continue;
        };
        for number in ground_number * SHARE..(ground_number + 1) * SHARE {
            let world = ground.world(number);
            let answer = play_by(&policy, &world);
            let mut random = Random::seeded(number);
            tested += u64::from(law(&policy, &world, &answer, &mut random));
        }
    }
    assert!(worlds < usual || tested > worlds / 250, "the law was tested {tested} times only");
}

fn shuffle<T>(list: &mut [T], random: &mut Random) {
    for at in (1..list.len()).rev() {
        list.swap(at, random.below(at + 1));
    }
}

/// Status, headers and body, or why there is none.
fn outcome(answer: &Rehearsed) -> String {
    let body = answer.body.as_ref().map(|body| String::from_utf8_lossy(body));
    format!("{} {:?} {body:?}", answer.status, answer.headers)
}

#[test]
fn the_order_of_what_people_have_said_means_nothing() {
    every(|policy, world, answer, random| {
        let mut other = world.clone();
        for said in other.people.values_mut() {
            shuffle(&mut said.consents, random);
            shuffle(&mut said.notices, random);
            for consent in &mut said.consents {
                shuffle(&mut consent.to, random);
                shuffle(&mut consent.categories, random);
            }
        }
        assert_eq!(outcome(&play_by(policy, &other)), outcome(answer), "{other:?}");
        answer.body.is_ok()
    });
}

#[test]
fn the_order_of_lines_in_the_rules_means_nothing() {
    // Each section of its own world, so that a failure says which.
    let sections: [fn(&mut World) -> &mut Vec<String>; 6] = [
        |world| &mut world.rules.categories,
        |world| &mut world.rules.purposes,
        |world| &mut world.rules.recipients,
        |world| &mut world.rules.release,
        |world| &mut world.rules.limits,
        |world| &mut world.rules.transfers,
    ];
    for ground_number in 0..WORLDS / SHARE {
        let ground = Ground::new(ground_number);
        let Ok(policy) = Policy::parse("chance.yaml", &ground.rules.text()).map(Arc::new) else {
            continue;
        };
        let mut random = Random::seeded(ground_number);
        let mut shuffled = ground.world(0);
        let section = sections[random.below(sections.len())];
        shuffle(section(&mut shuffled), &mut random);
        let other = Policy::parse("chance.yaml", &shuffled.rules.text());
        let other = Arc::new(other.unwrap_or_else(|found| panic!("in another order: {found}")));
        for number in ground_number * SHARE..(ground_number + 1) * SHARE {
            let world = ground.world(number);
            let (one, two) = (play_by(&policy, &world), play_by(&other, &world));
            assert_eq!(one.status, two.status, "world {number}");
            assert_eq!(one.body, two.body, "world {number}");
        }
    }
}

#[test]
fn the_order_of_members_means_nothing() {
    every(|policy, world, answer, random| {
        let tree = read(world.document.as_bytes()).expect("JSON of ours");
        let mut other = world.clone();
        let mut text = String::new();
        write(&turned(&tree, random), &mut text);
        other.document = text;
        let answer = answer.body.as_ref().map(|body| sorted(body));
        let turned = play_by(policy, &other).body;
        assert_eq!(turned.as_ref().map(|body| sorted(body)), answer, "{other:?}");
        answer.is_ok()
    });
}

#[test]
fn where_a_body_is_cut_means_nothing() {
    every(|policy, world, answer, random| {
        let Ok(body) = &answer.body else { return false };
        let cuts: Vec<usize> = (0..4).map(|_| random.below(world.document.len() + 1)).collect();
        let found = play_in_pieces(policy, world, &cuts);
        assert_eq!(found.as_ref(), Some(body), "cut at {cuts:?}: {world:?}");
        true
    });
}

#[test]
fn a_minimized_body_is_minimized_to_itself() {
    every_of(4 * WORLDS, |policy, world, answer, _| {
        let Ok(body) = &answer.body else { return false };
        let text = String::from_utf8(body.clone()).expect("UTF-8");
        // Who it is about still stands in the path; no key was used, which would be used again; and no
        // filter looks at what it may have taken away.
        let asks_again = [PERSON, BASKET].contains(&world.ask.route)
            && !world.rules.routes[world.ask.route].contains("[?")
            && !["ps1_", "tk1_"].iter().any(|keyed| text.contains(keyed));
        if !asks_again {
            return false;
        }
        let mut again = world.clone();
        again.document.clone_from(&text);
        let Ok(twice) = play_by(policy, &again).body else { return false };
        let (once, twice) = (text, String::from_utf8(twice).expect("UTF-8"));
        // A year is no date any more, and what is left of a masked text may be too short to show as
        // much again: a placeholder takes its place.
        let may_shorten = ["\"19", "\"****"].iter().any(|of| once.contains(of));
        assert!(once == twice || may_shorten, "{once} became {twice}");
        true
    });
}

#[test]
fn one_more_limit_releases_nothing_more() {
    let mut tested = 0;
    for ground_number in 0..WORLDS / SHARE {
        let mut ground = Ground::new(ground_number);
        ground.rules.limits.retain(|limit| !is_about_pairs(limit));
        let Ok(before) = Policy::parse("chance.yaml", &ground.rules.text()).map(Arc::new) else {
            continue;
        };
        let limit = ground.limit(ground_number);
        ground.rules.limits.push(limit.clone());
        // What nobody gets in clear any more, no parameter may filter on.
        let Ok(after) = Policy::parse("chance.yaml", &ground.rules.text()).map(Arc::new) else {
            continue;
        };
        for number in ground_number * SHARE..(ground_number + 1) * SHARE {
            let world = ground.world(number);
            let (before, after) = (play_by(&before, &world), play_by(&after, &world));
            shows_no_more(&before, &after, &format!("world {number}, with {limit}"));
            tested += u32::from(before.body.is_ok());
        }
    }
    assert!(tested > 50, "{tested}");
}

#[test]
fn whoever_says_no_releases_nothing_more() {
    every(|policy, world, answer, random| {
        if world.rules.limits.iter().any(|limit| is_about_pairs(limit)) {
            return false;
        }
        let mut other = world.clone();
        let ids: Vec<&str> = other.people.keys().copied().collect();
        let id = ids[random.below(ids.len())];
        let said = other.people.get_mut(id).expect("there");
        let what = match random.below(6) {
            0 => {
                said.objections.push(("*", -1));
                "objects"
            }
            1 => {
                said.restrictions.push((vec!["*"], -1, None));
                "restricts everything"
            }
            2 => {
                said.restrictions.push((vec!["contact.*"], -1, None));
                "restricts one"
            }
            3 => {
                said.erasure = Some((-1, vec![]));
                "is erased"
            }
            4 => {
                said.adult = None;
                "has no age"
            }
            _ => {
                let Some(consent) = said.consents.last_mut() else { return false };
                // Delivered before what it withdraws.
                consent.events.insert(0, (-200, "withdrawn"));
                "withdraws"
            }
        };
        let after = play_by(policy, &other);
        shows_no_more(answer, &after, &format!("{id} {what}: {world:?}"));
        answer.body.is_ok()
    });
}

/// Where one of two categories stays away, the other may leave: so one more reason against the one can
/// be the reason for the other.
fn is_about_pairs(limit: &str) -> bool {
    limit.contains("together_never")
}

/// Whether all that `after` tells, `before` told.
fn shows_no_more(before: &Rehearsed, after: &Rehearsed, what: &str) {
    let Ok(after) = &after.body else { return };
    let Ok(before) = &before.body else {
        panic!("{what}: an answer where there was none: {}", String::from_utf8_lossy(after));
    };
    let (mut told, mut tells) = (Vec::new(), Vec::new());
    leaves(&read(before).expect("JSON"), &mut told);
    leaves(&read(after).expect("JSON"), &mut tells);
    for leaf in tells {
        let shown = leaf.trim_start_matches("****");
        let is_keyed = ["ps1_", "tk1_"].iter().any(|keyed| shown.starts_with(keyed));
        // Of a short text a shorter mask may show a little where a longer one shows nothing.
        let is_masked = leaf != shown && told.iter().any(|one| one.starts_with("****"));
        assert!(
            is_keyed || is_masked || told.iter().any(|one| one.contains(shown)),
            "{what}: {leaf} of {told:?}"
        );
    }
}

/// Every value, counts left out: there are fewer of what was counted.
fn leaves(tree: &Tree, out: &mut Vec<String>) {
    match tree {
        Tree::Null => {}
        Tree::Bool(value) => out.push(value.to_string()),
        Tree::Number(text) | Tree::String(text) => out.push(text.clone()),
        Tree::Array(elements) => elements.iter().for_each(|element| leaves(element, out)),
        Tree::Object(members) => {
            let rest = members.iter().filter(|(name, _)| name != "total");
            rest.for_each(|(_, member)| leaves(member, out));
        }
    }
}

/// The same with the members of every object in another order.
fn turned(tree: &Tree, random: &mut Random) -> Tree {
    match tree {
        Tree::Array(elements) => {
            Tree::Array(elements.iter().map(|element| turned(element, random)).collect())
        }
        Tree::Object(members) => {
            let mut members: Vec<(String, Tree)> = members
                .iter()
                .map(|(name, member)| (name.clone(), turned(member, random)))
                .collect();
            shuffle(&mut members, random);
            Tree::Object(members)
        }
        scalar => scalar.clone(),
    }
}

/// A body with its members in one order, without its count: that stays only behind its list.
fn sorted(body: &[u8]) -> String {
    fn sort(tree: Tree) -> Tree {
        match tree {
            Tree::Array(elements) => Tree::Array(elements.into_iter().map(sort).collect()),
            Tree::Object(members) => {
                let mut members: Vec<(String, Tree)> = members
                    .into_iter()
                    .filter(|(name, _)| name != "total")
                    .map(|(name, member)| (name, sort(member)))
                    .collect();
                members.sort_by_key(|(name, member)| (name.clone(), format!("{member:?}")));
                Tree::Object(members)
            }
            scalar => scalar,
        }
    }
    format!("{:?}", sort(read(body).expect("JSON")))
}

fn write(tree: &Tree, out: &mut String) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Tree::Number(text) => out.push_str(text),
        Tree::String(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Tree::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(element, out);
            }
            out.push(']');
        }
        Tree::Object(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}
