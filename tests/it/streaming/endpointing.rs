//! Where utterances begin and end, markers, silence, and the ways in which a session may end by itself.

use super::{CHUNK, COMMANDS, commands, commands_for, start};
use crate::harness::{
    live::{Event, Live, Message, audio, config, marker, seconds, stream},
    pb::{block_on, v1},
    process::Sandbox,
    sample, wav,
};
use v1::{Endpointing, StreamingConfig, session_done::Reason};

/// A session of the mock with these rules.
fn by(endpointing: Endpointing) -> StreamingConfig {
    StreamingConfig { endpointing: Some(endpointing), ..config("mock", 16_000) }
}

#[test]
fn silence_and_noise_give_signs_of_life_and_no_final() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let noise = wav::read(&sample("noise.wav")).1;
    for (name, recording) in [("silence", vec![0; 20 * 16_000]), ("noise", noise)] {
        let told = block_on(stream(&server.address, config("selftest", 16_000), &recording, CHUNK));
        let done = told.done();
        assert_eq!((told.text().as_str(), done.finals), ("", 0), "{name}");
        assert_eq!((done.reason(), done.audio_end), (Reason::EndOfAudio, recording.len() as i64), "{name}");
        let silent = |event: &Event| if let Event::Silence(silence) = event { Some(silence.at) } else { None };
        let silent: Vec<i64> = told.events.iter().filter_map(silent).collect();
        assert!(silent.is_sorted() && silent.last() == Some(&(recording.len() as i64)), "{name}: {silent:?}");
        if name == "silence" {
            assert!(silent.len() >= 8, "each 2.4 s: {silent:?}");
        }
    }
}

#[test]
fn nothing_at_all_is_a_session_too() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    block_on(async {
        for close in [false, true] {
            let mut first = vec![Message::Config(config("mock", 16_000))];
            if !close {
                first.push(Message::End(v1::EndOfAudio {}));
            }
            let mut live = Live::open_with(&server.address, first, None).await.expect("it begins");
            if close {
                // To close this side says the same.
                live = live.closing();
            }
            let done = live.rest().await.done();
            assert_eq!((done.reason(), done.audio_end, done.finals), (Reason::EndOfAudio, 0, 0));
        }
    });
}

#[test]
fn a_marker_comes_back_once_all_before_it_is_decided() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        let mut live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        live.say(marker("nothing before me"));
        live.a_marker("nothing before me").await;
        // In the middle of each command; names are the client's own.
        let long = "ü".repeat(128);
        let marks = [("", 10_000), ("in \"the\"\nkitchen", 50_000), (long.as_str(), 90_000)];
        for (name, at) in marks {
            live.send_until(&recording, at, CHUNK);
            live.say(marker(name));
        }
        live.send(&recording, CHUNK);
        live.say(marker("after the end"));
        let told = live.rest().await;
        assert_eq!(told.done().finals, 3);
        let place = |name: &str| {
            let is_it = |event: &Event| matches!(event, Event::Marker(marker) if marker.id == name);
            told.events.iter().position(is_it).unwrap_or_else(|| panic!("{name:?} did not come back"))
        };
        for (name, at) in marks {
            let (before, after) = told.events.split_at(place(name));
            let covers = |event: &Event| matches!(event, Event::Final(told) if told.audio_end >= at as i64);
            assert!(before.iter().any(covers), "{name:?} came too early");
            assert_eq!(after.iter().filter(|event| matches!(event, Event::Final(_))).count(), 2 - at / 40_000);
        }
        assert_eq!(place("after the end"), told.events.len() - 2);
    });
}

#[test]
fn the_pause_that_ends_an_utterance_is_the_clients_choice() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        // The pauses are 1.2 and 1.0 s.
        for (end_silence, expected) in [(0.5, COMMANDS.to_vec()), (2.0, vec![&*COMMANDS.join(" ")])] {
            let endpointing = Endpointing { end_silence: seconds(end_silence), ..Default::default() };
            let config = StreamingConfig { endpointing: Some(endpointing), ..config("selftest", 16_000) };
            let told = stream(&server.address, config, &recording, CHUNK).await;
            told.done();
            let finals = told.finals();
            assert_eq!(finals.iter().map(|told| told.text.as_str()).collect::<Vec<_>>(), expected, "{end_silence}");
        }
    });
}

