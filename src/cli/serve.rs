//! `speechctl serve`: flags, signals, and the line that says that it is ready.

use crate::{
    client::{self, output},
    config,
    error::Result,
    flags,
    models::library::{Library, is_source},
    server::{self, Bound, Settings, Spares},
    shutdown::{self, Notice, Stop},
    signals::Signals,
};
use std::{path::PathBuf, time::Duration};

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

    /// Recogniser of requests that name none: a model's name, a ggml model file, or `selftest` [default: the best that is
    /// installed for the language]
    #[arg(long, value_name = "MODEL", env = "SPEECHCTL_MODEL")]
    model: Option<String>,

    /// Voice of requests that name none, or a Piper voice's .onnx file [default: en-us; with `--worker tts=…`, that
    /// worker's own]
    #[arg(long, value_name = "VOICE", env = "SPEECHCTL_VOICE")]
    voice: Option<String>,

    #[command(flatten)]
    pull: client::models::PullArgs,

    /// Pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`; read again when the file changes
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    lexicon: Option<PathBuf>,

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

    /// A worker that somebody else runs: `stt=http://HOST:PORT` or `tts=http://HOST:PORT`, which speaks the contracts in
    /// proto/macaw; may be given more than once. The first of each role serves requests that name no model or voice
    #[arg(long, value_name = "ROLE=ADDRESS", help_heading = "Workers")]
    worker: Vec<String>,

    /// Let workers dial in here: HOST:PORT (port 0: the system chooses); see `speechctl worker --help`
    #[arg(long, value_name = "ADDRESS", requires = "registration_token", help_heading = "Workers")]
    registration: Option<String>,

    /// Where to write the token that the next worker to dial in needs; a fresh one is written each time one was used
    #[arg(long, value_name = "FILE", requires = "registration", help_heading = "Workers")]
    registration_token: Option<PathBuf>,

    /// Start a worker before it is needed, for each model in use, so that the loss of one costs no time: where memory
    /// allows, always, or never
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Workers")]
    spares: SparesArg,

    /// Unload a model that was not used for so long; 0 = never
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = output::seconds_or_zero, help_heading = "Workers")]
    idle_timeout: Duration,

    /// Load this model before the server is ready, and keep it loaded; may be given more than once
    #[arg(long, value_name = "MODEL", help_heading = "Workers")]
    preload: Vec<String>,

    /// The most models that are loaded at the same time: for one more, the one goes that was not used for longest and that
    /// nobody needs; where there is none, the request is refused; 0 = any number
    #[arg(long, value_name = "N", default_value = "0", help_heading = "Workers")]
    max_models: u16,

    /// How long a model stays loaded at least, before it may go for another or because it is not used
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = output::seconds_or_zero, help_heading = "Workers")]
    min_residency: Duration,

    /// The most models that load at the same time; others wait for their turn [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Workers")]
    max_loads: Option<u16>,

    /// Have a worker that was idle for so long show that its engine works; one that fails is replaced; 0 = never
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = output::seconds_or_zero, help_heading = "Workers")]
    self_check: Duration,

    /// The most memory that a worker may take, such as 2G; 0 = no limit [default: three quarters of what there is]
    #[arg(long, value_name = "SIZE", value_parser = flags::size, help_heading = "Workers")]
    worker_memory: Option<u64>,

    #[command(flatten)]
    sessions: super::sessions::Args,

    #[command(flatten)]
    spoken: super::spoken::Args,
}

/// When to start a worker before it is needed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SparesArg {
    /// Where memory allows
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<SparesArg> for Spares {
    fn from(arg: SparesArg) -> Self {
        match arg {
            SparesArg::Auto => Spares::WhereMemoryAllows,
            SparesArg::Always => Spares::Always,
            SparesArg::Never => Spares::Never,
        }
    }
}

/// The most memory of a worker when nothing is said: it leaves some to everybody else.
pub(super) fn worker_memory(wanted: Option<u64>) -> Option<u64> {
    match wanted {
        Some(0) => None,
        Some(bytes) => Some(bytes),
        None => server::total_memory().map(|bytes| bytes / 4 * 3),
    }
}

/// The most models that load at the same time; when nothing is said half the cores are left to who is served.
pub(super) fn max_loads(wanted: Option<u16>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    wanted.map_or((cores / 2).max(1), usize::from)
}

/// Serves until a signal.
pub(super) async fn run(args: Args, output: output::Output) -> Result<()> {
    let (notice, mut listener) = shutdown::channel();
    let address = args.listen.first().cloned().unwrap_or_default();
    let sessions = args.sessions.settings(&address, args.threads.unwrap_or(0));
    let settings = Settings {
        listen: args.listen,
        library: Library::of(config::env),
        insecure: args.insecure,
        model: args.model.map(absolute).transpose()?,
        voice: args.voice.map(absolute_voice).transpose()?,
        preload: args.preload.into_iter().map(|name| absolute(absolute_voice(name)?)).collect::<Result<_>>()?,
        lexicon: args.lexicon,
        program: config::own_program()?,
        cache: config::cache_folder(config::env),
        threads: args.threads.unwrap_or(0),
        drain: args.drain_timeout,
        load_timeout: args.load_timeout,
        hang_timeout: args.hang_timeout,
        workers: args.worker,
        spares: args.spares.into(),
        idle_timeout: args.idle_timeout,
        min_residency: args.min_residency,
        max_models: args.max_models.into(),
        max_loads: max_loads(args.max_loads),
        self_check: args.self_check,
        worker_memory: worker_memory(args.worker_memory),
        registration: args.registration.zip(args.registration_token),
        sessions,
        spoken: args.spoken.settings(),
        restores: true,
    };
    // Before the line that says ready: whoever reads it may send a signal at once.
    let signals = tokio::spawn(escalate_on_signals(Signals::listen()?, notice));
    let (model, voice) = (settings.model.as_deref(), settings.voice.as_deref());
    tokio::select! {
        pulled = client::models::before_serving(model, voice, &settings.preload, args.pull, output) => pulled?,
        () = listener.wanted(Stop::Drain) => return Ok(()),
    }
    let bound = Bound::bind(settings).await?;
    let registration = bound.registration();
    let ready = |addresses: &[String]| {
        if let Some(address) = &registration {
            output.line(&format!("speechctl: workers may dial in on {address}"))?;
        }
        output.line(&format!("speechctl: listening on {}", addresses.join(", ")))
    };
    let result = bound.serve(listener, ready).await;
    signals.abort();
    result
}

/// A model file as the workers can find it, wherever they start.
fn absolute(model: String) -> Result<String> {
    if client::stt::is_path(&model) { client::absolute_path(&model) } else { Ok(model) }
}

/// A voice's file as the workers can find it. espeak's own names may hold a slash, too.
fn absolute_voice(voice: String) -> Result<String> {
    if voice.ends_with(".onnx") && !is_source(&voice) { client::absolute_path(&voice) } else { Ok(voice) }
}

/// Turns each signal into more urgency.
async fn escalate_on_signals(mut signals: Signals, notice: Notice) {
    loop {
        signals.next().await;
        tracing::info!("Stopping: open calls may end, new ones are refused.");
        notice.escalate();
    }
}
