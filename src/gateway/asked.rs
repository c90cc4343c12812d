//! What every request is asked first: who sends it, and what the people have said whom it names.

use http::HeaderMap;
use jiff::Timestamp;

use super::consents::fetched;
use super::exchange::Peer;
use super::state::Gateway;
use crate::decide::{Caller, KnownSubject, Named};
use crate::identity::Credentials;
use crate::observe::Event;
use crate::policy::Policy;
use crate::registers::{Registers, RegistersUnavailable};
use crate::terms::{Case, DataSubject, LegalOrder, PurposeId, RecipientId, RefusalReason};

/// Who sends it, by what certificate, token or key says.
pub(super) fn identify(
    gateway: &Gateway,
    policy: &Policy,
    peer: &Peer,
    headers: &HeaderMap,
    declared_purposes: &[PurposeId],
    now: Timestamp,
) -> Option<Caller> {
    let certificate = peer.handshake.certificate.as_ref();
    let all = |name: &str| headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    let credentials = Credentials {
        // A connection may be older than the authorities in force.
        certificate: certificate.and_then(|shown| shown.names(&gateway.tls.public.vouching)),
        authorization: all("authorization"),
        api_keys: all("tamis-api-key"),
    };
    gateway.identifier.identify(policy, &credentials, declared_purposes, now).ok()
}

/// The people whom a request names, with what each has said.
pub(super) async fn asked_about(
    gateway: &Gateway,
    recipient: &RecipientId,
    people: Vec<(usize, DataSubject)>,
) -> Result<Vec<KnownSubject>, RefusalReason> {
    fetched(gateway, recipient, people.iter().map(|(_, id)| id)).await;
    let known = |(role, id): (usize, DataSubject)| {
        let statements = gateway.registers.statements(&id).map_err(|_| {
            Event::RegistersUnavailable.emit(&gateway.metrics);
            RefusalReason::RegisterStale
        })?;
        Ok(KnownSubject { role, id, statements })
    };
    people.into_iter().map(known).collect()
}

/// The case and the legal order that a request names, as the registers know them.
pub(super) fn files(
    registers: &dyn Registers,
    case: Option<&str>,
    order: Option<&str>,
) -> Result<(Named<Case>, Named<LegalOrder>), RegistersUnavailable> {
    let case = Named::look_up(case, |id| registers.case(id))?;
    let order = Named::look_up(order, |id| registers.order(id))?;
    Ok((case, order))
}
