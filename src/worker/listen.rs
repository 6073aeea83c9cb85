//! A worker that stands alone: it listens, and serves whoever comes.
//!
//! Beside the contracts it answers `grpc.health.v1.Health` and server reflection, so that tools which know nothing of it
//! can look and call.

use crate::{
    error::{Error, Kind, Result},
    proto::{
        self, stt::stt_worker_server::SERVICE_NAME as RECOGNITION, tts::tts_worker_server::SERVICE_NAME as SYNTHESIS,
        v1::Capability,
    },
    worker::{
        Worker,
        connection::{self, DRAIN},
        engine,
        signals::Signals,
    },
};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Connections at the same time. More of them wait to be accepted.
const CONNECTIONS: usize = 256;

/// How long to pause when the system gives no more connections: most of all when it has run out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that is listened on.
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

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

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

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Socket::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Small messages both ways: none may wait for another to fill a packet.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "Connection stays with Nagle's algorithm.");
                }
                Ok(Box::new(stream))
            }
            Socket::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Serves whoever comes until a signal, then lets open calls end, up to the deadline for that; a second signal ends at
/// once.
///
/// # Errors
/// Why the model cannot be loaded: whoever started the worker by hand wants to see that, not to ask for it.
pub(super) async fn serve(worker: &Worker, socket: Socket, mut signals: Signals) -> Result<()> {
    let (mut health, health_service) = tonic_health::server::health_reporter();
    let names = names(worker);
    tell_health(&health, &names, ServingStatus::NotServing).await;
    let routes = with_reflection(worker.contracts().add_service(health_service), &names)?.prepare();
    let (stop, stopping) = connection::stopping();
    let mut connections = JoinSet::new();
    let mut loaded = pin!(worker.engine.loaded());
    let (mut is_loaded, mut complained) = (false, false);
    let outcome = loop {
        tokio::select! {
            () = signals.next() => break Ok(()),
            outcome = loaded.as_mut(), if !is_loaded => match outcome {
                Ok(()) => {
                    is_loaded = true;
                    tell_health(&health, &names, ServingStatus::Serving).await;
                }
                Err(error) => break Err(error),
            },
            Some(_) = connections.join_next() => {}
            accepted = socket.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok(stream) => {
                    complained = false;
                    connections.spawn(connection::serve(stream, routes.clone(), stopping.clone()));
                }
                Err(error) => {
                    if !complained {
                        tracing::warn!(%error, "No more connections for now.");
                    }
                    complained = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    };
    drop(socket);
    tell_health(&health, &names, ServingStatus::NotServing).await;
    for name in &names {
        // Ends the streams of those who watch, which nothing else would end.
        health.clear_service_status(name).await;
    }
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = signals.next() => tracing::warn!("Stopping at once."),
        drained = timeout(DRAIN, drained) => if drained.is_err() {
            tracing::warn!(seconds = DRAIN.as_secs(), "Calls were still open at the deadline for draining.");
        },
    }
    connections.shutdown().await;
    outcome
}

/// The names under which health is asked for: the whole, and each contract that the engine can keep.
fn names(worker: &Worker) -> Vec<&'static str> {
    let contracts = engine::capabilities(&worker.model).iter().filter_map(|capability| match capability {
        Capability::Recognition => Some(RECOGNITION),
        Capability::Synthesis => Some(SYNTHESIS),
        Capability::Unspecified => None,
    });
    std::iter::once("").chain(contracts).collect()
}

async fn tell_health(health: &HealthReporter, names: &[&str], status: ServingStatus) {
    for name in names {
        health.set_service_status(*name, status).await;
    }
}

/// Adds server reflection, which shows these services.
fn with_reflection(routes: Routes, names: &[&'static str]) -> Result<Routes> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        let contracts = names.iter().filter(|name| !name.is_empty());
        contracts.fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let broken = |cause| Error::new(Kind::Internal, "the descriptors are broken").because(cause);
    let v1 = builder().build_v1().map_err(|cause| broken(Box::new(cause)))?;
    let v1alpha = builder().build_v1alpha().map_err(|cause| broken(Box::new(cause)))?;
    Ok(routes.add_service(v1).add_service(v1alpha))
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
            io::ErrorKind::AddrInUse => "; another process has it: stop that one, or choose another `--listen`",
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
                    format!("cannot listen on `unix:{name}`: another process has it; stop that one, or choose another");
                return Err(Error::new(Kind::Io, message));
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
