//! Spoken sessions: text comes as it is written, frames go as they are heard, and commands act at once.
//!
//! `state` has the rules, without a clock; `talk` holds one utterance for those who have to do with it: `reader` takes
//! its frames into the transport, `maker` reads its text and has it spoken. `session` is what a name stands for, and here
//! are all of them.

mod casting;
mod frames;
mod maker;
mod measures;
mod models;
mod names;
mod options;
mod pace;
mod reader;
mod session;
mod state;
mod talk;
#[cfg(test)]
mod tests;
mod text;

use super::Speaker;
use crate::{
    error::{Error, Kind, Result},
    models::Paths,
    proto::spoken as pb,
    server::{guard::owner::Owner, load::Load, supervisor::hold},
    shutdown::{self, Stop},
};
use models::Kept;
use names::{Held, Live};
use options::Wanted;
use session::{Session, unknown};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
pub(crate) use {measures::Measures, reader::Reader, session::Command};

/// The longest name of a session, bytes.
const MAX_ID: usize = 256;

/// When to come back, for callers that were sent away.
const COME_BACK: Duration = Duration::from_secs(1);

/// How often is looked for sessions that nobody wants any more: a vanished caller frees all within a second.
const ROUND: Duration = Duration::from_millis(250);

/// How sessions are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long a session may be idle.
    pub(crate) idle: Duration,
    /// Sessions at the same time, however little they cost.
    pub(crate) most: usize,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spoken(Arc<Inner>);

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spoken").finish_non_exhaustive()
    }
}

struct Inner {
    settings: Settings,
    speaker: Speaker,
    measures: Arc<Measures>,
    live: Mutex<Live>,
    /// Models that were loaded to stay.
    kept: Kept,
}

/// How a session could not begin.
pub(crate) enum Refusal {
    /// By what the contract calls a status.
    Status(Error),
    /// By what the contract calls no success.
    NoSuccess(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Status(error)
    }
}

impl Spoken {
    /// No sessions yet.
    pub(crate) fn new(settings: Settings, speaker: Speaker, load: Load) -> Self {
        let (measures, live) = (Arc::new(Measures::new(load)), Mutex::default());
        Self(Arc::new(Inner { settings, speaker, measures, live, kept: Kept::default() }))
    }

