//! Sockets: accepting, bounding and draining connections, and HTTP on each of them.

use std::error::Error as _;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::pin;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::addresses::{Addresses, FromAddress};
use super::flow::{Flow, Flowing};
use super::line::{Lines, Tunnels};
use super::proxied::{Unannounced, announced};
use super::sockets::Bound;
use super::strict::{UnderWay, Watched};
use super::unread::Unread;
use crate::config::Limits;
use crate::observe::{Event, Metrics};

/// Buffer of a connection; the largest head that may be configured fits.
pub(super) const BUFFER: usize = 64 * 1024;

/// Streams that a client may open and reset before they are looked at, and streams that it may make
/// us reset: beyond it the connection ends. Source: CVE-2023-44487, CVE-2025-8671.
const RESETS: usize = 20;
const FAULTS: usize = 256;

/// Bytes of one stream and of one HTTP/2 connection that are read ahead. Requests have no bodies.
const WINDOW: u32 = 64 * 1024;

/// How often an idle HTTP/2 connection is asked whether anybody is there.
const PING: Duration = Duration::from_secs(20);

/// First and longest pause after the system refused a connection for want of something.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What all listeners share.
#[derive(Clone)]
pub(super) struct Door {
    /// One for each connection of the gateway, over all listeners.
    pub(super) slots: Arc<Semaphore>,
    /// Where they come from.
    pub(super) addresses: Arc<Addresses>,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    /// Requests for tunnels are told of the connection that they came on.
    pub(super) takes_tunnels: bool,
    /// Turns true once, when the gateway stops.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Door {
    /// Accepts connections until the gateway stops, then lets those that are open finish.
    /// Returns how many did not finish in time.
    pub(super) async fn accept<F>(
        mut self,
        bound: Bound,
        serve: impl Fn(TcpStream, SocketAddr) -> F + Clone + Send + 'static,
    ) -> usize
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let balancers = Arc::clone(&bound.balancers);
        let lists = |peer: IpAddr| balancers.iter().any(|network| network.contains(peer));
        let mut connections = JoinSet::new();
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => break,
                Some(ended) = connections.join_next() => {
                    if ended.is_err() {
                        Event::Internal { kind: "connection" }.emit(&self.metrics);
                    }
                }
                accepted = bound.accept() => match accepted {
                    Ok((stream, address)) => {
                        pause = PAUSE;
                        let by_balancer = lists(address.ip());
                        self.take(&mut connections, &serve, stream, address, by_balancer);
                    }
                    // The peer has gone already.
                    Err(error) if is_of_the_peer(&error) => {}
                    // No descriptors, no memory: accepting again at once would only spin.
                    Err(_) => {
                        Event::Internal { kind: "accept" }.emit(&self.metrics);
                        sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                },
            }
        }
        // Those that were made before are served: nobody has told them that they are too late.
        for (stream, address) in bound.close() {
            self.take(&mut connections, &serve, stream, address, lists(address.ip()));
        }
        let drained = timeout(self.limits.drain_timeout, async {
            while connections.join_next().await.is_some() {}
        });
        if drained.await.is_ok() {
            return 0;
        }
        let unfinished = connections.len();
        connections.shutdown().await;
        unfinished
    }

    /// Serves a new connection, if there is a place for it. That of a balancer counts as one of the
    /// address that it names.
    fn take<F>(
        &self,
        connections: &mut JoinSet<()>,
        serve: &(impl Fn(TcpStream, SocketAddr) -> F + Clone + Send + 'static),
        mut stream: TcpStream,
        peer: SocketAddr,
        by_balancer: bool,
    ) where
        F: Future<Output: Send> + Send + 'static,
    {
        let Some(slot) = self.slot() else { return };
        if !by_balancer {
            let Some(from) = self.from(peer) else { return };
            let served = serve(stream, peer);
            connections.spawn(async move {
                let _held = (slot, from);
                served.await;
            });
            return;
        }
        let (door, serve) = (self.clone(), serve.clone());
        connections.spawn(async move {
            let _held = slot;
            let patience = door.limits.head_timeout;
            let said = timeout(patience, announced(&mut stream, peer));
            let kind = match said.await {
                Ok(Ok(address)) => {
                    if let Some(_from) = door.from(address) {
                        serve(stream, address).await;
                    }
                    return;
                }
                Ok(Err(why)) => Unannounced::code(why),
                Err(_) => "proxy-late",
            };
            Event::ConnectionRefused { kind }.emit(&door.metrics);
        });
    }

    /// What a new connection holds to its end. `None`: there is none for it, and it is closed at once,
    /// since descriptors are kept for ledger, registers and backends.
    fn slot(&self) -> Option<impl Send + 'static + use<>> {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            Event::ConnectionRefused { kind: "all" }.emit(&self.metrics);
            return None;
        };
        Some((slot, self.metrics.connection()))
    }

    /// What one of an address holds besides.
    fn from(&self, address: SocketAddr) -> Option<FromAddress> {
        let from = self.addresses.enter(address.ip(), self.limits.connections_per_address);
        if from.is_none() {
            Event::ConnectionRefused { kind: "address" }.emit(&self.metrics);
        }
        from
    }

    /// Speaks HTTP/1.1 or HTTP/2 on a connection until it ends or the gateway stops. Returns what of
    /// it could not be read, and counts it.
    pub(super) async fn http<S, V, B>(
        &self,
        stream: S,
        is_http2: bool,
        service: V,
    ) -> Option<Unread>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>> + Unpin + Send + 'static,
        V::Future: Send + 'static,
        V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Unpin + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if is_http2 {
            // On the heap, so that one of HTTP/1.1 has no place for it.
            Box::pin(self.http2(stream, service)).await
        } else {
            self.http1(stream, service).await
        }
    }

    async fn http2<S, V, B>(&self, stream: S, service: V) -> Option<Unread>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        V::Future: Send + 'static,
        V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Unpin + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let patience = self.limits.idle_timeout;
        let (asks, asked) = watch::channel(());
        let flow = Arc::new(Flow::default());
        let its = Arc::clone(&flow);
        let (lines, tunnels) = self.lines(None).unzip();
        let service = service_fn(move |mut request| {
            asks.send_replace(());
            let under_way = Arc::new(its.begin());
            if let Some(lines) = &lines {
                lines.lay(&mut request, Some(&under_way));
            }
            let answer = service.call(request);
            async move {
                let response = answer.await?;
                Ok::<_, V::Error>(response.map(|body| Flowing::new(body, under_way)))
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        if self.takes_tunnels {
            builder.enable_connect_protocol();
        }
        let connection = builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(FAULTS)
            .max_header_list_size(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(TokioIo::new(Watched::http2(stream, patience)), service);
        let still = |is_ending| Arc::clone(&flow).stands_still(patience, is_ending);
        let mut stopping = self.stopping.clone();
        let ends = stopped(&mut stopping);
        let drain = http2::Connection::graceful_shutdown;
        let (quiet, under_way) = (quiet(asked, patience), UnderWay::default());
        let unread = self.drive((connection, drain), ends, quiet, still, &under_way).await;
        if let Some(tunnels) = tunnels {
            tunnels.closed().await;
        }
        unread
    }

    /// What requests for tunnels have of a connection, where there may be any. `under_way`: of HTTP/1.1.
    pub(super) fn lines(&self, under_way: Option<&Arc<UnderWay>>) -> Option<(Box<Lines>, Tunnels)> {
        self.takes_tunnels.then(|| {
            let stopping = self.stopping.clone();
            let (lines, tunnels) =
                Lines::new(stopping, self.limits.drain_timeout, under_way.cloned());
            (Box::new(lines), tunnels)
        })
    }

    /// Until the connection ends. `ends`: ready when it is to end since the gateway stops.
    pub(super) async fn drive<C: Future<Output = hyper::Result<()>>, S: Future<Output = ()>>(
        &self,
        (connection, drain): (C, impl Fn(Pin<&mut C>)),
        ends: impl Future<Output = ()>,
        is_quiet: impl Future<Output = ()>,
        still: impl Fn(bool) -> S,
        under_way: &UnderWay,
    ) -> Option<Unread> {
        let is_still = still(false);
        pin!(connection, ends, is_quiet, is_still);
        let mut is_stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return self.ended(ended, under_way),
                () = ends.as_mut(), if !is_stopping => {}
                () = is_quiet.as_mut(), if !is_stopping => self.over("idle"),
                // Asking for more does not make up for answers that are not taken.
                () = is_still.as_mut() => {
                    if is_stopping {
                        self.over("stalled");
                        return None;
                    }
                }
            }
            // Answers under way are finished, if the client takes them.
            is_stopping = true;
            drain(connection.as_mut());
            is_still.set(still(true));
        }
    }

    /// We have ended a connection, for this reason.
    pub(super) fn over(&self, kind: &'static str) {
        Event::ConnectionEnded { kind }.emit(&self.metrics);
    }

    /// What of a connection could not be read, that has ended so. How a client's connection ended is the
    /// client's affair, and what was answered on it has been accounted for; what was not understood on
    /// it has not.
    pub(super) fn ended(
        &self,
        ended: Result<(), hyper::Error>,
        under_way: &UnderWay,
    ) -> Option<Unread> {
        let error = ended.err()?;
        if let Some(kind) = overdue(&error, under_way) {
            self.over(kind);
        }
        let unread = Unread::of(&error)?;
        Event::Unread { kind: unread.code() }.emit(&self.metrics);
        Some(unread)
    }
}

