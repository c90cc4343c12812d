//! `aggregate:` of a route, and what is wrong with one (T220).

use std::collections::{BTreeMap, BTreeSet};

use super::Compiler;
use crate::action::pseudonym::Canonical;
use crate::action::{Action, Generalisation, Mask};
use crate::policy::Place;
use crate::policy::Selector;
use crate::policy::aggregate::Aggregate;
use crate::policy::model::{Category, Form, Policy, Route, Segment};
use crate::policy::plan::{Cell, Plan};
use crate::policy::syntax::{Fields, Findings, Node};
use crate::terms::{CategoryId, CategoryPattern, Role};

/// Fewest people of a group. Source: the policies promise groups in which nobody is recognised; with
/// fewer than ten, what one knows of a few of them tells the rest.
const FEWEST: u64 = 10;

/// Characters of a postal code that name no more than a city, in the countries where it is shortest.
const CITY_PREFIX: u8 = 3;

/// Decimal places of a degree that name no more than a city: about 11 km.
const CITY_DECIMALS: u8 = 1;

impl Compiler<'_> {
    /// Reads `aggregate`. Its rows are the route's elements, so that `@` is one of them.
    pub(super) fn aggregate(&mut self, fields: &mut Fields<'_>, route: &mut Route) {
        let Some(node) = fields.take("aggregate") else { return };
        let without = ["each", "subjects", "derive", "region", "since", "parties_only", "media"];
        for key in without.into_iter().chain(["answer_headers"]) {
            if fields.has(key) {
                let message = format!("an aggregate is about nobody by name, and has no `{key}`");
                self.findings.error("T104", &node.place, message);
            }
        }
        route.aggregate = self.one_aggregate(node);
        if let Some(aggregate) = &route.aggregate {
            route.each = Some(aggregate.rows.clone());
        }
    }

    fn one_aggregate(&mut self, node: &Node) -> Option<Aggregate> {
        let mut fields = node.fields(self.findings, "`aggregate`");
        let k = fields.require(self.findings, "k").and_then(|node| {
            let k: u64 = node.number(self.findings, "the least size of a group")?;
            if k < FEWEST {
                let message = "a group of fewer than 10 people can be recognised";
                self.findings.error("T220", &node.place, message);
            }
            Some(k)
        });
        let diversity = fields.take("l").map(|node| self.diversity(node)).unwrap_or_default();
        let round = self.round(&mut fields, k, &node.place);
        let rows = fields.require(self.findings, "rows").and_then(|node| self.list_of_rows(node));
        let count = fields.require(self.findings, "count").and_then(|node| {
            let selector = node.text(self.findings, "the selector of a count")?;
            let rows = rows.as_ref().map(|(selector, _)| selector);
            let selector = self.selector(selector, &node.place, node.is_quoted(), rows)?;
            let name = selector.member_of(rows?).map(str::to_owned);
            if name.is_none() {
                let message = "the count is a member of each row, such as `@.count`";
                self.findings.error("T103", &node.place, message);
            }
            name
        });
        let merges_rare = fields.take("rare").is_some_and(|node| {
            node.word(self.findings, "a treatment of rare values", &[("other", ())]).is_some()
        });
        let several = fields.take("several").map(|node| self.category_list(node));
        let all = fields.take("all").and_then(|node| {
            node.text(self.findings, "the word that stands for all values").map(str::to_owned)
        });
        let totals = fields.take("totals").map(|node| self.totals(node)).unwrap_or_default();
        let forbid = fields.take("forbid");
        let forbidden = forbid.map(|node| self.category_patterns(node));
        if forbid.is_none() {
            self.silent_aggregates.push(node.place.clone());
        }
        fields.finish(self.findings);
        let (rows, list) = rows?;
        Some(Aggregate {
            k: k?,
            round,
            rows,
            list,
            count: count?,
            diversity,
            merges_rare,
            several: several.unwrap_or_default(),
            all,
            totals,
            forbidden: forbidden.unwrap_or_default(),
            place: node.place.clone(),
        })
    }

    /// Exact counts show one person who comes or goes.
    fn round(&mut self, fields: &mut Fields<'_>, k: Option<u64>, place: &Place) -> u64 {
        let Some(node) = fields.take("round") else {
            let message = "counts that are not rounded show each person who comes or goes";
            self.findings.warn("T220", place, message, Some("write `round: 10`".to_owned()));
            return 1;
        };
        let Some(step) = node.number::<u64>(self.findings, "a step") else { return 1 };
        if step < 2 || k.is_some_and(|k| step > k) {
            let message = "a step is 2 or more and no more than `k`, so that no group shows as 0";
            self.findings.error("T220", &node.place, message);
        }
        step.max(1)
    }

    fn diversity(&mut self, node: &Node) -> Vec<(CategoryId, usize)> {
        let mut diversity = Vec::new();
        for (key, node) in node.entries(self.findings, "categories with a number each") {
            let category = self.category_at(&key.text, &key.place);
            let least = node.number::<usize>(self.findings, "a number of different values");
            if least.is_some_and(|least| least < 2) {
                let message = "one value is the same for everybody: write 2 or more";
                self.findings.error("T220", &node.place, message);
            }
            diversity.extend(category.zip(least));
        }
        diversity
    }

    /// `$.groups[*]`: names that lead to a list.
    fn list_of_rows(&mut self, node: &Node) -> Option<(Selector, Vec<String>)> {
        let selector = self.each(node)?;
        let (_, way) = selector.segments.split_last()?;
        let names: Option<Vec<String>> =
            way.iter().map(|segment| segment.name().map(str::to_owned)).collect();
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            let message = "rows are the elements of one list that names lead to";
            let help = Some("such as `$.groups[*]`".to_owned());
            self.findings.error_with("T103", &node.place, message, help);
            return None;
        };
        Some((selector, names))
    }

    fn totals(&mut self, node: &Node) -> Vec<Vec<String>> {
        let mut totals = Vec::new();
        for item in node.list(self.findings, "selectors of totals") {
            let Some(text) = item.text(self.findings, "the selector of a total") else { continue };
            let selector = self.selector(text, &item.place, item.is_quoted(), None);
            let Some(selector) = selector else { continue };
            match selector.names() {
                Some(names) if !names.is_empty() => totals.push(names),
                Some(_) | None => self.no_place(&item.place, "a total"),
            }
        }
        totals
    }

    fn no_place(&mut self, place: &Place, what: &str) {
        let message = format!("{what} of an aggregate stands at one place that names lead to");
        self.findings.error("T103", place, message);
    }

    /// What an aggregate route must not have, once all of it was read.
    pub(super) fn counted(&mut self, fields: &Fields<'_>, route: &Route) {
        let Some(aggregate) = &route.aggregate else { return };
        let mut names = BTreeSet::from([aggregate.count.as_str()]);
        for field in &route.fields {
            // A count that is part of a key would leave as it is.
            let name = field.selector.member_of(&aggregate.rows);
            if name.is_some_and(|name| !names.insert(name)) {
                let message = "a member is a part of the key or a number, and only one of them";
                self.findings.error("T220", &field.place, message);
            }
            if field.selector.member_of(&aggregate.rows).is_none() {
                let message =
                    "a category of an aggregate is a member of each row, such as `@.gender`";
                self.findings.error("T220", &field.place, message);
            }
            if field.subtree || field.form != Form::Value {
                self.findings.error(
                    "T220",
                    &field.place,
                    "a part of a key is no object, no link and no name of a member",
                );
            }
        }
        for open in &route.open {
            let name_of = open.selector.member_of(&aggregate.rows);
            if name_of.is_some_and(|name| name != aggregate.count && names.contains(name)) {
                let message = "a member is a part of the key or a number, and only one of them";
                self.findings.error("T220", &open.place, message);
            }
            let in_row = open.selector.member_of(&aggregate.rows).is_some();
            let beside = open.selector.names().is_some_and(|names| !names.is_empty());
            if !in_row && !beside {
                self.no_place(&open.place, "an open member");
            }
            if open.subtree || open.form == Form::Link {
                let message = "what is open in an aggregate is no object and no link";
                self.findings.error("T220", &open.place, message);
            }
        }
        // What is said of a category that stands nowhere would bind nothing.
        let bound = aggregate.diversity.iter().map(|(category, _)| ("l", category));
        let several = aggregate.several.iter().map(|category| ("several", category));
        for (key, category) in bound.chain(several) {
            if !route.fields.iter().any(|field| field.category == *category) {
                let message =
                    format!("`{key}` speaks of {category}, which is no part of a key here");
                let help = "name a category of `fields`, or take it out".to_owned();
                self.findings.error_with("T220", &aggregate.place, message, Some(help));
            }
        }
        // Every combination of what may be asked is another table, and the difference of two tables
        // can be one person.
        let has_parameter =
            route.template.iter().any(|segment| matches!(segment, Segment::Parameter(_)));
        if has_parameter || !route.query.is_empty() || fields.has("request_fields") {
            let message = "whoever may choose whom an aggregate counts can ask twice, with and \
                           without one person";
            let help = "give each table a route of its own, without parameters".to_owned();
            self.findings.error_with("T220", &aggregate.place, message, Some(help));
        }
    }

    /// Members that no aggregate may hold: what the route forbids, what the limit forbids for all, and
    /// what is written like a person's own number or address.
    pub(super) fn not_in_aggregates(
        &mut self,
        routes: &[Route],
        categories: &BTreeMap<CategoryId, Category>,
    ) {
        let limit = self.never_counted.take();
        if limit.is_none() {
            for place in std::mem::take(&mut self.silent_aggregates) {
                let message = "the rules do not say what this aggregate must not hold";
                let help =
                    "write `forbid: [identity.*, contact.*, payment.*, account.*]`".to_owned();
                self.findings.error_with("T220", &place, message, Some(help));
            }
        }
        let limit: Vec<CategoryPattern> = limit.unwrap_or_default();
        for route in routes {
            let Some(aggregate) = &route.aggregate else { continue };
            for field in &route.fields {
                let category = &field.category;
                let mut forbidden = aggregate.forbidden.iter().chain(&limit);
                let canonical = categories.get(category).map(|found| found.canonical);
                if forbidden.any(|pattern| pattern.covers(category)) {
                    let message = format!("an aggregate may not hold {category}");
                    self.findings.error("T220", &field.place, message);
                } else if canonical.is_some_and(|canonical| canonical != Canonical::Text) {
                    let message = format!("{category} tells people apart, by its `type`");
                    self.findings.error("T220", &field.place, message);
                }
            }
        }
    }
}

