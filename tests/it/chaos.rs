//! Workers are killed, stopped, starved and garbled a thousand times under sixteen callers, and nobody notices.
//!
//! `SPEECHCTL_TEST_KILLS` says how often, `SPEECHCTL_TEST_SEED` by which random numbers.

use crate::harness::{
    calls::{recognize, speak},
    eventually,
    pb::{self, speech, v1},
    proc::{command_line, descriptors, zombies},
    process::{Sandbox, is_alive},
    random::Random,
    sample,
    server::Server,
    wav,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, Signal};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Answers of an engine for each time that one of its workers is killed: with less, a call would meet ten of them in a
/// row some time.
const ANSWERS_PER_KILL: usize = 4;

/// One in so many is starved, and one garbled. Both count as the call's own doing, of which it survives two.
const RARE: usize = 40;

/// Answers between two of these, so that no call meets three.
const CALM: usize = 64;

/// Answers after which a worker that was starved, and wants no memory, is put out of its misery.
const MERCY: usize = 16;

/// One in so many is stopped.
const STOPS: usize = 8;

/// What a caller gets.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Heard(v1::RecognizeResponse),
    Spoken(i32, Vec<u8>),
}

/// What a caller asks for.
#[derive(Clone, Debug)]
enum Task {
    Hear(v1::RecognizeRequest),
    Speak(&'static str),
}

impl Task {
    async fn run(&self, address: &str) -> Answer {
        match self {
            Task::Hear(request) => {
                let reply = speech(address).await.recognize(request.clone()).await;
                Answer::Heard(reply.unwrap_or_else(|status| panic!("{status:?}")).into_inner())
            }
            Task::Speak(text) => {
                let (rate, audio) = speak(address, "en-us", text).await.unwrap_or_else(|status| panic!("{status:?}"));
                Answer::Spoken(rate, audio)
            }
        }
    }
}

/// Engines by what the command lines of their workers hold, how many of the callers want them, and for what.
const ENGINES: [(&str, usize); 3] = [("selftest", 2), ("espeak", 3), ("mock", 11)];

fn tasks(engine: &str) -> Vec<Task> {
    match engine {
        "selftest" => {
            let mut request = recognize("selftest", &wav::read(&sample("kitchen-light.wav")).1);
            let config = request.config.as_mut().expect("it has one");
            (config.fast, config.beam_size) = (true, 1);
            vec![Task::Hear(request)]
        }
        "espeak" => ["open the door", "it is late"].map(Task::Speak).to_vec(),
        _ => {
            let slow = wav::numbered(1);
            // Times of their own, so that callers do not march in step; much alike, for the longest is killed most.
            let slow = (8..=14).map(|n| Task::Hear(recognize("mock:slow", &slow[..n * 64])));
            // And more than an allocator has at hand, for those that starve.
            slow.chain([Task::Hear(recognize("mock", &wav::numbered(20)))]).collect()
        }
    }
}

/// What callers and the killer see of each other.
#[derive(Default)]
struct Scene {
    /// By engine.
    answers: [AtomicUsize; ENGINES.len()],
    is_over: AtomicBool,
}

impl Scene {
    fn answers(&self) -> usize {
        self.answers.iter().map(|answers| answers.load(Ordering::Relaxed)).sum()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A kind of death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Killed,
    Stopped,
    Starved,
    Garbled,
}

/// Who kills.
struct Killer<'a> {
    server: &'a Server,
    scene: &'a Scene,
    random: Random,
    can_garble: bool,
    by_kind: BTreeMap<Kind, usize>,
    by_engine: [usize; ENGINES.len()],
    seen: BTreeSet<u32>,
    /// At how many answers somebody was starved or garbled.
    last_rare: usize,
    starving: Option<u32>,
}

impl Killer<'_> {
    fn run(&mut self, times: usize) {
        for _ in 0..times {
            let kind = self.kind();
            // A caller that panics ends the scene.
            eventually("there is somebody to kill", || self.kill_one(kind) || self.scene.is_over());
            self.show_mercy();
        }
    }

