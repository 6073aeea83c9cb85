//! The contracts, spoken by clients that know nothing but them.

use crate::harness::{
    calls::field_of,
    eventually,
    pb::{bare_call, block_on, connect, example, speech, v1},
    process::Sandbox,
    sample,
    server::Server,
    wav,
};
use std::{collections::BTreeSet, process::Command, time::Duration};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use v1::{recognize_file_request::Message, recognize_file_response::Event, synthesize_request::Input};

#[test]
fn the_tutorials_contract() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--model", "selftest"]);
    block_on(async {
        let channel = connect(&server.address).await;
        let mut client = example::speech_recognition_client::SpeechRecognitionClient::new(channel);
        let request = |text: &str, region: &str| example::TtsRequest { text: text.into(), region: region.into() };
        let audio = client.tts(request("turn on the kitchen light", "")).await.expect("it speaks").into_inner().audio;
        let reader = hound::WavReader::new(&audio[..]).expect("a whole WAV file");
        assert_eq!((reader.spec().channels, reader.spec().bits_per_sample), (1, 16));
        assert_eq!(reader.len() as usize * 2 + 44, audio.len(), "real sizes in the header");
        let heard = client.stt(example::SttRequest { audio }).await.expect("it hears").into_inner();
        assert_eq!(heard.transcription, "turn on the kitchen light");

        let refused = client.tts(request("hello", "en-AU")).await.expect_err("no such region");
        assert_eq!((refused.code(), field_of(&refused).as_deref()), (Code::InvalidArgument, Some("region")));
        assert!(refused.message().contains("en-gb"), "it says what would do: {}", refused.message());
        let refused = client.tts(request(" ", "")).await.expect_err("no text");
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused =
            client.tts(request(&"one two three four five ".repeat(300), "")).await.expect_err("too long a reply");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.message().contains("Synthesize"), "it names the streaming call: {}", refused.message());
        for audio in [&b""[..], b"RIFF", b"no audio at all"] {
            let refused = client.stt(example::SttRequest { audio: audio.into() }).await.expect_err("no audio");
            assert_eq!(refused.code(), Code::InvalidArgument, "{}", refused.message());
        }
    });
    assert_eq!(server.stop().code(), "0");
}

#[test]
fn without_a_recogniser_recognition_says_how_to_get_one() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let channel = connect(&server.address).await;
        let mut client = example::speech_recognition_client::SpeechRecognitionClient::new(channel);
        let audio = std::fs::read(sample("timer.wav")).expect("the sample");
        let refused = client.stt(example::SttRequest { audio: audio.into() }).await.expect_err("no model");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("--model"), "{}", refused.message());
    });
}

#[test]
fn recognition_unary_and_in_chunks() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let file = std::fs::read(sample("timer.wav")).expect("the sample");
    let (rate, samples) = wav::read(&sample("timer.wav"));
    let bare: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let of_file = v1::RecognitionConfig { model: "selftest".into(), ..Default::default() };
    let of_bare = v1::RecognitionConfig {
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: rate as i32,
        ..of_file.clone()
    };
    block_on(async {
        let mut client = speech(&server.address).await;
        for (config, audio) in [(of_file, file), (of_bare, bare)] {
            let request = v1::RecognizeRequest { config: Some(config.clone()), audio: audio.clone().into() };
            let reply = client.recognize(request).await.expect("it hears").into_inner();
            assert_eq!((reply.text.as_str(), reply.language.as_str()), ("set a timer for ten minutes", "en"));
            assert_eq!((reply.model.as_str(), reply.sample_rate_hertz), ("selftest", 16_000));
            assert_eq!(reply.duration.expect("a length").seconds, samples.len() as i64 / i64::from(rate));

            // An odd size: samples are spread over messages.
            let chunks = audio.chunks(999).map(|chunk| Message::Audio(chunk.to_vec().into()));
            let messages: Vec<_> = std::iter::once(Message::Config(config))
                .chain(chunks)
                .map(|message| v1::RecognizeFileRequest { message: Some(message) })
                .collect();
            let mut events = client.recognize_file(tokio_stream::iter(messages)).await.expect("it hears").into_inner();
            let mut seen = Vec::new();
            while let Some(event) = events.message().await.expect("it goes on") {
                seen.push(match event.event.expect("an event") {
                    Event::Started(started) => format!("started {}", started.model),
                    Event::Segment(segment) => segment.text,
                    Event::Progress(progress) => format!("progress {}", progress.decided == progress.received),
                    Event::Done(done) => format!("done {}", done.language),
                });
            }
            assert_eq!(seen, ["started selftest", "set a timer for ten minutes", "progress true", "done en"]);
        }
    });
}

