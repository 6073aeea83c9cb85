//! The world around a roster in its tests: what is true of processes, callers and time, and what must be at every moment.

use crate::server::supervisor::{
    death::Cause,
    roster::*,
    view::{ModelState, WorkerState},
};
use std::collections::{BTreeSet, HashMap};

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
        defaults: vec![ModelId::SelfTest],
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
}

impl World {
    pub(super) fn new(policy: Policy) -> Self {
        let now = Moment { at: Instant::now(), wall: SystemTime::UNIX_EPOCH, free_memory: Some(8 << 30) };
        Self {
            roster: Roster::new(policy, 7),
            now,
            callers: 0,
            workers: BTreeMap::new(),
            waiting: HashMap::new(),
            answered: BTreeSet::new(),
            used: BTreeSet::new(),
            losses: HashMap::new(),
        }
    }

    pub(super) fn feed(&mut self, event: Event<u32, u64>) {
        for decision in self.roster.on(event, self.now) {
            self.carry_out(decision);
        }
        self.check();
    }

    pub(super) fn carry_out(&mut self, decision: Decision<u32, u64>) {
        match decision {
            Decision::Start { number, model } => {
                assert!(is_startable(&model), "only what we can start");
                assert!(self.workers.insert(number, (model, Truth::Starting, false)).is_none(), "a number used twice");
            }
            Decision::Grant { number, worker, to } => {
                assert_eq!(worker, number.0, "the worker is the one that became ready under this number");
                let (model, truth, _) = self.workers.get_mut(&number).expect("only who lives is given");
                assert_eq!(*truth, Truth::Idle, "only who is idle is given");
                assert!(self.used.insert(number) || !is_used_up(model), "a worker that is used up is given again");
                let (wanted, _) = self.waiting.remove(&to).expect("given to who waits");
                assert_eq!(wanted, *model, "given to who wants this model");
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
                if error.to_string().contains("has failed") {
                    assert!(self.losses.get(&model).is_some_and(|losses| *losses >= 3), "three losses, not before");
                    assert!(!again, "who has lost a worker already is not new");
                    assert!(error.details().retry_after.is_some_and(|wait| !wait.is_zero()), "it says when");
                    assert_eq!(error.kind(), Kind::Unavailable);
                }
            }
            Decision::Dismiss { number } => {
                let (_, truth, _) = self.workers.get_mut(&number).expect("only who lives is dismissed");
                assert!(!matches!(truth, Truth::Busy(_) | Truth::Dismissed), "{truth:?} is not dismissed");
                *truth = Truth::Dismissed;
            }
        }
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
        for model in (0..5).map(model) {
            let count = |is: fn(&Truth) -> bool, guests: bool| {
                let of =
                    |(other, truth, guest): &&(ModelId, Truth, bool)| *other == model && is(truth) && *guest == guests;
                self.workers.values().filter(of).count()
            };
            assert!(count(|truth| matches!(truth, Truth::Busy(_)), false) <= limit(&model));
            let waits = self.waiting.values().filter(|(wanted, _)| *wanted == model).count();
            if waits == 0 {
                continue;
            }
            let free = count(|truth| *truth == Truth::Idle, true)
                + if count(|truth| matches!(truth, Truth::Busy(_)), false) < limit(&model) {
                    count(|truth| *truth == Truth::Idle, false)
                } else {
                    0
                };
            assert_eq!(free, 0, "nobody waits beside an idle worker");
            let alive =
                count(|truth| *truth != Truth::Dismissed, false) + count(|truth| *truth != Truth::Dismissed, true);
            let starting =
                count(|truth| *truth == Truth::Starting, false) + count(|truth| *truth == Truth::Starting, true);
            let busy = count(|truth| matches!(truth, Truth::Busy(_)), false);
            let pool = &self.roster.pools[&model];
            // One starts for each; or there is no room for more; or one is on trial; or, at the latest when the wait
            // after a loss is over, somebody looks.
            let wakes = match (self.roster.wake_at(), pool.budget.not_before()) {
                (Some(at), Some(not_before)) => at <= not_before,
                _ => false,
            };
            assert!(
                starting >= waits
                    || starting + busy >= limit(&model)
                    || living >= MAX_WORKERS
                    || (pool.budget.is_spent() && alive > 0)
                    || wakes
                    || !is_startable(&model),
                "who waits, waits for something"
            );
        }
        for seen in &view.models {
            if seen.state == ModelState::Failed {
                assert!(seen.reason.is_some(), "a failure has a reason");
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
                    self.workers.get_mut(&number).expect("it is there").1 = Truth::Idle;
                    self.feed(Event::Ready { number, worker: number.0, body: Body::default(), memory: 1 << 20 });
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
            _ => self.feed(Event::Unload { model: model(pick) }),
        }
    }

    /// Lets everything come to rest: time passes, starts succeed, leases end.
    pub(super) fn rest(&mut self) {
        for _ in 0..400 {
            if self.waiting.is_empty() {
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
