//! What a server has told of its workers and models so far.

use crate::proto::v1;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// How long a worker that is gone is still shown, so that somebody sees why.
const FAREWELL: Duration = Duration::from_secs(5);

/// Workers and models, each as it was last told.
#[derive(Default)]
pub(super) struct Seen {
    /// By the length of their ids and then by the ids, so that `w2` stands before `w10`.
    workers: BTreeMap<(usize, String), Told<v1::Worker>>,
    models: BTreeMap<String, Told<v1::Model>>,
    /// How often all has been told.
    rounds: u64,
}

/// Something that was told.
pub(super) struct Told<T> {
    pub(super) what: T,
    /// When it was, by our own clock.
    pub(super) at: SystemTime,
    round: u64,
}

/// What is gone without a word of its own: ids of workers, names of models.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Gone {
    pub(super) workers: Vec<String>,
    pub(super) models: Vec<String>,
}

impl Seen {
    /// Takes in a worker as it is now.
    pub(super) fn worker(&mut self, worker: v1::Worker, now: SystemTime) {
        self.forget(now);
        let key = (worker.id.len(), worker.id.clone());
        self.workers.insert(key, Told { what: worker, at: now, round: self.rounds });
    }

    /// Takes in a model as it is now.
    pub(super) fn model(&mut self, model: v1::Model, now: SystemTime) {
        self.models.insert(model.name.clone(), Told { what: model, at: now, round: self.rounds });
    }

    /// All has been told, perhaps anew: what was not told since the last time is gone.
    pub(super) fn complete(&mut self) -> Gone {
        let round = self.rounds;
        self.rounds += 1;
        let mut gone = Gone::default();
        self.workers.retain(|(_, id), told| {
            // Of those that are known to be gone nobody needs to hear again.
            if told.round != round && told.what.state() != v1::WorkerState::Gone {
                gone.workers.push(id.clone());
            }
            told.round == round
        });
        self.models.retain(|name, told| {
            if told.round != round {
                gone.models.push(name.clone());
            }
            told.round == round
        });
        gone
    }

    /// Drops the workers that have been gone for a while.
    pub(super) fn forget(&mut self, now: SystemTime) {
        let is_old = |at| now.duration_since(at).is_ok_and(|age| age > FAREWELL);
        self.workers.retain(|_, told| told.what.state() != v1::WorkerState::Gone || !is_old(told.at));
    }

    /// The workers.
    pub(super) fn workers(&self) -> impl Iterator<Item = &v1::Worker> {
        self.workers.values().map(|told| &told.what)
    }

    /// The models.
    pub(super) fn models(&self) -> impl Iterator<Item = &Told<v1::Model>> {
        self.models.values()
    }

    /// Whether there is no worker, nor a model that failed, and so nothing to be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty() && !self.models().any(|told| told.what.state() == v1::ModelState::Failed)
    }

    /// Gives all of it away.
    pub(super) fn into_parts(self) -> (Vec<v1::Worker>, Vec<v1::Model>) {
        let workers = self.workers.into_values().map(|told| told.what).collect();
        (workers, self.models.into_values().map(|told| told.what).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, state: v1::WorkerState) -> v1::Worker {
        v1::Worker { id: id.to_owned(), state: state.into(), ..Default::default() }
    }

    fn ids(seen: &Seen) -> Vec<&str> {
        seen.workers().map(|worker| worker.id.as_str()).collect()
    }

    #[test]
    fn workers_stand_in_the_order_of_their_numbers() {
        let mut seen = Seen::default();
        for id in ["w10", "w9", "w100", "w2"] {
            seen.worker(worker(id, v1::WorkerState::Idle), SystemTime::UNIX_EPOCH);
        }
        assert_eq!(ids(&seen), ["w2", "w9", "w10", "w100"]);
    }

    #[test]
    fn what_is_not_told_anew_is_gone() {
        let (mut seen, now) = (Seen::default(), SystemTime::UNIX_EPOCH);
        for id in ["w1", "w2", "w3"] {
            seen.worker(worker(id, v1::WorkerState::Idle), now);
        }
        seen.model(v1::Model { name: "old".to_owned(), ..Default::default() }, now);
        assert_eq!(seen.complete(), Gone::default());
        seen.worker(worker("w2", v1::WorkerState::Busy), now);
        seen.worker(worker("w4", v1::WorkerState::Busy), now);
        let gone = seen.complete();
        assert_eq!((ids(&seen), gone.workers), (vec!["w2", "w4"], vec!["w1".to_owned(), "w3".to_owned()]));
        assert_eq!(gone.models, ["old"]);
        assert_eq!(seen.complete().workers, ["w2", "w4"]);
    }

    #[test]
    fn the_dead_are_shown_for_a_while_and_mourned_once() {
        let (mut seen, now) = (Seen::default(), SystemTime::UNIX_EPOCH);
        seen.worker(worker("w1", v1::WorkerState::Gone), now);
        seen.worker(worker("w2", v1::WorkerState::Idle), now);
        seen.forget(now + FAREWELL);
        assert_eq!(ids(&seen), ["w1", "w2"]);
        seen.complete();
        assert_eq!(seen.complete().workers, ["w2"]);
        seen.worker(worker("w3", v1::WorkerState::Gone), now);
        seen.worker(worker("w4", v1::WorkerState::Idle), now + FAREWELL * 2);
        assert_eq!(ids(&seen), ["w4"]);
    }
}
