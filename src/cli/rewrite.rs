//! `tamis rewrite`: the streaming engine alone, as a filter on standard input.
//!
//! What has been decided is written as it is decided, so a document that turns out to be malformed
//! has its front part written already: the exit code, not the output, says whether it is whole.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::REJECTED;
use crate::action::pseudonym::{Canonical, Domain, DomainKey, Scope, Use};
use crate::action::{Action, Generalisation, Period, Treatment};
use crate::keys::KeyRing;
use crate::minimize::{Finish, JsonLimits, JsonMinimizer, Malformed, Minimizer, Need};
use crate::policy::automaton::{Automaton, CellId, CompileError, Mark, Unlisted};
use crate::policy::path::Selector;

/// Bytes read and written at a time; larger ones are no faster.
const CHUNK: usize = 64 * 1024;

/// Arguments of `tamis rewrite`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tamis rewrite --rule '$.email=remove' --rule '$..pan=mask last 4' < in.json > out.json
  tamis rewrite --only '$.id' --only '$.status' < in.json

What no rule names is copied byte for byte; with --only, what no --only names is removed first and
the rules see the rest. Where two rules name one place the stricter holds, or `blank` where neither
is. A rule on an object other than `keep` and `remove` replaces it by `null`.

Exit codes: 0 done; 1 the input is not JSON by RFC 8259 or over a limit (kind and offset are on
standard error, and the output is cut off there); 2 wrong usage; 64 a rule is rejected.")]
pub(super) struct Rewrite {
    /// What happens to what a JSONPath selector finds: SELECTOR=ACTION.
    #[arg(long = "rule", value_name = "SELECTOR=ACTION")]
    rules: Vec<String>,
    /// Keep what this JSONPath selector finds, and nothing else.
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<String>,
    /// A key ring file, for `pseudonym` and `token`; TAMIS_KEY_RING in the environment goes before.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// What was wrong with a rule: the argument, the part of it, and why.
#[derive(Debug)]
struct Rejected {
    option: &'static str,
    argument: String,
    column: usize,
    length: usize,
    message: String,
}

/// Why the command ended early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read standard input")]
    Read(#[source] io::Error),
    #[error("cannot write standard output")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Rewrite {
    pub(super) fn run(self) -> ExitCode {
        let engines = match self.engines() {
            Ok(engines) => engines,
            Err(rejected) => {
                let _ = rejected.write(&mut io::stderr().lock());
                return ExitCode::from(REJECTED);
            }
        };
        match pump(engines, &mut io::stdin().lock(), &mut io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                let mut stderr = io::stderr().lock();
                let _ = match std::error::Error::source(&failure) {
                    Some(cause) => writeln!(stderr, "error: {failure}: {cause}"),
                    None => writeln!(stderr, "error: {failure}"),
                };
                ExitCode::FAILURE
            }
        }
    }

    /// The engines the bytes pass through: what is kept at all, then the rules.
    fn engines(&self) -> Result<Vec<JsonMinimizer>, Rejected> {
        let today = Offset::UTC.to_datetime(Timestamp::now()).date();
        let mut engines = Vec::new();
        if !self.only.is_empty() {
            let kept = self
                .only
                .iter()
                .map(|text| Ok((selector("--only", text, text)?, bare(Action::Keep, today))))
                .collect::<Result<_, _>>()?;
            engines.push(engine("--only", kept, Unlisted::Remove)?);
        }
        let keys = self.keys()?;
        let rules = self
            .rules
            .iter()
            .map(|text| rule(text, keys.as_ref(), today))
            .collect::<Result<Vec<_>, _>>()?;
        if engines.is_empty() || !rules.is_empty() {
            engines.push(engine("--rule", rules, Unlisted::Keep)?);
        }
        Ok(engines)
    }

