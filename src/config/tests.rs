//! Configuration files: a short one is enough, and a misspelt key anywhere is an error with a place.

use std::path::Path;
use std::time::Duration;

use super::{AnswerCoding, Config, ConfigError, JwksSource, LogTarget, TlsProfile, file};
use crate::terms::AdminRole;

const MINIMAL: &str = "\
rules: rules.yaml
certificates: [{chain: server.pem, key: server.key}]
upstreams: {people: {url: 'http://127.0.0.1:9000'}}
key_ring: keys.yaml
";

const FULL: &str = "\
rules: rules.yaml
node: gate-1
listen: {https: '[::1]:0', http: off, admin: '127.0.0.1:0', metrics: '127.0.0.1:0', reuse_port: true, proxy_protocol: {https: [10.0.0.0/24, 'fd00::/64'], http: [10.0.0.7]}}
encoding: off
certificates:
  - {chain: server.pem, key: server.key, ocsp: server.ocsp}
client_ca: /etc/tamis/ca.pem
crls: [clients.crl]
tls: {profile: modern}
dangerous_tls_key_log: session.keys
upstreams:
  people: {url: 'https://people.example.invalid:9443', ca: ca.pem, crls: [backends.crl], connect_timeout: 500ms, response_timeout: 5s, idle_timeout: 4s, total_timeout: 9s, max_requests: 10, max_pending: 20, max_connections: 30,
    addresses: ['10.0.0.1:9443', '[fd00::1]:9443', people-3.example.invalid], balance: least-requests, resolve_every: 5s, protocol: h2,
    certificate: {chain: gateway.pem, key: gateway.key}, server_name: people.internal.invalid,
    health: {path: '/healthz?deep=1', every: 3s, timeout: 2s, healthy: 1, unhealthy: 2}, ejection: {failures: 3, for: 10s, at_most: 1m},
    retry: {attempts: 3, percent: 20, floor: 2}, breaker: {failures: 9, percent: 60, requests: 30, open: 2s}}
  orders: {url: 'http://orders.example.invalid', dangerous_plaintext: true}
consent_service: {url: 'https://consents.example.invalid/statements', ca: ca.pem, token: consents.token, timeout: 2s,
  max_staleness: 20s, cached_people: 50000, certificate: {chain: gateway.pem, key: gateway.key}}
forwarding: {address: full, forwarded: true, trace: internal, identity: {key: identity.pem, person: true}}
issuers:
  https://id.example.invalid:
    jwks: {file: jwks.json}
    audience: tamis
    algorithms: [ES256, EdDSA]
  https://other.example.invalid:
    jwks: {url: 'https://other.example.invalid/jwks', ca: ca.pem}
    audience: tamis
    algorithms: [RS256]
api_keys: {crm: 'sha-256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}
key_ring: keys.yaml
registers: state/registers.sqlite
ledger: state/ledger
checkpoint_key: ledger.key
checkpoint_targets:
  auditor: {url: 'https://audit.example.invalid/gw-1/{records}', method: put, token_file: auditor.token, ca: auditor.pem, certificate: {chain: audit.pem, key: audit.key}}
  log-store: {url: 'https://logs.example.invalid/checkpoints'}
  witness: {url: 'https://witness.example.invalid/', witness: 'witness.example.invalid/w1+fb018e46+BAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH'}
access_log: access.log
admin:
  client_ca: callers.pem
  crls: [callers.crl]
  calls_per_minute: 60
  callers:
    dpo: {roles: [dpo, auditor], token: 'sha-256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', certificate: 'spiffe://shop.example.invalid/dpo'}
    desk: {roles: [consent-desk], certificate: 'dns:desk.example.invalid'}
limits: {json_depth: 64, member_name: 1KiB, element: 1MiB, scalar: 8KiB, members: 1000, response_body: 8MiB, request_body: 64KiB, decompression_ratio: 50, head_timeout: 5s, idle_timeout: 7s, answer_time: 3m, tunnel_idle: 2m, tunnel_time: 2h, tunnel_check: 1s, drain_timeout: 1m, concealed_after: 10ms, connections: 100, connections_per_address: 10, streams: 7, requests: 50, headers: 60, head: 16KiB, target: 4KiB, recipient_requests: 11, recipient_rate: 5, recipient_burst: 9}
";

fn parse(text: &str) -> Result<Config, ConfigError> {
    file::parse(Path::new("/etc/tamis/tamis.yaml"), text)
}

/// Findings as `line:column message`.
fn findings(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Rejected(diagnostics)) => diagnostics
            .findings
            .iter()
            .map(|found| format!("{}:{} {}", found.place.line, found.place.column, found.message))
            .collect(),
        Err(error @ ConfigError::Unreadable(..)) => panic!("{error}"),
    }
}

