//! A user's home with models of its own, and the hub that they are pulled from.

use super::{
    eventually,
    hub::{Hub, digest},
    process::{Running, Sandbox, Shown},
    sample,
};
use serde_json::Value;
use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The model that most tests pull, its repository and its file.
pub(crate) const NAME: &str = "base.en-q5_1";
pub(crate) const REPO: &str = "ggerganov/whisper.cpp";
pub(crate) const FILE: &str = "ggml-base.en-q5_1.bin";

/// The voice that tests pull, its repository and its files.
pub(crate) const VOICE: &str = "en_US-test-medium";
pub(crate) const VOICES: &str = "rhasspy/piper-voices";
pub(crate) const ONNX: &str = "en/en_US/test/medium/en_US-test-medium.onnx";
pub(crate) const ONNX_JSON: &str = "en/en_US/test/medium/en_US-test-medium.onnx.json";

/// The model that is built into the program, as the file that it is: it writes down 153 words.
pub(crate) fn selftest() -> Vec<u8> {
    let compressed = &include_bytes!("../../../src/models/selftest/selftest.en.bin.zst")[..];
    zstd::decode_all(compressed).expect("it is whole")
}

/// The test voice, and the file beside it.
pub(crate) fn test_voice() -> [Vec<u8>; 2] {
    ["test-voice.onnx", "test-voice.onnx.json"].map(|name| fs::read(sample("voices").join(name)).expect("the voice"))
}

/// So many bytes of which no part is like another: for tests that only pull.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Bytes of a file that is pulled for its own sake.
pub(crate) const SIZE: usize = 1_000_003;

/// A hub that has such a file in the place of the model, the file, and its digest.
pub(crate) fn hub_of_noise() -> (Hub, Vec<u8>, String) {
    let (hub, bytes) = (Hub::start(), noise(SIZE));
    hub.put(REPO, FILE, &bytes);
    let etag = digest::sha256(&bytes);
    (hub, bytes, etag)
}

/// The home.
pub(crate) struct Home {
    pub(crate) sandbox: Sandbox,
    addresses: [String; 2],
}

impl Home {
    /// One whose HF_ENDPOINT is this hub.
    pub(crate) fn of(hub: &Hub) -> Self {
        let sandbox = Sandbox::new();
        let [models, data] = ["hf", "data"].map(|name| sandbox.path().join(name).display().to_string());
        let sandbox = sandbox.with_env("HF_HOME", &models).with_env("XDG_DATA_HOME", &data);
        Self { sandbox: sandbox.with_env("HF_ENDPOINT", hub.endpoint()), addresses: hub.addresses() }
    }

    /// The same, where every process has this variable too; of two of a name, the later one counts.
    pub(crate) fn with_env(self, name: &str, value: &str) -> Self {
        Self { sandbox: self.sandbox.with_env(name, value), ..self }
    }

    /// Where models are kept.
    pub(crate) fn cache(&self) -> PathBuf {
        self.sandbox.path().join("hf/hub")
    }

    /// Where is written what was pulled.
    pub(crate) fn data(&self) -> PathBuf {
        self.sandbox.path().join("data/speechctl/models")
    }

    /// The folder of a repository.
    pub(crate) fn repository(&self, repository: &str) -> PathBuf {
        self.cache().join(format!("models--{}", repository.replace('/', "--")))
    }

    /// The bytes of a file.
    pub(crate) fn blob(&self, repository: &str, etag: &str) -> PathBuf {
        self.repository(repository).join("blobs").join(etag)
    }

    /// What has come of a file that is being pulled.
    pub(crate) fn partial(&self, repository: &str, etag: &str) -> PathBuf {
        self.blob(repository, &format!("{etag}.speechctl.incomplete"))
    }

