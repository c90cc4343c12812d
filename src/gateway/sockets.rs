//! The sockets that are listened on: bound here, or handed over by whoever started this process.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::start::{Addresses, StartError};
use crate::config::{Listen, Network};

/// Connections that wait to be accepted; the system may allow fewer.
const WAITING: u32 = 1024;

/// What listeners are called in `LISTEN_FDNAMES` and in `listen:`.
const NAMES: [&str; 4] = ["https", "http", "admin", "metrics"];

/// Sockets that a service manager listens on and keeps, so that connections wait and none is refused
/// while one process ends and the next one starts. Source: sd_listen_fds(3).
#[derive(Debug, Default)]
pub struct HandedSockets(BTreeMap<&'static str, std::net::TcpListener>);

/// Why sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// Each needs a name.
    #[error(
        "{0} sockets were handed over with {1} names; each needs one in LISTEN_FDNAMES \
         (systemd: FileDescriptorName=)"
    )]
    Names(usize, usize),
    /// No listener is called so.
    #[error("a socket was handed over as `{0}`; known are https, http, admin and metrics")]
    Unknown(String),
    /// Two of one name.
    #[error("two sockets were handed over as `{0}`")]
    Twice(&'static str),
    /// The settings close this listener.
    #[error("a socket was handed over as `{0}`, which `listen` says is off")]
    Off(&'static str),
    /// It is none that connections come in on.
    #[error("the socket that was handed over as `{0}` cannot be used")]
    Socket(&'static str, #[source] io::Error),
}

impl HandedSockets {
    /// Takes what `LISTEN_FDS`, `LISTEN_FDNAMES` and `LISTEN_PID` speak of; nothing, where they are not
    /// for this process. To be called once, before there are other threads: it changes the environment.
    ///
    /// # Errors
    /// See [`HandedError`].
    pub fn from_environment() -> Result<Self, HandedError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        let names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
        if handed.len() == 0 {
            return Ok(Self::default());
        }
        if names.len() != handed.len() {
            return Err(HandedError::Names(handed.len(), names.len()));
        }
        let mut sockets = BTreeMap::new();
        for (at, name) in names.into_iter().enumerate() {
            let known = NAMES.into_iter().find(|known| *known == name);
            let name = known.ok_or_else(|| HandedError::Unknown(name.to_owned()))?;
            let refused = |error| HandedError::Socket(name, error);
            let socket = handed.take_tcp_listener(at).map_err(refused)?;
            let socket = socket.ok_or_else(|| refused(io::ErrorKind::NotFound.into()))?;
            socket.set_nonblocking(true).map_err(refused)?;
            if sockets.insert(name, socket).is_some() {
                return Err(HandedError::Twice(name));
            }
        }
        Ok(Self(sockets))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A socket that connections come in on.
pub(super) struct Bound {
    listener: TcpListener,
    pub(super) address: SocketAddr,
    is_handed: bool,
    /// Peers that say where a connection comes from.
    pub(super) balancers: Arc<[Network]>,
}

impl Bound {
    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    /// Listens no more. What waits in the queue of a socket that goes away is given, since the system
    /// would reset it; in that of a socket that was handed over it waits for the next process.
    pub(super) fn close(self) -> Vec<(TcpStream, SocketAddr)> {
        let mut waiting = Vec::new();
        if self.is_handed {
            return waiting;
        }
        let Ok(listener) = self.listener.into_std() else { return waiting };
        // No more than were there, or whoever floods it keeps us from ending.
        for _ in 0..WAITING {
            let Ok((stream, address)) = listener.accept() else { break };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            waiting.extend(stream.map(|stream| (stream, address)));
        }
        waiting
    }
}

/// Bound sockets.
pub(super) struct Sockets {
    pub(super) addresses: Addresses,
    pub(super) https: Bound,
    pub(super) http: Option<Bound>,
    pub(super) admin: Option<Bound>,
    pub(super) metrics: Option<Bound>,
}

impl Sockets {
    /// Takes the sockets that were handed over, and binds the others.
    pub(super) fn bind(listen: &Listen, handed: HandedSockets) -> Result<Self, StartError> {
        let mut binder = Binder { reuse_port: listen.reuse_port, handed };
        let balancers = &listen.proxy_protocol;
        let https = binder.bind("https", listen.https, &balancers.https)?;
        let mut bind = |name, address: Option<SocketAddr>, balancers: &[Network]| match address {
            Some(address) => binder.bind(name, address, balancers).map(Some),
            None => Ok(None),
        };
        let http = bind("http", listen.http, &balancers.http)?;
        let admin = bind("admin", listen.admin, &balancers.admin)?;
        let metrics = bind("metrics", listen.metrics, &[])?;
        if let Some((name, _)) = binder.handed.0.pop_first() {
            return Err(HandedError::Off(name).into());
        }
        let address = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.address);
        let addresses = Addresses {
            https: https.address,
            http: address(&http),
            admin: address(&admin),
            metrics: address(&metrics),
        };
        Ok(Self { addresses, https, http, admin, metrics })
    }
}

struct Binder {
    reuse_port: bool,
    handed: HandedSockets,
}

impl Binder {
    fn bind(
        &mut self,
        name: &'static str,
        address: SocketAddr,
        balancers: &[Network],
    ) -> Result<Bound, StartError> {
        let handed = self.handed.0.remove(name);
        let is_handed = handed.is_some();
        let listener = match handed {
            Some(socket) => TcpListener::from_std(socket),
            None => listening(address, self.reuse_port),
        };
        let refused = |error| StartError::Listen(address, error);
        let listener = listener.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Bound { listener, address, is_handed, balancers: balancers.into() })
    }
}

fn listening(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose connections of before are still remembered is free all the same.
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(WAITING)
}
