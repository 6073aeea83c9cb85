//! The hub's cache on the disk, as huggingface_hub 2.4 (Python) and hf-hub 1.0 (Rust) have it, so that nothing is
//! downloaded twice and each finds what the others have put there.
//!
//! ```text
//! models--OWNER--REPO/refs/REVISION           the commit
//! models--OWNER--REPO/snapshots/COMMIT/PATH   a link to ../../blobs/DIGEST
//! models--OWNER--REPO/blobs/DIGEST            the file, or a link into a store that repositories share
//! .locks/models--OWNER--REPO/DIGEST.lock      flock, while somebody writes the blob
//! ```
//! Others write here too, so nothing in it is believed: looking never writes, never fails, and passes over what is odd.

pub(crate) use super::place::Place;
use super::{
    catalogue::{
        self,
        source::{self, HubFile, Source},
        voices, whisper,
    },
    digest::Digest,
    files,
    hub::Announced,
    place::PlaceKind,
};
use crate::error::{Error, Kind, Result};
use std::{
    fs::{self, FileType},
    os::unix::fs::FileTypeExt,
    path::{Component, Path, PathBuf},
};

/// Folders in folders that are looked into; voices lie four deep.
const DEEPEST: usize = 16;

/// Entries of folders that are looked at in one look: a bound for caches that are no caches.
const MOST_ENTRIES: usize = 200_000;

/// The hub's cache.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// A file that is in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What it is. Its revision is `main` where that is this commit, else the commit.
    pub(crate) file: HubFile,
    /// Where it is, in snapshots/.
    pub(crate) path: PathBuf,
    /// The commit it is of, 40 hex digits.
    pub(crate) commit: String,
    /// What it must be by the name of its blob; `None` where its link leads elsewhere, or it is none.
    pub(crate) digest: Option<Digest>,
    /// Its size, bytes.
    pub(crate) size: u64,
}

impl Cache {
    /// The cache in a folder, which need not be there.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// Looks for a file, without writing or asking anybody.
    pub(crate) fn find(&self, file: &HubFile) -> Option<Found> {
        let file = checked(file)?;
        let repo = self.repo(&file.repo);
        let commit = match is_commit(&file.revision) {
            true => file.revision.clone(),
            false => commit_of(&repo.join("refs").join(&file.revision))?,
        };
        found(&repo, file, commit)
    }

    /// Where a file comes to lie that the hub has announced.
    ///
    /// # Errors
    /// `InvalidInput` for a file that cannot be one; `Unavailable` if the hub did not say what it is.
    pub(crate) fn place(&self, file: &HubFile, announced: &Announced) -> Result<Place> {
        let name = Source::Hub(file.clone());
        let file = checked(file).ok_or_else(|| Error::invalid(format!("`{name}` is no file of a repository")))?;
        let commit = announced.commit.as_deref().filter(|commit| is_commit(commit));
        let (Some(commit), Some(digest)) = (commit, announced.digest) else {
            let message = format!("the hub does not say what `{name}` is; look at HF_ENDPOINT and the proxy");
            return Err(Error::new(Kind::Unavailable, message));
        };
        let (repo, blob) = (self.repo(&file.repo), digest.to_string());
        let up = "../".repeat(file.path.split('/').count().saturating_add(1));
        let reference =
            (!is_commit(&file.revision)).then(|| (repo.join("refs").join(&file.revision), commit.to_owned()));
        Ok(Place {
            lock: self.lock_of(&repo, &blob),
            partial: repo.join("blobs").join(format!("{blob}{PARTIAL}")),
            blob: repo.join("blobs").join(&blob),
            kind: PlaceKind::Cache {
                root: self.root.clone(),
                digest,
                link: repo.join("snapshots").join(commit).join(&file.path),
                target: format!("{up}blobs/{blob}").into(),
                reference,
            },
        })
    }

    /// All models in it: files of snapshots that are named like one of Whisper's models, or end with .onnx and have
    /// their .onnx.json beside them.
    pub(crate) fn all(&self) -> Vec<Found> {
        in_repos(&self.repos())
    }

    /// Those of the repositories that the catalogue names: whatever else lies in the cache is not looked at.
    pub(crate) fn usual(&self) -> Vec<Found> {
        let repos: Vec<_> = catalogue::REPOS.iter().map(|name| ((*name).to_owned(), self.repo(name))).collect();
        in_repos(&repos)
    }

    /// The repositories: `OWNER/REPO` and the folder.
    pub(super) fn repos(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten().take(MOST_ENTRIES);
        let repos = entries.filter_map(|entry| {
            let name = entry.file_name();
            let (owner, repo) = name.to_str()?.strip_prefix(PREFIX)?.split_once("--")?;
            Some((format!("{owner}/{repo}"), entry.path()))
        });
        repos.filter(|(_, folder)| folder.is_dir()).collect()
    }

    /// The file that is locked while somebody writes a blob of a repository's folder.
    pub(super) fn lock_of(&self, repo: &Path, blob: &str) -> PathBuf {
        self.root.join(".locks").join(repo.file_name().unwrap_or_default()).join(format!("{blob}.lock"))
    }

    fn repo(&self, name: &str) -> PathBuf {
        self.root.join(format!("{PREFIX}{}", name.replace('/', "--")))
    }
}

/// What the folder of a repository begins with.
pub(super) const PREFIX: &str = "models--";

/// What our partial files end with: never what those of others do, who would delete them or not go on with them.
pub(super) const PARTIAL: &str = ".speechctl.incomplete";

