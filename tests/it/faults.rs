//! Engines that fail in every way that there is, and a system that gives nothing: each is named, none harms the rest.

use crate::harness::{
    calls::{cause, hear, mock_text, model, recognize, retry_after, serves, speak},
    eventually, eventually_some,
    pb::{block_on, connect, speech, v1},
    proc::{command_line, descriptors, processor_time, status},
    process::{Sandbox, is_alive, send_signal},
    server::Server,
    wav,
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn call(server: &Server, model: &str, samples: &[i16]) -> Result<String, Status> {
    block_on(hear(&server.address, recognize(model, samples)))
}

/// A call that must go well.
#[track_caller]
fn good(server: &Server, model: &str) {
    let samples = wav::numbered(1);
    assert_eq!(call(server, model, &samples).expect("it hears"), mock_text(&samples), "{model}");
}

fn worker_of(server: &Server, model: &str) -> u32 {
    eventually_some("its worker", || server.workers().into_iter().find(|pid| command_line(*pid).contains(model)))
}

#[test]
fn engines_that_do_not_load() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--load-timeout", "1"]);
    for (model, expected) in
        [("mock:load-crash", "SIGABRT"), ("mock:load-exit", "EXIT_0"), ("mock:load-hang", "NEVER_READY")]
    {
        let refused = call(&server, model, &wav::numbered(1)).expect_err(model);
        assert_eq!(cause(&refused), expected, "{}", refused.message());
    }
    let refused = call(&server, "mock:load-slow@30", &wav::numbered(1)).expect_err("too slow");
    assert_eq!(cause(&refused), "NEVER_READY", "{}", refused.message());
    good(&server, "mock:load-slow@0.2");
}

#[test]
fn engines_that_talk_too_much() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    good(&server, "mock:stdout");
    let before = peak_memory(&server);
    good(&server, "mock:flood-stderr");
    let grown = peak_memory(&server) - before;
    assert!(grown < 32 << 10, "100 MB of words cost the server {grown} KiB");
}

/// In KiB.
fn peak_memory(server: &Server) -> u64 {
    let peak = status(server.running.pid(), "VmHWM");
    peak.trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn an_engine_that_takes_all_memory() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--worker-memory", "300M"]);
    good(&server, "mock");
    let refused = call(&server, "mock:leak", &wav::numbered(1)).expect_err("it has no memory");
    assert_eq!(cause(&refused), "OUT_OF_MEMORY", "{}", refused.message());
    assert!(refused.message().contains("memory"), "{}", refused.message());
    good(&server, "mock");
}

#[test]
fn an_engine_that_fails_is_replaced_and_then_told() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let refused = call(&server, "mock:fail", &wav::numbered(1)).expect_err("it fails");
    assert_eq!(cause(&refused), "FAILED", "{}", refused.message());
    assert!(refused.message().contains("the engine failed, as asked"), "{}", refused.message());
    // Each worker has two good answers in it; the third call finds out, and gets another worker.
    (0..5).for_each(|_| good(&server, "mock:fail-after@2"));
    assert!(server.log(&sandbox).contains("FAILED"));
}

#[test]
fn an_engine_that_fails_unseen_is_found_out_by_the_check() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--self-check", "1"]);
    good(&server, "mock:fail-after@2");
    let worker = worker_of(&server, "mock:fail-after@2");
    // Nobody calls; it says that it is well, and yet it is replaced.
    eventually("it is found out", || !is_alive(worker));
    good(&server, "mock:fail-after@2");
}

