//! PAUSE, RESUME, STOP and RELOAD: what they do to what is heard, and what they do not.

use super::{ID, begun, long, piper};
use crate::harness::{
    PATIENCE, eventually, eventually_some,
    orchestrator::{FRAME, IN_FLIGHT, Orchestrator, Utterance},
    pb::{block_on, spoken::ControlCommand},
    proc::command_line,
    process::{Sandbox, is_alive},
    server::Server,
};
use ControlCommand::{Pause, Reload, Resume, Stop};
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};

/// How long a command may take where nobody reads. How long it does take is for benches.
const SOON: Duration = Duration::from_secs(5);

/// Sees that nothing comes but what was on the wire, however long one listens.
async fn falls_silent(caller: &Orchestrator, utterance: &mut Utterance) {
    let told = utterance.frames();
    utterance.hearing(caller.round_trips(20)).await;
    let heard = utterance.frames();
    assert!(heard - told <= IN_FLIGHT, "{} frames after frame {told}", heard - told);
    utterance.hearing(caller.round_trips(100)).await;
    assert_eq!(utterance.frames(), heard, "it goes on");
}

#[test]
fn what_is_paused_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--voice", &piper()]);
    let text = long(30);
    for model in ["mock", "espeak", ""] {
        block_on(async {
            let caller = begun(&server, model).await;
            let calm = caller.hear(ID, &[&text]).await;
            let mut utterance = caller.speak(ID, &text).await.expect("it begins");
            utterance.finish();
            let mut pauses = 0;
            for frames in [1, 8, 50, 51, 150] {
                utterance.hears(frames).await;
                // Twice is once.
                caller.command(ID, Pause).await;
                caller.command(ID, Pause).await;
                falls_silent(&caller, &mut utterance).await;
                pauses += usize::from(utterance.frames() < calm.len() / FRAME);
                caller.command(ID, Resume).await;
                caller.command(ID, Resume).await;
            }
            assert_eq!(pauses, 5, "`{model}` was over before it was paused");
            let heard = utterance.rest().await.expect("it goes on");
            assert!(heard == calm, "`{model}`: {} bytes instead of {}", heard.len(), calm.len());
            caller.end(ID).await.expect("it is there");
        });
    }
}

#[test]
fn a_pause_before_the_text_holds_its_first_frame() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &["Hello there."]).await;
        caller.command(ID, Pause).await;
        let mut utterance = caller.speak(ID, "Hello there.").await.expect("it begins");
        utterance.finish();
        utterance.hearing(caller.round_trips(100)).await;
        assert_eq!(utterance.frames(), 0);
        caller.command(ID, Resume).await;
        assert!(utterance.rest().await.expect("it goes on") == calm);
        assert!(caller.hear(ID, &["Hello there."]).await == calm, "the pause is over for what follows, too");
    });
}

#[test]
fn what_is_stopped_is_dropped_and_the_session_speaks_again_at_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &[&text]).await;
        let answer = caller.hear(ID, &["No."]).await;
        for (frames, is_all_written) in [(0, true), (1, false), (100, true), (100, false)] {
            let mut stopped = caller.speak(ID, &text).await.expect("it begins");
            if is_all_written {
                stopped.finish();
            }
            stopped.hears(frames).await;
            caller.command(ID, Stop).await;
            // While nobody reads what has come of the first, and its writer does not know yet.
            stopped.write(" And so on.");
            assert!(caller.hear(ID, &["No."]).await == answer, "after {frames} frames");
            stopped.finish();
            let heard = stopped.rest().await.expect("it ends with its final frame");
            assert!(calm.starts_with(&heard), "what was heard is the beginning of the whole");
            assert!(heard.len() / FRAME <= frames + IN_FLIGHT, "{} after {frames} frames", heard.len() / FRAME);
        }
    });
}

#[test]
fn a_stop_ends_what_pauses_and_the_pause() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let mut utterance = caller.speak(ID, &text).await.expect("it begins");
        utterance.hears(5).await;
        caller.command(ID, Pause).await;
        falls_silent(&caller, &mut utterance).await;
        let frames = utterance.frames();
        caller.command(ID, Stop).await;
        let heard = utterance.rest().await.expect("it ends with its final frame");
        assert_eq!(heard.len() / FRAME, frames, "nothing but the final frame");
        assert_eq!(caller.hear(ID, &["No."]).await.len() / FRAME, "No.".len(), "it can speak again at once");
    });
}