/// T220 for places that are finer than a city, by what each recipient gets.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    for (index, route) in policy.routes.iter().enumerate() {
        if route.aggregate.is_none() {
            continue;
        }
        let mut told = Vec::new();
        for (id, recipient) in &policy.recipients {
            let mut keys: Vec<Vec<Option<Action>>> = Vec::new();
            for purpose in &recipient.purposes {
                let Ok(plan) = Plan::build(policy, index, id, std::slice::from_ref(purpose)) else {
                    continue;
                };
                // Neither is ever given an aggregate.
                if plan.only_own || recipient.role == Role::Authority {
                    continue;
                }
                // A part that needs somebody's word leaves the key, since nobody can be asked.
                let part = |(cell, _): (&Cell, _)| {
                    let leaves = cell.needs.is_empty() && cell.action.tells_groups_apart();
                    leaves.then(|| cell.action.clone())
                };
                let key: Vec<_> = plan.cells.iter().zip(&route.fields).map(part).collect();
                // What needs somebody's consent is never an aggregate.
                if plan.releases_personal_data() && plan.needs.is_empty() && !keys.contains(&key) {
                    keys.push(key);
                }
                for (cell, field) in plan.cells.iter().zip(&route.fields) {
                    if cell.action.releases()
                        && is_finer_than_a_city(&field.category, &cell.action)
                        && !told.contains(&field.place)
                    {
                        told.push(field.place.clone());
                        let message = format!(
                            "`{}` of {} is a place finer than a city",
                            cell.action, field.category
                        );
                        let help = "generalise prefix 2, or generalise 0.1 deg".to_owned();
                        findings.error_with("T220", &field.place, message, Some(help));
                    }
                }
            }
            if keys.len() > 1 {
                let message = format!(
                    "`{id}` gets this table by different keys for different purposes, and can \
                     subtract one from the other"
                );
                let help = "show the same for each, or give each purpose a route".to_owned();
                findings.warn("T220", &route.place, message, Some(help));
            }
        }
    }
}

