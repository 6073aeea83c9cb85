//! Which models and workers there are, who waits for one, and what to do next. Pure: takes events, gives decisions.
//!
//! The life of a worker:
//!
//! ```text
//!            Start/Admit        Ready            Grant
//!  (nothing) ──────────► Starting ─────► Idle ◄────────► Busy
//!                           │             ▲ │   Returned  │
//!                           │       Check │ ▼             │
//!                           │          Checking           │
//!                           ▼  Dismiss      ▼             ▼ used up, or unloaded meanwhile
//!                        Stopping ◄─────────┴─────────────┘
//!  Dead, from each of them ──────► (gone)
//! ```
//!
//! Invariants, which `tests.rs` holds against random events: a worker has one lease at a time, and none once its death
//! is known; who waits is served in order, and never beside an idle worker; for each who waits a worker starts, or the
//! limits are reached, or a wait after losses runs, and then the roster says when it wants to be woken; a model that
//! has failed refuses who is new. No more models are loaded than may be, and none goes that is held or is to be kept; one
//! that is loaded afresh has a worker all the while.

pub(super) mod budget;
mod kinds;
mod reload;
mod residency;
mod room;
mod rules;
mod seen;
#[cfg(test)]
mod tests;

use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{
        death::Death,
        view::{Body, Obituary, WorkerNumber, WorkerView},
    },
    speech::ModelId,
};
use budget::Budget;
use kinds::{is_startable, is_used_up, limit, longest_wait};
use reload::Reload;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Workers of all models together.
pub(super) const MAX_WORKERS: usize = 32;

/// Callers that wait for one model. Beyond it, waiting would be longer than any caller's patience.
const MAX_WAITING: usize = 64;

/// Models that are remembered though nobody uses them. Callers on this machine name any file.
const REMEMBERED: usize = 256;

/// When to come back, for callers that were sent away.
const COME_BACK: Duration = Duration::from_secs(2);

/// How long after a default model could not be loaded it is tried again, though nobody asks.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// How long to wait at most before a worker elsewhere is called again.
const CALL_AGAIN: Duration = Duration::from_secs(5);

/// How long callers wait for a worker that dialled in to dial in again.
const DIAL_IN_AGAIN: Duration = Duration::from_secs(10);

/// What the roster is told.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Whether workers are started before they are needed.
    pub(super) spares: Spares,
    /// How long a model may be unused before it is unloaded; `None` = for ever.
    pub(super) idle_timeout: Option<Duration>,
    /// How long a worker may be idle before it has to show that it can work; `None` = for ever.
    pub(super) check_after: Option<Duration>,
    /// How long a model stays loaded at least, unless somebody says otherwise.
    pub(super) min_residency: Duration,
    /// Models that may be loaded at the same time; `None` = any number.
    pub(super) max_models: Option<usize>,
    /// Models that may be on their way at the same time.
    pub(super) max_loads: usize,
    /// Models that requests mean when they name none: when they fail they are tried without being asked for, and they do
    /// not go for others.
    pub(super) defaults: Vec<ModelId>,
    /// Models that stay once they are loaded, unless somebody says otherwise.
    pub(super) preloaded: Vec<ModelId>,
}

/// Whether workers are started before they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spares {
    /// One for each model that is in use, where there is memory for it.
    WhereMemoryAllows,
    /// One for each model that is in use.
    Always,
    /// None.
    Never,
}

/// The moment of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For waits.
    pub(super) at: Instant,
    /// For people.
    pub(super) wall: SystemTime,
    /// Memory that could be used, bytes, if the system tells.
    pub(super) free_memory: Option<u64>,
}

/// How a call under a lease ended, as far as it tells of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a good answer.
    Well,
    /// Before it was used at all.
    Unused,
    /// In a way that says nothing of the worker.
    Somehow,
}

/// How a caller waits for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// In its turn; it is refused where the model has failed, or too many wait.
    New,
    /// In its turn, and never refused: what it wants to have done is in a log.
    Patient,
    /// Before the others, and never refused: it has lost a worker already.
    Again,
}

