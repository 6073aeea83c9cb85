//! Lines spoken by the test voices, whose lengths are known exactly.

use super::*;
use crate::worker::engine::piper::{
    section::{Latents, Which},
    voice::tests::{path, voice},
};
use std::sync::atomic::{AtomicUsize, Ordering};

const STILL: Scales = Scales { noise: 0.0, length: 1.0, noise_w: 0.0 };
const LIVELY: Scales = Scales { noise: 0.667, length: 1.0, noise_w: 0.8 };

/// Ids of a text whose characters are phonemes.
fn ids(voice: &Voice, text: &str) -> Vec<u32> {
    let of = |key: &str| voice.config.phoneme_ids[key].clone();
    let mut ids = [of("^"), of("_")].concat();
    for sound in text.chars() {
        ids.extend(of(&sound.to_string()));
        ids.extend(of("_"));
    }
    ids.extend(of("$"));
    ids
}

fn line(voice: &Voice, text: &str, scales: Scales, seed: u64) -> Line {
    Line { ids: ids(voice, text), scales, speaker: None, seed, silence: 0 }
}

const RAW: Options = Options { level: Level::Raw, threads: 2 };

/// All samples of all lines, and how often anything but audio happened.
fn spoken(voice: &Voice, lines: &[Line], options: Options) -> Vec<f32> {
    let mut samples = Vec::new();
    speak(voice, lines, options, &|| false, &mut |event| {
        if let Event::Audio(audio) = event {
            samples.extend_from_slice(audio);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    samples
}

/// The frames that the test voice's own table gives.
fn frames(name: &str, ids: &[u32], voice: &Voice, length: f32) -> Vec<usize> {
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path(&format!("{name}.json"))).unwrap()).unwrap();
    let of_id = |id: &u32| {
        let (key, _) = voice.config.phoneme_ids.iter().find(|(_, ids)| ids.contains(id)).unwrap();
        (json["test_durations"][key].as_f64().unwrap() as f32 * length).ceil() as usize
    };
    ids.iter().map(of_id).collect()
}

#[test]
fn every_speaker_lasts_as_long_as_the_table_says_at_every_speed() {
    for (name, speakers) in [("test-voice.onnx", 1), ("test-voice-ms.onnx", 3)] {
        let voice = voice(name);
        for speaker in 0..speakers {
            for length in [0.3f32, 1.0, 1.25, 3.0] {
                let line = Line {
                    ids: ids(&voice, "hɛlo wɜld."),
                    scales: Scales { length, ..STILL },
                    speaker: Some(speaker),
                    seed: 1,
                    silence: 100,
                };
                let frames = frames(name, &line.ids, &voice, length);
                let expected = frames.iter().sum::<usize>() * 256;
                let (mut samples, mut events) = (0, Vec::new());
                speak(&voice, &[line], RAW, &|| false, &mut |event| {
                    match event {
                        Event::LineBegins { line, samples } => events.push(format!("begin {line} {samples:?}")),
                        Event::LineEnds { line } => events.push(format!("end {line} after {samples}")),
                        Event::Audio(audio) => samples += audio.len(),
                        Event::Alignment(each) => {
                            assert_eq!(each, frames.iter().map(|frames| frames * 256).collect::<Vec<_>>());
                        }
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
                let all = expected + 100;
                assert_eq!(events, [format!("begin 0 Some({all})"), format!("end 0 after {all}")]);
            }
        }
    }
}

#[test]
fn windows_are_the_whole_to_the_bit_for_any_number_of_threads() {
    for name in ["test-voice.onnx", "test-voice-ms.onnx"] {
        let voice = voice(name);
        let lines = [
            line(&voice, "ðə kwɪk bɹaʊn fɑks. ", LIVELY, 5),
            line(&voice, "a", LIVELY, 6),
            line(&voice, "hɛlo", STILL, 7),
        ];
        let whole: Vec<f32> = lines.iter().flat_map(|line| whole(&voice, line, usize::MAX)).collect();
        for size in [1, 3, 7, 64] {
            assert_eq!(lines.iter().flat_map(|line| self::whole(&voice, line, size)).collect::<Vec<_>>(), whole);
        }
        for threads in [1, 2, 3] {
            assert_eq!(spoken(&voice, &lines, Options { level: Level::Raw, threads }), whole, "{threads} threads");
        }
    }
}

/// A line without the board: one window after the other.
fn whole(voice: &Voice, line: &Line, size: usize) -> Vec<f32> {
    let mut desk = Desk::new();
    let speaker = voice.speaker(line.speaker).unwrap();
    let ids = line.ids.iter().map(|id| id.cast_signed()).collect();
    let sentence = Sentence { ids, scales: line.scales, speaker, seed: line.seed };
    let plan = voice.plan(&sentence, &mut desk).unwrap();
    let columns = voice.columns(speaker, &desk).unwrap();
    let (flow, decoder) = (voice.section(Which::Flow).unwrap(), voice.section(Which::Decoder).unwrap());
    let mut samples = Vec::new();
    for start in (0..plan.frames).step_by(size.min(plan.frames)) {
        let window = start..start.saturating_add(size).min(plan.frames);
        let needs = decoder.needs(&window, plan.frames);
        let latents = Latents { data: &plan.latents, first: 0, frames: plan.frames };
        let flowed = flow.run(latents, &needs, (speaker, &columns[0]), &mut desk).unwrap();
        let latents = Latents { data: &flowed, first: needs.start, frames: plan.frames };
        samples.extend(decoder.run(latents, &window, (speaker, &columns[1]), &mut desk).unwrap());
    }
    samples
}

#[test]
fn a_seed_repeats_itself_and_another_sounds_different_unless_there_is_no_noise() {
    let voice = voice("test-voice.onnx");
    let said = |scales, seed| spoken(&voice, &[line(&voice, "wʌn tu θɹi", scales, seed)], RAW);
    assert_eq!(said(LIVELY, 1), said(LIVELY, 1));
    assert_ne!(said(LIVELY, 1), said(LIVELY, 2));
    assert_eq!(said(STILL, 1), said(STILL, 2));
    let only_sound = Scales { noise_w: 0.0, ..LIVELY };
    assert_ne!(said(only_sound, 1), said(only_sound, 2));
    assert_eq!(said(only_sound, 1).len(), said(STILL, 1).len());
}

#[test]
fn a_word_of_five_thousand_letters_is_spoken_to_its_end() {
    let voice = voice("test-voice.onnx");
    let long = line(&voice, &"a".repeat(5_000), STILL, 1);
    let own: usize = frames("test-voice.onnx", &long.ids, &voice, 1.0).iter().sum();
    let (mut samples, mut aligned, mut each) = (0, 0, 0);
    speak(&voice, std::slice::from_ref(&long), RAW, &|| false, &mut |event| {
        match event {
            Event::LineBegins { samples, .. } => assert_eq!(samples, None),
            Event::Audio(audio) => samples += audio.len(),
            Event::Alignment(list) => (aligned, each) = (aligned + list.iter().sum::<usize>(), each + list.len()),
            Event::LineEnds { .. } => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    // Each cut adds the marks of an end and of a beginning: 5 frames in this voice.
    let pieces = long.ids.len().div_ceil(MAX_IDS - 3);
    assert_eq!(samples, (own + 5 * (pieces - 1)) * 256);
    assert_eq!((aligned, each), (samples, long.ids.len()));
}

#[test]
fn what_the_voice_cannot_say_is_refused_before_anything_is_said() {
    let voice = voice("test-voice.onnx");
    let good = line(&voice, "a", STILL, 1);
    let cases = [
        (Line { ids: vec![1, 9_999, 2], ..good.clone() }, "no phoneme 9999"),
        (Line { ids: Vec::new(), ..good.clone() }, "no phonemes"),
        (Line { speaker: Some(1), ..good.clone() }, "no speaker 1"),
        (Line { scales: Scales { length: 0.0, ..STILL }, ..good.clone() }, "length scale 0"),
        (Line { scales: Scales { noise: f32::NAN, ..STILL }, ..good.clone() }, "noise scale NaN"),
    ];
    for (bad, message) in cases {
        let error = speak(&voice, &[good.clone(), bad], RAW, &|| false, &mut |_| panic!("said something")).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(error.to_string().contains(message), "{error} does not name {message}");
    }
}

#[test]
fn giving_up_takes_effect_with_the_next_window() {
    let voice = voice("test-voice.onnx");
    let lines = vec![line(&voice, &"hɛlo wɜld, ".repeat(8), STILL, 1); 5];
    for after in [0, 1, 5] {
        let windows = AtomicUsize::new(0);
        let error = speak(&voice, &lines, RAW, &|| windows.load(Ordering::SeqCst) >= after, &mut |event| {
            if let Event::Audio(_) = event {
                windows.fetch_add(1, Ordering::SeqCst);
            }
            ControlFlow::Continue(())
        });
        assert_eq!(error.unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(windows.load(Ordering::SeqCst), after);
    }
}

#[test]
fn a_sink_that_breaks_ends_it_and_one_that_panics_takes_nobody_along() {
    let voice = voice("test-voice.onnx");
    let lines = vec![line(&voice, &"hɛlo wɜld, ".repeat(8), STILL, 1); 5];
    for after in 0..12 {
        let mut events = 0;
        let ended = speak(&voice, &lines, RAW, &|| false, &mut |_| {
            events += 1;
            if events > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(ended.is_ok());
        assert_eq!(events, after + 1);
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        speak(&voice, &lines, RAW, &|| false, &mut |_| panic!("sink"))
    }));
    assert!(panicked.is_err());
}

#[test]
fn steady_lines_have_one_gain_and_do_not_depend_on_one_another() {
    let voice = voice("test-voice-ms.onnx");
    let lines = [line(&voice, "hɛlo", LIVELY, 1), line(&voice, "wɜld.", LIVELY, 2)];
    let steady = Options { level: Level::Steady, threads: 2 };
    let together = spoken(&voice, &lines, steady);
    let apart: Vec<f32> = lines.iter().flat_map(|line| spoken(&voice, std::slice::from_ref(line), steady)).collect();
    assert_eq!(together, apart);
    assert!(together.iter().all(|sample| sample.abs() <= 1.0));
    let loudest = together.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    assert!(loudest > 0.4, "{loudest}");
    let again = self::voice("test-voice-ms.onnx");
    assert_eq!(spoken(&again, &lines[1..], steady), apart[apart.len() - spoken(&voice, &lines[1..], steady).len()..]);
}

#[test]
fn a_normalized_line_is_at_full_scale_and_otherwise_as_it_was() {
    let voice = voice("test-voice.onnx");
    let lines = [Line { silence: 50, ..line(&voice, "hɛlo", STILL, 1) }];
    let (raw, normal) =
        (spoken(&voice, &lines, RAW), spoken(&voice, &lines, Options { level: Level::Normalized, threads: 2 }));
    let peak = raw.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    assert_eq!(normal, raw.iter().map(|sample| sample / peak).collect::<Vec<_>>());
    assert_eq!(normal[normal.len() - 50..], [0.0; 50]);
    let mut silence = [1e-9, -9e-9];
    normalize(&mut silence);
    assert_eq!(silence, [0.0, 0.0]);
}

#[test]
fn a_voice_that_cannot_be_cut_is_spoken_by_whole_sentences() {
    let cut = voice("test-voice.onnx");
    let whole = crate::worker::engine::piper::voice::tests::changed("test-voice.onnx", |operation, output| {
        (operation == "Mul" && output == "/Mul_7_output_0").then_some("Min")
    })
    .unwrap();
    assert!(!whole.streams());
    assert!(
        whole.warnings[0].contains("whole sentences") && whole.warnings[0].contains("masked"),
        "{:?}",
        whole.warnings
    );
    let lines = [line(&cut, "hɛlo", STILL, 1), line(&cut, "wɜld.", STILL, 1)];
    let (a, b) = (spoken(&cut, &lines, RAW), spoken(&whole, &lines, RAW));
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-5, "{apart}");
    let lively = [line(&cut, "hɛlo wɜld.", LIVELY, 1)];
    assert_eq!(spoken(&whole, &lively, RAW), spoken(&whole, &lively, RAW), "its noise is the same each time");
}

#[test]
fn a_decoder_that_is_unusual_is_left_to_rten_and_streams_all_the_same() {
    let odd = |operation: &str, output: &str| (operation == "Tanh" && output == "/dec/Tanh_output_0").then_some("Erf");
    let voice = crate::worker::engine::piper::voice::tests::changed("test-voice.onnx", odd).unwrap();
    assert!(voice.streams() && voice.warnings[0].contains("Erf"), "{:?}", voice.warnings);
    let line = line(&voice, "hɛlo wɜld.", LIVELY, 1);
    assert_eq!(spoken(&voice, std::slice::from_ref(&line), RAW), whole(&voice, &line, usize::MAX));
}
