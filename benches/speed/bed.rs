//! What all rows stand on: a folder, an environment, servers that end with them.

use crate::{Result, options::Options, turns};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a server may take to say that it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder in which everything runs and that goes when the run ends.
pub(crate) struct Bed<'a> {
    pub(crate) options: &'a Options,
    folder: TempDir,
}

impl<'a> Bed<'a> {
    pub(crate) fn make(options: &'a Options) -> Result<Self> {
        Ok(Self { options, folder: tempfile::Builder::new().prefix("speed-").tempdir()? })
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of speechctl.
    pub(crate) fn speechctl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        self.command(&self.options.binary, arguments)
    }

    /// A command, with nothing of the environment of whoever measures: neither a server, nor a model, nor a language.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, program: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.path();
        command.args(arguments).current_dir(folder).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", folder).env("TMPDIR", folder);
        command.env("XDG_CACHE_HOME", folder.join("cache"));
        command
    }
}

/// A `speechctl serve`. Ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as it says itself.
    pub(crate) address: String,
}

impl Server {
    /// Starts one, and waits for its word that it is ready.
    pub(crate) fn start(bed: &Bed<'_>, listen: &str, flags: &[&str]) -> Result<Self> {
        let mut command = bed.speechctl(["serve", "--listen", listen].iter().chain(flags));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Self { child: command.spawn()?, address: String::new() };
        let line = turns::first_line(server.child.stdout.take().ok_or("no standard output")?)?;
        let address = line.strip_prefix("speechctl: listening on ");
        server.address = address.ok_or_else(|| turns::failure(&command, &line))?.to_owned();
        Ok(server)
    }

    /// Ends it as nobody should.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks a process to end, so that it ends its own, and makes it where it does not.
pub(crate) fn end(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // That it is gone by now is what we want.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
    }
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(child.kill());
    drop(child.wait());
}
