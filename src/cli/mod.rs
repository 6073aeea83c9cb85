//! What the user types, and how the process ends. Flags live beside the verb that they steer; here they are put
//! together, and so are client and server, which do not know each other.

mod doctor;
mod exit;
mod leftovers;
mod pages;
mod private;
mod serve;
mod sessions;
mod spoken;

use crate::{
    client::{self, Context, output},
    config,
    error::{Error, Kind, Result},
    proto::status,
    shutdown::{self, Notice},
    signals::Signals,
    telemetry::{self, Verbosity},
    worker,
};
use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use exit::Exit;
use std::{
    ffi::OsString,
    io::{self, Write},
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// What exit codes mean, at the end of every long help.
const EXIT_CODES: &str = "\
Exit codes:
  0  done                    1  internal error
  2  wrong command           3  wrong input; no such file, voice or model
  4  no model installed      5  server away, busy or too slow
  6  device or disk          7  credentials
  130  interrupted";

/// Speech on the command line: text to speech, speech to text, and the gRPC service behind both
#[derive(Debug, Parser)]
#[command(name = "speechctl", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    global: Global,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, clap::Args)]
struct Global {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    quiet: bool,

    /// Tell more on stderr; twice tells all
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Speak a text into an audio file
    Tts(Box<client::tts::Args>),
    /// Write down what is said, in an audio file or into a microphone
    Stt(Box<client::stt::Args>),
    /// Say lines as they are typed
    Session(Box<client::session::Args>),
    /// List the voices
    Voices(client::voices::Args),
    /// List, pull, check and remove models
    Models(client::models::Args),
    /// List the workers of a server
    Ps(client::ps::Args),
    /// List and recover what servers that died have left behind
    Sessions(leftovers::Args),
    /// Run the gRPC service
    Serve(Box<serve::Args>),
    /// Find out why speech does not work here
    Doctor(doctor::Args),
    /// Show what the service promises, and measure it
    #[command(hide = true)]
    Bench(client::bench::Args),
    /// Print what makes a shell complete speechctl's flags
    Completions(pages::CompletionsArgs),
    /// Write the manual's pages into a folder
    Man(pages::ManArgs),
    /// Run one engine
    Worker(worker::Args),
}

/// Runs the program.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args),
    };
    quiet_guarded_panics();
    match dispatch(cli) {
        Ok(()) => Exit::Ok,
        Err(error) if output::is_closed_pipe(&error) => Exit::Ok,
        Err(error) => {
            say(&format!("speechctl: {error}"));
            error.kind().into()
        }
    }
}

/// Decoders of foreign files may panic on hostile ones. The threads that run them catch it and say what is wrong with
/// the file; the panic itself is for developers.
fn quiet_guarded_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(GUARDED_THREAD) {
            tracing::debug!(%panic, "Decoder panicked.");
        } else {
            default(panic);
        }
    }));
}

