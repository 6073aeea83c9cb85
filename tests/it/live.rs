//! Speech that is written down while it is spoken: what is said is written once, whatever dies. Against a server whose
//! answers are known, and against our own.

use crate::harness::{
    eventually,
    hearer::Hearer,
    process::{Running, Sandbox, Shown},
    sample,
    server::Server,
    terminal::Terminal,
    wav,
};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{ChildStdin, Command, Stdio},
};

/// A client that is fed by the test, and whose standard output goes into a file, which the test can read meanwhile.
struct Client {
    running: Running,
    stdin: Option<ChildStdin>,
}

impl Client {
    /// `speechctl stt - --raw 16000 --stream` with more flags.
    fn start(sandbox: &Sandbox, server: &str, flags: &[&str]) -> Self {
        let mut args = vec!["stt", "-", "--raw", "16000", "--stream", "--server", server];
        args.extend(flags);
        Self::of(sandbox, sandbox.command(&args))
    }

    fn of(sandbox: &Sandbox, mut command: Command) -> Self {
        let out = fs::File::create(sandbox.path().join("out")).expect("a file");
        command.stdin(Stdio::piped()).stdout(out).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take();
        Self { running: Running::reading(child), stdin }
    }

    fn say(&mut self, samples: &[i16]) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.stdin.as_mut().expect("it is open").write_all(&bytes).expect("it reads");
    }

    /// Says no more, and waits for the end.
    fn end(mut self) -> Shown {
        drop(self.stdin.take());
        self.running.end()
    }

    /// Waits for the end while the pipe stays open.
    fn ends(self) -> Shown {
        let Self { running, stdin } = self;
        let shown = running.end();
        drop(stdin);
        shown
    }
}

/// What a client has written by now.
fn out(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("out")).expect("it is there")
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

/// Sound of so many samples, and silence that ends it: whole tenths of a second, which is what is sent at once.
fn utterance(samples: usize) -> Vec<i16> {
    let mut utterance = vec![1_000; samples];
    utterance.resize((samples + 3_200).next_multiple_of(1_600), 0);
    utterance
}

/// Of each utterance, in order and each at most once: that it began, partials, the final, that it ended.
#[track_caller]
fn check_order(events: &[Value]) {
    assert_eq!(events[0]["type"], "ready");
    let mut stages: std::collections::BTreeMap<i64, usize> = std::collections::BTreeMap::new();
    let mut seq = 0;
    for event in events {
        let order = ["speech_started", "partial", "final", "speech_ended"];
        let Some(stage) = order.iter().position(|name| event["type"] == *name) else { continue };
        let utterance = event["utterance"].as_i64().expect("its number");
        let before = stages.insert(utterance, stage);
        let is_in_order = match (before, stage) {
            (None, stage) => stage == 0,
            (Some(before), 1) => before <= 1,
            (Some(before), stage) => before < stage,
        };
        assert!(is_in_order, "{event} comes too early or too late");
        if stage == 2 {
            seq += 1;
            assert_eq!(event["seq"], seq);
        }
        if stage == 1 {
            let text = event["text"].as_str().expect("a text");
            assert!(event["confirmed"].as_u64().expect("a number") as usize <= text.chars().count());
        }
    }
}

#[test]
fn a_server_that_dies_again_and_again_is_not_noticed() {
    let sandbox = Sandbox::new();
    let mut hearer = Hearer::start();
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &["--format", "jsonl"]);
    let mut expected = Vec::new();
    for round in 1..=3 {
        let said = format!("{} samples", round * 1_000);
        client.say(&utterance(round * 1_000));
        eventually("the final", || out(&sandbox).contains(&said));
        // Half of the next is with the server, half is not heard yet.
        client.say(&[500; 4_800]);
        eventually("a partial", || out(&sandbox).matches("so far 4800").count() == round);
        hearer.die();
        client.say(&utterance(2_000));
        hearer.come_back();
        // What was said before the death and after it is one utterance.
        eventually("its final", || out(&sandbox).matches("\"6800 samples\",\"language\"").count() == round);
        expected.extend([said, "6800 samples".to_owned()]);
    }
    let shown = client.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    let events = events(&out(&sandbox));
    check_order(&events);
    let finals: Vec<&str> =
        events.iter().filter(|event| event["type"] == "final").filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(finals, expected);
    assert_eq!(events.iter().filter(|event| event["type"] == "resumed").count(), 3);
    assert_eq!(events.last().expect("the end")["type"], "done");
}

