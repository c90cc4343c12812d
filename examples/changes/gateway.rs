//! The gateway as a process that is told to read anew, to stop, and that takes over from another.

use std::io::{self, BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::Fault;

/// Hands over what standard input is, as systemd hands over sockets.
const HANDS_OVER: &str = "LISTEN_PID=$$ exec \"$0\" run --config \"$1\" 3<&0 0</dev/null";
const BINDS: &str = "exec \"$0\" run --config \"$1\"";

/// The program that was built beside this example.
pub(super) struct Gateway(Child);

impl Gateway {
    /// On a socket that is handed over, or on those of its settings.
    pub(super) fn start(config: &Path, socket: Option<&TcpListener>) -> Result<Self, Fault> {
        let example = std::env::current_exe()?;
        let built = example.parent().and_then(Path::parent).ok_or("no folder of the build")?;
        let mut command = Command::new("sh");
        command
            .args(["-c", if socket.is_some() { HANDS_OVER } else { BINDS }])
            .arg(built.join("tamis"))
            .arg(config)
            .env("TAMIS_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(socket) = socket {
            command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "https");
            command.stdin(OwnedFd::from(socket.try_clone()?));
        }
        Ok(Self(command.spawn()?))
    }

    /// Returns when it takes connections.
    pub(super) fn listens(&mut self) -> Result<(), Fault> {
        drained(self.0.stderr.take());
        let printed = self.0.stdout.take().ok_or("no output")?;
        read_until(printed, "metrics")
    }

    /// Returns when it waits for the ledger of another.
    pub(super) fn waits(&mut self) -> Result<(), Fault> {
        let logged = self.0.stderr.take().ok_or("no log")?;
        read_until(logged, "waiting for its end")
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), Fault> {
        let pid = Pid::from_raw(i32::try_from(self.0.id())?).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn ended(&mut self) -> Result<(), Fault> {
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
    }
}

impl Drop for Gateway {
    /// A run that ends with an error leaves no gateway behind.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads up to a line that holds this; the rest is read and thrown away, so that nobody waits for it.
fn read_until<R: Read + Send + 'static>(from: R, what: &str) -> Result<(), Fault> {
    let mut lines = BufReader::new(from);
    let mut line = String::new();
    while !line.contains(what) {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(format!("the gateway ended and has not said `{what}`").into());
        }
    }
    drained(Some(lines));
    Ok(())
}

fn drained<R: Read + Send + 'static>(from: Option<R>) {
    if let Some(mut from) = from {
        std::thread::spawn(move || io::copy(&mut from, &mut io::sink()));
    }
}
