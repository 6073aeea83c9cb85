//! `speechctl bench latency`: sessions speak as people do, and it is measured how long they wait to be understood.

use super::{
    Place,
    book::Book,
    live::speak,
    progress::Line,
    proxy::Wire,
    random::Random,
    scene::{Pace, Scene, Script},
    server::Server,
    speech::{self, Speech},
    verdict::Spread,
};
use crate::{
    client::{json, output::Output},
    error::{Error, Kind, Result},
};
use std::sync::{Arc, atomic::Ordering};
use tokio::task::JoinSet;

const ABOUT: &str = "\
A server of its own is started for each number of sessions. They speak in real time, in chunks of 0.1 s.
  partial   from sending a chunk to the first partial that covers it
  final     from sending the chunk in which speech ended to the final; 0.8 s of it are the silence by
            which the end is known
`--json` gives runs[] of sessions, partial_ms and final_ms {count, p50, p99, max}, and refused (how often
the server had no room), and faults[].

Examples:
  speechctl bench latency
  speechctl bench latency --sessions 1,4,16 --model mock --json";

/// Measure how long after it is spoken a word is understood
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(crate) struct Args {
    /// Numbers of sessions at the same time
    #[arg(long, value_name = "N,N…", value_delimiter = ',', default_value = "1,4,16", value_parser = clap::value_parser!(u16).range(1..=1000))]
    sessions: Vec<u16>,

    /// Model: `selftest`, `mock`, or a ggml Whisper model file
    #[arg(long, value_name = "MODEL", default_value = "selftest")]
    model: String,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How long each session speaks, in seconds.
const SECONDS: f64 = 20.0;

/// What is spoken is the same each time.
const SEED: u64 = 1;

const RATE: u32 = 16_000;

#[derive(serde::Serialize)]
struct Document {
    version: u32,
    model: String,
    runs: Vec<Measured>,
}

/// What so many sessions gave.
#[derive(serde::Serialize)]
struct Measured {
    sessions: u16,
    partial_ms: Spread,
    final_ms: Spread,
    refused: usize,
    faults: Vec<String>,
}

/// Measures.
///
/// # Errors
/// `DataLoss` where a session was not served as it must be; what keeps it from running.
pub(super) async fn run(args: Args, output: Output) -> Result<()> {
    let (place, model) = (Place::try_new(None)?, super::model(&args.model)?);
    let line = Line::start(output);
    let mut speeches: Vec<Arc<Speech>> = Vec::new();
    let mut runs = Vec::new();
    for sessions in args.sessions.clone() {
        let mut server = Server::start(&place.folder(&format!("{}", runs.len())), &model, false).await?;
        let connection = server.connect().await?;
        while speeches.len() < usize::from(sessions) {
            line.show(&format!("speaking: {} of {sessions}", speeches.len()));
            let random = Random::new(SEED, speeches.len() as u64);
            speeches.push(Arc::new(speech::make(&connection, random, RATE, SECONDS).await?));
        }
        line.show(&format!("listening to {sessions} sessions"));
        runs.push(measure(&mut server, &speeches[..usize::from(sessions)], &model).await?);
    }
    drop(line);
    let fault = runs.iter().find_map(|run| run.faults.first().cloned());
    if args.json {
        output.line(&json::document(&Document { version: 1, model, runs })?)?;
    } else {
        for run in runs {
            let (partial, told) = (run.partial_ms.told(), run.final_ms.told());
            output.line(&format!("{:>4} sessions  partial {partial}", run.sessions))?;
            output.line(&format!("{:>15}final   {told}", ""))?;
        }
    }
    match fault {
        Some(fault) => Err(Error::new(Kind::DataLoss, format!("a session was not served as it must be: {fault}"))),
        None => Ok(()),
    }
}

async fn measure(server: &mut Server, speeches: &[Arc<Speech>], model: &str) -> Result<Measured> {
    let address = server.listens().await?;
    let scene = Arc::new(Scene::new(server.lives.clone()));
    let mut sessions = JoinSet::new();
    for (n, speech) in speeches.iter().enumerate() {
        let script = Script {
            name: format!("bench-{n}"),
            speech: Arc::clone(speech),
            model: model.to_owned(),
            interim: true,
            fast: false,
            pace: Pace::RealTime,
            random: Random::new(SEED, n as u64),
        };
        let wire = Arc::new(Wire::lay(address, Random::new(SEED, n as u64)).await?);
        sessions.spawn(speak(script, Arc::clone(&scene), wire));
    }
    let books: Vec<Book> = sessions.join_all().await.into_iter().flatten().collect();
    server.check()?;
    Ok(Measured {
        sessions: u16::try_from(speeches.len()).unwrap_or(u16::MAX),
        partial_ms: Spread::of(books.iter().flat_map(|book| book.delays.partial.iter().copied())),
        final_ms: Spread::of(books.iter().flat_map(|book| book.delays.final_.iter().copied())),
        refused: scene.refused.load(Ordering::Relaxed),
        faults: books.into_iter().flat_map(|book| book.faults.all()).collect(),
    })
}
