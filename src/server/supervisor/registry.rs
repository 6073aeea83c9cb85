//! Workers that come by themselves: they dial in on the registration port, show a token that is good once, get a ticket,
//! and serve on a second connection that they open with it (`proto/speechctl/v1/registry.proto`).

mod desk;
mod tokens;

use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{Supervisor, connection::Connection, keeper::Guest},
    socket,
};
use desk::{Desk, Visitor};
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

/// How a second connection begins.
const TICKET: &str = "SPEECHCTL-TICKET ";

/// The longest line with a ticket.
const LINE: usize = 100;

/// How long a connection may take to say what it is.
const HELLO: Duration = Duration::from_secs(5);

/// Connections that have not said yet what they are, at the same time.
const CONNECTIONS: usize = 128;

/// How long a first connection may be silent before it is asked whether it lives, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The largest message: a name or two.
const MESSAGE: usize = 16 * 1024;

/// The registration port, which listens and does not serve yet.
#[derive(Debug)]
pub(crate) struct Registry {
    listener: TcpListener,
    address: String,
    desk: Desk,
}

impl Registry {
    /// Prepares to serve on a socket; tokens are written into a file, a fresh one each time one was used.
    ///
    /// # Errors
    /// `Io` where the file cannot be written.
    pub(crate) fn try_new(listener: TcpListener, token_file: PathBuf) -> Result<Self> {
        let address = listener
            .local_addr()
            .map_err(|cause| Error::new(Kind::Io, "a socket without address").because(cause))?
            .to_string();
        Ok(Self { listener, address, desk: Desk::try_new(token_file)? })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self, supervisor: Supervisor) {
        let Self { listener, desk, .. } = self;
        // First connections are handed to a gRPC server of their own; it ends with this task, as everything here does.
        let (grpc, incoming) = mpsc::channel::<io::Result<TcpStream>>(CONNECTIONS);
        let mut tasks = JoinSet::new();
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(desk.service().max_decoding_message_size(MESSAGE));
        tasks.spawn(async move {
            if let Err(error) = server.serve_with_incoming(ReceiverStream::new(incoming)).await {
                tracing::error!(%error, "The registration port has failed.");
            }
        });
        let mut sweep = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                accepted = listener.accept(), if tasks.len() < CONNECTIONS => {
                    if let Ok((socket, _)) = socket::rested(accepted).await {
                        tasks.spawn(receive(socket, grpc.clone(), desk.clone(), supervisor.clone()));
                    }
                }
                Some(_) = tasks.join_next() => {}
                _ = sweep.tick() => desk.sweep(),
            }
        }
    }
}

/// Finds out what a connection is for, and hands it on.
async fn receive(socket: TcpStream, grpc: mpsc::Sender<io::Result<TcpStream>>, desk: Desk, supervisor: Supervisor) {
    let peer = socket.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    let outcome = timeout(HELLO, sort(socket, &grpc, &desk, &supervisor, &peer)).await;
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(peer, %error, "A worker that dialled in was refused."),
        Err(_) => tracing::debug!(peer, "A connection to the registration port said nothing."),
    }
}

async fn sort(
    socket: TcpStream,
    grpc: &mpsc::Sender<io::Result<TcpStream>>,
    desk: &Desk,
    supervisor: &Supervisor,
    peer: &str,
) -> Result<()> {
    let broken = |cause: io::Error| Error::new(Kind::Unavailable, "its connection broke").because(cause);
    socket.set_nodelay(true).map_err(broken)?;
    let mut start = [0; 4];
    // What HTTP/2 begins with is longer than this, so there will be so much.
    loop {
        match socket.peek(&mut start).await.map_err(broken)? {
            0 => return Ok(()),
            seen if seen == start.len() => break,
            _ => sleep(Duration::from_millis(5)).await,
        }
    }
    if TICKET.as_bytes().starts_with(&start) {
        return second(socket, desk, supervisor, peer).await;
    }
    grpc.send(Ok(socket)).await.map_err(|_| Error::new(Kind::Unavailable, "the server is stopping"))
}

/// Takes in the second connection of a worker.
async fn second(mut socket: TcpStream, desk: &Desk, supervisor: &Supervisor, peer: &str) -> Result<()> {
    let broken = |cause: io::Error| Error::new(Kind::Unavailable, "its connection broke").because(cause);
    let line = line(&mut socket).await.map_err(broken)?;
    let ticket = line.strip_prefix(TICKET).unwrap_or_default().trim().to_owned();
    let visitor = match desk.admit(&ticket) {
        Ok(visitor) => visitor,
        Err(error) => {
            refuse(&mut socket, &error).await;
            return Err(error);
        }
    };
    if let Err(error) = supervisor.has_room().await {
        refuse(&mut socket, &error).await;
        return Err(error);
    }
    socket.write_all(b"OK\n").await.map_err(broken)?;
    let Visitor { model, mut body, reports } = visitor;
    body.address = peer.to_owned();
    if !socket.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) {
        // The number means nothing on this machine.
        body.pid = 0;
    }
    let (connection, channel) = Connection::over(socket, Some(reports)).map_err(broken)?;
    tracing::info!(%model, peer, "A worker has dialled in.");
    supervisor.admit(model, Guest { connection, channel, body }).await
}

/// The first line, byte by byte: what comes behind it belongs to somebody else.
async fn line(socket: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LINE {
        match socket.read_u8().await? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

async fn refuse(socket: &mut TcpStream, error: &Error) {
    let line = format!("NO {}\n", error.to_string().replace('\n', " "));
    if let Err(error) = socket.write_all(line.as_bytes()).await {
        tracing::debug!(%error, "It did not wait for the reason.");
    }
}