#[test]
fn a_server_that_has_forgotten_hears_it_again() {
    let sandbox = Sandbox::new();
    let mut hearer = Hearer::start();
    let flags = ["--format", "jsonl", "--session", "talk"];
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &flags);
    client.say(&utterance(1_000));
    eventually("the final", || out(&sandbox).contains("1000 samples"));
    client.say(&[500; 4_800]);
    hearer.wait_for(9_600);
    hearer.die();
    hearer.forget();
    client.say(&utterance(2_000));
    hearer.come_back();
    let shown = client.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    let events = events(&out(&sandbox));
    check_order(&events);
    let finals: Vec<&Value> = events.iter().filter(|event| event["type"] == "final").collect();
    assert_eq!(finals.len(), 2);
    assert_eq!((&finals[1]["text"], &finals[1]["start_sample"]), (&"6800 samples".into(), &4_800.into()));
    let state = hearer.state.lock().expect("nobody panics");
    let sessions: Vec<&str> = state.openings.iter().map(|opening| opening.session_id.as_str()).collect();
    assert_eq!(sessions, ["talk", "talk", "talk-2"]);
}

#[test]
fn a_server_that_never_comes_back_costs_no_word() {
    let sandbox = Sandbox::new();
    let mut hearer = Hearer::start();
    let server = hearer.address.to_string();
    let mut client = Client::start(&sandbox, &server, &["--give-up-after", "0.3", "--session", "talk"]);
    client.say(&utterance(1_600));
    eventually("the final", || out(&sandbox).contains("1600 samples"));
    client.say(&[500; 4_800]);
    hearer.wait_for(9_600);
    hearer.die();
    let shown = client.ends();
    assert_eq!(shown.code(), "5");
    let name = "speechctl-talk-0.1s.wav";
    assert!(shown.stderr.contains("the server did not come back within 0.3 s"), "{}", shown.stderr);
    assert!(shown.stderr.contains(&format!("go on with `speechctl stt {name}`")), "{}", shown.stderr);
    assert_eq!(shown.stderr.lines().count(), 1);
    let path = sandbox.path().join(name);
    assert_eq!(wav::read(&path), (16_000, [vec![0; 3_200], vec![500; 4_800]].concat()));
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn who_loses_the_session_to_another_ends() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &[]);
    client.say(&[500; 4_800]);
    hearer.wait_for(1);
    hearer.state.lock().expect("nobody panics").refusal = Some("SUPERSEDED");
    client.say(&[500; 4_800]);
    let shown = client.ends();
    assert_eq!(shown.code(), "5");
    assert!(shown.stderr.contains("it says SUPERSEDED") && shown.stderr.contains(".wav`"), "{}", shown.stderr);
    assert_eq!(hearer.calls(), 1, "it does not take it back");
}

#[test]
fn a_busy_server_is_waited_for() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    hearer.state.lock().expect("nobody panics").refusal = Some("BUSY");
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &[]);
    client.say(&utterance(1_000));
    assert_eq!(client.end().code(), "0");
    assert_eq!(out(&sandbox), "1000 samples\n");
    assert_eq!(hearer.calls(), 2);
}

#[test]
fn what_could_not_be_written_down_is_told() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    hearer.state.lock().expect("nobody panics").deaf_to = 16_000;
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &[]);
    client.say(&[utterance(1_000), utterance(16_000), utterance(2_000)].concat());
    let shown = client.end();
    assert_eq!(shown.code(), "1");
    assert_eq!(out(&sandbox), "1000 samples\n2000 samples\n");
    assert_eq!(
        shown.stderr,
        "speechctl: warning: 0.3 s to 1.3 s could not be written down: the engine died of it\n\
         speechctl: cannot transcribe: one stretch could not be written down, see above\n"
    );
}

#[test]
fn what_is_written_is_acknowledged() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &[]);
    client.say(&[utterance(1_000), utterance(2_000)].concat());
    eventually("it is told", || hearer.state.lock().expect("nobody panics").acknowledged == 2);
    assert_eq!(client.end().code(), "0");
    let config = hearer.state.lock().expect("nobody panics").openings[0].clone();
    assert!(!config.interim_results, "nobody would see them");
}

#[test]
fn the_first_interrupt_waits_for_the_last_words() {
    for signal in ["INT", "TERM"] {
        let sandbox = Sandbox::new();
        let hearer = Hearer::start();
        let mut client = Client::start(&sandbox, &hearer.address.to_string(), &[]);
        client.say(&[500; 4_800]);
        hearer.wait_for(4_800);
        client.running.signal(signal);
        let shown = client.ends();
        assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""), "{signal}");
        assert_eq!(out(&sandbox), "4800 samples\n");
    }
}

