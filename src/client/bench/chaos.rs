//! `speechctl bench chaos`: everything that may die is killed while people speak, and what they said is compared with
//! what the same audio gave in calm.

use super::{
    Place,
    book::Book,
    killer::{Blow, Killer, Toll, schedule},
    live::speak,
    progress::Line,
    proxy::Wire,
    random::Random,
    scene::{Pace, Scene, Script},
    server::Server,
    speech::{self, Speech},
    verdict::{Broken, Resumed, Run, Spread, Verdict},
};
use crate::{
    client::{
        json,
        output::{Output, number},
    },
    error::{Error, Kind, Result},
};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

const ABOUT: &str = "\
A server of its own is started, with a folder of its own. First all sessions speak in calm: what they
are told is the truth. Then they speak again, and SIGKILL meets engines and the server, and connections
break, at moments that were drawn before. Sessions begin again until all of it has happened, and then
come to their ends. All that they are told is compared with the truth, to the last bit.

Of the workers that the server lists, one with a call in work is chosen six times as often as another.
Half of the sessions want partials, half are written down with `fast`; audio comes at 8, 16 and 48 kHz.

Fields of `--json`, version 1 (times in milliseconds; new fields may come):
  version, seed, model, sessions
  killed         engines {busy, idle, loading, checking}, servers, cuts (of connections)
  mid_decode     the part of the engines that was busy, 0 to 1
  broken         samples_lost, finals_duplicated, finals_different, events_out_of_order,
                 other_faults, told[] (the first 20, in words)
  resumed_ms     connection_cut, server_killed; of that, server_restart and server_to_ready;
                 each count, p50, p99, max
  recovered_ms   from the death of a busy engine to the next text of a session that was speaking
  calm, rough    sessions, audio_seconds, seconds, finals, partials, refused, speed (times real time)
Exit code 1 when anything is lost, comes twice, or is different.

Examples:
  speechctl bench chaos
  speechctl bench chaos --kills 1000 --sessions 4 --seed 7 --json | jq .broken
  speechctl bench chaos --kills 20 --keep /tmp/chaos     the log is /tmp/chaos/rough/server.log";

/// Kill engines and the server while people speak, and compare what is heard
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(crate) struct Args {
    /// Engines to kill
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: usize,

    /// How often to kill the server [default: a tenth of the engines]
    #[arg(long, value_name = "N")]
    server_kills: Option<usize>,

    /// Connections to cut [default: a tenth of the engines]
    #[arg(long, value_name = "N")]
    cuts: Option<usize>,

    /// Sessions at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = sessions)]
    sessions: usize,

    /// Audio of all sessions together [default: what the kills need]
    #[arg(long, value_name = "MINUTES", value_parser = |text: &str| number(text, 0.05, 6000.0))]
    minutes: Option<f32>,

    /// Model: `selftest`, or a ggml Whisper model file
    #[arg(long, value_name = "MODEL", default_value = "selftest")]
    model: String,

    /// Draws audio, moments and victims; the same ones for the same number [default: chosen by chance, and told]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// Keep the logs of server and sessions in this folder, which must be empty or not there
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    keep: Option<PathBuf>,
}

/// Seconds of audio for each blow, where nothing is said of it.
const AUDIO_PER_BLOW: f64 = 1.5;

/// The least audio of a session, in seconds.
const LEAST: f64 = 9.0;

/// The mean time between two blows, in times that a final takes: with less, little would ever be decided.
const FINALS_PER_BLOW: f64 = 1.0;

/// The range of that time, in seconds.
const BETWEEN: (f64, f64) = (0.25, 3.0);

/// The rates of the sessions' audio.
const RATES: [u32; 4] = [16_000, 48_000, 8_000, 16_000];

/// The most sessions.
const MOST_SESSIONS: usize = 1000;

/// The number of the pass in calm, which has chunks of its own sizes.
const CALM: usize = 0;

/// What draws what: each part has its own numbers.
const AUDIO: u64 = 1 << 32;
const CHUNKS: u64 = 2 << 32;
const WIRES: u64 = 3 << 32;
const BLOWS: u64 = 4 << 32;
const VICTIMS: u64 = 5 << 32;

fn sessions(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=MOST_SESSIONS).contains(count))
        .ok_or_else(|| format!("it must be 1 to {MOST_SESSIONS}"))
}

/// What one run is made of.
#[derive(Clone)]
struct Cast {
    seed: u64,
    model: String,
    speeches: Vec<Arc<Speech>>,
}

