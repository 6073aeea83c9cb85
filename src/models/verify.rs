//! Whether the files of a model are what they have to be, byte by byte; and the pinning of those that others have
//! brought.

use super::{
    cache,
    catalogue::Role,
    digest::{self, Digest},
    files, ggml,
    manifest::{self, Manifest, Pinned},
    onnx,
    shelf::{Installed, State},
    voice_config::Config,
};
use crate::{
    error::{Error, Kind, Result},
    shell,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All files are what they have to be. What was not pinned is now.
    Right,
    /// A file is another one.
    Wrong {
        /// Which.
        file: PathBuf,
        /// Its digest, in hex.
        found: String,
        /// What that had to be.
        expected: String,
    },
    /// A file is not there.
    Missing(PathBuf),
    /// A file is there, and nobody has said what it must be: it is not pinned, and no blob's name tells.
    Unknown(PathBuf),
}

impl Verdict {
    /// What is wrong, if anything is.
    pub(crate) fn fault(&self) -> Option<Error> {
        let (kind, message) = match self {
            Verdict::Right => return None,
            Verdict::Missing(file) => (Kind::NotInstalled, format!("`{}` is gone", file.display())),
            Verdict::Unknown(file) => (Kind::DataLoss, format!("nobody has said what `{}` must be", file.display())),
            Verdict::Wrong { file, found, expected } => {
                (Kind::DataLoss, format!("`{}` has the digest {found}, not {expected}", file.display()))
            }
        };
        Some(Error::new(kind, message))
    }
}

/// Reads all files of a model, and pins what was not pinned and is right. `each` is told the bytes read so far, of all
/// files together, and ends it with an error.
///
/// # Errors
/// `Io` for a file that cannot be read or a manifest that cannot be written; those of `each`.
pub(crate) fn verify(installed: &Installed, data: &Path, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<Verdict> {
    let (verdict, files) = look(installed, each)?;
    if verdict == Verdict::Right && installed.state == State::NotPinned {
        let Installed { name, role, .. } = installed.clone();
        manifest::write(data, &Manifest { name, role, pulled: manifest::now(), files })?;
    }
    Ok(verdict)
}

/// The same for who only looks: writes nothing.
///
/// # Errors
/// `Io` for a file that cannot be read; those of `each`.
pub(crate) fn check(installed: &Installed, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<Verdict> {
    look(installed, each).map(|(verdict, _)| verdict)
}

/// Whether the file that engines are given is whole, as far as that shows without its weights; of a voice, its other file
/// too.
///
/// # Errors
/// `NotFound`, `Io`, or `InvalidInput` for what is no model of this kind, or is cut short.
pub(crate) fn looks_whole(path: &Path, role: Role) -> Result<()> {
    match role {
        Role::Recogniser => ggml::check(path),
        Role::Voice => onnx::check(path).and_then(|()| Config::beside(path).map(drop)),
    }
}

/// What to do about a model that has something wrong of this kind.
pub(crate) fn way_out(installed: &Installed, kind: Kind) -> String {
    let name = shell::word(&installed.name);
    match (kind, installed.files.first().and_then(|file| file.source.strip_prefix("file:"))) {
        (Kind::Io | Kind::Deadline, _) => "see whether the disk is well".to_owned(),
        (_, Some(file)) => {
            format!("`speechctl models import {} --name {name}` copies it again", shell::word(file))
        }
        (Kind::NotInstalled, None) => format!("`speechctl models pull {name}` gets it again"),
        // A file that is as long as it should be is believed otherwise.
        (_, None) => format!("`speechctl models pull --force {name}` gets it again"),
    }
}

/// What to say of a model that was installed, and of which a file is missing or cut short.
pub(crate) fn gone(installed: &Installed) -> Error {
    let way_out = way_out(installed, Kind::NotInstalled);
    let message = format!("the files of `{}` are gone, or not as long as they were; {way_out}", installed.name);
    Error::new(Kind::NotInstalled, message)
}

/// What the files are, and what may be pinned of them.
fn look(installed: &Installed, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<(Verdict, Vec<Pinned>)> {
    let (mut pinned, mut before) = (Vec::new(), 0_u64);
    for file in &installed.files {
        let ends = |verdict| Ok((verdict, Vec::new()));
        let Ok(size) = fs::metadata(&file.path).map(|data| data.len()) else {
            return ends(Verdict::Missing(file.path.clone()));
        };
        let expected = match installed.state {
            State::NotPinned => named_by_blob(&file.path),
            State::Pinned | State::Gone => Digest::parse(&file.sha256),
        };
        let Some(expected) = expected else { return ends(Verdict::Unknown(file.path.clone())) };
        let mut each = |count| each(before.saturating_add(count));
        let ended = digest::of_file(&file.path, Some(expected), &mut each)?;
        if ended.is_right != Some(true) {
            let expected = expected.to_string();
            return ends(Verdict::Wrong { file: file.path.clone(), found: ended.found, expected });
        }
        before = before.saturating_add(size);
        pinned.push(Pinned { size, sha256: ended.sha256, ..file.clone() });
    }
    Ok((Verdict::Right, pinned))
}

/// What a file of a snapshot must be: .../REPO/snapshots/COMMIT/PATH. (A repository may have a folder of that name, too.)
fn named_by_blob(path: &Path) -> Option<Digest> {
    let snapshots = path.ancestors().filter(|folder| folder.file_name().is_some_and(|name| name == "snapshots"));
    snapshots.filter_map(|folder| cache::blob_of(files::folder_of(folder), path)).map(|(_, digest)| digest).next()
}

#[cfg(test)]
mod tests;
