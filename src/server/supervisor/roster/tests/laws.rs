//! What must be true of every world at every moment: what models, workers and callers may count on.

use super::world::{Truth, World, model};
use crate::server::supervisor::{
    roster::*,
    view::{ModelState, View, WorkerState},
};
use std::collections::BTreeSet;

impl World {
    /// The model that this very event may leave without a worker.
    pub(super) fn excused(&mut self, event: &Event<u32, u64>) -> Option<ModelId> {
        match event {
            Event::Unload { model } => {
                let of_model = |(number, (other, truth, _)): (&WorkerNumber, &(ModelId, Truth, bool))| {
                    (other == model && matches!(truth, Truth::Busy(_))).then_some(*number)
                };
                self.retired.extend(self.workers.iter().filter_map(of_model));
                self.since.remove(model);
                Some(model.clone())
            }
            // The last one has ended what it had in work, or is used up.
            Event::Returned { number, .. } | Event::Checked { number, .. } => {
                let model = &self.workers[number].0;
                (self.retired.contains(number) || is_used_up(model)).then(|| model.clone())
            }
            _ => None,
        }
    }

    /// A model has gone that had a worker here: by time, or for another.
    pub(super) fn check_that_it_may_go(&self, gone: &ModelId) {
        assert!(!self.in_use().contains(gone), "{gone} goes, and somebody needs it");
        assert!(!self.policy.preloaded.contains(gone), "{gone} goes, and was preloaded");
        // Where there are too many workers, anyone goes.
        if self.workers.len() < MAX_WORKERS {
            let since = self.since[gone];
            assert!(since + self.policy.min_residency <= self.now.at, "{gone} goes too soon");
        }
    }

    /// Models with a worker of ours that lives.
    pub(super) fn here(&self) -> impl Iterator<Item = ModelId> {
        let lives = |(model, truth, guest): &&(ModelId, Truth, bool)| {
            *truth != Truth::Dismissed && !guest && !matches!(model, ModelId::Called { .. })
        };
        self.workers.values().filter(lives).map(|(model, ..)| model.clone())
    }

    /// Models that are held, in work, waited for, or loaded afresh.
    pub(super) fn in_use(&self) -> BTreeSet<ModelId> {
        let busy = self.workers.values().filter(|(_, truth, _)| matches!(truth, Truth::Busy(_)));
        let busy = busy.map(|(model, ..)| model);
        let waiting = self.waiting.values().map(|(model, _)| model);
        busy.chain(waiting).chain(self.held.keys()).chain(&self.reloading).cloned().collect()
    }

    /// Whether a model has a worker of ours that is ready and gets work.
    pub(super) fn works(&self, model: &ModelId) -> bool {
        self.workers.iter().any(|(number, (other, truth, guest))| {
            other == model
                && !guest
                && !self.retired.contains(number)
                && matches!(truth, Truth::Idle | Truth::Busy(_) | Truth::Checking)
        })
    }

    /// Workers that load a model which has none that works, or load it afresh.
    pub(super) fn loads(&self) -> usize {
        let is_load = |(number, (model, truth, guest)): &(&WorkerNumber, &(ModelId, Truth, bool))| {
            let fresh = self.roster.is_fresh(model, **number);
            let is_ours = !guest && !matches!(model, ModelId::Called { .. } | ModelId::Espeak);
            *truth == Truth::Starting && ((is_ours && !self.works(model)) || fresh)
        };
        self.workers.iter().filter(is_load).count()
    }

    /// When there is a place for a model, if everything else stays as it is.
    fn place_at(&self, model: &ModelId) -> Option<Instant> {
        let here: BTreeSet<ModelId> = self.here().collect();
        if here.contains(model) || self.policy.max_models.is_none_or(|most| here.len() < most) {
            return Some(self.now.at);
        }
        let in_use = self.in_use();
        let kept = |other: &&ModelId| self.policy.defaults.contains(other) || self.policy.preloaded.contains(other);
        let may_go = here.iter().filter(|other| !in_use.contains(*other) && !kept(other));
        may_go.filter_map(|other| self.since.get(other)).map(|since| *since + self.policy.min_residency).min()
    }

    pub(super) fn has_place(&self, model: &ModelId) -> bool {
        matches!(model, ModelId::Called { .. }) || self.place_at(model).is_some_and(|at| at <= self.now.at)
    }

