//! `speechctl serve`: flags, signals, and the line that says that it is ready.

use crate::{
    client::{self, output},
    config,
    error::{Error, Kind, Result},
    server::{Bound, DEFAULT_VOICE, Settings},
    shutdown::{self, Notice},
};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Large models on slow disks take a minute.
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// Engines show life many times a second.
pub(super) const HANG_TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  speechctl serve
  speechctl serve --listen unix:/run/speech.sock --model /models/ggml-base.en.bin
  grpcurl -plaintext localhost:50051 list";

/// Run the gRPC service
///
/// Prints one line with every address once it is ready. Ctrl-C or SIGTERM lets open calls end; a second one ends at
/// once.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to listen: HOST:PORT (port 0: the system chooses) or unix:PATH; may be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = config::DEFAULT_ADDRESS)]
    listen: Vec<String>,

    /// Let others than this machine connect, unencrypted and unasked
    #[arg(long)]
    insecure: bool,

    /// Recogniser of requests that name none: a ggml model file, or `selftest`
    #[arg(long, value_name = "MODEL", env = "SPEECHCTL_MODEL")]
    model: Option<String>,

    /// Voice of requests that name none
    #[arg(long, value_name = "VOICE", env = "SPEECHCTL_VOICE", default_value = DEFAULT_VOICE)]
    voice: String,

    /// Threads of an engine [default: the cores, at most 4]
    #[arg(long, value_name = "N", env = "SPEECHCTL_THREADS", allow_negative_numbers = true, value_parser = output::threads)]
    threads: Option<i32>,

    /// How long open calls may take to end after SIGTERM
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = output::seconds)]
    drain_timeout: Duration,

    /// How long a model may take to load
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = output::seconds)]
    load_timeout: Duration,

    /// How long an engine may work without a sign of life before it is replaced
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = output::seconds)]
    hang_timeout: Duration,
}

/// Serves until a signal.
pub(super) async fn run(args: Args) -> Result<()> {
    let (notice, listener) = shutdown::channel();
    let settings = Settings {
        listen: args.listen,
        insecure: args.insecure,
        model: args.model.map(absolute).transpose()?,
        voice: args.voice,
        is_private: false,
        program: config::own_program()?,
        cache: config::cache_folder(config::env),
        threads: args.threads.unwrap_or(0),
        drain: args.drain_timeout,
        load_timeout: args.load_timeout,
        hang_timeout: args.hang_timeout,
    };
    // Before the line that says ready: whoever reads it may send a signal at once.
    let signals = tokio::spawn(escalate_on_signals(notice)?);
    let bound = Bound::bind(settings).await?;
    let ready = |addresses: &[String]| {
        output::Output::new(false, 0).line(&format!("speechctl: listening on {}", addresses.join(", ")))
    };
    let result = bound.serve(listener, ready).await;
    signals.abort();
    result
}

/// A model file as the workers can find it, wherever they start.
fn absolute(model: String) -> Result<String> {
    if client::stt::is_path(&model) { client::absolute_path(&model) } else { Ok(model) }
}

/// Turns each signal into more urgency.
fn escalate_on_signals(notice: Notice) -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).map_err(|cause| Error::new(Kind::Internal, "cannot hear signals").because(cause));
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (mut hangups, mut quits) = (listen(SignalKind::hangup())?, listen(SignalKind::quit())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
                _ = hangups.recv() => {}
                _ = quits.recv() => {}
            }
            tracing::info!("Stopping: open calls may end, new ones are refused.");
            notice.escalate();
        }
    })
}
