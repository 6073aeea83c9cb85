//! The calls in work, so that `Cancel` can end them.

use crate::worker::engine::{Cancel, Pulse};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The calls of one worker, of both its contracts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<Entry>>>);

/// One call: the id that its caller gave it, and the wish that it should end.
#[derive(Clone, Debug)]
struct Entry {
    id: String,
    cancel: Cancel,
}

/// A call in work. Dropped with the call, also when the caller goes away: then the engine stops too.
#[derive(Debug)]
pub(super) struct Running {
    cancel: Cancel,
    all: Calls,
}

impl Calls {
    /// Begins a call. Without an id it can be ended by its own connection only.
    pub(super) fn begin(&self, id: &str, pulse: &Pulse) -> Running {
        let cancel = Cancel::new(pulse.clone());
        if !id.is_empty() {
            self.lock().push(Entry { id: id.to_owned(), cancel: cancel.clone() });
        }
        Running { cancel, all: self.clone() }
    }

    /// Ends every call of this id. Says whether there was one.
    pub(super) fn cancel(&self, id: &str) -> bool {
        let calls = self.lock();
        let found = calls.iter().filter(|entry| entry.id == id);
        found.inspect(|entry| entry.cancel.request()).count() > 0
    }

    /// The list is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// The wish that it should end.
    pub(super) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.request();
        // By the call and not by its id: two may have the same.
        self.all.lock().retain(|entry| !entry.cancel.is(&self.cancel));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_of_an_id_is_ended() {
        let (calls, pulse) = (Calls::default(), Pulse::default());
        let (first, second, other) = (calls.begin("a", &pulse), calls.begin("a", &pulse), calls.begin("b", &pulse));
        drop(first);
        assert!(calls.cancel("a"), "the second one is still there");
        assert!(second.cancel().wanted() && !other.cancel().wanted());
        drop(second);
        assert!(!calls.cancel("a") && !calls.cancel(""));
    }
}
