//! Removes models, and what is left of pulls that did not end.
//!
//! Only links and files below the cache and our own folder are deleted, by their own names: nothing that a link leads to,
//! but the blob of a snapshot's link, and that only when no other snapshot leads to it.

use super::{
    cache::{self, Cache},
    files, in_use, manifest, place,
    shelf::Installed,
};
use crate::error::{Error, Kind, Result};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a file of ours that belongs to no model is left alone: whoever has brought it may be about to say so.
const LEFT_ALONE: Duration = Duration::from_secs(24 * 60 * 60);

/// What removing has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    /// Bytes of files that are gone.
    pub(crate) bytes: u64,
    /// Files of the model that are still there: they lie elsewhere, or another model has them, too.
    pub(crate) left: Vec<PathBuf>,
}

/// Removes a model: its links, its blobs that nothing else leads to, its manifest; the manifest last, so that what was cut
/// short can be done again. With `is_forced` also one that is in use: who uses it keeps what it has opened.
///
/// # Errors
/// `Busy` while it is in use or being pulled; `Io`.
pub(crate) fn remove(installed: &Installed, cache: &Path, data: &Path, is_forced: bool) -> Result<Freed> {
    let is_there = |file: &&manifest::Pinned| fs::metadata(&file.path).is_ok_and(|data| data.is_file());
    let mut held = Vec::new();
    for file in installed.files.iter().filter(is_there).filter(|_| !is_forced) {
        held.push(in_use::alone(&installed.name, &file.path)?);
    }
    let manifests = manifest::all(data);
    // What a manifest that cannot be read may name, nobody knows.
    let are_all_known = manifests.iter().all(Result::is_ok);
    let others = manifests.into_iter().flatten().filter(|other| other.name != installed.name);
    let others: Vec<PathBuf> = others.flat_map(|other| other.files).map(|file| file.path).collect();
    let mut freed = Freed::default();
    for file in &installed.files {
        let path = &file.path;
        if fs::symlink_metadata(path).is_err() {
            continue;
        }
        let bytes = if others.contains(path) || !are_all_known {
            None
        } else if let Some(inside) = inside(&files::files(data), path) {
            Some(of_ours(&inside)?)
        } else if let Some(link) = SnapshotLink::of(path, cache) {
            Some(link.remove(cache, is_forced)?)
        } else {
            None
        };
        match bytes {
            Some(bytes) => freed.bytes = freed.bytes.saturating_add(bytes),
            None => freed.left.push(path.clone()),
        }
    }
    manifest::delete(data, &installed.name)?;
    Ok(freed)
}

/// The path of a file by the real name of its folder, if that is below another one, however either is written.
fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    let real = path.parent()?.canonicalize().ok()?;
    let is_inside = real.starts_with(folder.canonicalize().ok()?);
    is_inside.then(|| path.file_name().map(|name| real.join(name)))?
}

/// Deletes a file of ours and its folder if that is empty.
fn of_ours(path: &Path) -> Result<u64> {
    let bytes = delete(path)?;
    fs::remove_dir(files::folder_of(path)).unwrap_or_default();
    Ok(bytes)
}

/// Deletes a file or a link; gives the bytes of what is gone for good. A file with another name elsewhere is not.
fn delete(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let data = fs::symlink_metadata(path).ok();
    let is_gone = files::unlink(path).map_err(|cause| place::cannot_write(path, cause))?;
    let data = data.filter(|data| is_gone && data.is_file() && data.nlink() == 1);
    Ok(data.map(|data| data.len()).unwrap_or_default())
}

/// A file of a snapshot, taken apart.
struct SnapshotLink {
    /// The folder of the repository.
    repo: PathBuf,
    commit: String,
    /// Itself, by the real name of its folder.
    path: PathBuf,
}

