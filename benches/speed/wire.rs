//! Clients of the wire, and runtimes to drive them.

/// What is generated of the contracts.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
mod generated {
    pub(crate) mod v1 {
        tonic::include_proto!("speechctl.v1");
    }

    /// What a worker speaks.
    pub(crate) mod stt {
        tonic::include_proto!("macaw.stt");
    }
}

pub(crate) use generated::{stt, v1};

use crate::Result;
use hyper_util::rt::TokioIo;
use std::{io, path::PathBuf};
use tokio::{
    net::UnixStream,
    runtime::{Builder, Runtime},
};
use tonic::transport::{Channel, Endpoint};

/// A runtime of two threads, as servers have them on the machines that this is for.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A runtime of this very thread, for clients that only wait.
pub(crate) fn quick_runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A channel over TCP.
pub(crate) async fn connect(address: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

/// A channel over a Unix socket.
pub(crate) async fn connect_unix(path: PathBuf) -> Result<Channel> {
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://unix").connect_with_connector(connector).await?)
}

/// A channel over a connection that is there already.
pub(crate) fn over(socket: UnixStream) -> Channel {
    let mut socket = Some(socket);
    let connector = tower::service_fn(move |_| {
        let socket = socket.take();
        async move { socket.map(TokioIo::new).ok_or_else(|| io::Error::other("the other side is gone")) }
    });
    Endpoint::from_static("http://worker").connect_with_connector_lazy(connector)
}