    fn kind(&mut self) -> Kind {
        let is_calm = self.scene.answers() >= self.last_rare + CALM;
        match self.random.below(RARE) {
            0 if is_calm => Kind::Starved,
            1 if is_calm && self.can_garble => Kind::Garbled,
            n if (2..2 + RARE / STOPS).contains(&n) => Kind::Stopped,
            _ => Kind::Killed,
        }
    }

    /// Kills a worker of an engine whose callers have got some answers since the last time.
    fn kill_one(&mut self, kind: Kind) -> bool {
        let is_rare = matches!(kind, Kind::Starved | Kind::Garbled);
        let is_due = |index: usize| {
            let answers = self.scene.answers[index].load(Ordering::Relaxed);
            // What speaks may have half of a chunk on its way, into which garbage would go unseen.
            (self.by_engine[index] + 1) * ANSWERS_PER_KILL <= answers && (ENGINES[index].0 == "mock" || !is_rare)
        };
        let due: Vec<usize> = (0..ENGINES.len()).filter(|index| is_due(*index)).collect();
        if due.is_empty() {
            return false;
        }
        let engine = due[self.random.below(due.len())];
        let workers = self.server.workers();
        self.seen.extend(&workers);
        let is_of_engine = |pid: &u32| command_line(*pid).contains(ENGINES[engine].0);
        let victims: Vec<u32> = workers.into_iter().filter(is_of_engine).collect();
        if victims.is_empty() {
            return false;
        }
        let victim = victims[self.random.below(victims.len())];
        let is_done = match kind {
            Kind::Killed => signal(victim, Signal::KILL),
            Kind::Stopped => signal(victim, Signal::STOP),
            Kind::Starved => starve(victim),
            Kind::Garbled => garble(victim),
        };
        // It may have gone by itself a moment ago.
        if is_done.is_err() {
            return false;
        }
        if is_rare {
            self.last_rare = self.scene.answers();
            self.starving = (kind == Kind::Starved).then_some(victim);
        }
        *self.by_kind.entry(kind).or_default() += 1;
        self.by_engine[engine] += 1;
        true
    }

    fn show_mercy(&mut self) {
        if self.scene.answers() >= self.last_rare + MERCY
            && let Some(starving) = self.starving.take()
        {
            // It may well have died of it.
            signal(starving, Signal::KILL).unwrap_or_default();
        }
    }
}

fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    Ok(rustix::process::kill_process(process(pid), signal)?)
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(pid as i32).expect("a process")
}

/// From now on it gets no more memory.
fn starve(pid: u32) -> io::Result<()> {
    let limit = Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) };
    rustix::process::prlimit(Some(process(pid)), Resource::Data, limit)?;
    Ok(())
}

/// Says to the server, in its name, what makes no sense.
fn garble(pid: u32) -> io::Result<()> {
    let socket = descriptors(pid).into_iter().find(|(_, path)| path.to_string_lossy().starts_with("socket:"));
    let (number, _) = socket.ok_or(io::ErrorKind::NotFound)?;
    let handle = rustix::process::pidfd_open(process(pid), PidfdFlags::empty())?;
    let socket = rustix::process::pidfd_getfd(handle, number, PidfdGetfdFlags::empty())?;
    rustix::io::write(&socket, &[0xff; 64])?;
    Ok(())
}

/// Whether this system lets us write into the sockets of others.
fn can_garble(server: &Server) -> bool {
    let worker = server.worker(&[]);
    match garble(worker) {
        Ok(()) => true,
        Err(error) => {
            println!("NOTHING IS GARBLED HERE: this system does not let us: {error}");
            false
        }
    }
}

/// All files under a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(self::files(&entry.path())),
            _ => drop(files.insert(entry.path())),
        }
    }
    files
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}: no number")))
}

