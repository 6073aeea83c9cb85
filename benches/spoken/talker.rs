//! Sessions that speak without end, and are heard all the time.

use crate::{
    Result,
    caller::{Caller, PATIENCE},
    listener::Listener,
    texts,
    wire::ControlCommand,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::sleep};

/// Frames after which a session is in the middle of speaking.
const UNDER_WAY: u64 = 5;

/// How often to look whether it is.
const LOOK: Duration = Duration::from_millis(2);

/// Sessions begin to speak over this long, so that their sentences, and so the work of the engine, do not coincide.
const SPREAD: Duration = Duration::from_secs(2);

/// What was heard of a session, as it grows.
#[derive(Default)]
struct Heard {
    utterances: AtomicU64,
    /// Frames of sound of the utterance that is being spoken.
    of_this: AtomicU64,
    /// Frames of sound of all of them.
    frames: AtomicU64,
    late: AtomicU64,
    missed: AtomicU64,
}

/// A session on a connection of its own.
pub(crate) struct Talker {
    caller: Arc<Caller>,
    session: String,
    heard: Arc<Heard>,
    task: Option<JoinHandle<Result<()>>>,
}

impl Talker {
    /// Begins a session that says nothing yet; `None` where there is no room.
    async fn begin(address: &str, model: &str, number: usize) -> Result<Option<Self>> {
        let (caller, session) = (Caller::connect(address).await?, format!("talk-{number}"));
        let is_begun = caller.begin(&session, model, &[]).await?;
        let talker = Self { caller: Arc::new(caller), session, heard: Arc::default(), task: None };
        Ok(is_begun.then_some(talker))
    }

    /// Speaks from now on.
    fn talk(&mut self, text: Arc<str>, after: Duration) {
        let (caller, session, heard) = (Arc::clone(&self.caller), self.session.clone(), Arc::clone(&self.heard));
        self.task = Some(tokio::spawn(talk(caller, session, text, heard, after)));
    }

    /// Waits until it is in the middle of speaking.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) async fn speaks(&mut self) -> Result<()> {
        self.speaks_anew(0).await
    }

    /// Waits until it is in the middle of an utterance behind so many.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) async fn speaks_anew(&mut self, utterances: u64) -> Result<()> {
        let start = Instant::now();
        while self.utterances() <= utterances || self.heard.of_this.load(SeqCst) < UNDER_WAY {
            if self.task.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(task) = self.task.take()
            {
                task.await??;
            }
            if self.task.is_none() || start.elapsed() > PATIENCE {
                return Err(format!("session {} does not speak", self.session).into());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Utterances that it has begun.
    pub(crate) fn utterances(&self) -> u64 {
        self.heard.utterances.load(SeqCst)
    }

    /// Frames of sound that have come; how many of them late; how many after they should have been heard.
    pub(crate) fn frames(&self) -> [u64; 3] {
        [&self.heard.frames, &self.heard.late, &self.heard.missed].map(|count| count.load(SeqCst))
    }

    /// Commands it, and says how long the answer took.
    pub(crate) async fn command(&self, command: ControlCommand) -> Result<Duration> {
        Ok(self.caller.command(&self.session, command).await?)
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// Says a text again and again.
async fn talk(caller: Arc<Caller>, session: String, text: Arc<str>, heard: Arc<Heard>, after: Duration) -> Result<()> {
    sleep(after).await;
    loop {
        speak(&caller, &session, &text, &heard).await?;
    }
}

/// Says a text, and hears all of it, or all until it is stopped.
async fn speak(caller: &Caller, session: &str, text: &str, heard: &Heard) -> Result<()> {
    heard.of_this.store(0, SeqCst);
    heard.utterances.fetch_add(1, SeqCst);
    let (mut frames, mut listener) = (caller.speak(session, text).await?, Listener::default());
    while let Some(frame) = frames.message().await? {
        if !frame.is_final {
            let arrival = listener.hears(Instant::now());
            heard.of_this.fetch_add(1, SeqCst);
            heard.frames.fetch_add(1, SeqCst);
            heard.late.fetch_add(u64::from(arrival.is_late), SeqCst);
            heard.missed.fetch_add(u64::from(arrival.is_missed), SeqCst);
        }
    }
    Ok(())
}

/// So many sessions, silent for now; `None` where the server has no room for them.
pub(crate) async fn gather(address: &str, model: &str, count: usize) -> Result<Option<Vec<Talker>>> {
    let mut talkers = Vec::new();
    for number in 0..count {
        match Talker::begin(address, model, number).await? {
            Some(talker) => talkers.push(talker),
            None => return Ok(None),
        }
    }
    Ok(Some(talkers))
}

/// Has all of them speak, and waits until they do.
pub(crate) async fn all_talk(talkers: &mut [Talker]) -> Result<()> {
    let (text, count) = (Arc::<str>::from(texts::long()), talkers.len());
    for (number, talker) in talkers.iter_mut().enumerate() {
        talker.talk(Arc::clone(&text), SPREAD.mul_f64(number as f64 / count as f64));
    }
    for talker in talkers {
        talker.speaks().await?;
    }
    Ok(())
}
