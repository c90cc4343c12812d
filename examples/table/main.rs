//! One table: how fast the JSON rewriter is beside its peers, in one run, and what memory it needs.
//!
//! `cargo run --release --example table [ROUNDS]` prints Markdown; `docs/PERFORMANCE.md` says how to
//! read it. Figures are CPU time of one thread. All cases of a section take turns, and what is
//! compared is what was measured in the same turn, so that a busy machine disturbs both sides alike.

use std::io::{self, Write};

mod clock;
#[path = "../../benches/corpus/mod.rs"]
#[allow(dead_code, reason = "shared with the bench and the counts; each takes its part")]
mod corpus;
mod memory;
mod sections;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What the memory section runs as its children.
    if let [flag, rules, bytes] = arguments.as_slice()
        && flag == memory::FLAG
    {
        return memory::child(rules, bytes, &mut out);
    }
    let rounds = match arguments.as_slice() {
        [] => 21,
        [rounds] => rounds.parse().map_err(|_| io::Error::other("usage: table [ROUNDS]"))?,
        _ => return Err(io::Error::other("usage: table [ROUNDS]")),
    };
    writeln!(out, "{rounds} rounds on {}", processor())?;
    sections::users(rounds, &mut out)?;
    sections::rule_counts(rounds, &mut out)?;
    sections::corpora(rounds, &mut out)?;
    sections::sizes(rounds, &mut out)?;
    sections::chunks(rounds, &mut out)?;
    sections::compilation(rounds, &mut out)?;
    memory::section(&mut out)?;
    writeln!(out)
}

/// What the kernel calls the processor.
fn processor() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model
        .map_or("a processor without a name", |text| text.trim_start_matches(['\t', ':', ' ']));
    model.to_owned()
}
