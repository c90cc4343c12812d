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

mod codings;
mod decode;
mod encode;
mod fit;
mod idle;
pub mod minimizing;
mod observed;
mod transit;
mod tunnel;

pub mod reading;
pub mod rehearsal;

mod account;
mod asked;
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
mod ahead;
mod authorities;
mod certificates;
mod consents;
mod erasures;
mod expiry;
mod files;
mod flow;
mod http1;
mod key_log;
mod ledgers;
mod line;
mod listener;
mod listeners;
mod loaded;
mod not_reloaded;
mod notices;
mod proxied;
mod redirect;
mod reload;
mod revocation;
mod service;
mod sockets;
mod staple;
mod start;
mod state;
mod strict;
mod taking_over;
pub(crate) mod targets;
mod tls;
mod unread;
mod vouched;
mod webhook;
mod within;
mod witness;

#[cfg(test)]
pub(crate) use ledgers::subject_index;
pub(crate) use ledgers::{kept_ledger, read_ledger};
pub(crate) use notices::names_told;
pub use reload::Reloaded;
pub use sockets::{HandedError, HandedSockets};
pub use start::{Addresses, Running, StartError, Stores};
pub use state::Gateway;
pub use tls::TlsError;
