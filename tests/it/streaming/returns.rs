//! Connections that break, clients that come back, and clients that do not.

use super::{CHUNK, commands, commands_for, faster, start, stored};
use crate::harness::{
    calls::field_of,
    eventually,
    live::{Event, Live, Message, config, resuming, stream, until},
    pb::{block_on, v1},
    proc,
    process::Sandbox,
    python::{interpreter, protos, script},
    sample,
};
use std::{fs, process::Command};
use tonic::{Code, Status};
use v1::StreamingConfig;

fn acknowledge(seq: i64) -> Message {
    Message::Acknowledge(v1::Acknowledge { seq })
}

#[test]
fn a_connection_that_breaks_costs_nothing() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    for rate in [16_000, 48_000] {
        let recording = faster(&commands_for(20), rate as usize / 16_000);
        block_on(async {
            let calm = stream(&server.address, config("mock", rate), &recording, CHUNK).await.finals();
            let mut live = Live::open(&server.address, config("mock", rate)).await.expect("it begins");
            let mut finals = Vec::new();
            for part in 1..8 {
                live.send_until(&recording, recording.len() * part / 8, CHUNK);
                if part % 2 == 0 {
                    live.a_final().await;
                }
                let ready = live.ready.clone();
                // Some break, some are given up by their programs.
                finals.extend(if part % 3 == 0 { live.give_up() } else { live.cut() });
                let last = finals.last().map_or(0, |told: &v1::Final| told.seq);
                live = Live::resume(&server.address, &ready, last).await.expect("it goes on");
                assert!(live.ready.next_sample >= ready.next_sample, "{:?}", live.ready);
            }
            live.send(&recording, CHUNK);
            let told = live.rest().await;
            assert_eq!(told.done().finals, calm.len() as i64);
            finals.extend(told.finals());
            assert_eq!(finals, calm, "{rate} Hz: each once, and as in calm");
        });
    }
}

#[test]
fn a_call_that_is_given_up_is_not_the_end_of_the_audio() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--linger", "0.1"]);
    let recording = commands();
    block_on(async {
        // Often, for it is a matter of chance what the server sees first.
        for n in 0..60 {
            let mut live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
            let ready = live.ready.clone();
            live.send_until(&recording, 20_000, 20_000);
            live.wait_for("speech", |event| matches!(event, Event::Speech(_)).then_some(())).await;
            live.give_up();
            let mut live = Live::resume(&server.address, &ready, 0).await.expect("it waits");
            live.send(&recording, recording.len());
            let told = live.rest().await;
            assert!(told.end.is_ok(), "after {n} that went well: {:?}", told.end);
            assert_eq!((told.done().audio_end, told.done().finals), (recording.len() as i64, 3));
        }
    });
}

#[test]
fn who_comes_back_takes_over_from_the_old_connection() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        let calm = stream(&server.address, config("mock", 16_000), &recording, CHUNK).await.finals();
        let mut old = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        old.send_until(&recording, 40_000, CHUNK);
        let first = old.a_final().await;
        let ready = old.ready.clone();
        let mut new = Live::resume(&server.address, &ready, first.seq).await.expect("it takes over");
        // What the old one says is not heard any more.
        old.send(&vec![9_999; 60_000], CHUNK);
        let status = old.rest().await.failure();
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
        new.send(&recording, CHUNK);
        let told = new.rest().await;
        assert_eq!([vec![first], told.finals()].concat(), calm);
    });
}

/// The refusal of a wish to open or to resume.
async fn refused(address: &str, config: StreamingConfig) -> Status {
    match Live::open(address, config).await {
        Ok(live) => panic!("it is let in: {:?}", live.ready),
        Err(status) => status,
    }
}

#[test]
fn only_who_has_the_key_comes_in() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        let named = StreamingConfig { session_id: "mine".into(), ..config("mock", 16_000) };
        let mut live = Live::open(&server.address, named.clone()).await.expect("it begins");
        live.send_until(&commands(), 40_000, CHUNK);
        live.a_final().await;
        let ready = live.ready.clone();
        let mut messages = Vec::new();
        for (session, key) in [
            ("mine", "0".repeat(32)),
            ("mine", String::new()),
            ("mine", ready.resume_key[..31].to_owned()),
            ("mine", format!("{}0", ready.resume_key)),
            ("never-was", ready.resume_key.clone()),
            ("never-was", String::new()),
        ] {
            let ready = v1::Ready { session_id: session.into(), resume_key: key, ..ready.clone() };
            let status = refused(&server.address, resuming(&ready, 0)).await;
            assert_eq!((status.code(), field_of(&status).as_deref()), (Code::NotFound, Some("config.resume")));
            messages.push(status.message().replace(session, "S"));
        }
        messages.dedup();
        assert_eq!(messages.len(), 1, "a guess learns nothing: {messages:?}");
        for last_seq in [-1, 2, i64::MAX, i64::MIN] {
            let status = refused(&server.address, resuming(&ready, last_seq)).await;
            let refused = (status.code(), field_of(&status));
            assert_eq!(refused, (Code::InvalidArgument, Some("config.resume.last_seq".to_owned())), "{last_seq}");
        }
        let status = refused(&server.address, named).await;
        assert_eq!(status.code(), Code::InvalidArgument, "its name is taken");
        assert_eq!(field_of(&status).as_deref(), Some("config.session_id"));
        // All this was nothing to the session.
        live.send(&commands(), CHUNK);
        assert_eq!(live.rest().await.done().finals, 3);
    });
}

