//! The admin API and the health listener: known callers only, no subject in a URL, every
//! change in force and in the ledger.

mod authors;
mod bulk;
mod calls;
mod erasures;
mod export;
mod once;
mod openapi;
mod roles;
mod schema;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tamis::admin::{
    Access, AdminState, Calls, ChangeDrain, Reporting, admin_router, metrics_router,
};
use tamis::config::AdminConfig;
use tamis::keys::KeyRing;
use tamis::ledger::{FileLedger, IndexKey, Ledger, SubjectIndex};
use tamis::observe::Metrics;
use tamis::policy::Policy;
use tamis::registers::{RegisterStore, Registers as _};
use tamis::terms::{AdminCaller, AdminRole, ConsentStatus, Digest, Personal};
use tower::ServiceExt as _;

const TOKEN: &str = "a-token-for-tests";
const SECOND_TOKEN: &str = "another-token-for-tests";

struct Admin {
    directory: tempfile::TempDir,
    state: AdminState,
    runtime: tokio::runtime::Runtime,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

/// Two officers, each with a token, and as many calls as a test makes.
fn callers() -> AdminConfig {
    let officer = |token: &str| AdminCaller {
        roles: [AdminRole::Dpo].into(),
        token: Some(Digest::of(token.as_bytes())),
        certificate: None,
    };
    let callers = [("dpo", TOKEN), ("legal", SECOND_TOKEN)]
        .map(|(name, token)| (name.to_owned(), officer(token)));
    AdminConfig { callers: callers.into(), ..AdminConfig::default() }
}

impl Admin {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/letsmasak/rules.yaml");
        let text = std::fs::read_to_string(rules).expect("the rules are there");
        // Canaries are capitals.
        let text = text.replace("\nregisters:\n", "\nregisters:\n  ids: exact\n");
        let policy = Policy::parse("rules.yaml", &text).expect("the rules load");
        let registers =
            Arc::new(RegisterStore::embedded(&directory.path().join("r.db")).expect("opens"));
        let keys = KeyRing::generate(&directory.path().join("keys")).expect("a ring").index_keys();
        let keys = keys.into_iter().map(|(rows, secrets)| IndexKey { rows, secrets }).collect();
        let place = directory.path().join("ledger");
        let index = Arc::new(SubjectIndex::open(&place, keys).expect("opens"));
        let ledger: Arc<dyn Ledger> = Arc::new(
            FileLedger::open(&place, "gw-1").expect("opens").with_index(Arc::clone(&index)),
        );
        let metrics = Arc::new(Metrics::new());
        let drain = Arc::new(ChangeDrain::new(
            Arc::clone(&registers),
            Arc::clone(&ledger),
            Arc::clone(&metrics),
        ));
        let state = AdminState {
            consents_elsewhere: false,
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            registers,
            ledger,
            drain,
            metrics,
            access: Arc::new(ArcSwap::from_pointee(Access::new(
                callers(),
                vec!["admin.example".to_owned()],
            ))),
            standing: Arc::new(tamis::admin::Standing::since(
                jiff::Timestamp::now(),
                || serde_json::json!({}),
                || tamis::admin::Material { words: None, serves: true },
            )),
            calls: Arc::new(Calls::default()),
            reports: Arc::new(Reporting::new(&place, index, None)),
            stopping: Arc::new(AtomicBool::new(false)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        Self { directory, state, runtime }
    }

    fn send(&self, router: axum::Router, request: Request<Body>) -> Answer {
        self.runtime.block_on(async {
            let response = router.oneshot(request).await.expect("infallible");
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.expect("whole").to_bytes();
            let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
            Answer { status: parts.status, headers: parts.headers, text }
        })
    }

    /// A request as a program of the controller sends it, changed by `change`.
    fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
        change: impl FnOnce(&mut Request<Body>),
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:9443")
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Body::from(body.to_owned()))
            .expect("a request");
        if !body.is_empty() {
            request.headers_mut().insert("content-type", "application/json".parse().expect("text"));
        }
        change(&mut request);
        self.send(admin_router(self.state.clone()), request)
    }

