//! Records of the ledger: never a value, never a raw subject id.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Cut;
use crate::action::Action;
use crate::decide::{Met, Permit, Refusal};
use crate::policy::{CellId, Plan, Policy};
use crate::terms::{
    CategoryId, DataSubject, DecisionId, Digest, LegalOrder, RefusalReason, RouteId,
};

/// An opening record: this is about to be disclosed.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// The decision it rests on.
    pub decision: DecisionId,
    /// The policy's id, revision and digest.
    pub policy: (String, String, Digest),
    /// The route.
    pub route: String,
    /// To whom: id, role, category of recipients, country.
    pub recipient: String,
    /// See `recipient`.
    pub role: &'static str,
    /// See `recipient`.
    pub category_of_recipient: Option<String>,
    /// See `recipient`.
    pub country: Option<String>,
    /// What for.
    pub purposes: Vec<String>,
    /// Why it is lawful, in the order of `purposes`.
    pub basis: Vec<&'static str>,
    /// The case, if one was named; an id of the controller's, not a person's.
    pub case: Option<String>,
    /// The order it rests on, and until when the people it names must not be told.
    pub order: Option<(String, Option<String>)>,
    /// It counts groups of at least so many people, and names nobody.
    pub aggregated: Option<u64>,
    /// It opens a tunnel, in which this is spoken: all of `released` may be in it, in both directions.
    pub tunnel: Option<&'static str>,
    /// Category → action, for all that may leave.
    pub released: Vec<(String, String)>,
    /// Category → why not.
    pub withheld: Vec<(String, String)>,
    /// Whom it is about, as far as that is known before the first byte leaves; empty where the rules
    /// ask for no index of data subjects.
    pub people: Vec<Concerned>,
}

/// People in one role of a disclosure. The ledger makes tags of them and forgets who they are.
#[derive(Clone, Debug)]
pub struct Concerned {
    /// The role, as the rules call it.
    pub role: String,
    /// Category → action, for what may leave of them.
    pub categories: Vec<(String, String)>,
    /// Who.
    pub people: Vec<DataSubject>,
}

impl Concerned {
    /// The people met under `permit`, by role.
    #[must_use]
    pub fn of(permit: &Permit, met: Vec<Met>) -> Vec<Self> {
        let route = &permit.policy().routes[permit.plan().route_index];
        let mut by_role: BTreeMap<usize, Vec<DataSubject>> = BTreeMap::new();
        for Met { role, person } in met {
            by_role.entry(role).or_default().push(person);
        }
        let concerned = by_role.into_iter().filter_map(|(role, people)| {
            let name = route.subjects.get(role)?.role.to_string();
            let (categories, _) = categories(permit.plan(), permit.order(), Some(role));
            Some(Self { role: name, categories, people })
        });
        concerned.collect()
    }

    /// Only what stands in these cells. Of whom nothing does is not concerned.
    fn only(self, permit: &Permit, cells: &[CellId]) -> Option<Self> {
        let plan = permit.plan();
        let route = &permit.policy().routes[plan.route_index];
        let role = route.subjects.iter().position(|subject| subject.role.as_str() == self.role)?;
        let whose = |cell: &CellId| plan.cell(*cell).of.map_or(0, |of| usize::from(of.0));
        let own: Vec<CellId> = cells.iter().copied().filter(|cell| whose(cell) == role).collect();
        let categories = among(self.categories, plan, &own);
        (!categories.is_empty()).then_some(Self { categories, ..self })
    }
}

/// Of what may leave, what stands in these cells.
fn among(released: Pairs, plan: &Plan, cells: &[CellId]) -> Pairs {
    let stands = |name: &str| {
        let categories = cells.iter().filter_map(|cell| plan.cell(*cell).category.as_ref());
        categories.map(CategoryId::as_str).any(|category| category == name)
    };
    released.into_iter().filter(|(name, _)| stands(name)).collect()
}

