//! The folders: whether they are there or can be made, can be written, and have room.
//!
//! What a system says of permissions is not all: root may write everywhere and cannot on a disk that is read-only. So a
//! file is made, which has no name and leaves nothing behind.

use super::{
    finding::Finding,
    patience::{self, LOOK},
};
use crate::{cli::leftovers, config, error::Kind, size};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Less room than this is little for what a folder is for, bytes: voices are unpacked into 10 MB, and a session keeps
/// up to 64 MB.
const LITTLE_ROOM: u64 = 64 << 20;

/// The same for what holds models: `base.en` in full is 142 MB.
const LITTLE_ROOM_FOR_MODELS: u64 = 256 << 20;

/// Less room than this is none.
const NO_ROOM: u64 = 1 << 20;

/// A folder that something needs.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    name: &'static str,
    path: PathBuf,
    /// The variable that names another.
    variable: &'static str,
    /// What cannot be done without it.
    lost: &'static str,
    /// Whether it does its work also where nothing can be written into it.
    is_read: bool,
    little: u64,
}

/// All of them. `cache` and `data` are those of the hub.
pub(super) fn all(cache: &Path, data: &Path) -> [Folder; 4] {
    let (variable, lost, is_read, little) = ("XDG_CACHE_HOME", "nothing can be spoken", false, LITTLE_ROOM);
    let ours = Folder { name: "cache", path: config::cache_folder(config::env), variable, lost, is_read, little };
    let (variable, lost) = ("XDG_STATE_HOME", "no server can keep what is said to it");
    let state = Folder { name: "state", path: config::state_folder(config::env), variable, lost, ..ours.clone() };
    let (lost, little) = ("no model can be pulled", LITTLE_ROOM_FOR_MODELS);
    let hub = Folder { name: "hub cache", path: cache.to_owned(), variable: "HF_HOME", lost, is_read: true, little };
    let data = Folder { name: "data", path: data.to_owned(), variable: "XDG_DATA_HOME", ..hub.clone() };
    [ours, state, data, hub]
}

/// Looks at one.
pub(super) async fn finding(folder: Folder) -> Finding {
    patience::finding(folder.name, LOOK, move || look(&folder)).await
}

/// What servers that died have left in the state folder, if it is anything.
pub(super) async fn leftovers() -> Option<Finding> {
    const NAME: &str = "sessions";
    let left = match patience::on_thread(LOOK, leftovers::left_behind).await {
        Ok(Ok(0)) => return None,
        // What is wrong with the folder has been told.
        Ok(Err(error)) if error.kind() == Kind::Io => return None,
        Ok(Err(error)) | Err(error) => return Some(Finding::of_error(NAME, &error)),
        Ok(Ok(left)) => left,
    };
    let sessions = if left == 1 { "1 session".to_owned() } else { format!("{left} sessions") };
    let found = format!("{sessions} of servers that died");
    Some(Finding::note(NAME, found, "`speechctl sessions list` shows them"))
}

fn look(folder: &Folder) -> Finding {
    let Folder { name, path, variable, .. } = folder;
    let (place, is_there) = nearest(path);
    let shown = path.display();
    if let Err(cause) = try_to_write(place) {
        let way_out = format!("set {variable} to a folder of yours");
        if is_there && fs::read_dir(path).is_ok() && folder.is_read {
            let found = format!("`{shown}` can only be read, so {}: {cause}", folder.lost);
            return Finding::note(name, found, way_out);
        }
        let what = match (is_there, place.is_dir()) {
            (true, true) => format!("cannot write into `{shown}`"),
            (true, false) => format!("`{shown}` is no folder"),
            (false, true) => format!("cannot make `{shown}` in `{}`", place.display()),
            (false, false) => format!("cannot make `{shown}`, for `{}` is no folder", place.display()),
        };
        let because = if place.is_dir() { format!(": {cause}") } else { String::new() };
        return Finding::wrong(name, Kind::Io, format!("{what}, so {}{because}", folder.lost), way_out);
    }
    let made = if is_there { "" } else { ", not made yet" };
    match room(place) {
        None => Finding::ok(name, format!("`{shown}`{made}")),
        Some(free) => {
            let found = format!("`{shown}`{made}, {} free", size::in_words(free));
            let way_out = format!("free some, or set {variable} to a folder with more");
            match free {
                ..NO_ROOM => Finding::wrong(name, Kind::Io, format!("{found}, so {}", folder.lost), way_out),
                _ if free < folder.little => Finding::note(name, found, way_out),
                _ => Finding::ok(name, found),
            }
        }
    }
}

