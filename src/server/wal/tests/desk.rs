//! The threads, and what they promise to async callers.

use super::{Limits, Memory, ROOM, a_final, audio, commit, id, memory::Fault};
use crate::{
    error::{Kind, Result},
    server::wal::{
        Desk, Note, Restored, SessionId, Syncing,
        store::{Entry, LogFile, Store},
    },
    speech::Samples,
};
use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

fn desk(store: &Memory, limits: Limits, syncing: Syncing) -> Desk {
    Desk::start_on(Arc::new(store.clone()), None, limits, syncing).expect("threads")
}

/// Waits until something is so.
async fn eventually(is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("it never was");
}

/// Goes on with all sessions that are on the disk.
async fn restore_all(desk: &Desk) -> Result<Vec<(SessionId, Result<Restored>)>> {
    let mut all = Vec::new();
    for id in desk.stored().await? {
        if let Some(restored) = desk.restore(&id).await.transpose() {
            all.push((id, restored));
        }
    }
    Ok(all)
}

#[tokio::test]
async fn a_session_outlives_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::start(folder.path(), ROOM, Syncing::default()).expect("it works");
    assert!(restore_all(&desk).await.expect("it works").is_empty());
    desk.create(&id("s"), vec![1]).await.expect("it works");
    for start in (0..10_000).step_by(500) {
        desk.append_audio(&id("s"), Samples(start), audio(start, 500)).await.expect("it works");
    }
    desk.note(&id("s"), a_final(1, 9_900, 10)).await.expect("it works");
    desk.drop_before(&id("s"), Samples(9_900)).await.expect("it works");
    let error = Desk::start(folder.path(), ROOM, Syncing::default()).expect_err("it is taken");
    assert_eq!(error.kind(), Kind::Config);
    desk.end().await.expect("it works");

    let desk = Desk::start(folder.path(), ROOM, Syncing::default()).expect("it is free");
    let mut restored = restore_all(&desk).await.expect("it works");
    let (name, restored) = restored.pop().expect("there is one");
    let restored = restored.expect("it is good");
    assert_eq!((name, restored.next), (id("s"), Samples(10_000)));
    assert_eq!(restored.notes, [Note::Open { config: vec![1] }, a_final(1, 9_900, 10)]);
    assert!(restored.audio_start > Samples(0));
    let anew = desk.restore(&id("s")).await.expect("whoever had it broke off").expect("it is there");
    assert_eq!(anew, restored);
    assert_eq!(desk.create(&id("s"), vec![]).await.expect_err("it is there").kind(), Kind::InvalidInput);
    desk.append_audio(&id("s"), Samples(10_000), audio(10_000, 500)).await.expect("it goes on");
    desk.close(&id("s")).await.expect("it works");
    let usage = desk.usage().await.expect("it works");
    assert_eq!(usage.sessions, [(id("s"), usage.all)]);
    desk.remove(&id("s")).await.expect("it works");
    assert_eq!(desk.remove(&id("s")).await.expect_err("it is gone").kind(), Kind::NotFound);
    assert_eq!(desk.note(&id("s"), commit(0)).await.expect_err("it is gone").kind(), Kind::NotFound);
    assert_eq!(desk.usage().await.expect("it works").all, 0);
    desk.end().await.expect("it works");
}

#[tokio::test]
async fn the_threads_end_with_the_last_handle() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::start(folder.path(), ROOM, Syncing::default()).expect("it works");
    desk.create(&id("s"), vec![1]).await.expect("it works");
    let other = desk.clone();
    drop(desk);
    other.append_audio(&id("s"), Samples(0), vec![1]).await.expect("it works");
    drop(other);
    eventually(|| Desk::start(folder.path(), ROOM, Syncing::default()).is_ok()).await;
}

