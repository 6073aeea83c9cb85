//! Texts of any length, from files and pipes: spoken as they come, in constant memory, and whole or not at all.

use crate::harness::{
    eventually,
    process::{Running, Sandbox},
    server::Server,
    talker::{Habit, Talker},
    terminal::Terminal,
    wav,
};
use std::{
    fs,
    io::{Read, Write},
    process::Stdio,
};

/// Sentences enough that nothing has room for all of them.
fn book(bytes: usize) -> String {
    let mut book = String::new();
    for number in 0.. {
        if book.len() >= bytes {
            break;
        }
        book.push_str(&format!("Märchen {number} ist aus. Und wenn sie nicht gestorben sind?\n"));
    }
    book
}

/// A run whose standard input stays open.
fn talking(sandbox: &Sandbox, args: &[&str]) -> (Running, std::process::ChildStdin, std::process::ChildStdout) {
    let mut command = sandbox.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let (stdin, stdout) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
    (Running::reading(child), stdin, stdout)
}

#[test]
fn a_text_sounds_the_same_however_it_comes() {
    let sandbox = Sandbox::new();
    let text = format!("\u{feff}\n {}", book(2_000));
    sandbox.file("book.txt", text.as_bytes());
    let voice = ["--voice", "mock", "--speed", "4"];
    sandbox.run(&[&["tts", "--file", "book.txt", "-o", "file.wav"], &voice[..]].concat()).good();
    sandbox.run_with(&[&["tts", "-o", "pipe.wav"], &voice[..]].concat(), text.as_bytes()).good();
    let (running, mut stdin, _stdout) = talking(&sandbox, &[&["tts", "-", "-o", "drops.wav"], &voice[..]].concat());
    // Pieces that end within characters, too.
    for piece in text.as_bytes().chunks(7) {
        stdin.write_all(piece).expect("it reads");
    }
    drop(stdin);
    running.end().good();
    let read = |name: &str| fs::read(sandbox.path().join(name)).expect("it is there");
    assert!(read("file.wav").len() > 80 * 2 * 1_500);
    assert!(read("pipe.wav") == read("file.wav") && read("drops.wav") == read("file.wav"));
}

#[test]
fn speech_begins_while_the_text_is_being_written() {
    let sandbox = Sandbox::new();
    let args = ["tts", "-", "-o", "-", "--format", "pcm", "--voice", "mock"];
    let (running, mut stdin, mut stdout) = talking(&sandbox, &args);
    let mut heard = vec![0; 2_000];
    for _ in 0..3 {
        stdin.write_all(b"This is said. And so").expect("it reads");
        stdout.read_exact(&mut heard).expect("it speaks before it has all");
    }
    drop(stdin);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("it speaks to the end");
    assert!(rest.len() > 20 * 640);
    running.end().good();
}

#[test]
fn a_book_takes_no_more_memory_than_a_page() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    // Far more than one call takes, and some hours of speech.
    sandbox.file("book.txt", book(300_000).as_bytes());
    let mut command = sandbox.command(&[
        "tts",
        "--file",
        "book.txt",
        "--voice",
        "mock",
        "--speed",
        "4",
        "--format",
        "pcm",
        "-o",
        "/dev/null",
        "--json",
        "--server",
        &server.address,
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command);
    let mut peak = 0;
    while !running.has_ended() {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
        peak = peak.max(line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0));
    }
    let json: serde_json::Value = serde_json::from_str(&running.end().good_text()).expect("it is JSON");
    assert!(json["duration"].as_f64().expect("a number") > 0.8 * 3e5 * 0.005, "{json}");
    assert!(peak < 48 * 1024, "{peak} KiB");
}

#[test]
fn a_sentence_may_be_longer_than_what_is_sent_ahead() {
    let sandbox = Sandbox::new();
    let talker = Talker::start(Habit::Mute);
    let (running, mut stdin, _stdout) = talking(&sandbox, &["tts", "-", "--server", &talker.address]);
    let text = "word ".repeat(8_000);
    let writer = std::thread::spawn(move || while stdin.write_all(text.as_bytes()).is_ok() {});
    // The server sees no end of a sentence, and must not wait for it in vain.
    talker.wait_for(2 * 64 * 1024);
    running.signal("INT");
    assert_eq!(running.end().code(), "130");
    writer.join().expect("its reader has gone");
    assert!(sandbox.files().is_empty());
}

