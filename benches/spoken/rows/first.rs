//! How soon the first sound of an utterance comes.

use super::NO_ROOM;
use crate::{
    Result,
    bed::Bed,
    caller::{Caller, piece},
    random::Random,
    report::{Findings, Table, cells},
    server::Server,
    stats::Sample,
    talker, texts,
    wire::{self, ControlCommand},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Sessions that speak beside the one that is measured.
const BESIDE: [usize; 2] = [0, 16];

/// Utterances in a cell.
const SAMPLES: usize = 50;

/// What is left to chance is the same in every run.
const SEED: u64 = 7;

/// The session that is measured.
const SESSION: &str = "first";

const ABOUT: &str = "From the call of Synthesize with its first piece of text, `Hello there. How are`, which is not the \
                     last, to the first frame of sound, in ms. The utterance is stopped then, and the next one begins \
                     20 to 80 ms later. One more before them is not counted.";

/// Measures.
pub(super) fn measure(bed: &Bed<'_>) -> Result<Findings> {
    let head = &["engine", "sessions beside", "p50", "p95", "p99", "max", "samples"];
    let mut table = Table::new("First sound", ABOUT, head);
    for model in bed.options.models() {
        for beside in BESIDE {
            let server = Server::start(bed, &[])?;
            let samples = bed.options.samples(SAMPLES);
            let waits = wire::runtime()?.block_on(waits(&server.address, &model.id, beside, samples))?;
            let mut row = vec![model.engine.to_owned(), beside.to_string()];
            match waits {
                Some(waits) => {
                    row.extend(cells(&waits));
                    table.push(row);
                }
                None => table.push_not_measured(row, NO_ROOM),
            }
        }
    }
    Ok(table.into())
}

/// How long the first sounds let wait.
async fn waits(address: &str, model: &str, beside: usize, samples: usize) -> Result<Option<Sample>> {
    let Some(mut talkers) = talker::gather(address, model, beside).await? else { return Ok(None) };
    let caller = Caller::connect(address).await?;
    if !caller.begin(SESSION, model, &[]).await? {
        return Ok(None);
    }
    talker::all_talk(&mut talkers).await?;
    let (mut random, mut waits) = (Random::new(SEED), Vec::new());
    for number in 0..=samples {
        sleep(Duration::from_millis(20 + random.below(60) as u64)).await;
        let wait = wait(&caller).await?;
        if number > 0 {
            waits.push(wait);
        }
    }
    Ok(Some(Sample::of_times(&waits)))
}

async fn wait(caller: &Caller) -> Result<Duration> {
    let began = Instant::now();
    let (says, mut frames) = caller.open(piece(SESSION, texts::BEGINNING, 1)).await?;
    let first = frames.message().await?.ok_or("an utterance has no frame")?;
    let wait = began.elapsed();
    if first.is_final {
        return Err("an utterance has no sound".into());
    }
    caller.command(SESSION, ControlCommand::Stop).await?;
    while frames.message().await?.is_some() {}
    // Only now: without it, there would have been no more text.
    drop(says);
    Ok(wait)
}