    fn keys(&self) -> Result<Option<KeyRing>, Rejected> {
        let Some(path) = &self.key_file else { return Ok(None) };
        let ring = KeyRing::open(path).map_err(|error| {
            let argument = path.display().to_string();
            Rejected::whole("--key-file", argument, error.to_string())
        })?;
        Ok(Some(ring))
    }
}

fn engine(
    option: &'static str,
    rules: Vec<(Selector, Treatment)>,
    unlisted: Unlisted,
) -> Result<JsonMinimizer, Rejected> {
    let rejected = |message: String| Rejected::whole(option, "…".to_owned(), message);
    let mut marks = Vec::with_capacity(rules.len());
    let mut treatments = Vec::with_capacity(rules.len());
    for (position, (selector, treatment)) in rules.into_iter().enumerate() {
        let cell =
            u16::try_from(position).map_err(|_| rejected("more than 65,536 rules".to_owned()))?;
        marks.push((selector, Mark::Cell { cell: CellId(cell), subtree: true }));
        treatments.push(treatment);
    }
    let automaton = Automaton::compile(&marks, unlisted)
        .map_err(|error: CompileError| rejected(error.to_string()))?;
    let limits = JsonLimits::default();
    Ok(JsonMinimizer::new(Arc::new(automaton), treatments.into(), false, limits))
}

/// Reads `SELECTOR=ACTION`. No action holds a `=`, so the last one divides.
fn rule(
    text: &str,
    keys: Option<&KeyRing>,
    today: Date,
) -> Result<(Selector, Treatment), Rejected> {
    let Some((path, word)) = text.rsplit_once('=') else {
        let message = "`=` and an action expected, as in `$.email=remove`".to_owned();
        return Err(Rejected::at("--rule", text, text.chars().count(), 1, message));
    };
    let selector = selector("--rule", text, path)?;
    let column = path.chars().count() + 1;
    let length = word.chars().count();
    let rejected = |message: String| Rejected::at("--rule", text, column, length, message);
    let action: Action = word.parse().map_err(|error: crate::action::UnknownAction| {
        rejected(match error.suggestion {
            Some(suggestion) => format!("unknown action; did you mean `{suggestion}`?"),
            None => "unknown action".to_owned(),
        })
    })?;
    if let Some(reason) = unusable(&action) {
        return Err(rejected(format!("`{action}` {reason}")));
    }
    let mut treatment = bare(action, today);
    if let Some((used_for, period)) = keyed(&treatment.action) {
        let Some(keys) = keys else {
            let action = &treatment.action;
            return Err(rejected(format!("`{action}` needs a key: give --key-file")));
        };
        treatment.key = Some(Arc::new(domain_key(keys, used_for, period, today)));
    }
    Ok((selector, treatment))
}

fn selector(option: &'static str, argument: &str, path: &str) -> Result<Selector, Rejected> {
    Selector::parse(path).map_err(|error| {
        let column = error.column.and_then(|column| usize::try_from(column).ok());
        let (column, length) = match column {
            Some(column) => (column, 1),
            None => (0, path.chars().count()),
        };
        Rejected::at(option, argument, column, length, error.message)
    })
}

/// What needs more than one value at a time, or a table: refused
/// rather than blanked in silence.
fn unusable(action: &Action) -> Option<&'static str> {
    match action {
        Action::OwnLines => Some("needs to know who asks, which only the gateway does"),
        Action::Generalise(Generalisation::Group) => {
            Some("needs a table of groups, which only rules files have")
        }
        Action::Keep
        | Action::Mask(_)
        | Action::Initials
        | Action::FirstWord
        | Action::Generalise(_)
        | Action::IpPrefix { .. }
        | Action::AgentFamily
        | Action::PathTemplate
        | Action::Origin
        | Action::Scrub
        | Action::Fpe
        | Action::Token
        | Action::Pseudonym(_)
        | Action::Blank
        | Action::Remove
        | Action::Drop
        | Action::Refuse => None,
    }
}

