//! The proxy: from TLS in to minimized bytes out. Start at `exchange`.

mod authority;
mod body;
mod decode;
mod fault;
mod headers;
pub mod minimizing;
mod purpose;
mod respond;
mod route;
mod strict;
mod tls;
mod upstream;
