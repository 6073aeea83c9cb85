//! Workers that die: every reply is what it would have been in calm.

use crate::harness::{
    calls::recognize,
    eventually,
    pb::{block_on, speech, v1},
    process::{Sandbox, is_alive, send_signal},
    sample,
    server::Server,
    wav,
};
use std::{thread, time::Instant};
use tonic::Code;
use tonic_types::StatusExt;
use v1::{recognize_file_request::Message, recognize_file_response::Event, synthesize_response::Event as Spoken};

/// How often each stage of a call loses its worker.
const KILLS: usize = 10;

/// The reply to a request while something bad is done to its worker.
fn reply_under_fire(
    server: &Server,
    request: v1::RecognizeRequest,
    kill: impl FnOnce() + Send,
) -> v1::RecognizeResponse {
    thread::scope(|scope| {
        let killer = scope.spawn(kill);
        let reply = block_on(async {
            let mut client = speech(&server.address).await;
            client.recognize(request).await.expect("the call survives").into_inner()
        });
        killer.join().expect("it kills");
        reply
    })
}

#[test]
fn killed_while_it_loads() {
    let sandbox = Sandbox::new();
    let (_, samples) = wav::read(&sample("three-commands.wav"));
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let request = recognize("selftest", &samples);
    let calm = reply_under_fire(&server, request.clone(), || {});
    assert_eq!(calm.text, "open the door play some music in the kitchen call my mother at five");
    for _ in 0..KILLS {
        // Without its worker, the next call has to wait for another one, which is killed as soon as it is there.
        let old = server.worker(&[]);
        send_signal(old, "KILL");
        eventually("it is gone", || !is_alive(old));
        let reply = reply_under_fire(&server, request.clone(), || send_signal(server.worker(&[old]), "KILL"));
        assert_eq!(reply, calm);
    }
    assert!(server.log(&sandbox).matches("Worker died.").count() >= 2 * KILLS, "they did die");
}

#[test]
fn killed_while_it_decodes() {
    let sandbox = Sandbox::new();
    let (_, samples) = wav::read(&sample("three-commands.wav"));
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let request = recognize("selftest", &samples);
    let calm = reply_under_fire(&server, request.clone(), || {});
    let began = Instant::now();
    let calm_again = reply_under_fire(&server, request.clone(), || {});
    assert_eq!(calm, calm_again);
    let length = began.elapsed();
    for kill in 0..KILLS {
        let worker = server.worker(&[]);
        let reply = reply_under_fire(&server, request.clone(), || {
            // Anywhere in the decode; the time itself is the condition.
            thread::sleep(length * kill as u32 / KILLS as u32);
            send_signal(worker, "KILL");
        });
        assert_eq!(reply, calm);
        eventually("it is gone", || !is_alive(worker));
        reply_under_fire(&server, recognize("selftest", &samples[..8_000]), || {});
    }
    let lost = server.log(&sandbox).matches("Call lost its worker.").count();
    assert!(lost >= KILLS / 3, "only {lost} of them died in the call");
}

#[test]
fn killed_in_the_middle_of_a_slow_decode() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let samples = wav::numbered(1);
    let calm = wav::mock_transcript(&samples);
    for _ in 0..KILLS {
        let reply = reply_under_fire(&server, recognize("mock:slow", &samples), || {
            // It takes a second, and is ready within milliseconds.
            let worker = server.worker(&[]);
            eventually("it is ready", || server.log(&sandbox).contains(&format!("pid={worker} build=")));
            send_signal(worker, "KILL");
            eventually("it is gone", || !is_alive(worker));
        });
        assert_eq!(format!("{}\n", reply.text), calm);
        // The one that gave the answer goes too, so that the next call starts its own.
        let idle = server.worker(&[]);
        send_signal(idle, "KILL");
        eventually("it is gone", || !is_alive(idle));
    }
    let lost = server.log(&sandbox).matches("Call lost its worker.").count();
    assert!(lost >= KILLS, "only {lost} of them died in the call");
}

#[test]
fn killed_between_the_replies_of_one_call() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let samples = wav::numbered(65);
    let request = recognize("mock", &samples);
    block_on(async {
        let mut client = speech(&server.address).await;
        for _ in 0..KILLS {
            let chunks = request.audio.chunks(100_000).map(|chunk| Message::Audio(chunk.to_vec().into()));
            let messages: Vec<_> = std::iter::once(Message::Config(request.config.clone().expect("a config")))
                .chain(chunks)
                .map(|message| v1::RecognizeFileRequest { message: Some(message) })
                .collect();
            let mut events = client.recognize_file(tokio_stream::iter(messages)).await.expect("it begins").into_inner();
            let (mut text, mut killed, mut done) = (String::new(), false, false);
            while let Some(event) = events.message().await.expect("it goes on") {
                match event.event.expect("an event") {
                    Event::Segment(segment) => {
                        if !killed {
                            server.workers().into_iter().for_each(|worker| send_signal(worker, "KILL"));
                            killed = true;
                        }
                        text.push_str(&format!("{}\n", segment.text));
                    }
                    Event::Done(_) => done = true,
                    _ => {}
                }
            }
            assert!(done && text == wav::mock_transcript(&samples));
        }
    });
}