fn dispatch(cli: Cli) -> Result<()> {
    let Global { quiet, verbose } = cli.global;
    let mood = Mood { quiet, verbose };
    match cli.command {
        Command::Tts(args) => {
            let connect = args.connect.clone();
            client_verb(mood, &connect, "cannot speak", |context| client::tts::run(*args, context))
        }
        Command::Stt(args) => {
            let connect = args.connect.clone();
            client_verb(mood, &connect, "cannot transcribe", |context| client::stt::run(*args, context))
        }
        Command::Session(args) => {
            let connect = args.connect.clone();
            client_verb(mood, &connect, "cannot speak", |context| client::session::run(*args, context))
        }
        Command::Voices(args) => {
            let connect = args.connect.clone();
            client_verb(mood, &connect, "cannot list voices", |context| client::voices::run(args, context))
        }
        Command::Models(args) => {
            let output = output::Output::new(quiet, verbose);
            telemetry::start(mood.of_client());
            plain_verb(client::models::run(args, output))
        }
        Command::Ps(args) => {
            let connect = args.connect.clone().without_spawning();
            client_verb(mood, &connect, "cannot list workers", |context| client::ps::run(args, context))
        }
        Command::Sessions(args) => leftovers::run(args, output::Output::new(quiet, verbose))
            .map_err(|error| error.context("cannot look at sessions")),
        Command::Serve(args) => {
            telemetry::start(Some(mood.of_service()));
            let output = output::Output::new(quiet, verbose);
            runtime()?.block_on(serve::run(*args, output)).map_err(|error| error.context("cannot serve"))
        }
        Command::Doctor(args) => {
            telemetry::start(mood.of_client());
            plain_verb(doctor::run(args, output::Output::new(quiet, verbose)))
        }
        Command::Bench(args) => {
            let output = output::Output::new(quiet, verbose);
            plain_verb(client::bench::run(args, output)).map_err(|error| match error.kind() {
                Kind::Cancelled => error,
                _ => error.context("cannot vouch for the service"),
            })
        }
        Command::Completions(args) => pages::completions(&args, output::Output::new(quiet, verbose)),
        Command::Man(args) => pages::man(&args),
        Command::Worker(args) => {
            let verbosity = if args.stands_alone() { mood.of_service() } else { Verbosity::Quiet };
            telemetry::start_beside(Some(verbosity), worker::CHATTY);
            let runtime = Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
            let output = output::Output::new(quiet, verbose);
            let ready = |address: &str| output.line(&format!("speechctl: worker listening on {address}"));
            let result = runtime.block_on(worker::run(args, config::cache_folder(config::env), ready));
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
            result
        }
    }
}

/// How much to tell.
#[derive(Clone, Copy)]
struct Mood {
    quiet: bool,
    verbose: u8,
}

impl Mood {
    /// What a verb logs that speaks to its user itself.
    fn of_client(self) -> Option<Verbosity> {
        match (self.quiet, self.verbose) {
            (true, _) | (_, 0) => None,
            (_, 1) => Some(Verbosity::Normal),
            (_, 2) => Some(Verbosity::Verbose),
            _ => Some(Verbosity::Trace),
        }
    }

    /// What a verb logs that serves others, and so talks to whoever runs it by its log.
    fn of_service(self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, 0) => Verbosity::Normal,
            (_, 1) => Verbosity::Verbose,
            _ => Verbosity::Trace,
        }
    }
}

/// Runs a verb that needs no server, until it is done or a signal comes.
fn plain_verb(verb: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let (runtime, (notice, _)) = (runtime()?, shutdown::channel());
    let result = runtime.block_on(until_interrupted(verb, None, &notice));
    // Threads that read or write are not waited for: the process ends with its main thread.
    runtime.shutdown_background();
    result
}

/// Runs a verb of the client, until it is done or a signal comes.
fn client_verb<F>(
    Mood { quiet, verbose }: Mood,
    connect: &client::ConnectArgs,
    doing: &'static str,
    verb: impl FnOnce(Context) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    telemetry::start(Mood { quiet, verbose }.of_client());
    let (spawner, folder) = private::spawner();
    let (notice, _) = shutdown::channel();
    let notice = Arc::new(notice);
    let context = Context::try_new(connect, output::Output::new(quiet, verbose), spawner, Arc::clone(&notice))?;
    let runtime = runtime()?;
    let result = runtime.block_on(until_interrupted(verb(context), connect.time_limit(), &notice));
    // Threads that read, write or decode are not waited for: the process ends with its main thread.
    runtime.shutdown_background();
    drop(folder.lock().unwrap_or_else(PoisonError::into_inner).take());
    result.map_err(|error| match error.kind() {
        Kind::Cancelled => error,
        _ => {
            if verbose > 0 {
                tell_details(&error);
            }
            error.context(doing)
        }
    })
}

