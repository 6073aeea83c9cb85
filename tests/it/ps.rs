//! `speechctl ps`, before a server that has and does what a test wants.

use crate::harness::{
    PATIENCE,
    models::{FakeServer, Listed},
    pb::v1,
    process::{Running, Sandbox, Shown},
    terminal::Terminal,
};
use prost_types::Timestamp;
use std::{
    io::{BufRead, BufReader, Lines},
    process::{ChildStdout, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};
use v1::{ModelState, WorkerOrigin, WorkerState};

/// A time so many seconds ago. In the middle of a unit, so that a busy machine does not see it change.
fn ago(seconds: u64) -> Option<Timestamp> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    Some(Timestamp { seconds: (now - seconds) as i64, nanos: 0 })
}

/// Two and a half hours.
const LONG: u64 = 9_000;

fn death(cause: &str, message: &str, seconds: u64) -> Option<v1::Death> {
    Some(v1::Death {
        cause: cause.to_owned(),
        message: message.to_owned(),
        time: ago(seconds),
        last_words: vec!["boom".to_owned()],
    })
}

fn worker(id: &str, state: WorkerState, model: &str) -> v1::Worker {
    v1::Worker {
        id: id.to_owned(),
        pid: 4711,
        state: state.into(),
        model: model.to_owned(),
        engine: "mock".to_owned(),
        origin: WorkerOrigin::Started.into(),
        started: ago(LONG),
        memory_bytes: 312 << 20,
        build: "0.1.0".to_owned(),
        ..Default::default()
    }
}

fn model(name: &str, state: ModelState) -> v1::Model {
    v1::Model { name: name.to_owned(), engine: "mock".to_owned(), state: state.into(), ..Default::default() }
}

/// What most tests list: workers of every state and from everywhere, models that do well and that do not.
fn listed() -> Listed {
    let busy = v1::Worker {
        calls: 12,
        restarts: 2,
        last_death: death("SIGKILL", "it was killed by SIGKILL", LONG),
        ..worker("w2", WorkerState::Busy, "selftest")
    };
    let starting = v1::Worker { progress: 0.25, ..worker("w3", WorkerState::Starting, "日本語") };
    let called = v1::Worker {
        pid: 0,
        memory_bytes: 0,
        origin: WorkerOrigin::Called.into(),
        address: "10.0.0.2:50060".to_owned(),
        ..worker("w10", WorkerState::Checking, "mock")
    };
    let idle = worker("w1", WorkerState::Idle, "espeak");
    let failed = v1::Model {
        deaths: 5,
        last_death: death("SIGABRT", "it was killed by SIGABRT: it aborted", LONG),
        reason: "its workers died 5 times in a row".to_owned(),
        retry_after: Some(prost_types::Duration { seconds: LONG as i64, nanos: 0 }),
        ..model("broken", ModelState::Failed)
    };
    let lied = v1::Model {
        is_default: true,
        workers: 1,
        lies: [("SILENCE".to_owned(), 2), ("SAMPLE_RATE".to_owned(), 1)].into(),
        capabilities: vec![v1::Capability::Synthesis.into()],
        ..model("espeak", ModelState::Ready)
    };
    let died = v1::Model {
        deaths: 1,
        last_death: death("HUNG", "it gave no sign of life any more", LONG),
        ..model("once", ModelState::NotLoaded)
    };
    // As the ids are sorted on the wire.
    Listed { workers: vec![idle, called, busy, starting], models: vec![failed, lied, died] }
}

/// A run that asks this server, the same wherever that is.
fn row(sandbox: &Sandbox, server: &FakeServer, line: &str) -> String {
    let row = sandbox.row(&format!("{line} --server {}", server.address));
    row.replace(&server.address, "[SERVER]")
}

/// The same whenever it runs.
fn same_always<T>(check: impl FnOnce() -> T) -> T {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]");
    settings.bind(check)
}

#[test]
fn the_table_and_the_document() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(listed());
    let rows = ["ps", "ps --quiet", "ps --json"].map(|line| row(&sandbox, &server, line)).concat();
    same_always(|| insta::assert_snapshot!(rows));
    let shown = sandbox.with_env("SPEECHCTL_SERVER", &server.address).run(&["ps", "--no-spawn"]).good_text();
    assert!(shown.starts_with("WORKER  PID"), "{shown}");
}

