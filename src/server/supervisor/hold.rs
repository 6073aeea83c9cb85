//! Who holds which model: so that one is not unloaded between two calls of somebody who is not through with it.
//!
//! The counts are beside the supervisor's task, not in it: to hold and to let go waits for nothing and cannot fail, also
//! when the task has gone. The task hears of each change, and looks before all that it decides: whatever a model is held
//! for by then, holds.

use crate::speech::ModelId;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// How many hold each model that is held. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<watch::Sender<BTreeMap<ModelId, usize>>>);

impl Holds {
    /// Holds a model.
    pub(super) fn hold(&self, model: ModelId) -> Held {
        self.0.send_modify(|held| *held.entry(model.clone()).or_default() += 1);
        Held { model, holds: self.clone() }
    }

    /// Whether anybody holds a model.
    pub(super) fn is_held(&self, model: &ModelId) -> bool {
        self.0.borrow().contains_key(model)
    }

    /// The counts, and each time that they change.
    pub(super) fn watch(&self) -> watch::Receiver<BTreeMap<ModelId, usize>> {
        self.0.subscribe()
    }

    fn let_go(&self, model: &ModelId) {
        self.0.send_modify(|held| {
            if let Some(count) = held.get_mut(model) {
                *count -= 1;
                if *count == 0 {
                    held.remove(model);
                }
            }
        });
    }
}

/// Holds a model until it is dropped: neither time nor the wish for another model unloads it. It need not be loaded.
#[derive(Debug)]
#[must_use = "dropped, it holds nothing"]
pub(crate) struct Held {
    model: ModelId,
    holds: Holds,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holds.let_go(&self.model);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model(n: usize) -> ModelId {
        [ModelId::SelfTest, ModelId::Espeak, ModelId::Mock(String::new())][n % 3].clone()
    }

    proptest! {
        /// Against the simplest count: of each model, the guards that live. What is not held is not there at all.
        #[test]
        fn the_counts_are_those_of_the_guards(steps in proptest::collection::vec((any::<bool>(), 0usize..30), 0..60)) {
            let holds = Holds::default();
            let seen = holds.watch();
            let mut guards: Vec<Held> = Vec::new();
            for (takes, pick) in steps {
                if takes {
                    guards.push(holds.hold(model(pick)));
                } else if !guards.is_empty() {
                    drop(guards.swap_remove(pick % guards.len()));
                }
                let mut expected = BTreeMap::new();
                guards.iter().for_each(|guard| *expected.entry(guard.model.clone()).or_insert(0) += 1);
                let counts = seen.borrow().clone();
                prop_assert_eq!(counts, expected);
            }
        }
    }

    #[test]
    fn each_change_is_heard_of() {
        let holds = Holds::default();
        let mut seen = holds.watch();
        let guard = holds.hold(ModelId::Espeak);
        assert!(seen.has_changed().expect("they are there"));
        seen.borrow_and_update();
        drop(guard);
        assert!(seen.has_changed().expect("they are there"));
    }

    #[test]
    fn threads_lose_no_count() {
        let holds = Holds::default();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let holds = holds.clone();
                scope.spawn(move || (0..200).for_each(|turn| drop(holds.hold(model(n + turn)))));
            }
        });
        assert!(holds.watch().borrow().is_empty());
    }

    #[test]
    fn a_guard_outlives_all_who_listen() {
        let holds = Holds::default();
        drop(holds.watch());
        let guard = holds.hold(ModelId::Espeak);
        drop(holds);
        drop(guard);
    }
}
