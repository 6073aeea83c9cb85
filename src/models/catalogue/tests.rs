//! What names mean, what an index may hold, and who is chosen.

use super::{
    choice::{Need, Recogniser, recogniser},
    near::suggestions,
    source::parse,
    whisper::{FIRST, Traits, find, names},
    *,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lessac() -> Value {
    let path = "en/en_US/lessac/medium/en_US-lessac-medium.onnx";
    json!({"key": "en_US-lessac-medium", "name": "lessac", "quality": "medium", "num_speakers": 1, "speaker_id_map": {},
        "language": {"code": "en_US", "name_english": "English", "country_english": "United States"},
        "files": {(path): {"size_bytes": 63_000_000, "md5_digest": "0"}, (format!("{path}.json")): {"size_bytes": 4_885},
            "en/en_US/lessac/medium/MODEL_CARD": {"size_bytes": 351}},
        "aliases": ["en-us-lessac-low", "lessac"]})
}

/// An index of that voice, and of one that differs from it as told.
fn index_with(key: &str, change: impl FnOnce(&mut Value)) -> Index {
    let mut other = lessac();
    other["key"] = key.into();
    change(&mut other);
    let json = json!({"en_US-lessac-medium": lessac(), (key): other});
    Index::parse(json.to_string().as_bytes()).expect("one voice is good")
}

fn index() -> Index {
    index_with("de_DE-thorsten-high", |voice| voice["aliases"] = json!(["EN_us-lessac-medium"]))
}

fn paths(package: &Package) -> Vec<String> {
    package.parts.iter().map(|part| part.source.to_string()).collect()
}

fn refusal(name: &str, index: Option<&Index>) -> (Kind, String) {
    let error = package(name, index).expect_err("it is refused");
    (error.kind(), error.to_string())
}

#[test]
fn every_model_is_found_by_its_name_and_has_one_file() {
    assert_eq!(names().count(), 30);
    for name in names() {
        let traits = Traits::of(name).expect("its name tells what it is");
        assert_eq!(traits.is_english_only, name.contains(".en"), "{name}");
        assert_eq!(find(&format!("GGML-{name}.bin")), Some(name));
        let package = package(name, None).expect("it is known");
        assert_eq!((package.name.as_str(), package.parts.len(), package.role), (name, 1, Role::Recogniser));
    }
    let first = package(FIRST, None).expect("it is known");
    assert_eq!(paths(&first), ["hf:ggerganov/whisper.cpp/ggml-base.en-q5_1.bin"]);
    assert_eq!(first.parts[0].size, Some(57 << 20));
    let turns = package("small.en-tdrz", None).expect("it is known");
    assert_eq!(paths(&turns), ["hf:akashmjn/tinydiarize-whisper.cpp/ggml-small.en-tdrz.bin"]);
    for (name, meant) in [("large", "large-v3"), ("turbo", "large-v3-turbo"), (" Whisper-Base.EN ", "base.en")] {
        assert_eq!(package(name, None).expect("it is known").name, meant);
    }
}

#[test]
fn what_is_almost_right_is_suggested() {
    let of = |name| {
        let (kind, text) = refusal(name, Some(&index()));
        assert_eq!(kind, Kind::NotFound);
        text.split("; ").nth(1).expect("a way out").to_owned()
    };
    assert_eq!(of("bsae.en"), "did you mean `base.en`?");
    assert_eq!(of("large-v3-tur"), "did you mean `large-v3-turbo` or `large-v3-turbo-q5_0` or `large-v3-turbo-q8_0`?");
    assert_eq!(of("en_US-lesac-medium"), "did you mean `en_US-lessac-medium`?");
    assert_eq!(of("de-de-thor"), "did you mean `de_DE-thorsten-high`?");
    for far in ["gpt-4", &"x".repeat(500), "ü"] {
        assert_eq!(of(far), "`speechctl models list --available` shows what there is");
    }
    for none in ["", " ", "a\0b", "a\nb", &"x".repeat(513)] {
        assert!(!refusal(none, None).1.contains(['\0', '\n', 'x']));
    }
}

#[test]
fn a_voice_is_a_model_and_its_configuration() {
    let index = index();
    for name in ["en_US-lessac-medium", "EN_us_lessac-MEDIUM", "lessac", "en-us-lessac-low"] {
        let package = package(name, Some(&index)).expect("it is known");
        assert_eq!((package.name.as_str(), package.role), ("en_US-lessac-medium", Role::Voice));
        let sizes: Vec<_> = package.parts.iter().map(|part| part.size).collect();
        assert_eq!(sizes, [Some(63_000_000), Some(4_885)]);
        // Without the index the key alone leads to the same files.
        let blind = super::package(&package.name, None).expect("it looks like one");
        assert_eq!(paths(&blind), paths(&package));
    }
    let entry = index.find("lessac").expect("it is there");
    assert_eq!((entry.language.as_str(), entry.speakers), ("English, United States", 1));
    assert_eq!(index.voices().count(), 2);
    assert_eq!(refusal("en_US-nobody-low", Some(&index)).0, Kind::NotFound);
    assert_eq!(refusal("lessac", None).0, Kind::NotFound);
}

#[test]
fn a_bad_voice_is_left_out_and_the_others_stay() {
    let key = "xx_YY-bad-low";
    let is_left_out = |field: &str, value: Value| {
        let what = format!("{field}: {value}");
        let index = index_with(key, |voice| voice[field] = value);
        assert!(index.find(key).is_none() && index.find("lessac").is_some(), "{what}");
        assert!(index.left_out.len() == 1 && index.left_out[0].starts_with(key), "{what}");
    };
    is_left_out("key", "en_US-x-low".into());
    is_left_out("language", Value::Null);
    is_left_out("num_speakers", 0.into());
    is_left_out("files", json!({"a.onnx": {"size_bytes": 1}}));
    let files =
        |path: &str, size: Value| json!({(path): {"size_bytes": size}, (format!("{path}.json")): {"size_bytes": 5}});
    let mut two = files("a.onnx", 1.into());
    two["b.onnx"] = json!({"size_bytes": 1});
    is_left_out("files", two);
    let sizes = [json!(0), json!(-1), json!(u64::MAX), json!("1")].map(|size| files("a.onnx", size));
    let paths = ["../a.onnx", "/etc/a.onnx", "a//b.onnx", "a\\b.onnx", "a\u{7}.onnx"].map(|path| files(path, 1.into()));
    sizes.into_iter().chain(paths).for_each(|files| is_left_out("files", files));
    for text in ["", "<html>", "[]", "null", "{}", "{\"a\":1}", "{\"a\":", &"[".repeat(100_000)] {
        assert_eq!(Index::parse(text.as_bytes()).expect_err("it is none").kind(), Kind::InvalidInput);
    }
    assert!(Index::parse(&vec![b' '; voices::MAX_BYTES + 1]).expect_err("it is none").to_string().contains("16 MiB"));
}

#[test]
fn sources_are_read_as_they_are_written_and_copied() {
    for (text, meant) in [
        ("hf:o/r/f.bin", "hf:o/r/f.bin"),
        ("hf://o/r.x/a/b.bin@refs/pr/1", "hf:o/r.x/a/b.bin@refs/pr/1"),
        ("hf:o/r/a@2.bin@main", "hf:o/r/a@2.bin@main"),
        ("hf:o/r/a.bin@v1.0", "hf:o/r/a.bin@v1.0"),
        ("https://huggingface.co/o/r/blob/main/a%20b.bin?download=true", "hf:o/r/a b.bin"),
        ("https://HF.co/o/r/resolve/refs%2Fpr%2F1/f.bin", "hf:o/r/f.bin@refs/pr/1"),
        ("http://host:8080/x.onnx?a=1", "http://host:8080/x.onnx?a=1"),
    ] {
        assert_eq!(parse(text).expect("it is good").expect("it is a source").to_string(), meant);
    }
    for name in ["base.en", "hf", "/models/x.bin", "ftp://x/y.bin", "file.bin", "ÄÖ"] {
        assert_eq!(parse(name).expect("it is none"), None, "{name}");
    }
    let (repo, path, revision) = ("o/r".to_owned(), "a b/ü#?.bin".to_owned(), "refs/pr/1".to_owned());
    let url = HubFile { repo, path, revision }.url("http://hub:1/");
    assert_eq!(url, "http://hub:1/o/r/resolve/refs%2Fpr%2F1/a%20b/%C3%BC%23%3F.bin");
    let voice = package("https://host/v.ONNX?x=1", None).expect("it is a voice");
    assert_eq!(paths(&voice), ["https://host/v.ONNX?x=1", "https://host/v.ONNX.json?x=1"]);
}

#[test]
fn a_signed_url_may_be_long_and_its_key_is_in_no_name() {
    let signed = |key: &str| format!("https://h/{}.bin?sig={key}", "a".repeat(600));
    let name_of = |url: &str| package(url, None).expect("it is a model").name;
    let (one, other) = (signed(&"k".repeat(1000)), signed("other"));
    let short = files::sha256(format!("sig={}", "k".repeat(1000)).as_bytes());
    assert_eq!(name_of(&one), format!("https://h/{}.bin?{}", "a".repeat(600), short.split_at(8).0));
    assert!(name_of(&one) != name_of(&other) && paths(&package(&one, None).expect("it is a model")) == [one]);
    for plain in ["https://h/a.bin", "https://h/a.bin?", "https://h/a.bin#"] {
        assert_eq!(name_of(plain), "https://h/a.bin");
    }
    let (long, too_long) =
        (format!("https://h/v.onnx?{}", "k".repeat(4074)), format!("https://h/v.onnx?{}", "k".repeat(4075)));
    let parts = package(&long, None).expect("it is a voice").parts;
    assert!(parts.iter().all(|part| part.source.to_string().len() <= 4096), "a manifest can keep it");
    assert_eq!(refusal(&too_long, None).0, Kind::NotFound);
    let (kind, text) = refusal("https://h/a.txt?sig=secret", None);
    assert!(kind == Kind::InvalidInput && text.starts_with("`https://h/a.txt`: "), "{text}");
}

#[test]
fn sources_that_cannot_be_are_refused() {
    let wrong = r"hf: hf:o hf:o/r hf:o/r/ hf:o/r/../x.bin hf:../r/x.bin hf:o/r/a/./x.bin hf:o/r//x.bin hf:o/r--x/f.bin
        hf:-o/r/f.bin hf:o/r.git/f.bin hf:o/r/a\b.bin hf:o/r/f.bin@ hf:o/r/f.bin@-x hf:o/r/f.bin@a/../b hf:o/r/f.bin@a~1
        hf:ö/r/f.bin https:// https:///x.bin https://host/ https://user:secret@host/x.bin https://huggingface.co/o/r
        https://hf.co/o/r/resolve/main/%2e%2e/x.bin https://hf.co/o/r/resolve/main/%ff.bin
        https://hf.co/datasets/o/r/resolve/main/x.bin";
    for text in wrong.split_whitespace() {
        assert_eq!(parse(text).expect_err(text).kind(), Kind::InvalidInput, "{text}");
    }
    assert_eq!(refusal("hf:o/r/README.md", None).0, Kind::InvalidInput);
}

fn installed(names: &str) -> Vec<Recogniser> {
    names.split(' ').map(|name| Recogniser { name: name.to_owned(), size: 1_000 }).collect()
}

fn pick(names: &str, language: &str, translate: bool) -> String {
    let need = Need { language, translate, memory: None };
    recogniser(&installed(names), need).map_or("none", |model| &model.name).to_owned()
}

#[test]
fn the_best_installed_recogniser_is_chosen() {
    let all = "tiny small small.en small.en-q5_1 small-q8_0 small.en-tdrz my-own";
    assert_eq!(pick(all, "en", false), "small.en");
    assert_eq!(pick(all, "de", false), "small");
    assert_eq!(pick(all, "", false), "small");
    assert_eq!(pick(all, "EN", true), "small");
    assert_eq!(pick("base.en small", "en", false), "small");
    assert_eq!(pick("base.en-q5_1", "auto", false), "base.en-q5_1");
    assert_eq!(pick("base.en small.en-tdrz", "de", false), "none");
    assert_eq!(pick("medium large-v3-turbo", "de", true), "medium");
    assert_eq!(pick("medium large-v3-turbo", "yue", false), "large-v3-turbo");
    assert_eq!(pick("large-v2", "yue", false), "none");
    assert_eq!(pick("medium-q5_0 medium-q8_0 medium", "fr", false), "medium");
    assert_eq!(pick("my-own", "en", false), "my-own");
    assert_eq!(pick("my-own my-other", "en", false), "none");
    assert_eq!(pick("base.en-tdrz", "en", false), "none");
    let mut sizes = installed("large-v3 base");
    sizes[0].size = 3_000;
    let chosen = recogniser(&sizes, Need { language: "de", translate: false, memory: Some(3_000) });
    assert_eq!(chosen, Some(&sizes[1]));
}

proptest! {
    #[test]
    fn whatever_is_written_gives_a_package_or_a_reason(
        text in "\\PC{0,60}|(hf:|https://hf.co/)[a-z@./%_-]{0,40}|hf:o/r/[a@./]{1,9}(bin|onnx)[@./a]{0,6}"
    ) {
        let index = index();
        for index in [None, Some(&index)] {
            match package(&text, index) {
                // Its name means the same again, and no path leads out of a folder.
                Ok(found) => {
                    for part in &found.parts {
                        if let Source::Hub(file) = &part.source {
                            prop_assert!(source::is_path(&file.path) && source::is_path(&file.revision));
                        }
                    }
                    prop_assert_eq!(package(&found.name, index).expect("its name is one"), found);
                }
                Err(error) => prop_assert!(matches!(error.kind(), Kind::NotFound | Kind::InvalidInput)),
            }
        }
    }

    #[test]
    fn one_slip_of_the_finger_is_understood(which in 0_usize..30, place in 0_usize..20, letter in "[a-z]") {
        let name = names().nth(which).expect("a name");
        let place = place % name.len();
        let mut typed = name.to_owned();
        typed.replace_range(place..=place, &letter);
        let near = suggestions(&typed, names());
        // Where many are as near, not all are told.
        prop_assert!(find(&typed).is_some() || near.contains(&name) || near.len() == 3, "{typed} for {name}");
    }
}
