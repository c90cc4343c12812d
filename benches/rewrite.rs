//! The cases of the table, one by one, with criterion's statistics. `cargo bench --bench rewrite`.
//! For figures that are compared with each other take the table: its cases take turns.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[allow(dead_code, reason = "shared with the table and the counts; each takes its part")]
mod corpus;

use corpus::bodies::{self, Spelling};
use corpus::drive::CHUNK;
use corpus::peers;
use corpus::rules::Rules;

const MEGABYTE: usize = 1 << 20;

fn measure(criterion: &mut Criterion) {
    let list = [
        Rules::Nothing,
        Rules::Miss,
        Rules::Descendants,
        Rules::Dense,
        Rules::DensePaths,
        Rules::DefaultDeny,
        Rules::Subjects,
        Rules::Subtree,
        Rules::Descending(1000),
        Rules::Paths(1000),
    ];
    let timeline = [Rules::Nothing, Rules::DenseTimeline];
    let few = [Rules::Nothing, Rules::Dense];
    let bodies: [(&str, Vec<u8>, &[Rules]); 7] = [
        ("1 MB user list", bodies::users(MEGABYTE), &list),
        ("1 KB user list", bodies::users(1 << 10), &few),
        ("10 KB user list", bodies::users(10 << 10), &few),
        ("pretty user list", bodies::pretty(MEGABYTE), &few),
        ("timeline, UTF-8", bodies::timeline(MEGABYTE, Spelling::Plain), &timeline),
        ("timeline, escaped", bodies::timeline(MEGABYTE, Spelling::Escaped), &timeline),
        ("floats", bodies::floats(MEGABYTE), &few),
    ];
    for (title, body, rules) in bodies {
        let mut group = criterion.benchmark_group(title);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("serde_json parse and print", |bencher| {
            bencher.iter(|| black_box(peers::parse_and_print(&body)));
        });
        let mut buffer = Vec::with_capacity(2 * CHUNK);
        for rules in rules {
            let engine = rules.engine(2000);
            group.bench_function(rules.title(), |bencher| {
                bencher.iter(|| black_box(engine.rewrite(&body, CHUNK, &mut buffer)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, measure);
criterion_main!(benches);
