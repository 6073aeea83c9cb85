//! Serves what comes on an address.

use crate::{
    error::{Error, Kind, Result},
    server::guard::owner::Line,
    shutdown::{self, Stop},
    socket::{self, Socket},
};
use tokio_stream::{
    StreamExt,
    wrappers::{TcpListenerStream, UnixListenerStream},
};
use tonic::transport::server::Router;

/// Serves until a stop is wanted and the calls that are open then have ended.
///
/// # Errors
/// `Io` where the socket fails.
pub(super) async fn serve<L>(socket: Socket, server: Router<L>, mut stop: shutdown::Listener) -> Result<()>
where
    L: tower::Layer<tonic::service::Routes> + Clone,
    L::Service: tower::Service<http::Request<tonic::body::Body>, Response = http::Response<tonic::body::Body>>
        + Clone
        + Send
        + 'static,
    <L::Service as tower::Service<http::Request<tonic::body::Body>>>::Future: Send,
    <L::Service as tower::Service<http::Request<tonic::body::Body>>>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let stopped = async move { stop.wanted(Stop::Drain).await };
    let result = match socket {
        Socket::Tcp(listener, _) => {
            let incoming =
                TcpListenerStream::new(listener).then(|stream| socket::rested(stream.inspect(socket::undelayed)));
            let incoming = incoming.map(|stream| stream.map(Line::new));
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
        Socket::Unix(listener, file) => {
            let incoming = UnixListenerStream::new(listener).then(socket::rested).map(|stream| stream.map(Line::new));
            let result = server.serve_with_incoming_shutdown(incoming, stopped).await;
            drop(file);
            result
        }
    };
    result.map_err(|cause| Error::new(Kind::Io, "a listening socket failed").because(cause))
}
