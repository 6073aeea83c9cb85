//! The folder in which sessions are kept: whose it is, what else may be in it, and what becomes of it.

use super::{CHUNK, commands, commands_for, killed_and_started, start, stored};
use crate::harness::{
    calls::hear,
    live::{Live, config, stream},
    pb::{block_on, v1},
    process::Sandbox,
    server::Server,
    wav,
};
use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};
use tonic::Code;
use v1::StreamingConfig;

/// A session of the mock by this name.
fn named(id: &str) -> StreamingConfig {
    StreamingConfig { session_id: id.into(), ..config("mock", 16_000) }
}

/// Opens a session, says so much of a recording, and waits for a final of it. Then its client is gone.
fn half_said(server: &Server, id: &str, recording: &[i16]) -> (v1::Ready, Vec<v1::Final>) {
    block_on(async {
        let mut live = Live::open(&server.address, named(id)).await.expect("it begins");
        let ready = live.ready.clone();
        live.send_until(recording, recording.len() / 2, CHUNK);
        live.a_final().await;
        (ready, live.cut())
    })
}

/// Says the rest; gives all finals.
fn said_on(server: &Server, (ready, mut finals): (v1::Ready, Vec<v1::Final>), recording: &[i16]) -> Vec<v1::Final> {
    let last = finals.last().map_or(0, |told| told.seq);
    block_on(async {
        let mut live = Live::resume(&server.address, &ready, last).await.unwrap_or_else(|status| panic!("{status:?}"));
        live.send(recording, CHUNK);
        let told = live.rest().await;
        told.done();
        finals.extend(told.finals());
    });
    finals
}

fn calm(recording: &[i16]) -> Vec<v1::Final> {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(stream(&server.address, config("mock", 16_000), recording, CHUNK)).finals()
}

/// The file of a session's log.
fn file(sandbox: &Sandbox, session: &str, name: &str) -> PathBuf {
    sandbox.path().join("state").join(session).join(name)
}

/// The last file with audio of a session.
fn last_audio(sandbox: &Sandbox, session: &str) -> PathBuf {
    let entries = fs::read_dir(sandbox.path().join("state").join(session)).expect("it is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().ends_with(".audio.wal")).max().expect("it has audio")
}

#[test]
fn folders_that_it_cannot_have() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    sandbox.file("file", b"precious");
    let mut rows = String::new();
    for folder in ["state", "/proc/state", "file", "file/state"] {
        let line = format!("serve --listen 127.0.0.1:0 --state-folder {folder}");
        rows.push_str(&sandbox.row(&line).replace(&server.running.pid().to_string(), "[PID]"));
    }
    insta::assert_snapshot!(rows);
    let told = block_on(stream(&server.address, config("mock", 16_000), &commands(), CHUNK));
    assert_eq!(told.done().finals, 3, "whoever has it keeps it");
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let sandbox = Sandbox::new();
    let locked = sandbox.path().join("locked");
    fs::create_dir(&locked).expect("a folder");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).expect("it is ours");
    let shown = sandbox.run(&["serve", "--listen", "127.0.0.1:0", "--state-folder", "locked/state"]);
    assert_eq!((shown.code().as_str(), shown.stderr.lines().count()), ("6", 1), "{}", shown.stderr);
    assert!(shown.stderr.contains("--state-folder"), "{}", shown.stderr);
}

#[test]
fn what_was_said_is_for_its_owner_alone() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    half_said(&server, "mine", &commands());
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(sandbox.path().join("state")), 0o700);
    assert_eq!(mode(sandbox.path().join("state/mine")), 0o700);
    assert_eq!(mode(file(&sandbox, "mine", "notes.wal")), 0o600);
    assert_eq!(mode(last_audio(&sandbox, "mine")), 0o600);
}

