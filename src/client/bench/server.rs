//! A server of the bench's own, as a child process: it can be killed at any moment and started again on the same port.

use crate::{
    client::{Connection, connect},
    config,
    error::{Error, Kind, Result},
};
use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a server may take to listen: it restores its sessions first.
const START: Duration = Duration::from_secs(30);

/// How often it is looked whether it listens.
const LOOK: Duration = Duration::from_millis(5);

/// Lines of the log that are shown when it has ended by itself.
const LAST_WORDS: usize = 3;

/// How long a client may have been gone, and how long the end of a session is kept. Shorter than usual, for sessions that
/// are over count among those that a server has room for; much longer than any client here is away.
const KEEP: [&str; 4] = ["--session-wait", "120", "--linger", "10"];

/// What the line says that a server prints once it is ready.
const READY: &str = "speechctl: listening on ";

/// One life of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// When the one before it was killed.
    pub(super) killed: Option<Instant>,
    /// When it listened.
    pub(super) listened: Option<Instant>,
}

/// What is known of all lives, also by those who wait for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives(Arc<Mutex<Vec<Life>>>);

impl Lives {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Life>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first death after a moment, and when the server listened that is alive now.
    pub(super) fn death_after(&self, moment: Instant) -> Option<(Instant, Option<Instant>)> {
        self.with(|lives| {
            let killed = lives.iter().filter_map(|life| life.killed).find(|killed| *killed >= moment)?;
            Some((killed, lives.last().and_then(|life| life.listened)))
        })
    }
}

/// The server. It ends, by force, when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    folder: PathBuf,
    model: String,
    is_kept: bool,
    address: Arc<Mutex<Option<SocketAddr>>>,
    /// Its lives.
    pub(super) lives: Lives,
}

impl Server {
    /// Starts one that keeps everything in a folder, and waits until it listens. `is_kept` says that somebody will read
    /// its log.
    ///
    /// # Errors
    /// `Internal` where it does not come up.
    pub(super) async fn start(folder: &Path, model: &str, is_kept: bool) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|cause| {
            Error::new(Kind::Io, format!("cannot make the folder `{}`", folder.display())).because(cause)
        })?;
        let (address, lives) = (Arc::default(), Lives::default());
        let (model, folder) = (model.to_owned(), folder.to_owned());
        let child = spawn(&folder, &model, is_kept, "127.0.0.1:0")?;
        let mut server = Self { child, folder, model, is_kept, address, lives };
        server.begin_life(None);
        server.attend()?;
        server.listens().await?;
        Ok(server)
    }

    /// Waits until it listens; gives the address.
    ///
    /// # Errors
    /// `Internal` where it does not, or has ended.
    pub(super) async fn listens(&mut self) -> Result<SocketAddr> {
        let deadline = Instant::now() + START;
        loop {
            self.check()?;
            let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
            let is_listening = self.lives.with(|lives| lives.last().is_some_and(|life| life.listened.is_some()));
            match address {
                Some(address) if is_listening => return Ok(address),
                _ if Instant::now() > deadline => return Err(self.failed("does not listen within 30 s")),
                _ => sleep(LOOK).await,
            }
        }
    }

    /// A connection to it, with no wire between.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn connect(&mut self) -> Result<Connection> {
        let address = self.listens().await?.to_string();
        Ok(Connection { channel: connect(&address).await?, address, is_private: false, deadline: None })
    }

    /// Looks whether it still runs, when nobody has killed it.
    ///
    /// # Errors
    /// `Internal`, with its last words: nothing that is said to it may end it.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(&format!("ended by itself, {status}"))),
            Err(cause) => Err(self.failed("is lost").because(cause)),
        }
    }

    /// Kills it, and starts the next one at once, on the same port. Whether that listens is not waited for: it may be
    /// killed before.
    ///
    /// # Errors
    /// `Internal` where it had ended by itself, or cannot be started.
    pub(super) fn kill_and_start(&mut self) -> Result<()> {
        self.check()?;
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(address) = address else { return Err(self.failed("has never listened")) };
        // First it is known, then it happens: who finds a broken stream asks who broke it.
        self.begin_life(Some(Instant::now()));
        self.end();
        self.child = spawn(&self.folder, &self.model, self.is_kept, &address.to_string())?;
        self.attend()
    }

    /// Kills it and collects it, so that nothing of it writes any more.
    fn end(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }

    fn begin_life(&self, killed: Option<Instant>) {
        self.lives.with(|lives| lives.push(Life { killed, listened: None }));
    }

    /// Has a thread read what it prints: a pipe that nobody reads would be full some time.
    fn attend(&mut self) -> Result<()> {
        let life = self.lives.with(|lives| lives.len() - 1);
        let Some(stdout) = self.child.stdout.take() else { return Ok(()) };
        let (lives, address) = (self.lives.clone(), Arc::clone(&self.address));
        let read = move || read(stdout, &lives, life, &address);
        let thread = std::thread::Builder::new().name("server".to_owned()).spawn(read);
        thread.map(drop).map_err(|cause| Error::new(Kind::Internal, "the system gives no threads").because(cause))
    }

    fn failed(&self, what: &str) -> Error {
        let log = fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        let mut lines: Vec<&str> = log.lines().rev().take(LAST_WORDS).collect();
        lines.reverse();
        let words = if lines.is_empty() { String::new() } else { format!("; it said: {}", lines.join(" | ")) };
        Error::new(Kind::Internal, format!("the server of the bench {what}{words}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// What it logs.
const LOG: &str = "server.log";

fn spawn(folder: &Path, model: &str, is_kept: bool, listen: &str) -> Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(folder.join(LOG));
    let cannot = |cause| Error::new(Kind::Io, format!("cannot write into `{}`", folder.display())).because(cause);
    let mut command = Command::new(config::own_program()?);
    command.args(["serve", "--listen", listen, "--model", model, "--state-folder"]).arg(folder.join("state"));
    command.args(KEEP).args(is_kept.then_some("-v"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.map_err(cannot)?);
    // Ctrl-C is for us: the server goes when we say so.
    command.process_group(0);
    command.spawn().map_err(|cause| Error::new(Kind::Unavailable, "cannot start a server").because(cause))
}

/// Notes when a server says that it listens, and where.
fn read(stdout: ChildStdout, lives: &Lives, life: usize, address: &Mutex<Option<SocketAddr>>) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { return };
        let Some(said) = line.strip_prefix(READY) else { continue };
        lives.with(|lives| lives[life].listened = Some(Instant::now()));
        *address.lock().unwrap_or_else(PoisonError::into_inner) = said.trim().parse().ok();
    }
}
