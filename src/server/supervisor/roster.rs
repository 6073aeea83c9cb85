//! Which workers there are, who waits for one, and what to do next. Pure: takes events, gives decisions.
//!
//! Invariants: a worker has one lease at a time; who waits is served in order; for each who waits a worker is starting,
//! unless the limits are reached; a dead worker is never given out once its death is known.

use crate::{
    error::{Error, Kind},
    server::supervisor::death::Death,
    speech::ModelId,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// Workers of all models together.
const MAX_WORKERS: usize = 32;

/// Callers that wait for one model. Beyond it, waiting would be longer than any caller's patience.
const MAX_WAITING: usize = 64;

/// When to come back, for callers that were sent away.
const COME_BACK: Duration = Duration::from_secs(2);

/// Names a worker, dead or alive; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WorkerNumber(u64);

/// What happens. `C` is a caller who waits, `W` a worker that is ready.
#[derive(Debug)]
pub(super) enum Event<C, W> {
    /// A caller wants a worker of this model, until then.
    Wanted { model: ModelId, by: C, until: Instant },
    /// A worker that was started is ready.
    Ready { number: WorkerNumber, worker: W },
    /// A worker that was started cannot load its model.
    CannotLoad { number: WorkerNumber, error: Error },
    /// A worker is gone.
    Dead { number: WorkerNumber, death: Death },
    /// A lease is over.
    Returned { number: WorkerNumber },
    /// Time passes.
    Tick { now: Instant },
}

/// What to do.
#[derive(Debug)]
pub(super) enum Decision<C, W> {
    /// Start a worker.
    Start { number: WorkerNumber, model: ModelId },
    /// Give a worker to a caller.
    Grant { number: WorkerNumber, worker: W, to: C },
    /// Tell a caller that the worker which was starting for it died.
    Lost { death: Death, to: C },
    /// Send a caller away.
    Refuse { error: Error, to: C },
    /// Let a worker end.
    Dismiss { worker: W },
}

#[derive(Debug)]
struct Entry<W> {
    model: ModelId,
    stage: Stage<W>,
}

#[derive(Debug)]
enum Stage<W> {
    Starting,
    /// Since which event, to find the one that has been idle for longest.
    Idle(W, u64),
    Busy(W),
}

#[derive(Debug)]
struct Waiting<C> {
    model: ModelId,
    by: C,
    until: Instant,
}

/// All workers and all callers that wait.
#[derive(Debug)]
pub(super) struct Roster<C, W> {
    workers: BTreeMap<WorkerNumber, Entry<W>>,
    waiting: VecDeque<Waiting<C>>,
    next: u64,
    events: u64,
    spares: Spares,
}

/// Whether workers are started before they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spares {
    /// For the next call of many.
    Kept,
    /// There is one call, and no next.
    None,
}

/// Workers of one model. A recogniser uses all cores by itself, and a second copy of its model costs memory; a
/// synthesiser waits most of the time for whoever listens.
fn limit(model: &ModelId) -> usize {
    match model {
        ModelId::Whisper(_) | ModelId::SelfTest => 1,
        ModelId::Espeak | ModelId::Mock(_) => 16,
    }
}

/// Somebody who waits for a worker.
pub(super) trait Caller {
    /// Whether nobody waits any more.
    fn has_gone(&self) -> bool;
}

/// Whether a worker is used up by one lease: its engine keeps something from call to call, so that only a fresh one
/// gives the same answer to the same request.
fn is_used_up(model: &ModelId) -> bool {
    matches!(model, ModelId::Espeak)
}

impl<C: Caller, W: Clone> Roster<C, W> {
    /// An empty roster. With `spares`, the place of a worker that is used up is filled before anybody asks.
    pub(super) fn new(spares: Spares) -> Self {
        Self { workers: BTreeMap::new(), waiting: VecDeque::new(), next: 0, events: 0, spares }
    }

    /// Whether a [`Event::Tick`] may matter.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes an event, and says what to do, in order.
    pub(super) fn on(&mut self, event: Event<C, W>) -> Vec<Decision<C, W>> {
        self.events += 1;
        self.waiting.retain(|waiting| !waiting.by.has_gone());
        let mut decisions = Vec::new();
        match event {
            Event::Wanted { model, by, until } => self.wanted(model, by, until, &mut decisions),
            Event::Ready { number, worker } => self.idle(number, worker, &mut decisions),
            Event::CannotLoad { number, error } => self.cannot_load(number, &error, &mut decisions),
            Event::Dead { number, death } => self.dead(number, death, &mut decisions),
            Event::Returned { number } => {
                if let Some(Entry { stage: Stage::Busy(worker), model }) = self.workers.get(&number) {
                    let worker = worker.clone();
                    if is_used_up(model) {
                        self.replace(number, &mut decisions);
                    } else {
                        self.idle(number, worker, &mut decisions);
                    }
                }
            }
            Event::Tick { now } => self.send_away(now, &mut decisions),
        }
        decisions
    }

