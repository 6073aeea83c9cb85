//! The addresses of the server: TCP, or a Unix socket.

use crate::{
    error::{Error, Kind, Result},
    shutdown::{self, Stop},
};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::{
    StreamExt,
    wrappers::{TcpListenerStream, UnixListenerStream},
};
use tonic::transport::server::Router;

/// How long to leave the system alone when it has nothing left.
const EXHAUSTED: std::time::Duration = std::time::Duration::from_millis(100);

/// One address that is listened on.
#[derive(Debug)]
pub(super) enum Socket {
    /// TCP.
    Tcp(TcpListener, SocketAddr),
    /// A Unix socket, and its file, which goes with it.
    Unix(UnixListener, SocketFile),
}

/// Removes the file of a Unix socket in the end.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "Socket file was gone already.");
        }
    }
}

impl Socket {
    /// Listens on `HOST:PORT` or `unix:PATH`.
    ///
    /// # Errors
    /// `Config` for what is no address, or one that others can reach while nothing protects it; `Io` where it is taken
    /// or may not be used.
    pub(super) async fn bind(address: &str, insecure: bool) -> Result<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => bind_unix(Path::new(path)),
            None => bind_tcp(address, insecure).await,
        }
    }

    /// The address as clients name it.
    pub(super) fn address(&self) -> String {
        match self {
            Socket::Tcp(_, address) => address.to_string(),
            Socket::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }

    /// Serves until a stop is wanted and the calls that are open then have ended.
    ///
    /// # Errors
    /// `Io` where the socket fails.
    pub(super) async fn serve<L>(self, server: Router<L>, mut stop: shutdown::Listener) -> Result<()>
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
        let result = match self {
            Socket::Tcp(listener, _) => {
                let incoming = TcpListenerStream::new(listener).then(|stream| {
                    let stream = stream.inspect(|stream| {
                        // Small messages both ways: none may wait for another to fill a packet.
                        if let Err(error) = stream.set_nodelay(true) {
                            tracing::debug!(%error, "Connection stays with Nagle's algorithm.");
                        }
                    });
                    patiently(stream)
                });
                server.serve_with_incoming_shutdown(incoming, stopped).await
            }
            Socket::Unix(listener, file) => {
                let incoming = UnixListenerStream::new(listener).then(patiently);
                let result = server.serve_with_incoming_shutdown(incoming, stopped).await;
                drop(file);
                result
            }
        };
        result.map_err(|cause| Error::new(Kind::Io, "a listening socket failed").because(cause))
    }
}

/// Leaves the system alone for a moment when it has no descriptor or memory for a connection: trying again at once, as
/// the transport does, would help nobody and take a whole processor.
async fn patiently<S>(stream: io::Result<S>) -> io::Result<S> {
    if let Err(error) = &stream {
        tracing::warn!(%error, "Cannot take a connection.");
        tokio::time::sleep(EXHAUSTED).await;
    }
    stream
}

/// Binds a TCP address.
///
/// # Errors
/// As those of [`Socket::bind`].
pub(super) async fn bind_tcp_listener(address: &str, insecure: bool) -> Result<TcpListener> {
    match bind_tcp(address, insecure).await? {
        Socket::Tcp(listener, _) => Ok(listener),
        Socket::Unix(..) => Err(Error::new(Kind::Config, format!("`{address}` is no HOST:PORT"))),
    }
}

async fn bind_tcp(address: &str, insecure: bool) -> Result<Socket> {
    let wrong = |cause: io::Error| {
        let message = format!("cannot listen on `{address}`: it is not an address; give HOST:PORT or unix:PATH");
        Error::new(Kind::Config, message).because(cause)
    };
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host(address).await.map_err(wrong)?.collect();
    let Some(first) = resolved.first().copied() else {
        return Err(wrong(io::Error::other("the name has no address")));
    };
    if !insecure && resolved.iter().any(|address| !address.ip().is_loopback()) {
        let message = format!(
            "cannot listen on `{address}`: others than this machine can reach it, and nothing is encrypted or asks who \
             they are; listen on 127.0.0.1, or say `--insecure` if something else protects it"
        );
        return Err(Error::new(Kind::Config, message));
    }
    let listener = TcpListener::bind(first).await.map_err(|cause| {
        let way_out = match cause.kind() {
            io::ErrorKind::AddrInUse => "; another server has it: stop that one, or choose another `--listen`",
            io::ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        };
        Error::new(Kind::Io, format!("cannot listen on `{address}`{way_out}")).because(cause)
    })?;
    let local =
        listener.local_addr().map_err(|cause| Error::new(Kind::Io, "a socket without address").because(cause))?;
    Ok(Socket::Tcp(listener, local))
}

fn bind_unix(path: &Path) -> Result<Socket> {
    let name = path.display();
    let cannot = |cause: io::Error| Error::new(Kind::Io, format!("cannot listen on `unix:{name}`")).because(cause);
    if path.as_os_str().is_empty() {
        return Err(Error::new(Kind::Config, "cannot listen on `unix:`: the path is missing"));
    }
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            let message =
                format!("cannot listen on `unix:{name}`: a file that is no socket is there; it is left alone");
            return Err(Error::new(Kind::Io, message));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                let message =
                    format!("cannot listen on `unix:{name}`: another server has it; stop that one, or choose another");
                return Err(Error::new(Kind::Io, message));
            }
            Err(cause) if cause.kind() != io::ErrorKind::ConnectionRefused => return Err(cannot(cause)),
            Err(_) => {}
        }
        // Left behind by a server that was killed.
        fs::remove_file(path).map_err(cannot)?;
    }
    let listener = UnixListener::bind(path).map_err(cannot)?;
    let file = SocketFile(path.to_owned());
    // Its owner alone, whatever the umask says; who wants to share it can say so afterwards.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    Ok(Socket::Unix(listener, file))
}
