//! Bodies generated from a seed, and the rules that are measured on them.

use std::fmt::Write as _;
use std::sync::Arc;

use tamis::action::pseudonym::Canonical;
use tamis::action::{Action, Treatment};
use tamis::minimize::{Finish, JsonLimits, JsonMinimizer, Minimizer, Need, Scope, Verdict};
use tamis::policy::automaton::{Automaton, CellId, Mark, RoleIndex, Unlisted};
use tamis::policy::path::Selector;

const CHUNK: usize = 16 * 1024;

/// One invented user, some 1.1 KB.
pub(crate) fn user(id: u64, out: &mut String) {
    let mix = (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (a, b, c) = (mix >> 40, mix >> 20 & 0xfffff, mix & 0xfffff);
    let _ = write!(
        out,
        r#"{{"id":"u{id}","name":"Testina Musterfrau {a}","email":"t{b}@example.invalid","phone":"+49 555 {c:07}","born":"19{:02}-0{}-1{}","address":{{"street":"Musterweg {}","city":"Größenstadt","postal":"{:05}","country":"DE","geo":{{"lat":{}.{b:06},"lon":{}.{c:06}}}}},"orders":[{{"order_id":"o{a}","total":{}.95,"currency":"EUR","placed":"2026-03-0{}T10:20:30Z","items":[{{"sku":"SKU-{b}","qty":{},"price":19.95}},{{"sku":"SKU-{c}","qty":1,"price":4.50}}]}},{{"order_id":"o{c}","total":{}.00,"currency":"EUR","placed":"2026-04-0{}T11:21:31Z","items":[{{"sku":"SKU-{a}","qty":2,"price":7.25}}]}}],"consents":{{"newsletter":{},"analytics":false,"version":"2026-01"}},"device":{{"ip":"192.0.2.{}","agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","last_seen":"2026-11-2{}T08:09:10Z"}},"notes":"Asked about \"delivery\" twice.\nPrefers mornings.","score":{b},"tags":["a{}","b{}"],"active":true,"referrer":null}}"#,
        50 + mix % 50,
        1 + a % 9,
        b % 9,
        a % 200,
        b % 100_000,
        47 + a % 7,
        6 + b % 9,
        a % 500,
        1 + c % 9,
        1 + a % 5,
        c % 300,
        1 + b % 9,
        mix.is_multiple_of(2),
        a % 255,
        b % 9,
        a % 10,
        b % 10,
    );
}

/// A list of users of about so many bytes.
pub(crate) fn users(bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 4096);
    text.push_str(r#"{"data":["#);
    let mut id = 0;
    while text.len() < bytes {
        if id > 0 {
            text.push(',');
        }
        user(id, &mut text);
        id += 1;
    }
    let _ = write!(text, r#"],"total":{id}}}"#);
    text.into_bytes()
}

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Rules {
    /// One rule that hits nothing.
    Sparse,
    /// Ten descendant rules, hardly a hit.
    Descendants,
    /// Ten rules that rewrite some 30 % of the bytes.
    Dense,
    /// Default-deny: what a recipient of a list of users gets, a quarter removed.
    DefaultDeny,
    /// The same, and each element's subject is asked about; half are denied.
    Subjects,
}

impl Rules {
    pub(crate) const ALL: [Self; 5] =
        [Self::Sparse, Self::Descendants, Self::Dense, Self::DefaultDeny, Self::Subjects];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Sparse => "one rule that hits nothing",
            Self::Descendants => "ten descendant rules, few hits",
            Self::Dense => "ten rules, 30 % of the bytes rewritten",
            Self::DefaultDeny => "default-deny, 30 leaves kept, a quarter removed",
            Self::Subjects => "default-deny, each element asked about, half denied",
        }
    }

    pub(crate) fn engine(self) -> Engine {
        let deny = "id name born address.city address.country address.postal address.geo.lat \
                    address.geo.lon orders[*].order_id orders[*].total orders[*].currency \
                    orders[*].placed orders[*].items[*].sku orders[*].items[*].qty \
                    orders[*].items[*].price consents.newsletter consents.analytics \
                    consents.version device.agent notes score tags active referrer";
        let mut rules: Vec<(String, &str)> = match self {
            Self::Sparse => vec![("$.nobody.here".to_owned(), "remove")],
            Self::Descendants => [
                "iban", "pan", "ssn", "passport", "token", "secret", "password", "referrer", "fax",
                "salary",
            ]
            .iter()
            .map(|name| (format!("$..{name}"), "remove"))
            .collect(),
            Self::Dense => [
                ("$..email", "remove"),
                ("$..phone", "mask last 4"),
                ("$..name", "initials"),
                ("$..born", "generalise year"),
                ("$..street", "redact"),
                ("$..geo", "remove"),
                ("$..device", "remove"),
                ("$..notes", "blank"),
                ("$..postal", "generalise prefix 2"),
                ("$..sku", "redact"),
            ]
            .iter()
            .map(|(selector, action)| ((*selector).to_owned(), *action))
            .collect(),
            Self::DefaultDeny | Self::Subjects => {
                deny.split_whitespace().map(|path| (format!("$.data[*].{path}"), "keep")).collect()
            }
        };
        let deny = matches!(self, Self::DefaultDeny | Self::Subjects);
        if deny {
            rules.push(("$.total".to_owned(), "keep"));
        }
        let mut marks = Vec::new();
        let mut treatments = Vec::new();
        for (cell, (selector, action)) in (0..).zip(&rules) {
            let selector = Selector::parse(selector).expect("a selector");
            marks.push((selector, Mark::Cell { cell: CellId(cell), subtree: !deny }));
            treatments.push(Treatment {
                action: action.parse::<Action>().expect("an action"),
                key: None,
                canonical: Canonical::default(),
                groups: None,
                today: jiff::civil::date(2026, 11, 24),
            });
        }
        if matches!(self, Self::Subjects) {
            let each = Selector::parse("$.data[*]").expect("a selector");
            marks.push((
                Selector::parse("$.data[*].id").expect("a selector"),
                Mark::Subject(RoleIndex(0)),
            ));
            marks.push((each, Mark::Each));
        }
        let unlisted = if deny { Unlisted::Remove } else { Unlisted::Keep };
        let automaton = Automaton::compile(&marks, unlisted).expect("small");
        Engine { automaton: Arc::new(automaton), treatments: treatments.into() }
    }
}