#[test]
fn a_minimal_file_has_secure_defaults() {
    let config = parse(MINIMAL).unwrap_or_else(|_| panic!("{:?}", findings(MINIMAL)));
    assert_eq!(config.rules, Path::new("/etc/tamis/rules.yaml"));
    assert!(config.listen.admin.is_some_and(|address| address.ip().is_loopback()));
    assert!(config.listen.metrics.is_some_and(|address| address.ip().is_loopback()));
    assert_eq!(config.access_log, LogTarget::Stdout);
    assert_eq!(config.limits.json.depth, 128);
    assert!(config.loosenings.is_empty());
    assert!(config.admin.callers.is_empty(), "nobody may call the admin API");
}

#[test]
fn a_full_file_is_read() {
    let config = parse(FULL).unwrap_or_else(|_| panic!("{:?}", findings(FULL)));
    assert_eq!(config.listen.http, None);
    assert_eq!(config.client_ca.as_deref(), Some(Path::new("/etc/tamis/ca.pem")));
    assert_eq!(config.upstreams["people"].timeouts.connect, Duration::from_millis(500));
    assert_eq!(config.upstreams["people"].timeouts.total, Duration::from_secs(9));
    let service = config.consent_service.expect("there is one");
    assert_eq!((service.timeout.as_secs(), service.max_staleness.as_secs()), (2, 20));
    assert_eq!(service.token.as_deref(), Some(Path::new("/etc/tamis/consents.token")));
    assert_eq!(config.limits.json.element_bytes, 1 << 20);
    assert_eq!(config.limits.drain_timeout, Duration::from_mins(1));
    assert_eq!(config.limits.answer_time, Duration::from_mins(3));
    let tunnels = (config.limits.tunnel_idle, config.limits.tunnel_time);
    assert_eq!(tunnels, (Duration::from_mins(2), Duration::from_hours(2)));
    assert_eq!(config.limits.tunnel_check, Duration::from_secs(1));
    assert!(config.listen.reuse_port && config.listen.proxy_protocol.admin.is_empty());
    assert_eq!(config.listen.proxy_protocol.https.len(), 2);
    assert_eq!(config.encoding, AnswerCoding::Off);
    assert_eq!(config.access_log, LogTarget::File("/etc/tamis/access.log".into()));
    assert!(matches!(config.issuers["https://id.example.invalid"].jwks, JwksSource::File(_)));
    let dpo = &config.admin.callers["dpo"];
    assert_eq!(dpo.roles, [AdminRole::Dpo, AdminRole::Auditor].into());
    assert!(dpo.token.is_some() && dpo.certificate.is_some());
    assert_eq!(config.admin.calls_per_minute, 60);
    let server = &config.certificates[0];
    assert_eq!(server.ocsp.as_deref(), Some(Path::new("/etc/tamis/server.ocsp")));
    assert_eq!(config.crls, [Path::new("/etc/tamis/clients.crl")]);
    assert_eq!(config.admin.crls, [Path::new("/etc/tamis/callers.crl")]);
    assert_eq!(config.tls.profile, TlsProfile::Modern);
    let key_log = config.tls.dangerous_key_log.as_deref();
    assert_eq!(key_log, Some(Path::new("/etc/tamis/session.keys")));
    assert_eq!(config.loosenings.len(), 2, "a loosening is told: {:?}", config.loosenings);
}

