//! Thousands of random utterances, each beside a listener who knows the rules by heart.

use super::{
    frames::{self, BYTES},
    pace::Time,
    state::{Event, Next, Rules, Utterance},
};
use crate::sentence;
use proptest::prelude::*;
use std::time::Duration;

/// What an engine makes of a sentence: no two alike, and no length that frames fit into.
fn spoken(sentence: &str) -> Vec<u8> {
    let seed = sentence.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let length = (seed % 40_000 + 1) as usize * 2;
    (0..length as u64).map(|at| (seed.wrapping_add(at * at) >> 3) as u8 | 1).collect()
}

/// What an undisturbed listener hears of a text.
fn undisturbed(text: &str) -> Vec<u8> {
    let mut audio: Vec<u8> = sentence::split(text, "en").iter().flat_map(|sentence| spoken(&sentence.text)).collect();
    audio.resize(audio.len().next_multiple_of(BYTES), 0);
    audio
}

#[derive(Clone, Debug)]
enum Step {
    /// The caller writes so many characters more; with none left, it says that there are no more.
    Write(usize),
    /// The engine makes so many bytes more.
    Make(usize),
    /// The reader asks for this many frames.
    Read(usize),
    Pause,
    Resume,
    Stop,
    /// Milliseconds pass.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_usize..60).prop_map(Step::Write),
        8 => (0_usize..50_000).prop_map(|samples| Step::Make(samples * 2)),
        10 => (0_usize..6).prop_map(Step::Read),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Stop),
        8 => (0_u64..90).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..80)
}

/// One run: an utterance, its caller, its engine, and a listener who plays what comes.
struct Run {
    utterance: Utterance,
    lookahead: Option<Duration>,
    now: Time,
    /// What the caller has not written yet.
    unwritten: Vec<char>,
    pieces: i64,
    has_closed: bool,
    /// What the engine has not made yet of the sentence in work.
    unmade: Option<Vec<u8>>,
    /// What it has made in all.
    made: usize,
    /// Sentences that it was given.
    begun: u64,
    heard: Vec<u8>,
    frames: i64,
    /// When the listener will have heard all that has come.
    silent_from: Option<Time>,
    paused: Option<Time>,
    is_stopped: bool,
    has_last: bool,
}

impl Run {
    fn new(text: &str, lookahead: Option<Duration>) -> Self {
        let rules = Rules { lookahead, flush_after: None, language: "en".to_owned() };
        Self {
            utterance: Utterance::new(&rules, false),
            lookahead,
            now: Duration::from_secs(5),
            unwritten: text.chars().rev().collect(),
            pieces: 0,
            has_closed: false,
            unmade: None,
            made: 0,
            begun: 0,
            heard: Vec::new(),
            frames: 0,
            silent_from: None,
            paused: None,
            is_stopped: false,
            has_last: false,
        }
    }

    fn on(&mut self, event: Event<'_>) {
        self.utterance.on(self.now, event).expect("nothing is wrong with it");
    }

    fn write(&mut self, characters: usize) {
        let at = self.unwritten.len().saturating_sub(characters);
        let text: String = self.unwritten.split_off(at).into_iter().rev().collect();
        if self.has_closed {
            return;
        }
        self.pieces += 1;
        let is_final = self.unwritten.is_empty();
        self.has_closed = is_final;
        self.on(Event::Text { text: &text, number: self.pieces, is_final });
    }

    fn make(&mut self, bytes: usize) {
        if self.unmade.is_none() {
            let next = self.utterance.next_sentence();
            if let Some((before, _)) = &next {
                assert!(!self.is_stopped, "nothing is made of what was stopped");
                assert_eq!(*before, self.begun, "each has its number, and so its seed");
                assert!(
                    self.made - self.heard.len().min(self.made) < 2 * 96_000,
                    "no more is made than is needed soon"
                );
                self.begun += 1;
            }
            self.unmade = next.map(|(_, sentence)| spoken(&sentence.text));
        }
        assert!(self.unmade.is_none() || self.utterance.next_sentence().is_none(), "one at a time");
        let Some(mut audio) = self.unmade.take() else { return };
        let rest = audio.split_off(bytes.min(audio.len()));
        self.on(Event::Audio(&audio));
        self.made += if self.is_stopped { 0 } else { audio.len() };
        if rest.is_empty() {
            self.on(Event::Spoken);
        } else {
            self.unmade = Some(rest);
        }
    }

    /// Whether a frame must come now, as the rules are written; not how they are kept.
    fn is_due(&self, whole: &[u8]) -> bool {
        let unheard = self.made - self.heard.len().min(self.made);
        let is_all = self.has_closed && self.made == unpadded(whole);
        let is_there = unheard >= BYTES || (is_all && unheard > 0);
        let has_time = match (self.lookahead, self.silent_from) {
            (Some(lookahead), Some(silent_from)) => silent_from.saturating_sub(self.now) <= lookahead,
            _ => true,
        };
        is_there && has_time && self.paused.is_none() && !self.is_stopped
    }

