//! What is heard: all of a text, in frames of one size, however the text comes.

use super::{AT_ONCE, ID, TEXT, begun, long, piper};
use crate::harness::{
    calls::synthesize,
    orchestrator::{FRAME, Orchestrator, piece},
    pb::{block_on, spoken, v1},
    process::Sandbox,
    server::Server,
    speaker::voice,
};
use spoken::{ControlCommand, TextChunk};
use std::time::{Duration, Instant};
use v1::synthesize_request::Input;

#[test]
fn however_a_text_is_cut_it_sounds_as_in_one_piece() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--voice", &piper()]);
    // Who names no model gets the server's voice.
    for model in ["mock", "espeak", ""] {
        block_on(async {
            let caller = begun(&server, model).await;
            let whole = caller.hear(ID, &[TEXT]).await;
            assert!(whole.iter().any(|byte| *byte != 0), "`{model}` is silent");
            let words: Vec<&str> = TEXT.split_inclusive(' ').collect();
            let characters: Vec<&str> = TEXT.split_inclusive(|_: char| true).collect();
            for pieces in [words, characters] {
                let heard = caller.hear(ID, &pieces).await;
                assert!(heard == whole, "`{model}` in {} pieces", pieces.len());
            }
            assert!(caller.end(ID).await.expect("it is there"));
        });
    }
}

#[test]
fn it_is_what_the_other_contract_says_and_silence_to_the_end_of_the_last_frame() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--voice", &piper()]);
    let mut has_silence = false;
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        let options = [AT_ONCE, &[("speed", "1.3")]].concat();
        let piper = piper();
        // espeak has its own way through a text of several sentences.
        let one = "Good morning to all of you.";
        for (model, voice_name, text) in [("mock", "mock", TEXT), ("", piper.as_str(), TEXT), ("espeak", "en-us", one)]
        {
            let request = v1::SynthesizeRequest {
                input: Some(Input::Text(text.to_owned())),
                sample_rate_hertz: 48_000,
                seed: Some(7),
                speed: 1.3,
                ..voice(voice_name)
            };
            let mut whole = synthesize(&server.address, request).await.expect("it speaks").audio;
            let length = whole.len().next_multiple_of(FRAME);
            has_silence |= length > whole.len();
            whole.resize(length, 0);
            caller.begin(ID, model, &options).await;
            let heard = caller.hear(ID, &[text]).await;
            assert!(heard == whole, "`{model}`: {} bytes instead of {length}", heard.len());
            caller.end(ID).await.expect("it is there");
        }
    });
    assert!(has_silence, "no last frame had to be filled up");
}

#[test]
fn nothing_is_missing_and_nobody_waits_who_is_not_paced() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let sentences = 150;
    let text = long(sentences);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let heard = caller.hear(ID, &[&text]).await;
        // The mock makes 20 ms of each character, and nothing of the space between sentences.
        assert_eq!(heard.len() / FRAME, text.chars().count() - (sentences - 1));
        assert!(heard.len() / FRAME > 60 * 50, "more than a minute of sound, in less than a minute");
    });
}

#[test]
fn frames_come_no_sooner_than_they_are_heard() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        // The first is usual.
        for (option, lookahead) in [(("pacing", "realtime"), 100), (("lookahead_ms", "0"), 0)] {
            caller.begin(ID, "mock", &[option]).await;
            let began = Instant::now();
            let mut utterance = caller.speak(ID, &long(3)).await.expect("it begins");
            utterance.hears(20).await;
            caller.command(ID, ControlCommand::Pause).await;
            let paused = Instant::now();
            utterance.hearing(caller.round_trips(100)).await;
            let paused = paused.elapsed();
            caller.command(ID, ControlCommand::Resume).await;
            utterance.hears(50).await;
            // Frame n, counted from 0, is heard n times 20 ms after the first, and later by the pause.
            let soonest = Duration::from_millis(49 * 20 - lookahead) + paused;
            assert!(began.elapsed() >= soonest, "{:?} instead of {soonest:?}", began.elapsed());
            caller.end(ID).await.expect("it is there");
        }
    });
}

#[test]
fn a_sentence_is_spoken_as_soon_as_its_end_is_certain() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let mut utterance = caller.speak(ID, "One two. Th").await.expect("it begins");
        utterance.hears("One two.".len()).await;
        utterance.write("ree four.");
        utterance.finish();
        let heard = utterance.rest().await.expect("it ends");
        assert_eq!(heard.len() / FRAME, "One two.".len() + "Three four.".len());
    });
}

#[test]
fn what_has_no_end_is_spoken_after_a_while_where_that_is_wanted() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        caller.begin(ID, "mock", &[AT_ONCE, &[("flush_ms", "50")]].concat()).await;
        let mut utterance = caller.speak(ID, "Hello there").await.expect("it begins");
        utterance.hears("Hello there".len()).await;
        utterance.write(" again");
        utterance.finish();
        let heard = utterance.rest().await.expect("it ends");
        assert_eq!(heard.len() / FRAME, "Hello there".len() + "again".len());
    });
}

#[test]
fn a_text_ends_with_its_last_piece_or_with_its_stream() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let whole = caller.hear(ID, &["One. Two"]).await;
        assert_eq!(whole.len() / FRAME, "One.".len() + "Two".len());
        let last = TextChunk { is_final: true, ..piece(ID, "One. Two", 1) };
        let utterance = caller.speak_with(ID, vec![last]).await.expect("it begins");
        assert!(utterance.rest().await.expect("it ends") == whole, "with its last words");
        // Who does not number the pieces sends 0, and only the first has to name the session.
        let unnumbered = vec![piece(ID, "One. ", 0), piece("", "Tw", 0), piece("", "o", 0)];
        let mut utterance = caller.speak_with(ID, unnumbered).await.expect("it begins");
        utterance.close();
        assert!(utterance.rest().await.expect("it ends") == whole, "with its stream");
        for nothing in ["", " \n\t "] {
            assert!(caller.hear(ID, &[nothing]).await.is_empty(), "nothing to say is a final frame, the first");
        }
    });
}

#[test]
fn after_the_final_frame_the_next_text_may_come_at_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        // Often, for it is a matter of chance who is faster.
        for number in 0..200 {
            let text = "x".repeat(number % 40 + 1);
            let utterance = caller.speak(ID, &text).await;
            let mut utterance = utterance.unwrap_or_else(|status| panic!("after {number} that went well: {status:?}"));
            utterance.finish();
            utterance.hears_the_end().await;
            assert_eq!(utterance.frames(), text.len());
            // Whether its stream has ended is nobody's concern.
        }
    });
}
