//! What is wrong with what a client says is told by its field, and is nothing to the session.

use super::{CHUNK, commands, start};
use crate::harness::{
    calls::field_of,
    live::{Event, Live, Message, audio, config, marker, seconds},
    pb::{block_on, v1},
    process::Sandbox,
};
use tonic::{Code, Status};
use v1::{Endpointing, StreamingConfig};

/// What comes of saying these, and then that it was all.
async fn refusal(address: &str, messages: Vec<Message>) -> Status {
    match Live::open_with(address, messages, None).await {
        Err(status) => status,
        Ok(live) => live.closing().rest().await.failure(),
    }
}

fn good() -> StreamingConfig {
    config("mock", 16_000)
}

/// A config that differs in what is recognised.
fn recognising(change: impl FnOnce(&mut v1::RecognitionConfig)) -> StreamingConfig {
    let mut config = good();
    change(config.recognition.as_mut().expect("it has one"));
    config
}

fn by(endpointing: Endpointing) -> StreamingConfig {
    StreamingConfig { endpointing: Some(endpointing), ..good() }
}

#[test]
fn a_config_that_cannot_be_is_refused_by_its_field() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let named = |id: &str| StreamingConfig { session_id: id.into(), ..good() };
    let rules = Endpointing::default;
    let cases = [
        (StreamingConfig { recognition: None, ..good() }, "recognition.encoding"),
        (recognising(|it| it.encoding = 0), "recognition.encoding"),
        (recognising(|it| it.encoding = 77), "recognition.encoding"),
        (recognising(|it| it.sample_rate_hertz = 0), "recognition.sample_rate_hertz"),
        (recognising(|it| it.sample_rate_hertz = 7_999), "recognition.sample_rate_hertz"),
        (recognising(|it| it.sample_rate_hertz = 192_001), "recognition.sample_rate_hertz"),
        (recognising(|it| it.sample_rate_hertz = -16_000), "recognition.sample_rate_hertz"),
        (recognising(|it| it.model = "no-such".into()), "recognition.model"),
        (recognising(|it| it.language = "e!n".into()), "recognition.language"),
        (recognising(|it| it.task = 9), "recognition.task"),
        (recognising(|it| it.temperature = f32::NAN), "recognition.temperature"),
        (recognising(|it| it.beam_size = 9), "recognition.beam_size"),
        (recognising(|it| it.threads = -1), "recognition.threads"),
        (StreamingConfig { hot_words: vec!["speechctl".into()], ..good() }, "hot_words"),
        (named("../../etc/passwd"), "session_id"),
        (named("with space"), "session_id"),
        (named("ünï"), "session_id"),
        (named("."), "session_id"),
        (named("a\0b"), "session_id"),
        (named(&"x".repeat(65)), "session_id"),
        (by(Endpointing { start_silence: seconds(0.4), ..rules() }), "endpointing.start_silence"),
        (by(Endpointing { start_silence: seconds(31.0), ..rules() }), "endpointing.start_silence"),
        (by(Endpointing { end_silence: seconds(0.0), ..rules() }), "endpointing.end_silence"),
        (by(Endpointing { end_silence: seconds(-1.0), ..rules() }), "endpointing.end_silence"),
        (by(Endpointing { end_silence: seconds(11.0), ..rules() }), "endpointing.end_silence"),
        (by(Endpointing { longest: seconds(1.0), ..rules() }), "endpointing.longest"),
        (by(Endpointing { longest: seconds(30.1), ..rules() }), "endpointing.longest"),
        (by(Endpointing { threshold: 0.01, ..rules() }), "endpointing.threshold"),
        (by(Endpointing { threshold: 1.0, ..rules() }), "endpointing.threshold"),
        (by(Endpointing { threshold: f32::NAN, ..rules() }), "endpointing.threshold"),
        (by(Endpointing { threshold: f32::INFINITY, ..rules() }), "endpointing.threshold"),
        (by(Endpointing { shortest: seconds(1.1), ..rules() }), "endpointing.shortest"),
        (by(Endpointing { padding: seconds(2.1), ..rules() }), "endpointing.padding"),
        (by(Endpointing { speech_start_timeout: seconds(0.4), ..rules() }), "endpointing.speech_start_timeout"),
        (by(Endpointing { speech_start_timeout: seconds(3_601.0), ..rules() }), "endpointing.speech_start_timeout"),
        (by(Endpointing { speech_end_timeout: seconds(0.0), ..rules() }), "endpointing.speech_end_timeout"),
        (by(Endpointing { speech_end_timeout: seconds(1e15), ..rules() }), "endpointing.speech_end_timeout"),
    ];
    block_on(async {
        for (config, field) in cases {
            let asked = format!("{config:?}");
            let status = refusal(&server.address, vec![Message::Config(config)]).await;
            let code = if field.ends_with("model") { Code::NotFound } else { Code::InvalidArgument };
            assert_eq!(status.code(), code, "{status:?} for {asked}");
            assert_eq!(field_of(&status), Some(format!("config.{field}")), "{status:?} for {asked}");
        }
    });
    assert!(super::stored(&sandbox).is_empty(), "nothing of them is kept");
}

