//! Consents from a file: what stands in it counts, a withdrawal is never lost, and while it cannot be
//! read nobody's consent is known.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tamis::policy::Policy;
use tamis::registers::{
    ConsentFile, ConsentFileError, FedRegisters, Reading, RegisterStore, Registers as _,
};
use tamis::terms::{ConsentStatus, Personal};

const STALE: Duration = Duration::from_mins(5);

struct Fed {
    directory: tempfile::TempDir,
    registers: Arc<RegisterStore>,
    file: Arc<ConsentFile>,
    policy: Policy,
    began: Instant,
}

impl Fed {
    fn by(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let registers = RegisterStore::embedded(&directory.path().join("registers.db"));
        let rules = include_str!("../cases/gateway.rules.yaml");
        let fed = Self {
            registers: Arc::new(registers.expect("registers")),
            file: Arc::new(ConsentFile::new(directory.path().join("consents.ndjson"), STALE)),
            policy: Policy::parse("rules.yaml", rules).expect("it loads"),
            began: Instant::now(),
            directory,
        };
        fed.append(text);
        fed
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("consents.ndjson")
    }

    fn append(&self, text: &str) {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.path());
        file.expect("ours").write_all(text.as_bytes()).expect("written");
    }

    /// Reads so many seconds after the beginning.
    fn read(&self, seconds: u64) -> Result<Reading, ConsentFileError> {
        let now = self.began + Duration::from_secs(seconds);
        self.file.read(&self.registers, &self.policy, now)
    }

    fn is_known(&self, seconds: u64) -> bool {
        self.file.is_known(self.began + Duration::from_secs(seconds))
    }

    /// The state of u1's consent con_1, as far as it is known.
    fn status(&self) -> Option<ConsentStatus> {
        let fed =
            FedRegisters::new(Arc::<RegisterStore>::clone(&self.registers), Arc::clone(&self.file));
        let said = fed.statements(&Personal::new("u1".into())).expect("available");
        assert_eq!(said.consents_unknown, !self.is_known(0));
        said.consents.first().map(|consent| consent.status(Timestamp::now()))
    }
}

fn line(id: &str, subject: &str, status: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"subject\":\"{subject}\",\"purpose\":\"share.partner\",\
         \"recipients\":[\"partner\"],\"status\":\"{status}\",\"given_at\":\"2026-01-01T00:00:00Z\"}}\n"
    )
}

#[test]
fn what_is_appended_counts_at_the_next_reading() {
    let fed = Fed::by(&line("con_1", "u1", "given"));
    assert_eq!(fed.status(), None, "not read yet");
    assert_eq!(fed.read(0).expect("sound"), Reading::Complete { new: 1 });
    assert_eq!(fed.status(), Some(ConsentStatus::Given));
    assert_eq!(fed.read(1).expect("sound"), Reading::Unchanged);
    fed.append(&line("con_2", "u2", "given"));
    fed.append(&line("con_1", "u1", "withdrawn"));
    assert_eq!(fed.read(2).expect("sound"), Reading::Complete { new: 2 });
    assert_eq!(fed.status(), Some(ConsentStatus::Withdrawn));
}

#[test]
fn no_order_of_lines_and_no_later_file_revives_a_withdrawal() {
    let fed = Fed::by(&(line("con_1", "u1", "withdrawn") + &line("con_1", "u1", "given")));
    fed.read(0).expect("sound");
    assert_eq!(fed.status(), Some(ConsentStatus::Withdrawn));
    // Another file in its place, in which nobody ever withdrew anything.
    fs::remove_file(fed.path()).expect("there");
    fed.append(&line("con_1", "u1", "given"));
    fed.read(1).expect("sound");
    assert_eq!(fed.status(), Some(ConsentStatus::Withdrawn));
}

#[test]
fn what_cannot_be_read_makes_every_consent_unknown_until_it_can() {
    for (name, bad) in [
        ("no JSON", "{\"id\":\n"),
        ("an empty line", "\n"),
        ("another kind", "{\"kind\":\"notice\",\"subject\":\"CANARY\"}\n"),
        ("a misspelt purpose", &line("con_9", "CANARY", "withdrawn").replace("share.p", "shore.p")),
        ("a misspelt member", &line("con_9", "CANARY", "withdrawn").replace("status", "state")),
        ("another content under a known id", &line("con_1", "CANARY", "given")),
        ("a line without end", &format!("\"{}\"", "CANARY".repeat(20_000))),
    ] {
        let fed = Fed::by(&line("con_1", "u1", "given"));
        fed.read(0).expect("sound");
        let length = fs::metadata(fed.path()).expect("there").len();
        fed.append(bad);
        let error = fed.read(1).expect_err(name);
        assert!(matches!(error, ConsentFileError::Line { line: 2, .. }), "{name}: {error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{name}: {error:?}");
        assert_eq!(fed.status(), None, "{name}");
        fed.read(2).expect_err(name);
        let file = OpenOptions::new().write(true).open(fed.path()).expect("there");
        file.set_len(length).expect("cut");
        fed.read(3).expect("mended");
        assert_eq!(fed.status(), Some(ConsentStatus::Given), "{name}");
    }
    let fed = Fed::by(&line("con_1", "u1", "given"));
    fed.read(0).expect("sound");
    let open =
        |mode| fs::set_permissions(fed.path(), fs::Permissions::from_mode(mode)).expect("set");
    open(0o604);
    assert!(matches!(fed.read(1), Err(ConsentFileError::Exposed)));
    open(0o600);
    fed.read(2).expect("mended");
    fs::remove_file(fed.path()).expect("there");
    assert!(matches!(fed.read(3), Err(ConsentFileError::Unreadable(_))));
    assert_eq!(fed.status(), None);
}

#[test]
fn half_a_line_waits_for_its_end_and_is_not_waited_for_for_ever() {
    let whole = line("con_1", "u1", "withdrawn");
    let (half, rest) = whole.split_at(40);
    let fed = Fed::by(&line("con_1", "u1", "given"));
    fed.read(0).expect("sound");
    fed.append(half);
    assert_eq!(fed.read(1).expect("sound so far"), Reading::Unfinished);
    assert!(fed.is_known(1), "somebody is writing just now");
    assert_eq!(fed.read(200).expect("sound so far"), Reading::Unfinished);
    assert!(!fed.is_known(301), "it may be a withdrawal");
    assert_eq!(fed.read(302).expect("sound so far"), Reading::Unfinished);
    assert!(!fed.is_known(302));
    fed.append(rest);
    assert_eq!(fed.read(303).expect("sound"), Reading::Complete { new: 1 });
    assert!(fed.is_known(303));
}

#[test]
fn a_file_that_is_read_no_more_is_not_believed_for_ever_and_is_read_anew_in_time() {
    let fed = Fed::by(&line("con_1", "u1", "given"));
    fed.read(0).expect("sound");
    assert!(fed.is_known(300) && !fed.is_known(301));
    // The same length and file, another content, and a clock that tells no difference.
    let metadata = fs::metadata(fed.path()).expect("there");
    fs::write(fed.path(), line("con_1", "u1", "given").replace("given\"", "xiven\""))
        .expect("ours");
    let file = OpenOptions::new().write(true).open(fed.path()).expect("there");
    file.set_modified(metadata.modified().expect("known")).expect("set");
    assert_eq!(fed.read(299).expect("nothing seen"), Reading::Unchanged);
    fed.read(300).expect_err("the whole file is read again");
    assert!(!fed.is_known(300));
}
