//! The JSON rewriter on a 1 MB user list, beside serde_json. `cargo bench --bench rewrite`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod corpus;

use corpus::{Rules, rewrite};

fn measure(criterion: &mut Criterion) {
    let body = corpus::users(1 << 20);
    let mut group = criterion.benchmark_group("1 MB user list");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("serde_json parse and print", |bencher| {
        bencher.iter(|| {
            let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            black_box(serde_json::to_vec(&value).expect("JSON"))
        });
    });
    for rules in Rules::ALL {
        let engine = rules.engine();
        group.bench_function(rules.title(), |bencher| {
            bencher.iter(|| black_box(rewrite(&engine, &body)));
        });
    }
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
