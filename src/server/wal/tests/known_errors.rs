//! Each way in which files can be wrong, by name.

use super::{ROOM, a_final, audio, commit, create, id, memory::Memory, restore};
use crate::{
    error::{Error, Kind},
    server::wal::{
        Note, Restored,
        jobs::Trash,
        record::{HEAD, MAGIC, encode_audio},
        store::Store,
    },
    speech::Samples,
};
use std::sync::Arc;

const NOTES: &str = "s/notes.wal";
const FIRST: &str = "s/00000000000000000000.audio.wal";

/// A session with `pieces` of 500 samples, a final after the first 300, and the names of its files with audio.
pub(super) fn session(pieces: i64) -> (Memory, Vec<String>) {
    let store = Memory::new();
    let mut log = create(&store, ROOM);
    for piece in 0..pieces {
        log.append_audio(Samples(500 * piece), &audio(500 * piece, 500)).expect("it works");
        log.sync().expect("it works");
        if piece == 0 {
            log.note(&a_final(1, 300, 50)).expect("it works");
        }
    }
    let names = store.names("s").into_iter().filter(|name| name.ends_with(".audio.wal"));
    let names = names.map(|name| format!("s/{name}")).collect();
    (store, names)
}

pub(super) fn good(store: &Memory) -> Restored {
    restore(store).expect("it is good").expect("it is there").1
}

#[track_caller]
fn bad(store: &Memory, kind: Kind, words: &[&str]) -> Error {
    let before = store.size();
    let error = restore(store).map(|found| found.map(|(_, restored)| restored)).expect_err("it is bad");
    assert_eq!(error.kind(), kind, "{error}");
    words.iter().for_each(|word| assert!(error.to_string().contains(word), "no `{word}` in: {error}"));
    assert_eq!(store.size(), before, "what is damaged is not touched");
    error
}

#[track_caller]
fn damaged(store: &Memory, words: &[&str]) {
    let error = bad(store, Kind::DataLoss, words);
    assert!(error.to_string().ends_with("; run `speechctl sessions recover s`"), "{error}");
}

#[test]
fn nothing_wrong() {
    let (store, names) = session(20);
    assert_eq!(names.len(), 4);
    let restored = good(&store);
    assert_eq!(restored.notes, [Note::Open { config: b"config".to_vec() }, a_final(1, 300, 50)]);
    assert_eq!((restored.audio_start, restored.next, restored.torn), (Samples(0), Samples(10_000), 0));
    assert_eq!(restored.audio, audio(0, 10_000));
}

#[test]
fn empty_last_audio_file() {
    let (store, _) = session(3);
    store.put("s/00000000000000001500.audio.wal", b"");
    let restored = good(&store);
    assert_eq!((restored.next, restored.torn), (Samples(1_500), 0));
    assert!(!store.names("s").contains(&"00000000000000001500.audio.wal".to_owned()));
}

#[test]
fn short_magic() {
    let (store, _) = session(3);
    store.put("s/00000000000000001500.audio.wal", &MAGIC[..5]);
    assert_eq!((good(&store).next, good(&store).torn), (Samples(1_500), 0), "the second time it is whole");
    let (store, _) = session(3);
    store.put("s/00000000000000001500.audio.wal", &MAGIC[..5]);
    assert_eq!(good(&store).torn, 5);
}

#[test]
fn magic_and_nothing_else() {
    let (store, _) = session(3);
    store.put("s/00000000000000001500.audio.wal", &MAGIC);
    let (mut log, restored) = restore(&store).expect("good").expect("there");
    assert_eq!((restored.next, restored.torn), (Samples(1_500), 8));
    log.append_audio(Samples(1_500), &audio(1_500, 10)).expect("it goes on");
}

#[test]
fn wrong_magic() {
    let (store, names) = session(20);
    store.tamper(&names[2], |bytes| bytes[0] = b'X');
    damaged(&store, &[&names[2], "is no log file"]);
    let (store, _) = session(1);
    store.tamper(NOTES, |bytes| bytes[3] = b'X');
    damaged(&store, &[NOTES, "is no log file"]);
}

#[test]
fn newer_version() {
    for path in [NOTES, FIRST] {
        let (store, _) = session(3);
        store.tamper(path, |bytes| bytes[7] = 2);
        bad(&store, Kind::Unsupported, &[path, "written by a newer version"]);
    }
}

