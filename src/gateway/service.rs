//! One TLS connection of a client: handshake, then [`exchange`] for each request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
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
use super::tls::{Handshake, failure};
use crate::observe::Event;

/// Serves one connection to its end.
pub(super) async fn connection(
    in_force: Arc<ArcSwap<Gateway>>,
    door: Door,
    stream: TcpStream,
    address: SocketAddr,
) {
    let tls = TlsAcceptor::from(Arc::clone(&in_force.load().tls.public));
    let Some(stream) = handshake(&door, &tls, stream).await else { return };
    let handshake = Handshake::of(&stream);
    let is_http2 = handshake.is_http2;
    let peer = Arc::new(Peer { address: address.ip(), handshake });
    // Each request begins with what is in force then, and keeps it.
    let service =
        service_fn(move |request| guarded(in_force.load_full(), Arc::clone(&peer), request));
    door.http(stream, is_http2, service).await;
}

/// The TLS handshake, in bounded time. A failed one is counted.
pub(super) async fn handshake(
    door: &Door,
    tls: &TlsAcceptor,
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    // Small answers should not wait for a full segment; without it they are only slower.
    let _ = stream.set_nodelay(true);
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
    let mut task = JoinSet::new();
    task.spawn(exchange(Arc::clone(&gateway), peer, request));
    if let Some(Ok(response)) = task.join_next().await {
        return Ok(response);
    }
    Event::Internal { kind: "panic" }.emit(&gateway.metrics);
    Ok(respond::defect(&gateway.policy))
}
