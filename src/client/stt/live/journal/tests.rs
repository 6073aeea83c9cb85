//! The promise, against a server that keeps its own, on a network that keeps none.

mod world;

use super::*;
use crate::proto::v1::session_done::Reason;
use proptest::prelude::*;
use world::{Act, World, speech};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn rules() -> Rules {
    Rules {
        session: "talk".to_owned(),
        capacity: 150,
        step: 20,
        margin: 6,
        marker: 25,
        chunk: 16,
        give_up_after: Duration::from_secs(100_000),
        last_words: Duration::from_secs(5),
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        12 => (1usize..17).prop_map(Act::Feed),
        12 => Just(Act::Send),
        12 => Just(Act::Up),
        12 => Just(Act::Down),
        4 => (1u64..300).prop_map(Act::Wait),
        3 => Just(Act::Cut),
        2 => (0usize..30).prop_map(Act::Restart),
        1 => Just(Act::Forget),
        1 => Just(Act::Stop),
        1 => Just(Act::Busy),
        1 => (0i64..200).prop_map(Act::Pause),
        1 => (0usize..3).prop_map(Act::Repeat),
    ];
    prop::collection::vec(act, 0..400)
}

/// Stretches of speech and the silence behind each.
fn stretches() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((1usize..12, 1usize..14), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_192))]

    /// Whatever happens to connections and servers, the user has what the calm run gives, each once, in order; the
    /// server has heard every sample in its place, which the world checks; and the buffer has its bound.
    #[test]
    fn the_finals_are_those_of_the_calm_run(stretches in stretches(), acts in acts()) {
        let truth = speech(&stretches);
        let calm = World::new(truth.clone(), true).run(&[]);
        let wild = World::new(truth, true).run(&acts);
        prop_assert_eq!(&wild.finals, &calm.finals);
        prop_assert_eq!(wild.gaps.len(), 0);
        prop_assert_eq!(wild.ended.map(|ended| (ended.reason, ended.finals)),
            calm.ended.map(|ended| (ended.reason, ended.finals)));
    }

    /// A source that does not wait may lose what there is no room for, but never silently.
    #[test]
    fn what_is_lost_is_told(stretches in stretches(), acts in acts()) {
        let truth = speech(&stretches);
        let wild = World::new(truth.clone(), false).run(&acts);
        let said: Vec<i16> = wild.finals.iter().flat_map(|(_, _, samples)| samples.clone()).collect();
        for (at, sample) in truth.iter().enumerate().filter(|(_, sample)| **sample != 0) {
            let is_told = wild.gaps.iter().any(|gap| gap.contains(&(at as i64)));
            prop_assert!(said.contains(sample) || is_told, "{at} was lost without a word");
        }
        prop_assert!(said.is_sorted_by(|one, two| one < two), "twice: {:?}", said);
    }
}

#[test]
fn without_mischief_all_is_said() {
    let truth = speech(&[(3, 9), (2, 2), (4, 9), (5, 9)]);
    let calm = World::new(truth, true).run(&[]);
    let spans: Vec<(i64, i64)> = calm.finals.iter().map(|(start, end, _)| (*start, *end)).collect();
    assert_eq!(spans, [(0, 3), (12, 20), (29, 34)]);
    assert_eq!(calm.ended.map(|ended| ended.audio_end), Some(43));
}

/// A journal that is open and was given some audio.
fn open() -> Journal {
    let mut journal = Journal::new(rules());
    journal.on(Event::Tick, Duration::ZERO);
    let ready = v1::Ready { session_id: "talk".to_owned(), resume_key: "k".to_owned(), epoch: 1, ..Default::default() };
    journal.on(Event::Said(Said::Ready(ready)), Duration::ZERO);
    journal.on(Event::Heard(vec![7; 10]), Duration::ZERO);
    while journal.next_message().is_some() {}
    journal
}

fn lost(kind: Kind) -> Event {
    Event::Lost { error: Error::new(kind, "x"), chance: 0.0 }
}

fn end(effects: Vec<Effect>) -> Option<Result<Ended, Kind>> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::End(end) => Some(end.map_err(|error| error.kind())),
        _ => None,
    })
}