impl Disclosure {
    /// What `permit` allows to leave, and of whom as far as they were `met`. A category that stands at several places is entered with the
    /// most open of its actions as released, since that is what the recipient learns.
    #[must_use]
    pub fn of(permit: &Permit, met: Vec<Met>) -> Self {
        let policy = permit.policy();
        let plan = permit.plan();
        let recipient = policy.recipients.get(permit.recipient());
        let route = &policy.routes[plan.route_index];
        let (released, withheld) = categories(plan, permit.order(), None);
        Self {
            decision: permit.decision().clone(),
            policy: (policy.id.to_string(), policy.revision.clone(), policy.digest),
            route: plan.route.to_string(),
            recipient: permit.recipient().to_string(),
            role: permit.role().as_str(),
            category_of_recipient: recipient.and_then(|recipient| recipient.category.clone()),
            country: recipient
                .and_then(|recipient| recipient.country.as_ref())
                .map(ToString::to_string),
            purposes: permit.purposes().iter().map(ToString::to_string).collect(),
            basis: permit
                .purposes()
                .iter()
                .filter_map(|purpose| policy.purposes.get(purpose))
                .map(|purpose| purpose.basis.as_str())
                .collect(),
            case: permit.case().map(|case| case.id.to_string()),
            order: permit.order().map(|order| {
                (order.id.to_string(), order.gag_until.map(|until| until.to_string()))
            }),
            aggregated: route.aggregate.as_ref().map(|one| one.k),
            tunnel: route.tunnel.as_ref().map(|tunnel| tunnel.protocol.as_str()),
            released,
            withheld,
            people: Concerned::of(permit, met),
        }
    }
}

impl Disclosure {
    /// The same of an answer without a body, in whose head values of these cells stand and nothing else.
    #[must_use]
    pub fn only(mut self, permit: &Permit, cells: &[CellId]) -> Self {
        self.released = among(self.released, permit.plan(), cells);
        self.people = self.people.into_iter().filter_map(|one| one.only(permit, cells)).collect();
        self
    }
}

/// A category and a word about it.
type Pairs = Vec<(String, String)>;

/// Category → action of all that may leave, and category → reason of what may not at any place; of one
/// role, or of all.
fn categories(plan: &Plan, order: Option<&LegalOrder>, role: Option<usize>) -> (Pairs, Pairs) {
    let mut released = BTreeMap::<&str, &Action>::new();
    let mut withheld = BTreeMap::<&str, &str>::new();
    for cell in &plan.cells {
        let Some(category) = &cell.category else { continue };
        let whose = cell.of.map_or(0, |role| usize::from(role.0));
        if role.is_some_and(|role| role != whose) {
            continue;
        }
        let unlisted = order.is_some_and(|order| !order.categories.contains(category));
        if unlisted {
            withheld.entry(category.as_str()).or_insert("not listed in the order");
        } else if cell.action.releases() {
            let shown = released.entry(category.as_str()).or_insert(&cell.action);
            if shown.at_least(&cell.action) {
                *shown = &cell.action;
            }
        } else {
            withheld.entry(category.as_str()).or_insert(&cell.because);
        }
    }
    withheld.retain(|category, _| !released.contains_key(category));
    let text = |(name, word): (&str, String)| (name.to_owned(), word);
    (
        released.into_iter().map(|(name, action)| (name, action.to_string())).map(text).collect(),
        withheld.into_iter().map(|(name, why)| (name, why.to_owned())).map(text).collect(),
    )
}

/// How a disclosure ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the answer was complete.
    pub complete: bool,
    /// Why not, if it was not.
    pub refusal: Option<RefusalReason>,
    /// Status sent.
    pub status: u16,
    /// Bytes written.
    pub bytes: u64,
    /// Elements released and dropped; `None` where the answer was no list.
    pub elements: Option<(u64, u64)>,
    /// Members removed that nobody catalogued.
    pub unlisted: u64,
    /// Of a tunnel: what went through it towards the backend, and how it ended.
    pub tunnel: Option<TunnelEnd>,
}

/// The end of a tunnel. Bytes towards the client are those of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelEnd {
    /// Bytes that the client sent.
    pub received: u64,
    /// Who or what ended it, by a stable code.
    pub ended: &'static str,
}

impl Outcome {
    /// All of an answer without a body left.
    #[must_use]
    pub const fn whole(status: u16) -> Self {
        Self {
            complete: true,
            refusal: None,
            status,
            bytes: 0,
            elements: None,
            unlisted: 0,
            tunnel: None,
        }
    }

