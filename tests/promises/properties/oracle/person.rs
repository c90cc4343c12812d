//! Steps 7 and 8: what one person's statements do.

use std::collections::{BTreeMap, BTreeSet};

use super::act::Act;
use super::cell::{Cell, applies};
use super::request::{TODAY, reaches_purpose, within};
use super::text::{Recipient, Text, covers};
use crate::properties::world::{BASKET, Consent, PERSON, Said, World};

/// Who asks, and all that was settled before anybody was looked at.
pub(super) struct Asker<'a> {
    pub(super) text: &'a Text,
    pub(super) world: &'a World,
    pub(super) recipient: &'a Recipient,
    pub(super) purposes: &'a [&'a str],
    pub(super) cells: &'a BTreeMap<&'a str, Cell>,
    /// Categories that the query filters on.
    pub(super) filters: Vec<String>,
    /// Categories of the order.
    pub(super) order: Option<&'a [&'a str]>,
}

/// What is left of each category for one person, or the code by which the person is left out.
pub(super) type Gate = Result<BTreeMap<String, Act>, &'static str>;

/// Where an answer says that somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stated {
    /// The answer is still to come, and is going to be asked.
    Later,
    /// Nothing, or nobody asks.
    Nothing,
    /// In this country or region.
    In(String),
    /// Something that is no region, or two things.
    Nowhere,
}

