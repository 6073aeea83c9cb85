//! The cache is shared with Python's `huggingface_hub`: what one has pulled, the other one finds.
//!
//! Skipped, with a word, where no Python has it. `HF_HUB_DISABLE_XET` is what it does without the package hf_xet.

use crate::harness::{
    eventually,
    home::{FILE, Home, NAME, ONNX, ONNX_JSON, REPO, VOICE, VOICES, noise, selftest, test_voice},
    hub::{Asked, At, Hub, digest},
    process::Running,
    sample,
};
use std::{
    fs,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// A Python that has it.
fn python() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let has_it = |python: &String| {
        let mut command = Command::new(python);
        command.args(["-c", "import huggingface_hub"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let named = std::env::var("SPEECHCTL_TEST_PYTHON").ok();
    let all = || named.into_iter().chain(["python3", "/usr/bin/python3"].map(str::to_owned));
    let found = FOUND.get_or_init(|| all().find(has_it)).as_deref();
    if found.is_none() {
        let must = std::env::var_os("SPEECHCTL_TEST_ALL").is_some();
        assert!(!must, "no Python has huggingface_hub, and all tests must run");
        println!("skipped: no Python has huggingface_hub; see tests/clients/README.md");
    }
    found
}

/// A script, with the variables that the program itself would have.
fn script(home: &Home, python: &str, env: &[(&str, &str)], script: &str) -> Running {
    let ours = home.sandbox.command::<&str>(&[]);
    let mut command = Command::new(python);
    command.args(["-c", script]).current_dir(home.sandbox.path()).env_clear();
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Of whoever runs the tests: where Python and its packages are.
    command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "PYENV_ROOT"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("HF_HUB_DISABLE_TELEMETRY", "1").envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(command)
}

fn download(repository: &str, file: &str) -> String {
    format!("from huggingface_hub import hf_hub_download as get; print(get('{repository}', '{file}'))")
}

/// What a script says, which must do well.
#[track_caller]
fn said(running: Running) -> String {
    let shown = running.end();
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    shown.stdout_lossy().trim_end().to_owned()
}

const WITH_AND_WITHOUT_XET: [&[(&str, &str)]; 2] = [&[], &[("HF_HUB_DISABLE_XET", "1")]];

#[test]
fn what_python_pulled_is_found() {
    let Some(python) = python() else { return };
    for env in WITH_AND_WITHOUT_XET {
        let (hub, model, [onnx, json]) = (Hub::start(), selftest(), test_voice());
        hub.put(REPO, FILE, &model);
        hub.put(VOICES, ONNX, &onnx);
        hub.put(VOICES, ONNX_JSON, &json);
        let home = Home::of(&hub);
        let path = said(script(&home, python, env, &download(REPO, FILE)));
        for file in [ONNX, ONNX_JSON] {
            said(script(&home, python, env, &download(VOICES, file)));
        }
        let before = hub.connections();
        assert_eq!(home.run(&["models", "path", NAME]).good_text().trim_end(), path);
        for name in [NAME, VOICE] {
            assert_eq!(home.state_of(name), "not pinned", "{name}");
        }
        let talk = sample("timer.wav").display().to_string();
        assert_eq!(home.run(&["stt", &talk]).good_text(), "set a timer for ten minutes\n");
        home.does(&["models", "verify"]);
        assert_eq!(hub.connections(), before);
        // A pull has nothing left to do.
        hub.forget();
        home.does(&["models", "pull", NAME, VOICE]);
        let is_question = |asked: &Asked| asked.at == At::Head || asked.file == "voices.json";
        assert!(hub.log().iter().all(is_question), "{:?}", hub.log());
    }
}

#[test]
fn what_we_pulled_python_finds_offline() {
    let Some(python) = python() else { return };
    let (hub, bytes, [onnx, json]) = (Hub::start(), noise(100_000), test_voice());
    hub.put(REPO, FILE, &bytes);
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    let home = Home::of(&hub);
    home.does(&["models", "pull", NAME, VOICE]);
    let before = hub.connections();
    for (repository, file) in [(REPO, FILE), (VOICES, ONNX), (VOICES, ONNX_JSON)] {
        let path = said(script(&home, python, &[("HF_HUB_OFFLINE", "1")], &download(repository, file)));
        assert_eq!(path, home.snapshot(repository, &hub.commit(repository), file).display().to_string());
    }
    assert_eq!(hub.connections(), before);
    // Asked, it says that it has it, and that all of it is in order.
    hub.forget();
    said(script(&home, python, &[], &download(REPO, FILE)));
    assert_eq!((hub.count(At::Get, FILE), hub.count(At::Body, FILE)), (0, 0));
    let scan = "from huggingface_hub import scan_cache_dir as scan; i = scan(); \
                print(len(i.repos), i.size_on_disk, [str(w) for w in i.warnings])";
    let size = bytes.len() + onnx.len() + json.len();
    assert_eq!(said(script(&home, python, &[], scan)), format!("2 {size} []"));
}

#[test]
fn one_waits_for_the_other() {
    let Some(python) = python() else { return };
    for is_ours_first in [true, false] {
        let (hub, bytes) = (Hub::start(), noise(1_000_000));
        hub.put(REPO, FILE, &bytes);
        let home = Home::of(&hub);
        let ours = || home.start(&["models", "pull", NAME]);
        let theirs = || script(&home, python, &[], &download(REPO, FILE));
        let pause = hub.pause_at(FILE, 500_000);
        let first = if is_ours_first { ours() } else { theirs() };
        pause.wait();
        let second = if is_ours_first { theirs() } else { ours() };
        eventually("the second one has asked", || hub.count(At::Head, FILE) == 2);
        pause.go_on();
        said(first);
        said(second);
        assert_eq!(hub.count(At::Body, FILE), 1, "ours first: {is_ours_first}");
        home.assert_has(&hub, REPO, FILE, &bytes);
    }
}

#[test]
fn python_killed_in_the_middle_leaves_us_the_way_free() {
    let Some(python) = python() else { return };
    let (hub, bytes) = (Hub::start(), noise(1_000_000));
    hub.put(REPO, FILE, &bytes);
    let home = Home::of(&hub);
    let pause = hub.pause_at(FILE, 500_000);
    let theirs = script(&home, python, &[], &download(REPO, FILE));
    pause.wait();
    let ours = home.start(&["models", "pull", NAME]);
    eventually("ours has asked", || hub.count(At::Head, FILE) == 2);
    theirs.signal("KILL");
    theirs.end();
    said(ours);
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn a_blob_in_the_shared_store() {
    let Some(python) = python() else { return };
    let has_store = Command::new(python).args(["-c", "import huggingface_hub.utils._shared_blobs"]).output();
    if !has_store.is_ok_and(|output| output.status.success()) {
        println!("skipped: this huggingface_hub is of the time before there was a store for all");
        return;
    }
    let (hub, model) = (Hub::start(), selftest());
    hub.put(REPO, FILE, &model);
    let home = Home::of(&hub);
    said(script(&home, python, &[], &download(REPO, FILE)));
    // As hf_xet does it after it has pulled from the hub's other store, which is not here.
    let (blob, xet) = (home.blob(REPO, &digest::sha256(&model)), "ab".repeat(32));
    let publish = format!(
        "from huggingface_hub.utils._shared_blobs import publish_blob_to_shared_store as publish\n\
         print(publish(blob_path='{}', xet_hash='{xet}', cache_dir='{}', expected_size={}))",
        blob.display(),
        home.cache().display(),
        model.len()
    );
    assert_eq!(said(script(&home, python, &[], &publish)), "True");
    assert!(blob.is_symlink());
    assert_eq!(home.state_of(NAME), "not pinned");
    home.does(&["models", "verify", NAME]);
    let talk = sample("timer.wav").display().to_string();
    assert_eq!(home.run(&["stt", &talk, "--model", NAME]).good_text(), "set a timer for ten minutes\n");
    home.does(&["models", "remove", NAME]);
    assert!(!blob.is_symlink());
    assert!(fs::metadata(home.cache().join("blobs/ab").join(&xet)).is_ok(), "others may have it by that name");
}
