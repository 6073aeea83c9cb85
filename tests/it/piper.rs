//! Piper voices: a test voice that is small enough to be here, with laws that can be counted.

use crate::harness::{
    calls::{field_of, synthesize},
    pb::{block_on, speech, v1},
    process::{Sandbox, send_signal},
    sample,
    server::Server,
    speaker::{Speaker, voice},
    wav,
};
use std::{fs, path::Path};
use tonic::{Code, Status};
use v1::{synthesize_request::Input, synthesize_response::Event};

/// Samples of a frame of a Piper voice, and its rate.
const FRAME: usize = 256;
const RATE: usize = 22_050;

const TEXT: &str = "Turn on the kitchen light. Dr. Smith said so; it was 3.14 o'clock! Wait... what?";

fn path(name: &str) -> String {
    sample("voices").join(name).display().to_string()
}

/// Without the noise in its lengths, which could not be counted.
fn say(voice_name: &str, input: Input) -> v1::SynthesizeRequest {
    v1::SynthesizeRequest { input: Some(input), noise_w: Some(0.0), ..voice(voice_name) }
}

fn text(voice_name: &str, text: &str) -> v1::SynthesizeRequest {
    say(voice_name, Input::Text(text.to_owned()))
}

/// What a call gives: samples, and marks.
async fn speak(address: &str, request: v1::SynthesizeRequest) -> Result<(Vec<i16>, Vec<v1::SpeechMark>), Status> {
    let spoken = synthesize(address, request).await?;
    assert_eq!(spoken.rate as usize, RATE);
    Ok((wav::of_pcm(&spoken.audio), spoken.marks))
}

/// The frames that the test voice makes of phonemes, by the table in its file.
fn frames(phonemes: &str, length_scale: f64) -> usize {
    let file = fs::read_to_string(path("test-voice.onnx.json")).expect("the voice's file");
    let config: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    let duration = |phoneme: &str| config["test_durations"][phoneme].as_f64().expect("it is in the table");
    let inner: Vec<String> = phonemes.chars().map(String::from).collect();
    let padded = inner.iter().flat_map(|phoneme| [phoneme.as_str(), "_"]);
    let all = ["^", "_"].into_iter().chain(padded).chain(["$"]);
    all.map(|phoneme| (duration(phoneme) * length_scale).ceil() as usize).sum()
}

#[test]
fn the_length_of_speech_follows_the_voices_table() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let many = path("test-voice-ms.onnx");
        for speaker in ["", "0", "1", "2"] {
            for length_scale in [0.5, 1.0, 1.7] {
                let request = v1::SynthesizeRequest {
                    speaker: speaker.to_owned(),
                    length_scale: Some(length_scale),
                    ..text(&many, "[[ həlˈoʊ ]]")
                };
                let (audio, _) = speak(&server.address, request).await.expect("it speaks");
                let expected = FRAME * frames("həlˈoʊ", f64::from(length_scale));
                assert_eq!(audio.len(), expected, "speaker {speaker:?}, length {length_scale}");
            }
        }
        let twice = v1::SynthesizeRequest { speed: 2.0, ..text(&many, "[[ həlˈoʊ ]]") };
        let (audio, _) = speak(&server.address, twice).await.expect("it speaks");
        assert_eq!(audio.len(), FRAME * frames("həlˈoʊ", 0.5), "speed divides the length");
    });
}

#[test]
fn speech_is_the_same_however_it_comes_about() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let voice_name = path("test-voice.onnx");
    block_on(async {
        let request = || v1::SynthesizeRequest { marks: true, ..text(&voice_name, TEXT) };
        let calm = speak(&server.address, request()).await.expect("it speaks");
        assert_eq!(speak(&server.address, request()).await.expect("it speaks"), calm, "the second time");
        let config = v1::SynthesizeRequest { marks: true, noise_w: Some(0.0), ..voice(&voice_name) };
        let mut speaker = Speaker::begin(&server.address, config).await.expect("it begins");
        for word in TEXT.split_inclusive(' ') {
            speaker.write(word).await;
        }
        speaker.end().await.expect("it ends");
        let bytes: Vec<u8> = calm.0.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert!(speaker.audio == bytes, "while it is written");
        assert_eq!(speaker.marks, calm.1);
        // Killed as soon as it speaks: it is made again from the sentence that was heard last.
        let long = TEXT.repeat(40);
        let (whole, _) = speak(&server.address, text(&voice_name, &long)).await.expect("it speaks");
        let mut stream =
            speech(&server.address).await.synthesize(text(&voice_name, &long)).await.expect("it begins").into_inner();
        let (mut audio, mut kills) = (Vec::new(), 0);
        while let Some(message) = stream.message().await.expect("it goes on") {
            if let Some(Event::Audio(bytes)) = message.event {
                audio.extend(bytes);
                if kills < 3 && audio.len() > kills * 400_000 {
                    kills += 1;
                    server.workers().into_iter().for_each(|worker| send_signal(worker, "KILL"));
                }
            }
        }
        let whole: Vec<u8> = whole.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert!(audio == whole, "{} and {} bytes", audio.len(), whole.len());
    });
    assert!(server.log(&sandbox).contains("Worker died."));
}

