//! Filters: places found by the compiled automaton, guards resolved, are those that serde_json_path
//! finds, and those of the compliance suite; what a value leaves open permits nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;
use tamis::policy::automaton::{
    Automaton, CellId, CompileError, Mark, RoleIndex, StateId, Truths, Unlisted,
};
use tamis::policy::path::Selector;

use crate::jsonpath_suite::{self, Step};

/// Selectors of the suite with a filter that is understood.
const FROM_THE_SUITE: usize = 141;

fn cell(id: u16) -> Mark {
    Mark::Cell { cell: CellId(id), subtree: false }
}

fn parsed(text: &str) -> Selector {
    Selector::parse_within(text, None).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn compiled(rules: &[(&str, Mark)]) -> Result<Automaton, CompileError> {
    let rules: Vec<(Selector, Mark)> =
        rules.iter().map(|(text, mark)| (parsed(text), *mark)).collect();
    Automaton::compile(&rules, Unlisted::Remove)
}

/// The state at a place once its value is known.
fn settled(automaton: &Automaton, state: StateId, value: &[u8]) -> StateId {
    let Some(guard) = automaton.guard(state) else { return state };
    let settled = automaton.resolved(state, automaton.judge(guard, value));
    assert_eq!(automaton.guard(settled), None, "one judgement settles a place");
    settled
}

/// JSON pointers of all marked places.
fn found(automaton: &Automaton, value: &Value) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    let mut ahead = vec![(automaton.start(), String::new(), value)];
    while let Some((state, pointer, value)) = ahead.pop() {
        let state = settled(automaton, state, value.to_string().as_bytes());
        assert!(automaton.doubtful(state).is_empty(), "nothing is doubled here");
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let at = automaton.element(state, index as u64);
                    ahead.push((at, format!("{pointer}/{index}"), element));
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let at = automaton.member(state, name.as_bytes());
                    let name = name.replace('~', "~0").replace('/', "~1");
                    ahead.push((at, format!("{pointer}/{name}"), member));
                }
            }
            _ => {}
        }
        if !automaton.marks(state).is_empty() {
            places.insert(pointer);
        }
    }
    places
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        let scalars = [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(1),
            json!(1.5),
            json!(-2),
            json!("x"),
            json!("y\u{e9}"),
            json!(""),
        ];
        match self.below(if depth == 0 { 1 } else { 3 }) {
            0 => scalars[self.below(scalars.len())].clone(),
            1 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let member =
                    |dice: &mut Self| (dice.of(&["a", "b", "c"]).to_owned(), dice.value(depth - 1));
                Value::Object((0..self.below(4)).map(|_| member(self)).collect::<Map<_, _>>())
            }
        }
    }

    fn query(&mut self) -> &'static str {
        self.of(&["@", "@.a", "@.b", "@['c']", "@.a.b", "@[0]", "@[1].a", "@.a[0]"])
    }

    fn filter(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 2 } else { 5 }) {
            0 => self.query().to_owned(),
            1 => {
                let literals =
                    ["null", "true", "false", "0", "1", "1.5", "-2", "'x'", "\"y\u{e9}\"", "''"];
                let literal = self.below(2) == 0;
                let right = if literal { self.of(&literals) } else { self.query() };
                // serde_json_path 0.7.2 takes `>`, `<=` and `>=` for orders of nothing, truth values and
                // structures too, against RFC 9535 §2.3.5.2.2; it is asked where it can be right.
                let ordered = literal && !["null", "true", "false"].contains(&right);
                let signs = if ordered { 6 } else { 3 };
                let sign = self.of(&["==", "!=", "<", ">", "<=", ">="][..signs]);
                format!("{} {sign} {right}", self.query())
            }
            2 => format!("{} && {}", self.nested(depth), self.nested(depth)),
            3 => format!("{} || {}", self.nested(depth), self.nested(depth)),
            _ => format!("!{}", self.nested(depth)),
        }
    }

    fn nested(&mut self, depth: usize) -> String {
        format!("({})", self.filter(depth - 1))
    }
}

#[test]
fn filtered_selectors_find_what_another_implementation_finds() {
    let mut dice = Dice(0x7A41_5EED);
    let mut hits = 0;
    for _ in 0..3000 {
        let filter = dice.filter(2);
        let shape =
            dice.of(&["$[?F]", "$.a[?F].b", "$.*[?F]", "$[?F]..a", "$[?F][?@.a]", "$[1,?F,'b']"]);
        let text = shape.replace('F', &filter);
        let automaton = compiled(&[(&text, cell(0))]).expect("small");
        let other = JsonPath::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        for _ in 0..8 {
            let value = dice.value(4);
            let expected: BTreeSet<String> = other
                .query_located(&value)
                .locations()
                .map(serde_json_path::NormalizedPath::to_json_pointer)
                .collect();
            assert_eq!(found(&automaton, &value), expected, "{text} in {value}");
            hits += usize::from(!expected.is_empty());
        }
    }
    assert!(hits > 3000, "only {hits} documents held anything to find");
}

