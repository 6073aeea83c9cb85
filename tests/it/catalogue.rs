//! What names mean: those of the catalogue, voices of the index, files of the hub, URLs.

use crate::harness::{
    home::{FILE, Home, NAME, ONNX, ONNX_JSON, REPO, VOICE, VOICES, noise, test_voice},
    hub::{At, Fault, Hub, digest},
    sample,
};
use serde_json::{Value, json};
use std::fs;

/// A voice as the index has it; what is told differs.
fn entry(key: &str, [code, language, country]: [&str; 3], change: impl FnOnce(&mut Value)) -> (String, Value) {
    let mut parts = key.splitn(3, '-');
    let (_, name, quality) = (parts.next(), parts.next().expect("a name"), parts.next().expect("a quality"));
    let family = &code[..2];
    let path = format!("{family}/{code}/{name}/{quality}/{key}.onnx");
    let mut entry = json!({"key": key, "name": name, "quality": quality, "num_speakers": 1, "speaker_id_map": {},
        "language": {"code": code, "family": family, "name_english": language, "country_english": country},
        "files": {(path.as_str()): {"size_bytes": 63_000_000, "md5_digest": "0"}, (format!("{path}.json")): {"size_bytes": 4_885}},
        "aliases": [format!("{}-{name}-{quality}", family)]});
    change(&mut entry);
    (key.to_owned(), entry)
}

const ENGLISH: [&str; 3] = ["en_US", "English", "United States"];

/// A hub with the index of voices: good ones, and some that cannot be.
fn hub_with_index() -> Hub {
    let hub = Hub::start();
    let path = |path: &str| json!({(path): {"size_bytes": 1}, (format!("{path}.json")): {"size_bytes": 1}});
    let entries = [
        entry(VOICE, ENGLISH, |_| {}),
        entry("en_GB-alan-low", ["en_GB", "English", "Great Britain"], |_| {}),
        entry("de_DE-thorsten-high", ["de_DE", "German", "Germany"], |_| {}),
        entry("en_US-outside-low", ENGLISH, |voice| voice["files"] = path("../../outside.onnx")),
        entry("en_US-half-low", ENGLISH, |voice| voice["files"] = json!({"half.onnx": {"size_bytes": 1}})),
        entry("en_US-odd-low", ENGLISH, |voice| voice["num_speakers"] = json!("many")),
        ("en_US-null-low".to_owned(), Value::Null),
        ("\u{1b}[2J".to_owned(), json!({})),
    ];
    let index: serde_json::Map<String, Value> = entries.into_iter().collect();
    hub.put(VOICES, "voices.json", Value::Object(index).to_string().as_bytes());
    let [onnx, json] = test_voice();
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    hub
}

#[test]
fn names_that_are_almost_right() {
    let hub = hub_with_index();
    let home = Home::of(&hub);
    fs::copy(sample("timer.wav"), home.sandbox.path().join("talk.wav")).expect("the sample");
    let long = "x".repeat(600);
    let mut rows: String = [
        "models pull bsae.en",
        "models pull large-v3-tur",
        "models pull en-us",
        "models pull gpt-4",
        "models pull \"\"",
        "models path bsae.en",
        "models verify bsae.en",
        "models remove bsae.en",
        "stt talk.wav --model bsae.en",
        "tts hi --voice en_US-tset-medium",
    ]
    .iter()
    .map(|line| home.row(line))
    .collect();
    rows.push_str(&home.row(&format!("models pull {long}")).replace(&long, "[600 letters]"));
    insta::assert_snapshot!(rows);
    assert!(hub.log().iter().all(|asked| asked.at != At::Body), "nothing was fetched for it");
}

#[test]
fn one_model_has_many_names_and_is_there_once() {
    let (hub, bytes) = (Hub::start(), noise(1_000));
    hub.put(REPO, FILE, &bytes);
    let home = Home::of(&hub);
    for name in [NAME, "ggml-base.en-q5_1.bin", "BASE.en-Q5_1", "whisper-base.en-q5_1"] {
        home.does(&["models", "pull", name]);
        let path = home.snapshot(REPO, &hub.commit(REPO), FILE);
        assert_eq!(home.run(&["models", "path", name]).good_text(), format!("{}\n", path.display()), "{name}");
    }
    assert_eq!((home.manifests().len(), hub.count(At::Body, FILE)), (1, 1));
}