/// What happens in a rough run.
struct Blows<'a> {
    schedule: &'a [(f64, Blow)],
    /// The time over which it is spread.
    span: Duration,
    /// What did happen.
    toll: &'a mut Toll,
}

/// What one run gave.
struct Outcome {
    /// Each with the number of the speech.
    books: Vec<(usize, Book)>,
    took: Duration,
    refused: usize,
}

/// Runs it.
///
/// # Errors
/// `DataLoss` where the promise was broken; what keeps it from running.
pub(super) async fn run(args: Args, output: Output) -> Result<()> {
    let (place, model) = (Place::try_new(args.keep.as_deref())?, super::model(&args.model)?);
    let seed = args.seed.unwrap_or_else(super::chance);
    let (servers, cuts) = (args.server_kills.unwrap_or(args.kills / 10), args.cuts.unwrap_or(args.kills / 10));
    let blows = schedule(&mut Random::new(seed, BLOWS), args.kills, servers, cuts);
    let line = Line::start(output);

    let mut server = Server::start(&place.folder("calm"), &model, place.is_kept()).await?;
    let seconds = args.minutes.map_or(blows.len() as f64 * AUDIO_PER_BLOW, |minutes| f64::from(minutes) * 60.0);
    let seconds = (seconds / args.sessions as f64).max(if args.minutes.is_none() { LEAST } else { 1.0 });
    let mut cast = Cast { seed, model: model.clone(), speeches: Vec::new() };
    let connection = server.connect().await?;
    for n in 0..args.sessions {
        line.show(&format!("speaking: {n} of {}", args.sessions));
        let (random, rate) = (Random::new(seed, AUDIO + n as u64), RATES[n % RATES.len()]);
        cast.speeches.push(Arc::new(speech::make(&connection, random, rate, seconds).await?));
    }
    drop(connection);

    let calm = cast.perform(&mut server, None, &line).await?;
    drop(server);
    let finals: usize = calm.books.iter().map(|(_, book)| book.finals.len()).sum();
    if finals == 0 {
        let told = calm.books.iter().find_map(|(_, book)| book.faults.broken.first().cloned());
        let message = format!("nothing was heard in calm: {}", told.unwrap_or_default());
        return Err(Error::new(Kind::Internal, message));
    }
    let between = (calm.took.as_secs_f64() / finals as f64 * FINALS_PER_BLOW).clamp(BETWEEN.0, BETWEEN.1);
    let span = Duration::from_secs_f64(between * blows.len() as f64);

    let mut server = Server::start(&place.folder("rough"), &model, place.is_kept()).await?;
    let mut toll = Toll::default();
    let rough = cast.perform(&mut server, Some(Blows { schedule: &blows, span, toll: &mut toll }), &line).await?;
    drop(server);
    drop(line);
    let verdict = cast.judge(calm, rough, toll);
    tell(&verdict, args.json, output)?;
    let wanted = (args.kills, servers, cuts);
    let happened = (verdict.killed.engines(), verdict.killed.servers, verdict.killed.cuts);
    if !verdict.broken.is_nothing() || wanted != happened {
        let first = verdict.broken.told.first().cloned();
        let first = first.unwrap_or_else(|| format!("{happened:?} of {wanted:?} blows happened"));
        let message = format!(
            "the promise was broken, first by {first}; run it again with `--seed {seed} --keep FOLDER` and read FOLDER/rough/server.log"
        );
        return Err(Error::new(Kind::DataLoss, message));
    }
    Ok(())
}

fn tell(verdict: &Verdict, json: bool, output: Output) -> Result<()> {
    if json {
        return output.line(&json::document(verdict)?);
    }
    verdict.lines().iter().try_for_each(|line| output.line(line))
}

impl Cast {
    /// What a session says the so-manieth time: the same, in chunks of other sizes.
    fn script(&self, n: usize, pass: usize) -> Script {
        let interim = n.is_multiple_of(2);
        Script {
            name: format!("bench-{n}-{pass}"),
            speech: Arc::clone(&self.speeches[n]),
            model: self.model.clone(),
            interim,
            fast: n % 4 >= 2,
            // Who wants partials must speak slowly enough for them.
            pace: if interim { Pace::Hurried(3.0, 4.0) } else { Pace::Hurried(20.0, 12.0) },
            random: Random::new(self.seed, CHUNKS + (pass * MOST_SESSIONS + n) as u64),
        }
    }

