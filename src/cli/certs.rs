//! `tamis certs`: a development authority and what it signs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;

use crate::identity::development::{Authority, DevelopmentError, file_name};

/// Names that every development server answers to.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Make a development authority and certificates.
///
/// The authority is made once and kept: later calls sign with it. Server and client certificates are
/// made anew at each call. Not for production.
#[derive(clap::Args)]
#[command(after_help = "Example:
  tamis certs --out certs --name gateway.local --client dns:courier.example --client spiffe://lm/ads")]
pub(super) struct Certs {
    /// Where the files go.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    out: PathBuf,
    /// A further DNS name or IP address of the server, besides localhost.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// A client to make a certificate for: `dns:NAME` or a URI, as the rules write it.
    #[arg(long = "client", value_name = "SAN")]
    clients: Vec<String>,
}

impl Certs {
    pub(super) fn run(self) -> ExitCode {
        match make(&self, Timestamp::now()) {
            Ok(report) => match io::stdout().lock().write_all(report.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            },
            Err(fault) => {
                let mut lines = format!("tamis certs: {fault}\n");
                if let Some(cause) = std::error::Error::source(&fault) {
                    lines = format!("{lines}  because: {cause}\n");
                }
                let _ = io::stderr().lock().write_all(lines.as_bytes());
                ExitCode::FAILURE
            }
        }
    }
}

/// Makes what was asked for; gives the text that says what it was.
fn make(arguments: &Certs, now: Timestamp) -> Result<String, DevelopmentError> {
    let out = &arguments.out;
    fs::create_dir_all(out).map_err(|fault| DevelopmentError::File(out.clone(), fault))?;
    let (authority, origin) = match Authority::load(out)? {
        Some(authority) => (authority, "kept"),
        None => (Authority::create(out, now)?, "new"),
    };
    let ca = out.join("ca.pem");
    let mut report = vec![format!("authority   {} ({origin})", ca.display())];
    let names: Vec<&str> =
        LOCAL.into_iter().chain(arguments.names.iter().map(String::as_str)).collect();
    let (certificate, _) = authority.issue_server(&names, now)?.write(out, "server")?;
    report.push(format!("server      {} ({})", certificate.display(), names.join(", ")));
    for client in &arguments.clients {
        let issued = authority.issue_client(client, now)?;
        let (certificate, key) = issued.write(out, &file_name(client))?;
        report.push(format!("client      {} ({client})", certificate.display()));
        report.push(format!("  {}", curl(&ca, &certificate, &key)));
    }
    report.push(String::new());
    Ok(report.join("\n"))
}

fn curl(ca: &Path, certificate: &Path, key: &Path) -> String {
    let (ca, certificate, key) = (ca.display(), certificate.display(), key.display());
    format!("curl --cacert {ca} --cert {certificate} --key {key} https://localhost:8443/")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_authority_is_made_once_and_keys_are_their_owners_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let out = directory.path().join("certs");
        let arguments = Certs {
            out: out.clone(),
            names: vec!["gateway.example".to_owned()],
            clients: vec!["dns:courier.example".to_owned(), "spiffe://lm/ads".to_owned()],
        };
        let first = make(&arguments, Timestamp::now()).expect("made");
        assert!(first.contains("curl --cacert") && first.contains("(new)"), "{first}");
        let ca = fs::read(out.join("ca.pem")).expect("there");
        let second = make(&arguments, Timestamp::now()).expect("made again");
        assert!(second.contains("(kept)"), "{second}");
        assert_eq!(fs::read(out.join("ca.pem")).expect("there"), ca);
        for name in ["ca", "server", "client-courier.example", "client-spiffe-lm-ads"] {
            assert!(out.join(format!("{name}.pem")).is_file(), "{name}");
            let key = fs::metadata(out.join(format!("{name}.key"))).expect("there");
            assert_eq!(key.permissions().mode() & 0o7777, 0o600, "{name}");
        }
        // Half an authority is not overwritten.
        fs::remove_file(out.join("ca.key")).expect("removes");
        assert!(matches!(make(&arguments, Timestamp::now()), Err(DevelopmentError::File(..))));
        assert_eq!(fs::read(out.join("ca.pem")).expect("there"), ca);
    }
}
