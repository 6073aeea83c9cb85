//! What can be seen of models and workers from outside.

use crate::{
    server::supervisor::death::{Death, Lie},
    speech::ModelId,
};
use std::time::SystemTime;
use tokio::time::Instant;

/// Names a worker, dead or alive; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerNumber(pub(crate) u64);

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelState {
    /// Nothing runs.
    NotLoaded,
    /// Its first worker starts.
    Loading,
    /// A worker is there.
    Ready,
    /// It cannot be loaded, or its workers died too often.
    Failed,
}

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    /// It starts, and loads its model.
    Starting,
    /// It is ready, with nothing to do.
    Idle,
    /// A call is in work.
    Busy,
    /// It shows that it can work.
    Checking,
    /// It was told to end.
    Stopping,
    /// It is gone.
    Gone,
}

/// Where a worker comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// We started it.
    Started,
    /// It runs elsewhere, and we called it.
    Called,
    /// It runs elsewhere, and called us.
    DialledIn,
}

/// A death, and when it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Obituary {
    /// How.
    pub(crate) death: Death,
    /// When.
    pub(crate) time: SystemTime,
}

/// A model, as it is at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelView {
    /// Which.
    pub(crate) id: ModelId,
    /// Where it is.
    pub(crate) state: ModelState,
    /// Its workers.
    pub(crate) workers: usize,
    /// Its workers that died.
    pub(crate) deaths: u64,
    /// The last of them.
    pub(crate) last_death: Option<Obituary>,
    /// Callers that wait.
    pub(crate) waiting: usize,
    /// How many hold it.
    pub(crate) held: usize,
    /// Since when it is loaded here.
    pub(crate) since: Option<SystemTime>,
    /// When it was last used.
    pub(crate) used: Option<SystemTime>,
    /// Answers of its workers that could not be true.
    pub(crate) lies: Vec<(Lie, u64)>,
    /// Why it failed.
    pub(crate) reason: Option<String>,
    /// When it is tried again, where it failed.
    pub(crate) not_before: Option<Instant>,
}

impl ModelView {
    /// Whether it is as it was, but for what every use of it changes.
    pub(crate) fn is_as(&self, before: &Self) -> bool {
        *self == Self { held: self.held, used: self.used, ..before.clone() }
    }
}

/// What is known of a worker's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// Its process on this machine; 0 = elsewhere.
    pub(crate) pid: u32,
    /// Where it is, if elsewhere.
    pub(crate) address: String,
    /// What it says of its engine.
    pub(crate) engine: String,
    /// What it says of its build.
    pub(crate) build: String,
}

/// A worker, as it is at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkerView {
    /// Which.
    pub(crate) number: WorkerNumber,
    /// Its model.
    pub(crate) model: ModelId,
    /// Where it is in its life.
    pub(crate) state: WorkerState,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// What is known of its body.
    pub(crate) body: Body,
    /// Since when.
    pub(crate) started: SystemTime,
    /// Calls that it answered well.
    pub(crate) calls: u64,
    /// Workers of its model that died before it.
    pub(crate) restarts: u64,
    /// How much of its model is loaded, 0 to 1.
    pub(crate) progress: f32,
    /// How the one before it ended; how it ended itself, once it is gone.
    pub(crate) last_death: Option<Obituary>,
}

/// Everything, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    /// Models, in order.
    pub(crate) models: Vec<ModelView>,
    /// Workers, in the order of their numbers.
    pub(crate) workers: Vec<WorkerView>,
}

/// Something changed, and is now so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A model.
    Model(ModelView),
    /// A worker.
    Worker(WorkerView),
}

impl View {
    /// What is other than it was before. Workers that are gone are told of by their last words, in `gone`.
    pub(crate) fn changes(&self, before: &View, gone: Vec<WorkerView>) -> Vec<Change> {
        let fresh_workers = self.workers.iter().filter(|worker| !before.workers.contains(worker)).cloned();
        let is_told = |model: &&ModelView| before.models.iter().any(|before| model.is_as(before));
        let fresh_models = self.models.iter().filter(|model| !is_told(model)).cloned();
        gone.into_iter()
            .map(Change::Worker)
            .chain(fresh_workers.map(Change::Worker))
            .chain(fresh_models.map(Change::Model))
            .collect()
    }
}
