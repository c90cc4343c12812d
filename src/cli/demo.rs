//! `tamis demo`: a backend of invented people behind the gateway, and a tour of what is seen.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Config;
use crate::demo::{Addresses, Backend, BackendKind, People, Show, Stage, StageListen, tour};
use crate::gateway::Gateway;

/// Start a backend with invented people behind the gateway and print a tour.
///
/// Everything the gateway needs is made in a folder: a development authority, certificates and
/// tokens for the policy's recipients, keys, registers, ledger and tamis.yaml. All other commands
/// work with that file.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tamis demo                              the marketplace, until Ctrl-C
  tamis demo --policy webllet --port 0    the payment service, on free ports
  tamis demo --tour-only --port 0         the tour, then stop
  tamis demo --backend-only marketplace --listen 0.0.0.0:9000
  tamis consent show --config .demo/tamis.yaml --subject u-1001")]
pub(super) struct Demo {
    /// Whose policy and backend.
    #[arg(long, value_enum, default_value = "letsmasak")]
    policy: Show,
    /// The folder to make or use again.
    #[arg(long, value_name = "DIR", default_value = ".demo")]
    dir: PathBuf,
    /// The gateway's HTTPS port on this machine; 0 takes free ones for all listeners.
    #[arg(long, default_value_t = 8443, conflicts_with = "listen")]
    port: u16,
    /// Where to listen instead: the gateway, or the backend with --backend-only.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Stop after the tour.
    #[arg(long, conflicts_with_all = ["backend_only", "prepare_only"])]
    tour_only: bool,
    /// Start a backend alone, without a gateway.
    #[arg(long, value_enum, value_name = "BACKEND", conflicts_with = "prepare_only")]
    backend_only: Option<BackendKind>,
    /// Make the folder and stop, for a gateway that is started by `tamis run`.
    #[arg(long, requires = "upstream")]
    prepare_only: bool,
    /// The backend that the folder's tamis.yaml names.
    #[arg(long, value_name = "URL", requires = "prepare_only")]
    upstream: Option<String>,
}

/// Where the backend listens, unless told otherwise.
const BACKEND_PORT: u16 = 9000;

type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Demo {
    pub(super) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let done = runtime.map_err(Fault::from).and_then(|runtime| runtime.block_on(self.go()));
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                let mut err = io::stderr().lock();
                let mut cause = Some(&*fault as &dyn std::error::Error);
                let mut prefix = "tamis demo";
                while let Some(error) = cause {
                    // Nothing is left to do if standard error is gone.
                    let _ = writeln!(err, "{prefix}: {error}");
                    prefix = "  because";
                    cause = error.source();
                }
                ExitCode::FAILURE
            }
        }
    }

    async fn go(self) -> Result<(), Fault> {
        if let Some(kind) = self.backend_only {
            return backend_alone(kind, self.listen).await;
        }
        let listen = self.listen.unwrap_or_else(|| loopback(self.port));
        let listen = StageListen::around(listen);
        if let Some(upstream) = &self.upstream {
            let stage = Stage::prepare(self.policy, &self.dir, upstream, listen)?;
            writeln!(io::stdout(), "{}", stage.config_file().display())?;
            return Ok(());
        }
        self.show(listen).await
    }

    async fn show(self, listen: StageListen) -> Result<(), Fault> {
        let people = Arc::new(People::of_the_demo());
        let kind = self.policy.backend();
        // The usual port, so that lines of an earlier tour still work; a free one if it is taken.
        let usual = if self.port == 0 { 0 } else { BACKEND_PORT };
        let backend = match Backend::start(kind, Arc::clone(&people), loopback(usual)).await {
            Ok(backend) => backend,
            Err(_) => Backend::start(kind, people, loopback(0)).await?,
        };
        let upstream = format!("http://{}", backend.address());
        let stage = Stage::prepare(self.policy, &self.dir, &upstream, listen)?;
        let config = Config::load(&stage.config_file())?;
        let gateway = Gateway::start(config).await?;
        let addresses = Addresses { backend: backend.address(), gateway: gateway.addresses.https };
        // A buffer, so that no lock is held while the gateway is waited for.
        let mut text = Vec::new();
        let program = std::env::current_exe()?;
        let toured = tour(self.policy, &stage, addresses, &program, &mut text).await;
        io::stdout().write_all(&text)?;
        toured?;
        if !self.tour_only {
            let mut out = io::stdout();
            writeln!(
                out,
                "\nThe gateway stays up on https://localhost:{} until Ctrl-C.",
                addresses.gateway.port()
            )?;
            writeln!(out, "Its settings: {}", stage.config_file().display())?;
            tokio::signal::ctrl_c().await?;
        }
        gateway.stop().await;
        Ok(())
    }
}

async fn backend_alone(kind: BackendKind, listen: Option<SocketAddr>) -> Result<(), Fault> {
    let people = Arc::new(People::of_the_demo());
    let backend =
        Backend::start(kind, people, listen.unwrap_or_else(|| loopback(BACKEND_PORT))).await?;
    writeln!(io::stdout(), "backend on http://{}", backend.address())?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
