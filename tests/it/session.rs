//! `speechctl session`: lines are said as they come, and commands act on what is being said.

use crate::harness::{
    eventually,
    microphone::{FakeMicrophone, LOUD_RATE},
    process::{Running, Sandbox},
    server::Server,
    terminal::Terminal,
    wav,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Stdio},
};

/// Samples of a frame: what a line lasts is rounded up to it.
const FRAME: usize = 960;

/// A line that the mock engine takes half a minute to say, where it is slow.
fn long() -> String {
    "It goes on and on. ".repeat(80).trim_end().to_owned()
}

/// What a text sounds like, said alone.
fn alone(sandbox: &Sandbox, server: &Server, voice: &str, text: &str) -> Vec<i16> {
    let args =
        ["tts", text, "--voice", voice, "--sample-rate", "48000", "--server", &server.address, "-o", "alone.wav"];
    sandbox.run(&args).good();
    let (rate, mut samples) = wav::read(&sandbox.path().join("alone.wav"));
    assert_eq!(rate, 48_000);
    samples.resize(samples.len().next_multiple_of(FRAME), 0);
    samples
}

/// What is in `out.wav`.
fn heard(sandbox: &Sandbox) -> Vec<i16> {
    let (rate, samples) = wav::read(&sandbox.path().join("out.wav"));
    assert_eq!(rate, 48_000);
    samples
}

/// Some fields of an event.
fn fields<const N: usize>(event: &Value, names: [&str; N]) -> Value {
    Value::from(names.map(|name| event[name].clone()).to_vec())
}

/// A session to which lines are given one by one, and that tells events.
struct Talk {
    running: Running,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Talk {
    fn start(sandbox: &Sandbox, server: &Server, flags: &[&str]) -> Self {
        let args = [&["session", "--json", "-o", "out.wav", "--server", &server.address], flags].concat();
        let mut command = sandbox.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut talk = Self { running: Running::reading(child), stdin, stdout };
        let ready = talk.next();
        assert_eq!(fields(&ready, ["type", "version", "sample_rate"]), json!(["ready", 1, 48_000]));
        talk
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("it is open"), "{line}").expect("it reads");
    }

    /// The next event; none at the end.
    fn event(&mut self) -> Option<Value> {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).expect("it can be read");
        (length > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}")))
    }

    /// The next event.
    fn next(&mut self) -> Value {
        self.event().expect("an event")
    }

    /// The answer to a command, whatever begins and ends before it.
    #[track_caller]
    fn is_told(&mut self, command: &str) -> Value {
        loop {
            let told = self.next();
            if told["type"] == "begin" || told["type"] == "end" {
                continue;
            }
            assert_eq!(fields(&told, ["type", "command"]), json!(["command", command]), "{told}");
            assert!(told["timestamp_ms"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{told}");
            return told;
        }
    }

    /// Says no more; all events to the end, which is a good one.
    fn end(mut self) -> Vec<Value> {
        self.stdin = None;
        let events: Vec<Value> = std::iter::from_fn(|| self.event()).collect();
        self.running.end().good();
        events
    }
}

#[test]
fn a_script_becomes_one_file_of_all_its_lines() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let lines = ["Good morning to all of you.", "Wie geht es dir?", ":Good night.", "It is 3.14 o'clock, they say."];
    let script =
        "\u{feff}Good morning to all of you.\r\n\n  \nWie geht es dir?\n::Good night.\nIt is 3.14 o'clock, they say.";
    for voice in ["mock", "en-us"] {
        let args = ["session", "--voice", voice, "-o", "out.wav", "--server", &server.address];
        assert_eq!(sandbox.run_with(&args, script.as_bytes()).good_text(), "");
        let expected: Vec<i16> = lines.iter().flat_map(|line| alone(&sandbox, &server, voice, line)).collect();
        let said = heard(&sandbox);
        assert!(said == expected, "`{voice}`: {} samples instead of {}", said.len(), expected.len());
    }
    // The same as bare samples, through a pipe.
    let args = ["session", "--voice", "mock", "-o", "-", "--format", "pcm", "--server", &server.address];
    let said = wav::of_pcm(&sandbox.run_with(&args, script.as_bytes()).good());
    let expected: Vec<i16> = lines.iter().flat_map(|line| alone(&sandbox, &server, "mock", line)).collect();
    assert!(said == expected);
}

