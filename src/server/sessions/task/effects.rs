//! What the rules say, carried out: work is given out, what is decided is logged and then told.

use super::{Task, broken, tell};
use crate::{
    error::{Error, Kind, Result},
    listening::{Checkpoint, Decided, Decode, Effect, Event, Purpose, Session, TimedOut, VoiceDetector},
    proto::v1::{self as pb, speech_activity, streaming_recognize_response as told},
    server::{
        recognition::Options,
        sessions::{
            decoding::{Outcome, Work},
            quarantine, stored,
        },
        wal::Note,
    },
    speech::Samples,
};
use std::{collections::VecDeque, sync::atomic::Ordering, time::Duration};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// Audio that waits to be decided, in seconds, from which on the client is asked to wait, and up to which again.
const BEHIND: (f64, f64) = (60.0, 45.0);

/// Silence that is let go of without a word in the log, in seconds. After a death it is judged once more.
const UNNOTED: f64 = 10.0;

/// How the work of a session goes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How long the last partial took, from the wish for it.
    partial: Duration,
    /// The work that is being done, what for, and since when.
    current: Option<(u64, Purpose, Instant)>,
    /// Engine time of finals that is not counted yet.
    spent: Duration,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether the client was asked to wait.
    is_behind: bool,
}

impl Task {
    /// Feeds the rules, and does what they say.
    pub(super) async fn on(&mut self, event: Event) -> Result<()> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let step = self.inner.load.step(self.pace.partial);
            let is_heard = self.config.interim && self.listener.is_some();
            self.session.set_partials(is_heard.then_some(step));
            for effect in self.session.on(event) {
                if let Some(declined) = self.perform(effect).await? {
                    events.push_back(Event::Declined { job: declined });
                }
            }
        }
        self.make_room();
        Ok(())
    }

    /// Takes what came of work.
    pub(super) async fn decoded(&mut self, job: u64, outcome: Outcome) -> Result<()> {
        let current = self.pace.current.take_if(|(current, ..)| *current == job);
        let purpose = current.map(|(_, purpose, _)| purpose);
        if let Some((_, purpose, since)) = current {
            self.pace.permit = None;
            match (purpose, &outcome) {
                (Purpose::Partial, _) => self.pace.partial = since.elapsed(),
                (Purpose::Final, Outcome::Heard { took, .. }) => self.pace.spent += *took,
                (Purpose::Final, _) => {}
            }
        }
        match outcome {
            Outcome::Heard { segments, language, .. } => self.on(Event::Decoded { job, segments, language }).await,
            Outcome::Lost { own_doing } => self.on(Event::Lost { job, own_doing }).await,
            // A partial is not needed; and what was cancelled is over.
            Outcome::Refused(_) if purpose == Some(Purpose::Partial) => self.on(Event::Declined { job }).await,
            Outcome::Refused(_) if purpose.is_none() && job != 0 => Ok(()),
            Outcome::Refused(error) => {
                self.fail(error);
                Ok(())
            }
        }
    }

    /// Carries out one effect; gives the number of a partial for which there is no room.
    async fn perform(&mut self, effect: Effect) -> Result<Option<u64>> {
        match effect {
            Effect::Decode(decode) => return Ok(self.decode(&decode)),
            Effect::Cancel { job } => {
                if self.pace.current.take_if(|(current, ..)| *current == job).is_some() {
                    self.work.abort_all();
                    self.pace.permit = None;
                }
            }
            Effect::Started { utterance, at } => {
                self.tell(tell::speech(&self.config, speech_activity::Kind::Started, utterance, at));
            }
            Effect::Partial { utterance, from, to, segments, text, confirmed } => {
                let confirmed = i32::try_from(confirmed).unwrap_or(i32::MAX);
                let epoch = self.session.epoch();
                let (audio_start, audio_end) = (from.0, to.0);
                let partial = pb::Partial {
                    utterance_id: utterance,
                    epoch,
                    audio_start,
                    audio_end,
                    text,
                    confirmed,
                    segments: Vec::new(),
                };
                self.tell(tell::partial(&self.config, partial, &segments));
            }
            Effect::Decided { decided, checkpoint } => self.decided(*decided, &checkpoint).await?,
            Effect::Quiet { checkpoint } => self.quiet(&checkpoint).await?,
            Effect::Epoch(number) => self.note(Note::Epoch { number }).await?,
            Effect::Marker(id) => {
                self.markers = self.markers.saturating_sub(1);
                self.tell(tell::message(told::Event::Marker(pb::Marker { id })));
            }
            Effect::Done { timed_out } => self.conclude(timed_out).await?,
        }
        Ok(None)
    }

    /// Gives out work.
    fn decode(&mut self, decode: &Decode) -> Option<u64> {
        if decode.purpose == Purpose::Partial {
            match self.inner.load.partial() {
                Some(permit) => self.pace.permit = Some(permit),
                None => return Some(decode.job),
            }
        }
        let samples = self.session.window(decode);
        let threads = i32::try_from(self.inner.settings.threads).unwrap_or(1);
        let mut options = self.config.options.clone();
        options.threads = if options.threads == 0 { threads } else { options.threads };
        if decode.purpose == Purpose::Partial {
            // What will be decided anew need not be perfect, but soon, and in nobody's way.
            options = Options { beam_size: 1, fast: true, words: false, threads: 1, ..options };
        }
        let work = Work {
            supervisor: self.inner.supervisor.clone(),
            model: self.config.model.clone(),
            request: options.request(&samples, &options.language, &decode.context, false),
            length: Samples(samples.len() as i64),
            is_silent: samples.iter().all(|sample| *sample == 0),
        };
        let job = decode.job;
        self.pace.current = Some((job, decode.purpose, Instant::now()));
        self.work.spawn(async move { (job, work.run().await) });
        None
    }

    /// Logs an utterance, then tells it, then lets go of its audio.
    async fn decided(&mut self, mut decided: Decided, checkpoint: &Checkpoint) -> Result<()> {
        for gap in &mut decided.gaps {
            quarantine::keep(&self.inner.settings.folder, &self.id, gap).await;
        }
        self.count(checkpoint);
        let to = self.position_in_log(checkpoint);
        let with_decided = stored::step(checkpoint, Some(&decided));
        let note = match decided.seq {
            Some(seq) => Note::Final { seq, to, message: with_decided, state: stored::step(checkpoint, None) },
            None => Note::Commit { to, state: with_decided },
        };
        self.note(note).await?;
        (self.finals, self.gaps) = (checkpoint.finals, checkpoint.gaps);
        for message in tell::decided(&self.config, &decided, self.received) {
            self.tell(message);
        }
        if decided.seq.is_some() || !decided.gaps.is_empty() {
            self.decided.push_back(decided);
        }
        self.let_go(checkpoint).await
    }

    /// Counts what audio has cost that is decided now.
    fn count(&mut self, checkpoint: &Checkpoint) {
        let audio = Samples(checkpoint.committed.0 - self.counted.0);
        self.counted = checkpoint.committed;
        self.inner.load.note(audio, std::mem::take(&mut self.pace.spent));
    }

    /// Lets go of silence.
    async fn quiet(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.count(checkpoint);
        let at = self.config.to_client(checkpoint.committed);
        self.tell(tell::message(told::Event::Silence(pb::Silence { at })));
        if (checkpoint.committed.0 - self.noted.0) as f64 > UNNOTED * f64::from(Samples::RATE) {
            let note = Note::Commit { to: self.position_in_log(checkpoint), state: stored::step(checkpoint, None) };
            self.note(note).await?;
            self.let_go(checkpoint).await?;
        }
        Ok(())
    }

    async fn let_go(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.noted = checkpoint.committed;
        let needed = self.intake.keep_from(Session::<VoiceDetector>::needed_by(checkpoint));
        if let Err(error) = self.inner.desk().await?.drop_before(&self.id, Samples(needed)).await {
            tracing::warn!(session = %self.id, %error, "Audio that is decided could not be dropped.");
        }
        Ok(())
    }

    /// Where a checkpoint is in the log, whose clock is the client's.
    fn position_in_log(&self, checkpoint: &Checkpoint) -> Samples {
        Samples(self.config.to_client(checkpoint.committed).min(self.received))
    }

    /// Everything is decided.
    async fn conclude(&mut self, timed_out: Option<TimedOut>) -> Result<()> {
        let done = pb::SessionDone {
            reason: tell::reason(timed_out, self.is_client_gone).into(),
            audio_end: self.config.to_client(self.session.committed()).min(self.received),
            finals: self.finals,
            gaps: self.gaps,
        };
        let checkpoint = self.session.checkpoint().clone();
        let note = Note::Commit { to: self.position_in_log(&checkpoint), state: stored::last_step(&checkpoint, done) };
        self.note(note).await?;
        self.inner.desk().await?.close(&self.id).await.map_err(broken)?;
        self.has_ended = true;
        self.done = Some(done);
        self.is_over.store(true, Ordering::Relaxed);
        self.until = Some(Instant::now() + self.inner.settings.linger);
        self.tell(tell::message(told::Event::Done(done)));
        self.say_farewell();
        Ok(())
    }

    /// The engine cannot do what is wanted, now or ever. What was said stays as long as that of a session that is over.
    fn fail(&mut self, error: Error) {
        tracing::warn!(session = %self.id, %error, "A session cannot go on.");
        let kind = if error.kind() == Kind::Io { Kind::Internal } else { error.kind() };
        self.failed = Some((kind, error.to_string()));
        self.until = Some(Instant::now() + self.inner.settings.linger);
        self.has_ended = true;
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            listener.fail(error);
        }
    }

    /// Asks the client to wait where its audio comes faster than it is decided.
    fn make_room(&mut self) {
        let waiting = Samples(self.session.end_of_audio().0 - self.session.committed().0).seconds();
        // Where nothing is being decided, only more audio can help.
        let is_deciding = self.session.is_deciding();
        if waiting > BEHIND.0 && is_deciding && !self.pace.is_behind {
            self.pace.is_behind = true;
            let factor = self.inner.load.real_time_factor().unwrap_or(1.0);
            let delay = ((waiting - BEHIND.1) * factor).clamp(0.01, BEHIND.0);
            let delay_ms = (delay * 1000.0) as i64;
            self.tell(tell::message(told::Event::Backpressure(pb::Backpressure { delay_ms })));
        } else if waiting < BEHIND.1 || !is_deciding {
            self.pace.is_behind = false;
        }
        let has_room = !self.pace.is_behind;
        self.room.send_if_modified(|room| std::mem::replace(room, has_room) != has_room);
    }
}
