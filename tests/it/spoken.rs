//! Spoken sessions: what is heard is what was written, whatever is commanded, and whatever dies on the way.

mod bad_input;
mod commands;
mod deaths;
mod foreign;
mod models;
mod places;
mod sound;

use crate::harness::{orchestrator::Orchestrator, sample, server::Server};

/// The name of a session, where a test has one.
const ID: &str = "talk-1";

const TEXT: &str = "Hello there. How are you? It is 3.14 o'clock, they say; Dr. Smith agrees. Grüße";

/// Frames as fast as they are made and read, and always the same noise in them.
const AT_ONCE: &[(&str, &str)] = &[("pacing", "none"), ("seed", "7")];

/// The Piper voice of the tests.
fn piper() -> String {
    sample("voices").join("test-voice.onnx").display().to_string()
}

/// Sentences of which no two are alike.
fn long(sentences: usize) -> String {
    let sentences: Vec<String> = (1..=sentences).map(|number| format!("This is sentence {number} of many.")).collect();
    sentences.join(" ")
}

/// A caller with a session of this model that speaks as fast as it can.
async fn begun(server: &Server, model: &str) -> Orchestrator {
    let caller = Orchestrator::connect(&server.address).await;
    caller.begin(ID, model, AT_ONCE).await;
    caller
}
