//! How many different people a recipient may be told of within an hour, where the rules say so
//! (`subjects_per_hour`).
//!
//! People are counted before anything of them leaves, exactly, over the hour before each moment.
//! Whoever is named in a request takes a place before anything is looked up about them, and gives it
//! back if nothing of them leaves. So a recipient whose budget is used up is told so about everybody
//! alike, and cannot read from the answer who has consented, or exists.
//!
//! Kept are two keyed hashes of each id, never the id, and no more of them than the rules allow. The
//! count is this process's own: it begins anew with it, and each gateway has one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::decide::Met;
use crate::policy::model::{Locator, Route};
use crate::policy::{Mode, Policy};
use crate::terms::{DataSubject, RecipientId};

/// The window, in seconds.
const HOUR: u64 = 3600;

/// The budgets of all recipients.
pub(super) struct Budgets {
    spent: Mutex<HashMap<RecipientId, Spent>>,
    keys: [RandomState; 2],
    began: Instant,
}

impl Default for Budgets {
    fn default() -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { spent: Mutex::default(), keys, began: Instant::now() }
    }
}

/// A person as the count knows them.
type Tag = u128;

/// Of whom one recipient was told.
#[derive(Default)]
struct Spent {
    people: HashMap<Tag, Place>,
    /// No place lapses before this second.
    lapses: u64,
}

/// One person's place.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The second in which something of them last left.
    told: Option<u64>,
    /// Requests under way that name them.
    held: u32,
}

impl Place {
    fn lapses(self) -> u64 {
        self.told.map_or(0, |told| told + HOUR)
    }
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedUp {
    /// In how many seconds a place may be free.
    pub(super) retry_after: u64,
}

/// What one request takes of a budget. Places of people of whom nothing left are given back when it
/// is dropped.
pub(super) struct Spending {
    budgets: Arc<Budgets>,
    recipient: RecipientId,
    most: usize,
    held: Vec<Tag>,
}

impl Budgets {
    /// Begins a request of `recipient` on `route` that names these people. `None`: it is bound by no
    /// budget, or the route tells of nobody.
    pub(super) fn begin<'a>(
        self: &Arc<Self>,
        policy: &Policy,
        recipient: &RecipientId,
        route: &Route,
        named: impl Iterator<Item = &'a DataSubject>,
    ) -> Result<Option<Spending>, UsedUp> {
        let bound = policy.recipients.get(recipient).and_then(|found| found.subjects_per_hour);
        let tells = route.mode == Mode::Enforce
            && !route.subjects.is_empty()
            && route.categories().next().is_some();
        let Some(most) = bound.filter(|_| tells) else { return Ok(None) };
        let named: Vec<Tag> = named.map(|person| self.tag(person)).collect();
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        // Those whom a body names are known as soon as it was read.
        let later = route.subjects.iter().any(|one| matches!(one.locator, Locator::Body(_)));
        let unnamed = usize::from(named.is_empty() && !later);
        self.hold(recipient, most, (named, unnamed), self.second()).map(Some)
    }

    fn second(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn tag(&self, person: &DataSubject) -> Tag {
        let [upper, lower] = [0, 1].map(|at: usize| self.keys[at].hash_one(&**person.expose()));
        u128::from(upper) << 64 | u128::from(lower)
    }

    fn hold(
        self: &Arc<Self>,
        recipient: &RecipientId,
        most: usize,
        (mut named, unnamed): (Vec<Tag>, usize),
        now: u64,
    ) -> Result<Spending, UsedUp> {
        named.sort_unstable();
        named.dedup();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = spent.entry(recipient.clone()).or_default();
        // Somebody will stand in an answer to a request that names nobody.
        spent.make_room(spent.new_among(&named) + unnamed, most, now)?;
        for tag in &named {
            spent.people.entry(*tag).or_default().held += 1;
        }
        Ok(Spending { budgets: Arc::clone(self), recipient: recipient.clone(), most, held: named })
    }
}

impl Spent {
    fn new_among(&self, tags: &[Tag]) -> usize {
        tags.iter().filter(|tag| !self.people.contains_key(tag)).count()
    }

    /// Sees to it that so many more fit, by giving up places that have lapsed.
    fn make_room(&mut self, new: usize, most: usize, now: u64) -> Result<(), UsedUp> {
        if new == 0 || self.people.len().saturating_add(new) <= most {
            return Ok(());
        }
        if now >= self.lapses {
            self.people.retain(|_, place| place.held > 0 || place.lapses() > now);
            let told = self.people.values().filter(|place| place.told.is_some());
            self.lapses = told.map(|place| place.lapses()).min().unwrap_or(now);
        }
        if self.people.len().saturating_add(new) <= most {
            return Ok(());
        }
        Err(UsedUp { retry_after: self.lapses.saturating_sub(now).clamp(1, HOUR) })
    }
}

impl Spending {
    /// Holds places for people who turn out to be named besides.
    ///
    /// # Errors
    /// They do not fit. Nobody may be asked about any of them.
    pub(super) fn name<'a>(
        &mut self,
        named: impl Iterator<Item = &'a DataSubject>,
    ) -> Result<(), UsedUp> {
        let tags = named.map(|person| self.budgets.tag(person)).collect();
        self.name_at(tags, self.budgets.second())
    }

    fn name_at(&mut self, mut tags: Vec<Tag>, now: u64) -> Result<(), UsedUp> {
        tags.retain(|tag| !self.held.contains(tag));
        let tags = self.place(tags, now, |place| place.held += 1)?;
        self.held.extend(tags);
        Ok(())
    }

