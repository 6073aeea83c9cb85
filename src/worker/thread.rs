//! The engine's thread: loads the model, then does one job after another.
//!
//! Engines block, so they get a thread of their own. Nobody waits for it: when the process ends, it ends.

use crate::{
    error::{Error, Kind, Result},
    models::in_use,
    speech::{Mark, ModelId},
    worker::{
        engine::{
            self, Cancel, Decoded, Engine, Hint, Pulse, Recognizer, Setup, Spoken, Synthesizer, Utterance, Voices,
        },
        progress::Progress,
    },
};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Jobs that wait. The server gives a worker one at a time; a stand-alone worker has a few callers.
const QUEUE: usize = 16;

/// When to come back, for callers that found no place in the queue.
const COME_BACK: Duration = Duration::from_secs(1);

/// How long a caller may take no audio while the engine waits for it.
const SLOW_READER: Duration = Duration::from_secs(30);

/// How often the engine looks whether the caller has room again.
const GLANCE: Duration = Duration::from_millis(2);

/// Pieces that wait for a slow reader; audio comes in chunks of at least 60 ms.
const AHEAD: usize = 16;

/// Where the engine is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The model is being loaded.
    Loading,
    /// It works.
    Ready,
    /// It could not be loaded: the kind of the failure, and the sentence.
    Failed(Kind, String),
}

/// A piece of speech, on its way out.
pub(super) struct Speech {
    /// Of the audio, Hz.
    pub(super) rate: u32,
    /// The piece.
    pub(super) piece: Piece,
}

/// What [`engine::Spoken`] is, to keep.
pub(super) enum Piece {
    /// What follows is of this sentence.
    Sentence(usize),
    /// Samples, mono.
    Audio(Vec<i16>),
    /// Something begins.
    Mark(Mark),
    /// All is said. Speech that ends without it has broken off.
    End,
}

impl From<Spoken<'_>> for Piece {
    fn from(spoken: Spoken<'_>) -> Self {
        match spoken {
            Spoken::Sentence(sentence) => Piece::Sentence(sentence),
            Spoken::Audio(samples) => Piece::Audio(samples.to_vec()),
            Spoken::Mark(mark) => Piece::Mark(mark),
        }
    }
}

enum Job {
    Decode { window: Vec<f32>, hint: Hint, cancel: Cancel, reply: oneshot::Sender<Result<Decoded>> },
    Speak { utterance: Utterance, cancel: Cancel, speech: mpsc::Sender<Result<Speech>> },
    Voices { reply: oneshot::Sender<Result<Voices>> },
}

/// A handle to the engine's thread.
#[derive(Clone)]
pub(super) struct EngineThread {
    queue: mpsc::Sender<Job>,
    /// Jobs that were given and are not finished.
    jobs: Arc<AtomicU64>,
    stage: watch::Receiver<Stage>,
    pulse: Pulse,
    progress: Progress,
}

impl EngineThread {
    /// Starts the thread, which begins to load the model.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(super) fn spawn(model: ModelId, setup: Setup) -> Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let jobs = Arc::new(AtomicU64::new(0));
        let unfinished = Arc::clone(&jobs);
        let (stage_sender, stage) = watch::channel(Stage::Loading);
        let (pulse, progress) = (Pulse::default(), setup.progress.clone());
        thread::Builder::new()
            .name("engine".to_owned())
            // The stack of the main thread: C++ takes what it gets there.
            .stack_size(8 << 20)
            .spawn(move || {
                let _guard = EndWithPanic;
                live(&model, &setup, &stage_sender, queue, &unfinished);
            })
            .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread for the engine").because(cause))?;
        Ok(Self { queue: sender, jobs, stage, pulse, progress })
    }

    /// Where the engine is now.
    pub(super) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// How much of the model is loaded, where that is known and it is not all.
    pub(super) fn progress(&self) -> Option<f32> {
        matches!(*self.stage.borrow(), Stage::Loading).then(|| self.progress.now()).flatten()
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) async fn loaded(&self) -> Result<()> {
        let mut stage = self.stage.clone();
        match stage.wait_for(|stage| !matches!(stage, Stage::Loading)).await.as_deref() {
            Ok(Stage::Failed(kind, message)) => Err(Error::new(*kind, message.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(gone()),
        }
    }

    /// Signs of life so far.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Jobs that are not finished.
    pub(super) fn jobs(&self) -> u64 {
        self.jobs.load(Ordering::SeqCst)
    }

    /// Writes down a window.
    ///
    /// # Errors
    /// What the engine says; `Busy` where too many calls wait for it.
    pub(super) async fn decode(&self, window: Vec<f32>, hint: Hint, cancel: Cancel) -> Result<Decoded> {
        let (reply, answer) = oneshot::channel();
        self.give(Job::Decode { window, hint, cancel, reply })?;
        answer.await.map_err(|_| gone())?
    }

    /// Speaks; the speech comes as it is made, and the channel closes at the end.
    ///
    /// # Errors
    /// `Busy` where too many calls wait, `Internal` if the thread is gone; what the engine says comes through the channel.
    pub(super) fn speak(&self, utterance: Utterance, cancel: Cancel) -> Result<mpsc::Receiver<Result<Speech>>> {
        let (speech, receiver) = mpsc::channel(AHEAD);
        self.give(Job::Speak { utterance, cancel, speech })?;
        Ok(receiver)
    }

    /// All voices.
    ///
    /// # Errors
    /// What the engine says; `Busy` where too many calls wait for it.
    pub(super) async fn voices(&self) -> Result<Voices> {
        let (reply, answer) = oneshot::channel();
        self.give(Job::Voices { reply })?;
        answer.await.map_err(|_| gone())?
    }

    fn give(&self, job: Job) -> Result<()> {
        if let Stage::Failed(kind, message) = self.stage() {
            return Err(Error::new(kind, message));
        }
        let place = self.queue.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => {
                let message = format!("{QUEUE} calls wait for this worker's engine already; try again later");
                Error::new(Kind::Busy, message).retry_after(COME_BACK)
            }
            mpsc::error::TrySendError::Closed(()) => gone(),
        })?;
        self.jobs.fetch_add(1, Ordering::SeqCst);
        place.send(job);
        Ok(())
    }
}