    /// Ends sessions that nobody wants any more, for ever; and utterances that only wait for text, once the server is to
    /// stop.
    pub(crate) async fn tidy(self, mut stop: shutdown::Listener) {
        let mut is_stopping = false;
        loop {
            tokio::select! {
                () = sleep(ROUND) => {}
                () = stop.wanted(Stop::Drain), if !is_stopping => is_stopping = true,
            }
            self.0.tidy();
            if is_stopping {
                let live = self.0.lock();
                live.sessions.values().flatten().for_each(|held| held.session.dismiss());
            }
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// What is wrong with its name or its options, `InUse` for a name that is taken, `Busy` where there is no room; and
    /// as no success, what hinders the model.
    pub(crate) async fn start(
        &self,
        id: String,
        model: &str,
        options: &HashMap<String, String>,
        paths: Paths,
        owner: Owner,
    ) -> std::result::Result<(), Refusal> {
        check_id(&id)?;
        let wanted = options::read(options)?;
        let starting = self.0.reserve(&id)?;
        let speaker = &self.0.speaker;
        let cast = casting::cast(speaker, model, &wanted, paths).await.map_err(|error| by_options(error, &wanted))?;
        // From before it is loaded: another one may want its place. That may take its time, the trial may not.
        let held = speaker.supervisor.hold(cast.model().clone());
        speaker.supervisor.load(cast.model().clone(), None).await.map_err(by_contract)?;
        // A voice that cannot speak is found now.
        speaker.try_cast(&cast, &wanted.style).await.map_err(|error| by_options(error, &wanted))?;
        let mut rules = wanted.rules;
        rules.language = casting::language(&cast, &wanted.language);
        let style = speaker.styled(wanted.style);
        let session = Session::new(id, cast, style, rules, Arc::clone(&self.0.measures));
        starting.done(Held { session: Arc::new(session), owner, model: Some(held) });
        Ok(())
    }

    /// Ends a session, also in the middle of a word.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name, and none has ended lately.
    pub(crate) fn end(&self, id: &str) -> Result<()> {
        let mut live = self.0.lock();
        // One that has not begun yet is its StartSession's alone.
        let held = match live.sessions.get(id) {
            Some(Some(_)) => live.sessions.remove(id).flatten(),
            _ => None,
        };
        match held {
            Some(held) => {
                live.note_end(id);
                drop(live);
                held.session.end();
                Ok(())
            }
            None if live.has_ended(id) => Ok(()),
            None => Err(unknown(id)),
        }
    }

    /// Commands a session. When this returns, it has taken effect.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn control(&self, id: &str, command: Command) -> Result<()> {
        let session = self.0.lock().find(id)?;
        session.control(command).await
    }

    /// How long a session may be idle.
    pub(crate) fn patience(&self) -> Duration {
        self.0.settings.idle
    }

    /// How many sessions there may be at the same time.
    pub(crate) fn most(&self) -> usize {
        self.0.most()
    }

    /// How sessions are served, by the names of the contract.
    pub(crate) fn metrics(&self) -> HashMap<String, f64> {
        let (measures, seconds) = (&self.0.measures, |time: Option<Duration>| time.unwrap_or_default().as_secs_f64());
        let (frames, late) = measures.frames();
        let metrics = [
            ("rtf", measures.real_time_factor()),
            ("first_audio_ms_p50", seconds(measures.first_audio(0.5)) * 1_000.0),
            ("first_audio_ms_p95", seconds(measures.first_audio(0.95)) * 1_000.0),
            ("active_sessions", self.0.lock().count() as f64),
            ("frames", frames as f64),
            ("frames_late", late as f64),
        ];
        metrics.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Begins to say what comes, the first of which names the session.
    ///
    /// # Errors
    /// `NotFound`, or `InUse` where the session speaks already.
    pub(crate) fn speak(
        &self,
        first: pb::TextChunk,
        chunks: impl Stream<Item = std::result::Result<pb::TextChunk, Status>> + Send + Unpin + 'static,
        owner: Owner,
        deadline: Option<Instant>,
    ) -> Result<Reader> {
        let session = self.0.adopt(&first.session_id, owner)?;
        let talk = session.begin()?;
        let chunks = tokio_stream::once(Ok(first)).chain(chunks);
        let maker = maker::make(self.0.speaker.clone(), Arc::clone(&session), Arc::clone(&talk), chunks, deadline);
        Ok(Reader::new(session, talk, tokio::spawn(maker)))
    }
}

impl Inner {
    /// Takes a name, and a place.
    fn reserve(self: &Arc<Self>, id: &str) -> Result<Starting> {
        let mut live = self.lock();
        // Who has vanished may be who comes back.
        let is_orphan = |held: &Option<Held>| held.as_ref().is_some_and(|held| !held.counts());
        if live.sessions.get(id).is_some_and(is_orphan)
            && let Some(Some(held)) = live.sessions.remove(id)
        {
            held.session.end();
        }
        if live.sessions.contains_key(id) {
            let message = format!("there is a session `{}` already; end it, or take another name", id.escape_debug());
            return Err(Error::new(Kind::InUse, message).in_field("session_id"));
        }
        self.admit(&live)?;
        live.drop_orphan();
        live.sessions.insert(id.to_owned(), None);
        Ok(Starting { inner: Arc::clone(self), id: id.to_owned() })
    }

    /// Whether there is room for one session more, by what speaking has cost.
    fn admit(&self, live: &Live) -> Result<()> {
        let (most, count) = (self.most(), live.count());
        if count < most {
            return Ok(());
        }
        let message = format!("this machine keeps up with {most} spoken sessions, and has {count}; try again later");
        Err(Error::new(Kind::Busy, message).retry_after(COME_BACK))
    }

    /// How many sessions there may be at the same time.
    fn most(&self) -> usize {
        self.measures.load.capacity().map_or(self.settings.most, |capacity| capacity.min(self.settings.most))
    }

    /// The session of a name, for a caller who is about to speak with it: whose owner has gone belongs to that one.
    fn adopt(&self, id: &str, owner: Owner) -> Result<Arc<Session>> {
        let mut live = self.lock();
        let session = live.find(id)?;
        let is_orphan = live.sessions.get(id).is_some_and(|held| held.as_ref().is_some_and(|held| !held.counts()));
        if is_orphan {
            self.admit(&live)?;
        }
        if let Some(Some(held)) = live.sessions.get_mut(id)
            && held.owner.has_gone()
        {
            held.owner = owner;
            held.model.get_or_insert_with(|| self.hold(&session));
        }
        Ok(session)
    }

    fn tidy(&self) {
        let mut live = self.lock();
        let is_idle = |held: &Held| held.session.idle_since().elapsed() >= self.settings.idle;
        let idle = live.sessions.extract_if(|_, held| held.as_ref().is_some_and(is_idle));
        let idle: Vec<(String, Option<Held>)> = idle.collect();
        for (id, held) in &idle {
            live.note_end(id);
            tracing::info!(session = id, "Session was idle for too long, and has ended.");
            held.iter().for_each(|held| held.session.expire());
        }
        for held in live.sessions.values_mut().flatten().filter(|held| !held.counts()) {
            held.model = None;
        }
        live.forget();
    }

    /// Keeps the model of a session loaded.
    fn hold(&self, session: &Session) -> hold::Held {
        self.speaker.supervisor.hold(session.cast.model().clone())
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is about to be a session. Dropped, it is free again.
struct Starting {
    inner: Arc<Inner>,
    id: String,
}

impl Starting {
    /// It is one.
    fn done(self, held: Held) {
        if let Some(name) = self.inner.lock().sessions.get_mut(&self.id) {
            *name = Some(held);
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Entry::Occupied(entry) = self.inner.lock().sessions.entry(self.id.clone())
            && entry.get().is_none()
        {
            entry.remove();
        }
    }
}

fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > MAX_ID || id.contains(char::is_control) {
        let message = format!("a session's name has 1 to {MAX_ID} bytes, and no control characters");
        return Err(Error::invalid(message).in_field("session_id"));
    }
    Ok(())
}

/// What hinders a model is no success; what is wrong with the request, or with the moment, is a status.
fn is_status(error: &Error) -> bool {
    let is_option = || matches!(error.details().field.as_deref(), Some("options" | "speaker" | "speed" | "session_id"));
    match error.kind() {
        Kind::Busy | Kind::InUse | Kind::Deadline | Kind::Cancelled | Kind::Denied => true,
        // A model that is damaged, or is none that speaks, is wrong input too.
        Kind::InvalidInput => is_option(),
        _ => false,
    }
}

/// What is wrong with an option is wrong with the request, whoever finds out.
fn by_options(error: Error, wanted: &Wanted) -> Refusal {
    let is_option = match error.details().field.as_deref() {
        Some("options" | "speaker" | "speed" | "region") => true,
        Some("voice") => !(wanted.voice.is_empty() && wanted.language.is_empty()),
        _ => false,
    };
    match error.kind() {
        Kind::InvalidInput | Kind::NotFound if is_option => {
            Refusal::Status(Error::invalid(error.to_string()).in_field("options"))
        }
        _ => by_contract(error),
    }
}

fn by_contract(error: Error) -> Refusal {
    if is_status(&error) { Refusal::Status(error) } else { Refusal::NoSuccess(error) }
}
