//! The names of sessions: whose they are, which of them take a place, and which have ended lately.

use super::session::{Session, unknown};
use crate::{
    error::Result,
    server::{guard::owner::Owner, supervisor::hold},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// How long it is remembered that a session has ended.
const MEMORY: Duration = Duration::from_secs(60);

/// Ended sessions that are remembered.
const MAX_ENDED: usize = 10_000;

/// Sessions that are kept although their callers have gone: these may come back by another connection.
const MAX_ORPHANS: usize = 1_000;

#[derive(Default)]
pub(super) struct Live {
    /// `None` is a name that is about to be a session.
    pub(super) sessions: HashMap<String, Option<Held>>,
    /// Those that have ended, the latest at the end.
    pub(super) ended: VecDeque<(Instant, String)>,
}

/// A session, and whom it belongs to.
pub(super) struct Held {
    pub(super) session: Arc<Session>,
    pub(super) owner: Owner,
    /// Keeps its model loaded, as long as it takes a place.
    pub(super) model: Option<hold::Held>,
}

impl Held {
    /// Whether it takes a place: not where its caller has gone and nobody else speaks with it.
    pub(super) fn counts(&self) -> bool {
        !self.owner.has_gone() || self.session.is_speaking()
    }
}

impl Live {
    /// The session of a name.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) fn find(&self, id: &str) -> Result<Arc<Session>> {
        match self.sessions.get(id) {
            Some(Some(held)) => Ok(Arc::clone(&held.session)),
            Some(None) | None => Err(unknown(id)),
        }
    }

    /// Sessions that take a place.
    pub(super) fn count(&self) -> usize {
        self.sessions.values().filter(|held| held.as_ref().is_none_or(Held::counts)).count()
    }

    /// A session has ended.
    pub(super) fn note_end(&mut self, id: &str) {
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((Instant::now(), id.to_owned()));
    }

    /// Whether a session of this name has ended lately.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.ended.iter().any(|(at, ended)| ended == id && at.elapsed() < MEMORY)
    }

    /// Forgets what has ended long ago.
    pub(super) fn forget(&mut self) {
        while self.ended.front().is_some_and(|(at, _)| at.elapsed() >= MEMORY) {
            self.ended.pop_front();
        }
    }

    /// Of sessions whose callers have gone without a word, only so many are kept.
    pub(super) fn drop_orphan(&mut self) {
        let orphans = || self.sessions.iter().filter(|(_, held)| held.as_ref().is_some_and(|held| !held.counts()));
        if orphans().count() < MAX_ORPHANS {
            return;
        }
        let oldest = orphans().min_by_key(|(_, held)| held.as_ref().map(|held| held.session.idle_since()));
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            self.sessions.remove(&id);
            self.note_end(&id);
        }
    }
}