/// Calls an engine until the killer is done.
async fn caller(address: String, scene: &Scene, engine: usize, mix: &[(Task, Answer)], mut random: Random) {
    while !scene.is_over() {
        let (task, calm) = &mix[random.below(mix.len())];
        let answer = task.run(&address).await;
        assert!(answer == *calm, "{task:?}: not as in calm: {answer:?}");
        scene.answers[engine].fetch_add(1, Ordering::Relaxed);
    }
}

/// What the tasks of an engine give in calm.
fn in_calm(server: &Server, engine: &str) -> Vec<(Task, Answer)> {
    tasks(engine)
        .into_iter()
        .map(|task| {
            let calm = pb::block_on(task.run(&server.address));
            (task, calm)
        })
        .collect()
}

#[test]
fn a_thousand_deaths_and_nobody_notices() {
    let (kills, seed) = (number("SPEECHCTL_TEST_KILLS", 1000), number("SPEECHCTL_TEST_SEED", 4));
    let sandbox = Sandbox::new();
    let cache = sandbox.path().join("cache").display().to_string();
    let sandbox = sandbox.with_env("XDG_CACHE_HOME", &cache);
    let server = Server::start(&sandbox, &["--hang-timeout", "1", "--idle-timeout", "1", "--min-residency", "0"]);
    let pid = server.running.pid();
    let mixes = ENGINES.map(|(engine, _)| in_calm(&server, engine));
    let can_garble = can_garble(&server);
    let at_rest = || server.workers().is_empty() && zombies(pid).is_empty();
    eventually("all workers go, for nobody calls", at_rest);
    let before = (descriptors(pid).len(), files(sandbox.path()));
    let (lost_before, began) = (server.logged(&sandbox, "Call lost its worker."), Instant::now());

    let scene = Scene::default();
    let mut killer = Killer {
        server: &server,
        scene: &scene,
        random: Random::new(seed as u64),
        can_garble,
        by_kind: BTreeMap::new(),
        by_engine: [0; ENGINES.len()],
        seen: BTreeSet::new(),
        last_rare: 0,
        starving: None,
    };
    thread::scope(|scope| {
        let end = EndOfScene(&scene);
        let engines = (0..ENGINES.len()).flat_map(|engine| vec![engine; ENGINES[engine].1]);
        for (n, engine) in engines.enumerate() {
            let (scene, mix, address) = (&scene, &mixes[engine], server.address.clone());
            scope.spawn(move || {
                let end = EndOfScene(scene);
                let random = Random::new((seed + 1000 * (n + 1)) as u64);
                pb::block_on_within(LONGEST, caller(address, scene, engine, mix, random));
                drop(end);
            });
        }
        killer.run(kills);
        drop(end);
    });

    let (answers, took) = (scene.answers(), began.elapsed());
    let lost = server.logged(&sandbox, "Call lost its worker.") - lost_before;
    let Killer { by_kind, by_engine, seen, .. } = killer;
    println!(
        "chaos: {by_kind:?}, {by_engine:?} of {ENGINES:?}, seed {seed}: {answers} calls \
        each answered as in calm; {lost} made again; {took:.1?}"
    );
    assert_eq!(by_kind.values().sum::<usize>(), kills);
    assert!(lost >= kills / 2, "most are to die in a call, but only {lost} calls lost their worker");
    eventually("all workers go, for nobody calls", at_rest);
    eventually("all descriptors are closed", || descriptors(pid).len() <= before.0);
    assert_eq!(files(sandbox.path()), before.1, "no file is left behind");
    assert!(!seen.iter().any(|worker| is_alive(*worker)), "no orphan");
    assert_eq!(server.stop().code(), "0");
}

/// How long it may take at most, however many kills are asked for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Ends the scene when it is dropped, also by a panic.
struct EndOfScene<'a>(&'a Scene);

impl Drop for EndOfScene<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
