//! How much of a model is loaded: what the engine tells, or what the memory of the process lets guess.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// What is told before the model is whole: only `Stage::Ready` says that.
const MOST: f32 = 0.99;

/// The scale on which progress is kept: whole numbers can only grow.
const SCALE: f32 = 10_000.0;

/// The progress of loading. Clones show the same; it never falls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// 0 for nothing known.
    reached: Arc<AtomicU32>,
    guess: Option<Guess>,
}

/// Memory tells how far an engine is that reads a file of known size.
#[derive(Clone, Copy, Debug)]
struct Guess {
    /// Resident bytes before.
    before: u64,
    /// Bytes of the file.
    size: u64,
}

impl Progress {
    /// Of an engine that reads this many bytes, which are in memory then; 0 where that is not known.
    pub(crate) fn of_file(size: u64) -> Self {
        let guess = resident().filter(|_| size > 0).map(|before| Guess { before, size });
        Self { reached: Arc::default(), guess }
    }

    /// Tells how much is loaded, 0 to 1.
    pub(crate) fn tell(&self, fraction: f32) {
        let fraction = fraction.clamp(0.0, MOST);
        self.reached.fetch_max((fraction * SCALE) as u32, Ordering::Relaxed);
    }

    /// How much is loaded, 0 to 1; `None` where nobody knows.
    pub(crate) fn now(&self) -> Option<f32> {
        if let (Some(guess), Some(resident)) = (self.guess, resident()) {
            self.tell(guess.fraction(resident));
        }
        let reached = self.reached.load(Ordering::Relaxed);
        (reached > 0 || self.guess.is_some()).then(|| reached as f32 / SCALE)
    }
}

impl Guess {
    fn fraction(self, resident: u64) -> f32 {
        resident.saturating_sub(self.before) as f32 / self.size as f32
    }
}

/// The memory of this process that is in use, in bytes, where /proc tells.
fn resident() -> Option<u64> {
    pages_resident(&fs::read_to_string("/proc/self/statm").ok()?)
        .map(|pages| pages.saturating_mul(rustix::param::page_size() as u64))
}

/// The second number of `/proc/PID/statm`.
fn pages_resident(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_is_never_whole() {
        let progress = Progress::default();
        assert_eq!(progress.now(), None);
        progress.tell(0.42);
        progress.tell(0.1);
        assert_eq!(progress.now(), Some(0.42));
        progress.tell(7.0);
        assert_eq!(progress.now(), Some(0.99));
    }

    #[test]
    fn memory_lets_guess() {
        let guess = Guess { before: 1_000, size: 10_000 };
        assert!((guess.fraction(3_500) - 0.25).abs() < 1e-6);
        assert_eq!(guess.fraction(10), 0.0);
        assert_eq!(pages_resident("3093 731 500 1 0 200 0\n"), Some(731));
        assert!(Progress::of_file(1 << 30).now().is_some());
    }
}
