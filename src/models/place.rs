//! Where a file that is pulled comes to lie, and the steps that bring it there: a lock, a partial file, one rename.
//!
//! Nothing is seen under its own name before it is whole. Who is killed at any point leaves a partial file, which the
//! next one goes on with, or a temporary name.

use super::{
    digest::{self, Digest},
    files,
    hub::Settings,
};
use crate::{
    config,
    error::{Error, Kind, Result},
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    io::Errno,
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

/// How often a lock's file may be deleted under our hands before that is an error.
const LOCK_TRIES: usize = 16;

/// The longest ETag that is kept, bytes. One is short; whoever sends a longer one sends none.
pub(super) const LONGEST_ETAG: u64 = 256;

/// Where a file that is pulled comes to lie. Made for a hub's file by `Cache::place`, for a URL's by `files::place`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file that is locked while somebody is at it. Of a hub's file it is that of the hub's own clients.
    pub(crate) lock: PathBuf,
    /// What has come so far.
    pub(crate) partial: PathBuf,
    /// The file, when it is whole.
    pub(crate) blob: PathBuf,
    pub(super) kind: PlaceKind,
}

/// What differs between the cache that is shared with others and our own folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PlaceKind {
    /// A blob of the hub's cache, and what leads to it.
    Cache {
        /// The cache itself.
        root: PathBuf,
        /// What the blob must be.
        digest: Digest,
        /// The link to it: snapshots/COMMIT/PATH.
        link: PathBuf,
        /// What the link says.
        target: PathBuf,
        /// The file of the branch, and the commit that is its content; `None` where a commit was asked for.
        reference: Option<(PathBuf, String)>,
    },
    /// A file of a URL.
    Url {
        /// The file that keeps the ETag of what has come so far.
        tag: PathBuf,
        /// The ETag of what there is now; `None` = nobody can say whether it is still the same.
        etag: Option<String>,
    },
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// `None` where the file system knows no locks.
    _file: Option<File>,
}

impl Place {
    /// Makes the folders.
    ///
    /// # Errors
    /// `Io` names the folder and the way out.
    pub(crate) fn prepare(&self) -> Result<()> {
        match &self.kind {
            PlaceKind::Cache { root, link, reference, .. } => {
                make_folder(root, 0o777)?;
                mark_as_cache(root);
                let reference = reference.as_ref().map(|(path, _)| path);
                for path in [&self.lock, &self.blob, link].into_iter().chain(reference) {
                    make_folder(files::folder_of(path), 0o777)?;
                }
                Ok(())
            }
            PlaceKind::Url { .. } => {
                [&self.lock, &self.blob].into_iter().try_for_each(|path| make_folder(files::folder_of(path), 0o700))
            }
        }
    }

    /// Takes the lock without waiting; `None` while somebody else holds it. Where the file system knows no locks, it
    /// holds nothing.
    ///
    /// Whoever has it may go on with the partial file: that of a URL whose file may have changed since is gone by then.
    ///
    /// # Errors
    /// `Io` where the file of the lock cannot be opened, or is none.
    pub(crate) fn lock(&self) -> Result<Option<Lock>> {
        let lock = lock_file(&self.lock)?;
        if let (Some(_), PlaceKind::Url { tag, etag }) = (&lock, &self.kind) {
            start_over_if_changed(&self.partial, tag, etag.as_deref())?;
        }
        Ok(lock)
    }

    /// Whether the file is there already, whole by its size. Of a URL's file that is no proof that it is still the same.
    pub(crate) fn has(&self, size: Option<u64>) -> bool {
        fs::metadata(&self.blob).is_ok_and(|data| data.is_file() && size.is_none_or(|size| size == data.len()))
    }

    /// Gives the file that is whole and was checked its place: partial to blob (where there is a partial file), then
    /// the link and the branch. The answer is the path that engines are given. To be called with the lock held.
    ///
    /// # Errors
    /// `DataLoss` if it is not what the place is for; `Io`.
    pub(crate) fn settle(&self, sha256: &str) -> Result<PathBuf> {
        if let PlaceKind::Cache { digest: Digest::Sha256(_), .. } = &self.kind
            && self.blob.file_name().is_none_or(|name| name != sha256)
        {
            let message = format!("`{}` is not what the hub announced: its SHA-256 is {sha256}", self.blob.display());
            return Err(Error::new(Kind::DataLoss, message));
        }
        if self.is_partial_whole(sha256)? {
            File::open(&self.partial).and_then(|file| file.sync_all()).map_err(|e| cannot_write(&self.partial, e))?;
            fs::rename(&self.partial, &self.blob).map_err(|cause| cannot_write(&self.blob, cause))?;
            files::sync_folder(files::folder_of(&self.blob));
        } else if !self.has(None) {
            let message = format!("nothing came for `{}`", self.blob.display());
            return Err(Error::new(Kind::Io, message));
        } else {
            files::unlink(&self.partial).map_err(|cause| cannot_write(&self.partial, cause))?;
        }
        match &self.kind {
            PlaceKind::Url { tag, .. } => {
                files::unlink(tag).map_err(|cause| cannot_write(tag, cause))?;
                Ok(self.blob.clone())
            }
            PlaceKind::Cache { link, target, reference, .. } => {
                make_folder(files::folder_of(link), 0o777)?;
                put_link(link, target, &self.blob).map_err(|cause| cannot_write(link, cause))?;
                if let Some((path, commit)) = reference {
                    make_folder(files::folder_of(path), 0o777)?;
                    put_reference(path, commit).map_err(|cause| cannot_write(path, cause))?;
                }
                Ok(link.clone())
            }
        }
    }
}