    /// How much that is.
    pub(crate) fn partial_length(&self, repository: &str, etag: &str) -> usize {
        match fs::metadata(self.partial(repository, etag)) {
            Ok(metadata) => metadata.len() as usize,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// What whoever pulls a file holds, of whatever program.
    pub(crate) fn lock(&self, repository: &str, etag: &str) -> PathBuf {
        let folder = format!(".locks/models--{}", repository.replace('/', "--"));
        self.cache().join(folder).join(format!("{etag}.lock"))
    }

    /// Where a file is, by its name.
    pub(crate) fn snapshot(&self, repository: &str, commit: &str, file: &str) -> PathBuf {
        self.repository(repository).join("snapshots").join(commit).join(file)
    }

    /// Puts a part of a file there, as a pull leaves it that was killed.
    pub(crate) fn leave_partial(&self, repository: &str, file: &str, whole: &[u8], part: &[u8]) {
        let partial = self.partial(repository, &digest::etag(file, whole));
        fs::create_dir_all(partial.parent().expect("a folder")).expect("it can be made");
        fs::write(partial, part).expect("it is written");
    }

    /// Puts a whole file there, as another program does that shares the cache.
    pub(crate) fn lay(&self, repository: &str, commit: &str, file: &str, bytes: &[u8]) {
        let etag = digest::etag(file, bytes);
        let (blob, snapshot) = (self.blob(repository, &etag), self.snapshot(repository, commit, file));
        let reference = self.repository(repository).join("refs/main");
        for path in [&blob, &snapshot, &reference] {
            fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        }
        fs::write(blob, bytes).expect("it is written");
        fs::write(reference, commit).expect("it is written");
        symlink(link_to(file, &etag), snapshot).expect("a link");
    }

    /// Checks that a file of a hub's main branch is there, as everybody finds it.
    #[track_caller]
    pub(crate) fn assert_has(&self, hub: &Hub, repository: &str, file: &str, bytes: &[u8]) {
        let (commit, etag) = (hub.commit(repository), digest::etag(file, bytes));
        let snapshot = self.snapshot(repository, &commit, file);
        let reference = fs::read_to_string(self.repository(repository).join("refs/main")).expect("a reference");
        assert_eq!(reference, commit);
        assert_eq!(fs::read_link(&snapshot).expect("a link"), link_to(file, &etag));
        assert!(fs::read(&snapshot).expect("it is there") == bytes, "its bytes");
        assert!(!self.partial(repository, &etag).exists(), "nothing else is left");
    }

    /// Checks that nothing of a repository is there but folders and locks, and no model is known.
    #[track_caller]
    pub(crate) fn assert_has_nothing(&self) {
        let left: Vec<PathBuf> = files(&self.cache()).into_iter().filter(|path| is_content(path)).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(self.manifests().is_empty(), "{:?}", self.manifests());
    }

    /// What is written of the models that were pulled.
    pub(crate) fn manifests(&self) -> Vec<Value> {
        let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path).expect("it is there")).expect("JSON");
        self.manifest_files().iter().map(read).collect()
    }

    /// Where that stands.
    pub(crate) fn manifest_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.data()) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        paths
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Shown {
        self.sandbox.run(args)
    }

    /// Runs it; it must do what it is told, whatever it says beside.
    #[track_caller]
    pub(crate) fn does(&self, args: &[&str]) -> String {
        let shown = self.run(args);
        assert_eq!(shown.code(), "0", "{args:?}: {}", shown.stderr);
        shown.stdout_lossy()
    }

    /// Starts it, in the background.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = self.sandbox.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command)
    }

    /// A run as it looks in a snapshot, wherever the hub is.
    pub(crate) fn row(&self, line: &str) -> String {
        let row = self.sandbox.row(line);
        let [hub, store] = &self.addresses;
        row.replace(hub, "hub.test").replace(store, "store.test")
    }

    /// The document of a listing.
    #[track_caller]
    pub(crate) fn models(&self) -> Vec<Value> {
        let document: Value = serde_json::from_str(&self.does(&["models", "list", "--json"])).expect("JSON");
        document["models"].as_array().expect("a list").clone()
    }

    /// How a model stands there: "installed", "not pinned", "gone"; empty for one that is not listed.
    #[track_caller]
    pub(crate) fn state_of(&self, name: &str) -> String {
        let model = self.models().into_iter().find(|model| model["name"] == name);
        model.map(|model| model["state"].as_str().expect("text").replace('_', " ")).unwrap_or_default()
    }

    /// Waits until so much of a file has come and is on the disk.
    pub(crate) fn wait_for_partial(&self, repository: &str, etag: &str, length: usize) {
        eventually("all that came is on the disk", || self.partial_length(repository, etag) == length);
    }

    /// Runs the program where folders have been mounted by a line of the shell; `None`, with a word, where that is
    /// forbidden.
    pub(crate) fn mounted(&self, mount: &str, args: &[&str]) -> Option<Shown> {
        let allowed = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            println!("skipped: nothing can be mounted here");
            return None;
        }
        let ours = self.sandbox.command(args);
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
        command.arg(ours.get_program()).args(ours.get_args()).current_dir(self.sandbox.path()).env_clear();
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Some(Running::start(command).end())
    }
}

/// Where the link of a file leads.
fn link_to(file: &str, etag: &str) -> PathBuf {
    let ups = "../".repeat(2 + file.matches('/').count());
    PathBuf::from(format!("{ups}blobs/{etag}"))
}

/// All files and links below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let below = |path: PathBuf| match path.is_dir() && !path.is_symlink() {
        true => files(&path),
        false => vec![path],
    };
    let mut found: Vec<PathBuf> = entries.flat_map(|entry| below(entry.expect("entry").path())).collect();
    found.sort();
    found
}

/// Whether a file of the cache is more than order.
fn is_content(path: &Path) -> bool {
    path.extension().is_none_or(|extension| extension != "lock") && !path.ends_with("CACHEDIR.TAG")
}