    /// All sessions speak: once, or again and again until all blows have happened.
    async fn perform(&self, server: &mut Server, blows: Option<Blows<'_>>, line: &Line) -> Result<Outcome> {
        let address = server.listens().await?;
        let scene = Arc::new(Scene::new(server.lives.clone()));
        let mut wires = Vec::new();
        for n in 0..self.speeches.len() {
            wires.push(Arc::new(Wire::lay(address, Random::new(self.seed, WIRES + n as u64)).await?));
        }
        let began = Instant::now();
        let mut sessions = JoinSet::new();
        let first = if blows.is_some() { CALM + 1 } else { CALM };
        for (n, wire) in wires.iter().enumerate() {
            let (scene, wire) = (Arc::clone(&scene), Arc::clone(wire));
            sessions.spawn(self.clone().passes(n, first, scene, wire));
        }
        let mut books = Vec::new();
        if let Some(Blows { schedule, span, toll }) = blows {
            let random = Random::new(self.seed, VICTIMS);
            let all = schedule.len();
            let tell = |toll: &Toll| {
                let done = toll.engines() + toll.servers + toll.cuts;
                line.show(&format!(
                    "rough run: {done} of {all} blows, {} finals",
                    scene.finals.load(Ordering::Relaxed)
                ));
            };
            let mut killer = Killer { server, scene: &scene, wires: &wires, random, toll: Toll::default(), line: None };
            let killed = tokio::select! {
                killed = killer.run(schedule, span, tell) => killed,
                // Sessions that have failed do not begin again; without any, nobody is left to be disturbed.
                () = gather(&mut sessions, &mut books, || {}) => Ok(()),
            };
            *toll = killer.toll.clone();
            scene.is_over.store(true, Ordering::Relaxed);
            killed?;
        }
        let tell = || {
            let (finals, speed) = (scene.finals.load(Ordering::Relaxed), self.speeches.len());
            line.show(&format!("{finals} finals of {speed} sessions"));
        };
        gather(&mut sessions, &mut books, tell).await;
        server.check()?;
        Ok(Outcome { books, took: began.elapsed(), refused: scene.refused.load(Ordering::Relaxed) })
    }

    /// One session after the other, until all has happened, or one has failed. In calm there is one.
    async fn passes(self, n: usize, first: usize, scene: Arc<Scene>, wire: Arc<Wire>) -> (usize, Vec<Book>) {
        let mut books = Vec::new();
        for pass in first.. {
            let Some(book) = speak(self.script(n, pass), Arc::clone(&scene), Arc::clone(&wire)).await else { break };
            let is_whole = book.is_whole();
            books.push(book);
            if pass == CALM || scene.is_over.load(Ordering::Relaxed) || !is_whole {
                break;
            }
        }
        (n, books)
    }

    fn judge(&self, calm: Outcome, rough: Outcome, killed: Toll) -> Verdict {
        let mut broken = Broken::default();
        let samples = |n: usize| self.speeches[n].samples();
        for (n, book) in &calm.books {
            broken.look(&format!("calm session {n}"), book, None, samples(*n));
        }
        for (n, book) in &rough.books {
            let truth = calm.books.iter().find(|(other, _)| other == n).map(|(_, truth)| truth);
            // What failed in calm is told already, and is no truth.
            broken.look(&format!("session {n}"), book, truth.filter(|truth| truth.is_whole()), samples(*n));
        }
        let run = |outcome: Outcome| {
            let seconds = outcome.books.iter().map(|(n, _)| self.speeches[*n].seconds()).sum();
            let books: Vec<Book> = outcome.books.into_iter().map(|(_, book)| book).collect();
            (Run::of(&books, seconds, outcome.took, outcome.refused), books)
        };
        let ((calm, _), (rough, books)) = (run(calm), run(rough));
        Verdict {
            version: 1,
            seed: self.seed,
            model: self.model.clone(),
            sessions: self.speeches.len(),
            mid_decode: (killed.mid_decode() * 1000.0).round() / 1000.0,
            killed,
            broken,
            resumed_ms: Resumed::of(&books),
            recovered_ms: Spread::of(books.iter().flat_map(|book| book.delays.recovery.iter().copied())),
            calm,
            rough,
        }
    }
}

/// Waits for all sessions.
async fn gather(sessions: &mut JoinSet<(usize, Vec<Book>)>, books: &mut Vec<(usize, Book)>, tell: impl Fn()) {
    while let Some(ended) = sessions.join_next().await {
        tell();
        let (n, told) = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        books.extend(told.into_iter().map(|book| (n, book)));
    }
}
