//! How soon commands are answered, while sessions speak and are heard.

use super::NO_ROOM;
use crate::{
    Result,
    bed::Bed,
    random::Random,
    report::{Findings, Table, cells},
    server::Server,
    stats::Sample,
    talker,
    wire::{self, ControlCommand},
};
use std::time::Duration;
use tokio::time::sleep;

/// Sessions at the same time.
const CROWDS: [usize; 3] = [1, 16, 64];

/// Commands of each kind in a cell.
const SAMPLES: usize = 200;

/// What is left to chance is the same in every run.
const SEED: u64 = 7;

const ABOUT: &str = "All sessions speak without end, at the pace of a listener, and are heard. From the call of Control to \
                     its answer, in ms; of a session chosen by chance, in the middle of its speaking, every 20 to 80 ms. \
                     Frames that are on the wire at the answer cannot be told from others, and are not counted.";

/// Measures.
pub(super) fn measure(bed: &Bed<'_>) -> Result<Findings> {
    let head = &["command", "engine", "sessions", "p50", "p95", "p99", "max", "samples"];
    let mut table = Table::new("Commands", ABOUT, head);
    for model in bed.options.models() {
        for crowd in CROWDS {
            let server = Server::start(bed, &[])?;
            let samples = bed.options.samples(SAMPLES);
            let answers = wire::runtime()?.block_on(answers(&server.address, &model.id, crowd, samples))?;
            for (number, name) in ["PAUSE", "STOP"].into_iter().enumerate() {
                let mut row = vec![name.to_owned(), model.engine.to_owned(), crowd.to_string()];
                match &answers {
                    Some(answers) => {
                        row.extend(cells(&answers[number]));
                        table.push(row);
                    }
                    None => table.push_not_measured(row, NO_ROOM),
                }
            }
        }
    }
    Ok(table.into())
}

/// How long the answers to PAUSE and to STOP took.
async fn answers(address: &str, model: &str, crowd: usize, samples: usize) -> Result<Option<[Sample; 2]>> {
    let Some(mut talkers) = talker::gather(address, model, crowd).await? else { return Ok(None) };
    talker::all_talk(&mut talkers).await?;
    let mut random = Random::new(SEED);
    let (mut pauses, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        sleep(some(&mut random, 20, 60)).await;
        let talker = &mut talkers[random.below(crowd)];
        talker.speaks().await?;
        pauses.push(talker.command(ControlCommand::Pause).await?);
        sleep(some(&mut random, 0, 40)).await;
        talker.command(ControlCommand::Resume).await?;
    }
    for _ in 0..samples {
        sleep(some(&mut random, 20, 60)).await;
        let talker = &mut talkers[random.below(crowd)];
        talker.speaks().await?;
        let before = talker.utterances();
        stops.push(talker.command(ControlCommand::Stop).await?);
        talker.speaks_anew(before).await?;
    }
    Ok(Some([Sample::of_times(&pauses), Sample::of_times(&stops)]))
}

/// So many milliseconds, and some more, fewer than `span`.
fn some(random: &mut Random, least: u64, span: usize) -> Duration {
    Duration::from_millis(least + random.below(span) as u64)
}
