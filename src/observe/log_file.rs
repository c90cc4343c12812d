//! The access log's file, kept as the rules say: cut into one segment an hour, written anew in its
//! coarser form when lines are old enough for it, deleted when their time is over.
//!
//! A segment counts as old as the oldest line that may stand in it, so that nothing is kept longer
//! than said; lines of up to two hours are treated early. What cannot be made coarser is deleted. The
//! clock comes in as an argument.
//!
//! `access.log` is being written; `access.log.2026-06-01T12` was written within that hour;
//! `access.log.2026-06-01T12.cold` is its coarser form.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::cold::coarser;
use crate::policy::model::{AccessLogRules, Cold};

/// What is kept for how long.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) cold: Option<Cold>,
    pub(super) delete_after: Option<SignedDuration>,
}

impl Life {
    pub(super) fn of(rules: &AccessLogRules) -> Self {
        Self { cold: rules.cold.clone(), delete_after: rules.delete_after }
    }

    fn rotates(&self) -> bool {
        self.cold.is_some() || self.delete_after.is_some()
    }
}

/// What went wrong while segments were kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Lines that could not be made coarser and were deleted.
    pub(super) lines_lost: u64,
    /// Segments that could neither be kept as the rules say nor deleted; they are tried again.
    pub(super) failed: u64,
}

/// The file, and the segments beside it.
pub(super) struct LogFile {
    path: PathBuf,
    life: Life,
    file: File,
    /// The hour in which what stands in the file was written; `None`: nothing stands in it.
    hour: Option<Timestamp>,
}

/// Most segments of one hour: as many as a gateway is started anew.
const MOST_IN_AN_HOUR: u32 = 10_000;

/// How long a request may have taken whose line is written within an hour of its start.
pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl LogFile {
    pub(super) fn open(path: &Path, life: Life) -> io::Result<Self> {
        let file = append(path)?;
        let about = file.metadata()?;
        // A file that is left over was written within the hour of its last change.
        let hour = (about.len() > 0).then_some(about.modified()).transpose()?;
        let hour = hour.map(|at| Timestamp::try_from(at).unwrap_or(Timestamp::MIN)).map(hour_of);
        Ok(Self { path: path.to_owned(), life, file, hour })
    }

    /// Appends whole lines.
    pub(super) fn write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        if self.life.rotates() {
            self.rotate(now)?;
            self.hour = Some(hour_of(now));
        }
        self.file.write_all(lines)
    }

    /// Keeps what is written as other rules say. What stood in the file before segments were cut counts
    /// as written in this hour.
    pub(super) fn follow(&mut self, life: Life, now: Timestamp) {
        let is_written = self.file.metadata().map_or(true, |about| about.len() > 0);
        if !self.life.rotates() && is_written {
            self.hour = Some(hour_of(now));
        }
        self.life = life;
    }

    /// Opens the path anew, after somebody moved the file away.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        if self.file.metadata()?.len() == 0 {
            self.hour = None;
        }
        Ok(())
    }

    /// Does what is due with segments.
    pub(super) fn keep(&mut self, now: Timestamp) -> Kept {
        let mut kept = Kept::default();
        if !self.life.rotates() {
            return kept;
        }
        if self.rotate(now).is_err() {
            kept.failed += 1;
        }
        let Ok(segments) = self.segments() else {
            kept.failed += 1;
            return kept;
        };
        for segment in segments {
            let oldest = segment.hour - HOUR;
            let due = |after: SignedDuration| oldest.checked_add(after).is_ok_and(|at| at <= now);
            let outcome = if segment.is_left_over || self.life.delete_after.is_some_and(due) {
                fs::remove_file(&segment.path)
            } else {
                match &self.life.cold {
                    Some(cold) if !segment.is_cold && due(cold.after) => {
                        cool(&segment.path, cold, &mut kept)
                    }
                    Some(_) | None => continue,
                }
            };
            if outcome.is_err() {
                kept.failed += 1;
            }
        }
        kept
    }

    /// Moves the file away when its hour is over.
    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        let Some(hour) = self.hour.filter(|hour| *hour != hour_of(now)) else { return Ok(()) };
        self.file.sync_all()?;
        let name = hour.strftime("%Y-%m-%dT%H").to_string();
        let free = (0..MOST_IN_AN_HOUR)
            .map(|again| match again {
                0 => beside(&self.path, &name),
                again => beside(&self.path, &format!("{name}-{again}")),
            })
            .find(|path| !path.exists() && !beside(path, "cold").exists());
        let full = || io::Error::other("too many segments of one hour");
        let segment = free.ok_or_else(full)?;
        fs::rename(&self.path, &segment)?;
        self.file = append(&self.path)?;
        self.hour = None;
        sync_directory(&self.path)
    }

    fn segments(&self) -> io::Result<Vec<Segment>> {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else {
            return Ok(Vec::new());
        };
        let prefix = format!("{name}.");
        let mut segments = Vec::new();
        for entry in fs::read_dir(directory(&self.path))? {
            let path = entry?.path();
            let rest = path.file_name().and_then(|name| name.to_str());
            let Some(rest) = rest.and_then(|rest| rest.strip_prefix(&prefix)) else { continue };
            segments.extend(Segment::of(rest, &path));
        }
        Ok(segments)
    }
}

