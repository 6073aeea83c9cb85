//! What makes no sense is refused, each in the way that the contract says, and is nothing to the session.

use super::{AT_ONCE, ID, begun, long, piper};
use crate::harness::{
    orchestrator::{FRAME, Orchestrator, piece},
    pb::{block_on, spoken},
    proc::command_line,
    process::Sandbox,
    server::Server,
};
use spoken::{ControlCommand, ControlRequest, LoadModelRequest, TextChunk, UnloadModelRequest};
use tonic::{Code, Status};

/// What comes of saying these.
async fn refusal(caller: &Orchestrator, chunks: Vec<TextChunk>) -> Status {
    match caller.speak_with(ID, chunks).await {
        Err(status) => status,
        Ok(utterance) => utterance.rest().await.expect_err("it is refused"),
    }
}

/// Sees that a session is as it was.
async fn is_well(caller: &Orchestrator, session: &str) {
    assert_eq!(caller.hear(session, &["Hello."]).await.len() / FRAME, "Hello.".len());
}

#[test]
fn sessions_that_cannot_be_are_refused() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let (long_name, piper) = ("x".repeat(10_000), piper());
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        for name in ["", &long_name, "two\nlines", "a\0b", "\u{7f}"] {
            let status = caller.start(name, "mock", &[]).await.expect_err("it is no name");
            assert_eq!(status.code(), Code::InvalidArgument, "{name:?}: {status:?}");
        }
        for option in [
            ("volume", "1"),
            ("Speed", "1"),
            ("", ""),
            (long_name.as_str(), "1"),
            ("speed", "0.2"),
            ("speed", "4.1"),
            ("speed", "NaN"),
            ("speed", "fast"),
            ("speed", ""),
            ("seed", "-1"),
            ("seed", "x"),
            ("pacing", "sometimes"),
            ("pacing", ""),
            ("lookahead_ms", "501"),
            ("lookahead_ms", "-1"),
            ("lookahead_ms", "99999999999999999999"),
            ("flush_ms", "-1"),
            ("flush_ms", "soon"),
            ("voice", "a\nb"),
        ] {
            let status = caller.start(ID, "mock", &[option]).await.expect_err("it is no option");
            assert_eq!(status.code(), Code::InvalidArgument, "{option:?}: {status:?}");
            let names_it = status.message().contains(option.0) || option.0.len() > 100;
            assert!(names_it && status.message().len() < 1_000, "{option:?}: {}", status.message());
        }
        // What only the engine knows.
        for (model, option) in [
            ("", ("voice", "nobody")),
            ("", ("language", "xx")),
            ("espeak", ("voice", "en-us+nobody")),
            ("espeak", ("language", "xx")),
            ("espeak", ("speaker", "nobody")),
            (piper.as_str(), ("speaker", "nobody")),
            (piper.as_str(), ("voice", "nobody")),
            ("en-gb", ("language", "fr")),
        ] {
            let status = caller.start(ID, model, &[option]).await.expect_err("it cannot be had");
            assert_eq!(status.code(), Code::InvalidArgument, "`{model}`, {option:?}: {status:?}");
        }
        // None of them has taken the name.
        let slow = [("speed", "0.25"), ("lookahead_ms", "0"), ("pacing", "realtime"), ("flush_ms", "100")];
        let fast = [("speed", "4.0"), ("lookahead_ms", "500"), ("pacing", "none"), ("seed", "7")];
        for options in [slow, fast] {
            caller.begin(ID, "mock", &options).await;
            assert!(caller.end(ID).await.expect("it is there"));
        }
        // Any name that can be seen will do.
        for name in ["a", "with space", "ünï/../☺", &"x".repeat(256)] {
            caller.begin(name, "mock", AT_ONCE).await;
            is_well(&caller, name).await;
        }
    });
}

