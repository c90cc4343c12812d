//! One address of a backend: its pool of kept connections, what is under way there, how it stands.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use super::connect::{Connections, Connector};
use super::standing::Standing;
use crate::config::{AtOnce, UpstreamProtocol};

/// Kept connections are closed before most backends close theirs, so that a request seldom meets a
/// connection that is going away.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Largest head, and piece of a body, read at a time.
const BUFFER: usize = 64 * 1024;

/// What is read ahead of one answer over HTTP/2, whose client may take nothing.
const WINDOW: u32 = 64 * 1024;

/// The largest window there is. Source: RFC 9113 §6.9.1.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// How often an HTTP/2 connection with something under way is asked whether it is alive, and how long
/// it may take to say so. Without it a lost one takes all its requests along to their deadlines.
const ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// What asks a backend.
pub(super) type Pool = Client<Connector, Full<Bytes>>;

/// One address.
pub(super) struct Address {
    /// Where.
    pub(super) at: SocketAddr,
    pub(super) pool: Pool,
    /// For tunnels, a new connection each; it counts among those of the pool.
    pub(super) tunnels: Pool,
    /// For health checks, a new connection each: a listener that takes none is not well.
    pub(super) checks: Pool,
    under_way: AtomicUsize,
    standing: Mutex<Standing>,
}

impl Address {
    pub(super) fn new(
        at: SocketAddr,
        (connections, tunnels): (&Connections, &Connections),
        protocol: UpstreamProtocol,
        at_once: AtOnce,
    ) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .http1_max_buf_size(BUFFER);
        let turns = Arc::new(Semaphore::new(at_once.connections));
        let tunnels = builder.clone().pool_max_idle_per_host(0).build(tunnels.to(at, Some(&turns)));
        if protocol != UpstreamProtocol::H1 {
            let header_list = u32::try_from(BUFFER).unwrap_or(u32::MAX);
            builder
                .http2_only(true)
                .http2_max_header_list_size(header_list)
                .http2_initial_stream_window_size(WINDOW)
                .http2_initial_connection_window_size(of_all(at_once.requests))
                .http2_keep_alive_interval(ALIVE.0)
                .http2_keep_alive_timeout(ALIVE.1);
        }
        let pool = builder.build(connections.to(at, Some(&turns)));
        let checks = builder.pool_max_idle_per_host(0).build(connections.to(at, None));
        let (under_way, standing) = (AtomicUsize::new(0), Mutex::default());
        Self { at, pool, tunnels, checks, under_way, standing }
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(super) fn began(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// How it stands.
    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        // Nothing panics between two writes to it.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether requests go there.
    pub(super) fn is_in_service(&self, now: Instant) -> bool {
        self.standing().is_in_service(now)
    }
}

/// The window of a connection on which so many answers are under way. It holds the whole window of
/// each, so that answers which nobody takes never keep another from coming.
fn of_all(requests: usize) -> u32 {
    let requests = u32::try_from(requests).unwrap_or(u32::MAX);
    WINDOW.saturating_mul(requests).min(LARGEST_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_room_for_all_its_answers() {
        assert_eq!(of_all(1), 65_536);
        assert_eq!(of_all(256), 256 * 65_536);
        assert_eq!(of_all(100_000), LARGEST_WINDOW);
    }
}
