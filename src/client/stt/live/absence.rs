//! How long the server has been away, when to try again, and when to give up. Pure: time is a value.

use std::time::Duration;

/// The wait before the first try.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait.
const LAST: Duration = Duration::from_secs(2);

/// An absence of the server, if there is one.
#[derive(Debug)]
pub(super) struct Absence {
    since: Option<Duration>,
    wait: Duration,
    give_up_after: Duration,
}

impl Absence {
    /// None yet.
    pub(super) fn new(give_up_after: Duration) -> Self {
        Self { since: None, wait: FIRST, give_up_after }
    }

    /// The server is away. Says whether that is news.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        let is_news = self.since.is_none();
        self.since.get_or_insert(now);
        is_news
    }

    /// The server shows that it is there and at work. That it takes connections shows nothing: one that dies of each
    /// must be given up some time.
    pub(super) fn end(&mut self) {
        (self.since, self.wait) = (None, FIRST);
    }

    /// The wait before the next try: twice that before, shortened by up to a half by `chance` (0 to 1), so that many
    /// clients do not come back at once.
    pub(super) fn next_wait(&mut self, chance: f64) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(LAST);
        wait.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }

    /// When the server is given up, where it is away.
    pub(super) fn ends_at(&self) -> Option<Duration> {
        self.since.map(|since| since + self.give_up_after)
    }

    /// How long it may be away.
    pub(super) fn limit(&self) -> Duration {
        self.give_up_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew() {
        let mut absence = Absence::new(Duration::from_secs(60));
        let waits: Vec<u128> = (0..8).map(|_| absence.next_wait(0.0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(absence.next_wait(1.0).as_millis(), 1000, "a half by chance");
        absence.end();
        assert_eq!(absence.next_wait(0.0).as_millis(), 50);
    }

    #[test]
    fn it_counts_from_its_first_moment() {
        let mut absence = Absence::new(Duration::from_secs(60));
        assert_eq!(absence.ends_at(), None);
        assert!(absence.begin(Duration::from_secs(5)));
        assert!(!absence.begin(Duration::from_secs(50)));
        assert_eq!(absence.ends_at(), Some(Duration::from_secs(65)));
    }
}
