//! A server for one call: in this very process, on a Unix socket in a folder that nobody else may enter.

use super::FAREWELL;
use crate::{
    client::{PrivateServer, Spawner},
    config,
    error::{Error, Kind, Result},
    models::library::Library,
    server::{Bound, Settings, Spares},
    shutdown,
};
use rustix::process::Pid;
use std::{
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;

/// How the names of folders of private servers begin; the number of the process follows.
const PREFIX: &str = "speechctl-";

/// The socket in it.
const SOCKET: &str = "socket";

/// A folder that is younger may not have its socket yet.
const YOUNG: Duration = Duration::from_secs(60);

/// The folder of a private server. Removed at the end, also when the server could not end in order.
pub(super) type Folder = Arc<Mutex<Option<TempDir>>>;

/// What starts such a server, for a client that finds none; and its folder.
pub(super) fn spawner() -> (Spawner, Folder) {
    let folder = Folder::default();
    let place = Arc::clone(&folder);
    (Box::new(move || Box::pin(start(Arc::clone(&place)))), folder)
}

/// Where such a server keeps what is said to it: a folder of its own, which `speechctl sessions` finds if it dies.
/// Where none can be made, its socket's folder will do: better kept for as long as it lives than not at all.
fn own_state(folder: &TempDir) -> PathBuf {
    let states = config::state_folder(config::env);
    match std::fs::create_dir_all(&states).is_ok() && rustix::fs::access(&states, rustix::fs::Access::WRITE_OK).is_ok()
    {
        true => states.join(format!("private-{}", std::process::id())),
        false => folder.path().join("state"),
    }
}

/// Removes what servers of this user have left in a folder that were killed.
fn sweep(place: &Path) {
    let left = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in left.filter(|folder| is_left(folder)) {
        tracing::info!(folder = %folder.display(), "A server was killed and has left this; removing it.");
        // What cannot be removed is in nobody's way.
        std::fs::remove_dir_all(&folder).unwrap_or_default();
    }
}

/// Whether a folder was that of a server which is dead. Its number may be that of a process on another system which shares
/// the folder: then its socket answers, or it is young and has none yet.
fn is_left(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
    let pid = name.and_then(|name| name.split_once('-')).and_then(|(pid, _)| Pid::from_raw(pid.parse().ok()?));
    let data = std::fs::symlink_metadata(folder);
    let (Some(pid), Ok(data)) = (pid, data) else { return false };
    let is_old = data.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG));
    let is_ours = data.is_dir() && data.uid() == rustix::process::geteuid().as_raw();
    is_ours
        && is_old
        && rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
        && UnixStream::connect(folder.join(SOCKET)).is_err()
}

async fn start(place: Folder) -> Result<PrivateServer> {
    // 0700, as tempfile makes them. A bare system may have no folder for temporary files; our cache is ours to make.
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let fresh = || tempfile::Builder::new().prefix(&prefix).to_owned();
    sweep(&std::env::temp_dir());
    let in_cache = |_| {
        let cache = config::cache_folder(config::env);
        std::fs::create_dir_all(&cache).and_then(|()| fresh().tempdir_in(cache))
    };
    let folder = fresh().tempdir().or_else(in_cache).map_err(|cause| {
        let folder = std::env::temp_dir();
        let message = format!("cannot make a folder in `{}` for a server's socket; set TMPDIR", folder.display());
        Error::new(Kind::Io, message).because(cause)
    })?;
    let address = format!("unix:{}", folder.path().join(SOCKET).display());
    let settings = Settings {
        listen: vec![address.clone()],
        library: Library::of(config::env),
        insecure: false,
        model: None,
        voice: None,
        preload: Vec::new(),
        lexicon: None,
        program: config::own_program()?,
        cache: config::cache_folder(config::env),
        threads: 0,
        drain: Duration::from_millis(500),
        load_timeout: super::serve::LOAD_TIMEOUT,
        hang_timeout: super::serve::HANG_TIMEOUT,
        workers: Vec::new(),
        // There is one call, and no next.
        spares: Spares::Never,
        idle_timeout: Duration::ZERO,
        min_residency: Duration::ZERO,
        max_models: 0,
        max_loads: super::serve::max_loads(None),
        self_check: Duration::ZERO,
        worker_memory: super::serve::worker_memory(None),
        registration: None,
        sessions: super::sessions::defaults(own_state(&folder), 0),
        spoken: super::spoken::defaults(),
        restores: false,
    };
    let bound = Bound::bind(settings).await?;
    place.lock().unwrap_or_else(PoisonError::into_inner).replace(folder);
    let (notice, listener) = shutdown::channel();
    let server = tokio::spawn(bound.serve(listener, |_| Ok(())));
    let stop = async move {
        notice.escalate();
        if tokio::time::timeout(FAREWELL, server).await.is_err() {
            tracing::warn!("The private server did not end in time.");
        }
    };
    Ok(PrivateServer { address, stop: Box::pin(stop) })
}
