//! Random documents under random rules: the engine, in random chunks, against the oracle.
//!
//! Seeded, so that a failure can be run again: the panic names the document's number.

use tamis::policy::automaton::Unlisted;
use tamis::policy::path::Selector;

use crate::engine::{Engine, RuleText, release};
use crate::oracle::{Act, Rule, read, rewrite};

/// A generator of our own: the same documents on every machine and with every version of a crate.
struct Random(u64);

/// Bytes that make a document doubtful where they stand by chance.
const FAULTS: &[u8] = b"\"\\{}[]:,0-.eEtn \x01\xff\xc3u";

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn blanks(&mut self, out: &mut String) {
        if self.below(4) == 0 {
            for _ in 0..self.below(4) {
                out.push_str(self.pick(&[" ", "\n", "\t", "\r\n", "        "]));
            }
        }
    }

    fn name(&mut self, out: &mut String) {
        out.push_str(self.pick(&[
            r#""a""#,
            r#""b""#,
            r#""id""#,
            r#""email""#,
            r#""\u0061""#,
            r#""\u0065mail""#,
            r#""""#,
            r#""größe""#,
            r#""a\\""#,
            r#""a\"b""#,
            r#""\ud83d\ude00""#,
            r#""a long name of more than sixteen bytes""#,
        ]));
    }

    fn scalar(&mut self, out: &mut String) {
        out.push_str(self.pick(&[
            "null",
            "true",
            "false",
            "0",
            "-1",
            "12.50",
            "1e999",
            "-0.0E+2",
            "123456789012345678901",
            r#""""#,
            r#""x""#,
            r#""\\""#,
            r#""\"{}[],:""#,
            r#""Testina Musterfrau""#,
            r#""größe 😀 \u00e9\n""#,
            r#""\ud834\udd1e""#,
            r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#,
        ]));
    }

    fn value(&mut self, depth: usize, out: &mut String) {
        let kind = if depth == 0 { 9 } else { self.below(10) };
        let object = match kind {
            0..=3 => true,
            4..=5 => false,
            _ => return self.scalar(out),
        };
        out.push(if object { '{' } else { '[' });
        self.blanks(out);
        let members = self.below(5);
        for member in 0..members {
            if member > 0 {
                out.push(',');
                self.blanks(out);
            }
            if object {
                self.name(out);
                self.blanks(out);
                out.push(':');
                self.blanks(out);
            }
            self.value(depth - 1, out);
            self.blanks(out);
        }
        out.push(if object { '}' } else { ']' });
    }

    /// A document; one in four with a fault somewhere.
    fn document(&mut self) -> Vec<u8> {
        let mut text = String::new();
        self.blanks(&mut text);
        let depth = 1 + self.below(5);
        self.value(depth, &mut text);
        self.blanks(&mut text);
        let mut bytes = text.into_bytes();
        if self.below(4) == 0 {
            let at = self.below(bytes.len());
            let odd = FAULTS[self.below(FAULTS.len())];
            match self.below(4) {
                0 => bytes.truncate(at),
                1 => {
                    bytes.remove(at);
                }
                2 => bytes[at] = odd,
                _ => bytes.insert(at, odd),
            }
        }
        bytes
    }

    fn rules(&mut self) -> Vec<(&'static str, Act, bool)> {
        (0..self.below(5))
            .map(|_| {
                let selector = self.pick(&[
                    "$",
                    "$.a",
                    "$.b",
                    "$.a.b",
                    "$..a",
                    "$..email",
                    "$.*",
                    "$..*",
                    "$[*]",
                    "$[0]",
                    "$[1:]",
                    "$[::2]",
                    "$[1:3].a",
                    "$..[1]",
                    "$.a[*].b",
                    "$..a.b",
                    "$['a','id']",
                    "$..['email',0]",
                    "$.a..id",
                    "$.*.*",
                    "$['']",
                    "$['größe']",
                    "$['a\"b']",
                    "$..['a long name of more than sixteen bytes']",
                    "$['😀']",
                    "$..b[*]..a",
                ]);
                (selector, Act::ALL[self.below(4)], self.below(2) == 0)
            })
            .collect()
    }
}

fn check(number: u64, random: &mut Random) {
    let document = random.document();
    let rules = random.rules();
    let unlisted = if random.below(2) == 0 { Unlisted::Keep } else { Unlisted::Remove };
    let texts: Vec<String> = rules
        .iter()
        .map(|(_, act, subtree)| {
            format!("{}{}", if *subtree { "subtree " } else { "" }, act.text())
        })
        .collect();
    let pairs: Vec<RuleText<'_>> = rules
        .iter()
        .zip(&texts)
        .map(|((selector, _, _), text)| (*selector, text.as_str()))
        .collect();
    let engine = Engine::new(&pairs, unlisted);
    let mut chunks = Vec::new();
    let mut rest = &document[..];
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(1 + random.below(rest.len().min(90)));
        chunks.push(chunk);
        rest = after;
    }
    let context =
        || format!("document {number}: {} under {pairs:?}", String::from_utf8_lossy(&document));

    let whole = engine.whole(&document).map_err(|(malformed, _)| malformed);
    let chunked = engine.run(chunks, release).map_err(|(malformed, _)| malformed);
    assert_eq!(whole, chunked, "{}", context());

    let tree = read(&document);
    assert_eq!(whole.is_ok(), tree.is_some(), "{whole:?} {}", context());
    let (Ok(outcome), Some(tree)) = (whole, tree) else { return };
    let rules: Vec<Rule> = rules
        .iter()
        .map(|(selector, act, subtree)| Rule {
            selector: Selector::parse(selector).expect("a selector"),
            act: *act,
            subtree: *subtree,
        })
        .collect();
    let expected = rewrite(&rules, unlisted, &tree);
    let found = read(outcome.text.as_bytes())
        .unwrap_or_else(|| panic!("no JSON: {} {}", outcome.text, context()));
    assert_eq!(found, expected, "{}", context());
    if expected == tree && outcome.tally.cells.iter().all(|count| *count == 0) {
        assert_eq!(outcome.text.as_bytes(), document, "untouched bytes {}", context());
    }
}

/// Some seconds on two cores; a run of millions is made by hand with `TAMIS_DOCUMENTS`.
const DOCUMENTS: u64 = 200_000;

#[test]
fn random_documents_come_out_as_the_oracle_says() {
    let documents = std::env::var("TAMIS_DOCUMENTS").ok().and_then(|text| text.parse().ok());
    for number in 0..documents.unwrap_or(DOCUMENTS) {
        check(number, &mut Random((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    }
}
