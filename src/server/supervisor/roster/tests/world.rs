//! The world around a roster in its tests: what is true of processes, callers and time.

use crate::server::supervisor::{death::Cause, roster::*};
use std::collections::{BTreeMap, BTreeSet, HashMap};

impl Caller for u32 {
    fn has_gone(&self) -> bool {
        *self >= GONE
    }
}

pub(super) const GONE: u32 = 1_000_000;

pub(super) fn model(n: usize) -> ModelId {
    match n % 5 {
        0 => ModelId::SelfTest,
        1 => ModelId::Espeak,
        2 => ModelId::Called { address: "http://far:1".to_owned(), recognises: true },
        3 => ModelId::DialledIn { name: "guest".to_owned(), recognises: true, speaks: false },
        _ => ModelId::Mock(String::new()),
    }
}

pub(super) fn policy() -> Policy {
    Policy {
        spares: Spares::Always,
        idle_timeout: Some(Duration::from_secs(100)),
        check_after: Some(Duration::from_secs(30)),
        min_residency: Duration::ZERO,
        max_models: None,
        max_loads: MAX_WORKERS,
        defaults: vec![ModelId::SelfTest],
        preloaded: Vec::new(),
    }
}

pub(super) fn death(cause: Cause) -> Death {
    Death::of(cause)
}

/// What a world knows of a worker: the truth, as its process would tell it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Truth {
    Starting,
    Idle,
    Busy(u32),
    Checking,
    Dismissed,
}

/// The world around a roster: what is true of processes, callers and time.
pub(super) struct World {
    pub(super) roster: Roster<u32, u64>,
    pub(super) now: Moment,
    pub(super) callers: u32,
    pub(super) workers: BTreeMap<WorkerNumber, (ModelId, Truth, bool)>,
    pub(super) waiting: HashMap<u32, (ModelId, bool)>,
    pub(super) answered: BTreeSet<u32>,
    pub(super) used: BTreeSet<WorkerNumber>,
    /// Losses in a row by each model's own doing, by the simplest possible count.
    pub(super) losses: HashMap<ModelId, u32>,
    pub(super) held: BTreeMap<ModelId, usize>,
    /// Since when a model is loaded here.
    pub(super) since: HashMap<ModelId, Instant>,
    /// Models whose last worker was dismissed just now: one that is started at once begins another stay.
    pub(super) left: BTreeSet<ModelId>,
    /// Models that somebody wants afresh, and what came of such wishes.
    pub(super) reloading: BTreeSet<ModelId>,
    pub(super) reloaded: Vec<(ModelId, Result<bool, Kind>)>,
    /// Workers that get no work any more.
    pub(super) retired: BTreeSet<WorkerNumber>,
    pub(super) policy: Policy,
}

impl World {
    pub(super) fn new(policy: Policy) -> Self {
        let roster = Roster::new(policy.clone(), 7);
        let now = Moment { at: Instant::now(), wall: SystemTime::UNIX_EPOCH, free_memory: Some(8 << 30) };
        Self {
            roster,
            now,
            callers: 0,
            workers: BTreeMap::new(),
            waiting: HashMap::new(),
            answered: BTreeSet::new(),
            used: BTreeSet::new(),
            losses: HashMap::new(),
            held: BTreeMap::new(),
            since: HashMap::new(),
            left: BTreeSet::new(),
            reloading: BTreeSet::new(),
            reloaded: Vec::new(),
            retired: BTreeSet::new(),
            policy,
        }
    }

    pub(super) fn feed(&mut self, event: Event<u32, u64>) {
        let before: BTreeSet<ModelId> = self.here().collect();
        let served: Vec<ModelId> = self.reloading.iter().filter(|model| self.works(model)).cloned().collect();
        let (excused, is_tick) = (self.excused(&event), matches!(event, Event::Tick));
        for decision in self.roster.on(event, self.now) {
            self.carry_out(decision);
        }
        let is_due = self.roster.wake_at().is_some_and(|at| at <= self.now.at);
        assert!(!(is_tick && is_due), "it would be woken again and again, and do nothing");
        for gone in before.difference(&self.here().collect()).filter(|gone| excused.as_ref() != Some(*gone)) {
            self.check_that_it_may_go(gone);
        }
        let goes_on = |model: &&ModelId| self.reloading.contains(*model) && excused.as_ref() != Some(*model);
        for model in served.iter().filter(goes_on) {
            assert!(self.works(model), "{model} has nobody to work while it is loaded afresh");
        }
        self.check();
    }

