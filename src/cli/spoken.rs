//! The flags of `speechctl serve` that say how spoken sessions are kept.

use crate::{client::output, server::SpokenSettings};
use std::time::Duration;

/// How spoken sessions are kept.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Spoken sessions")]
pub(super) struct Args {
    /// How long a spoken session may say nothing and be asked for nothing before it ends
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = output::seconds)]
    spoken_idle: Duration,

    /// The most spoken sessions at the same time; fewer where the machine cannot keep up with them
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_spoken_sessions: u32,
}

impl Args {
    /// The settings.
    pub(super) fn settings(self) -> SpokenSettings {
        let most = usize::try_from(self.max_spoken_sessions).unwrap_or(usize::MAX);
        SpokenSettings { idle: self.spoken_idle, most }
    }
}

/// How a private server keeps them.
pub(super) fn defaults() -> SpokenSettings {
    SpokenSettings { idle: Duration::from_secs(600), most: 256 }
}