/// The folder itself, or what is there of the way to it; whether it is there.
fn nearest(path: &Path) -> (&Path, bool) {
    let found = path.ancestors().find(|place| place.symlink_metadata().is_ok());
    let found = found.unwrap_or(Path::new("/"));
    (found, found == path)
}

fn try_to_write(folder: &Path) -> io::Result<()> {
    // Into a link that leads nowhere, or a file, there is no way.
    tempfile::tempfile_in(folder).and_then(|mut file| file.write_all(b"x"))
}

/// The room that is left for us, bytes; `None` where the system counts none.
fn room(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok().filter(|system| system.f_blocks > 0)?;
    // Files that cannot be made have no room either.
    let has_files = system.f_files == 0 || system.f_favail > 0;
    Some(if has_files { system.f_bavail.saturating_mul(system.f_frsize) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn found(path: &Path, is_read: bool) -> String {
        let (name, lost, little) = ("cache", "nothing works", 0);
        let folder = Folder { name, path: path.to_owned(), variable: "CACHE", lost, is_read, little };
        look(&folder).line().replace(&path.display().to_string(), "PATH")
    }

    #[test]
    fn a_folder_that_can_be_made_is_well_and_is_not_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b");
        let line = found(&path, false);
        assert!(line.starts_with("ok     cache         `PATH`, not made yet, ") && line.ends_with(" free"), "{line}");
        assert!(found(folder.path(), false).starts_with("ok     cache         `PATH`, "));
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn what_is_in_its_place_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, b"precious").expect("it is written");
        for is_read in [false, true] {
            let line = found(&file, is_read);
            let rest = "so nothing works; set CACHE to a folder of yours";
            assert_eq!(line, format!("wrong  cache         `PATH` is no folder, {rest}"));
            let line = found(&file.join("cache"), is_read).replace(&file.display().to_string(), "FILE");
            assert_eq!(line, format!("wrong  cache         cannot make `PATH`, for `FILE` is no folder, {rest}"));
        }
        let link = folder.path().join("link");
        symlink(folder.path().join("nowhere"), &link).expect("it is made");
        assert!(found(&link, false).starts_with("wrong  cache         `PATH` is no folder, "));
        assert_eq!(fs::read(file).expect("it is there"), b"precious");
    }

    #[test]
    fn little_room_is_told() {
        let (name, lost, variable) = ("cache", "nothing works", "CACHE");
        let folder = Folder { name, path: "/".into(), variable, lost, is_read: false, little: u64::MAX };
        let line = look(&folder).line();
        // Where it cannot be written either, that goes before.
        let way_out = "; free some, or set CACHE to a folder with more";
        assert!(line.ends_with(way_out) || line.starts_with("wrong  cache         cannot write into `/`"), "{line}");
        assert_eq!(room(Path::new("/proc")), None, "it has no blocks to count");
    }

    #[test]
    fn what_can_only_be_read_is_enough_for_some() {
        // Also root can make no file there.
        let proc = Path::new("/proc");
        assert!(found(proc, true).starts_with("note   cache         `PATH` can only be read, so nothing works: "));
        assert!(found(proc, false).starts_with("wrong  cache         cannot write into `PATH`, so nothing works: "));
    }
}
