//! How many workers a model may lose, and how long to wait before the next one. Pure.
//!
//! The first loss costs nothing: the next worker starts at once. Then the waits double, with jitter, so that models
//! which fail together do not start together. After three losses in a row the model has failed: nobody is kept
//! waiting for it until the wait is over, and then one worker may show that it can do better.

use crate::server::supervisor::death::Death;
use std::time::Duration;
use tokio::time::Instant;

/// Losses in a row, with no good answer between them, after which a model has failed.
pub(super) const LOSSES: u32 = 3;

/// The wait after the second loss.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest pause after starts that somebody else ended.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The losses of one model since its last good answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    losses: u32,
    not_before: Option<Instant>,
    /// Starts in a row that somebody else ended.
    unlucky: u32,
}

impl Budget {
    /// Takes note of a loss. `jitter` is between 0 and 1; no wait is longer than `longest`.
    pub(super) fn lost(&mut self, now: Instant, jitter: f64, longest: Duration) {
        self.losses = self.losses.saturating_add(1);
        self.not_before = Some(now + wait(self.losses, jitter).min(longest));
    }

    /// Takes note of a start that somebody else ended. The model has not failed by that; but whoever kills all that
    /// starts is not to be fed without end.
    pub(super) fn unlucky(&mut self, now: Instant) {
        self.unlucky = self.unlucky.saturating_add(1);
        let pause = wait(self.unlucky.saturating_sub(1), 0.0).min(LONGEST_PAUSE);
        self.not_before = self.not_before.max(Some(now + pause));
    }

    /// Takes note of a good answer, which settles everything.
    pub(super) fn good(&mut self) {
        *self = Self::default();
    }

    /// Whether the model has failed: what it needs now is one worker that can do better.
    pub(super) fn is_spent(&self) -> bool {
        self.losses >= LOSSES
    }

    /// How long no worker may be started.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.not_before.map(|then| then.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// When the next worker may be started, where that is to be waited for.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Why there is nothing to wait for, after this death.
    pub(super) fn verdict(&self, death: Option<&Death>) -> String {
        let last = death.map(|death| format!(", the last time because {death}")).unwrap_or_default();
        format!("its workers were lost {} times in a row{last}", self.losses)
    }
}

/// None after the first loss, then doubling, of which up to half is left to chance.
fn wait(losses: u32, jitter: f64) -> Duration {
    if losses <= 1 {
        return Duration::ZERO;
    }
    let full = FIRST_WAIT.saturating_mul(1 << (losses - 2).min(16)).min(LONGEST_WAIT);
    full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order: spent exactly after three losses in a row, and never longer than the longest wait.
        #[test]
        fn it_is_spent_after_three_in_a_row(events in proptest::collection::vec((any::<bool>(), 0.0..1.0f64), 0..40)) {
            let now = Instant::now();
            let (mut budget, mut in_a_row) = (Budget::default(), 0u32);
            for (is_good, jitter) in events {
                if is_good { budget.good(); in_a_row = 0 } else { budget.lost(now, jitter, LONGEST_WAIT); in_a_row += 1 }
                prop_assert_eq!(budget.is_spent(), in_a_row >= 3);
                let wait = budget.wait(now).unwrap_or_default();
                prop_assert!(wait <= LONGEST_WAIT);
                prop_assert_eq!(wait.is_zero(), in_a_row <= 1, "the first restart is immediate, the others are not");
                prop_assert_eq!(budget.wait(now + LONGEST_WAIT), None);
            }
        }
    }

    #[test]
    fn waits_double_and_jitter_shortens_them() {
        assert_eq!(wait(2, 0.0), Duration::from_millis(500));
        assert_eq!(wait(3, 0.0), Duration::from_secs(1));
        assert_eq!(wait(3, 1.0), Duration::from_millis(500));
        assert_eq!(wait(40, 0.0), LONGEST_WAIT);
    }
}
