//! What is installed, as a manifest or the cache has it, and which of it is chosen.

use super::*;
use crate::error::Kind;
use crate::models::cache::tests::{Made, ONE, TWO, WHISPER};

const VOICES: &str = "rhasspy/piper-voices";
const AMY: &str = "en/en_US/amy/low/en_US-amy-low.onnx";

fn data(made: &Made) -> PathBuf {
    made.0.path().join("data")
}

fn look(made: &Made) -> Shelf {
    Shelf::look(made.0.path(), &data(made))
}

fn names(shelf: &Shelf) -> Vec<(&str, State)> {
    shelf.models.iter().map(|model| (model.name.as_str(), model.state)).collect()
}

/// Pins files that are there.
fn pin(made: &Made, name: &str, role: Role, files: &[(&str, &Path)]) {
    let files = files.iter().map(|(source, path)| Pinned {
        source: (*source).to_owned(),
        commit: source.starts_with("hf:").then(|| ONE.to_owned()),
        size: fs::metadata(path).expect("there").len(),
        sha256: files::sha256(&fs::read(path).expect("there")),
        path: path.to_path_buf(),
    });
    let manifest = Manifest { name: name.into(), role, pulled: String::new(), files: files.collect() };
    manifest::write(&data(made), &manifest).expect("written");
}

/// A file of the user's own.
fn own(made: &Made, name: &str, text: &str) -> PathBuf {
    let path = made.0.path().join("own").join(name);
    fs::create_dir_all(files::folder_of(&path)).expect("a folder");
    fs::write(&path, text).expect("written");
    path
}

#[test]
fn nothing_is_installed_where_nothing_is_and_nothing_is_made() {
    let made = Made::new();
    let shelf = Shelf::look(&made.0.path().join("none"), &data(&made));
    assert!(shelf.models.is_empty() && shelf.damaged.is_empty() && shelf.best_recogniser("en", false).is_none());
    assert_eq!(fs::read_dir(made.0.path()).expect("there").count(), 0);
    assert!(shelf.memory.is_some_and(|bytes| bytes > 1 << 20));
}

#[test]
fn what_others_have_put_into_the_cache_is_installed() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    let path = made.with(WHISPER, ONE, "ggml-base.en-q5_1.bin", "model");
    made.with(WHISPER, TWO, "ggml-base.en-q5_1.bin", "older");
    made.branch(VOICES, "main", ONE);
    made.with(VOICES, ONE, AMY, "voice");
    made.with(VOICES, ONE, &format!("{AMY}.json"), "{}");
    made.with("o/r", ONE, "x/my voice.onnx", "v");
    made.with("o/r", ONE, "x/my voice.onnx.json", r#"{"language": {"code": "de_AT"}}"#);
    let shelf = look(&made);
    let older = format!("hf:{WHISPER}/ggml-base.en-q5_1.bin@{TWO}");
    let voice = format!("hf:o/r/x/my voice.onnx@{ONE}");
    let expected = ["base.en-q5_1", "en_US-amy-low", &older, &voice].map(|name| (name, State::NotPinned));
    assert_eq!(names(&shelf), expected);
    let base = shelf.find("base.en-q5_1").expect("there");
    assert_eq!((&base.path, base.size, base.role), (&path, 5, Role::Recogniser));
    assert_eq!(base.files[0].sha256, files::sha256(b"model"));
    assert_eq!(base.files[0].source, format!("hf:{WHISPER}/ggml-base.en-q5_1.bin"));
    for name in [" ggml-base.en-q5_1.bin", "Whisper-Base.EN-q5_1", &base.files[0].source.clone()] {
        assert_eq!(shelf.find(name), Some(base), "{name}");
    }
    assert!(shelf.find(&older).is_some() && shelf.find("base.en").is_none() && shelf.find("").is_none());
    assert!(shelf.find("../../x").is_none() && shelf.find("hf:../..").is_none());
    let amy = shelf.find("en_US-amy-low").expect("there");
    assert_eq!((amy.size, amy.files.len(), amy.languages.as_slice()), (7, 2, &["en-US".to_owned()][..]));
    assert_eq!(shelf.find(&voice).expect("there").languages, ["de-AT"]);
    assert_eq!((base.languages.as_slice(), shelf.damaged.len()), (&["en".to_owned()][..], 0));
}

