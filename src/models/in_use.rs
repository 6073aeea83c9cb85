//! Which models are in use: a worker holds a shared lock on its model's file from before its engine opens it until it
//! dies, and the kernel lets go of it however it dies. Who removes a model wants the lock for itself.

use super::files::{self, unreadable};
use crate::error::{Error, Kind, Result};
use rustix::{
    fs::{FlockOperation, flock, major, minor},
    io::Errno,
};
use std::{
    fs::{self, File, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// A model that is in use for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    _file: File,
}

/// A model that nobody can begin to use for as long as this lives.
#[derive(Debug)]
pub(super) struct Alone {
    _file: File,
}

/// Says that a model is in use, from now on until what is returned is dropped or the process dies. Where the file system
/// knows no locks, it says nothing.
///
/// # Errors
/// `NotFound` if the file is not there, `Busy` while it is being removed, `Io`.
pub(crate) fn hold(path: &Path) -> Result<Held> {
    let file = opened(path)?;
    match locked(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Held { _file: file }),
        Err(Errno::WOULDBLOCK) => {
            let message = format!("`{}` is being removed; try again", path.display());
            Err(Error::new(Kind::Busy, message))
        }
        Err(cause) => Err(unreadable(path, cause.into())),
    }
}

/// Makes sure that nobody uses a model, and that nobody begins to.
///
/// # Errors
/// `Busy` names the processes that use it, as far as they are known; `NotFound`, `Io`.
pub(super) fn alone(name: &str, path: &Path) -> Result<Alone> {
    let file = opened(path)?;
    match locked(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Alone { _file: file }),
        Err(Errno::WOULDBLOCK) => {
            let pids: Vec<String> = pids(&file).iter().map(u32::to_string).collect();
            let by_whom = match pids.as_slice() {
                [] => String::new(),
                [one] => format!(" by process {one}"),
                many => format!(" by processes {}", many.join(", ")),
            };
            Err(Error::new(Kind::Busy, format!("model `{name}` is in use{by_whom}; stop it first")))
        }
        Err(cause) => Err(unreadable(path, cause.into())),
    }
}

fn opened(path: &Path) -> Result<File> {
    files::open(path).map_err(|cause| unreadable(path, cause))
}

/// A file system without locks holds nothing, and is no error.
fn locked(file: &File, how: FlockOperation) -> Result<(), Errno> {
    loop {
        match flock(file, how) {
            Err(Errno::INTR) => {}
            // NFS wants a file that is open for writing, for a lock of one's own (flock(2)): that is nobody's here.
            Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK | Errno::BADF) => return Ok(()),
            other => return other,
        }
    }
}

/// The processes that hold a lock on this file, as far as the kernel tells (proc(5), /proc/locks).
fn pids(file: &File) -> Vec<u32> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    file.metadata().map(|data| pids_in(&locks, &data)).unwrap_or_default()
}

/// `1: FLOCK  ADVISORY  READ 708 fd:01:12345 0 EOF`; who waits for a lock has `->` behind the number.
fn pids_in(locks: &str, data: &Metadata) -> Vec<u32> {
    let file = format!("{:02x}:{:02x}:{}", major(data.dev()), minor(data.dev()), data.ino());
    let of_line = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, _, _, pid) = (words.next()?, words.next()?, words.next()?, words.next()?);
        (kind == "FLOCK" && words.next()? == file).then(|| pid.parse().ok())?
    };
    let mut pids: Vec<u32> = locks.lines().filter_map(of_line).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_uses_a_model_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("blob"), folder.path().join("link"));
        fs::write(&file, "m").expect("written");
        std::os::unix::fs::symlink("blob", &link).expect("a link");
        let (one, two) = (hold(&link).expect("held"), hold(&file).expect("shared"));
        drop(one);
        let error = alone("m", &link).expect_err("in use");
        let me = std::process::id();
        assert_eq!(error.kind(), Kind::Busy);
        assert_eq!(error.to_string(), format!("model `m` is in use by process {me}; stop it first"));
        drop(two);
        let alone = alone("m", &link).expect("nobody uses it");
        assert_eq!(hold(&file).expect_err("being removed").kind(), Kind::Busy);
        drop(alone);
        hold(&file).expect("it is there again");
    }

    #[test]
    fn what_is_not_there_or_no_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(hold(&folder.path().join("none")).expect_err("none").kind(), Kind::NotFound);
        assert_eq!(hold(folder.path()).expect_err("a folder").kind(), Kind::Io);
    }

    #[test]
    fn only_the_holders_of_this_file_are_named() {
        let file = tempfile::tempfile().expect("a file");
        let data = file.metadata().expect("its data");
        let id = format!("{:02x}:{:02x}:{}", major(data.dev()), minor(data.dev()), data.ino());
        let locks = format!(
            "1: FLOCK  ADVISORY  READ 9 {id} 0 EOF\n2: FLOCK  ADVISORY  READ 7 {id} 0 EOF\n3: POSIX  ADVISORY  READ 5 {id} 0 EOF\n\
             3: -> FLOCK  ADVISORY  WRITE 6 {id} 0 EOF\n4: FLOCK ADVISORY READ 4 {id}0 0 EOF\n5: FLOCK  ADVISORY  READ 9 {id} 0 EOF\nrubbish\n6:\n"
        );
        assert_eq!(pids_in(&locks, &data), [7, 9]);
    }
}