#[tokio::test]
async fn a_final_that_was_answered_survives_a_power_cut() {
    for syncing in [Syncing::Finals, Syncing::default(), Syncing::Always] {
        let store = Memory::new();
        let desk = desk(&store, ROOM, syncing);
        desk.create(&id("s"), vec![1]).await.expect("it works");
        desk.append_audio(&id("s"), Samples(0), audio(0, 500)).await.expect("it works");
        desk.note(&id("s"), a_final(1, 400, 10)).await.expect("it works");
        store.power_cut(|_| 0);
        let (_, restored) = super::restore(&store).expect("good").expect("there");
        assert_eq!((restored.notes.last(), restored.next), (Some(&a_final(1, 400, 10)), Samples(500)));
    }
}

#[tokio::test]
async fn audio_is_synced_after_a_while() {
    let store = Memory::new();
    let desk = desk(&store, ROOM, Syncing::Every(Duration::from_millis(20)));
    desk.create(&id("s"), vec![1]).await.expect("it works");
    desk.append_audio(&id("s"), Samples(0), audio(0, 500)).await.expect("it works");
    eventually(|| store.is_synced()).await;
}

#[tokio::test]
async fn the_policy_is_kept() {
    let store = Memory::new();
    let always = desk(&store, ROOM, Syncing::Always);
    always.create(&id("s"), vec![1]).await.expect("it works");
    always.append_audio(&id("s"), Samples(0), audio(0, 500)).await.expect("it works");
    assert!(store.is_synced());
    let store = Memory::new();
    let never = desk(&store, ROOM, Syncing::Never);
    never.create(&id("s"), vec![1]).await.expect("it works");
    for start in (0..10_000).step_by(500) {
        never.append_audio(&id("s"), Samples(start), audio(start, 500)).await.expect("it works");
    }
    never.note(&id("s"), commit(9_000)).await.expect("it works");
    never.drop_before(&id("s"), Samples(9_000)).await.expect("it works");
    assert_eq!(store.names("s").len(), 2, "{:?}", store.names("s"));
    never.end().await.expect("it works");
    assert!(!store.is_synced());
}

#[tokio::test]
async fn a_disk_that_refuses_to_sync() {
    let store = Memory::new();
    let desk = desk(&store, ROOM, Syncing::Finals);
    desk.create(&id("s"), vec![1]).await.expect("it works");
    store.fail(2, Fault::Broken(0));
    let error = desk.note(&id("s"), commit(0)).await.expect_err("it was not synced");
    assert_eq!(error.kind(), Kind::Io);
    assert_eq!(desk.note(&id("s"), commit(0)).await.expect_err("it is broken").kind(), Kind::Io);
    desk.remove(&id("s")).await.expect("it works");

    store.fail(4, Fault::Broken(0));
    desk.create(&id("s"), vec![1]).await.expect_err("it was not synced");
    eventually(|| store.names("").is_empty()).await;
    desk.create(&id("s"), vec![1]).await.expect("nothing is in the way");
}

#[tokio::test]
async fn a_damaged_session_counts_until_it_is_removed() {
    let store = Memory::new();
    let first = desk(&store, ROOM, Syncing::default());
    for name in ["good", "bad"] {
        first.create(&id(name), vec![1]).await.expect("it works");
        first.append_audio(&id(name), Samples(0), audio(0, 500)).await.expect("it works");
    }
    first.end().await.expect("it works");
    store.tamper("bad/notes.wal", |bytes| bytes.clear());
    store.put("foreign", b"x");
    let second = desk(&store, ROOM, Syncing::default());
    let restored = restore_all(&second).await.expect("it works");
    let kinds: Vec<_> = restored.iter().map(|(id, log)| (id.as_str(), log.as_ref().err().map(|e| e.kind()))).collect();
    assert_eq!(kinds, [("bad", Some(Kind::DataLoss)), ("good", None)]);
    let usage = second.usage().await.expect("it works");
    assert_eq!(usage.all + 1, store.size());
    assert_eq!(usage.sessions.len(), 1);
    second.remove(&id("bad")).await.expect("it works");
    assert_eq!(second.usage().await.expect("it works").all + 1, store.size());
}

