//! Writes access-log lines from a thread of its own, so that a slow disk or pipe never holds up a
//! request. Lines beyond what may wait are dropped and counted.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use super::{AccessLine, Event, Metrics};
use crate::policy::model::AccessLogRules;

/// Lines that may wait for the writer: about three megabytes, a second of a busy gateway.
const WAITING_LINES: usize = 8192;

/// Where access-log lines go.
pub struct AccessLog {
    lines: Option<mpsc::SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    metrics: Arc<Metrics>,
}

impl AccessLog {
    /// Lines go to standard output.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn stdout(metrics: Arc<Metrics>) -> io::Result<Self> {
        Self::to(Box::new(io::stdout()), WAITING_LINES, metrics)
    }

    /// Lines are appended to a file, which is made for owner and group if it is not there.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread started.
    pub fn file(path: &Path, metrics: Arc<Metrics>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        Self::to(Box::new(file), WAITING_LINES, metrics)
    }

    fn to(sink: Box<dyn Write + Send>, waiting: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (lines, queue) = mpsc::sync_channel(waiting);
        let counted = Arc::clone(&metrics);
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write(sink, &queue, &counted))?;
        Ok(Self { lines: Some(lines), writer: Some(writer), metrics })
    }

    /// Queues a line, minimized by the rules that the exchange was decided by. Never waits.
    pub fn write(&self, line: &AccessLine<'_>, rules: &AccessLogRules) {
        let queued = self.lines.as_ref().map(|lines| lines.try_send(line.render(rules)));
        if !matches!(queued, Some(Ok(()))) {
            Event::LogLineDropped.emit(&self.metrics);
        }
    }
}

impl Drop for AccessLog {
    /// Writes what is queued.
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write(mut sink: Box<dyn Write + Send>, queue: &mpsc::Receiver<String>, metrics: &Metrics) {
    while let Ok(first) = queue.recv() {
        let mut text = first;
        let mut count = 1;
        for line in queue.try_iter().take(WAITING_LINES) {
            text.push_str(&line);
            count += 1;
        }
        let written = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
        if written.is_err() {
            for _ in 0..count {
                Event::LogLineDropped.emit(metrics);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::observe::AccessDecision;

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
        let line = AccessLine {
            at: jiff::Timestamp::UNIX_EPOCH,
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
            authority: None,
            decision: AccessDecision::Own,
            decision_id: None,
            tls: None,
        };
        log.write(&line, &AccessLogRules::default());
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_holds_up_nobody() {
        let (go, stuck) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let metrics = Arc::new(Metrics::new());
        let sink = Box::new(Stuck(stuck, Arc::clone(&written)));
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
    fn lines_are_in_the_file_when_the_log_is_closed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("access.jsonl");
        let log = AccessLog::file(&path, Arc::new(Metrics::new())).expect("opens");
        line(&log);
        line(&log);
        drop(log);
        let text = std::fs::read_to_string(path).expect("readable");
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("{\"time\":\"1970-01-01T00:00:00Z\",\"method\":\"GET\""));
    }
}
