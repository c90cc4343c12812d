//! Whether a tunnel may go on: judged again from the beginning, by what is in force and has been said by
//! now, as if it were asked for now. Whatever cannot be judged ends it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::request::Parts;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::super::asked::{self, asked_about, identify};
use super::super::exchange::Peer;
use super::super::purpose;
use super::super::returned::Opener;
use super::super::route::{Opened, Target, Tokens};
use super::handshake::may_open;
use crate::decide::{Facts, Met, Permit, decide};
use crate::policy::Mode;
use crate::policy::model::Route;
use crate::terms::{CategoryId, DecisionId, PurposeId, RecipientId, RefusalReason, UpstreamId};

/// Least time for one judgement: a service outside may have to be asked.
const LEAST: Duration = Duration::from_secs(2);

/// What a tunnel was opened for, and by whose request.
pub(in crate::gateway) struct Still {
    peer: Arc<Peer>,
    head: Parts,
    declared: Vec<PurposeId>,
    decision: DecisionId,
    recipient: RecipientId,
    purposes: Vec<PurposeId>,
    upstream: Option<UpstreamId>,
    /// What stands in the ledger.
    within: Vec<(CategoryId, Option<usize>)>,
    about: Vec<Met>,
}

/// What may be in it, and of whom.
fn within(route: &Route) -> Vec<(CategoryId, Option<usize>)> {
    let mut all: Vec<_> =
        route.fields.iter().map(|field| (field.category.clone(), field.of)).collect();
    all.sort();
    all
}

impl Still {
    /// Of a request that was permitted just now.
    pub(in crate::gateway) fn new(
        peer: &Arc<Peer>,
        head: Parts,
        declared: Vec<PurposeId>,
        permit: &Permit,
    ) -> Self {
        let route = &permit.policy().routes[permit.plan().route_index];
        Self {
            peer: Arc::clone(peer),
            head,
            declared,
            decision: permit.decision().clone(),
            recipient: permit.recipient().clone(),
            purposes: permit.purposes().to_vec(),
            upstream: route.upstream.clone(),
            within: within(route),
            about: permit.told_through(),
        }
    }

    /// Ready when it may not go on, with the reason.
    pub(super) async fn ends(&self, every: Duration) -> RefusalReason {
        loop {
            sleep(every).await;
            // One that is undecided is closed.
            match timeout(every.max(LEAST), self.judge()).await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => return reason,
                Err(_) => return RefusalReason::RegisterStale,
            }
        }
    }

    /// Judges it now.
    ///
    /// # Errors
    /// The first reason for which it would not be opened as it is.
    pub(super) async fn judge(&self) -> Result<(), RefusalReason> {
        let gateway = self.peer.in_force.load_full();
        let (policy, head, now) = (&gateway.policy, &self.head, Timestamp::now());
        let malformed = |_| RefusalReason::RequestMalformed;

        let caller = identify(&gateway, policy, &self.peer, &head.headers, &self.declared, now)
            .filter(|caller| caller.recipient == self.recipient)
            .ok_or(RefusalReason::RecipientUnknown)?;
        let target = Target::judge(&head.uri).map_err(malformed)?;
        let matched =
            target.matches(policy, &Method::GET).ok_or(RefusalReason::RouteNotCatalogued)?;
        let route = &policy.routes[matched.index];
        let is_open = route.mode == Mode::Enforce
            && route.upstream == self.upstream
            && route.tunnel.as_ref().is_some_and(|tunnel| may_open(tunnel, head));
        if !is_open {
            return Err(RefusalReason::NotInForce);
        }
        let opener = Opener::before(&gateway.keys, policy, &caller, route, &self.declared);
        let Opened { target, matched, tokens } =
            target.opened(route, matched, &opener).ok_or(RefusalReason::RequestMalformed)?;
        if tokens == Tokens::Unknown {
            return Err(RefusalReason::NotFound);
        }
        let named = target.subjects(route, &matched);
        let known = asked_about(&gateway, &self.recipient, named).await?;
        let case = purpose::id(&head.headers, &purpose::TAMIS_CASE).map_err(malformed)?;
        let order = purpose::id(&head.headers, &purpose::TAMIS_ORDER).map_err(malformed)?;
        let named = asked::files(&*gateway.registers, case.as_deref(), order.as_deref());
        let (case, order) = named.map_err(|_| RefusalReason::RegisterStale)?;
        let facts = Facts {
            caller: &caller,
            declared_purposes: &self.declared,
            route: &matched,
            query: &target.parameter_names(),
            case: &case,
            order: &order,
            gpc: purpose::gpc(&head.headers),
            known: &known,
        };
        let permit = decide(policy, &facts, self.decision.clone(), now);
        let permit = permit.map_err(|refusal| refusal.reason)?;
        // What the ledger says of it must be true to its end.
        let is_same = permit.purposes() == self.purposes
            && within(route) == self.within
            && permit.told_through() == self.about;
        if is_same { Ok(()) } else { Err(RefusalReason::NotInForce) }
    }
}
