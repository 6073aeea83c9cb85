//! Where bytes go: a file that appears when it is whole, or a stream.

use crate::{
    client::{
        output::Output,
        target::{Device, Target, cannot_write},
    },
    error::{Error, Kind, Result},
};
use rustix::fs::{OFlags, SeekFrom};
use std::{
    ffi::OsString,
    fs,
    io::{Seek, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Takes bytes.
pub(super) enum Place {
    /// A file, written beside its place and renamed at the end.
    File(Beside),
    /// What cannot be replaced by renaming. Flows as it is made. Where stdout is a file, this is where we begin in it.
    Stdout(Output, Option<u64>),
    Device(Device),
}

/// A new file beside the place of the one that it will be.
pub(super) struct Beside {
    new: NamedTempFile,
    place: PathBuf,
}

/// Where in a file stdout stands, if it is one that we may go back in: not a pipe, nor opened for appending.
fn place_in_file() -> Option<u64> {
    let stdout = rustix::stdio::stdout();
    let is_file = rustix::fs::fstat(stdout)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile);
    let appends = rustix::fs::fcntl_getfl(stdout).is_ok_and(|flags| flags.contains(OFlags::APPEND));
    if !is_file || appends {
        return None;
    }
    rustix::fs::seek(stdout, SeekFrom::Current(0)).ok()
}

impl Place {
    /// Opens it, without touching what is there.
    ///
    /// # Errors
    /// `Io`, or `InvalidInput` for a folder.
    pub(super) fn open(path: &Path, output: Output) -> Result<Self> {
        Ok(match Target::of(path)? {
            Target::Stdout => Place::Stdout(output, place_in_file()),
            Target::Device(device) => Place::Device(device),
            Target::File(place, permissions) => Place::File(Beside::create(&place, permissions)?),
        })
    }

    /// Whether it is stdout.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Place::Stdout(..))
    }

    /// The file that it will be, if it is one: the same for all names of it.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let Place::File(beside) = self else { return None };
        let folder = beside.new.path().parent()?.canonicalize().ok()?;
        Some(folder.join(beside.place.file_name()?))
    }

    /// Writes more, at once.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self {
            Place::File(beside) => beside.new.write_all(bytes).map_err(|cause| cannot_write(&beside.place, cause)),
            Place::Stdout(output, _) => output.bytes(bytes),
            Place::Device(device) => device.write(bytes),
        }
    }

    /// Puts the header that knows the length over the first one, where that is possible; a stream does without.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn write_header_again(&mut self, header: &[u8]) -> Result<()> {
        match self {
            Place::File(beside) => {
                let file = beside.new.as_file_mut();
                let written = file.rewind().and_then(|()| file.write_all(header));
                written.map_err(|cause| cannot_write(&beside.place, cause))
            }
            Place::Stdout(output, Some(start)) => {
                let go = |to| rustix::fs::seek(rustix::stdio::stdout(), to);
                // Whoever writes there after us goes on behind the audio.
                let Ok(end) = go(SeekFrom::Current(0)) else { return Ok(()) };
                if go(SeekFrom::Start(*start)).is_ok() {
                    output.bytes(header)?;
                    go(SeekFrom::Start(end))
                        .map_err(|cause| Error::new(Kind::Io, "cannot go back in standard output").because(cause))?;
                }
                Ok(())
            }
            Place::Stdout(_, None) | Place::Device(..) => Ok(()),
        }
    }

    /// All is written: a file takes its place.
    ///
    /// # Errors
    /// `Io`; then what was there before is there still.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Place::File(beside) => beside.put_in_place(),
            Place::Stdout(..) | Place::Device(..) => Ok(()),
        }
    }
}

impl Beside {
    fn create(place: &Path, permissions: Option<fs::Permissions>) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // As any new file: the umask takes away from this.
        let usual = fs::Permissions::from_mode(0o666);
        // Whoever finds it after a kill sees what it was to be. Names end at 255 bytes.
        let mut prefix = OsString::new();
        if let Some(name) = place.file_name().filter(|name| name.len() <= 200) {
            prefix.push(".");
            prefix.push(name);
        }
        prefix.push(".speechctl-");
        let new = tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(permissions.clone().unwrap_or(usual))
            .tempfile_in(folder)
            .map_err(|cause| cannot_write(place, cause))?;
        if let Some(permissions) = permissions {
            // Of one's own file; in the place of somebody else's stands one with the permissions of a new one.
            new.as_file().set_permissions(permissions).unwrap_or_default();
        }
        Ok(Self { new, place: place.to_owned() })
    }

    fn put_in_place(self) -> Result<()> {
        let place = self.place;
        self.new.persist(&place).map(drop).map_err(|cause| cannot_write(&place, cause.error))
    }
}
