//! The sockets that are listened on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::start::{Addresses, StartError};
use crate::config::Listen;

/// Bound sockets.
pub(super) struct Sockets {
    pub(super) addresses: Addresses,
    pub(super) https: TcpListener,
    pub(super) http: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
}

impl Sockets {
    pub(super) async fn bind(listen: &Listen) -> Result<Self, StartError> {
        let https = bind(listen.https).await?;
        let http = bind_optional(listen.http).await?;
        let admin = bind_optional(listen.admin).await?;
        let metrics = bind_optional(listen.metrics).await?;
        let address = |listener: &Option<(TcpListener, SocketAddr)>| {
            listener.as_ref().map(|(_, address)| *address)
        };
        let addresses = Addresses {
            https: https.1,
            http: address(&http),
            admin: address(&admin),
            metrics: address(&metrics),
        };
        let socket =
            |listener: Option<(TcpListener, SocketAddr)>| listener.map(|(socket, _)| socket);
        let (http, admin, metrics) = (socket(http), socket(admin), socket(metrics));
        Ok(Self { addresses, https: https.0, http, admin, metrics })
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

async fn bind_optional(
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}