    fn wanted(&mut self, model: ModelId, by: C, until: Instant, decisions: &mut Vec<Decision<C, W>>) {
        let idle = self.workers.iter().find_map(|(number, entry)| match &entry.stage {
            Stage::Idle(worker, _) if entry.model == model => Some((*number, worker.clone())),
            _ => None,
        });
        if let Some((number, worker)) = idle {
            self.grant(number, worker, by, decisions);
        } else if self.waiting.iter().filter(|waiting| waiting.model == model).count() >= MAX_WAITING {
            let message = format!("{MAX_WAITING} requests wait for `{model}` already; try again later");
            let error = Error::new(Kind::Busy, message).retry_after(COME_BACK);
            decisions.push(Decision::Refuse { error, to: by });
        } else {
            self.waiting.push_back(Waiting { model: model.clone(), by, until });
            self.start_if_room(&model, decisions);
        }
    }

    /// A worker has nothing to do: it goes to whoever waits for longest.
    fn idle(&mut self, number: WorkerNumber, worker: W, decisions: &mut Vec<Decision<C, W>>) {
        let since = self.events;
        let Some(entry) = self.workers.get_mut(&number) else { return };
        entry.stage = Stage::Idle(worker.clone(), since);
        let model = entry.model.clone();
        if let Some(waiting) = self.take_waiting(&model) {
            self.grant(number, worker, waiting.by, decisions);
        } else {
            // It may stand in the way of a worker of another model.
            self.start_for_all(decisions);
        }
    }

    /// A worker that is used up makes room for a fresh one.
    fn replace(&mut self, number: WorkerNumber, decisions: &mut Vec<Decision<C, W>>) {
        let Some(Entry { model, stage: Stage::Busy(worker) }) = self.workers.remove(&number) else { return };
        decisions.push(Decision::Dismiss { worker });
        self.start_for_all(decisions);
        let is_at_hand = |entry: &Entry<W>| entry.model == model && !matches!(entry.stage, Stage::Busy(_));
        if self.spares == Spares::Kept && self.workers.len() < MAX_WORKERS && !self.workers.values().any(is_at_hand) {
            self.start(model, decisions);
        }
    }

    fn grant(&mut self, number: WorkerNumber, worker: W, to: C, decisions: &mut Vec<Decision<C, W>>) {
        if let Some(entry) = self.workers.get_mut(&number) {
            entry.stage = Stage::Busy(worker.clone());
            decisions.push(Decision::Grant { number, worker, to });
        }
    }

    /// The model cannot be loaded now; nobody who waits for it is helped by another try.
    fn cannot_load(&mut self, number: WorkerNumber, error: &Error, decisions: &mut Vec<Decision<C, W>>) {
        let Some(entry) = self.workers.remove(&number) else { return };
        while let Some(waiting) = self.take_waiting(&entry.model) {
            let error = Error::new(error.kind(), error.to_string()).with_details(error.details().clone());
            decisions.push(Decision::Refuse { error, to: waiting.by });
        }
        self.start_for_all(decisions);
    }

    fn dead(&mut self, number: WorkerNumber, death: Death, decisions: &mut Vec<Decision<C, W>>) {
        let Some(entry) = self.workers.remove(&number) else { return };
        // Who holds a lease learns of the death by the call. Who waits for a start must be told.
        if matches!(entry.stage, Stage::Starting)
            && let Some(waiting) = self.take_waiting(&entry.model)
        {
            decisions.push(Decision::Lost { death, to: waiting.by });
        }
        self.start_for_all(decisions);
    }

    fn send_away(&mut self, now: Instant, decisions: &mut Vec<Decision<C, W>>) {
        let (late, waiting) = self.waiting.drain(..).partition::<Vec<_>, _>(|waiting| waiting.until <= now);
        self.waiting = waiting.into();
        for waiting in late {
            let message = format!("all workers of `{}` are busy; try again later", waiting.model);
            let error = Error::new(Kind::Busy, message).retry_after(COME_BACK);
            decisions.push(Decision::Refuse { error, to: waiting.by });
        }
    }

