//! Engines and servers that die while somebody speaks: the finals are those of a calm day.

use super::{CHUNK, COMMANDS, commands, commands_for, faster, killed_and_started, start, start_at};
use crate::harness::{
    eventually,
    live::{Event, Live, config, resuming, stream, text, until},
    pb::{block_on, v1},
    process::{Sandbox, is_alive, send_signal},
    server::Server,
    wav,
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, Instant},
};
use tonic::Code;

/// How often a worker dies under a session.
const KILLS: usize = 5;

/// What is said in a recording, in calm, by a server without a past.
fn calm(model: &str, rate: u32, recording: &[i16]) -> Vec<v1::Final> {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let told = block_on(stream(&server.address, config(model, rate), recording, CHUNK));
    told.done();
    told.finals()
}

/// Streams a recording while something bad is done; gives the finals, and the epoch in the end.
fn under_fire(server: &Server, model: &str, recording: &[i16], harm: impl FnOnce() + Send) -> (Vec<v1::Final>, i64) {
    thread::scope(|scope| {
        let harmful = scope.spawn(harm);
        let heard = block_on(async {
            let mut live = Live::open(&server.address, config(model, 16_000)).await.expect("it begins");
            let ready = live.ready.clone();
            assert_eq!(ready.epoch, 1);
            live.send(recording, CHUNK);
            let told = live.rest().await;
            told.done();
            let again = Live::resume(&server.address, &ready, 0).await.expect("it lingers");
            (told.finals(), again.ready.epoch)
        });
        harmful.join().expect("it does harm");
        heard
    })
}

/// Waits until a worker is ready that has not been seen, and has had time to be given work.
fn fresh_worker(server: &Server, sandbox: &Sandbox, seen: &mut Vec<u32>) -> u32 {
    let worker = server.worker(seen);
    seen.push(worker);
    eventually("it is ready", || server.log(sandbox).contains(&format!("pid={worker} build=")));
    worker
}

#[test]
fn an_engine_that_is_killed_in_mid_decode_costs_nothing_but_time() {
    let sandbox = Sandbox::new();
    let recording = commands();
    // Slow takes as long as the audio lasts, and hears the same.
    let calm = calm("mock", 16_000, &recording);
    let server = start(&sandbox, &["--spares", "never"]);
    let (finals, epoch) = under_fire(&server, "mock:slow", &recording, || {
        let mut seen = Vec::new();
        for _ in 0..KILLS {
            let worker = fresh_worker(&server, &sandbox, &mut seen);
            send_signal(worker, "KILL");
            eventually("it is gone", || !is_alive(worker));
        }
    });
    assert_eq!(finals, calm);
    let lost = server.logged(&sandbox, "A session lost its worker.");
    assert!(lost > 0, "none of them died in a decode");
    assert_eq!(epoch, 1 + lost as i64, "each is told by the epoch");
}

#[test]
fn real_words_survive_a_killed_engine() {
    let sandbox = Sandbox::new();
    let recording = commands();
    let calm = calm("selftest", 16_000, &recording);
    let server = start(&sandbox, &["--spares", "never"]);
    for delay in 0..KILLS as u32 {
        let (finals, _) = under_fire(&server, "selftest", &recording, || {
            let worker = server.worker(&[]);
            // Anywhere in the decode; the time itself is the condition.
            thread::sleep(Duration::from_millis(30) * delay);
            send_signal(worker, "KILL");
        });
        assert_eq!(finals, calm);
        assert_eq!(text(&finals), COMMANDS.join(" "));
    }
}

#[test]
fn an_engine_that_hangs_is_replaced() {
    let sandbox = Sandbox::new();
    let recording = commands();
    let calm = calm("mock", 16_000, &recording);
    let server = start(&sandbox, &["--spares", "never", "--hang-timeout", "1"]);
    let (finals, epoch) = under_fire(&server, "mock:slow", &recording, || {
        let worker = fresh_worker(&server, &sandbox, &mut Vec::new());
        send_signal(worker, "STOP");
        eventually("it is put down", || !is_alive(worker));
    });
    assert_eq!(finals, calm);
    assert_eq!(epoch, 1 + server.logged(&sandbox, "A session lost its worker.") as i64);
}

