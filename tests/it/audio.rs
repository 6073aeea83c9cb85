//! Recordings of every dress give the same transcript.

use crate::harness::{process::Sandbox, sample, wav};
use hound::SampleFormat::{Float, Int};

/// Linear interpolation: crude, but its faults lie above what the words need.
fn at_rate(samples: &[i16], from: u32, to: u32) -> Vec<f32> {
    let count = samples.len() as u64 * u64::from(to) / u64::from(from);
    (0..count)
        .map(|n| {
            let place = n as f64 * f64::from(from) / f64::from(to);
            let (left, share) = (place as usize, (place.fract()) as f32);
            let value = |index: usize| f32::from(*samples.get(index).unwrap_or(&0)) / 32768.0;
            value(left) * (1.0 - share) + value(left + 1) * share
        })
        .collect()
}

#[test]
fn every_rate_width_and_channel_count() {
    let sandbox = Sandbox::new();
    let (rate, samples) = wav::read(&sample("kitchen-light.wav"));
    for (to, channels, bits, format) in [
        (8_000, 1, 16, Int),
        (11_025, 1, 16, Int),
        (16_000, 1, 8, Int),
        (16_000, 1, 24, Int),
        (16_000, 1, 32, Int),
        (16_000, 1, 32, Float),
        (22_050, 2, 16, Int),
        (44_100, 2, 24, Int),
        (48_000, 1, 32, Float),
        (48_000, 6, 16, Int),
        (96_000, 2, 32, Float),
        (192_000, 1, 16, Int),
    ] {
        sandbox.file("talk.wav", &wav::encode(&at_rate(&samples, rate, to), to, channels, bits, format));
        let text = sandbox.run(&["stt", "talk.wav", "--model", "selftest"]).good_text();
        assert_eq!(text, "turn on the kitchen light\n", "{to} Hz, {channels} channels, {bits} bits, {format:?}");
    }
}

#[test]
fn silence_and_noise_are_no_words_and_no_error() {
    let sandbox = Sandbox::new();
    for name in ["silence.wav", "noise.wav"] {
        let path = sample(name).display().to_string();
        assert_eq!(sandbox.run(&["stt", &path, "--model", "selftest"]).good_text(), "", "{name}");
    }
    sandbox.file("empty.wav", &wav::mono16(&[]));
    assert_eq!(sandbox.run(&["stt", "empty.wav", "--model", "selftest"]).good_text(), "");
}

#[test]
fn the_samples_are_heard_as_they_were_said() {
    let sandbox = Sandbox::new();
    for (name, said) in [
        ("timer", "set a timer for ten minutes\n"),
        ("weather", "what is the weather tomorrow\n"),
        ("digits", "zero one two three four five six seven eight nine\n"),
        ("three-commands", "open the door\nplay some music in the kitchen\ncall my mother at five\n"),
    ] {
        let path = sample(&format!("{name}.wav")).display().to_string();
        assert_eq!(sandbox.run(&["stt", &path, "--model", "selftest"]).good_text(), said, "{name}");
    }
}

#[test]
fn a_long_recording_arrives_whole_and_in_order() {
    // Over three windows, none of which ends where the recording does.
    let samples = &wav::numbered(100)[..99 * 16_000 + 5_000];
    let sandbox = Sandbox::new();
    sandbox.file("long.wav", &wav::mono16(samples));
    let text = sandbox.run(&["stt", "long.wav", "--model", "mock"]).good_text();
    assert_eq!(text, wav::mock_transcript(samples));
}

#[test]
fn a_recording_may_come_through_a_pipe() {
    let sandbox = Sandbox::new();
    let recording = std::fs::read(sample("timer.wav")).expect("the sample");
    let shown = sandbox.run_with(&["stt", "-", "--model", "selftest"], &recording);
    assert_eq!(shown.good_text(), "set a timer for ten minutes\n");
}

#[test]
fn json_has_times_and_words() {
    let path = sample("three-commands.wav").display().to_string();
    let sandbox = Sandbox::new();
    let json = sandbox.run(&["stt", &path, "--model", "selftest", "--words", "--format", "json"]).good_text();
    let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(document["text"], "open the door play some music in the kitchen call my mother at five");
    assert_eq!((&document["language"], &document["model"]), (&"en".into(), &"selftest".into()));
    let segments = document["segments"].as_array().expect("a list");
    for (segment, (start, end)) in segments.iter().zip([(0.3, 1.09), (2.29, 3.83), (4.83, 6.14)]) {
        let time = |value: &serde_json::Value| value.as_f64().expect("a number");
        assert!((time(&segment["start"]) - start).abs() < 0.35, "{segment}");
        assert!((time(&segment["end"]) - end).abs() < 0.35, "{segment}");
        let words = segment["words"].as_array().expect("a list");
        let text: Vec<&str> = words.iter().filter_map(|word| word["word"].as_str()).collect();
        assert_eq!(text.join(" "), segment["text"].as_str().expect("a text"));
        let mut last = time(&segment["start"]) - 0.011;
        for word in words {
            assert!(time(&word["start"]) >= last && time(&word["end"]) >= time(&word["start"]), "{segment}");
            last = time(&word["start"]);
        }
    }
}
