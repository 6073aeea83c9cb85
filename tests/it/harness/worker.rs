//! A worker that stands alone, under test; and the registry of a server for those that dial in.

use super::{
    PATIENCE,
    pb::{connect, stt, tts, v1},
    process::{Running, Sandbox, Shown},
};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, BufRead, BufReader},
    process::Stdio,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use v1::{RegisterRequest, RegisterResponse, ReportRequest, ReportResponse, report_request::Report};

/// `speechctl worker --listen` on a port that the system chose.
pub(crate) struct Worker {
    pub(crate) address: String,
    pub(crate) running: Running,
}

impl Worker {
    /// Starts it for an engine, with these flags beside.
    pub(crate) fn start(sandbox: &Sandbox, engine: &str, flags: &[&str]) -> Self {
        let mut args = vec!["worker", "--engine", engine, "--listen", "127.0.0.1:0"];
        args.extend(flags);
        let mut command = sandbox.command(&args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, line) = mpsc::channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            stdout.read_line(&mut line).expect("it can be read");
            drop(sender.send(line));
            // An engine may go on to talk.
            io::copy(&mut stdout, &mut io::sink()).unwrap_or_default();
        });
        let line = line.recv_timeout(PATIENCE).expect("it says that it listens");
        let address = line.trim().strip_prefix("speechctl: worker listening on ").unwrap_or_else(|| panic!("{line:?}"));
        Self { address: address.to_owned(), running: Running::reading(child) }
    }

    /// A client of its recogniser.
    pub(crate) async fn stt(&self) -> stt::stt_worker_client::SttWorkerClient<Channel> {
        stt::stt_worker_client::SttWorkerClient::new(connect(&self.address).await)
    }

    /// A client of its synthesiser.
    pub(crate) async fn tts(&self) -> tts::tts_worker_client::TtsWorkerClient<Channel> {
        tts::tts_worker_client::TtsWorkerClient::new(connect(&self.address).await)
    }

    /// Asks it to stop.
    pub(crate) fn stop(self) -> Shown {
        self.running.signal("TERM");
        self.running.end()
    }
}

/// Waits for the end of a process, while other tasks go on.
pub(crate) async fn ended(mut running: Running) -> Shown {
    while !running.has_ended() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.end()
}

/// What a registry has seen, and what it lets in.
#[derive(Default)]
pub(crate) struct Seen {
    /// Tokens that are good, each once.
    pub(crate) tokens: Vec<String>,
    /// What is answered to whom no token lets in.
    pub(crate) refusal: Option<Status>,
    /// What is answered to the next ticket in place of "OK".
    pub(crate) answer: Option<String>,
    pub(crate) registered: Vec<RegisterRequest>,
    pub(crate) reports: Vec<Report>,
}

/// The registration port of a server that does nothing else.
pub(crate) struct Registry {
    pub(crate) address: String,
    pub(crate) seen: Arc<Mutex<Seen>>,
    workers: tokio::sync::mpsc::Receiver<TcpStream>,
}

impl Registry {
    /// Listens, inside of a runtime.
    pub(crate) async fn start(tokens: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        let seen = Arc::new(Mutex::new(Seen { tokens, ..Seen::default() }));
        let (calls, incoming) = tokio::sync::mpsc::channel::<io::Result<TcpStream>>(8);
        let (sender, workers) = tokio::sync::mpsc::channel(8);
        let service = v1::worker_registry_server::WorkerRegistryServer::new(Service(Arc::clone(&seen)));
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(ReceiverStream::new(incoming)));
        let of_tickets = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut first = [0];
                stream.peek(&mut first).await.expect("it says something");
                if first == *b"P" {
                    calls.send(Ok(stream)).await.expect("the registry listens");
                } else if let Some(stream) = redeemed(stream, &of_tickets).await {
                    sender.send(stream).await.expect("the test listens");
                }
            }
        });
        Self { address, seen, workers }
    }

    /// The next worker: a channel on which it can be called.
    pub(crate) async fn worker(&mut self) -> Channel {
        let mut stream = Some(self.workers.recv().await.expect("one comes"));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::other("it is gone")) }
        });
        Endpoint::from_static("http://worker").connect_with_connector(connector).await.expect("it speaks HTTP/2")
    }
}

/// Reads a ticket, and answers it.
async fn redeemed(stream: TcpStream, seen: &Mutex<Seen>) -> Option<TcpStream> {
    let mut stream = tokio::io::BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a line");
    assert_eq!(line, "SPEECHCTL-TICKET 0123456789abcdef0123456789abcdef\n");
    let answer = seen.lock().expect("it is whole").answer.take();
    let is_taken = answer.is_none();
    stream.write_all(answer.unwrap_or("OK\n".to_owned()).as_bytes()).await.expect("it hears");
    assert!(stream.buffer().is_empty(), "it waits for the answer");
    is_taken.then(|| stream.into_inner())
}

struct Service(Arc<Mutex<Seen>>);

#[tonic::async_trait]
impl v1::worker_registry_server::WorkerRegistry for Service {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let mut seen = self.0.lock().expect("it is whole");
        seen.registered.push(request.clone());
        let Some(place) = seen.tokens.iter().position(|token| *token == request.token) else {
            return Err(seen.refusal.clone().unwrap_or(Status::unauthenticated("the token is not good")));
        };
        seen.tokens.remove(place);
        let ticket = "0123456789abcdef0123456789abcdef".to_owned();
        Ok(Response::new(RegisterResponse { ticket, lifetime: None }))
    }

    async fn report(&self, request: Request<Streaming<ReportRequest>>) -> Result<Response<ReportResponse>, Status> {
        let mut reports = request.into_inner();
        while let Some(report) = reports.message().await? {
            self.0.lock().expect("it is whole").reports.extend(report.report);
        }
        Ok(Response::new(ReportResponse {}))
    }
}
