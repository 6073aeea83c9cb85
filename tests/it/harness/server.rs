//! A server under test.

use super::{
    PATIENCE, eventually, eventually_some,
    process::{Running, Sandbox, Shown, children, is_alive},
};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc,
    thread,
};

/// `speechctl serve` on a port that the system chose.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) running: Running,
}

impl Server {
    /// Starts it with these flags beside `--listen 127.0.0.1:0`.
    pub(crate) fn start(sandbox: &Sandbox, flags: &[&str]) -> Self {
        Self::start_at(sandbox, "127.0.0.1:0", flags)
    }

    /// Starts it on an address.
    pub(crate) fn start_at(sandbox: &Sandbox, listen: &str, flags: &[&str]) -> Self {
        let mut args = vec!["serve", "--listen", listen];
        args.extend(flags);
        let mut command = sandbox.command(&args);
        // Its log goes to a file: an unread pipe would be full some time.
        let log = File::create(sandbox.path().join("server.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, line) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).expect("it can be read");
            drop(sender.send(line));
        });
        let line = line.recv_timeout(PATIENCE).expect("it says that it is ready");
        let address =
            line.trim().strip_prefix("speechctl: listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { address, running: Running::of(child) }
    }

    /// Its workers.
    pub(crate) fn workers(&self) -> Vec<u32> {
        children(self.running.pid())
    }

    /// Waits for a worker that is none of `but`.
    pub(crate) fn worker(&self, but: &[u32]) -> u32 {
        eventually_some("a worker", || self.workers().into_iter().find(|pid| !but.contains(pid)))
    }

    /// The worker that does something, which it is given.
    pub(crate) fn worker_after(&self, work: impl FnOnce()) -> u32 {
        work();
        self.worker(&[])
    }

    /// What it has logged.
    pub(crate) fn log(&self, sandbox: &Sandbox) -> String {
        std::fs::read_to_string(sandbox.path().join("server.log")).expect("its log")
    }

    /// Asks it to stop, and sees that its workers go with it.
    pub(crate) fn stop(self) -> Shown {
        let workers = self.workers();
        self.running.signal("TERM");
        let shown = self.running.end();
        eventually("the workers end", || !workers.iter().any(|pid| is_alive(*pid)));
        shown
    }
}
