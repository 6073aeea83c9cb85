//! Whether a worker that works is alive. Pure: looks at signs of life, and at the time.
//!
//! The engine beats a pulse where it can. Some stretches of foreign code beat none, however hard they work, such as
//! whisper.cpp's detection of a language; there the processor time of the process speaks for it, for a while. Foreign
//! workers give neither, and count as alive for as long, if they answer.

use std::time::Duration;
use tokio::time::Instant;

/// Share of the time that a process which works spends on a processor, at the very least; one that hangs needs some for
/// its answers to us.
const WORKING: f64 = 0.05;

/// How many times its patience a worker may be busy without a beat: beyond it, it goes round in circles.
const CIRCLES: u32 = 12;

/// What a worker says of itself while it works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Beats so far; absent in foreign workers.
    pub(super) beats: Option<u64>,
    /// Processor time so far; absent in foreign workers.
    pub(super) processor: Option<Duration>,
}

/// The signs of one call.
#[derive(Debug)]
pub(super) struct Vitals {
    patience: Duration,
    last: Option<Signs>,
    looked: Instant,
    beaten: Instant,
    moved: Instant,
}

impl Vitals {
    /// Of a call that begins now, under an engine that may be silent for so long.
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self { patience, last: None, looked: now, beaten: now, moved: now }
    }

    /// How long to wait for the answer before the next look.
    pub(super) fn next_look(&self) -> Duration {
        self.patience / 4
    }

    /// Takes a look, `None` where the worker did not answer, and says whether it hangs.
    pub(super) fn hangs(&mut self, signs: Option<Signs>, now: Instant) -> bool {
        if let Some(signs) = signs {
            let before = self.last.replace(signs);
            let has_beaten = signs.beats.is_some() && before.is_some_and(|before| before.beats != signs.beats);
            if has_beaten {
                (self.beaten, self.moved) = (now, now);
            } else if (signs.beats.is_none() || self.has_worked(before, signs, now))
                && now - self.beaten < self.patience * CIRCLES
            {
                self.moved = now;
            }
            self.looked = now;
        }
        now - self.moved >= self.patience
    }

    fn has_worked(&self, before: Option<Signs>, signs: Signs, now: Instant) -> bool {
        let (Some(before), Some(after)) = (before.and_then(|signs| signs.processor), signs.processor) else {
            return false;
        };
        after.saturating_sub(before).as_secs_f64() >= WORKING * (now - self.looked).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Looks once a second; gives the second at which the worker is found to hang, within two minutes and a half.
    fn hangs_at(signs: impl Fn(u64) -> Option<Signs>) -> Option<u64> {
        let start = Instant::now();
        let mut vitals = Vitals::new(PATIENCE, start);
        (1..150).find(|second| vitals.hangs(signs(*second), start + Duration::from_secs(*second)))
    }

    fn signs(beats: u64, processor: Duration) -> Option<Signs> {
        Some(Signs { beats: Some(beats), processor: Some(processor) })
    }

    #[test]
    fn who_beats_is_alive() {
        assert_eq!(hangs_at(|second| signs(second, Duration::ZERO)), None);
    }

    #[test]
    fn who_stands_still_hangs_after_the_whole_patience() {
        assert_eq!(hangs_at(|_| signs(7, Duration::from_secs(1))), Some(10));
        assert_eq!(hangs_at(|_| None), Some(10), "and so does one that does not answer");
        let answering_us = |second| signs(7, Duration::from_millis(second));
        assert_eq!(hangs_at(answering_us), Some(10), "that it answers us is no work");
    }

    #[test]
    fn who_works_without_a_beat_is_alive_for_a_while() {
        assert_eq!(hangs_at(|second| signs(7, Duration::from_secs(second))), Some(129), "and then it goes in circles");
    }

    #[test]
    fn one_answer_that_is_missing_is_nothing() {
        assert_eq!(hangs_at(|second| if second % 3 == 0 { None } else { signs(second, Duration::ZERO) }), None);
    }

    #[test]
    fn foreign_workers_are_alive_for_a_while_if_they_answer() {
        assert_eq!(hangs_at(|_| Some(Signs::default())), Some(129));
    }
}
