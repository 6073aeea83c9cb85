//! The rules of the roster, one function for each event.

use crate::server::supervisor::Turn;
use crate::{
    error::{Error, Kind},
    server::supervisor::{
        death::{Cause, Death},
        roster::{
            COME_BACK, Caller, DIAL_IN_AGAIN, Decision, Ended, Entry, MAX_WAITING, MAX_WORKERS, Moment, Pool,
            REMEMBERED, Roster, Stage, Waiting, is_elsewhere, is_startable, is_used_up, longest_wait, reload,
        },
        view::{Body, Obituary, WorkerNumber},
    },
    speech::ModelId,
};

type Out<C, W> = Vec<Decision<C, W>>;

impl<C: Caller, W: Clone> Roster<C, W> {
    pub(super) fn wanted(&mut self, mut caller: Waiting<C>, now: Moment, out: &mut Out<C, W>) {
        let model = caller.model.clone();
        self.pool(&model).note_use(now);
        if let Some(number) = self.free_worker(&model) {
            return self.grant(number, caller.by, out);
        }
        if caller.turn == Turn::New
            && let Some(error) = self.failure(&model, now.at)
        {
            return out.push(Decision::Refuse { error, to: caller.by });
        }
        if caller.turn == Turn::New && self.waiting_for(&model) >= MAX_WAITING {
            let message = format!("{MAX_WAITING} requests wait for `{model}` already; try again later");
            let error = Error::new(Kind::Busy, message).retry_after(COME_BACK);
            return out.push(Decision::Refuse { error, to: caller.by });
        }
        if !is_startable(&model) && self.live(&model) == 0 {
            caller.until = caller.until.min(now.at + DIAL_IN_AGAIN);
        }
        if caller.turn == Turn::Again {
            // It has waited its turn already; so have those who came back before it.
            let place = self.waiting.iter().take_while(|waiting| waiting.turn == Turn::Again).count();
            self.waiting.insert(place, caller);
        } else {
            self.waiting.push_back(caller);
        }
        self.interrupt_checks(&model, out);
        self.fill_all(now, out);
    }

    pub(super) fn ready(
        &mut self,
        number: WorkerNumber,
        worker: W,
        (body, memory): (Body, u64),
        now: Moment,
        out: &mut Out<C, W>,
    ) {
        let Some(entry) = self.workers.get_mut(&number) else { return };
        entry.body = body;
        if !matches!(entry.stage, Stage::Starting(_)) {
            // It was told to end before it was ready.
            return;
        }
        entry.stage = Stage::Idle(worker.clone(), now.at);
        let (model, is_here) = (entry.model.clone(), !is_elsewhere(entry));
        let is_fresh = self.replace(number, &model, out);
        let pool = self.pool(&model);
        pool.unloadable = None;
        pool.size = pool.size.max(memory);
        pool.used = pool.used.or(Some(now.at));
        pool.since = pool.since.or(is_here.then_some((now.at, now.wall)));
        let is_on_trial = pool.budget.is_spent();
        self.serve(&model, now, out);
        if is_fresh {
            // The spare has gone with the others.
            self.top_up(&model, now, out);
        }
        // A model that has failed has to show that it can work, if no caller has it show that.
        if is_on_trial && self.is_idle(number) {
            self.check(number, out);
        }
    }

    /// The model cannot be loaded now; nobody who waits for it is helped by another try.
    pub(super) fn cannot_load(&mut self, number: WorkerNumber, error: &Error, now: Moment, out: &mut Out<C, W>) {
        let Some(entry) = self.remove(number, None, now) else { return };
        if entry.is_guest {
            // It goes as it came; that says nothing of the model as others have it.
            return self.fill_all(now, out);
        }
        if self.gave_up(number, &entry.model, error.again(), out) {
            return self.fill_all(now, out);
        }
        if error.kind() == Kind::Unavailable {
            // The system gave no process; that says nothing of the model, and may be better soon.
            let chance = self.chance();
            let longest = longest_wait(&entry.model);
            let detail = error.to_string();
            let death = Death { detail, ..Death::of(Cause::NotStarted) };
            let pool = self.pool(&entry.model);
            pool.budget.lost(now.at, chance, longest);
            pool.last_death = Some(Obituary { death, time: now.wall });
        } else {
            self.pool(&entry.model).unloadable = Some((error.to_string(), now.at));
        }
        // Who waits may still be served by another that lives.
        while self.live(&entry.model) == 0
            && let Some(waiting) = self.take_waiting(&entry.model)
        {
            out.push(Decision::Refuse { error: error.again(), to: waiting.by });
        }
        self.fill_all(now, out);
    }

    pub(super) fn dead(&mut self, number: WorkerNumber, death: Death, now: Moment, out: &mut Out<C, W>) {
        let Some(entry) = self.remove(number, Some(&death), now) else { return };
        let model = entry.model;
        let others_go_on = self.gave_up(number, &model, reload::lost(&model, &death), out);
        if death.cause != Cause::Stopped {
            let chance = self.chance();
            let pool = self.pool(&model);
            pool.deaths += 1;
            pool.last_death = Some(Obituary { death: death.clone(), time: now.wall });
            // How guests fare says nothing of the workers that we start.
            if death.cause.is_models_doing() && !entry.is_guest && !others_go_on {
                pool.budget.lost(now.at, chance, longest_wait(&model));
            }
        }
        self.refuse_newcomers(&model, now, out);
        // Who holds a lease learns of the death by the call. Who waits for a start is told where the model's budget does
        // not count the death, or is spent: somebody has to, and the callers do.
        let is_counted =
            death.cause.is_models_doing() && !(self.pool(&model).budget.is_spent() && self.live(&model) == 0);
        if matches!(entry.stage, Stage::Starting(_)) && !is_counted && death.cause != Cause::Stopped {
            if !death.cause.is_models_doing() {
                self.pool(&model).budget.unlucky(now.at);
            }
            if let Some(waiting) = self.take_waiting(&model) {
                out.push(Decision::Lost { death, to: waiting.by });
            }
        }
        self.serve(&model, now, out);
        self.top_up(&model, now, out);
    }