#[test]
fn a_session_that_has_not_begun_cannot_be_ended() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        let starting = caller.start(ID, "mock:load-slow@3", AT_ONCE);
        let ending = async {
            // It has the name by then, and its model is on its way.
            while !server.workers().into_iter().any(|worker| command_line(worker).contains("load-slow")) {
                caller.round_trips(1).await;
            }
            caller.end(ID).await
        };
        let (started, ended) = tokio::join!(starting, ending);
        assert_eq!(ended.expect_err("it has not begun").code(), Code::NotFound);
        assert!(started.expect("it is let in").success);
        is_well(&caller, ID).await;
        assert!(caller.end(ID).await.expect("it is there"));
    });
}

#[test]
fn models_that_cannot_be_had_are_no_success() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-spoken-sessions", "1"]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        for model in ["nobody", "en_US-nobody-medium", "mock:unloadable", "mock:load-exit"] {
            let started = caller.start(ID, model, &[]).await;
            let started = started.unwrap_or_else(|status| panic!("{model}: {status:?}"));
            assert!(!started.success && !started.message.is_empty(), "{model}: {started:?}");
            let request = LoadModelRequest { model_id: model.to_owned(), preload_only: false };
            let loaded = caller.client().load_model(request).await;
            let loaded = loaded.unwrap_or_else(|status| panic!("{model}: {status:?}")).into_inner();
            assert!(!loaded.success && !loaded.message.is_empty(), "{model}: {loaded:?}");
            let status = caller.end(ID).await.expect_err("it has not begun");
            assert_eq!(status.code(), Code::NotFound, "{model}: {status:?}");
        }
        // None of them has taken the name, nor the place.
        caller.begin(ID, "mock", AT_ONCE).await;
        is_well(&caller, ID).await;
    });
}

#[test]
fn text_that_makes_no_sense_is_refused_at_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let last = |text: &str, number: i64| TextChunk { is_final: true, ..piece(ID, text, number) };
    let cases = [
        ("for another session", vec![piece(ID, "One. ", 1), piece("talk-2", "Two. ", 2)]),
        ("backwards", vec![piece(ID, "One. ", 5), piece(ID, "Two. ", 4)]),
        ("the same number twice", vec![piece(ID, "One. ", 5), piece(ID, "Two. ", 5)]),
        ("back to none", vec![piece(ID, "One. ", 5), piece(ID, "Two. ", 0)]),
        ("below nothing", vec![piece(ID, "One. ", 0), piece(ID, "Two. ", -1)]),
        ("after the last", vec![last("One. ", 1), piece(ID, "Two. ", 2)]),
        ("after the last, which was empty", vec![piece(ID, "One. ", 1), last("", 2), piece(ID, "Two. ", 3)]),
        ("a last one after the last", vec![last("One. ", 1), last("Two. ", 2)]),
        ("no text at all", vec![piece(ID, "One. \0", 1)]),
    ];
    block_on(async {
        let caller = begun(&server, "mock").await;
        caller.begin("talk-2", "mock", AT_ONCE).await;
        for (what, chunks) in cases {
            // What was right is not spoken before it is seen what is wrong. Nor does who waits for the end of a pause
            // wait to be told.
            caller.command(ID, ControlCommand::Pause).await;
            let status = refusal(&caller, chunks).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
            assert!(!status.message().is_empty(), "{what}");
            caller.command(ID, ControlCommand::Resume).await;
            is_well(&caller, ID).await;
        }
        is_well(&caller, "talk-2").await;
        // What names no session, or nothing at all.
        for chunks in [vec![piece("", "One. ", 1)], vec![piece(&"x".repeat(10_000), "One. ", 1)]] {
            let status = refusal(&caller, chunks).await;
            let allowed = [Code::InvalidArgument, Code::NotFound];
            assert!(allowed.contains(&status.code()) && status.message().len() < 5_000, "{status:?}");
        }
        let status = caller.client().synthesize(tokio_stream::empty()).await.map(drop).expect_err("nothing came");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    });
}

