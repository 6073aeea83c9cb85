//! Thousands of random lives of workers and callers, against what must be true of them at every moment.

use super::*;
use crate::server::supervisor::{
    death::Cause,
    view::{ModelState, WorkerState},
};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

impl Caller for u32 {
    fn has_gone(&self) -> bool {
        *self >= GONE
    }
}

const GONE: u32 = 1_000_000;

fn model(n: usize) -> ModelId {
    match n % 5 {
        0 => ModelId::SelfTest,
        1 => ModelId::Espeak,
        2 => ModelId::Called { address: "http://far:1".to_owned(), recognises: true },
        3 => ModelId::DialledIn { name: "guest".to_owned(), recognises: true, speaks: false },
        _ => ModelId::Mock(String::new()),
    }
}

fn policy() -> Policy {
    Policy {
        spares: Spares::Always,
        idle_timeout: Some(Duration::from_secs(100)),
        check_after: Some(Duration::from_secs(30)),
        defaults: vec![ModelId::SelfTest],
    }
}

fn death(cause: Cause) -> Death {
    Death::of(cause)
}

/// What a world knows of a worker: the truth, as its process would tell it.
#[derive(Clone, Debug, PartialEq)]
enum Truth {
    Starting,
    Idle,
    Busy(u32),
    Checking,
    Dismissed,
}

/// The world around a roster: what is true of processes, callers and time.
struct World {
    roster: Roster<u32, u64>,
    now: Moment,
    callers: u32,
    workers: BTreeMap<WorkerNumber, (ModelId, Truth, bool)>,
    waiting: HashMap<u32, (ModelId, bool)>,
    answered: BTreeSet<u32>,
    used: BTreeSet<WorkerNumber>,
    /// Losses in a row by each model's own doing, by the simplest possible count.
    losses: HashMap<ModelId, u32>,
}