    fn read(&mut self, whole: &[u8]) -> Next {
        let is_due = self.is_due(whole);
        let next = self.utterance.next_frame(self.now);
        assert_eq!(matches!(next, Next::Frame { .. }), is_due, "{next:?}");
        match &next {
            Next::Frame { number, audio, .. } => {
                self.frames += 1;
                assert_eq!((*number, audio.len()), (self.frames, BYTES));
                self.heard.extend_from_slice(audio);
                let from = self.silent_from.unwrap_or_default().max(self.now);
                self.silent_from = Some(from + frames::LENGTH);
            }
            Next::Last { number } => {
                assert!(!self.has_last && *number == self.frames + 1);
                assert!(self.is_stopped || self.heard == whole, "all was said, and nothing else");
                self.has_last = true;
            }
            Next::Wait(Some(at)) => assert!(*at > self.now && self.paused.is_none()),
            Next::Wait(None) => {}
            Next::Over => assert!(self.has_last),
        }
        assert!(whole.starts_with(&self.heard), "what was heard is the beginning of the whole");
        next
    }

    fn step(&mut self, step: &Step, whole: &[u8]) {
        match step {
            Step::Write(characters) => self.write(*characters),
            Step::Make(bytes) => self.make(*bytes),
            Step::Read(frames) => (0..*frames).for_each(|_| drop(self.read(whole))),
            Step::Pause => {
                self.on(Event::Pause);
                self.paused.get_or_insert(self.now);
            }
            Step::Resume => {
                self.on(Event::Resume);
                if let Some(paused) = self.paused.take() {
                    self.silent_from = self.silent_from.map(|at| at + (self.now - paused));
                }
            }
            Step::Stop => {
                self.on(Event::Stop);
                self.is_stopped = true;
            }
            Step::Pass(milliseconds) => self.now += Duration::from_millis(*milliseconds),
        }
    }

    /// Whatever happened, it comes to its end; says when.
    fn finish(&mut self, whole: &[u8]) {
        self.step(&Step::Resume, whole);
        self.write(usize::MAX);
        for _ in 0..100_000 {
            self.make(usize::MAX);
            match self.read(whole) {
                Next::Over => return,
                Next::Wait(Some(at)) => self.now = at,
                _ => {}
            }
        }
        panic!("it does not end");
    }
}

/// The bytes before the silence that fills up the last frame: engines make no zeros here.
fn unpadded(whole: &[u8]) -> usize {
    whole.len() - whole.iter().rev().take_while(|byte| **byte == 0).count()
}

const WORDS: &str = "([a-z]{1,9}[.!?,]? ){0,30}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn what_is_heard_is_the_whole_but_what_was_stopped(
        text in WORDS,
        lookahead in prop::option::of(0_u64..300),
        steps in steps(),
    ) {
        let whole = undisturbed(&text);
        let mut run = Run::new(&text, lookahead.map(Duration::from_millis));
        for step in &steps {
            run.step(step, &whole);
        }
        run.finish(&whole);
        prop_assert!(run.is_stopped || run.heard == whole);
    }
}

