//! The server that is measured.

use crate::{Result, bed::Bed, process};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Spoken sessions that a server lets in at least, as far as its flags have a say.
const MOST: usize = 256;

/// A `speechctl serve`. Ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as it says itself.
    pub(crate) address: String,
}

impl Server {
    /// Starts one on a port that the system chooses, and waits for its word that it is ready.
    pub(crate) fn start(bed: &Bed<'_>, flags: &[&str]) -> Result<Self> {
        let most = MOST.max(bed.options.sessions + 8).to_string();
        let threads = bed.options.threads.map(|threads| threads.to_string());
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--max-spoken-sessions", &most];
        if let Some(threads) = &threads {
            arguments.extend(["--threads", threads]);
        }
        arguments.extend(flags);
        let mut command = bed.speechctl(&arguments);
        let log = bed.path("server.log");
        // To a file: an unread pipe would be full some time.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut server = Self { child: command.spawn()?, address: String::new() };
        let stdout = server.child.stdout.take().ok_or("no standard output")?;
        match listening(stdout)? {
            Some(address) => server.address = address,
            None => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{command:?} failed: {}", said.trim()).into());
            }
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::signal(self.child.id(), rustix::process::Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The address that a server tells once it is ready; `None` where it ends without.
fn listening(stdout: impl Read) -> Result<Option<String>> {
    for line in BufReader::new(stdout).lines() {
        if let Some(address) = line?.strip_prefix("speechctl: listening on ") {
            return Ok(Some(address.to_owned()));
        }
    }
    Ok(None)
}