impl World {
    fn new(policy: Policy) -> Self {
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

    fn feed(&mut self, event: Event<u32, u64>) {
        for decision in self.roster.on(event, self.now) {
            self.carry_out(decision);
        }
        self.check();
    }

    fn carry_out(&mut self, decision: Decision<u32, u64>) {
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
    fn check(&mut self) {
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

    fn lose(&mut self, number: WorkerNumber, cause: Cause) {
        let Some((model, _, _)) = self.workers.remove(&number) else { return };
        if cause.is_models_doing() {
            *self.losses.entry(model).or_default() += 1;
        }
        self.feed(Event::Dead { number, death: death(cause) });
    }

    fn nth(&self, pick: usize, is: impl Fn(&Truth) -> bool) -> Option<WorkerNumber> {
        let fitting: Vec<WorkerNumber> =
            self.workers.iter().filter(|(_, (_, truth, _))| is(truth)).map(|(number, _)| *number).collect();
        fitting.get(pick % fitting.len().max(1)).copied()
    }

    fn ends(&mut self, number: WorkerNumber, ended: Ended) {
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

    fn step(&mut self, action: u8, pick: usize) {
        match action {
            0..=2 => {
                self.callers += 1;
                let (model, again) = (model(pick), pick.is_multiple_of(7));
                self.waiting.insert(self.callers, (model.clone(), again));
                let until = self.now.at + Duration::from_secs(60);
                self.feed(Event::Wanted { model, by: self.callers, until, again });
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
    fn rest(&mut self) {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn the_invariants_hold(steps in proptest::collection::vec((0u8..13, any::<usize>()), 0..100)) {
        let mut world = World::new(policy());
        for (action, pick) in steps {
            world.step(action, pick);
        }
        world.rest();
        prop_assert!(world.waiting.is_empty(), "somebody waits for ever: {:?}", world.waiting);
    }
}

/// A world in which a mock has worked once, and rests.
fn settled(policy: Policy) -> World {
    let mut world = World::new(policy);
    world.step(0, 4);
    world.step(3, 0);
    world.step(8, 1);
    while world.nth(0, |truth| *truth == Truth::Starting).is_some() {
        world.step(3, 0);
    }
    world
}

fn wanted(world: &mut World, model: ModelId, again: bool) -> u32 {
    world.callers += 1;
    world.waiting.insert(world.callers, (model.clone(), again));
    let until = world.now.at + Duration::from_secs(60);
    world.feed(Event::Wanted { model, by: world.callers, until, again });
    world.callers
}

#[test]
fn a_model_that_is_in_use_has_a_spare() {
    let world = settled(policy());
    assert_eq!(world.workers.len(), 2, "one to work and one to spare");
    let world = settled(Policy { spares: Spares::Never, ..policy() });
    assert_eq!(world.workers.len(), 1);
    let mut world = World::new(Policy { spares: Spares::WhereMemoryAllows, ..policy() });
    world.now.free_memory = Some(100 << 20);
    world.step(0, 4);
    world.step(3, 0);
    world.step(8, 1);
    assert_eq!(world.workers.len(), 1, "there is no memory for a spare");
}

#[test]
fn the_spare_takes_over_at_once_and_is_replaced() {
    let mut world = settled(policy());
    wanted(&mut world, model(4), false);
    let busy = world.nth(0, |truth| matches!(truth, Truth::Busy(_))).expect("it works");
    world.lose(busy, Cause::Signal(9));
    assert!(world.nth(0, |truth| *truth == Truth::Starting).is_some(), "the next spare starts at once");
    let again = wanted(&mut world, model(4), true);
    assert!(world.answered.contains(&again), "the spare was there");
}

#[test]
fn three_losses_in_a_row_and_newcomers_are_refused_until_the_wait_is_over() {
    let mut world = World::new(Policy { spares: Spares::Never, ..policy() });
    let mock = model(4);
    for loss in 0..3 {
        wanted(&mut world, mock.clone(), loss > 0);
        if world.nth(0, |truth| *truth == Truth::Starting).is_none() {
            world.now.at = world.roster.wake_at().expect("it waits for something");
            world.feed(Event::Tick);
        }
        world.step(3, 0);
        let busy = world.nth(0, |truth| matches!(truth, Truth::Busy(_))).expect("it works");
        world.lose(busy, Cause::Signal(6));
    }
    let newcomer = wanted(&mut world, mock.clone(), false);
    assert!(world.answered.contains(&newcomer), "refused at once");
    let seen = world.roster.model(&mock).expect("it is known");
    assert_eq!(seen.state, ModelState::Failed);
    assert!(
        seen.reason
            .is_some_and(|reason| reason.contains("3 times in a row, the last time because it was killed by SIGABRT"))
    );
    // The wait is over: one may show that it can do better.
    world.now.at += Duration::from_secs(2);
    let patient = wanted(&mut world, mock.clone(), false);
    wanted(&mut world, mock.clone(), false);
    assert_eq!(world.workers.len(), 1, "one on trial, not two");
    world.step(3, 0);
    assert!(world.answered.contains(&patient));
    world.step(8, 1);
    assert_eq!(world.roster.model(&mock).expect("it is known").state, ModelState::Ready);
}

#[test]
fn kills_from_outside_do_not_fail_a_model() {
    let mut world = World::new(Policy { spares: Spares::Never, ..policy() });
    for _ in 0..9 {
        wanted(&mut world, model(4), true);
        world.step(3, 0);
        let busy = world.nth(0, |truth| matches!(truth, Truth::Busy(_))).expect("it starts at once each time");
        world.lose(busy, Cause::Signal(9));
    }
    assert_ne!(world.roster.model(&model(4)).expect("it is known").state, ModelState::Failed);
}

#[test]
fn a_default_that_failed_is_tried_and_checked_though_nobody_asks() {
    let mut world = World::new(Policy { spares: Spares::Never, ..policy() });
    let selftest = ModelId::SelfTest;
    for _ in 0..3 {
        wanted(&mut world, selftest.clone(), true);
        while world.nth(0, |truth| *truth == Truth::Starting).is_none() {
            world.now.at = world.roster.wake_at().expect("it waits for something");
            world.feed(Event::Tick);
        }
        let starting = world.nth(0, |truth| *truth == Truth::Starting).expect("it starts");
        world.lose(starting, Cause::Signal(6));
    }
    // Whoever still waits is answered by the trial; then nobody waits.
    world.now.at = world.roster.wake_at().expect("it will try");
    world.feed(Event::Tick);
    assert_eq!(world.roster.live(&selftest), 1, "the trial");
    world.rest();
    assert_eq!(world.roster.model(&selftest).expect("it is known").state, ModelState::Ready);
}

#[test]
fn what_is_not_used_is_unloaded_and_what_is_idle_is_checked() {
    let mut world = settled(policy());
    world.now.at += Duration::from_secs(31);
    world.feed(Event::Tick);
    assert!(world.nth(0, |truth| *truth == Truth::Checking).is_some());
    while let Some(number) = world.nth(0, |truth| *truth == Truth::Checking) {
        world.ends(number, Ended::Well);
    }
    world.now.at += Duration::from_secs(70);
    world.feed(Event::Tick);
    assert!(world.workers.values().all(|(_, truth, _)| *truth == Truth::Dismissed), "{:?}", world.workers);
    assert_eq!(world.roster.model(&model(4)).expect("it is known").state, ModelState::NotLoaded);
}

#[test]
fn a_check_gives_way_to_a_caller() {
    let mut world = settled(Policy { spares: Spares::Never, ..policy() });
    world.now.at += Duration::from_secs(31);
    world.feed(Event::Tick);
    let checking = world.nth(0, |truth| *truth == Truth::Checking).expect("it is checked");
    world.callers += 1;
    let by = world.callers;
    world.waiting.insert(by, (model(4), false));
    let until = world.now.at + Duration::from_secs(60);
    let decisions = world.roster.on(Event::Wanted { model: model(4), by, until, again: false }, world.now);
    assert!(decisions.iter().any(|decision| matches!(decision, Decision::Interrupt { number } if *number == checking)));
}

#[test]
fn the_least_used_makes_room() {
    let mut world = settled(Policy { spares: Spares::Never, ..policy() });
    world.roster.pools.entry(ModelId::SelfTest).or_default().size = 6 << 30;
    world.now.free_memory = Some(1 << 30);
    wanted(&mut world, ModelId::SelfTest, false);
    let mock = world.workers.values().find(|(id, ..)| *id == model(4)).expect("it was there");
    assert_eq!(mock.1, Truth::Dismissed, "it makes room for a model that would not fit");
}

#[test]
fn who_waits_too_long_is_sent_away() {
    let mut world = World::new(policy());
    let until = world.now.at;
    world.roster.on(Event::Wanted { model: ModelId::SelfTest, by: 1, until, again: false }, world.now);
    let decisions = world.roster.on(Event::Tick, world.now);
    assert!(matches!(&decisions[..], [Decision::Refuse { error, to: 1 }] if error.kind() == Kind::Busy));
}

#[test]
fn nobody_waits_long_for_a_guest_that_does_not_come() {
    let mut world = World::new(policy());
    wanted(&mut world, model(3), false);
    world.now.at += DIAL_IN_AGAIN;
    world.feed(Event::Tick);
    assert!(world.waiting.is_empty());
}

#[test]
fn who_has_gone_takes_nobodys_place() {
    let mut world = World::new(policy());
    let until = world.now.at + Duration::from_secs(1);
    let wanted = |by| Event::Wanted { model: ModelId::SelfTest, by, until, again: false };
    for by in GONE..GONE + MAX_WAITING as u32 {
        world.roster.on(wanted(by), world.now);
    }
    assert!(world.roster.on(wanted(1), world.now).is_empty(), "one is starting");
    let ready = Event::Ready { number: WorkerNumber(1), worker: 1, body: Body::default(), memory: 0 };
    let decisions = world.roster.on(ready, world.now);
    assert!(matches!(&decisions[..], [Decision::Grant { to: 1, .. }]));
}

#[test]
fn the_queue_has_a_bound() {
    let mut world = World::new(policy());
    let until = world.now.at + Duration::from_secs(1);
    let wanted = |by| Event::Wanted { model: ModelId::SelfTest, by, until, again: false };
    for by in 0..MAX_WAITING as u32 {
        world.roster.on(wanted(by), world.now);
    }
    let decisions = world.roster.on(wanted(MAX_WAITING as u32), world.now);
    assert!(matches!(&decisions[..], [Decision::Refuse { error, .. }] if error.kind() == Kind::Busy));
}
