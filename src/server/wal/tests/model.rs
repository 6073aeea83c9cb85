//! Thousands of random lives of sessions on a disk that fails, against what must be true of them at every moment.

use super::{Budget, Limits, Log, Memory, Note, Restored, SessionId, Syncing, audio, id};
use crate::{
    error::{Error, Kind, Result},
    server::wal::{
        jobs::{SyncJob, Trash},
        notes::kept,
        reader::audio_start,
        store::Store,
        tests::memory::Fault,
    },
    speech::Samples,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

const LIMITS: Limits = Limits { session: 24 << 10, all: 40 << 10 };

/// What a session has been promised.
struct Promise {
    id: SessionId,
    /// What was noted, and how much of it must survive a power cut.
    notes: Vec<Note>,
    synced_notes: usize,
    /// Notes that failed, and what was noted before them.
    failed: Vec<(usize, Note)>,
    /// Where the audio ends, and what of it must survive a power cut.
    end: i64,
    synced_end: i64,
    /// Wherever it could end after a power cut, because something ended there.
    ends: BTreeSet<i64>,
    /// Where pieces that failed would end, since the last that did not.
    failed_ends: Vec<i64>,
    committed: i64,
    /// Up to where audio may be gone.
    dropped: i64,
    /// Up to where it must be gone, file by file: what was dropped since the last start.
    asked: i64,
    seq: i64,
    is_closed: bool,
    /// Whether it was to be removed, and that failed.
    is_going: bool,
}

impl Promise {
    fn new(id: SessionId) -> Self {
        Self {
            id,
            notes: vec![Note::Open { config: b"config".to_vec() }],
            synced_notes: 0,
            failed: Vec::new(),
            end: 0,
            synced_end: 0,
            ends: BTreeSet::from([0]),
            failed_ends: Vec::new(),
            committed: 0,
            dropped: 0,
            asked: 0,
            seq: 0,
            is_closed: false,
            is_going: false,
        }
    }

    /// Holds what was restored against the promise, and goes on from there.
    fn check(&mut self, restored: &Restored, lost_power: bool) {
        let least = if lost_power { self.synced_notes } else { self.notes.len() };
        let is = kept(restored.notes.clone());
        let found = (least..=self.notes.len()).rev().find_map(|length| {
            let notes = self.notes[..length].to_vec();
            if kept(notes.clone()) == is {
                return Some(notes);
            }
            let failed = self.failed.iter().filter(|(before, _)| *before == length);
            failed.map(|(_, note)| [notes.clone(), vec![note.clone()]].concat()).find(|notes| kept(notes.clone()) == is)
        });
        let Some(notes) = found else {
            panic!(
                "of {:?}, {least} for certain, there is {:?}; failed: {:?}",
                self.notes, restored.notes, self.failed
            );
        };
        self.notes = notes;
        self.committed = self.notes.iter().filter_map(Note::commits).map(|to| to.0).max().unwrap_or(0);
        self.seq = self.seq.max(self.notes.iter().filter_map(seq).max().unwrap_or(0));
        self.is_closed = self.notes.contains(&Note::Closed);
        self.check_audio(restored, lost_power);
        self.asked = 0;
        self.failed_ends.clear();
        // What failed may have been synced before it was cut off: until now it could come back with a power cut.
        if lost_power {
            self.failed.clear();
            self.dropped = self.dropped.max(restored.audio_start.0);
            self.synced_notes = self.notes.len();
            self.synced_end = self.end;
        }
    }

    fn check_audio(&mut self, restored: &Restored, lost_power: bool) {
        let (start, next) = (restored.audio_start.0, restored.next.0);
        assert!(start <= self.committed, "audio is missing before {start}");
        assert_eq!(restored.audio, audio(start, restored.audio.len()), "not what was said");
        assert_eq!(next, start + restored.audio.len() as i64);
        if self.is_closed {
            assert!(restored.audio.is_empty(), "it was closed");
        } else if lost_power {
            assert!(
                next >= self.synced_end.max(self.committed) && (self.ends.contains(&next) || next == self.committed),
                "{next}, {:?}",
                self.ends
            );
        } else {
            assert!(next == self.end || self.failed_ends.contains(&next), "{next} is not {}", self.end);
            assert!(start <= self.dropped, "more is gone than was dropped");
        }
        self.end = next;
    }
}

fn seq(note: &Note) -> Option<i64> {
    match note {
        Note::Final { seq, .. } | Note::Acked { seq } => Some(*seq),
        _ => None,
    }
}

/// A promise, and the log that has to keep it.
struct Session {
    promise: Promise,
    log: Option<Log>,
    /// A sync that another thread works at, and what it covers.
    job: Option<(SyncJob, usize, i64)>,
}

struct World {
    store: Memory,
    budget: Arc<Budget>,
    syncing: Syncing,
    sessions: Vec<Session>,
    /// Whether something has failed since the last start.
    has_failed: bool,
}

/// Errors of the disk, and of a log that such an error has broken.
fn is_disk(error: &Error) -> bool {
    error.kind() == Kind::Io
}

impl World {
    fn new(syncing: Syncing) -> Self {
        let session = |name| Session { promise: Promise::new(id(name)), log: None, job: None };
        let sessions = vec![session("one"), session("two")];
        Self { store: Memory::new(), budget: Arc::new(Budget::new(LIMITS)), syncing, sessions, has_failed: false }
    }

    fn step(&mut self, action: u8, pick: usize) {
        let which = pick % 2;
        let pick = pick / 2;
        match action {
            0 => self.store.fail(1 + (pick % 8) as u64, fault(pick / 8)),
            1 => self.has_failed |= self.store.heal(),
            2 => self.restart(None),
            3 if self.syncing != Syncing::Never => self.restart(Some(pick)),
            _ if self.sessions[which].log.is_none() => self.create(which),
            4 if pick.is_multiple_of(4) => self.remove(which),
            5 => self.sync(which, pick),
            _ => self.use_log(which, action, pick),
        }
        self.check_sizes();
    }

    fn create(&mut self, which: usize) {
        let id = self.sessions[which].promise.id.clone();
        let open = b"config".to_vec();
        match Log::create(Arc::new(self.store.clone()), id.clone(), open, &self.budget, self.syncing) {
            Ok(mut log) => match log.sync() {
                Ok(()) => {
                    let promise = Promise { synced_notes: 1, ..Promise::new(id) };
                    self.sessions[which] = Session { promise, log: Some(log), job: None };
                }
                // As the desk does: nobody has been told of it.
                Err(_) => drop(log.retire().and_then(Trash::empty)),
            },
            // The rest of one that could not be removed is in the way until the next start.
            Err(error) => assert!(is_disk(&error) || self.has_failed() || error.kind() == Kind::Busy, "{error}"),
        }
    }

    fn remove(&mut self, which: usize) {
        let session = &mut self.sessions[which];
        let Some(log) = &mut session.log else { return };
        match log.retire() {
            Ok(trash) => {
                session.log = None;
                session.job = None;
                drop(trash.empty());
            }
            Err(error) => {
                assert!(is_disk(&error), "{error}");
                session.promise.is_going = true;
            }
        }
    }

    fn sync(&mut self, which: usize, pick: usize) {
        let Session { promise, log: Some(log), job } = &mut self.sessions[which] else { return };
        match (job.take(), pick % 3) {
            (None, 0) => *job = log.sync_job().map(|job| (job, promise.notes.len(), promise.end)),
            (None, _) => {
                if log.sync().is_ok() && log.sync_state().is_ok() {
                    promise.synced_notes = promise.notes.len();
                    promise.synced_end = promise.end;
                }
            }
            (Some((job, notes, end)), _) => {
                if log.synced(job.change(), job.run()).is_ok() {
                    promise.synced_notes = promise.synced_notes.max(notes);
                    promise.synced_end = promise.synced_end.max(end);
                }
            }
        }
    }

    fn use_log(&mut self, which: usize, action: u8, pick: usize) {
        let Session { promise, log: Some(log), .. } = &mut self.sessions[which] else { return };
        let between = |low: i64, high: i64| low + pick as i64 % (high - low + 1);
        let note = match action {
            6..=9 => {
                let length = 1 + pick % 900;
                let end = promise.end + length as i64;
                let result = log.append_audio(Samples(promise.end), &audio(promise.end, length));
                if result.is_ok() {
                    promise.end = end;
                    promise.failed_ends.clear();
                } else {
                    promise.failed_ends.push(end);
                }
                promise.ends.insert(end);
                return check_use(promise, result);
            }
            10 => {
                let position = between(0, promise.end);
                let result = log.drop_before(Samples(position));
                promise.asked = promise.asked.max(position.min(promise.committed));
                promise.dropped = promise.dropped.max(promise.asked);
                return check_use(promise, result);
            }
            11 => Note::Acked { seq: between(0, promise.seq) },
            12 => Note::Commit { to: Samples(between(promise.committed, promise.end)), state: vec![1; pick % 50] },
            13 => Note::Epoch { number: pick as i64 },
            14 if pick.is_multiple_of(8) => Note::Closed,
            14 => Note::Ended { at: Samples(promise.end) },
            _ => Note::Final {
                seq: promise.seq + 1,
                to: Samples(between(promise.committed, promise.end)),
                message: vec![2; pick % 400],
                state: vec![3; pick % 60],
            },
        };
        let result = log.note(&note);
        if result.is_ok() {
            promise.seq = promise.seq.max(seq(&note).unwrap_or(0));
            promise.committed = note.commits().map_or(promise.committed, |to| to.0);
            promise.is_closed |= note == Note::Closed;
            promise.notes.push(note);
        } else {
            promise.failed.push((promise.notes.len(), note));
        }
        check_use(promise, result);
    }

    /// The process is killed, or the machine is; then everything is read.
    fn restart(&mut self, power: Option<usize>) {
        if let Some(mut pick) = power {
            self.store.heal();
            self.store.power_cut(|choices| {
                pick = pick.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (pick >> 33) % choices * (pick >> 20 & 1)
            });
        }
        self.budget = Arc::new(Budget::new(LIMITS));
        for which in 0..self.sessions.len() {
            self.sessions[which].job = None;
            let Session { promise, log, .. } = &mut self.sessions[which];
            let was_there = log.take().is_some() && !promise.is_going;
            self.restore(which, was_there, power.is_some());
        }
        self.store.heal();
        self.has_failed = false;
        for name in self.store.names("") {
            let store: Arc<dyn Store> = Arc::new(self.store.clone());
            if let Some(trash) = Trash::left_behind(&store, &name, self.syncing, &self.budget) {
                trash.empty().expect("nothing fails");
            }
        }
    }

    fn restore(&mut self, which: usize, was_there: bool, lost_power: bool) {
        let id = self.sessions[which].promise.id.clone();
        let restore = || Log::restore(Arc::new(self.store.clone()), id.clone(), &self.budget, self.syncing);
        let result = restore().or_else(|error| {
            assert!(is_disk(&error) || error.kind() == Kind::NotFound, "{error}");
            self.store.heal();
            restore()
        });
        let session = &mut self.sessions[which];
        match result {
            // One that was never finished, or that was removed and is back, was not promised, but it is whole.
            Ok(Some((mut log, _))) if !was_there => {
                self.store.heal();
                log.retire().and_then(Trash::empty).expect("nothing fails");
            }
            Ok(Some((log, restored))) => {
                session.promise.check(&restored, lost_power);
                session.log = Some(log);
            }
            Ok(None) => {
                assert!(!was_there || lost_power && session.promise.synced_notes == 0, "it was there");
                self.store.heal();
                let store: Arc<dyn Store> = Arc::new(self.store.clone());
                let trash = Trash::collect(&store, &id, self.syncing, &self.budget, 0);
                trash.and_then(Trash::empty).expect("nothing fails");
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::NotFound, "{error}");
                assert!(!was_there || lost_power && session.promise.synced_notes == 0, "it was there");
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.has_failed || self.store.has_failed()
    }

    /// Nothing is beyond the limits, and the account is right; to the byte, where nothing has failed.
    fn check_sizes(&self) {
        let (size, used) = (self.store.size(), self.budget.used());
        assert!(size <= used && used <= LIMITS.all, "{size} bytes, {used} of them known");
        assert!(self.has_failed() || size == used, "{size} bytes are {used} on the account");
        for session in &self.sessions {
            let Some(log) = &session.log else { continue };
            assert!(log.bytes() <= LIMITS.session, "one has too many bytes: {}", log.bytes());
            let waits = log.wants_sync() || self.has_failed();
            let folder = session.promise.id.as_str();
            let mut starts = self.store.names(folder).into_iter().filter_map(|name| audio_start(&name)).skip(1);
            assert!(waits || starts.next().is_none_or(|start| start.0 > session.promise.asked), "old audio is there");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn what_is_promised_is_kept(
        policy in 0usize..4,
        steps in proptest::collection::vec((0u8..18, any::<u16>()), 0..120),
    ) {
        let syncing = [Syncing::default(), Syncing::Finals, Syncing::Always, Syncing::Never][policy];
        let mut world = World::new(syncing);
        for (action, pick) in steps {
            world.step(action, usize::from(pick));
        }
        world.store.heal();
        world.restart(None);
    }
}

fn fault(pick: usize) -> Fault {
    match pick % 3 {
        0 => Fault::Full(pick / 3 % 200),
        1 => Fault::Broken(pick / 3 % 200),
        _ => Fault::Lie,
    }
}

fn check_use(promise: &Promise, result: Result<()>) {
    if let Err(error) = result {
        let is_right = match error.kind() {
            Kind::Io | Kind::Busy => true,
            Kind::Internal => promise.is_closed,
            _ => false,
        };
        assert!(is_right, "{error}");
    }
}
