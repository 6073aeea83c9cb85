//! What all groups stand on: a folder and an environment of their own.

use crate::{Result, options::Options};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A folder in which everything runs and that goes when the run ends.
pub(crate) struct Bed<'a> {
    pub(crate) options: &'a Options,
    folder: TempDir,
}

impl<'a> Bed<'a> {
    pub(crate) fn make(options: &'a Options) -> Result<Self> {
        Ok(Self { options, folder: tempfile::Builder::new().prefix("spoken-").tempdir()? })
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of speechctl, with nothing of the environment of whoever measures: neither a server, nor a model, nor a
    /// language.
    pub(crate) fn speechctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.options.binary);
        let folder: &Path = self.folder.path();
        command.args(arguments).current_dir(folder).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", folder).env("TMPDIR", folder);
        command.env("XDG_CACHE_HOME", folder.join("cache")).env("XDG_STATE_HOME", folder.join("state"));
        command
    }
}