#[test]
fn lies_are_caught_counted_and_named() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let silence = vec![0; 16_000];
    for (model, samples, expected) in [
        ("mock:lie-long", wav::numbered(1), "LIED_LENGTH"),
        ("mock:lie-nan", wav::numbered(1), "LIED_NOT_A_NUMBER"),
        ("mock:lie-request", wav::numbered(1), "LIED_OTHER_REQUEST"),
    ] {
        let refused = call(&server, model, &samples).expect_err(model);
        assert_eq!(cause(&refused), expected, "{model}: {}", refused.message());
        assert_eq!(refused.code(), Code::Internal);
        let lies = block_on(crate::harness::calls::model(&server.address, model)).lies;
        assert_eq!(lies[expected.trim_start_matches("LIED_")], 3, "{lies:?}");
    }
    // What is true of silence is known without the engine: the call is answered, the lie is counted.
    assert_eq!(call(&server, "mock:lie-silence", &silence).expect("it is silence"), "");
    let lies = block_on(crate::harness::calls::model(&server.address, "mock:lie-silence")).lies;
    assert_eq!(lies["SILENCE"], 1, "{lies:?}");
    assert_eq!(call(&server, "mock:lie-empty", &silence).expect("it is none"), "", "nothing, where nothing is");
    for (voice, expected) in [
        ("mock:lie-empty", "LIED_EMPTY"),
        ("mock:lie-rate", "LIED_SAMPLE_RATE"),
        ("mock:lie-long", "LIED_LENGTH"),
        ("mock:lie-nan", "LIED_NOT_A_NUMBER"),
        ("mock:lie-request", "LIED_OTHER_REQUEST"),
    ] {
        // Another model than the one above, which is closed for a while.
        let voice = format!("{voice},hang@1000");
        let refused = block_on(speak(&server.address, &voice, "hello")).expect_err(&voice);
        assert_eq!(cause(&refused), expected, "{voice}: {}", refused.message());
    }
    good(&server, "mock");
}

#[test]
fn three_die_for_a_call_and_then_the_model_rests() {
    let sandbox = Sandbox::new();
    const MODEL: &str = "mock:crash@2";
    let server = Server::start(&sandbox, &["--model", MODEL]);
    good(&server, "");
    assert!(block_on(serves(&server.address, "stt")));
    let poison = call(&server, "", &wav::numbered(3)).expect_err("it kills");
    assert_eq!((poison.code(), cause(&poison).as_str()), (Code::Internal, "SIGABRT"), "{}", poison.message());
    assert_eq!(server.logged(&sandbox, "Worker died."), 3, "three, and never a fourth");

    let asked = Instant::now();
    let refused = call(&server, "", &wav::numbered(1)).expect_err("it rests");
    assert!(asked.elapsed() < Duration::from_millis(500), "at once, not after {:?}", asked.elapsed());
    let rest = retry_after(&refused);
    assert!(Duration::ZERO < rest && rest < Duration::from_secs(60), "{rest:?}");
    assert!(refused.message().contains("SIGABRT"), "{}", refused.message());
    eventually("its health says so", || !block_on(serves(&server.address, "stt")));
    let listed = block_on(model(&server.address, MODEL));
    assert_eq!((listed.state(), listed.deaths), (v1::ModelState::Failed, 3), "{listed:?}");
    assert_eq!(listed.last_death.expect("it has died").cause, "SIGABRT");

    eventually("it recovers", || call(&server, "", &wav::numbered(1)).is_ok());
    eventually("its health says so", || block_on(serves(&server.address, "stt")));
    assert_eq!(block_on(model(&server.address, MODEL)).state(), v1::ModelState::Ready);
}

#[test]
fn other_models_do_not_rest_with_it() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--model", "mock"]);
    call(&server, "mock:crash", &wav::numbered(1)).expect_err("it kills");
    good(&server, "");
    assert!(block_on(serves(&server.address, "stt")), "its default serves");
}

#[test]
fn nine_kills_from_outside_are_survived() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let samples = wav::numbered(1);
    std::thread::scope(|scope| {
        let heard = scope.spawn(|| call(&server, "mock:slow", &samples));
        let mut killed = Vec::new();
        while killed.len() < 9 {
            let is_fresh = |pid: &u32| !killed.contains(pid) && command_line(*pid).contains("mock:slow");
            let worker = eventually_some("a worker", || server.workers().into_iter().find(is_fresh));
            send_signal(worker, "KILL");
            killed.push(worker);
        }
        assert_eq!(heard.join().expect("no panic").expect("it is answered"), mock_text(&samples));
    });
    assert_eq!(server.logged(&sandbox, "Call lost its worker."), 9);
}

