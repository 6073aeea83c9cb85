//! Everything that can happen to a log, by chance and by name.

mod desk;
mod disk;
mod known_errors;
mod known_failures;
mod memory;
mod model;

use super::{
    Limits, Note, Restored, SessionId, Syncing,
    budget::Budget,
    log::Log,
    record::{Content, decode, encode_audio},
};
use crate::{
    error::{Kind, Result},
    speech::Samples,
};
use memory::Memory;
use proptest::prelude::*;
use std::sync::Arc;

/// More than any test needs.
const ROOM: Limits = Limits { session: 1 << 20, all: 1 << 30 };

fn id(name: &str) -> SessionId {
    SessionId::try_new(name).expect("a good id")
}

/// The audio of a position: everybody can tell what it must be.
fn audio(start: i64, length: usize) -> Vec<i16> {
    (start..).take(length).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 8) as i16).collect()
}

/// The log of session `s`, new.
fn create(store: &Memory, limits: Limits) -> Log {
    let budget = Arc::new(Budget::new(limits));
    Log::create(Arc::new(store.clone()), id("s"), b"config".to_vec(), &budget, Syncing::default()).expect("it works")
}

/// The log of session `s` after a crash.
fn restore(store: &Memory) -> Result<Option<(Log, Restored)>> {
    Log::restore(Arc::new(store.clone()), id("s"), &Arc::new(Budget::new(ROOM)), Syncing::default())
}

fn commit(to: i64) -> Note {
    Note::Commit { to: Samples(to), state: b"state".to_vec() }
}

fn a_final(seq: i64, to: i64, length: usize) -> Note {
    Note::Final { seq, to: Samples(to), message: vec![7; length], state: b"state".to_vec() }
}

