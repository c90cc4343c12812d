//! Tunnels: after one judged handshake bytes pass between client and backend as they are.
//!
//! Nothing in a tunnel is minimized, so that one opens only for who may have all that may be in it, of
//! everybody it is about, as it is. The ledger has its opening record before the client hears that it is
//! open, and no byte passes before. While it lasts it is judged again and again; what no longer holds,
//! or cannot be judged, ends it.

mod carry;
pub(super) mod handshake;
mod still;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HeaderMap;
use http::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

use self::carry::{Carried, Passed, carry};
use self::handshake::{Key, Offer};
pub(super) use self::still::Still;
use super::account::Account;
use super::body::ClientBody;
use super::cookies::Cookies;
use super::refusals::{NotReleased, failed, permitted_but};
use super::respond;
use super::state::Gateway;
use super::upstream::{Answer, UpstreamTunnel};
use super::{fit, headers};
use crate::decide::Permit;
use crate::ledger::{Disclosure, Outcome, Receipt, TunnelEnd};
use crate::observe::{Event, TunnelEvent, TunnelHappening};
use crate::terms::RefusalReason;

/// How long a side may take to hear that it is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// One that was entered in the ledger, and of which the client is to hear.
pub(super) struct Opened {
    permit: Arc<Permit>,
    /// What the backend said.
    came_of_it: StatusCode,
    receipt: Receipt,
    offer: Offer,
    protocol: Option<String>,
    passed: HeaderMap,
    backend: UpstreamTunnel,
    still: Still,
}

/// Judges what a backend says to a handshake, and enters what is about to be disclosed.
pub(super) async fn open(
    gateway: &Gateway,
    account: &mut Account,
    permit: &Arc<Permit>,
    (offer, key, answer): (Offer, Key, Answer),
    cookies: &Cookies<'_>,
    still: Still,
) -> Result<Opened, NotReleased> {
    let refused = |reason| NotReleased::from(permitted_but(permit, reason));
    let unfit = |kind| {
        let (route, decision) = (&permit.plan().route, permit.decision());
        Event::Unfilterable { route, decision, kind }.emit(&gateway.metrics);
        refused(RefusalReason::Unfilterable)
    };
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        let unread = fit::fit(permit, &answer, gateway.limits.response_body_bytes, account);
        // A body that could be minimized is no tunnel.
        return Err(unread.map_or_else(refused, |()| unfit("status")));
    }
    let protocol = offer.agreed(&key, &answer.headers).map_err(|_| unfit("handshake"))?;
    let (came_of_it, passed) = (answer.status, headers::towards_client(&answer.headers, cookies));
    let backend = answer.into_tunnel().await;
    let backend = backend.map_err(|fault| failed(permit, account, &fault.into()))?;
    // The backend may have taken its time.
    still.judge().await.map_err(refused)?;

    // No disclosure without its entry.
    let met = account.tell(permit.told_through()).map_err(refused)?;
    let entry = Disclosure::of(permit, met);
    let receipt = gateway.ledger.open(&entry).await.map_err(|unavailable| {
        Event::LedgerUnavailable { why: &unavailable.0 }.emit(&gateway.metrics);
        refused(RefusalReason::LedgerUnavailable)
    })?;
    let permit = Arc::clone(permit);
    Ok(Opened { permit, came_of_it, receipt, offer, protocol, passed, backend, still })
}

/// Tells the client that it is open. Everything else happens beside the answer.
pub(super) fn begin(
    gateway: &Arc<Gateway>,
    opened: Opened,
    mut account: Account,
) -> Response<ClientBody> {
    let (told, agreed) = opened.offer.accepted(opened.protocol.as_deref());
    let mut passed = opened.passed.clone();
    passed.extend(agreed);
    let response = respond::released(&opened.permit, opened.came_of_it, passed, None, told);
    let status = response.status();
    account.released(status);
    tokio::spawn(run(Arc::clone(gateway), opened, account, status));
    response
}

/// How one ended.
#[derive(Clone, Copy)]
enum End {
    /// By one of its sides, or since nothing passed.
    Carried(Carried),
    /// It lasted as long as one may.
    Late,
    /// It may not go on.
    Refused(RefusalReason),
    /// The gateway stops.
    Stopping,
    /// The connection that it was on is gone.
    Cut,
}

impl End {
    /// By a stable code.
    const fn code(self) -> &'static str {
        match self {
            Self::Carried(Carried::Client) => "client",
            Self::Carried(Carried::Backend) => "backend",
            Self::Carried(Carried::Idle) => "idle",
            Self::Late => "late",
            Self::Refused(_) => "refused",
            Self::Stopping => "stopping",
            Self::Cut => "cut",
        }
    }

    const fn refusal(self) -> Option<RefusalReason> {
        match self {
            Self::Refused(reason) => Some(reason),
            Self::Carried(_) | Self::Late | Self::Stopping | Self::Cut => None,
        }
    }

    /// Whether one of its sides ended it.
    const fn is_whole(self) -> bool {
        matches!(self, Self::Carried(Carried::Client | Carried::Backend))
    }
}

async fn run(gateway: Arc<Gateway>, opened: Opened, mut account: Account, status: StatusCode) {
    let Opened { permit, receipt, offer, mut backend, still, .. } = opened;
    let Offer { client, line, .. } = offer;
    let (limits, ledger) = (gateway.limits, Arc::clone(&gateway.ledger));
    let until = Instant::now() + limits.tunnel_time;
    let Ok(Ok(client)) = timeout(limits.head_timeout, client).await else {
        // The client left, or sent something before it was told that it may.
        account.broken_off(RefusalReason::RequestMalformed, 0);
        let nothing = Outcome::nothing(RefusalReason::RequestMalformed, status.as_u16());
        ledger.close(receipt, nothing);
        return;
    };
    let mut client = TokioIo::new(client);
    let (route, decision) = (&permit.plan().route, permit.decision());
    let tell = |what| TunnelEvent { route, decision, what }.emit(&gateway.metrics);
    tell(TunnelHappening::Opened);
    let passed = Passed::new();
    let end = tokio::select! {
        biased;
        () = line.cut() => End::Cut,
        () = line.ends() => End::Stopping,
        reason = still.ends(limits.tunnel_check) => End::Refused(reason),
        () = sleep(until.saturating_duration_since(Instant::now())) => End::Late,
        carried = carry(&mut client, &mut backend.stream, &passed, limits.tunnel_idle) => {
            End::Carried(carried)
        }
    };
    let (sent, received) = passed.bytes();
    let (ended, refusal) = (end.code(), end.refusal());
    tell(TunnelHappening::Ended { ended, refusal, sent, received });
    let outcome = Outcome {
        complete: end.is_whole(),
        refusal,
        bytes: sent,
        tunnel: Some(TunnelEnd { received, ended }),
        ..Outcome::whole(status.as_u16())
    };
    ledger.close(receipt, outcome);
    match refusal {
        Some(reason) => account.broken_off(reason, sent),
        None => account.completed(sent, false),
    }
    // Whoever is still there hears that it is over.
    let goodbye = async { tokio::join!(client.shutdown(), backend.stream.shutdown()) };
    let _ = timeout(GOODBYE, goodbye).await;
}
