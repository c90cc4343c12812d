//! OpenSSL beside the gateway: another implementation's word for what is spoken.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What OpenSSL says of a connection for this name, with these arguments.
pub(super) async fn connect(at: SocketAddr, name: &str, arguments: &[&str]) -> String {
    let mut program = Command::new("openssl");
    program
        .args(["s_client", "-connect", &at.to_string(), "-servername", name])
        .args(arguments)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output());
    said(output.await.expect("no panic"))
}

/// What OpenSSL says when it is run in a folder; it must do what it is asked for.
pub(super) fn openssl(folder: &Path, arguments: &str) -> String {
    let mut program = Command::new("openssl");
    let output = program.args(arguments.split(' ')).current_dir(folder).output();
    let is_done = output.as_ref().is_ok_and(|output| output.status.success());
    let said = said(output);
    assert!(is_done, "openssl {arguments}: {said}");
    said
}

fn said(output: io::Result<std::process::Output>) -> String {
    let output = output.expect("openssl is in the set-up");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
