//! What can be seen of the roster, and when it wants to be woken.

use crate::{
    server::supervisor::{
        Turn,
        roster::{Caller, Entry, MAX_WORKERS, Pool, Roster, Stage, Waiting, is_elsewhere, is_startable, limit},
        view::{ModelState, ModelView, Origin, View, WorkerNumber, WorkerState, WorkerView},
    },
    speech::ModelId,
};
use tokio::time::Instant;

impl<C: Caller, W: Clone> Roster<C, W> {
    /// Everything, as it is now.
    pub(in crate::server::supervisor) fn view(&self) -> View {
        View {
            models: self.pools.iter().map(|(id, pool)| self.model_view(id, pool)).collect(),
            workers: self.workers.iter().map(|(number, entry)| self.worker_view(*number, entry)).collect(),
        }
    }

    /// One model, as it is now.
    pub(in crate::server::supervisor) fn model(&self, id: &ModelId) -> Option<ModelView> {
        self.pools.get(id).map(|pool| self.model_view(id, pool))
    }

    /// Whether a model is remembered.
    pub(in crate::server::supervisor) fn knows(&self, id: &ModelId) -> bool {
        self.pools.contains_key(id)
    }

    /// The model of a worker.
    pub(in crate::server::supervisor) fn model_of(&self, number: WorkerNumber) -> Option<ModelId> {
        self.workers.get(&number).map(|entry| entry.model.clone())
    }

    /// Whether those who have gone are to be remembered until [`Roster::take_gone`].
    pub(in crate::server::supervisor) fn watch(&mut self, watched: bool) {
        self.watched = watched;
        self.gone.clear();
    }

    /// Who has gone since the last call.
    pub(in crate::server::supervisor) fn take_gone(&mut self) -> Vec<WorkerView> {
        std::mem::take(&mut self.gone)
    }

    /// When something is to be done even if nothing happens: not later than one of the waits ends.
    pub(in crate::server::supervisor) fn wake_at(&self) -> Option<Instant> {
        let callers = self.waiting.iter().map(|waiting| waiting.until);
        let starts = self.pools.iter().filter_map(|(model, pool)| self.start_at(model, pool));
        let unload = self.pools.iter().filter_map(|(model, pool)| self.unload_at(model, pool));
        let checks = self.workers.values().filter_map(|entry| self.check_at(entry));
        callers.chain(starts).chain(unload).chain(checks).min()
    }

    /// When a worker of a model may be started, where one is to be, and nothing else has to happen first.
    fn start_at(&self, model: &ModelId, pool: &Pool) -> Option<Instant> {
        let (starting, live) = (self.starting(model), self.live(model));
        let has_room = self.occupied() < MAX_WORKERS || self.longest_idle(model).is_some();
        let is_wanted = self.waiting_for(model) > starting
            && starting + self.busy(model) < limit(model)
            && !(pool.budget.is_spent() && live > 0);
        // Nobody makes room for it.
        let is_kept = self.is_kept(model) && live == 0 && self.has_place(model) && self.occupied() < MAX_WORKERS;
        match (is_startable(model) && has_room && !self.has_to_queue(model), is_wanted, is_kept) {
            (false, ..) | (true, false, false) => None,
            // Callers do not wait for a model that could not be loaded: each asks anew.
            (true, true, _) => {
                let start = pool.budget.not_before().unwrap_or(self.born);
                // Who is new is refused then, if there is no place; the others wait for one.
                let is_new = |waiting: &Waiting<C>| waiting.model == *model && waiting.turn == Turn::New;
                match self.waiting.iter().any(is_new) {
                    true => Some(start),
                    false => self.place_at(model).map(|place| place.max(start)),
                }
            }
            (true, false, true) => Some(pool.try_at().unwrap_or(self.born)),
        }
    }

    /// When a model is unloaded if nobody asks for it.
    pub(super) fn unload_at(&self, model: &ModelId, pool: &Pool) -> Option<Instant> {
        let is_idle =
            |entry: &Entry<W>| entry.model == *model && matches!(entry.stage, Stage::Idle(..)) && !is_elsewhere(entry);
        let is_over = self.is_unused(model) && !self.policy.preloaded.contains(model);
        let timeout = self.policy.idle_timeout.filter(|_| is_over)?;
        let used = pool.used.filter(|_| self.workers.values().any(is_idle))?;
        // Who has loaded it may be about to use it.
        Some(used + timeout).max(pool.since.map(|(since, _)| since + self.policy.min_residency))
    }

    /// When a worker has to show that it can work.
    pub(super) fn check_at(&self, entry: &Entry<W>) -> Option<Instant> {
        match entry.stage {
            Stage::Idle(..) => self.policy.check_after.map(|after| entry.proved + after),
            _ => None,
        }
    }

    fn model_view(&self, id: &ModelId, pool: &Pool) -> ModelView {
        let workers = self.live(id);
        let is_ready = self.workers.values().any(|entry| {
            entry.model == *id && matches!(entry.stage, Stage::Idle(..) | Stage::Busy(..) | Stage::Checking(_))
        });
        let has_failed = pool.unloadable.is_some() || pool.budget.is_spent() || (workers == 0 && !is_startable(id));
        let state = match (is_ready, has_failed, workers) {
            (true, ..) => ModelState::Ready,
            (false, true, _) => ModelState::Failed,
            (false, false, 0) => ModelState::NotLoaded,
            (false, false, _) => ModelState::Loading,
        };
        let reason = (state == ModelState::Failed).then(|| match &pool.unloadable {
            Some((reason, _)) => reason.clone(),
            None if is_startable(id) => pool.budget.verdict(pool.last_death.as_ref().map(|last| &last.death)),
            None => "no worker of it is connected".to_owned(),
        });
        ModelView {
            id: id.clone(),
            state,
            workers,
            deaths: pool.deaths,
            last_death: pool.last_death.clone(),
            waiting: self.waiting.iter().filter(|waiting| waiting.model == *id).count(),
            held: self.held(id),
            since: pool.since.map(|(_, since)| since),
            used: pool.last_used,
            // Counted elsewhere.
            lies: Vec::new(),
            reason,
            not_before: pool.budget.not_before().filter(|_| state == ModelState::Failed),
        }
    }

    /// One worker, as it is now.
    pub(super) fn worker_view(&self, number: WorkerNumber, entry: &Entry<W>) -> WorkerView {
        let (state, progress) = match entry.stage {
            Stage::Starting(progress) => (WorkerState::Starting, progress),
            Stage::Idle(..) => (WorkerState::Idle, 1.0),
            Stage::Busy(..) => (WorkerState::Busy, 1.0),
            Stage::Checking(_) => (WorkerState::Checking, 1.0),
            Stage::Stopping => (WorkerState::Stopping, 1.0),
        };
        let origin = match (entry.is_guest, &entry.model) {
            (true, _) => Origin::DialledIn,
            (false, ModelId::Called { .. }) => Origin::Called,
            (false, _) => Origin::Started,
        };
        WorkerView {
            number,
            model: entry.model.clone(),
            state,
            origin,
            body: entry.body.clone(),
            started: entry.started,
            calls: entry.calls,
            restarts: entry.restarts,
            progress,
            last_death: self.pools.get(&entry.model).and_then(|pool| pool.last_death.clone()),
        }
    }
}