/// A file of lines that were written within one hour.
struct Segment {
    path: PathBuf,
    hour: Timestamp,
    is_cold: bool,
    /// A coarser form that was not finished.
    is_left_over: bool,
}

impl Segment {
    /// Reads `2026-06-01T12`, perhaps with `-1` for a second file of that hour, and its form.
    fn of(rest: &str, path: &Path) -> Option<Self> {
        let (name, form) = rest.split_once('.').unwrap_or((rest, ""));
        let (hour, again) = name.split_at_checked("2026-06-01T12".len())?;
        let is_again = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if !(again.is_empty() || again.strip_prefix('-').is_some_and(is_again)) {
            return None;
        }
        let hour = format!("{hour}:00:00Z").parse().ok()?;
        let (is_cold, is_left_over) = match form {
            "" => (false, false),
            "cold" => (true, false),
            "tmp" => (false, true),
            _ => return None,
        };
        Some(Self { path: path.to_owned(), hour, is_cold, is_left_over })
    }
}

/// Writes a segment anew in its coarser form, or deletes it.
fn cool(path: &Path, cold: &Cold, kept: &mut Kept) -> io::Result<()> {
    let finished = beside(path, "cold");
    if !finished.exists() && written_anew(path, &finished, cold, kept).is_err() {
        // What cannot be made coarser does not stay as it is.
        kept.lines_lost += BufReader::new(File::open(path)?).split(b'\n').count() as u64;
        let _ = fs::remove_file(beside(path, "tmp"));
    }
    fs::remove_file(path)
}

fn written_anew(path: &Path, finished: &Path, cold: &Cold, kept: &mut Kept) -> io::Result<()> {
    let unfinished = beside(path, "tmp");
    let mut anew = OpenOptions::new();
    let anew = anew.create(true).write(true).truncate(true).mode(0o640);
    let mut out = BufWriter::new(anew.open(&unfinished)?);
    let mut lost = 0;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        match coarser(&line?, cold) {
            Some(line) => out.write_all(line.as_bytes())?,
            None => lost += 1,
        }
    }
    out.into_inner()?.sync_all()?;
    fs::rename(&unfinished, finished)?;
    kept.lines_lost += lost;
    sync_directory(path)
}

/// Opens it to write behind what stands there.
pub(super) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn hour_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(3600)).unwrap_or(Timestamp::MIN)
}

