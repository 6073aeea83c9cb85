//! Which models stay loaded: who is held, who goes for another where only so many may be loaded, and how many load at a
//! time.
//!
//! A model takes a place while it has a worker here; one elsewhere takes none of our memory. A place is made by the
//! least recently used model that nobody uses, holds or wants to keep, and that has been loaded for its least time.

use crate::server::supervisor::Turn;
use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{
        roster::{
            COME_BACK, Caller, Decision, Entry, Moment, Pool, Roster, Stage, Waiting, is_elsewhere, is_startable,
            is_used_up,
        },
        view::WorkerNumber,
    },
    speech::ModelId,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

type Out<C, W> = Vec<Decision<C, W>>;

impl<C: Caller, W: Clone> Roster<C, W> {
    /// Whether these are held, and no others.
    pub(in crate::server::supervisor) fn is_held_as(&self, held: &BTreeMap<ModelId, usize>) -> bool {
        self.held == *held
    }

    /// How many hold a model.
    pub(super) fn held(&self, model: &ModelId) -> usize {
        self.held.get(model).copied().unwrap_or(0)
    }

    /// Takes note of who is held now. Letting go of a model is a use of it.
    pub(super) fn hold(&mut self, held: BTreeMap<ModelId, usize>, now: Moment, out: &mut Out<C, W>) {
        held.keys().for_each(|model| self.announce(model.clone()));
        let before = std::mem::replace(&mut self.held, held);
        for model in before.into_keys().filter(|model| !self.held.contains_key(model)).collect::<Vec<_>>() {
            self.pool(&model).note_end_of_use(now);
        }
        // One that was let go may make a place for another.
        self.fill_all(now, out);
    }

    /// Whether a model may be unloaded because somebody says so, who does not want to take it from others; `false` = it
    /// is not loaded.
    ///
    /// # Errors
    /// `InUse` where others use it.
    pub(in crate::server::supervisor) fn may_be_unloaded(&mut self, model: &ModelId) -> Result<bool> {
        self.waiting.retain(|waiting| !waiting.by.has_gone());
        if self.is_unused(model) {
            return Ok(self.live(model) > 0);
        }
        let message = format!("`{model}` is in use; end the sessions and calls that use it first");
        Err(Error::new(Kind::InUse, message))
    }

    /// Whether nobody has a model in work, waits for it, holds it, or has it loaded afresh.
    pub(super) fn is_unused(&self, model: &ModelId) -> bool {
        let is_busy = |entry: &Entry<W>| entry.model == *model && matches!(entry.stage, Stage::Busy(..));
        self.held(model) == 0
            && self.waiting_for(model) == 0
            && self.pools.get(model).is_none_or(|pool| pool.reload.is_none())
            && !self.workers.values().any(is_busy)
    }

    /// Whether a model is to stay, whatever else needs room.
    pub(super) fn is_wanted_here(&self, model: &ModelId) -> bool {
        self.held(model) > 0 || self.policy.preloaded.contains(model)
    }

    /// Whether a model takes a place.
    fn is_here(&self, model: &ModelId) -> bool {
        let is_ours = |entry: &Entry<W>| entry.model == *model && !is_elsewhere(entry);
        self.workers.values().any(|entry| is_ours(entry) && !matches!(entry.stage, Stage::Stopping))
    }

    /// Workers of a model here that are ready and stay.
    fn at_work(&self, model: &ModelId) -> usize {
        let stays = |stage: &Stage<W>| matches!(stage, Stage::Idle(..) | Stage::Checking(_) | Stage::Busy(_, false));
        let is_one = |entry: &&Entry<W>| entry.model == *model && !is_elsewhere(entry) && stays(&entry.stage);
        self.workers.values().filter(is_one).count()
    }

    /// Whether a model has a worker here that is ready and stays.
    pub(super) fn works(&self, model: &ModelId) -> bool {
        self.at_work(model) > 0
    }

    /// Whether a worker of a model is not to make room for others, whoever they are: it is the last of one that is to
    /// stay.
    pub(super) fn is_last(&self, model: &ModelId) -> bool {
        let is_loaded_afresh = || self.pools.get(model).is_some_and(|pool| pool.reload.is_some());
        self.at_work(model) == 1 && (self.is_wanted_here(model) || is_loaded_afresh())
    }

