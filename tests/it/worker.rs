//! Workers that stand alone: any client may call them, and a server may be offered them.

use crate::harness::{
    eventually,
    pb::{block_on, connect, stt, tts, v1},
    process::{Running, Sandbox, Shown},
    sample, wav,
    worker::{Registry, Worker, ended},
};
use std::{fs, process::Stdio, time::Duration};
use stt::stt_worker_client::SttWorkerClient;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use v1::report_request::Report;

fn pcm(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn window(id: &str, seconds: usize) -> stt::TranscribeFileRequest {
    let audio_data = pcm(&wav::numbered(seconds)).into();
    stt::TranscribeFileRequest { request_id: id.to_owned(), audio_data, ..Default::default() }
}

fn text(id: &str, text: &str) -> tts::SynthesizeRequest {
    tts::SynthesizeRequest { request_id: id.to_owned(), text: text.to_owned(), ..Default::default() }
}

/// All chunks of an answer.
async fn spoken(worker: &Worker, request: tts::SynthesizeRequest) -> Result<Vec<tts::SynthesizeChunk>, Status> {
    let mut stream = worker.tts().await.synthesize(request).await?.into_inner();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// Waits until a worker says that it is well.
async fn well(client: &mut SttWorkerClient<Channel>) -> stt::HealthResponse {
    loop {
        let health = client.health(stt::HealthRequest {}).await.expect("it answers").into_inner();
        if health.status != "loading" {
            return health;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn field_of(status: &Status) -> Option<String> {
    status.get_details_bad_request()?.field_violations.first().map(|violation| violation.field.clone())
}

#[test]
fn a_recogniser_for_any_client() {
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "whisper", &["--model", "selftest"]);
    block_on(async {
        let mut client = worker.stt().await;
        let health = well(&mut client).await;
        assert_eq!(
            (health.status.as_str(), health.model_name.as_str(), health.engine.as_str()),
            ("ok", "selftest", "whisper")
        );
        let file = fs::read(sample("timer.wav")).expect("the sample");
        let (rate, samples) = wav::read(&sample("timer.wav"));
        assert_eq!(rate, 16_000);
        for audio in [file, pcm(&samples)] {
            let request = stt::TranscribeFileRequest {
                request_id: "1".into(),
                audio_data: audio.into(),
                language: "en".into(),
                response_format: "verbose_json".into(),
                timestamp_granularities: vec!["word".into(), "segment".into()],
                model: "selftest".into(),
                ..Default::default()
            };
            let reply = client.transcribe_file(request).await.expect("it hears").into_inner();
            assert!(reply.text.starts_with("set a timer"), "{}", reply.text);
            assert_eq!((reply.language.as_str(), reply.request_id.as_str()), ("en", "1"));
            assert!((reply.duration - samples.len() as f32 / 16_000.0).abs() < 0.01, "{}", reply.duration);
            assert_eq!(reply.words.len(), reply.text.split(' ').count());
            assert!(reply.words.windows(2).all(|two| two[0].end <= two[1].start + 0.01), "{:?}", reply.words);
        }
        let request = stt::TranscribeFileRequest { model: "base.en".into(), ..window("2", 1) };
        let refused = client.transcribe_file(request).await.expect_err("another model");
        assert_eq!((refused.code(), field_of(&refused).as_deref()), (Code::InvalidArgument, Some("model")));
        assert_eq!(refused.message(), "this worker has model `selftest`, not `base.en`");
        let frames = tokio_stream::once(stt::AudioFrame::default());
        let mut events = client.transcribe_stream(frames).await.expect("it streams").into_inner();
        assert!(events.message().await.expect("it ends well").is_none(), "nothing was said");
        let refused = spoken(&worker, text("3", "hello")).await.expect_err("it does not speak");
        assert_eq!(refused.code(), Code::Unimplemented);
    });
    assert_eq!(worker.stop().code(), "0");
}

#[test]
fn a_synthesiser_for_any_client() {
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "espeak", &["--name", "voices"]);
    block_on(async {
        let request = tts::SynthesizeRequest { sample_rate: 16_000, model: "voices".into(), ..text("7", "hello") };
        let chunks = spoken(&worker, request).await.expect("it speaks");
        let (last, others) = chunks.split_last().expect("a last one");
        assert!(last.is_last && others.iter().all(|chunk| !chunk.is_last));
        assert!(chunks.iter().all(|chunk| chunk.sample_rate == 16_000 && chunk.request_id == "7"));
        let bytes: usize = chunks.iter().map(|chunk| chunk.audio_data.len()).sum();
        assert!((last.duration - bytes as f32 / 32_000.0).abs() < 0.001, "{} of {bytes}", last.duration);
        let mut client = worker.tts().await;
        let health = client.health(tts::HealthRequest {}).await.expect("it answers").into_inner();
        assert_eq!((health.status.as_str(), health.model_name.as_str()), ("ok", "voices"));
        let voices = client.list_voices(tts::ListVoicesRequest { model: "voices".into() }).await.expect("a list");
        assert!(voices.into_inner().voices.iter().any(|voice| voice.voice_id == "en-gb"));
        let refused =
            client.list_voices(tts::ListVoicesRequest { model: "espeak".into() }).await.expect_err("it has none");
        assert_eq!(field_of(&refused).as_deref(), Some("model"));
        let request = tts::SynthesizeRequest { model: "espeak".into(), ..text("8", "hello") };
        let refused = spoken(&worker, request).await.expect_err("another model");
        assert_eq!(field_of(&refused).as_deref(), Some("model"));
    });
    assert_eq!(worker.stop().code(), "0");
}

#[test]
fn health_and_reflection_answer() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "mock", &[]);
    block_on(async {
        well(&mut worker.stt().await).await;
        let mut health = HealthClient::new(connect(&worker.address).await);
        for service in ["", "macaw.stt.STTWorker", "macaw.tts.TTSWorker"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let mut watch = health.watch(request).await.expect("a stream").into_inner();
            loop {
                let status = watch.message().await.expect("it goes on").expect("a status").status();
                if status.as_str_name() == "SERVING" {
                    break;
                }
            }
        }
        let mut client = ServerReflectionClient::new(connect(&worker.address).await);
        let mut ask = async |request: MessageRequest| {
            let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
            let stream = client.server_reflection_info(tokio_stream::once(request)).await.expect("a stream");
            let reply = stream.into_inner().message().await.expect("it goes on").expect("an answer");
            reply.message_response.expect("an answer")
        };
        let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await else {
            panic!("no list")
        };
        let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        names.retain(|name| !name.starts_with("grpc."));
        names.sort();
        assert_eq!(names, ["macaw.stt.STTWorker", "macaw.tts.TTSWorker"]);
        for name in names {
            let answer = ask(MessageRequest::FileContainingSymbol(name.clone())).await;
            assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{name}: {answer:?}");
        }
    });
    assert_eq!(worker.stop().code(), "0");
}

#[test]
fn a_call_is_cancelled_by_its_id() {
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "mock:slow", &[]);
    block_on(async {
        let mut client = worker.stt().await;
        for by_session in [false, true] {
            let mut caller = client.clone();
            let call = tokio::spawn(async move { caller.transcribe_file(window("long", 1800)).await });
            let (request_id, session_id) =
                if by_session { (String::new(), "long".to_owned()) } else { ("long".to_owned(), String::new()) };
            loop {
                let request = stt::CancelRequest { request_id: request_id.clone(), session_id: session_id.clone() };
                if client.cancel(request).await.expect("it answers").into_inner().acknowledged {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let refused = call.await.expect("it ends").expect_err("it is cancelled");
            assert_eq!(refused.code(), Code::Cancelled, "{}", refused.message());
        }
        let unknown = stt::CancelRequest { request_id: "nobody".into(), session_id: String::new() };
        assert!(!client.cancel(unknown).await.expect("it answers").into_inner().acknowledged);
    });
    assert_eq!(worker.stop().code(), "0");
}

#[test]
fn too_many_calls_are_told_to_come_back() {
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "mock:hang", &[]);
    block_on(async {
        let client = worker.stt().await;
        let mut calls = tokio::task::JoinSet::new();
        // One is in work, sixteen wait.
        for _ in 0..18 {
            let mut client = client.clone();
            calls.spawn(async move { client.transcribe_file(window("", 1)).await });
        }
        let refused = calls.join_next().await.expect("one comes back").expect("it ends").expect_err("no place");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(wait, Some(Duration::from_secs(1)));
    });
    // Its calls never end, so that the second signal has to end it.
    worker.running.signal("TERM");
    worker.running.signal("INT");
    assert_eq!(worker.running.end().code(), "0");
}

#[test]
fn open_calls_may_end() {
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "mock:slow", &[]);
    block_on(async {
        let mut client = worker.stt().await;
        let mut caller = client.clone();
        let call = tokio::spawn(async move { caller.transcribe_file(window("1", 1)).await });
        let jobs = async |client: &mut SttWorkerClient<Channel>| {
            let health = client.health(stt::HealthRequest {}).await.expect("it answers").into_inner();
            health.metadata["jobs"].clone()
        };
        while jobs(&mut client).await != "1" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        worker.running.signal("TERM");
        let reply = call.await.expect("it ends").expect("it may end").into_inner();
        assert_eq!(format!("{}\n", reply.text), wav::mock_transcript(&wav::numbered(1)));
        drop(client);
    });
    assert_eq!(worker.running.end().code(), "0");
}

