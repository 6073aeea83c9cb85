//! The notice to stop. It carries no work: owners hear of it, finish what they hold, and end.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// How urgently to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Go on.
    #[default]
    No,
    /// Finish what is open, take nothing new.
    Drain,
    /// End at once.
    Now,
}

/// Gives the notice.
#[derive(Debug)]
pub(crate) struct Notice {
    stop: watch::Sender<Stop>,
    /// Whether it cannot be taken back.
    is_final: AtomicBool,
}

/// Hears the notice. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Listener(watch::Receiver<Stop>);

/// A notice and the ear for it.
pub(crate) fn channel() -> (Notice, Listener) {
    let (sender, receiver) = watch::channel(Stop::No);
    (Notice { stop: sender, is_final: AtomicBool::new(false) }, Listener(receiver))
}

impl Notice {
    /// Another ear for it.
    pub(crate) fn listener(&self) -> Listener {
        Listener(self.stop.subscribe())
    }

    /// Whether anybody hears it.
    pub(crate) fn is_heard(&self) -> bool {
        self.stop.receiver_count() > 0
    }

    /// Whether a stop is asked for.
    pub(crate) fn is_given(&self) -> bool {
        *self.stop.borrow() > Stop::No
    }

    /// Takes it back, where that may be: it was minded, and what follows is a first time again.
    pub(crate) fn calm(&self) {
        if !self.is_final.load(Ordering::Relaxed) {
            self.stop.send_replace(Stop::No);
        }
    }

    /// Asks for a stop that cannot be taken back.
    pub(crate) fn insist(&self) {
        self.is_final.store(true, Ordering::Relaxed);
        self.escalate();
    }

    /// Asks for a stop: the first time to drain, the second time to end at once.
    pub(crate) fn escalate(&self) {
        self.stop.send_modify(|stop| {
            *stop = match stop {
                Stop::No => Stop::Drain,
                Stop::Drain | Stop::Now => Stop::Now,
            }
        });
    }
}

impl Listener {
    /// Waits until a stop at least this urgent is wanted. A notice that was dropped counts as one.
    pub(crate) async fn wanted(&mut self, urgency: Stop) {
        // The error says that the sender is gone, and with it everybody who could ever ask again: that is a stop too.
        let heard = self.0.wait_for(|stop| *stop >= urgency).await;
        drop(heard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_request_is_urgent() {
        let (notice, mut listener) = channel();
        notice.escalate();
        listener.wanted(Stop::Drain).await;
        let mut impatient = listener.clone();
        let waiting = tokio::spawn(async move { impatient.wanted(Stop::Now).await });
        notice.escalate();
        waiting.await.expect("the listener ends");
    }

    #[test]
    fn a_notice_knows_whether_it_is_heard() {
        let (notice, listener) = channel();
        drop(listener);
        assert!(!notice.is_heard());
        let listener = notice.listener();
        assert!(notice.is_heard());
        drop(listener);
    }

    #[tokio::test]
    async fn a_notice_that_was_minded_can_be_given_again() {
        let (notice, mut listener) = channel();
        assert!(!notice.is_given());
        notice.escalate();
        assert!(notice.is_given());
        notice.calm();
        assert!(!notice.is_given());
        let mut impatient = listener.clone();
        notice.escalate();
        listener.wanted(Stop::Drain).await;
        let urgent = tokio::time::timeout(std::time::Duration::ZERO, impatient.wanted(Stop::Now)).await;
        assert!(urgent.is_err(), "it is the first again");
        notice.calm();
        notice.insist();
        notice.calm();
        assert!(notice.is_given(), "that was meant");
    }

    #[tokio::test]
    async fn a_notice_that_is_gone_counts() {
        let (notice, mut listener) = channel();
        drop(notice);
        listener.wanted(Stop::Now).await;
    }
}