#[test]
fn wrong_requests_are_refused_by_field() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--model", "selftest"]);
    block_on(async {
        let mut client = speech(&server.address).await;
        let config = v1::RecognitionConfig::default;
        let pcm = v1::InputEncoding::Pcm16.into();
        for (config, field) in [
            (v1::RecognitionConfig { language: "xx".into(), ..config() }, "config.language"),
            (v1::RecognitionConfig { language: "de".into(), ..config() }, "config.language"),
            (v1::RecognitionConfig { task: 2, ..config() }, "config.task"),
            (v1::RecognitionConfig { task: 77, ..config() }, "config.task"),
            (v1::RecognitionConfig { encoding: 77, ..config() }, "config.encoding"),
            (v1::RecognitionConfig { sample_rate_hertz: 16_000, ..config() }, "config.sample_rate_hertz"),
            (v1::RecognitionConfig { encoding: pcm, sample_rate_hertz: 7, ..config() }, "config.sample_rate_hertz"),
            (v1::RecognitionConfig { temperature: -1.0, ..config() }, "config.temperature"),
            (v1::RecognitionConfig { beam_size: 100, ..config() }, "config.beam_size"),
            (v1::RecognitionConfig { threads: -1, ..config() }, "config.threads"),
            (v1::RecognitionConfig { model: "base.en".into(), ..config() }, "config.model"),
            (v1::RecognitionConfig { model: "../m.bin".into(), ..config() }, "config.model"),
        ] {
            let audio = std::fs::read(sample("timer.wav")).expect("the sample");
            let request = v1::RecognizeRequest { config: Some(config), audio: audio.into() };
            let refused = client.recognize(request).await.expect_err("it is wrong");
            assert_eq!(field_of(&refused).as_deref(), Some(field), "{}", refused.message());
            let info = refused.get_details_error_info().expect("its kind");
            assert_eq!(info.domain, "speechctl");
        }
        let synthesize = v1::SynthesizeRequest::default;
        let text = || Some(Input::Text("hello".into()));
        for (request, field) in [
            (synthesize(), "text"),
            (v1::SynthesizeRequest { input: Some(Input::Text("a\0b".into())), ..synthesize() }, "text"),
            (v1::SynthesizeRequest { input: Some(Input::Text("a ".repeat(200_000))), ..synthesize() }, "text"),
            (v1::SynthesizeRequest { input: text(), speed: 9.0, ..synthesize() }, "speed"),
            (v1::SynthesizeRequest { input: text(), speed: f32::NAN, ..synthesize() }, "speed"),
            (v1::SynthesizeRequest { input: text(), pitch: 9.0, ..synthesize() }, "pitch"),
            (v1::SynthesizeRequest { input: text(), volume: Some(-1.0), ..synthesize() }, "volume"),
            (v1::SynthesizeRequest { input: text(), sample_rate_hertz: -1, ..synthesize() }, "sample_rate_hertz"),
            (v1::SynthesizeRequest { input: text(), region: "xx".into(), ..synthesize() }, "region"),
            (v1::SynthesizeRequest { input: text(), voice: "nobody".into(), ..synthesize() }, "voice"),
            (v1::SynthesizeRequest { input: text(), voice: "en-us+x".into(), ..synthesize() }, "voice"),
        ] {
            let mut stream = client.synthesize(request).await.expect("a stream").into_inner();
            let refused = stream.message().await.expect_err("it is wrong");
            assert_eq!(field_of(&refused).as_deref(), Some(field), "{}", refused.message());
        }
    });
}

#[test]
fn voices_come_in_pages() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let mut client = speech(&server.address).await;
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListVoicesRequest { page_size: 7, page_token, ..Default::default() };
            let page = client.list_voices(request).await.expect("a page").into_inner();
            assert!(page.voices.len() <= 7);
            ids.extend(page.voices.into_iter().map(|voice| voice.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                assert_eq!(page.total_count as usize, ids.len());
                break;
            }
        }
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "none twice");
        let request = v1::ListVoicesRequest { page_token: "7-deadbeef".into(), ..Default::default() };
        let refused = client.list_voices(request).await.expect_err("not our token");
        assert_eq!((refused.code(), field_of(&refused).as_deref()), (Code::InvalidArgument, Some("page_token")));
        let request = v1::ListVoicesRequest { filter: "language=en AND gender=female".into(), ..Default::default() };
        client.list_voices(request).await.expect("a page");
    });
}

#[test]
fn health_is_told_for_every_service() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let mut client = HealthClient::new(connect(&server.address).await);
        let ours = ["example.SpeechRecognition", "speechctl.v1.SpeechRecognition", "tts.TTSService"];
        for service in ours.into_iter().chain(["", "stt", "tts"]) {
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = client.check(request.clone()).await.expect("it is known").into_inner().status();
            assert_eq!(status.as_str_name(), "SERVING", "{service}");
            let mut watch = client.watch(request).await.expect("it is known").into_inner();
            let first = watch.message().await.expect("it goes on").expect("a first one");
            assert_eq!(first.status().as_str_name(), "SERVING", "{service}");
        }
        let request = HealthCheckRequest { service: "no.such.Service".to_owned() };
        assert_eq!(client.check(request).await.expect_err("unknown").code(), Code::NotFound);
    });
}