#[test]
fn what_others_have_put_there_is_left_alone() {
    let sandbox = Sandbox::new();
    let recording = commands();
    let server = start(&sandbox, &[]);
    let half = half_said(&server, "mine", &recording);
    let state = sandbox.path().join("state");
    // A folder of somebody who meant another one with --state-folder.
    for folder in ["Documents", "empty", "with space", "looks-like-one"] {
        fs::create_dir(state.join(folder)).expect("a folder");
    }
    fs::write(state.join("Documents/precious.txt"), b"precious").expect("it is written");
    fs::write(state.join("looks-like-one/notes.wal"), b"this is no log").expect("it is written");
    fs::write(state.join("plain"), b"precious").expect("it is written");
    symlink(sandbox.path(), state.join("link")).expect("a link");
    let server = killed_and_started(&sandbox, server, &[]);
    let log = server.log(&sandbox);
    assert_eq!(fs::read(state.join("Documents/precious.txt")).ok().as_deref(), Some(&b"precious"[..]), "{log}");
    assert_eq!(fs::read(state.join("plain")).ok().as_deref(), Some(&b"precious"[..]));
    assert_eq!(fs::read(state.join("looks-like-one/notes.wal")).ok().as_deref(), Some(&b"this is no log"[..]));
    assert!(state.join("link").is_symlink() && sandbox.path().join("server.log").is_file());
    assert!(stored(&sandbox).contains(&"with space".to_owned()));
    assert_eq!(said_on(&server, half, &recording), calm(&recording), "the session goes on");
    block_on(async {
        // Their names are no sessions.
        for name in ["Documents", "plain", "link", "looks-like-one"] {
            let status =
                Live::open(&server.address, named(name)).await.map(|live| live.ready).expect_err("it is taken");
            assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status:?}");
        }
    });
}

#[test]
fn a_log_of_a_newer_version_is_left_to_that_one() {
    let sandbox = Sandbox::new();
    let recording = commands();
    let server = start(&sandbox, &[]);
    let newer = half_said(&server, "newer", &recording);
    let other = half_said(&server, "other", &recording);
    server.running.signal("KILL");
    let address = server.address.clone();
    server.running.end();
    let notes = file(&sandbox, "newer", "notes.wal");
    let mut bytes = fs::read(&notes).expect("it is there");
    assert_eq!(&bytes[..8], b"SPCWAL\0\x01");
    bytes[7] += 1;
    fs::write(&notes, &bytes).expect("it is ours");
    let server = super::start_at(&sandbox, &address, &[]);
    let log = server.log(&sandbox);
    assert!(log.contains("session=newer") && log.contains("newer version"), "{log}");
    let status = block_on(Live::resume(&server.address, &newer.0, 0)).map(|live| live.ready).expect_err("it cannot");
    assert_ne!(status.code(), Code::NotFound, "it is there: {status:?}");
    assert_eq!(said_on(&server, other, &recording), calm(&recording), "others are served");
    assert_eq!(fs::read(&notes).expect("it is there"), bytes, "and it is as it was");
}

#[test]
fn a_log_that_is_damaged_is_told_and_others_are_served() {
    let sandbox = Sandbox::new();
    let recording = commands();
    let server = start(&sandbox, &[]);
    let damaged = half_said(&server, "damaged", &recording);
    let other = half_said(&server, "other", &recording);
    server.running.signal("KILL");
    let address = server.address.clone();
    server.running.end();
    let notes = file(&sandbox, "damaged", "notes.wal");
    let mut bytes = fs::read(&notes).expect("it is there");
    // In the first record, and good ones follow.
    bytes[20] ^= 1;
    fs::write(&notes, &bytes).expect("it is ours");
    let server = super::start_at(&sandbox, &address, &[]);
    let log = server.log(&sandbox);
    assert!(log.contains("session=damaged") && log.contains("is damaged"), "{log}");
    if log.contains("speechctl sessions") {
        assert_eq!(sandbox.run(&["sessions", "--help"]).code(), "0", "the way out that it tells is none: {log}");
    }
    let status = block_on(Live::resume(&server.address, &damaged.0, 0)).map(|live| live.ready).expect_err("it cannot");
    assert_eq!(status.code(), Code::DataLoss, "{status:?}");
    assert_eq!(said_on(&server, other, &recording), calm(&recording), "others are served");
    assert_eq!(fs::read(&notes).expect("it is there"), bytes, "and it is as it was");
}