    fn plain(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, body, |_| {})
    }

    fn health(&self, path: &str) -> Answer {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        self.send(metrics_router(self.state.clone()), request)
    }

    fn status(&self, subject: &str, id: &str) -> ConsentStatus {
        let said = self.state.registers.statements(&Personal::new(subject.into()));
        let said = said.expect("available");
        let consent = said.consents.iter().find(|consent| &*consent.id == id).expect("there");
        consent.status(jiff::Timestamp::now())
    }

    /// What the ledger says about the registers.
    fn entries(&self) -> Vec<Value> {
        let mut all = self.ledger();
        all.retain(|entry| entry["kind"] == "register");
        all
    }

    fn ledger(&self) -> Vec<Value> {
        let segment = self.directory.path().join("ledger/000001.jsonl");
        let text = std::fs::read_to_string(segment).expect("readable");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

const CONSENT: &str = r#"{"id":"con_1","subject":"CANARY","purpose":"share.partner",
    "recipients":["loyalty-partner"],"status":"given","given_at":"2026-01-01T00:00:00Z"}"#;

#[test]
fn a_consent_given_and_withdrawn_is_in_force_and_in_the_ledger_without_the_person() {
    let admin = Admin::new();
    assert_eq!(admin.plain("POST", "/v1/consents", CONSENT).status, StatusCode::CREATED);
    assert_eq!(admin.plain("POST", "/v1/consents", CONSENT).status, StatusCode::OK, "twice");
    assert_eq!(admin.status("CANARY", "con_1"), ConsentStatus::Given);

    let withdrawal = r#"{"subject":"CANARY","purpose":"share.partner"}"#;
    let answer = admin.plain("POST", "/v1/withdrawals", withdrawal);
    assert_eq!((answer.status, answer.json()["consents"].as_u64()), (StatusCode::OK, Some(1)));
    assert_eq!(admin.status("CANARY", "con_1"), ConsentStatus::Withdrawn);

    let entries = admin.entries();
    let changes: Vec<_> = entries
        .iter()
        .map(|entry| (entry["kind"].as_str(), entry["change"].as_str(), entry["number"].as_u64()))
        .collect();
    assert_eq!(
        changes,
        [
            (Some("register"), Some("recorded"), Some(1)),
            (Some("register"), Some("withdrawn"), Some(2))
        ]
    );
    let metrics = admin.health("/metrics").text;
    let counted = "tamis_register_changes_total{change=\"withdrawn\",register=\"consent\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(!format!("{entries:?}{metrics}").contains("CANARY"));
}