#[test]
fn an_index_with_bad_voices() {
    let hub = hub_with_index();
    let home = Home::of(&hub);
    let list = home.does(&["models", "list", "--available"]);
    for (name, is_listed) in [
        (VOICE, true),
        ("de_DE-thorsten-high", true),
        ("base.en-q5_1", true),
        ("outside", false),
        ("en_US-half-low", false),
        ("en_US-odd-low", false),
        ("\u{1b}", false),
    ] {
        assert_eq!(list.contains(name), is_listed, "{name}: {list}");
    }
    // Once a day is enough, and it is for those too who cannot ask.
    let before = hub.connections();
    assert_eq!(home.does(&["models", "list", "--available"]), list);
    let home = home.with_env("HF_HUB_OFFLINE", "1");
    assert_eq!(home.does(&["models", "list", "--available"]), list);
    assert_eq!(hub.connections(), before);
    // What it says is enough to pull a voice.
    let home = Home::of(&hub);
    home.does(&["models", "list", "--available"]);
    home.does(&["models", "pull", "EN_us-TEST-medium"]);
    assert_eq!(home.state_of(VOICE), "installed");
}

#[test]
fn an_index_that_is_none_leaves_what_is_certain() {
    for (name, index) in [("a page", &b"<html>"[..]), ("nothing", b""), ("a list", b"[]"), ("no voice", b"{}")] {
        let hub = Hub::start();
        hub.put(VOICES, "voices.json", index);
        let shown = Home::of(&hub).run(&["models", "list", "--available"]);
        assert!(shown.stdout_lossy().contains(NAME), "{name}: {}", shown.stderr);
        assert!(!shown.stderr.is_empty(), "{name}: it is told");
    }
    // Nobody answers: a word, and what is built in.
    let hub = Hub::start();
    hub.on(At::Head, "voices.json", .., Fault::Status(404, vec![]));
    hub.on(At::Get, "voices.json", .., Fault::Status(404, vec![]));
    let shown = Home::of(&hub).with_env("HF_HUB_OFFLINE", "1").run(&["models", "list", "--available"]);
    assert!(shown.stdout_lossy().contains(NAME), "{}", shown.stderr);
    assert!(shown.stderr.contains("HF_HUB_OFFLINE"), "it is told why there are no voices: {:?}", shown.stderr);
    assert_eq!(hub.connections(), 0);
}

#[test]
fn voices_by_language() {
    let hub = hub_with_index();
    let home = Home::of(&hub);
    for (language, yes, no) in
        [("de", "de_DE-thorsten-high", VOICE), ("en", VOICE, "de_DE-thorsten-high"), ("en-GB", "en_GB-alan-low", VOICE)]
    {
        let list = home.does(&["models", "list", "--available", "--language", language]);
        assert!(list.contains(yes) && !list.contains(no), "{language}: {list}");
    }
    let shown = home.run(&["models", "list", "--available", "--language", "klingon"]);
    assert_eq!(shown.code(), "3", "{}", shown.stdout_lossy());
    // Without asking, only what is here.
    assert!(!home.does(&["voices", "--language", "en"]).contains(VOICE));
    home.does(&["models", "pull", VOICE]);
    assert!(home.does(&["voices", "--language", "en"]).contains(VOICE));
    // A region's own voice goes before another that is built in.
    home.run(&["tts", "hello", "--region", "en-US", "-o", "out.wav"]).good();
    let rate = hound::WavReader::open(home.sandbox.path().join("out.wav")).expect("it speaks").spec().sample_rate;
    let config: Value = serde_json::from_slice(&test_voice()[1]).expect("JSON");
    assert_eq!(config["audio"]["sample_rate"], rate);
}

#[test]
fn hf_files_and_urls() {
    let (hub, bytes) = (Hub::start(), noise(10_000));
    let [onnx, json] = test_voice();
    hub.put("o/r", "a folder/mine.bin", &bytes);
    hub.put("o/r", "a folder/v.onnx", &onnx);
    hub.put("o/r", "a folder/v.onnx.json", &json);
    hub.tag("o/r", "v1.0");
    let (old, first) = (hub.commit("o/r"), bytes.clone());
    hub.push("o/r", "a folder/mine.bin", &bytes[..5_000]);
    let urls = [hub.put_at_store("x.bin", &bytes), hub.put_at_store("y.onnx", &onnx)];
    hub.put_at_store("y.onnx.json", &json);
    let home = Home::of(&hub);
    for (source, name, whole) in [
        ("hf:o/r/a folder/mine.bin", "hf:o/r/a folder/mine.bin", &bytes[..5_000]),
        ("https://huggingface.co/o/r/blob/main/a%20folder/mine.bin", "hf:o/r/a folder/mine.bin", &bytes[..5_000]),
        ("hf:o/r/a folder/mine.bin@v1.0", "hf:o/r/a folder/mine.bin@v1.0", &first),
        ("hf:o/r/a folder/v.onnx", "hf:o/r/a folder/v.onnx", &onnx),
        (&urls[0], &urls[0], &bytes),
        (&urls[1], &urls[1], &onnx),
    ] {
        home.does(&["models", "pull", source]);
        let path = home.run(&["models", "path", name]).good_text();
        assert!(fs::read(path.trim_end()).expect("it is there") == whole, "{source}");
        assert_eq!(home.state_of(name), "installed", "{source}");
        let is_voice = source.ends_with(".onnx");
        assert_eq!(fs::read(format!("{}.json", path.trim_end())).is_ok(), is_voice, "{source}");
    }
    assert!(fs::read(home.snapshot("o/r", &old, "a folder/mine.bin")).expect("it is there") == first);
    assert_eq!(fs::read_to_string(home.repository("o/r").join("refs/v1.0")).expect("a reference"), old);
    // Again, it costs no byte of a body.
    hub.forget();
    home.does(&["models", "pull", "hf:o/r/a folder/mine.bin@v1.0", &urls[0]]);
    assert_eq!(hub.log().iter().filter(|asked| asked.at == At::Body).count(), 0, "{:?}", hub.log());
    home.run(&["tts", "hello", "--voice", "hf:o/r/a folder/v.onnx", "-o", "out.wav"]).good();
}