#[test]
fn a_pinned_model_is_there_wherever_its_files_are_and_listed_once() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    let path = made.with(WHISPER, ONE, "ggml-base.bin", "model");
    let source = format!("hf:{WHISPER}/ggml-base.bin");
    pin(&made, "base", Role::Recogniser, &[(&source, &path)]);
    assert_eq!(names(&look(&made)), [("base", State::Pinned)]);
    // The cache was somewhere else when it was pulled.
    let mut manifest = manifest::read(&data(&made), "base").expect("good").expect("there");
    manifest.files[0].path = "/cache/of/then/ggml-base.bin".into();
    manifest::write(&data(&made), &manifest).expect("written");
    let shelf = look(&made);
    assert_eq!(names(&shelf), [("base", State::Pinned)]);
    assert_eq!(shelf.models[0].path, path);
    // Under another spelling of the cache's folder.
    std::os::unix::fs::symlink(".", made.0.path().join("round")).expect("a link");
    assert_eq!(names(&Shelf::look(&made.0.path().join("round"), &data(&made))), [("base", State::Pinned)]);
    // Under another name of the user's, too.
    fs::remove_file(data(&made).join("models/base.json")).expect("gone");
    let spelled = made.0.path().join("round").join(path.strip_prefix(made.0.path()).expect("inside"));
    pin(&made, "mine", Role::Recogniser, &[(&source, &spelled)]);
    assert_eq!(names(&look(&made)), [("mine", State::Pinned)]);
    fs::remove_file(data(&made).join("models/mine.json")).expect("gone");
    manifest::write(&data(&made), &manifest).expect("written");
    // The branch moves on; what is pinned stays.
    made.branch(WHISPER, "main", TWO);
    assert_eq!(look(&made).models[0].path, path);
}

#[test]
fn a_model_whose_file_is_gone_or_cut_short_is_not_found() {
    let made = Made::new();
    let path = own(&made, "m.bin", "model");
    pin(&made, "mine", Role::Recogniser, &[("file:/m.bin", &path)]);
    assert!(look(&made).find("mine").is_some());
    fs::write(&path, "mod").expect("written");
    assert_eq!(names(&look(&made)), [("mine", State::Gone)]);
    fs::remove_file(&path).expect("gone");
    fs::create_dir(&path).expect("a folder");
    let shelf = look(&made);
    assert_eq!(names(&shelf), [("mine", State::Gone)]);
    assert!(shelf.find("mine").is_none() && shelf.find("file:/m.bin").is_none());
    assert!(shelf.best_recogniser("en", false).is_none());
}

#[test]
fn one_that_was_gone_and_came_back_by_other_hands_is_there() {
    let made = Made::new();
    let path = made.with(WHISPER, ONE, "ggml-base.bin", "model");
    pin(&made, "base", Role::Recogniser, &[(&format!("hf:{WHISPER}/ggml-base.bin"), &path)]);
    fs::remove_file(&path).expect("gone");
    assert_eq!(names(&look(&made)), [("base", State::Gone)]);
    made.branch(WHISPER, "main", TWO);
    made.with(WHISPER, TWO, "ggml-base.bin", "newer");
    assert_eq!(names(&look(&made)), [("base", State::NotPinned)]);
    // A name that is pinned is never taken away by what lies in the cache.
    pin(&made, "base", Role::Recogniser, &[("file:/m.bin", &own(&made, "m.bin", "mine"))]);
    let shelf = look(&made);
    assert_eq!(names(&shelf), [("base", State::Pinned)]);
    assert!(shelf.models[0].path.ends_with("own/m.bin"));
}

