//! Who gets a worker, which ones are started, and which must go for them.

use crate::{
    error::{Error, Kind},
    server::supervisor::{
        attempts::because_of,
        death::{Cause, Death},
        roster::{
            COME_BACK, Caller, Decision, Entry, MAX_WORKERS, Moment, Pool, Roster, Spares, Stage, Waiting,
            is_elsewhere, is_startable, is_used_up, limit,
        },
        view::{Body, Obituary, WorkerNumber, WorkerState},
    },
    speech::ModelId,
};
use tokio::time::Instant;

/// Memory that is left alone when a spare is started.
const RESERVE: u64 = 512 << 20;

type Out<C, W> = Vec<Decision<C, W>>;

impl<C: Caller, W: Clone> Roster<C, W> {
    /// Gives free workers to who waits, then sees who else can be helped.
    pub(super) fn serve(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) {
        while let Some(number) = self.free_worker(model) {
            match self.take_waiting(model) {
                Some(waiting) => self.grant(number, waiting.by, out),
                None => break,
            }
        }
        // One that is idle may stand in the way of a worker of another model.
        self.fill_all(now, out);
    }

    pub(super) fn grant(&mut self, number: WorkerNumber, to: C, out: &mut Out<C, W>) {
        if let Some(entry) = self.workers.get_mut(&number)
            && let Stage::Idle(worker, _) = &entry.stage
        {
            let worker = worker.clone();
            entry.stage = Stage::Busy(worker.clone(), false);
            out.push(Decision::Grant { number, worker, to });
        }
    }

    pub(super) fn check(&mut self, number: WorkerNumber, out: &mut Out<C, W>) {
        if let Some(entry) = self.workers.get_mut(&number)
            && let Stage::Idle(worker, _) = &entry.stage
        {
            let worker = worker.clone();
            entry.stage = Stage::Checking(worker.clone());
            out.push(Decision::Check { number, worker });
        }
    }

    pub(super) fn interrupt_checks(&self, model: &ModelId, out: &mut Out<C, W>) {
        let checking = self.workers.iter().filter(|(_, entry)| entry.model == *model);
        let checking = checking.filter(|(_, entry)| matches!(entry.stage, Stage::Checking(_)));
        out.extend(checking.map(|(number, _)| Decision::Interrupt { number: *number }));
    }

    pub(super) fn dismiss(&mut self, number: WorkerNumber, out: &mut Out<C, W>) {
        if let Some(entry) = self.workers.get_mut(&number) {
            entry.stage = Stage::Stopping;
            out.push(Decision::Dismiss { number });
            // Also where it is started again at once: that is another stay.
            self.note_what_is_gone();
        }
    }

    /// Sees who can be helped, in order, until nobody can. What goes for one may change what others wait for: a model
    /// that was being loaded, its place.
    pub(super) fn fill_all(&mut self, now: Moment, out: &mut Out<C, W>) {
        loop {
            let before = out.len();
            let mut models: Vec<ModelId> = Vec::new();
            for waiting in &self.waiting {
                if !models.contains(&waiting.model) {
                    models.push(waiting.model.clone());
                }
            }
            models.iter().for_each(|model| self.fill(model, now, out));
            if out.len() == before {
                break;
            }
        }
        self.refresh(now, out);
    }

    /// Starts workers as long as more wait for one than are starting, and there is room.
    pub(super) fn fill(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) {
        let waiting = self.waiting_for(model);
        loop {
            let starting = self.starting(model);
            let pool = self.pool(model);
            let is_on_trial = pool.budget.is_spent();
            let may_start = pool.budget.wait(now.at).is_none();
            if starting >= waiting
                || starting + self.busy(model) >= limit(model)
                || !is_startable(model)
                || !may_start
                || (is_on_trial && self.live(model) > 0)
            {
                return;
            }
            if self.place_at(model).is_none_or(|at| at > now.at) {
                return self.refuse_for_want_of_a_place(model, now, out);
            }
            if self.has_to_queue(model)
                || !self.make_place(model, now, out)
                || (self.occupied() >= MAX_WORKERS && !self.dismiss_longest_idle(model, out))
            {
                return;
            }
            self.make_room(model, now, out);
            self.start(model.clone(), now, out);
        }
    }

