//! The proxy: from TLS in to minimized bytes out. Start at `exchange`.

pub mod minimizing;
