//! `tamis schema`: what editors are told is what the gateway takes.

use serde_json::Value;

use super::{CLEAN, pack, tamis};

#[test]
fn the_schema_takes_the_packs_and_refuses_what_is_misspelt() {
    let (code, out, _) = tamis(&["schema"]);
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&out).expect("JSON");
    let rules = |text: &str| serde_saphyr::from_str::<Value>(text).expect("YAML");
    for policy in ["letsmasak", "we-lock", "webllet", "template"] {
        let pack = pack(policy);
        assert_eq!(fits(&schema, &schema, &rules(&pack.rules), "rules"), Ok(()), "{policy}");
    }
    let counted = CLEAN.replacen("{role: internal,", "{role: internal, subjects_per_hour: 9,", 1);
    assert_eq!(fits(&schema, &schema, &rules(&counted), "rules"), Ok(()));
    let tunnel = "{match: GET /live/{id}, upstream: people, tunnel: websocket, origins: [a], \
                  subjects: {person: \"path:id\"}, discloses: [{is: contact.email, of: person}]}";
    let tunnel = tunnel.replace("GET /live/{id}", "\"GET /live/{id}\"");
    let tunnelled = CLEAN.replacen("\nrelease:\n", &format!("\n  - {tunnel}\nrelease:\n"), 1);
    assert_eq!(fits(&schema, &schema, &rules(&tunnelled), "rules"), Ok(()));
    for (from, to) in [
        ("basis: contract", "bases: contract"),
        ("basis: contract", "basis: habit"),
        ("role: internal", "role: interal"),
        ("limit: account.id", "limt: account.id"),
        ("default: remove", "default: keep"),
        ("  id: clean", "  ident: clean"),
        ("{from: api}", "{from: kafka}"),
    ] {
        assert!(CLEAN.contains(from), "{from}");
        let spoilt = rules(&CLEAN.replacen(from, to, 1));
        assert!(fits(&schema, &schema, &spoilt, "rules").is_err(), "{to}");
    }
}

#[test]
fn the_schema_of_settings_takes_what_the_gateway_takes_of_a_backend() {
    let (code, out, _) = tamis(&["schema", "--settings"]);
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&out).expect("JSON");
    let judged = |text: &str| {
        let settings = serde_saphyr::from_str::<Value>(text).expect("YAML");
        fits(&schema, &schema, &settings, "settings").is_ok()
    };
    assert!(judged(include_str!("../../deploy/tamis.yaml")));
    let folder = tempfile::tempdir().expect("a folder");
    let loads = |text: &str| {
        let file = folder.path().join("tamis.yaml");
        std::fs::write(&file, text).expect("ours");
        tamis::config::Config::load(&file).is_ok()
    };
    let full = "\
rules: rules.yaml
certificates: [{chain: server.pem, key: server.key, ocsp: server.ocsp}]
acme:
  directory: https://acme.example.invalid/directory
  ca: acme-ca.pem
  contact: ['mailto:ops@example.invalid']
  domains: [api.example.invalid]
  storage: acme
  challenge: tls-alpn-01
  terms_agreed: true
  eab: {kid: kid-1, key: eab.key}
  retry: 5m
client_ca: ca.pem
crls: [clients.crl]
tls: {profile: modern}
dangerous_tls_key_log: session.keys
key_ring: keys
upstreams:
  people:
    url: https://people.example.invalid:8443
    addresses: ['10.0.0.1:8443']
    balance: subject
    resolve_every: 30s
    protocol: h2
    ca: ca.pem
    crls: [people.crl]
    certificate: {chain: gateway.pem, key: gateway.key}
    server_name: people.example.invalid
    connect_timeout: 2s
    response_timeout: 15s
    idle_timeout: 15s
    total_timeout: 60s
    max_requests: 256
    max_pending: 256
    max_connections: 256
    health: {path: /healthz, every: 5s, timeout: 1s, healthy: 2, unhealthy: 3}
    ejection: {failures: 5, for: 30s, at_most: 5m}
    retry: {attempts: 2, percent: 10, floor: 1}
    breaker: {failures: 20, percent: 50, requests: 40, open: 1s}
    dangerous_plaintext: false
  orders: {url: 'http://127.0.0.1:9000', ejection: off, retry: off, breaker: off}
";
    assert!(judged(full) && loads(full));
    for (from, to) in [
        ("ocsp: server.ocsp", "oscp: server.ocsp"),
        ("challenge: tls-alpn-01", "challenge: dns-01"),
        ("terms_agreed: true", "terms_agreed: false"),
        ("  storage: acme\n", ""),
        ("{kid:", "{id:"),
        ("retry: 5m\nclient", "again: 5m\nclient"),
        ("crls: [clients.crl]", "crls: clients.crl"),
        ("crls: [people.crl]", "crls: people.crl"),
        ("profile: modern", "profile: old"),
        ("dangerous_tls_key_log: session.keys", "dangerous_tls_key_log: true"),
        ("url: https", "uri: https"),
        ("balance: subject", "balance: random"),
        ("protocol: h2", "protocol: h3"),
        ("total_timeout: 60s", "total_timeout: 60"),
        ("max_pending", "max_waiting"),
        ("path: /healthz, ", ""),
        ("at_most: 5m", "atmost: 5m"),
        ("floor: 1", "floor: '1'"),
        ("open: 1s", "shut: 1s"),
        ("retry: off", "retry: never"),
        ("{chain: gateway.pem, key: gateway.key}", "gateway.pem"),
    ] {
        let spoilt = full.replacen(from, to, 1);
        assert_ne!(spoilt, full, "{from}");
        assert!(!judged(&spoilt) && !loads(&spoilt), "{to}");
    }
}

/// Whether a value is as a schema says; the part of JSON Schema that ours uses, but for `pattern` and
/// `minimum`, which people are told of by their editors alone.
fn fits(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let mut known = ["description", "title", "$schema", "$defs", "pattern", "minimum"].to_vec();
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect("defined");
        return fits(root, target, value, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fitting = choices.iter().any(|one| fits(root, one, value, at).is_ok());
        return if fitting { Ok(()) } else { Err(format!("{at}: {value} fits nothing")) };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) { Ok(()) } else { Err(format!("{at}: {value}")) };
    }
    known.extend([
        "type",
        "const",
        "properties",
        "additionalProperties",
        "required",
        "items",
        "maxItems",
    ]);
    for key in schema.as_object().expect("a schema").keys() {
        assert!(known.contains(&key.as_str()), "{at}: `{key}` is not judged here");
    }
    let typed = match schema["type"].as_str() {
        // Said only what it is for.
        None if schema.get("const").is_none() => return Ok(()),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => schema["const"] == *value,
    };
    if !typed {
        return Err(format!("{at}: {value} is of another type"));
    }
    let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
    if value.as_array().is_some_and(|items| items.len() as u64 > most) {
        return Err(format!("{at} has more than {most}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(root, &schema["items"], item, &format!("{at}[{index}]"))?;
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            return Err(format!("{at} has no {name}"));
        }
    }
    for (name, member) in members {
        let below = format!("{at}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(true)) => {}
            (Value::Null, Value::Bool(false)) => return Err(format!("{below} is unknown")),
            (Value::Null, others) => fits(root, others, member, &below)?,
            (own, _) => fits(root, own, member, &below)?,
        }
    }
    Ok(())
}