#[test]
fn what_is_in_its_range_is_taken() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let least = Endpointing {
        start_silence: seconds(0.5),
        end_silence: seconds(0.1),
        longest: seconds(2.0),
        threshold: 0.05,
        shortest: seconds(0.0),
        padding: seconds(0.0),
        speech_start_timeout: seconds(0.5),
        speech_end_timeout: seconds(0.1),
    };
    let most = Endpointing {
        start_silence: seconds(30.0),
        end_silence: seconds(10.0),
        longest: seconds(30.0),
        threshold: 0.95,
        shortest: seconds(1.0),
        padding: seconds(2.0),
        speech_start_timeout: seconds(3_600.0),
        speech_end_timeout: seconds(3_600.0),
    };
    block_on(async {
        let rate = |rate| recognising(|it| it.sample_rate_hertz = rate);
        let named = StreamingConfig { session_id: "-_".repeat(32), ..good() };
        for config in [by(least), by(most), rate(8_000), rate(11_025), rate(44_100), rate(192_000), named] {
            let mut live = Live::open(&server.address, config).await.unwrap_or_else(|status| panic!("{status:?}"));
            live.send(&commands(), CHUNK);
            live.rest().await.done();
        }
    });
}

/// Says things in the middle of a session; gives how the stream ends.
async fn said(live: Live, messages: Vec<Message>) -> Status {
    messages.into_iter().for_each(|message| live.say(message));
    live.rest().await.failure()
}

#[test]
fn what_is_wrong_in_the_middle_ends_the_stream_and_not_the_session() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    let odd = Message::Audio(v1::AudioChunk { data: vec![1, 2, 3].into(), first_sample: None });
    let cases = [
        (vec![odd], "audio.data"),
        (vec![audio(&[1; 100], Some(0))], "audio.first_sample"),
        (vec![audio(&[1; 100], Some(39_999))], "audio.first_sample"),
        (vec![audio(&[1; 100], Some(40_001))], "audio.first_sample"),
        (vec![audio(&[1; 100], Some(-1))], "audio.first_sample"),
        (vec![audio(&[1; 100], Some(i64::MAX))], "audio.first_sample"),
        (vec![Message::Config(good())], "config"),
        (vec![marker(&"x".repeat(300))], "marker.id"),
        (vec![Message::Acknowledge(v1::Acknowledge { seq: 99 })], "acknowledge.seq"),
        (vec![Message::Acknowledge(v1::Acknowledge { seq: -1 })], "acknowledge.seq"),
    ];
    block_on(async {
        let mut live = Live::open(&server.address, good()).await.expect("it begins");
        live.send_until(&recording, 40_000, CHUNK);
        let first = live.a_final().await;
        let ready = live.ready.clone();
        for (messages, field) in cases {
            let status = said(live, messages).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
            assert_eq!(field_of(&status).as_deref(), Some(field), "{status:?}");
            live = Live::resume(&server.address, &ready, first.seq).await.expect("the session is there");
            live.send_until(&recording, 40_000, CHUNK);
        }
        live.send(&recording, CHUNK);
        let told = live.rest().await;
        assert_eq!((told.done().finals, told.finals().len()), (3, 2));
    });
}

#[test]
fn the_first_message_is_the_config_and_nothing_follows_the_end() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        let end = || Message::End(v1::EndOfAudio {});
        let firsts = [vec![audio(&[0; 10], None)], vec![marker("x")], vec![end()], Vec::new()];
        for messages in firsts {
            let asked = format!("{messages:?}");
            // Nothing at all is a closed side: `refusal` closes only what was let in.
            let status = if messages.is_empty() {
                closed_at_once(&server.address).await
            } else {
                refusal(&server.address, messages).await
            };
            assert_eq!(status.code(), Code::InvalidArgument, "{status:?} for {asked}");
            assert_eq!(field_of(&status).as_deref(), Some("config"), "{status:?} for {asked}");
        }
        // What is still to be decided keeps the session open.
        let config = config("mock:load-slow@1", 16_000);
        let live = Live::open(&server.address, config).await.expect("it begins");
        let ready = live.ready.clone();
        let status = said(live, vec![audio(&commands(), None), end(), audio(&[0; 10], None)]).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(field_of(&status).as_deref(), Some("audio"), "{status:?}");
        let told = Live::resume(&server.address, &ready, 0).await.expect("it is there").rest().await;
        assert_eq!(told.done().finals, 3);
    });
}

/// Calls, and closes this side without a word.
async fn closed_at_once(address: &str) -> Status {
    let mut client = crate::harness::pb::speech(address).await;
    client.streaming_recognize(tokio_stream::empty()).await.map(drop).expect_err("there is no config")
}

#[test]
fn a_message_that_is_too_long_says_so_and_the_session_goes_on() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        let mut live = Live::open(&server.address, good()).await.expect("it begins");
        let ready = live.ready.clone();
        live.send_until(&recording, 40_000, CHUNK);
        live.a_final().await;
        let status = said(live, vec![audio(&vec![0; 2_100_000], None)]).await;
        assert!([Code::InvalidArgument, Code::OutOfRange].contains(&status.code()), "{status:?}");
        assert!(status.message().contains("4194304"), "it says what is allowed: {}", status.message());
        let mut live = Live::resume(&server.address, &ready, 1).await.expect("the session is there");
        live.send(&recording, CHUNK);
        assert_eq!(live.rest().await.done().finals, 3);
    });
}

#[test]
fn markers_that_wait_are_counted() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        let mut live = Live::open(&server.address, good()).await.expect("it begins");
        let ready = live.ready.clone();
        // The first command has begun, and is not decided.
        live.send_until(&commands(), 16_000, CHUNK);
        (0..1_001).for_each(|n| live.say(marker(&n.to_string())));
        let status = live.rest().await.failure();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        let mut live = Live::resume(&server.address, &ready, 0).await.expect("the session is there");
        live.send(&commands(), CHUNK);
        let told = live.rest().await;
        told.done();
        let back = told.events.iter().filter(|event| matches!(event, Event::Marker(_))).count();
        assert_eq!(back, 1_000, "those that were taken come back");
    });
}