fn keyed(action: &Action) -> Option<(Use, Period)> {
    match action {
        Action::Pseudonym(period) => Some((Use::Pseudonym, *period)),
        Action::Token => Some((Use::Token, Period::Unlimited)),
        Action::Fpe => Some((Use::Fpe, Period::Unlimited)),
        _ => None,
    }
}

/// One domain for the whole command line: equal values get equal pseudonyms under every rule.
fn domain_key(keys: &KeyRing, used_for: Use, period: Period, today: Date) -> DomainKey {
    let week = today.iso_week_date();
    let period = match period {
        Period::Unlimited => String::new(),
        Period::Year => today.strftime("%Y").to_string(),
        Period::Month => today.strftime("%Y-%m").to_string(),
        Period::Week => format!("{:04}-W{:02}", week.year(), week.week()),
        Period::Day => today.to_string(),
    };
    keys.key(&Domain {
        used_for,
        policy: "tamis rewrite",
        category: "",
        scope: Scope::Recipient,
        recipient: "",
        purpose: "",
        extra: "",
        period: &period,
    })
}

fn bare(action: Action, today: Date) -> Treatment {
    Treatment {
        action,
        key: None,
        scope: Scope::Recipient,
        opens: None,
        link: None,
        canonical: Canonical::default(),
        groups: None,
        today,
    }
}

/// Takes the input through the engines, one after the other.
fn pump(
    mut engines: Vec<JsonMinimizer>,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK];
    let mut buffers: Vec<Vec<u8>> = engines.iter().map(|_| Vec::new()).collect();
    loop {
        let length = match input.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Read(error)),
        };
        let passed = pass(&mut engines, &chunk[..length], length == 0, &mut buffers);
        // What was decided before a fault is written: the caller sees how far it went.
        if let Some(decided) = buffers.last_mut() {
            output.write_all(decided).map_err(Failure::Write)?;
            decided.clear();
        }
        passed?;
        if length == 0 {
            return output.flush().map_err(Failure::Write);
        }
    }
}

fn pass(
    engines: &mut [JsonMinimizer],
    chunk: &[u8],
    last: bool,
    buffers: &mut [Vec<u8>],
) -> Result<(), Malformed> {
    let mut engines = engines.iter_mut();
    let Some(first) = engines.next() else { return Ok(()) };
    step(first, chunk, last, &mut buffers[0])?;
    for (position, engine) in (1..).zip(engines) {
        let (before, after) = buffers.split_at_mut(position);
        step(engine, &before[position - 1], last, &mut after[0])?;
        before[position - 1].clear();
    }
    Ok(())
}

/// Nothing asks: there is no list among these rules. A question all the same is a refusal.
fn step(
    engine: &mut JsonMinimizer,
    chunk: &[u8],
    last: bool,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    use crate::minimize::MalformedKind::Refused;
    let refused = Malformed { kind: Refused, offset: engine.tally().bytes_in };
    match engine.feed(chunk, out)?.need {
        Need::Input if !last => Ok(()),
        Need::Input => match engine.finish(out)? {
            Finish::Done => Ok(()),
            Finish::Verdicts(_) => Err(refused),
        },
        Need::Verdicts(_) => Err(refused),
    }
}

impl Rejected {
    fn at(
        option: &'static str,
        argument: &str,
        column: usize,
        length: usize,
        message: String,
    ) -> Self {
        Self { option, argument: argument.to_owned(), column, length: length.max(1), message }
    }

    fn whole(option: &'static str, argument: String, message: String) -> Self {
        let length = argument.chars().count();
        Self { option, argument, column: 0, length, message }
    }

    /// The argument with a caret under what is wrong.
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let indent = " ".repeat(self.option.len() + 3 + self.column);
        // A control character would break the line and move the caret.
        let shown: String =
            self.argument.chars().map(|c| if c.is_control() { '␣' } else { c }).collect();
        writeln!(to, "error: {}", self.message)?;
        writeln!(to, "  {} {shown}", self.option)?;
        writeln!(to, "{indent}{}", "^".repeat(self.length))
    }
}
