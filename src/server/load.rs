//! How much a server can take on: measured, not guessed. Partials give way first, then new sessions; finals never.

use crate::speech::Samples;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The least new audio that a partial waits for.
const LEAST_STEP: Duration = Duration::from_millis(300);

/// The most that it waits for: rarer partials are of no use, but none would look as if nothing worked.
const LONGEST_STEP: Duration = Duration::from_secs(5);

/// A partial may keep an engine busy for this part of the time of its session: one in so many.
const SHARE: u32 = 3;

/// Audio after which the measure counts; and what it forgets by: it is a mean over about so much.
const ENOUGH: f64 = 30.0;

/// The measure is kept over at most this much audio, in seconds.
const MEMORY: f64 = 600.0;

/// How much of the machine sessions may plan for. The rest is for partials, and for others.
const PLANNED: f64 = 0.8;

/// Measures what recognition costs, and tells what there is room for.
#[derive(Debug)]
pub(crate) struct Load {
    /// Seconds of audio that were decided, and seconds of engine time that it took.
    measured: Mutex<(f64, f64)>,
    partials: Arc<Semaphore>,
    /// Engines that can work at full speed at the same time.
    engines: f64,
}

impl Load {
    /// For a machine with so many cores, whose engines use so many threads each.
    pub(crate) fn new(cores: usize, threads: usize) -> Self {
        let engines = (cores as f64 / threads.clamp(1, cores.max(1)) as f64).max(1.0);
        Self { measured: Mutex::default(), partials: Arc::new(Semaphore::new(cores.max(1))), engines }
    }

    /// Takes note of audio that was decided, and of the time that an engine took for it.
    pub(crate) fn note(&self, audio: Samples, took: Duration) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let forget = (MEMORY / (measured.0 + audio.seconds()).max(MEMORY)).min(1.0);
        measured.0 = measured.0 * forget + audio.seconds();
        measured.1 = measured.1 * forget + took.as_secs_f64();
    }

    /// Seconds of engine time for a second of audio, by whatever there was so far.
    pub(crate) fn measured(&self) -> Option<f64> {
        self.factor(f64::MIN_POSITIVE)
    }

    /// Seconds of engine time for a second of audio, once enough has been heard to tell.
    pub(crate) fn real_time_factor(&self) -> Option<f64> {
        self.factor(ENOUGH)
    }

    /// The same, where there were at least so many seconds of audio.
    fn factor(&self, least: f64) -> Option<f64> {
        let (audio, took) = *self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        (audio >= least).then(|| took / audio)
    }

    /// How many sessions the machine can keep up with; `None` as long as that is not known.
    pub(crate) fn capacity(&self) -> Option<usize> {
        let factor = self.real_time_factor()?.max(1e-6);
        Some(((self.engines * PLANNED / factor) as usize).max(1))
    }

    /// A place for one partial; `None` where the machine has better things to do.
    pub(crate) fn partial(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.partials).try_acquire_owned().ok()
    }

    /// How much new audio the next partial of a session waits for, after one that took so long, waiting included.
    pub(crate) fn step(&self, last: Duration) -> Samples {
        let step = (last * SHARE).clamp(LEAST_STEP, LONGEST_STEP);
        Samples::from_seconds(step.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_follows_the_measure() {
        let load = Load::new(8, 4);
        assert_eq!(load.capacity(), None, "nothing is known");
        load.note(Samples::from_seconds(60.0), Duration::from_secs(6));
        assert_eq!(load.capacity(), Some(16), "two engines, a tenth each, four fifths of it");
        // What was long ago counts less.
        load.note(Samples::from_seconds(600.0), Duration::from_secs(600));
        assert_eq!(load.capacity(), Some(1));
        let slow = Load::new(1, 4);
        slow.note(Samples::from_seconds(60.0), Duration::from_secs(600));
        assert_eq!(slow.capacity(), Some(1), "one is always let in");
    }

    #[test]
    fn partials_become_rarer() {
        let load = Load::new(2, 2);
        assert_eq!(load.step(Duration::from_millis(1)), Samples::from_seconds(0.3));
        assert_eq!(load.step(Duration::from_millis(500)), Samples::from_seconds(1.5));
        assert_eq!(load.step(Duration::from_secs(60)), Samples::from_seconds(5.0));
        let held: Vec<_> = (0..2).map_while(|_| load.partial()).collect();
        assert!(held.len() == 2 && load.partial().is_none());
    }
}
