//! Whose something is: the connection that it was asked for on, for as long as that is open.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::{Connected, TcpConnectInfo, UdsConnectInfo};

/// A connection of a caller. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner(Weak<()>);

impl Owner {
    /// The connection of a request.
    pub(crate) fn of<T>(request: &tonic::Request<T>) -> Self {
        let extensions = request.extensions();
        let over_tcp = extensions.get::<Told<TcpConnectInfo>>().map(|told| told.owner.clone());
        over_tcp.or_else(|| extensions.get::<Told<UdsConnectInfo>>().map(|told| told.owner.clone())).unwrap_or_default()
    }

    /// Whether it is closed.
    pub(crate) fn has_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// What requests are told of their connection.
#[derive(Clone, Debug)]
pub(crate) struct Told<I> {
    /// What the transport tells.
    pub(crate) peer: I,
    owner: Owner,
}

/// A connection that tells when it is closed.
#[derive(Debug)]
pub(crate) struct Line<S> {
    stream: S,
    is_open: Arc<()>,
}

impl<S> Line<S> {
    /// A connection that has just been opened.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, is_open: Arc::default() }
    }
}

impl<S: Connected> Connected for Line<S> {
    type ConnectInfo = Told<S::ConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Told { peer: self.stream.connect_info(), owner: Owner(Arc::downgrade(&self.is_open)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
