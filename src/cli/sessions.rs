//! The flags of `speechctl serve` that say how streaming recognitions are kept.

use crate::{
    client::output,
    config, flags,
    server::{SessionLimits, SessionSettings, Syncing},
};
use std::{path::PathBuf, time::Duration};

/// The least that a log may have: room for an utterance at 16 kHz, and for what has to be kept before it.
const LEAST_LOG: u64 = 4 << 20;

/// How streaming recognitions are kept.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Streaming sessions")]
pub(super) struct Args {
    /// Where the audio of sessions is kept until it is decided; belongs to one server at a time
    /// [default: ~/.local/state/speechctl/ADDRESS]
    #[arg(long, value_name = "FOLDER")]
    state_folder: Option<PathBuf>,

    /// How long a session waits for a client that has gone; then it ends, and lingers
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = output::seconds)]
    session_wait: Duration,

    /// How long the finals of a session that is over are kept for a client that has not got them all
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = output::seconds)]
    linger: Duration,

    /// The most that one session may keep, such as 64M: about half an hour of audio that nobody could decide; at least 4M,
    /// and 8M for audio of 48 kHz
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = log_size)]
    session_log: u64,

    /// The most that all sessions may keep together
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = log_size)]
    log_size: u64,

    /// When what is kept must have reached the disk: `never`, `finals`, `always`, or every so many seconds, and finals.
    /// It matters for power cuts only
    #[arg(long, value_name = "WHEN", default_value = "1", value_parser = syncing)]
    log_sync: Syncing,

    /// The most sessions at the same time; fewer where the machine cannot keep up with them
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_sessions: u32,
}

impl Args {
    /// The settings, for a server that listens on `address` and gives its engines so many threads.
    pub(super) fn settings(self, address: &str, threads: i32) -> SessionSettings {
        let folder = self.state_folder.unwrap_or_else(|| config::state_folder(config::env).join(as_name(address)));
        SessionSettings {
            folder,
            limits: SessionLimits { session: self.session_log, all: self.log_size },
            syncing: self.log_sync,
            is_private: false,
            wait: self.session_wait,
            linger: self.linger,
            most: usize::try_from(self.max_sessions).unwrap_or(usize::MAX),
            ..defaults(PathBuf::new(), threads)
        }
    }
}

/// How a private server keeps sessions: for itself, in a folder of its own.
pub(super) fn defaults(folder: PathBuf, threads: i32) -> SessionSettings {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Half of what a recording gets: partials and finals are decoded side by side, and engines that are given more
    // threads than there are free cores take many times as long.
    let threads = usize::try_from(threads).ok().filter(|threads| *threads > 0).unwrap_or((cores.min(4) / 2).max(1));
    SessionSettings {
        folder,
        limits: SessionLimits { session: 64 << 20, all: 1 << 30 },
        syncing: Syncing::default(),
        is_private: true,
        wait: Duration::from_secs(300),
        linger: Duration::from_secs(600),
        most: 1000,
        cores,
        threads: threads.min(cores),
    }
}

/// An address as the name of a folder: each server of a machine has its own, and finds it again.
fn as_name(address: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' };
    let name: String = address.trim_start_matches("http://").chars().map(plain).collect();
    // A port that the system chooses is another one each time.
    if address.ends_with(":0") { format!("{name}-{}", std::process::id()) } else { name }
}

/// Reads the size of a log. Rates for which it is too small are refused when a session begins.
fn log_size(text: &str) -> Result<u64, String> {
    match flags::size(text)? {
        0..LEAST_LOG => Err("it must be at least 4M".to_owned()),
        size => Ok(size),
    }
}

/// Reads when to sync.
fn syncing(text: &str) -> Result<Syncing, String> {
    match text {
        "never" => Ok(Syncing::Never),
        "finals" => Ok(Syncing::Finals),
        "always" => Ok(Syncing::Always),
        _ => output::seconds(text)
            .map(Syncing::Every)
            .map_err(|why| format!("give `never`, `finals`, `always` or a number of seconds: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_of_folders() {
        assert_eq!(as_name("127.0.0.1:50051"), "127.0.0.1-50051");
        assert_eq!(as_name("unix:/run/speech.sock"), "unix--run-speech.sock");
    }

    #[test]
    fn syncing_is_read() {
        assert_eq!(syncing("never"), Ok(Syncing::Never));
        assert_eq!(syncing("0.5"), Ok(Syncing::Every(Duration::from_millis(500))));
        assert!(syncing("sometimes").is_err());
    }
}