fn note() -> impl Strategy<Value = Note> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        bytes().prop_map(|config| Note::Open { config }),
        (any::<i64>(), any::<i64>(), bytes(), bytes()).prop_map(|(seq, to, message, state)| Note::Final {
            seq,
            to: Samples(to),
            message,
            state
        }),
        (any::<i64>(), bytes()).prop_map(|(to, state)| Note::Commit { to: Samples(to), state }),
        any::<i64>().prop_map(|number| Note::Epoch { number }),
        any::<i64>().prop_map(|at| Note::Ended { at: Samples(at) }),
        any::<i64>().prop_map(|seq| Note::Acked { seq }),
        Just(Note::Closed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn a_record_survives(note in note(), behind in proptest::collection::vec(any::<u8>(), 0..20)) {
        let record = note.encode();
        let bytes = [record.as_slice(), &behind].concat();
        prop_assert_eq!(decode(&bytes), Some((Content::Note(note), record.len())));
        for short in 0..record.len() {
            prop_assert_eq!(decode(&record[..short]), None);
        }
    }

    #[test]
    fn audio_survives(start in 0i64..i64::MAX / 2, samples in proptest::collection::vec(any::<i16>(), 0..200)) {
        let record = encode_audio(Samples(start), &samples);
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        prop_assert_eq!(decode(&record), Some((Content::Audio(Samples(start), &bytes), record.len())));
    }

    #[test]
    fn one_wrong_bit_is_seen(note in note(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut record = note.encode();
        let at = at.index(record.len());
        record[at] ^= 1 << bit;
        prop_assert_eq!(decode(&record), None);
    }
}

#[test]
fn ids_are_safe_as_names() {
    for good in ["a", "A-b_9", &"x".repeat(64)] {
        assert_eq!(id(good).as_str(), good);
    }
    for bad in ["", ".", "..", "a/b", "../a", "a.gone", "speechctl.lock", "a\0", "ä", "a b", &"x".repeat(65)] {
        let error = SessionId::try_new(bad).expect_err("it is no name");
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert_eq!(error.details().field.as_deref(), Some("session_id"));
    }
}

#[test]
fn debugging_shows_no_words() {
    let note = a_final(1, 2, 5);
    assert_eq!(format!("{note:?}"), "Final(1, to 2, 5 B, 5 B)");
    let restored = Restored { notes: vec![note], audio: vec![1, 2], ..Restored::default() };
    assert!(format!("{restored:?}").contains("audio: 2,"), "{restored:?}");
}

#[test]
fn a_full_session_can_still_be_emptied() {
    let store = Memory::new();
    let mut log = create(&store, Limits { session: 20_000, all: 1 << 20 });
    let mut end = 0;
    let error = loop {
        match log.append_audio(Samples(end), &audio(end, 500)) {
            Ok(()) => end += 500,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("`--session-log`"), "{error}");
    assert!(error.details().retry_after.is_some());
    log.note(&a_final(1, end, 500)).expect("a final has room");
    log.drop_before(Samples(end)).expect("it works");
    log.sync().expect("it works");
    log.append_audio(Samples(end), &audio(end, 500)).expect("there is room again");
    assert_eq!(store.size(), log.bytes());
}

#[test]
fn all_sessions_share_a_limit() {
    let store = Memory::new();
    let budget = Arc::new(Budget::new(Limits { session: 1 << 20, all: 10_000 }));
    let make = |name| Log::create(Arc::new(store.clone()), id(name), Vec::new(), &budget, Syncing::default());
    let (mut one, mut two) = (make("one").expect("room"), make("two").expect("room"));
    one.append_audio(Samples(0), &audio(0, 4_000)).expect("room");
    let error = two.append_audio(Samples(0), &audio(0, 1_000)).expect_err("no room");
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("`--log-size`"), "{error}");
    assert!(error.details().retry_after.is_some());
    one.retire().and_then(|trash| trash.empty()).expect("it works");
    two.append_audio(Samples(0), &audio(0, 1_000)).expect("room again");
    assert_eq!(budget.used(), store.size());
}

#[test]
fn acknowledged_finals_are_forgotten() {
    let store = Memory::new();
    let mut log = create(&store, ROOM);
    log.append_audio(Samples(0), &audio(0, 100)).expect("room");
    log.note(&Note::Epoch { number: 1 }).expect("room");
    for seq in 1..=40 {
        log.note(&a_final(seq, seq, 100)).expect("room");
    }
    log.note(&Note::Epoch { number: 2 }).expect("room");
    let before = log.bytes();
    log.note(&Note::Acked { seq: 38 }).expect("room");
    assert!(log.bytes() < before / 2, "{} of {before}", log.bytes());
    assert_eq!(log.bytes(), store.size());
    log.sync().expect("it works");
    store.power_cut(|_| 0);
    let (_, restored) = restore(&store).expect("good").expect("there");
    let wanted = [
        Note::Open { config: b"config".to_vec() },
        a_final(39, 39, 100),
        a_final(40, 40, 100),
        Note::Epoch { number: 2 },
        Note::Acked { seq: 38 },
    ];
    assert_eq!(restored.notes, wanted);
}

#[test]
fn what_a_forgotten_final_committed_stays_committed() {
    let store = Memory::new();
    let mut log = create(&store, ROOM);
    log.append_audio(Samples(0), &audio(0, 100)).expect("room");
    for seq in 1..=40 {
        log.note(&a_final(seq, seq, 100)).expect("room");
    }
    log.note(&Note::Acked { seq: 40 }).expect("room");
    let (_, restored) = restore(&store).expect("good").expect("there");
    assert_eq!(restored.notes[1..], [commit(40), Note::Acked { seq: 40 }]);
}

#[test]
fn silence_without_end_does_not_grow() {
    let store = Memory::new();
    let mut log = create(&store, ROOM);
    log.append_audio(Samples(0), &audio(0, 1_000)).expect("room");
    for to in 1..=1_000 {
        log.note(&commit(to)).expect("room");
    }
    assert!(log.bytes() < 6_000, "{}", log.bytes());
}