#[test]
fn no_worker_is_no_failure() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed::default());
    let at = ["--server", &server.address];
    let shown = sandbox.run(&[&["ps"], &at[..]].concat()).good_text();
    assert_eq!(shown, "WORKER  PID  STATE  MODEL  ENGINE  UP  CALLS  RESTARTS  MEMORY  LAST DEATH\n");
    let json = sandbox.run(&[&["ps", "--json"], &at[..]].concat()).good_text();
    assert_eq!(json, "{\n  \"version\": 1,\n  \"workers\": [],\n  \"models\": []\n}\n");
    // The note is for those who look, or who want to know more.
    let shown = sandbox.run(&[&["ps", "-v"], &at[..]].concat());
    assert!(shown.stderr.ends_with("no worker runs; the first request starts one\n"), "{}", shown.stderr);
    let args = format!("ps --server {}", server.address);
    let (shown, screen) = Terminal::start(&sandbox, (100, 24), &args).end();
    assert_eq!((shown.code().as_str(), screen.lines().count()), ("0", 2), "{screen}");
    let (_, screen) = Terminal::start(&sandbox, (100, 24), &format!("{args} --quiet")).end();
    assert_eq!(screen.lines().count(), 1, "{screen}");
}

#[test]
fn servers_that_cannot_be_asked() {
    let sandbox = Sandbox::new();
    let old = FakeServer::without_models();
    let silent = FakeServer::start(Listed::default());
    let mut rows = String::new();
    // None of the tests' servers listens on the default address.
    for line in ["ps", "ps --watch", "ps --server 127.0.0.1:1"] {
        rows.push_str(&sandbox.row(line));
    }
    for line in ["ps", "ps --json", "ps --watch"] {
        rows.push_str(&row(&sandbox, &old, line));
    }
    silent.fall_silent();
    rows.push_str(&row(&sandbox, &silent, "ps --timeout 0.3"));
    insta::assert_snapshot!(rows);
}

#[test]
fn a_time_limit_ends_the_watch() {
    let server = FakeServer::start(Listed::default());
    let line = ["ps", "--watch", "--timeout", "0.3", "--server", &server.address];
    let shown = Sandbox::new().run(&line);
    assert_eq!(shown.code(), "5");
    assert_eq!(shown.stderr, "speechctl: cannot list workers: it took longer than `--timeout` allows\n");
}

/// A watch whose output somebody reads line by line.
struct Watch {
    running: Running,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(sandbox: &Sandbox, server: &FakeServer, flags: &[&str]) -> Self {
        let mut command = sandbox.command(&[&["ps", "--watch", "--server", &server.address], flags].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let watch = Self { running: Running::reading(child), lines: BufReader::new(stdout).lines() };
        server.wait_until_watched();
        watch
    }

    /// So many lines, once they are there. A process that does not write them dies of its test's deadline.
    fn lines(&mut self, count: usize) -> String {
        let watchdog = Watchdog::over(self.running.pid());
        let lines = self.lines.by_ref().take(count).map(|line| line.expect("text") + "\n").collect();
        watchdog.rest();
        lines
    }

    fn end(mut self) -> (String, Shown) {
        let rest = self.lines(usize::MAX);
        (rest, self.running.end())
    }
}

/// Ends a process that keeps a test waiting.
struct Watchdog(std::sync::mpsc::Sender<()>);

impl Watchdog {
    fn over(pid: u32) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if receiver.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                crate::harness::process::send_signal(pid, "KILL");
            }
        });
        Self(sender)
    }

    fn rest(self) {
        drop(self.0);
    }
}

