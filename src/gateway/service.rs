//! One TLS connection of a client: handshake, then [`exchange`] for each request.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use arc_swap::ArcSwap;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpStream;
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
    mut door: Door,
    stream: TcpStream,
    address: SocketAddr,
) {
    let side = in_force.load().tls.public.clone();
    // On the heap, and gone with the last of it.
    let Some(stream) = Box::pin(handshake(&door, &side, stream)).await else { return };
    let handshake = Handshake::of(&stream, &side);
    if handshake.is_challenge {
        return;
    }
    let is_http2 = handshake.is_http2;
    let at = Arc::clone(&in_force);
    let peer = Arc::new(Peer { address: address.ip(), handshake, in_force: at });
    door.takes_tunnels = in_force.load().policy.routes.iter().any(|route| route.tunnel.is_some());
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
) -> Option<Box<TlsStream<TcpStream>>> {
    // Small answers should not wait for a full segment; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let tls = TlsAcceptor::from(Arc::clone(&side.config));
    let kind = match timeout(door.limits.head_timeout, tls.accept(stream)).await {
        // It is large, and is moved from hand to hand.
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        Ok(Err(error)) => failure(&error),
        Err(_) => "timeout",
    };
    Event::TlsFailed { kind }.emit(&door.metrics);
    None
}

/// What a future comes to; `None`: it panicked, and is not asked again. It lies in an allocation of its
/// own, so that a connection on which nothing is asked has no room for it.
async fn unpanicked<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    poll_fn(move |cx| {
        // What it was at is dropped with it: nobody sees what a panic left half done.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// An exchange whose panic is one answer and not the end of its connection. When the client leaves,
/// the exchange ends with it.
async fn guarded(
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Infallible> {
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let asked = exchange(Arc::clone(&gateway), peer, request);
    let mut response = unpanicked(asked).await.unwrap_or_else(|| {
        Event::Internal { kind: "panic" }.emit(&gateway.metrics);
        respond::defect(&gateway.policy)
    });
    if is_chunked {
        // No chunks are taken, and where they end is what readers disagree about: what stands behind
        // them is nobody's request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::connection;

    /// What a task of this function holds.
    fn held<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// There are tens of thousands of them, on most of which nothing is asked.
    #[test]
    fn a_connection_holds_less_than_2_kb_besides_what_tls_holds() {
        assert!(held(connection) < 2048, "{} bytes", held(connection));
    }
}
