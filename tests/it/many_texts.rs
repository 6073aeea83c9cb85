//! `tts --jsonl`: many texts, one process, one server; a line for each of them.

use crate::harness::{
    eventually,
    proc::children,
    process::{Running, Sandbox, is_alive},
    server::Server,
    wav,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Stdio},
};

/// A run to which lines are given one by one.
struct Talk {
    running: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Talk {
    fn start(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let mut command = sandbox.command(&[&["tts", "--jsonl"], flags].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { running: Running::reading(child), stdin, stdout }
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.stdin, "{line}").expect("it reads");
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it can be read");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"))
    }
}

#[test]
fn every_line_gets_one_in_order_and_bad_ones_do_not_end_it() {
    let sandbox = Sandbox::new();
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(1_100_000));
    let lines = [
        r#"{"text": "hello"}"#,
        "",
        "no JSON",
        r#"{"text": "hello", "output": "sub.flac", "sample_rate": 16000}"#,
        r#"{"text": "hello", "voice": "nobody"}"#,
        r#"{"text": "  "}"#,
        r#"{"text": "hello", "speed": 9}"#,
        r#"{"text": "hello", "colour": "red"}"#,
        r#"{"text": "hello", "output": "no/such/folder.wav"}"#,
        r#"{"text": "hello", "output": "x.mp3"}"#,
        r#"{"text": "hello", "output": "/dev/stdout"}"#,
        r#"{"text": "hello", "format": "opus", "sample_rate": 44100}"#,
        &long,
        r#"{"text": "<speak>hello</speak>", "ssml": true}"#,
        r#"{"text": "hello", "region": "de", "output_file": "de.wav"}"#,
        r#"{"text": "hello", "format": "pcm"}"#,
    ];
    let shown = sandbox.run_with(&["tts", "--jsonl", "-o", "out"], lines.join("\n").as_bytes());
    assert_eq!(shown.code(), "3");
    insta::assert_snapshot!(format!("{}{}", shown.stdout_lossy(), shown.stderr));
    let mut names: Vec<String> = fs::read_dir(sandbox.path().join("out"))
        .expect("the folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["0001.wav", "0014.wav", "0016.pcm", "de.wav", "sub.flac"]);
    let read = |name: &str| wav::read(&sandbox.path().join("out").join(name));
    assert!(read("0014.wav").1.len() > 10_000);
    assert!(read("0001.wav").1 != read("de.wav").1);
    assert_eq!(sandbox.files(), ["out"]);
}

#[test]
fn flags_are_what_lines_leave_out() {
    let sandbox = Sandbox::new();
    sandbox.file("lines.jsonl", b"{\"text\": \"hello\"}\r\n{\"text\": \"hello\", \"speed\": 1}\n");
    let flags = ["--speed", "2", "--voice", "en-gb", "--sample-rate", "8000", "--format", "pcm"];
    let told = sandbox.run(&[&["tts", "--jsonl", "--file", "lines.jsonl"], &flags[..]].concat()).good_text();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (name, speed) in [("0001.pcm", "2"), ("0002.pcm", "1")] {
        let alone = ["tts", "hello", "-o", "alone.pcm", "--voice", "en-gb", "--sample-rate", "8000", "--speed", speed];
        sandbox.run(&alone).good();
        let read = |name: &str| fs::read(sandbox.path().join(name)).expect("it is there");
        assert!(read(name) == read("alone.pcm"), "{name}");
    }
    let length = fs::metadata(sandbox.path().join("0002.pcm")).expect("it is there").len();
    let duration = (length as f64 / 16.0).round() / 1e3;
    let expected =
        json!({"line": 2, "output": "./0002.pcm", "voice": "en-gb", "sample_rate": 8000, "duration": duration});
    assert_eq!(told[1], expected);
}

#[test]
fn one_server_and_one_worker_speak_all_lines() {
    let sandbox = Sandbox::new();
    // An engine that can be used again: espeak's are, by design, good for one call.
    let mut talk = Talk::start(&sandbox, &["--voice", "mock"]);
    let mut workers = Vec::new();
    for number in 1..=5 {
        talk.say(&json!({"text": "hello"}));
        // Its result is there before the next line is.
        assert_eq!(talk.hear()["line"], number);
        workers.push(children(talk.running.pid()));
    }
    assert_eq!(workers[0].len(), 1);
    assert!(workers.iter().all(|now| *now == workers[0]), "{workers:?}");
    drop(talk.stdin);
    assert_eq!(talk.running.end().good_text(), "");
    eventually("its worker ends", || !is_alive(workers[0][0]));
}

#[test]
fn a_text_that_one_call_cannot_take_is_spoken_all_the_same() {
    let sandbox = Sandbox::new();
    let mut talk = Talk::start(&sandbox, &["--voice", "mock", "--speed", "4"]);
    talk.say(&json!({"text": "Well, so it is, and so it was, and so it will be for as long as anybody asks. ".repeat(4_200), "output": "/dev/null"}));
    assert!(talk.hear()["duration"].as_f64().expect("it was spoken") > 1_000.0);
    drop(talk.stdin);
    talk.running.end().good();
}

#[test]
fn a_server_that_is_gone_ends_it() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let mut talk = Talk::start(&sandbox, &["--server", &server.address]);
    talk.say(&json!({"text": "hello"}));
    assert_eq!(talk.hear()["line"], 1);
    server.running.signal("KILL");
    server.running.end();
    talk.say(&json!({"text": "hello"}));
    let shown = talk.running.end();
    assert_eq!(shown.code(), "5", "{}", shown.stderr);
    assert!(shown.stderr.starts_with("speechctl: cannot speak: the server went away"), "{}", shown.stderr);
    assert_eq!(sandbox.files(), ["0001.wav", "server.log"]);
}

#[test]
fn interrupted_it_leaves_whole_files_only() {
    let sandbox = Sandbox::new();
    let mut talk = Talk::start(&sandbox, &["-o", "out"]);
    talk.say(&json!({"text": "hello"}));
    assert_eq!(talk.hear()["line"], 1);
    let is_slow =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("slow"));
    talk.say(&json!({"text": "one two three four five. ".repeat(100), "voice": "mock:slow"}));
    eventually("it works", || children(talk.running.pid()).iter().any(is_slow));
    talk.running.signal("INT");
    let shown = talk.running.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("130", "speechctl: interrupted\n"));
    assert_eq!(fs::read_dir(sandbox.path().join("out")).expect("the folder").count(), 1);
}

#[test]
fn nobody_who_reads_is_success() {
    let sandbox = Sandbox::new();
    let mut talk = Talk::start(&sandbox, &[]);
    talk.say(&json!({"text": "hello"}));
    assert_eq!(talk.hear()["line"], 1);
    drop(talk.stdout);
    writeln!(talk.stdin, "no JSON").expect("it reads");
    let shown = talk.running.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("a-file", b"x");
    let rows: String = [
        "tts --jsonl hello",
        "tts --jsonl --json",
        "tts --jsonl -o -",
        "tts --jsonl -o a-file",
        "tts --jsonl --split-sentences x",
        "tts --jsonl --marks x",
        "tts --jsonl --output-raw",
        "tts --jsonl --file no-such.jsonl",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    let shown = sandbox.run_with(&["tts", "--jsonl", "--server", "127.0.0.1:1"], b"{\"text\": \"hello\"}");
    insta::assert_snapshot!(rows + &sandbox.shown_as_row("tts --jsonl --server 127.0.0.1:1", &shown));
    assert_eq!(sandbox.run_with(&["tts", "--jsonl"], b"\n").good_text(), "", "no text is no failure");
}
