//! What is said to and asked of services outside.

mod client;
pub(crate) mod service;