#[test]
fn nothing_typed_is_nothing_said_and_no_server_need_run() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run_with(&["session", "-o", "out.wav"], b"\n").good_text(), "");
    assert!(heard(&sandbox).is_empty());
    assert_eq!(sandbox.run_with(&["session", "--voice", "mock", "-o", "out.wav"], b"Hello.").good_text(), "");
    assert_eq!(heard(&sandbox).len(), "Hello.".len() * FRAME);
    assert_eq!(sandbox.files(), ["out.wav"]);
}

#[test]
fn more_lines_than_may_wait_are_said_in_order() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let count = 1_200;
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock"]);
    (0..count).for_each(|_| talk.say("A."));
    let events = talk.end();
    let numbers = |kind: &str| -> Vec<u64> {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .map(|event| event["line"].as_u64().expect("a number"))
            .collect()
    };
    let all: Vec<u64> = (1..=count).collect();
    assert_eq!((numbers("begin"), numbers("end")), (all.clone(), all));
    let done = events.last().expect("the last");
    assert_eq!(*done, json!({"type": "done", "lines": count, "duration": count as f64 * 2.0 / 50.0}));
    assert_eq!(heard(&sandbox).len(), 2 * FRAME * count as usize);
}

#[test]
fn a_stop_drops_what_is_said_and_what_waits() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let calm = alone(&sandbox, &server, "mock", &long());
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock:slow"]);
    talk.say(&long());
    talk.say("This is never said.");
    talk.say("Nor is this.");
    assert_eq!(talk.next(), json!({"type": "begin", "line": 1, "at": 0.0}));
    talk.say(":stop");
    let stopped = talk.next();
    assert_eq!(fields(&stopped, ["line", "outcome"]), json!([1, "stopped"]), "{stopped}");
    assert_eq!(fields(&talk.is_told("stop"), ["line", "dropped"]), json!([4, 2]));
    talk.say("No.");
    let events = talk.end();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(fields(&events[0], ["line", "at"]), json!([5, stopped["duration"]]));
    assert_eq!(events[1]["outcome"], "said");
    let said = heard(&sandbox);
    let cut = (stopped["duration"].as_f64().expect("a number") * 48_000.0).round() as usize;
    assert!(cut < calm.len() && said[..cut] == calm[..cut], "{cut} samples");
    assert!(said[cut..] == alone(&sandbox, &server, "mock", "No."));
}

#[test]
fn a_pause_loses_nothing_and_ends_with_the_input() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = "This is the first of two lines.";
    let calm = [alone(&sandbox, &server, "mock", text), alone(&sandbox, &server, "mock", "And this one.")].concat();
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock:slow"]);
    // Before anything is said, twice, in the middle, and once nobody can end it.
    talk.say(":pause");
    talk.is_told("pause");
    talk.say(text);
    talk.say("And this one.");
    talk.say(":wait");
    let refused = talk.next();
    assert_eq!(fields(&refused, ["type", "line"]), json!(["error", 4]), "it would wait for ever");
    talk.say(":resume");
    talk.is_told("resume");
    assert_eq!(talk.next()["type"], "begin");
    for command in [":pause", ":pause", ":resume", ":pause"] {
        talk.say(command);
        talk.is_told(&command[1..]);
    }
    talk.stdin = None;
    assert_eq!(talk.is_told("resume")["line"], Value::Null, "nobody has typed it");
    // What is told after that must have room.
    while talk.event().is_some() {}
    let shown = talk.running.end();
    // For the wait.
    assert_eq!(shown.code(), "3", "{}", shown.stderr);
    assert!(heard(&sandbox) == calm);
}

#[test]
fn a_wait_is_over_when_all_before_it_is_said() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock"]);
    talk.say(&["One.", "Two.", ":wait", ":stop", "Three.", ":wait", ":quit", "Never."].join("\n"));
    let events = talk.end();
    let told: Vec<String> =
        events.iter().map(|event| format!("{} {}", event["type"].as_str().expect("a word"), event["line"])).collect();
    let expected = [
        "begin 1",
        "end 1",
        "begin 2",
        "end 2",
        "command 3",
        "command 4",
        "begin 5",
        "end 5",
        "command 6",
        "done null",
    ];
    assert_eq!(told, expected);
    assert_eq!(fields(&events[5], ["command", "dropped"]), json!(["stop", 0]));
    assert_eq!(heard(&sandbox).len(), "One.Two.Three.".len() * FRAME);
}