#[test]
fn every_statement_can_be_made_lifted_and_asked_for() {
    let admin = Admin::new();
    for (method, path, body) in [
        (
            "PUT",
            "/v1/notices",
            r#"{"subject":"u1","purpose":"share.partner","shown_at":"2026-01-01T00:00:00Z"}"#,
        ),
        (
            "PUT",
            "/v1/objections",
            r#"{"kind":"objection","subject":"u1","purpose":"survey.*","since":"2026-01-01T00:00:00Z"}"#,
        ),
        (
            "PUT",
            "/v1/restrictions",
            r#"{"subject":"u1","categories":["*"],"since":"2026-01-01T00:00:00Z"}"#,
        ),
        (
            "PUT",
            "/v1/erasures",
            r#"{"subject":"u1","requested_at":"2026-01-01T00:00:00Z","except":["legal.claims"]}"#,
        ),
        ("PUT", "/v1/subjects", r#"{"subject":"u1","age":"adult","region":"MY"}"#),
        ("POST", "/v1/consents", &CONSENT.replace("CANARY", "u1")),
        ("POST", "/v1/consents/con_1/withdrawal", ""),
    ] {
        let answer = admin.plain(method, path, body);
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
    }
    let query = |admin: &Admin| admin.plain("POST", "/v1/statements/query", r#"{"subject":"u1"}"#);
    let said = query(&admin).json();
    assert_eq!(said["consents"][0]["status"], "withdrawn");
    assert_eq!(said["notices"][0]["purpose"], "share.partner");
    assert_eq!(said["objections"][0]["purpose"], "survey.*");
    assert_eq!(said["restrictions"][0]["categories"][0], "*");
    assert_eq!(said["erasure"]["except"][0], "legal.claims");
    assert_eq!((&said["age"], &said["region"]), (&"adult".into(), &"MY".into()));

    admin.plain("POST", "/v1/restrictions/lift", r#"{"subject":"u1"}"#);
    admin.plain("POST", "/v1/objections/lift", r#"{"subject":"u1","purpose":"survey.*"}"#);
    let said = query(&admin).json();
    assert_eq!(
        (said["restrictions"].clone(), said["objections"].clone()),
        (Value::Array(vec![]), Value::Array(vec![]))
    );
    assert_eq!(admin.entries().len(), 9, "each change is entered once");
}

#[test]
fn two_approvals_of_an_order_are_two_tokens() {
    let admin = Admin::new();
    let order = r#"{"id":"ord-7","recipient":"authority","authority":"Invented Court",
        "subjects":["CANARY"],"categories":["identity.name"],
        "from":"2026-01-01T00:00:00Z","until":"2999-01-01T00:00:00Z"}"#;
    assert_eq!(admin.plain("PUT", "/v1/orders", order).status, StatusCode::CREATED);
    let approve = |token: &str| {
        admin.ask("POST", "/v1/orders/ord-7/approval", "", |request| {
            let token = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", token);
        })
    };
    let shown = || admin.plain("GET", "/v1/orders/ord-7", "");
    for (token, new, in_force) in
        [(TOKEN, true, false), (TOKEN, false, false), (SECOND_TOKEN, true, true)]
    {
        assert_eq!(approve(token).json()["new"], new);
        assert_eq!(shown().json()["in_force"], in_force);
    }
    assert!(!shown().text.contains("CANARY"));
    assert_eq!(admin.plain("POST", "/v1/orders/ord-8/approval", "").status, 422);
    assert_eq!(admin.plain("POST", "/v1/orders/ord-7/lift", "").json()["new"], true);
    assert_eq!(shown().json()["in_force"], false);

    let case = r#"{"id":"C-1","purposes":["legal.claims"],"subjects":["CANARY"],
        "opened_at":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(admin.plain("PUT", "/v1/cases", case).status, StatusCode::CREATED);
    assert_eq!(admin.plain("GET", "/v1/cases/C-1", "").json()["open"], true);
    assert_eq!(admin.plain("POST", "/v1/cases/C-1/closure", "").json()["new"], true);
    assert_eq!(admin.plain("GET", "/v1/cases/C-1", "").json()["open"], false);
    assert_eq!(admin.plain("GET", "/v1/cases/C-2", "").status, StatusCode::NOT_FOUND);
    assert!(!format!("{:?}", admin.entries()).contains("CANARY"));
}

#[test]
fn the_policy_gives_the_digests_that_consent_is_bound_to() {
    let admin = Admin::new();
    let policy = admin.plain("GET", "/v1/policy", "").json();
    let purpose = &policy["purposes"]["share.partner"];
    let text = purpose["text"].as_str().expect("text");
    assert_eq!(purpose["text_digest"], Digest::of(text.as_bytes()).to_string());
    assert_eq!(purpose["basis"], "consent");
}

#[test]
fn without_a_valid_token_nothing_is_told_or_done() {
    let admin = Admin::new();
    let tokens: [Option<&str>; 6] = [
        None,
        Some("Bearer "),
        Some("Bearer wrong"),
        Some("Basic YTpi"),
        Some("a-token-for-tests"),
        Some("Bearer a-token-for-tests "),
    ];
    for token in tokens {
        for path in ["/v1/consents", "/v1/nothing"] {
            let answer = admin.ask("POST", path, CONSENT, |request| {
                request.headers_mut().remove("authorization");
                if let Some(token) = token {
                    let token = token.parse().expect("a header");
                    request.headers_mut().insert("authorization", token);
                }
            });
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token:?} {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"tamis\"");
        }
    }
    let twice = admin.ask("POST", "/v1/consents", CONSENT, |request| {
        request.headers_mut().append("authorization", "Bearer other".parse().expect("a header"));
    });
    assert_eq!(twice.status, StatusCode::UNAUTHORIZED);
    assert!(admin.entries().is_empty());
}

#[test]
fn browsers_and_foreign_names_are_refused_even_with_a_token() {
    let admin = Admin::new();
    for (name, value) in [
        ("origin", "https://127.0.0.1:9443"),
        ("origin", "null"),
        ("cookie", "a=b"),
        ("sec-fetch-site", "same-origin"),
        ("host", "rebound.example"),
        ("host", "admin.example.rebound.example"),
        ("host", ""),
    ] {
        let answer = admin.ask("POST", "/v1/consents", CONSENT, |request| {
            request.headers_mut().insert(name, value.parse().expect("a header"));
        });
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    for host in ["localhost:9443", "[::1]:9443", "Admin.Example"] {
        let answer = admin.ask("GET", "/v1/policy", "", |request| {
            request.headers_mut().insert("host", host.parse().expect("a header"));
        });
        assert_eq!(answer.status, StatusCode::OK, "{host}");
    }
    let no_host = admin.ask("GET", "/v1/policy", "", |request| {
        request.headers_mut().remove("host");
    });
    assert_eq!(no_host.status, StatusCode::FORBIDDEN);
}

#[test]
fn what_is_wrong_is_named_by_field_and_never_by_value() {
    let admin = Admin::new();
    let purpose = |purpose: &str| CONSENT.replace("share.partner", purpose);
    let long = format!("{{\"subject\":\"{}\"}}", "CANARY".repeat(20_000));
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    for (method, path, body, status, detail) in [
        ("POST", "/v1/consents", "{", unprocessable, "not JSON"),
        ("POST", "/v1/consents", &purpose("CANARY"), unprocessable, "purpose: no such name"),
        (
            "POST",
            "/v1/consents",
            &purpose("share.partnr"),
            unprocessable,
            "did you mean `share.partner`?",
        ),
        (
            "POST",
            "/v1/consents",
            &CONSENT.replace("loyalty-partner", "CANARY"),
            unprocessable,
            "recipients",
        ),
        (
            "POST",
            "/v1/consents",
            &CONSENT.replace("\"id\"", "\"CANARY\":1,\"id\""),
            unprocessable,
            "unknown member",
        ),
        ("PUT", "/v1/objections", CONSENT, unprocessable, "since"),
        ("PUT", "/v1/objections", r#"{"kind":"consent"}"#, unprocessable, "kind"),
        (
            "POST",
            "/v1/withdrawals",
            r#"{"subject":"CANARY","purpose":"CANARY"}"#,
            unprocessable,
            "purpose",
        ),
        (
            "POST",
            "/v1/withdrawals",
            r#"{"subject":"CANARY","purpose":"share.partner","CANARY":1}"#,
            unprocessable,
            "column",
        ),
        (
            "POST",
            "/v1/withdrawals",
            r#"{"subject":"CANARY","purpose":"share.partner","recipient":"CANARY"}"#,
            unprocessable,
            "recipients",
        ),
        (
            "POST",
            "/v1/withdrawals",
            r#"{"subject":"","purpose":"share.partner"}"#,
            unprocessable,
            "subject",
        ),
        ("POST", "/v1/statements/query", r#"{"subject":7}"#, unprocessable, "column"),
        ("POST", "/v1/consents/con_1/withdrawal", "{}", unprocessable, "empty"),
        ("POST", "/v1/consents", &long, StatusCode::PAYLOAD_TOO_LARGE, "no record"),
        ("GET", "/v1/consents", "", StatusCode::METHOD_NOT_ALLOWED, "OPERATIONS"),
        ("GET", "/v1/statements/CANARY", "", StatusCode::NOT_FOUND, "route"),
        ("GET", "/", "", StatusCode::NOT_FOUND, "route"),
    ] {
        let answer = admin.plain(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let problem = answer.json();
        assert!(problem["detail"].as_str().expect("text").contains(detail), "{}", answer.text);
        assert!(!answer.text.contains("CANARY"), "{}", answer.text);
    }
    let answer = admin.ask("POST", "/v1/consents", CONSENT, |request| {
        request.headers_mut().insert("content-type", "text/plain".parse().expect("a header"));
    });
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(admin.entries().is_empty(), "nothing was changed");
    let metrics = admin.health("/metrics").text;
    assert!(!metrics.contains("CANARY"), "routes are counted by template");
    assert!(
        metrics.contains("tamis_admin_requests_total{route=\"-\",status=\"404\"}"),
        "{metrics}"
    );
    let template =
        "tamis_admin_requests_total{route=\"/v1/consents/{id}/withdrawal\",status=\"422\"}";
    assert!(metrics.contains(template), "{metrics}");
}

#[test]
fn changes_made_beside_the_gateway_are_entered_once() {
    let admin = Admin::new();
    let command = RegisterStore::embedded(&admin.directory.path().join("r.db")).expect("opens");
    let records: Vec<_> = (0..600)
        .map(|number| {
            let json = CONSENT.replace("con_1", &format!("con_{number}"));
            tamis::registers::Record::parse(json.as_bytes()).expect("a record")
        })
        .collect();
    assert_eq!(command.record_all(&records).expect("taken"), 600);
    let entered = admin.runtime.block_on(admin.state.drain.run()).expect("entered");
    assert_eq!(entered, 600);
    assert_eq!(admin.runtime.block_on(admin.state.drain.run()).expect("nothing new"), 0);
    let numbers: Vec<_> =
        admin.entries().iter().filter_map(|entry| entry["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=600).collect::<Vec<u64>>(), "in their order");
}

#[test]
fn a_consent_that_only_a_service_knows_is_not_withdrawn_here_by_its_id() {
    let mut admin = Admin::new();
    admin.state.consents_elsewhere = true;
    let withdrawn = |admin: &Admin| {
        let answer = admin.plain("POST", "/v1/consents/con_1/withdrawal", "");
        answer.status
    };
    assert_eq!(withdrawn(&admin), StatusCode::UNPROCESSABLE_ENTITY);
    admin.state.consents_elsewhere = false;
    assert_eq!(withdrawn(&admin), StatusCode::OK, "it will arrive withdrawn");
}

#[test]
fn a_ledger_that_is_gone_stops_readiness_and_no_withdrawal() {
    let admin = Admin::new();
    admin.plain("POST", "/v1/consents", CONSENT);
    assert_eq!(admin.health("/readyz").status, StatusCode::OK);

    let segment = admin.directory.path().join("ledger/000001.jsonl");
    let aside = admin.directory.path().join("aside");
    std::fs::rename(&segment, &aside).expect("ours");
    let answer = admin.plain("POST", "/v1/consents/con_1/withdrawal", "");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(admin.status("CANARY", "con_1"), ConsentStatus::Withdrawn);
    let answer = admin.health("/readyz");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.json()["checks"]["ledger"].as_str().expect("text").contains("unavailable"));

    std::fs::rename(&aside, &segment).expect("ours");
    assert_eq!(admin.runtime.block_on(admin.state.drain.run()).expect("back"), 1);
    assert_eq!(admin.health("/readyz").status, StatusCode::OK);
    assert_eq!(admin.entries().len(), 2);
}

#[test]
fn health_tells_live_from_ready_and_why() {
    let admin = Admin::new();
    assert_eq!(admin.health("/livez").status, StatusCode::OK);
    assert!(admin.health("/readyz").json()["ready"].as_bool().expect("a flag"));
    admin.state.stopping.store(true, Ordering::Relaxed);
    assert_eq!(admin.health("/readyz").json()["checks"]["taking_requests"], "stopping");
    admin.state.stopping.store(false, Ordering::Relaxed);

    std::fs::rename(admin.directory.path().join("r.db"), admin.directory.path().join("aside"))
        .expect("ours");
    let answer = admin.health("/readyz");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["checks"]["registers"], "unavailable");
    assert_eq!(admin.health("/livez").status, StatusCode::OK);
}

#[test]
fn metrics_are_text_for_scrapers_and_not_for_browsers() {
    let admin = Admin::new();
    let answer = admin.health("/metrics");
    assert!(answer.headers["content-type"].to_str().expect("text").starts_with("text/plain"));
    // The last one is all that a browser sends to a name that was bent to this machine.
    let signs = [
        ("origin", "https://page.example"),
        ("sec-fetch-mode", "cors"),
        ("accept-language", "de-DE,de;q=0.5"),
    ];
    for (name, value) in signs {
        let request = Request::builder()
            .uri("/metrics")
            .header(name, value)
            .body(Body::empty())
            .expect("a request");
        let answer = admin.send(metrics_router(admin.state.clone()), request);
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
    }
}

#[test]
fn requests_of_people_are_listed_until_somebody_has_answered_them() {
    let admin = Admin::new();
    let subject = Personal::new("u-1".into());
    let (right, categories) = (tamis::terms::Right::Rectification, vec!["contact.*"]);
    let categories = categories.into_iter().map(tamis::terms::CategoryPattern::new).collect();
    let request = tamis::registers::RightRequest { subject, right, categories };
    let taken = admin.state.registers.request(&request).expect("taken").expect("not too many");
    let listed = admin.plain("GET", "/v1/requests", "").json();
    assert_eq!(listed["requests"][0]["receipt"], *taken.id);
    assert_eq!(listed["requests"][0]["subject"], "u-1");
    assert_eq!(listed["requests"][0]["right"], "rectification");
    let answer = format!("/v1/requests/{}/answer", taken.id);
    assert_eq!(admin.plain("POST", &answer, "").json()["new"], true);
    assert_eq!(admin.plain("POST", &answer, "").json()["new"], false);
    assert_eq!(admin.plain("GET", "/v1/requests", "").json()["requests"], serde_json::json!([]));
    let unknown = admin.plain("POST", "/v1/requests/rq_0/answer", "").status;
    assert!(unknown.is_client_error(), "{unknown}");
    // Answered, it makes room for another of the same.
    let again = admin.state.registers.request(&request).expect("taken").expect("not too many");
    assert_ne!(again.id, taken.id);
}

#[test]
fn status_tells_how_many_members_no_rule_lists_and_of_which_route() {
    let admin = Admin::new();
    assert_eq!(admin.health("/status").json()["unlisted_members"], serde_json::json!({}));
    let policy = admin.state.policy.load_full();
    let (id, recipient) = policy.recipients.first_key_value().expect("there is one");
    let plan = policy.plan(0, id, &recipient.purposes[..1]).expect("small");
    let tally = tamis::minimize::Tally { unlisted: 7, withheld: 3, ..Default::default() };
    let took = std::time::Duration::ZERO;
    let minimized =
        tamis::observe::Event::Minimized { plan: &plan, tally: &tally, undated: 0, took };
    minimized.emit(&admin.state.metrics);
    let told = serde_json::json!({ plan.route.as_str(): 7 });
    assert_eq!(admin.health("/status").json()["unlisted_members"], told);
}