/// An utterance with a sentence in work, and one frame of it gone at 0 ms, of frames that go 40 ms ahead.
fn begun() -> Utterance {
    let rules = Rules { lookahead: Some(ms(40)), flush_after: Some(ms(500)), language: "en".to_owned() };
    let mut utterance = Utterance::new(&rules, false);
    on(&mut utterance, 0, Event::Text { text: "One is here. Two", number: 0, is_final: false });
    assert!(utterance.next_sentence().is_some());
    on(&mut utterance, 0, Event::Audio(&[1; BYTES]));
    assert_eq!(lateness(&mut utterance, 0), ms(0), "the first is never late");
    utterance
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn on(utterance: &mut Utterance, at: u64, event: Event<'_>) {
    utterance.on(ms(at), event).expect("nothing is wrong with it");
}

fn lateness(utterance: &mut Utterance, at: u64) -> Duration {
    match utterance.next_frame(ms(at)) {
        Next::Frame { late, .. } => late,
        other => panic!("no frame: {other:?}"),
    }
}

#[test]
fn frames_go_ahead_of_the_listener_by_so_much_and_no_more() {
    let mut utterance = begun();
    on(&mut utterance, 0, Event::Audio(&[1; 10 * BYTES]));
    let gone = (0..10).take_while(|_| matches!(utterance.next_frame(ms(0)), Next::Frame { .. })).count();
    assert_eq!(gone, 2, "those that are heard 20 and 40 ms later");
    assert_eq!(utterance.next_frame(ms(0)), Next::Wait(Some(ms(20))));
}

#[test]
fn who_asked_in_time_and_got_it_late_has_waited_for_us() {
    let mut utterance = begun();
    on(&mut utterance, 0, Event::Audio(&[1; 10 * BYTES]));
    (0..2).for_each(|_| drop(utterance.next_frame(ms(0))));
    assert_eq!(utterance.next_frame(ms(1)), Next::Wait(Some(ms(20))));
    assert_eq!(lateness(&mut utterance, 27), ms(7));
    // This reader came late by itself.
    assert_eq!(lateness(&mut utterance, 99), ms(0));
}

#[test]
fn a_voice_that_is_too_slow_is_our_fault_but_not_a_caller_who_writes_nothing() {
    let mut utterance = begun();
    assert_eq!(utterance.next_frame(ms(10)), Next::Wait(None), "the voice is at it");
    on(&mut utterance, 90, Event::Audio(&[1; BYTES]));
    assert_eq!(lateness(&mut utterance, 90), ms(80), "since it was asked for, which was after its time");
    on(&mut utterance, 91, Event::Spoken);
    assert_eq!(utterance.next_frame(ms(92)), Next::Wait(None), "there is nothing to say");
    on(&mut utterance, 400, Event::Text { text: " is there. Three", number: 0, is_final: false });
    assert!(utterance.next_sentence().is_some());
    assert_eq!(utterance.next_frame(ms(401)), Next::Wait(None), "the text has woken the reader");
    on(&mut utterance, 450, Event::Audio(&[1; BYTES]));
    assert_eq!(lateness(&mut utterance, 450), ms(0));
    // The next one is our fault again.
    assert_eq!(utterance.next_frame(ms(480)), Next::Wait(None));
    on(&mut utterance, 520, Event::Audio(&[1; BYTES]));
    assert_eq!(lateness(&mut utterance, 520), ms(40));
}

#[test]
fn the_rest_of_a_text_is_spoken_when_no_more_comes_if_that_is_wanted() {
    let mut utterance = begun();
    on(&mut utterance, 100, Event::Spoken);
    assert_eq!((utterance.tick_at(), utterance.next_sentence()), (Some(ms(500)), None));
    on(&mut utterance, 200, Event::Text { text: " is", number: 0, is_final: false });
    assert_eq!(utterance.tick_at(), Some(ms(700)), "it still came");
    on(&mut utterance, 699, Event::Tick);
    assert_eq!(utterance.next_sentence(), None);
    on(&mut utterance, 700, Event::Tick);
    assert_eq!(
        utterance.next_sentence().map(|(before, sentence)| (before, sentence.text)),
        Some((1, "Two is".to_owned()))
    );
    assert_eq!(utterance.tick_at(), None);
}

#[test]
fn text_that_makes_no_sense_is_refused_by_its_field() {
    let rules = Rules { lookahead: None, flush_after: None, language: String::new() };
    let text = |text, number, is_final| Event::Text { text, number, is_final };
    let long = "x".repeat(300_000);
    for (before, wrong, field) in [
        (text("One.", 1, true), text("Two.", 2, false), "text"),
        (text("One.", 5, false), text("Two.", 4, false), "sequence_number"),
        (text("One.", 5, false), text("Two.", 5, false), "sequence_number"),
        (text("One.", 5, false), text("Two.", 0, false), "sequence_number"),
        (text("One.", 1, false), text("a\0b", 2, false), "text"),
        (text("One.", 1, false), text(&long, 2, false), "text"),
    ] {
        let mut utterance = Utterance::new(&rules, false);
        utterance.on(ms(0), before).expect("nothing is wrong with it");
        let error = utterance.on(ms(0), wrong).expect_err("it is wrong");
        assert_eq!(error.details().field.as_deref(), Some(field), "{error}");
        // What was stopped hears nothing, whatever it is.
        utterance.on(ms(0), Event::Stop).expect("it can always be done");
        utterance.on(ms(0), wrong).expect("nobody listens");
    }
    let mut utterance = Utterance::new(&rules, false);
    for _ in 0..3 {
        utterance.on(ms(0), text("Unnumbered. ", 0, false)).expect("callers need not number");
    }
}

#[test]
fn so_much_text_waits_and_more_is_read_as_it_is_spoken() {
    let rules = Rules { lookahead: None, flush_after: None, language: "en".to_owned() };
    let mut utterance = Utterance::new(&rules, false);
    let text = "This is a sentence. ".repeat(4_000);
    on(&mut utterance, 0, Event::Text { text: &text, number: 0, is_final: false });
    assert!(!utterance.has_room_for_text());
    while utterance.next_sentence().is_some() {
        on(&mut utterance, 0, Event::Spoken);
    }
    assert!(utterance.has_room_for_text());
    // What comes after the end is read, to be refused.
    on(&mut utterance, 0, Event::Text { text: &text, number: 0, is_final: true });
    assert!(utterance.has_room_for_text());
}

#[test]
fn audio_of_no_sentence_is_not_heard() {
    let mut utterance = begun();
    on(&mut utterance, 1, Event::Spoken);
    on(&mut utterance, 2, Event::Audio(&[9; 10 * BYTES]));
    assert_eq!(utterance.next_frame(ms(100)), Next::Wait(None));
}
