//! What is pinned: for each model that was pulled or imported, a small file that says where its files are and what they
//! are, byte for byte. `$XDG_DATA_HOME/speechctl/models/NAME.json`, for its owner alone.

use super::{cache, catalogue::Role, files, place};
use crate::error::{Error, Kind, Result};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A manifest has some 300 bytes for each file.
const MOST_BYTES: u64 = 64 << 10;

/// Entries of the folder that are looked at.
const MOST_ENTRIES: usize = 10_000;

/// Files of a model; a voice has two.
const MOST_FILES: usize = 16;

/// The longest name, bytes: a `hf:` source or a URL may be one.
const LONGEST_NAME: usize = 4096;

/// A model that was pulled or imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// What it is called.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: Role,
    /// When, as RFC 3339 has it: "2026-11-22T03:00:00Z".
    pub(crate) pulled: String,
    /// Its files; the first is the one that engines are given.
    pub(crate) files: Vec<Pinned>,
}

/// A file that is known byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// "hf:OWNER/REPO/FILE", a URL, or "file:/path" of what was imported.
    pub(crate) source: String,
    /// The commit of a hub's file.
    pub(crate) commit: Option<String>,
    /// Its size, bytes.
    pub(crate) size: u64,
    /// Its SHA-256, in hex. Empty for a file that is not pinned and whose digest nobody has told.
    pub(crate) sha256: String,
    /// Where it was put.
    pub(crate) path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Raw {
    version: u32,
    name: String,
    role: String,
    pulled: String,
    files: Vec<Pinned>,
}

/// Read first: of another version nothing else is known.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Writes a manifest, in one step, in the place of one of the same name.
///
/// # Errors
/// `Io`; `Internal` for one that could not be read back.
pub(crate) fn write(data: &Path, manifest: &Manifest) -> Result<()> {
    let Manifest { name, role, pulled, files } = manifest;
    if let Err(why) = check(manifest) {
        return Err(Error::new(Kind::Internal, format!("the manifest of `{}` {why}", name.escape_debug())));
    }
    let role = role_name(*role).to_owned();
    let raw = Raw { version: VERSION, name: name.clone(), role, pulled: pulled.clone(), files: files.clone() };
    let path = place_of(data, name);
    let mut json = serde_json::to_vec_pretty(&raw).map_err(|cause| place::cannot_write(&path, cause.into()))?;
    json.push(b'\n');
    place::make_folder(files::folder_of(&path), 0o700)?;
    files::write_whole(&path, &json, 0o600).map_err(|cause| place::cannot_write(&path, cause))
}

/// The manifest of a name; `None` where there is none.
///
/// # Errors
/// `DataLoss` for one that is damaged, `Unsupported` for one of another version, `Io`.
pub(crate) fn read(data: &Path, name: &str) -> Result<Option<Manifest>> {
    let path = place_of(data, name);
    match fs::symlink_metadata(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => at(&path).map(Some),
    }
}

/// All manifests, in the order of their files' names; those that cannot be read as errors that say so.
pub(crate) fn all(data: &Path) -> Vec<Result<Manifest>> {
    let folder = files::models(data);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(cause) => {
            return vec![Err(Error::new(Kind::Io, format!("cannot read `{}`", folder.display())).because(cause))];
        }
    };
    let mut paths: Vec<PathBuf> = entries.take(MOST_ENTRIES).flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    // One that was deleted since is none.
    paths.iter().filter(|path| fs::symlink_metadata(path).is_ok()).map(|path| at(path)).collect()
}

/// Deletes the manifest of a name, if there is one.
///
/// # Errors
/// `Io`.
pub(crate) fn delete(data: &Path, name: &str) -> Result<()> {
    let path = place_of(data, name);
    files::unlink(&path).map(drop).map_err(|cause| place::cannot_write(&path, cause))
}

/// Now, as a manifest has it.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now())
}

/// Where the manifest of a name is.
fn place_of(data: &Path, name: &str) -> PathBuf {
    files::models(data).join(files::file_name(name, ".json"))
}

/// Reads a manifest.
fn at(path: &Path) -> Result<Manifest> {
    let damaged = |why: &str| {
        let message = format!("`{}` {why}; pull or import the model again, or delete that file", path.display());
        Error::new(Kind::DataLoss, message)
    };
    let json = files::read_small(path, MOST_BYTES).map_err(|cause| {
        // Only what the file itself is at fault for is damage.
        let kind = match Errno::from_io_error(&cause) {
            Some(
                Errno::ACCESS | Errno::PERM | Errno::IO | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::STALE,
            ) => Kind::Io,
            _ => Kind::DataLoss,
        };
        Error::new(kind, format!("cannot read `{}`", path.display())).because(cause)
    })?;
    let Version { version } =
        serde_json::from_slice(&json).map_err(|cause| damaged("is no manifest of a model").because(cause))?;
    if version != VERSION {
        let message = format!("`{}` is of version {version}, which this speechctl cannot read", path.display());
        return Err(Error::new(Kind::Unsupported, message));
    }
    let raw: Raw = serde_json::from_slice(&json).map_err(|cause| damaged("is damaged").because(cause))?;
    let role = role_of(&raw.role).ok_or_else(|| damaged("has a role that is not known"))?;
    let manifest = Manifest { name: raw.name, role, pulled: raw.pulled, files: raw.files };
    check(&manifest).map_err(&damaged)?;
    let is_its_name = path.file_name().is_some_and(|name| name == files::file_name(&manifest.name, ".json").as_str());
    if is_its_name { Ok(manifest) } else { Err(damaged("is the manifest of another model")) }
}

/// What a manifest may hold. Its paths lead to what engines open, so they are looked at closely.
fn check(manifest: &Manifest) -> Result<(), &'static str> {
    let is_text = |text: &str| (1..=LONGEST_NAME).contains(&text.len()) && !text.contains(char::is_control);
    let is_sum = |sum: &str| sum.len() == 64 && sum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_text(&manifest.name) || manifest.pulled.len() > 64 || manifest.pulled.contains(char::is_control) {
        return Err("has a name or a time that cannot be");
    }
    if !(1..=MOST_FILES).contains(&manifest.files.len()) {
        return Err("names no files, or too many");
    }
    for file in &manifest.files {
        let is_commit = file.commit.as_deref().is_none_or(cache::is_commit);
        if !is_text(&file.source) || !is_commit || !is_sum(&file.sha256) || !cache::is_plain(&file.path) {
            return Err("names a file that cannot be");
        }
    }
    Ok(())
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Recogniser => "recogniser",
        Role::Voice => "voice",
    }
}

fn role_of(name: &str) -> Option<Role> {
    [Role::Recogniser, Role::Voice].into_iter().find(|role| role_name(*role) == name)
}

/// A time in UTC, to the second. The calendar is `civil_from_days` of Howard Hinnant
/// (howardhinnant.github.io/date_algorithms.html), for days since 1970.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;