#[test]
fn a_voice_wants_both_files_side_by_side() {
    let made = Made::new();
    let (voice, json) = (own(&made, "v.onnx", "v"), own(&made, "v.onnx.json", "{}"));
    let elsewhere = own(&made, "w/v.onnx.json", "{}");
    let state = |files: &[(&str, &Path)]| {
        pin(&made, "v", Role::Voice, files);
        look(&made).models[0].state
    };
    assert_eq!(state(&[("u", &voice), ("u", &json)]), State::Pinned);
    assert_eq!(state(&[("u", &voice), ("u", &elsewhere)]), State::Gone);
    assert_eq!(state(&[("u", &voice)]), State::Gone);
}

#[test]
fn a_damaged_manifest_is_told_and_hides_nothing() {
    let made = Made::new();
    pin(&made, "mine", Role::Recogniser, &[("file:/m.bin", &own(&made, "m.bin", "m"))]);
    fs::write(data(&made).join("models/other.json"), "{").expect("written");
    fs::write(data(&made).join("models/newer.json"), r#"{"version": 9}"#).expect("written");
    let shelf = look(&made);
    assert_eq!(names(&shelf), [("mine", State::Pinned)]);
    let kinds: Vec<Kind> = shelf.damaged.iter().map(Error::kind).collect();
    assert_eq!(kinds, [Kind::Unsupported, Kind::DataLoss]);
}

#[test]
fn the_best_for_a_language_is_chosen_of_what_is_there() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    for (name, text) in [("base.en", "bb"), ("tiny", "t"), ("large-v3", "a large one")] {
        made.with(WHISPER, ONE, &format!("ggml-{name}.bin"), text);
    }
    pin(&made, "my-small", Role::Recogniser, &[("file:/h/ggml-small.en.bin", &own(&made, "m.bin", "sss"))]);
    pin(&made, "odd", Role::Recogniser, &[("file:/h/odd.bin", &own(&made, "o.bin", "o"))]);
    let shelf = Shelf { memory: None, ..look(&made) };
    let best = |shelf: &Shelf, language, translate| {
        shelf.best_recogniser(language, translate).map_or_else(String::new, |model| model.name.clone())
    };
    assert_eq!(best(&shelf, "de", false), "large-v3");
    let shelf = Shelf { memory: Some(5), ..shelf };
    assert_eq!((best(&shelf, "en", false), best(&shelf, "de", true)), ("my-small".into(), "tiny".into()));
    let small = shelf.find("my-small").expect("there");
    assert_eq!(small.languages, ["en"], "the name of the file that was imported tells");
}

#[test]
fn a_voice_that_has_no_key_says_itself_what_it_speaks() {
    let made = Made::new();
    let add = |name: &str, source: &str, json: &str| {
        let file = name.replace(':', "");
        let (voice, json) = (own(&made, &format!("{file}.onnx"), "v"), own(&made, &format!("{file}.onnx.json"), json));
        pin(&made, name, Role::Voice, &[(source, &voice), ("u", &json)]);
    };
    add("en_US-amy-low", "u", "{}");
    add("mine", "file:/x/mine.onnx", r#"{"language": {"code": "en_GB"}}"#);
    add("old", "file:/x/old.onnx", r#"{"espeak": {"voice": "de"}}"#);
    add("high", "https://h/en_US-other-high.onnx?download=true", "{}");
    add("odd", "u", r#"{"language": {"code": "e\u001bn"}}"#);
    add("broken", "u", "{");
    let shelf = look(&made);
    let speaks = |name: &str| shelf.find(name).expect("there").languages.join(" ");
    assert_eq!([speaks("mine"), speaks("old")], ["en-GB", "de"]);
    assert_eq!(shelf.find("high").expect("there").languages, ["en-US"]);
    assert!(shelf.find("odd").expect("there").languages.is_empty());
    assert!(shelf.find("broken").expect("there").languages.is_empty());
}
