//! Two echoes in a row: the least that client, server and worker could cost if they were written with tonic and did
//! nothing at all.
//!
//! The far echo listens on a Unix socket, as a worker does, and sends back every message as it is. The near echo listens
//! on TCP, as the server does, passes every message on to the far one and back. Each is a process of its own: this
//! program, started by itself. Messages are `google.protobuf.BytesValue`.

use crate::{
    Result,
    options::EchoPlace,
    turns,
    wire::{self, connect_unix},
};
use bytes::Bytes;
use http::uri::PathAndQuery;
use std::{
    convert::Infallible,
    io,
    path::Path,
    pin::Pin,
    process::{Child, Command, Stdio},
    task::{Context, Poll},
};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::{Stream, StreamExt, wrappers::UnixListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client, server,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;

/// Sends back each message of a stream.
pub(crate) const STREAM: &str = "/bench.Echo/Stream";

/// Answers each message of a stream with an empty one: the audio goes one way only.
pub(crate) const SINK: &str = "/bench.Echo/Sink";

/// Sends back one message.
pub(crate) const UNARY: &str = "/bench.Echo/Unary";

type Pinned<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Messages = Pin<Box<dyn Stream<Item = std::result::Result<Bytes, Status>> + Send>>;

/// The two processes. They end with this.
pub(crate) struct Echoes {
    near: Child,
    far: Child,
    /// Where the near one listens.
    pub(crate) address: String,
}

impl Echoes {
    /// Starts both, the far one on a socket of this path.
    pub(crate) fn start(socket: &Path) -> Result<Self> {
        let (far, _) = start("--echo-far", socket)?;
        let (near, address) = start("--echo-near", socket)?;
        Ok(Self { near, far, address })
    }
}

impl Drop for Echoes {
    fn drop(&mut self) {
        for child in [&mut self.near, &mut self.far] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn start(flag: &str, socket: &Path) -> Result<(Child, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg(flag).arg(socket).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let line = turns::first_line(child.stdout.take().ok_or("no standard output")?)?;
    if line.is_empty() {
        return Err(turns::failure(&command, "it ended before it was ready"));
    }
    Ok((child, line))
}

/// Runs an echo until it is killed.
pub(crate) fn serve(place: &EchoPlace) -> Result<()> {
    wire::runtime()?.block_on(async {
        match place {
            EchoPlace::Far(socket) => {
                let listener = UnixListener::bind(socket)?;
                crate::say("ready\n")?;
                let server = Server::builder().add_service(Echo { next: None });
                server.serve_with_incoming(UnixListenerStream::new(listener)).await?;
            }
            EchoPlace::Near { far } => {
                let next = Some(connect_unix(far.clone()).await?);
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                crate::say(&format!("{}\n", listener.local_addr()?))?;
                let server = Server::builder().add_service(Echo { next });
                server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))).await?;
            }
        }
        Ok(())
    })
}

/// The service of both.
#[derive(Clone)]
struct Echo {
    next: Option<Channel>,
}

impl server::NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pinned<std::result::Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let next = self.next.clone();
        let mut grpc = server::Grpc::new(codec());
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            if path == UNARY {
                let echo = tower::service_fn(move |request| unary(next.clone(), request));
                return Ok(grpc.unary(echo, request).await);
            }
            let path = if path == SINK { SINK } else { STREAM };
            let echo = tower::service_fn(move |request| stream(next.clone(), path, request));
            Ok(grpc.streaming(echo, request).await)
        })
    }
}

async fn unary(next: Option<Channel>, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, Status> {
    match next {
        None => Ok(Response::new(request.into_inner())),
        Some(channel) => call(channel, request.into_inner()).await,
    }
}

/// Sends a message to an echo and gets it back.
pub(crate) async fn call(channel: Channel, message: Bytes) -> std::result::Result<Response<Bytes>, Status> {
    let mut client = ready(channel).await?;
    client.unary(Request::new(message), PathAndQuery::from_static(UNARY), codec()).await
}

async fn stream(
    next: Option<Channel>,
    path: &'static str,
    request: Request<Streaming<Bytes>>,
) -> std::result::Result<Response<Messages>, Status> {
    let messages = request.into_inner();
    match next {
        None if path == SINK => Ok(Response::new(Box::pin(messages.map(|message| message.map(|_| Bytes::new()))))),
        None => Ok(Response::new(Box::pin(messages))),
        Some(channel) => {
            // A stream that breaks ends here; whoever broke it knows.
            let passed_on = messages.map_while(std::result::Result::ok);
            let answers = open(channel, path, passed_on).await?;
            Ok(Response::new(Box::pin(answers)))
        }
    }
}

/// Opens a stream to an echo.
pub(crate) async fn open(
    channel: Channel,
    path: &'static str,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> std::result::Result<Streaming<Bytes>, Status> {
    let mut client = ready(channel).await?;
    let response = client.streaming(Request::new(messages), PathAndQuery::from_static(path), codec()).await?;
    Ok(response.into_inner())
}

async fn ready(channel: Channel) -> std::result::Result<client::Grpc<Channel>, Status> {
    let mut client = client::Grpc::new(channel);
    client.ready().await.map_err(|cause| Status::unavailable(io::Error::other(cause).to_string()))?;
    Ok(client)
}

fn codec() -> ProstCodec<Bytes, Bytes> {
    ProstCodec::default()
}
