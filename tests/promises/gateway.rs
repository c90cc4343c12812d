//! The gateway at the wire: a real TLS client in front, a backend behind that says whatever a case
//! needs. Every value that must not leave holds `CANARY`.

mod backend;
mod load;
mod stage;
mod stores;

mod aggregates;
mod answer_heads;
mod answers;
mod attacks;
mod budget;
mod checkpoint_targets;
mod concealed;
mod consent_service;
mod cookies;
mod cursors;
mod desync;
mod drift;
mod encoded;
mod header_table;
mod http2;
mod limit_table;
mod links;
mod member_names;
mod modes;
mod named_in_body;
mod notices;
mod orders;
mod patience;
mod pictures;
mod proxied;
mod recipients;
mod regions;
mod reloads;
mod reports;
mod request_bodies;
mod requests;
mod restarts;
mod retention;
mod rights;
mod rotation;
mod running;
mod scopes;
mod sealed_keys;
mod shared_ledger;
mod shared_registers;
mod spellings;
mod status;
mod supervised;
mod tls;
mod tokens;
mod told;
mod trust;
mod tunnels;
mod upstreams;

/// What the backend knows of one person; the members that nobody gets hold canaries.
const TESTINA: &str =
    r#"{"id":"u1","name":"Testina Musterfrau","email":"CANARY@example.invalid","secret":"CANARY"}"#;

/// What the courier gets of it.
const FOR_COURIER: &str = r#"{"id":"u1","name":"Testina Musterfrau"}"#;