#[test]
fn a_misspelt_key_is_an_error_in_every_section() {
    let typos = [
        ("node:", "nod:"),
        ("https: '", "htps: '"),
        ("chain:", "chains:"),
        ("connect_timeout", "connect_time"),
        ("max_pending", "max_waiting"),
        ("{chain: gateway", "{chains: gateway"),
        ("{path: '/health", "{paths: '/health"),
        ("cached_people", "cached"),
        ("cached_people: 50000, certificate: {chain", "cached_people: 50000, certificate: {chains"),
        ("for: 10s", "during: 10s"),
        ("attempts: 3", "tries: 3"),
        ("open: 2s", "closed: 2s"),
        ("dangerous_plaintext", "dangerous_plain"),
        ("audience: tamis\n    algorithms: [ES", "audiance: tamis\n    algorithms: [ES"),
        ("{file: jwks", "{fil: jwks"),
        ("json_depth", "depth"),
        ("client_ca", "client_cas"),
        ("crls: [clients", "crl: [clients"),
        ("crls: [callers", "crl: [callers"),
        ("crls: [backends", "crl: [backends"),
        ("ocsp:", "oscp:"),
        ("profile:", "profil:"),
        ("dangerous_tls_key_log", "tls_key_log"),
        ("calls_per_minute", "calls_per_second"),
        ("roles: [dpo", "role: [dpo"),
        ("certificate: 'dns", "certificates: 'dns"),
        ("reuse_port:", "reuse_ports:"),
        ("proxy_protocol: {https", "proxy_protocol: {htps"),
        ("encoding:", "encodings:"),
        ("answer_time:", "answer_times:"),
        ("tunnel_check:", "tunnel_checks:"),
        ("token_file:", "token:"),
        ("{chain: audit", "{chains: audit"),
    ];
    for (key, typo) in typos {
        let text = FULL.replacen(key, typo, 1);
        assert_ne!(text, FULL, "{key} is in the file");
        let found = findings(&text);
        assert!(found.iter().any(|line| line.contains("unknown key")), "{typo}: {found:?}");
    }
}

#[test]
fn all_findings_come_at_once_with_their_places() {
    let text = "\
rules: rules.yaml
listen: {https: nowhere}
certificates: []
upstream: {}
upstreams:
  people: {url: 'ftp://x', connect_timeout: 10}
  orders: {url: 'http://orders.example.invalid'}
key_ring: 7
limits: {connections: 0, element: 1MB}
";
    assert_eq!(
        findings(text),
        [
            "2:17 not an address to listen on",
            "3:15 certificates: at least one is needed",
            "4:1 configuration: unknown key `upstream`",
            "6:17 not the address of a backend",
            "6:45 not a duration",
            "7:17 upstreams.orders: plaintext to another machine",
            "8:11 expected a text, found a whole number",
            "9:23 expected a whole number from 1 to 1000000",
            "9:35 not a size",
        ]
    );
}

#[test]
fn what_is_not_yaml_is_one_finding() {
    for text in ["rules: [", "rules: a\nrules: b\n", "\tx: 1", "- 1", "", "7"] {
        assert!(!findings(text).is_empty(), "{text:?}");
    }
}

