//! `speechctl stt mic`, with a microphone that hears what the test plays. Skipped, with a word, where PulseAudio is not
//! installed.

use crate::harness::{
    eventually,
    microphone::{FakeMicrophone, NAME},
    process::{Running, Sandbox},
    sample,
    server::Server,
    terminal::Terminal,
};
use std::{fs, process::Stdio};

/// Everything: a microphone, and a place to run in that has it.
struct Room {
    fake: FakeMicrophone,
    sandbox: Sandbox,
    server: Server,
}

impl Room {
    fn enter() -> Option<Self> {
        let fake = FakeMicrophone::start()?;
        let sandbox = fake.env().iter().fold(Sandbox::new(), |sandbox, (name, value)| sandbox.with_env(name, value));
        let server = Server::start(&sandbox, &["--model", "selftest", "--threads", "1"]);
        Some(Self { fake, sandbox, server })
    }

    /// Starts `speechctl stt mic` with more flags; its standard output goes into a file.
    fn listen(&self, flags: &[&str]) -> Running {
        let mut args = vec!["stt", "mic", "--server", &self.server.address];
        args.extend(flags);
        let mut command = self.sandbox.command(&args);
        let out = fs::File::create(self.sandbox.path().join("out")).expect("a file");
        command.stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
        let running = Running::reading(command.spawn().expect("it starts"));
        self.fake.wait_for_listener();
        running
    }

    fn heard(&self) -> String {
        fs::read_to_string(self.sandbox.path().join("out")).expect("it is there")
    }
}

#[test]
fn what_is_said_into_a_microphone_comes_out_live_in_a_pipe() {
    let Some(room) = Room::enter() else { return };
    let running = room.listen(&[]);
    room.fake.play(&sample("three-commands.wav"));
    // Each line as soon as it was said, not at the end.
    eventually("the second command", || room.heard().contains("play some music in the kitchen\n"));
    running.signal("INT");
    let shown = running.end();
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    assert_eq!(room.heard(), "open the door\nplay some music in the kitchen\ncall my mother at five\n");
    assert_eq!(shown.stderr, "");
}

#[test]
fn push_to_talk_ends_with_the_first_silence() {
    let Some(room) = Room::enter() else { return };
    let running = room.listen(&["--until-silence"]);
    room.fake.play(&sample("timer.wav"));
    let shown = running.end();
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    assert_eq!(room.heard(), "set a timer for ten minutes\n");
}

#[test]
fn on_a_terminal_one_reads_along() {
    let Some(room) = Room::enter() else { return };
    let args = format!("stt mic --device {NAME} --server {}", room.server.address);
    let mut terminal = Terminal::start(&room.sandbox, (80, 24), &args);
    room.fake.wait_for_listener();
    terminal.wait_for("the time that passes", |screen| screen.contains("0:0"));
    room.fake.play(&sample("timer.wav"));
    terminal.wait_for("the words", |screen| screen.contains("set a timer for ten minutes\n"));
    terminal.press("\u{3}");
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "0");
    assert!(screen.contains("set a timer for ten minutes"), "{screen}");
}

#[test]
fn a_microphone_that_is_unplugged_is_told_and_nothing_that_was_said_is_lost() {
    let Some(room) = Room::enter() else { return };
    let running = room.listen(&[]);
    room.fake.play(&sample("timer.wav"));
    room.fake.unplug();
    let shown = running.end();
    assert_eq!(shown.code(), "6", "{}", shown.stderr);
    assert!(shown.stderr.starts_with("speechctl: cannot transcribe: the microphone"), "{}", shown.stderr);
    assert!(room.heard().starts_with("set a timer for ten minutes\n"), "{}", room.heard());
}

#[test]
fn a_sound_server_that_dies_is_told() {
    let Some(mut room) = Room::enter() else { return };
    let running = room.listen(&[]);
    room.fake.kill();
    let shown = running.end();
    assert_eq!(shown.code(), "6", "{}", shown.stderr);
    assert!(shown.stderr.contains("sound server") && shown.stderr.lines().count() == 1, "{}", shown.stderr);
}

#[test]
fn what_is_wrong_with_a_microphone_is_one_clear_line() {
    let Some(room) = Room::enter() else { return };
    let list = room.sandbox.run(&["stt", "mic", "--list-devices"]).good_text();
    assert!(list.contains(NAME) && list.contains("(default)"), "{list}");
    let shown = room.sandbox.run(&["stt", "mic", "--device", "trumpet", "--server", &room.server.address]);
    assert_eq!(shown.code(), "3");
    assert!(shown.stderr.contains("trumpet") && shown.stderr.lines().count() == 1, "{}", shown.stderr);
    let deaf = Sandbox::new().with_env("PULSE_SERVER", "unix:/nowhere");
    for args in [&["stt", "mic", "--server", &room.server.address][..], &["stt", "mic", "--list-devices"]] {
        let shown = deaf.run(args);
        assert_eq!(shown.code(), "6", "{}", shown.stderr);
        assert!(shown.stderr.contains("arecord") && shown.stderr.lines().count() == 1, "{}", shown.stderr);
    }
}
