//! Who may have a session, for how long, and what is left of who goes without a word.

use super::{AT_ONCE, ID, begun, long};
use crate::harness::{
    orchestrator::{FRAME, Orchestrator, Utterance, piece},
    pb::{
        block_on,
        spoken::{ControlCommand, GetCapabilitiesRequest},
    },
    proc,
    process::Sandbox,
    server::Server,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The most memory that a server may take for one caller who does what it should not, MiB.
const MEMORY: u64 = 64;

/// Why a session was refused for now: it says when to come back.
fn is_busy(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|retry| !retry.is_zero()), "{status:?}");
}

/// Begins a session as soon as there is room.
async fn let_in(server: &Server, session: &str) -> Orchestrator {
    let caller = Orchestrator::connect(&server.address).await;
    let started = loop {
        match caller.start(session, "mock", AT_ONCE).await {
            Ok(started) => break started,
            Err(status) => is_busy(&status),
        }
    };
    assert!(started.success, "{}", started.message);
    caller
}

/// A metric of the server.
async fn metric(caller: &Orchestrator, name: &str) -> f64 {
    let told = caller.client().get_capabilities(GetCapabilitiesRequest {}).await.expect("it tells").into_inner();
    *told.metrics.get(name).unwrap_or_else(|| panic!("{name} is not in {:?}", told.metrics))
}

#[test]
fn sessions_beyond_the_limit_are_told_when_to_come_back() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-spoken-sessions", "2"]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        let told = caller.client().get_capabilities(GetCapabilitiesRequest {}).await.expect("it tells").into_inner();
        assert_eq!(told.capabilities.expect("they are told").max_concurrent_sessions, 2);
        caller.begin("talk-1", "mock", AT_ONCE).await;
        caller.begin("talk-2", "mock", AT_ONCE).await;
        let other = Orchestrator::connect(&server.address).await;
        for caller in [&caller, &other] {
            is_busy(&caller.start("talk-3", "mock", AT_ONCE).await.expect_err("there is no room"));
        }
        // Those that are there are none the worse.
        for session in ["talk-1", "talk-2"] {
            assert_eq!(caller.hear(session, &["Hello."]).await.len() / FRAME, "Hello.".len());
        }
        // A place is free as soon as its session has ended.
        assert!(caller.end("talk-1").await.expect("it is there"));
        other.begin("talk-3", "mock", AT_ONCE).await;
        is_busy(&caller.start("talk-1", "mock", AT_ONCE).await.expect_err("there is no room"));
    });
}

#[test]
fn a_caller_who_vanishes_frees_its_place() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-spoken-sessions", "1"]);
    let text = long(100);
    block_on(async {
        let speaking = async |caller: &Orchestrator, session: &str| {
            let mut utterance = caller.speak(session, &text).await.expect("it begins");
            utterance.finish();
            utterance.hears(5).await;
            utterance
        };
        for (number, habit) in ["silent", "speaking", "pausing", "waiting for text"].into_iter().enumerate() {
            let session = format!("talk-{number}");
            let caller = let_in(&server, &session).await;
            let other = Orchestrator::connect(&server.address).await;
            is_busy(&other.start("other", "mock", AT_ONCE).await.expect_err(habit));
            let held: Option<Utterance> = match habit {
                "silent" => None,
                "waiting for text" => Some(caller.speak(&session, "Hello").await.expect("it begins")),
                _ => Some(speaking(&caller, &session).await),
            };
            if habit == "pausing" {
                caller.command(&session, ControlCommand::Pause).await;
            }
            caller.cut();
            // The next one waits for it.
            let next = let_in(&server, &format!("{session}-next")).await;
            assert!(next.end(&format!("{session}-next")).await.expect("it is there"), "{habit}");
            drop(held);
        }
    });
}

#[test]
fn the_name_of_who_vanished_is_free_for_who_comes_back() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        for _ in 0..3 {
            let caller = Orchestrator::connect(&server.address).await;
            let started = loop {
                match caller.start(ID, "mock", AT_ONCE).await {
                    Ok(started) => break started,
                    Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}"),
                }
            };
            assert!(started.success, "{}", started.message);
            let mut utterance = caller.speak(ID, &long(100)).await.expect("it begins");
            utterance.hears(5).await;
            caller.cut();
        }
    });
}

