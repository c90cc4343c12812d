//! Session keys in a file, for whoever has to read a recording of the traffic (Wireshark). Only where the
//! settings say so with a `dangerous_` key: the environment's `SSLKEYLOGFILE` does nothing here.
//!
//! Source: the NSS key log format.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustls::KeyLog;

/// A file that session keys are appended to.
pub(super) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Opens it, or makes it. Nobody but its owner may read it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let about = file.metadata()?;
        if about.uid() != rustix::process::geteuid().as_raw() {
            let why = "it is somebody else's";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let mode = about.mode();
        if mode & 0o077 != 0 {
            let why = format!("others may use it (mode {:04o}); it must be 0600", mode & 0o7777);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(Self(Mutex::new(file)))
    }
}

impl fmt::Debug for KeyLogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogFile")
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = label.to_owned();
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // Writing to a text does not fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Without it a recording cannot be read; the connection is none the worse.
        let _ = file.write_all(line.as_bytes());
    }
}