#[test]
fn a_url_is_trusted_when_it_is_first_used() {
    let (hub, bytes) = (Hub::start(), noise(100_000));
    let url = hub.put_at_store("x.bin", &bytes);
    let home = Home::of(&hub);
    // Cut, it goes on, as long as it is the same file.
    hub.on(At::Body, "x.bin", ..1, Fault::CutAt(40_000));
    home.does(&["models", "pull", &url]);
    assert_eq!(hub.bodies("x.bin"), [0, 40_000]);
    let last = hub.log().pop().expect("it was asked");
    let etag = format!("\"{}\"", digest::git_sha1(&bytes));
    assert_eq!(last.header("if-range"), Some(etag.as_str()));
    assert_eq!(home.manifests()[0]["files"][0]["sha256"], digest::sha256(&bytes));
    // Another file at the same place is not what was meant.
    let other = noise(99_999);
    hub.put_at_store("x.bin", &other);
    let shown = home.run(&["models", "pull", &url]);
    assert_eq!(shown.code(), "1", "{}", shown.stderr);
    let path = |home: &Home| home.run(&["models", "path", &url]).good_text();
    assert!(fs::read(path(&home).trim_end()).expect("it is there") == bytes);
    home.does(&["models", "pull", &url, "--force"]);
    assert!(fs::read(path(&home).trim_end()).expect("it is there") == other);
}

#[test]
fn a_url_that_changes_in_the_middle_is_begun_again() {
    let (hub, bytes) = (Hub::start(), noise(100_000));
    let url = hub.put_at_store("x.bin", &bytes);
    let other: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
    hub.on(At::Body, "x.bin", ..1, Fault::CutAt(40_000));
    let pause = hub.pause_at("x.bin", 40_000);
    let home = Home::of(&hub);
    let pull = home.start(&["models", "pull", &url]);
    pause.wait();
    hub.put_at_store("x.bin", &other);
    pause.go_on();
    let shown = pull.end();
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    let path = home.run(&["models", "path", &url]).good_text();
    assert!(fs::read(path.trim_end()).expect("it is there") == other, "no half of one and half of the other");
}

#[test]
fn a_url_of_a_server_that_tells_little() {
    let (hub, bytes) = (Hub::start(), noise(100_000));
    let url = hub.put_at_store("x.bin", &bytes);
    // It answers GET alone, and knows no ranges.
    hub.on(At::Head, "x.bin", .., Fault::Status(405, vec![]));
    hub.on(At::Body, "x.bin", .., Fault::NoRanges);
    let home = Home::of(&hub);
    home.does(&["models", "pull", &url]);
    let path = home.run(&["models", "path", &url]).good_text();
    assert!(fs::read(path.trim_end()).expect("it is there") == bytes);
}

#[test]
fn sources_that_cannot_be() {
    let hub = Hub::start();
    let home = Home::of(&hub);
    let rows: String = [
        "models pull hf:o/r",
        "models pull hf:o/r/README.md",
        "models pull hf:o/r/../../x.bin",
        "models pull hf:o/r/x.bin@../../y",
        "models pull https://user:secret@host.test/x.bin",
        "models pull https://huggingface.co/o/r",
        "models pull http://host.test/",
        "models pull ftp://host.test/x.bin",
        "models pull ./x.bin",
    ]
    .iter()
    .map(|line| home.row(line))
    .collect();
    insta::assert_snapshot!(rows);
    assert!(hub.log().iter().all(|asked| asked.file == "voices.json"), "none of it leaves this machine");
}

#[test]
fn an_entry_whose_file_has_gone() {
    let hub = hub_with_index();
    hub.put(REPO, "another.bin", b"x");
    hub.remove(VOICES, ONNX_JSON);
    let home = Home::of(&hub);
    let rows: String =
        ["models pull base.en", &format!("models pull {VOICE}")].iter().map(|line| home.row(line)).collect();
    insta::assert_snapshot!(rows);
    home.assert_has_nothing();
}
