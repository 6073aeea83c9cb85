//! Lives of models: which stay, which go for others, which load when, and how one is loaded afresh.

use super::{wanted, world::*, *};

/// Rules under which one model may be loaded, and nothing is started before it is needed.
fn narrow() -> Policy {
    Policy { spares: Spares::Never, max_models: Some(1), defaults: Vec::new(), ..policy() }
}

fn mock(name: &str) -> ModelId {
    ModelId::Mock(name.to_owned())
}

/// Loads a model for a caller, who is through with it at once.
fn load(world: &mut World, model: &ModelId) {
    let caller = wanted(world, model.clone(), false);
    if let Some(number) = starting(world, model) {
        world.becomes_ready(number);
    }
    assert!(world.answered.contains(&caller), "{model} can be had");
    rest_all(world);
}

/// Ends all calls.
fn rest_all(world: &mut World) {
    while let Some(number) = world.nth(0, |truth| matches!(truth, Truth::Busy(_))) {
        world.ends(number, Ended::Well);
    }
}

fn starting(world: &World, model: &ModelId) -> Option<WorkerNumber> {
    find(world, model, |truth| *truth == Truth::Starting)
}

fn find(world: &World, model: &ModelId, is: impl Fn(&Truth) -> bool) -> Option<WorkerNumber> {
    let mut workers = world.workers.iter().rev();
    workers.find(|(_, (other, truth, _))| other == model && is(truth)).map(|(number, _)| *number)
}

fn loaded(world: &World) -> Vec<ModelId> {
    world.here().collect()
}

fn pass(world: &mut World, seconds: u64) {
    world.now.at += Duration::from_secs(seconds);
    world.now.wall += Duration::from_secs(seconds);
    world.feed(Event::Tick);
}

/// Asks as somebody new, or who lost a worker; tells how that was refused at once, if it was.
fn ask(world: &mut World, model: &ModelId, turn: Turn) -> Option<Error> {
    world.callers += 1;
    let by = world.callers;
    world.waiting.insert(by, (model.clone(), turn != Turn::New));
    let until = world.now.at + Duration::from_secs(600);
    let mut refused = None;
    for decision in world.roster.on(Event::Wanted { model: model.clone(), by, until, turn }, world.now) {
        if let Decision::Refuse { error, .. } = &decision {
            refused = Some(error.again());
        }
        world.carry_out(decision);
    }
    world.check();
    refused
}

#[test]
fn the_least_recently_used_goes_for_another() {
    let mut world = World::new(Policy { max_models: Some(2), ..narrow() });
    let (a, b, c) = (mock("a"), mock("b"), mock("c"));
    for model in [&a, &b, &a, &c] {
        pass(&mut world, 1);
        load(&mut world, model);
    }
    assert_eq!(loaded(&world), [a, c], "b was loaded after a, but used before it");
}

#[test]
fn who_stays_does_so_whatever_others_want() {
    let (a, b) = (mock("a"), mock("b"));
    // What is loaded; whether it is a default, preloaded, held, at work; whether it stays.
    for (is_default, preloaded, is_held, is_busy, stays) in [
        (true, false, false, false, true),
        (false, true, false, false, true),
        (false, false, true, false, true),
        (false, false, false, true, true),
        (false, false, false, false, false),
    ] {
        let list = |is: bool| if is { vec![a.clone()] } else { Vec::new() };
        let mut world = World::new(Policy { defaults: list(is_default), preloaded: list(preloaded), ..narrow() });
        load(&mut world, &a);
        if is_held {
            world.hold(a.clone(), true);
        }
        if is_busy {
            wanted(&mut world, a.clone(), false);
        }
        let refused = ask(&mut world, &b, Turn::New);
        assert_eq!(refused.is_some(), stays);
        if let Some(error) = refused {
            let message = "there is no place for `mock:b`: as many models are loaded as `--max-models 1` allows";
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(error.details().retry_after, Some(COME_BACK));
        }
        rest_all(&mut world);
        // Who lost a worker waits, and is helped as soon as that can be.
        ask(&mut world, &b, Turn::Again);
        world.hold(a.clone(), false);
        assert_eq!(starting(&world, &b).is_none(), is_default || preloaded);
    }
}

