//! Completions and the manual: made of the flags, and in step with them.

use crate::harness::process::Sandbox;
use std::{fs, path::Path};

/// Each shell, and the file in `completions/` that is for it, by the name under which the shell looks for it.
const FILES: [(&str, &str); 5] = [
    ("bash", "speechctl.bash"),
    ("zsh", "_speechctl"),
    ("fish", "speechctl.fish"),
    ("powershell", "_speechctl.ps1"),
    ("elvish", "speechctl.elv"),
];

/// `make completions` writes them anew.
#[test]
fn completions_are_in_step() {
    let sandbox = Sandbox::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, file) in FILES {
        let made = sandbox.run(&["completions", shell]).good_text();
        let kept = fs::read_to_string(folder.join(file)).expect("completions/ holds it");
        assert!(
            made == kept,
            "completions/{file} is not what `speechctl completions {shell}` prints: run `make completions`"
        );
        for word in ["tts", "stt", "keep-going", "output-dir", "token-file"] {
            assert!(made.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_every_verb() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["man", "pages"]).good_text(), "");
    let mut names: Vec<String> = fs::read_dir(sandbox.path().join("pages"))
        .expect("a folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let verbs = [
        "completions",
        "doctor",
        "man",
        "models-import",
        "models-list",
        "models-path",
        "models-pull",
        "models-remove",
        "models-verify",
        "models",
        "ps",
        "serve",
        "session",
        "sessions-list",
        "sessions-recover",
        "sessions",
        "stt",
        "tts",
        "voices",
        "worker",
    ];
    let mut expected: Vec<String> = verbs.iter().map(|verb| format!("speechctl-{verb}.1")).collect();
    expected.push("speechctl.1".to_owned());
    assert_eq!(names, expected);
    let page = fs::read_to_string(sandbox.path().join("pages/speechctl-stt.1")).expect("a page");
    for word in [".TH speechctl-stt 1", "max\\-line\\-length", "Examples:", "no_speech_probability"] {
        assert!(page.contains(word), "{word}:\n{page}");
    }
    sandbox.file("taken", b"");
    insta::assert_snapshot!(sandbox.row("man taken/pages") + &sandbox.row("completions tcsh") + &sandbox.row("man"));
}
