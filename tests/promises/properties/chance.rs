//! Worlds from a seed: rules that mostly load, people with long histories, odd questions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tamis::policy::Policy;

use super::world::{
    Ask, BASKET, CATEGORIES, Consent, Files, GROUP, NAMED, NOTE, ORDER, PEOPLE, PERSON, PURPOSES,
    Rules, Said, World,
};
use crate::differential::random::Random;

/// What grants and limits do to values. No key is needed to say what comes out, or only its prefix.
const ACTIONS: [&str; 14] = [
    "keep",
    "keep",
    "keep",
    "own lines",
    "drop",
    "mask last 2",
    "mask last 4",
    "redact",
    "generalise month",
    "generalise year",
    "pseudonym",
    "token",
    "blank",
    "remove",
];

const RECIPIENTS: [&str; 5] = ["desk", "courier", "partner", "self", "user"];
const PEOPLE_IDS: [&str; 4] = ["u1", "u2", "u3", "u4"];

/// Worlds that share their rules: compiling them takes longest.
pub(super) const SHARE: u64 = 16;

/// Rules, and what is asked under them.
pub(super) struct Ground {
    pub(super) rules: Rules,
    uses: Uses,
    granted: Vec<(&'static str, &'static str)>,
}

impl Ground {
    /// The one with this number.
    pub(super) fn new(number: u64) -> Self {
        let mut ground = Chance(Random::seeded(number ^ (1 << 40))).ground();
        // A parameter that filters on what nobody gets in clear is an error, and takes its rules along.
        if Policy::parse("chance.yaml", &ground.rules.text()).is_err() {
            for route in &mut ground.rules.routes {
                *route = route.replace(", mail: contact.email", "");
            }
        }
        ground
    }

    /// One more limit for these rules.
    pub(super) fn limit(&self, number: u64) -> String {
        Chance(Random::seeded(number ^ (1 << 41))).limit(&self.uses)
    }

    /// The world with this number.
    pub(super) fn world(&self, number: u64) -> World {
        let mut random = Chance(Random::seeded(number));
        let rules = self.rules.clone();
        let people = PEOPLE_IDS.iter().map(|id| (*id, random.said())).collect();
        let files = random.files();
        let ask = random.ask(self);
        let document = random.answer(ask.route);
        World { rules, people, files, ask, document }
    }
}

/// Purposes by recipient.
type Uses = BTreeMap<&'static str, Vec<&'static str>>;

/// Draws what a world is made of.
pub(super) struct Chance(Random);

impl Chance {
    pub(super) fn new(random: Random) -> Self {
        Self(random)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.0.one_in(bound)
    }

