//! What is installed: listed, checked, used, taken away; whoever put it there.

use crate::harness::{
    eventually,
    home::{FILE, Home, NAME, ONNX, ONNX_JSON, REPO, VOICE, VOICES, files, noise, selftest, test_voice},
    hub::{Hub, digest},
    sample,
    server::Server,
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// What the model writes down of a recording that all tests have.
const TEXT: &str = "set a timer for ten minutes\n";

fn talk() -> String {
    sample("timer.wav").display().to_string()
}

/// A hub with the model and the voice.
fn hub() -> (Hub, Vec<u8>) {
    let (hub, model, [onnx, json]) = (Hub::start(), selftest(), test_voice());
    hub.put(REPO, FILE, &model);
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    (hub, model)
}

/// A home in which both are installed.
fn home_with_both() -> (Hub, Home, Vec<u8>) {
    let (hub, model) = hub();
    let home = Home::of(&hub);
    home.does(&["models", "pull", NAME, VOICE]);
    hub.forget();
    (hub, home, model)
}

#[test]
fn the_table_and_the_document() {
    let (hub, home, _) = home_with_both();
    home.lay(REPO, &hub.commit(REPO), "ggml-tiny.bin", &noise(1_000));
    let rows: String = [
        "models list",
        "models list --language de",
        "models list --json",
        "models path base.en-q5_1",
        "models path en_US-test-medium",
        "models path tiny",
        "models path base.en",
        "models path nobody",
        "models verify",
        "models verify --json",
    ]
    .iter()
    .map(|line| home.row(line))
    .collect();
    insta::assert_snapshot!(rows);
    assert_eq!(hub.log().len(), 0, "who only looks asks nobody");
}

#[test]
fn nothing_is_installed_at_first_and_looking_changes_nothing() {
    let hub = Hub::start();
    let home = Home::of(&hub);
    assert!(home.models().is_empty());
    home.does(&["models", "list"]);
    home.does(&["models", "verify"]);
    assert_eq!((home.sandbox.files(), hub.connections()), (Vec::new(), 0));
}

#[test]
fn what_others_have_put_into_the_cache_is_found_and_checked() {
    let (hub, model) = hub();
    let home = Home::of(&hub);
    home.lay(REPO, &hub.commit(REPO), FILE, &model);
    assert_eq!(home.state_of(NAME), "not pinned");
    assert_eq!(home.run(&["stt", &talk(), "--model", NAME]).good_text(), TEXT);
    assert!(home.manifests().is_empty(), "use pins nothing");
    home.does(&["models", "verify", NAME]);
    assert_eq!(home.state_of(NAME), "installed");
    assert_eq!(home.manifests()[0]["files"][0]["sha256"], digest::sha256(&model));
    assert_eq!(hub.connections(), 0);
}

#[test]
fn what_has_changed_is_told_and_mended() {
    let (hub, home, model) = home_with_both();
    let blob = home.blob(REPO, &digest::sha256(&model));
    let mut damaged = model.clone();
    damaged[model.len() / 2] ^= 1;
    fs::write(&blob, &damaged).expect("it is written");
    let shown = home.run(&["models", "verify"]);
    assert_eq!(shown.code(), "1", "{}", shown.stderr);
    let said = format!("{}{}", shown.stdout_lossy(), shown.stderr);
    assert!(said.contains(NAME) || said.contains(FILE), "{said}");
    assert_eq!(home.run(&["models", "verify", VOICE]).code(), "0", "the other one is well");
    home.does(&["models", "pull", NAME, "--force"]);
    home.assert_has(&hub, REPO, FILE, &model);
    home.does(&["models", "verify"]);
    // Of another size, and not there at all, it is gone.
    for damage in [&|blob: &Path| fs::write(blob, b"short"), &|blob: &Path| fs::remove_file(blob)]
        as [&dyn Fn(&Path) -> std::io::Result<()>; 2]
    {
        damage(&blob).expect("it is ours");
        assert_eq!(home.state_of(NAME), "gone");
        assert_eq!(home.run(&["stt", &talk(), "--model", NAME]).code(), "4");
        assert_ne!(home.run(&["models", "verify", NAME]).code(), "0");
        home.does(&["models", "pull", NAME]);
        home.assert_has(&hub, REPO, FILE, &model);
        assert_eq!(home.state_of(NAME), "installed");
    }
}

#[test]
fn what_is_removed_is_gone_and_nothing_else() {
    let (hub, home, model) = home_with_both();
    let neighbour = noise(1_000);
    home.lay(REPO, &hub.commit(REPO), "ggml-tiny.bin", &neighbour);
    // Another commit has the same file by another name.
    let older = home.snapshot(REPO, &"0".repeat(40), "renamed");
    fs::create_dir_all(older.parent().expect("a folder")).expect("it can be made");
    symlink(format!("../../blobs/{}", digest::sha256(&model)), &older).expect("a link");
    home.does(&["models", "remove", VOICE]);
    assert!(files(&home.repository(VOICES)).is_empty(), "{:?}", files(&home.repository(VOICES)));
    assert_eq!((home.state_of(VOICE), home.state_of(NAME)), (String::new(), "installed".to_owned()));
    home.does(&["models", "remove", NAME]);
    assert_eq!(home.state_of(NAME), "");
    assert!(!home.snapshot(REPO, &hub.commit(REPO), FILE).exists());
    assert!(fs::read(&older).is_ok_and(|bytes| bytes == model), "somebody else's name for it");
    assert!(fs::read(home.snapshot(REPO, &hub.commit(REPO), "ggml-tiny.bin")).is_ok_and(|bytes| bytes == neighbour));
    assert!(home.manifests().is_empty());
    for code in ["4", "4"] {
        assert_eq!(home.run(&["models", "remove", NAME]).code(), code, "there is none any more");
    }
    home.does(&["models", "pull", NAME]);
    assert_eq!(home.run(&["stt", &talk(), "--model", NAME]).good_text(), TEXT);
}

#[test]
fn a_blob_in_a_store_for_all_is_left_to_its_owner() {
    let (hub, model) = hub();
    let home = Home::of(&hub);
    home.lay(REPO, &hub.commit(REPO), FILE, &model);
    let blob = home.blob(REPO, &digest::sha256(&model));
    let shared = home.cache().join("blobs/ab").join("ab".repeat(32));
    fs::create_dir_all(shared.parent().expect("a folder")).expect("it can be made");
    fs::rename(&blob, &shared).expect("it is ours");
    symlink(format!("../../blobs/ab/{}", "ab".repeat(32)), &blob).expect("a link");
    home.does(&["models", "verify", NAME]);
    assert_eq!(home.state_of(NAME), "installed");
    assert_eq!(home.run(&["stt", &talk(), "--model", NAME]).good_text(), TEXT);
    home.does(&["models", "remove", NAME]);
    assert_eq!(home.state_of(NAME), "");
    assert!(!blob.is_symlink() && shared.exists());
}

#[test]
fn what_lies_elsewhere_is_never_removed() {
    let (_hub, home, _) = home_with_both();
    home.sandbox.file("precious.bin", &noise(1_000));
    let precious = home.sandbox.path().join("precious.bin");
    let manifest = home.manifest_files().into_iter().find(|path| text_of(path).contains(NAME)).expect("it is there");
    let mut changed: Value = serde_json::from_str(&text_of(&manifest)).expect("JSON");
    changed["files"][0]["path"] = json!(precious);
    changed["files"][0]["size"] = json!(1_000);
    fs::write(&manifest, changed.to_string()).expect("it is written");
    home.run(&["models", "remove", NAME]);
    assert!(precious.exists());
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).expect("it is there")
}

