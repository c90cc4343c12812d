//! One TLS connection of a client: handshake, then [`exchange`] for each request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::body::ClientBody;
use super::exchange::{Peer, exchange};
use super::listener::Door;
use super::respond;
use super::state::Gateway;
use super::tls::{Handshake, Side, failure};
use crate::observe::Event;

/// Serves one connection to its end.
pub(super) async fn connection(
    in_force: Arc<ArcSwap<Gateway>>,
    door: Door,
    stream: TcpStream,
    address: SocketAddr,
) {
    let side = in_force.load().tls.public.clone();
    let Some(stream) = handshake(&door, &side, stream).await else { return };
    let handshake = Handshake::of(&stream, &side);
    if handshake.is_challenge {
        return;
    }
    let is_http2 = handshake.is_http2;
    let at = Arc::clone(&in_force);
    let peer = Arc::new(Peer { address: address.ip(), handshake, in_force: at });
    let takes_tunnels = in_force.load().policy.routes.iter().any(|route| route.tunnel.is_some());
    let door = Door { takes_tunnels, ..door };
    // Each request begins with what is in force then, and keeps it.
    let (shared, its_peer) = (Arc::clone(&in_force), Arc::clone(&peer));
    let service =
        service_fn(move |request| guarded(shared.load_full(), Arc::clone(&its_peer), request));
    if let Some(unread) = door.http(stream, is_http2, service).await {
        unread.account(&in_force.load(), &peer);
    }
}

/// The TLS handshake, in bounded time. A failed one is counted.
pub(super) async fn handshake(
    door: &Door,
    side: &Side,
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    // Small answers should not wait for a full segment; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let tls = TlsAcceptor::from(Arc::clone(&side.config));
    let kind = match timeout(door.limits.head_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => failure(&error),
        Err(_) => "timeout",
    };
    Event::TlsFailed { kind }.emit(&door.metrics);
    None
}

/// An exchange whose panic is one answer and not the end of its connection. When the client leaves,
/// the exchange ends with it.
async fn guarded(
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Infallible> {
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut task = JoinSet::new();
    task.spawn(exchange(Arc::clone(&gateway), peer, request));
    let mut response = if let Some(Ok(response)) = task.join_next().await {
        response
    } else {
        Event::Internal { kind: "panic" }.emit(&gateway.metrics);
        respond::defect(&gateway.policy)
    };
    if is_chunked {
        // No chunks are taken, and where they end is what readers disagree about: what stands behind
        // them is nobody's request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