    fn take_waiting(&mut self, model: &ModelId) -> Option<Waiting<C>> {
        let index = self.waiting.iter().position(|waiting| waiting.model == *model)?;
        self.waiting.remove(index)
    }

    fn start_for_all(&mut self, decisions: &mut Vec<Decision<C, W>>) {
        let mut models: Vec<ModelId> = Vec::new();
        for waiting in &self.waiting {
            if !models.contains(&waiting.model) {
                models.push(waiting.model.clone());
            }
        }
        for model in models {
            self.start_if_room(&model, decisions);
        }
    }

    /// Starts a worker if more wait for one than are starting, and there is room for it.
    fn start_if_room(&mut self, model: &ModelId, decisions: &mut Vec<Decision<C, W>>) {
        let waiting = self.waiting.iter().filter(|waiting| waiting.model == *model).count();
        loop {
            let of_model = self.workers.values().filter(|entry| entry.model == *model);
            let starting = of_model.clone().filter(|entry| matches!(entry.stage, Stage::Starting)).count();
            if starting >= waiting || of_model.count() >= limit(model) {
                return;
            }
            if self.workers.len() >= MAX_WORKERS && !self.dismiss_longest_idle(decisions) {
                return;
            }
            self.start(model.clone(), decisions);
        }
    }

    fn start(&mut self, model: ModelId, decisions: &mut Vec<Decision<C, W>>) {
        let number = WorkerNumber(self.next);
        self.next += 1;
        self.workers.insert(number, Entry { model: model.clone(), stage: Stage::Starting });
        decisions.push(Decision::Start { number, model });
    }

