//! Each way in which a disk or a caller can fail, by name.

use super::{
    Memory, ROOM, audio, commit, create,
    known_errors::{good, session},
    memory::Fault,
    restore,
};
use crate::{
    error::Kind,
    server::wal::{Note, log::FILE},
    speech::Samples,
};

#[test]
fn disk_full_in_the_middle_of_a_record() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    let (size, bytes) = (store.size(), log.bytes());
    store.fail(1, Fault::Full(100));
    let error = log.append_audio(Samples(1_000), &audio(1_000, 400)).expect_err("it is full");
    assert_eq!(error.kind(), Kind::Io);
    for word in ["cannot write `/memory/s/0000", "No space left on device", "--state-folder"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!((store.size(), log.bytes()), (size, bytes), "it was cut back");
    log.append_audio(Samples(1_000), &audio(1_000, 300)).expect("there is room again");
    assert_eq!(good(&store).audio, audio(0, 1_300));
}

#[test]
fn disk_full_and_the_file_cannot_be_cut() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    store.fail(1, Fault::Full(100));
    store.fail(2, Fault::Broken(0));
    store.fail(3, Fault::Broken(0));
    log.append_audio(Samples(1_000), &audio(1_000, 400)).expect_err("it is full");
    assert!(log.bytes() >= store.size());
    let error = log.append_audio(Samples(1_000), &audio(1_000, 300)).expect_err("first it must be cut");
    assert!(error.to_string().contains("cannot repair"), "{error}");
    log.append_audio(Samples(1_000), &audio(1_000, 300)).expect("it was cut");
    assert_eq!(log.bytes(), store.size());
    assert_eq!(good(&store).audio, audio(0, 1_300));
}

#[test]
fn a_sync_that_fails_is_the_end() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    store.fail(1, Fault::Broken(0));
    log.sync().expect_err("it breaks");
    let error = log.append_audio(Samples(1_000), &audio(1_000, 300)).expect_err("it is broken");
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("takes no more"), "{error}");
    assert_eq!(good(&store).next, Samples(1_000));
}

#[test]
fn notes_that_cannot_be_replaced() {
    // The note itself, then the removal of an older try; what is read, made, written, synced, renamed.
    for operation in 2..=7 {
        let (store, _) = session(2);
        let (mut log, _) = restore(&store).expect("good").expect("there");
        let mut shortened = 0;
        for to in 400..800 {
            let before = log.bytes();
            // Around where the file becomes long enough every try fails; the next one comes much later.
            let audio = 2 * 1_017 + 8;
            if (audio + 1_900..audio + 2_300).contains(&before) && shortened == 0 {
                store.fail(operation, Fault::Broken(3));
            }
            log.note(&commit(to)).expect("the note itself is there");
            store.heal();
            shortened += u32::from(log.bytes() < before);
        }
        assert!(shortened > 0);
        assert_eq!(log.bytes(), store.size(), "operation {operation}");
        assert_eq!(good(&store).notes.last(), Some(&commit(799)), "operation {operation}");
    }
}

#[test]
fn notes_whose_name_is_in_doubt() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    let mut last = 400;
    while log.note(&commit(last)).is_ok() {
        store.heal();
        store.fail(7, Fault::Lie);
        last += 1;
    }
    let error = log.append_audio(Samples(1_000), &[1]).expect_err("it would be lost");
    assert_eq!(error.kind(), Kind::Io);
    store.heal();
    assert_eq!(good(&store).notes.last(), Some(&commit(last - 1)));
}

#[test]
fn audio_from_elsewhere() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    for start in [0, 999, 1_001] {
        let error = log.append_audio(Samples(start), &[1]).expect_err("it does not follow");
        assert_eq!(error.kind(), Kind::Internal);
    }
    for note in [commit(299), commit(1_001), Note::Open { config: Vec::new() }] {
        assert_eq!(log.note(&note).expect_err("it cannot be true").kind(), Kind::Internal);
    }
}

#[test]
fn too_long_for_a_record() {
    let store = Memory::new();
    let mut log = create(&store, super::Limits { session: 1 << 40, all: 1 << 40 });
    let note = Note::Commit { to: Samples(0), state: vec![0; 17 << 20] };
    assert_eq!(log.note(&note).expect_err("too long").kind(), Kind::InvalidInput);
}

#[test]
fn a_power_cut_between_two_files() {
    let store = Memory::new();
    let mut log = create(&store, ROOM);
    log.sync().expect("it works");
    let mut end = 0;
    while store.names("s").len() < 3 {
        log.append_audio(Samples(end), &audio(end, 500)).expect("it works");
        end += 500;
    }
    assert!(end as u64 * 2 > FILE);
    // What was written last has reached the disk, the rest only if it was waited for.
    store.power_cut(|choices| choices - 1);
    assert!(good(&store).next.0 >= end - 500);
}

#[test]
fn finals_are_acknowledged_after_the_end() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    log.note(&Note::Closed).expect("it works");
    log.note(&Note::Acked { seq: 1 }).expect("it works");
    log.close().expect("once more is no harm");
    assert_eq!(log.note(&commit(1_000)).expect_err("it is closed").kind(), Kind::Internal);
    assert_eq!(log.append_audio(Samples(1_000), &[1]).expect_err("it is closed").kind(), Kind::Internal);
    assert_eq!(good(&store).notes[2..], [Note::Closed, Note::Acked { seq: 1 }]);
}