/// The life of a worker, and another that vanishes unseen.
fn live_and_die(server: &FakeServer) {
    server.model(model("mock", ModelState::Loading));
    server.worker(v1::Worker { progress: 0.5, ..worker("w3", WorkerState::Starting, "mock") });
    server.worker(worker("w4", WorkerState::Idle, "mock:slow"));
    server.complete();
    server.model(v1::Model { workers: 2, ..model("mock", ModelState::Ready) });
    server.worker(worker("w3", WorkerState::Idle, "mock"));
    server.worker(worker("w3", WorkerState::Busy, "mock"));
    let last_death = death("SIGKILL", "it was killed by SIGKILL", 0);
    server.worker(v1::Worker { last_death, ..worker("w3", WorkerState::Gone, "mock") });
    let failed = v1::Model {
        reason: "its workers died 5 times in a row".to_owned(),
        retry_after: Some(prost_types::Duration { seconds: 4, nanos: 0 }),
        ..model("mock", ModelState::Failed)
    };
    server.model(failed);
    server.worker(worker("w5", WorkerState::Idle, "mock"));
    server.complete();
    // What was told between the two is as it was.
    server.model(model("selftest", ModelState::NotLoaded));
    server.complete();
}

#[test]
fn changes_are_lines_in_a_pipe() {
    let sandbox = Sandbox::new();
    let mut server = FakeServer::start(Listed::default());
    let mut watch = Watch::start(&sandbox, &server, &[]);
    server.worker(worker("w1", WorkerState::Idle, "mock"));
    assert_eq!(watch.lines(1), "22:13:20Z w1 IDLE mock pid 4711\n", "as it comes");
    live_and_die(&server);
    let mut lines = watch.lines(9);
    server.end_streams();
    let (rest, shown) = watch.end();
    lines.push_str(&rest);
    lines.push_str(&format!("{}exit {}\n", shown.stderr, shown.code()));
    insta::assert_snapshot!(lines);
}

#[test]
fn changes_are_documents() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed::default());
    let mut watch = Watch::start(&sandbox, &server, &["--json"]);
    live_and_die(&server);
    let mut lines = watch.lines(13);
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(event["event"].is_string() && event["time"] == "2023-11-14T22:13:20Z", "{line}");
    }
    watch.running.signal("INT");
    let (rest, shown) = watch.end();
    lines.push_str(&rest);
    lines.push_str(&format!("{}exit {}\n", shown.stderr, shown.code()));
    same_always(|| insta::assert_snapshot!(lines));
}

#[test]
fn a_server_that_goes_away() {
    for flags in [&[][..], &["--json"]] {
        let sandbox = Sandbox::new();
        let server = FakeServer::start(Listed::default());
        let mut watch = Watch::start(&sandbox, &server, flags);
        server.complete();
        server.worker(worker("w1", WorkerState::Idle, "mock"));
        watch.lines(1);
        drop(server);
        let (_, shown) = watch.end();
        assert_eq!(shown.code(), "5");
        assert!(shown.stderr.starts_with("speechctl: cannot list workers: the server went away"), "{}", shown.stderr);
        assert_eq!(shown.stderr.lines().count(), 1, "{}", shown.stderr);
    }
}

#[test]
fn a_server_that_falls_silent() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed::default());
    let watch = Watch::start(&sandbox, &server, &[]);
    server.fall_silent();
    let (_, shown) = watch.end();
    let line = "speechctl: cannot list workers: the server does not answer any more; watch again once one runs\n";
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("5", line));
}

#[test]
fn a_reader_that_has_seen_enough() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed::default());
    let mut watch = Watch::start(&sandbox, &server, &[]);
    server.worker(worker("w1", WorkerState::Idle, "mock"));
    watch.lines(1);
    let Watch { running, lines } = watch;
    drop(lines);
    server.worker(worker("w1", WorkerState::Busy, "mock"));
    let shown = running.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
}

