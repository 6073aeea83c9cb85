//! Models that are wanted and not there: who is asked, and what is pulled for whom.

use crate::harness::{
    home::{FILE, Home, NAME, ONNX, ONNX_JSON, REPO, VOICE, VOICES, selftest, test_voice},
    hub::{At, Fault, Hub, digest},
    sample,
    server::Server,
    terminal::Terminal,
};

/// What the model writes down of a recording that all tests have.
const TEXT: &str = "set a timer for ten minutes";

/// A hub with the model and the voice, and a home with neither.
fn nothing_yet() -> (Hub, Home) {
    let (hub, [onnx, json]) = (Hub::start(), test_voice());
    hub.put(REPO, FILE, &selftest());
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    let home = Home::of(&hub);
    std::fs::copy(sample("timer.wav"), home.sandbox.path().join("talk.wav")).expect("the sample");
    (hub, home)
}

#[test]
fn in_a_pipe_nobody_is_asked() {
    let (hub, home) = nothing_yet();
    let rows: String = [
        "stt talk.wav --model base.en-q5_1",
        "stt talk.wav",
        "tts hi --voice en_US-test-medium",
        "stt talk.wav --model base.en-q5_1 --json",
    ]
    .iter()
    .map(|line| {
        let row = home.row(line);
        assert!(row.ends_with("\nexit 4\n\n") && row.contains("speechctl models pull"), "{row}");
        row
    })
    .collect();
    insta::assert_snapshot!(rows);
    assert_eq!(hub.connections(), 0);
}

#[test]
fn who_says_so_before_has_it_pulled() {
    for model in [&["--model", NAME][..], &[]] {
        let (hub, home) = nothing_yet();
        let stt = |flags: &[&str]| home.run(&[&["stt", "talk.wav"], model, flags].concat());
        let shown = stt(&["--pull"]);
        assert_eq!((shown.code().as_str(), shown.stdout_lossy()), ("0", format!("{TEXT}\n")), "{}", shown.stderr);
        home.assert_has(&hub, REPO, FILE, &selftest());
        hub.forget();
        assert_eq!(stt(&["--pull"]).good_text(), format!("{TEXT}\n"), "it is there now");
        assert_eq!(stt(&[]).good_text(), format!("{TEXT}\n"));
        assert_eq!(hub.log().len(), 0, "and nobody is asked again");
    }
    let (hub, home) = nothing_yet();
    let shown = home.run(&["tts", "hello", "--voice", VOICE, "--pull", "-o", "out.wav"]);
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    assert!(hound::WavReader::open(home.sandbox.path().join("out.wav")).is_ok());
    assert_eq!((hub.count(At::Body, ONNX), hub.count(At::Get, ONNX_JSON)), (1, 1));
}

#[test]
fn a_pull_that_fails_is_the_failure() {
    let (hub, home) = nothing_yet();
    hub.on(At::Body, FILE, .., Fault::OtherBytes);
    let shown = home.run(&["stt", "talk.wav", "--model", NAME, "--pull"]);
    assert_eq!((shown.code().as_str(), shown.stdout_lossy().as_str()), ("1", ""), "{}", shown.stderr);
    let offline = home.with_env("HF_HUB_OFFLINE", "1");
    let shown = offline.run(&["stt", "talk.wav", "--model", NAME, "--pull"]);
    assert_eq!(shown.code(), "2", "{}", shown.stderr);
    assert!(shown.stderr.contains("HF_HUB_OFFLINE"), "{}", shown.stderr);
}

#[test]
fn on_a_terminal_people_are_asked() {
    for (keys, is_pulled) in [("y\n", true), ("Y\n", true), ("\n", true), ("n\n", false), ("no\n", false)] {
        let (hub, home) = nothing_yet();
        let mut terminal = Terminal::start(&home.sandbox, (100, 24), "stt talk.wav --model base.en-q5_1");
        terminal.wait_for("it asks", |screen| screen.contains("[Y/n]"));
        assert!(terminal.screen().contains(NAME), "{}", terminal.screen());
        assert_eq!(hub.connections(), 0, "not before it may");
        terminal.press(keys);
        let (shown, screen) = terminal.end();
        if is_pulled {
            assert_eq!(shown.code(), "0", "{keys:?}: {screen}");
            assert!(screen.lines().last().is_some_and(|line| line.ends_with(TEXT)), "{keys:?}: {screen}");
            home.assert_has(&hub, REPO, FILE, &selftest());
        } else {
            assert_eq!((shown.code().as_str(), hub.connections()), ("4", 0), "{keys:?}: {screen}");
        }
    }
}

