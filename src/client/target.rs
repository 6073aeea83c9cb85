//! What a path on the command line means as a place to write to.

use crate::{
    client::output,
    error::{Error, Kind, Result},
};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Where something is written.
pub(crate) enum Target {
    Stdout,
    /// What is there and cannot be replaced.
    Device(Device),
    /// A file, links followed, and the permissions of the one that is there.
    File(PathBuf, Option<Permissions>),
}

/// A pipe or a device, which takes what is written as it comes.
pub(crate) struct Device {
    file: File,
    path: PathBuf,
}

impl Device {
    /// Opens it; `options` say how it is written.
    fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let file = options.open(path).map_err(|cause| cannot_write(path, cause))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes, at once.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|cause| match cause.kind() {
            io::ErrorKind::BrokenPipe => output::closed_pipe(),
            _ => cannot_write(&self.path, cause),
        })
    }
}

impl Target {
    /// Looks what a path is, without touching it.
    ///
    /// # Errors
    /// `Io`, or `InvalidInput` for a folder.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        if ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name)) {
            return Ok(Target::Stdout);
        }
        // What stands behind a descriptor is somebody's who has it open, and is written on, not replaced.
        let is_descriptor = path == Path::new("/dev/stderr")
            || ["/dev/fd/", "/proc/self/fd/"].iter().any(|folder| path.starts_with(folder));
        if is_descriptor {
            return Device::open(path, OpenOptions::new().append(true)).map(Target::Device);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let message = format!("cannot write `{}`: it is a folder; name a file in it", path.display());
                Err(Error::invalid(message))
            }
            Ok(metadata) if !metadata.is_file() => {
                Device::open(path, OpenOptions::new().write(true)).map(Target::Device)
            }
            Ok(metadata) => {
                // Through a link, so that the link stays one.
                let place = path.canonicalize().map_err(|cause| cannot_write(path, cause))?;
                if metadata.permissions().readonly() {
                    return Err(cannot_write(path, io::ErrorKind::PermissionDenied.into()));
                }
                Ok(Target::File(place, Some(metadata.permissions())))
            }
            // Nothing there, or a link to nothing, which then gets what it points to.
            Err(_) => Ok(Target::File(behind_links(path)?, None)),
        }
    }
}

/// Makes a folder for files where there is none.
///
/// # Errors
/// `Io`.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::new(Kind::Io, format!("cannot write into `{}`: it is no folder", folder.display()))
        }
        _ => cannot_write(folder, cause),
    })
}

/// Refuses to write something over the file that it is made of.
///
/// # Errors
/// `Config`.
pub(crate) fn check_apart(place: &Path, source: &Path, what: &str) -> Result<()> {
    let is_same = |place: PathBuf| place.is_file() && source.canonicalize().is_ok_and(|file| file == place);
    if place.canonicalize().is_ok_and(is_same) {
        let message = format!("{what} of `{}` would replace it; give another file", source.display());
        return Err(Error::new(Kind::Config, message));
    }
    Ok(())
}

/// Where a link leads.
///
/// # Errors
/// `Io` for one that leads in circles.
fn behind_links(path: &Path) -> Result<PathBuf> {
    let mut place = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&place) else { return Ok(place) };
        place = place.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(cannot_write(path, io::Error::other("its links lead in circles")))
}

/// The error that says why a file cannot be written.
pub(crate) fn cannot_write(path: &Path, cause: io::Error) -> Error {
    // The operating system's words without their number, and without the name of a file that nobody asked for.
    let why = match cause.kind() {
        io::ErrorKind::NotFound if path.parent().is_some_and(Path::is_dir) => "no file can be made there".to_owned(),
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::NotADirectory if path.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            "it is no folder that exists".to_owned()
        }
        io::ErrorKind::NotADirectory => "what should be its folder is a file".to_owned(),
        // Without the name of a temporary file, which tempfile adds.
        _ => cause
            .raw_os_error()
            .map_or_else(|| cause.to_string(), |code| io::Error::from_raw_os_error(code).to_string()),
    };
    Error::new(Kind::Io, format!("cannot write `{}`: {why}", path.display()))
}
