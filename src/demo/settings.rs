//! `tamis.yaml` of the stage, as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::stage::AUDIENCE;
use crate::terms::Digest;

/// Where the gateway of the stage listens.
#[derive(Clone, Copy, Debug)]
pub struct StageListen {
    https: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
    metrics: SocketAddr,
}

impl StageListen {
    /// Listeners that go with an HTTPS listener: the usual ports with the usual port, else free ones.
    /// The admin API stays on this machine wherever the others are.
    #[must_use]
    pub fn around(https: SocketAddr) -> Self {
        let usual = https.port() == 8443;
        let on = |address: IpAddr, port| SocketAddr::new(address, if usual { port } else { 0 });
        Self {
            https,
            http: on(https.ip(), 8080),
            admin: on(IpAddr::V4(Ipv4Addr::LOCALHOST), 9443),
            metrics: on(https.ip(), 9464),
        }
    }
}

/// What the settings are made from.
pub(super) struct Settings<'a> {
    pub(super) listen: StageListen,
    /// Names of the policy's backends, which are all at `url`.
    pub(super) upstreams: BTreeSet<&'a str>,
    pub(super) url: &'a str,
    /// Token issuers of the policy.
    pub(super) issuers: BTreeSet<&'a str>,
    /// SHA-256 of API keys by reference.
    pub(super) api_keys: BTreeMap<&'a str, Digest>,
    /// Recipients that the policy tells of erasures.
    pub(super) told: BTreeSet<&'a str>,
    /// SHA-256 of the admin token.
    pub(super) admin_token: Digest,
}

impl Settings<'_> {
    /// The file's text. Paths in it are taken from its folder.
    pub(super) fn text(&self) -> String {
        let StageListen { https, http, admin, metrics } = self.listen;
        let mut text = format!(
            "# Written by `tamis demo`, and written anew each time it starts. For development only:\n\
             # the authority's key and every credential lie beside this file.\n\
             rules: rules.yaml\n\
             node: demo\n\
             listen: {{https: \"{https}\", http: \"{http}\", admin: \"{admin}\", metrics: \"{metrics}\"}}\n\
             certificates:\n  - {{chain: server.pem, key: server.key}}\n\
             client_ca: ca.pem\n\
             key_ring: keyring\n\
             registers: registers.sqlite\n\
             ledger: ledger\n\
             checkpoint_key: ledger.key\n\
             access_log: access.log\n\
             admin:\n  calls_per_minute: 100000\n  callers:\n    desk: {{roles: [consent-desk, dpo], token: \"{}\"}}\n\
             upstreams:\n",
            self.admin_token
        );
        let plaintext =
            if is_on_this_machine(self.url) { "" } else { ", dangerous_plaintext: true" };
        for name in &self.upstreams {
            line(&mut text, &format!("  {name}: {{url: \"{}\"{plaintext}}}", self.url));
        }
        if !self.issuers.is_empty() {
            line(&mut text, "issuers:");
        }
        for issuer in &self.issuers {
            let entry = format!(
                "  \"{issuer}\": {{jwks: {{file: jwks.json}}, audience: {AUDIENCE}, algorithms: [ES256]}}"
            );
            line(&mut text, &entry);
        }
        if !self.told.is_empty() {
            line(&mut text, "webhooks:");
        }
        for recipient in &self.told {
            line(&mut text, &format!("  {recipient}: {{secret: {recipient}.whsec}}"));
        }
        if !self.api_keys.is_empty() {
            line(&mut text, "api_keys:");
        }
        for (reference, digest) in &self.api_keys {
            line(&mut text, &format!("  {reference}: \"{digest}\""));
        }
        text
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Whether plaintext to the backend stays on this machine, or is https anyway.
fn is_on_this_machine(url: &str) -> bool {
    url.starts_with("https://")
        || ["http://127.", "http://localhost:", "http://[::1]"].iter().any(|s| url.starts_with(s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn load(url: &str) -> Config {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            listen: StageListen::around("127.0.0.1:0".parse().expect("an address")),
            upstreams: BTreeSet::from(["users", "orders"]),
            url,
            issuers: BTreeSet::from(["https://id.letsmasak.example"]),
            api_keys: BTreeMap::from([("advertiser", Digest::of(b"secret"))]),
            told: BTreeSet::from(["printer"]),
            admin_token: Digest::of(b"token"),
        };
        let file = folder.path().join("tamis.yaml");
        std::fs::write(&file, settings.text()).expect("writable");
        Config::load(&file).expect("accepted")
    }

    #[test]
    fn the_gateway_accepts_the_settings_and_nothing_is_loosened_on_one_machine() {
        let config = load("http://127.0.0.1:9000");
        assert!(config.loosenings.is_empty(), "{:?}", config.loosenings);
        assert_eq!(config.upstreams.len(), 2);
        assert_eq!(config.api_keys["advertiser"], Digest::of(b"secret"));
        assert_eq!(config.admin.callers["desk"].token, Some(Digest::of(b"token")));
        assert!(config.client_ca.is_some_and(|file| file.ends_with("ca.pem")));
        assert_eq!(config.listen.https.port(), 0);
    }

    #[test]
    fn a_backend_on_another_machine_is_named_as_a_loosening() {
        assert_eq!(load("http://backend:9000").loosenings.len(), 2);
        assert!(load("https://backend:9000").loosenings.is_empty());
    }

    #[test]
    fn only_the_usual_port_takes_the_usual_ports_along() {
        let around = |text: &str| StageListen::around(text.parse().expect("an address"));
        let usual = around("0.0.0.0:8443");
        assert_eq!(
            (usual.http.port(), usual.admin.port(), usual.metrics.port()),
            (8080, 9443, 9464)
        );
        assert!(usual.admin.ip().is_loopback());
        let other = around("127.0.0.1:8444");
        assert_eq!((other.http.port(), other.admin.port(), other.metrics.port()), (0, 0, 0));
    }
}