    /// Whether a model may be loaded beside those that are.
    pub(super) fn has_place(&self, model: &ModelId) -> bool {
        let Some(most) = self.policy.max_models else { return true };
        let is_free = matches!(model, ModelId::Called { .. }) || !is_startable(model) || self.is_here(model);
        is_free || self.pools.keys().filter(|other| self.is_here(other)).count() < most
    }

    /// When a model may be loaded as far as the others are concerned; `None` where that depends on who uses them.
    pub(super) fn place_at(&self, model: &ModelId) -> Option<Instant> {
        if self.has_place(model) {
            return Some(self.born);
        }
        self.pools.iter().filter_map(|(other, pool)| self.goes_at(other, pool)).min()
    }

    /// From when on a model goes for another, as long as nobody uses it.
    fn goes_at(&self, model: &ModelId, pool: &Pool) -> Option<Instant> {
        let is_kept = self.is_wanted_here(model) || self.policy.defaults.contains(model);
        let (since, _) = pool.since.filter(|_| !is_kept && self.is_unused(model) && self.is_here(model))?;
        Some(since + self.policy.min_residency)
    }

    /// Makes a place for a model, where one is needed; whether it has one now.
    pub(super) fn make_place(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) -> bool {
        if self.has_place(model) {
            return true;
        }
        let may_go = |(other, pool): &(&ModelId, &Pool)| self.goes_at(other, pool).is_some_and(|at| at <= now.at);
        let oldest = self.pools.iter().filter(may_go).min_by_key(|(_, pool)| pool.used);
        let Some(oldest) = oldest.map(|(other, _)| other.clone()) else { return false };
        self.unload(&oldest, false, out);
        true
    }

    /// Nobody who is new waits for a place: others may want to keep theirs for ever.
    pub(super) fn refuse_for_want_of_a_place(&mut self, model: &ModelId, now: Moment, out: &mut Out<C, W>) {
        let most = self.policy.max_models.unwrap_or(usize::MAX);
        let wait = self.place_at(model).map(|at| at.saturating_duration_since(now.at));
        let wait = wait.unwrap_or(COME_BACK).max(Duration::from_secs(1));
        while let Some(waiting) = self.take_newcomer(model) {
            let message = format!(
                "there is no place for `{model}`: as many models are loaded as `--max-models {most}` allows, and none \
                 of them may go now; try again later, unload one, or allow more"
            );
            let error = Error::new(Kind::Busy, message).retry_after(wait);
            out.push(Decision::Refuse { error, to: waiting.by });
        }
    }

    /// Takes who waits first for a model and is new.
    pub(super) fn take_newcomer(&mut self, model: &ModelId) -> Option<Waiting<C>> {
        let is_new = |waiting: &Waiting<C>| waiting.model == *model && waiting.turn == Turn::New;
        self.waiting.iter().position(is_new).and_then(|index| self.waiting.remove(index))
    }

    /// Takes note of what is not loaded any more.
    pub(super) fn note_what_is_gone(&mut self) {
        let loaded = self.pools.iter().filter(|(_, pool)| pool.since.is_some());
        let gone: Vec<ModelId> = loaded.map(|(model, _)| model).filter(|model| !self.is_here(model)).cloned().collect();
        gone.iter().for_each(|model| self.pool(model).since = None);
    }

    /// Whether a start of a model's worker is a load. One more worker of a model that works is none, nor is any of an
    /// engine that starts anew with each call: nobody is to wait for others before each sentence.
    fn is_load(&self, model: &ModelId) -> bool {
        !is_used_up(model) && !matches!(model, ModelId::Called { .. }) && !self.works(model)
    }

    /// Whether as many models are on their way as may be.
    pub(super) fn loads_enough(&self) -> bool {
        let is_load = |(number, entry): &(&WorkerNumber, &Entry<W>)| {
            matches!(entry.stage, Stage::Starting(_))
                && !is_elsewhere(entry)
                && (self.is_load(&entry.model) || self.is_fresh(&entry.model, **number))
        };
        self.workers.iter().filter(is_load).count() >= self.policy.max_loads
    }

    /// Whether a worker has to wait until another model is loaded. Who has lost a worker already does not wait for that.
    pub(super) fn has_to_queue(&self, model: &ModelId) -> bool {
        let has_lost = |waiting: &Waiting<C>| waiting.model == *model && waiting.turn == Turn::Again;
        self.is_load(model) && self.loads_enough() && !self.waiting.iter().any(has_lost)
    }
}
