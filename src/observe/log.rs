//! Where log lines go, and what a panic may say.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The variable that sets what is logged, in `tracing`'s filter grammar, such as `tamis=debug`.
pub const FILTER_VARIABLE: &str = "TAMIS_LOG";

/// Without it: our own lines from `info` on, and what libraries warn of.
const DEFAULT_FILTER: &str = "warn,tamis=info";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Sends log lines to standard error, and makes a panic print its place instead of its payload,
/// which may hold a value. A second call does nothing.
///
/// Only this crate's lines can be made more talkative than `info`: libraries print what they are
/// given, headers and bodies among it, so that their `debug` and `trace` lines are never written.
pub fn init_tracing(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter);
    let _ = match format {
        LogFormat::Text => install(lines.finish()),
        LogFormat::Json => install(lines.json().flatten_event(true).finish()),
    };
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) =
            panic.location().map_or(("unknown", 0), |place| (place.file(), place.line()));
        tracing::error!(file, line, "panic");
    }));
}

fn install<S>(subscriber: S) -> Result<(), tracing_subscriber::util::TryInitError>
where
    S: tracing::Subscriber
        + for<'a> tracing_subscriber::registry::LookupSpan<'a>
        + Into<tracing::Dispatch>
        + Send
        + Sync
        + 'static,
{
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    subscriber.with(LibrariesQuiet).try_init()
}

/// Drops what other crates say below `info`, whatever the filter lets through.
struct LibrariesQuiet;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for LibrariesQuiet {
    fn enabled(
        &self,
        metadata: &tracing::Metadata<'_>,
        _context: tracing_subscriber::layer::Context<'_, S>,
    ) -> bool {
        may_be_written(metadata.target(), *metadata.level())
    }
}

fn may_be_written(target: &str, level: tracing::Level) -> bool {
    let own = target == "tamis" || target.starts_with("tamis::");
    own || level <= tracing::Level::INFO
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::may_be_written;

    #[test]
    fn libraries_cannot_be_made_to_print_what_they_are_given() {
        for (target, level, expected) in [
            ("tamis::gateway", Level::TRACE, true),
            ("tamis", Level::DEBUG, true),
            ("hyper::proto::h1", Level::TRACE, false),
            ("h2::codec", Level::DEBUG, false),
            ("rustls::conn", Level::WARN, true),
            ("tamisx", Level::DEBUG, false),
        ] {
            assert_eq!(may_be_written(target, level), expected, "{target} {level}");
        }
    }
}
