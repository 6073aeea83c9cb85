//! What takes long on a disk, in a form that another thread than the log's can do.

use super::{
    SessionId, Syncing,
    budget::Budget,
    store::{LogFile, Store, failed},
};
use crate::error::{Error, Kind, Result};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What has to reach the disk.
pub(super) struct SyncJob {
    store: Arc<dyn Store>,
    files: Vec<(Arc<dyn LogFile>, PathBuf)>,
    folders: Vec<PathBuf>,
    change: u64,
}

impl SyncJob {
    /// A job that brings everything up to a change of a log to the disk.
    pub(super) fn new(store: &Arc<dyn Store>, change: u64) -> Self {
        Self { store: Arc::clone(store), files: Vec::new(), folders: Vec::new(), change }
    }

    /// Adds a file.
    pub(super) fn file(mut self, file: Arc<dyn LogFile>, path: &Path) -> Self {
        self.files.push((file, path.to_owned()));
        self
    }

    /// Adds the names in a folder.
    pub(super) fn folder(mut self, folder: &Path) -> Self {
        self.folders.push(folder.to_owned());
        self
    }

    /// Waits for the disk.
    ///
    /// # Errors
    /// `Io`. What of it is on the disk is not known then, and never will be.
    pub(super) fn run(&self) -> Result<()> {
        for (file, path) in &self.files {
            file.sync().map_err(|cause| failed("sync", path, &cause))?;
        }
        for folder in &self.folders {
            self.store.sync_folder(folder).map_err(|cause| failed("sync", folder, &cause))?;
        }
        Ok(())
    }

    /// Up to which change it brings everything to the disk.
    pub(super) fn change(&self) -> u64 {
        self.change
    }
}

/// What ends the name of a session that is being removed.
const GONE: &str = ".gone";

/// A session that is being removed: it has another name already, and is no session any more.
pub(super) struct Trash {
    store: Arc<dyn Store>,
    folder: PathBuf,
    syncing: Syncing,
    budget: Arc<Budget>,
    bytes: u64,
}

impl Trash {
    /// Takes a session out of the way. `bytes` is what it holds of the budget.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Io`.
    pub(super) fn collect(
        store: &Arc<dyn Store>,
        id: &SessionId,
        syncing: Syncing,
        budget: &Arc<Budget>,
        bytes: u64,
    ) -> Result<Self> {
        let from = store.root().join(id.as_str());
        let folder = store.root().join(format!("{id}{GONE}"));
        let trash = Self { store: Arc::clone(store), folder, syncing, budget: Arc::clone(budget), bytes };
        // One that could not be emptied earlier. It may have been this one.
        let was_there = match store.list(&trash.folder) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            _ => trash.wipe().map(|()| true)?,
        };
        match store.rename(&from, &trash.folder) {
            Ok(()) => Ok(trash),
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("rename", &from, &cause)),
            Err(_) if was_there => Ok(trash),
            Err(_) => Err(Error::new(Kind::NotFound, format!("there is no session `{id}`"))),
        }
    }

    /// What was left behind in the middle of this, by its name in the root.
    pub(super) fn left_behind(
        store: &Arc<dyn Store>,
        name: &str,
        syncing: Syncing,
        budget: &Arc<Budget>,
    ) -> Option<Self> {
        SessionId::try_new(name.strip_suffix(GONE)?).ok()?;
        let folder = store.root().join(name);
        Some(Self { store: Arc::clone(store), folder, syncing, budget: Arc::clone(budget), bytes: 0 })
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// `Io`. What is left of it keeps its room, and goes with the next start.
    pub(super) fn empty(self) -> Result<()> {
        self.wipe()?;
        self.budget.refund(self.bytes);
        Ok(())
    }

    fn wipe(&self) -> Result<()> {
        // Else a power cut could give it its old name back, without some of its files.
        if self.syncing != Syncing::Never {
            let root = self.store.root();
            self.store.sync_folder(root).map_err(|cause| failed("sync", root, &cause))?;
        }
        match self.store.remove_all(&self.folder) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", &self.folder, &cause)),
            _ => Ok(()),
        }
    }
}
