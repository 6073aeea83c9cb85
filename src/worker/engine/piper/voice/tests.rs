//! Voices that load, voices that do not, and whether our way to compute one is rten's.

use super::*;
use crate::worker::engine::piper::onnx::edit::{file as stored, with_input, with_operations, with_weight};
use std::path::PathBuf;

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/samples/voices").join(name)
}

pub(crate) fn voice(name: &str) -> Voice {
    Voice::load(&path(name)).unwrap()
}

/// A test voice with other operations.
pub(crate) fn changed(name: &str, change: impl Fn(&str, &str) -> Option<&'static str>) -> Result<Voice> {
    built(name, with_operations(&std::fs::read(path(name)).unwrap(), change))
}

fn built(name: &str, file: Vec<u8>) -> Result<Voice> {
    Voice::build(Config::beside(&path(name)).unwrap(), &Graph::read(stored(&file))?)
}

fn refused(result: Result<Voice>, kind: Kind, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(message), "{error} does not say {message:?}");
}

#[test]
fn test_voices_load_without_complaint_and_stream() {
    for name in ["test-voice.onnx", "test-voice-ms.onnx"] {
        let voice = voice(name);
        assert_eq!(voice.warnings, [""; 0]);
        assert!(voice.streams());
    }
}

#[test]
fn files_that_are_no_voices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.onnx");
    refused(Voice::load(&place), Kind::NotFound, "x.onnx.json");
    std::fs::copy(path("test-voice.onnx.json"), folder.path().join("x.onnx.json")).unwrap();
    refused(Voice::load(&place), Kind::NotFound, "there is no voice");
    for text in ["", "<html>not found</html>", "version https://git-lfs.github.com/spec/v1\noid sha256:0"] {
        std::fs::write(&place, text).unwrap();
        refused(Voice::load(&place), Kind::InvalidInput, "not an ONNX model");
    }
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    refused(Voice::load(&place), Kind::InvalidInput, "is no file");
}

#[test]
fn a_voice_that_breaks_off_anywhere_is_refused_and_nothing_panics() {
    let file = std::fs::read(path("test-voice.onnx")).unwrap();
    for at in (0..file.len()).step_by(file.len() / 150).chain(file.len() - 40..file.len()) {
        if let Err(error) = built("test-voice.onnx", file[..at].to_vec()) {
            assert!(matches!(error.kind(), Kind::InvalidInput | Kind::Unsupported), "{error}");
        } else {
            panic!("a file of {at} bytes was taken");
        }
    }
}

#[test]
fn bytes_that_are_wrong_give_an_error_or_a_voice_but_no_panic() {
    let file = std::fs::read(path("test-voice.onnx")).unwrap();
    let mut noise = crate::worker::engine::piper::noise::Noise::new(1, 1);
    for _ in 0..300 {
        let mut broken = file.clone();
        for number in noise.take(3) {
            // Most of the file is weights; nodes lie in its first few kilobytes.
            let at = (number.abs() * 3_000.0) as usize % broken.len();
            broken[at] ^= 1 << (at % 8);
        }
        if let Ok(voice) = built("test-voice.onnx", broken) {
            drop(voice);
        }
    }
}

#[test]
fn models_of_other_kinds_are_refused_with_the_reason() {
    let file = std::fs::read(path("test-voice.onnx")).unwrap();
    let renamed = |from: &str, to: &str| built("test-voice.onnx", with_input(&file, from, to));
    refused(renamed("scales", "speed"), Kind::Unsupported, "no input \"scales\"");
    refused(renamed("input", "tokens"), Kind::Unsupported, "no input \"input\"");
    let several = Config { speakers: 2, ..Config::beside(&path("test-voice.onnx")).unwrap() };
    refused(Voice::build(several, &Graph::read(stored(&file)).unwrap()), Kind::InvalidInput, "several speakers");
    let hop = Config { hop: 512, ..Config::beside(&path("test-voice.onnx")).unwrap() };
    refused(Voice::build(hop, &Graph::read(stored(&file)).unwrap()), Kind::InvalidInput, "hop_length is 512");
    let mut symbols = Config::beside(&path("test-voice.onnx")).unwrap();
    symbols.phoneme_ids.insert("@".into(), vec![99_999]);
    refused(Voice::build(symbols, &Graph::read(stored(&file)).unwrap()), Kind::InvalidInput, "id 99999");
    let odd = changed("test-voice.onnx", |operation, _| (operation == "Exp").then_some("Gelu"));
    refused(odd, Kind::Unsupported, "\"Gelu\"");
}

#[test]
fn weights_that_are_no_numbers_are_found_when_the_voice_is_loaded() {
    let file = std::fs::read(path("test-voice.onnx")).unwrap();
    for (weight, value, message) in [
        ("dec.conv_pre.weight", f32::NAN, "numbers that are none"),
        ("enc_p.emb.weight", f32::INFINITY, "numbers that are none"),
        ("dp.durations", f32::NAN, "durations that are none"),
    ] {
        refused(built("test-voice.onnx", with_weight(&file, weight, value)), Kind::Internal, message);
    }
    let endless = built("test-voice.onnx", with_weight(&file, "dp.durations", 1e9));
    refused(endless, Kind::InvalidInput, "too long");
}

/// How far our own flow and decoder are from rten's, on the voice's phrase.
fn apart(place: &Path) -> f32 {
    let config = Config::beside(place).unwrap();
    let graph = Graph::read(open(place).unwrap()).unwrap();
    let anatomy = anatomy(&graph).unwrap();
    let cuts = anatomy.cuts.clone().unwrap();
    let phrase = phrase(&config, anatomy.speakers);
    let mut desk = Desk::new();
    let mut planner = Planner::load(&graph, &anatomy, &cuts).unwrap();
    planner.learn_noise(&phrase, &desk.pool).unwrap();
    let plan = planner.plan(&phrase, &desk.pool).unwrap();
    let mut ways = Vec::new();
    for how in [Section::tape, Section::rten] {
        let mut input = plan.latents.clone();
        for which in [Which::Flow, Which::Decoder] {
            let section = how(&graph, &cuts, &anatomy.output, which).unwrap();
            let columns = section.columns(phrase.speaker, &desk).unwrap();
            let latents = Latents { data: &input, first: 0, frames: plan.frames };
            input = section.run(latents, &(0..plan.frames), (phrase.speaker, &columns), &mut desk).unwrap();
        }
        ways.push(input);
    }
    assert_eq!(ways[0].len(), ways[1].len());
    ways[0].iter().zip(&ways[1]).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max)
}

#[test]
fn our_way_to_compute_a_voice_is_rtens_but_for_rounding() {
    for name in ["test-voice.onnx", "test-voice-ms.onnx"] {
        assert!(apart(&path(name)) < 1e-5, "{name}");
    }
}

/// `PIPER_VOICES=a.onnx:b.onnx` with voices of one's own.
#[test]
#[ignore = "needs voices that are not in the project"]
fn so_it_is_for_other_voices() {
    let list = std::env::var_os("PIPER_VOICES").unwrap();
    for place in std::env::split_paths(&list) {
        println!("{}: {}", place.display(), apart(&place));
        assert!(apart(&place) < 1e-4, "{}", place.display());
    }
}