#[test]
fn a_model_has_its_least_time() {
    let (a, b) = (mock("a"), mock("b"));
    let mut world = World::new(Policy { min_residency: Duration::from_secs(20), ..narrow() });
    load(&mut world, &a);
    pass(&mut world, 5);
    let refused = ask(&mut world, &b, Turn::New).expect("it is too early");
    assert_eq!(refused.details().retry_after, Some(Duration::from_secs(15)), "it says when");
    assert!(ask(&mut world, &b, Turn::Patient).is_none());
    assert_eq!(world.roster.wake_at(), Some(world.now.at + Duration::from_secs(15)));
    pass(&mut world, 15);
    assert_eq!(loaded(&world), [b]);
}

#[test]
fn time_unloads_what_nobody_keeps() {
    let (a, b, c) = (mock("a"), mock("b"), mock("c"));
    let late = Duration::from_secs(150);
    let rules = Policy { max_models: None, check_after: None, preloaded: vec![b.clone()], ..narrow() };
    let mut world = World::new(Policy { min_residency: late, ..rules.clone() });
    [&a, &b, &c].iter().for_each(|model| load(&mut world, model));
    world.hold(c.clone(), true);
    pass(&mut world, 149);
    assert_eq!(loaded(&world).len(), 3, "a hundred seconds are over, but not the least time");
    pass(&mut world, 1);
    assert_eq!(loaded(&world), [b.clone(), c.clone()]);
    // From when it was let go, not from when it was called.
    world.hold(c.clone(), false);
    pass(&mut world, 99);
    assert_eq!(loaded(&world), [b.clone(), c.clone()]);
    pass(&mut world, 1);
    assert_eq!(loaded(&world), [b]);
    // Where the idle time is longer, it counts.
    let mut world = World::new(Policy { min_residency: Duration::from_secs(20), ..rules });
    load(&mut world, &a);
    pass(&mut world, 99);
    assert_eq!(loaded(&world), [a]);
    pass(&mut world, 1);
    assert!(loaded(&world).is_empty());
}

#[test]
fn who_lets_go_of_what_is_gone_brings_nothing_back() {
    let a = mock("a");
    let mut world = World::new(Policy { preloaded: vec![a.clone()], ..narrow() });
    load(&mut world, &a);
    world.hold(a.clone(), true);
    world.feed(Event::Unload { model: a.clone() });
    world.hold(a, false);
    world.feed(Event::Tick);
    assert!(loaded(&world).is_empty());
}

#[test]
fn what_is_to_stay_comes_back_when_its_worker_dies_unless_it_was_unloaded() {
    let a = mock("a");
    for is_preloaded in [true, false] {
        let preloaded = if is_preloaded { vec![a.clone()] } else { Vec::new() };
        let mut world = World::new(Policy { preloaded, ..narrow() });
        if !is_preloaded {
            world.hold(a.clone(), true);
        }
        world.feed(Event::Tick);
        assert!(loaded(&world).is_empty(), "somebody has to say when");
        load(&mut world, &a);
        let idle = find(&world, &a, |truth| *truth == Truth::Idle).expect("it is there");
        world.lose(idle, Cause::Signal(9));
        assert_eq!(world.roster.wake_at().map(|at| at <= world.now.at), Some(true));
        world.feed(Event::Tick);
        assert!(starting(&world, &a).is_some());
        world.feed(Event::Unload { model: a.clone() });
        world.feed(Event::Tick);
        assert!(loaded(&world).is_empty());
    }
}

#[test]
fn no_spare_takes_a_place() {
    let (a, b) = (mock("a"), mock("b"));
    let mut world = World::new(Policy { spares: Spares::Always, ..narrow() });
    load(&mut world, &a);
    assert_eq!(world.workers.len(), 2, "one place is enough for a worker and its spare");
    let mut world = World::new(Policy { spares: Spares::WhereMemoryAllows, ..narrow() });
    world.now.free_memory = Some(100 << 20);
    load(&mut world, &a);
    ask(&mut world, &a, Turn::New);
    ask(&mut world, &b, Turn::Again);
    world.now.free_memory = Some(8 << 30);
    // It had no spare, and now could have one.
    world.lose(find(&world, &a, |truth| *truth != Truth::Dismissed).expect("it works"), Cause::Signal(9));
    assert_eq!(loaded(&world), [b]);
}