#[test]
fn words_and_sentences_are_marked() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let request = v1::SynthesizeRequest { marks: true, ..text(&path("test-voice.onnx"), TEXT) };
        let (audio, marks) = speak(&server.address, request).await.expect("it speaks");
        let of_kind = |kind: v1::SpeechMarkKind| -> Vec<&str> {
            let of_kind = marks.iter().filter(|mark| mark.kind() == kind);
            of_kind.map(|mark| &TEXT[mark.text_start as usize..mark.text_end as usize]).collect()
        };
        let sentences = ["Turn on the kitchen light.", "Dr. Smith said so; it was 3.14 o'clock!", "Wait... what?"];
        assert_eq!(of_kind(v1::SpeechMarkKind::Sentence), sentences);
        let words = of_kind(v1::SpeechMarkKind::Word);
        assert!(
            words.starts_with(&["Turn", "on", "the", "kitchen", "light"]) && words.ends_with(&["what"]),
            "{words:?}"
        );
        let samples: Vec<i64> = marks.iter().map(|mark| mark.sample).collect();
        assert!(samples.is_sorted() && samples.iter().all(|sample| (*sample as usize) < audio.len()), "{samples:?}");
        // The second sentence begins to sound after the silence between.
        let second =
            marks.iter().filter(|mark| mark.kind() == v1::SpeechMarkKind::Sentence).nth(1).expect("it is there");
        let (before, after) = audio.split_at(second.sample as usize);
        assert!(before.iter().rev().take(RATE / 5).all(|sample| *sample == 0), "0.2 s of silence");
        assert!(after.iter().take(RATE / 5).any(|sample| *sample != 0), "and then sound");
    });
}

#[test]
fn documents_are_followed_or_refused_by_name() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let voice_name = path("test-voice.onnx");
    block_on(async {
        let said = async |document: &str| {
            let request = v1::SynthesizeRequest { marks: true, ..say(&voice_name, Input::Ssml(document.to_owned())) };
            speak(&server.address, request).await
        };
        let (plain, _) = said("<speak>one two</speak>").await.expect("it speaks");
        let (paused, marks) =
            said("<speak>one <break time=\"700ms\"/><mark name=\"m\"/>two</speak>").await.expect("it speaks");
        assert!(paused.len() > plain.len() + RATE * 7 / 10 - RATE / 5, "{} and {}", paused.len(), plain.len());
        assert_eq!(marks.iter().filter(|mark| mark.name == "m").count(), 1);
        let document = "<speak><mark name=\"a\"/>One. <mark name=\"b\"/>Two<mark name=\"c\"/>. <mark name=\"d\"/> \
                        Three.<mark name=\"e\"/></speak>";
        let (audio, marks) = said(document).await.expect("it speaks");
        let named: Vec<_> = marks.iter().filter(|mark| mark.kind() == v1::SpeechMarkKind::Named).collect();
        for (mark, name) in named.iter().zip(["a", "b", "c", "d", "e"]) {
            assert_eq!(mark.name, name);
            assert!(document[mark.text_start as usize..].starts_with(&format!("<mark name=\"{name}")), "{mark:?}");
        }
        assert_eq!(named.len(), 5);
        assert!(named.is_sorted_by_key(|mark| mark.sample) && named[4].sample == audio.len() as i64);
        let (ipa, _) =
            said("<speak><phoneme alphabet=\"ipa\" ph=\"həlˈoʊ\">x</phoneme></speak>").await.expect("it speaks");
        assert_eq!(ipa.len(), FRAME * frames("həlˈoʊ", 1.0));
        for (document, name) in [
            ("<speak><emphasis>a</emphasis></speak>", "emphasis"),
            ("<speak><prosody pitch=\"high\">a</prosody></speak>", "pitch"),
            ("<speak><voice name=\"x\">a</voice></speak>", "voice"),
        ] {
            let refused = said(document).await.expect_err(name);
            assert_eq!((refused.code(), field_of(&refused).as_deref()), (Code::InvalidArgument, Some("ssml")));
            assert!(refused.message().contains(name), "{}", refused.message());
        }
    });
}

