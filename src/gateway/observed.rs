//! Routes that are not in force yet: their requests are judged, their answers perhaps measured, and
//! nothing of them leaves. What comes out are counts.

use http::HeaderMap;

use super::account::Account;
use super::transit::{Progress, Transit, TransitError};
use crate::observe::Event;
use crate::policy::Mode;
use crate::policy::model::Route;

/// Whether the backend is asked for what the route answers. To measure must not do anything twice, so
/// that in shadow only what reads is asked.
pub(super) fn asks_backend(route: &Route) -> bool {
    match route.mode {
        Mode::Enforce => true,
        Mode::Shadow => route.method == "GET" && route.request.is_none(),
        Mode::Observe => false,
    }
}

/// The request is permitted, and that is all that will be known.
pub(super) fn permitted(route: &Route, account: &Account) {
    let outcome = "permitted";
    Event::Observed { route: &route.id, mode: route.mode, outcome }.emit(&account.metrics);
}

/// Minimizes an answer to its end, throws it away, and counts what enforcing would have changed.
/// `links`: its headers in which some stand.
pub(super) async fn measure(
    transit: &mut Transit,
    links: &HeaderMap,
    account: &Account,
) -> Result<(), TransitError> {
    let mut thrown_away = Vec::new();
    while transit.advance(&mut thrown_away).await? == Progress::More {
        thrown_away.clear();
        // Nothing of anybody leaves, so that nobody is entered.
        drop(transit.take_met());
    }
    transit.links(links);
    transit.measured(&account.metrics);
    Ok(())
}
