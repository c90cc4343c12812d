//! Repetitions that take turns, on a clock that counts only this thread's own work.

use rustix::time::{ClockId, clock_gettime};

/// How long one repetition lasts at least, in nanoseconds: far above what the clock resolves, far
/// below the slices in which a busy machine hands out its cores.
const REPETITION: f64 = 4e6;

/// Work that is measured.
pub(crate) struct Job<'a> {
    pub(crate) title: String,
    /// How many bytes one call takes in.
    pub(crate) bytes: usize,
    pub(crate) run: Box<dyn FnMut() + 'a>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(title: &str, bytes: usize, run: impl FnMut() + 'a) -> Self {
        Self { title: title.to_owned(), bytes, run: Box::new(run) }
    }
}

/// One job in every round: nanoseconds a call.
pub(crate) struct Figures {
    pub(crate) title: String,
    bytes: usize,
    rounds: Vec<f64>,
}

impl Figures {
    /// Gigabytes a second, the median.
    pub(crate) fn gigabytes(&self) -> f64 {
        exact(self.bytes) / median(&self.rounds)
    }

    /// Milliseconds a call, the median.
    pub(crate) fn milliseconds(&self) -> f64 {
        median(&self.rounds) / 1e6
    }

    /// Half the distance between the quartiles, in percent of the median.
    pub(crate) fn spread(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[sorted.len() / 4], sorted[sorted.len() * 3 / 4]);
        50.0 * (high - low) / median(&self.rounds)
    }

    /// How many times as fast as `other`, byte for byte: the median over the rounds.
    pub(crate) fn times(&self, other: &Self) -> f64 {
        let scale = exact(self.bytes) / exact(other.bytes);
        let ratios: Vec<f64> =
            self.rounds.iter().zip(&other.rounds).map(|(own, their)| scale * their / own).collect();
        median(&ratios)
    }
}

/// Bodies are far below the 2^53 bytes to which a float is exact.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn exact(count: usize) -> f64 {
    count as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Nanoseconds that this thread has worked.
fn worked() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    #[allow(clippy::cast_precision_loss, reason = "a process of minutes")]
    let seconds = time.tv_sec as f64;
    #[allow(clippy::cast_precision_loss, reason = "below 1e9")]
    let nanoseconds = time.tv_nsec as f64;
    seconds * 1e9 + nanoseconds
}

fn time(run: &mut dyn FnMut(), calls: u32) -> f64 {
    let begin = worked();
    for _ in 0..calls {
        run();
    }
    (worked() - begin) / f64::from(calls)
}

/// Runs all jobs once in each round, in turn.
pub(crate) fn take_turns(mut jobs: Vec<Job<'_>>, rounds: usize) -> Vec<Figures> {
    let calls: Vec<u32> = jobs
        .iter_mut()
        .map(|job| {
            // The first call warms caches and allocator up; the second says how long one takes.
            (job.run)();
            let once = time(&mut job.run, 1).max(50.0);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "≤ 8e4")]
            let calls = (REPETITION / once).ceil() as u32;
            calls
        })
        .collect();
    let mut figures: Vec<Figures> = jobs
        .iter()
        .map(|job| Figures { title: job.title.clone(), bytes: job.bytes, rounds: Vec::new() })
        .collect();
    for _ in 0..rounds.max(1) {
        for ((job, calls), figures) in jobs.iter_mut().zip(&calls).zip(&mut figures) {
            figures.rounds.push(time(&mut job.run, *calls));
        }
    }
    figures
}