#[test]
fn sessions_that_are_not_there_are_not_found() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        caller.begin("ended", "mock", AT_ONCE).await;
        assert!(caller.end("ended").await.expect("it is there"));
        for session in ["never-was", "ended", "talk-", "TALK-1"] {
            for command in [ControlCommand::Pause, ControlCommand::Resume, ControlCommand::Stop, ControlCommand::Reload]
            {
                let status = caller.commanding(session, command).await.expect_err("there is none");
                assert_eq!(status.code(), Code::NotFound, "{session} {command:?}: {status:?}");
            }
            let status = refusal(&caller, vec![piece(session, "One. ", 1)]).await;
            assert_eq!(status.code(), Code::NotFound, "{session}: {status:?}");
        }
        let status = caller.end("never-was").await.expect_err("there is none");
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
        is_well(&caller, ID).await;
    });
}

#[test]
fn a_command_that_does_not_exist_is_refused() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let mut client = caller.client();
        for command in [4, -1, i32::MAX] {
            let request = ControlRequest { session_id: ID.to_owned(), command };
            let status = client.control(request).await.expect_err("there is none");
            assert_eq!(status.code(), Code::InvalidArgument, "{command}: {status:?}");
        }
        is_well(&caller, ID).await;
    });
}

#[test]
fn a_session_says_one_text_at_a_time() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &[&text]).await;
        let mut utterance = caller.speak(ID, &text).await.expect("it begins");
        utterance.finish();
        utterance.hears(5).await;
        // By whatever connection.
        let other = Orchestrator::connect(&server.address).await;
        for caller in [&caller, &other] {
            let status = refusal(caller, vec![piece(ID, "Me too.", 1)]).await;
            assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        }
        assert!(utterance.rest().await.expect("it goes on") == calm, "it was nothing to the first");
    });
}

#[test]
fn a_name_that_is_taken_is_free_again_when_its_session_has_ended() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let other = Orchestrator::connect(&server.address).await;
        for caller in [&caller, &other] {
            let status = caller.start(ID, "mock", &[]).await.expect_err("it is taken");
            assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        }
        is_well(&caller, ID).await;
        // Twice is once.
        assert!(caller.end(ID).await.expect("it is there"));
        assert!(caller.end(ID).await.expect("it was there a moment ago"));
        caller.begin(ID, "mock", AT_ONCE).await;
        is_well(&caller, ID).await;
        assert!(caller.end(ID).await.expect("it is there"));
    });
}

#[test]
fn a_session_that_ends_in_mid_speech_ends_its_text_in_order() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    block_on(async {
        for is_paused in [false, true] {
            let caller = begun(&server, "mock").await;
            let calm = caller.hear(ID, &[&text]).await;
            let mut utterance = caller.speak(ID, &text).await.expect("it begins");
            utterance.hears(5).await;
            if is_paused {
                caller.command(ID, ControlCommand::Pause).await;
            }
            assert!(caller.end(ID).await.expect("it is there"));
            let heard = utterance.rest().await.expect("it ends with its final frame");
            assert!(heard.len() < calm.len() && calm.starts_with(&heard), "{} bytes", heard.len());
        }
    });
}

#[test]
fn a_model_in_use_is_not_unloaded() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let unload = async || {
            let request = UnloadModelRequest { model_id: "mock".to_owned() };
            caller.client().unload_model(request).await.map(tonic::Response::into_inner)
        };
        // Whether it speaks or not.
        let status = unload().await.expect_err("a session has it");
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        let mut utterance = caller.speak(ID, &long(100)).await.expect("it begins");
        utterance.hears(5).await;
        let status = unload().await.expect_err("a session speaks with it");
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        caller.command(ID, ControlCommand::Stop).await;
        utterance.rest().await.expect("it ends");
        is_well(&caller, ID).await;
        assert!(caller.end(ID).await.expect("it is there"));
        for time in ["first", "second"] {
            let unloaded = unload().await.expect("nobody has it");
            assert!(unloaded.success, "the {time} time: {}", unloaded.message);
        }
    });
}
