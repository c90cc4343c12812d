//! How long a thousand selectors take to become one automaton, beside serde_json parsing 1 MB.
//!
//! `cargo run --release --example compile`. CPU time of this thread, the best and the median of
//! eleven runs. Selectors are parsed beforehand, and parsing has its own column.

use std::hint::black_box;
use std::io::{self, Write};

use rustix::time::{ClockId, clock_gettime};
use tamis::policy::automaton::{Automaton, CellId, Mark, Unlisted};
use tamis::policy::path::Selector;

const RULES: usize = 1000;
const REPETITIONS: usize = 11;

/// Nanoseconds that this thread has run.
fn cpu_nanoseconds() -> i128 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// (best, median) in microseconds.
fn time(mut run: impl FnMut()) -> (i128, i128) {
    let mut times = Vec::with_capacity(REPETITIONS);
    for _ in 0..REPETITIONS {
        let begin = cpu_nanoseconds();
        run();
        times.push((cpu_nanoseconds() - begin) / 1000);
    }
    times.sort_unstable();
    (times[0], times[REPETITIONS / 2])
}

/// A name, and the selector of each number.
type Shape = (&'static str, fn(usize) -> String);

fn catalogue() -> impl Iterator<Item = String> {
    (0..42).map(|leaf| format!("$.data[*].part{}.leaf{leaf}", leaf % 6))
}

fn main() -> io::Result<()> {
    let row = "{\"id\":1234567,\"name\":\"Nobody Invented\",\"tags\":[\"a\",\"b\"],\"open\":true}";
    let body = format!("[{}]", vec![row; 1_000_000 / row.len()].join(","));
    let (best, median) = time(|| {
        let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        black_box(value);
    });
    let mut out = io::stdout().lock();
    writeln!(out, "serde_json, parse 1 MB into a tree: {best} us best, {median} us median\n")?;
    writeln!(out, "| {RULES} rules | states | parse us | compile us, best / median | of 1 MB |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    let shapes: [Shape; 7] = [
        ("`$..name<n>`", |n| format!("$..name{n}")),
        ("`$..a.name<n>`", |n| format!("$..a.name{n}")),
        ("`$..name<n>.a`", |n| format!("$..name{n}.a")),
        ("four deep", |n| format!("$.a{}.b{}.c{}.name{n}", n % 10, n % 7, n % 3)),
        ("`$.list[<n>].name`", |n| format!("$.list[{n}].name")),
        ("mixed", |n| match n % 3 {
            0 => format!("$..name{n}"),
            1 => format!("$.data[*].part{}.name{n}", n % 6),
            _ => format!("$.meta.*.name{n}"),
        }),
        ("multiplying, refused", |n| format!("$..a{}", ".*".repeat(n % 24))),
    ];
    for (shape, rule) in shapes {
        let texts: Vec<String> = (0..RULES).map(rule).chain(catalogue()).collect();
        let parse = |text: &String| Selector::parse(text).expect("a selector");
        let (parsing, _) = time(|| {
            black_box(texts.iter().map(parse).collect::<Vec<_>>());
        });
        let rules: Vec<(Selector, Mark)> = (0..)
            .zip(texts.iter().map(parse))
            .map(|(cell, selector)| {
                (selector, Mark::Cell { cell: CellId(cell), subtree: cell % 7 == 0 })
            })
            .collect();
        let states = Automaton::compile(&rules, Unlisted::Remove)
            .map_or_else(|_| "-".to_owned(), |automaton| automaton.state_count().to_string());
        let (compile_best, compile_median) = time(|| {
            black_box(Automaton::compile(&rules, Unlisted::Remove).is_ok());
        });
        let percent = compile_best * 100 / best.max(1);
        writeln!(
            out,
            "| {shape} | {states} | {parsing} | {compile_best} / {compile_median} | {percent} % |"
        )?;
    }
    Ok(())
}
