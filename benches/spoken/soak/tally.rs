//! What is counted while the soak lasts.

use crate::caller::FRAME;
use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tonic::Status;

/// Notes that are kept of what went wrong.
const MAX_NOTES: usize = 20;

/// All that is counted.
#[derive(Default)]
pub(super) struct Numbers {
    /// Sessions that were begun.
    pub(super) sessions: u64,
    /// Sessions that there was no room for.
    pub(super) refused: u64,
    pub(super) utterances: u64,
    pub(super) stopped: u64,
    /// Utterances that lost their connection, as their caller wanted.
    pub(super) cut: u64,
    pub(super) frames: usize,
    /// Commands that were answered.
    pub(super) commands: u64,
    pub(super) kills: u64,
    pub(super) differing: u64,
    /// Frames that are missing, or are not as the contract says.
    pub(super) holes: u64,
    /// Utterances of which nothing came for too long.
    pub(super) stalled: u64,
    /// What was not done, by what it was and the code of its status.
    pub(super) failed: BTreeMap<String, u64>,
    /// How long PAUSE and STOP took.
    pub(super) acknowledged: Vec<Duration>,
    pub(super) notes: Vec<String>,
}

impl Numbers {
    /// Keeps a note, if it is one of the first.
    pub(super) fn remark(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }

    /// Counts the sound that was heard, in bytes.
    pub(super) fn hear(&mut self, bytes: usize) {
        self.frames += bytes / FRAME;
    }
}

/// What is counted, for all who count.
#[derive(Default)]
pub(super) struct Tally(Mutex<Numbers>);

impl Tally {
    /// Counts.
    pub(super) fn count(&self, change: impl FnOnce(&mut Numbers)) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut numbers);
    }

    /// Counts something that was not done.
    pub(super) fn fail(&self, what: &str, status: &Status) {
        self.fail_by(what, &format!("{:?}", status.code()), status.message());
    }

    /// The same, where the reason has no status.
    pub(super) fn fail_by(&self, what: &str, code: &str, message: &str) {
        self.count(|numbers| {
            *numbers.failed.entry(format!("{what} {code}")).or_default() += 1;
            numbers.remark(format!("{what} {code}: {message}"));
        });
    }

    /// All of it.
    pub(super) fn take(&self) -> Numbers {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *numbers)
    }
}