/// Both versions of reflection have the same shape, but not the same types.
macro_rules! reflection {
    ($name:ident, $version:ident) => {
        #[test]
        fn $name() {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            let sandbox = Sandbox::new();
            let server = Server::start(&sandbox, &[]);
            block_on(async {
                let mut client = ServerReflectionClient::new(connect(&server.address).await);
                let mut ask = async |request: MessageRequest| {
                    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
                    let stream = client.server_reflection_info(tokio_stream::once(request)).await.expect("a stream");
                    let reply = stream.into_inner().message().await.expect("it goes on").expect("an answer");
                    reply.message_response.expect("an answer")
                };
                let MessageResponse::ListServicesResponse(list) =
                    ask(MessageRequest::ListServices(String::new())).await
                else {
                    panic!("no list")
                };
                let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
                for name in [
                    "example.SpeechRecognition",
                    "speechctl.v1.SpeechRecognition",
                    "tts.TTSService",
                    "grpc.health.v1.Health",
                ] {
                    assert!(names.iter().any(|listed| listed == name), "{name} is not in {names:?}");
                }
                for name in names {
                    let answer = ask(MessageRequest::FileContainingSymbol(name.clone())).await;
                    let MessageResponse::FileDescriptorResponse(file) = answer else { panic!("{name}: {answer:?}") };
                    for bytes in file.file_descriptor_proto {
                        let file: prost_types::FileDescriptorProto =
                            prost::Message::decode(&bytes[..]).expect("a descriptor");
                        for dependency in file.dependency {
                            let answer = ask(MessageRequest::FileByFilename(dependency.clone())).await;
                            assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{dependency}");
                        }
                        for method in file.service.iter().flat_map(|service| &service.method) {
                            for symbol in [method.input_type(), method.output_type()] {
                                let symbol = symbol.trim_start_matches('.').to_owned();
                                let answer = ask(MessageRequest::FileContainingSymbol(symbol.clone())).await;
                                assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}");
                            }
                        }
                    }
                }
            });
        }
    };
}

reflection!(reflection_v1_resolves_every_service, v1);
reflection!(reflection_v1alpha_resolves_every_service, v1alpha);

#[test]
fn a_deadline_ends_the_work_and_is_told_as_such() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["-v"]);
    let config = v1::RecognitionConfig {
        model: "mock:slow".into(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: 16_000,
        ..Default::default()
    };
    let request = v1::RecognizeRequest { config: Some(config), audio: vec![1; 20 * 32_000].into() };
    block_on(async {
        let path = "/speechctl.v1.SpeechRecognition/Recognize";
        let refused = bare_call(&server.address, path, prost::Message::encode_to_vec(&request), "2S").await;
        assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
    });
    eventually("its worker stops too, long before the 20 s", || {
        server.log(&sandbox).contains("told to stop, and stops")
    });
    assert!(!server.log(&sandbox).contains("Worker died."), "nobody had to die for it");
}

#[test]
fn a_caller_that_goes_away_frees_the_worker() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["-v"]);
    let config = v1::RecognitionConfig {
        model: "mock:slow".into(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: 16_000,
        ..Default::default()
    };
    block_on(async {
        let mut client = speech(&server.address).await;
        let request = v1::RecognizeRequest { config: Some(config.clone()), audio: vec![1; 30 * 32_000].into() };
        let call = tokio::time::timeout(Duration::from_secs(2), client.recognize(request)).await;
        assert!(call.is_err(), "it takes 30 s");
        // Dropped. Others are served meanwhile, and the worker stops long before those 30 s are over.
        let request = v1::RecognizeRequest { config: Some(config), audio: vec![1; 3_200].into() };
        let reply = tokio::time::timeout(Duration::from_secs(15), client.recognize(request)).await;
        reply.expect("in time").expect("it hears");
    });
    eventually("its worker stops", || server.log(&sandbox).contains("told to stop, and stops"));
    assert!(!server.log(&sandbox).contains("Worker died."), "nobody had to die for it");
}

/// A client in another language, made from the contract alone. Skipped, with a word, where its packages are missing.
fn foreign_client(interpreters: &[&str], script: &str) {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--model", "selftest", "--threads", "1"]);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for interpreter in interpreters {
        let mut command = Command::new(interpreter);
        command.arg(root.join("tests/clients").join(script)).arg(&server.address).arg(root.join("proto"));
        let Ok(output) = command.output() else { continue };
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) => {
                println!("{interpreter} {script}: {} checks", said.matches("ok: ").count());
                return;
            }
            Some(77) => println!("{interpreter} {script}: skipped: {said}"),
            _ => panic!("{interpreter} {script}:\n{said}"),
        }
    }
    assert!(std::env::var_os("SPEECHCTL_TEST_ALL").is_none(), "{script}: nothing here can run it, and all must run");
    println!("{script}: skipped: see tests/clients/README.md for what it needs");
}

#[test]
fn a_python_client_made_from_the_contract() {
    foreign_client(&["/usr/bin/python3", "python3"], "client.py");
}

#[test]
fn a_node_client_made_from_the_contract() {
    foreign_client(&["node"], "client.mjs");
}
