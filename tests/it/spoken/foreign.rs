//! A client in Python, made from the contract alone: it talks, interrupts, and hears what it should.

use crate::harness::{
    process::{Running, Sandbox, send_signal},
    python::{interpreter, protos, script},
    server::Server,
    wav,
};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

const TEXT: &str = "Hello there. How are you? It is 3.14 o'clock, they say.";

/// Words that come as nobody expects them, at times all at once.
const UNEVEN: [&str; 4] = ["--pieces", "words", "--pauses", "0,0.2,0.01,0,0,0.35,0.03"];

/// Runs a phase of the client, which must find all well; gives what it heard. Calls back each time that it has heard so
/// many frames as `--tell` says.
fn run(python: &str, sandbox: &Sandbox, server: &Server, args: &[&str], mut heard: impl FnMut()) -> Vec<i16> {
    let (wav, log) = (sandbox.path().join("heard.wav"), sandbox.path().join("client.log"));
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(sandbox.path()).arg(script("spoken_client.py"));
    command.args(&args[..1]).arg(&server.address).arg(protos()).arg("--wav").arg(&wav).args(&args[1..]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).expect("a log"));
    let mut child = command.spawn().expect("it starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let running = Running::of(child);
    let mut said = String::new();
    for line in stdout.lines() {
        let line = line.expect("it can be read");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
        if told["event"] == "heard" {
            heard();
        }
        said.push_str(&format!("{line}\n"));
    }
    let code = running.end().code();
    assert_eq!(code, "0", "{args:?}:\n{said}{}", fs::read_to_string(&log).expect("its log"));
    println!("spoken_client.py {}: {} checks", args[0], said.matches("\"ok\": true").count());
    let (rate, samples) = wav::read(&wav);
    assert_eq!(rate, 48_000);
    samples
}

#[test]
fn a_python_client_talks_and_interrupts() {
    let Some(python) = interpreter() else { return };
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let say = |phase: &str, flags: &[&str]| {
        let args = [&[phase, "--model", "espeak", "--text", TEXT], flags].concat();
        run(python, &sandbox, &server, &args, || {})
    };
    let calm = say("speak", &["--pieces", "whole"]);
    assert!(say("speak", &UNEVEN) == calm, "text that comes at uneven times");
    assert!(say("pause", &[&UNEVEN[..], &["--at", "2,30,80"]].concat()) == calm, "PAUSE and RESUME");
    let at_once = ["--option", "pacing=none", "--read-ms", "2", "--at", "2,30"];
    assert!(say("pause", &at_once) == calm, "PAUSE and RESUME, as fast as it can be read");
    for flags in [&UNEVEN[..], &at_once[..4]] {
        let flags = [flags, &["--at", "40", "--again", TEXT, "--stopped", "stopped.wav"]].concat();
        assert!(say("stop", &flags) == calm, "what is said after a STOP");
        let (_, stopped) = wav::read(&sandbox.path().join("stopped.wav"));
        assert!(calm.starts_with(&stopped), "{} samples", stopped.len());
        // What is not paced may be in its client's hands by then, all of it.
        assert!(flags.contains(&"pacing=none") || stopped.len() < calm.len(), "{} samples", stopped.len());
    }
}

#[test]
fn a_python_client_does_not_hear_that_workers_are_killed_in_mid_sentence() {
    let Some(python) = interpreter() else { return };
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let text = "This is the first of two, and it is being spoken when the worker dies. So is this one, but later; \
                it goes on for as long as the other one did.";
    let calm = run(python, &sandbox, &server, &["speak", "--model", "mock", "--text", text], || {});
    // It takes as long as the sound lasts: so it is at work when its frames are heard.
    let slow = ["speak", "--model", "mock:slow", "--text", text, "--tell", "1,25,85"];
    let mut kills = 0;
    let heard = run(python, &sandbox, &server, &[&slow[..], &UNEVEN].concat(), || {
        server.workers().into_iter().for_each(|worker| send_signal(worker, "KILL"));
        kills += 1;
    });
    assert!(heard == calm, "{} samples instead of {}", heard.len(), calm.len());
    assert_eq!(kills, 3);
    assert!(server.log(&sandbox).contains("Call lost its worker."), "one did die in the call");
}