    /// Counts everybody of whom something is about to leave.
    ///
    /// # Errors
    /// They do not fit. None of them is counted, and nothing of them may leave.
    pub(super) fn tell(&self, met: &[Met]) -> Result<(), UsedUp> {
        let tags = met.iter().map(|met| self.budgets.tag(&met.person)).collect();
        self.tell_at(tags, self.budgets.second())
    }

    fn tell_at(&self, tags: Vec<Tag>, now: u64) -> Result<(), UsedUp> {
        self.place(tags, now, |place| place.told = Some(now)).map(drop)
    }

    /// Notes something of each of these people, if all of them have a place or get one. Gives each once.
    fn place(
        &self,
        mut tags: Vec<Tag>,
        now: u64,
        note: impl Fn(&mut Place),
    ) -> Result<Vec<Tag>, UsedUp> {
        tags.sort_unstable();
        tags.dedup();
        let mut spent = self.budgets.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = spent.entry(self.recipient.clone()).or_default();
        let new = spent.new_among(&tags);
        spent.make_room(new, self.most, now)?;
        for tag in &tags {
            note(spent.people.entry(*tag).or_default());
        }
        Ok(tags)
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let mut spent = self.budgets.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(spent) = spent.get_mut(&self.recipient) else { return };
        for tag in &self.held {
            let Some(place) = spent.people.get_mut(tag) else { continue };
            place.held = place.held.saturating_sub(1);
            if place.held == 0 && place.told.is_none() {
                spent.people.remove(tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that names these people.
    fn asks(budgets: &Arc<Budgets>, named: &[Tag], now: u64) -> Result<Spending, UsedUp> {
        let unnamed = usize::from(named.is_empty());
        budgets.hold(&RecipientId::from("mailer"), 3, (named.to_vec(), unnamed), now)
    }

    #[test]
    fn people_whom_a_body_names_take_places_too_and_give_them_back() {
        let budgets = Arc::new(Budgets::default());
        let mut body = asks(&budgets, &[1], 0).expect("room for three");
        body.name_at(vec![1, 2, 2, 3], 0).expect("three in all");
        assert!(body.name_at(vec![4], 0).is_err(), "a fourth");
        assert!(asks(&budgets, &[4], 0).is_err(), "nor by another request");
        body.tell_at(vec![2], 0).expect("it has a place");
        drop(body);
        assert!(asks(&budgets, &[4, 5], 0).is_ok(), "of whom nothing left has none any more");
        assert!(asks(&budgets, &[4, 5, 6], 0).is_err(), "of whom something left has one");
    }

    /// A request that is answered about these people.
    fn told(budgets: &Arc<Budgets>, people: &[Tag], now: u64) -> Result<(), UsedUp> {
        asks(budgets, &[], now)?.tell_at(people.to_vec(), now)
    }

    #[test]
    fn people_are_counted_once_within_each_hour_and_exactly() {
        let budgets = Arc::new(Budgets::default());
        assert_eq!(told(&budgets, &[1, 2, 1], 0), Ok(()));
        assert_eq!(told(&budgets, &[1, 2], 10), Ok(()), "the same people are no more people");
        assert_eq!(told(&budgets, &[3, 4], 20), Err(UsedUp { retry_after: HOUR - 10 }));
        assert_eq!(told(&budgets, &[3], 20), Ok(()), "none of those who did not fit was counted");
        let used_up = |now| asks(&budgets, &[], now).err().map(|used_up| used_up.retry_after);
        assert_eq!(used_up(20), Some(HOUR - 10), "a list is of somebody else");
        assert!(asks(&budgets, &[1], 20).is_ok(), "who was told of already may be asked about");
        // The hour counts from when they were last told of, so that no hour has more than three.
        assert_eq!(used_up(HOUR + 9), Some(1));
        assert_eq!(told(&budgets, &[4, 5], HOUR + 10), Ok(()));
        assert_eq!(told(&budgets, &[6], HOUR + 11), Err(UsedUp { retry_after: 9 }));
        assert!(budgets.spent.lock().expect("no panic")["mailer"].people.len() <= 3);
        let other = budgets.hold(&RecipientId::from("courier"), 3, (vec![7], 0), HOUR + 11);
        assert!(other.is_ok(), "one recipient's budget is nobody else's");
    }

    #[test]
    fn a_place_is_held_before_anything_is_known_and_given_back_where_nothing_leaves() {
        let budgets = Arc::new(Budgets::default());
        assert_eq!(told(&budgets, &[1, 2], 0), Ok(()));
        let first = asks(&budgets, &[3], 1).expect("the last place");
        // Whether these two exist or have consented shows in nothing.
        assert!(asks(&budgets, &[4], 1).is_err() && asks(&budgets, &[5], 1).is_err());
        let again = asks(&budgets, &[3], 1).expect("it is the same person");
        drop(again);
        assert!(asks(&budgets, &[4], 1).is_err(), "the first is still under way");
        assert_eq!(first.tell_at(vec![3], 2), Ok(()));
        drop(first);
        assert!(asks(&budgets, &[4], 3).is_err(), "something of them left");

        let budgets = Arc::new(Budgets::default());
        drop(asks(&budgets, &[1, 2, 3], 0).expect("three places"));
        assert_eq!(told(&budgets, &[4, 5, 6], 0), Ok(()), "nothing of the first three left");
    }
}