#[test]
fn quit_is_at_once_and_what_was_heard_is_kept() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let calm = alone(&sandbox, &server, "mock", &long());
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock:slow"]);
    talk.say(&long());
    talk.say("This is never said.");
    assert_eq!(talk.next()["type"], "begin");
    talk.say(":quit");
    let events = talk.end();
    assert_eq!(fields(&events[0], ["type", "outcome"]), json!(["end", "stopped"]), "{events:?}");
    assert_eq!(events[1]["type"], "done", "{events:?}");
    let said = heard(&sandbox);
    assert!(said.len() < calm.len() && calm.starts_with(&said), "{} samples", said.len());
}

#[test]
fn another_voice_says_the_lines_behind_it() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let (text, script) = ("Good morning.", "Good morning.\n:voice de\nGood morning.\n:voice nobody\nGood morning.\n");
    let args = ["session", "--voice", "en-us", "--language", "en", "-o", "out.wav", "--server", &server.address];
    let shown = sandbox.run_with(&args, script.as_bytes());
    // The one that cannot be had leaves the one that there is.
    assert_eq!(shown.code(), "3", "{}", shown.stderr);
    let told: Vec<&str> = shown.stderr.lines().collect();
    assert!(told.len() == 2 && told[0].starts_with("speechctl: line 4: ") && told[0].contains("nobody"), "{told:?}");
    assert_eq!(told[1], "speechctl: cannot speak: a line failed, see above");
    let [english, german] = ["en-us", "de"].map(|voice| alone(&sandbox, &server, voice, text));
    assert!(english != german);
    assert!(heard(&sandbox) == [&english[..], &german, &german].concat());
}

#[test]
fn lines_that_are_wrong_are_told_and_the_others_are_said() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let script = b"One.\n:paus\ncaf\xe9\n:stop it\n:voice\na\0b\nTwo.\n";
    let args = ["session", "--voice", "mock", "-o", "out.wav", "--server", &server.address];
    let shown = sandbox.run_with(&args, script);
    assert_eq!((shown.code().as_str(), shown.stdout.len()), ("3", 0));
    let told: Vec<&str> = shown.stderr.lines().collect();
    let words = [(2, "`:paus`"), (3, "byte 4"), (4, "`:stop`"), (5, "`:voice`"), (6, "NUL")];
    assert_eq!(told.len(), words.len() + 1, "{told:?}");
    for (said, (number, word)) in told.iter().zip(words) {
        assert!(said.starts_with(&format!("speechctl: line {number}: ")) && said.contains(word), "{said}");
    }
    assert_eq!(told[5], "speechctl: cannot speak: 5 lines failed, see above");
    assert_eq!(heard(&sandbox).len(), "One.Two.".len() * FRAME);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let to = ["-o", "out.wav", "--server", &server.address];
    let dumb = ["--server", &server.address];
    for (code, args, word) in [
        ("2", &["--speed", "9"][..], "0.25 to 4"),
        ("2", &["--seed", "-1"], "whole number"),
        ("2", &["--device", "loud"], "--device"),
        ("2", &["--format", "mp3"], "mp3"),
        ("2", &["hello"], "hello"),
        ("3", &["--voice", "nobody"], "nobody"),
        ("3", &["--voice", "no/such.onnx"], "no/such.onnx"),
        ("3", &["--model", "nothing"], "nothing"),
        ("3", &["--voice", "de", "--language", "fr"], "fr"),
    ] {
        let shown = sandbox.run_with(&[&["session"], args, &to].concat(), b"Hello.");
        assert_eq!(shown.code(), code, "{args:?}: {}", shown.stderr);
        assert!(shown.stderr.contains(word) && shown.stderr.lines().count() == 1, "{args:?}: {}", shown.stderr);
    }
    for (code, args) in [
        ("2", &["--json", "-o", "-"][..]),
        ("2", &["--format", "wav"]),
        ("2", &["-o", "out.mp3"]),
        ("6", &["-o", "no/such/folder.wav"]),
    ] {
        let shown = sandbox.run_with(&[&["session"], args, &dumb].concat(), b"Hello.");
        assert_eq!((shown.code().as_str(), shown.stderr.lines().count()), (code, 1), "{args:?}: {}", shown.stderr);
    }
    let shown = sandbox.run_with(&["session", "-o", "out.wav", "--server", "127.0.0.1:1"], b"Hello.");
    assert!(shown.code() == "5" && shown.stderr.contains("no server answers"), "{}", shown.stderr);
    assert_eq!(sandbox.files(), ["server.log"], "nothing was written");
}

