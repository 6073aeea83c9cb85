//! The pages that a user reads first.

use crate::harness::process::Sandbox;

#[test]
fn help_of_every_verb() {
    let sandbox = Sandbox::new();
    let pages: String = [
        "--help",
        "tts --help",
        "stt -h",
        "stt --help",
        "session --help",
        "voices --help",
        "ps --help",
        "models --help",
        "models list --help",
        "models pull --help",
        "models remove --help",
        "models verify --help",
        "models path --help",
        "models import --help",
        "serve --help",
        "doctor --help",
        "completions --help",
        "man --help",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    insta::assert_snapshot!(pages);
}

#[test]
fn version_is_one_line() {
    let shown = Sandbox::new().run(&["--version"]).good_text();
    assert_eq!(shown, format!("speechctl {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_commands_get_one_line() {
    let sandbox = Sandbox::new();
    let rows: String = [
        "speak hello",
        "tts --speeed 2 hello",
        "tts hello --speed fast",
        "tts hello --voice a --region b",
        "tts hello --file x.txt",
        "tts hello --sample-rate 1",
        "tts hello --format mp3",
        "tts hello --timeout 0",
        "stt",
        "stt x.wav --words",
        "stt x.wav --beam 9",
        "tts hello -o - --json",
        "tts hello --server nonsense",
        "tts hello --server https://speech.example.org:443",
        "serve --listen nonsense",
        "worker --engine espeak",
        "worker --engine festival",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    insta::assert_snapshot!(rows);
}

#[test]
fn no_command_shows_the_help() {
    let shown = Sandbox::new().run::<&str>(&[]);
    assert_eq!(shown.code(), "2");
    assert!(shown.stderr.contains("Usage: speechctl"), "{}", shown.stderr);
}
