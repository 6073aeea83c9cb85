//! A microphone that hears what tests play, and a loudspeaker that tests hear: a PulseAudio of their own, without hardware.
//! Skipped, with a word, where it is not installed.

use super::{PATIENCE, eventually};
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What the microphone is called.
pub(crate) const NAME: &str = "mic";

/// What stands before it: whatever is played here is heard there.
const MOUTH: &str = "mouth";

/// What the loudspeaker is called.
pub(crate) const LOUD: &str = "loud";

/// At which rate it plays.
pub(crate) const LOUD_RATE: usize = 48_000;

/// A sound server with one microphone. Killed when dropped.
pub(crate) struct FakeMicrophone {
    folder: TempDir,
    server: Child,
    /// Plays silence. Without it the mouth wakes every 2 s only, and no microphone is that slow.
    breath: Option<Child>,
    /// What the microphone is to the server.
    module: String,
    /// What its mouth is.
    mouth: String,
}

/// A loudspeaker, and all that it has played.
pub(crate) struct Loudspeaker {
    /// What it is to the server.
    module: String,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    /// Half a frame.
    rest: Vec<u8>,
    /// Frames until now.
    frames: usize,
    /// All samples of one channel but zeros.
    sounds: Vec<i16>,
}

impl FakeMicrophone {
    /// Starts the server, and waits for the microphone; `None` where PulseAudio is missing.
    pub(crate) fn start() -> Option<Self> {
        if !is_installed() {
            assert!(std::env::var_os("SPEECHCTL_TEST_ALL").is_none(), "there is no pulseaudio, and all tests must run");
            println!("skipped: there is no pulseaudio; install pulseaudio and pulseaudio-utils");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("cookie"), [0; 256]).expect("it is written");
        let log = File::create(folder.path().join("log")).expect("a file");
        let socket = folder.path().join("pulse.sock");
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--disallow-exit", "--exit-idle-time=-1", "--use-pid-file=no", "-L"]);
        command.arg(format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()));
        surround(&mut command, folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let server = command.spawn().expect("it starts");
        let mut fake = Self { folder, server, breath: None, module: String::new(), mouth: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < deadline, "PulseAudio does not start: {}", fake.log());
            thread::sleep(Duration::from_millis(5));
        }
        let mouth = format!("sink_name={MOUTH}");
        fake.mouth = fake.pactl(&["load-module", "module-null-sink", &mouth, "rate=48000", "channels=2"]);
        fake.breath = Some(fake.breathe());
        fake.plug();
        fake.wait_for_sound();
        Some(fake)
    }

    /// What a program needs in its environment to hear this microphone, and no other.
    pub(crate) fn env(&self) -> [(&'static str, String); 3] {
        env(self.folder.path())
    }

    /// Plays a WAV file into the microphone, to its end.
    pub(crate) fn play(&self, wav: &Path) {
        let device = format!("--device={MOUTH}");
        self.run("paplay", &[&device, "--latency-msec=50", &wav.display().to_string()]);
    }

    /// Waits until a program listens.
    pub(crate) fn wait_for_listener(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.pactl(&["list", "short", "source-outputs"]).lines().count() < 2 {
            assert!(Instant::now() < deadline, "nobody listens: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Plugs a loudspeaker in, as the default one, and begins to hear it.
    pub(crate) fn plug_loudspeaker(&self) -> Loudspeaker {
        let path = self.folder.path().join(LOUD);
        // What is played goes into a pipe, once and in order. The monitor of a sink that plays nowhere is no proof:
        // after a pause it forgets some.
        let (name, rate) = (format!("sink_name={LOUD}"), format!("rate={LOUD_RATE}"));
        let file = format!("file={}", path.display());
        let clock = "use_system_clock_for_timing=yes";
        let module = self.pactl(&["load-module", "module-pipe-sink", &name, &rate, &file, "channels=2", clock]);
        self.pactl(&["set-default-sink", LOUD]);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (ear, mut pipe) = (Arc::clone(&heard), File::open(path).expect("a pipe"));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = pipe.read(&mut bytes)
                && count > 0
            {
                ear.lock().expect("nobody has died").take(&bytes[..count]);
            }
        });
        Loudspeaker { module: module.trim().to_owned(), heard }
    }

    /// Takes it away.
    pub(crate) fn unplug_loudspeaker(&self, loudspeaker: &Loudspeaker) {
        self.pactl(&["unload-module", &loudspeaker.module]);
    }

    /// Takes away all other loudspeakers, and with them the microphone.
    pub(crate) fn unplug_others(&self) {
        self.pactl(&["unload-module", self.mouth.trim()]);
    }

    /// Takes the microphone away. What is left is its mouth, whose sound can be heard too.
    pub(crate) fn unplug(&self) {
        self.pactl(&["unload-module", &self.module]);
    }

    /// Puts it back, as the default one.
    pub(crate) fn plug(&mut self) {
        let (master, name) = (format!("master={MOUTH}.monitor"), format!("source_name={NAME}"));
        let about = "source_properties=device.description=Fake";
        self.module = self.pactl(&["load-module", "module-remap-source", &master, &name, about]).trim().to_owned();
        self.pactl(&["set-default-source", NAME]);
    }

    /// Ends the server, as if it had crashed.
    pub(crate) fn kill(&mut self) {
        self.server.kill().expect("it is our child");
        self.server.wait().expect("it ends");
    }

    /// Asks the server for something; gives its answer.
    #[track_caller]
    fn pactl(&self, args: &[&str]) -> String {
        self.run("pactl", args)
    }

    /// Runs a client of the server to its end.
    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(program);
        surround(&mut command, self.folder.path());
        let output = command.args(args).stdin(Stdio::null()).output().expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {args:?}: {errors}{}", self.log());
        String::from_utf8(output.stdout).expect("it is text")
    }

    fn breathe(&self) -> Child {
        let mut command = Command::new("pacat");
        surround(&mut command, self.folder.path());
        command.args(["--playback", "--raw", "--latency-msec=20", &format!("--device={MOUTH}")]);
        let silence = File::open("/dev/zero").expect("it is everywhere");
        command.stdin(silence).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// Waits until the first of that silence is heard.
    fn wait_for_sound(&self) {
        let mut command = Command::new("pacat");
        surround(&mut command, self.folder.path());
        command.args(["--record", "--raw", "--latency-msec=20", &format!("--device={NAME}")]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let heard = child.stdout.take().expect("it has one").read_exact(&mut [0; 4096]);
        child.kill().expect("it is our child");
        child.wait().expect("it ends");
        heard.expect("it hears something");
    }

    /// What the server has to say, for failures.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        let whole = self.rest.len() / 4 * 4;
        for frame in self.rest.drain(..whole).as_slice().chunks_exact(4) {
            self.frames += 1;
            self.sounds.extend(Some(i16::from_le_bytes([frame[0], frame[1]])).filter(|&sample| sample != 0));
        }
    }
}

impl Loudspeaker {
    /// What was heard until now, without silence: all samples but zeros.
    pub(crate) fn heard(&self) -> Vec<i16> {
        self.heard.lock().expect("nobody has died").sounds.clone()
    }

    /// Waits until half a second more is heard: then all that is played now was heard.
    pub(crate) fn catch_up(&self) {
        let frames = || self.heard.lock().expect("nobody has died").frames;
        let until = frames() + LOUD_RATE / 2;
        eventually("what is played is heard", || frames() >= until);
    }
}

impl Drop for FakeMicrophone {
    fn drop(&mut self) {
        for child in [self.breath.as_mut(), Some(&mut self.server)].into_iter().flatten() {
            // It may have ended already.
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

fn is_installed() -> bool {
    ["pulseaudio", "pactl", "paplay"].iter().all(|program| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Gives a process nothing of whoever runs the tests: neither their sound server nor their home.
fn surround(command: &mut Command, folder: &Path) {
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).envs(env(folder));
}

fn env(folder: &Path) -> [(&'static str, String); 3] {
    let path = |name: &str| folder.join(name).display().to_string();
    let server = format!("unix:{}", path("pulse.sock"));
    [("PULSE_SERVER", server), ("PULSE_COOKIE", path("cookie")), ("XDG_RUNTIME_DIR", folder.display().to_string())]
}
