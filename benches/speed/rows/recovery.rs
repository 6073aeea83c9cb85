//! How soon the death of a worker is noticed, and its call made again, as whoever watches the server sees it.

use crate::{
    Result,
    bed::{Bed, Server},
    report::{Goal, Row, Unit},
    stats::Sample,
    wire::{self, v1},
};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use tonic::{Streaming, transport::Channel};
use v1::{
    WorkerState, models_client::ModelsClient, speech_recognition_client::SpeechRecognitionClient, watch_response::Event,
};

const ROUNDS: usize = 30;

/// The engine takes as long as the audio lasts, so that there is time to die in.
const MODEL: &str = "mock:slow";

/// Samples of the audio: half a second.
const SAMPLES: usize = 8_000;

/// How long anything may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// From `kill -9` in the middle of a call to the word that the worker is gone, and to the word that another has the call.
pub(super) fn rows(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let runtime = wire::quick_runtime()?;
    let (noticed, with_spare) = runtime.block_on(kills(bed, "always"))?;
    let (_, without) = runtime.block_on(kills(bed, "never"))?;
    let row = |what: &str, goal, sample: &Sample| Row::alone(what, Unit::Millis, goal, sample);
    Ok(vec![
        row("kill -9 of a worker in a call → its death is told to who watches", Goal::AtMost(5.0), &noticed),
        row("kill -9 → the repeated call is under way, with a warm spare", Goal::AtMost(20.0), &with_spare),
        row("kill -9 → the repeated call is under way, without one (engine `mock`)", Goal::None, &without),
    ])
}

async fn kills(bed: &Bed<'_>, spares: &str) -> Result<(Sample, Sample)> {
    let server = Server::start(bed, "127.0.0.1:0", &["--spares", spares])?;
    let channel = wire::connect(&server.address).await?;
    // Loaded, and used once: what comes now is the usual state of a server.
    recognise(channel.clone()).await?;
    let (mut noticed, mut under_way) = (Vec::new(), Vec::new());
    for _ in 0..bed.options.rounds(ROUNDS) {
        let mut watch = Watch::begin(channel.clone(), spares == "always").await?;
        let call = tokio::spawn(recognise(channel.clone()));
        let pid = watch.busy(None).await?;
        let start = Instant::now();
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("a worker without a process")?;
        kill_process(process, Signal::KILL)?;
        watch.gone(pid).await?;
        noticed.push(start.elapsed());
        watch.busy(Some(pid)).await?;
        under_way.push(start.elapsed());
        call.await?.map_err(|error| format!("a call did not survive: {error}"))?;
    }
    Ok((Sample::of_times(&noticed), Sample::of_times(&under_way)))
}

async fn recognise(channel: Channel) -> std::result::Result<(), String> {
    let config = v1::RecognitionConfig {
        model: MODEL.to_owned(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: 16_000,
        ..Default::default()
    };
    let request = v1::RecognizeRequest { config: Some(config), audio: vec![1; SAMPLES * 2].into() };
    let reply = SpeechRecognitionClient::new(channel).recognize(request).await;
    reply.map(drop).map_err(|status| status.to_string())
}

/// Looks on.
struct Watch {
    events: Streaming<v1::WatchResponse>,
    /// Workers that were seen busy, and not gone since.
    busy: Vec<i64>,
}

impl Watch {
    /// Begins, and waits until the server is at rest: a worker that has nothing to do, and a spare if there is to be one.
    async fn begin(channel: Channel, with_spare: bool) -> Result<Self> {
        let events = ModelsClient::new(channel).watch(v1::WatchRequest {}).await?.into_inner();
        let mut watch = Self { events, busy: Vec::new() };
        let mut idle = Vec::new();
        let mut is_told = false;
        while !is_told || idle.len() < 1 + usize::from(with_spare) {
            match watch.next().await? {
                Event::Worker(worker) => {
                    idle.retain(|pid| *pid != worker.pid);
                    if worker.state() == WorkerState::Idle {
                        idle.push(worker.pid);
                    }
                }
                Event::Complete(_) => is_told = true,
                Event::Model(_) => {}
            }
        }
        Ok(watch)
    }

    async fn next(&mut self) -> Result<Event> {
        let message = tokio::time::timeout(PATIENCE, self.events.message()).await??;
        message.and_then(|message| message.event).ok_or_else(|| "the server tells nothing any more".into())
    }

    /// Waits until a worker, other than this, is busy; gives its process.
    async fn busy(&mut self, other_than: Option<i64>) -> Result<i64> {
        loop {
            if let Some(pid) = self.busy.iter().find(|pid| Some(**pid) != other_than) {
                return Ok(*pid);
            }
            self.step().await?;
        }
    }

    async fn gone(&mut self, pid: i64) -> Result<()> {
        while self.step().await? != (pid, WorkerState::Gone) {}
        Ok(())
    }

    /// The next that is told of a worker.
    async fn step(&mut self) -> Result<(i64, WorkerState)> {
        loop {
            if let Event::Worker(worker) = self.next().await? {
                self.busy.retain(|pid| *pid != worker.pid);
                if worker.state() == WorkerState::Busy {
                    self.busy.push(worker.pid);
                }
                return Ok((worker.pid, worker.state()));
            }
        }
    }
}