#[test]
fn partials_of_an_epoch_that_ended_are_void_and_others_follow() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--spares", "never"]);
    let recording = commands();
    block_on(async {
        let config = v1::StreamingConfig { interim_results: true, ..config("mock:slow", 16_000) };
        let mut live = Live::open(&server.address, config).await.expect("it begins");
        // The command is not over, and a partial of it takes a second.
        live.send_until(&recording, 20_000, CHUNK);
        let lost = || server.logged(&sandbox, "A session lost its worker.");
        until(|| {
            let log = server.log(&sandbox);
            let is_ready = |worker: &u32| log.contains(&format!("pid={worker} build="));
            server.workers().into_iter().filter(is_ready).for_each(|worker| send_signal(worker, "KILL"));
            lost() > 0
        })
        .await;
        let partial = live.a_partial().await;
        assert_eq!((partial.epoch, partial.confirmed, partial.utterance_id), (1 + lost() as i64, 0, 1), "{partial:?}");
        live.send(&recording, CHUNK);
        let told = live.rest().await;
        assert_eq!(told.done().finals, 3);
    });
}

/// Samples at which an engine dies, in the middle of the second command: their value, and the recording.
fn poisoned() -> (i16, Vec<i16>) {
    let mut recording = commands();
    let there: BTreeSet<i16> = recording.iter().copied().collect();
    let deadly = (12_001..).find(|value| !there.contains(value)).expect("a value that nobody says");
    recording[POISON].fill(deadly);
    (deadly, recording)
}

/// Where the deadly samples are.
const POISON: std::ops::Range<usize> = 50_000..50_004;

#[test]
fn audio_that_kills_engines_becomes_a_gap_and_the_rest_is_written_down() {
    let sandbox = Sandbox::new();
    let (deadly, recording) = poisoned();
    let calm = calm("mock", 16_000, &recording);
    let server = start(&sandbox, &["--linger", "600"]);
    let told = block_on(async {
        let model = format!("mock:poison@{deadly}");
        let config = v1::StreamingConfig { interim_results: true, ..config(&model, 16_000) };
        stream(&server.address, v1::StreamingConfig { session_id: "p".into(), ..config }, &recording, CHUNK).await
    });
    assert_eq!((told.done().gaps, told.done().finals), (1, 3));
    let gap = &told.gaps()[0];
    assert!(gap.start <= POISON.start as i64 && POISON.end as i64 <= gap.end, "{gap:?}");
    assert!(gap.end - gap.start <= 16_000 && gap.utterance_id == 2, "{gap:?}");
    assert!(gap.reason.contains("SIGABRT"), "{gap:?}");
    // The others as ever, and of this one all but the gap.
    let finals = told.finals();
    assert_eq!((&finals[0], &finals[2].text), (&calm[0], &calm[2].text));
    let heard: i64 = finals[1].segments.iter().map(|part| part.end - part.start).sum();
    assert_eq!(heard + gap.end - gap.start, finals[1].audio_end - finals[1].audio_start);
    // What killed is kept, for its owner alone, and the client is told under which name.
    let kept = kept(&sandbox);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(gap.reason.contains(&kept[0]), "{gap:?} {kept:?}");
    let path = sandbox.path().join("state/quarantine").join(&kept[0]);
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(wav::read(&path), (16_000, recording[gap.start as usize..gap.end as usize].to_vec()));
}

