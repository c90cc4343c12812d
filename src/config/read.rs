//! Typed reading of a [`Node`]: every finding is noted and reading goes on, so that all come at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Location;

use super::node::{Key, Node, Value};
use crate::action::distance;
use crate::policy::{Diagnostic, Place, Severity};
use crate::terms::Digest;

/// What is wrong, by stable code.
#[derive(Clone, Copy)]
pub(super) enum Code {
    Yaml,
    UnknownKey,
    Missing,
    Kind,
    Value,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "C100",
            Self::UnknownKey => "C101",
            Self::Missing => "C102",
            Self::Kind => "C103",
            Self::Value => "C104",
        }
    }
}

/// Where to listen, if at all.
#[derive(Clone, Copy)]
pub(super) enum Address {
    On(SocketAddr),
    Off,
}

impl Address {
    pub(super) const fn on(self) -> Option<SocketAddr> {
        match self {
            Self::On(address) => Some(address),
            Self::Off => None,
        }
    }
}

/// All findings so far.
pub(super) struct Findings {
    file: Arc<str>,
    directory: PathBuf,
    found: Vec<Diagnostic>,
}

impl Findings {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.display().to_string().into(),
            directory: file.parent().map(Path::to_path_buf).unwrap_or_default(),
            found: Vec::new(),
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| a.place.cmp(&b.place));
        self.found
    }

    pub(super) fn note(
        &mut self,
        code: Code,
        location: Location,
        message: String,
        help: Option<String>,
    ) {
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        let place = Place {
            file: Arc::clone(&self.file),
            line: small(location.line()),
            column: small(location.column()),
            length: small(location.span().len()),
        };
        let (code, severity) = (code.as_str(), Severity::Error);
        self.found.push(Diagnostic { code, severity, message, place, help });
    }

    fn expected(&mut self, what: &str, node: &Node) {
        let message = format!("expected {what}, found {}", node.value.kind());
        self.note(Code::Kind, node.location, message, None);
    }

    /// A path; a relative one is taken from the file's directory.
    pub(super) fn path(&mut self, node: &Node) -> Option<PathBuf> {
        let text = self.text(node)?;
        Some(self.directory.join(text))
    }

    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => {
                self.expected("a text", node);
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.expected("true or false", node);
        None
    }

    pub(super) fn list<'a>(&mut self, node: &'a Node) -> &'a [Node] {
        if let Value::List(nodes) = &node.value {
            return nodes;
        }
        self.expected("a list", node);
        &[]
    }

    pub(super) fn map<'a>(&mut self, node: &'a Node) -> &'a [(Key, Node)] {
        if let Value::Map(entries) = &node.value {
            return entries;
        }
        self.expected("a map", node);
        &[]
    }

    /// An address to listen on, or `off`.
    pub(super) fn address(&mut self, node: &Node) -> Option<Address> {
        // YAML 1.1 readers took a bare `off` for false; this one does not, but people may write it.
        if matches!(node.value, Value::Bool(false)) {
            return Some(Address::Off);
        }
        let text = self.text(node)?;
        if text == "off" {
            return Some(Address::Off);
        }
        if let Ok(address) = text.parse() {
            return Some(Address::On(address));
        }
        let help = Some("write 127.0.0.1:8443, [::]:8443, or off".into());
        self.note(Code::Value, node.location, "not an address to listen on".into(), help);
        None
    }

    /// A duration such as `10s`, between a millisecond and a day.
    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        if let Value::Text(text) = &node.value
            && let Some(duration) = parse_duration(text)
        {
            return Some(duration);
        }
        let help = Some("write 500ms, 10s, 5m or 1h; from 1ms to 24h".into());
        self.note(Code::Value, node.location, "not a duration".into(), help);
        None
    }

    /// A number of bytes such as `1MiB`, at least 1.
    pub(super) fn bytes(&mut self, node: &Node) -> Option<u64> {
        let parsed = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => parse_bytes(text),
            Value::Null | Value::Bool(_) | Value::Float | Value::List(_) | Value::Map(_) => None,
        };
        if let Some(bytes) = parsed.filter(|bytes| (1..=MOST_BYTES).contains(bytes)) {
            return Some(bytes);
        }
        let help = Some("write 65536, 64KiB, 1MiB or 1GiB; at most 1024GiB".into());
        self.note(Code::Value, node.location, "not a size".into(), help);
        None
    }

    pub(super) fn count(&mut self, node: &Node, most: u64) -> Option<u64> {
        if let Value::Integer(number) = node.value
            && let Ok(number) = u64::try_from(number)
            && (1..=most).contains(&number)
        {
            return Some(number);
        }
        let message = format!("expected a whole number from 1 to {most}");
        self.note(Code::Value, node.location, message, None);
        None
    }

    pub(super) fn digest(&mut self, node: &Node) -> Option<Digest> {
        let text = self.text(node)?;
        let digest = Digest::parse(&text);
        if digest.is_none() {
            let help = "write sha-256: and the 64 hexadecimal digits of the secret's SHA-256";
            self.note(Code::Value, node.location, "not a digest".into(), Some(help.into()));
        }
        digest
    }
}

/// Larger than any body that a gateway should see; a larger number is a slip of the pen.
const MOST_BYTES: u64 = 1 << 40;

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    }?;
    (1..=86_400_000).contains(&millis).then(|| Duration::from_millis(millis))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "B" => Some(number),
        "KiB" => number.checked_mul(1 << 10),
        "MiB" => number.checked_mul(1 << 20),
        "GiB" => number.checked_mul(1 << 30),
        _ => None,
    }
}

/// A map with known keys. Whatever is not asked for is a finding when the section is closed.
pub(super) struct Section<'a> {
    location: Location,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
    /// In words: `limits`, `upstreams.people`.
    name: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &str, node: &'a Node, findings: &mut Findings) -> Self {
        let entries = findings.map(node);
        Self { location: node.location, entries, known: Vec::new(), name: name.to_owned() }
    }

    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.entries.iter().find(|(found, _)| found.name == key).map(|(_, node)| node)
    }

    pub(super) fn required(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<&'a Node> {
        let node = self.optional(key);
        if node.is_none() {
            let message = format!("{}: `{key}` is missing", self.name);
            findings.note(Code::Missing, self.location, message, None);
        }
        node
    }

    /// Every key that was not asked for is a finding: a misspelt key is a setting that does nothing.
    pub(super) fn close(self, findings: &mut Findings) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.known.contains(&&*key.name)) {
            let nearest = self
                .known
                .iter()
                .map(|known| (distance(&key.name, known), known))
                .min()
                .filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
            let help = match nearest {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let message = format!("{}: unknown key `{}`", self.name, key.name);
            findings.note(Code::UnknownKey, key.location, message, Some(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_bytes, parse_duration};

    #[test]
    fn durations_and_sizes_have_units_and_bounds() {
        let durations = [
            ("10s", Some(Duration::from_secs(10))),
            ("500ms", Some(Duration::from_millis(500))),
            ("24h", Some(Duration::from_hours(24))),
            ("25h", None),
            ("0s", None),
            ("10", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("s", None),
        ];
        for (text, expected) in durations {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        let sizes = [
            ("1MiB", Some(1 << 20)),
            ("64KiB", Some(65_536)),
            ("7B", Some(7)),
            ("1MB", None),
            ("18446744073709551615GiB", None),
            ("", None),
        ];
        for (text, expected) in sizes {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
