//! Settings that come from the environment: where things are kept.
//!
//! The environment is read through a function argument, so that tests never change that of the process.

use crate::error::{Error, Kind, Result};
use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// Where the server listens, and where clients look for one, if nothing else is said.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";

/// The folder for what can be made again: `$XDG_CACHE_HOME/speechctl`, else `~/.cache/speechctl`, else below the
/// folder for temporary files, for machines without a home.
pub(crate) fn cache_folder(env: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").filter(|home| home.is_dir()).map(|home| home.join(".cache")))
        .map(|folder| folder.join("speechctl"))
        .unwrap_or_else(|| temporary(&absolute))
}

/// The folder for what must outlive the program: `$XDG_STATE_HOME/speechctl`, else `~/.local/state/speechctl`, else
/// below the folder for temporary files.
pub(crate) fn state_folder(env: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").filter(|home| home.is_dir()).map(|home| home.join(".local/state")))
        .map(|folder| folder.join("speechctl"))
        .unwrap_or_else(|| temporary(&absolute).join("state"))
}

/// The folder for what was brought here and is ours alone: `$XDG_DATA_HOME/speechctl`, else `~/.local/share/speechctl`,
/// else below the folder for what must outlive the program.
pub(crate) fn data_folder(env: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|folder| plain(&folder.join("speechctl")))
        .unwrap_or_else(|| state_folder(&env).join("data"))
}

/// A path from the root on, without "..": of what is there already as the system has it, the rest as it is written.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !absolute.components().any(|part| part == Component::ParentDir) {
        return absolute;
    }
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            // What ".." means where a link is before it, only the system knows.
            Component::ParentDir => {
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// A folder below the one for temporary files, which all users share: each has a place of their own in it.
fn temporary(absolute: &impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp")).join(format!("speechctl-{user}"))
}

/// Reads the environment of this process.
pub(crate) fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The program's own file, to start another of it: this very file, also once it has been replaced or deleted, where
/// /proc tells; else what the system remembers of the start.
///
/// # Errors
/// `Io` where nothing is known.
pub(crate) fn own_program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    match std::env::current_exe() {
        Ok(path) => Ok(path),
        Err(cause) => {
            at_execfn().ok_or_else(|| Error::new(Kind::Io, "cannot find this program's own file").because(cause))
        }
    }
}

/// What the kernel was asked to execute, if that still is a file.
fn at_execfn() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let name = rustix::param::linux_execfn();
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    path.canonicalize().ok().filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env_of(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn the_cache_follows_the_environment() {
        let xdg = env_of(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/")]);
        assert_eq!(cache_folder(xdg), Path::new("/c/speechctl"));
        let home = env_of(&[("HOME", "/")]);
        assert_eq!(cache_folder(home), Path::new("/.cache/speechctl"));
        let relative = env_of(&[("XDG_CACHE_HOME", "c"), ("HOME", "/nowhere"), ("TMPDIR", "/t")]);
        assert!(cache_folder(relative).display().to_string().starts_with("/t/speechctl-"));
        let state = env_of(&[("XDG_STATE_HOME", "/s"), ("HOME", "/")]);
        assert_eq!(state_folder(state), Path::new("/s/speechctl"));
        assert_eq!(state_folder(env_of(&[("HOME", "/")])), Path::new("/.local/state/speechctl"));
        assert!(state_folder(env_of(&[])).ends_with("state"));
        assert_eq!(data_folder(env_of(&[("XDG_DATA_HOME", "/d"), ("HOME", "/")])), Path::new("/d/speechctl"));
        assert_eq!(plain(Path::new("/a/../b/./c/..")), Path::new("/b"));
        assert_eq!(plain(Path::new("/proc/self/../self")), Path::new("/proc/self"), "not that of the process");
        assert_eq!(data_folder(env_of(&[("HOME", "/")])), Path::new("/.local/share/speechctl"));
        assert!(data_folder(env_of(&[])).ends_with("state/data"));
        assert!(cache_folder(env_of(&[])).display().to_string().starts_with("/tmp/speechctl-"));
    }
}