/// Runs a verb as a task, which may wait for whoever reads our output while signals and time are minded here. A verb
/// that hears the notice ends in order at the first signal; the second ends it at once.
async fn until_interrupted(
    verb: impl Future<Output = Result<()>> + Send + 'static,
    limit: Option<Duration>,
    notice: &Notice,
) -> Result<()> {
    // The verb minds its time itself wherever it does not block, and says more about it.
    let late = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit + LAST_BREATH).await,
            None => std::future::pending().await,
        }
    };
    let mut task = tokio::spawn(verb);
    tokio::select! {
        result = &mut task => result.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "this is a bug"))),
        interrupt = interrupted(notice) => {
            task.abort();
            // With it go the files that are not whole, unless it waits for somebody else.
            drop(tokio::time::timeout(LAST_BREATH, task).await);
            Err(interrupt)
        }
        () = late => {
            task.abort();
            Err(Error::new(Kind::Deadline, "it took longer than `--timeout` allows"))
        }
    }
}

fn runtime() -> Result<Runtime> {
    // Two at least: one may wait in a write for whoever reads our output, while the other hears signals.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8));
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(no_runtime)
}

fn no_runtime(cause: io::Error) -> Error {
    Error::new(Kind::Internal, "the system gives no threads").because(cause)
}

/// Waits for Ctrl-C, or for another polite signal to end; for the second in a row where the first is heard by the verb.
async fn interrupted(notice: &Notice) -> Error {
    match Signals::listen() {
        Ok(mut signals) => {
            let mut is_ctrl_c = signals.next_is_ctrl_c().await;
            // A verb that has minded one and goes on takes the next one for the first.
            while notice.is_heard() && !notice.is_given() {
                if is_ctrl_c {
                    notice.escalate()
                } else {
                    notice.insist()
                }
                is_ctrl_c = signals.next_is_ctrl_c().await;
            }
        }
        Err(_) => std::future::pending().await,
    }
    Error::new(Kind::Cancelled, "interrupted")
}

/// What a program would read from the status: for whoever asked to know more.
fn tell_details(error: &Error) {
    say(&format!("speechctl: kind {}", status::reason(error.kind())));
    for line in &error.details().last_words {
        say(&format!("speechctl: the engine said: {line}"));
    }
}

/// clap's own pages for help and version; one line for everything else.
fn usage(error: &clap::Error, args: &[OsString]) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Exit::Io,
            _ => Exit::Ok,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.print().unwrap_or_default();
            Exit::Usage
        }
        _ => {
            let is_verb =
                |arg: &&OsString| Cli::command().get_subcommands().any(|verb| verb.get_name() == arg.as_os_str());
            let verb = args.iter().skip(1).find(is_verb).map(|verb| format!("{} ", verb.to_string_lossy()));
            let line = one_line(&error.to_string());
            say(&format!("speechctl: {line}; see `speechctl {}--help`", verb.unwrap_or_default()));
            Exit::Usage
        }
    }
}

/// The sentence of clap's message, with its hint, without its usage block.
fn one_line(message: &str) -> String {
    let sentence = message.split("\n\nUsage:").next().unwrap_or(message);
    let sentence = sentence.split("\n\nFor more information").next().unwrap_or(sentence);
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let line = words.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).replace(" tip: ", "; ")
}

/// Says something on stderr. Where that is closed nobody can be told.
fn say(line: &str) {
    writeln!(io::stderr().lock(), "{}", output::printable(line)).unwrap_or_default();
}

/// The name of the threads that decode audio.
const GUARDED_THREAD: &str = "decode";

/// How long a verb may take to clean up after a signal.
const LAST_BREATH: Duration = Duration::from_millis(300);

/// How long a server of our own may take to end with its call.
const FAREWELL: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_one_line() {
        let error = Cli::try_parse_from(["speechctl", "tts", "--speeed", "2", "x"]).expect_err("a typo");
        let line = one_line(&error.to_string());
        assert!(!line.contains('\n') && line.starts_with("unexpected argument '--speeed' found"), "{line}");
    }

    #[test]
    fn every_kind_has_an_exit_of_its_own_meaning() {
        for kind in Kind::ALL {
            assert_ne!(Exit::from(kind), Exit::Ok);
        }
    }
}