#[test]
fn models_load_one_after_the_other_and_in_order() {
    let mut world = World::new(Policy { max_models: None, max_loads: 1, ..narrow() });
    let [a, b, c] = ["a", "b", "c"].map(mock);
    for model in [&a, &b, &c] {
        assert!(ask(&mut world, model, Turn::New).is_none(), "it waits");
    }
    world.becomes_ready(starting(&world, &a).expect("it is the first"));
    let second = starting(&world, &b).expect("it is its turn");
    assert!(starting(&world, &c).is_none(), "and not yet that of the third");
    // One that fails leaves its turn to the next, too.
    world.lose(second, Cause::Signal(9));
    assert!(starting(&world, &c).is_some());
    // Nobody waits for others before each sentence, nor with what was in work.
    for (model, turn) in [(&ModelId::Espeak, Turn::New), (&b, Turn::Again), (&a, Turn::New)] {
        ask(&mut world, model, turn);
        assert!(starting(&world, model).is_some(), "{model}");
    }
}

#[test]
fn one_that_nobody_uses_can_be_unloaded_by_anybody() {
    let a = mock("a");
    let mut world = World::new(narrow());
    assert_eq!(world.unload_unused(a.clone()), Ok(false), "it is not loaded");
    ask(&mut world, &a, Turn::New);
    assert_eq!(world.unload_unused(a.clone()), Err(Kind::InUse), "somebody waits for it");
    world.step(3, 0);
    assert_eq!(world.unload_unused(a.clone()), Err(Kind::InUse), "it works");
    rest_all(&mut world);
    world.hold(a.clone(), true);
    world.hold(a.clone(), true);
    world.hold(a.clone(), false);
    assert_eq!(world.unload_unused(a.clone()), Err(Kind::InUse), "one still holds it");
    world.hold(a.clone(), false);
    world.reload(a.clone());
    assert_eq!(world.unload_unused(a.clone()), Err(Kind::InUse), "it is loaded afresh");
    world.step(3, 0);
    assert_eq!(world.unload_unused(a.clone()), Ok(true));
    assert_eq!(world.unload_unused(a), Ok(false), "it is on its way out");
}

#[test]
fn a_hold_that_ends_while_its_model_drains_changes_nothing() {
    let a = mock("a");
    let mut world = World::new(narrow());
    load(&mut world, &a);
    world.hold(a.clone(), true);
    ask(&mut world, &a, Turn::New);
    world.feed(Event::Unload { model: a.clone() });
    world.hold(a.clone(), false);
    assert_eq!(world.unload_unused(a.clone()), Err(Kind::InUse), "the call goes on");
    rest_all(&mut world);
    assert!(loaded(&world).is_empty());
}

#[test]
fn who_has_gone_uses_nothing() {
    let a = mock("a");
    let mut world = World::new(narrow());
    let until = world.now.at + Duration::from_secs(60);
    for decision in world.roster.on(Event::Wanted { model: a.clone(), by: GONE, until, turn: Turn::New }, world.now) {
        world.carry_out(decision);
    }
    assert_eq!(world.roster.may_be_unloaded(&a).map_err(|error| error.kind()), Ok(true), "it starts for nobody");
}

#[test]
fn the_old_works_until_the_fresh_one_is_ready_and_ends_with_its_call() {
    let a = mock("a");
    let mut world = World::new(Policy { max_models: None, ..narrow() });
    load(&mut world, &a);
    let old = find(&world, &a, |truth| *truth == Truth::Idle).expect("it is there");
    pass(&mut world, 3);
    world.reload(a.clone());
    world.reload(a.clone());
    let fresh = starting(&world, &a).expect("it starts");
    assert_eq!(world.workers.len(), 2, "who asks meanwhile shares it");
    ask(&mut world, &a, Turn::New);
    assert!(matches!(world.workers[&old].1, Truth::Busy(_)), "the old one works");
    world.becomes_ready(fresh);
    assert_eq!(world.reloaded, [(a.clone(), Ok(true))]);
    ask(&mut world, &a, Turn::New);
    assert!(matches!(world.workers[&fresh].1, Truth::Busy(_)));
    world.ends(old, Ended::Well);
    assert_eq!(world.workers[&old].1, Truth::Dismissed);
    assert_eq!(world.roster.model(&a).expect("it is known").since, Some(world.now.wall));
    // The next time is another time.
    world.reload(a.clone());
    assert!(starting(&world, &a).is_some());
}