/// Speaks, and kills the worker after so many bytes have arrived.
async fn speak_under_fire(server: &Server, voice: &str, text: &str, kill_after: Option<usize>) -> Vec<u8> {
    let mut client = speech(&server.address).await;
    let request = v1::SynthesizeRequest {
        input: Some(v1::synthesize_request::Input::Text(text.to_owned())),
        voice: voice.to_owned(),
        ..Default::default()
    };
    let mut stream = client.synthesize(request).await.expect("it begins").into_inner();
    let (mut audio, mut kill_after) = (Vec::new(), kill_after);
    while let Some(message) = stream.message().await.expect("it goes on") {
        if let Some(Spoken::Audio(bytes)) = message.event {
            audio.extend(bytes);
        }
        if kill_after.is_some_and(|bytes| audio.len() > bytes) {
            kill_after = None;
            server.workers().into_iter().for_each(|worker| send_signal(worker, "KILL"));
        }
    }
    audio
}

#[test]
fn killed_while_it_speaks() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    // Long enough that the worker waits for whoever listens, and is in the middle of it when it dies.
    let text = "what time is it. how is the weather in the morning. ".repeat(200);
    block_on(async {
        let calm = speak_under_fire(&server, "en-us", &text, None).await;
        assert!(calm.len() > 10_000_000, "{} bytes", calm.len());
        for kill in 0..KILLS {
            let audio = speak_under_fire(&server, "en-us", &text, Some(kill * 100_000)).await;
            assert!(audio == calm, "not the same, in length {} of {}", audio.len(), calm.len());
        }
    });
    assert!(server.log(&sandbox).matches("Call lost its worker.").count() >= KILLS, "they did die in the call");
}

#[test]
fn killed_all_the_time_is_given_up_in_the_end() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let refused = thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let server = &server;
        scope.spawn(move || {
            while stopped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {
                server.workers().into_iter().for_each(|worker| send_signal(worker, "KILL"));
            }
        });
        let refused = block_on(async {
            let mut client = speech(&server.address).await;
            client.recognize(recognize("mock:slow", &wav::numbered(5))).await.expect_err("nobody can live")
        });
        drop(stop);
        refused
    });
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    assert!(refused.message().contains("11 workers were lost, none to this request"), "{}", refused.message());
    assert!(refused.get_details_retry_info().is_some());
}

#[test]
fn a_request_that_kills_is_given_up_with_what_killed() {
    let sandbox = Sandbox::new().with_env("SPEECHCTL_SERVER", "");
    sandbox.file("talk.wav", &wav::mono16(&wav::numbered(3)));
    let server = Server::start(&sandbox, &["--hang-timeout", "1"]);
    let mut rows = String::new();
    for model in ["mock:crash@2.5", "mock:exit", "mock:hang@1", "mock:garbage", "mock:unloadable", "mock:nonsense"] {
        let line = format!("stt talk.wav --model {model}");
        let shown = sandbox.run(&["stt", "talk.wav", "--model", model, "--server", &server.address]);
        rows.push_str(&sandbox.shown_as_row(&line, &shown));
    }
    for voice in ["mock:crash@0.05", "mock:exit@0.05", "mock:hang@0.05"] {
        let line = format!("tts hello --voice {voice} -o out.wav");
        let shown = sandbox.run(&["tts", "hello", "--voice", voice, "-o", "out.wav", "--server", &server.address]);
        rows.push_str(&sandbox.shown_as_row(&line, &shown));
    }
    insta::assert_snapshot!(rows);
    assert!(!sandbox.files().contains(&"out.wav".to_owned()), "no half of a file");
    block_on(async {
        let mut client = speech(&server.address).await;
        let refused = client.recognize(recognize("mock:crash", &wav::numbered(1))).await.expect_err("it kills");
        let info = refused.get_details_error_info().expect("its kind");
        assert_eq!(info.metadata.get("cause_of_death").map(String::as_str), Some("SIGABRT"));
        let last_words = refused.get_details_debug_info().expect("its last words").stack_entries;
        assert_eq!(last_words, ["mock engine: about to abort, as asked"]);
    });
    // The server is none the worse for it.
    let shown = sandbox.run(&["stt", "talk.wav", "--model", "mock", "--server", &server.address]);
    assert_eq!(shown.good_text(), wav::mock_transcript(&wav::numbered(3)));
}