    pub(super) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn some(&mut self, from: &[&'static str], least: usize) -> Vec<&'static str> {
        loop {
            let found: Vec<_> = from.iter().filter(|_| self.below(2) == 0).copied().collect();
            if found.len() >= least {
                return found;
            }
        }
    }

    fn ground(&mut self) -> Ground {
        let mut rules = Rules::default();
        for category in CATEGORIES {
            let sensitive = if category == "health.note" { ", sensitive: true" } else { "" };
            let alone = if self.one_in(30) { ", alone: never" } else { "" };
            rules.categories.push(format!("{category}: {{type: text{sensitive}{alone}}}"));
        }
        rules.purposes = PURPOSES.iter().map(|purpose| self.purpose(purpose)).collect();
        rules.cookies = self.cookies(&rules.purposes);
        let mut uses = Uses::new();
        for name in RECIPIENTS.into_iter().chain(["court"]) {
            let purposes = match name {
                "court" => vec!["claims"],
                _ => self.some(&PURPOSES, 1),
            };
            rules.recipients.push(self.recipient(name, &purposes));
            uses.insert(name, purposes);
        }
        // A filter on what nobody gets in clear is an error of the rules.
        let filters = self.one_in(3);
        rules.regions = self.one_in(3);
        rules.retention = self.retention();
        rules.routes = self.routes(filters, rules.regions);
        if filters {
            let purpose = uses["desk"][0];
            rules.release.push(format!(
                "{{to: [desk], for: [{purpose}], show: {{contact.email: keep, account.id: keep}}}}"
            ));
        }
        let mut granted = Vec::new();
        for _ in 0..4 + self.below(6) {
            rules.release.extend(self.grant(&uses, &mut granted));
        }
        if self.one_in(3) {
            let how =
                self.choose(&["show: by-order", "show: {\"*\": keep, account.id: pseudonym}"]);
            rules.release.push(format!("{{to: [court], for: [claims], {how}}}"));
        }
        for _ in 0..self.below(4) {
            rules.limits.push(self.limit(&uses));
        }
        rules.limits.extend(self.company());
        if self.one_in(3) {
            let needs = self.choose(&["notice", "consent", "notice, consent"]);
            let except = if self.below(2) == 0 { ", except_for: [claims]" } else { "" };
            rules.limits.push(format!("{{third_parties: {{needs: [{needs}]}}{except}}}"));
        }
        if self.below(2) == 0 {
            rules.limits.push("{sensitive: {needs: [explicit-consent], withhold: field}}".into());
        }
        if self.one_in(4) {
            let what = self.choose(&["news.*", "news", "[news.mail, research]"]);
            rules.limits.push(format!("{{minors: drop, for: {what}, unknown_age: minor}}"));
        }
        if self.below(2) == 0 {
            rules.gpc = Some(self.choose(&["[news.*]", "[research]", "\"*\""]).to_owned());
        }
        rules.transfers = self.transfers();
        let named = self.named();
        rules.routes.push(named);
        // A name that would be masked for somebody is an error of the rules.
        let masked = Policy::parse("chance.yaml", &rules.text())
            .is_err_and(|rejected| rejected.findings.iter().any(|finding| finding.code == "T107"));
        if masked {
            rules.routes.pop();
        }
        Ground { rules, uses, granted }
    }

    /// A route whose people are called by the names of members.
    fn named(&mut self) -> String {
        let element = ["@.id", "@.name", "@.mail", "@.phones[*]", "@.deep.note", "@.deep.sum"];
        format!(
            "{{match: GET /names, upstream: u, each: \"$.people[*]\", subjects: {{person: \
             \"keys($.people)\"}}, open: [\"$.page\", \"@.state\"], fields: {{\"keys($.people)\": \
             account.id, {}}}}}",
            self.fields(&element)
        )
    }

    fn purpose(&mut self, name: &str) -> String {
        let mut parts = vec![format!("text: The text of {name}")];
        let basis = self.choose(&[
            "contract",
            "contract",
            "legal-obligation",
            "legitimate-interests",
            "public-task",
            "consent",
            "consent",
            "explicit-consent",
        ]);
        if !name.contains('.') || self.below(2) == 0 {
            parts.push(format!("basis: {basis}"));
            if basis == "legitimate-interests" {
                parts.push("balancing: LIA-1".into());
            }
        }
        if self.below(2) == 0 {
            parts.push("consent_scope: purpose+recipient".into());
        }
        if self.one_in(3) {
            parts.push(format!("objectable: {}", self.choose(&["always", "on-grounds", "never"])));
        }
        match self.below(6) {
            0 => parts.push("survives: [restriction]".into()),
            1 => parts.push("survives: [erasure]".into()),
            2 => parts.push("survives: [erasure, restriction]".into()),
            _ => {}
        }
        if self.one_in(8) {
            parts.push("min_age: 18".into());
        }
        if self.one_in(8) {
            parts.push("needs_case: true".into());
        }
        format!("{name}: {{{}}}", parts.join(", "))
    }

    fn recipient(&mut self, name: &str, purposes: &[&str]) -> String {
        let role = match name {
            "desk" => "internal",
            "courier" => self.choose(&["processor", "joint"]),
            "partner" => "third-party",
            "court" => "authority",
            person => person,
        };
        let mut parts = vec![format!("role: {role}")];
        if matches!(name, "self" | "user") {
            let own = if name == "self" { ", subject_is: account.id" } else { "" };
            parts.push(format!(
                "authenticate: {{jwt: {{issuer: \"https://id.example.invalid\"{own}}}}}"
            ));
        } else {
            let country = self.choose(&["DE", "DE", "FR", "US", "BR"]);
            parts.push(format!("country: {country}"));
            parts.push(format!("authenticate: {{mtls: \"dns:{name}.example.invalid\"}}"));
            if self.one_in(8) {
                parts.push("only_where: {\"@.dealer\": \"7\"}".into());
            }
            if self.one_in(3) {
                parts.push("party: u2".into());
            }
        }
        if matches!(name, "courier" | "partner") {
            let until = self.choose(&[
                "2030-12-31",
                "2030-12-31",
                "2030-12-31",
                "2026-06-01",
                "2026-05-31",
            ]);
            parts.push(format!("contract: {{ref: C-1, until: \"{until}\"}}"));
        }
        parts.push(format!("purposes: [{}]", purposes.join(", ")));
        if self.below(2) == 0 {
            parts.push(format!("default_purpose: {}", self.choose(purposes)));
        }
        if self.one_in(4) {
            parts.push(format!("phase: {}", self.choose(&["before", "after"])));
        }
        format!("{name}: {{{}}}", parts.join(", "))
    }

    /// Places of a route with categories by chance.
    fn fields(&mut self, places: &[&str]) -> String {
        let mut fields = Vec::new();
        for place in places {
            let (place, of) = place.split_once(" of ").unwrap_or((place, ""));
            if self.one_in(6) {
                continue;
            }
            let category = self.choose(&CATEGORIES);
            fields.push(match of {
                "" => format!("\"{place}\": {category}"),
                _ => format!("\"{place}\": {{is: {category}, of: {of}}}"),
            });
        }
        fields.join(", ")
    }

    fn routes(&mut self, filters: bool, regions: bool) -> Vec<String> {
        let person = ["$.id", "$.name", "$.mail", "$.phones[*]", "$.deep.note", "$.deep.sum"];
        let element = ["@.id", "@.name", "@.mail", "@.phones[*]", "@.deep.note", "@.deep.sum"];
        let order = [
            "$.buyer.id of buyer",
            "$.buyer.name of buyer",
            "$.paid of buyer",
            "@.seller.id of seller",
            "@.seller.name of seller",
            "@.sum of buyer",
            "@.mail of seller",
        ];
        let note = ["$.author.id", "$.name", "$.note", "$.lines[*].name"];
        let group = [
            "$.owner.id of owner",
            "$.name of owner",
            "$.guests[*].id of guest",
            "$.guests[*].name of guest",
            "$.guests[*].mail of guest",
        ];
        let basket = ["$.sum", "$.buyer", "@.name", "@.sum"];
        let filter = if filters { ", mail: contact.email" } else { "" };
        let parties = if self.one_in(3) { "parties_only: [buyer, seller], " } else { "" };
        let purpose = if self.one_in(6) { "purpose: service, " } else { "" };
        let mut region = |roles: &str| {
            if regions { self.region(roles) } else { String::new() }
        };
        let regions = [
            region("person: \"$.country\""),
            region("person: \"@.country\""),
            region("buyer: \"$.buyer.country\", seller: \"@.seller.country\""),
            region("author: \"$.author.country\""),
            region("owner: \"$.owner.country\""),
            region("buyer: \"$.country\""),
        ];
        let since = [
            self.since(&["$.at", "$.stamps[*]"]),
            self.since(&["@.at", "$.at", "$.since"]),
            self.since(&["@.at", "$.at"]),
            self.since(&["$.at"]),
            self.since(&["$.at", "$.guests[*].at"]),
            self.since(&["@.at", "$.at"]),
        ];
        let mut open = |own: &[&'static str], at: &'static str| {
            let own = own.iter().copied().chain(self.dated(at));
            own.map(|place| format!("\"{place}\"")).collect::<Vec<_>>().join(", ")
        };
        let opens = [
            open(&["$.state"], "$.at"),
            open(&["$.page", "@.state"], "@.at"),
            open(&["$.order"], "@.at"),
            open(&["$.state"], "$.at"),
            open(&["$.state"], "$.at"),
            open(&[], "@.at"),
        ];
        let filtered = [self.filtered("$.cards"), self.filtered("@.cards")];
        let [person, element, order, note, group, basket] = [
            self.fields(&person) + &filtered[0],
            self.fields(&element) + &filtered[1],
            self.fields(&order),
            self.fields(&note),
            self.fields(&group),
            self.fields(&basket),
        ];
        let fields = |fields: String| fields.trim_start_matches(", ").to_owned();
        let heads = [
            format!(
                "match: \"GET /people/{{id}}\", {purpose}subjects: {{person: \"path:id\"}}, query: \
                 {{lang: open{filter}}}, fields: {{{}}}",
                fields(person)
            ),
            format!(
                "match: GET /people, each: \"$.people[*]\", subjects: {{person: \"@.id\"}}, query: \
                 {{lang: open{filter}}}, derive: {{\"$.total\": count(each)}}, fields: {{{}}}",
                fields(element)
            ),
            format!(
                "match: \"GET /orders/{{order}}\", each: \"$.lines[*]\", subjects: {{buyer: \
                 \"$.buyer.id\", seller: \"@.seller.id\"}}, {parties}fields: {{{order}}}"
            ),
            format!(
                "match: \"GET /notes/{{note}}\", subjects: {{author: \"$.author.id\"}}, fields: \
                 {{{note}}}"
            ),
            format!(
                "match: \"GET /groups/{{group}}\", subjects: {{owner: \"$.owner.id\", guest: \
                 \"$.guests[*].id\"}}, fields: {{{group}}}"
            ),
            format!(
                "match: \"GET /baskets/{{buyer}}\", each: \"$.lines[*]\", subjects: {{buyer: \
                 \"path:buyer\"}}, derive: {{\"$.total\": count(each)}}, fields: {{{basket}}}"
            ),
        ];
        let mut routes = Vec::new();
        for (number, head) in heads.iter().enumerate() {
            let (region, since, open) = (&regions[number], &since[number], &opens[number]);
            routes.push(format!("{{upstream: u, {region}{since}open: [{open}], {head}}}"));
        }
        routes
    }

    pub(super) fn pattern(&mut self) -> &'static str {
        if self.below(2) == 0 {
            return CATEGORIES[self.below(CATEGORIES.len())];
        }
        self.choose(&["contact.*", "\"*\"", "\"*\"", "identity.*"])
    }

    fn grant(
        &mut self,
        uses: &Uses,
        granted: &mut Vec<(&'static str, &'static str)>,
    ) -> Option<String> {
        let to = if self.below(2) == 0 {
            vec![self.choose(&RECIPIENTS)]
        } else {
            self.some(&RECIPIENTS, 1)
        };
        let shared: Vec<_> =
            PURPOSES.into_iter().filter(|one| to.iter().all(|to| uses[to].contains(one))).collect();
        if shared.is_empty() {
            return None;
        }
        let purposes = self.some(&shared, 1);
        granted.extend(to.iter().flat_map(|to| purposes.iter().map(|purpose| (*to, *purpose))));
        let mut show = BTreeMap::new();
        for _ in 0..=self.below(3) {
            show.insert(self.pattern(), self.choose(&ACTIONS));
        }
        let mut parts = format!("to: [{}], for: [{}]", to.join(", "), purposes.join(", "));
        if self.one_in(10) {
            parts += ", show: by-consent, among: [contact.email, identity.name, health.note]";
        } else {
            let show: Vec<_> = show.iter().map(|(of, action)| format!("{of}: {action}")).collect();
            let _ = write!(parts, ", show: {{{}}}", show.join(", "));
        }
        if self.one_in(5) {
            let needs = [
                "consent",
                "notice",
                "explicit-consent",
                "notice, consent",
                "one-time-grant",
                "consent, one-time-grant",
            ];
            let _ = write!(parts, ", needs: [{}]", self.choose(&needs));
        }
        if to.iter().any(|to| matches!(*to, "self" | "user")) && self.below(2) == 0 {
            parts += ", only_subject: self";
        }
        if self.one_in(10) {
            parts += ", single_subject: true";
        }
        if self.one_in(8) {
            parts += ", while: {phase: before}";
        }
        Some(format!("{{{parts}}}"))
    }

    fn limit(&mut self, uses: &Uses) -> String {
        let mut parts = format!("limit: {}", self.pattern());
        let actions: Vec<_> = (0..=self.below(2)).map(|_| self.choose(&ACTIONS)).collect();
        let _ = write!(parts, ", to: [{}]", actions.join(", "));
        if self.one_in(4) {
            let recipients: Vec<_> = uses.keys().copied().collect();
            let _ = write!(parts, ", except_to: [{}]", self.choose(&recipients));
        }
        if self.one_in(4) {
            let _ = write!(parts, ", when: {{for: {}}}", self.choose(&PURPOSES));
        }
        format!("{{{parts}}}")
    }

    fn transfers(&mut self) -> Vec<String> {
        let mut table = vec!["{from: EEA, to: EEA, by: same-region}".to_owned()];
        if self.below(2) == 0 {
            let until = self.choose(&["2030-10-01", "2026-06-01", "2026-05-31"]);
            let measure =
                ["", ", measure: {contact.email: pseudonym}", ", measure: {\"*\": remove}"];
            table.push(format!(
                "{{from: EEA, to: \"US\", by: scc, module: 2, ref: SCC-1, tia: \"2025-10-01\", \
                 until: \"{until}\"{}}}",
                self.choose(&measure)
            ));
        }
        if self.one_in(3) {
            let measure = ["", ", measure: {contact.*: redact}"];
            table.push(format!(
                "{{from: [EEA, US], to: [\"US\", \"BR\"], by: adequacy{}}}",
                self.choose(&measure)
            ));
        }
        if self.one_in(3) {
            table.push("{from: US, to: [EEA, \"US\"], by: home-law}".into());
        }
        table
    }

    fn said(&mut self) -> Said {
        let mut said = Said::default();
        for _ in 0..self.below(5) {
            said.consents.push(self.consent());
        }
        for _ in 0..self.below(4) {
            let present = !self.one_in(5);
            said.notices.push((self.choose(&PURPOSES), present, self.choose(&[-9, -9, 0, 9])));
        }
        for _ in 0..self.below(16) {
            let purpose = self.choose(&PURPOSES);
            let recipient = self.choose(&RECIPIENTS);
            let until = self.choose(&[None, None, Some(9), Some(0)]);
            said.once.push((purpose, recipient, self.choose(&[-9, -9, 0, 9]), until));
        }
        if self.one_in(4) {
            let what = ["news", "news.*", "news.mail", "research", "*", "service.support"];
            said.objections.push((self.choose(&what), self.choose(&[-9, -9, 0, 9])));
        }
        if self.one_in(5) {
            let what = [vec!["*"], vec!["contact.*"], vec!["identity.name", "health.note"]];
            let until = self.choose(&[None, None, Some(9), Some(0), Some(-5)]);
            let since = self.choose(&[-9, -9, 0, 9]);
            said.restrictions.push((what[self.below(what.len())].clone(), since, until));
        }
        if self.one_in(8) {
            let except = [vec![], vec![], vec!["claims"], vec!["service"]];
            said.erasure =
                Some((self.choose(&[-9, 0, 9]), except[self.below(except.len())].clone()));
        }
        said.adult = self.choose(&[None, Some(true), Some(true), Some(false)]);
        said.region = self.choose(&[None, None, Some("DE"), Some("FR"), Some("US"), Some("CN")]);
        said.cases = if self.one_in(3) { vec![] } else { vec!["C-1"] };
        said.orders = if self.one_in(3) { vec![] } else { vec!["ord-1"] };
        said
    }

    fn consent(&mut self) -> Consent {
        let mut events = Vec::new();
        let mut at = -100;
        for _ in 0..=self.below(2) {
            at += 1 + i64::try_from(self.below(60)).expect("small");
            let status = ["given", "given", "given", "renewed", "requested", "refused", "expired"];
            events.push((at, self.choose(&status)));
        }
        match self.below(8) {
            0 => events.push((at + 1, self.choose(&["withdrawn", "revoked", "invalidated"]))),
            1 => events.push((40, self.choose(&["given", "refused"]))),
            _ => {}
        }
        Consent {
            purpose: self.choose(&PURPOSES),
            to: if self.below(2) == 0 { vec![] } else { self.some(&RECIPIENTS, 1) },
            categories: if self.one_in(4) { self.some(&CATEGORIES, 1) } else { vec![] },
            explicit: self.below(2) == 0,
            present: !self.one_in(6),
            expires: self.choose(&[None, None, Some(9), Some(0), Some(-9)]),
            events,
        }
    }

    fn files(&mut self) -> Files {
        let purposes = self.some(&PURPOSES, 1);
        let categories = self.some(&CATEGORIES, 1);
        let recipient = if self.one_in(6) { "desk" } else { "court" };
        Files { case: (purposes, !self.one_in(5)), order: (recipient, categories, !self.one_in(5)) }
    }

    fn ask(&mut self, ground: &Ground) -> Ask {
        let usual = ("court", "claims");
        let (recipient, purpose) = match self.below(8) {
            0 => usual,
            1 => (self.choose(&RECIPIENTS), "service"),
            _ if ground.granted.is_empty() => usual,
            _ => self.choose(&ground.granted),
        };
        let purposes = &ground.uses[recipient];
        let is_person = matches!(recipient, "self" | "user");
        let declared = match self.below(12) {
            0 => vec![],
            1 => self.some(&PURPOSES, 1),
            2 => self.some(purposes, 1),
            _ => vec![purpose],
        };
        let mut query = Vec::new();
        if self.one_in(6) {
            query.push(self.choose(&["lang", "mail", "mail", "other"]));
        }
        let ask = Ask {
            recipient,
            person: (is_person && !self.one_in(10)).then(|| self.choose(&PEOPLE_IDS)),
            bound: self.one_in(8).then(|| self.some(&PURPOSES, 2)),
            declared,
            route: self.choose(&[PERSON, PEOPLE, PEOPLE, ORDER, ORDER, NOTE, GROUP, BASKET]),
            id: self.choose(&PEOPLE_IDS),
            query,
            gpc: self.one_in(5),
            case: !self.one_in(4),
            order: recipient == "court" || self.one_in(20),
        };
        let has_names = ground.rules.routes.len() > NAMED;
        let is_named = has_names && ask.route == PEOPLE && self.below(2) == 0;
        let route = if is_named { NAMED } else { ask.route };
        Ask { route, ..ask }
    }
}
