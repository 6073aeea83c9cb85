//! What a worker gets of the server that starts it: as little as can be.

use crate::harness::{
    calls::{hear, mock_text, recognize},
    eventually, eventually_some,
    pb::block_on,
    proc::{command_line, connections, descriptors, group, status},
    process::{Running, Sandbox, is_alive},
    program,
    server::Server,
    wav,
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

/// Has a model do something; gives its worker.
fn worker_of(server: &Server, model: &str) -> u32 {
    let samples = wav::numbered(1);
    let text = block_on(hear(&server.address, recognize(model, &samples))).expect("it hears");
    assert_eq!(text, mock_text(&samples));
    eventually_some("its worker", || server.workers().into_iter().find(|pid| command_line(*pid).contains(model)))
}

#[test]
fn a_worker_inherits_nothing() {
    let sandbox = Sandbox::new().with_env("SECRET", "hunter2").with_env("SPEECHCTL_VOICE", "en-gb");
    sandbox.file("inherited", b"precious");
    // A shell opens a file, and leaves it open for the server.
    let plain = sandbox.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 9<inherited; exec \"$0\" \"$@\""]).arg(program()).args(plain.get_args());
    shell.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(sandbox.path());
    let server = Server::of(&sandbox, shell, "listening on");
    let pid = server.running.pid();
    let is_inherited = |(_, path): &(i32, _)| *path == sandbox.path().join("inherited");
    assert!(descriptors(pid).iter().any(is_inherited), "the server itself has it, or this proves nothing");

    let (one, two) = (worker_of(&server, "mock:crash@100"), worker_of(&server, "mock:crash@200"));
    for worker in [one, two] {
        let open = descriptors(worker);
        assert!(!open.is_empty() && !open.iter().any(is_inherited), "{open:?}");
        let environment = fs::read(format!("/proc/{worker}/environ")).expect("it is ours");
        let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
        for foreign in ["SECRET", "hunter2", "SPEECHCTL_VOICE"] {
            assert!(!environment.contains(foreign), "{environment}");
        }
        assert_eq!(group(worker), worker, "a process group of its own");
        assert_eq!(status(worker, "NoNewPrivs"), "1");
        let limits = fs::read_to_string(format!("/proc/{worker}/limits")).expect("it is there");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("it has a limit");
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "no core dump of somebody's voice");
    }
    // No end of anything that belongs to somebody else: the pipe of its standard error has two ends of one name, so
    // workers are compared with each other, and sockets only with the server.
    let (of_one, of_two) = (connections(one), connections(two));
    assert!(of_one.is_disjoint(&of_two), "{of_one:?} {of_two:?}");
    let sockets: Vec<_> = connections(pid).into_iter().filter(|path| is_socket(path)).collect();
    assert!(sockets.iter().any(|socket| !of_one.contains(socket)), "the server listens on some");
    assert!(sockets.iter().all(|socket| !of_one.contains(socket)), "{sockets:?} {of_one:?}");
}

fn is_socket(path: &Path) -> bool {
    path.to_string_lossy().starts_with("socket:")
}

#[test]
fn a_worker_ends_with_a_server_that_is_killed_while_it_works() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    // One that is deaf to the end of its connection, too.
    let workers = ["mock:hang@100", "mock:ignore-term"].map(|model| worker_of(&server, model));
    server.running.signal("KILL");
    eventually("the workers end", || !workers.iter().any(|worker| is_alive(*worker)));
}

#[test]
fn a_worker_that_does_not_want_to_end_is_ended() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    worker_of(&server, "mock:ignore-term");
    assert_eq!(server.stop().code(), "0");
}

#[test]
fn the_program_may_be_deleted_while_it_serves() {
    let sandbox = Sandbox::new();
    // Another name of the same file, on the same file system: a copy would take 60 MB.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let copy = folder.path().join("speechctl");
    fs::hard_link(program(), &copy).expect("a second name");
    let plain = sandbox.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new(&copy);
    command.args(plain.get_args()).env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(sandbox.path());
    let server = Server::of(&sandbox, command, "listening on");
    fs::remove_file(&copy).expect("it is gone");
    worker_of(&server, "mock");
}

#[test]
fn what_a_private_server_left_that_was_killed_is_removed_by_the_next() {
    let sandbox = Sandbox::new();
    let folders = || {
        let names = fs::read_dir(sandbox.path()).expect("it is there").flatten().map(|entry| entry.path());
        names.filter(|path| path.is_dir() && path.to_string_lossy().contains("/speechctl-")).collect::<Vec<_>>()
    };
    sandbox.file("long.wav", &wav::mono16(&wav::numbered(60)));
    sandbox.file("short.wav", &wav::mono16(&wav::numbered(1)));
    let mut command = sandbox.command(&["stt", "long.wav", "--model", "mock:slow"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start(command);
    let left = eventually_some("its folder", || folders().pop().filter(|folder| folder.join("socket").exists()));
    let age = |seconds: u64| {
        let folder = fs::File::open(&left).expect("it is there");
        folder.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("it is ours");
    };
    let next = || sandbox.run(&["stt", "short.wav", "--model", "mock"]).good();
    age(3_600);
    next();
    assert!(left.exists(), "its server lives");
    running.signal("KILL");
    running.end();
    age(0);
    next();
    assert!(left.exists(), "it could be one that only begins");
    age(3_600);
    next();
    assert!(folders().is_empty(), "{:?}", folders());
}
