//! The unfinished file: what has come so far, its sum, and whether the rest has room.
//!
//! The sum goes along with the bytes, so that a file of gigabytes is not read once more when its last byte has come. Its
//! length is that of the file itself: whatever ended the pull before, what is there counts.

use super::failure;
use crate::{
    config,
    error::{Error, Kind, Result},
    models::{
        digest::{Digest, Ended, Sums},
        place,
    },
};
use rustix::fs::{Mode, OFlags};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// How much is read at a time, bytes.
pub(super) const PIECE: usize = 128 * 1024;

/// What a disk does, so that a full one can be tried.
#[derive(Clone, Copy)]
pub(super) struct Disk<'a> {
    /// Bytes that a user may still write below this folder.
    pub(super) room: &'a (dyn Fn(&Path) -> io::Result<u64> + Sync),
    /// Writes all of it where the file stands.
    pub(super) write: &'a (dyn Fn(&mut File, &[u8]) -> io::Result<()> + Sync),
}

impl Disk<'_> {
    /// That of this machine.
    pub(super) const REAL: Disk<'static> = Disk { room: &room, write: &|file, bytes| file.write_all(bytes) };
}

/// What the file system has for those who are not root.
fn room(folder: &Path) -> io::Result<u64> {
    let told = rustix::fs::statvfs(folder)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// A file that is being pulled. Whoever has one holds its lock.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    expected: Option<Digest>,
    size: Option<u64>,
    sums: Sums,
}

impl Partial {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// `Io` if it cannot be written.
    pub(super) fn open(path: &Path, expected: Option<Digest>, size: Option<u64>) -> Result<Self> {
        // No link is followed: what is renamed at the end must be what was written. Other users of a shared cache may read
        // what the umask leaves them.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666));
        let file = File::from(file.map_err(|cause| failed("write", path, cause.into()))?);
        if !file.metadata().is_ok_and(|data| data.is_file()) {
            return Err(failed("write", path, io::Error::other("it is no file")));
        }
        Ok(Self { path: path.to_owned(), file, expected, size, sums: Sums::new(expected, size) })
    }

    /// Its length, bytes.
    ///
    /// # Errors
    /// `Io` if the disk fails.
    pub(super) fn length(&self) -> Result<u64> {
        self.file.metadata().map(|data| data.len()).map_err(|cause| failed("read", &self.path, cause))
    }

    /// Puts what is there into the sum; afterwards the file stands at its end. `each` is told the bytes read so far.
    ///
    /// # Errors
    /// `Io` if the disk fails, or what `each` says.
    pub(super) fn read_back(&mut self, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.sums = Sums::new(self.expected, self.size);
        self.file.seek(SeekFrom::Start(0)).map_err(|cause| failed("read", &self.path, cause))?;
        let mut piece = vec![0; PIECE];
        let mut done = 0;
        loop {
            let count = match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(failed("read", &self.path, cause)),
            };
            self.sums.add(piece.get(..count).unwrap_or_default());
            done += u64::try_from(count).unwrap_or(0);
            each(done)?;
        }
    }

    /// Writes behind what is there.
    ///
    /// # Errors
    /// `Io` if the disk fails or is full; what has been written before stays.
    pub(super) fn append(&mut self, bytes: &[u8], disk: Disk<'_>) -> Result<()> {
        match (disk.write)(&mut self.file, bytes) {
            Ok(()) => {
                self.sums.add(bytes);
                Ok(())
            }
            Err(cause) => Err(failed("write", &self.path, cause)),
        }
    }

    /// Empties it.
    ///
    /// # Errors
    /// `Io` if the disk fails.
    pub(super) fn cut(&mut self) -> Result<()> {
        self.sums = Sums::new(self.expected, self.size);
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map(drop).map_err(|cause| failed("write", &self.path, cause))
    }

    /// What it is. `None` where only reading it once more can tell: a git digest begins with a length, and that of the
    /// file was not known when its first byte came.
    pub(super) fn end(self) -> Option<Ended> {
        match (self.expected, self.size) {
            (Some(Digest::GitSha1(_)), None) => None,
            _ => Some(self.sums.end()),
        }
    }
}

/// What room there is, where it is too little; a file system that does not tell is tried.
pub(super) fn lacks(path: &Path, wants: u64, disk: Disk<'_>) -> Option<u64> {
    let folder = path.parent().unwrap_or(path);
    (disk.room)(folder).ok().filter(|&has| has < wants)
}

/// A file that has yet to come, or the rest of it.
pub(super) struct Missing<'a> {
    pub(super) file: &'a str,
    /// Where it is written.
    pub(super) partial: &'a Path,
    /// Bytes.
    pub(super) wants: u64,
    /// The variable that has it elsewhere.
    pub(super) variable: &'static str,
}

/// Looks whether all of them have room together, each on its own file system; each file counts once.
///
/// # Errors
/// `Io`, with what is needed and what there is.
pub(super) fn look_for_room(missing: &[Missing<'_>], disk: Disk<'_>) -> Result<()> {
    let mut systems: BTreeMap<u64, (&Path, Vec<&Missing<'_>>)> = BTreeMap::new();
    for one in missing {
        let there = one.partial.ancestors().skip(1).find_map(|folder| Some((folder, fs::metadata(folder).ok()?)));
        // The first attempt to make it will say what is wrong.
        let Some((folder, data)) = there else { continue };
        let (_, of_system) = systems.entry(data.dev()).or_insert((folder, Vec::new()));
        if of_system.iter().all(|other| other.partial != one.partial) {
            of_system.push(one);
        }
    }
    for (folder, of_system) in systems.values() {
        let wants = of_system.iter().map(|one| one.wants).fold(0, u64::saturating_add);
        let Some(has) = (disk.room)(folder).ok().filter(|&has| has < wants) else { continue };
        let wanting: Vec<&&Missing<'_>> = of_system.iter().filter(|one| one.wants > 0).collect();
        if let Some(first) = wanting.first() {
            let who = match wanting.len() {
                1 => format!("`{}` needs", first.file),
                count => format!("`{}` and {} more need", first.file, count - 1),
            };
            return Err(failure::no_room(&who, wants, &folder.display().to_string(), has, first.variable));
        }
    }
    Ok(())
}

/// Deletes the unfinished file, if there is one.
///
/// # Errors
/// `Io` if it cannot be deleted.
pub(super) fn discard(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("delete", path, cause)),
        _ => Ok(()),
    }
}

fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    let way = place::way_out(path, cause.kind(), config::env);
    Error::new(Kind::Io, format!("cannot {doing} `{}`: {cause}{way}", path.display()))
}
