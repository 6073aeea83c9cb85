//! Logs. They go to stderr; stdout is data.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors alone.
    Quiet,
    /// What an operator wants to know.
    Normal,
    /// What a developer wants to know.
    Verbose,
    /// Everything.
    Trace,
}

/// Starts logging to stderr; `None` logs nothing. `SPEECHCTL_LOG` (as `RUST_LOG` of other programs) goes first.
pub(crate) fn start(verbosity: Option<Verbosity>) {
    start_beside(verbosity, &[]);
}

/// The same beside libraries that log what only developers want to know: of these come warnings, unless more is asked
/// for.
pub(crate) fn start_beside(verbosity: Option<Verbosity>, chatty: &[&str]) {
    let level = match verbosity {
        None => LevelFilter::OFF,
        Some(Verbosity::Quiet) => LevelFilter::ERROR,
        Some(Verbosity::Normal) => LevelFilter::INFO,
        Some(Verbosity::Verbose) => LevelFilter::DEBUG,
        Some(Verbosity::Trace) => LevelFilter::TRACE,
    };
    let filter = EnvFilter::try_from_env("SPEECHCTL_LOG").unwrap_or_else(|_| {
        let mut filter = EnvFilter::default().add_directive(level.into());
        let (quiet, level) = match verbosity {
            Some(Verbosity::Normal) => (chatty, "warn"),
            // The transport's own chatter is for those who ask for everything.
            Some(Verbosity::Verbose) => (&["h2", "hyper", "hyper_util", "tonic", "tower"][..], "info"),
            _ => (&[][..], ""),
        };
        for directive in quiet.iter().flat_map(|name| format!("{name}={level}").parse()) {
            filter = filter.add_directive(directive);
        }
        filter
    });
    // Only the first subscriber counts; a second start is a test's, and harmless.
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that cannot be written is not worth a word, and the word could not be written either.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "Logging was started already.");
    }
}