#[test]
fn without_a_loudspeaker_that_is_told_before_anything_is_said() {
    let dumb = Sandbox::new().with_env("PULSE_SERVER", "unix:/nowhere");
    let shown = dumb.run_with(&["session"], b"Hello.");
    assert_eq!(shown.code(), "6", "{}", shown.stderr);
    assert!(shown.stderr.contains("no loudspeaker: ") && shown.stderr.lines().count() == 1, "{}", shown.stderr);
}

#[test]
fn a_server_that_is_gone_ends_it_and_what_was_heard_is_kept() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock"]);
    talk.say("Hello.");
    assert_eq!((talk.next()["line"].clone(), talk.next()["outcome"].clone()), (json!(1), json!("said")));
    server.running.signal("KILL");
    server.running.end();
    talk.say("Hello again.");
    let shown = talk.running.end();
    assert_eq!(shown.code(), "5", "{}", shown.stderr);
    assert!(shown.stderr.starts_with("speechctl: cannot speak: the server "), "{}", shown.stderr);
    assert_eq!(shown.stderr.lines().count(), 1, "{}", shown.stderr);
    assert_eq!(heard(&sandbox).len(), "Hello.".len() * FRAME);
}

#[test]
fn a_session_that_has_expired_is_begun_anew() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spoken-idle", "0.2"]);
    let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock"]);
    let expired = |times| server.logged(&sandbox, "Session was idle for too long") >= times;
    eventually("it expires", || expired(1));
    talk.say("Hello.");
    assert_eq!((talk.next()["line"].clone(), talk.next()["outcome"].clone()), (json!(1), json!("said")));
    eventually("it expires again", || expired(2));
    talk.say(":pause");
    talk.is_told("pause");
    talk.say("Hello.");
    talk.say(":resume");
    talk.is_told("resume");
    let events = talk.end();
    assert_eq!(events.last().expect("the last")["lines"], 2, "{events:?}");
    assert_eq!(heard(&sandbox).len(), 2 * "Hello.".len() * FRAME);
}

#[test]
fn in_a_script_the_first_signal_is_the_end() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let calm = alone(&sandbox, &server, "mock", &long());
    for signal in ["INT", "TERM"] {
        let mut talk = Talk::start(&sandbox, &server, &["--voice", "mock:slow"]);
        talk.say(&long());
        assert_eq!(talk.next()["type"], "begin");
        talk.running.signal(signal);
        assert_eq!(talk.next()["outcome"], "stopped");
        let shown = talk.running.end();
        assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("130", "speechctl: interrupted\n"));
        let said = heard(&sandbox);
        assert!(said.len() < calm.len() && calm.starts_with(&said), "{} samples", said.len());
    }
}

#[test]
fn a_time_limit_is_kept() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let args = ["session", "--voice", "mock:slow", "-o", "out.wav", "--timeout", "1", "--server", &server.address];
    let shown = sandbox.run_with(&args, long().as_bytes());
    assert!(shown.code() == "5" && shown.stderr.contains("--timeout"), "{}", shown.stderr);
}

#[test]
fn nobody_who_reads_is_success() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let talk = Talk::start(&sandbox, &server, &["--voice", "mock"]);
    drop(talk.stdout);
    writeln!(talk.stdin.expect("it is open"), "Hello.").expect("it reads");
    let shown = talk.running.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    assert_eq!(heard(&sandbox).len(), "Hello.".len() * FRAME, "the file is wanted all the same");
}

