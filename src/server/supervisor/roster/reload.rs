//! Loading a model afresh: a worker takes the place of those before it once it is ready, and not before. Where it does
//! not become ready all stays as it was, and who asked for it is told why.

use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{
        attempts::because_of,
        death::{Cause, Death},
        roster::{Caller, Decision, MAX_WORKERS, Moment, Roster, Stage, is_elsewhere, is_startable},
        view::WorkerNumber,
    },
    speech::ModelId,
};

type Out<C, W> = Vec<Decision<C, W>>;

/// How far a model is that is loaded afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// It waits until it may be loaded.
    Wanted,
    /// This worker loads it.
    By(WorkerNumber),
}

impl<C: Caller, W: Clone> Roster<C, W> {
    /// Has a model loaded afresh; who asks while that goes on shares it.
    pub(super) fn reload(&mut self, model: ModelId, now: Moment, out: &mut Out<C, W>) {
        if matches!(model, ModelId::Called { .. }) || !is_startable(&model) {
            let message = format!("`{model}` runs elsewhere; have it loaded afresh there");
            let result = Err(Error::new(Kind::Unsupported, message));
            return out.push(Decision::Reloaded { model, result });
        }
        self.pool(&model).reload.get_or_insert(Reload::Wanted);
        self.fill_all(now, out);
    }

    /// Whether it is this worker that loads a model afresh.
    pub(super) fn is_fresh(&self, model: &ModelId, number: WorkerNumber) -> bool {
        self.pools.get(model).is_some_and(|pool| pool.reload == Some(Reload::By(number)))
    }

    /// Starts the workers that load models afresh, as far as there is room: behind all who have no worker at all.
    pub(super) fn refresh(&mut self, now: Moment, out: &mut Out<C, W>) {
        let wanted = self.pools.iter().filter(|(_, pool)| pool.reload == Some(Reload::Wanted));
        let wanted: Vec<ModelId> = wanted.map(|(model, _)| model.clone()).collect();
        for model in wanted {
            if !self.works(&model) {
                // Whoever loads it now loads it afresh.
                self.end_reload(model, Ok(false), out);
            } else if !self.loads_enough() && (self.occupied() < MAX_WORKERS || self.dismiss_longest_idle(&model, out))
            {
                self.make_room(&model, now, out);
                let number = self.start(model.clone(), now, out);
                self.pool(&model).reload = Some(Reload::By(number));
            }
        }
    }

    /// A worker is ready. Where it loads its model afresh, those before it get no work any more; whether it does.
    pub(super) fn replace(&mut self, number: WorkerNumber, model: &ModelId, out: &mut Out<C, W>) -> bool {
        if !self.is_fresh(model, number) {
            return false;
        }
        let older = self.workers.range(..number).filter(|(_, entry)| entry.model == *model && !is_elsewhere(entry));
        let older = older.map(|(number, _)| *number).collect();
        self.retire(older, out);
        self.pool(model).since = None;
        self.end_reload(model.clone(), Ok(true), out);
        true
    }

    /// Lets workers go: at once, or with what they have in work.
    pub(super) fn retire(&mut self, numbers: Vec<WorkerNumber>, out: &mut Out<C, W>) {
        for number in numbers {
            match self.workers.get_mut(&number).map(|entry| &mut entry.stage) {
                Some(Stage::Busy(_, ends)) => *ends = true,
                Some(Stage::Stopping) | None => {}
                Some(_) => self.dismiss(number, out),
            }
        }
    }

    /// A worker is gone that did not become ready. Whether it was to take the place of others, which go on: then it says
    /// nothing of the model as they have it.
    pub(super) fn gave_up(&mut self, number: WorkerNumber, model: &ModelId, error: Error, out: &mut Out<C, W>) -> bool {
        if !self.is_fresh(model, number) {
            return false;
        }
        self.end_reload(model.clone(), Err(error), out);
        self.works(model)
    }

    fn end_reload(&mut self, model: ModelId, result: Result<bool>, out: &mut Out<C, W>) {
        self.pool(&model).reload = None;
        out.push(Decision::Reloaded { model, result });
    }
}

/// What is told of a fresh worker that died.
pub(super) fn lost(model: &ModelId, death: &Death) -> Error {
    if death.cause == Cause::Stopped {
        return Error::new(Kind::Unavailable, format!("`{model}` was unloaded before it was loaded afresh"));
    }
    let kind = if death.cause.is_models_doing() { Kind::Internal } else { Kind::Unavailable };
    because_of(death, kind, format!("`{model}` cannot be loaded afresh: its new worker was lost, because {death}"))
}
