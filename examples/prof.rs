//! tmp
#[path = "/work/wt/engine/benches/corpus/mod.rs"]
mod corpus;
use corpus::{Rules, rewrite};
fn main() {
    let which: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let reps: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let body = corpus::users(1 << 20);
    let engine = Rules::ALL[which].engine();
    let mut best = u64::MAX;
    let mut all = vec![];
    let cpu = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
    };
    for _ in 0..reps {
        let a = cpu();
        std::hint::black_box(rewrite(&engine, &body));
        let d = cpu() - a;
        best = best.min(d);
        all.push(d);
    }
    all.sort();
    println!(
        "{which}: best {} median {} MB/s",
        body.len() as u64 * 1000 / best,
        body.len() as u64 * 1000 / all[reps / 2]
    );
}
