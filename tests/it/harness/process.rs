//! Processes under test: started in a folder of their own, with an environment of their own, and a deadline.

pub(crate) use super::proc::is_alive;
use super::{PATIENCE, program, shared_cache};
use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};
use tempfile::TempDir;

/// A folder in which a test's processes run.
pub(crate) struct Sandbox {
    pub(crate) folder: TempDir,
    /// Where servers keep what must outlive them: not among the files that a test looks at.
    state: TempDir,
    env: Vec<(String, String)>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        Self { folder: folder(), state: folder(), env: Vec::new() }
    }

    /// The same, where every process has this variable too.
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).expect("it is written");
    }

    /// What `ls -A` says.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("it is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A command of the program under test.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(program());
        command.args(args).current_dir(self.path()).env_clear();
        // Nothing of whoever runs the tests: neither a server, nor a language, nor a home.
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.path()).env("TMPDIR", self.path());
        // Tests run side by side: threads of an engine would wait for each other's cores.
        command.env("XDG_STATE_HOME", self.state.path());
        command.env("XDG_CACHE_HOME", shared_cache()).env("SPEECHCTL_THREADS", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Shown {
        self.run_with(args, b"")
    }

    /// Runs the program to its end, with this standard input.
    pub(crate) fn run_with<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Shown {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(command);
        running.feed(stdin);
        running.end()
    }

    /// A run as it looks in a snapshot: the command, its exit code, what it wrote. Names of folders are replaced.
    pub(crate) fn row(&self, line: &str) -> String {
        let args = words(line);
        let shown = self.run(&args);
        self.shown_as_row(line, &shown)
    }

    /// The same for a run that was made otherwise.
    pub(crate) fn shown_as_row(&self, line: &str, shown: &Shown) -> String {
        let folder = self.path().display().to_string();
        let clean =
            |text: &str| text.replace(&folder, "[DIR]").replace(&shared_cache().display().to_string(), "[CACHE]");
        let mut row = format!("$ speechctl {line}\n");
        for text in [&shown.stdout_lossy(), &shown.stderr] {
            if !text.is_empty() {
                row.push_str(&clean(text));
                if !row.ends_with('\n') {
                    row.push('\n');
                }
            }
        }
        row.push_str(&format!("exit {}\n\n", shown.code()));
        row
    }
}

/// Splits a command line as a shell does, as far as the tests need it: spaces, and double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for character in line.chars() {
        match character {
            '"' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            other => word.push(other),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// What a finished process has shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Shown {
    pub(crate) fn code(&self) -> String {
        match (self.status.code(), std::os::unix::process::ExitStatusExt::signal(&self.status)) {
            (Some(code), _) => code.to_string(),
            (None, signal) => format!("by signal {}", signal.unwrap_or(0)),
        }
    }

    pub(crate) fn stdout_lossy(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output of a run that must have gone well and said nothing on the side.
    #[track_caller]
    pub(crate) fn good(self) -> Vec<u8> {
        assert_eq!((self.code().as_str(), self.stderr.as_str()), ("0", ""), "{}", self.stdout_lossy());
        self.stdout
    }

    /// The same, as text.
    #[track_caller]
    pub(crate) fn good_text(self) -> String {
        String::from_utf8(self.good()).expect("it is text")
    }
}

/// A process that is running. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    feeder: Option<JoinHandle<()>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self::reading(command.spawn().expect("it starts"))
    }

    /// The same for a process that runs already.
    pub(crate) fn reading(mut child: Child) -> Self {
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        Self { child, feeder: None, stdout, stderr }
    }

    /// A process that somebody else has started, and whose output somebody else reads.
    pub(crate) fn of(child: Child) -> Self {
        Self { child, feeder: None, stdout: None, stderr: None }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes its whole standard input, in the background, and closes it.
    pub(crate) fn feed(&mut self, stdin: &[u8]) {
        let Some(mut pipe) = self.child.stdin.take() else { return };
        let stdin = stdin.to_vec();
        // It may well not want all of it.
        self.feeder = Some(thread::spawn(move || pipe.write_all(&stdin).unwrap_or_default()));
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for the end, and says what it has shown.
    #[track_caller]
    pub(crate) fn end(mut self) -> Shown {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(std::time::Duration::from_millis(1));
        };
        let text =
            |thread: Option<JoinHandle<Vec<u8>>>| thread.map(|t| t.join().expect("it reads")).unwrap_or_default();
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        Shown { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

/// Sends a signal by its name. That the process is gone by then is no failure.
pub(crate) fn send_signal(pid: u32, signal: &str) {
    use rustix::process::{Pid, Signal};
    let signal = match signal {
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "QUIT" => Signal::QUIT,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "SEGV" => Signal::SEGV,
        "PIPE" => Signal::PIPE,
        other => panic!("no test sends {other}"),
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
    // It may be gone by now.
    rustix::process::kill_process(pid, signal).unwrap_or_default();
}