fn gone() -> Error {
    Error::new(Kind::Internal, "the engine's thread has ended")
}

/// Ends the whole process when the thread panics: what is left of it is of no use, and a process that has died is
/// replaced, its call made again.
struct EndWithPanic;

impl Drop for EndWithPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

/// The life of the thread.
fn live(
    model: &ModelId,
    setup: &Setup,
    stage: &watch::Sender<Stage>,
    mut queue: mpsc::Receiver<Job>,
    unfinished: &AtomicU64,
) {
    // Nobody removes the file from under it.
    let held = match model {
        ModelId::Whisper(path) | ModelId::Piper(path) => in_use::hold(path).map(Some),
        _ => Ok(None),
    };
    let loaded = match &held {
        Err(error) if error.kind() == Kind::Busy => Err(Error::new(error.kind(), error.to_string())),
        // What else is wrong with the file the engine says better.
        Ok(_) | Err(_) => engine::load(model, setup),
    };
    let mut engine = match loaded {
        Ok(engine) => engine,
        Err(error) => {
            stage.send_replace(Stage::Failed(error.kind(), error.to_string()));
            // Whoever asked before this was known hears it too.
            while let Some(job) = queue.blocking_recv() {
                refuse(job, || Error::new(error.kind(), error.to_string()));
                unfinished.fetch_sub(1, Ordering::SeqCst);
            }
            return;
        }
    };
    stage.send_replace(Stage::Ready);
    while let Some(job) = queue.blocking_recv() {
        work(&mut engine, job);
        unfinished.fetch_sub(1, Ordering::SeqCst);
    }
}

fn work(engine: &mut Engine, job: Job) {
    match job {
        Job::Decode { window, hint, cancel, reply } => {
            let result = match recognizer(engine) {
                Some(recognizer) => cancel.check().and_then(|()| recognizer.decode(&window, &hint, &cancel)),
                None => Err(Error::new(Kind::Unsupported, "this worker's engine does not recognise speech")),
            };
            // A caller that has gone needs no answer.
            reply.send(result).unwrap_or_default();
        }
        Job::Speak { utterance, cancel, speech } => match synthesizer(engine) {
            Some(synthesizer) => speak(synthesizer, &utterance, &cancel, &speech),
            None => refuse(Job::Speak { utterance, cancel, speech }, cannot_speak),
        },
        Job::Voices { reply } => {
            let result = synthesizer(engine).ok_or_else(cannot_speak).and_then(Synthesizer::voices);
            reply.send(result).unwrap_or_default();
        }
    }
}

fn speak(engine: &mut dyn Synthesizer, utterance: &Utterance, cancel: &Cancel, speech: &mpsc::Sender<Result<Speech>>) {
    let rate = engine.sample_rate();
    let mut has_broken_off = false;
    let mut sink = |spoken: Spoken<'_>| {
        let flow = hand_over(speech, Ok(Speech { rate, piece: spoken.into() }), cancel);
        has_broken_off |= flow.is_break();
        flow
    };
    let end = match cancel.check().and_then(|()| engine.speak(utterance, cancel, &mut sink)) {
        // Engines that are told to stop end well too.
        Ok(()) if has_broken_off => return,
        Ok(()) => Ok(Speech { rate, piece: Piece::End }),
        Err(error) => Err(error),
    };
    // A caller that has gone needs no answer, nor does one that does not listen.
    let _heard = hand_over(speech, end, cancel);
}

/// Gives a piece to the caller, as soon as it has room; breaks where it has gone, gives up, or does not listen.
///
/// The engine waits here for one caller while others wait for the engine: not for ever.
fn hand_over(speech: &mpsc::Sender<Result<Speech>>, mut piece: Result<Speech>, cancel: &Cancel) -> ControlFlow<()> {
    let deadline = Instant::now() + SLOW_READER;
    loop {
        match speech.try_send(piece) {
            Ok(()) => return ControlFlow::Continue(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return ControlFlow::Break(()),
            Err(mpsc::error::TrySendError::Full(back)) => piece = back,
        }
        if cancel.wanted() || Instant::now() >= deadline {
            return ControlFlow::Break(());
        }
        thread::sleep(GLANCE);
    }
}

fn recognizer(engine: &mut Engine) -> Option<&mut (dyn Recognizer + 'static)> {
    match engine {
        Engine::Recognizer(recognizer) | Engine::Both(recognizer, _) => Some(&mut **recognizer),
        Engine::Synthesizer(_) => None,
    }
}

fn synthesizer(engine: &mut Engine) -> Option<&mut (dyn Synthesizer + 'static)> {
    match engine {
        Engine::Synthesizer(synthesizer) | Engine::Both(_, synthesizer) => Some(&mut **synthesizer),
        Engine::Recognizer(_) => None,
    }
}

fn cannot_speak() -> Error {
    Error::new(Kind::Unsupported, "this worker's engine does not speak")
}

fn refuse(job: Job, why: impl Fn() -> Error) {
    match job {
        Job::Decode { reply, .. } => reply.send(Err(why())).unwrap_or_default(),
        Job::Speak { speech, .. } => speech.blocking_send(Err(why())).unwrap_or_default(),
        Job::Voices { reply } => reply.send(Err(why())).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