#[test]
fn a_server_that_does_not_come_back_is_given_up_and_nothing_is_forgotten() {
    let mut journal = Journal::new(Rules { give_up_after: 60 * SECOND, ..rules() });
    journal.on(Event::Tick, Duration::ZERO);
    let ready = v1::Ready { session_id: "s".to_owned(), resume_key: "k".to_owned(), ..Default::default() };
    journal.on(Event::Said(Said::Ready(ready)), Duration::ZERO);
    journal.on(Event::Heard(vec![7; 10]), Duration::ZERO);
    while journal.next_message().is_some() {}
    let (mut now, mut tries) = (SECOND, 0);
    let told = journal.on(lost(Kind::Unavailable), now);
    assert!(matches!(told.first(), Some(Effect::Tell(Told::Away(_)))), "{told:?}");
    let ended = loop {
        now = journal.wake_at().expect("it waits for something");
        let effects = journal.on(Event::Tick, now);
        let connects = effects.iter().any(|effect| matches!(effect, Effect::Connect(_)));
        if let Some(end) = end(effects) {
            break end;
        }
        if connects {
            tries += 1;
            assert!(end(journal.on(lost(Kind::Unavailable), now)).is_none());
        }
    };
    assert_eq!((ended.expect_err("it is away"), now), (Kind::Unavailable, 61 * SECOND));
    assert!((25..60).contains(&tries), "{tries} tries");
    assert_eq!(journal.undecided(), (0, vec![7; 10]));
}

#[test]
fn a_server_that_dies_of_each_connection_is_given_up_too() {
    let mut journal = Journal::new(Rules { give_up_after: 60 * SECOND, ..rules() });
    let ready = v1::Ready { session_id: "s".to_owned(), resume_key: "k".to_owned(), ..Default::default() };
    let mut now = Duration::ZERO;
    for _ in 0..1_000 {
        now = journal.wake_at().unwrap_or(now);
        let mut effects = journal.on(Event::Tick, now);
        effects.extend(journal.on(Event::Said(Said::Ready(ready.clone())), now));
        effects.extend(journal.on(lost(Kind::Unavailable), now));
        if end(effects).is_some() {
            assert!(now >= 50 * SECOND && now <= 61 * SECOND, "{now:?}");
            return;
        }
    }
    panic!("it goes on for ever");
}

#[test]
fn some_errors_are_the_end() {
    // What is not found once the session is there is the model.
    for kind in [Kind::Superseded, Kind::InvalidInput, Kind::Denied, Kind::Internal, Kind::Deadline, Kind::NotFound] {
        assert_eq!(end(open().on(lost(kind), SECOND)), Some(Err(kind)));
    }
    for kind in [Kind::Unavailable, Kind::DataLoss, Kind::Busy] {
        assert_eq!(end(open().on(lost(kind), SECOND)), None, "{kind:?}");
    }
    // Before anything began, nothing is worth waiting for but what says when.
    let opening = || {
        let mut journal = Journal::new(rules());
        journal.on(Event::Tick, Duration::ZERO);
        journal
    };
    assert_eq!(end(opening().on(lost(Kind::NotFound), SECOND)), Some(Err(Kind::NotFound)), "a model, say");
    assert_eq!(end(opening().on(lost(Kind::Busy), SECOND)), Some(Err(Kind::Busy)));
    let mut journal = opening();
    let error = Error::new(Kind::Busy, "full").retry_after(7 * SECOND);
    assert_eq!(end(journal.on(Event::Lost { error, chance: 1.0 }, SECOND)), None);
    assert_eq!(journal.wake_at(), Some(8 * SECOND));
}

#[test]
fn a_final_that_is_left_out_is_noticed() {
    let said = v1::Final { seq: 2, audio_end: 5, ..v1::Final::default() };
    assert_eq!(end(open().on(Event::Said(Said::Final(said)), SECOND)), Some(Err(Kind::Internal)));
    let done = v1::SessionDone { reason: Reason::NoSpeech.into(), finals: 1, ..Default::default() };
    assert_eq!(end(open().on(Event::Said(Said::Done(done)), SECOND)), Some(Err(Kind::Internal)));
}

