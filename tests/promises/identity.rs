//! Who asks: what is recognised, what is refused, and that no credential says more than it verified.

mod fetched_keys;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use jiff::{Span, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tamis::decide::Caller;
use tamis::identity::development::{Authority, TokenClaims, TokenSigner};
use tamis::identity::{
    ApiKeys, Credentials, Identifier, IdentityError, Issuer, IssuerError, IssuerKeys, KeySource,
    SubjectAlternativeNames, TokenAlgorithm,
};
use tamis::policy::Place;
use tamis::policy::model::{
    AccessLogRules, Authenticator, Conceal, Policy, Recipient, RegisterRules, TlsRules,
};
use tamis::terms::{Digest, PurposeId, RecipientId, Role};

const PEOPLE: &str = "https://id.shop.example";
const STAFF: &str = "https://sso.shop.example";
const AUDIENCE: &str = "tamis";
const ADVERTISER_KEY: &[u8] = b"tamis_0123456789abcdefghijklmnopqrstuvwxyzABCDEF";

fn now() -> Timestamp {
    "2026-11-24T06:00:00Z".parse().expect("a time")
}

fn recipient(role: Role, authenticate: Vec<Authenticator>, purposes: &[&str]) -> Recipient {
    Recipient {
        role,
        category: None,
        country: None,
        authenticate,
        contract: None,
        purposes: purposes.iter().copied().map(PurposeId::from).collect(),
        default_purpose: None,
        phase: None,
        only_where: vec![],
        party: None,
        subjects_per_hour: None,
        place: Place { file: "rules.yaml".into(), line: 1, column: 1, length: 1 },
    }
}

fn jwt(issuer: &str, client: Option<&str>) -> Vec<Authenticator> {
    vec![Authenticator::Jwt {
        issuer: issuer.to_owned(),
        client: client.map(str::to_owned),
        subject_is: None,
    }]
}

/// The recipients of a small shop; nothing else of a policy matters here.
fn policy() -> Policy {
    let dns = |name: &str| vec![Authenticator::MtlsDns(name.to_owned())];
    let recipients = [
        ("self", recipient(Role::Own, jwt(PEOPLE, None), &["rights.self"])),
        ("user", recipient(Role::User, jwt(PEOPLE, None), &["service.order", "service.identify"])),
        ("linked-app", recipient(Role::ThirdParty, jwt(PEOPLE, Some("linked-app")), &["app.do"])),
        ("trust", recipient(Role::Internal, jwt(STAFF, Some("trust")), &["enforce"])),
        ("courier", recipient(Role::Processor, dns("courier.example"), &["deliver"])),
        ("kyc", recipient(Role::Processor, dns("kyc.example"), &["verify"])),
        (
            "ads",
            recipient(
                Role::Internal,
                vec![Authenticator::MtlsUri("spiffe://shop/ads".to_owned())],
                &["ads"],
            ),
        ),
        (
            "advertiser",
            recipient(
                Role::ThirdParty,
                [
                    vec![Authenticator::ApiKey { reference: "advertiser".to_owned() }],
                    dns("advertiser.example"),
                ]
                .concat(),
                &["insight"],
            ),
        ),
    ];
    Policy {
        id: "shop".into(),
        title: String::new(),
        revision: String::new(),
        digest: Digest::of(b""),
        conceal_as: Conceal::NotFound,
        categories: BTreeMap::new(),
        purposes: BTreeMap::new(),
        recipients: recipients.map(|(id, found)| (RecipientId::from(id), found)).into(),
        routes: vec![],
        grants: vec![],
        limits: vec![],
        company: vec![],
        transfers: None,
        retention: vec![],
        registers: RegisterRules::default(),
        cookies: BTreeMap::new(),
        access_log: AccessLogRules::default(),
        checkpoint_every: None,
        policy_link: None,
        terms_header_roles: vec![],
        page_headers: None,
        tls: TlsRules::default(),
        hsts: None,
        ledger: tamis::policy::model::LedgerRules::default(),
        about: tamis::policy::model::About::default(),
        promises: tamis::policy::model::Promises::default(),
        warnings: vec![],
        plans: tamis::policy::Plans::default(),
    }
}

struct World {
    policy: Policy,
    people: TokenSigner,
    staff: TokenSigner,
    identifier: Identifier,
    directory: tempfile::TempDir,
}

fn keys_in(directory: &Path, name: &str, jwks: &str, issuer: &str) -> IssuerKeys {
    let path = directory.join(name);
    std::fs::write(&path, jwks).expect("writes");
    IssuerKeys::open(issuer_of(issuer, KeySource::File(path))).expect("a key set")
}

fn issuer_of(name: &str, keys: KeySource) -> Issuer {
    Issuer {
        name: name.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: vec![TokenAlgorithm::Es256],
        keys,
    }
}

fn world() -> World {
    let directory = tempfile::tempdir().expect("a directory");
    let people = TokenSigner::generate().expect("a key");
    let staff = TokenSigner::generate().expect("a key");
    let issuers = [(PEOPLE, &people), (STAFF, &staff)].map(|(issuer, signer)| {
        let name = Digest::of(issuer.as_bytes()).hex();
        let keys = keys_in(directory.path(), &name, &signer.jwks(), issuer);
        (issuer.to_owned(), Arc::new(keys))
    });
    let api_keys = [("advertiser".to_owned(), Digest::of(ADVERTISER_KEY))];
    let identifier =
        Identifier { issuers: HashMap::from(issuers), api_keys: ApiKeys::new(api_keys.into()) };
    World { policy: policy(), people, staff, identifier, directory }
}

impl World {
    fn ask(
        &self,
        credentials: &Credentials<'_>,
        declared: &[&str],
    ) -> Result<Caller, IdentityError> {
        let declared: Vec<_> = declared.iter().copied().map(PurposeId::from).collect();
        self.identifier.identify(&self.policy, credentials, &declared, now())
    }