/// How a category writes a place, by its last name, since nothing else tells a place from another text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// A postal code or an address.
    Address,
    /// Degrees.
    Coordinates,
}

impl Written {
    fn of(category: &CategoryId) -> Option<Self> {
        match category.as_str().rsplit('.').next().unwrap_or_default() {
            "postal_code" | "postal" | "postcode" | "zip" | "zip_code" | "plz" | "address"
            | "home_address" | "street_address" | "street" | "house_number" => Some(Self::Address),
            "precise" | "coordinate" | "coordinates" | "gps" | "geo" | "geohash" | "latitude"
            | "longitude" | "lat" | "lng" | "lon" | "latlng" | "geotag" | "location"
            | "position" => Some(Self::Coordinates),
            _ => None,
        }
    }
}

/// Whether a place leaves finer than a city. Every action is named here: a new one must be thought of.
fn is_finer_than_a_city(category: &CategoryId, action: &Action) -> bool {
    let Some(written) = Written::of(category) else { return false };
    match action {
        Action::Keep => true,
        Action::Mask(Mask::First(shown)) | Action::Generalise(Generalisation::Prefix(shown)) => {
            *shown > CITY_PREFIX
        }
        // The end of a code or a number is its finest part, and the first word of an address its street.
        Action::Mask(Mask::Last(_) | Mask::BinAndLast4)
        | Action::FirstWord
        | Action::PathTemplate
        | Action::Origin => true,
        // A step of ten is a street in one country and a region in another, and a coordinate may be
        // written in millionths of a degree.
        Action::Generalise(Generalisation::Bucket(_) | Generalisation::Round(_)) => true,
        Action::Generalise(Generalisation::Degrees(decimals)) => {
            written == Written::Address || *decimals > CITY_DECIMALS
        }
        // The groups stand in the rules, where whoever reviews them reads what they tell.
        Action::Generalise(Generalisation::Group)
        | Action::Mask(Mask::Length | Mask::Redact)
        | Action::Initials => false,
        // Made for dates, addresses of computers and agents: of a place nothing but a placeholder is
        // left, and that refuses the answer.
        Action::Generalise(
            Generalisation::Hour
            | Generalisation::Day
            | Generalisation::Month
            | Generalisation::Quarter
            | Generalisation::Year
            | Generalisation::YearBand(_),
        )
        | Action::IpPrefix { .. }
        | Action::AgentFamily => false,
        // Left out of a key, so that groups are not told apart by them.
        Action::Fpe
        | Action::Token
        | Action::Pseudonym(_)
        | Action::Scrub
        | Action::OwnLines
        | Action::Blank
        | Action::Remove
        | Action::Drop
        | Action::Refuse => false,
    }
}
