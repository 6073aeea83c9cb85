//! Thousands of random lives of workers and callers, against what must be true of them at every moment.

mod laws;
mod staying;
mod world;

use super::*;
use crate::{
    error::Kind,
    server::supervisor::{death::Cause, view::ModelState},
};
use proptest::prelude::*;
use world::{GONE, Truth, World, model, policy};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn the_invariants_hold(
        policy in any_policy(),
        steps in proptest::collection::vec((0u8..17, any::<usize>()), 0..100),
    ) {
        let mut world = World::new(policy);
        for (action, pick) in steps {
            world.step(action, pick);
        }
        world.rest();
        prop_assert!(world.waiting.is_empty(), "somebody waits for ever: {:?}", world.waiting);
        prop_assert!(world.reloading.is_empty(), "somebody waits for ever for {:?}", world.reloading);
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let spares = prop_oneof![Just(Spares::Always), Just(Spares::Never)];
    let residency = prop_oneof![Just(0), Just(20), Just(150)].prop_map(Duration::from_secs);
    let preloaded = prop_oneof![Just(Vec::new()), Just(vec![model(4)])];
    let limits = (proptest::option::of(1usize..4), prop_oneof![Just(1usize), Just(2), Just(MAX_WORKERS)]);
    (spares, residency, preloaded, limits).prop_map(|(spares, min_residency, preloaded, (max_models, max_loads))| {
        Policy { spares, min_residency, preloaded, max_models, max_loads, ..policy() }
    })
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

fn turn(again: bool) -> Turn {
    if again { Turn::Again } else { Turn::New }
}

fn wanted(world: &mut World, model: ModelId, again: bool) -> u32 {
    world.callers += 1;
    world.waiting.insert(world.callers, (model.clone(), again));
    let until = world.now.at + Duration::from_secs(60);
    world.feed(Event::Wanted { model, by: world.callers, until, turn: turn(again) });
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
    let decisions = world.roster.on(Event::Wanted { model: model(4), by, until, turn: Turn::New }, world.now);
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
    world.roster.on(Event::Wanted { model: ModelId::SelfTest, by: 1, until, turn: Turn::New }, world.now);
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
    let wanted = |by| Event::Wanted { model: ModelId::SelfTest, by, until, turn: Turn::New };
    for by in GONE..GONE + MAX_WAITING as u32 {
        world.roster.on(wanted(by), world.now);
    }
    assert!(world.roster.on(wanted(1), world.now).is_empty(), "one is starting");
    let ready = Event::Ready { number: WorkerNumber(1), worker: 1, body: Body::default(), memory: 0 };
    let decisions = world.roster.on(ready, world.now);
    assert!(matches!(&decisions[..], [Decision::Grant { to: 1, .. }]));
}

#[test]
fn the_patient_are_served_in_their_turn_and_never_refused() {
    let mut world = World::new(policy());
    let until = world.now.at + Duration::from_secs(60);
    let wanted = |by, turn| Event::Wanted { model: ModelId::SelfTest, by, until, turn };
    for by in 0..2 * MAX_WAITING as u32 {
        let decisions = world.roster.on(wanted(by, Turn::Patient), world.now);
        assert!(!decisions.iter().any(|decision| matches!(decision, Decision::Refuse { .. })));
    }
    for by in 7_000..7_003 {
        world.roster.on(wanted(by, Turn::Again), world.now);
    }
    let waiting: Vec<u32> = world.roster.waiting.iter().map(|waiting| waiting.by).collect();
    assert_eq!(waiting[..5], [7_000, 7_001, 7_002, 0, 1], "who comes back goes before, in order among themselves");
}

/// Mock's spare was being loaded, and selftest waited for that. The spare goes for espeak, which does not wait for others,
/// and takes the one place.
#[test]
fn who_waits_is_told_when_what_it_waits_for_goes() {
    let mut world = settled(Policy { max_models: Some(1), max_loads: 1, ..policy() });
    while let Some(idle) = world.nth(0, |truth| *truth == Truth::Idle) {
        world.lose(idle, Cause::Signal(9));
    }
    assert_eq!(world.loads(), 1);
    let waits = wanted(&mut world, model(0), false);
    assert!(world.waiting.contains_key(&waits));
    let served = wanted(&mut world, model(1), false);
    assert!(world.waiting.contains_key(&served) && world.answered.contains(&waits));
}

/// One that is to come back waits for room, and nobody looks at it meanwhile without an end.
#[test]
fn what_is_to_stay_waits_for_room() {
    let mut world = World::new(Policy { spares: Spares::Never, preloaded: vec![model(4)], ..policy() });
    wanted(&mut world, model(4), false);
    world.step(3, 0);
    world.step(8, 1);
    let idle = world.nth(0, |truth| *truth == Truth::Idle).expect("it has worked");
    world.lose(idle, Cause::Signal(9));
    for n in 0..MAX_WORKERS {
        wanted(&mut world, ModelId::Mock(n.to_string()), false);
    }
    assert_eq!(world.workers.len(), MAX_WORKERS);
    while world.nth(0, |truth| *truth == Truth::Starting).is_some() {
        world.step(3, 0);
        world.step(8, 1);
    }
    world.feed(Event::Tick);
    let first = world.nth(0, |truth| *truth == Truth::Idle).expect("they have worked");
    world.lose(first, Cause::Signal(9));
    world.feed(Event::Tick);
    assert!(world.workers.values().any(|(of, truth, _)| *of == model(4) && *truth == Truth::Starting));
}

#[test]
fn the_queue_has_a_bound() {
    let mut world = World::new(policy());
    let until = world.now.at + Duration::from_secs(1);
    let wanted = |by| Event::Wanted { model: ModelId::SelfTest, by, until, turn: Turn::New };
    for by in 0..MAX_WAITING as u32 {
        world.roster.on(wanted(by), world.now);
    }
    let decisions = world.roster.on(wanted(MAX_WAITING as u32), world.now);
    assert!(matches!(&decisions[..], [Decision::Refuse { error, .. }] if error.kind() == Kind::Busy));
}
