//! What all tests share: a folder of their own, processes with deadlines, servers that end with the test.

pub(crate) mod calls;
pub(crate) mod grammar;
pub(crate) mod hearer;
pub(crate) mod home;
pub(crate) mod hub;
pub(crate) mod live;
pub(crate) mod microphone;
pub(crate) mod models;
pub(crate) mod orchestrator;
pub(crate) mod pb;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod speaker;
pub(crate) mod talker;
pub(crate) mod terminal;
pub(crate) mod wav;
pub(crate) mod worker;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take. One patience for all: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_speechctl"))
}

/// A recording of `tests/it/samples`.
pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/samples").join(name)
}

/// A cache folder that all tests share, so that voices are unpacked once.
pub(crate) fn shared_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// Waits until something is true.
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until something is there.
pub(crate) fn eventually_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually(what, || {
        found = find();
        found.is_some()
    });
    found.expect("it was waited for")
}
