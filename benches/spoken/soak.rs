//! Sessions that speak, pause, stop, end and vanish as chance has it, while workers are killed: whatever happens, what is
//! heard is the beginning of what an undisturbed server says, to the byte, and all of it where nobody stopped it.

mod check;
mod killer;
mod look;
mod plan;
mod player;
mod references;
mod tally;
mod utterance;

use crate::{
    Result,
    bed::Bed,
    caller::Caller,
    options::{Model, Options},
    report::{Findings, Table, per_million},
    server::Server,
    stats::Sample,
    wire,
};
use look::Look;
use player::Player;
use references::References;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tally::{Numbers, Tally};
use tokio::{task::JoinSet, time::sleep};

/// How long all goes on before the first look, where the soak is long enough.
const WARM_UP: Duration = Duration::from_secs(30);

/// How long the server is idle before the last look.
const REST: Duration = Duration::from_secs(5);

/// How long the server keeps sessions whose callers have vanished: what they leave is to be gone, or seen as a leak.
const IDLE: &str = "60";

const ABOUT: &str = "Of the sessions 40 % speak with mock, 40 % with espeak, 20 % with Piper; three of four at the pace of \
                     a listener, the others as fast as they can, with more time between two utterances. Half of the \
                     texts are written in pieces. A third of the utterances pauses, a quarter is stopped; 5 % end their \
                     session and begin it anew, 2 % cut their connection. Acknowledgements are those of PAUSE and STOP, \
                     late frames those that the server counts.";

const ABOUT_LOOKS: &str = "The server's own process, and its workers. At the end all sessions have ended, and the server \
                           was idle for 5 s.";

/// Soaks.
pub(crate) fn measure(bed: &Bed<'_>) -> Result<Findings> {
    let (options, runtime) = (bed.options, wire::runtime()?);
    let models = options.all_models();
    let references = {
        let calm = Server::start(bed, &[])?;
        Arc::new(runtime.block_on(References::hear(&calm.address, &models))?)
    };
    let mut server = Server::start(bed, &["--spoken-idle", IDLE])?;
    let mut soaked = runtime.block_on(soak(&server, options, &models, &references))?;
    if !server.lives() {
        soaked.numbers.notes.push("the server has ended".to_owned());
        soaked.is_server_gone = true;
    }
    Ok(soaked.findings(options))
}

/// What has come of it.
struct Soaked {
    numbers: Numbers,
    looks: Vec<(&'static str, Look)>,
    /// What the server counted before and after.
    metrics: [HashMap<String, f64>; 2],
    is_server_gone: bool,
}

async fn soak(server: &Server, options: &Options, models: &[Model], references: &Arc<References>) -> Result<Soaked> {
    let (length, tally, pid) = (options.soak(), Arc::new(Tally::default()), server.pid());
    let watcher = Caller::connect(&server.address).await?;
    let before = watcher.metrics().await?;
    let (start, until) = (Instant::now(), Instant::now() + length);
    let mut players = JoinSet::new();
    for number in 0..options.sessions {
        let model = of_mixture(number);
        let player = Player::new(number, options.seed, &server.address, model, &models[model].id, until);
        players.spawn(player.play(Arc::clone(references), Arc::clone(&tally)));
    }
    let killer = tokio::spawn(killer::kill(pid, options.seed, until, Arc::clone(&tally)));
    let mut looks = Vec::new();
    for (name, at) in [("beginning", WARM_UP.min(length / 3)), ("middle", length / 2)] {
        sleep(at.saturating_sub(start.elapsed())).await;
        looks.push((name, Look::at(pid)));
    }
    while let Some(played) = players.join_next().await {
        played?;
    }
    killer.await?;
    sleep(REST).await;
    looks.push(("end, all silent", Look::at(pid)));
    // Where the server is gone, that is told, and not what follows from it.
    let after = watcher.metrics().await.unwrap_or_default();
    Ok(Soaked { numbers: tally.take(), looks, metrics: [before, after], is_server_gone: false })
}

/// The model of a session, by its place among all of them: mock, espeak, Piper.
fn of_mixture(number: usize) -> usize {
    match number % 10 {
        0 | 2 | 5 | 7 => 0,
        1 | 3 | 6 | 8 => 1,
        _ => 2,
    }
}

impl Soaked {
    fn findings(self, options: &Options) -> Findings {
        let faults = self.faults();
        let mut looks = Table::new("Soak: what the server holds", ABOUT_LOOKS, look::HEAD);
        for (name, look) in &self.looks {
            looks.push(look.cells(name));
        }
        let mut notes = Table::new("Soak: what was noted", "The first of what went wrong.", &["note"]);
        for note in &self.numbers.notes {
            notes.push(vec![note.replace(['|', '\n'], " ")]);
        }
        let mut tables = vec![self.table(options), looks];
        if !self.numbers.notes.is_empty() {
            tables.push(notes);
        }
        Findings { tables, faults }
    }

