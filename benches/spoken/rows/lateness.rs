//! How much in time frames are.

use super::NO_ROOM;
use crate::{
    Result,
    bed::Bed,
    caller::Caller,
    report::{Findings, Table, per_million},
    server::Server,
    talker::{self, Talker},
    wire,
};
use std::time::Duration;
use tokio::time::sleep;

/// How long all speak before it counts.
const WARM_UP: Duration = Duration::from_secs(3);

const ABOUT: &str = "Sessions speak without end, at the pace of a listener, and are heard. A frame is late that goes, or \
                     comes, more than 5 ms after its time. The server counts from when it was asked for the frame; the \
                     caller counts arrivals from the first of the utterance, so that its own threads' being late, and \
                     the network's, counts too. A frame goes 100 ms before it is heard; one that comes after that is \
                     missed, and what follows is due later by as much.";

/// Measures.
pub(super) fn measure(bed: &Bed<'_>) -> Result<Findings> {
    let head = &["engine", "sessions", "counted by", "seconds", "frames", "late of a million", "missed of a million"];
    let mut table = Table::new("Lateness", ABOUT, head);
    let (sessions, window) = (bed.options.sessions, bed.options.window());
    for model in bed.options.models() {
        let server = Server::start(bed, &[])?;
        let counts = wire::runtime()?.block_on(count(&server.address, &model.id, sessions, window))?;
        for (number, who) in ["server", "caller"].into_iter().enumerate() {
            let mut row = vec![model.engine.to_owned(), sessions.to_string(), who.to_owned()];
            let Some(counts) = &counts else {
                table.push_not_measured(row, NO_ROOM);
                continue;
            };
            let Count { frames, late, missed } = counts[number];
            let seconds = format!("{:.0}", window.as_secs_f64());
            let missed = missed.map_or("–".to_owned(), |missed| per_million(missed, frames));
            row.extend([seconds, format!("{frames:.0}"), per_million(late, frames), missed]);
            table.push(row);
        }
    }
    Ok(table.into())
}

/// Frames that went, how many of them late, and how many after they should have been heard, which the server cannot know.
#[derive(Clone, Copy)]
struct Count {
    frames: f64,
    late: f64,
    missed: Option<f64>,
}

impl Count {
    fn since(self, before: Self) -> Self {
        let missed = self.missed.zip(before.missed).map(|(now, before)| now - before);
        Self { frames: self.frames - before.frames, late: self.late - before.late, missed }
    }
}

/// As the server counts, and as the callers do.
async fn count(address: &str, model: &str, sessions: usize, window: Duration) -> Result<Option<[Count; 2]>> {
    let Some(mut talkers) = talker::gather(address, model, sessions).await? else { return Ok(None) };
    let watcher = Caller::connect(address).await?;
    // Whoever asks for the first time has the models' voices listed, and so loaded.
    told(&watcher).await?;
    talker::all_talk(&mut talkers).await?;
    sleep(WARM_UP).await;
    let before = [told(&watcher).await?, heard(&talkers)];
    sleep(window).await;
    let after = [told(&watcher).await?, heard(&talkers)];
    // One that has fallen silent would make the count of the others look well.
    for talker in &mut talkers {
        talker.speaks().await?;
    }
    Ok(Some([after[0].since(before[0]), after[1].since(before[1])]))
}

async fn told(watcher: &Caller) -> Result<Count> {
    let metrics = watcher.metrics().await?;
    let metric = |name: &str| metrics.get(name).copied().ok_or_else(|| format!("the server does not tell `{name}`"));
    Ok(Count { frames: metric("frames")?, late: metric("frames_late")?, missed: None })
}

fn heard(talkers: &[Talker]) -> Count {
    let of = |number: usize| talkers.iter().map(|talker| talker.frames()[number] as f64).sum::<f64>();
    Count { frames: of(0), late: of(1), missed: Some(of(2)) }
}