#[test]
fn a_server_of_an_earlier_version_gets_what_it_can_take() {
    let sandbox = Sandbox::new();
    let talker = Talker::start(Habit::Old);
    let text = book(200_000);
    sandbox.file("chapter.txt", text.as_bytes());
    sandbox.run(&["tts", "--file", "chapter.txt", "-o", "chapter.wav", "--server", &talker.address]).good();
    let (rate, samples) = wav::read(&sandbox.path().join("chapter.wav"));
    assert_eq!(rate, 8_000);
    assert!(samples == text.bytes().map(i16::from).collect::<Vec<_>>(), "all of it, once, in order");
    sandbox.file("book.txt", book(300_000).as_bytes());
    let server = format!("--server {}", talker.address);
    let rows: String = [
        format!("tts --file book.txt {server}"),
        format!("tts hello --format f32 {server}"),
        format!("tts hello --split-sentences parts {server}"),
    ]
    .iter()
    .map(|line| sandbox.row(line).replace(&talker.address, "[SERVER]"))
    .collect();
    insta::assert_snapshot!(rows);
    assert_eq!(sandbox.files(), ["book.txt", "chapter.txt", "chapter.wav", "parts"]);
}

#[test]
fn servers_that_break_their_promise() {
    let sandbox = Sandbox::new();
    sandbox.file("text.txt", b"One. Two.");
    sandbox.file("out.wav", b"old");
    let mut rows = String::new();
    for habit in [Habit::BreaksOff, Habit::Liar, Habit::Formless, Habit::Halves] {
        let talker = Talker::start(habit);
        let row = sandbox.row(&format!("tts --file text.txt -o out.wav --server {}", talker.address));
        rows.push_str(&row.replace(&talker.address, &format!("{habit:?}")));
        assert_eq!(fs::read(sandbox.path().join("out.wav")).expect("it is there"), b"old");
    }
    insta::assert_snapshot!(rows);
    let talker = Talker::start(Habit::Good);
    sandbox.run(&["tts", "--file", "text.txt", "-o", "out.wav", "--server", &talker.address]).good();
    assert_eq!(wav::read(&sandbox.path().join("out.wav")).1, b"One. Two.".map(i16::from));
    assert_eq!(sandbox.files(), ["out.wav", "text.txt"]);
}

#[test]
fn a_text_that_turns_out_to_be_none_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("out.wav", b"old");
    let good = book(100_000);
    let mut rows = String::new();
    for (name, bad) in [("latin1", &b"caf\xe9 au lait"[..]), ("zero", b"a\0b"), ("cut", b"\xe2\x82")] {
        sandbox.file("book.txt", &[good.as_bytes(), bad].concat());
        let line = "tts --file book.txt --voice mock --speed 4 -o out.wav";
        let row = sandbox.row(line);
        rows.push_str(&row.replace("book.txt", name));
        assert_eq!(fs::read(sandbox.path().join("out.wav")).expect("it is there"), b"old");
    }
    insta::assert_snapshot!(
        rows.replace(&(good.len() + 4).to_string(), "[WHERE]").replace(&(good.len() + 1).to_string(), "[WHERE]")
    );
    assert_eq!(sandbox.files(), ["book.txt", "out.wav"]);
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_book_leaves_nothing() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    sandbox.file("book.txt", book(10_000).as_bytes());
    sandbox.file("out.wav", b"old");
    let args = ["tts", "--file", "book.txt", "--voice", "mock:slow", "-o", "out.wav", "--server", &server.address];
    let mut command = sandbox.command(&args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    server.worker(&[]);
    server.running.signal("KILL");
    let shown = running.end();
    assert_eq!(shown.code(), "5", "{}", shown.stderr);
    assert!(shown.stderr.starts_with("speechctl: cannot speak: the server went away"), "{}", shown.stderr);
    assert_eq!(shown.stderr.lines().count(), 1);
    assert_eq!(fs::read(sandbox.path().join("out.wav")).expect("it is there"), b"old");
    assert_eq!(sandbox.files(), ["book.txt", "out.wav", "server.log"]);
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let sandbox = Sandbox::new();
    sandbox.file("book.txt", book(5_000).as_bytes());
    let args = "tts --file book.txt --voice mock:slow -o out.wav";
    let mut terminal = Terminal::start(&sandbox, (100, 10), args);
    terminal.wait_for("the line", |screen| screen.contains(" %, ") && screen.contains(" of speech, "));
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "130", "{screen}");
    assert!(screen.ends_with("speechctl: interrupted"), "{screen}");
    let mut terminal = Terminal::start(&sandbox, (60, 10), &format!("{args} --quiet"));
    // Nothing is drawn, however long it takes: what is there in the end is the last word.
    wait_for_a_file(&sandbox);
    terminal.press("\u{3}");
    assert_eq!(terminal.end().1.trim_start_matches("^C"), "speechctl: interrupted");
}

/// Waits until a file is on its way.
fn wait_for_a_file(sandbox: &Sandbox) {
    eventually("a file is begun", || {
        sandbox.files().iter().any(|name| name.starts_with('.') && name.contains(".speechctl-"))
    });
}
