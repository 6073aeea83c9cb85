//! The connection to a worker: a channel over one socket, whose end is noticed, and which can be cut.
//!
//! There is one connection to a worker and never another: where it breaks, the worker is lost.

use crate::server::supervisor::{
    death::{Cause, Death},
    tail::Tail,
};
use hyper_util::rt::TokioIo;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection that was cut may take to end.
const CUT: Duration = Duration::from_secs(1);

/// A worker that runs elsewhere, as far as we have hold of it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    closed: oneshot::Receiver<()>,
    is_closed: bool,
    /// Lines that it sends us, where it does.
    reports: Option<mpsc::Receiver<String>>,
    tail: Tail,
}

/// A socket that tells when it is let go of.
#[derive(Debug)]
struct Watched<S> {
    socket: S,
    _closed: oneshot::Sender<()>,
}

/// Makes a channel over a socket.
pub(super) fn channel<S>(socket: S) -> Channel
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut socket = Some(socket);
    let connector = tower::service_fn(move |_| {
        let socket = socket.take();
        async move { socket.map(TokioIo::new).ok_or_else(|| io::Error::other("the worker is gone")) }
    });
    // Lazy: a worker that dies before it speaks is lost like any other, and says how by its end.
    Endpoint::from_static("http://worker").connect_with_connector_lazy(connector)
}

impl Connection {
    /// Calls a worker at `http://HOST:PORT` or `unix:PATH`.
    ///
    /// # Errors
    /// What the system says; a time-out.
    pub(super) async fn call(address: &str) -> io::Result<(Self, Channel)> {
        let calling = async {
            match address.strip_prefix("unix:") {
                Some(path) => Self::over(UnixStream::connect(path).await?, None),
                None => {
                    let socket = TcpStream::connect(address.trim_start_matches("http://")).await?;
                    socket.set_nodelay(true)?;
                    Self::over(socket, None)
                }
            }
        };
        timeout(CONNECT, calling).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Takes hold of a socket.
    ///
    /// # Errors
    /// Where the system gives no second descriptor of it.
    pub(super) fn over<S>(socket: S, reports: Option<mpsc::Receiver<String>>) -> io::Result<(Self, Channel)>
    where
        S: AsyncRead + AsyncWrite + AsFd + Send + Unpin + 'static,
    {
        let copy = socket.as_fd().try_clone_to_owned()?;
        let (sender, closed) = oneshot::channel();
        let channel = channel(Watched { socket, _closed: sender });
        Ok((Self { socket: copy, closed, is_closed: false, reports, tail: Tail::default() }, channel))
    }

    /// Waits for its end, reading what it reports until then.
    pub(super) async fn ended(&mut self) -> Cause {
        while !self.is_closed {
            let report = async {
                match &mut self.reports {
                    Some(reports) => reports.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender is dropped with the socket; that is the message.
                _ = &mut self.closed => self.is_closed = true,
                report = report => match report {
                    Some(line) => self.tail.push(line.as_bytes()),
                    // The other connection of a worker that dialled in is closed: that is its end, too.
                    None => {
                        self.reports = None;
                        self.cut();
                    }
                },
            }
        }
        Cause::Disconnected
    }

    /// Cuts it, and waits until whoever uses it has noticed.
    pub(super) async fn kill(&mut self) {
        self.cut();
        if timeout(CUT, self.ended()).await.is_err() {
            tracing::debug!("A connection that was cut is still held.");
        }
    }

    /// How it ended.
    pub(super) fn death(mut self, cause: Cause, detail: String) -> Death {
        while let Some(Ok(line)) = self.reports.as_mut().map(mpsc::Receiver::try_recv) {
            self.tail.push(line.as_bytes());
        }
        Death { cause, detail, last_words: self.tail.into_lines() }
    }

    fn cut(&self) {
        if let Err(error) = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both) {
            tracing::debug!(%error, "Connection was gone already.");
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
