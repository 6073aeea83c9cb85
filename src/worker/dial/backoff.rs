//! How long to wait before the next try.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait.
const LAST: Duration = Duration::from_secs(10);

/// Waits that double, each shortened by up to a half by chance, so that many workers do not come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    wait: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: FIRST }
    }
}

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(LAST);
        wait.mul_f64(0.5 + chance() / 2.0)
    }
}

/// 0 to 1, as the standard library's hash tables get their chance.
fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..10).map(|_| backoff.next()).collect();
        let mut longest = FIRST;
        for wait in waits {
            assert!((longest / 2..=longest).contains(&wait), "{wait:?} of {longest:?}");
            longest = (longest * 2).min(LAST);
        }
    }
}