#[test]
fn a_flood_on_standard_error_does_not_stop_the_work() {
    let sandbox = Sandbox::new();
    let samples = wav::numbered(1);
    sandbox.file("talk.wav", &wav::mono16(&samples));
    let shown = sandbox.run(&["stt", "talk.wav", "--model", "mock:flood-stderr"]);
    assert_eq!(shown.good_text(), wav::mock_transcript(&samples));
}

#[test]
fn a_stopped_worker_is_replaced() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--hang-timeout", "0.5", "--spares", "never"]);
    let samples = wav::numbered(3);
    let reply = reply_under_fire(&server, recognize("mock:slow", &samples), || {
        let worker = server.worker(&[]);
        eventually("it works", || server.log(&sandbox).contains("Worker ready."));
        send_signal(worker, "STOP");
    });
    assert_eq!(reply.text.split(' ').count(), 3);
    assert!(server.log(&sandbox).contains("FROZEN"));
}

#[test]
fn slow_is_not_dead() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--hang-timeout", "1"]);
    let reply = reply_under_fire(&server, recognize("mock:slow", &wav::numbered(4)), || {});
    assert_eq!(reply.text.split(' ').count(), 4);
    assert!(!server.log(&sandbox).contains("Worker died."));
}

#[test]
fn a_server_that_is_killed_leaves_no_workers() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    reply_under_fire(&server, recognize("mock", &wav::numbered(1)), || {});
    let workers = server.workers();
    assert!(!workers.is_empty());
    server.running.signal("KILL");
    eventually("the workers end", || !workers.iter().any(|worker| is_alive(*worker)));
}

#[test]
fn a_worker_is_used_again() {
    let sandbox = Sandbox::new();
    // A spare is another one, and the system lists it before the first or after.
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let mut seen = Vec::new();
    for _ in 0..5 {
        reply_under_fire(&server, recognize("mock", &wav::numbered(1)), || {});
        seen.extend(server.workers());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
    // Many at once get one each, within limits.
    block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..24 {
            let address = server.address.clone();
            calls.spawn(async move {
                let mut client = speech(&address).await;
                client.recognize(recognize("mock", &wav::numbered(2))).await.expect("it hears").into_inner().text
            });
        }
        let texts = calls.join_all().await;
        assert!(texts.iter().all(|text| *text == texts[0]));
    });
    assert!(server.workers().len() <= 16);
}

#[test]
fn an_engine_that_hangs_under_impatient_callers_is_replaced_too() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--hang-timeout", "1", "--spares", "never"]);
    sandbox.file("long.wav", &wav::mono16(&wav::numbered(5)));
    sandbox.file("short.wav", &wav::mono16(&wav::numbered(1)));
    let call = |file: &str, limit: &str| {
        let args = ["stt", file, "--model", "mock:hang@3", "--server", &server.address, "--timeout", limit];
        sandbox.run(&args)
    };
    let first = server.worker_after(|| assert_eq!(call("long.wav", "0.3").code(), "5"));
    eventually("it is put down", || !is_alive(first));
    assert_eq!(call("short.wav", "30").good_text(), wav::mock_transcript(&wav::numbered(1)));
}

#[test]
fn readers_who_stand_still_do_not_stop_the_others() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let text = "this is one of many sentences that nobody listens to. ".repeat(600);
        let mut standing_still = Vec::new();
        // As many as there are workers.
        for _ in 0..16 {
            let mut client = speech(&server.address).await;
            let request = v1::SynthesizeRequest {
                input: Some(v1::synthesize_request::Input::Text(text.clone())),
                ..Default::default()
            };
            let mut stream = client.synthesize(request).await.expect("it begins").into_inner();
            stream.message().await.expect("it goes on").expect("a format");
            standing_still.push((client, stream));
        }
        let audio = speak_under_fire(&server, "en-us", "hello", None).await;
        assert!(audio.len() > 10_000);
        // And whoever goes on to listen hears it all.
        let (_client, mut stream) = standing_still.remove(0);
        let mut heard = 0;
        while let Some(message) = stream.message().await.expect("it goes on") {
            if let Some(Spoken::Audio(bytes)) = message.event {
                heard += bytes.len();
            }
        }
        let calm = speak_under_fire(&server, "en-us", &text, None).await;
        assert_eq!(heard, calm.len());
    });
}