#[test]
fn idle_workers_go() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--idle-timeout", "1", "--min-residency", "0"]);
    good(&server, "mock");
    let worker = worker_of(&server, "mock");
    eventually("it goes", || !is_alive(worker));
    assert!(!server.log(&sandbox).contains("Worker died."), "nobody had to die for it");
    assert_eq!(block_on(model(&server.address, "mock")).state(), v1::ModelState::NotLoaded);
    good(&server, "mock");
}

#[test]
fn a_stopped_idle_worker_is_replaced() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--hang-timeout", "1"]);
    good(&server, "mock");
    let worker = worker_of(&server, "mock");
    send_signal(worker, "STOP");
    good(&server, "mock");
    eventually("it goes", || !is_alive(worker));
    assert!(server.log(&sandbox).contains("FROZEN"), "{}", server.log(&sandbox));
}

#[test]
fn two_hundred_models_at_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let samples = wav::numbered(1);
    block_on(async {
        let channel = connect(&server.address).await;
        let mut calls = JoinSet::new();
        for n in 0..200 {
            let mut client = v1::speech_recognition_client::SpeechRecognitionClient::new(channel.clone());
            let request = recognize(&format!("mock:crash@{}", 1000 + n), &samples);
            calls.spawn(async move {
                loop {
                    match client.recognize(request.clone()).await {
                        Ok(reply) => return reply.into_inner().text,
                        // More than the server takes on at once. It says when to come back.
                        Err(busy) => {
                            assert_eq!(busy.code(), Code::ResourceExhausted, "{}", busy.message());
                            let retry = busy.get_details_retry_info().and_then(|info| info.retry_delay);
                            tokio::time::sleep(retry.expect("it says when")).await;
                        }
                    }
                }
            });
        }
        let texts = calls.join_all().await;
        assert!(texts.iter().all(|text| *text == mock_text(&samples)));
    });
    assert!(!server.log(&sandbox).contains("Worker died."));
}

#[test]
fn a_server_without_descriptors_waits_for_better_times() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    good(&server, "mock");
    let pid = Pid::from_raw(server.running.pid() as i32).expect("a process");
    let samples = wav::numbered(1);
    block_on(async {
        let mut client = speech(&server.address).await;
        // Only whoever has been answered has been let in.
        client.recognize(recognize("mock", &samples)).await.expect("all is well");
        let open: BTreeSet<i32> = descriptors(server.running.pid()).into_iter().map(|(number, _)| number).collect();
        let free = (0..).find(|number| !open.contains(number)).expect("a free one");
        let none_left = Rlimit { current: Some(free as u64), ..getrlimit(Resource::Nofile) };
        let limits = prlimit(Some(pid), Resource::Nofile, none_left).expect("it is our child");
        let refused = client.recognize(recognize("mock:slow", &samples)).await.expect_err("no worker can be had");
        assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
        assert!(refused.get_details_error_info().is_some(), "it is the server that says so");
        // A second caller cannot even come in. Meanwhile the server has nothing to do.
        let worked = processor_time(server.running.pid());
        let second = hear(&server.address, recognize("mock", &samples));
        let second = tokio::time::timeout(Duration::from_secs(1), second).await;
        assert!(!matches!(second, Ok(Ok(_))), "there is no way in");
        let worked = processor_time(server.running.pid()) - worked;
        assert!(worked < Duration::from_millis(200), "it spins: {worked:?} of a second");
        prlimit(Some(pid), Resource::Nofile, limits).expect("as it was");
    });
    eventually("all is well again", || call(&server, "mock:slow", &samples).is_ok());
}
