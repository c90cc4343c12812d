//! The rewriter against the oracle, from bytes: rules from the first of them, cuts from the next, the
//! document from the rest. The comparison is the one of the seeded test.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/promises/differential/compare.rs"]
mod compare;
#[path = "../../tests/promises/engine.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod engine;
#[path = "../../tests/promises/oracle/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests, which use more of it")]
mod oracle;

use compare::{Case, compare};
use oracle::{Act, Path, Rest, Rule, Segment, Step, What};

/// Longest document: what hides in long ones hides in several blocks as well.
const LONGEST: usize = 4096;

const NAMES: [&str; 8] = ["a", "b", "id", "data", "total", "", "größe", "a\"b"];

const ACTS: [Act; 6] = [Act::Keep, Act::Redact, Act::Blank, Act::Remove, Act::Drop, Act::Refuse];

/// Bytes that are read off one by one; zeros when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn step(&mut self) -> Step {
        let byte = self.next();
        match byte % 8 {
            0..=4 => Step::Name(NAMES[byte / 8 % NAMES.len()].to_owned()),
            5 => Step::Wildcard,
            6 => Step::Index(byte / 8 % 4),
            _ => {
                let start = byte / 8 % 4;
                let end = (byte & 0x20 != 0).then_some(start + 1 + byte / 64);
                Step::Slice { start: Some(start), end, step: Some(1 + byte / 64) }
            }
        }
    }

    fn segments(&mut self, most: usize) -> Vec<Segment> {
        let shape = self.next();
        (0..shape % (most + 1))
            .map(|segment| {
                let mut steps = vec![self.step()];
                if shape & 0x80 >> segment != 0 {
                    steps.push(self.step());
                    steps.dedup();
                }
                Segment { descendant: shape & 0x10 >> segment != 0, steps }
            })
            .collect()
    }

    fn rules(&mut self) -> (Vec<Rule>, Rest) {
        let shape = self.next();
        let list = shape & 1 != 0;
        let rest = if !list && shape & 2 != 0 { Rest::Keep } else { Rest::Remove };
        let star = Segment { descendant: false, steps: vec![Step::Wildcard] };
        let each = list.then(|| [self.segments(2), vec![star.clone()]].concat());
        let prefix = each.clone().unwrap_or_default();
        let mut rules = Vec::new();
        for _ in 0..shape >> 2 & 3 {
            let what = self.next();
            let before = if what & 0x40 == 0 { &prefix[..] } else { &[] };
            let path = Path::new([before, &self.segments(3)].concat());
            let what = match what >> 4 & 3 {
                0 if list => What::Subject(u8::from(what & 1 != 0)),
                _ => What::Cell(ACTS[what % ACTS.len()], what & 8 != 0),
            };
            rules.push(Rule { path, what });
        }
        // Names of members, and people who are named by them.
        if shape & 0x20 != 0 {
            let what = self.next();
            let path = Path::new([self.segments(2), vec![star]].concat());
            let what = What::Name(ACTS[what % ACTS.len()], what & 8 != 0);
            rules.push(Rule { path, what });
        }
        if let Some(each) = each.clone().filter(|_| shape & 0x40 != 0) {
            rules.push(Rule { path: Path::new(each), what: What::Named(0) });
        }
        if list && shape & 0x10 != 0 {
            let total = Segment { descendant: false, steps: vec![Step::Name("total".to_owned())] };
            rules.push(Rule { path: Path::new(vec![total]), what: What::Count(Act::Keep) });
        }
        rules.extend(each.map(|each| Rule { path: Path::new(each), what: What::Each }));
        (rules, rest)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (rules, rest) = bytes.rules();
    let salt = bytes.next() as u64;
    let cuts = vec![1 + bytes.next(), 1 + bytes.next()];
    let document = bytes.0[..bytes.0.len().min(LONGEST)].to_vec();
    let case = Case { document, rules, rest, salt, cuts };
    if let Err(difference) = compare(&case) {
        panic!("{difference}");
    }
});