#[test]
fn the_question_is_left_by_ctrl_c_and_so_is_the_pull() {
    let (hub, home) = nothing_yet();
    let start = || {
        let terminal = Terminal::start(&home.sandbox, (100, 24), "stt talk.wav --model base.en-q5_1");
        terminal.wait_for("it asks", |screen| screen.contains("[Y/n]"));
        terminal
    };
    let mut terminal = start();
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    assert_eq!((shown.code().as_str(), hub.connections()), ("130", 0), "{screen}");
    let (size, etag) = (selftest().len(), digest::sha256(&selftest()));
    let pause = hub.pause_at(FILE, size / 2);
    let mut terminal = start();
    terminal.press("y\n");
    pause.wait();
    home.wait_for_partial(REPO, &etag, size / 2);
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "130", "{screen}");
    drop(pause);
    home.does(&["models", "pull", NAME]);
    assert_eq!(hub.bodies(FILE), [0, size / 2], "nothing is lost");
}

#[test]
fn who_wants_no_questions_gets_none() {
    for (env, flag) in [("CI", ""), ("", " --quiet"), ("", " --json")] {
        let (hub, home) = nothing_yet();
        let home = if env.is_empty() { home } else { home.with_env(env, "true") };
        let line = format!("stt talk.wav --model base.en-q5_1{flag}");
        let terminal = Terminal::start(&home.sandbox, (100, 24), &line);
        terminal.wait_for("it is told", |screen| screen.contains(NAME));
        assert!(!terminal.screen().contains("[Y/n]"), "{env}{flag}: {}", terminal.screen());
        let (shown, screen) = terminal.end();
        assert_eq!((shown.code().as_str(), hub.connections()), ("4", 0), "{env}{flag}: {screen}");
    }
}

#[test]
fn a_server_on_this_machine_is_pulled_for() {
    let (hub, home) = nothing_yet();
    let server = Server::start(&home.sandbox, &["--spares", "never"]);
    let at = ["--server", &server.address];
    let shown = home.run(&[&["stt", "talk.wav", "--model", NAME, "--pull"], &at[..]].concat());
    assert_eq!((shown.code().as_str(), shown.stdout_lossy()), ("0", format!("{TEXT}\n")), "{}", shown.stderr);
    home.assert_has(&hub, REPO, FILE, &selftest());
}

#[test]
fn a_server_that_looks_elsewhere_is_told_of() {
    let (hub, home) = nothing_yet();
    let other = Home::of(&hub);
    let server = Server::start(&other.sandbox, &["--spares", "never"]);
    let at = ["--server", &server.address];
    let shown = home.run(&[&["stt", "talk.wav", "--model", NAME, "--pull"], &at[..]].concat());
    assert_eq!(shown.code(), "4", "{}", shown.stderr);
    assert!(shown.stderr.contains(&server.address) && shown.stderr.contains("HF_HOME"), "{}", shown.stderr);
    home.assert_has(&hub, REPO, FILE, &selftest());
}

#[test]
fn a_server_pulls_its_own_before_it_is_ready() {
    let (hub, home) = nothing_yet();
    let server = Server::start(&home.sandbox, &["--model", NAME, "--voice", VOICE, "--pull"]);
    home.assert_has(&hub, REPO, FILE, &selftest());
    hub.forget();
    let shown = home.run(&["stt", "talk.wav", "--server", &server.address]);
    assert_eq!(shown.good_text(), format!("{TEXT}\n"));
    home.run(&["tts", "hello", "-o", "out.wav", "--server", &server.address]).good();
    assert_eq!(hub.log().len(), 0);
}

#[test]
fn calls_never_make_a_server_pull() {
    let (hub, home) = nothing_yet();
    let server = Server::start(&home.sandbox, &["--spares", "never"]);
    for flags in [&["stt", "talk.wav", "--model", NAME][..], &["tts", "hi", "--voice", VOICE], &["stt", "talk.wav"]] {
        let shown = home.run(&[flags, &["--server", &server.address]].concat());
        assert_eq!(shown.code(), "4", "{flags:?}: {}", shown.stderr);
    }
    assert_eq!(hub.connections(), 0);
}

#[test]
fn a_server_elsewhere_is_never_pulled_for() {
    let (hub, home) = nothing_yet();
    let server = Server::start(&home.sandbox, &["--spares", "never"]);
    // Another machine, as far as its name tells.
    home.sandbox.file("hosts", b"127.0.0.1 localhost elsewhere.test\n");
    let (_, port) = server.address.rsplit_once(':').expect("a port");
    let address = format!("elsewhere.test:{port}");
    let stt = ["stt", "talk.wav", "--model", NAME, "--pull", "--server", &address];
    let Some(shown) = home.mounted("mount --bind hosts /etc/hosts", &stt) else { return };
    assert_eq!((shown.code().as_str(), hub.connections()), ("4", 0), "{}", shown.stderr);
    assert!(shown.stderr.contains(&address), "whose disk it is that lacks it: {}", shown.stderr);
}
