//! A server under test.

use super::{
    PATIENCE, eventually, eventually_some,
    proc::{children, is_alive},
    process::{Running, Sandbox, Shown},
};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

/// `speechctl serve` on a port that the system chose.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) running: Running,
    /// All that it said until it was ready.
    pub(crate) said: String,
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
        Self::of(sandbox, sandbox.command(&args), "listening on")
    }

    /// Starts whatever prints `speechctl: SAYS ADDRESS` once it is ready.
    pub(crate) fn of(sandbox: &Sandbox, mut command: Command, says: &str) -> Self {
        // Its log goes to a file: an unread pipe would be full some time.
        let log = File::create(sandbox.path().join("server.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let running = Running::of(child);
        let (sender, line) = mpsc::channel();
        let ready = format!("speechctl: {says} ");
        let word = ready.clone();
        thread::spawn(move || {
            // What it says before that it is ready, and that.
            let (mut said, mut stdout) = (String::new(), BufReader::new(stdout));
            while !said.lines().any(|line| line.starts_with(&word))
                && stdout.read_line(&mut said).expect("it can be read") > 0
            {}
            drop(sender.send(said));
        });
        let said = line.recv_timeout(PATIENCE).expect("it says that it is ready");
        let address = said.lines().find_map(|line| line.strip_prefix(&ready));
        let address = address.unwrap_or_else(|| panic!("{said:?}: {}", log_of(sandbox))).to_owned();
        Self { address, running, said }
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
        log_of(sandbox)
    }

    /// How often its log says this.
    pub(crate) fn logged(&self, sandbox: &Sandbox, what: &str) -> usize {
        log_of(sandbox).matches(what).count()
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

fn log_of(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path().join("server.log")).expect("its log")
}
