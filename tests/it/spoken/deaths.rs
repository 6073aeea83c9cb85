//! Workers that die while they speak: nothing is heard twice, and nothing is missing.

use super::{ID, begun, long, piper};
use crate::harness::{
    calls::cause,
    orchestrator::Orchestrator,
    pb::{block_on, spoken::ControlCommand},
    process::{Sandbox, send_signal},
    server::Server,
};

fn kill_all(server: &Server) {
    server.workers().into_iter().for_each(|worker| send_signal(worker, "KILL"));
}

/// Says a text, and kills whoever speaks each time that so many frames were heard.
async fn hear_under_fire(server: &Server, caller: &Orchestrator, text: &str, kills: &[usize]) -> Vec<u8> {
    let mut utterance = caller.speak(ID, text).await.expect("it begins");
    utterance.finish();
    for frames in kills {
        utterance.hears(*frames).await;
        kill_all(server);
    }
    utterance.rest().await.expect("it goes on")
}

#[test]
fn killed_in_mid_sentence() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = "This is the first of two, and it is being spoken when the worker dies. So is this one, but later; \
                it goes on for as long as the other one did.";
    // Each with half a second of its sentence to come, so that somebody is at work.
    let kills = [1, 20, 40, 80, 100];
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &[text]).await;
        caller.end(ID).await.expect("it is there");
        // It takes as long as the sound lasts: so it is at work when its frames are heard.
        let caller = begun(&server, "mock:slow").await;
        let heard = hear_under_fire(&server, &caller, text, &kills).await;
        assert!(heard == calm, "{} bytes instead of {}", heard.len(), calm.len());
    });
    assert!(server.logged(&sandbox, "Call lost its worker.") >= kills.len(), "they did die in the call");
}

#[test]
fn killed_again_and_again_in_a_long_text() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--voice", &piper()]);
    let text = long(25);
    for model in ["mock", "espeak", ""] {
        block_on(async {
            let caller = begun(&server, model).await;
            let calm = caller.hear(ID, &[&text]).await;
            let kills: Vec<usize> = (0..10).map(|kill| 1 + kill * 37).collect();
            let heard = hear_under_fire(&server, &caller, &text, &kills).await;
            assert!(heard == calm, "`{model}`: {} bytes instead of {}", heard.len(), calm.len());
            caller.end(ID).await.expect("it is there");
        });
    }
    // In a call or between two: what takes long enough to be hit is in the test before.
    assert!(server.log(&sandbox).contains("Worker died."));
}

#[test]
fn killed_in_a_pause() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = "This is being spoken when somebody wants a pause, and in it the worker dies. And then it goes on.";
    block_on(async {
        let caller = begun(&server, "mock:slow").await;
        let calm = caller.hear(ID, &[text]).await;
        let mut utterance = caller.speak(ID, text).await.expect("it begins");
        utterance.finish();
        utterance.hears(10).await;
        caller.command(ID, ControlCommand::Pause).await;
        kill_all(&server);
        utterance.hearing(caller.round_trips(50)).await;
        caller.command(ID, ControlCommand::Resume).await;
        assert!(utterance.rest().await.expect("it goes on") == calm);
    });
    assert!(server.log(&sandbox).contains("Call lost its worker."), "it did die in the call");
}

#[test]
fn a_sentence_that_kills_whoever_speaks_it_is_told_and_is_not_the_end_of_the_session() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock:crash@1").await;
        let mut utterance = caller.speak(ID, "Hello. A").await.expect("it begins");
        utterance.hears("Hello.".len()).await;
        // After a second, which is 50 characters.
        utterance.write(&format!("nd then {}the end.", "on and ".repeat(10)));
        utterance.finish();
        let status = utterance.rest().await.expect_err("nobody can say it");
        assert_eq!(cause(&status), "SIGABRT", "{status:?}");
        caller.command(ID, ControlCommand::Resume).await;
        assert!(caller.end(ID).await.expect("it is there"));
    });
}
