//! One session: the task that feeds the rules with what happens, carries out what they say, and owns the log.
//!
//! Any failure of the task itself is like the death of the server: the session is restored from its log when its client
//! comes back. So nothing here tries to go on after a log that does not take what it is given.

mod command;
mod effects;
mod revive;

use super::{
    Inner,
    config::Config,
    decoding::Outcome,
    intake::Intake,
    listener::{Attended, Listener, attend},
    tell::{self, Message},
};
use crate::{
    audio,
    error::{Error, Kind, Result},
    listening::{Decided, Event, Session, VoiceDetector},
    proto::v1::{self as pb, speech_activity, streaming_recognize_response as told},
    server::wal::{Note, SessionId},
    shutdown::Stop,
    speech::Samples,
};
use bytes::Bytes;
pub(crate) use command::Said;
pub(super) use command::{Attach, Command};
use effects::Pace;
pub(super) use revive::Revived;
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicBool},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Commands that wait. Each may hold a message of audio.
pub(super) const QUEUE: usize = 4;

/// Markers that a client may wait for at the same time.
const MARKERS: usize = 1000;

/// The longest name of a marker, bytes.
const MARKER: usize = 256;

/// The task.
pub(super) struct Task {
    id: SessionId,
    resume_key: String,
    inner: Arc<Inner>,
    config: Config,
    intake: Intake,
    session: Session<VoiceDetector>,
    listener: Option<Listener>,
    listeners: u64,
    /// Where the client's audio goes on, in its clock.
    received: i64,
    /// What is decided and may have to be told again.
    decided: VecDeque<Decided>,
    finals: i64,
    gaps: i64,
    acknowledged: i64,
    markers: usize,
    /// The checkpoint that the log has, and the one up to which the costs are counted.
    noted: Samples,
    counted: Samples,
    work: JoinSet<(u64, Outcome)>,
    pace: Pace,
    room: watch::Sender<bool>,
    has_ended: bool,
    is_client_gone: bool,
    /// How it ended.
    done: Option<pb::SessionDone>,
    failed: Option<(Kind, String)>,
    /// Whether it takes nobody's place any more.
    is_over: Arc<AtomicBool>,
    /// When nobody is waited for any more.
    until: Option<Instant>,
    /// Audio of a session that is restored, which is to be heard once more.
    backlog: Vec<i16>,
}

/// What is to become of a session whose task ends.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody needs it any more.
    Removed,
    /// A server that comes after this one goes on with it.
    Left,
}

impl Task {
    /// Lives until nobody needs the session any more, or the server stops.
    pub(super) async fn live(mut self, mut inbox: mpsc::Receiver<Command>) {
        let fate = self.serve(&mut inbox).await;
        let (inner, id) = (Arc::clone(&self.inner), self.id.clone());
        let farewell = match &fate {
            Ok(Fate::Removed) => None,
            Ok(Fate::Left) => {
                Some(Error::new(Kind::Unavailable, "the server is stopping; resume the session when it is back"))
            }
            Err(error) => {
                tracing::error!(session = %id, %error, "A session broke off; it goes on from its log.");
                let message = format!("the session broke off, and can be resumed: {error}");
                Some(Error::new(Kind::Unavailable, message))
            }
        };
        if let (Some(listener), Some(error)) = (self.listener.take(), farewell) {
            listener.fail(error.retry_after(super::COME_BACK));
        }
        // First its work ends, then it is forgotten: who comes back from then on finds its log alone.
        drop(self);
        if fate.is_ok_and(|fate| fate == Fate::Removed)
            && let Err(error) = inner.remove(&id).await
        {
            tracing::warn!(session = %id, %error, "A session's log could not be removed.");
        }
        inner.forget(&id);
    }

