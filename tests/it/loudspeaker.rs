//! `speechctl tts --play`, with a loudspeaker that the test hears. Skipped, with a word, where PulseAudio is not installed.

use crate::harness::{
    eventually,
    microphone::{FakeMicrophone, LOUD, LOUD_RATE, Loudspeaker},
    process::{Running, Sandbox},
    server::Server,
    wav,
};
use std::process::Stdio;

/// Some three seconds.
const SENTENCE: &str = "turn on the kitchen light, and set a timer for ten minutes";

/// Everything: a loudspeaker, and a place to run in that has it.
struct Room {
    fake: FakeMicrophone,
    loudspeaker: Loudspeaker,
    sandbox: Sandbox,
    server: Server,
}

impl Room {
    fn enter() -> Option<Self> {
        let fake = FakeMicrophone::start()?;
        let loudspeaker = fake.plug_loudspeaker();
        let sandbox = fake.env().iter().fold(Sandbox::new(), |sandbox, (name, value)| sandbox.with_env(name, value));
        let server = Server::start(&sandbox, &["--model", "selftest", "--threads", "1"]);
        Some(Self { fake, loudspeaker, sandbox, server })
    }

    /// The flags of everything that is said, at the loudspeaker's own rate: nothing is converted.
    fn args<'a>(&'a self, text: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["tts", text, "--sample-rate", "48000", "--server", &self.server.address];
        args.extend(more);
        args
    }

    /// Starts to say something.
    fn say(&self, text: &str, more: &[&str]) -> Running {
        let mut command = self.sandbox.command(&self.args(text, &[&["--play"], more].concat()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command)
    }

    /// What is to be heard of it, without silence.
    fn expected(&self, text: &str) -> Vec<i16> {
        self.sandbox.run(&self.args(text, &["-o", "expected.wav"])).good();
        let (rate, samples) = wav::read(&self.sandbox.path().join("expected.wav"));
        assert_eq!(rate as usize, LOUD_RATE);
        samples.into_iter().filter(|&sample| sample != 0).collect()
    }
}

/// Several minutes.
fn sermon() -> String {
    format!("{SENTENCE}. ").repeat(60)
}

#[test]
fn what_is_said_aloud_is_heard_to_its_end() {
    let Some(room) = Room::enter() else { return };
    let expected = room.expected(SENTENCE);
    for (times, flags) in [(1, &[][..]), (2, &["--device", LOUD])] {
        let shown = room.say(SENTENCE, flags).end();
        assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
        room.loudspeaker.catch_up();
        let heard = room.loudspeaker.heard();
        assert!(heard == expected.repeat(times), "{} samples of {}", heard.len(), expected.len() * times);
    }
}

#[test]
fn a_word_that_is_shorter_than_what_the_server_holds_is_heard() {
    let Some(room) = Room::enter() else { return };
    let report = room.say("a", &["--speed", "4", "--json"]).end();
    assert_eq!(report.code(), "0", "{}", report.stderr);
    assert!(report.stdout_lossy().contains(r#""voice""#), "{}", report.stdout_lossy());
    room.loudspeaker.catch_up();
    assert!(!room.loudspeaker.heard().is_empty());
}

#[test]
fn ctrl_c_is_silence() {
    let Some(room) = Room::enter() else { return };
    let running = room.say(&sermon(), &[]);
    eventually("the first words", || !room.loudspeaker.heard().is_empty());
    running.signal("INT");
    let shown = running.end();
    assert_eq!(shown.code(), "130", "{}", shown.stderr);
    room.loudspeaker.catch_up();
    let heard = room.loudspeaker.heard().len();
    room.loudspeaker.catch_up();
    assert_eq!(room.loudspeaker.heard().len(), heard, "it speaks on");
}

#[test]
fn a_loudspeaker_that_is_unplugged_is_told() {
    for is_last in [true, false] {
        let Some(room) = Room::enter() else { return };
        // Where there is another one, the server moves to it whoever speaks; but it may stand in another room.
        if is_last {
            room.fake.unplug_others();
        }
        let running = room.say(&sermon(), &[]);
        eventually("the first words", || !room.loudspeaker.heard().is_empty());
        room.fake.unplug_loudspeaker(&room.loudspeaker);
        let shown = running.end();
        assert_eq!(shown.code(), "6", "{}", shown.stderr);
        assert!(shown.stderr.contains("is gone; was it unplugged?"), "{}", shown.stderr);
        assert_eq!(shown.stderr.lines().count(), 1, "{}", shown.stderr);
    }
}

#[test]
fn a_sound_server_that_dies_while_one_speaks_is_told() {
    let Some(mut room) = Room::enter() else { return };
    let running = room.say(&sermon(), &[]);
    eventually("the first words", || !room.loudspeaker.heard().is_empty());
    room.fake.kill();
    let shown = running.end();
    assert_eq!(shown.code(), "6", "{}", shown.stderr);
    assert!(shown.stderr.contains("sound server") && shown.stderr.lines().count() == 1, "{}", shown.stderr);
}

#[test]
fn what_is_wrong_with_a_loudspeaker_is_one_clear_line() {
    let Some(room) = Room::enter() else { return };
    let list = room.sandbox.run(&["tts", "--list-devices"]).good_text();
    assert!(list.contains(LOUD) && list.contains("(default)") && list.lines().count() == 3, "{list}");
    let shown = room.say("hello", &["--device", "trumpet"]).end();
    assert_eq!(shown.code(), "3");
    assert!(shown.stderr.contains("no loudspeaker is called `trumpet`"), "{}", shown.stderr);
    assert_eq!(shown.stderr.lines().count(), 1, "{}", shown.stderr);
    let dumb = Sandbox::new().with_env("PULSE_SERVER", "unix:/nowhere");
    for args in [&["tts", "hello", "--play", "--server", &room.server.address][..], &["tts", "--list-devices"]] {
        let shown = dumb.run(args);
        assert_eq!(shown.code(), "6", "{}", shown.stderr);
        assert!(shown.stderr.contains("no loudspeaker: ") && shown.stderr.contains("aplay"), "{}", shown.stderr);
        assert_eq!(shown.stderr.lines().count(), 1, "{}", shown.stderr);
    }
}
