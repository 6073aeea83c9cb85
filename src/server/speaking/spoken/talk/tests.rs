//! Commands and the transport's reader, one after the other in every order that matters.

use super::*;
use crate::{error::Kind, server::load::Load};
use std::{future::Future, pin::pin, task::Waker};

fn talk() -> Talk {
    let rules = Rules { lookahead: None, flush_after: None, language: "en".to_owned() };
    Talk::new(&rules, false, Arc::new(Measures::new(Load::new(2, 1))))
}

/// A talk with so many frames to be read, and more text to come.
fn with_frames(count: usize) -> Talk {
    let talk = talk();
    talk.on(Event::Text { text: "One. Two ", number: 1, is_final: false }).expect("it is text");
    assert!(talk.next_sentence().is_some());
    talk.on(Event::Audio(&vec![1; count * 1_920])).expect("it is taken");
    talk
}

fn read(talk: &Talk) -> Told {
    talk.next(&Context::from_waker(Waker::noop()))
}

/// The same, once what was given before is handed over.
fn read_on(talk: &Talk) -> Told {
    assert!(matches!(read(talk), Told::Wait(None)), "one frame at a time");
    read(talk)
}

/// Whether a wait is over by now.
fn is_over(wait: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    wait.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[tokio::test]
async fn a_frame_that_was_given_is_handed_over_before_a_pause_is_acknowledged() {
    let talk = with_frames(3);
    assert!(matches!(read(&talk), Told::Frame { number: 1, .. }));
    talk.command(Event::Pause);
    let mut quiet = pin!(talk.quiet());
    assert!(!is_over(quiet.as_mut()), "it may still be on its way");
    assert!(matches!(read(&talk), Told::Wait(None)));
    assert!(!is_over(quiet.as_mut()), "the transport has it only when the reader has come back once more");
    assert!(matches!(read(&talk), Told::Wait(None)));
    assert!(is_over(quiet));
    assert!(is_over(pin!(talk.quiet())), "twice is the same");
    talk.command(Event::Resume);
    assert!(matches!(read(&talk), Told::Frame { number: 2, .. }), "none is lost");
}

#[tokio::test]
async fn a_stop_gives_the_last_frame_only_when_the_one_before_is_handed_over() {
    let talk = with_frames(3);
    assert!(matches!(read(&talk), Told::Frame { number: 1, .. }));
    talk.command(Event::Stop);
    let mut quiet = pin!(talk.quiet());
    assert!(matches!(read(&talk), Told::Wait(None)) && !is_over(quiet.as_mut()));
    assert!(matches!(read(&talk), Told::Last(2)) && is_over(quiet));
    assert!(matches!(read(&talk), Told::Over(None)));
}

#[tokio::test]
async fn nobody_waits_for_a_reader_that_has_nothing_or_has_gone_or_stands_still() {
    let talk = with_frames(3);
    talk.command(Event::Pause);
    assert!(is_over(pin!(talk.quiet())), "it was given nothing");
    talk.command(Event::Resume);
    assert!(matches!(read(&talk), Told::Frame { number: 1, .. }));
    talk.command(Event::Pause);
    talk.quiet().await;
    talk.command(Event::Resume);
    assert!(matches!(read_on(&talk), Told::Frame { number: 2, .. }));
    talk.command(Event::Pause);
    talk.abandon();
    assert!(is_over(pin!(talk.quiet())));
}

#[tokio::test]
async fn what_was_made_is_heard_before_a_failure_is_told_but_what_is_refused_is_told_at_once() {
    let talk = with_frames(2);
    talk.fail(Error::new(Kind::Unavailable, "the voice is gone"));
    assert!(matches!(read(&talk), Told::Frame { number: 1, .. }));
    assert!(matches!(read_on(&talk), Told::Frame { number: 2, .. }));
    assert!(matches!(read_on(&talk), Told::Over(Some(error)) if error.kind() == Kind::Unavailable));
    assert!(matches!(read(&talk), Told::Over(None)));
    let talk = with_frames(2);
    talk.refuse(Error::invalid("no text"));
    assert!(matches!(read(&talk), Told::Over(Some(error)) if error.kind() == Kind::InvalidInput));
}

#[tokio::test]
async fn a_session_that_pauses_begins_its_next_utterance_pausing() {
    let rules = Rules { lookahead: None, flush_after: None, language: "en".to_owned() };
    let talk = Talk::new(&rules, true, Arc::new(Measures::new(Load::new(2, 1))));
    talk.on(Event::Text { text: "One.", number: 0, is_final: true }).expect("it is text");
    assert!(talk.next_sentence().is_some());
    talk.on(Event::Audio(&[1; 1_920])).expect("it is taken");
    assert!(matches!(read(&talk), Told::Wait(None)));
    talk.command(Event::Resume);
    assert!(matches!(read(&talk), Told::Frame { number: 1, .. }));
}
