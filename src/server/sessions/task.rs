//! One session: the task that feeds the rules with what happens, carries out what they say, and owns the log.
//!
//! Any failure of the task itself is like the death of the server: the session is restored from its log when its client
//! comes back. So nothing here tries to go on after a log that does not take what it is given.

mod command;
mod effects;
mod hearing;
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
    error::{Error, Kind, Result},
    listening::{Decided, Session, VoiceDetector},
    proto::v1::{self as pb, speech_activity, streaming_recognize_response as told},
    server::wal::SessionId,
    shutdown::Stop,
    speech::Samples,
};
pub(crate) use command::Said;
pub(super) use command::{Attach, Command};
use effects::Pace;
pub(super) use revive::Revived;
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// How long a stream stays open behind its last message for acknowledgements of what came just before it.
const FAREWELL: Duration = Duration::from_millis(200);

/// How long a session without audio waits for its client.
const BLANK_WAIT: Duration = Duration::from_secs(10);

/// Commands that wait. Each may hold a message of audio.
pub(super) const QUEUE: usize = 4;

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
    /// When the stream of a client that has been told everything ends.
    farewell: Option<Instant>,
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
        let (inner, id) = (Arc::clone(&self.inner), self.id.clone());
        // Also where the task panics.
        let _known = Known { inner: Arc::clone(&inner), id: id.clone() };
        let fate = self.serve(&mut inbox).await;
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
    }

    /// Tells when there is nothing left to do.
    pub(super) fn is_over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_over)
    }

    async fn serve(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<Fate> {
        let mut stop = self.inner.stop.clone();
        self.revive().await?;
        loop {
            let (until, farewell) = (self.until, self.farewell);
            let is_live = !self.has_ended;
            // In this order: what a client has said before it went is heard.
            tokio::select! {
                biased;
                // What waits for its last words is let finish, as other calls are.
                () = stop.wanted(Stop::Drain), if is_live => return Ok(Fate::Left),
                (job, outcome) = done(&mut self.work) => self.decoded(job, outcome).await?,
                command = inbox.recv() => match command {
                    Some(Command::Attach(attach)) => self.attach(attach),
                    Some(Command::Say { listener, said }) => self.hear(listener, said).await?,
                    None => return Ok(Fate::Left),
                },
                attended = attend(&mut self.listener) => {
                    if attended == Attended::Gone {
                        self.detach();
                    }
                }
                () = expired(farewell) => {
                    self.farewell = None;
                    self.part();
                }
                () = expired(until) => if let Some(fate) = self.waited().await? {
                    return Ok(fate);
                },
            }
            if self.is_of_no_use() {
                return Ok(Fate::Removed);
            }
        }
    }

    /// What becomes of a session for which nobody came in time.
    async fn waited(&mut self) -> Result<Option<Fate>> {
        let is_over = self.done.is_some() || self.failed.is_some();
        match (&self.listener, is_over) {
            // Somebody is reading, slowly.
            (Some(_), true) => self.until = Some(Instant::now() + self.inner.settings.linger),
            (None, true) => return Ok(Some(Fate::Removed)),
            (None, false) if self.received == 0 && !self.has_ended => return Ok(Some(Fate::Removed)),
            // Its last words are on their way.
            (_, false) if self.has_ended => self.until = None,
            (_, false) => {
                self.until = None;
                self.is_client_gone = true;
                tracing::info!(session = %self.id, "Nobody came back to a session; it ends.");
                self.end().await?;
            }
        }
        Ok(None)
    }

    /// Whether nobody can want anything of it any more: the client has everything.
    fn is_of_no_use(&self) -> bool {
        let has_all = self.done.is_some() && self.acknowledged >= self.finals;
        self.listener.is_none() && self.listeners > 0 && has_all
    }

    /// Takes a client, in the place of the one before.
    fn attach(&mut self, Attach { last_seq, interim, sender, reply }: Attach) {
        // Who has gone meanwhile takes nobody's place.
        if reply.is_closed() {
            return;
        }
        self.config.interim = interim;
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
        let listener = Listener::new(number, sender, first);
        match &self.failed {
            Some((kind, message)) => listener.fail(Error::new(*kind, message.clone())),
            None => self.listener = Some(listener),
        }
        if self.done.is_some() {
            self.say_farewell();
        }
    }

    /// Everything is told. The acknowledgement of the last final is on its way at best.
    fn say_farewell(&mut self) {
        self.farewell = Some(Instant::now() + FAREWELL);
        self.part();
    }

    /// Lets go of a client that has been told everything, once nothing more is to be heard of it.
    fn part(&mut self) {
        if self.farewell.is_none() || self.acknowledged >= self.finals {
            self.farewell = None;
            if let Some(listener) = &mut self.listener {
                listener.end();
            }
        }
    }

    /// The client has gone. It is waited for, unless everything is over.
    fn detach(&mut self) {
        self.listener = None;
        if self.done.is_none() && self.failed.is_none() && !self.has_ended {
            let wait = self.inner.settings.wait;
            // Who has never said a thing loses nothing.
            let wait = if self.received == 0 { wait.min(BLANK_WAIT) } else { wait };
            self.until = Some(Instant::now() + wait);
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
}

/// That a session is known. Dropped with its task.
struct Known {
    inner: Arc<Inner>,
    id: SessionId,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.inner.forget(&self.id);
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
