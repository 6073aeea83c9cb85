//! `speechctl bench`: shows what the service promises, and measures it, with a server of its own.

mod book;
mod chaos;
mod killer;
mod latency;
mod live;
mod progress;
mod proxy;
mod random;
mod scene;
mod server;
mod speech;
mod verdict;

use crate::{
    client::{absolute_path, output::Output, stt::is_path},
    error::{Error, Kind, Result},
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Show what the service promises, and measure it
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Bench {
    /// Kill engines and the server while people speak, and compare what is heard
    Chaos(chaos::Args),
    /// Measure how long after it is spoken a word is understood
    Latency(latency::Args),
}

/// Runs a bench.
///
/// # Errors
/// `DataLoss` where the promise was broken; what keeps it from running.
pub(crate) async fn run(args: Args, output: Output) -> Result<()> {
    match args.bench {
        Bench::Chaos(args) => chaos::run(args, output).await,
        Bench::Latency(args) => latency::run(args, output).await,
    }
}

/// Where servers of a bench keep what they have. Goes with it, unless it is to be kept.
struct Place {
    root: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// The folder that is to be kept, else one that goes.
    ///
    /// # Errors
    /// `Config` for one that is in use, `Io`.
    fn try_new(kept: Option<&Path>) -> Result<Self> {
        let Some(root) = kept else {
            let made = tempfile::Builder::new().prefix("speechctl-bench-").tempdir();
            let folder = std::env::temp_dir();
            let cannot = |cause| {
                let message = format!("cannot make a folder in `{}`; set TMPDIR", folder.display());
                Error::new(Kind::Io, message).because(cause)
            };
            let temporary = made.map_err(cannot)?;
            return Ok(Self { root: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        if std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
            let message =
                format!("`--keep {}`: the folder is not empty; give one that is, or a new one", root.display());
            return Err(Error::new(Kind::Config, message));
        }
        Ok(Self { root: root.to_owned(), temporary: None })
    }

    /// A folder for one server.
    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }
}

/// A model as the server finds it, wherever that starts.
fn model(name: &str) -> Result<String> {
    if is_path(name) { absolute_path(name) } else { Ok(name.to_owned()) }
}

/// A seed of chance, small enough to be typed again.
fn chance() -> u64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from(u32::from_le_bytes(bytes)),
        // It need not be hard to guess.
        Err(_) => u64::from(std::process::id()),
    }
}
