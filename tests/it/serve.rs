//! The life of a server: its addresses, its ready line, its end.

use crate::harness::{
    eventually,
    pb::{block_on, connect, speech, v1},
    process::{Running, Sandbox, is_alive},
    server::Server,
    wav,
};
use std::{
    fs,
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[test]
fn it_listens_on_every_address_and_says_so() {
    let sandbox = Sandbox::new();
    let socket = format!("unix:{}", sandbox.path().join("speech.sock").display());
    let server = Server::start(&sandbox, &["--listen", &socket, "--listen", "localhost:0"]);
    let addresses: Vec<String> = server.address.split(", ").map(str::to_owned).collect();
    assert_eq!(addresses.len(), 3);
    assert_eq!(addresses[1], socket);
    for address in addresses {
        sandbox.run(&["tts", "hello", "-o", "hello.wav", "--server", &address]).good();
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(sandbox.path().join("speech.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    assert_eq!(server.stop().code(), "0");
    assert!(!sandbox.files().contains(&"speech.sock".to_owned()), "its socket goes with it");
}

#[test]
fn addresses_that_it_cannot_have() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    sandbox.file("file", b"precious");
    let mut rows = String::new();
    for line in [
        &format!("serve --listen 127.0.0.1:{port}"),
        "serve --listen 0.0.0.0:0",
        "serve --listen [::]:0",
        "serve --listen unix:",
        "serve --listen unix:file",
        "serve --listen unix:no/such/folder/socket",
        "serve --model no-such-model --listen 127.0.0.1:0",
        "serve --model ./no-such-file.bin --listen 127.0.0.1:0",
        "serve --model /dev/zero --listen 127.0.0.1:0",
        "serve -q --voice nobody --listen 127.0.0.1:0",
        "serve --drain-timeout never",
    ] {
        rows.push_str(&sandbox.row(line).replace(&port.to_string(), "[PORT]"));
    }
    insta::assert_snapshot!(rows);
    assert_eq!(fs::read(sandbox.path().join("file")).expect("it is there"), b"precious");
}

#[test]
fn others_are_let_in_only_when_asked() {
    let sandbox = Sandbox::new();
    let server = Server::start_at(&sandbox, "0.0.0.0:0", &["--insecure"]);
    assert!(server.address.starts_with("0.0.0.0:"));
}

#[test]
fn a_socket_that_a_dead_server_left_is_taken_over() {
    let sandbox = Sandbox::new();
    let address = format!("unix:{}", sandbox.path().join("speech.sock").display());
    let first = Server::start_at(&sandbox, &address, &[]);
    let shown = sandbox.run(&["serve", "--listen", &address]);
    assert_eq!(shown.code(), "5", "a living one has it: {}", shown.stderr);
    first.running.signal("KILL");
    first.running.end();
    assert!(sandbox.files().contains(&"speech.sock".to_owned()), "it could not clean up");
    let second = Server::start_at(&sandbox, &address, &[]);
    sandbox.run(&["tts", "hello", "-o", "hello.wav", "--server", &address]).good();
    drop(second);
}

/// A call that takes as long as its audio, on its way in the background.
fn slow_call(sandbox: &Sandbox, address: &str, seconds: usize) -> Running {
    sandbox.file("slow.wav", &wav::mono16(&wav::numbered(seconds)));
    let mut command = sandbox.command(&["stt", "slow.wav", "--model", "mock:slow", "--server", address]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(command)
}

fn is_working(server: &Server, sandbox: &Sandbox) -> bool {
    server.log(sandbox).contains("Worker ready.")
}

#[test]
fn open_calls_may_end_before_it_does() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox, &[]);
    let call = slow_call(&sandbox, &server.address, 2);
    eventually("it works", || is_working(&server, &sandbox));
    server.running.signal("TERM");
    // No new ones meanwhile.
    eventually("it takes no new connections", || {
        !sandbox.run(&["tts", "hello", "-o", "x.wav", "--server", &server.address]).status.success()
    });
    assert!(!server.running.has_ended(), "it waits for the call");
    assert_eq!(call.end().good_text(), wav::mock_transcript(&wav::numbered(2)));
    assert_eq!(server.stop().code(), "0");
}

#[test]
fn draining_has_a_deadline() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--drain-timeout", "0.3"]);
    let call = slow_call(&sandbox, &server.address, 600);
    eventually("it works", || is_working(&server, &sandbox));
    let began = Instant::now();
    assert_eq!(server.stop().code(), "0");
    assert!(began.elapsed() < Duration::from_secs(30), "600 s were left");
    let shown = call.end();
    assert_eq!(shown.code(), "5", "{}", shown.stderr);
    // As it was at work, or still waited for its worker.
    let why = ["the server went away", "the server is stopping"];
    assert!(why.iter().any(|why| shown.stderr.contains(why)), "{}", shown.stderr);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--drain-timeout", "600"]);
    let _call = slow_call(&sandbox, &server.address, 600);
    eventually("it works", || is_working(&server, &sandbox));
    let workers = server.workers();
    server.running.signal("INT");
    eventually("it drains", || server.log(&sandbox).contains("Stopping"));
    server.running.signal("INT");
    assert_eq!(server.running.end().code(), "0");
    eventually("its workers end", || !workers.iter().any(|worker| is_alive(*worker)));
}

#[test]
fn health_says_when_it_stops() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let mut client = HealthClient::new(connect(&server.address).await);
        let mut watch = client.watch(HealthCheckRequest { service: "tts".into() }).await.expect("known").into_inner();
        let mut states = Vec::new();
        while let Ok(Some(state)) = watch.message().await {
            states.push(state.status().as_str_name());
            if states.len() == 1 {
                server.running.signal("TERM");
            } else {
                break;
            }
        }
        assert_eq!(states, ["SERVING", "NOT_SERVING"]);
    });
}

#[test]
fn a_reader_that_stands_still_costs_bounded_memory() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let mut client = speech(&server.address).await;
        // Half an hour of speech, of which one message is read.
        let text = "this is one of many sentences that nobody listens to. ".repeat(600);
        let request =
            v1::SynthesizeRequest { input: Some(v1::synthesize_request::Input::Text(text)), ..Default::default() };
        let mut stream = client.synthesize(request).await.expect("it begins").into_inner();
        stream.message().await.expect("it goes on").expect("a format");
        let memory = |pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: 0 kB").to_owned();
            line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
        };
        // Others are served meanwhile.
        for _ in 0..3 {
            sandbox.run(&["tts", "hello", "-o", "hello.wav", "--server", &server.address]).good();
        }
        for pid in server.workers().into_iter().chain([server.running.pid()]) {
            assert!(memory(pid) < 60, "{} MiB", memory(pid));
        }
    });
}
