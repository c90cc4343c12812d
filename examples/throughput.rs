//! One table: how fast the JSON rewriter is beside serde_json parse-and-print, and how much memory it
//! needs, on user lists generated from a seed.
//!
//! `cargo run --release --example throughput [MEGABYTES]` (64 by default). The rewriter takes chunks
//! of 16 KiB and its output is thrown away as it comes, as on a socket.

use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

#[path = "../benches/corpus/mod.rs"]
mod corpus;

use corpus::{Rules, rewrite};

const REPETITIONS: usize = 5;

/// Most memory this process ever had, in KiB; Linux only.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..REPETITIONS)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[REPETITIONS / 2]
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let megabytes: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(64);

    // The memory figure comes first, from records made as they are needed: the body is never whole.
    for size in [1, megabytes] {
        let before = peak_kib();
        let bytes = Rules::Dense.engine().stream(size << 20);
        let grown = peak_kib().zip(before).map(|(after, before)| after - before);
        let grown = grown.map_or("unknown".to_owned(), |kib| format!("{kib} KiB"));
        writeln!(out, "streaming {:>5} MiB: peak memory grew by {grown}", bytes >> 20)?;
    }

    let body = corpus::users(megabytes << 20);
    // Bytes in a microsecond are megabytes in a second.
    let rate = |time: Duration| body.len() as u128 / time.as_micros().max(1);
    writeln!(out, "\n| {megabytes} MiB user list | MB/s |\n|---|---|")?;
    let print = median(|| {
        let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        black_box(serde_json::to_vec(&value).expect("JSON"));
    });
    writeln!(out, "| serde_json parse and print | {} |", rate(print))?;
    for rules in Rules::ALL {
        let engine = rules.engine();
        let time = median(|| {
            black_box(rewrite(&engine, &body));
        });
        writeln!(out, "| rewrite, {} | {} |", rules.title(), rate(time))?;
    }
    Ok(())
}
