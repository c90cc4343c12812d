//! TLS: what is spoken, whose certificates count and how long, and what ends with its day.

mod client;
mod openssl;

mod acme;
mod key_log;
mod profiles;
mod resumption;
mod revocation;
mod stapling;