#[test]
fn commands_to_who_says_nothing_are_taken() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        for command in [Resume, Stop, Stop, Pause, Resume, Pause, Stop] {
            caller.command(ID, command).await;
        }
        assert_eq!(caller.hear(ID, &["Hello."]).await.len() / FRAME, "Hello.".len());
    });
}

/// Pauses and goes on, again and again; at the end it goes on.
async fn pauses_often(caller: &Orchestrator) {
    for _ in 0..50 {
        for command in [Pause, Resume] {
            let answered = timeout(SOON, caller.command(ID, command)).await;
            answered.unwrap_or_else(|_| panic!("{command:?} waits for who reads"));
        }
    }
}

#[test]
fn commands_are_answered_while_the_reader_stands_still() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &[&text]).await;
        let mut utterance = caller.speak(ID, &text).await.expect("it begins");
        utterance.finish();
        utterance.hears(1).await;
        pauses_often(&caller).await;
        // And what they ask for is done: nothing enters the transport while it pauses.
        timeout(SOON, caller.command(ID, Pause)).await.expect("it waits for who reads");
        falls_silent(&caller, &mut utterance).await;
        caller.command(ID, Resume).await;
        assert!(utterance.rest().await.expect("it goes on") == calm);
        // Nor does STOP wait.
        let mut utterance = caller.speak(ID, &text).await.expect("it begins");
        utterance.hears(1).await;
        caller.round_trips(20).await;
        timeout(SOON, caller.command(ID, Stop)).await.expect("it waits for who reads");
        let heard = utterance.rest().await.expect("it ends with its final frame");
        assert!(heard.len() / FRAME <= 1 + IN_FLIGHT && calm.starts_with(&heard), "{}", heard.len() / FRAME);
    });
}

#[test]
fn commands_are_answered_while_a_whole_connection_stands_still() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(100);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (caller, utterance) = runtime.block_on(async {
        let caller = begun(&server, "mock").await;
        let mut utterance = caller.speak(ID, &text).await.expect("it begins");
        utterance.finish();
        utterance.hears(1).await;
        (caller, utterance)
    });
    // Nobody drives that runtime now: not a byte of its connection is read.
    let calm = block_on(async {
        let other = Orchestrator::connect(&server.address).await;
        pauses_often(&other).await;
        other.begin("talk-2", "mock", super::AT_ONCE).await;
        other.hear("talk-2", &[&text]).await
    });
    let heard = runtime.block_on(async { timeout(PATIENCE, utterance.rest()).await.expect("it takes too long") });
    assert!(heard.expect("it goes on") == calm);
    drop(caller);
}

#[test]
fn no_storm_of_commands_changes_what_is_heard() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = long(30);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &[&text]).await;
        let mut utterance = caller.speak(ID, "").await.expect("it begins");
        for sentence in text.split_inclusive(". ") {
            utterance.write(sentence);
            // In whatever order they arrive.
            let mut calls = JoinSet::new();
            for number in 0..100 {
                calls.spawn(caller.commanding(ID, if number % 2 == 0 { Pause } else { Resume }));
            }
            for answer in utterance.hearing(calls.join_all()).await {
                assert!(answer.expect("it is answered").success);
            }
            caller.command(ID, Resume).await;
        }
        utterance.finish();
        assert!(utterance.rest().await.expect("it goes on") == calm);
    });
}

#[test]
fn a_reload_changes_the_worker_and_not_the_sound() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let text = "This one takes about a second. And then there is another one.";
    let worker_but = |old: u32| {
        let is_new = |pid: &u32| *pid != old && command_line(*pid).contains("mock:slow");
        eventually_some("a worker", || server.workers().into_iter().find(is_new))
    };
    block_on(async {
        let caller = begun(&server, "mock:slow").await;
        let calm = caller.hear(ID, &[text]).await;
        let old = worker_but(0);
        let mut utterance = caller.speak(ID, text).await.expect("it begins");
        utterance.finish();
        utterance.hears(5).await;
        let answer = utterance.hearing(caller.commanding(ID, Reload)).await.expect("it is answered");
        assert!(answer.success, "{}", answer.message);
        assert!(utterance.rest().await.expect("it goes on") == calm, "what is spoken ends with the old one");
        assert!(caller.hear(ID, &[text]).await == calm, "the session speaks on");
        eventually("the old one ends", || !is_alive(old));
        worker_but(old);
    });
    assert_eq!(server.logged(&sandbox, "Call lost its worker."), 0, "nobody had to die for it");
}