#[test]
fn no_utterance_is_longer_than_allowed_and_nothing_falls_between_two() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    // Ten digits without a pause, over and over.
    let digits = &wav::read(&sample("digits.wav")).1[3_200..49_000];
    let recording: Vec<i16> = digits.iter().copied().cycle().take(70 * 16_000).collect();
    block_on(async {
        for longest in [2.0, 30.0] {
            let endpointing = Endpointing { longest: seconds(longest), ..Default::default() };
            let told = stream(&server.address, by(endpointing), &recording, CHUNK).await;
            told.done();
            let finals = told.finals();
            assert!(finals.len() as f64 >= 70.0 / longest, "{} finals", finals.len());
            for told in &finals {
                assert!(told.audio_end - told.audio_start <= (longest * 16_000.0) as i64, "{told:?}");
            }
            let is_gapless = |pair: &[v1::Final]| pair[0].audio_end == pair[1].audio_start;
            assert!(finals.windows(2).all(is_gapless), "{longest}: {finals:?}");
        }
    });
}

#[test]
fn time_outs_end_a_session_well_though_its_client_goes_on() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--linger", "0.1"]);
    let start_timeout = || Endpointing { speech_start_timeout: seconds(1.0), ..Default::default() };
    let end_timeout = || Endpointing { speech_end_timeout: seconds(1.0), ..Default::default() };
    let silence = vec![0; 10 * 16_000];
    block_on(async {
        // Often, for what is still on its way when the session ends must not matter.
        for _ in 0..20 {
            let told = stream(&server.address, by(start_timeout()), &silence, CHUNK).await;
            let done = told.done();
            assert_eq!((done.reason(), done.finals), (Reason::NoSpeech, 0));
            assert!((16_000..=17_000).contains(&done.audio_end), "{done:?}");
        }
        let told = stream(&server.address, by(end_timeout()), &commands(), CHUNK).await;
        let done = told.done();
        assert_eq!((done.reason(), done.finals), (Reason::SpeechEnded, 1));
        // Who speaks in time is not cut off.
        let told = stream(&server.address, by(start_timeout()), &commands(), CHUNK).await;
        assert_eq!((told.done().reason(), told.done().finals), (Reason::EndOfAudio, 3));
    });
}

#[test]
fn how_a_session_ended_is_remembered() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let endpointing = Endpointing { speech_end_timeout: seconds(1.0), ..Default::default() };
    let (ready, done) = block_on(async {
        let mut live = Live::open(&server.address, by(endpointing)).await.expect("it begins");
        let ready = live.ready.clone();
        live.send_until(&commands(), 40_000, 40_000);
        let done = live.rest().await.done();
        assert_eq!(done.reason(), Reason::SpeechEnded);
        (ready, done)
    });
    let server = super::killed_and_started(&sandbox, server, &[]);
    block_on(async {
        let told = Live::resume(&server.address, &ready, 1).await.expect("it lingers").rest().await;
        assert_eq!(told.done(), done);
    });
}

#[test]
fn empty_messages_do_no_harm() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands_for(7);
    block_on(async {
        let calm = stream(&server.address, config("mock", 16_000), &recording, CHUNK).await;
        let mut live = Live::open(&server.address, config("mock", 16_000)).await.expect("it begins");
        for n in 0..10_000 {
            live.say(audio(&[], (n % 2 == 0).then_some(live.sent as i64)));
            if n % 1_000 == 0 {
                live.send_until(&recording, n * 10, CHUNK);
            }
        }
        live.send(&recording, CHUNK);
        assert_eq!(live.rest().await.finals(), calm.finals());
    });
}