#[test]
fn kind_of_a_newer_version() {
    let (store, _) = session(1);
    store.tamper(NOTES, |bytes| {
        let payload = [99, 1, 2, 3];
        bytes.extend_from_slice(&3u32.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
    });
    bad(&store, Kind::Unsupported, &[NOTES, "written by a newer version"]);
}

#[test]
fn torn_length() {
    let (store, _) = session(2);
    store.tamper(FIRST, |bytes| bytes.extend_from_slice(&[9, 0]));
    let restored = good(&store);
    assert_eq!((restored.next, restored.torn), (Samples(1_000), 2));
    assert_eq!(good(&store).torn, 0, "it was cut off");
}

#[test]
fn torn_payload() {
    for (path, notes, next, torn) in [(FIRST, 2, 500, 8 + 1_000), (NOTES, 1, 1_000, 20 + 50 + 5)] {
        let (store, _) = session(2);
        store.tamper(path, |bytes| bytes.truncate(bytes.len() - 1));
        let restored = good(&store);
        assert_eq!((restored.notes.len(), restored.next), (notes, Samples(next)));
        assert_eq!(restored.torn, torn + HEAD as u64 - 1);
        assert_eq!(good(&store).torn, 0, "it was cut off");
    }
}

#[test]
fn flipped_bit_in_the_last_record() {
    let (store, names) = session(20);
    store.tamper(&names[3], |bytes| *bytes.last_mut().expect("not empty") ^= 4);
    assert_eq!(good(&store).next, Samples(9_500));
}

#[test]
fn flipped_bit_in_the_middle() {
    for (path, at) in [(FIRST, 60), (FIRST, 8), (NOTES, 18), (NOTES, 8)] {
        let (store, _) = session(3);
        store.tamper(path, |bytes| bytes[at] ^= 1);
        damaged(&store, &[path, "at byte 8, and good ones behind it"]);
    }
}

#[test]
fn flipped_bit_at_the_end_of_a_file_in_the_middle() {
    let (store, names) = session(20);
    store.tamper(&names[1], |bytes| *bytes.last_mut().expect("not empty") ^= 4);
    damaged(&store, &[&names[2], "audio is missing"]);
}

#[test]
fn flipped_bit_in_what_is_not_needed() {
    let (store, names) = session(20);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    log.note(&commit(9_000)).expect("it works");
    drop(log);
    store.tamper(&names[1], |bytes| bytes[60] ^= 4);
    let restored = good(&store);
    assert_eq!(restored.audio_start, Samples(5_000));
    assert_eq!(restored.next, Samples(10_000));
    assert!(!store.names("s").iter().any(|name| names[1].ends_with(name.as_str())), "it is gone");
}

#[test]
fn zeros_at_the_end() {
    for path in [FIRST, NOTES] {
        let (store, _) = session(2);
        store.tamper(path, |bytes| bytes.resize(bytes.len() + 4_096, 0));
        let restored = good(&store);
        assert_eq!((restored.notes.len(), restored.next, restored.torn), (2, Samples(1_000), 4_096));
    }
}

#[test]
fn nothing_but_zeros() {
    let (store, names) = session(20);
    store.tamper(&names[3], |bytes| bytes.fill(0));
    assert_eq!(good(&store).next, Samples(7_500));
}

#[test]
fn missing_file_in_the_middle() {
    let (store, names) = session(20);
    remove(&store, &names[2]);
    damaged(&store, &[&names[3], "audio is missing"]);
}

#[test]
fn missing_first_file() {
    let (store, names) = session(20);
    remove(&store, &names[0]);
    damaged(&store, &[&names[1], "from 300 to 2500 it is missing"]);
}

#[test]
fn missing_file_that_is_not_needed() {
    let (store, names) = session(20);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    log.note(&commit(9_000)).expect("it works");
    drop(log);
    remove(&store, &names[1]);
    let restored = good(&store);
    assert_eq!((restored.audio_start, restored.next), (Samples(5_000), Samples(10_000)));
}

#[test]
fn overlapping_files() {
    let (store, _) = session(20);
    let bytes = encode_audio(Samples(3_500), &audio(3_500, 100));
    store.put("s/00000000000000003500.audio.wal", &[&MAGIC, bytes.as_slice()].concat());
    damaged(&store, &["s/00000000000000003500.audio.wal", "they overlap"]);
}

#[test]
fn records_out_of_order() {
    let (store, _) = session(1);
    let bytes = encode_audio(Samples(600), &audio(600, 100));
    store.tamper(FIRST, |file| file.extend_from_slice(&bytes));
    damaged(&store, &[FIRST, "goes on with sample 600 where 500 must come"]);
}

#[test]
fn huge_length() {
    let (store, _) = session(2);
    store.tamper(FIRST, |bytes| bytes.extend_from_slice(&[255; 40]));
    let restored = good(&store);
    assert_eq!((restored.next, restored.torn), (Samples(1_000), 40));
}

#[test]
fn foreign_files() {
    let (store, _) = session(2);
    for name in ["README", "1.audio.wal", "0000000000000000000x.audio.wal", "notes.wal~", ".nfs0001", "x.new"] {
        store.put(&format!("s/{name}"), b"SPCWAL");
    }
    let before = store.names("s");
    let restored = good(&store);
    assert_eq!((restored.next, restored.torn), (Samples(1_000), 0));
    assert_eq!(store.names("s"), before, "they are not ours");
}

#[test]
fn folder_where_a_file_must_be() {
    let (store, _) = session(2);
    remove(&store, FIRST);
    store.create_folder(format!("/memory/{FIRST}").as_ref()).expect("it works");
    bad(&store, Kind::Config, &[FIRST, "is a link or the like"]);
}

#[test]
fn no_notes() {
    let (store, _) = session(2);
    remove(&store, NOTES);
    damaged(&store, &[NOTES, "is missing or has nothing, and there is audio"]);
}

#[test]
fn notes_without_a_beginning() {
    let (store, _) = session(2);
    store.tamper(NOTES, |bytes| drop(bytes.drain(8..8 + HEAD + 6)));
    damaged(&store, &[NOTES, "does not begin as it must"]);
}

#[test]
fn a_session_that_was_only_about_to_be_made() {
    for left in [None, Some(&b""[..]), Some(&MAGIC[..3]), Some(&MAGIC), Some(&[0; 64])] {
        let store = Memory::new();
        store.create_folder("/memory/s".as_ref()).expect("it works");
        left.into_iter().for_each(|bytes| store.put(NOTES, bytes));
        assert!(restore(&store).expect("it is no error").is_none());
    }
}

#[test]
fn no_session() {
    bad(&Memory::new(), Kind::NotFound, &["there is no session `s`"]);
}

#[test]
fn new_notes_left_over() {
    let (store, _) = session(2);
    store.put("s/notes.wal.new", b"half of someth");
    assert_eq!(good(&store).notes.len(), 2);
    assert!(!store.names("s").contains(&"notes.wal.new".to_owned()));
}

#[test]
fn removal_left_over() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    let trash = log.retire().expect("it works");
    assert_eq!(restore(&store).map(|_| ()).expect_err("it is gone").kind(), Kind::NotFound);
    drop(trash);
    assert_eq!(store.names(""), ["s.gone"]);
    let (shared, budget) = (Arc::new(store.clone()), Arc::new(super::Budget::new(ROOM)));
    let shared: Arc<dyn Store> = shared;
    assert!(Trash::left_behind(&shared, "../x.gone", super::Syncing::Never, &budget).is_none());
    let trash = Trash::left_behind(&shared, "s.gone", super::Syncing::Never, &budget).expect("it is one");
    trash.empty().expect("it works");
    assert!(store.names("").is_empty());
    assert_eq!(id("s").as_str(), "s");
}

#[test]
fn audio_that_was_committed_and_not_dropped() {
    let (store, _) = session(20);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    log.note(&commit(9_000)).expect("it works");
    drop(log);
    let (mut log, restored) = restore(&store).expect("good").expect("there");
    assert_eq!(restored.audio_start, Samples(0), "the caller may want what was before");
    log.drop_before(Samples(8_000)).expect("it works");
    log.sync().expect("it works");
    drop(log);
    assert_eq!(good(&store).audio_start, Samples(7_500));
}

#[test]
fn audio_of_a_session_that_was_closed() {
    let (store, _) = session(2);
    let (mut log, _) = restore(&store).expect("good").expect("there");
    log.note(&Note::Closed).expect("it works");
    drop(log);
    let restored = good(&store);
    assert!(restored.audio.is_empty() && restored.notes.contains(&Note::Closed));
    assert_eq!(store.names("s"), ["notes.wal"]);
}

fn remove(store: &Memory, path: &str) {
    Store::remove(store, format!("/memory/{path}").as_ref()).expect("it is there");
}