/// What happens. `C` is a caller who waits, `W` a worker that is ready.
#[derive(Debug)]
pub(super) enum Event<C, W> {
    /// A caller wants a worker of this model, until then.
    Wanted { model: ModelId, by: C, until: Instant, turn: Turn },
    /// A worker that was started has a body.
    Started { number: WorkerNumber, body: Body },
    /// So much of its model is loaded, 0 to 1.
    Progress { number: WorkerNumber, progress: f32 },
    /// A worker that was started is ready, and takes so much memory.
    Ready { number: WorkerNumber, worker: W, body: Body, memory: u64 },
    /// A worker that was started cannot load its model, or could not be started.
    CannotLoad { number: WorkerNumber, error: Error },
    /// A worker is gone.
    Dead { number: WorkerNumber, death: Death },
    /// A lease is over.
    Returned { number: WorkerNumber, ended: Ended },
    /// A check is over. One that failed is followed by the death.
    Checked { number: WorkerNumber, ended: Ended },
    /// A model is to be unloaded.
    Unload { model: ModelId },
    /// A model is to be loaded afresh.
    Reload { model: ModelId },
    /// So many hold each of these models now.
    Held { held: BTreeMap<ModelId, usize> },
    /// Time passes.
    Tick,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Decision<C, W> {
    /// Start a worker.
    Start { number: WorkerNumber, model: ModelId },
    /// Give a worker to a caller.
    Grant { number: WorkerNumber, worker: W, to: C },
    /// Have a worker show that it can work.
    Check { number: WorkerNumber, worker: W },
    /// Break off a check: the worker is needed.
    Interrupt { number: WorkerNumber },
    /// Tell a caller that the worker which was starting for it died.
    Lost { death: Death, to: C },
    /// Send a caller away.
    Refuse { error: Error, to: C },
    /// Let a worker end.
    Dismiss { number: WorkerNumber },
    /// Tell who wanted a model to be loaded afresh: it is, or it was not loaded at all.
    Reloaded { model: ModelId, result: Result<bool> },
}

/// Somebody who waits for a worker.
pub(super) trait Caller {
    /// Whether nobody waits any more.
    fn has_gone(&self) -> bool;
}

/// Where a worker is in its life.
#[derive(Debug)]
enum Stage<W> {
    /// How much of its model is loaded.
    Starting(f32),
    /// Since when.
    Idle(W, Instant),
    /// Whether it is to end with the lease.
    Busy(W, bool),
    Checking(W),
    Stopping,
}

/// A worker.
#[derive(Debug)]
struct Entry<W> {
    model: ModelId,
    stage: Stage<W>,
    body: Body,
    started: SystemTime,
    calls: u64,
    restarts: u64,
    /// When it last showed that it can work.
    proved: Instant,
    /// Whether it came by itself.
    is_guest: bool,
}

/// A model that was asked for.
#[derive(Debug, Default)]
struct Pool {
    budget: Budget,
    /// Why the last try to load it failed, and when, until one succeeds.
    unloadable: Option<(String, Instant)>,
    deaths: u64,
    last_death: Option<Obituary>,
    /// When a caller last wanted it or gave it back; `None` once it is unloaded.
    used: Option<Instant>,
    /// The same for people, who may ask later.
    last_used: Option<SystemTime>,
    /// Since when it is loaded here.
    since: Option<(Instant, SystemTime)>,
    /// Whether it is loaded afresh just now.
    reload: Option<Reload>,
    /// Whether it has given a good answer since it was loaded.
    has_worked: bool,
    /// The memory of a worker.
    size: u64,
}

impl Pool {
    fn note_use(&mut self, now: Moment) {
        (self.used, self.last_used) = (Some(now.at), Some(now.wall));
    }

    /// What was unloaded meanwhile stays so.
    fn note_end_of_use(&mut self, now: Moment) {
        (self.used, self.last_used) = (self.used.map(|_| now.at), Some(now.wall));
    }

