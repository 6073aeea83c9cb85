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
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;

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

async fn start(place: Folder) -> Result<PrivateServer> {
    // 0700, as tempfile makes them. A bare system may have no folder for temporary files; our cache is ours to make.
    let fresh = || tempfile::Builder::new().prefix("speechctl-").to_owned();
    let in_cache = |_| {
        let cache = config::cache_folder(config::env);
        std::fs::create_dir_all(&cache).and_then(|()| fresh().tempdir_in(cache))
    };
    let folder = fresh().tempdir().or_else(in_cache).map_err(|cause| {
        let folder = std::env::temp_dir();
        let message = format!("cannot make a folder in `{}` for a server's socket; set TMPDIR", folder.display());
        Error::new(Kind::Io, message).because(cause)
    })?;
    let address = format!("unix:{}", folder.path().join("socket").display());
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