#[test]
fn who_has_not_the_key_learns_nothing_of_a_log_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let (ready, _) = half_said(&server, "mine", &commands());
    server.running.signal("KILL");
    let address = server.address.clone();
    server.running.end();
    let notes = file(&sandbox, "mine", "notes.wal");
    let mut bytes = fs::read(&notes).expect("it is there");
    bytes[7] += 1;
    fs::write(&notes, &bytes).expect("it is ours");
    let server = super::start_at(&sandbox, &address, &[]);
    let guess = v1::Ready { resume_key: "0".repeat(32), ..ready };
    let status = block_on(Live::resume(&server.address, &guess, 0)).map(|live| live.ready).expect_err("it cannot");
    let folder = sandbox.path().display().to_string();
    assert!(!status.message().contains(&folder), "the folder of the server is nobody's business: {status:?}");
}

#[test]
fn a_record_that_was_being_written_is_cut_off() {
    let sandbox = Sandbox::new();
    let recording = commands_for(12);
    let calm = calm(&recording);
    let server = start(&sandbox, &[]);
    let half = half_said(&server, "torn", &recording);
    server.running.signal("KILL");
    let address = server.address.clone();
    server.running.end();
    for (path, torn) in [
        (file(&sandbox, "torn", "notes.wal"), &[200, 0, 0, 0, 1, 2, 3, 4, 2, 9][..]),
        (last_audio(&sandbox, "torn"), &[128, 12, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0][..]),
    ] {
        let mut file = fs::OpenOptions::new().append(true).open(path).expect("it is there");
        file.write_all(torn).expect("it is written");
    }
    let server = super::start_at(&sandbox, &address, &[]);
    assert_eq!(said_on(&server, half, &recording), calm, "{}", server.log(&sandbox));
}

#[test]
fn a_folder_that_is_removed_is_told_and_nothing_else_suffers() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        let mut live = Live::open(&server.address, named("mine")).await.expect("it begins");
        live.send_until(&commands(), 40_000, CHUNK);
        live.a_final().await;
        fs::remove_dir_all(sandbox.path().join("state")).expect("it is ours");
        live.send(&commands_for(60), CHUNK);
        let status = live.rest().await.failure();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let status = Live::open(&server.address, named("other")).await.map(|live| live.ready).expect_err("it cannot");
        assert!(status.message().contains("state folder"), "{status:?}");
        assert_ne!(status.code(), Code::InvalidArgument, "it is not the client's fault: {status:?}");
        let samples = wav::numbered(1);
        let text = hear(&server.address, crate::harness::calls::recognize("mock", &samples)).await.expect("it hears");
        assert_eq!(text, crate::harness::calls::mock_text(&samples), "others are served");
    });
    let log = server.log(&sandbox);
    assert!(log.contains("session=mine") && log.contains("cannot"), "{log}");
    assert_eq!(server.stop().code(), "0");
}

#[test]
fn a_session_whose_log_failed_goes_on_when_the_disk_is_back() {
    let sandbox = Sandbox::new();
    let recording = commands_for(40);
    let server = start(&sandbox, &[]);
    let mut half = half_said(&server, "mine", &commands_for(10));
    let (here, away) = (sandbox.path().join("state/mine"), sandbox.path().join("away"));
    block_on(async {
        let mut live =
            Live::resume(&server.address, &half.0, half.1.last().map_or(0, |told| told.seq)).await.expect("it goes on");
        fs::rename(&here, &away).expect("it is ours");
        live.send_until(&recording, recording.len(), CHUNK);
        let told = live.rest().await;
        half.1.extend(told.finals());
        let status = told.failure();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("resumed"), "{status:?}");
        fs::rename(&away, &here).expect("it is ours");
    });
    assert_eq!(said_on(&server, half, &recording), calm(&recording));
}