/// `path.suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::Coarser;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn life() -> Life {
        let fields =
            vec![("time".to_owned(), Coarser::Hour), ("visitor".to_owned(), Coarser::Remove)];
        let cold = Cold { after: SignedDuration::from_hours(24), fields };
        Life { cold: Some(cold), delete_after: Some(SignedDuration::from_hours(72)) }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    const LINE: &[u8] = b"{\"time\":\"2026-06-01T12:34:56Z\",\"visitor\":\"abc\",\"status\":200}\n";

    #[test]
    fn lines_become_coarser_and_are_deleted_by_their_age() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("access.log");
        let mut log = LogFile::open(&path, life()).expect("opens");
        log.write(LINE, at("2026-06-01T12:35:00Z")).expect("written");
        assert_eq!(log.keep(at("2026-06-01T12:59:59Z")), Kept::default());
        assert_eq!(names(directory.path()), ["access.log"]);
        log.write(LINE, at("2026-06-01T13:00:00Z")).expect("written");
        assert_eq!(names(directory.path()), ["access.log", "access.log.2026-06-01T12"]);

        // 23 hours after the start of the hour: a line that was written in it can be a day old.
        log.keep(at("2026-06-02T10:59:59Z"));
        let hot = fs::read(directory.path().join("access.log.2026-06-01T12")).expect("there");
        assert_eq!(hot, LINE);
        log.keep(at("2026-06-02T11:00:00Z"));
        let listed = names(directory.path());
        assert_eq!(
            listed,
            ["access.log", "access.log.2026-06-01T12.cold", "access.log.2026-06-01T13"]
        );
        let cold = fs::read_to_string(directory.path().join(&listed[1])).expect("there");
        assert_eq!(cold, "{\"time\":\"2026-06-01T12:00:00Z\",\"status\":200}\n");

        log.keep(at("2026-06-04T10:59:59Z"));
        assert_eq!(names(directory.path()).len(), 3);
        log.keep(at("2026-06-04T12:00:00Z"));
        assert_eq!(names(directory.path()), ["access.log"], "all of it is over");
    }

    #[test]
    fn what_cannot_be_made_coarser_is_deleted() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("access.log");
        let mut log = LogFile::open(&path, life()).expect("opens");
        for line in [&b"CANARY\n"[..], b"{\"time\":\"CANARY\"}\n", b"{\"status\":1}\n", b"\xff\n"] {
            log.write(line, at("2026-06-01T12:35:00Z")).expect("written");
        }
        let kept = log.keep(at("2026-06-02T13:00:00Z"));
        assert_eq!(kept, Kept { lines_lost: 3, failed: 0 });
        let cold = directory.path().join("access.log.2026-06-01T12.cold");
        assert_eq!(fs::read_to_string(&cold).expect("there"), "{\"status\":1}\n");

        // A segment whose coarser form cannot be written.
        log.write(LINE, at("2026-06-02T13:00:00Z")).expect("written");
        fs::create_dir(directory.path().join("access.log.2026-06-02T13.tmp")).expect("made");
        let kept = log.keep(at("2026-06-03T14:00:00Z"));
        assert_eq!(kept.lines_lost, 1);
        assert!(!directory.path().join("access.log.2026-06-02T13").exists());
    }

    #[test]
    fn what_a_crash_left_is_neither_lost_nor_kept_for_longer() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("access.log");
        let hot = directory.path().join("access.log.2026-06-01T12");
        fs::write(&hot, LINE).expect("written");
        fs::write(beside(&hot, "cold"), "{\"status\":200}\n").expect("written");
        fs::write(directory.path().join("access.log.2026-06-01T13.tmp"), "{").expect("written");
        fs::write(directory.path().join("access.log.bak"), "mine").expect("written");
        fs::write(directory.path().join("access.log.2026-06-01T12.gz"), "mine").expect("written");
        let mut log = LogFile::open(&path, life()).expect("opens");
        assert_eq!(log.keep(at("2026-06-02T13:00:00Z")), Kept::default());
        assert_eq!(
            names(directory.path()),
            [
                "access.log",
                "access.log.2026-06-01T12.cold",
                "access.log.2026-06-01T12.gz",
                "access.log.bak"
            ],
            "what is not of this log's making stays"
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("access.log");
        let mut log = LogFile::open(&path, Life::default()).expect("opens");
        let now = at("2026-06-01T12:00:00Z");
        log.write(b"1\n", now).expect("written");
        fs::rename(&path, directory.path().join("moved")).expect("moved");
        log.reopen().expect("opens");
        log.write(b"2\n", now).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"2\n");
        assert_eq!(fs::read(directory.path().join("moved")).expect("there"), b"1\n");
    }
}