#[test]
fn odd_texts_are_spoken_and_odd_wishes_refused() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let voice_name = path("test-voice.onnx");
    block_on(async {
        let long_word = "a".repeat(5_000);
        for odd in ["😀", "?!", "...", "[[ ]]", "[[", "]]", &"[[".repeat(10_000), &long_word, "çæ ß 日本語 \u{301}"]
        {
            let spoken = speak(&server.address, text(&voice_name, odd)).await;
            let shown: String = odd.chars().take(20).collect();
            assert!(spoken.is_ok_and(|(audio, _)| !audio.is_empty()), "{shown}");
        }
        let refusal = async |request: v1::SynthesizeRequest| {
            let refused = speak(&server.address, request).await.expect_err("it is refused");
            (refused.code(), field_of(&refused).unwrap_or_default())
        };
        let of = |change: fn(&mut v1::SynthesizeRequest)| {
            let mut request = text(&voice_name, "hello");
            change(&mut request);
            request
        };
        let invalid = |field: &str| (Code::InvalidArgument, field.to_owned());
        assert_eq!(refusal(of(|request| request.speed = 100.0)).await, invalid("speed"));
        assert_eq!(refusal(of(|request| request.pitch = 1.5)).await, invalid("pitch"));
        let no_such_speaker = (Code::NotFound, "speaker".to_owned());
        assert_eq!(refusal(of(|request| request.speaker = "7".to_owned())).await, no_such_speaker);
        let many = v1::SynthesizeRequest { speaker: "nobody".to_owned(), ..text(&path("test-voice-ms.onnx"), "a") };
        assert_eq!(refusal(many).await, no_such_speaker);
        assert_eq!(refusal(text("voices/a.onnx", "a")).await, invalid("voice"));
    });
}

#[test]
fn voices_that_are_none_are_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let good = fs::read(path("test-voice.onnx")).expect("the voice");
    let config = fs::read_to_string(path("test-voice.onnx.json")).expect("its file");
    let make = |name: &str, voice: &[u8], config: Option<&str>| {
        let place = sandbox.path().join(name);
        fs::write(&place, voice).expect("it is written");
        if let Some(config) = config {
            fs::write(format!("{}.json", place.display()), config).expect("it is written");
        }
        place
    };
    let cut = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        config.replacen(from, to, 1)
    };
    let cases = [
        (make("none.onnx", &good, None), Code::NotFound, "none.onnx.json"),
        (make("broken.onnx", &good, Some("{")), Code::InvalidArgument, "JSON"),
        (make("pad.onnx", &good, Some(&cut("\"_\"", "\"underscore\""))), Code::InvalidArgument, "_"),
        (
            make("type.onnx", &good, Some(&cut("\"espeak\",\n \"phoneme_map", "\"pinyin\",\n \"phoneme_map"))),
            Code::Unimplemented,
            "pinyin",
        ),
        (make("half.onnx", &good[..good.len() / 2], Some(&config)), Code::InvalidArgument, "half.onnx"),
        (make("text.onnx", b"this is no network", Some(&config)), Code::InvalidArgument, "text.onnx"),
        (make("empty.onnx", b"", Some(&config)), Code::InvalidArgument, "empty.onnx"),
        (sandbox.path().join("away.onnx"), Code::NotFound, "away.onnx"),
    ];
    block_on(async {
        for (place, code, word) in cases {
            let name = place.display().to_string();
            let refused = speak(&server.address, text(&name, "hello")).await.expect_err(&name);
            assert_eq!(refused.code(), code, "{name}: {}", refused.message());
            assert!(refused.message().contains(word), "{name}: {}", refused.message());
        }
    });
}

#[test]
fn a_server_speaks_with_the_voice_that_it_was_given() {
    let sandbox = Sandbox::new();
    let voice_name = path("test-voice-ms.onnx");
    let server = Server::start(&sandbox, &["--voice", &voice_name]);
    block_on(async {
        let (audio, _) = speak(&server.address, text("", "[[ həlˈoʊ ]]")).await.expect("it speaks");
        assert_eq!(audio.len(), FRAME * frames("həlˈoʊ", 1.0));
        let request = v1::ListVoicesRequest { filter: "engine=piper".to_owned(), ..Default::default() };
        let page = speech(&server.address).await.list_voices(request).await.expect("a page").into_inner();
        let voices = page.voices;
        assert_eq!(voices.len(), 1);
        assert!(voices[0].is_default && Path::new(&voices[0].id) == Path::new(&voice_name), "{voices:?}");
        assert_eq!((voices[0].speakers.len(), voices[0].sample_rate_hertz as usize), (3, RATE));
    });
}
