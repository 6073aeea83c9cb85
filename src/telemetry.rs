//! Logs. They go to stderr; stdout is data.

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

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

/// Starts logging to stderr; `None` logs nothing. `SPEECHCTL_LOG` goes first: a level, or `TARGET=LEVEL`, or several of
/// these with commas between.
pub(crate) fn start(verbosity: Option<Verbosity>) {
    start_beside(verbosity, &[]);
}

/// The same beside libraries that log what only developers want to know: of these come warnings, unless more is asked
/// for.
pub(crate) fn start_beside(verbosity: Option<Verbosity>, chatty: &[&str]) {
    let all = match verbosity {
        None => LevelFilter::OFF,
        Some(Verbosity::Quiet) => LevelFilter::ERROR,
        Some(Verbosity::Normal) => LevelFilter::INFO,
        Some(Verbosity::Verbose) => LevelFilter::DEBUG,
        Some(Verbosity::Trace) => LevelFilter::TRACE,
    };
    let wanted = std::env::var("SPEECHCTL_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| {
        let (quiet, level) = match verbosity {
            Some(Verbosity::Normal) => (chatty, LevelFilter::WARN),
            // The transport's own chatter is for those who ask for everything.
            Some(Verbosity::Verbose) => (&["h2", "hyper", "hyper_util", "tonic", "tower"][..], LevelFilter::INFO),
            _ => (&[][..], LevelFilter::OFF),
        };
        Targets::new().with_default(all).with_targets(quiet.iter().map(|name| (*name, level)))
    });
    // Only the first subscriber counts; a second start is a test's, and harmless.
    let started = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(std::io::stderr)
        // A log that cannot be written is not worth a word, and the word could not be written either.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .finish()
        .with(filter)
        .try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "Logging was started already.");
    }
}
