//! Answers that are a head and nothing else: something was made or taken in, or the answer is elsewhere.
//!
//! Whoever is named in a link of the head is disclosed as in a body: with the same gates, and with an
//! entry in the ledger before the head leaves.

use std::sync::Arc;

use http::HeaderMap;
use jiff::Timestamp;

use super::account::Account;
use super::exchange::use_grants;
use super::minimizing::{Minimizing, MinimizingError};
use super::refusals::{NotReleased, permitted_but};
use super::state::Gateway;
use crate::decide::{Permit, SubjectIds};
use crate::ledger::{Disclosure, Receipt};
use crate::minimize::head::Links;
use crate::minimize::link::Origins;
use crate::observe::{Event, Metrics};
use crate::policy::model::LinkHeader;
use crate::terms::RefusalReason;

/// What such an answer tells.
pub(super) struct Told {
    /// The links that may leave.
    pub(super) links: Links,
    /// Of the entry in the ledger, where something of a person stands in them.
    pub(super) receipt: Option<Receipt>,
}

/// Reduces the links of an answer without a body. `people`: whom its head names, by role. `is_moved`:
/// without its `Location` it says nothing, and is refused.
pub(super) async fn told(
    gateway: &Gateway,
    account: &mut Account,
    permit: &Arc<Permit>,
    (headers, people): (&HeaderMap, Vec<(usize, SubjectIds)>),
    origins: &Arc<Origins>,
    is_moved: bool,
    now: Timestamp,
) -> Result<Told, NotReleased> {
    let refused = |reason| NotReleased::from(permitted_but(permit, reason));
    // Nobody can be asked about somebody of whom a body would have to say more.
    if permit.plan().holds_document && !people.is_empty() {
        let (route, decision) = (&permit.plan().route, permit.decision());
        Event::Unfilterable { route, decision, kind: "status" }.emit(&gateway.metrics);
        return Err(refused(RefusalReason::Unfilterable));
    }
    let registers = Arc::clone(&gateway.registers);
    let keys = (Arc::clone(&gateway.keys), Arc::clone(origins));
    let limits = gateway.limits.json;
    let head = Minimizing::json(permit, people, registers, keys, limits, now);
    let mut head = head.map_err(|error| {
        if let MinimizingError::Registers(_) = error {
            Event::RegistersUnavailable.emit(&gateway.metrics);
        }
        refused(error.reason())
    })?;
    let links = head.links(headers);
    tell(permit, &links, &gateway.metrics);
    if is_moved && !links.has(LinkHeader::Location) {
        let (route, decision) = (&permit.plan().route, permit.decision());
        Event::Unfilterable { route, decision, kind: "location" }.emit(&gateway.metrics);
        return Err(refused(RefusalReason::Unfilterable));
    }
    let told = head.told_in_head();
    let is_personal = |cell| permit.plan().cell(cell).category.is_some();
    if !told.iter().copied().any(is_personal) {
        return Ok(Told { links, receipt: None });
    }
    let met = account.tell(head.take_met()).map_err(refused)?;
    let entry = Disclosure::of(permit, met).only(permit, &told);
    let receipt = gateway.ledger.open(&entry).await.map_err(|unavailable| {
        Event::LedgerUnavailable { why: &unavailable.0 }.emit(&gateway.metrics);
        refused(RefusalReason::LedgerUnavailable)
    })?;
    use_grants(gateway, permit, &receipt).await?;
    Ok(Told { links, receipt: Some(receipt) })
}

/// Tells the operator which links stayed behind.
pub(super) fn tell(permit: &Permit, links: &Links, metrics: &Metrics) {
    for (header, count) in &links.left_out {
        let (route, decision) = (&permit.plan().route, permit.decision());
        let (header, count) = (header.as_str(), *count);
        Event::LinksLeftOut { route, decision, header, count }.emit(metrics);
    }
}
