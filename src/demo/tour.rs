//! The tour: each scene is run against the gateway that is up, and what came back is printed.
//!
//! Nothing here is told from memory: bodies come over TLS from the gateway's socket, and commands
//! are run as processes of the same program.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use http_body_util::{BodyExt, Empty};
use hyper::header::HeaderName;
use hyper_util::client::legacy::Client as PlainClient;
use hyper_util::rt::TokioExecutor;

use super::client::ClientError;
use super::indent::indented;
use super::script::{Scene, Show};
use super::stage::{Stage, StageError};

/// The header in which a recipient says what for.
const PURPOSE: HeaderName = HeaderName::from_static("tamis-purpose");

/// Why a tour broke off.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// The text cannot be written.
    #[error("cannot write")]
    Output(#[from] io::Error),
    /// The gateway did not answer.
    #[error("the gateway did not answer")]
    Client(#[from] ClientError),
    /// The stage lacks what the scene needs.
    #[error("the stage is not complete")]
    Stage(#[from] StageError),
    /// The backend did not answer.
    #[error("the backend did not answer")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A command of the scene failed; what it said.
    #[error("`{0}` failed: {1}")]
    Command(String, String),
}

/// Where the parts of a running demo are.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The backend, plain HTTP.
    pub backend: SocketAddr,
    /// The gateway, HTTPS.
    pub gateway: SocketAddr,
}

/// Runs all scenes of a policy and prints what is seen. `program` is this program's file.
///
/// # Errors
/// See [`TourError`]. A refusal is something to see, not an error.
pub async fn tour(
    show: Show,
    stage: &Stage,
    addresses: Addresses,
    program: &Path,
    out: &mut (dyn Write + Send),
) -> Result<(), TourError> {
    for (place, scene) in show.scenes().iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        match scene {
            Scene::Backend { title, path } => {
                let url = format!("http://{}{path}", addresses.backend);
                writeln!(out, "# {title}.\n$ curl -s '{url}'")?;
                let body = fetch_plain(&url).await.map_err(TourError::Backend)?;
                writeln!(out, "{}", indented(&body))?;
            }
            Scene::Asks { title, recipient, purpose, path } => {
                let url = format!("https://localhost:{}{path}", addresses.gateway.port());
                writeln!(out, "# {title}.\n$ {}", stage.curl(recipient, purpose, &url)?)?;
                let client = stage.client(recipient)?.with_header(PURPOSE, purpose)?;
                let answer = client.fetch(addresses.gateway, path).await?;
                writeln!(out, "{}", indented(&answer.text()))?;
            }
            Scene::Withdraw { title, subject, purpose, recipient } => {
                let config = stage.config_file().display().to_string();
                let arguments = [
                    "consent",
                    "withdraw",
                    "--config",
                    &config,
                    "--subject",
                    subject,
                    "--purpose",
                    purpose,
                    "--recipient",
                    recipient,
                ];
                writeln!(out, "# {title}.")?;
                run(program, &arguments, out).await?;
            }
            Scene::Ledger { title } => {
                let config = stage.config_file().display().to_string();
                writeln!(out, "# {title}.")?;
                run(program, &["ledger", "verify", "--config", &config], out).await?;
            }
        }
    }
    Ok(())
}

/// Runs a command of this program, prints it and what it says.
async fn run(
    program: &Path,
    arguments: &[&str],
    out: &mut (dyn Write + Send),
) -> Result<(), TourError> {
    let spoken = format!("tamis {}", arguments.join(" "));
    writeln!(out, "$ {spoken}")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let output: Output =
        tokio::task::spawn_blocking(move || command.output()).await.map_err(io::Error::other)??;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        return Err(TourError::Command(spoken, said(&output.stderr)));
    }
    let answer = said(&output.stdout);
    if !answer.is_empty() {
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

async fn fetch_plain(url: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let client = PlainClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let body = client.get(url.parse()?).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