/// Ready when nothing was asked for this long. Answers to pings do not keep a connection open, or
/// whoever opens all there are has them for ever; answers under way are finished.
async fn quiet(mut asked: watch::Receiver<()>, patience: Duration) {
    loop {
        match timeout(patience, asked.changed()).await {
            Ok(Ok(())) => {}
            // The connection is ending by itself.
            Ok(Err(_)) => return pending().await,
            Err(_) => return,
        }
    }
}

/// What a connection was ended for, if we ended it for want of patience.
fn overdue(error: &hyper::Error, under_way: &UnderWay) -> Option<&'static str> {
    if error.is_timeout() {
        return Some(if under_way.is_in_head() { "late-head" } else { "idle" });
    }
    // The answer was broken off, by whoever sends it.
    if error.is_user() && under_way.is_late() {
        return Some("late-answer");
    }
    let source = error.source()?;
    let of_socket = source.downcast_ref::<io::Error>().or_else(|| {
        let of_frames = source.downcast_ref::<h2::Error>();
        of_frames.and_then(h2::Error::get_io)
    })?;
    let kind = if under_way.is_late() { "late-answer" } else { "stalled" };
    (of_socket.kind() == io::ErrorKind::TimedOut).then_some(kind)
}

/// Ready when the gateway stops, or when nobody is left to say so.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Empty;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::sync::{Semaphore, watch};

    use super::Door;
    use crate::config::Limits;
    use crate::observe::Metrics;

    #[tokio::test]
    async fn an_http2_connection_that_asks_nothing_more_is_ended() {
        let (_stop, stopping) = watch::channel(false);
        let idle_timeout = Duration::from_millis(20);
        let door = Door {
            slots: Arc::new(Semaphore::new(1)),
            addresses: Arc::default(),
            limits: Limits { idle_timeout, ..Limits::default() },
            metrics: Arc::new(Metrics::new()),
            takes_tunnels: false,
            stopping,
        };
        let (client, server) = tokio::io::duplex(64 * 1024);
        let answer = |_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        };
        let ended = tokio::spawn(async move { door.http(server, true, service_fn(answer)).await });
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
                .await
                .expect("HTTP/2");
        let driver = tokio::spawn(connection);
        let request = Request::get("https://api.example.invalid/").body(Empty::<Bytes>::new());
        let response = sender.send_request(request.expect("a target")).await.expect("an answer");
        assert_eq!(response.status(), 200);
        // The client keeps its side and answers pings; only the server ends this.
        assert!(ended.await.is_ok());
        assert!(driver.await.is_ok());
        drop(sender);
    }
}