impl Place {
    /// Whether the partial file is the one that was checked. Where both are there, it may be what an earlier pull has left,
    /// and the blob another program's; so it is looked at.
    fn is_partial_whole(&self, sha256: &str) -> Result<bool> {
        let is_there = fs::symlink_metadata(&self.partial).is_ok_and(|data| data.is_file());
        if !is_there || !self.has(None) {
            return Ok(is_there);
        }
        Ok(digest::of_file(&self.partial, None, &mut |_| Ok(()))?.sha256 == sha256)
    }
}

/// Takes the lock of a file without waiting, as filelock 4.2 does it for the hub's Python client: flock, on a file that
/// stays, but that somebody may delete all the same.
pub(super) fn lock_file(path: &Path) -> Result<Option<Lock>> {
    for _ in 0..LOCK_TRIES {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o664));
        let file = File::from(file.map_err(|cause| cannot_write(path, cause.into()))?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => return Ok(Some(Lock { _file: None })),
            Err(Errno::INTR) => continue,
            Err(cause) => return Err(cannot_write(path, cause.into())),
        }
        let data = file.metadata().map_err(|cause| cannot_write(path, cause))?;
        if !data.is_file() {
            return Err(cannot_write(path, io::Error::other("it is no file")));
        }
        // Deleted between opening and locking: others lock another file by now.
        if data.nlink() > 0 {
            return Ok(Some(Lock { _file: Some(file) }));
        }
    }
    Err(cannot_write(path, io::Error::other("it is deleted again and again")))
}

/// What cannot be written, and the way out.
pub(super) fn cannot_write(path: &Path, cause: io::Error) -> Error {
    let way = way_out(path, cause.kind(), config::env);
    Error::new(Kind::Io, format!("cannot write `{}`{way}", path.display())).because(cause)
}

/// The way out of what a disk refuses, with a ";" before it; nothing where none is known.
pub(super) fn way_out(path: &Path, cause: ErrorKind, env: impl Fn(&str) -> Option<OsString>) -> String {
    let variable = variable_for(path, env);
    match cause {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!("; set {variable} to a folder of yours"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("; free some room, or set {variable} to a folder elsewhere")
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            "; something else is there".to_owned()
        }
        _ => String::new(),
    }
}

/// The variable that has this path lie elsewhere: that of our own files, or the one that counts for the hub's cache.
pub(super) fn variable_for(path: &Path, env: impl Fn(&str) -> Option<OsString>) -> &'static str {
    let (cache, data) = Settings::places(&env);
    if path.starts_with(&data) && !path.starts_with(&cache) {
        return "XDG_DATA_HOME";
    }
    let is_set = |name: &&str| env(name).is_some_and(|value| !value.is_empty());
    ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find(is_set).unwrap_or("HF_HOME")
}

/// Makes a folder and those above it.
pub(super) fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(folder);
    made.map_err(|cause| cannot_write(folder, cause))
}

/// Says to programs that make backups that this can be made again (bford.info/cachedir). Without it nothing is lost.
fn mark_as_cache(root: &Path) {
    let text =
        "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by speechctl.\n";
    let path = root.join("CACHEDIR.TAG");
    if fs::symlink_metadata(&path).is_err() {
        fs::write(path, text).unwrap_or_default();
    }
}

/// Makes the partial file of a URL go unless it is known to be the beginning of what there is now.
fn start_over_if_changed(partial: &Path, tag: &Path, etag: Option<&str>) -> Result<()> {
    let is_known = |etag: &&str| u64::try_from(etag.len()).is_ok_and(|length| length <= LONGEST_ETAG);
    let etag = etag.filter(is_known).map(str::as_bytes);
    let before = files::read_small(tag, LONGEST_ETAG).ok();
    if etag.is_some() && etag == before.as_deref() {
        return Ok(());
    }
    for path in [partial, tag] {
        files::unlink(path).map_err(|cause| cannot_write(path, cause))?;
    }
    match etag {
        Some(etag) => files::write_whole(tag, etag, 0o600).map_err(|cause| cannot_write(tag, cause)),
        None => Ok(()),
    }
}

/// Makes a snapshot's link lead to the blob, in one step. Where there are no links, a copy takes its place, as with the
/// hub's own client.
fn put_link(link: &Path, target: &Path, blob: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|there| there == target) {
        return Ok(());
    }
    let folder = files::folder_of(link);
    match files::temporary().make_in(folder, |path| symlink(target, path)) {
        Ok(fresh) => fresh.persist(link).map(drop).map_err(|failed| failed.error),
        Err(cause) if matches!(cause.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            let fresh = files::temporary().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)?;
            fs::copy(blob, fresh.path())?;
            fresh.as_file().sync_all()?;
            fresh.persist(link).map(drop).map_err(|failed| failed.error)
        }
        Err(cause) => Err(cause),
    }
}

/// Makes a branch mean a commit.
fn put_reference(path: &Path, commit: &str) -> io::Result<()> {
    match files::read_small(path, 64) {
        Ok(there) if there == commit.as_bytes() => Ok(()),
        _ => files::write_whole(path, commit.as_bytes(), 0o666),
    }
}

#[cfg(test)]
mod tests;
