//! One worker process: its start, its socket, its end.

use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{
        Settings, connection,
        death::{Cause, Death},
        memory,
        spawner::Spawner,
        tail::Tail,
    },
    speech::ModelId,
};
use std::{env, ffi::OsStr, io, os::fd::OwnedFd, process::Stdio, time::Duration};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};
use tonic::transport::Channel;

/// How long a worker may take to end once its connection is closed.
const GRACE: Duration = Duration::from_millis(500);

/// How long the last words may take to arrive after the death.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// When the system may have a process for us again.
const LATER: Duration = Duration::from_secs(1);

/// What a worker gets of our environment: what libraries need to find their files and devices, and how loud to be.
/// Everything else, such as credentials, is none of an engine's business.
const ENVIRONMENT: &[&str] = &["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "SPEECHCTL_LOG"];

/// The same, by how names begin: locales, GPUs, threads.
const ENVIRONMENT_FAMILIES: &[&str] =
    &["LC_", "CUDA_", "NVIDIA_", "VK_", "GGML_", "OMP_", "OPENBLAS_", "ROCR_", "HIP_"];

/// A worker process that has been started.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    tail: Tail,
    /// Its number.
    pub(super) pid: u32,
    /// How often the system had killed for want of memory when we last looked.
    kills: Option<u64>,
}

impl Process {
    /// Starts a worker for a model. Its standard input is one end of a socket, the other end is the channel.
    ///
    /// # Errors
    /// `Unavailable` where the system gives no process, socket or memory.
    pub(super) async fn start(model: &ModelId, settings: &Settings, spawner: &Spawner) -> Result<(Self, Channel)> {
        let cannot =
            |cause: io::Error| Error::new(Kind::Unavailable, "cannot start a worker").because(cause).retry_after(LATER);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(cannot)?;
        ours.set_nonblocking(true).map_err(cannot)?;
        let ours = UnixStream::from_std(ours).map_err(cannot)?;
        let mut command = command(model, settings)?;
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let mut child = spawner.spawn(command).await.map_err(|cause| {
            let program = settings.program.display();
            let error = Error::new(Kind::Unavailable, format!("cannot start a worker from `{program}`"));
            error.because(cause).retry_after(LATER)
        })?;
        let pid = child.id().unwrap_or_default();
        let mut tail = Tail::default();
        // C libraries print to both, whatever they are told.
        child.stderr.take().into_iter().for_each(|pipe| tail.add(pipe));
        child.stdout.take().into_iter().for_each(|pipe| tail.add(pipe));
        Ok((Self { child, tail, pid, kills: memory::kills() }, connection::channel(ours)))
    }

    /// Waits for the end of the process, however it comes, reading what it says until then.
    pub(super) async fn ended(&mut self) -> Cause {
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    return status.map_or(Cause::Exit(-1), Cause::of);
                }
                () = self.tail.read(), if self.tail.is_open() => {}
            }
        }
    }

    /// Takes note of what a later death is to be compared with.
    pub(super) fn look(&mut self) {
        self.kills = memory::kills();
    }

    /// Kills it, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        // Whatever it has started is in its group, and goes with it.
        let group = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group.filter(|_| self.child.id().is_some()) {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap_or_default();
        }
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
    pub(super) async fn death(mut self, cause: Cause, detail: String) -> Death {
        let rest = async {
            while self.tail.is_open() {
                self.tail.read().await;
            }
        };
        // A grandchild may hold the pipe open; what has arrived by then must do.
        if timeout(LAST_WORDS, rest).await.is_err() {
            tracing::debug!(pid = self.pid, "Output of a dead worker stays open.");
        }
        let last_words = self.tail.into_lines();
        let has_system_killed = || self.kills.is_some() && memory::kills() > self.kills;
        Death { cause: cause.in_the_light_of(&last_words, has_system_killed), detail, last_words }
    }
}

fn command(model: &ModelId, settings: &Settings) -> Result<Command> {
    let elsewhere = || Error::new(Kind::Internal, format!("`{model}` runs elsewhere and cannot be started here"));
    let (engine, file) = model.arguments().ok_or_else(elsewhere)?;
    let mut command = Command::new(&settings.program);
    // Its path may be /proc/self/exe, which says nothing in a list of processes.
    command.arg0("speechctl").arg("worker").arg("--engine").arg(engine);
    if let Some(file) = file {
        command.arg("--model").arg(file);
    }
    if settings.threads > 0 {
        command.arg("--threads").arg(settings.threads.to_string());
    }
    if let Some(memory) = settings.worker_memory {
        command.arg("--memory").arg(memory.to_string());
    }
    command.arg("--parent").arg(std::process::id().to_string());
    command.arg("--cache").arg(&settings.cache);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear().envs(env::vars_os().filter(|(name, _)| is_allowed(name)));
    // ggml would start a debugger on itself before it aborts, whose words would be the last.
    command.env("GGML_NO_BACKTRACE", "1");
    // What is large goes back to the system as soon as it is free. By itself, glibc keeps more and more of it (mallopt(3),
    // M_MMAP_THRESHOLD): a worker that speaks with a Piper voice of ordinary size has half as much memory with this.
    command.env("MALLOC_MMAP_THRESHOLD_", "262144");
    // Ctrl-C in a terminal goes to the server alone, which stops its workers in order.
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

fn is_allowed(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    ENVIRONMENT.contains(&name) || ENVIRONMENT_FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_us() {
        for name in ["PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES"] {
            assert!(is_allowed(OsStr::new(name)), "{name}");
        }
        for name in ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "SPEECHCTL_SERVER", "MALLOC_CHECK_"] {
            assert!(!is_allowed(OsStr::new(name)), "{name}");
        }
    }
}
