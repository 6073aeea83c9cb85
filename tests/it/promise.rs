//! The promise, by the verb that shows it: engines and the server are killed while people speak, connections break, and
//! what is written down is what it was in calm.
//!
//! `SPEECHCTL_TEST_KILLS` says how many engines, `SPEECHCTL_TEST_SEED` by which random numbers.

use crate::harness::{
    eventually_some,
    proc::children,
    process::{Running, Sandbox, is_alive},
};
use serde_json::{Value, json};
use std::{
    env,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// How long it may take at most, however many kills are asked for.
const LONGEST: Duration = Duration::from_secs(3600);

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}: no number")))
}

/// Runs the verb to its end; gives its document.
fn chaos(sandbox: &Sandbox, flags: &[String]) -> (String, Value, String) {
    let mut args = vec!["bench".to_owned(), "chaos".to_owned(), "--json".to_owned()];
    args.extend_from_slice(flags);
    let mut command = sandbox.command(&args);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut running, deadline) = (Running::start(command), Instant::now() + LONGEST);
    while !running.has_ended() {
        assert!(Instant::now() < deadline, "it does not end");
        thread::sleep(Duration::from_millis(10));
    }
    let shown = running.end();
    let document = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", shown.stderr));
    (shown.code(), document, shown.stderr)
}

#[test]
fn what_was_said_is_never_lost() {
    let (kills, seed) = (number("SPEECHCTL_TEST_KILLS", 20), number("SPEECHCTL_TEST_SEED", 4));
    let few = (kills * 3).div_ceil(20);
    let sandbox = Sandbox::new();
    let flags = [("--kills", kills), ("--server-kills", few), ("--cuts", few), ("--sessions", 4), ("--seed", seed)];
    let flags: Vec<String> = flags.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.to_string()]).collect();
    let (code, document, stderr) = chaos(&sandbox, &flags);
    println!("promise: {document:#}");

    let broken = &document["broken"];
    let nothing = json!({
        "samples_lost": 0,
        "finals_duplicated": 0,
        "finals_different": 0,
        "events_out_of_order": 0,
        "other_faults": 0,
        "told": [],
    });
    assert_eq!(*broken, nothing);
    assert_eq!((code.as_str(), stderr.as_str()), ("0", ""));
    let killed = &document["killed"];
    let engines: u64 = killed["engines"].as_object().expect("phases").values().filter_map(Value::as_u64).sum();
    assert_eq!((engines, &killed["servers"], &killed["cuts"]), (kills as u64, &json!(few), &json!(few)));
    assert!(document["mid_decode"].as_f64().is_some_and(|share| share >= 0.5), "most are to die over their work");
    assert!(document["rough"]["finals"].as_u64() >= document["calm"]["finals"].as_u64());
    assert!(sandbox.files().iter().all(|name| !name.contains("bench")), "{:?}", sandbox.files());
}

#[test]
fn an_interrupted_bench_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["bench", "chaos", "--sessions", "1", "--minutes", "10"]);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    let server = eventually_some("its server", || children(running.pid()).into_iter().next());
    running.signal("INT");
    let shown = running.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("130", "speechctl: interrupted\n"));
    assert!(!is_alive(server), "its server has gone with it");
    assert!(sandbox.files().iter().all(|name| !name.contains("bench")), "{:?}", sandbox.files());
}
