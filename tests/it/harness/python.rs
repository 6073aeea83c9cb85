//! Workers and clients in Python, which know nothing of ours. Skipped, with a word, where its packages are missing.

use super::{
    eventually_some,
    process::{Running, Sandbox},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// A Python that has what the scripts need.
pub(crate) fn interpreter() -> Option<&'static str> {
    static FOUND: OnceLock<Option<&str>> = OnceLock::new();
    let has_all = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import grpc, google.protobuf"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = *FOUND.get_or_init(|| ["/usr/bin/python3", "python3"].into_iter().find(has_all));
    if found.is_none() {
        assert!(std::env::var_os("SPEECHCTL_TEST_ALL").is_none(), "no Python has grpcio, and all tests must run");
        println!("skipped: no Python has grpcio; see tests/clients/README.md");
    }
    found
}

/// A script of `tests/clients`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// The folder of our contracts.
pub(crate) fn protos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}

/// `worker.py`. Killed when dropped.
pub(crate) struct PythonWorker {
    pub(crate) port: u16,
    pub(crate) running: Running,
    said: PathBuf,
}

impl PythonWorker {
    /// Starts it on a port that the system chooses; `None` where Python cannot.
    pub(crate) fn start(sandbox: &Sandbox, flags: &[&str]) -> Option<Self> {
        interpreter().map(|python| Self::start_at(sandbox, python, 0, flags))
    }

    /// Starts another one where this one was, once this one has ended.
    pub(crate) fn again(self, sandbox: &Sandbox, flags: &[&str]) -> Self {
        let port = self.port;
        self.running.end();
        Self::start_at(sandbox, interpreter().expect("there was one"), port, flags)
    }

    fn start_at(sandbox: &Sandbox, python: &str, port: u16, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(sandbox.path()).expect("a folder").keep();
        let said = folder.join("stdout");
        let mut command = Command::new(python);
        command.arg(script("worker.py")).arg(protos()).args(["--port", &port.to_string()]).args(flags);
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(sandbox.path()).stdin(Stdio::null());
        command.stdout(File::create(&said).expect("a file"));
        command.stderr(File::create(folder.join("stderr")).expect("a file"));
        let mut running = Running::start(command);
        let port = eventually_some("the Python worker listens", || {
            assert!(!running.has_ended(), "{}", fs::read_to_string(folder.join("stderr")).unwrap_or_default());
            let said = fs::read_to_string(&said).expect("its output");
            // A whole line.
            said.split_once('\n')?.0.strip_prefix("listening on ")?.parse().ok()
        });
        Self { port, running, said }
    }

    /// The flags with which a server is to call it.
    pub(crate) fn flags(&self) -> Vec<String> {
        ["stt", "tts"].into_iter().flat_map(|kind| ["--worker".to_owned(), format!("{kind}={}", self.url())]).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often it has said a line: "call transcribe", "call synthesize", "cancelled".
    pub(crate) fn said(&self, line: &str) -> usize {
        fs::read_to_string(&self.said).expect("its output").lines().filter(|said| *said == line).count()
    }
}
