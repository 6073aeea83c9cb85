//! espeak-ng's data: carried in the program, unpacked once into the cache folder.
//!
//! A folder of data is complete or not there: it is made beside its place and renamed. Any number of processes may do
//! so at once; one wins, the others use what it made.

use crate::error::{Error, Kind, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How names begin of folders in which data is being unpacked, or was found damaged.
const UNPACKING: &str = ".espeak-ng-";
const DAMAGED: &str = ".damaged-";

/// How old such a folder is when nobody works in it any more: unpacking takes a tenth of a second.
const ABANDONED: Duration = Duration::from_secs(600);

/// The data, packed by `build.rs`.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/espeak-ng-data.tar.zst"));

/// Files without which espeak-ng cannot start. Their absence tells that somebody cleaned up in the folder.
const NEEDED: &[&str] = &["phontab", "phonindex", "phondata", "intonations", "en_dict"];

/// The name that espeak-ng wants its folder to have.
const FOLDER: &str = "espeak-ng-data";

/// The folder that holds `espeak-ng-data`, unpacked by now.
///
/// # Errors
/// `Io`, naming the folder and the way out, where it cannot be written.
pub(super) fn unpacked(cache: &Path) -> Result<PathBuf> {
    // The name follows the contents, so that another version of this program never meets our data.
    check_owner(cache)?;
    let place = cache.join(format!("espeak-ng-{:08x}", crc32fast::hash(PACKED)));
    if is_complete(&place) {
        return Ok(place);
    }
    unpack(cache, &place).map_err(|cause| {
        let cache = cache.display();
        let message =
            format!("cannot unpack voices into `{cache}`; set XDG_CACHE_HOME to a folder with 10 MB to spare");
        Error::new(Kind::Io, message).because(cause)
    })?;
    Ok(place)
}

/// Data of another user's making is not for us: they could change it at any time.
fn check_owner(cache: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = fs::metadata(cache) else { return Ok(()) };
    let (owner, we) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == we || owner == 0 {
        return Ok(());
    }
    let message =
        format!("the cache folder `{}` belongs to another user; set XDG_CACHE_HOME to one of yours", cache.display());
    Err(Error::new(Kind::Io, message))
}

/// What a process that was killed while it unpacked has left. Others may be unpacking right now: theirs are young.
fn clean_up(cache: &Path) {
    let is_old = |path: &Path| {
        let age = fs::metadata(path).and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        age.is_some_and(|age| age > ABANDONED)
    };
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = [UNPACKING, DAMAGED].iter().any(|prefix| name.to_string_lossy().starts_with(prefix));
        if is_ours && is_old(&entry.path()) && fs::remove_dir_all(entry.path()).is_err() {
            tracing::debug!(path = %entry.path().display(), "Leftover stays.");
        }
    }
}

fn is_complete(place: &Path) -> bool {
    let has = |name: &&str| fs::metadata(place.join(FOLDER).join(name)).is_ok_and(|file| file.len() > 0);
    NEEDED.iter().all(has)
}

fn unpack(cache: &Path, place: &Path) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    clean_up(cache);
    let beside = tempfile::Builder::new().prefix(UNPACKING).tempdir_in(cache)?;
    let archive = zstd::Decoder::new(PACKED)?;
    tar::Archive::new(archive).unpack(beside.path().join(FOLDER))?;
    if place.exists() && !is_complete(place) {
        // Damaged. It is moved away whole, so that nobody meets it half removed.
        let away = tempfile::Builder::new().prefix(DAMAGED).tempdir_in(cache)?;
        if let Err(error) = fs::rename(place, away.path().join("data")) {
            // Another process may have been first.
            if !is_complete(place) {
                return Err(error);
            }
        }
    }
    match fs::rename(beside.path(), place) {
        Ok(()) => {
            // What it would remove has moved.
            let _gone = beside.keep();
            Ok(())
        }
        // Another process was first, and what it made is as good as ours.
        Err(_) if is_complete(place) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_unpack_one_good_copy() {
        let cache = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| unpacked(cache.path()).expect("it unpacks"));
            }
        });
        let left: Vec<_> = fs::read_dir(cache.path()).expect("it is there").map(|e| e.expect("entry").path()).collect();
        assert_eq!(left.len(), 1, "one copy and no rest: {left:?}");
        assert!(is_complete(&left[0]));
    }

    #[test]
    fn a_damaged_copy_is_replaced() {
        let cache = tempfile::tempdir().expect("a folder");
        let place = unpacked(cache.path()).expect("it unpacks");
        fs::remove_file(place.join(FOLDER).join("phontab")).expect("it was there");
        unpacked(cache.path()).expect("it unpacks again");
        assert!(is_complete(&place));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = unpacked(Path::new("/dev/null/cache")).expect_err("no folder can be there");
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.to_string().contains("/dev/null/cache"), "{error}");
    }
}