    /// Starts what may be needed next, of a model that is in use: so a death costs no start.
    pub(super) fn top_up(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) {
        let spares = self.policy.spares;
        let pool = self.pool(model);
        let is_in_use = pool.used.is_some() && pool.has_worked;
        if spares == Spares::Never || !is_in_use || pool.budget.wait(now.at).is_some() || pool.budget.is_spent() {
            return;
        }
        let size = pool.size;
        let has_memory = spares == Spares::Always || now.free_memory.is_none_or(|free| free >= 2 * size + RESERVE);
        if matches!(model, ModelId::Called { .. }) || !is_startable(model) || !has_memory {
            return;
        }
        // One that is used up by a call is replaced after it; another waits while one works.
        let wanted = if is_used_up(model) || self.busy(model) > 0 { 1 } else { 2 };
        while self.at_hand(model) < wanted
            && self.occupied() < MAX_WORKERS
            && self.has_place(model)
            && !self.has_to_queue(model)
        {
            self.start(model.clone(), now, out);
        }
    }

    /// Unloads what was not used for longest, as long as the new model would not fit beside it.
    pub(super) fn make_room(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) {
        let needed = self.pools.get(model).map_or(0, |pool| pool.size);
        let Some(mut free) = now.free_memory.filter(|_| needed > 0) else { return };
        while free < needed + RESERVE / 4 {
            let Some(number) = self.longest_idle(model) else { return };
            free += self.workers.get(&number).and_then(|e| self.pools.get(&e.model)).map_or(0, |pool| pool.size);
            self.dismiss(number, out);
        }
    }

    pub(super) fn start(&mut self, model: ModelId, now: Moment, out: &mut Out<C, W>) -> WorkerNumber {
        let number = self.enter(model.clone(), now);
        out.push(Decision::Start { number, model });
        number
    }

    /// Writes a new worker into the list.
    pub(super) fn enter(&mut self, model: ModelId, now: Moment) -> WorkerNumber {
        let number = WorkerNumber(self.next);
        self.next += 1;
        let restarts = self.pool(&model).deaths;
        let entry = Entry {
            model,
            stage: Stage::Starting(0.0),
            body: Body::default(),
            started: now.wall,
            calls: 0,
            restarts,
            proved: now.at,
            is_guest: false,
        };
        self.workers.insert(number, entry);
        number
    }

    /// Strikes a worker off the list.
    pub(super) fn remove(&mut self, number: WorkerNumber, death: Option<&Death>, now: Moment) -> Option<Entry<W>> {
        let entry = self.workers.remove(&number)?;
        if self.watched {
            let death = death.cloned().unwrap_or_else(|| Death::of(Cause::Stopped));
            let mut view = self.worker_view(number, &entry);
            view.state = WorkerState::Gone;
            view.last_death = Some(Obituary { death, time: now.wall });
            self.gone.push(view);
        }
        Some(entry)
    }

    pub(super) fn dismiss_longest_idle(&mut self, but: &ModelId, out: &mut Out<C, W>) -> bool {
        let Some(number) = self.longest_idle(but) else { return false };
        self.dismiss(number, out);
        true
    }

    /// The idle worker, of another model than this, that was not used for longest. A model that is to stay keeps its
    /// last.
    pub(super) fn longest_idle(&self, but: &ModelId) -> Option<WorkerNumber> {
        let idle = self.workers.iter().filter_map(|(number, entry)| match entry.stage {
            Stage::Idle(_, since) if entry.model != *but && !is_elsewhere(entry) && !self.is_last(&entry.model) => {
                let used = self.pools.get(&entry.model).and_then(|pool| pool.used);
                Some((used, since, *number))
            }
            _ => None,
        });
        idle.min().map(|(_, _, number)| number)
    }

    /// Who is new waits for nothing once a model has failed.
    pub(super) fn refuse_newcomers(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) {
        if self.live(model) > 0 {
            return;
        }
        while let Some(error) = self.failure(model, now.at) {
            let Some(waiting) = self.take_newcomer(model) else { return };
            out.push(Decision::Refuse { error, to: waiting.by });
        }
    }

