//! The proxy: from TLS in to minimized bytes out. Start at `exchange`.

mod exchange;

mod authority;
mod fault;
mod picture;
mod purpose;
mod returned;
mod route;

mod headers;
mod request_body;
mod upstream;

mod decode;
mod fit;
mod idle;
pub mod minimizing;
mod observed;
mod transit;

pub mod rehearsal;

mod account;
mod body;
mod checkpoints;
mod cookies;
mod pace;
mod respond;
mod rights;
mod serve;

mod waits;

mod consents;
mod erasures;
mod files;
mod listener;
mod loaded;
mod redirect;
mod reload;
mod service;
mod sockets;
mod start;
mod state;
mod strict;
mod tls;

pub use reload::Reloaded;
pub(crate) use start::subject_index;
pub use start::{Addresses, Running, StartError, Stores};
pub use state::Gateway;
pub use tls::TlsError;