#[test]
fn a_session_that_nobody_wants_any_more_ends_by_itself() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spoken-idle", "0.5"]);
    block_on(async {
        let caller = begun(&server, "mock:slow").await;
        // It is wanted for as long as something is heard of it, and that is longer.
        let text = "This takes more than a second, and nobody says a word in it.";
        assert_eq!(caller.hear(ID, &[text]).await.len() / FRAME, text.len());
        // Nor is it of use to whoever begins and never goes on.
        let silent = caller.speak(ID, "Hello").await.expect("it is there");
        while metric(&caller, "active_sessions").await > 0.0 {}
        let status = silent.rest().await.expect_err("it is told");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        let status = caller.commanding(ID, ControlCommand::Pause).await.expect_err("it has ended");
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
    });
}

#[test]
fn a_call_that_is_given_up_leaves_its_session() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    block_on(async {
        let caller = begun(&server, "mock").await;
        for is_paused in [false, true] {
            let mut utterance = caller.speak(ID, &text).await.expect("it begins");
            utterance.hears(5).await;
            if is_paused {
                caller.command(ID, ControlCommand::Pause).await;
            }
            drop(utterance);
            // The server hears of it in a moment.
            let mut next = loop {
                match caller.speak(ID, "Hello.").await {
                    Ok(next) => break next,
                    Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}"),
                }
            };
            caller.command(ID, ControlCommand::Resume).await;
            next.finish();
            assert_eq!(next.rest().await.expect("it ends").len() / FRAME, "Hello.".len());
        }
    });
}

#[test]
fn many_who_look_in_and_go_leave_nothing() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(20);
    block_on(async {
        let watcher = Orchestrator::connect(&server.address).await;
        for number in 0..100 {
            let session = format!("talk-{number}");
            let caller = let_in(&server, &session).await;
            let utterance = caller.speak(&session, &text).await;
            if number % 2 == 0 {
                utterance.expect("it begins").hears(1).await;
            }
            if number % 3 == 0 { caller.cut() } else { drop(caller) }
        }
        while metric(&watcher, "active_sessions").await > 0.0 {}
        while proc::descriptors(server.running.pid()).len() >= 60 {
            watcher.round_trips(1).await;
        }
        watcher.begin(ID, "mock", AT_ONCE).await;
        assert_eq!(watcher.hear(ID, &["Hello."]).await.len() / FRAME, "Hello.".len());
        assert!(metric(&watcher, "active_sessions").await == 1.0);
    });
    assert_eq!(server.stop().code(), "0");
}

#[test]
fn a_text_of_ten_megabytes_that_nobody_hears_costs_bounded_memory() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    // Of 100 kB each.
    let part = "These are many words that nobody listens to. ".repeat(2_223);
    let memory = || {
        let line = proc::status(server.running.pid(), "VmRSS");
        line.trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    };
    block_on(async {
        let caller = begun(&server, "mock").await;
        let mut utterance = caller.speak(ID, &part).await.expect("it begins");
        (0..100).for_each(|_| utterance.write(&part));
        utterance.finish();
        utterance.hears(200).await;
        // Now nobody reads.
        for _ in 0..50 {
            caller.round_trips(10).await;
            assert!(memory() < MEMORY, "{} MiB", memory());
        }
        caller.command(ID, ControlCommand::Stop).await;
        assert_eq!(caller.hear(ID, &["Hello."]).await.len() / FRAME, "Hello.".len());
        utterance.rest().await.expect("it ends with its final frame");
    });
}

#[test]
fn a_piece_of_text_that_is_too_long_says_so() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let said = caller.speak_with(ID, vec![piece(ID, "Hello. ", 1), piece(ID, &"x".repeat(5_000_000), 2)]).await;
        let status = match said {
            Ok(utterance) => utterance.rest().await.expect_err("it is too long"),
            Err(status) => status,
        };
        assert!([Code::InvalidArgument, Code::OutOfRange].contains(&status.code()), "{status:?}");
        assert_eq!(caller.hear(ID, &["Hello."]).await.len() / FRAME, "Hello.".len());
    });
}