    /// Nothing left after all.
    #[must_use]
    pub const fn nothing(reason: RefusalReason, status: u16) -> Self {
        Self {
            complete: false,
            refusal: Some(reason),
            status,
            bytes: 0,
            elements: None,
            unlisted: 0,
            tunnel: None,
        }
    }
}

/// Proof that an opening record is durable; needed to close it.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The record's number.
    pub sequence: u64,
    /// The decision it belongs to.
    pub decision: DecisionId,
}

/// A request that was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The decision's id.
    pub decision: DecisionId,
    /// Why, as it truly is: the ledger is not read by outsiders.
    pub reason: RefusalReason,
    /// The policy's digest.
    pub policy: Digest,
    /// The route, where one matched.
    pub route: Option<String>,
    /// The recipient, where known.
    pub recipient: Option<String>,
    /// Its role, where known.
    pub role: Option<&'static str>,
    /// What for, as far as it was established.
    pub purposes: Vec<String>,
}

impl Refused {
    /// What `refusal` says, without its words for operators.
    #[must_use]
    pub fn of(refusal: &Refusal, route: Option<&RouteId>, policy: &Policy) -> Self {
        Self {
            decision: refusal.decision.clone(),
            reason: refusal.reason,
            policy: policy.digest,
            route: route.map(ToString::to_string),
            recipient: refusal.recipient.as_ref().map(ToString::to_string),
            role: refusal.role.map(crate::terms::Role::as_str),
            purposes: refusal.purposes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Something besides a request that bears on what may be disclosed.
#[derive(Clone, Debug)]
pub enum Note {
    /// A statement in the registers changed. Whose it is stays in the registers.
    Register {
        /// The change's number in the registers; a number entered twice is one change.
        number: u64,
        /// When it was recorded there.
        recorded_at: String,
        /// `consent`, `notice`, `objection`, `restriction`, `dispute`, `erasure`, `subject`,
        /// `order`, `case` or `one-time-grant`.
        register: String,
        /// `recorded`, `withdrawn`, `approved`, `used` or `lifted`.
        change: String,
        /// The purpose or pattern, where the statement has one.
        purpose: Option<String>,
    },
    /// The gateway gave a person something of its own: a report, or a receipt for a request. Whom
    /// stays in the registers.
    Service {
        /// The decision's id.
        decision: DecisionId,
        /// `subject-report`, `objection`, or the right that was asked for.
        service: &'static str,
        /// The route.
        route: String,
        /// The policy's digest.
        policy: Digest,
    },
    /// A recipient is being told that a person was erased, was told, or could not be. Whom of stays in
    /// the registers. Source: GDPR Art. 19.
    ErasureNotice {
        /// The notice's id.
        notice: String,
        /// To whom.
        recipient: String,
        /// `sending`, `delivered` or `given-up`.
        state: &'static str,
        /// Attempts so far.
        attempts: u32,
        /// Category → form, for what names the person in it.
        released: Vec<(String, String)>,
        /// The digest of the rules that say so.
        policy: Digest,
    },
    /// A call of the admin API by a known caller.
    Call {
        /// The caller's name in the configuration.
        by: String,
        /// The role by which it was theirs to make; `None`: it was not.
        role: Option<&'static str>,
        /// GET, POST or PUT; `-` for a word that is no method.
        method: &'static str,
        /// The route's template; `-` where there is none.
        route: String,
        /// The status answered.
        status: u16,
        /// Whom the answer is about; the ledger makes tags of them. Empty where the rules ask for no
        /// index of data subjects.
        about: Vec<DataSubject>,
    },
    /// Records up to the cut are older than the rules keep them, and go.
    Retired {
        /// Where the cut is.
        cut: Cut,
        /// They are all older than this.
        before: Timestamp,
        /// The digest of the rules that say so.
        policy: Digest,
    },
    /// From here on disclosures rest on this policy.
    Policy {
        /// Its id.
        id: String,
        /// Its revision.
        revision: String,
        /// Its digest.
        digest: Digest,
    },
}

impl Note {
    /// The activation of `policy`.
    #[must_use]
    pub fn activation(policy: &Policy) -> Self {
        Self::Policy {
            id: policy.id.to_string(),
            revision: policy.revision.clone(),
            digest: policy.digest,
        }
    }
}