#[test]
fn a_unix_socket_goes_with_its_worker() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("worker.sock");
    let address = format!("unix:{}", path.display());
    let mut command = sandbox.command(&["worker", "--engine", "mock", "--listen", &address]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    eventually("it listens", || std::os::unix::net::UnixStream::connect(&path).is_ok());
    running.signal("TERM");
    let shown = running.end().good_text();
    assert_eq!(shown, format!("speechctl: worker listening on {address}\n"));
    assert!(!path.exists());
}

#[test]
fn ways_that_cannot_be() {
    let sandbox = Sandbox::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let rows: String = [
        "worker --engine espeak",
        &format!("worker --engine espeak --listen 127.0.0.1:{port}"),
        "worker --engine espeak --listen 0.0.0.0:0",
        "worker --engine espeak --listen nonsense",
        "worker --engine espeak --insecure",
        "worker --engine espeak --listen --connect localhost:1",
        "worker --engine espeak --connect localhost:1",
        "worker --engine espeak --connect nonsense --token-file token",
        "worker --engine espeak --listen 127.0.0.1:0 --memory 1.5G",
    ]
    .iter()
    .map(|line| sandbox.row(line).replace(&port, "[PORT]"))
    .collect();
    insta::assert_snapshot!(rows);
}

#[test]
fn a_model_that_cannot_be_loaded_ends_it() {
    let sandbox = Sandbox::new();
    for (engine, said) in [("mock:unloadable", "is damaged or cut short"), ("mock:nonsense", "has no fault `nonsense`")]
    {
        let shown = Worker::start(&sandbox, engine, &[]).running.end();
        assert_eq!(shown.code(), "3", "{}", shown.stderr);
        assert!(shown.stderr.contains(said), "{}", shown.stderr);
    }
}