    pub(super) fn carry_out(&mut self, decision: Decision<u32, u64>) {
        match decision {
            Decision::Start { number, model } => {
                assert!(is_startable(&model), "only what we can start");
                let is_first = !self.works(&model) && !matches!(model, ModelId::Called { .. } | ModelId::Espeak);
                let is_load = is_first || self.roster.is_fresh(&model, number);
                let has_lost = self.waiting.values().any(|(wanted, again)| *wanted == model && *again);
                assert!(!is_load || has_lost || self.loads() < self.policy.max_loads, "too many load");
                assert!(self.workers.insert(number, (model, Truth::Starting, false)).is_none(), "a number used twice");
            }
            Decision::Grant { number, worker, to } => {
                assert_eq!(worker, number.0, "the worker is the one that became ready under this number");
                let (model, truth, _) = self.workers.get_mut(&number).expect("only who lives is given");
                assert_eq!(*truth, Truth::Idle, "only who is idle is given");
                assert!(self.used.insert(number) || !is_used_up(model), "a worker that is used up is given again");
                let (wanted, _) = self.waiting.remove(&to).expect("given to who waits");
                assert_eq!(wanted, *model, "given to who wants this model");
                assert!(!self.retired.contains(&number), "given though a fresh one has its place");
                *truth = Truth::Busy(to);
                assert!(self.answered.insert(to), "answered once");
            }
            Decision::Check { number, .. } => {
                let (model, truth, _) = self.workers.get_mut(&number).expect("only who lives is checked");
                assert_eq!(std::mem::replace(truth, Truth::Checking), Truth::Idle, "only who is idle is checked");
                assert!(self.used.insert(number) || !is_used_up(model), "a check uses it up");
            }
            Decision::Interrupt { number } => {
                assert_eq!(self.workers[&number].1, Truth::Checking, "only a check is broken off");
            }
            Decision::Lost { to, .. } => {
                assert!(self.waiting.remove(&to).is_some() && self.answered.insert(to), "only who waits, and once");
            }
            Decision::Refuse { error, to } => {
                let (model, again) = self.waiting.remove(&to).expect("only who waits is refused");
                assert!(self.answered.insert(to), "answered once");
                if error.to_string().contains("no place") {
                    assert!(!again, "who has lost a worker already waits for a place");
                    assert_eq!(error.kind(), Kind::Busy);
                    assert!(error.details().retry_after.is_some_and(|wait| !wait.is_zero()), "it says when");
                    assert!(!self.has_place(&model), "there is a place, or one could be made");
                }
                if error.to_string().contains("has failed") {
                    assert!(self.losses.get(&model).is_some_and(|losses| *losses >= 3), "three losses, not before");
                    assert!(!again, "who has lost a worker already is not new");
                    assert!(error.details().retry_after.is_some_and(|wait| !wait.is_zero()), "it says when");
                    assert_eq!(error.kind(), Kind::Unavailable);
                }
            }
            Decision::Dismiss { number } => {
                let (model, truth, _) = self.workers.get_mut(&number).expect("only who lives is dismissed");
                assert!(!matches!(truth, Truth::Busy(_) | Truth::Dismissed), "{truth:?} is not dismissed");
                *truth = Truth::Dismissed;
                let model = model.clone();
                if !self.here().any(|here| here == model) {
                    self.left.insert(model);
                }
            }
            Decision::Reloaded { model, result } => {
                assert!(self.reloading.remove(&model), "somebody wants to know, and is told once");
                self.reloaded.push((model, result.map_err(|error| error.kind())));
            }
        }
    }

    pub(super) fn lose(&mut self, number: WorkerNumber, cause: Cause) {
        let Some((model, _, _)) = self.workers.remove(&number) else { return };
        if cause.is_models_doing() {
            *self.losses.entry(model).or_default() += 1;
        }
        self.feed(Event::Dead { number, death: death(cause) });
    }

    /// A worker becomes ready.
    pub(super) fn becomes_ready(&mut self, number: WorkerNumber) {
        let (model, truth, guest) = self.workers.get_mut(&number).expect("it is there");
        *truth = Truth::Idle;
        let (model, is_ours) = (model.clone(), !*guest && !matches!(model, ModelId::Called { .. }));
        if self.roster.is_fresh(&model, number) {
            let older = self.workers.range(..number).filter(|(_, (other, _, guest))| *other == model && !guest);
            let busy = older.filter(|(_, (_, truth, _))| matches!(truth, Truth::Busy(_)));
            self.retired.extend(busy.map(|(number, _)| *number).collect::<Vec<_>>());
            self.since.remove(&model);
        }
        if is_ours {
            self.since.entry(model).or_insert(self.now.at);
        }
        self.feed(Event::Ready { number, worker: number.0, body: Body::default(), memory: 1 << 20 });
    }

    /// Somebody wants a model afresh.
    pub(super) fn reload(&mut self, model: ModelId) {
        self.reloading.insert(model.clone());
        self.feed(Event::Reload { model });
    }