#[test]
fn a_model_in_use_is_not_removed() {
    let (_hub, home, _) = home_with_both();
    let server = Server::start(&home.sandbox, &["--spares", "never"]);
    let at = ["--server", &server.address];
    assert_eq!(home.run(&[&["stt", &talk(), "--model", NAME][..], &at].concat()).good_text(), TEXT);
    home.run(&[&["tts", "hello", "--voice", VOICE, "-o", "out.wav"][..], &at].concat()).good();
    let workers = server.workers();
    for name in [NAME, VOICE] {
        let shown = home.run(&["models", "remove", name]);
        assert_eq!(shown.code(), "5", "{}", shown.stderr);
        assert!(workers.iter().any(|pid| shown.stderr.contains(&format!("process {pid}"))), "{}", shown.stderr);
        assert_eq!(home.state_of(name).replace("in use", "installed"), "installed", "nothing of it is gone");
    }
    assert_eq!(home.run(&[&["stt", &talk(), "--model", NAME][..], &at].concat()).good_text(), TEXT);
    server.stop();
    eventually("the system has let go of it", || home.run(&["models", "remove", NAME]).code() == "0");
    assert_eq!(home.state_of(NAME), "");
}

#[test]
fn a_server_finds_what_comes_and_goes() {
    let (hub, model) = hub();
    let home = Home::of(&hub);
    let server = Server::start(&home.sandbox, &["--spares", "never"]);
    let stt = |flags: &[&str]| home.run(&[&["stt", &talk(), "--server", &server.address][..], flags].concat());
    for flags in [&["--model", NAME][..], &[]] {
        assert_eq!(stt(flags).code(), "4");
    }
    home.lay(REPO, &hub.commit(REPO), FILE, &model);
    for flags in [&["--model", NAME][..], &[]] {
        assert_eq!(stt(flags).good_text(), TEXT, "{flags:?}");
    }
}