    fn dismiss_longest_idle(&mut self, decisions: &mut Vec<Decision<C, W>>) -> bool {
        let idle = self.workers.iter().filter_map(|(number, entry)| match entry.stage {
            Stage::Idle(_, since) => Some((since, *number)),
            _ => None,
        });
        let Some((_, number)) = idle.min() else { return false };
        if let Some(Entry { stage: Stage::Idle(worker, _), .. }) = self.workers.remove(&number) {
            decisions.push(Decision::Dismiss { worker });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::supervisor::death::Cause;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashMap};

    impl Caller for u32 {
        fn has_gone(&self) -> bool {
            *self >= GONE
        }
    }

    const GONE: u32 = 1_000_000;

    fn death() -> Death {
        Death { cause: Cause::Signal(9), last_words: Vec::new() }
    }

    fn model(n: u8) -> ModelId {
        match n % 3 {
            0 => ModelId::SelfTest,
            1 => ModelId::Espeak,
            _ => ModelId::Mock(String::new()),
        }
    }

    /// The world around a roster: what is true of processes and callers.
    struct World {
        roster: Roster<u32, u64>,
        callers: u32,
        starting: BTreeMap<WorkerNumber, ModelId>,
        idle: BTreeMap<WorkerNumber, ModelId>,
        busy: BTreeMap<WorkerNumber, (ModelId, u32)>,
        waiting: HashMap<u32, ModelId>,
        answered: BTreeSet<u32>,
        used: BTreeSet<WorkerNumber>,
    }

    impl World {
        fn new() -> Self {
            Self {
                roster: Roster::new(Spares::Kept),
                callers: 0,
                starting: BTreeMap::new(),
                idle: BTreeMap::new(),
                busy: BTreeMap::new(),
                waiting: HashMap::new(),
                answered: BTreeSet::new(),
                used: BTreeSet::new(),
            }
        }

        fn feed(&mut self, event: Event<u32, u64>) {
            for decision in self.roster.on(event) {
                match decision {
                    Decision::Start { number, model } => {
                        let is_wanted = self.waiting.values().any(|wanted| *wanted == model);
                        assert!(is_wanted || is_used_up(&model), "nobody wants it");
                        assert!(self.starting.insert(number, model).is_none());
                    }
                    Decision::Grant { number, worker, to } => {
                        assert_eq!(worker, number.0, "the worker is the one that became ready under this number");
                        let model = self.idle.remove(&number).expect("only an idle worker is given");
                        assert!(
                            self.used.insert(number) || !is_used_up(&model),
                            "a worker that is used up is given again"
                        );
                        assert_eq!(self.waiting.remove(&to), Some(model.clone()), "given to who wants this model");
                        self.busy.insert(number, (model, to));
                        assert!(self.answered.insert(to), "answered once");
                    }
                    Decision::Lost { to, .. } | Decision::Refuse { to, .. } => {
                        assert!(self.waiting.remove(&to).is_some(), "only who waits is told");
                        assert!(self.answered.insert(to), "answered once");
                    }
                    Decision::Dismiss { worker } => {
                        let number = WorkerNumber(worker);
                        assert!(self.idle.remove(&number).is_some(), "only who has nothing to do is dismissed");
                    }
                }
            }
            for model in (0..3).map(model) {
                let of = |other: &ModelId| *other == model;
                let alive = self.starting.values().filter(|m| of(m)).count()
                    + self.idle.values().filter(|m| of(m)).count()
                    + self.busy.values().filter(|(m, _)| of(m)).count();
                assert!(alive <= limit(&model));
                let waits = self.waiting.values().any(of);
                assert!(
                    !waits || alive > 0 || self.roster.workers.len() >= MAX_WORKERS,
                    "who waits, waits for something"
                );
                assert!(!(waits && self.idle.values().any(of)), "nobody waits beside an idle worker");
            }
        }

        fn step(&mut self, action: u8, pick: usize) {
            let nth = |map: &BTreeMap<WorkerNumber, ModelId>| map.keys().nth(pick % map.len().max(1)).copied();
            match action {
                0 | 1 => {
                    self.callers += 1;
                    let model = model(pick as u8);
                    self.waiting.insert(self.callers, model.clone());
                    let until = Instant::now() + Duration::from_secs(60);
                    self.feed(Event::Wanted { model, by: self.callers, until });
                }
                2 => {
                    if let Some(number) = nth(&self.starting) {
                        let model = self.starting.remove(&number).expect("it is there");
                        self.idle.insert(number, model);
                        self.feed(Event::Ready { number, worker: number.0 });
                    }
                }
                3 => {
                    let number = nth(&self.starting).or(nth(&self.idle)).or(self.busy.keys().next().copied());
                    if let Some(number) = number {
                        self.starting.remove(&number);
                        self.idle.remove(&number);
                        self.busy.remove(&number);
                        self.feed(Event::Dead { number, death: death() });
                    }
                }
                4 => {
                    if let Some(number) = nth(&self.starting) {
                        self.starting.remove(&number);
                        self.feed(Event::CannotLoad { number, error: Error::invalid("no model") });
                    }
                }
                _ => {
                    if let Some(number) = self.busy.keys().nth(pick % self.busy.len().max(1)).copied() {
                        let (model, _) = self.busy.remove(&number).expect("it is there");
                        self.idle.insert(number, model);
                        self.feed(Event::Returned { number });
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_invariants_hold(steps in proptest::collection::vec((0u8..7, any::<usize>()), 0..120)) {
            let mut world = World::new();
            for (action, pick) in steps {
                world.step(action, pick);
            }
            // Let everything come to rest: starts succeed, leases end. Then nobody waits.
            for _ in 0..1_000 {
                if world.waiting.is_empty() {
                    break;
                }
                world.step(2, 0);
                world.step(6, 0);
            }
            prop_assert!(world.waiting.is_empty(), "somebody waits for ever");
        }
    }

    #[test]
    fn who_waits_too_long_is_sent_away() {
        let mut roster: Roster<u32, u64> = Roster::new(Spares::None);
        let now = Instant::now();
        roster.on(Event::Wanted { model: ModelId::SelfTest, by: 1, until: now });
        let decisions = roster.on(Event::Tick { now });
        assert!(matches!(&decisions[..], [Decision::Refuse { error, to: 1 }] if error.kind() == Kind::Busy));
    }

    #[test]
    fn who_has_gone_takes_nobodys_place() {
        let mut roster: Roster<u32, u64> = Roster::new(Spares::None);
        let until = Instant::now() + Duration::from_secs(1);
        for by in GONE..GONE + 64 {
            roster.on(Event::Wanted { model: ModelId::SelfTest, by, until });
        }
        assert!(roster.on(Event::Wanted { model: ModelId::SelfTest, by: 1, until }).is_empty(), "one is starting");
        let decisions = roster.on(Event::Ready { number: WorkerNumber(0), worker: 0 });
        assert!(matches!(&decisions[..], [Decision::Grant { to: 1, .. }]));
    }

    #[test]
    fn the_queue_has_a_bound() {
        let mut roster: Roster<u32, u64> = Roster::new(Spares::None);
        let until = Instant::now() + Duration::from_secs(1);
        for by in 0..64 {
            roster.on(Event::Wanted { model: ModelId::SelfTest, by, until });
        }
        let decisions = roster.on(Event::Wanted { model: ModelId::SelfTest, by: 64, until });
        assert!(matches!(&decisions[..], [Decision::Refuse { error, to: 64 }] if error.kind() == Kind::Busy));
    }
}
