//! That memory does not grow with the body: each size is streamed by a process of its own, whose
//! highest resident size the kernel tells. The body is made record by record, so that neither it nor
//! the output is ever whole.

use std::fs;
use std::io::{self, Write};
use std::process::Command;

use crate::corpus::rules::Rules;

/// What makes this program stream one body, say its peak, and end.
pub(crate) const FLAG: &str = "--stream";

const CASES: [(&str, Rules); 3] = [
    ("no rule", Rules::Nothing),
    ("ten descendant rules, dense", Rules::Dense),
    ("each element asked about, half denied", Rules::Subjects),
];

/// How many people the streamed list is about; they come again and again.
const PEOPLE: u64 = 1024;

const SIZES: [(&str, u64); 4] =
    [("64 KB", 64 << 10), ("1 MB", 1 << 20), ("64 MB", 64 << 20), ("1 GB", 1 << 30)];

/// Streams one body and prints the peak in KiB.
pub(crate) fn child(rules: &str, bytes: &str, out: &mut impl Write) -> io::Result<()> {
    let (_, rules) = CASES
        .iter()
        .find(|(name, _)| *name == rules)
        .ok_or_else(|| io::Error::other("no such rules"))?;
    let bytes = bytes.parse().map_err(io::Error::other)?;
    rules.engine(PEOPLE).stream(bytes, PEOPLE);
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.split_whitespace().next());
    writeln!(out, "{}", kib.unwrap_or("unknown"))
}

pub(crate) fn section(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n### Peak memory of a process that streams one body, in KiB\n")?;
    write!(out, "| rules |")?;
    for (title, _) in SIZES {
        write!(out, " {title} |")?;
    }
    writeln!(out, "\n|---|---|---|---|---|")?;
    for (name, _) in CASES {
        write!(out, "| {name} |")?;
        for (_, bytes) in SIZES {
            let ran = Command::new(std::env::current_exe()?)
                .args([FLAG, name, &bytes.to_string()])
                .output()?;
            if !ran.status.success() {
                return Err(io::Error::other(String::from_utf8_lossy(&ran.stderr).into_owned()));
            }
            write!(out, " {} |", String::from_utf8_lossy(&ran.stdout).trim())?;
            out.flush()?;
        }
        writeln!(out)?;
    }
    Ok(())
}
