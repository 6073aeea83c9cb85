//! `speechctl doctor`: a machine on which all is well, and machines on which something is not.

use crate::harness::{
    eventually,
    live::{Live, config},
    microphone::FakeMicrophone,
    pb::{block_on, v1},
    process::{Running, Sandbox},
    server::Server,
    terminal::Terminal,
    wav,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// A machine with nothing installed: all folders are its own, but the cache with unpacked voices. It has no sound.
fn machine() -> Sandbox {
    let sandbox = Sandbox::new();
    let folder = |name: &str| sandbox.path().join(name).display().to_string();
    let (hub, data, state) = (folder("hf"), folder("data"), folder("state"));
    let sandbox = sandbox.with_env("HF_HOME", &hub).with_env("XDG_DATA_HOME", &data);
    sandbox.with_env("XDG_STATE_HOME", &state).with_env("PULSE_SERVER", "unix:/nowhere")
}

/// Runs it, and leaves out what differs between machines.
fn all(sandbox: &Sandbox, line: &str) -> String {
    masked(&sandbox.row(line))
}

/// The same, without what is well, and without what is told of every machine of tests: it has no sound, and anybody may
/// have its port.
fn not_well(sandbox: &Sandbox, line: &str) -> String {
    let usual = ["processor", "machine", "microphone", "loudspeaker", "default port"];
    let is_usual = |line: &str| usual.iter().any(|name| line.starts_with(&format!("note   {name}")));
    let lines = sandbox.row(line);
    let kept: Vec<&str> = lines.lines().filter(|line| !line.starts_with("ok  ") && !is_usual(line)).collect();
    kept.join("\n") + "\n"
}

fn masked(text: &str) -> String {
    let mask = |line: &str| {
        let name = line.get(7..19).unwrap_or_default().trim();
        match name {
            "version" | "processor" | "machine" | "default port" => format!("any    {name:<12}  […]"),
            _ => line.to_owned(),
        }
    };
    text.lines().map(|line| mask(line) + "\n").collect()
}

/// What is a number of seconds, or of bytes, on any machine.
fn same_everywhere<T>(check: impl FnOnce() -> T) -> T {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[\d.]+ [KMGT]iB free", "[ROOM] free");
    settings.add_filter(r"in \d+\.\d s", "in [TIME]");
    settings.add_filter(r"digest [0-9a-f]{64}", "digest [DIGEST]");
    settings.bind(check)
}

/// The checks of `--json`.
fn document(sandbox: &Sandbox, flags: &[&str]) -> Value {
    let shown = sandbox.run(&[&["doctor", "--json"], flags].concat());
    serde_json::from_slice(&shown.stdout).expect("it is JSON")
}

/// The states and the text of the checks of a name.
fn checks(document: &Value, name: &str) -> Vec<(String, String)> {
    let checks = document["checks"].as_array().expect("a list").iter().filter(|check| check["name"] == name);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    checks.map(|check| (text(&check["state"]), text(&check["found"]))).collect()
}

/// Puts a whole model into the hub's cache, and its manifest beside it.
fn install(sandbox: &Sandbox, name: &str) -> PathBuf {
    let model = zstd::decode_all(&include_bytes!("../../src/models/selftest/selftest.en.bin.zst")[..]);
    let model = model.expect("it is whole");
    let commit = "5359861c739e955e79d9a303bcbc70fb988958b1";
    let folder = sandbox.path().join("hf/hub/models--ggerganov--whisper.cpp/snapshots").join(commit);
    fs::create_dir_all(&folder).expect("it is made");
    let path = folder.join(format!("ggml-{name}.bin"));
    fs::write(&path, &model).expect("it is written");
    let file = json!({
        "source": format!("hf:ggerganov/whisper.cpp/ggml-{name}.bin"), "commit": commit, "size": model.len(),
        "sha256": "0".repeat(64), "path": path,
    });
    let manifest = json!({
        "version": 1, "name": name, "role": "recogniser", "pulled": "2026-01-01T00:00:00Z", "files": [file],
    });
    write(sandbox, &format!("data/speechctl/models/{name}.json"), manifest.to_string().as_bytes());
    path
}

fn write(sandbox: &Sandbox, name: &str, bytes: &[u8]) {
    let path = sandbox.path().join(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
    fs::write(path, bytes).expect("it is written");
}

#[test]
fn all_is_well() {
    let sandbox = machine();
    install(&sandbox, "tiny.en");
    let before = sandbox.files();
    let lines = all(&sandbox, "doctor");
    same_everywhere(|| insta::assert_snapshot!(lines));
    let document = document(&sandbox, &[]);
    assert_eq!((&document["version"], &document["is_well"]), (&json!(1), &json!(true)));
    let names: Vec<&str> =
        document["checks"].as_array().expect("a list").iter().filter_map(|c| c["name"].as_str()).collect();
    let table: Vec<&str> = lines.lines().filter_map(|line| line.get(7..19)).map(str::trim).collect();
    let told: Vec<&str> = table.into_iter().filter(|name| names.contains(name)).collect();
    assert_eq!(names, told, "the document has what the table has");
    let left: Vec<String> = sandbox.files().into_iter().filter(|file| file != "state").collect();
    assert_eq!(left, before, "nothing is left behind");
}

#[test]
fn a_machine_with_nothing_installed_is_well_too() {
    let sandbox = machine();
    let lines = not_well(&sandbox, "doctor");
    same_everywhere(|| insta::assert_snapshot!(lines));
}

#[test]
fn a_cache_that_cannot_be_written() {
    let sandbox = machine().with_env("XDG_CACHE_HOME", "/proc/no-cache-here");
    let lines = not_well(&sandbox, "doctor");
    same_everywhere(|| insta::assert_snapshot!(lines));
}

#[test]
fn a_state_folder_that_is_a_file() {
    let sandbox = machine();
    write(&sandbox, "state/speechctl", b"precious");
    let lines = not_well(&sandbox, "doctor");
    insta::assert_snapshot!(lines);
    assert_eq!(fs::read(sandbox.path().join("state/speechctl")).expect("it is there"), b"precious");
}

#[test]
fn folders_for_models_that_cannot_be_made() {
    let sandbox = machine().with_env("HF_HOME", "/proc/nowhere").with_env("XDG_DATA_HOME", "/proc/nowhere");
    let lines = not_well(&sandbox, "doctor");
    insta::assert_snapshot!(lines);
}

#[test]
fn models_that_are_damaged() {
    let sandbox = machine();
    let cut = install(&sandbox, "tiny.en");
    let file = fs::OpenOptions::new().write(true).open(&cut).expect("it is there");
    file.set_len(1_000_000).expect("it is cut");
    fs::remove_file(install(&sandbox, "tiny")).expect("it is there");
    let spoilt = install(&sandbox, "base");
    let mut bytes = fs::read(&spoilt).expect("it is there");
    bytes[..4].copy_from_slice(b"GGUF");
    fs::write(&spoilt, bytes).expect("it is written");
    let lines = not_well(&sandbox, "doctor");
    same_everywhere(|| insta::assert_snapshot!(lines));
}

#[test]
fn a_manifest_that_is_damaged() {
    let sandbox = machine();
    install(&sandbox, "tiny.en");
    write(&sandbox, "data/speechctl/models/base.json", b"{\"version\": 1, \"name\": \"ba");
    let lines = not_well(&sandbox, "doctor");
    same_everywhere(|| insta::assert_snapshot!(lines));
}

#[test]
fn digests_are_compared_where_that_is_asked() {
    let sandbox = machine();
    install(&sandbox, "tiny.en");
    assert_eq!(not_well(&sandbox, "doctor"), "$ speechctl doctor\nexit 0\n\n");
    let lines = not_well(&sandbox, "doctor --full");
    same_everywhere(|| insta::assert_snapshot!(lines));
}

#[test]
fn downloads_that_are_not_at_their_end_are_told() {
    let sandbox = machine();
    install(&sandbox, "tiny.en");
    write(&sandbox, &format!("data/speechctl/models/files/partial/{}", "a".repeat(64)), &[0; 3 << 20]);
    let lines = not_well(&sandbox, "doctor");
    insta::assert_snapshot!(lines);
}

#[test]
fn what_the_environment_says_and_cannot_be() {
    let broken = [
        ("HTTPS_PROXY", "nonsense"),
        ("SPEECHCTL_MODEL", "bsae.en"),
        ("SPEECHCTL_SERVER", "127.0.0.1:1"),
        ("SPEECHCTL_SERVER", "nonsense"),
        ("HF_HUB_OFFLINE", "1"),
    ];
    let of = |(name, value): (&str, &str)| {
        let sandbox = machine().with_env(name, value);
        install(&sandbox, "tiny.en");
        format!("{name}={value}\n{}\n", not_well(&sandbox, "doctor"))
    };
    insta::assert_snapshot!(broken.map(of).concat());
    // A token is never shown.
    let sandbox = machine().with_env("HF_TOKEN", "hf_secret");
    let shown = sandbox.run(&["doctor", "-vv"]);
    assert!(shown.stdout_lossy().contains("a token from HF_TOKEN"), "{}", shown.stdout_lossy());
    assert!(!(shown.stdout_lossy() + &shown.stderr).contains("hf_secret"));
}

#[test]
fn a_port_that_another_program_has_is_a_note() {
    let Ok(listener) = TcpListener::bind("127.0.0.1:50051") else {
        println!("skipped: somebody has the default port");
        return;
    };
    let is_over = AtomicBool::new(false);
    let lines: String = thread::scope(|scope| {
        scope.spawn(|| {
            for mut stream in listener.incoming().flatten().take_while(|_| !is_over.load(Ordering::SeqCst)) {
                // Whoever else looks there meanwhile is not kept waiting.
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap_or_default();
            }
        });
        let row = machine().row("doctor");
        is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect("127.0.0.1:50051"));
        row.lines().filter(|line| line.contains("default port")).collect()
    });
    drop(listener);
    insta::assert_snapshot!(lines);
}

#[test]
fn a_server_that_was_named_is_asked() {
    let sandbox = machine();
    let server = Server::start(&sandbox, &["--model", "selftest"]);
    let found = checks(&document(&sandbox, &["--server", &server.address]), "server");
    let found = found.first().map(|(state, found)| (state.as_str(), found.replace(&server.address, "[SERVER]")));
    let (state, found) = found.expect("it is asked");
    assert_eq!(state, "ok");
    assert!(found.starts_with("a server answers at [SERVER], ") && found.ends_with(" models"), "{found}");
}

#[test]
fn sessions_that_are_left_are_told() {
    let sandbox = machine();
    let folder = sandbox.path().join("state/speechctl/mine").display().to_string();
    let server = Server::start(&sandbox, &["--model", "mock", "--state-folder", &folder]);
    block_on(async {
        let config = v1::StreamingConfig { session_id: "left".into(), ..config("mock", 16_000) };
        let mut live = Live::open(&server.address, config).await.expect("it begins");
        let recording = wav::numbered(2);
        live.send_until(&recording, recording.len(), 1600);
        eventually("it is kept", || fs::read_dir(&folder).is_ok_and(|list| list.count() > 1));
        server.running.signal("KILL");
        server.running.end();
        live.cut();
    });
    let lines = not_well(&sandbox, "doctor");
    insta::assert_snapshot!(lines);
}

#[test]
fn what_hears_and_is_heard_is_told() {
    let Some(fake) = FakeMicrophone::start() else { return };
    let _loudspeaker = fake.plug_loudspeaker();
    let sandbox = fake.env().iter().fold(machine(), |sandbox, (name, value)| sandbox.with_env(name, value));
    let document = document(&sandbox, &[]);
    for name in ["microphone", "loudspeaker"] {
        let found = checks(&document, name);
        assert!(matches!(&found[..], [(state, _)] if state == "ok"), "{found:?}");
    }
}

#[test]
fn lines_come_as_they_are_ready() {
    let sandbox = machine();
    let terminal = Terminal::start(&sandbox, (300, 40), "doctor");
    terminal.wait_for("the first check", |screen| screen.starts_with("ok     version"));
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "0", "{screen}");
    assert!(screen.lines().last().is_some_and(|line| line.starts_with("ok     round trip")), "{screen}");
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let sandbox = machine();
    let mut command = sandbox.command(&["doctor"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    // Its own server's folder: the round trip has begun.
    let has_folder = || sandbox.files().iter().any(|file| file.starts_with("speechctl-"));
    eventually("the round trip", has_folder);
    running.signal("INT");
    let shown = running.end();
    assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("130", "speechctl: interrupted\n"));
    assert!(!has_folder(), "{:?}", sandbox.files());
}
