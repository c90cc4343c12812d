//! The rules that are measured: from none at all to what a catalogued route asks for.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use tamis::action::pseudonym::{Canonical, Domain, DomainKey, RootKey, Scope, Use};
use tamis::action::{Action, Treatment};
use tamis::policy::automaton::{Automaton, CellId, Mark, RoleIndex, Unlisted};
use tamis::policy::path::Selector;

use super::drive::Engine;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// No rule: everything is checked and kept.
    Nothing,
    /// One rule that hits nothing.
    Miss,
    /// Ten descendant rules with a hit in a hundred bytes at the most.
    Descendants,
    /// Ten descendant rules that rewrite some 30 % of the bytes.
    Dense,
    /// The same ten as paths from the root.
    DensePaths,
    /// Ten descendant rules of a timeline.
    DenseTimeline,
    /// Default-deny: 42 leaves catalogued, of which some are not granted and two are pseudonyms.
    DefaultDeny,
    /// The same, and each element's subject is asked about; half are denied.
    Subjects,
    /// One subtree of each record is removed.
    Subtree,
    /// The ten of [`Dense`](Self::Dense), and so many rules in all that the rest hits nothing.
    Descending(usize),
    /// The ten of [`DensePaths`](Self::DensePaths), and so many paths in all.
    Paths(usize),
}

const DENSE: [(&str, &str); 10] = [
    ("email", "remove"),
    ("phone", "mask last 4"),
    ("name", "initials"),
    ("born", "generalise year"),
    ("address.street", "redact"),
    ("address.geo", "remove"),
    ("device", "remove"),
    ("notes", "blank"),
    ("payment", "remove"),
    ("orders[*].items[*].sku", "redact"),
];

/// What a catalogue holds of a list of users; what is granted has its action behind the colon.
const CATALOGUE: &str = "id:pseudonym name:keep email:pseudonym phone born:keep gender:keep \
    locale:keep timezone:keep address.street address.city:keep address.postal:keep \
    address.country:keep address.geo.lat address.geo.lon company.name:keep company.role:keep \
    company.vat:keep payment.iban payment.method payment.last4 orders[*].order_id:keep \
    orders[*].total:keep orders[*].currency:keep orders[*].placed:keep \
    orders[*].items[*].sku:keep orders[*].items[*].qty:keep orders[*].items[*].price:keep \
    consents.newsletter:keep consents.analytics:keep consents.version:keep device.ip device.agent \
    device.last_seen notes score:keep rank:keep channel:keep tags:keep active:keep created:keep \
    referrer:keep";

impl Rules {
    /// In words, for tables.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Nothing => "no rule".to_owned(),
            Self::Miss => "one rule that hits nothing".to_owned(),
            Self::Descendants => "ten descendant rules, few hits".to_owned(),
            Self::Dense | Self::DenseTimeline => "ten descendant rules, dense".to_owned(),
            Self::DensePaths => "the same ten as paths".to_owned(),
            Self::DefaultDeny => "default-deny, 42 leaves, two pseudonyms".to_owned(),
            Self::Subjects => "the same, each element asked about, half denied".to_owned(),
            Self::Subtree => "one subtree removed".to_owned(),
            Self::Descending(rules) => format!("{rules} descendant rules"),
            Self::Paths(rules) => format!("{rules} paths"),
        }
    }

    /// Selectors with their actions.
    fn pairs(self) -> Vec<(String, &'static str)> {
        let dense = |prefix: &str, last: bool| -> Vec<(String, &'static str)> {
            let name = |path: &'static str| match path.rsplit_once('.') {
                Some((_, name)) if last => name,
                _ => path,
            };
            DENSE
                .iter()
                .map(|(path, action)| (format!("{prefix}{}", name(path)), *action))
                .collect()
        };
        let removed = |names: &str| -> Vec<(String, &'static str)> {
            names.split_whitespace().map(|name| (format!("$..{name}"), "remove")).collect()
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::Miss => vec![("$.nobody.here".to_owned(), "remove")],
            Self::Descendants => {
                removed("passport pan ssn token secret password referrer fax salary vat")
            }
            Self::Dense => dense("$..", true),
            Self::DensePaths => dense("$.data[*].", false),
            Self::DenseTimeline => removed(
                "name screen_name location description profile_image_url id_str \
                         user_mentions in_reply_to_status_id created_at urls",
            ),
            Self::DefaultDeny | Self::Subjects => CATALOGUE
                .split_whitespace()
                .filter_map(|leaf| leaf.split_once(':'))
                .map(|(path, action)| (format!("$.data[*].{path}"), action))
                .chain([("$.total".to_owned(), "keep")])
                .collect(),
            Self::Subtree => vec![("$.data[*].orders".to_owned(), "remove")],
            Self::Descending(rules) => (0..rules - DENSE.len())
                .map(|spare| (format!("$..spare_{spare}"), "remove"))
                .chain(dense("$..", true))
                .collect(),
            Self::Paths(rules) => (0..rules - DENSE.len())
                .map(|spare| (format!("$.data[*].part_{}.spare_{spare}", spare % 30), "remove"))
                .chain(dense("$.data[*].", false))
                .collect(),
        }
    }

    /// Selectors with their marks, the treatments of the cells, and what becomes of the rest.
    fn marked(self) -> (Vec<(Selector, Mark)>, Vec<Treatment>, Unlisted) {
        let deny = matches!(self, Self::DefaultDeny | Self::Subjects);
        let selector = |text: &str| Selector::parse(text).expect("a selector of this file");
        let mut marks = Vec::new();
        let mut treatments = Vec::new();
        for (cell, (text, action)) in (0..).zip(self.pairs()) {
            marks.push((selector(&text), Mark::Cell { cell: CellId(cell), subtree: !deny }));
            treatments.push(treatment(action));
        }
        if self == Self::Subjects {
            marks.push((selector("$.data[*].id"), Mark::Subject(RoleIndex(0))));
            marks.push((selector("$.data[*]"), Mark::Each));
        }
        (marks, treatments, if deny { Unlisted::Remove } else { Unlisted::Keep })
    }

    /// Selectors of the rules, ready to be compiled: what the compile time is measured on.
    pub(crate) fn selectors(self) -> (Vec<(Selector, Mark)>, Unlisted) {
        let (marks, _, unlisted) = self.marked();
        (marks, unlisted)
    }

    /// Compiled. `people` says of how many users a verdict is known.
    pub(crate) fn engine(self, people: u64) -> Engine {
        let (marks, treatments, unlisted) = self.marked();
        let released: HashSet<String> =
            (0..people).step_by(2).map(|person| format!("u{person}")).collect();
        let automaton = Automaton::compile(&marks, unlisted).expect("within the bound");
        Engine::new(Arc::new(automaton), treatments.into(), released)
    }
}

fn treatment(action: &str) -> Treatment {
    let action: Action = action.parse().expect("an action of this file");
    let key = matches!(action, Action::Pseudonym(_)).then(|| {
        let root = RootKey::new(NonZeroU32::MIN, [7; 32].into());
        Arc::new(DomainKey::derive(
            &root,
            &Domain {
                used_for: Use::Pseudonym,
                policy: "bench",
                category: "account.id",
                scope: Scope::Recipient,
                recipient: "anybody",
                purpose: "",
                extra: "",
                period: "",
            },
        ))
    });
    Treatment {
        action,
        key,
        scope: Scope::Recipient,
        opens: None,
        link: None,
        canonical: Canonical::default(),
        groups: None,
        today: jiff::civil::date(2026, 11, 24),
    }
}