#[tokio::test]
async fn a_full_log_says_so() {
    let store = Memory::new();
    let desk = desk(&store, Limits { session: 1_000, all: 10_000 }, Syncing::default());
    desk.create(&id("s"), vec![1]).await.expect("it works");
    let error = desk.append_audio(&id("s"), Samples(0), audio(0, 500)).await.expect_err("no room");
    assert_eq!(error.kind(), Kind::Busy);
    desk.append_audio(&id("s"), Samples(0), audio(0, 100)).await.expect("that fits");
}

/// A disk whose syncs, or whose everything, hang as long as they are told to.
struct Stuck {
    disk: Memory,
    is_stuck: Arc<AtomicBool>,
    /// Whether appends hang too.
    all: bool,
    /// The folder whose files hang.
    folder: &'static str,
}

struct StuckFile(Arc<dyn LogFile>, Arc<AtomicBool>, bool);

impl StuckFile {
    fn wait(&self) {
        while self.1.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl LogFile for StuckFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.2 {
            self.wait();
        }
        self.0.append(bytes)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
    fn sync(&self) -> io::Result<()> {
        self.wait();
        self.0.sync()
    }
}

impl Store for Stuck {
    fn root(&self) -> &Path {
        self.disk.root()
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(folder)
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_folder(folder)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = self.disk.create(path)?;
        if path.starts_with(self.root().join(self.folder)) {
            return Ok(Arc::new(StuckFile(file, Arc::clone(&self.is_stuck), self.all)));
        }
        Ok(file)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.disk.open(path)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn remove_all(&self, folder: &Path) -> io::Result<()> {
        self.disk.remove_all(folder)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
}

#[tokio::test]
async fn nobody_waits_for_the_sync_of_another() {
    let is_stuck = Arc::new(AtomicBool::new(false));
    let store = Stuck { disk: Memory::new(), is_stuck: Arc::clone(&is_stuck), all: false, folder: "slow" };
    let desk = Desk::start_on(Arc::new(store), None, ROOM, Syncing::Finals).expect("threads");
    desk.create(&id("slow"), vec![1]).await.expect("it works");
    desk.create(&id("quick"), vec![1]).await.expect("it works");
    is_stuck.store(true, Ordering::Relaxed);
    let order = Arc::new(Mutex::new(Vec::new()));
    let (handle, done) = (desk.clone(), Arc::clone(&order));
    let slow = tokio::spawn(async move {
        handle.note(&id("slow"), commit(0)).await.expect("in the end");
        done.lock().expect("no panic").push("slow");
    });
    for start in (0..3_000).step_by(500) {
        desk.append_audio(&id("quick"), Samples(start), audio(start, 500)).await.expect("it does not wait");
        desk.append_audio(&id("slow"), Samples(start), audio(start, 500)).await.expect("it does not wait either");
    }
    order.lock().expect("no panic").push("quick");
    is_stuck.store(false, Ordering::Relaxed);
    slow.await.expect("no panic");
    assert_eq!(*order.lock().expect("no panic"), ["quick", "slow"]);
}

#[tokio::test]
async fn a_disk_that_hangs_is_told_of() {
    let is_stuck = Arc::new(AtomicBool::new(true));
    let store = Stuck { disk: Memory::new(), is_stuck: Arc::clone(&is_stuck), all: true, folder: "s" };
    let mut desk = Desk::start_on(Arc::new(store), None, ROOM, Syncing::default()).expect("threads");
    desk.patience = Duration::from_millis(50);
    let error = desk.create(&id("s"), vec![1]).await.expect_err("it hangs");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("does not answer"), "{error}");
    is_stuck.store(false, Ordering::Relaxed);
    desk.end().await.expect("it goes on");
}
