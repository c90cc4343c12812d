//! `tamis status`: asks the running gateway, on its metrics listener, what is in force and whether it is
//! ready. Exit codes: 0 ready, and the files are what is in force; 1 otherwise, or nobody answers; 64 the
//! configuration is rejected. Nothing that it prints is about a person.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::REJECTED;
use super::check::Format;
use super::registers_file::{complain, config_error};
use crate::config::Config;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer that is read.
const ANSWER_BYTES: usize = 1 << 20;

/// Arguments of `tamis status`.
#[derive(clap::Args)]
#[command(after_help = "Example: tamis status --config /etc/tamis/tamis.yaml

Asks the metrics listener that the configuration names. Exit codes: 0 ready, and what stands in the
files is in force; 1 not so, or nobody answers; 64 the configuration is rejected.")]
pub(super) struct Status {
    /// The configuration of the gateway.
    #[arg(long, value_name = "FILE", default_value = "tamis.yaml", env = "TAMIS_CONFIG")]
    config: PathBuf,
    /// Its metrics listener, where the configuration leaves the port to the system.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// What the gateway says.
struct Said {
    status: Value,
    ready: Value,
}

impl Status {
    pub(super) fn run(self) -> ExitCode {
        let address = match self.address() {
            Ok(address) => address,
            Err((text, code)) => {
                complain(&text);
                return code;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let said = runtime
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(ask(address)));
        let said = match said {
            Ok(said) => said,
            Err(text) => {
                complain(&text);
                return ExitCode::FAILURE;
            }
        };
        let mut out = io::stdout().lock();
        let written = match self.format {
            Format::Human => said.print(&mut out),
            Format::Json => {
                writeln!(out, "{:#}", json!({"status": said.status, "readiness": said.ready}))
            }
        };
        match written.and_then(|()| out.flush()) {
            Ok(()) if said.is_good() => ExitCode::SUCCESS,
            Ok(()) | Err(_) => ExitCode::FAILURE,
        }
    }

    /// Where to ask.
    fn address(&self) -> Result<SocketAddr, (String, ExitCode)> {
        if let Some(address) = self.metrics {
            return Ok(address);
        }
        let config = Config::load(&self.config)
            .map_err(|error| (config_error(&error), ExitCode::from(REJECTED)))?;
        let failed = |text: &str| (text.to_owned(), ExitCode::FAILURE);
        let mut address = config
            .listen
            .metrics
            .ok_or_else(|| failed("the metrics listener is off: nobody can be asked"))?;
        if address.port() == 0 {
            return Err(failed(
                "the system chose the port; give --metrics as `tamis run` printed it",
            ));
        }
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Ok(address)
    }
}

async fn ask(address: SocketAddr) -> Result<Said, String> {
    let said = timeout(PATIENCE, async {
        let (status, ready) = (fetch(address, "/status").await?, fetch(address, "/readyz").await?);
        Ok(Said { status, ready })
    });
    let said = said.await.unwrap_or_else(|_| Err("it does not answer".into()));
    said.map_err(|why: String| format!("no gateway at {address}: {why}"))
}

async fn fetch(address: SocketAddr, path: &str) -> Result<Value, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends with the connection.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map_err(|_| "its answer breaks off")?.to_bytes();
    serde_json::from_slice(&body).map_err(|_| "what answers is no gateway".into())
}

impl Said {
    fn is_ready(&self) -> bool {
        self.ready["ready"] == true
    }

    fn refused(&self) -> &[Value] {
        self.status["refused"].as_array().map_or(&[], Vec::as_slice)
    }

    fn is_good(&self) -> bool {
        self.is_ready() && self.status["refused"].is_array() && self.refused().is_empty()
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let ready = if self.is_ready() { "ready" } else { "not ready" };
        let status = &self.status;
        writeln!(
            out,
            "tamis {}, since {}: {ready}",
            text(&status["version"]),
            text(&status["started"])
        )?;
        let policy = &status["policy"];
        let (id, revision) = (text(&policy["id"]), text(&policy["revision"]));
        writeln!(out, "policy {id} ({revision}), {}", text(&policy["digest"]))?;
        writeln!(out, "\nin force since")?;
        for (part, of) in status["in_force"].as_object().into_iter().flatten() {
            writeln!(out, "  {part:<14}{}", text(&of["since"]))?;
        }
        writeln!(out, "\nchecks")?;
        for (check, outcome) in self.ready["checks"].as_object().into_iter().flatten() {
            writeln!(out, "  {check:<16}{}", indented(text(outcome)))?;
        }
        if self.refused().is_empty() {
            return writeln!(out, "\nwhat stands in the files is in force");
        }
        writeln!(
            out,
            "\nrefused when the files were read at {}",
            text(&status["last_tried"]["at"])
        )?;
        for one in self.refused() {
            writeln!(out, "  {}: {}", text(&one["what"]), indented(text(&one["why"])))?;
        }
        writeln!(out, "the files were last good at {}", text(&status["last_good"]["at"]))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// A text of several lines, the others below the first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
