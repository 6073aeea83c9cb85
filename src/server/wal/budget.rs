//! How much the logs may hold, and how much they do.

use super::SessionId;
use crate::error::{Error, Kind, Result};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// When to come back to a server whose logs are full: other sessions have to get on.
const COME_BACK: Duration = Duration::from_secs(5);

/// How much the logs may hold, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// One session: `--session-log`.
    pub(crate) session: u64,
    /// All together: `--log-size`.
    pub(crate) all: u64,
}

/// What room is wanted for. Each leaves some to the next, so that a log that is full of one can be emptied by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Audio. Leaves an eighth: a final that commits it must have room.
    Audio,
    /// What is recognised. Leaves a sixty-fourth: what lets it be forgotten must have room.
    Text,
    /// The rest.
    Upkeep,
}

impl Purpose {
    fn share(self, limit: u64) -> u64 {
        match self {
            Self::Audio => limit - limit / 8,
            Self::Text => limit - limit / 64,
            Self::Upkeep => limit,
        }
    }
}

/// The account of all logs.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    used: AtomicU64,
}

impl Budget {
    /// An account with nothing on it.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, used: AtomicU64::new(0) }
    }

    /// Takes room for a session that has so many bytes already.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded.
    pub(super) fn charge(&self, id: &SessionId, has: u64, wants: u64, purpose: Purpose) -> Result<()> {
        let Limits { session, all } = self.limits;
        if has.saturating_add(wants) > purpose.share(session) {
            return Err(Error::new(
                Kind::Busy,
                format!(
                    "session `{id}` has {has} bytes that are not recognised or not fetched yet, and no room for {wants} \
                     more: its limit is {session} (`--session-log`); send slower, or fetch its finals"
                ),
            )
            .retry_after(COME_BACK));
        }
        let room = |used: u64| used.checked_add(wants).filter(|sum| *sum <= purpose.share(all));
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) {
            Ok(_) => Ok(()),
            Err(used) => Err(Error::new(
                Kind::Busy,
                format!(
                    "all sessions together have {used} bytes, and their limit is {all} (`--log-size`); try again later"
                ),
            )
            .retry_after(COME_BACK)),
        }
    }

    /// Takes what is there already, whatever the limits.
    pub(super) fn note(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives room back.
    pub(super) fn refund(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    /// What all logs hold.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// What one session holds of the budget.
pub(super) struct Account {
    budget: Arc<Budget>,
    id: SessionId,
    bytes: u64,
}

impl Account {
    /// The account of a session that has nothing yet.
    pub(super) fn new(budget: Arc<Budget>, id: SessionId) -> Self {
        Self { budget, id, bytes: 0 }
    }

    /// Takes room.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded.
    pub(super) fn charge(&mut self, bytes: u64, purpose: Purpose) -> Result<()> {
        self.budget.charge(&self.id, self.bytes, bytes, purpose)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes what is there already, whatever the limits.
    pub(super) fn note(&mut self, bytes: u64) {
        self.budget.note(bytes);
        self.bytes += bytes;
    }

    /// Gives room back.
    pub(super) fn refund(&mut self, bytes: u64) {
        self.budget.refund(bytes);
        self.bytes -= bytes;
    }

    /// What it holds.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whose account it is.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}
