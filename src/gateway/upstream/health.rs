//! Health checks: each address of a backend is asked for a path of the settings, again and again.
//!
//! They are the only requests to a backend that are made without a permit. They can ask for nothing
//! personal: the path is the operator's and has no part of any request, no header of a client goes
//! along, and the body of what is answered is dropped unread.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::address::Address;
use super::backend::Backend;
use crate::config::HealthConfig;
use crate::observe::UpstreamHappening;

/// Checks all addresses as they are then, for as long as it is polled.
pub(super) async fn keep_checking(backend: Arc<Backend>, rules: HealthConfig) {
    let mut round = interval(rules.every);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        let mut checks = JoinSet::new();
        for address in &*backend.addresses() {
            let (address, rules) = (Arc::clone(address), rules.clone());
            let uri = backend.uri(rules.path.clone());
            checks.spawn(async move {
                let is_good = check(&address, uri, &rules).await;
                (address, is_good)
            });
        }
        while let Some(checked) = checks.join_next().await {
            let Ok((address, is_good)) = checked else { continue };
            backend.tell(UpstreamHappening::Checked { address: address.at, is_good });
            let changed = address.standing().checked(is_good, &rules);
            if let Some(is_well) = changed {
                backend.tell(UpstreamHappening::Health { address: address.at, is_well });
            }
        }
        backend.tell_standing();
    }
}

/// Whether the address says 2xx in time.
async fn check(address: &Address, uri: Option<Uri>, rules: &HealthConfig) -> bool {
    let Some(uri) = uri else { return false };
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = uri;
    let answered = timeout(rules.timeout, address.checks.request(request)).await;
    matches!(answered, Ok(Ok(answer)) if answer.status().is_success())
}