#[test]
fn too_little_memory_is_a_legible_death() {
    let sandbox = Sandbox::new();
    // It may die before it says that it listens.
    let args = ["worker", "--engine", "whisper", "--listen", "127.0.0.1:0", "--model", "selftest", "--memory", "16M"];
    let shown = sandbox.run(&args);
    assert_eq!(shown.code(), "by signal 6");
    assert!(shown.stderr.contains("memory allocation of 33554432 bytes failed"), "{}", shown.stderr);
    let worker = Worker::start(&sandbox, "mock:leak", &["--memory", "300M"]);
    let refused = block_on(async { worker.stt().await.transcribe_file(window("1", 1)).await.expect_err("it dies") });
    assert!([Code::Unavailable, Code::Unknown].contains(&refused.code()), "{refused:?}");
    let shown = worker.running.end();
    assert_eq!(shown.code(), "by signal 6");
    assert!(shown.stderr.contains("memory allocation of 67108864 bytes failed"), "{}", shown.stderr);
}

#[test]
fn loading_tells_its_progress() {
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, "mock:load-slow@0.5", &[]);
    block_on(async {
        let mut client = worker.stt().await;
        let mut progress = Vec::new();
        loop {
            let health = client.health(stt::HealthRequest {}).await.expect("it answers").into_inner();
            if health.status == "ok" {
                assert!(!health.metadata.contains_key("progress"));
                break;
            }
            progress.extend(health.metadata.get("progress").map(|text| text.parse::<f32>().expect("a number")));
        }
        assert!(progress.is_sorted() && progress.len() > 2, "{progress:?}");
        assert!(progress.iter().all(|progress| (0.0..1.0).contains(progress)), "{progress:?}");
    });
}