#[test]
fn a_fresh_one_that_fails_leaves_all_as_it_was() {
    let a = mock("a");
    let mut world = World::new(narrow());
    load(&mut world, &a);
    for attempt in 0..5 {
        world.reload(a.clone());
        let fresh = starting(&world, &a).expect("it starts");
        match attempt {
            0 => world.lose(fresh, Cause::Signal(9)),
            1 => {
                world.workers.remove(&fresh);
                world.feed(Event::CannotLoad { number: fresh, error: Error::invalid("it is damaged") });
            }
            _ => world.lose(fresh, Cause::Signal(6)),
        }
    }
    let told: Vec<Result<bool, Kind>> = world.reloaded.drain(..).map(|(_, result)| result).collect();
    assert_eq!(told[..2], [Err(Kind::Unavailable), Err(Kind::InvalidInput)]);
    assert_eq!(told[2..], [Err(Kind::Internal); 3]);
    let seen = world.roster.model(&a).expect("it is known");
    assert_eq!((seen.state, seen.reason), (ModelState::Ready, None));
    let caller = wanted(&mut world, a.clone(), false);
    assert!(world.answered.contains(&caller), "the old one works on");
    assert!(ask(&mut world, &a, Turn::New).is_none(), "three deaths do not close it");
}

#[test]
fn there_is_nothing_to_replace() {
    let a = mock("a");
    let mut world = World::new(Policy { max_loads: 1, max_models: None, ..narrow() });
    world.reload(a.clone());
    assert_eq!(world.reloaded, [(a.clone(), Ok(false))], "it is not loaded");
    assert!(world.workers.is_empty());
    for elsewhere in [model(2), model(3)] {
        world.reload(elsewhere.clone());
        assert_eq!(world.reloaded.pop(), Some((elsewhere, Err(Kind::Unsupported))));
    }
    // It waits for its turn, and is unloaded meanwhile.
    load(&mut world, &a);
    ask(&mut world, &mock("b"), Turn::New);
    world.reload(a.clone());
    assert!(starting(&world, &a).is_none(), "another loads");
    world.feed(Event::Unload { model: a.clone() });
    assert_eq!(world.reloaded.pop(), Some((a.clone(), Ok(false))));
    world.step(3, 0);
    // It is unloaded while the fresh one loads.
    load(&mut world, &a);
    world.reload(a.clone());
    world.feed(Event::Unload { model: a.clone() });
    assert!(loaded(&world).iter().all(|model| *model != a));
    while world.nth(0, |truth| *truth == Truth::Dismissed).is_some() {
        world.step(6, 0);
    }
    assert_eq!(world.reloaded.pop(), Some((a, Err(Kind::Unavailable))));
}

#[test]
fn a_reload_has_its_turn_and_its_spare() {
    let (a, b) = (mock("a"), mock("b"));
    let mut world = World::new(Policy { max_loads: 1, max_models: None, spares: Spares::Always, ..narrow() });
    load(&mut world, &a);
    while let Some(number) = starting(&world, &a) {
        world.becomes_ready(number);
    }
    ask(&mut world, &b, Turn::New);
    world.reload(a.clone());
    assert!(starting(&world, &a).is_none(), "another loads");
    world.becomes_ready(starting(&world, &b).expect("it loads"));
    let fresh = starting(&world, &a).expect("it is its turn");
    ask(&mut world, &mock("c"), Turn::New);
    assert!(starting(&world, &mock("c")).is_none(), "a reload is a load");
    world.becomes_ready(fresh);
    let old = world.workers.range(..fresh).filter(|(_, (model, ..))| *model == a);
    assert!(old.clone().count() == 2 && old.clone().all(|(_, (_, truth, _))| *truth == Truth::Dismissed));
    assert!(starting(&world, &a).is_some(), "it has a spare again");
}

#[test]
fn the_view_tells_who_holds_it_since_when_it_is_there_and_when_it_was_used() {
    let a = mock("a");
    let mut world = World::new(narrow());
    let start = world.now.wall;
    load(&mut world, &a);
    pass(&mut world, 7);
    load(&mut world, &a);
    world.hold(a.clone(), true);
    let seen = world.roster.model(&a).expect("it is known");
    assert_eq!((seen.held, seen.since, seen.used), (1, Some(start), Some(start + Duration::from_secs(7))));
    pass(&mut world, 2);
    world.hold(a.clone(), false);
    let let_go = world.roster.model(&a).expect("it is known");
    assert_eq!((let_go.held, let_go.used), (0, Some(start + Duration::from_secs(9))));
    assert!(let_go.is_as(&seen), "that is no news to those who watch");
    world.feed(Event::Unload { model: a.clone() });
    let gone = world.roster.model(&a).expect("it is known");
    assert_eq!((gone.since, gone.used), (None, let_go.used));
    assert!(!gone.is_as(&seen));
}