#[test]
fn values_beyond_their_bounds_are_refused() {
    let cases = [
        ("connections: 100", "connections: -1"),
        // A consent service: nobody is asked in plaintext, and no id can stand in its URL.
        ("https://consents.example.invalid", "http://consents.example.invalid"),
        ("/statements', ca", "/statements?subject=1', ca"),
        ("timeout: 2s,\n", "timeout: 2,\n"),
        ("cached_people: 50000", "cached_people: 100"),
        ("connections: 100", "connections: 9223372036854775808"),
        ("json_depth: 64", "json_depth: 0"),
        ("head_timeout: 5s", "head_timeout: ''"),
        ("algorithms: [RS256]", "algorithms: [HS256]"),
        ("algorithms: [RS256]", "algorithms: [none]"),
        ("jwks: {url: 'https:", "jwks: {url: 'http:"),
        ("jwks: {file: jwks.json}", "jwks: {}"),
        ("sha-256:aaaa", "sha-256:zzzz"),
        ("https://people.example.invalid:9443", "https://a:b@people.example.invalid"),
        ("https://people.example.invalid:9443", "https://people.example.invalid/path"),
        ("https: '[::1]:0'", "https: off"),
        ("reuse_port: true", "reuse_port: often"),
        // Everybody is no list of balancers.
        ("[10.0.0.0/24, ", "[0.0.0.0/0, "),
        ("[10.0.0.0/24, ", "[10.0.0.1/24, "),
        ("http: [10.0.0.7]", "http: []"),
        ("encoding: off", "encoding: always"),
        ("dangerous_plaintext: true", "dangerous_plaintext: 1"),
        // Backends: addresses that cannot be dialled, and words that do nothing.
        ("'10.0.0.1:9443'", "'10.0.0.1:0'"),
        ("'10.0.0.1:9443'", "'http://10.0.0.1'"),
        ("'10.0.0.1:9443'", "'someone@10.0.0.1'"),
        ("'10.0.0.1:9443'", "'[fd00::1]:9443'"),
        ("least-requests", "least-connections"),
        ("protocol: h2", "protocol: h2c"),
        ("protocol: h2", "protocol: h3"),
        ("server_name: people.internal.invalid", "server_name: 'two words'"),
        ("'/healthz?deep=1'", "healthz"),
        ("every: 3s, timeout: 2s", "every: 3, timeout: 2s"),
        ("percent: 20", "percent: 101"),
        ("floor: 2", "floor: 0"),
        // Checkpoints: sent where nobody reads along, and none in the place of another.
        ("checkpoint_key: ledger.key\n", ""),
        ("https://audit.", "http://audit."),
        ("https://audit.", "https://gw:secret@audit."),
        ("https://audit.example.invalid", "audit"),
        ("gw-1/{records}", "gw-1"),
        ("method: put", "method: patch"),
        ("  log-store:", "  '../log-store':"),
        ("w1+", "w2+"),
        ("example.invalid/', witness:", "example.invalid/', method: put, witness:"),
        // Lists of revoked certificates: none without authorities, none twice, not none.
        ("crls: [clients.crl]", "crls: []"),
        ("crls: [clients.crl]", "crls: clients.crl"),
        ("crls: [clients.crl]", "crls: [a.crl, a.crl]"),
        ("client_ca: /etc/tamis/ca.pem\n", ""),
        ("ca: ca.pem, crls: [backends", "crls: [backends"),
        ("profile: modern", "profile: old"),
        // Who calls the admin API: nobody without a role or a credential, and none is shared.
        ("roles: [consent-desk]", "roles: []"),
        ("roles: [consent-desk]", "roles: [root]"),
        ("roles: [consent-desk], certificate: 'dns:desk.example.invalid'", "roles: [consent-desk]"),
        ("'dns:desk.example.invalid'", "'desk.example.invalid'"),
        ("'dns:desk.example.invalid'", "'spiffe://shop.example.invalid/dpo'"),
        ("  client_ca: callers.pem\n", ""),
        ("    desk: {", "    the desk: {"),
        (
            "certificate: 'dns:desk",
            "token: 'sha-256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', certificate: 'dns:desk",
        ),
    ];
    for (right, wrong) in cases {
        let text = FULL.replacen(right, wrong, 1);
        assert_ne!(text, FULL, "{right} is in the file");
        assert!(!findings(&text).is_empty(), "{wrong}");
    }
}

#[test]
fn the_example_loads_and_shows_the_defaults() {
    let text = include_str!("../../deploy/tamis.yaml");
    let config = parse(text).unwrap_or_else(|_| panic!("{:?}", findings(text)));
    let defaults = super::Limits::default();
    assert_eq!(format!("{:?}", config.limits), format!("{defaults:?}"));
}