#[test]
fn the_mock_lies_and_fails_as_asked() {
    let sandbox = Sandbox::new();
    block_on(async {
        let recognised = async |faults: &str, request: stt::TranscribeFileRequest| {
            let worker = Worker::start(&sandbox, faults, &["--name", "liar"]);
            worker.stt().await.transcribe_file(request).await.map(tonic::Response::into_inner)
        };
        let reply = recognised("mock:lie-request,lie-long", window("1", 1)).await.expect("it answers");
        assert!(reply.request_id != "1" && reply.duration > 1e8, "{reply:?}");
        let reply = recognised("mock:lie-nan", window("1", 1)).await.expect("it answers");
        assert!(reply.duration.is_nan() && reply.segments[0].end.is_nan(), "{reply:?}");
        let silence = stt::TranscribeFileRequest { audio_data: vec![0; 32_000].into(), ..Default::default() };
        assert_eq!(recognised("mock:lie-silence", silence).await.expect("it answers").text, "you");
        assert_eq!(recognised("mock:lie-empty", window("1", 1)).await.expect("it answers").text, "");
        let refused = recognised("mock:fail", window("1", 1)).await.expect_err("it fails");
        assert_eq!((refused.code(), refused.message()), (Code::Internal, "the engine failed, as asked"));

        let chunks = async |faults: &str| {
            let worker = Worker::start(&sandbox, faults, &[]);
            spoken(&worker, tts::SynthesizeRequest { sample_rate: 8_000, ..text("1", "hello") })
                .await
                .expect("it speaks")
        };
        assert_eq!(chunks("mock:lie-empty").await.len(), 1);
        let rates: Vec<i32> = chunks("mock:lie-rate").await.iter().map(|chunk| chunk.sample_rate).collect();
        assert_eq!(rates[..2], [8_000, 4_000]);
        let long = chunks("mock:lie-long").await;
        assert!(long.iter().map(|chunk| chunk.audio_data.len()).sum::<usize>() > 600 * 16_000);
    });
    let mut command = sandbox.command(&["worker", "--engine", "mock:load-crash", "--listen", "127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    assert_eq!(Running::start(command).end().code(), "by signal 6");
}

/// A worker that dials in.
fn dialling(sandbox: &Sandbox, engine: &str, address: &str, token: Result<&str, &str>) -> Running {
    let mut args = vec!["worker", "--engine", engine, "--connect", address];
    if let Err(file) = token {
        args.extend(["--token-file", file]);
    }
    let mut command = sandbox.command(&args);
    if let Ok(token) = token {
        command.env("SPEECHCTL_WORKER_TOKEN", token);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(command)
}

#[test]
fn it_dials_in_for_one_life() {
    let sandbox = Sandbox::new();
    block_on(async {
        let mut registry = Registry::start(&["secret"]).await;
        let running = dialling(&sandbox, "mock:load-slow@0.5", &registry.address, Ok("secret"));
        let mut client = SttWorkerClient::new(registry.worker().await);
        assert_eq!(well(&mut client).await.model_name, "mock:load-slow@0.5");
        let request = stt::TranscribeFileRequest { model: "mock:load-slow@0.5".into(), ..window("1", 2) };
        let reply = client.transcribe_file(request).await.expect("it answers").into_inner();
        assert_eq!(reply.segments.len(), 2);
        let is_whole = || registry.seen.lock().expect("it is whole").reports.contains(&Report::Loading(1.0));
        while !is_whole() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        drop(client);
        let shown = ended(running).await;
        assert_eq!(shown.code(), "0", "{}", shown.stderr);
        let seen = registry.seen.lock().expect("it is whole");
        let registered = &seen.registered[0];
        assert_eq!((registered.protocol, registered.engine.as_str()), (1, "mock"));
        assert_eq!((registered.model.as_str(), registered.token.as_str()), ("mock:load-slow@0.5", "secret"));
        let both: [i32; 2] = [v1::Capability::Recognition.into(), v1::Capability::Synthesis.into()];
        assert!(registered.capabilities == both && registered.pid > 0 && !registered.build_id.is_empty());
        assert!(matches!(&seen.reports[0], Report::Ticket(ticket) if ticket.starts_with("0123")), "{:?}", seen.reports);
        let loading = |report: &Report| if let Report::Loading(part) = report { Some(*part) } else { None };
        let parts: Vec<f32> = seen.reports.iter().filter_map(loading).collect();
        assert!(parts.len() >= 2 && parts.is_sorted(), "{parts:?}");
    });
}

#[test]
fn with_a_file_of_tokens_it_comes_back() {
    let sandbox = Sandbox::new();
    sandbox.file("token", b"first\n");
    block_on(async {
        let mut registry = Registry::start(&["first", "second", "third"]).await;
        let running = dialling(&sandbox, "mock", &registry.address, Err("token"));
        let mut client = SttWorkerClient::new(registry.worker().await);
        assert_eq!(well(&mut client).await.status, "ok");
        sandbox.file("token", b"second\n");
        // A ticket that is refused is as good as a connection that is lost.
        registry.seen.lock().expect("it is whole").answer = Some("NO too late\n".to_owned());
        drop(client);
        while registry.seen.lock().expect("it is whole").answer.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sandbox.file("token", b"third\n");
        let mut client = SttWorkerClient::new(registry.worker().await);
        let health = client.health(stt::HealthRequest {}).await.expect("it answers").into_inner();
        assert_eq!(health.status, "ok", "its engine stayed loaded");
        running.signal("TERM");
        let shown = ended(running).await;
        assert_eq!(shown.code(), "0", "{}", shown.stderr);
        let seen = registry.seen.lock().expect("it is whole");
        assert_eq!(seen.registered.iter().filter(|request| request.token == "third").count(), 1);
    });
}

#[test]
fn it_waits_for_a_server_that_is_not_there_yet() {
    let sandbox = Sandbox::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let running = dialling(&sandbox, "mock", &nobody.to_string(), Err("token"));
    sandbox.file("token", b"secret\n");
    let listener = std::net::TcpListener::bind(nobody).expect("it is free again");
    listener.accept().expect("it tries again");
    running.signal("TERM");
    assert_eq!(running.end().code(), "0");
}

#[test]
fn refusals_end_it() {
    let sandbox = Sandbox::new();
    sandbox.file("token", b"old\n");
    block_on(async {
        let refused = async |refusal: Status, token: Result<&str, &str>| -> Shown {
            let registry = Registry::start(&[]).await;
            registry.seen.lock().expect("it is whole").refusal = Some(refusal);
            ended(dialling(&sandbox, "mock", &registry.address, token)).await
        };
        for token in [Ok("old"), Err("token")] {
            let shown = refused(Status::unauthenticated("the token was used"), token).await;
            assert_eq!(shown.code(), "7");
            assert!(shown.stderr.contains("does not take this worker: the token was used"), "{}", shown.stderr);
            let shown = refused(Status::failed_precondition("protocol 1 is too old; update the worker"), token).await;
            assert_eq!(shown.code(), "2");
            assert!(shown.stderr.contains("protocol 1 is too old"), "{}", shown.stderr);
            let shown = refused(Status::invalid_argument("engine `mock` is not taken"), token).await;
            assert_eq!(shown.code(), "3");
        }
    });
}
