//! `speechctl ps`: which workers a server has, and which of its models fail.
//!
//! It only looks: it starts no server, for a private one would have nothing to show.

mod document;
mod screen;
mod seen;
mod table;
mod watch;
mod words;

use crate::{
    client::{ConnectArgs, Connection, Context, output::Output},
    error::{Error, Kind, Result},
    proto::v1,
};
use seen::Seen;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use watch::Face;

const EXAMPLES: &str = "\
Examples:
  speechctl ps
  speechctl ps --watch
  speechctl ps --json | jq -r '.workers[] | select(.state == \"busy\") | .pid'
  speechctl ps --watch --json | jq -c 'select(.event == \"model\" and .state == \"failed\")'";

/// What the fields of JSON are, for the long help.
const JSON_FIELDS: &str = "\
Fields of `--json`, version 1 (new fields may come; what is not known is left out; times are as in
RFC 3339):
  version                1; goes up when a field is removed or means something else
  workers[]              id, pid, state (starting, idle, busy, checking, stopping), model, engine,
                         origin (started, called, dialled_in), address, started, calls, restarts,
                         memory_bytes, progress (0 to 1, while it is starting), last_death, build
  models[]               name, engine, state (not_loaded, loading, ready, failed), capabilities[]
                         (recognition, synthesis), is_default, workers, deaths, last_death,
                         lies {what: how often}, waiting, reason, retry_after (seconds)
  last_death             cause, message, time, last_words[]
`--watch --json` gives events, one a line, each with event, version and time: {\"event\":\"worker\", and
the fields of a worker}, whose last state is gone; {\"event\":\"model\", and the fields of a model};
{\"event\":\"complete\"} once all has been told. Where `complete` comes again, all has been told anew:
what was not told since the one before is gone.";

/// How long a server may take to list what it has, where the user gives no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// List the workers of a server
///
/// A worker is the process in which one engine runs. Models that failed, whose workers died, or whose answers could not
/// be true are told of below. It never starts a server.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{JSON_FIELDS}"),
    mut_arg("server", |arg| arg.help("Server to ask: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]")),
    mut_arg("no_spawn", |arg| arg.hide(true)),
    mut_arg("json", |arg| arg.help("Print one JSON document; with `--watch` one a line")),
)]
pub(crate) struct Args {
    /// Show every change as it comes, until Ctrl-C: on a terminal in place, else a line each
    #[arg(short, long)]
    watch: bool,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Lists, or watches.
///
/// # Errors
/// `Unavailable` where no server answers, or once it is gone; `Unsupported` for one that tells nothing of its workers.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    let output = context.output;
    let (connection, farewell) = context.connect().await?;
    let shown = match args.watch {
        true => watch::run(&connection, face(&args, output)).await,
        false => show(&connection, &args, output).await,
    };
    farewell.say(connection).await;
    shown.map_err(|error| match error.kind() {
        Kind::Unsupported => {
            let message = "the server is too old: it cannot tell of its workers; start one of this version";
            Error::new(Kind::Unsupported, message)
        }
        _ => error,
    })
}

/// How changes are shown.
fn face(args: &Args, output: Output) -> Face {
    match (args.connect.json, output.is_screen()) {
        (true, _) => Face::Documents(output),
        (false, true) => Face::screen(output),
        (false, false) => Face::Lines(output),
    }
}

/// Shows what there is now.
async fn show(connection: &Connection, args: &Args, output: Output) -> Result<()> {
    let patience = args.connect.time_limit().unwrap_or(PATIENCE);
    let late = || Error::new(Kind::Unavailable, "the server does not answer when asked for its workers; try again");
    let seen = timeout(patience, list(connection)).await.unwrap_or_else(|_| Err(late()))?;
    if args.connect.json {
        return output.line(&document::whole(seen)?);
    }
    for line in table::lines(&seen, SystemTime::now(), output.width()) {
        output.line(&line)?;
    }
    if seen.is_empty() {
        output.note(table::NO_WORKER);
    }
    Ok(())
}

/// All workers, then all models: so a worker's model is there.
async fn list(connection: &Connection) -> Result<Seen> {
    let mut client = connection.models();
    let mut seen = Seen::default();
    let mut page_token = String::new();
    loop {
        let request = v1::ListWorkersRequest { page_token, ..Default::default() };
        let page = connection.answer(client.list_workers(connection.request(request))).await?.into_inner();
        let now = SystemTime::now();
        page.workers.into_iter().for_each(|worker| seen.worker(worker, now));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let request = v1::ListModelsRequest { page_token, ..Default::default() };
        let page = connection.answer(client.list_models(connection.request(request))).await?.into_inner();
        let now = SystemTime::now();
        // What could be installed is no business of this list.
        let known = page.models.into_iter().filter(|model| model.state() != v1::ModelState::NotInstalled);
        known.for_each(|model| seen.model(model, now));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(seen);
        }
    }
}