    /// Tells when there is nothing left to do.
    pub(super) fn is_over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_over)
    }

    async fn serve(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<Fate> {
        let mut stop = self.inner.stop.clone();
        self.revive().await?;
        loop {
            let until = self.until;
            let is_live = !self.has_ended;
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Attach(attach)) => self.attach(attach),
                    Some(Command::Say { listener, said }) => self.hear(listener, said).await?,
                    None => return Ok(Fate::Left),
                },
                (job, outcome) = done(&mut self.work) => self.decoded(job, outcome).await?,
                attended = attend(&mut self.listener) => {
                    if attended == Attended::Gone {
                        self.detach();
                    }
                }
                () = expired(until) => {
                    if self.done.is_some() || self.failed.is_some() {
                        return Ok(Fate::Removed);
                    }
                    self.until = None;
                    self.is_client_gone = true;
                    tracing::info!(session = %self.id, "Nobody came back to a session; it ends.");
                    self.end().await?;
                }
                // What waits for its last words is let finish, as other calls are.
                () = stop.wanted(Stop::Drain), if is_live => return Ok(Fate::Left),
            }
            if self.is_of_no_use() {
                return Ok(Fate::Removed);
            }
        }
    }

    /// Whether nobody can want anything of it any more: the client has everything, or has never said a thing.
    fn is_of_no_use(&self) -> bool {
        let has_all = self.done.is_some() && self.finals > 0 && self.acknowledged >= self.finals;
        let is_blank = self.received == 0 && self.listeners > 0 && self.done.is_none();
        self.listener.is_none() && (has_all || is_blank)
    }

    /// Takes a client, in the place of the one before.
    fn attach(&mut self, Attach { last_seq, sender, reply }: Attach) {
        if !(self.acknowledged..=self.finals).contains(&last_seq) {
            let (first, last) = (self.acknowledged, self.finals);
            let message = format!("last_seq {last_seq} cannot be: this session can go on behind {first} to {last}");
            return drop(reply.send(Err(Error::invalid(message).in_field("config.resume.last_seq"))));
        }
        if let Some(before) = self.listener.take() {
            before.fail(Error::new(Kind::Superseded, "another client has taken over this session"));
        }
        self.listeners += 1;
        let number = self.listeners;
        if reply.send(Ok((number, self.room.subscribe()))).is_err() {
            return self.detach();
        }
        let mut first = vec![tell::message(told::Event::Ready(pb::Ready {
            session_id: self.id.to_string(),
            resume_key: self.resume_key.clone(),
            next_sample: self.received,
            epoch: self.session.epoch(),
            last_seq: self.finals,
            model: self.inner.supervisor.directory().name(&self.config.model),
            sample_rate_hertz: i32::try_from(self.config.rate).unwrap_or(i32::MAX),
        }))];
        let started = speech_activity::Kind::Started;
        // What has no number belongs to the final before it.
        let known = self.decided.iter().rposition(|decided| decided.seq.is_some_and(|seq| seq <= last_seq));
        for decided in self.decided.iter().skip(known.map_or(0, |known| known + 1)) {
            first.push(tell::speech(&self.config, started, decided.utterance, decided.from));
            first.extend(tell::decided(&self.config, decided, self.received));
        }
        if let Some((utterance, at)) = self.session.speaking() {
            first.push(tell::speech(&self.config, started, utterance, at));
        }
        if let Some(done) = self.done {
            first.push(tell::message(told::Event::Done(done)));
        }
        let is_over = self.done.is_some() || self.failed.is_some();
        self.until = self.until.filter(|_| is_over);
        let mut listener = Listener::new(number, sender, first);
        match &self.failed {
            Some((kind, message)) => listener.fail(Error::new(*kind, message.clone())),
            None if self.done.is_some() => {
                listener.end();
                self.listener = Some(listener);
            }
            None => self.listener = Some(listener),
        }
    }

    /// The client has gone. It is waited for, unless everything is over.
    fn detach(&mut self) {
        self.listener = None;
        if self.done.is_none() && self.failed.is_none() && !self.has_ended {
            self.until = Some(Instant::now() + self.inner.settings.wait);
        }
    }

    /// Tells the client something, if it is there.
    fn tell(&mut self, message: Message) {
        let Some(listener) = &mut self.listener else { return };
        if let Err(error) = listener.tell(message) {
            self.dismiss(error);
        }
    }

    /// Ends the conversation with a client that does what it should not. The session waits for a better one.
    fn dismiss(&mut self, error: Error) {
        if let Some(listener) = self.listener.take() {
            listener.fail(error);
        }
        self.detach();
    }

    /// Takes what the client says. What is wrong with it ends the conversation, not the session.
    async fn hear(&mut self, listener: u64, said: Said) -> Result<()> {
        let is_present = self.listener.as_ref().is_some_and(|present| present.number == listener);
        // Who is still speaking when everything is decided, by a time-out, has done nothing wrong.
        let is_late = self.done.is_some() && !matches!(said, Said::Acknowledge(_));
        if !is_present || is_late {
            return Ok(());
        }
        let heard = match said {
            Said::Audio(data, first) => self.hear_audio(data, first).await,
            Said::Marker(id) => self.mark(id).await,
            Said::End if self.has_ended => Ok(()),
            Said::End => self.end().await,
            Said::Acknowledge(seq) => self.acknowledge(seq).await,
        };
        match heard {
            Err(error) if matches!(error.kind(), Kind::InvalidInput | Kind::Busy) => {
                self.dismiss(error);
                Ok(())
            }
            other => other,
        }
    }

    async fn hear_audio(&mut self, data: Bytes, first: Option<i64>) -> Result<()> {
        let refuse = |field: &str, message: String| Err(Error::invalid(message).in_field(field));
        // A client that is still on its way to hear that the session has ended by itself.
        if self.done.is_some() || self.is_client_gone {
            return Ok(());
        }
        if self.has_ended {
            return refuse("audio", "audio after the end".to_owned());
        }
        if !data.len().is_multiple_of(2) {
            let message = format!("{} bytes hold half a sample; samples have 16 bits", data.len());
            return refuse("audio.data", message);
        }
        if let Some(first) = first.filter(|first| *first != self.received) {
            let message = format!("first_sample is {first}, and the audio so far ends at {}", self.received);
            return refuse("audio.first_sample", message);
        }
        if data.is_empty() {
            return Ok(());
        }
        let samples = audio::bytes_to_i16(&data);
        let start = Samples(self.received);
        // What the log does not take was not said: its client has to say it again.
        let appended = self.inner.desk().await?.append_audio(&self.id, start, samples.clone()).await;
        appended.map_err(|error| match error.kind() {
            Kind::Busy => error,
            _ => broken(error),
        })?;
        self.received += samples.len() as i64;
        let heard = self.intake.push(&samples)?;
        self.on(Event::Audio(heard)).await
    }

    async fn mark(&mut self, id: String) -> Result<()> {
        if id.len() > MARKER {
            let message = format!("a marker's name has {} bytes; at most {MARKER} are taken", id.len());
            return Err(Error::invalid(message).in_field("marker.id"));
        }
        if self.markers >= MARKERS {
            let message = format!("{MARKERS} markers wait already; send the next when some have come back");
            return Err(Error::new(Kind::Busy, message).in_field("marker"));
        }
        if self.done.is_some() {
            return Ok(());
        }
        self.markers += 1;
        self.on(Event::Marker(id)).await
    }

    /// Puts a note into the log.
    async fn note(&self, note: Note) -> Result<()> {
        self.inner.desk().await?.note(&self.id, note).await.map_err(broken)
    }

    /// No more audio will come.
    async fn end(&mut self) -> Result<()> {
        let at = Samples(self.received);
        self.note(Note::Ended { at }).await?;
        self.finish().await
    }

    /// Lets the rules know that no more audio will come.
    async fn finish(&mut self) -> Result<()> {
        self.has_ended = true;
        let rest = self.intake.finish()?;
        if !rest.is_empty() {
            self.on(Event::Audio(rest)).await?;
        }
        self.on(Event::EndOfAudio).await
    }

    /// The client has finals, and the server need not keep them for it.
    async fn acknowledge(&mut self, seq: i64) -> Result<()> {
        if seq > self.finals || seq < 0 {
            let message = format!("there is no final {seq}; the last one is {}", self.finals);
            return Err(Error::invalid(message).in_field("acknowledge.seq"));
        }
        if seq > self.acknowledged {
            self.acknowledged = seq;
            while self.decided.front().is_some_and(|decided| decided.seq.is_none_or(|number| number <= seq)) {
                self.decided.pop_front();
            }
            self.note(Note::Acked { seq }).await?;
        }
        Ok(())
    }
}

/// A log that does not take what it is given ends the task.
fn broken(error: Error) -> Error {
    Error::new(Kind::Unavailable, format!("what is said cannot be kept: {error}"))
}

/// Waits for work to end. Without any, for ever.
async fn done(work: &mut JoinSet<(u64, Outcome)>) -> (u64, Outcome) {
    loop {
        match work.join_next().await {
            Some(Ok(done)) => return done,
            // It was cancelled, or it panicked: then there is nobody whose number it has.
            Some(Err(error)) if error.is_panic() => {
                let error = Error::new(Kind::Internal, "the server failed at a decode");
                return (0, Outcome::Refused(error));
            }
            Some(Err(_)) => {}
            None => std::future::pending::<()>().await,
        }
    }
}

/// Waits for a moment, if there is one.
async fn expired(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
