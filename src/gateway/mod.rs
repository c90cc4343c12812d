//! The proxy: from TLS in to minimized bytes out. Start at `exchange`.

mod authority;
mod body;
mod decode;
mod fault;
mod headers;
mod purpose;
mod respond;
mod route;
