//! Writes access-log lines from a thread of its own, so that a slow disk or pipe never holds up a
//! request. Lines beyond what may wait are dropped and counted.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::cold::coarser;
use super::log_file::{HOUR, Life, LogFile, append};
use super::visitor::Salts;
use super::{AccessLine, Event, Metrics};
use crate::policy::model::AccessLogRules;

/// Lines that may wait for the writer: about three megabytes, a second of a busy gateway.
const WAITING_LINES: usize = 8192;

/// How long lines gather after some were written: a thread that is woken for each costs more than all
/// that is written. What may wait is enough for 800,000 lines a second.
const BREATH: Duration = Duration::from_millis(10);

/// How often segments are looked at whose time may have come.
const UPKEEP: Duration = Duration::from_mins(1);

/// Where access-log lines go.
pub struct AccessLog {
    queue: Option<mpsc::SyncSender<String>>,
    /// The file was moved away.
    moved: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    salts: Arc<Salts>,
    /// What is kept for how long, if the rules were changed since the writer looked.
    life: Arc<Mutex<Option<Life>>>,
    /// Lines are out of reach where they go: they can be made neither coarser later nor deleted.
    is_stream: bool,
    /// The rules ask for a deletion that cannot be done here, and it was said.
    is_told: AtomicBool,
    metrics: Arc<Metrics>,
}

impl AccessLog {
    /// Lines go to standard output. What goes there is out of reach: it is written in the coarser form
    /// that the rules ask for later, and whoever takes it must delete it.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn stdout(rules: &AccessLogRules, metrics: Arc<Metrics>) -> io::Result<Self> {
        let stdout = Sink::Stream(Box::new(io::stdout()));
        let log = Self::to(stdout, WAITING_LINES, metrics)?;
        log.tell(rules);
        Ok(log)
    }

    /// Lines are appended to a file, which is made for owner and group if it is not there, and kept as
    /// the rules say.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread started.
    pub fn file(path: &Path, rules: &AccessLogRules, metrics: Arc<Metrics>) -> io::Result<Self> {
        let file = LogFile::open(path, Life::of(rules))?;
        Self::to(Sink::File(file), WAITING_LINES, metrics)
    }

    /// Sees to it that [`file`](Self::file) can open this path. Nothing is written.
    ///
    /// # Errors
    /// It cannot.
    pub fn can_be_opened(path: &Path) -> io::Result<()> {
        append(path).map(drop)
    }

    fn to(sink: Sink, waiting: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (queue, queued) = mpsc::sync_channel(waiting);
        let salts = Arc::new(Salts::default());
        let moved = Arc::new(AtomicBool::new(false));
        let life = Arc::new(Mutex::new(None));
        let is_stream = matches!(sink, Sink::Stream(_));
        let mut writer = Writer {
            sink,
            life: Arc::clone(&life),
            kept: Instant::now(),
            salts: Arc::clone(&salts),
            moved: Arc::clone(&moved),
            metrics: Arc::clone(&metrics),
        };
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writer.run(&queued))?;
        let (queue, writer) = (Some(queue), Some(thread));
        let is_told = AtomicBool::new(false);
        Ok(Self { queue, moved, writer, salts, life, is_stream, is_told, metrics })
    }

    /// Queues a line, minimized by the rules that the exchange was decided by. Never waits.
    pub fn write(&self, line: &AccessLine<'_>, rules: &AccessLogRules) {
        let now = Timestamp::now();
        let salt = self.salts.of(line.at, now);
        let mut text = Some(line.render(rules, salt.as_ref()));
        // A segment counts as one hour older than its first line: what began earlier is written in the
        // form that is due soonest.
        if let Some(cold) = &rules.cold
            && (self.is_stream || now.duration_since(line.at) > HOUR)
        {
            text = text.and_then(|text| coarser(text.as_bytes(), cold));
        }
        let queued = text.zip(self.queue.as_ref());
        let queued = queued.map(|(text, queue)| queue.try_send(text));
        if !matches!(queued, Some(Ok(()))) {
            Event::LogLineDropped.emit(&self.metrics);
        }
    }

    /// From the next line on what was written is kept as these rules say.
    pub fn follow(&self, rules: &AccessLogRules) {
        self.tell(rules);
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Some(Life::of(rules));
    }

    /// Says what the rules ask for and this log cannot do; once, until they ask for it no more.
    fn tell(&self, rules: &AccessLogRules) {
        let asks = self.is_stream && rules.delete_after.is_some();
        if !self.is_told.swap(asks, Ordering::Relaxed) && asks {
            let why = "standard output cannot be deleted: whoever takes the lines must do it";
            Event::LogNotKept { why }.emit(&self.metrics);
        }
    }

    /// From the next line on the file is opened anew: somebody moved it away.
    pub fn reopen(&self) {
        self.moved.store(true, Ordering::Release);
    }
}

