//! How well sessions are served: what GetCapabilities tells.

use crate::{server::load::Load, speech::Samples};
use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A frame that goes later than this counts as late.
const LATE: Duration = Duration::from_millis(5);

/// First frames that are remembered.
const MEMORY: usize = 1_000;

/// What is counted.
#[derive(Debug)]
pub(crate) struct Measures {
    /// What speaking costs.
    pub(super) load: Load,
    frames: AtomicU64,
    late: AtomicU64,
    /// How long the first sound of each utterance let wait, the latest at the end.
    first: Mutex<VecDeque<Duration>>,
}

impl Measures {
    /// Nothing was counted yet.
    pub(super) fn new(load: Load) -> Self {
        Self { load, frames: AtomicU64::new(0), late: AtomicU64::new(0), first: Mutex::default() }
    }

    /// Takes note of audio that a worker has made, and of the time that it took.
    pub(super) fn worked(&self, audio: Duration, took: Duration) {
        self.load.note(Samples::from_seconds(audio.as_secs_f64()), took);
    }

    /// Seconds of engine time for a second of audio; 0 before there was any.
    pub(crate) fn real_time_factor(&self) -> f64 {
        self.load.measured().unwrap_or_default()
    }

    /// Takes note of a frame that went, so late; and, for the first of an utterance, how long after its first words.
    pub(super) fn frame(&self, late: Duration, waited: Option<Duration>) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        if late > LATE {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(waited) = waited {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.len() == MEMORY {
                first.pop_front();
            }
            first.push_back(waited);
        }
    }

    /// Frames that went, and how many of them late.
    pub(crate) fn frames(&self) -> (u64, u64) {
        (self.frames.load(Ordering::Relaxed), self.late.load(Ordering::Relaxed))
    }

    /// How long the first sound lets wait, at this part of all from the shortest on; `None` before there was any.
    pub(crate) fn first_audio(&self, quantile: f64) -> Option<Duration> {
        let mut first: Vec<Duration> =
            self.first.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        first.sort_unstable();
        let at = (first.len().checked_sub(1)? as f64 * quantile.clamp(0.0, 1.0)).round() as usize;
        first.get(at).copied()
    }
}
