//! What is answered on each listener: clients of the API, plaintext, and routers of our own.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tower::util::MapRequestLayer;

use super::listener::Door;
use super::redirect::Redirect;
use super::service;
use super::sockets::Bound;
use super::state::Gateway;
use super::tls::{Handshake, Side};
use super::vouched::Vouched;

/// Clients of the API.
pub(super) fn clients(
    in_force: Arc<ArcSwap<Gateway>>,
    door: Door,
    listener: Bound,
) -> impl Future<Output = usize> + use<> {
    let inner = door.clone();
    door.accept(listener, move |stream, address| {
        service::connection(Arc::clone(&in_force), inner.clone(), stream, address)
    })
}

/// The plaintext listener, which only redirects.
pub(super) fn plaintext(
    redirect: Arc<Redirect>,
    door: Door,
    listener: Bound,
) -> impl Future<Output = usize> {
    let inner = door.clone();
    door.accept(listener, move |stream, _: SocketAddr| {
        let redirect = Arc::clone(&redirect);
        let service = service_fn(move |request| {
            std::future::ready(Ok::<_, std::convert::Infallible>(redirect.answer(&request)))
        });
        let door = inner.clone();
        async move { door.http::<TcpStream, _, _>(stream, false, service).await }
    })
}

/// Admin API, metrics and health: routers of their own, with TLS around the first.
pub(super) fn routed(
    router: Router,
    in_force: Option<Arc<ArcSwap<Gateway>>>,
    door: &Door,
    listener: Bound,
) -> impl Future<Output = usize> + use<> {
    let inner = door.clone();
    door.clone().accept(listener, move |stream, _: SocketAddr| {
        let (door, router, in_force) = (inner.clone(), router.clone(), in_force.clone());
        async move {
            match in_force {
                None => {
                    door.http(stream, false, TowerToHyperService::new(router)).await;
                }
                Some(in_force) => {
                    let side = in_force.load().tls.admin.clone();
                    let Some(stream) = service::handshake(&door, &side, stream).await else {
                        return;
                    };
                    let Handshake { is_http2, certificate, .. } = Handshake::of(&stream, &side);
                    // What the handshake proved stands beside each request of the connection, for as
                    // long as it is worth anything.
                    let router = match certificate {
                        Some(shown) => {
                            let shown = Arc::new(shown);
                            router.layer(MapRequestLayer::new(move |request| {
                                with_names(request, &shown, &in_force.load().tls.admin)
                            }))
                        }
                        None => router,
                    };
                    door.http(stream, is_http2, TowerToHyperService::new(router)).await;
                }
            }
        }
    })
}

/// The request with the names in the certificate that its connection showed.
fn with_names(mut request: Request<Body>, shown: &Vouched, side: &Side) -> Request<Body> {
    if let Some(names) = shown.names(&side.vouching) {
        request.extensions_mut().insert(names.clone());
    }
    request
}