impl Drop for AccessLog {
    /// Writes what is queued.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

enum Sink {
    Stream(Box<dyn Write + Send>),
    File(LogFile),
}

/// The thread that writes.
struct Writer {
    sink: Sink,
    life: Arc<Mutex<Option<Life>>>,
    /// When segments were looked at last.
    kept: Instant,
    salts: Arc<Salts>,
    moved: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(&mut self, queue: &mpsc::Receiver<String>) {
        self.keep();
        loop {
            match queue.recv_timeout(UPKEEP.saturating_sub(self.kept.elapsed())) {
                Ok(first) => {
                    let mut text = first;
                    let mut count = 1;
                    for line in queue.try_iter().take(WAITING_LINES) {
                        text.push_str(&line);
                        count += 1;
                    }
                    self.write(&text, count);
                    std::thread::sleep(BREATH);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.kept.elapsed() >= UPKEEP {
                self.keep();
            }
        }
    }

    fn write(&mut self, lines: &str, count: usize) {
        if self.moved.swap(false, Ordering::Acquire) {
            self.reopen();
        }
        self.follow();
        let written = match &mut self.sink {
            Sink::Stream(stream) => {
                stream.write_all(lines.as_bytes()).and_then(|()| stream.flush())
            }
            Sink::File(file) => file.write(lines.as_bytes(), Timestamp::now()),
        };
        if written.is_err() {
            for _ in 0..count {
                Event::LogLineDropped.emit(&self.metrics);
            }
        }
    }

    /// Takes what the rules say now.
    fn follow(&mut self) {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(life), Sink::File(file)) = (life, &mut self.sink) {
            file.follow(life, Timestamp::now());
        }
    }

    fn reopen(&mut self) {
        if let Sink::File(file) = &mut self.sink
            && file.reopen().is_err()
        {
            let why = "the file cannot be opened anew";
            Event::LogNotKept { why }.emit(&self.metrics);
        }
    }

    /// Does what is due: segments, and the salts of days that are over.
    fn keep(&mut self) {
        self.kept = Instant::now();
        let now = Timestamp::now();
        self.salts.forget(now);
        self.follow();
        let Sink::File(file) = &mut self.sink else { return };
        let kept = file.keep(now);
        for _ in 0..kept.lines_lost {
            Event::LogLineDropped.emit(&self.metrics);
        }
        for _ in 0..kept.failed {
            let why = "a segment can neither be made coarser nor deleted";
            Event::LogNotKept { why }.emit(&self.metrics);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::AccessDecision;
    use crate::policy::model::{Coarser, Cold};

    /// Takes nothing until it is told to.
    struct Stuck(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().expect("no test panics here").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(log: &AccessLog) {
        log.write(&a_line(), &AccessLogRules::default());
    }

    fn a_line<'a>() -> AccessLine<'a> {
        AccessLine {
            at: Timestamp::UNIX_EPOCH,
            method: &http::Method::GET,
            route: None,
            status: 404,
            bytes: 0,
            took: Duration::ZERO,
            recipient: None,
            purposes: &[],
            client: [127, 0, 0, 1].into(),
            user_agent: None,
            referrer: None,
            headers: &[],
            authority: None,
            decision: AccessDecision::Own,
            decision_id: None,
            tls: None,
        }
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_holds_up_nobody() {
        let (go, stuck) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let metrics = Arc::new(Metrics::new());
        let sink = Sink::Stream(Box::new(Stuck(stuck, Arc::clone(&written))));
        let log = AccessLog::to(sink, 4, Arc::clone(&metrics)).expect("threads can be started");
        // At most 4 wait, and what the writer holds: one that it took, or 5 with what came after.
        for _ in 0..50 {
            line(&log);
        }
        drop(go);
        drop(log);
        let lines =
            written.lock().expect("no test panics here").split(|byte| *byte == b'\n').count() - 1;
        assert!((4..=9).contains(&lines), "{lines}");
        let dropped = format!("tamis_access_log_dropped_total {}", 50 - lines);
        assert!(metrics.text().contains(&dropped), "{dropped}");
    }

    #[test]
    fn what_cannot_be_made_coarser_later_is_written_so_at_once() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (go, open) = mpsc::channel();
        drop(go);
        let sink = Sink::Stream(Box::new(Stuck(open, Arc::clone(&written))));
        let log = AccessLog::to(sink, 4, Arc::new(Metrics::new())).expect("threads can start");
        let fields = vec![("time".to_owned(), Coarser::Day), ("route".to_owned(), Coarser::Remove)];
        let cold = Some(Cold { after: HOUR, fields });
        log.write(&a_line(), &AccessLogRules { cold, ..AccessLogRules::default() });
        drop(log);
        let text = written.lock().expect("no test panics here").clone();
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(text.starts_with("{\"time\":\"1970-01-01T00:00:00Z\",\"method\""), "{text}");
        assert!(!text.contains("route"), "{text}");
    }

    #[test]
    fn a_deletion_that_cannot_be_done_is_told_when_rules_begin_to_ask_for_it() {
        let (_go, stuck) = mpsc::channel();
        let metrics = Arc::new(Metrics::new());
        let sink = Sink::Stream(Box::new(Stuck(stuck, Arc::default())));
        let log = AccessLog::to(sink, 4, Arc::clone(&metrics)).expect("threads can be started");
        let plain = AccessLogRules::default();
        let deleting = AccessLogRules { delete_after: Some(HOUR), ..AccessLogRules::default() };
        for (rules, told) in
            [(&plain, 0), (&deleting, 1), (&deleting, 1), (&plain, 1), (&deleting, 2)]
        {
            log.follow(rules);
            let counted = format!("tamis_access_log_not_kept_total {told}");
            assert!(metrics.text().contains(&counted), "{counted}");
        }
    }

    #[test]
    fn lines_are_in_the_file_when_the_log_is_closed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("access.jsonl");
        let rules = AccessLogRules::default();
        let log = AccessLog::file(&path, &rules, Arc::new(Metrics::new())).expect("opens");
        line(&log);
        line(&log);
        drop(log);
        let text = std::fs::read_to_string(path).expect("readable");
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("{\"time\":\"1970-01-01T00:00:00Z\",\"method\":\"GET\""));
    }
}
