//! One case, so many times: what `scripts/instructions` counts the instructions of.
//!
//! `instructions` lists the cases; `instructions CASE PEER|tamis CALLS` runs one. Body and rules are
//! made each time anew; the script takes the difference of two counts, in which that goes out.

use std::hint::black_box;
use std::io::{self, Write};

#[path = "../benches/corpus/mod.rs"]
#[allow(dead_code, reason = "shared with the bench and the table; each takes its part")]
mod corpus;

use corpus::bodies::{self, Spelling};
use corpus::drive::CHUNK;
use corpus::peers;
use corpus::rules::Rules;

/// Some sixteen chunks: enough to be in the steady state, little enough for an instrumented run.
const SIZE: usize = 256 << 10;

/// Name, body and rules.
type Case = (&'static str, fn() -> Vec<u8>, Rules);

/// The names stand in `benches/instructions.tsv`.
const CASES: [Case; 9] = [
    ("nothing", || bodies::users(SIZE), Rules::Nothing),
    ("descendants", || bodies::users(SIZE), Rules::Descendants),
    ("dense", || bodies::users(SIZE), Rules::Dense),
    ("default-deny", || bodies::users(SIZE), Rules::DefaultDeny),
    ("subjects", || bodies::users(SIZE), Rules::Subjects),
    ("floats", || bodies::floats(SIZE), Rules::Nothing),
    ("timeline", || bodies::timeline(SIZE, Spelling::Plain), Rules::DenseTimeline),
    ("escaped", || bodies::timeline(SIZE, Spelling::Escaped), Rules::Nothing),
    ("one-record", || bodies::users(1 << 10), Rules::DefaultDeny),
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, who, calls] = arguments.as_slice() else {
        let mut out = io::stdout().lock();
        for (name, _, _) in CASES {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    };
    let known = CASES.iter().find(|(name, _, _)| name == case);
    let (_, body, rules) = known.ok_or_else(|| io::Error::other("no such case"))?;
    let calls: usize = calls.parse().map_err(io::Error::other)?;
    let (body, engine) = (body(), rules.engine(1000));
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    for _ in 0..calls {
        if who == "tamis" {
            black_box(engine.rewrite(&body, CHUNK, &mut buffer));
        } else {
            black_box(peers::parse_and_print(&body));
        }
    }
    Ok(())
}