#[test]
fn bounds_of_a_backend_fit_each_other() {
    let timeouts = |written: &str| {
        let people = format!("{{url: 'http://127.0.0.1:9000', {written}}}");
        let text = MINIMAL.replace("{url: 'http://127.0.0.1:9000'}", &people);
        parse(&text).map(|config| config.upstreams["people"].timeouts)
    };
    let seconds = Duration::from_secs;
    let usual = timeouts("").expect("nothing has to be said");
    assert_eq!((usual.response, usual.idle, usual.total), (seconds(15), seconds(15), seconds(60)));
    let slow = timeouts("response_timeout: 2m").expect("long reports");
    assert_eq!((slow.idle, slow.total), (seconds(120), seconds(120)), "never less than its head");
    let quick = timeouts("total_timeout: 3s").expect("one word is enough");
    assert_eq!((quick.response, quick.total), (seconds(3), seconds(3)));
    assert!(timeouts("response_timeout: 5s, total_timeout: 3s").is_err(), "never reached");
}

#[test]
fn a_backend_may_be_at_many_addresses() {
    use super::{Balance, UpstreamProtocol};

    let config = parse(FULL).unwrap_or_else(|_| panic!("{:?}", findings(FULL)));
    let people = &config.upstreams["people"];
    let places: Vec<_> =
        people.places.iter().map(|place| (place.host.as_str(), place.port)).collect();
    assert_eq!(places, [("10.0.0.1", 9443), ("fd00::1", 9443), ("people-3.example.invalid", 9443)]);
    assert_eq!((people.balance, people.protocol), (Balance::LeastRequests, UpstreamProtocol::H2));
    let files: Vec<_> = people.tls.files().map(|file| file.display().to_string()).collect();
    assert_eq!(
        files,
        ["ca.pem", "backends.crl", "gateway.pem", "gateway.key"].map(|f| format!("/etc/tamis/{f}"))
    );
    let (health, retry) = (people.health.as_ref().expect("said"), people.retry.expect("said"));
    assert_eq!((health.path.as_str(), health.unhealthy), ("/healthz?deep=1", 2));
    assert_eq!((retry.attempts, retry.percent, retry.floor), (3, 20, 2));
    assert_eq!(people.ejection.expect("said").longest, Duration::from_mins(1));
    assert_eq!(people.breaker.expect("said").open, Duration::from_secs(2));

    // Where nothing is said: the URL, and what protects.
    let orders = &config.upstreams["orders"];
    assert_eq!(
        (orders.places[0].host.as_str(), orders.places[0].port),
        ("orders.example.invalid", 80)
    );
    assert!(orders.health.is_none() && orders.ejection.is_some());
    assert!(orders.retry.is_some() && orders.breaker.is_some());
    let off = MINIMAL.replace(
        "9000'}",
        "9000', retry: off, breaker: off, ejection: off, addresses: ['localhost:9000', '[::1]:9001']}",
    );
    let config = parse(&off).unwrap_or_else(|_| panic!("{:?}", findings(&off)));
    let people = &config.upstreams["people"];
    assert!(people.ejection.is_none() && people.retry.is_none() && people.breaker.is_none());
    assert!(!people.is_overheard() && config.loosenings.is_empty());

    // It is the addresses that a network lies between.
    let elsewhere = MINIMAL.replace("9000'}", "9000', addresses: ['10.0.0.1:9000']}");
    assert!(findings(&elsewhere)[0].contains("plaintext to another machine"));
}

