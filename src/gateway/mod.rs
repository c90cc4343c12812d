//! The proxy: from TLS in to minimized bytes out. Start at `exchange`.

mod exchange;

mod authority;
mod conditions;
mod fault;
mod picture;
mod purpose;
mod returned;
mod route;

mod headers;
mod request_body;
mod told;
mod upstream;

mod decode;
mod fit;
mod idle;
pub mod minimizing;
mod observed;
mod transit;

pub mod reading;
pub mod rehearsal;

mod account;
mod at_once;
mod bodiless;
mod body;
mod budget;
pub(crate) mod checkpoints;
mod cookies;
mod pace;
mod rates;
mod refusals;
mod respond;
pub(crate) mod retire;
mod rights;
mod serve;
mod stated;

mod waits;

mod acme;
mod addresses;
mod certificates;
mod consents;
mod erasures;
mod expiry;
mod files;
mod flow;
mod key_log;
mod listener;
mod listeners;
mod loaded;
mod not_reloaded;
mod notices;
mod redirect;
mod reload;
mod revocation;
mod service;
mod sockets;
mod staple;
mod start;
mod state;
mod strict;
mod tls;
mod unread;
mod vouched;
mod webhook;

pub(crate) use notices::names_told;
pub use reload::Reloaded;
pub use start::{Addresses, Running, StartError, Stores};
pub(crate) use start::{kept_ledger, subject_index};
pub use state::Gateway;
pub use tls::TlsError;
