//! What is said is heard: both ways, with real engines.

use crate::harness::{grammar::Grammar, process::Sandbox, server::Server, wav};

#[test]
fn the_first_command_of_the_readme() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["tts", "turn on the kitchen light", "-o", "output.wav"]).good_text(), "");
    let heard = sandbox.run(&["stt", "--model", "selftest", "output.wav"]).good_text();
    assert_eq!(heard, "turn on the kitchen light\n");
    assert_eq!(sandbox.files(), ["output.wav"], "and nothing is left behind");
}

#[test]
fn speech_flows_through_a_pipe() {
    let sandbox = Sandbox::new();
    let audio = sandbox.run_with(&["tts", "-", "-o", "-"], b"set a timer for ten minutes\n").good();
    let heard = sandbox.run_with(&["stt", "--model", "selftest", "-"], &audio).good_text();
    assert_eq!(heard, "set a timer for ten minutes\n");
}

#[test]
fn sixteen_of_twenty_random_sentences_are_heard_word_for_word() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--model", "selftest"]);
    let mut grammar = Grammar::new(0x5eed);
    let mut wrong = Vec::new();
    for _ in 0..20 {
        let said = grammar.sentence();
        // As clearly as the voice can: the model knows 153 words, and no context.
        sandbox.run(&["tts", "--server", &server.address, "--speed", "0.8", &said, "-o", "said.wav"]).good();
        let heard = sandbox.run(&["stt", "--server", &server.address, "said.wav"]).good_text();
        if heard.trim() != said {
            wrong.push(format!("said {said:?}, heard {:?}", heard.trim()));
        }
    }
    assert!(wrong.len() <= 4, "{wrong:#?}");
}

#[test]
fn speed_pitch_volume_and_rate_do_what_they_say() {
    let sandbox = Sandbox::new();
    let speak = |flags: &[&str]| {
        let mut args = vec!["tts", "one two three four five", "-o", "out.wav"];
        args.extend(flags);
        sandbox.run(&args).good();
        wav::read(&sandbox.path().join("out.wav"))
    };
    let (rate, normal) = speak(&[]);
    assert_eq!(rate, 22_050);
    let length = |samples: &[i16]| samples.len() as f64 / normal.len() as f64;
    let loudness =
        |samples: &[i16]| (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt();
    assert!(length(&speak(&["--speed", "2"]).1) < 0.75);
    assert!(length(&speak(&["--speed", "0.5"]).1) > 1.5);
    // Beyond what the engine does by itself.
    let (slow, fast) = (length(&speak(&["--speed", "0.25"]).1), length(&speak(&["--speed", "4"]).1));
    assert!((2.8..5.0).contains(&slow) && (0.15..0.4).contains(&fast), "{slow} {fast}");
    assert_ne!(speak(&["--pitch", "1.5"]).1, normal);
    assert!(loudness(&speak(&["--volume", "0.5"]).1) < 0.7 * loudness(&normal));
    assert_ne!(speak(&["--voice", "en-us+f3"]).1, normal);
    let (rate, resampled) = speak(&["--sample-rate", "48000"]);
    assert_eq!(rate, 48_000);
    assert!((length(&resampled) - 48_000.0 / 22_050.0).abs() < 0.001);
    assert_eq!(speak(&[]).1, normal, "the same text sounds the same");
}

#[test]
fn bare_samples_are_the_samples_of_the_file() {
    let sandbox = Sandbox::new();
    sandbox.run(&["tts", "hello computer", "-o", "a.wav"]).good();
    let bare = sandbox.run(&["tts", "hello computer", "-o", "-", "--format", "pcm"]).good();
    let samples = wav::of_pcm(&bare);
    assert_eq!(samples, wav::read(&sandbox.path().join("a.wav")).1);
}

#[test]
fn ssml_is_understood_when_asked_and_spelled_out_when_not() {
    let sandbox = Sandbox::new();
    let document = "<speak>hello <break time=\"2s\"/> computer</speak>";
    let length = |args: &[&str]| {
        sandbox.run(args).good();
        wav::read(&sandbox.path().join("output.wav")).1.len()
    };
    let plain = length(&["tts", "hello computer"]);
    let ssml = length(&["tts", "--ssml", document]);
    assert!(ssml > plain + 22_050 * 3 / 2, "{ssml} samples with a break, {plain} without");
    assert!(length(&["tts", document]) != ssml);
}

#[test]
fn a_region_chooses_the_voice() {
    let sandbox = Sandbox::new();
    let voice = |region: &str| {
        let json = sandbox.run(&["tts", "hello", "--region", region, "--json"]).good_text();
        let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        document["voice"].as_str().expect("a voice").to_owned()
    };
    assert_eq!(voice("en-GB"), "en-gb");
    assert_eq!(voice("mx"), "es-419");
    assert_eq!(voice("pt"), "pt");
    assert_eq!(voice("de-AT"), "de");
}

#[test]
fn voices_are_listed() {
    let sandbox = Sandbox::new();
    let table = sandbox.run(&["voices", "--language", "en"]).good_text();
    insta::assert_snapshot!(table);
    let json = sandbox.run(&["voices", "--json"]).good_text();
    let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert!(document["voices"].as_array().expect("a list").len() > 120);
}

#[test]
fn every_voice_speaks() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let json = sandbox.run(&["voices", "--json", "--server", &server.address]).good_text();
    let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    for voice in document["voices"].as_array().expect("a list") {
        let id = voice["id"].as_str().expect("an id");
        let args = ["tts", "anna 1 2 3 mama", "--voice", id, "-o", "v.wav", "--server", &server.address];
        sandbox.run(&args).good();
        let (_, samples) = wav::read(&sandbox.path().join("v.wav"));
        let is_heard = samples.iter().any(|sample| sample.abs() > 500);
        assert!(is_heard, "{id} says nothing in {} samples", samples.len());
    }
}