    /// One more holds a model, or one less.
    pub(super) fn hold(&mut self, model: ModelId, more: bool) {
        let count = self.held.entry(model.clone()).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        self.held.retain(|_, count| *count > 0);
        self.feed(Event::Held { held: self.held.clone() });
    }

    /// Somebody wants a model unloaded if nobody uses it.
    pub(super) fn unload_unused(&mut self, model: ModelId) -> Result<bool, Kind> {
        let is_in_use = self.in_use().contains(&model);
        let lives = self.workers.values().any(|(other, truth, _)| *other == model && *truth != Truth::Dismissed);
        let answer = self.roster.may_be_unloaded(&model).map_err(|error| error.kind());
        assert_eq!(answer, if is_in_use { Err(Kind::InUse) } else { Ok(lives) });
        if answer == Ok(true) {
            self.feed(Event::Unload { model });
        }
        answer
    }

    pub(super) fn nth(&self, pick: usize, is: impl Fn(&Truth) -> bool) -> Option<WorkerNumber> {
        let fitting: Vec<WorkerNumber> =
            self.workers.iter().filter(|(_, (_, truth, _))| is(truth)).map(|(number, _)| *number).collect();
        fitting.get(pick % fitting.len().max(1)).copied()
    }

    pub(super) fn ends(&mut self, number: WorkerNumber, ended: Ended) {
        let (model, truth, _) = self.workers.get_mut(&number).expect("it is there");
        let was = std::mem::replace(truth, Truth::Idle);
        if ended == Ended::Well {
            self.losses.remove(&model.clone());
        }
        match was {
            Truth::Checking => self.feed(Event::Checked { number, ended }),
            _ => self.feed(Event::Returned { number, ended }),
        }
    }

    pub(super) fn step(&mut self, action: u8, pick: usize) {
        match action {
            0..=2 => {
                self.callers += 1;
                let (model, again) = (model(pick), pick.is_multiple_of(7));
                self.waiting.insert(self.callers, (model.clone(), again));
                let until = self.now.at + Duration::from_secs(60);
                self.feed(Event::Wanted { model, by: self.callers, until, turn: super::turn(again) });
            }
            3 | 4 => {
                if let Some(number) = self.nth(pick, |truth| *truth == Truth::Starting) {
                    self.becomes_ready(number);
                }
            }
            5 => {
                let cause = [Cause::Signal(9), Cause::Signal(6), Cause::Hung, Cause::Disconnected][pick % 4];
                if let Some(number) = self.nth(pick / 4, |truth| *truth != Truth::Dismissed) {
                    self.lose(number, cause);
                }
            }
            6 => {
                if let Some(number) = self.nth(pick, |truth| *truth == Truth::Dismissed) {
                    self.lose(number, Cause::Stopped);
                }
            }
            7 => {
                if let Some(number) = self.nth(pick, |truth| *truth == Truth::Starting) {
                    self.workers.remove(&number);
                    self.feed(Event::CannotLoad { number, error: Error::invalid("no model") });
                }
            }
            8 | 9 => {
                let ended = if pick.is_multiple_of(3) { Ended::Somehow } else { Ended::Well };
                if let Some(number) = self.nth(pick, |truth| matches!(truth, Truth::Busy(_) | Truth::Checking)) {
                    self.ends(number, ended);
                }
            }
            10 => {
                let time = [0.1, 1.0, 5.0, 40.0][pick % 4];
                self.now.at += Duration::from_secs_f64(time);
                self.feed(Event::Tick);
            }
            11 => {
                // A guest comes.
                if let Ok(number) = self.roster.admit(model(3 + pick % 2), self.now) {
                    self.workers.insert(number, (model(3 + pick % 2), Truth::Starting, true));
                }
            }
            12 => self.feed(Event::Unload { model: model(pick) }),
            13 | 14 => self.hold(model(pick / 2), pick.is_multiple_of(2)),
            15 => self.reload(model(pick)),
            _ => {
                self.unload_unused(model(pick)).unwrap_or_default();
            }
        }
    }

    /// Lets everything come to rest: who holds a model lets go, time passes, starts succeed, leases end.
    pub(super) fn rest(&mut self) {
        self.held.clear();
        self.feed(Event::Held { held: BTreeMap::new() });
        for _ in 0..400 {
            if self.waiting.is_empty() && self.reloading.is_empty() {
                return;
            }
            self.step(3, 0);
            self.step(8, 1);
            self.step(6, 0);
            if let Some(at) = self.roster.wake_at() {
                self.now.at = self.now.at.max(at);
            }
            self.feed(Event::Tick);
        }
    }
}
