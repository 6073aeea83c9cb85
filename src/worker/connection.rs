//! One connection of a caller, who is an HTTP/2 client on it, whoever dialled.

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{pin::pin, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader},
    sync::watch,
    time::timeout,
};
use tonic::service::Routes;

/// How long a connection may be silent before it is asked whether it lives, and how long the answer may take.
pub(super) const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// Calls at the same time on one connection: those that may wait, and room to ask how it does.
const CALLS: u32 = 64;

/// How long a caller may take to say the first word.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// How long open calls may take to end once the worker is asked to stop.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// The wish that connections end with their open calls.
#[derive(Clone, Debug)]
pub(super) struct Stopping(watch::Receiver<bool>);

/// Whoever holds the sender says `true` when it is time.
pub(super) fn stopping() -> (watch::Sender<bool>, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (sender, Stopping(receiver))
}

impl Stopping {
    /// Waits until it is time. A sender that is gone says so too.
    pub(super) async fn wanted(&self) {
        let mut receiver = self.0.clone();
        drop(receiver.wait_for(|stop| *stop).await);
    }

    /// Whether it is time.
    pub(super) fn is_wanted(&self) -> bool {
        *self.0.borrow()
    }
}

/// Serves a connection to its end: until the caller goes, or a stop is wanted and the calls that are open then have
/// ended.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, routes: Routes, stop: Stopping) {
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new()).keep_alive_interval(KEEPALIVE.0).keep_alive_timeout(KEEPALIVE.1);
    server.max_concurrent_streams(CALLS);
    // HTTP/2 has no deadline for its first word, and before it nothing else has.
    let mut stream = BufReader::new(stream);
    tokio::select! {
        first = timeout(FIRST_WORD, stream.fill_buf()) => if !matches!(first, Ok(Ok(bytes)) if !bytes.is_empty()) {
            return;
        },
        () = stop.wanted() => return,
    }
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.wanted() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // Nearly always: the caller is gone. Then nobody is left to hear of it.
        tracing::debug!(%error, "Connection ended.");
    }
}
