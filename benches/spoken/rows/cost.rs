//! What a session costs: processor and memory, of the server and of its workers.

use super::NO_ROOM;
use crate::{
    Result,
    bed::Bed,
    caller::Caller,
    process,
    report::{Findings, Table},
    server::Server,
    talker, wire,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How long things may settle before they are looked at.
const SETTLE: Duration = Duration::from_secs(3);

const ABOUT: &str = "Processor: user and system time of the server and of all its workers, while the sessions speak at the \
                     pace of a listener, less what it is while they are silent; in % of one core, for each session. \
                     Memory: what the server has resident (RSS) with its model loaded and no session, and what each \
                     session adds, its connection included; of the workers, spares included, their proportional \
                     share (PSS) in all.";

const HEAD: &[&str] = &[
    "engine",
    "sessions",
    "server, % of a core",
    "workers, % of a core",
    "all silent: server and workers, % of a core in all",
    "server without sessions, MiB",
    "silent session, KiB",
    "speaking session, KiB",
    "workers without sessions, MiB",
    "workers, all silent, MiB",
    "workers, all speaking, MiB",
];

/// Measures.
pub(super) fn measure(bed: &Bed<'_>) -> Result<Findings> {
    let mut table = Table::new("Cost", ABOUT, HEAD);
    let (sessions, window) = (bed.options.sessions, bed.options.window() / 3);
    for model in bed.options.models() {
        let server = Server::start(bed, &[])?;
        let mut row = vec![model.engine.to_owned(), sessions.to_string()];
        match wire::runtime()?.block_on(costs(&server, &model.id, sessions, window))? {
            Some(costs) => {
                row.extend(costs.cells(sessions as f64));
                table.push(row);
            }
            None => table.push_not_measured(row, NO_ROOM),
        }
    }
    Ok(table.into())
}

/// What the server takes in three states: without sessions, with silent ones, and with speaking ones.
struct Costs {
    memory: [Memory; 3],
    silent: Processor,
    speaking: Processor,
}

impl Costs {
    fn cells(&self, sessions: f64) -> Vec<String> {
        let percent = |cores: f64| format!("{:.3}", cores * 100.0);
        let mebibytes = |kib: f64| format!("{:.1}", kib / 1024.0);
        let [none, silent, speaking] = &self.memory;
        let kib = |with: &Memory| format!("{:.1}", (with.server - none.server) / sessions);
        vec![
            percent((self.speaking.server - self.silent.server) / sessions),
            percent((self.speaking.workers - self.silent.workers) / sessions),
            percent(self.silent.server + self.silent.workers),
            mebibytes(none.server),
            kib(silent),
            kib(speaking),
            mebibytes(none.workers),
            mebibytes(silent.workers),
            mebibytes(speaking.workers),
        ]
    }
}

async fn costs(server: &Server, model: &str, sessions: usize, window: Duration) -> Result<Option<Costs>> {
    let keeper = Caller::connect(&server.address).await?;
    keeper.load(model).await?;
    sleep(SETTLE).await;
    let none = Memory::of(server.pid());
    let Some(mut talkers) = talker::gather(&server.address, model, sessions).await? else { return Ok(None) };
    sleep(SETTLE).await;
    let silent_memory = Memory::of(server.pid());
    let silent = Processor::over(server.pid(), window).await;
    talker::all_talk(&mut talkers).await?;
    sleep(SETTLE).await;
    let speaking = Processor::over(server.pid(), window).await;
    let speaking_memory = Memory::of(server.pid());
    for talker in &mut talkers {
        talker.speaks().await?;
    }
    Ok(Some(Costs { memory: [none, silent_memory, speaking_memory], silent, speaking }))
}

/// In KiB.
struct Memory {
    server: f64,
    workers: f64,
}

impl Memory {
    fn of(server: u32) -> Self {
        let workers: u64 = process::workers(server).into_iter().map(process::proportional).sum();
        Self { server: process::resident(server) as f64, workers: workers as f64 }
    }
}

/// In cores: seconds of processor time in a second.
struct Processor {
    server: f64,
    workers: f64,
}

impl Processor {
    async fn over(server: u32, window: Duration) -> Self {
        let look =
            || -> [BTreeMap<u32, f64>; 2] { [process::times(&[server]), process::times(&process::workers(server))] };
        let (before, start) = (look(), Instant::now());
        sleep(window).await;
        let (after, took) = (look(), start.elapsed().as_secs_f64());
        let [server, workers] = [0_usize, 1].map(|of| process::spent(&before[of], &after[of]) / took);
        Self { server, workers }
    }
}