#[test]
fn names_that_would_command_a_terminal() {
    const NAME: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}b\nw9  IDLE\u{9b}31m\u{202e}ü";
    let hostile = v1::Worker {
        engine: NAME.to_owned(),
        origin: WorkerOrigin::DialledIn.into(),
        address: NAME.to_owned(),
        last_death: Some(v1::Death { cause: NAME.to_owned(), message: NAME.to_owned(), ..Default::default() }),
        pid: i64::MIN,
        memory_bytes: i64::MIN,
        calls: i64::MIN,
        progress: f32::INFINITY,
        started: Some(Timestamp { seconds: i64::MAX, nanos: i32::MIN }),
        ..worker(NAME, WorkerState::Starting, NAME)
    };
    let failed = v1::Model {
        reason: NAME.to_owned(),
        lies: [(NAME.to_owned(), i64::MAX)].into(),
        retry_after: Some(prost_types::Duration { seconds: i64::MAX, nanos: i32::MAX }),
        ..model(NAME, ModelState::Failed)
    };
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed { workers: vec![hostile.clone()], models: vec![failed.clone()] });
    let rows = ["ps", "ps --json"].map(|line| row(&sandbox, &server, line)).concat();
    let mut watch = Watch::start(&sandbox, &server, &[]);
    server.worker(hostile.clone());
    server.worker(v1::Worker { state: WorkerState::Gone.into(), ..hostile });
    server.model(failed);
    server.worker(v1::Worker { state: 77, ..worker("w1", WorkerState::Idle, "later") });
    let rows = rows + &watch.lines(4);
    assert!(!rows.chars().any(|c| c != '\n' && c.is_control()), "{rows:?}");
    same_always(|| insta::assert_snapshot!(rows));
}

#[test]
fn a_terminal_shows_changes_in_place() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed::default());
    let mut terminal = Terminal::start(&sandbox, (90, 24), &format!("ps --watch --server {}", server.address));
    server.wait_until_watched();
    server.complete();
    terminal.wait_for("it says that there is none", |screen| screen.contains("no worker runs"));
    let starting = v1::Worker { started: ago(0), ..worker("w3", WorkerState::Starting, "mock") };
    server.worker(starting.clone());
    terminal.wait_for("it starts", |screen| screen.contains("STARTING"));
    // Ages go on while nothing is told.
    terminal.wait_for("it ticks", |screen| (2..60).any(|age| screen.contains(&format!("  {age} s  "))));
    server.worker(worker("w4", WorkerState::Busy, "/somewhere/far/away/a-model-of-a-long-name.bin"));
    let last_death = death("SIGKILL", "it was killed by SIGKILL", LONG);
    server.worker(v1::Worker { last_death: last_death.clone(), state: WorkerState::Gone.into(), ..starting });
    terminal.wait_for("one is gone", |screen| screen.contains("GONE"));
    terminal.wait_for("the dead are forgotten", |screen| !screen.contains("GONE"));
    server.worker(v1::Worker { last_death, restarts: 1, ..worker("w5", WorkerState::Idle, "mock") });
    terminal.wait_for("its heir is there", |screen| screen.contains("w5"));
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    // Neither colours, nor another screen, nor a hidden cursor: such commands would be seen.
    insta::assert_snapshot!(format!("{screen}\nexit {}", shown.code()));
}

#[test]
fn a_window_that_is_too_low() {
    let sandbox = Sandbox::new();
    let server = FakeServer::start(Listed::default());
    let mut terminal = Terminal::start(&sandbox, (100, 6), &format!("ps --watch --server {}", server.address));
    server.wait_until_watched();
    (1..=12).for_each(|n| server.worker(worker(&format!("w{n}"), WorkerState::Idle, "mock")));
    server.complete();
    terminal
        .wait_for("it says how much there is", |screen| screen.ends_with("… and 9 more lines; make the window higher"));
    assert_eq!(terminal.screen().lines().count(), 5, "{}", terminal.screen());
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    let ids: Vec<&str> = screen.lines().filter_map(|line| line.split(' ').next()).collect();
    let all = ["WORKER", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "w10", "w11", "w12", "speechctl:"];
    assert_eq!((ids, shown.code().as_str()), (all.to_vec(), "130"), "{screen}");
}

#[test]
fn terminals_that_cannot_draw_in_place_get_lines() {
    for (name, value) in [("TERM", "dumb"), ("CI", "true")] {
        let sandbox = Sandbox::new().with_env(name, value);
        let server = FakeServer::start(Listed::default());
        let mut terminal = Terminal::start(&sandbox, (90, 24), &format!("ps --watch --server {}", server.address));
        server.wait_until_watched();
        server.worker(worker("w3", WorkerState::Idle, "mock"));
        terminal.wait_for("a line", |screen| screen == "22:13:20Z w3 IDLE mock pid 4711");
        terminal.press("\u{3}");
        let (shown, _) = terminal.end();
        assert_eq!(shown.code(), "130");
    }
}