#[test]
fn what_was_left_half_is_removed_when_asked() {
    let (hub, home, model) = home_with_both();
    let other = noise(10_000);
    home.leave_partial(REPO, "other.bin", &other, &other[..5_000]);
    let theirs = home.blob(REPO, &format!("{}.0123abcd.incomplete", digest::sha256(&other)));
    fs::write(&theirs, b"Python's").expect("it is written");
    home.does(&["models", "remove", "--partial"]);
    assert!(!home.partial(REPO, &digest::sha256(&other)).exists());
    assert!(theirs.exists(), "what is not ours may be in use");
    home.assert_has(&hub, REPO, FILE, &model);
}

#[test]
fn files_are_imported() {
    let (hub, model) = hub();
    let home = Home::of(&hub);
    let [onnx, config] = test_voice();
    home.sandbox.file("mine.bin", &model);
    home.sandbox.file("amy.onnx", &onnx);
    home.sandbox.file("amy.onnx.json", &config);
    home.does(&["models", "import", "mine.bin"]);
    home.does(&["models", "import", "mine.bin"]);
    home.does(&["models", "import", "amy.onnx", "--name", "my-amy"]);
    let imported: Vec<String> =
        home.models().iter().map(|model| model["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(imported.len(), 2, "{imported:?}");
    let name = imported.iter().find(|name| *name != "my-amy").expect("the other one");
    assert!(name.starts_with("mine"), "{name}");
    // The user's own files are not needed any more.
    for file in ["mine.bin", "amy.onnx", "amy.onnx.json"] {
        fs::remove_file(home.sandbox.path().join(file)).expect("it is untouched");
    }
    assert_eq!(home.run(&["stt", &talk(), "--model", name]).good_text(), TEXT);
    home.run(&["tts", "hello", "--voice", "my-amy", "-o", "out.wav"]).good();
    home.does(&["models", "verify"]);
    let path = PathBuf::from(home.run(&["models", "path", name]).good_text().trim_end());
    assert!(path.starts_with(home.data()), "{}", path.display());
    home.does(&["models", "remove", name]);
    assert!(!path.exists());
    assert_eq!(hub.connections(), 0);
}

#[test]
fn what_is_no_model_is_not_imported() {
    let (hub, model) = hub();
    let home = Home::of(&hub);
    let [onnx, config] = test_voice();
    for (name, bytes) in [
        ("half.bin", &model[..model.len() / 2]),
        ("text.bin", b"this is no model, it only says so"),
        ("empty.bin", b""),
        ("whole.bin", &model),
        ("whole.txt", &model),
        ("alone.onnx", &onnx),
        ("half.onnx", &onnx[..onnx.len() / 2]),
        ("half.onnx.json", &config),
        ("text.onnx", b"this is no network"),
        ("text.onnx.json", &config),
        ("config.onnx", &onnx),
        ("config.onnx.json", b"{"),
    ] {
        home.sandbox.file(name, bytes);
    }
    let before = home.sandbox.files();
    let rows: String = [
        "half.bin",
        "text.bin",
        "empty.bin",
        "whole.txt",
        "alone.onnx",
        "half.onnx",
        "text.onnx",
        "config.onnx",
        "no-such.bin",
        ".",
        "/dev/zero",
        "whole.bin --name ../x",
        "whole.bin --name selftest",
        "whole.bin --name \"\"",
        "whole.bin --name hf:o/r/x.bin",
        "whole.bin --name espeak",
        "whole.bin --name en-US",
        "whole.bin --name de+f3",
    ]
    .iter()
    .map(|line| {
        let row = home.row(&format!("models import {line}"));
        assert!(!row.contains("\nexit 0\n"), "{row}");
        row
    })
    .collect();
    insta::assert_snapshot!(rows);
    assert!(home.models().is_empty());
    let left: Vec<PathBuf> = files(&home.data());
    assert!(left.is_empty(), "{left:?}");
    home.does(&["models", "import", "whole.bin"]);
    home.sandbox.file("whole.bin", &noise(5));
    assert!(before.iter().all(|name| home.sandbox.files().contains(name)));
}

#[test]
fn what_is_built_in_or_gone_is_told_as_what_it_is() {
    let hub = Hub::start();
    let home = Home::of(&hub);
    let [onnx, config] = test_voice();
    home.sandbox.file("my voice.onnx", &onnx);
    home.sandbox.file("my voice.onnx.json", &config);
    home.does(&["models", "import", "my voice.onnx"]);
    let path = home.run(&["models", "path", "my voice"]).good_text();
    fs::remove_file(path.trim_end()).expect("it was there");
    let lines = [
        "models path selftest",
        "models remove espeak",
        "models verify en-us",
        "models pull mock",
        "models path \"my voice\"",
        "models verify \"my voice\"",
        "tts hello --voice \"my voice\" -o out.wav",
        "stt talk.wav --model \"my voice\"",
    ];
    home.sandbox.file("talk.wav", &fs::read(talk()).expect("the sample"));
    insta::assert_snapshot!(lines.map(|line| home.row(line)).concat());
    // As it is told.
    home.does(&["models", "import", "my voice.onnx", "--name", "my voice"]);
    home.does(&["tts", "hello", "--voice", "my voice", "-o", "out.wav"]);
}

#[test]
fn a_manifest_that_is_damaged() {
    let (hub, home, model) = home_with_both();
    let manifest = home.manifest_files().into_iter().find(|path| text_of(path).contains(VOICE)).expect("it is there");
    let good = text_of(&manifest);
    let changed = |pointer: &str, value: Value| {
        let mut document: Value = serde_json::from_str(&good).expect("JSON");
        *document.pointer_mut(pointer).expect("it is there") = value;
        document.to_string().into_bytes()
    };
    let cases = [
        ("empty", Vec::new()),
        ("half", good.as_bytes()[..good.len() / 2].to_vec()),
        ("no JSON", b"this is no JSON".to_vec()),
        ("no text", vec![0xFF; 100]),
        ("a list", b"[]".to_vec()),
        ("deep", b"[".repeat(60_000)),
        ("large", vec![b' '; 100_000]),
        ("of a later version", changed("/version", json!(2))),
        ("of another name", changed("/name", json!("../../x"))),
        ("of no files", changed("/files", json!([]))),
        ("of a negative size", changed("/files/0/size", json!(-1))),
        ("of a path that is none", changed("/files/0/path", json!("a\0b"))),
        ("of a relative path", changed("/files/0/path", json!("../../../x.onnx"))),
        ("of no digest", changed("/files/0/sha256", json!("abc"))),
        ("of no role", changed("/role", json!("king"))),
    ];
    for (what, bytes) in cases {
        fs::write(&manifest, bytes).expect("it is written");
        let shown = home.run(&["models", "list"]);
        assert!(shown.stdout_lossy().contains(NAME), "{what}: the others are there: {shown:?}");
        assert!(!shown.stderr.contains("panicked") && shown.code() != "101", "{what}: {shown:?}");
        assert_eq!(home.state_of(NAME), "installed", "{what}");
        home.run(&["models", "remove", VOICE]);
        home.does(&["models", "pull", VOICE]);
        assert_eq!(home.state_of(VOICE), "installed", "{what}: it is mended");
        assert_eq!(home.run(&["models", "verify"]).code(), "0", "{what}");
    }
    home.assert_has(&hub, REPO, FILE, &model);
}

#[test]
fn a_manifest_that_others_can_read_is_not_written() {
    use std::os::unix::fs::PermissionsExt;
    let (_hub, home, _) = home_with_both();
    for path in home.manifest_files() {
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(home.data()).expect("it is there").permissions().mode() & 0o777, 0o700);
}