impl SnapshotLink {
    /// `None` for what is no file of a snapshot of this cache.
    fn of(path: &Path, cache: &Path) -> Option<Self> {
        let root = cache.canonicalize().ok()?;
        let path = inside(&root, path)?;
        let mut parts = path.strip_prefix(&root).ok()?.iter();
        let (repo, snapshots, commit) = (parts.next()?, parts.next()?, parts.next()?.to_str()?);
        let is_one = repo.to_str()?.starts_with(cache::PREFIX) && snapshots == "snapshots" && cache::is_commit(commit);
        parts.next().filter(|_| is_one)?;
        Some(Self { repo: root.join(repo), commit: commit.to_owned(), path })
    }

    /// Deletes the link, the blob that nothing else leads to, and folders that are empty then.
    fn remove(&self, cache: &Path, is_forced: bool) -> Result<u64> {
        let blob = cache::blob_of(&self.repo, &self.path).map(|(blob, _)| blob);
        // Whoever pulls the same blob now may have seen that it is there.
        let _lock = match &blob {
            Some(blob) => self.lock(blob, cache, is_forced)?,
            None => None,
        };
        let mut bytes = delete(&self.path)?;
        if let Some(blob) = blob.filter(|blob| !self.is_linked(blob)) {
            bytes = bytes.saturating_add(delete(&blob)?);
        }
        self.tidy();
        Ok(bytes)
    }

    /// The lock of a blob; `None` if it is forced and somebody else has it, or there never was one.
    fn lock(&self, blob: &Path, cache: &Path, is_forced: bool) -> Result<Option<place::Lock>> {
        let name = blob.file_name().unwrap_or_default().to_string_lossy();
        let path = Cache::new(cache.to_owned()).lock_of(&self.repo, &name);
        if !path.exists() {
            return Ok(None);
        }
        match place::lock_file(&path)? {
            None if !is_forced => {
                let message = format!("`{}` is being pulled by somebody else; try again", self.path.display());
                Err(Error::new(Kind::Busy, message))
            }
            lock => Ok(lock),
        }
    }

    /// Whether a snapshot leads to this blob. If not all of them can be read, one may.
    fn is_linked(&self, blob: &Path) -> bool {
        let (all, is_all) = cache::below(&self.repo.join("snapshots"));
        let leads_to_it = |path: &Path| cache::blob_of(&self.repo, path).is_some_and(|(other, _)| other == blob);
        !is_all || all.iter().any(|(path, _)| leads_to_it(path))
    }

    /// Deletes folders that are empty, and branches that mean a commit that is not there any more. What cannot be deleted
    /// stays: it does no harm.
    fn tidy(&self) {
        let snapshots = self.repo.join("snapshots");
        for folder in self.path.ancestors().skip(1).take_while(|folder| *folder != snapshots) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        let refs = self.repo.join("refs");
        if !snapshots.join(&self.commit).exists() {
            for (path, _) in cache::below(&refs).0 {
                if cache::commit_of(&path).is_some_and(|commit| commit == self.commit) {
                    files::unlink(&path).unwrap_or_default();
                }
                for folder in path.ancestors().skip(1).take_while(|folder| *folder != refs) {
                    fs::remove_dir(folder).unwrap_or_default();
                }
            }
        }
        for folder in [snapshots, refs, self.repo.join("blobs"), self.repo.clone()] {
            fs::remove_dir(folder).unwrap_or_default();
        }
    }
}

/// What pulls and imports that did not end have left, with its size in bytes: ours alone, whether somebody is at it or
/// not.
pub(crate) fn partials(cache: &Path, data: &Path) -> Vec<(PathBuf, u64)> {
    leftovers(cache, data).into_iter().map(|left| (left.path, left.bytes)).collect()
}