    fn bearer(&self, token: &str) -> Result<Caller, IdentityError> {
        self.bearer_for(token, &[])
    }

    fn bearer_for(&self, token: &str, declared: &[&str]) -> Result<Caller, IdentityError> {
        let header = format!("Bearer {token}");
        let credentials =
            Credentials { authorization: vec![header.as_bytes()], ..Credentials::default() };
        self.ask(&credentials, declared)
    }

    fn certified(&self, dns: &[&str], uris: &[&str]) -> Result<Caller, IdentityError> {
        let names = names(dns, uris);
        self.ask(&Credentials { certificate: Some(&names), ..Credentials::default() }, &[])
    }

    fn with_api_key(&self, keys: &[&[u8]]) -> Result<Caller, IdentityError> {
        self.ask(&Credentials { api_keys: keys.to_vec(), ..Credentials::default() }, &[])
    }

    /// A token of Testina's with these claims changed; `null` takes a claim out.
    fn token(&self, changes: &Value) -> String {
        let seconds = now().as_second();
        let mut claims = json!({
            "iss": PEOPLE, "aud": AUDIENCE, "sub": "u-testina", "exp": seconds + 300,
        });
        for (name, value) in changes.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        self.people.sign_json(&claims).expect("signs")
    }
}

fn names(dns: &[&str], uris: &[&str]) -> SubjectAlternativeNames {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    SubjectAlternativeNames { dns: owned(dns), uris: owned(uris) }
}

fn who(caller: Result<Caller, IdentityError>) -> Result<String, IdentityError> {
    caller.map(|caller| caller.recipient.as_str().to_owned())
}

#[allow(clippy::unnecessary_wraps, reason = "stands beside refusals in tables")]
fn recognised(name: &str) -> Result<String, IdentityError> {
    Ok(name.to_owned())
}

#[test]
#[allow(clippy::type_complexity, reason = "a table")]
fn a_certificate_stands_for_the_recipient_that_declares_its_name() {
    use IdentityError::{Contradictory, Unknown};
    let world = world();
    let cases: [(&[&str], &[&str], Result<String, IdentityError>); 9] = [
        (&["courier.example"], &[], recognised("courier")),
        (&["edge.example", "courier.example"], &[], recognised("courier")),
        (&[], &["spiffe://shop/ads"], recognised("ads")),
        (&["courier.example"], &["spiffe://shop/ads"], Err(Contradictory)),
        (&["courier.example", "kyc.example"], &[], Err(Contradictory)),
        (&["sub.courier.example"], &[], Err(Unknown)),
        (&["spiffe://shop/ads"], &["courier.example"], Err(Unknown)),
        (&[], &["spiffe://shop/ADS"], Err(Unknown)),
        (&[], &[], Err(Unknown)),
    ];
    for (dns, uris, expected) in cases {
        assert_eq!(who(world.certified(dns, uris)), expected, "{dns:?} {uris:?}");
    }
}

#[test]
fn an_api_key_stands_for_the_recipient_that_declares_its_reference() {
    let world = world();
    assert_eq!(who(world.with_api_key(&[ADVERTISER_KEY])), recognised("advertiser"));
    assert_eq!(who(world.with_api_key(&[b"wrong"])), Err(IdentityError::Unknown));
    assert_eq!(who(world.with_api_key(&[b""])), Err(IdentityError::Unknown));
    let twice = world.with_api_key(&[ADVERTISER_KEY, ADVERTISER_KEY]);
    assert_eq!(who(twice), Err(IdentityError::Contradictory));
}

#[test]
fn a_token_stands_for_its_client_and_an_apps_token_never_for_its_user() {
    let world = world();
    let cases = [
        (json!({"azp": "linked-app"}), recognised("linked-app")),
        (json!({"client_id": "linked-app"}), recognised("linked-app")),
        (json!({"azp": "linked-app", "client_id": "linked-app"}), recognised("linked-app")),
        (json!({"azp": "linked-app", "client_id": "web"}), Err(IdentityError::Malformed)),
        // A client that nobody declares is the people's own front end.
        (json!({"azp": "web"}), recognised("self")),
        (json!({}), recognised("self")),
        // Of another issuer; there the client is a recipient's, here it is not.
        (json!({"azp": "trust"}), recognised("self")),
    ];
    for (changes, expected) in cases {
        assert_eq!(who(world.bearer(&world.token(&changes))), expected, "{changes}");
    }
    let staff = |client| {
        let claims = TokenClaims {
            issuer: STAFF,
            audience: AUDIENCE,
            subject: Some("e-7"),
            client,
            purposes: &[],
            issued_at: now(),
            expires_at: now() + Span::new().minutes(5),
        };
        world.staff.sign(&claims).expect("signs")
    };
    assert_eq!(who(world.bearer(&staff(Some("trust")))), recognised("trust"));
    // Nobody declares this issuer without a client.
    assert_eq!(who(world.bearer(&staff(Some("web")))), Err(IdentityError::Unknown));
    assert_eq!(who(world.bearer(&staff(None))), Err(IdentityError::Unknown));
}

#[test]
fn the_person_is_the_subject_of_a_token_that_speaks_for_a_person() {
    let world = world();
    let person = |changes: &Value| {
        let caller = world.bearer(&world.token(changes)).expect("recognised");
        caller.person.map(|person| person.expose().to_string())
    };
    assert_eq!(person(&json!({})).as_deref(), Some("u-testina"));
    assert_eq!(person(&json!({"azp": "linked-app"})), None);
    assert_eq!(person(&json!({"sub": null})), None);
    assert_eq!(person(&json!({"sub": ""})), None);
    let names = names(&["courier.example"], &[]);
    let credentials = Credentials { certificate: Some(&names), ..Credentials::default() };
    assert!(world.ask(&credentials, &[]).expect("recognised").person.is_none());
}

#[test]
fn one_token_of_two_recipients_is_told_apart_by_purpose() {
    let world = world();
    let bound = |scope: &str| world.token(&json!({ "scope": scope }));
    let cases: [(String, &[&str], &str); 8] = [
        (bound(""), &[], "self"),
        (bound(""), &["rights.self"], "self"),
        (bound(""), &["service.order"], "user"),
        (bound(""), &["service.order", "service.identify"], "user"),
        // No recipient of this token may do both, so the decision refuses the purposes.
        (bound(""), &["service.order", "rights.self"], "self"),
        (bound("purpose:service.order"), &[], "user"),
        // The credential outweighs the header, which can only narrow.
        (bound("purpose:service.order"), &["rights.self"], "user"),
        (bound("purpose:rights.self"), &["service.order"], "self"),
    ];
    for (token, declared, expected) in cases {
        assert_eq!(who(world.bearer_for(&token, declared)), recognised(expected), "{declared:?}");
    }
}

#[test]
fn recipients_that_cannot_be_told_apart_are_nobody() {
    let mut world = world();
    world.policy.recipients.remove("self");
    let twin = recipient(Role::User, jwt(PEOPLE, None), &["service.order"]);
    world.policy.recipients.insert(RecipientId::from("twin"), twin);
    let token = world.token(&json!({}));
    assert_eq!(who(world.bearer(&token)), Err(IdentityError::Contradictory));
    let declared = world.bearer_for(&token, &["service.order"]);
    assert_eq!(who(declared), Err(IdentityError::Contradictory));
    assert_eq!(who(world.bearer_for(&token, &["service.identify"])), recognised("user"));
}

#[test]
fn purposes_bound_to_a_token_narrow_and_never_widen() {
    let world = world();
    let detail = |purposes: Value| json!([{"type": "tamis", "purposes": purposes}]);
    let cases: [(Value, Option<&[&str]>); 10] = [
        (json!({}), None),
        (json!({"scope": "openid profile"}), None),
        (json!({"scope": "openid purpose:enforce"}), Some(&["enforce"])),
        (json!({"scope": ["openid", "purpose:enforce"]}), Some(&["enforce"])),
        (json!({"authorization_details": detail(json!(["enforce"]))}), Some(&["enforce"])),
        (json!({"authorization_details": [{"type": "payment"}]}), None),
        // One that it may not pursue gives nothing, and still binds.
        (json!({"scope": "purpose:ads"}), Some(&[])),
        (json!({"scope": "purpose:enforce purpose:no.such"}), Some(&["enforce"])),
        (json!({"authorization_details": detail(json!([]))}), Some(&[])),
        // Named in two ways: what stands in both.
        (
            json!({"scope": "purpose:enforce", "authorization_details": detail(json!(["ads"]))}),
            Some(&[]),
        ),
    ];
    for (changes, expected) in cases {
        let seconds = now().as_second();
        let mut claims = json!({"iss": STAFF, "aud": AUDIENCE, "azp": "trust", "exp": seconds + 9});
        for (name, value) in changes.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        let caller = world.bearer(&world.staff.sign_json(&claims).expect("signs")).expect("known");
        let purposes = caller.purposes.map(|purposes| {
            purposes.iter().map(|purpose| purpose.as_str().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(
            purposes.as_deref(),
            expected.map(|e| e.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).as_deref(),
            "{changes}"
        );
    }
    for broken in [json!("enforce"), json!([7]), json!({"a": "enforce"})] {
        let changes = json!({"authorization_details": detail(broken)});
        let token = world.token(&changes);
        assert_eq!(who(world.bearer(&token)), Err(IdentityError::Malformed), "{changes}");
    }
}

#[test]
fn a_token_must_be_for_us_from_the_issuer_and_of_this_moment() {
    use IdentityError::{Malformed, TokenRefused, Unknown};
    let world = world();
    let seconds = now().as_second();
    let cases = [
        (json!({"exp": seconds - 59}), recognised("self")),
        (json!({"exp": seconds - 61}), Err(TokenRefused)),
        (json!({"exp": null}), Err(Malformed)),
        (json!({"exp": "soon"}), Err(Malformed)),
        (json!({"exp": -1e300}), Err(TokenRefused)),
        (json!({"nbf": seconds + 59}), recognised("self")),
        (json!({"nbf": seconds + 61}), Err(TokenRefused)),
        (json!({"nbf": "now"}), Err(Malformed)),
        (json!({"aud": ["other", AUDIENCE]}), recognised("self")),
        (json!({"aud": "other"}), Err(TokenRefused)),
        (json!({"aud": "tamis2"}), Err(TokenRefused)),
        (json!({"aud": []}), Err(TokenRefused)),
        (json!({"aud": null}), Err(Malformed)),
        // Its signature is the people's; naming the staff's issuer makes it nobody's.
        (json!({"iss": STAFF}), Err(TokenRefused)),
        (json!({"iss": "https://evil.example"}), Err(Unknown)),
        (json!({"iss": [PEOPLE]}), Err(Malformed)),
        (json!({"iss": null}), Err(Malformed)),
        (json!({"scope": 7}), Err(Malformed)),
    ];
    for (changes, expected) in cases {
        assert_eq!(who(world.bearer(&world.token(&changes))), expected, "{changes}");
    }
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let index = usize::try_from(word >> (18 - 6 * digit) & 63).expect("six bits");
            text.push(char::from(ALPHABET[index]));
        }
    }
    text
}

#[test]
fn a_header_cannot_choose_its_algorithm_or_bring_its_key() {
    let world = world();
    let good = world.token(&json!({}));
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
    let kid = {
        let jwks: Value = serde_json::from_str(&world.people.jwks()).expect("JSON");
        jwks["keys"][0]["kid"].as_str().expect("an id").to_owned()
    };
    let with = |header: Value| {
        format!("{}.{payload}.{signature}", base64url(header.to_string().as_bytes()))
    };
    let tokens = [
        // Re-encoding the header breaks the signature as well; what is refused before that is in
        // the unit tests of the header, where the same headers are signed.
        with(json!({"alg": "none"})),
        with(json!({"alg": "none", "kid": kid})),
        format!("{}.{payload}.", base64url(br#"{"alg":"none"}"#)),
        with(json!({"alg": "HS256", "kid": kid})),
        with(json!({"alg": "RS256", "kid": kid})),
        with(json!({"alg": "ES384", "kid": kid})),
        with(json!({"alg": "ES256", "kid": "../../etc/passwd"})),
        with(json!({"alg": "ES256", "kid": "' OR 1=1 --"})),
        with(json!({"alg": "ES256", "kid": ""})),
        with(json!({"alg": "ES256", "kid": kid, "crit": ["exp"]})),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}A"),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        "x.y.z".to_owned(),
    ];
    assert_eq!(who(world.bearer(&good)), recognised("self"));
    for token in &tokens {
        let refused = world.bearer(token).expect_err(token);
        let expected = matches!(refused, IdentityError::Malformed | IdentityError::TokenRefused);
        assert!(expected, "{token}: {refused}");
    }
    // A foreign key under the known issuer.
    let foreign = TokenSigner::generate().expect("a key");
    let claims = json!({"iss": PEOPLE, "aud": AUDIENCE, "exp": now().as_second() + 300});
    let token = foreign.sign_json(&claims).expect("signs");
    assert_eq!(who(world.bearer(&token)), Err(IdentityError::TokenRefused));
    // Larger than any token: refused before anything is decoded.
    let huge = world.token(&json!({"padding": "x".repeat(16 * 1024)}));
    assert_eq!(who(world.bearer(&huge)), Err(IdentityError::Malformed));
}

#[test]
#[allow(clippy::type_complexity, reason = "a table")]
fn a_bad_credential_refuses_whatever_stands_beside_it() {
    use IdentityError::{Contradictory, Malformed, Missing, TokenRefused, Unknown};
    let world = world();
    let good = format!("bearer {}", world.token(&json!({})));
    let expired = format!("Bearer {}", world.token(&json!({"exp": 1})));
    let courier = names(&["courier.example"], &[]);
    let advertiser = names(&["advertiser.example"], &[]);
    let nobody = names(&["edge.example"], &[]);
    let cases: [(&str, Option<&SubjectAlternativeNames>, &[&[u8]], &[&[u8]], Result<String, _>);
        14] = [
        ("none", None, &[], &[], Err(Missing)),
        ("token", None, &[good.as_bytes()], &[], recognised("self")),
        ("agreeing", Some(&advertiser), &[], &[ADVERTISER_KEY], recognised("advertiser")),
        ("two recipients", Some(&courier), &[good.as_bytes()], &[], Err(Contradictory)),
        ("two recipients", Some(&courier), &[], &[ADVERTISER_KEY], Err(Contradictory)),
        ("two tokens", None, &[good.as_bytes(), good.as_bytes()], &[], Err(Contradictory)),
        ("expired beside good", Some(&advertiser), &[expired.as_bytes()], &[], Err(TokenRefused)),
        ("wrong key beside good", Some(&advertiser), &[], &[b"wrong"], Err(Unknown)),
        ("foreign certificate", Some(&nobody), &[], &[ADVERTISER_KEY], Err(Unknown)),
        ("basic", None, &[b"Basic dGVzdGluYTpwdw=="], &[], Err(Malformed)),
        ("no token", None, &[b"Bearer "], &[], Err(Malformed)),
        ("empty", None, &[b""], &[], Err(Malformed)),
        ("not text", None, &[b"Bearer \xff\xfe"], &[], Err(Malformed)),
        ("two in one", None, &[b"Bearer a.b.c, Bearer d.e.f"], &[], Err(Malformed)),
    ];
    for (case, certificate, authorization, api_keys, expected) in cases {
        let credentials = Credentials {
            certificate,
            authorization: authorization.to_vec(),
            api_keys: api_keys.to_vec(),
        };
        assert_eq!(who(world.ask(&credentials, &[])), expected, "{case}");
    }
}

#[test]
fn an_issuer_whose_key_file_holds_no_key_does_not_open() {
    let world = world();
    let path = world.directory.path().join("broken");
    let oct = r#"{"keys":[{"kty":"oct","k":"-ebuDNsVZ2iJtoZ-akfXTSCt4UO2cruLCsbWlBinggE"}]}"#;
    for text in ["", "{}", r#"{"keys":[]}"#, "[]", oct] {
        std::fs::write(&path, text).expect("writes");
        let opened = IssuerKeys::open(issuer_of(PEOPLE, KeySource::File(path.clone())));
        assert!(matches!(opened, Err(IssuerError::NoKeys(_))), "{text}");
    }
    let missing = KeySource::File(world.directory.path().join("missing"));
    let opened = IssuerKeys::open(issuer_of(PEOPLE, missing));
    assert!(matches!(opened, Err(IssuerError::Unreadable(..))));
}

#[test]
fn development_certificates_are_those_of_their_names() {
    let authority = Authority::generate(now()).expect("an authority");
    let names_of = |pem: &str| {
        SubjectAlternativeNames::of(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"))
    };
    let cases = [
        ("dns:courier.example", names(&["courier.example"], &[])),
        ("Courier.example", names(&["courier.example"], &[])),
        ("spiffe://lm/ads", names(&[], &["spiffe://lm/ads"])),
    ];
    for (client, expected) in cases {
        let issued = authority.issue_client(client, now()).expect("a certificate");
        assert_eq!(names_of(&issued.certificate), expected, "{client}");
    }
    let server = authority.issue_server(&["localhost", "127.0.0.1", "::1"], now()).expect("issued");
    assert_eq!(names_of(&server.certificate), names(&["localhost"], &[]));
    for refused in ["", "dns:", "a b", "dns:a/b", "münchen.example"] {
        assert!(authority.issue_client(refused, now()).is_err(), "{refused}");
    }
}
