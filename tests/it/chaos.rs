//! Workers are killed, stopped, starved and garbled a thousand times under sixteen callers, and nobody notices.
//!
//! `SPEECHCTL_TEST_KILLS` says how often, `SPEECHCTL_TEST_SEED` by which random numbers.

use crate::harness::{
    calls::{recognize, speak},
    eventually,
    pb::{self, speech, v1},
    proc::{command_line, descriptors, zombies},
    process::{Sandbox, is_alive, send_signal},
    random::Random,
    sample,
    server::Server,
    wav,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const CALLERS: usize = 16;

/// Answers between two kills: with less, a call would meet ten of them in a row some time.
const ANSWERS_PER_KILL: usize = 2;

/// One in so many is starved, and one garbled. Both count as the call's own doing, of which it survives two.
const RARE: usize = 40;

/// One in so many is stopped.
const STOPS: usize = 8;

/// Answers after which a worker that was starved, and wants no memory, is put out of its misery.
const FAST: usize = 16;

/// What a caller asks for, and what it gets in calm.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Heard(v1::RecognizeResponse),
    Spoken(i32, Vec<u8>),
}

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

/// The mix: mostly what costs little, for a thousand kills are to be over soon.
fn tasks() -> Vec<Task> {
    let (_, speech) = wav::read(&sample("timer.wav"));
    let slow = wav::numbered(1);
    let mut tasks = vec![
        Task::Hear(recognize("selftest", &speech)),
        Task::Speak("open the door"),
        // More than an allocator has at hand, for those that starve.
        Task::Hear(recognize("mock", &wav::numbered(20))),
    ];
    // Times of their own, so that callers do not march in step.
    tasks.extend((1..=6).map(|n| Task::Hear(recognize("mock:slow", &slow[..n * 640]))));
    tasks
}

/// How callers and the killer see each other.
#[derive(Default)]
struct Scene {
    answers: AtomicUsize,
    over: AtomicBool,
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
    done: BTreeMap<Kind, usize>,
    seen: BTreeSet<u32>,
    /// Those that starve, and at how many answers that began.
    starving: Vec<(u32, usize)>,
}

impl Killer<'_> {
    /// Kills until it has done so `times`, each time once the callers have got some answers.
    fn run(&mut self, times: usize) {
        let mut due = 0;
        for _ in 0..times {
            due = self.answers().max(due) + ANSWERS_PER_KILL;
            eventually("callers get answers", || self.answers() >= due || self.is_over());
            self.end_of_those_that_starve();
            while !self.is_over() && !self.kill_one() {}
        }
    }

    fn answers(&self) -> usize {
        self.scene.answers.load(Ordering::Relaxed)
    }

    /// A caller has panicked.
    fn is_over(&self) -> bool {
        self.scene.over.load(Ordering::Relaxed)
    }

    fn kill_one(&mut self) -> bool {
        let workers = self.server.workers();
        self.seen.extend(&workers);
        let kind = match self.random.below(RARE) {
            0 => Kind::Starved,
            1 => Kind::Garbled,
            n if n < 2 + RARE / STOPS => Kind::Stopped,
            _ => Kind::Killed,
        };
        let is_rare = matches!(kind, Kind::Starved | Kind::Garbled);
        // What speaks may have half of a chunk on its way, into which garbage would go unseen.
        let victims: Vec<u32> =
            workers.into_iter().filter(|pid| !is_rare || command_line(*pid).contains("mock")).collect();
        if victims.is_empty() {
            return false;
        }
        let victim = victims[self.random.below(victims.len())];
        let has_happened = match kind {
            Kind::Killed => signal(victim, "KILL"),
            Kind::Stopped => signal(victim, "STOP"),
            Kind::Starved => {
                self.starving.push((victim, self.answers()));
                starve(victim).is_ok()
            }
            Kind::Garbled => self.can_garble && garble(victim).is_ok(),
        };
        if has_happened {
            *self.done.entry(kind).or_default() += 1;
        }
        has_happened
    }

    fn end_of_those_that_starve(&mut self) {
        let answers = self.answers();
        self.starving.retain(|(pid, since)| {
            let is_early = answers < since + FAST;
            if !is_early {
                send_signal(*pid, "KILL");
            }
            is_early
        });
    }
}

fn signal(pid: u32, signal: &str) -> bool {
    send_signal(pid, signal);
    true
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

/// Calls until the killer is done.
async fn caller(address: String, scene: &Scene, mix: &[(Task, Answer)], mut random: Random) {
    while !scene.over.load(Ordering::Relaxed) {
        let (task, calm) = &mix[random.below(mix.len())];
        let answer = task.run(&address).await;
        assert!(answer == *calm, "{task:?}: not as in calm: {answer:?}");
        scene.answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_thousand_deaths_and_nobody_notices() {
    let (kills, seed) = (number("SPEECHCTL_TEST_KILLS", 1000), number("SPEECHCTL_TEST_SEED", 4));
    let sandbox = Sandbox::new();
    let cache = sandbox.path().join("cache").display().to_string();
    let sandbox = sandbox.with_env("XDG_CACHE_HOME", &cache);
    let server = Server::start(&sandbox, &["--hang-timeout", "1"]);
    let pid = server.running.pid();
    let mix: Vec<(Task, Answer)> = pb::block_on(async {
        let mut mix = Vec::new();
        for task in tasks() {
            let calm = task.run(&server.address).await;
            mix.push((task, calm));
        }
        mix
    });
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
        done: BTreeMap::new(),
        seen: BTreeSet::new(),
        starving: Vec::new(),
    };
    thread::scope(|scope| {
        let end = EndOfScene(&scene);
        for n in 0..CALLERS {
            let (scene, mix, address) = (&scene, &mix, server.address.clone());
            scope.spawn(move || {
                let end = EndOfScene(scene);
                let random = Random::new((seed + 1000 * n) as u64);
                pb::block_on_within(LONGEST, caller(address, scene, mix, random));
                drop(end);
            });
        }
        killer.run(kills);
        drop(end);
    });

    let (answers, took) = (scene.answers.load(Ordering::Relaxed), began.elapsed());
    let lost = server.logged(&sandbox, "Call lost its worker.") - lost_before;
    println!(
        "chaos: {:?}, seed {seed}; {answers} calls, each answered as in calm; {lost} made again; {took:.1?}",
        killer.done
    );
    assert_eq!(killer.done.values().sum::<usize>(), kills);
    assert!(lost >= kills / 2, "most are to die in a call, but only {lost} calls lost their worker");
    eventually("all workers go, for nobody calls", at_rest);
    eventually("all descriptors are closed", || descriptors(pid).len() <= before.0);
    assert_eq!(files(sandbox.path()), before.1, "no file is left behind");
    assert!(!killer.seen.iter().any(|worker| is_alive(*worker)), "no orphan");
    assert_eq!(server.stop().code(), "0");
}

/// How long it may take at most, however many kills are asked for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Ends the scene when it is dropped, also by a panic.
struct EndOfScene<'a>(&'a Scene);

impl Drop for EndOfScene<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}