    pub(super) fn returned(&mut self, number: WorkerNumber, ended: Ended, now: Moment, out: &mut Out<C, W>) {
        let Some(Entry { stage: Stage::Busy(worker, ends), model, calls, .. }) = self.workers.get_mut(&number) else {
            return;
        };
        let (worker, ends, model) = (worker.clone(), *ends, model.clone());
        *calls += u64::from(ended == Ended::Well);
        let pool = self.pool(&model);
        pool.has_worked |= ended == Ended::Well;
        pool.note_end_of_use(now);
        self.rest(number, worker, ended, now);
        if ends || (is_used_up(&model) && ended != Ended::Unused) {
            self.dismiss(number, out);
        }
        self.serve(&model, now, out);
        self.top_up(&model, now, out);
    }

    pub(super) fn checked(&mut self, number: WorkerNumber, ended: Ended, now: Moment, out: &mut Out<C, W>) {
        let Some(Entry { stage: Stage::Checking(worker), model, proved, .. }) = self.workers.get_mut(&number) else {
            return;
        };
        // Also after one that was broken off: else it would be begun again at once, for ever.
        *proved = now.at;
        let (worker, model) = (worker.clone(), model.clone());
        self.rest(number, worker, ended, now);
        if is_used_up(&model) {
            // Another has to take its place, which nobody has checked; but the engine is the same.
            self.dismiss(number, out);
        }
        self.serve(&model, now, out);
        self.top_up(&model, now, out);
    }

    /// A worker has nothing to do any more.
    fn rest(&mut self, number: WorkerNumber, worker: W, ended: Ended, now: Moment) {
        let Some(entry) = self.workers.get_mut(&number) else { return };
        entry.stage = Stage::Idle(worker, now.at);
        if ended == Ended::Well {
            entry.proved = now.at;
            let model = entry.model.clone();
            self.pool(&model).budget.good();
        }
    }

    /// Ends a model's workers; those elsewhere only on demand, for their memory is not ours.
    pub(super) fn unload(&mut self, model: &ModelId, all: bool, out: &mut Out<C, W>) {
        if let Some(pool) = self.pools.get_mut(model) {
            (pool.used, pool.since, pool.has_worked) = (None, None, false);
        }
        let numbers: Vec<WorkerNumber> = (self.workers.iter())
            .filter(|(_, entry)| entry.model == *model && (all || !is_elsewhere(entry)))
            .map(|(number, _)| *number)
            .collect();
        self.retire(numbers, out);
    }

    pub(super) fn tick(&mut self, now: Moment, out: &mut Out<C, W>) {
        self.send_away(now.at, out);
        self.forget(now);
        let unused: Vec<ModelId> = (self.pools.iter())
            .filter(|(model, pool)| self.unload_at(model, pool).is_some_and(|at| at <= now.at))
            .map(|(model, _)| model.clone())
            .collect();
        unused.iter().for_each(|model| self.unload(model, false, out));
        let due: Vec<WorkerNumber> = (self.workers.iter())
            .filter(|(_, entry)| self.check_at(entry).is_some_and(|at| at <= now.at))
            .map(|(number, _)| *number)
            .collect();
        due.into_iter().for_each(|number| self.check(number, out));
        self.fill_all(now, out);
        let kept: Vec<ModelId> = (self.pools.iter())
            .filter(|(model, _)| self.is_kept(model) && self.live(model) == 0)
            .filter(|(_, pool)| pool.try_at().is_none_or(|at| at <= now.at))
            .map(|(model, _)| model.clone())
            .collect();
        for model in kept {
            if self.occupied() < MAX_WORKERS && self.has_place(&model) && !self.has_to_queue(&model) {
                self.start(model, now, out);
            }
        }
    }

    /// Forgets models that nobody uses, once there are too many of them.
    fn forget(&mut self, now: Moment) {
        if self.pools.len() <= REMEMBERED {
            return;
        }
        let is_kept = |model: &ModelId, pool: &Pool| {
            self.live(model) > 0
                || self.waiting_for(model) > 0
                || self.is_wanted_here(model)
                || self.policy.defaults.contains(model)
                || !is_startable(model)
                || matches!(model, ModelId::Called { .. })
                || pool.budget.wait(now.at).is_some()
                || pool.reload.is_some()
        };
        let forgotten: Vec<ModelId> =
            self.pools.iter().filter(|(model, pool)| !is_kept(model, pool)).map(|(model, _)| model.clone()).collect();
        forgotten.iter().for_each(|model| drop(self.pools.remove(model)));
    }

    /// Whether a model is to have a worker though nobody asks: one elsewhere, so that its loss is noticed before a
    /// caller does; one that was preloaded or is held, until somebody unloads it; and one that requests mean when they
    /// name none, once it has failed, so that its return is noticed.
    pub(super) fn is_kept(&self, model: &ModelId) -> bool {
        let is_any = |is: fn(&Pool) -> bool| self.pools.get(model).is_some_and(is);
        matches!(model, ModelId::Called { .. })
            || (is_startable(model) && self.is_wanted_here(model) && is_any(|pool| pool.used.is_some()))
            || (self.policy.defaults.contains(model)
                && is_any(|pool| pool.budget.is_spent() || pool.unloadable.is_some()))
    }
}
