//! Where logs are: the few things that are done with a disk, so that tests can bring one that fails.

use crate::error::{Error, Kind, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::{
    fs, io,
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name of the lock. No session can have it, for its point.
const LOCK: &str = "speechctl.lock";

/// A disk. Paths begin with its root.
pub(super) trait Store: Send + Sync {
    /// The folder that has everything.
    fn root(&self) -> &Path;
    /// What is in a folder. A link to one is none.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// Makes a folder that was not there, for its owner only.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes a file that was not there, for its owner only.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Opens a file to append to it. A link is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// All of a file. A link is none.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Gives a file or a folder another name in the same folder; a file that has it already goes.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove_all(&self, folder: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file of a store, open to append to it. A second thread may sync it meanwhile.
pub(super) trait LogFile: Send + Sync {
    /// Appends. After an error any part of it may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Waits until what was appended is on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name; empty where that is no text.
    pub(super) name: String,
    /// What it is.
    pub(super) form: Form,
    /// How long it is.
    pub(super) length: u64,
}

/// What something in a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, a socket or the like.
    Other,
}

/// What could not be done with which path, why, and the way out.
pub(super) fn failed(doing: &str, path: &Path, cause: &io::Error) -> Error {
    let way_out = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or give another folder with `--state-folder`"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "give a folder that can be written with `--state-folder`"
        }
        io::ErrorKind::NotFound => "if the state folder was removed, start the server again",
        _ => "look at the disk, or give another folder with `--state-folder`",
    };
    Error::new(Kind::Io, format!("cannot {doing} `{}`", path.display())).because(format!("{cause}; {way_out}"))
}

/// The real disk.
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Takes a folder, and makes it if it is not there.
    ///
    /// # Errors
    /// `Io` where it cannot be made, or not be closed to others.
    pub(super) fn open(root: &Path) -> Result<Self> {
        // An absolute path says the same in a message, whoever reads it.
        let root = std::path::absolute(root).map_err(|cause| failed("use", root, &cause))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(|cause| failed("make", &root, &cause))?;
        let mode = fs::metadata(&root).map_err(|cause| failed("read", &root, &cause))?.permissions().mode();
        if mode & 0o777 != 0o700 {
            fs::set_permissions(&root, fs::Permissions::from_mode(0o700))
                .map_err(|cause| failed("set the mode of", &root, &cause))?;
        }
        Ok(Self { root })
    }

    /// A folder to look at, which is there or not.
    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether another process has taken the folder.
    pub(super) fn is_locked(&self) -> bool {
        let file = fs::OpenOptions::new().read(true).custom_flags(nofollow()).open(self.root.join(LOCK));
        file.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Takes the folder for this process, until the file that this returns is dropped.
    ///
    /// # Errors
    /// `Config` where another has it; `Io`.
    pub(super) fn lock(&self) -> Result<fs::File> {
        let path = self.root.join(LOCK);
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nofollow())
            .open(&path)
            .map_err(|cause| failed("open", &path, &cause))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(taken(&self.root, &mut file)),
            Err(cause) => return Err(failed("lock", &path, &cause.into())),
        }
        let write = |file: &mut fs::File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(format!("{}\n", std::process::id()).as_bytes())
        };
        write(&mut file).map_err(|cause| failed("write", &path, &cause))?;
        Ok(file)
    }
}

fn taken(root: &Path, file: &mut fs::File) -> Error {
    let mut text = String::new();
    // The number only helps to find the other: without it the error is the same.
    let holder = file.take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    let holder = holder.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let root = root.display();
    Error::new(
        Kind::Config,
        format!(
            "the state folder `{root}` is used by another speechctl{holder}; stop it, or give another `--state-folder`"
        ),
    )
}

fn nofollow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

impl Store for Disk {
    fn root(&self) -> &Path {
        &self.root
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        if !fs::symlink_metadata(folder)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let form = match metadata.file_type() {
                form if form.is_file() => Form::File,
                form if form.is_dir() => Form::Folder,
                _ => Form::Other,
            };
            Ok(Entry { name: entry.file_name().into_string().unwrap_or_default(), form, length: metadata.len() })
        };
        fs::read_dir(folder)?.map(entry).collect()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(fs::OpenOptions::new().append(true).custom_flags(nofollow()).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = fs::OpenOptions::new().read(true).custom_flags(nofollow()).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_all(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir_all(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::fsync(rustix::fs::open(folder, flags, Mode::empty())?)?)
    }
}

impl LogFile for fs::File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
