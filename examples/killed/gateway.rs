//! The gateway as a process that can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Fault;

/// A gateway that takes connections.
pub(super) struct Gateway {
    child: Child,
    /// Kept, so that the gateway can go on writing.
    _stdout: BufReader<std::process::ChildStdout>,
    pub(super) https: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Gateway {
    /// Starts the program that was built beside this example.
    pub(super) fn start(config: &Path) -> Result<Self, Fault> {
        let example = std::env::current_exe()?;
        let built = example.parent().and_then(Path::parent).ok_or("no folder of the build")?;
        let mut child = Command::new(built.join("tamis"))
            .args(["run", "--config"])
            .arg(config)
            .env("TAMIS_LOG", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (mut https, mut admin) = (None, None);
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line)? == 0 {
                return Err("the gateway ended before it took connections".into());
            }
            let mut words = line.split_whitespace();
            let (name, address) = (words.next(), words.next().and_then(|word| word.parse().ok()));
            match name {
                Some("https") => https = address,
                Some("admin") => admin = address,
                // The last line that is printed.
                Some("metrics") => {
                    let (https, admin) = (https.ok_or("no https")?, admin.ok_or("no admin")?);
                    return Ok(Self { child, _stdout: stdout, https, admin });
                }
                _ => {}
            }
        }
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) -> Result<(), Fault> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Gateway {
    /// A run that ends with an error leaves no gateway behind.
    fn drop(&mut self) {
        // It is gone already in all other cases.
        let _ = self.child.kill();
    }
}