    /// What is true at every moment.
    pub(super) fn check(&mut self) {
        let view = self.roster.view();
        assert_eq!(view.workers.len(), self.workers.len());
        for (seen, (number, (model, truth, _))) in view.workers.iter().zip(&self.workers) {
            let state = match truth {
                Truth::Starting => WorkerState::Starting,
                Truth::Idle => WorkerState::Idle,
                Truth::Busy(_) => WorkerState::Busy,
                Truth::Checking => WorkerState::Checking,
                Truth::Dismissed => WorkerState::Stopping,
            };
            assert_eq!((seen.number, &seen.model, seen.state), (*number, model, state));
        }
        let living = self.workers.values().filter(|(_, truth, _)| *truth != Truth::Dismissed).count();
        assert!(living <= MAX_WORKERS);
        self.check_what_is_loaded(&view);
        for model in (0..5).map(model) {
            self.check_that_it_gets_on(&model, living);
        }
        for seen in &view.models {
            if seen.state == ModelState::Failed {
                assert!(seen.reason.is_some(), "a failure has a reason");
            }
        }
    }

    fn check_what_is_loaded(&mut self, view: &View) {
        let here: BTreeSet<ModelId> = self.here().collect();
        assert!(self.policy.max_models.is_none_or(|most| here.len() <= most), "too many are loaded: {here:?}");
        let left = std::mem::take(&mut self.left);
        self.since.retain(|model, _| here.contains(model) && !left.contains(model));
        for seen in &view.models {
            assert_eq!(seen.held, self.held.get(&seen.id).copied().unwrap_or(0));
            assert_eq!(seen.since.is_some(), self.since.contains_key(&seen.id), "{}", seen.id);
        }
    }

    /// Who waits for a model is served, or will be, or knows what for.
    fn check_that_it_gets_on(&self, model: &ModelId, living: usize) {
        let count = |is: fn(&Truth) -> bool, guests: bool| {
            let of = |(other, truth, guest): &&(ModelId, Truth, bool)| other == model && is(truth) && *guest == guests;
            self.workers.values().filter(of).count()
        };
        assert!(count(|truth| matches!(truth, Truth::Busy(_)), false) <= limit(model));
        let waits = self.waiting.values().filter(|(wanted, _)| wanted == model).count();
        if waits == 0 {
            return;
        }
        let free = count(|truth| *truth == Truth::Idle, true)
            + if count(|truth| matches!(truth, Truth::Busy(_)), false) < limit(model) {
                count(|truth| *truth == Truth::Idle, false)
            } else {
                0
            };
        assert_eq!(free, 0, "nobody waits beside an idle worker");
        let alive = count(|truth| *truth != Truth::Dismissed, false) + count(|truth| *truth != Truth::Dismissed, true);
        let starting = count(|truth| *truth == Truth::Starting, false) + count(|truth| *truth == Truth::Starting, true);
        let busy = count(|truth| matches!(truth, Truth::Busy(_)), false);
        let pool = &self.roster.pools[model];
        // One starts for each; or there is no room for more; or one is on trial; or, at the latest when the wait
        // after a loss is over, somebody looks.
        let wakes = match (self.roster.wake_at(), pool.budget.not_before()) {
            (Some(at), Some(not_before)) => at <= not_before,
            _ => false,
        };
        let has_lost = self.waiting.values().any(|(wanted, again)| wanted == model && *again);
        let is_new = self.waiting.values().any(|(wanted, again)| wanted == model && !again);
        let is_ours = !matches!(model, ModelId::Called { .. } | ModelId::DialledIn { .. });
        let queues = !has_lost
            && (is_ours && *model != ModelId::Espeak)
            && !self.works(model)
            && self.loads() >= self.policy.max_loads;
        let may_start = starting < waits && living < MAX_WORKERS && !(pool.budget.is_spent() && alive > 0);
        if let Some(place) = self.place_at(model).filter(|at| *at > self.now.at)
            && pool.budget.not_before().is_none_or(|not_before| not_before <= place)
            && (is_ours && may_start && !queues)
        {
            assert!(self.roster.wake_at().is_some_and(|at| at <= place), "nobody looks when there is a place");
        }
        assert!(
            starting >= waits
                || queues
                || (!self.has_place(model) && (!is_new || wakes))
                || starting + busy >= limit(model)
                || living >= MAX_WORKERS
                || (pool.budget.is_spent() && alive > 0)
                || wakes
                || !is_startable(model),
            "who waits, waits for something"
        );
    }
}