/// The digest that a snapshot's file must have: the name of the first link's target, if that is a blob of its
/// repository. (The blob may be a link itself, into a store where files have other names.)
pub(super) fn blob_of(repo: &Path, link: &Path) -> Option<(PathBuf, Digest)> {
    let target = files::folder_of(link).join(fs::read_link(link).ok()?);
    let blobs = repo.join("blobs").canonicalize().ok()?;
    let name = target.file_name()?.to_str()?;
    let is_blob = target.parent()?.canonicalize().ok()? == blobs;
    is_blob.then_some((repo.join("blobs").join(name), Digest::parse(name)?))
}

/// Every file and link below a folder, links not followed: its path, and that path from the folder on. The flag says
/// whether that is all: false if something could not be read, or there is too much.
pub(super) fn below(folder: &Path) -> (Vec<(PathBuf, String)>, bool) {
    let mut left = MOST_ENTRIES;
    limited(folder, &mut left)
}

/// The same, where so many entries are left to be looked at.
fn limited(folder: &Path, left: &mut usize) -> (Vec<(PathBuf, String)>, bool) {
    let (mut found, mut is_all) = (Vec::new(), true);
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((folder, inside, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(cause) => {
                is_all &= cause.kind() == std::io::ErrorKind::NotFound;
                continue;
            }
        };
        for entry in entries {
            let Some(rest) = left.checked_sub(1) else {
                is_all = false;
                break;
            };
            *left = rest;
            let Some((path, name, kind)) = entry.ok().and_then(named) else {
                is_all = false;
                continue;
            };
            let inside = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            match kind.is_dir() {
                true if depth < DEEPEST => folders.push((path, inside, depth.saturating_add(1))),
                true => is_all = false,
                false if kind.is_fifo() || kind.is_socket() => {}
                false => found.push((path, inside)),
            }
        }
    }
    found.sort();
    (found, is_all)
}

/// `None` for what has no name that could be shown.
fn named(entry: fs::DirEntry) -> Option<(PathBuf, String, FileType)> {
    Some((entry.path(), entry.file_name().into_string().ok()?, entry.file_type().ok()?))
}

/// The models of repositories.
fn in_repos(repos: &[(String, PathBuf)]) -> Vec<Found> {
    let mut left = MOST_ENTRIES;
    let mut all: Vec<Found> = repos.iter().flat_map(|(name, folder)| in_repo(name, folder, &mut left)).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The models of a repository; `left` entries are looked at.
fn in_repo(name: &str, folder: &Path, left: &mut usize) -> Vec<Found> {
    let main = commit_of(&folder.join("refs").join(source::MAIN));
    let entries = fs::read_dir(folder.join("snapshots")).into_iter().flatten().flatten().take(MOST_ENTRIES);
    let commits = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|commit| is_commit(commit));
    let models = commits.flat_map(|commit| {
        let revision = if main.as_ref() == Some(&commit) { source::MAIN } else { &commit };
        let snapshot = folder.join("snapshots").join(&commit);
        let models = limited(&snapshot, left).0.into_iter().filter(|(path, inside)| is_model(path, inside));
        let files = models
            .filter_map(|(_, path)| checked(&HubFile { repo: name.to_owned(), path, revision: revision.to_owned() }));
        files.filter_map(|file| found(folder, file, commit.clone())).collect::<Vec<_>>()
    });
    models.collect()
}

/// Whether a file is named like a model, and has what it needs beside it.
fn is_model(path: &Path, inside: &str) -> bool {
    let name = inside.rsplit('/').next().unwrap_or(inside);
    match (name.strip_prefix("ggml-"), name.ends_with(".onnx")) {
        (Some(rest), _) if rest.ends_with(".bin") => whisper::Traits::of(rest).is_some(),
        (_, true) => fs::metadata(path.with_added_extension("json")).is_ok_and(|data| data.is_file()),
        _ => false,
    }
}

fn found(repo: &Path, file: HubFile, commit: String) -> Option<Found> {
    let path = repo.join("snapshots").join(&commit).join(&file.path);
    let data = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let digest = blob_of(repo, &path).map(|(_, digest)| digest);
    Some(Found { file, path, commit, digest, size: data.len() })
}

/// A file whose parts can be parts of a path and lead nowhere else, whoever has made it.
fn checked(file: &HubFile) -> Option<HubFile> {
    match source::parse(&format!("hf:{}/{}@{}", file.repo, file.path, file.revision)) {
        Ok(Some(Source::Hub(same))) if same == *file => Some(same),
        _ => None,
    }
}

/// What a branch means.
pub(super) fn commit_of(reference: &Path) -> Option<String> {
    let text = String::from_utf8(files::read_small(reference, 64).ok()?).ok()?;
    Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
}

/// Whether this is a commit, not a branch.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a path is written plainly: from the root, without "..".
pub(super) fn is_plain(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// The name that a voice's file has, or that of Whisper's model: what users call it.
pub(super) fn usual_name(file: &HubFile) -> Option<String> {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    let name = match name.strip_suffix(".onnx") {
        Some(key) => voices::Key::parse(key).map(|_| key.to_owned())?,
        None => whisper::find(name)?.to_owned(),
    };
    let package = super::catalogue::package(&name, None).ok()?;
    let is_it = package.parts.first().is_some_and(|part| part.source == Source::Hub(file.clone()));
    is_it.then_some(package.name)
}

#[cfg(test)]
pub(super) mod tests;