/// The files of the quarantine.
fn kept(sandbox: &Sandbox) -> Vec<String> {
    let Ok(entries) = fs::read_dir(sandbox.path().join("state/quarantine")) else { return Vec::new() };
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_was_put_aside_outlives_the_server_and_its_session() {
    let sandbox = Sandbox::new();
    let (deadly, recording) = poisoned();
    let flags = ["--linger", "1"];
    let server = start(&sandbox, &flags);
    block_on(async {
        // A session cannot get at it by its name.
        let named = v1::StreamingConfig { session_id: "quarantine".into(), ..config("mock", 16_000) };
        let named = Live::open(&server.address, named).await;
        stream(&server.address, config(&format!("mock:poison@{deadly}"), 16_000), &recording, CHUNK).await.done();
        drop(named);
    });
    eventually("the sessions are gone", || super::stored(&sandbox).iter().all(|name| name == "quarantine"));
    assert_eq!(kept(&sandbox).len(), 1);
    let server = killed_and_started(&sandbox, server, &flags);
    assert_eq!(kept(&sandbox).len(), 1, "{}", server.log(&sandbox));
}

/// Streams a recording through servers that are killed, one after the other; gives the finals, each as it came.
fn through_deaths(model: &str, rate: u32, recording: &[i16], deaths: usize) -> Vec<v1::Final> {
    let sandbox = Sandbox::new();
    let mut server = start(&sandbox, &[]);
    let interim = v1::StreamingConfig { interim_results: true, ..config(model, rate) };
    let (mut ready, mut finals): (Option<v1::Ready>, Vec<v1::Final>) = (None, Vec::new());
    for death in 1..=deaths {
        let until = recording.len() * death / (deaths + 1);
        block_on(async {
            let mut live = match &ready {
                None => Live::open(&server.address, interim.clone()).await.expect("it begins"),
                Some(ready) => goes_on(&server, ready, &finals).await,
            };
            live.send_until(recording, until, CHUNK);
            // In the middle of whatever it does: this time it is known to have some of it, the next time not even that.
            if death % 2 == 1 {
                live.wait_for("speech", |event| matches!(event, Event::Speech(_)).then_some(())).await;
            }
            ready = Some(live.ready.clone());
            server.running.signal("KILL");
            finals.extend(live.rest().await.finals());
        });
        server = killed_and_started(&sandbox, server, &[]);
    }
    let told = block_on(async {
        let mut live = goes_on(&server, &ready.expect("it began"), &finals).await;
        live.send(recording, CHUNK);
        live.rest().await
    });
    finals.extend(told.finals());
    assert_eq!(told.done().finals, finals.len() as i64);
    finals
}

/// Resumes behind the last final that came.
async fn goes_on(server: &Server, before: &v1::Ready, finals: &[v1::Final]) -> Live {
    let last = finals.last().map_or(0, |told| told.seq);
    let live = Live::resume(&server.address, before, last).await.unwrap_or_else(|status| panic!("{status:?}"));
    let ready = &live.ready;
    assert_eq!((&ready.session_id, &ready.resume_key), (&before.session_id, &before.resume_key));
    assert!(ready.next_sample >= before.next_sample && ready.last_seq >= last, "{ready:?} {before:?}");
    if ready.next_sample > 0 {
        assert!(ready.epoch > before.epoch, "{ready:?} {before:?}");
    }
    live
}

#[test]
fn a_server_that_is_killed_goes_on_where_it_was() {
    let recording = commands_for(20);
    for rate in [16_000, 48_000] {
        let recording = faster(&recording, rate as usize / 16_000);
        assert_eq!(through_deaths("mock", rate, &recording, 6), calm("mock", rate, &recording), "{rate} Hz");
    }
}

#[test]
fn real_words_survive_a_killed_server() {
    let recording = commands();
    let finals = through_deaths("selftest", 16_000, &recording, 4);
    assert_eq!(finals, calm("selftest", 16_000, &recording));
    assert_eq!(text(&finals), COMMANDS.join(" "));
}

#[test]
fn a_server_that_dies_behind_the_end_of_the_audio_decides_the_rest_by_itself() {
    let sandbox = Sandbox::new();
    let recording = commands();
    let calm = calm("mock", 16_000, &recording);
    let server = start(&sandbox, &[]);
    let ready = block_on(async {
        let mut live = Live::open(&server.address, config("mock:load-slow@3", 16_000)).await.expect("it begins");
        live.send(&recording, CHUNK);
        // It has begun to load its model, and has all the audio: the log says so.
        let notes = sandbox.path().join("state").join(&live.ready.session_id).join("notes.wal");
        let before = fs::metadata(&notes).expect("it is there").len();
        until(|| fs::metadata(&notes).is_ok_and(|now| now.len() > before)).await;
        server.running.signal("KILL");
        let ready = live.ready.clone();
        assert_eq!(live.rest().await.finals(), []);
        ready
    });
    let server = killed_and_started(&sandbox, server, &[]);
    block_on(async {
        let mut live = Live::resume(&server.address, &ready, 0).await.expect("it goes on");
        assert_eq!(live.ready.next_sample, recording.len() as i64);
        // Who has said all has nothing more to say, and may say so.
        live.send(&recording, CHUNK);
        let told = live.rest().await;
        assert_eq!((told.finals(), told.done().finals), (calm, 3));
    });
}

#[test]
fn who_comes_back_while_the_server_restores_is_not_sent_away() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    // A minute at the highest rate that is taken: so much is not read in no time.
    let recording = faster(&commands_for(55), 12);
    let ready = block_on(async {
        let mut live = Live::open(&server.address, config("mock:hang", 192_000)).await.expect("it begins");
        live.send_until(&recording, recording.len(), 96_000);
        let folder = sandbox.path().join("state").join(&live.ready.session_id);
        until(|| folder_size(&folder) >= 2 * recording.len() as u64).await;
        live.ready.clone()
    });
    let address = server.address.clone();
    server.running.signal("KILL");
    server.running.end();
    let answers = thread::scope(|scope| {
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(|| block_on(knock(&address, &ready)))).collect();
        let _server = start_at(&sandbox, &address, &[]);
        callers.into_iter().flat_map(|caller| caller.join().expect("no panic")).collect::<Vec<_>>()
    });
    let wrong: Vec<_> = answers.iter().filter(|code| ![Code::Ok, Code::Unavailable].contains(code)).collect();
    assert!(answers.contains(&Code::Ok) && wrong.is_empty(), "{answers:?}");
}