#[test]
fn the_second_interrupt_waits_for_nothing() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    hearer.state.lock().expect("nobody panics").is_mute = true;
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &["-v", "-v"]);
    client.say(&[500; 4_800]);
    hearer.wait_for(4_800);
    let mut client = client;
    client.running.signal("INT");
    // Signals of one kind that come at once are one.
    while !client.running.has_ended() {
        client.running.signal("TERM");
        std::thread::yield_now();
    }
    assert_eq!(client.ends().code(), "130");
}

#[test]
fn last_words_that_do_not_come_are_saved() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    hearer.state.lock().expect("nobody panics").is_mute = true;
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &[]);
    client.say(&[500; 4_800]);
    hearer.wait_for(4_800);
    client.running.signal("INT");
    let shown = client.ends();
    assert_eq!(shown.code(), "5");
    assert!(shown.stderr.contains("did not finish within 5 s"), "{}", shown.stderr);
    assert_eq!(wav::read(&sandbox.path().join("speechctl-given-0.0s.wav")).1.len(), 4_800);
}

#[test]
fn a_reader_that_goes_ends_it_also_while_nobody_speaks() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    let program = crate::harness::program().display();
    let server = hearer.address;
    let script = format!(
        "\"{program}\" stt - --raw 16000 --stream --server {server} | head -1; echo \"${{PIPESTATUS[0]}}\" >&2"
    );
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(sandbox.path()).env_clear().env("PATH", "/usr/bin:/bin");
    let mut client = Client::of(&sandbox, command);
    client.say(&utterance(1_000));
    let shown = client.ends();
    assert_eq!((out(&sandbox).as_str(), shown.stderr.as_str()), ("1000 samples\n", "0\n"));
}

#[test]
fn a_limit_ends_the_listening() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    let mut client = Client::start(&sandbox, &hearer.address.to_string(), &["--max-duration", "0.5"]);
    client.say(&[500; 16_000]);
    let shown = client.ends();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    assert_eq!(out(&sandbox), "8000 samples\n");
}

#[test]
fn other_shapes_and_files_come_of_a_stream_too() {
    let sandbox = Sandbox::new();
    let hearer = Hearer::start();
    let server = hearer.address.to_string();
    sandbox.file("talk.wav", &wav::mono16(&[utterance(16_000), utterance(8_000)].concat()));
    sandbox.run(&["stt", "talk.wav", "--stream", "--server", &server, "-o", "talk.srt"]).good();
    let captions = fs::read_to_string(sandbox.path().join("talk.srt")).expect("it was written");
    assert_eq!(
        captions,
        "1\n00:00:00,000 --> 00:00:01,000\n16000 samples\n\n2\n00:00:01,200 --> 00:00:01,700\n8000 samples\n\n"
    );
    let args = ["stt", "talk.wav", "--stream", "--realtime", "--server", &server, "--json", "--offset", "0.5"];
    let document: Value = serde_json::from_str(&sandbox.run(&args).good_text()).expect("it is JSON");
    assert_eq!(document["text"], "8000 samples 8000 samples");
    assert_eq!(document["segments"][1]["start"], 1.2);
}

#[test]
fn a_terminal_shows_what_is_understood_so_far() {
    let sandbox = Sandbox::new().with_env("NO_COLOR", "1");
    let hearer = Hearer::start();
    let mkfifo = Command::new("mkfifo").arg(sandbox.path().join("pipe")).status().expect("mkfifo is there");
    assert!(mkfifo.success());
    let args = format!("stt pipe --raw 16000 --stream --server {}", hearer.address);
    let terminal = Terminal::start(&sandbox, (30, 8), &args);
    let mut pipe = fs::OpenOptions::new().write(true).open(sandbox.path().join("pipe")).expect("it reads");
    let mut say = |samples: &[i16]| {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        pipe.write_all(&bytes).expect("it reads");
    };
    say(&[500; 32_000]);
    terminal.wait_for("a partial", |screen| screen.contains("so far 32000"));
    assert!(terminal.screen().starts_with("0:0"), "{}", terminal.screen());
    say(&utterance(1_000));
    terminal.wait_for("the final", |screen| screen.starts_with("33000 samples"));
    drop(pipe);
    let (shown, screen) = terminal.end();
    assert_eq!((shown.code().as_str(), screen.as_str()), ("0", "33000 samples"));
}