    fn table(&self, options: &Options) -> Table {
        let numbers = &self.numbers;
        let mut table = Table::new("Soak", ABOUT, &["what", "value"]);
        let mut push = |what: &str, value: String| table.push(vec![what.to_owned(), value]);
        push("sessions at the same time", options.sessions.to_string());
        push("minutes", format!("{:.1}", options.soak().as_secs_f64() / 60.0));
        push("seed", options.seed.to_string());
        push("sessions begun", numbers.sessions.to_string());
        push("sessions refused for want of room, and asked for again", numbers.refused.to_string());
        push("utterances", numbers.utterances.to_string());
        push("– of them stopped", numbers.stopped.to_string());
        push("– of them cut off with their connection", numbers.cut.to_string());
        push("frames of sound", numbers.frames.to_string());
        push("PAUSE, RESUME and STOP", numbers.commands.to_string());
        push("workers killed", numbers.kills.to_string());
        push("utterances that differ from the undisturbed", numbers.differing.to_string());
        push("holes, and frames that are not as the contract says", numbers.holes.to_string());
        push("utterances that stood still for a minute", numbers.stalled.to_string());
        let failed: Vec<String> = numbers.failed.iter().map(|(code, count)| format!("{code}: {count}")).collect();
        push("failed", if failed.is_empty() { "0".to_owned() } else { failed.join(", ") });
        push("frames late, of a million", per_million(self.grown("frames_late"), self.grown("frames")));
        if !numbers.acknowledged.is_empty() {
            let sample = Sample::of_times(&numbers.acknowledged);
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| sample.quantile(share));
            push("acknowledged within, p50, p99, max", format!("{p50:.2} ms, {p99:.2} ms, {max:.2} ms"));
        }
        push("active sessions at the end", self.active().map_or("–".to_owned(), |active| format!("{active:.0}")));
        table
    }

    fn faults(&self) -> Vec<String> {
        let numbers = &self.numbers;
        let counted = [
            (numbers.differing, "utterances differ from the undisturbed"),
            (numbers.holes, "frames are missing, or not as the contract says"),
            (numbers.stalled, "utterances stood still for a minute"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        let mut faults: Vec<String> = counted.map(|(count, what)| format!("{count} {what}")).collect();
        if self.active() != Some(0.0) {
            faults.push(format!("active sessions at the end: {:?}, not 0", self.active()));
        }
        if self.is_server_gone {
            faults.push("the server has ended".to_owned());
        }
        if numbers.utterances == 0 {
            faults.push("nothing was spoken".to_owned());
        }
        faults
    }

    /// How much more of something the server has counted at the end.
    fn grown(&self, name: &str) -> f64 {
        let [before, after] = &self.metrics;
        after.get(name).copied().unwrap_or(0.0) - before.get(name).copied().unwrap_or(0.0)
    }

    fn active(&self) -> Option<f64> {
        self.metrics[1].get("active_sessions").copied()
    }
}