/// Compiled rules.
pub(crate) struct Engine {
    automaton: Arc<Automaton>,
    treatments: Arc<[Treatment]>,
}

impl Engine {
    pub(crate) fn minimizer(&self) -> JsonMinimizer {
        let limits = JsonLimits::default();
        JsonMinimizer::new(self.automaton.clone(), self.treatments.clone(), false, limits)
    }

    /// Rewrites a list of so many bytes whose records are made as they are needed.
    #[allow(dead_code, reason = "the bench measures bodies that are there")]
    pub(crate) fn stream(&self, bytes: usize) -> usize {
        let mut minimizer = self.minimizer();
        let mut out = Vec::new();
        let mut record = String::from(r#"{"data":["#);
        let mut taken = 0;
        let mut id = 0;
        while taken < bytes {
            user(id, &mut record);
            self.feed(&mut minimizer, record.as_bytes(), &mut out);
            taken += record.len();
            record.clear();
            record.push(',');
            id += 1;
        }
        self.feed(&mut minimizer, b"]}", &mut out);
        assert!(matches!(minimizer.finish(&mut out), Ok(Finish::Done)));
        taken
    }

    fn feed(&self, minimizer: &mut JsonMinimizer, mut chunk: &[u8], out: &mut Vec<u8>) -> usize {
        loop {
            let fed = minimizer.feed(chunk, out).expect("JSON");
            chunk = &chunk[fed.consumed..];
            match fed.need {
                Need::Input => break,
                Need::Verdicts(questions) => {
                    for question in questions {
                        let odd = matches!(question.scope, Scope::Element(n) if n % 2 == 1);
                        minimizer.answer(if odd {
                            Verdict::Drop(tamis::terms::RefusalReason::ConsentMissing)
                        } else {
                            Verdict::Release(self.treatments.clone())
                        });
                    }
                }
            }
        }
        let written = out.len();
        out.clear();
        written
    }
}

/// Rewrites a body in chunks, throwing the output away as it comes; returns its length.
pub(crate) fn rewrite(engine: &Engine, body: &[u8]) -> usize {
    let mut minimizer = engine.minimizer();
    let mut out = Vec::with_capacity(2 * CHUNK);
    let written: usize =
        body.chunks(CHUNK).map(|chunk| engine.feed(&mut minimizer, chunk, &mut out)).sum();
    assert!(matches!(minimizer.finish(&mut out), Ok(Finish::Done)));
    written + out.len()
}