#[test]
fn filtered_selectors_find_the_suites_node_lists() {
    let mut tried = 0;
    for test in jsonpath_suite::suite().iter().filter(|test| !jsonpath_suite::is_invalid(test)) {
        let text = jsonpath_suite::selector(test);
        let Ok(selector) = Selector::parse_within(text, None) else { continue };
        if !selector.has_filter() {
            continue;
        }
        tried += 1;
        let automaton = compiled(&[(text, cell(0))]).expect("small");
        let expected: BTreeSet<String> = jsonpath_suite::node_list(test)
            .iter()
            .map(|path| {
                let step = |step: &Step| match step {
                    Step::Index(index) => format!("/{index}"),
                    Step::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                };
                path.iter().map(step).collect()
            })
            .collect();
        assert_eq!(found(&automaton, &test["document"]), expected, "{} {text}", test["name"]);
    }
    assert_eq!(tried, FROM_THE_SUITE);
}

/// `[?@.kind=='x']` of a value whose `kind` is doubled is settled for neither case.
const DOUBLED: &[u8] = br#"{"kind":"x","kind":"y","note":1}"#;

#[test]
fn an_undecided_filter_permits_nothing_and_tightens_what_others_permit() {
    let rules = [("$.items[?@.kind=='x'].note", cell(0)), ("$.items[*].*", cell(1))];
    let automaton = compiled(&rules).expect("small");
    let element = automaton.element(automaton.member(automaton.start(), b"items"), 0);
    let note = |value: &[u8]| automaton.member(settled(&automaton, element, value), b"note");
    for (value, sure, doubtful) in [
        (&br#"{"kind":"x","note":1}"#[..], &[cell(0), cell(1)][..], &[][..]),
        (br#"{"kind":"y","note":1}"#, &[cell(1)], &[]),
        (br#"{"note":1}"#, &[cell(1)], &[]),
        (DOUBLED, &[cell(1)], &[cell(0)]),
        (br#"{"kind":"x","note"#, &[cell(1)], &[cell(0)]),
    ] {
        assert_eq!(automaton.marks(note(value)), sure);
        assert_eq!(automaton.doubtful(note(value)), doubtful);
    }
    let alone = compiled(&rules[..1]).expect("small");
    let element = alone.element(alone.member(alone.start(), b"items"), 0);
    let note = alone.member(settled(&alone, element, DOUBLED), b"note");
    assert!(alone.marks(note).is_empty());
    assert_eq!(alone.doubtful(note), [cell(0)]);
    // Who overlooks the guard, or cannot hold the value, is where nothing is decided.
    assert_eq!(alone.member(element, b"note"), note);
    assert_eq!(alone.member(alone.resolved(element, Truths::UNDECIDED), b"note"), note);
}

#[test]
fn doubt_goes_on_beneath_and_ends_where_another_selector_is_certain() {
    let automaton = compiled(&[
        ("$[?@.kind=='x']..note", cell(0)),
        ("$[?@.kind=='x'][?@.a].note", cell(1)),
        ("$.sure..note", cell(0)),
    ])
    .expect("small");
    for (member, sure, doubtful) in
        [("sure", &[cell(0)][..], &[cell(1)][..]), ("other", &[], &[cell(0), cell(1)])]
    {
        let outer = automaton.member(automaton.start(), member.as_bytes());
        let inner = automaton.member(settled(&automaton, outer, DOUBLED), b"deep");
        let inner = settled(&automaton, inner, br#"{"a":1,"note":2}"#);
        let note = automaton.member(inner, b"note");
        assert_eq!((automaton.marks(note), automaton.doubtful(note)), (sure, doubtful), "{member}");
    }
}

#[test]
fn filters_that_multiply_or_decide_whose_data_it_is_are_refused() {
    let texts: Vec<String> = (0..9).map(|n| format!("$.a[?@.n{n}].b")).collect();
    let rules: Vec<(&str, Mark)> = texts.iter().map(|text| (text.as_str(), cell(0))).collect();
    assert!(compiled(&rules[..8]).is_ok());
    assert_eq!(compiled(&rules).err(), Some(CompileError::TooManyFilters { bound: 8 }));
    // The same filter in a thousand rules is one filter.
    let texts: Vec<String> = (0..1000).map(|n| format!("$.a[?@.kind=='x'].b{n}")).collect();
    let rules: Vec<(&str, Mark)> = texts.iter().map(|text| (text.as_str(), cell(0))).collect();
    assert!(compiled(&rules).is_ok());

    let subject = Mark::Subject(RoleIndex(0));
    for rules in [
        &[("$.data[?@.a]", Mark::Each)][..],
        &[("$.data[?@.a].id", subject)],
        &[("$.meta[?@.a]", Mark::Count(CellId(0)))],
        &[("$.data[*]", Mark::Each), ("$.data[?@.a].b", cell(0))],
        &[("$.data[*]", Mark::Each), ("$[?@.a].b", cell(0))],
        &[("$.data[*].id", subject), ("$.data[?@.a].b", cell(0))],
        &[("$..id", subject), ("$.data[?@.a].b", cell(0))],
    ] {
        assert_eq!(compiled(rules).err(), Some(CompileError::FilteredAnchor), "{rules:?}");
    }
    let beside = [
        ("$.data[*]", Mark::Each),
        ("$.data[*].id", subject),
        ("$.data[*].items[?@.kind=='x'].note", cell(0)),
    ];
    assert!(compiled(&beside).is_ok());
}

/// Rules with filters, input, what leaves.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn a_filtered_value_is_held_judged_and_treated_at_every_split() {
    use crate::engine::{Engine, release};
    let phones: &[(&str, &str)] = &[("$.phones[?@.kind=='work'].number", "keep"), ("$.n", "keep")];
    let both: &[(&str, &str)] =
        &[("$.phones[*].number", "keep"), ("$.phones[?@.kind=='home'].number", "mask last 4")];
    let list: &[(&str, &str)] = &[
        ("$.data[*]", "each"),
        ("@.id", "subject 0"),
        ("@.id", "keep"),
        ("@.tags[?@=='public']", "keep"),
        ("@.phones[?@.kind=='work' && @.n > 2].number", "keep"),
    ];
    let cases: [Case<'_>; 8] = [
        (
            phones,
            r#"{"phones":[{"number":"1","kind":"work"},{"kind":"home","number":"2"},7],"n":1}"#,
            r#"{"phones":[{"number":"1"}],"n":1}"#,
        ),
        (
            phones,
            r#"{"phones" : [ {"kind":"home"} , {"number":{"a":1},"kind":"work"} ] , "n":2}"#,
            r#"{"phones" : [ {} ] , "n":2}"#,
        ),
        // Doubled members: nobody knows which one counts, so nothing leaves by them.
        (
            phones,
            r#"{"phones":[{"number":"1","kind":"work","kind":"home"}],"n":1}"#,
            r#"{"phones":[{}],"n":1}"#,
        ),
        (
            both,
            r#"{"phones":[{"number":"555123456","kind":"home"},{"number":"555","kind":"work"}]}"#,
            r#"{"phones":[{"number":"****3456"},{"number":"555"}]}"#,
        ),
        (
            both,
            r#"{"phones":[{"number":"555123456","kind":"home","kind":"work"}]}"#,
            r#"{"phones":[{"number":"****3456"}]}"#,
        ),
        (
            list,
            r#"{"data":[{"tags":["public","secret"],"id":1,"phones":[{"kind":"work","n":3,"number":"x"}]},{"id":2,"phones":[{"kind":"work","n":2,"number":"CANARY"}]}]}"#,
            r#"{"data":[{"tags":["public"],"id":1,"phones":[{"number":"x"}]},{"id":2,"phones":[]}]}"#,
        ),
        (phones, r#"{"phones":[],"n":0}"#, r#"{"phones":[],"n":0}"#),
        // What several rules tighten around a filtered value stays as tight inside it.
        (
            &[
                ("$.phones", "mask last 4"),
                ("$.phones", "redact"),
                ("$.phones[?@[0]=='x']", "keep"),
            ],
            r#"{"phones":[["x","CANARY"],["y","CANARY"]]}"#,
            r#"{"phones":[["****","****"],["****","****"]]}"#,
        ),
    ];
    for (rules, input, expected) in cases {
        let outcome = Engine::new(rules, Unlisted::Remove).everywhere(input.as_bytes(), release);
        assert_eq!(outcome.expect("JSON").text, expected, "{rules:?} over {input}");
    }
    let mut small = Engine::new(phones, Unlisted::Remove);
    small.limits.element_bytes = 40;
    let input = r#"{"phones":[{"number":"1","kind":"work","x":"................"}],"n":1}"#;
    let found = small.everywhere(input.as_bytes(), release).expect_err("too large to be held");
    assert_eq!(found.kind, tamis::minimize::MalformedKind::Element);
}
