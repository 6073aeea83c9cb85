//! More than a server can do, or keep: it says so, and loses nothing.

use super::{CHUNK, commands, commands_for, faster, start};
use crate::harness::{
    PATIENCE,
    live::{Event, Live, config, marker, stream, until},
    pb::{block_on, block_on_within, v1},
    proc,
    process::Sandbox,
};
use std::{fs, path::Path};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The most memory that a server may take for one client that does what it should not, MiB.
const MEMORY: u64 = 64;

/// A rate, and a log that does for it and yet is full before the client is asked to wait, which is after a minute.
const RATE: u32 = 192_000;
const FULL: &str = "24M";

/// The memory of a server, MiB.
fn memory(pid: u32) -> u64 {
    let line = proc::status(pid, "VmRSS");
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") / 1024
}

#[test]
fn who_never_reads_costs_bounded_memory_and_misses_nothing() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    // Ten minutes.
    let recording = commands_for(600);
    block_on_within(3 * PATIENCE, async {
        let calm = stream(&server.address, config("mock", 16_000), &recording, CHUNK).await.finals();
        assert!(calm.len() > 200, "{} finals", calm.len());
        let interim = v1::StreamingConfig { interim_results: true, ..config("mock", 16_000) };
        let mut live = Live::open(&server.address, interim).await.expect("it begins");
        let ready = live.ready.clone();
        live.send(&recording, CHUNK);
        let folder = sandbox.path().join("state").join(&ready.session_id);
        let (mut has_begun, mut most) = (false, 0);
        until(|| {
            most = most.max(memory(server.running.pid()));
            let has_audio = has_audio(&folder);
            has_begun |= has_audio;
            has_begun && !has_audio
        })
        .await;
        assert!(most < MEMORY, "{most} MiB");
        // It has read no more than what fitted on the way.
        live.cut();
        let told = Live::resume(&server.address, &ready, 0).await.expect("it lingers").rest().await;
        assert_eq!((told.finals().len(), told.done().finals as usize), (calm.len(), calm.len()));
        assert_eq!(told.finals(), calm);
    });
}

/// Whether a session has audio that is not let go of yet.
fn has_audio(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".audio.wal"))
}

#[test]
fn audio_that_comes_faster_than_it_is_decided_waits_on_the_way() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands_for(200);
    block_on(async {
        let calm = stream(&server.address, config("mock", 16_000), &recording, CHUNK).await.finals();
        let told = stream(&server.address, config("mock:load-slow@12", 16_000), &recording, CHUNK).await;
        told.done();
        let delay = |event: &Event| if let Event::Backpressure(it) = event { Some(it.delay_ms) } else { None };
        let delays: Vec<i64> = told.events.iter().filter_map(delay).collect();
        assert!(!delays.is_empty() && delays.iter().all(|delay| *delay > 0), "{delays:?}");
        assert_eq!(told.finals(), calm);
        assert!(memory(server.running.pid()) < MEMORY);
    });
}

#[test]
fn who_is_cut_short_is_not_told_that_all_went_well() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        let mut old = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        let ready = old.ready.clone();
        // They come back at once, and are more than fits on the way to somebody who does not read.
        (0..3_000).for_each(|n| old.say(marker(&format!("{n:0256}"))));
        old.send_until(&commands(), 16_000, CHUNK);
        let folder = sandbox.path().join("state").join(&ready.session_id);
        until(|| has_audio(&folder)).await;
        let _new = Live::resume(&server.address, &ready, 0).await.expect("it takes over");
        let status = old.rest().await.failure();
        assert!([Code::Aborted, Code::Unavailable].contains(&status.code()), "{status:?}");
    });
}

/// Why a call was refused for now: it says when to come back.
fn is_busy(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|retry| !retry.is_zero()), "{status:?}");
}

#[test]
fn sessions_beyond_the_limit_are_told_when_to_come_back() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--max-sessions", "2"]);
    block_on(async {
        let open = async || Live::open(&server.address, config("mock", 16_000)).await;
        let first = open().await.expect("there is room");
        let second = open().await.expect("there is room");
        let status = open().await.map(|live| live.ready).expect_err("there is none");
        is_busy(&status);
        // Those that are there are none the worse, and may be resumed.
        let mut again = Live::resume(&server.address, &second.ready, 0).await.expect("it is one of the two");
        again.send(&commands(), CHUNK);
        assert_eq!(again.rest().await.done().finals, 3);
        // Nobody has said a thing in this one, so it is gone.
        first.give_up();
        loop {
            match open().await {
                Ok(_) => break,
                Err(status) => is_busy(&status),
            }
        }
    });
}

#[test]
fn a_session_that_is_over_takes_nobodys_place() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--max-sessions", "1"]);
    block_on(async {
        for n in 0..5 {
            let mut live = Live::open(&server.address, config("mock", 16_000))
                .await
                .unwrap_or_else(|status| panic!("after {n}, one behind the other: {status:?}"));
            live.send(&commands(), CHUNK);
            assert_eq!(live.rest().await.done().finals, 3);
        }
    });
}

#[test]
fn a_log_that_is_full_says_when_to_come_back() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--session-log", FULL]);
    block_on(async {
        let mut live = Live::open(&server.address, config("mock:load-slow@12", RATE)).await.expect("it begins");
        live.send(&faster(&commands_for(80), RATE as usize / 16_000), CHUNK);
        is_busy(&live.rest().await.failure());
    });
}

#[test]
fn audio_whose_utterances_a_log_could_not_hold_is_refused_at_its_beginning() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--session-log", "4M"]);
    block_on(async {
        let refused = Live::open(&server.address, config("mock", 48_000)).await.err().expect("there is no room");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(refused.message().contains("--session-log") && refused.message().contains("48000 Hz"), "{refused:?}");
        Live::open(&server.address, config("mock", 16_000)).await.expect("there is room");
    });
}

#[test]
fn a_log_that_is_full_takes_no_more_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let recording = faster(&commands_for(80), RATE as usize / 16_000);
    let sandbox_of_calm = Sandbox::new();
    let calm = start(&sandbox_of_calm, &[]);
    let calm = block_on(stream(&calm.address, config("mock", RATE), &recording, CHUNK)).finals();
    let server = start(&sandbox, &["--session-log", FULL]);
    block_on(async {
        // Its model takes some time to load: until then all has to be kept.
        let mut live = Live::open(&server.address, config("mock:load-slow@12", RATE)).await.expect("it begins");
        let ready = live.ready.clone();
        let (mut finals, mut refusals): (Vec<v1::Final>, _) = (Vec::new(), 0);
        let done = loop {
            live.send(&recording, CHUNK);
            let told = live.rest().await;
            finals.extend(told.finals());
            if told.end.is_ok() {
                break told.done();
            }
            let status = told.failure();
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            assert!(status.message().contains("--session-log"), "{}", status.message());
            refusals += 1;
            let last = finals.last().map_or(0, |told| told.seq);
            live = Live::resume(&server.address, &ready, last).await.expect("it goes on");
        };
        assert!(refusals > 0, "there was room for all");
        assert_eq!((&finals, done.finals as usize), (&calm, calm.len()));
    });
    assert_eq!(server.stop().code(), "0");
    fs::remove_dir_all(sandbox.path().join("state")).expect("it is ours");
}
