//! Addresses that are listened on: TCP, or a Unix socket, whose file goes with it.

use crate::error::{Error, Kind, Result};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    time::sleep,
};

/// How long to leave the system alone when it has no descriptor or memory for a connection: trying again at once would
/// help nobody, and take a whole processor.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// One address that is listened on.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpListener, SocketAddr),
    /// A Unix socket, and its file.
    Unix(UnixListener, SocketFile),
}

/// Removes the file of a Unix socket in the end.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

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
    /// `Config` for what is no address, or one that others can reach while nothing protects it; `InUse` where another
    /// process has it; `Io` where it may not be used.
    pub(crate) async fn bind(address: &str, insecure: bool) -> Result<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => bind_unix(Path::new(path)),
            None => bind_tcp(address, insecure).await.map(|(listener, local)| Socket::Tcp(listener, local)),
        }
    }

    /// The address as clients name it.
    pub(crate) fn address(&self) -> String {
        match self {
            Socket::Tcp(_, address) => address.to_string(),
            Socket::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }
}

/// What came of taking a connection, after a rest where the system had nothing left for one.
///
/// # Errors
/// What the system says.
pub(crate) async fn rested<S>(accepted: io::Result<S>) -> io::Result<S> {
    if let Err(error) = &accepted {
        tracing::warn!(%error, "Cannot take a connection.");
        sleep(EXHAUSTED).await;
    }
    accepted
}

/// Has small messages sent at once, both ways: none may wait for another to fill a packet.
pub(crate) fn undelayed(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Connection stays with Nagle's algorithm.");
    }
}

/// Listens on `HOST:PORT`.
///
/// # Errors
/// As those of [`Socket::bind`].
pub(crate) async fn bind_tcp(address: &str, insecure: bool) -> Result<(TcpListener, SocketAddr)> {
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
            io::ErrorKind::AddrInUse => "; another process has it: stop that one, or choose another `--listen`",
            io::ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        };
        let kind = if cause.kind() == io::ErrorKind::AddrInUse { Kind::InUse } else { Kind::Io };
        Error::new(kind, format!("cannot listen on `{address}`{way_out}")).because(cause)
    })?;
    let local =
        listener.local_addr().map_err(|cause| Error::new(Kind::Io, "a socket without address").because(cause))?;
    Ok((listener, local))
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
                    format!("cannot listen on `unix:{name}`: another process has it; stop that one, or choose another");
                return Err(Error::new(Kind::InUse, message));
            }
            Err(cause) if cause.kind() != io::ErrorKind::ConnectionRefused => return Err(cannot(cause)),
            Err(_) => {}
        }
        // Left behind by a process that was killed.
        fs::remove_file(path).map_err(cannot)?;
    }
    let listener = UnixListener::bind(path).map_err(cannot)?;
    let file = SocketFile(path.to_owned());
    // Its owner alone, whatever the umask says; who wants to share it can say so afterwards.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    Ok(Socket::Unix(listener, file))
}
