//! Workers that dial in, at a real server: let in, used, lost, back again; and those that are refused.

use crate::harness::{
    calls::{hear, mock_text, recognize, speak},
    eventually, eventually_some,
    pb::{block_on, connect, v1},
    process::{Running, Sandbox, is_alive, send_signal},
    sample,
    server::Server,
    wav,
};
use std::{fs, process::Stdio};
use tonic::Code;
use v1::{
    ListWorkersRequest, RegisterRequest, WorkerOrigin, WorkerState, models_client::ModelsClient,
    worker_registry_client::WorkerRegistryClient,
};

const TOKEN: &str = "token";

/// A server with a registration port, and that port.
fn server(sandbox: &Sandbox) -> (Server, String) {
    let token = sandbox.path().join(TOKEN).display().to_string();
    let flags = ["--registration", "127.0.0.1:0", "--registration-token", &token, "--spares", "never"];
    let server = Server::start(sandbox, &flags);
    let port = server.said.lines().find_map(|line| line.strip_prefix("speechctl: workers may dial in on "));
    let port = port.expect("it says where").to_owned();
    (server, port)
}

fn token(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join(TOKEN)).expect("the server writes it").trim().to_owned()
}

/// A worker that dials in with the token in the file.
fn worker(sandbox: &Sandbox, port: &str, flags: &[&str]) -> Running {
    let mut args = vec!["worker", "--connect", port, "--token-file", TOKEN];
    args.extend(flags);
    let mut command = sandbox.command(&args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Running::reading(command.spawn().expect("it starts"))
}

fn workers(server: &Server) -> Vec<v1::Worker> {
    block_on(async {
        let mut client = ModelsClient::new(connect(&server.address).await);
        client.list_workers(ListWorkersRequest::default()).await.expect("a list").into_inner().workers
    })
}

/// Waits until a worker that dialled in has nothing to do; gives its id.
fn idle(server: &Server, but: &str) -> v1::Worker {
    eventually_some("a guest is there", || {
        workers(server).into_iter().find(|worker| {
            worker.id != but && worker.origin() == WorkerOrigin::DialledIn && worker.state() == WorkerState::Idle
        })
    })
}

#[test]
fn a_guest_serves_under_its_name_and_comes_back_when_it_is_lost() {
    let sandbox = Sandbox::new();
    let (server, port) = server(&sandbox);
    let first = token(&sandbox);
    let guest = worker(&sandbox, &port, &["--engine", "whisper", "--model", "selftest", "--name", "far"]);
    let seen = idle(&server, "");
    assert_eq!((seen.model.as_str(), seen.engine.as_str()), ("far", "whisper"));
    assert_eq!(seen.pid, i64::from(guest.pid()), "it is on this machine");
    assert_ne!(token(&sandbox), first, "each is good once");
    let (_, samples) = wav::read(&sample("kitchen-light.wav"));
    let calm = block_on(hear(&server.address, recognize("selftest", &samples))).expect("the built-in one");
    let far = || block_on(hear(&server.address, recognize("far", &samples)));
    assert_eq!(far().expect("the guest"), calm);
    // The server cuts it off, and it dials again with the next token.
    block_on(async {
        let mut client = ModelsClient::new(connect(&server.address).await);
        let request = v1::UnloadModelRequest { model: "far".to_owned() };
        assert_eq!(client.unload_model(request).await.expect("it is known").into_inner().workers, 1);
    });
    idle(&server, &seen.id);
    assert_eq!(far().expect("the guest again"), calm);
    guest.signal("TERM");
    assert_eq!(guest.end().code(), "0");
}

#[test]
fn a_guest_that_is_killed_in_a_call_is_replaced_by_another() {
    let sandbox = Sandbox::new();
    let (server, port) = server(&sandbox);
    let flags = ["--engine", "mock:slow", "--name", "pair"];
    // A name of its own, for `mock:…` means those that the server starts.
    let (first, second) = (worker(&sandbox, &port, &flags), worker(&sandbox, &port, &flags));
    eventually("both are there", || {
        workers(&server).iter().filter(|worker| worker.state() == WorkerState::Idle).count() == 2
    });
    let samples = wav::numbered(2);
    let text = std::thread::scope(|scope| {
        let call = scope.spawn(|| block_on(hear(&server.address, recognize("pair", &samples))));
        let busy = eventually_some("one works", || {
            workers(&server).into_iter().find(|worker| worker.state() == WorkerState::Busy)
        });
        send_signal(u32::try_from(busy.pid).expect("a process"), "KILL");
        call.join().expect("no panic")
    });
    assert_eq!(text.expect("the other one has it"), mock_text(&samples));
    assert!(server.log(&sandbox).contains("DISCONNECTED"));
    for worker in [first, second] {
        worker.signal("TERM");
        worker.end();
    }
    // Nobody is left, and nobody is waited for longer than a worker may take to come back.
    let refused = block_on(hear(&server.address, recognize("pair", &samples))).expect_err("nobody is left");
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
}

#[test]
fn a_guest_survives_its_server() {
    let sandbox = Sandbox::new();
    let (server, port) = server(&sandbox);
    let guest = worker(&sandbox, &port, &["--engine", "mock", "--name", "loyal"]);
    idle(&server, "");
    send_signal(server.running.pid(), "KILL");
    eventually("it is gone", || !is_alive(server.running.pid()));
    drop(server);
    let token = sandbox.path().join(TOKEN).display().to_string();
    let again = Server::start(&sandbox, &["--registration", &port, "--registration-token", &token]);
    idle(&again, "");
    let samples = wav::numbered(1);
    assert_eq!(block_on(hear(&again.address, recognize("loyal", &samples))).expect("it serves"), mock_text(&samples));
    let (rate, audio) = block_on(speak(&again.address, "mock", "hi")).expect("and speaks");
    assert!(rate > 0 && !audio.is_empty());
    guest.signal("TERM");
    assert_eq!(guest.end().code(), "0");
}

#[test]
fn who_is_refused_hears_why_and_so_does_the_log() {
    let sandbox = Sandbox::new();
    let (server, port) = server(&sandbox);
    let good = token(&sandbox);
    let register = |request: RegisterRequest| {
        block_on(async {
            let mut registry = WorkerRegistryClient::new(connect(&port).await);
            registry.register(request).await.map(tonic::Response::into_inner)
        })
    };
    let request = |token: &str| RegisterRequest {
        protocol: 1,
        engine: "whisper".to_owned(),
        model: "far".to_owned(),
        capabilities: vec![v1::Capability::Recognition.into()],
        token: token.to_owned(),
        ..Default::default()
    };
    for (request, code, why) in [
        (request("guess"), Code::Unauthenticated, "not one of this server"),
        (request(""), Code::Unauthenticated, "not one of this server"),
        (RegisterRequest { protocol: 2, ..request(&good) }, Code::Unimplemented, "version 1"),
    ] {
        let refused = register(request).expect_err(why);
        assert_eq!((refused.code(), refused.message().contains(why)), (code, true), "{}", refused.message());
        assert!(server.log(&sandbox).contains(why), "the log says it too");
    }
    // Another model than the one that the name means; each costs a token.
    for (model, why) in [("selftest", "of another build"), ("espeak", "by `--name`"), ("/m/base.bin", "another")] {
        let refused =
            register(RegisterRequest { model: model.to_owned(), ..request(&token(&sandbox)) }).expect_err(why);
        assert_eq!(refused.code(), Code::InvalidArgument, "{}", refused.message());
        assert!(refused.message().contains(why) && server.log(&sandbox).contains(why), "{}", refused.message());
    }
    let reply = register(request(&token(&sandbox))).expect("it is let in");
    assert_eq!(reply.ticket.len(), 32);
    assert_eq!(register(request(&good)).expect_err("used").code(), Code::Unauthenticated);
    // The worker's own words.
    sandbox.file("wrong", b"guess\n");
    let shown = sandbox.run(&["worker", "--engine", "mock", "--connect", &port, "--token-file", "wrong"]);
    assert_eq!(shown.code(), "7");
    assert!(shown.stderr.contains("the token is not one of this server"), "{}", shown.stderr);
}

#[test]
fn a_wrong_ticket_is_told_so() {
    use std::io::{BufRead, BufReader, Write};
    let sandbox = Sandbox::new();
    let (server, port) = server(&sandbox);
    let mut socket = std::net::TcpStream::connect(&port).expect("it listens");
    socket.write_all(b"SPEECHCTL-TICKET 00000000000000000000000000000000\n").expect("it is read");
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).expect("an answer");
    assert!(line.starts_with("NO the ticket is not good"), "{line:?}");
    eventually("the log says it too", || server.log(&sandbox).contains("the ticket is not good"));
    // Who says nothing, or goes at once, takes nobody's place.
    let silent: Vec<_> = (0..50).map(|_| std::net::TcpStream::connect(&port).expect("it listens")).collect();
    drop(silent);
    let guest = worker(&sandbox, &port, &["--engine", "mock", "--name", "late"]);
    idle(&server, "");
    drop(guest);
}
