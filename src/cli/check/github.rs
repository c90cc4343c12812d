//! Findings as workflow commands: GitHub shows each beside the line that it is about.
//! Source: GitHub Docs, "Workflow commands for GitHub Actions"; actions/toolkit `command.ts`.

use std::io::{self, Write};

use super::Report;
use crate::policy::{Place, Severity};

/// One line a finding, then one line a file.
pub(super) fn annotate(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    for report in reports {
        for finding in &report.findings {
            let level = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
            let text = format!("{}{help}", finding.message);
            line(out, level, finding.code, &finding.place, &text)?;
        }
        // A file's name may not begin a command of its own.
        writeln!(out, "{}", escaped(&report.summary()).trim_start_matches(':'))?;
    }
    Ok(())
}

fn line(
    out: &mut dyn Write,
    level: &str,
    title: &str,
    place: &Place,
    text: &str,
) -> io::Result<()> {
    writeln!(
        out,
        "::{level} file={},line={},col={},endColumn={},title={}::{}",
        property(&place.file),
        place.line,
        place.column,
        place.column.saturating_add(place.length),
        property(title),
        escaped(text)
    )
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property moreover ends at a comma, and the list of them at a colon.
fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_finding_ends_its_line_or_begins_another_command() {
        let place = Place { file: "a,b:c\n.yaml".into(), line: 3, column: 5, length: 4 };
        let mut out = Vec::new();
        line(&mut out, "error", "T101", &place, "100 %\r\n::error::x").expect("written");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "::error file=a%2Cb%3Ac%0A.yaml,line=3,col=5,endColumn=9,title=T101::\
             100 %25%0D%0A::error::x\n"
        );
    }
}
