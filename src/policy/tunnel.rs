//! Routes that a connection goes through: after the handshake bytes pass unseen, so that what may be in
//! them is decided before, as a whole. Part of [`model`](super::model).

use std::collections::BTreeSet;

use super::model::{Locator, Route};
use super::plan::{Cell, Plan};
use crate::action::Action;
use crate::terms::{CategoryId, LegalOrder};

/// What a route says of its tunnel. The categories that may be in it are the route's `fields`, at no
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// What is spoken in it.
    pub protocol: TunnelProtocol,
    /// Pages beside those of the gateway's own host that may open it, as `Origin` names them.
    pub origins: BTreeSet<String>,
}

/// What is spoken in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelProtocol {
    /// Source: RFC 6455, RFC 8441.
    WebSocket,
}

impl TunnelProtocol {
    /// The word in the rules and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
        }
    }
}

impl Plan {
    /// The first category that may be in a tunnel and that this plan, or the order that the request rests
    /// on, does not release as it is. `None`: all of them leave as they are.
    #[must_use]
    pub fn changed_in_tunnel(&self, order: Option<&LegalOrder>) -> Option<&CategoryId> {
        let is_listed =
            |category: &CategoryId| order.is_none_or(|order| order.categories.contains(category));
        let is_kept = |cell: &&Cell| {
            cell.action == Action::Keep && cell.category.as_ref().is_some_and(is_listed)
        };
        self.cells.iter().find(|cell| !is_kept(cell)).and_then(|cell| cell.category.as_ref())
    }

    /// Whether everything that may be in a tunnel leaves as it is, and nothing would have to be looked
    /// at in it.
    #[must_use]
    pub fn passes_unseen(&self, order: Option<&LegalOrder>) -> bool {
        !self.cells.is_empty()
            && self.cells.iter().all(|cell| cell.category.is_some())
            && self.changed_in_tunnel(order).is_none()
            // Nobody sees the rows in it.
            && self.only_where.is_empty()
    }
}

impl Route {
    /// Whether a person stands where it is known before anything passes.
    #[must_use]
    pub fn names_all_before(&self) -> bool {
        let in_request =
            |locator: &Locator| matches!(locator, Locator::Path(_) | Locator::Query(_));
        self.subjects.iter().all(|subject| in_request(&subject.locator))
    }
}