#[test]
fn at_a_terminal_other_signals_are_the_end() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let args = format!("session --voice mock:slow --json -o out.wav --server {}", server.address);
    let mut terminal = Terminal::start(&sandbox, (400, 40), &args);
    terminal.wait_for("the prompt", |screen| screen.contains("mock:slow>"));
    terminal.press(&format!("It goes {}on.\r", "on and ".repeat(100)));
    terminal.wait_for("speech", |screen| screen.contains(r#""type":"begin""#));
    // SIGQUIT.
    terminal.press("\u{1c}");
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "130", "{screen}");
    assert!(sandbox.files().contains(&"out.wav".to_owned()), "{screen}");
}

#[test]
fn at_a_terminal_ctrl_c_stops_and_then_ends() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let args = format!("session --voice mock:slow --json -o out.wav --server {}", server.address);
    let mut terminal = Terminal::start(&sandbox, (400, 40), &args);
    terminal.wait_for("the prompt", |screen| screen.contains("mock:slow>"));
    // More than once: each is a first one again, for who goes on.
    for stops in 1..=2 {
        terminal.press(&format!("It goes {}on.\r", "on and ".repeat(100)));
        terminal.wait_for("speech", |screen| screen.matches(r#""type":"begin""#).count() == stops);
        terminal.press("\u{3}");
        terminal.wait_for("silence", |screen| screen.matches(r#""command":"stop""#).count() == stops);
    }
    terminal.press(":pause\r");
    terminal.wait_for("how things are", |screen| screen.contains("mock:slow, paused>"));
    terminal.press(":paws\r");
    terminal.wait_for("what is wrong", |screen| screen.contains("speechctl: no command is called `:paws`"));
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "130", "{screen}");
    assert!(sandbox.files().contains(&"out.wav".to_owned()), "{screen}");
}

#[test]
fn at_a_terminal_the_end_of_the_input_is_the_end() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let args = format!("session --voice mock -o out.wav --server {}", server.address);
    let mut terminal = Terminal::start(&sandbox, (100, 24), &args);
    terminal.wait_for("the prompt", |screen| screen.contains("mock>"));
    terminal.press("Hello.\r:paws\r");
    terminal.wait_for("what is wrong", |screen| screen.contains("`:paws`"));
    terminal.press("\u{4}");
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "0", "who types was told: {screen}");
    assert!(screen.ends_with("out.wav: 0.1 s"), "{screen}");
    assert_eq!(heard(&sandbox).len(), "Hello.".len() * FRAME);
}

/// Skipped, with a word, where PulseAudio is not installed.
#[test]
fn what_is_typed_is_heard_by_a_loudspeaker_and_a_stop_is_silence() {
    let Some(fake) = FakeMicrophone::start() else { return };
    let loudspeaker = fake.plug_loudspeaker();
    let sandbox = fake.env().iter().fold(Sandbox::new(), |sandbox, (name, value)| sandbox.with_env(name, value));
    let server = Server::start(&sandbox, &[]);
    assert_eq!(LOUD_RATE, 48_000);
    let lines = ["Good morning.", "How are you?"];
    let args = ["session", "--voice", "en-us", "--server", &server.address];
    assert_eq!(sandbox.run_with(&args, lines.join("\n").as_bytes()).good_text(), "");
    loudspeaker.catch_up();
    let loud = |line: &&str| alone(&sandbox, &server, "en-us", line).into_iter().filter(|&sample| sample != 0);
    let expected: Vec<i16> = lines.iter().flat_map(loud).collect();
    let said = loudspeaker.heard();
    assert!(said == expected, "{} samples instead of {}", said.len(), expected.len());

    let mut command = sandbox.command(&[&args[..], &["--json"]].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let running = Running::reading(child);
    writeln!(stdin, "{}", "turn on the kitchen light, and set a timer for ten minutes. ".repeat(60)).expect("it reads");
    eventually("the first words", || loudspeaker.heard().len() > said.len());
    writeln!(stdin, ":stop").expect("it reads");
    let mut told = String::new();
    while !told.contains(r#""command":"stop""#) {
        assert!(stdout.read_line(&mut told).expect("it can be read") > 0, "{told}");
    }
    loudspeaker.catch_up();
    let stopped = loudspeaker.heard().len();
    loudspeaker.catch_up();
    assert_eq!(loudspeaker.heard().len(), stopped, "it speaks on");
    drop((stdin, stdout));
    assert_eq!(running.end().code(), "0");
}