/// Deletes what pulls and imports that did not end have left, but not what somebody is at.
///
/// # Errors
/// `Io`.
pub(crate) fn remove_partials(cache: &Path, data: &Path) -> Result<Freed> {
    let mut freed = Freed::default();
    for Leftover { path, bytes, lock } in leftovers(cache, data) {
        let lock = match &lock {
            Some(lock) if lock.exists() => place::lock_file(lock)?.map(Some),
            _ => is_alone(&path).then_some(None),
        };
        if lock.is_none() {
            freed.left.push(path);
            continue;
        }
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|data| data.is_dir());
        let gone = if is_folder { fs::remove_dir_all(&path) } else { files::unlink(&path).map(drop) };
        gone.map_err(|cause| place::cannot_write(&path, cause))?;
        freed.bytes = freed.bytes.saturating_add(bytes);
    }
    Ok(freed)
}

/// Whether nobody has locked this: an import locks its own folder.
fn is_alone(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() || data.is_file() => {}
        other => return other.is_ok(),
    }
    use rustix::io::Errno;
    let alone = File::open(path).map(|file| flock(&file, FlockOperation::NonBlockingLockExclusive));
    matches!(alone, Ok(Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK)))
}

/// Something that was left.
struct Leftover {
    path: PathBuf,
    bytes: u64,
    /// What who is at it has locked.
    lock: Option<PathBuf>,
}

fn leftovers(cache: &Path, data: &Path) -> Vec<Leftover> {
    let cache = Cache::new(cache.to_owned());
    let mut all = Vec::new();
    for (_, repo) in cache.repos() {
        for folder in ["blobs", "snapshots", "refs"] {
            for (path, inside) in cache::below(&repo.join(folder)).0 {
                let name = inside.rsplit('/').next().unwrap_or_default();
                let blob = name.strip_suffix(cache::PARTIAL).filter(|_| folder == "blobs");
                if blob.is_some() || files::is_temporary(name) {
                    all.push(Leftover { bytes: bytes(&path), path, lock: blob.map(|blob| cache.lock_of(&repo, blob)) });
                }
            }
        }
    }
    for (path, name) in entries(&files::partial(data)) {
        let lock = path.with_extension("lock");
        // Who waits for a lock has its file open; an empty one costs nothing.
        if !name.ends_with(".lock") {
            all.push(Leftover { bytes: bytes(&path), path, lock: Some(lock) });
        }
    }
    let temporary = [files::models(data), files::files(data)].into_iter().flat_map(|folder| entries(&folder));
    for (path, _) in temporary.filter(|(_, name)| files::is_temporary(name)) {
        all.push(Leftover { bytes: bytes(&path), path, lock: None });
    }
    let orphans = orphans(data).into_iter();
    all.extend(orphans.map(|path| Leftover { bytes: bytes(&path), path, lock: None }));
    all
}

/// Folders of files that no manifest names, and that nobody has touched for a day. None, if a manifest cannot be read:
/// it might name them.
fn orphans(data: &Path) -> Vec<PathBuf> {
    let Ok(manifests) = manifest::all(data).into_iter().collect::<Result<Vec<_>>>() else { return Vec::new() };
    let is_named = |folder: &Path| {
        let mut named = manifests.iter().flat_map(|manifest| &manifest.files);
        named.any(|file| files::folder_of(&file.path).file_name() == folder.file_name())
    };
    let is_old = |folder: &Path| {
        let touched = fs::symlink_metadata(folder).ok().filter(fs::Metadata::is_dir)?.modified().ok()?;
        touched.elapsed().ok().filter(|age| *age > LEFT_ALONE)
    };
    let folders = entries(&files::files(data)).into_iter();
    let folders = folders.filter(|(_, name)| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    folders.map(|(path, _)| path).filter(|path| !is_named(path) && is_old(path).is_some()).collect()
}

/// The entries of a folder that have names.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<_> =
        entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?))).collect();
    all.sort();
    all
}

/// The bytes of a file, or of the files of a folder.
fn bytes(path: &Path) -> u64 {
    let of = |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map_or(0, |data| data.len());
    match fs::symlink_metadata(path).is_ok_and(|data| data.is_dir()) {
        true => cache::below(path).0.iter().map(|(path, _)| of(path)).fold(0, u64::saturating_add),
        false => of(path),
    }
}

#[cfg(test)]
mod tests;