    /// Why a model is not to be had now, if it is not.
    pub(super) fn failure(&self, model: &ModelId, now: Instant) -> Option<Error> {
        let pool = self.pools.get(model)?;
        let wait = pool.budget.wait(now).filter(|_| pool.budget.is_spent() && pool.unloadable.is_none())?;
        let last = pool.last_death.as_ref().map(|last| &last.death);
        let message = format!("`{model}` has failed: {}", pool.budget.verdict(last));
        let unknown = Death::of(Cause::Stopped);
        Some(because_of(last.unwrap_or(&unknown), Kind::Unavailable, message).retry_after(wait))
    }

    pub(super) fn send_away(&mut self, now: Instant, out: &mut Out<C, W>) {
        let (late, waiting) = self.waiting.drain(..).partition::<Vec<_>, _>(|waiting| waiting.until <= now);
        self.waiting = waiting.into();
        for waiting in late {
            let error = if self.live(&waiting.model) == 0 && !is_startable(&waiting.model) {
                let message = format!("no worker of `{}` is connected; start one with `--connect`", waiting.model);
                Error::new(Kind::Unavailable, message)
            } else {
                let message = format!("all workers of `{}` are busy; try again later", waiting.model);
                Error::new(Kind::Busy, message)
            };
            out.push(Decision::Refuse { error: error.retry_after(COME_BACK), to: waiting.by });
        }
    }

    pub(super) fn take_waiting(&mut self, model: &ModelId) -> Option<Waiting<C>> {
        let index = self.waiting.iter().position(|waiting| waiting.model == *model)?;
        self.waiting.remove(index)
    }

    /// An idle worker that may be leased.
    pub(super) fn free_worker(&self, model: &ModelId) -> Option<WorkerNumber> {
        // A guest has a machine of its own.
        let is_full = self.busy(model) >= limit(model);
        let is_idle = |entry: &Entry<W>| {
            entry.model == *model && matches!(entry.stage, Stage::Idle(..)) && (entry.is_guest || !is_full)
        };
        self.workers.iter().find(|(_, entry)| is_idle(entry)).map(|(number, _)| *number)
    }

    pub(super) fn is_idle(&self, number: WorkerNumber) -> bool {
        self.workers.get(&number).is_some_and(|entry| matches!(entry.stage, Stage::Idle(..)))
    }

    pub(super) fn waiting_for(&self, model: &ModelId) -> usize {
        self.waiting.iter().filter(|waiting| waiting.model == *model).count()
    }

    fn count(&self, model: &ModelId, is: impl Fn(&Stage<W>) -> bool) -> usize {
        self.workers.values().filter(|entry| entry.model == *model && is(&entry.stage)).count()
    }

    pub(super) fn starting(&self, model: &ModelId) -> usize {
        self.count(model, |stage| matches!(stage, Stage::Starting(_)))
    }

    /// Workers at work, but for guests.
    pub(super) fn busy(&self, model: &ModelId) -> usize {
        let busy = |entry: &&Entry<W>| entry.model == *model && matches!(entry.stage, Stage::Busy(..));
        self.workers.values().filter(busy).filter(|entry| !entry.is_guest).count()
    }

    /// Workers that are there, or on their way.
    pub(super) fn live(&self, model: &ModelId) -> usize {
        self.count(model, |stage| !matches!(stage, Stage::Stopping))
    }

    /// Workers that have nothing to do, or are on their way.
    fn at_hand(&self, model: &ModelId) -> usize {
        self.count(model, |stage| !matches!(stage, Stage::Busy(..) | Stage::Stopping))
    }

    /// Workers that count against the limit of all.
    pub(super) fn occupied(&self) -> usize {
        self.workers.values().filter(|entry| !matches!(entry.stage, Stage::Stopping)).count()
    }

    pub(super) fn pool(&mut self, model: &ModelId) -> &mut Pool {
        self.pools.entry(model.clone()).or_default()
    }

    /// The next jitter, 0 to 1. Any generator does; this is Knuth's.
    pub(super) fn chance(&mut self) -> f64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 11) as f64 / (1u64 << 53) as f64
    }
}