impl Asker<'_> {
    /// Who asks: the person of the token, or the party that the rules say the recipient is.
    pub(super) fn caller(&self) -> Option<&str> {
        self.world.ask.person.or(self.recipient.party.as_deref())
    }

    /// "Cookies": an essential one passes; of the others who is signed in has agreed, to the purpose that
    /// the rules name, and nothing that they said since stops it.
    pub(super) fn passes(&self, cookie: &str) -> bool {
        let Some(rules) = self.text.cookies.get(cookie) else { return false };
        if rules.class == "essential" {
            return true;
        }
        let (Some(purpose), Some(id)) = (&rules.consent, self.world.ask.person) else {
            return false;
        };
        let nobody = Said::default();
        let said = self.world.people.get(id).unwrap_or(&nobody);
        let explicit = self.basis(purpose) == "explicit-consent";
        let everything = |(what, since, until): &(Vec<&str>, i64, Option<i64>)| {
            what.contains(&"*") && *since <= 0 && until.is_none_or(|until| until > 0)
        };
        // Whether or not the purpose is one to object to.
        self.consent(said, purpose, None, explicit)
            && !self.said_no(said, purpose)
            && (said.adult == Some(true) || !self.asks_age(purpose))
            && !said.restrictions.iter().any(everything)
            && said.erasure.as_ref().is_none_or(|(at, _)| *at > 0)
    }

    /// Whether answers are asked where people are.
    pub(super) fn asks_routes(&self) -> bool {
        self.text.transfers.region_of_subject.from.iter().any(|from| from == "route.region")
    }

    pub(super) fn gate(&self, id: &str, stated: &Stated) -> Gate {
        let nobody = Said::default();
        let said = self.world.people.get(id).unwrap_or(&nobody);
        let rules = |purpose: &str| &self.text.purposes[purpose];
        if self.cells.values().any(|cell| cell.only_self) && self.caller() != Some(id) {
            return Err("not-a-party");
        }
        let for_case = self.purposes.iter().any(|purpose| rules(purpose).needs_case);
        if self.order.is_some() && said.orders.is_empty() || for_case && said.cases.is_empty() {
            return Err("not-named");
        }
        if let Some((at, except)) = &said.erasure
            && *at <= 0
            && !self.purposes.iter().all(|purpose| {
                rules(purpose).survives.iter().any(|what| what == "erasure")
                    || except.iter().any(|except| reaches_purpose(except, purpose))
            })
        {
            return Err("erased");
        }
        // Of itself a party is told without anybody's consent.
        if self.recipient.party.as_deref() == Some(id) {
            let own = self.cells.iter().map(|(name, cell)| ((*name).to_owned(), cell.act));
            return Ok(own.collect());
        }
        let restricted: Vec<&&str> = said
            .restrictions
            .iter()
            .filter(|(_, since, until)| *since <= 0 && until.is_none_or(|until| until > 0))
            .flat_map(|(categories, ..)| categories)
            .collect();
        let goes_on = self.order.is_some()
            || self.purposes.iter().all(|purpose| {
                rules(purpose).survives.iter().any(|what| what == "restriction")
                    || self.consent(said, purpose, None, true)
            });
        if !goes_on && restricted.iter().any(|pattern| **pattern == "*") {
            return Err("restricted");
        }
        if self.order.is_none() && self.purposes.iter().any(|purpose| self.objected(said, purpose))
        {
            return Err("objected");
        }
        if said.adult != Some(true) && self.purposes.iter().any(|purpose| self.asks_age(purpose)) {
            return Err("minor");
        }
        let measures = self.measures(said, stated)?;
        let mut needs = self.needs_of_the_whole();
        // Whether they agreed comes before whether they were told.
        needs.sort_by_key(|(need, _)| *need == "notice");
        for (need, purpose) in needs {
            if !self.is_met(said, need, purpose, None) {
                return Err(match need {
                    "notice" => "notice-missing",
                    _ => "consent-missing",
                });
            }
        }
        let mut left = BTreeMap::new();
        for (category, cell) in self.cells {
            let mut act = cell.act;
            if !goes_on && restricted.iter().any(|pattern| covers(pattern, category)) {
                act = act.join(Act::Remove);
            }
            let own = cell.needs.iter().flat_map(|need| {
                self.purposes.iter().map(move |purpose| (need.as_str(), *purpose))
            });
            let mut needs = own.chain(self.needs_of_the_whole());
            if !needs.all(|(need, purpose)| self.is_met(said, need, purpose, Some(category))) {
                act = act.join(Act::Remove);
            }
            if cell.listed && !self.purposes.iter().all(|one| self.lists(said, one, category)) {
                act = act.join(Act::Remove);
            }
            for (pattern, action) in &measures {
                if covers(pattern, category) {
                    act = act.join(Act::read(action));
                }
            }
            left.insert((*category).to_owned(), act);
        }
        let taken = |category: &String| !left[category].releases();
        if self.filters.iter().any(taken) {
            return Err("filtered");
        }
        Ok(left)
    }

    fn objected(&self, said: &Said, purpose: &str) -> bool {
        let rules = &self.text.purposes[purpose];
        let stops = match rules.objectable.as_deref() {
            Some("never") => false,
            Some(_) => true,
            None => matches!(self.basis(purpose), "legitimate-interests" | "public-task"),
        };
        stops && self.said_no(said, purpose)
    }

    /// Whether there is an objection, by the person or by the header.
    fn said_no(&self, said: &Said, purpose: &str) -> bool {
        let gpc = self.text.registers.objection.gpc.as_ref().filter(|_| self.world.ask.gpc);
        let by_header = gpc
            .and_then(|gpc| gpc.get("objects_to"))
            .is_some_and(|to| to.list().iter().any(|pattern| reaches_purpose(pattern, purpose)));
        let mut objections = said.objections.iter().filter(|(_, since)| *since <= 0);
        by_header || objections.any(|(pattern, _)| reaches_purpose(pattern, purpose))
    }

    /// The basis of a purpose, or of the one above it.
    fn basis(&self, purpose: &str) -> &str {
        let mut name = purpose;
        loop {
            if let Some(basis) = &self.text.purposes[name].basis {
                return basis;
            }
            name = name.rsplit_once('.').expect("a purpose at the top has a basis").0;
        }
    }

    fn asks_age(&self, purpose: &str) -> bool {
        let limits = self.text.limits.iter().filter_map(|limit| limit.minors_for.as_ref());
        let mut patterns = limits.flat_map(super::text::OneOrMany::list);
        self.text.purposes[purpose].min_age.is_some()
            || patterns.any(|pattern| reaches_purpose(pattern, purpose))
    }

    /// What transfer to the recipient's country asks for.
    fn measures(
        &self,
        said: &Said,
        stated: &Stated,
    ) -> Result<Vec<(String, String)>, &'static str> {
        let Some(country) = &self.recipient.country else { return Ok(Vec::new()) };
        let unknown = &self.text.transfers.region_of_subject.unknown;
        let mut regions: Vec<&str> = said.region.into_iter().collect();
        match stated {
            Stated::Later if regions.is_empty() => return Ok(Vec::new()),
            Stated::Later | Stated::Nothing => {}
            Stated::In(region) => regions.push(region),
            Stated::Nowhere => return Err("transfer-of-subject"),
        }
        if regions.is_empty() {
            regions.push(unknown);
        }
        let mut measures = Vec::new();
        for region in regions {
            measures.extend(self.measures_from(region, country)?);
        }
        Ok(measures)
    }

    fn measures_from(
        &self,
        region: &str,
        country: &str,
    ) -> Result<Vec<(String, String)>, &'static str> {
        let transfers = &self.text.transfers;
        let ways: Vec<_> = transfers
            .table
            .iter()
            .filter(|one| one.until.as_deref().is_none_or(|until| until >= TODAY))
            .filter(|one| within(self.text, &one.from, region))
            .filter(|one| within(self.text, &one.to, country))
            .collect();
        if ways.is_empty() {
            return Err("transfer-of-subject");
        }
        if ways.iter().any(|way| way.measure.is_empty()) {
            return Ok(Vec::new());
        }
        Ok(ways.iter().flat_map(|way| way.measure.clone()).collect())
    }

    /// Needs for which the person is left out. Each is a need for every purpose of the request: what
    /// leaves must be fit for all of them.
    fn needs_of_the_whole(&self) -> Vec<(&str, &str)> {
        let mut needs = BTreeSet::new();
        let rests_on_consent =
            |purpose: &str| matches!(self.basis(purpose), "consent" | "explicit-consent");
        for purpose in self.purposes.iter().filter(|purpose| rests_on_consent(purpose)) {
            needs.insert(self.basis(purpose));
        }
        if self.recipient.role == "third-party" {
            for limit in &self.text.limits {
                let Some(third) = &limit.third_parties else { continue };
                let is_excepted =
                    |purpose: &&str| limit.except_for.iter().any(|one| one == purpose);
                if !self.purposes.iter().all(is_excepted) {
                    needs.extend(third.needs.iter().map(String::as_str));
                }
            }
        }
        // What rests on consent anyway has the needs of its grants as a whole.
        let ask = &self.world.ask;
        for purpose in self.purposes.iter().filter(|purpose| rests_on_consent(purpose)) {
            for grant in &self.text.release {
                if applies(self.text, ask, grant, purpose) {
                    needs.extend(grant.needs.iter().map(String::as_str));
                }
            }
        }
        let each = |need| self.purposes.iter().map(move |purpose| (need, *purpose));
        needs.into_iter().flat_map(each).collect()
    }

    fn is_met(&self, said: &Said, need: &str, purpose: &str, category: Option<&str>) -> bool {
        match need {
            "notice" => said
                .notices
                .iter()
                .any(|(about, present, at)| *about == purpose && *present && *at <= 0),
            "consent" => self.order.is_some() || self.consent(said, purpose, category, false),
            "explicit-consent" => {
                self.order.is_some() || self.consent(said, purpose, category, true)
            }
            // Of somebody whom the request itself names.
            "one-time-grant" => {
                [PERSON, BASKET].contains(&self.world.ask.route)
                    && said.once.iter().any(|(about, to, since, until)| {
                        *about == purpose
                            && *to == self.world.ask.recipient
                            && *since <= 0
                            && until.is_none_or(|until| until > 0)
                    })
            }
            other => panic!("the oracle knows no need `{other}`"),
        }
    }

    /// A consent in force for this purpose (and category), with the text and recipient it needs.
    fn consent(&self, said: &Said, purpose: &str, category: Option<&str>, explicit: bool) -> bool {
        said.consents.iter().any(|consent| {
            self.holds(said, consent, purpose)
                && (consent.explicit || !explicit)
                && (consent.categories.is_empty()
                    || category.is_none_or(|category| consent.categories.contains(&category)))
        })
    }

    fn lists(&self, said: &Said, purpose: &str, category: &str) -> bool {
        said.consents.iter().any(|consent| {
            self.holds(said, consent, purpose) && consent.categories.contains(&category)
        })
    }

    fn holds(&self, said: &Said, consent: &Consent, purpose: &str) -> bool {
        // A third party is always one of those whom the person named.
        let by_recipient = self.recipient.role == "third-party"
            || self.text.purposes[purpose].consent_scope.as_deref() == Some("purpose+recipient");
        let ended = |status: &str| matches!(status, "withdrawn" | "revoked" | "invalidated");
        let last = consent.events.iter().rev().find(|(at, _)| *at <= 0);
        // A withdrawal reaches down: consents to what lies beneath that were given before it.
        let given =
            consent.events.iter().filter(|(_, status)| matches!(*status, "given" | "renewed"));
        let given = given.map(|(at, _)| *at).max();
        let from_above = said.consents.iter().any(|other| {
            purpose.strip_prefix(other.purpose).is_some_and(|rest| rest.starts_with('.'))
                && other
                    .events
                    .iter()
                    .any(|(at, status)| ended(status) && given.is_some_and(|given| given <= *at))
        });
        consent.purpose == purpose
            && consent.present
            && !consent.events.iter().any(|(_, status)| ended(status))
            && last.is_some_and(|(_, status)| matches!(*status, "given" | "renewed"))
            && consent.expires.is_none_or(|expires| expires > 0)
            && (!by_recipient && consent.to.is_empty()
                || consent.to.contains(&self.world.ask.recipient))
            && !from_above
    }
}