/// Tries to go on with a session until that succeeds, as clients do that were cut off.
async fn knock(address: &str, ready: &v1::Ready) -> Vec<Code> {
    let mut answers = Vec::new();
    let deadline = Instant::now() + crate::harness::PATIENCE;
    while answers.last() != Some(&Code::Ok) && Instant::now() < deadline {
        answers.push(match Live::open(address, resuming(ready, 0)).await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        });
        answers.dedup();
    }
    answers
}

fn folder_size(folder: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

#[test]
fn a_server_that_is_asked_to_stop_says_so_and_the_next_one_goes_on() {
    let sandbox = Sandbox::new();
    let recording = commands_for(20);
    let calm = calm("mock", 16_000, &recording);
    let server = start(&sandbox, &["--drain-timeout", "20"]);
    let address = server.address.clone();
    let (ready, finals) = block_on(async {
        let mut live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        live.send_until(&recording, recording.len() / 2, CHUNK);
        live.a_final().await;
        let asked = Instant::now();
        server.running.signal("TERM");
        let ready = live.ready.clone();
        let told = live.rest().await;
        let finals = told.finals();
        let status = told.failure();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        crate::harness::calls::retry_after(&status);
        assert!(status.message().contains("resume"), "{}", status.message());
        assert!(asked.elapsed() < Duration::from_secs(10), "nobody had to wait for the stream");
        (ready, finals)
    });
    let asked = Instant::now();
    assert_eq!(server.running.end().code(), "0");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let server = start_at(&sandbox, &address, &[]);
    let told = block_on(async {
        let mut live = goes_on(&server, &ready, &finals).await;
        live.send(&recording, CHUNK);
        live.rest().await
    });
    told.done();
    assert_eq!([finals, told.finals()].concat(), calm);
}

#[test]
fn a_session_that_is_deciding_its_last_words_may_finish_before_the_server_does() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        let mut live = Live::open(&server.address, config("mock:slow", 16_000)).await.expect("it begins");
        live.send(&recording, CHUNK);
        // It is in the middle of the first command, of which it has heard the end.
        live.wait_for("speech", |event| matches!(event, Event::Speech(_)).then_some(())).await;
        let notes = sandbox.path().join("state").join(&live.ready.session_id).join("notes.wal");
        let before = fs::metadata(&notes).expect("it is there").len();
        until(|| fs::metadata(&notes).is_ok_and(|now| now.len() > before)).await;
        server.running.signal("TERM");
        let told = live.rest().await;
        assert_eq!(told.done().finals, 3, "{}", server.log(&sandbox));
    });
    assert_eq!(server.running.end().code(), "0");
}