#[test]
fn the_metadata_may_name_the_session() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        let open = async |config, session| {
            Live::open_with(&server.address, vec![Message::Config(config)], Some(session)).await
        };
        let live = open(config("mock", 16_000), "by-metadata").await.expect("it begins");
        assert_eq!((live.named.as_str(), live.ready.session_id.as_str()), ("by-metadata", "by-metadata"));
        let named = |id: &str| StreamingConfig { session_id: id.into(), ..config("mock", 16_000) };
        let live = open(named("both"), "both").await.expect("they agree");
        assert_eq!(live.ready.session_id, "both");
        for (id, session) in [("one", "other"), ("", "../evil"), ("", &"x".repeat(65))] {
            let status = open(named(id), session).await.map(|live| live.ready).expect_err("it cannot be");
            assert_eq!(field_of(&status).as_deref(), Some("config.session_id"), "{id} {session}: {status:?}");
        }
    });
}

#[test]
fn a_session_that_is_over_tells_its_finals_again() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    let (ready, finals, done) = block_on(async {
        let mut live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        let ready = live.ready.clone();
        live.send(&recording, CHUNK);
        let told = live.rest().await;
        (ready, told.finals(), told.done())
    });
    let ask_again = async |address: &str| {
        for last_seq in [0, 1, 3, 0] {
            let again = Live::resume(address, &ready, last_seq).await.expect("it lingers");
            assert_eq!((again.ready.next_sample, again.ready.last_seq), (recording.len() as i64, 3));
            let again = again.rest().await;
            assert_eq!((again.finals(), again.done()), (finals[last_seq as usize..].to_vec(), done));
        }
    };
    block_on(ask_again(&server.address));
    // Also by the next server.
    let server = super::killed_and_started(&sandbox, server, &[]);
    block_on(ask_again(&server.address));
}

#[test]
fn finals_that_are_acknowledged_are_not_kept() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        let mut live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        let ready = live.ready.clone();
        live.send_until(&recording, 80_000, CHUNK);
        live.a_final().await;
        live.a_final().await;
        let notes = sandbox.path().join("state").join(&ready.session_id).join("notes.wal");
        let length = || fs::metadata(&notes).expect("it is there").len();
        let before = length();
        live.say(acknowledge(1));
        until(|| length() != before).await;
        live.cut();
        // Behind it one can go on, before it not any more.
        let status = refused(&server.address, resuming(&ready, 0)).await;
        assert_eq!(field_of(&status).as_deref(), Some("config.resume.last_seq"), "{status:?}");
        let mut live = Live::resume(&server.address, &ready, 1).await.expect("it goes on");
        assert_eq!(live.a_final().await.seq, 2);
        for wrong in [-1, 3] {
            live.say(acknowledge(wrong));
            let status = live.rest().await.failure();
            assert_eq!(field_of(&status).as_deref(), Some("acknowledge.seq"), "{wrong}: {status:?}");
            live = Live::resume(&server.address, &ready, 2).await.expect("it goes on");
        }
        live.send(&recording, CHUNK);
        assert_eq!(live.a_final().await.seq, 3);
        live.rest().await.done();
        // Whoever has everything says so, and nothing is left.
        let first = vec![Message::Config(resuming(&ready, 3)), acknowledge(3)];
        Live::open_with(&server.address, first, None).await.expect("it lingers").rest().await.done();
    });
    eventually("nothing is left", || stored(&sandbox).is_empty());
}

#[test]
fn a_session_waits_for_its_client_and_then_ends_and_lingers_and_is_gone() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--session-wait", "1", "--linger", "3"]);
    let recording = commands();
    block_on(async {
        let named = StreamingConfig { session_id: "left".into(), ..config("mock", 16_000) };
        let mut live = Live::open(&server.address, named).await.expect("it begins");
        let ready = live.ready.clone();
        // The second command is not over.
        live.send_until(&recording, 60_000, CHUNK);
        live.a_final().await;
        live.cut();
        until(|| server.log(&sandbox).contains("Nobody came back")).await;
        // What it had said is decided, and lingers.
        let told = Live::resume(&server.address, &ready, 1).await.expect("it lingers").rest().await;
        assert_eq!(told.done().reason(), v1::session_done::Reason::ClientGone);
        assert_eq!((told.finals().len(), told.done().finals), (1, 2));
    });
    eventually("nothing is left", || stored(&sandbox).is_empty());
}

#[test]
fn hundreds_of_clients_that_look_in_and_go_leave_nothing() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        for n in 0..200 {
            let live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
            if n % 2 == 0 {
                live.cut()
            } else {
                live.give_up()
            };
        }
    });
    eventually("nothing is left", || stored(&sandbox).is_empty());
    let descriptors = proc::descriptors(server.running.pid()).len();
    assert!(descriptors < 60, "{descriptors} descriptors");
    let told = block_on(stream(&server.address, config("mock", 16_000), &commands(), CHUNK));
    assert_eq!(told.done().finals, 3);
}

#[test]
fn a_python_client_is_cut_off_and_goes_on() {
    let Some(python) = interpreter() else { return };
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--model", "selftest"]);
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script("live_client.py")).arg(&server.address).arg(protos());
    command.arg(sample("three-commands.wav")).args(super::COMMANDS);
    let output = command.output().expect("it starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    println!("live_client.py: {} checks", said.matches("ok: ").count());
}
