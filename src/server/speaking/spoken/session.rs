//! One session: how it speaks, and what it is saying.

use super::{
    measures::Measures,
    state::{Event, Rules},
    talk::Talk,
};
use crate::{
    error::{Error, Kind, Result},
    server::speaking::{Cast, Style},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What a caller may want of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Hold the sound back, and keep the place.
    Pause,
    /// Go on where it was.
    Resume,
    /// Drop what is left to say.
    Stop,
}

/// A session that has not ended.
pub(crate) struct Session {
    id: String,
    pub(super) cast: Cast,
    pub(super) style: Style,
    pub(super) rules: Rules,
    measures: Arc<Measures>,
    now: Mutex<Now>,
}

/// How it is now.
struct Now {
    talk: Option<Arc<Talk>>,
    is_paused: bool,
    has_ended: bool,
    /// When something was last wanted of it.
    used: Instant,
}

impl Session {
    /// A session that says nothing yet.
    pub(super) fn new(id: String, cast: Cast, style: Style, rules: Rules, measures: Arc<Measures>) -> Self {
        let now = Now { talk: None, is_paused: false, has_ended: false, used: Instant::now() };
        Self { id, cast, style, rules, measures, now: Mutex::new(now) }
    }

    /// What its caller calls it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Begins an utterance.
    ///
    /// # Errors
    /// `InUse` where it is in the middle of one, `NotFound` where the session has ended.
    pub(super) fn begin(&self) -> Result<Arc<Talk>> {
        let mut now = self.lock();
        if now.has_ended {
            return Err(unknown(&self.id));
        }
        if now.talk.is_some() {
            let message = "the session is speaking already; end that Synthesize, or STOP it, before you begin another";
            return Err(Error::new(Kind::InUse, message).in_field("session_id"));
        }
        let talk = Arc::new(Talk::new(&self.rules, now.is_paused, Arc::clone(&self.measures)));
        now.talk = Some(Arc::clone(&talk));
        now.used = Instant::now();
        Ok(talk)
    }

    /// An utterance is over, or its reader has gone.
    pub(super) fn release(&self, talk: &Arc<Talk>) {
        let mut now = self.lock();
        now.talk.take_if(|held| Arc::ptr_eq(held, talk));
        now.used = Instant::now();
    }

    /// Carries out a command. When this returns, it has taken effect.
    ///
    /// # Errors
    /// `NotFound` where the session has ended.
    pub(crate) async fn control(&self, command: Command) -> Result<()> {
        let held = {
            let mut now = self.lock();
            if now.has_ended {
                return Err(unknown(&self.id));
            }
            now.used = Instant::now();
            now.is_paused = command == Command::Pause;
            // In the lock: of two commands, the session and its utterance follow the same one.
            match command {
                Command::Pause => now.talk.clone().inspect(|talk| talk.command(Event::Pause)),
                Command::Resume => {
                    now.talk.iter().for_each(|talk| talk.command(Event::Resume));
                    None
                }
                // What was stopped is not the session's any more: it can speak again at once.
                Command::Stop => now.talk.take().inspect(|talk| talk.command(Event::Stop)),
            }
        };
        if let Some(talk) = held {
            talk.quiet().await;
        }
        Ok(())
    }

    /// Something was wanted of it that is not said here.
    pub(super) fn touch(&self) {
        self.lock().used = Instant::now();
    }

    /// Ends it, and what it is saying.
    pub(super) fn end(&self) {
        let talk = {
            let mut now = self.lock();
            now.has_ended = true;
            now.talk.take()
        };
        if let Some(talk) = talk {
            talk.command(Event::Stop);
        }
    }

    /// Ends it because nothing has been wanted of it for too long; who reads an utterance is told.
    pub(super) fn expire(&self) {
        let talk = {
            let mut now = self.lock();
            now.has_ended = true;
            now.talk.take()
        };
        if let Some(talk) = talk {
            let message =
                "no text has come, no frame was read and no command was given for too long; the session is over";
            talk.refuse(Error::new(Kind::Deadline, message));
        }
    }

    /// The server is to stop: an utterance that waits for text, or for RESUME, waits no longer.
    pub(super) fn dismiss(&self) {
        let now = self.lock();
        if let Some(talk) = now.talk.as_ref().filter(|talk| talk.waits_for_text() || talk.is_paused()) {
            talk.refuse(Error::new(Kind::Unavailable, "the server is stopping"));
        }
    }

    /// Since when nothing was wanted of it.
    pub(super) fn idle_since(&self) -> Instant {
        let now = self.lock();
        now.talk.iter().map(|talk| talk.moved()).fold(now.used, Instant::max)
    }

    /// Whether it is in the middle of an utterance.
    pub(super) fn is_speaking(&self) -> bool {
        self.lock().talk.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no session of this name.
pub(super) fn unknown(id: &str) -> Error {
    let message = format!("there is no session `{}`; StartSession begins one", id.escape_debug());
    Error::new(Kind::NotFound, message).in_field("session_id")
}