    /// When a worker may be tried, where that is not at once.
    fn try_at(&self) -> Option<Instant> {
        let loadable = self.unloadable.as_ref().map(|(_, since)| *since + TRY_AGAIN);
        self.budget.not_before().max(loadable)
    }
}

#[derive(Debug)]
struct Waiting<C> {
    model: ModelId,
    by: C,
    until: Instant,
    turn: Turn,
}

/// All models, all workers, and all callers that wait.
#[derive(Debug)]
pub(super) struct Roster<C, W> {
    policy: Policy,
    pools: BTreeMap<ModelId, Pool>,
    workers: BTreeMap<WorkerNumber, Entry<W>>,
    waiting: VecDeque<Waiting<C>>,
    /// How many hold each model that is held.
    held: BTreeMap<ModelId, usize>,
    next: u64,
    /// The state of the jitter.
    chance: u64,
    /// A moment in the past.
    born: Instant,
    /// Workers that have gone since somebody last looked.
    gone: Vec<WorkerView>,
    watched: bool,
}

/// Whether a worker runs elsewhere, and costs nothing here while it is idle.
fn is_elsewhere<W>(entry: &Entry<W>) -> bool {
    entry.is_guest || matches!(entry.model, ModelId::Called { .. })
}

/// There is no room for one more.
pub(super) fn full() -> Error {
    Error::new(Kind::Busy, format!("the server has {MAX_WORKERS} workers already")).retry_after(COME_BACK)
}

impl<C: Caller, W: Clone> Roster<C, W> {
    /// An empty roster. `seed` is for the jitter.
    pub(super) fn new(policy: Policy, seed: u64) -> Self {
        let pools = policy.defaults.iter().map(|model| (model.clone(), Pool::default())).collect();
        Self {
            policy,
            pools,
            workers: BTreeMap::new(),
            waiting: VecDeque::new(),
            held: BTreeMap::new(),
            next: 1,
            chance: seed,
            born: Instant::now(),
            gone: Vec::new(),
            watched: false,
        }
    }

    /// Takes note of how much memory a model will take, as far as that can be told before it is loaded. Asked only where
    /// nothing is known yet.
    pub(super) fn expect_size(&mut self, model: &ModelId, size: impl FnOnce() -> u64) {
        let pool = self.pools.entry(model.clone()).or_default();
        if pool.size == 0 {
            pool.size = size();
        }
    }

    /// Makes a model known before anybody asks for it.
    pub(super) fn announce(&mut self, model: ModelId) {
        self.pools.entry(model).or_default();
    }

    /// Takes in a worker that came by itself.
    ///
    /// # Errors
    /// `Busy` where there is no room for one more.
    pub(super) fn admit(&mut self, model: ModelId, now: Moment) -> Result<WorkerNumber> {
        if self.workers.len() >= MAX_WORKERS {
            return Err(full());
        }
        let number = self.enter(model, now);
        if let Some(entry) = self.workers.get_mut(&number) {
            entry.is_guest = true;
        }
        Ok(number)
    }

    /// Takes an event, and says what to do, in order.
    pub(super) fn on(&mut self, event: Event<C, W>, now: Moment) -> Vec<Decision<C, W>> {
        self.waiting.retain(|waiting| !waiting.by.has_gone());
        let mut decisions = Vec::new();
        let out = &mut decisions;
        match event {
            Event::Wanted { model, by, until, turn } => self.wanted(Waiting { model, by, until, turn }, now, out),
            Event::Started { number, body } => {
                if let Some(entry) = self.workers.get_mut(&number) {
                    entry.body = body;
                }
            }
            Event::Progress { number, progress } => {
                if let Some(Entry { stage: Stage::Starting(so_far), .. }) = self.workers.get_mut(&number) {
                    *so_far = progress;
                }
            }
            Event::Ready { number, worker, body, memory } => self.ready(number, worker, (body, memory), now, out),
            Event::CannotLoad { number, error } => self.cannot_load(number, &error, now, out),
            Event::Dead { number, death } => self.dead(number, death, now, out),
            Event::Returned { number, ended } => self.returned(number, ended, now, out),
            Event::Checked { number, ended } => self.checked(number, ended, now, out),
            Event::Unload { model } => {
                self.unload(&model, true, out);
                // Who waits still wants it.
                self.fill_all(now, out);
            }
            Event::Reload { model } => self.reload(model, now, out),
            Event::Held { held } => self.hold(held, now, out),
            Event::Tick => self.tick(now, out),
        }
        self.note_what_is_gone();
        decisions
    }
}