#[test]
fn what_was_not_sent_is_not_forgotten_whatever_the_server_says() {
    let mut journal = open();
    journal.on(Event::Heard(vec![9; 5]), SECOND);
    let said = v1::Final { seq: 1, audio_end: 1_000, ..v1::Final::default() };
    journal.on(Event::Said(Said::Final(said)), SECOND);
    assert_eq!(journal.undecided().0, 0, "it is not written yet");
    journal.note_written(1);
    assert_eq!(journal.undecided(), (10, vec![9; 5]));
}

#[test]
fn an_end_that_takes_too_long_is_no_good_end() {
    let mut journal = open();
    journal.on(Event::Stop, SECOND);
    journal.on(Event::Over, SECOND);
    assert!(matches!(journal.next_message(), Some(v1::streaming_recognize_request::Message::End(_))));
    assert_eq!(journal.wake_at(), Some(6 * SECOND));
    assert_eq!(end(journal.on(Event::Tick, 6 * SECOND)), Some(Err(Kind::Unavailable)));
}

#[test]
fn partials_of_an_engine_that_died_are_void() {
    let mut journal = open();
    journal.on(lost(Kind::Unavailable), SECOND);
    journal.on(Event::Tick, 2 * SECOND);
    let ready = v1::Ready { session_id: "talk".to_owned(), next_sample: 10, epoch: 2, ..Default::default() };
    let effects = journal.on(Event::Said(Said::Ready(ready)), 2 * SECOND);
    assert!(matches!(effects.first(), Some(Effect::Tell(Told::Resumed(_)))), "{effects:?}");
    let partial = |epoch| Event::Said(Said::Partial(v1::Partial { utterance_id: 1, epoch, ..Default::default() }));
    assert!(journal.on(partial(1), SECOND).is_empty());
    assert_eq!(journal.on(partial(2), SECOND).len(), 2, "that it began, and the partial");
}

#[test]
fn a_name_that_may_be_taken_gets_a_number() {
    let mut journal = Journal::new(Rules { session: "x".repeat(64), ..rules() });
    let session = |effects: Vec<Effect>| match effects.into_iter().next() {
        Some(Effect::Connect(opening)) => opening.session,
        other => panic!("{other:?}"),
    };
    assert_eq!(session(journal.on(Event::Tick, Duration::ZERO)), "x".repeat(64));
    journal.on(lost(Kind::Unavailable), Duration::ZERO);
    assert_eq!(session(journal.on(Event::Tick, SECOND)), "x".repeat(62) + "-2");
}

fn connects(effects: &[Effect]) -> Option<&Opening> {
    effects.iter().find_map(|effect| match effect {
        Effect::Connect(opening) => Some(opening),
        _ => None,
    })
}

#[test]
fn a_server_with_an_older_copy_of_the_session_is_given_a_new_one() {
    let mut journal = open();
    let said = v1::Final { seq: 1, audio_end: 4, ..v1::Final::default() };
    journal.on(Event::Said(Said::Final(said)), SECOND);
    journal.on(lost(Kind::Unavailable), SECOND);
    let effects = journal.on(Event::Tick, 2 * SECOND);
    assert_eq!(connects(&effects).and_then(|opening| opening.resume.as_ref()).map(|resume| resume.last_seq), Some(1));
    let older = v1::Ready { session_id: "talk".to_owned(), next_sample: 2, ..Default::default() };
    journal.on(Event::Said(Said::Ready(older)), 2 * SECOND);
    let effects = journal.on(Event::Tick, 3 * SECOND);
    assert_eq!(connects(&effects).map(|opening| (opening.resume.is_none(), opening.has_spoken)), Some((true, true)));
}

#[test]
fn an_end_that_was_given_to_a_forgotten_session_does_not_count() {
    let mut journal = open();
    journal.on(Event::Over, SECOND);
    while journal.next_message().is_some() {}
    journal.on(lost(Kind::NotFound), SECOND);
    journal.on(Event::Tick, 2 * SECOND);
    let ready = v1::Ready { session_id: "new".to_owned(), resume_key: "n".to_owned(), ..Default::default() };
    journal.on(Event::Said(Said::Ready(ready)), 2 * SECOND);
    let done = v1::SessionDone { reason: Reason::EndOfAudio.into(), ..Default::default() };
    assert_eq!(end(journal.on(Event::Said(Said::Done(done)), 2 * SECOND)), None);
    assert_eq!(journal.undecided(), (0, vec![7; 10]));
}