#[test]
fn flags_that_make_no_sense() {
    let sandbox = Sandbox::new();
    let shown: String = [
        "mic talk.wav",
        "talk.wav --realtime",
        "talk.wav --device x",
        "talk.wav --list-devices",
        "talk.wav --until-silence",
        "talk.wav --end-silence 1",
        "a.wav b.wav --stream",
        "a.wav --stream --keep-going",
        "a.wav --stream --channel all",
        "mic --realtime",
        "mic --raw 16000",
        "mic --duration 5",
        "mic --end-silence 11",
        "mic --until-silence=0",
        "mic --session a/b",
        "mic --vad-threshold 1",
        "mic --words",
        "mic --stream --format srt --words",
        "no-such.wav --stream",
        "./mic",
    ]
    .iter()
    .map(|flags| sandbox.row(&format!("stt {flags}")))
    .collect();
    insta::assert_snapshot!(shown);
}

/// The words of the sample, and where a file ends.
const COMMANDS: &str = "open the door play some music in the kitchen call my mother at five";

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn our_own_server_writes_down_what_is_streamed() {
    let sandbox = Sandbox::new();
    let talk = sample("three-commands.wav").display().to_string();
    let shown = sandbox.run(&["stt", &talk, "--stream", "--model", "selftest"]).good_text();
    assert_eq!(words(&shown), COMMANDS);
    let (_, samples) = wav::read(&sample("three-commands.wav"));
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let args = ["stt", "-", "--raw", "16000", "--stream", "--model", "selftest"];
    assert_eq!(sandbox.run_with(&args, &bytes).good_text(), shown, "a pipe says the same");
}

#[test]
fn our_own_server_keeps_the_order_of_events() {
    let sandbox = Sandbox::new();
    let talk = sample("three-commands.wav").display().to_string();
    let args = ["stt", &talk, "--stream", "--realtime", "--model", "selftest", "--format", "jsonl"];
    let events = events(&sandbox.run(&args).good_text());
    check_order(&events);
    let finals: Vec<&Value> = events.iter().filter(|event| event["type"] == "final").collect();
    let text: Vec<&str> = finals.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(words(&text.join(" ")), COMMANDS);
    // Partials give way where a machine has other things to do: who wants to see some asks the mock.
    let done = events.last().expect("the end");
    assert_eq!((&done["type"], &done["reason"]), (&"done".into(), &"end_of_audio".into()));
    assert_eq!(done["finals"], finals.len());
}

#[test]
fn our_own_server_may_be_killed_in_the_middle() {
    let sandbox = Sandbox::new();
    let (_, samples) = wav::read(&sample("three-commands.wav"));
    let talk = sample("three-commands.wav").display().to_string();
    let state = sandbox.path().join("state").display().to_string();
    let flags = ["--model", "selftest", "--state-folder", &state];
    let mut server = Server::start(&sandbox, &flags);
    let address = server.address.clone();
    let calm = sandbox.run(&["stt", &talk, "--stream", "--server", &address]).good_text();
    let mut client = Client::start(&sandbox, &address, &["--format", "jsonl"]);
    // A server that dies before it has answered is told as one that does not listen yet: another story than this one.
    let answers = || out(&sandbox).matches(r#""type":"re"#).count();
    for (number, part) in (1..).zip(samples.chunks(samples.len().div_ceil(3))) {
        client.say(part);
        eventually("the client is ready, or has resumed", || answers() >= number);
        server.running.signal("KILL");
        server.running.end();
        server = Server::start_at(&sandbox, &address, &flags);
    }
    let shown = client.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    let told = events(&out(&sandbox));
    let finals = told.iter().filter(|event| event["type"] == "final");
    let text: Vec<&str> = finals.filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(text, calm.lines().collect::<Vec<_>>());
}

#[test]
fn our_own_server_ends_after_the_first_utterance_where_that_is_wanted() {
    let sandbox = Sandbox::new();
    let (_, samples) = wav::read(&sample("three-commands.wav"));
    let server = Server::start(&sandbox, &["--model", "selftest"]);
    let mut client = Client::start(&sandbox, &server.address, &["--until-silence"]);
    // It may end before it has read all.
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    client.stdin.as_mut().expect("it is open").write_all(&bytes).unwrap_or_default();
    let shown = client.ends();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    assert_eq!(out(&sandbox), "open the door\n");
}
