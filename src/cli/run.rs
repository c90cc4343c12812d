//! `tamis run`.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::REJECTED;
use super::dumps::{self, Dumps};
use super::supervisor;
use crate::config::{Config, ConfigError};
use crate::gateway::{Addresses, Gateway, HandedSockets, Running, StartError};
use crate::observe::{LogFormat, init_tracing};

/// Run the gateway.
///
/// It reads and checks everything before it takes the first connection, prints where it listens, and
/// answers until it gets SIGTERM or SIGINT. Then it takes no more connections and lets those that
/// are open finish; a second signal ends it at once. Rules, settings, keys and certificates are read
/// anew when their files change and after SIGHUP; what does not hold leaves in force what is. Sockets
/// that a service manager hands over (LISTEN_FDS, with names in LISTEN_FDNAMES) take the place of
/// addresses in `listen`; with `listen: {reuse_port: true}` a second process takes over from a first.
#[derive(clap::Args)]
#[command(after_help = "Example:
  tamis run --config /etc/tamis/tamis.yaml

Log lines go to standard error; TAMIS_LOG=debug shows more. The access log goes where the
configuration says.")]
pub(super) struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "tamis.yaml", env = "TAMIS_CONFIG")]
    config: PathBuf,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

/// How log lines look.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Run {
    pub(super) fn run(self) -> ExitCode {
        init_tracing(match self.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        });
        if dumps::switch_off() == Dumps::Perhaps {
            tracing::warn!("core dumps could not be switched off");
        }
        // While this is the only thread: it changes the environment.
        let handed = match HandedSockets::from_environment() {
            Ok(handed) => handed,
            Err(error) => return failed(&error),
        };
        let config = match Config::load(&self.config) {
            Ok(config) => config,
            Err(error) => return rejected(&error),
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error),
        };
        runtime.block_on(serve(config, handed))
    }
}

async fn serve(config: Config, handed: HandedSockets) -> ExitCode {
    // Listened for before the first connection is taken, so that none is cut by an early signal.
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let mut running = match Gateway::start_handed(config, handed).await {
        Ok(running) => running,
        Err(StartError::Rules(diagnostics)) => {
            let _ = write!(io::stderr(), "{diagnostics}");
            return ExitCode::from(REJECTED);
        }
        Err(error @ (StartError::Upstream { .. } | StartError::PlaintextUpstream(_))) => {
            say(&error);
            return ExitCode::from(REJECTED);
        }
        Err(error) => return failed(&error),
    };
    if print(&running.addresses).is_err() {
        // Whoever started it has closed standard output; that is no reason not to serve.
        tracing::warn!("standard output is closed");
    }
    running.follow_files();
    supervisor::ready();
    tokio::spawn(supervisor::keep_alive());
    signals.until_the_end(&running).await;
    supervisor::stopping();
    stop(running, signals).await
}

async fn stop(running: Running, mut signals: Signals) -> ExitCode {
    tokio::select! {
        _ = running.stop() => ExitCode::SUCCESS,
        () = signals.next() => {
            tracing::warn!("second signal: ending at once");
            ExitCode::FAILURE
        }
    }
}

fn print(addresses: &Addresses) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "https    {}", addresses.https)?;
    for (name, address) in
        [("http", addresses.http), ("admin", addresses.admin), ("metrics", addresses.metrics)]
    {
        if let Some(address) = address {
            writeln!(out, "{name:8} {address}")?;
        }
    }
    out.flush()
}

/// SIGTERM and SIGINT, which end it, and SIGHUP, after which the access log is opened and everything
/// read anew.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn until_the_end(&mut self, running: &Running) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    supervisor::reloading();
                    running.reopen_log();
                    // The outcome is in log, metrics and `tamis status`.
                    running.reload().await;
                    supervisor::ready();
                }
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn rejected(error: &ConfigError) -> ExitCode {
    match error {
        ConfigError::Rejected(diagnostics) => {
            let _ = write!(io::stderr(), "{diagnostics}");
        }
        ConfigError::Unreadable(..) => say(error),
    }
    ExitCode::from(REJECTED)
}

fn failed(error: &dyn Error) -> ExitCode {
    say(error);
    ExitCode::FAILURE
}

/// An error with its causes, on one line each.
fn say(error: &dyn Error) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(out, "  caused by: {error}");
        cause = error.source();
    }
}
