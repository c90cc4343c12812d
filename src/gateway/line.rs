//! The connection that a tunnel is asked for on: what the request carries of it, so that the connection
//! lasts as long as the tunnel, and the tunnel no longer than the connection.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use http::header::UPGRADE;
use http::{Method, Request, Response};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::flow::Answer;
use super::respond;
use super::strict::UnderWay;

/// One connection, on which tunnels may open.
pub(super) struct Lines {
    held: mpsc::Sender<Infallible>,
    stopping: watch::Receiver<bool>,
    drain_timeout: Duration,
    /// Of HTTP/1.1, where what comes behind a request stands on the same line.
    under_way: Option<Arc<UnderWay>>,
}

/// Waits for the tunnels of a connection.
pub(super) struct Tunnels(mpsc::Receiver<Infallible>);

/// What one request for a tunnel has of its connection.
#[derive(Clone)]
pub(super) struct Line {
    held: mpsc::Sender<Infallible>,
    stopping: watch::Receiver<bool>,
    drain_timeout: Duration,
    under_way: Option<Arc<UnderWay>>,
    /// The request counts as one that is being answered.
    _answer: Option<Arc<Answer>>,
}

impl Lines {
    /// Of a connection that is about to be served.
    pub(super) fn new(
        stopping: watch::Receiver<bool>,
        drain_timeout: Duration,
        under_way: Option<Arc<UnderWay>>,
    ) -> (Self, Tunnels) {
        let (held, tunnels) = mpsc::channel(1);
        (Self { held, stopping, drain_timeout, under_way }, Tunnels(tunnels))
    }

    /// Puts a line beside a request that may ask for a tunnel.
    pub(super) fn lay<B>(&self, request: &mut Request<B>, answer: Option<&Arc<Answer>>) {
        let may_ask =
            request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE);
        if may_ask {
            request.extensions_mut().insert(Line {
                held: self.held.clone(),
                stopping: self.stopping.clone(),
                drain_timeout: self.drain_timeout,
                under_way: self.under_way.clone(),
                _answer: answer.cloned(),
            });
        }
    }
}

impl Tunnels {
    /// Ready when the last of them is closed. Where nobody waits any more they close.
    pub(super) async fn closed(mut self) {
        let _ = self.0.recv().await;
    }
}

impl Line {
    /// Whether nothing has come behind the request.
    pub(super) fn is_clear(&self) -> bool {
        self.under_way.as_ref().is_none_or(|under_way| under_way.is_alone())
    }

    /// Ready when the connection is cut.
    pub(super) async fn cut(&self) {
        self.held.closed().await;
    }

    /// Ready when the gateway has been stopping for so long that what is left of its patience is for
    /// what is to be said about the end.
    pub(super) async fn ends(&self) {
        let mut stopping = self.stopping.clone();
        if stopping.wait_for(|stopping| *stopping).await.is_err() {
            // Whoever could say so is gone; the connection is cut.
            return pending().await;
        }
        sleep(self.drain_timeout.mul_f32(0.75)).await;
    }
}

/// Lets a tunnel open that was agreed on, on a connection of HTTP/1.1. Where something came too early it
/// does not, and the connection ends. To be called where the connection is read.
pub(super) fn switch<B>(response: &mut Response<B>, under_way: &UnderWay) {
    if respond::is_switched(response) && !under_way.open_tunnel() {
        respond::unswitch(response);
    }
}