#[test]
fn rules_that_release_more_need_a_word_in_the_settings() {
    let with = |line: &str| {
        let text = include_str!("../../deploy/tamis.yaml");
        parse(&format!("{text}\n{line}\n"))
    };
    let (these, others) = (crate::terms::Digest::of(b"these"), crate::terms::Digest::of(b"others"));
    let may = |line: &str, rules| with(line).expect("it loads").reload.may_widen(rules);
    assert!(!may("", &these), "nothing is said");
    assert!(!may("reload: {widening: refuse}", &these));
    assert!(may("reload: {widening: accept}", &others));
    let confirmed = format!("reload: {{confirmed: '{these}'}}");
    assert!(may(&confirmed, &these) && !may(&confirmed, &others));
    for wrong in ["{widening: yes}", "{widen: accept}", "{confirmed: abc}", "accept"] {
        assert!(with(&format!("reload: {wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn the_ledger_is_a_directory_or_a_server() {
    use crate::ledger::LedgerPlace;

    let place = |written: &str| parse(&format!("{MINIMAL}{written}"));
    let is_directory = |written: &str, at: &str| match place(written).expect("a directory").ledger {
        LedgerPlace::Directory(path) => assert_eq!(path, Path::new(at)),
        LedgerPlace::Postgres(_) => panic!("a directory"),
    };
    is_directory("", "/etc/tamis/ledger");
    is_directory("ledger: there\n", "/etc/tamis/there");
    let server = "node: gw-7\nledger: {store: postgres, url_file: secret.url, ca: ca.pem}\n";
    match place(server).expect("a server").ledger {
        LedgerPlace::Postgres(settings) => {
            assert_eq!(settings.url_file, Path::new("/etc/tamis/secret.url"));
            assert_eq!(settings.ca.as_deref(), Some(Path::new("/etc/tamis/ca.pem")));
            assert_eq!(settings.mark, Path::new("/etc/tamis/ledger.mark"));
            assert_eq!(settings.node, "gw-7");
        }
        LedgerPlace::Directory(_) => panic!("a server"),
    }
    for wrong in [
        "{store: postgres}",
        "{url_file: secret.url}",
        "{store: mysql, url_file: secret.url}",
        "{store: postgres, url_file: secret.url, max_staleness: 5s}",
        "{store: postgres, url_file: secret.url, marc: m}",
        "7",
    ] {
        assert!(place(&format!("ledger: {wrong}\n")).is_err(), "{wrong}");
    }
}

#[test]
fn registers_are_a_file_or_a_server() {
    use crate::registers::RegisterPlace;

    let place = |written: &str| parse(&format!("{MINIMAL}registers: {written}\n"));
    match place("state/r.sqlite").expect("a file").registers {
        RegisterPlace::File(path) => assert_eq!(path, Path::new("/etc/tamis/state/r.sqlite")),
        RegisterPlace::Postgres(_) => panic!("a file"),
    }
    let server = "{store: postgres, url_file: secret.url, ca: ca.pem, max_staleness: 5s}";
    match place(server).expect("a server").registers {
        RegisterPlace::Postgres(settings) => {
            assert_eq!(settings.url_file, Path::new("/etc/tamis/secret.url"));
            assert_eq!(settings.ca.as_deref(), Some(Path::new("/etc/tamis/ca.pem")));
            assert_eq!(settings.mark, Path::new("/etc/tamis/registers.mark"));
            assert_eq!(settings.node, "tamis");
            assert_eq!(settings.max_staleness, Duration::from_secs(5));
        }
        RegisterPlace::File(_) => panic!("a server"),
    }
    for wrong in [
        "{store: postgres}",
        "{url_file: secret.url}",
        "{store: mysql, url_file: secret.url}",
        "{store: postgres, url_file: secret.url, url: 'postgresql://u:p@db/x'}",
        "{store: postgres, url_file: secret.url, max_stalenes: 5s}",
        "7",
    ] {
        assert!(place(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn checkpoints_go_to_places_by_name() {
    use super::DeliveryMethod;

    let config = parse(FULL).unwrap_or_else(|_| panic!("{:?}", findings(FULL)));
    let auditor = &config.checkpoint_targets["auditor"];
    assert_eq!(auditor.method, DeliveryMethod::Put);
    let url = auditor.url_of(17).expect("a URL").to_string();
    assert_eq!(url, "https://audit.example.invalid/gw-1/17");
    assert_eq!(auditor.token.as_deref(), Some(Path::new("/etc/tamis/auditor.token")));
    assert_eq!(auditor.tls.files().count(), 3);
    let store = &config.checkpoint_targets["log-store"];
    assert_eq!((store.method, &store.token), (DeliveryMethod::Post, &None));
    let started =
        parse(&FULL.replace("  log-store: {url: 'https://logs", "  log-store: {url: 'https://log"));
    let started = started.expect("another address");
    assert_eq!(config.needs_restart(&started), ["checkpoint_targets"]);
}

#[test]
fn a_key_ring_is_a_file_or_lies_sealed_in_one() {
    let ring = |written: &str| {
        parse(&MINIMAL.replace("key_ring: keys.yaml", &format!("key_ring: {written}")))
            .map(|config| config.key_ring)
    };
    let plain = ring("keys.yaml").expect("a file");
    assert_eq!((plain.file.as_path(), &plain.unwrap), (Path::new("/etc/tamis/keys.yaml"), &None));
    let vault = "url: 'https://vault.example.invalid:8200', key: tamis, token_file: token";
    let sealed = ring(&format!("{{file: sealed, unwrap: {{vault: {{{vault}, ca: ca.pem}}}}}}"));
    let sealed = sealed.expect("sealed");
    let found = sealed.unwrap.expect("a Vault");
    assert_eq!(
        (found.mount.as_str(), found.key.as_str(), found.namespace),
        ("transit", "tamis", None)
    );
    assert_eq!(found.token, Path::new("/etc/tamis/token"));
    assert_eq!(found.tls.files().count(), 1);
    for (right, wrong) in [
        ("https://vault", "http://vault"),
        (":8200", ":8200/v1"),
        ("https://vault", "https://me:secret@vault"),
        ("key: tamis", "key: '../sys/seal'"),
        ("key: tamis", "key: 'tamis?x'"),
        ("key: tamis, ", ""),
        ("token_file: token", "token: token"),
        ("key: tamis", "key: tamis, mount: ''"),
        ("key: tamis", "key: tamis, mounts: kms"),
    ] {
        let text = vault.replacen(right, wrong, 1);
        assert_ne!(text, vault, "{right}");
        let read = ring(&format!("{{file: sealed, unwrap: {{vault: {{{text}}}}}}}"));
        assert!(read.is_err(), "{text}");
    }
    for wrong in
        ["{file: sealed}", "{unwrap: {}}", "{file: a, unwrap: {}}", "{file: a, unwrap: {kms: {}}}"]
    {
        assert!(ring(wrong).is_err(), "{wrong}");
    }
}

const ACME: &str = "\
acme:
  directory: https://acme.example.invalid/directory
  contact: ['mailto:ops@example.invalid']
  domains: [API.example.invalid, www.example.invalid]
  storage: acme
  challenge: http-01
  terms_agreed: true
  ca: acme-ca.pem
  eab: {kid: kid-1, key: eab.key}
  retry: 1m
";

#[test]
fn a_certificate_that_the_gateway_gets_by_itself_is_enough() {
    use super::AcmeChallenge;

    let text = MINIMAL.replace("certificates: [{chain: server.pem, key: server.key}]\n", ACME);
    let config = parse(&text).unwrap_or_else(|_| panic!("{:?}", findings(&text)));
    assert!(config.certificates.is_empty());
    let acme = config.acme.expect("said");
    assert_eq!(acme.domains, ["api.example.invalid", "www.example.invalid"]);
    assert_eq!((acme.challenge, acme.retry), (AcmeChallenge::Http01, Duration::from_mins(1)));
    let kept = Path::new("/etc/tamis/acme/certificate.pem");
    assert_eq!((&*acme.certificate().chain, &*acme.certificate().key), (kept, kept));
    assert_eq!(acme.eab.map(|eab| eab.kid).as_deref(), Some("kid-1"));

    let text = format!("{MINIMAL}{ACME}");
    assert!(findings(&text).is_empty());
    for (right, wrong) in [
        ("https://acme", "http://acme"),
        ("mailto:ops@example.invalid", "ops@example.invalid"),
        ("www.example.invalid", "'*.example.invalid'"),
        ("www.example.invalid", "127.0.0.1"),
        ("www.example.invalid", "localhost"),
        ("www.example.invalid", "api.example.invalid"),
        ("[API.example.invalid, www.example.invalid]", "[]"),
        ("http-01", "dns-01"),
        ("terms_agreed: true", "terms_agreed: false"),
        ("  terms_agreed: true\n", ""),
        ("  storage: acme\n", ""),
        ("kid: kid-1, ", ""),
        ("retry: 1m", "retry: 1"),
        ("  contact", "  contacts"),
        ("{kid:", "{id:"),
    ] {
        let text = text.replacen(right, wrong, 1);
        assert!(!findings(&text).is_empty(), "{wrong}");
    }
    let closed = format!("listen: {{http: off}}\n{text}");
    assert!(findings(&closed)[0].contains("the plaintext listener, which is off"));
}
