//! One worker process: its start, its socket, its standard error, its end.

use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{
        Settings,
        death::{Cause, Death},
    },
    speech::ModelId,
};
use hyper_util::rt::TokioIo;
use std::{collections::VecDeque, io, os::fd::OwnedFd, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

/// Lines of standard error that are kept.
const TAIL_LINES: usize = 20;

/// Bytes of a line that are kept.
const TAIL_LINE: usize = 200;

/// How long a worker may take to end once its connection is closed.
const GRACE: Duration = Duration::from_millis(500);

/// How long the last words may take to arrive after the death.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A worker process that has been started.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stderr: Tail,
    /// Its number.
    pub(super) pid: u32,
}

impl Process {
    /// Starts a worker for a model. Its standard input is one end of a socket, the other end is the channel.
    ///
    /// # Errors
    /// `Unavailable` where the system gives no process, socket or memory.
    pub(super) fn start(model: &ModelId, settings: &Settings) -> Result<(Self, Channel)> {
        let cannot = |cause: io::Error| Error::new(Kind::Unavailable, "cannot start a worker").because(cause);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(cannot)?;
        ours.set_nonblocking(true).map_err(cannot)?;
        let mut child =
            command(model, settings).stdin(Stdio::from(OwnedFd::from(theirs))).spawn().map_err(|cause| {
                let program = settings.program.display();
                Error::new(Kind::Unavailable, format!("cannot start a worker from `{program}`")).because(cause)
            })?;
        let pid = child.id().unwrap_or_default();
        let stderr = Tail::of(child.stderr.take());
        let mut ours = Some(UnixStream::from_std(ours).map_err(cannot)?);
        // There is one connection and never another: where it breaks, the worker is lost.
        let connector = tower::service_fn(move |_| {
            let socket = ours.take();
            async move { socket.map(TokioIo::new).ok_or_else(|| io::Error::other("the worker is gone")) }
        });
        // Lazy: a process that dies before it speaks is lost like any other, and says how by its end.
        let channel = Endpoint::from_static("http://worker").connect_with_connector_lazy(connector);
        Ok((Self { child, stderr, pid }, channel))
    }

    /// Waits for the end of the process, however it comes, reading what it says until then.
    pub(super) async fn ended(&mut self) -> Cause {
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    return status.map_or(Cause::Exit(-1), Cause::of);
                }
                () = self.stderr.read(), if self.stderr.is_open() => {}
            }
        }
    }

    /// Kills it, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::debug!(pid = self.pid, %error, "Worker was gone already.");
        }
        self.ended().await;
    }

    /// Gives it time to end by itself, now that its connection is closed, then kills it.
    pub(super) async fn end(&mut self) {
        if timeout(GRACE, self.ended()).await.is_err() {
            self.kill().await;
        }
    }

    /// How it ended, with its last words.
    pub(super) async fn death(mut self, cause: Cause) -> Death {
        let rest = async {
            while self.stderr.is_open() {
                self.stderr.read().await;
            }
        };
        // A grandchild may hold the pipe open; what has arrived by then must do.
        if timeout(LAST_WORDS, rest).await.is_err() {
            tracing::debug!(pid = self.pid, "Standard error of a dead worker stays open.");
        }
        Death { cause, last_words: self.stderr.lines.into() }
    }
}

fn command(model: &ModelId, settings: &Settings) -> Command {
    let (engine, file) = model.arguments();
    let mut command = Command::new(&settings.program);
    // Its path may be /proc/self/exe, which says nothing in a list of processes.
    command.arg0("speechctl").arg("worker").arg("--engine").arg(engine);
    if let Some(file) = file {
        command.arg("--model").arg(file);
    }
    if settings.threads > 0 {
        command.arg("--threads").arg(settings.threads.to_string());
    }
    command.arg("--cache").arg(&settings.cache);
    // C libraries print. Their standard output would end nowhere good.
    command.stdout(settings.null.stdio()).stderr(Stdio::piped());
    // Ctrl-C in a terminal goes to the server alone, which stops its workers in order.
    command.process_group(0).kill_on_drop(true);
    command
}

/// The last lines that a worker wrote. Everything is read, so that a worker never waits for us to listen.
#[derive(Debug)]
struct Tail {
    pipe: Option<BufReader<ChildStderr>>,
    lines: VecDeque<String>,
    line: Vec<u8>,
}

impl Tail {
    fn of(pipe: Option<ChildStderr>) -> Self {
        Self {
            pipe: pipe.map(|pipe| BufReader::with_capacity(64 * 1024, pipe)),
            lines: VecDeque::new(),
            line: Vec::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Reads some more. Safe to drop at any time.
    async fn read(&mut self) {
        let Some(pipe) = self.pipe.as_mut() else { return };
        let (bytes, used) = match read_some(pipe).await {
            Ok((bytes, used)) if used > 0 => (bytes, used),
            // Closed, or broken, which is as good.
            _ => {
                self.pipe = None;
                self.end_of_line();
                return;
            }
        };
        pipe.consume(used);
        for byte in bytes {
            if byte == b'\n' {
                self.end_of_line();
            } else if self.line.len() < TAIL_LINE {
                self.line.push(byte);
            }
        }
    }

    fn end_of_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim().to_owned();
        if line.is_empty() {
            return;
        }
        tracing::debug!(target: "worker", "{line}");
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// What is in the buffer, and how much that is.
async fn read_some(pipe: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<(Vec<u8>, usize)> {
    let buffer = pipe.fill_buf().await?;
    Ok((buffer.to_vec(), buffer.len()))
}
