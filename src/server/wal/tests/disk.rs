//! A real disk.

use super::{Budget, ROOM, a_final, audio, id};
use crate::{
    error::Kind,
    server::wal::{
        Restored, Syncing,
        jobs::Trash,
        log::Log,
        store::{Disk, Store},
    },
    speech::Samples,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn restore(root: &Path, name: &str) -> crate::error::Result<Option<(Log, Restored)>> {
    let disk = Arc::new(Disk::open(root)?);
    Log::restore(disk, id(name), &Arc::new(Budget::new(ROOM)), Syncing::default())
}

#[test]
fn a_life_on_a_real_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("state/log");
    let disk: Arc<dyn Store> = Arc::new(Disk::open(&root).expect("it works"));
    let budget = Arc::new(Budget::new(ROOM));
    let mut log = Log::create(Arc::clone(&disk), id("s"), vec![1], &budget, Syncing::default()).expect("it works");
    for start in (0..10_000).step_by(500) {
        log.append_audio(Samples(start), &audio(start, 500)).expect("it works");
        log.sync().expect("it works");
    }
    log.note(&a_final(1, 6_000, 10)).expect("it works");
    log.drop_before(Samples(6_000)).expect("it works");
    log.sync().expect("it works");
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&root.join("s")), 0o700);
    let files: Vec<_> = fs::read_dir(root.join("s")).expect("it is there").map(|entry| entry.expect("it is")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| mode(&file.path()) == 0o600), "{files:?}");
    let size: u64 = files.iter().map(|file| file.metadata().expect("it is there").len()).sum();
    assert_eq!(size, log.bytes());
    drop(log);
    let (mut log, restored) = restore(&root, "s").expect("good").expect("there");
    assert_eq!((restored.audio_start, restored.audio), (Samples(5_000), audio(5_000, 5_000)));
    log.append_audio(Samples(10_000), &audio(10_000, 500)).expect("it goes on");
    log.retire().and_then(Trash::empty).expect("it works");
    assert_eq!(fs::read_dir(&root).expect("it is there").count(), 0);
}

#[test]
fn finals_are_forgotten_on_a_real_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Store> = Arc::new(Disk::open(folder.path()).expect("it works"));
    let budget = Arc::new(Budget::new(ROOM));
    let mut log = Log::create(disk, id("s"), vec![1], &budget, Syncing::default()).expect("it works");
    for to in 0..200 {
        log.note(&crate::server::wal::Note::Commit { to: Samples(0), state: vec![to; 50] }).expect("it works");
    }
    let size = fs::metadata(folder.path().join("s/notes.wal")).expect("it is there").len();
    assert_eq!(size, log.bytes());
    assert!(size < 4_096, "{size}");
    assert_eq!(mode(&folder.path().join("s/notes.wal")), 0o600);
}

#[test]
fn an_open_folder_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    Disk::open(folder.path()).expect("it works");
    assert_eq!(mode(folder.path()), 0o700);
}

#[test]
fn one_server_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::open(folder.path()).expect("it works");
    let lock = disk.lock().expect("it is free");
    let error = Disk::open(folder.path()).expect("it works").lock().expect_err("it is taken");
    assert_eq!(error.kind(), Kind::Config);
    let pid = format!("is used by another speechctl (pid {});", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    assert!(error.to_string().contains("`--state-folder`"), "{error}");
    assert_eq!(mode(&folder.path().join("speechctl.lock")), 0o600);
    drop(lock);
    disk.lock().map(drop).expect("it is free again");
}

#[test]
fn links_are_refused() {
    let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("s")).expect("it works");
    let error = restore(folder.path(), "s").map(|_| ()).expect_err("it is a link");
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("is a link or the like"), "{error}");
    fs::write(elsewhere.path().join("file"), "precious").expect("it works");
    let disk: Arc<dyn Store> = Arc::new(Disk::open(folder.path()).expect("it works"));
    let budget = Arc::new(Budget::new(ROOM));
    let trash = Trash::collect(&disk, &id("s"), Syncing::Never, &budget, 0).expect("it works");
    trash.empty().expect("it works");
    assert!(elsewhere.path().join("file").exists(), "the link goes, not what it leads to");

    fs::create_dir(folder.path().join("t")).expect("it works");
    std::os::unix::fs::symlink(elsewhere.path().join("file"), folder.path().join("t/notes.wal")).expect("it works");
    assert_eq!(restore(folder.path(), "t").map(|_| ()).expect_err("it is a link").kind(), Kind::Config);
}

#[test]
fn a_root_that_cannot_be_written() {
    // The superuser may write everything.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::open(folder.path()).expect("it works");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).expect("it is ours");
    let error = disk.create_folder(&folder.path().join("s")).expect_err("it is closed");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
}

#[test]
fn a_root_that_cannot_be() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("it works");
    let error = Disk::open(&folder.path().join("file/log")).map(drop).expect_err("it is a file");
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("cannot make `"), "{error}");
}

#[test]
fn a_root_that_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("log");
    let disk: Arc<dyn Store> = Arc::new(Disk::open(&root).expect("it works"));
    let budget = Arc::new(Budget::new(ROOM));
    let mut log = Log::create(Arc::clone(&disk), id("s"), vec![1], &budget, Syncing::default()).expect("it works");
    fs::remove_dir_all(&root).expect("it works");
    for error in [
        log.append_audio(Samples(0), &[1]).expect_err("there is no folder"),
        log.sync().expect_err("there is no folder"),
        Log::create(disk, id("t"), vec![1], &budget, Syncing::default()).map(|_| ()).expect_err("there is no folder"),
    ] {
        assert_eq!(error.kind(), Kind::Io, "{error}");
        assert!(error.to_string().contains("No such file or directory"), "{error}");
        assert!(error.to_string().contains("start the server again"), "{error}");
    }
}
