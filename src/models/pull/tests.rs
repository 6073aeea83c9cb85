//! Pulling with real files and a made-up server.

use super::*;
use crate::models::{
    cache::Cache,
    catalogue::{self, source::Source},
    digest::{Digest, Sums},
    hub::{Announced, Opened, Refusal},
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};
use tempfile::TempDir;

const OWN: &str = "hf:someone/models/ggml-own.bin";
const VOICE: &str = "hf:someone/voices/en/voice.onnx";
const URL: &str = "https://example.org/some/own.bin";

/// What happens to a request for bytes.
enum Fault {
    /// So many bytes, then this.
    Cut(usize, io::ErrorKind),
    Refuse(Option<u64>),
    /// All of it, whatever was asked for.
    NoRange,
    /// Other bytes than those that were announced.
    Others,
    /// Nothing more comes before somebody says so.
    Hold(mpsc::Sender<()>, mpsc::Receiver<()>),
}

#[derive(Default)]
struct Server {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    faults: Mutex<VecDeque<Fault>>,
    /// Every question and every request, with its revision or its first byte.
    log: Mutex<Vec<String>>,
    sent: Arc<AtomicU64>,
    /// Whether files are known by their git digest, and whether their sizes are told.
    is_git: bool,
    hides_sizes: bool,
    /// How often it was asked: the branch moves on with each question for it.
    moves: bool,
    commit: AtomicU64,
}

struct Body {
    bytes: io::Cursor<Vec<u8>>,
    end: Option<io::ErrorKind>,
    hold: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
    sent: Arc<AtomicU64>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((is_here, go)) = self.hold.take() {
            is_here.send(()).expect("somebody waits for it");
            go.recv().expect("somebody lets it go");
        }
        // In small pieces, as a network does.
        let most = buffer.len().min(1000);
        let count = self.bytes.read(&mut buffer[..most])?;
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
        match (count, self.end.take()) {
            (0, Some(kind)) => Err(kind.into()),
            (_, end) => {
                self.end = end;
                Ok(count)
            }
        }
    }
}

fn commit(number: u64) -> String {
    format!("{number:040x}")
}

fn digest(bytes: &[u8], is_git: bool) -> Digest {
    let expected = if is_git { Digest::GitSha1([0; 20]) } else { Digest::Sha256([0; 32]) };
    let mut sums = Sums::new(Some(expected), Some(bytes.len() as u64));
    sums.add(bytes);
    Digest::parse(&sums.end().found).expect("a digest")
}

impl Server {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        Self { files: Mutex::new(files), ..Self::default() }
    }

    fn then(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.lock().unwrap().extend(faults);
        self
    }

    fn bytes(&self, source: &Source) -> Result<Vec<u8>, Refusal> {
        let none = || Refusal::Final(Error::new(Kind::NotFound, "there is no such file"));
        self.files.lock().unwrap().get(source.file_name()).cloned().ok_or_else(none)
    }

    fn log(&self) -> String {
        std::mem::take(&mut *self.log.lock().unwrap()).join(" ")
    }

    fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }
}

impl Origin for Server {
    fn announced(&self, source: &Source) -> Result<Announced, Refusal> {
        let bytes = self.bytes(source)?;
        let size = (!self.hides_sizes).then_some(bytes.len() as u64);
        let Source::Hub(file) = source else {
            self.log.lock().unwrap().push("?".to_owned());
            return Ok(Announced { commit: None, etag: None, digest: None, size });
        };
        self.log.lock().unwrap().push(format!("?{}", file.revision.trim_start_matches('0')));
        let number = match u64::from_str_radix(&file.revision, 16) {
            Ok(number) => number,
            Err(_) if self.moves => self.commit.fetch_add(1, Ordering::Relaxed) + 1,
            Err(_) => self.commit.load(Ordering::Relaxed),
        };
        let digest = digest(&bytes, self.is_git);
        Ok(Announced { commit: Some(commit(number)), etag: Some(digest.to_string()), digest: Some(digest), size })
    }

    fn open(&self, source: &Source, _: &Announced, from: u64) -> Result<Opened, Refusal> {
        if let Source::Hub(file) = source {
            assert_eq!(file.revision.len(), 40, "bytes are asked for at a commit");
        }
        self.log.lock().unwrap().push(from.to_string());
        let bytes = self.bytes(source)?;
        let total = (!self.hides_sizes).then_some(bytes.len() as u64);
        let mut rest = bytes.get(from as usize..).ok_or(Refusal::NoSuchRange)?.to_vec();
        let (mut start, mut end, mut hold) = (from, None, None);
        match self.faults.lock().unwrap().pop_front() {
            Some(Fault::Cut(after, kind)) => {
                rest.truncate(after);
                end = Some(kind);
            }
            Some(Fault::Refuse(after)) => {
                let error = Error::new(Kind::Unavailable, "the hub does not answer");
                return Err(Refusal::Passing { error, after: after.map(Duration::from_secs) });
            }
            Some(Fault::NoRange) => (start, rest) = (0, bytes),
            Some(Fault::Others) => rest.iter_mut().for_each(|byte| *byte ^= 1),
            Some(Fault::Hold(is_here, go)) => hold = Some((is_here, go)),
            None => {}
        }
        let body = Body { bytes: io::Cursor::new(rest), end, hold, sent: Arc::clone(&self.sent) };
        Ok(Opened { start, total, body: Box::new(body) })
    }
}

/// A machine of its own: folders, a disk, and how it is asked to pull.
struct Machine {
    folder: TempDir,
    settings: Settings,
    force: bool,
    room: u64,
    /// What the disk takes before it is full.
    takes: AtomicU64,
}

impl Machine {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let home = folder.path().to_owned();
        let env = move |name: &str| match name {
            "HF_HOME" => Some(OsString::from(home.join("hf"))),
            "XDG_DATA_HOME" => Some(OsString::from(home.join("data"))),
            "HOME" => Some(OsString::from(&home)),
            _ => None,
        };
        let settings = Settings::read(env).unwrap();
        Self { folder, settings, force: false, room: u64::MAX, takes: AtomicU64::new(u64::MAX) }
    }

    fn pull_by(
        &self,
        server: &Server,
        names: &[&str],
        tell: &mut dyn FnMut(Told<'_>) -> Result<()>,
        wait: &mut dyn FnMut(Duration) -> Result<()>,
    ) -> Result<Vec<Installed>> {
        let packages: Vec<Package> = names.iter().map(|name| catalogue::package(name, None).unwrap()).collect();
        let room = |_: &Path| Ok(self.room);
        let write = |file: &mut fs::File, bytes: &[u8]| {
            let left = self.takes.load(Ordering::Relaxed);
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.takes.fetch_sub(count as u64, Ordering::Relaxed);
            file.write_all(&bytes[..count])?;
            if count < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        };
        let disk = Disk { room: &room, write: &write };
        let ground = Ground { settings: &self.settings, origin: server, disk, force: self.force };
        pull_on(&ground, &packages, &mut Caller { tell, wait })
    }

    fn pull(&self, server: &Server, name: &str) -> Result<Installed> {
        self.pull_by(server, &[name], &mut |_| Ok(()), &mut |_| Ok(())).map(|mut all| all.remove(0))
    }

    /// The only file of the cache's blobs, with the end of its name.
    fn blobs(&self) -> Vec<(String, Vec<u8>)> {
        let folder = self.settings.cache.join("models--someone--models/blobs");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
    }

    fn is_pinned(&self, name: &str) -> bool {
        manifest::read(&self.settings.data, name).unwrap().is_some()
    }

    /// Whether nobody holds the lock of a file.
    fn is_free(&self, server: &Server, name: &str) -> bool {
        let source = &catalogue::package(name, None).unwrap().parts[0].source;
        let announced = server.announced(source).unwrap();
        let Source::Hub(file) = source else { return true };
        let place = Cache::new(self.settings.cache.clone()).place(file, &announced).unwrap();
        place.lock().unwrap().is_some()
    }
}

fn noise(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place * 7 % 251) as u8).collect()
}

fn cut(after: usize) -> Fault {
    Fault::Cut(after, io::ErrorKind::ConnectionReset)
}

#[test]
fn a_file_comes_is_told_and_pinned_and_comes_once() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]);
    let mut told = Vec::new();
    let mut tell = |what: Told<'_>| {
        told.push(format!("{what:?}"));
        Ok(())
    };
    let all = machine.pull_by(&server, &[OWN, OWN], &mut tell, &mut |_| Ok(())).unwrap();
    let path = machine.settings.cache.join("models--someone--models/snapshots").join(commit(0)).join("ggml-own.bin");
    assert_eq!((all.len(), &all[0].path), (1, &path));
    assert_eq!(all[0].files[0].sha256, digest(&file, false).to_string());
    assert_eq!((all[0].size, all[0].files[0].commit.clone()), (2500, Some(commit(0))));
    assert_eq!(fs::read(&path).unwrap(), file);
    assert_eq!(machine.blobs(), [(digest(&file, false).to_string(), file.clone())]);
    let came = |bytes| format!("Came {{ name: \"{OWN}\", file: \"ggml-own.bin\", bytes: {bytes}, is_others: false }}");
    assert_eq!(told[0], format!("Asking {{ name: \"{OWN}\" }}"));
    assert!(told[1].ends_with("file: \"ggml-own.bin\", size: Some(2500), has: 0 }"), "{told:?}");
    assert_eq!(told[2..6], [came(0), came(1000), came(2000), came(2500)]);
    assert!(told[6].starts_with("Done") && told[6].ends_with("from_network: 2500 }") && told.len() == 7, "{told:?}");
    assert_eq!(server.log(), "?main 0");

    told.clear();
    let mut tell = |what: Told<'_>| {
        told.push(format!("{what:?}"));
        Ok(())
    };
    machine.pull_by(&server, &[OWN], &mut tell, &mut |_| Ok(())).unwrap();
    assert_eq!(server.log(), "?main", "not a byte");
    assert!(told[1].ends_with("has: 2500 }") && told[2].ends_with("from_network: 0 }") && told.len() == 3, "{told:?}");
}

#[test]
fn a_pull_that_breaks_goes_on_where_it_broke() {
    let (machine, file) = (Machine::new(), noise(2500));
    let stall = Fault::Cut(700, io::ErrorKind::TimedOut);
    let server = Server::with(&[("ggml-own.bin", &file)]).then([cut(1200), Fault::Refuse(Some(7)), stall]);
    let mut waits = Vec::new();
    let mut errors = Vec::new();
    let mut tell = |told: Told<'_>| {
        if let Told::Waiting { error: Some(error), pause, .. } = told {
            errors.push((error.to_string(), pause));
        }
        Ok(())
    };
    machine
        .pull_by(&server, &[OWN], &mut tell, &mut |pause| {
            waits.push(pause);
            Ok(())
        })
        .unwrap();
    assert_eq!(server.log(), "?main 0 1200 1200 1900");
    assert_eq!(server.sent(), 2500);
    assert_eq!(waits, errors.iter().map(|(_, pause)| *pause).collect::<Vec<_>>());
    let is_within = |pause: Duration| (Duration::from_millis(250)..=Duration::from_millis(500)).contains(&pause);
    assert!(is_within(waits[0]) && waits[1].as_secs() == 7 && is_within(waits[2]), "{waits:?}");
    assert!(errors[0].0.starts_with("the connection to the server broke: "), "{errors:?}");
    assert!(errors[2].0.starts_with("nothing more comes from the server: "), "{errors:?}");
}

#[test]
fn who_gives_up_keeps_what_has_come_and_nothing_is_pinned() {
    let file = noise(5000);
    let given_up = || Err(Error::new(Kind::Cancelled, "given up"));
    for at in [0, 1, 1000, 3000, 5000] {
        let machine = Machine::new();
        let server = Server::with(&[("ggml-own.bin", &file)]);
        let mut tell = |told: Told<'_>| match told {
            Told::Came { bytes, .. } if bytes >= at => given_up(),
            _ => Ok(()),
        };
        let error = machine.pull_by(&server, &[OWN], &mut tell, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert!(!machine.is_pinned(OWN) && machine.is_free(&server, OWN));
        let blobs = machine.blobs();
        let there = at.div_ceil(1000) as usize * 1000;
        assert!(blobs.len() == 1 && blobs[0].0.ends_with(".speechctl.incomplete") && blobs[0].1 == file[..there]);
        server.log();
        machine.pull(&server, OWN).unwrap();
        assert_eq!(server.log(), if there == 5000 { "?main".to_owned() } else { format!("?main {there}") });
        assert_eq!(server.sent(), 5000);
    }
    let machine = Machine::new();
    let server = Server::with(&[("ggml-own.bin", &file)]).then([cut(4000)]);
    let error = machine.pull_by(&server, &[OWN], &mut |_| Ok(()), &mut |_| given_up()).unwrap_err();
    assert_eq!((error.kind(), machine.blobs()[0].1.len()), (Kind::Cancelled, 4000));
    // At the very end the file is there, but nobody has said that it is wanted.
    let mut tell = |told: Told<'_>| if matches!(told, Told::Done { .. }) { given_up() } else { Ok(()) };
    let error = machine.pull_by(&server, &[OWN], &mut tell, &mut |_| Ok(())).unwrap_err();
    assert!(error.kind() == Kind::Cancelled && !machine.is_pinned(OWN));
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]).then([cut(2000), Fault::NoRange]);
    assert_eq!(fs::read(machine.pull(&server, OWN).unwrap().path).unwrap(), file);
    assert_eq!(server.log(), "?main 0 2000");

    let machine = Machine::new();
    let server = Server::with(&[("ggml-own.bin", &file)]).then([cut(2000), Fault::NoRange]);
    let mut most = 0;
    let mut tell = |told: Told<'_>| match told {
        Told::Came { bytes, .. } if bytes < most => Err(Error::new(Kind::Cancelled, "given up")),
        Told::Came { bytes, .. } => {
            most = bytes;
            Ok(())
        }
        _ => Ok(()),
    };
    machine.pull_by(&server, &[OWN], &mut tell, &mut |_| Ok(())).unwrap_err();
    assert_eq!(machine.blobs()[0].1, file[..1000]);
}

#[test]
fn two_pulls_at_once_share_one_download() {
    for (name, hides_sizes) in [(OWN, false), (URL, false), (URL, true)] {
        let (machine, file) = (Machine::new(), noise(5000));
        let (is_here, here) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let server = Server { hides_sizes, ..Server::with(&[("ggml-own.bin", &file), ("own.bin", &file)]) };
        let server = server.then([Fault::Hold(is_here, gone)]);
        let mut others = 0;
        std::thread::scope(|scope| {
            let first = scope.spawn(|| machine.pull(&server, name).unwrap());
            // Only a failure takes so long.
            here.recv_timeout(Duration::from_secs(60)).unwrap();
            let mut tell = |told: Told<'_>| {
                others += usize::from(matches!(told, Told::Came { is_others: true, .. }));
                Ok(())
            };
            // The first goes on as soon as the second has found that it has to wait.
            let mut first = Some(first);
            let mut wait = |_| {
                go.send(()).unwrap_or_default();
                first.take().into_iter().for_each(|first| drop(first.join().unwrap()));
                Ok(())
            };
            let all = machine.pull_by(&server, &[name], &mut tell, &mut wait).unwrap();
            assert_eq!(fs::read(&all[0].path).unwrap(), file);
        });
        assert_eq!((server.sent(), others), (5000, 1), "{name}");
        assert!(machine.is_pinned(name));
    }
}

#[test]
fn what_is_not_what_was_announced_is_refused_and_nothing_stays() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]).then([Fault::Others]);
    let error = machine.pull(&server, OWN).unwrap_err();
    let (kind, message) = (error.kind(), error.to_string());
    assert_eq!(kind, Kind::DataLoss);
    assert!(
        message.contains("`ggml-own.bin` is not what the hub announced: ") && message.ends_with("nothing was kept")
    );
    assert!(message.contains(&format!("not {}", digest(&file, false))));
    assert!(machine.blobs().is_empty() && !machine.is_pinned(OWN) && machine.is_free(&server, OWN));
    machine.pull(&server, OWN).unwrap();
}

#[test]
fn holes_in_what_was_there_are_found_and_it_comes_anew() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]).then([Fault::Refuse(Some(90))]);
    machine.pull(&server, OWN).unwrap_err();
    let partial = machine.settings.cache.join("models--someone--models/blobs").join(&machine.blobs()[0].0);
    fs::write(&partial, [0; 800]).unwrap();
    server.log();
    let path = machine.pull(&server, OWN).unwrap().path;
    assert_eq!((server.log().as_str(), fs::read(path).unwrap()), ("?main 800 0", file));
}

#[test]
fn a_full_disk_is_told_before_and_in_the_middle() {
    let (mut machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]).then([cut(1000), Fault::Refuse(Some(61))]);
    assert_eq!(machine.pull(&server, OWN).unwrap_err().kind(), Kind::Busy);
    server.log();
    machine.room = 1499;
    let error = machine.pull(&server, OWN).unwrap_err();
    let wanted = "`ggml-own.bin` needs 1.5 KiB, `";
    assert!(error.kind() == Kind::Io && error.to_string().contains(wanted), "{error}");
    let way = format!("has 1.5 KiB; free some, or set {} to a folder elsewhere", variable(&machine.settings.cache));
    assert!(error.to_string().ends_with(&way), "{error}");
    assert_eq!(server.log(), "?main", "no byte was asked for");
    machine.room = 1500;
    machine.takes = AtomicU64::new(700);
    let error = machine.pull(&server, OWN).unwrap_err();
    let kept = "elsewhere; what has come (1.7 KiB of 2.4 KiB) is kept, run it again";
    assert!(error.kind() == Kind::Io && error.to_string().ends_with(kept), "{error}");
    assert!(machine.is_free(&server, OWN) && machine.blobs()[0].1 == file[..1700]);
    machine.takes = AtomicU64::new(u64::MAX);
    server.log();
    machine.pull(&server, OWN).unwrap();
    assert_eq!(server.log(), "?main 1700");
}

fn variable(path: &Path) -> &'static str {
    super::super::place::variable_for(path, crate::config::env)
}

#[test]
fn all_that_is_missing_has_room_together_or_nothing_comes() {
    let (mut machine, file) = (Machine::new(), noise(2500));
    let all = [("ggml-own.bin", file.as_slice()), ("voice.onnx", &file), ("voice.onnx.json", b"{}")];
    let server = Server::with(&all).then([cut(1000), Fault::Refuse(Some(61))]);
    machine.pull(&server, OWN).unwrap_err();
    server.log();
    machine.room = 4001;
    let both = |machine: &Machine| machine.pull_by(&server, &[OWN, VOICE], &mut |_| Ok(()), &mut |_| Ok(()));
    let error = both(&machine).unwrap_err();
    let wanted = format!("cannot pull `{OWN}`, `{VOICE}`: `ggml-own.bin` and 2 more need 3.9 KiB, `");
    assert!(error.kind() == Kind::Io && error.to_string().starts_with(&wanted), "{error}");
    assert_eq!((server.log().as_str(), machine.blobs().len()), ("?main ?main ?", 1), "no byte was asked for");
    // What lacks in the end is 1500 and 2500 and 2 bytes.
    machine.room = 4002;
    both(&machine).unwrap();
    machine.room = 0;
    both(&machine).unwrap();
}

#[test]
fn what_lies_elsewhere_needs_no_room() {
    let (mut machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("own.bin", &file)]);
    let path = machine.pull(&server, URL).unwrap().path;
    let elsewhere = machine.folder.path().join("own.bin");
    fs::rename(path, &elsewhere).unwrap();
    let mut pinned = manifest::read(&machine.settings.data, URL).unwrap().unwrap();
    pinned.files[0].path.clone_from(&elsewhere);
    manifest::write(&machine.settings.data, &pinned).unwrap();
    (machine.room, _) = (0, server.sent());
    assert_eq!((machine.pull(&server, URL).unwrap().path, server.sent()), (elsewhere, 0));
    machine.force = true;
    assert!(machine.pull(&server, URL).unwrap_err().to_string().contains("`own.bin` needs 2.4 KiB"));
}

#[test]
fn each_file_and_each_file_system_counts_for_itself() {
    let (here, proc) = (TempDir::new().unwrap(), Path::new("/proc/self/x/y"));
    let path = here.path().join("not/there/x");
    let missing = |partial, wants| disk::Missing { file: "f", partial, wants, variable: "V" };
    let room = |folder: &Path| Ok(if folder.starts_with("/proc") { 5 } else { 10 });
    let looks = |all: &[disk::Missing<'_>]| disk::look_for_room(all, Disk { room: &room, ..Disk::REAL });
    looks(&[missing(&path, 10), missing(proc, 5), missing(&path, 10)]).unwrap();
    let error = looks(&[missing(&path, 10), missing(proc, 6)]).unwrap_err().to_string();
    assert_eq!(error, "`f` needs 6 B, `/proc/self` has 5 B; free some, or set V to a folder elsewhere");
    let error = looks(&[missing(&path, 10), missing(&path.with_extension("y"), 1)]).unwrap_err().to_string();
    let wanted = format!("`f` and 1 more need 11 B, `{}` has 10 B; ", here.path().display());
    assert!(error.starts_with(&wanted), "{error}");
}

#[test]
fn a_name_that_was_imported_is_not_taken_over_unless_it_is_forced() {
    let (mut machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-base.en.bin", &file)]);
    let path = machine.folder.path().join("mine.bin");
    fs::write(&path, b"mine").unwrap();
    let (source, sha256) = (format!("file:{}", path.display()), digest(b"mine", false).to_string());
    let files = vec![Pinned { source, commit: None, size: 4, sha256, path: path.clone() }];
    let mine = Manifest { name: "base.en".into(), role: catalogue::Role::Recogniser, pulled: manifest::now(), files };
    manifest::write(&machine.settings.data, &mine).unwrap();
    let error = machine.pull(&server, "base.en").unwrap_err();
    let wanted = "cannot pull `base.en`: `base.en` is a model that you imported; remove it first, or `--force`";
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::InvalidInput, wanted));
    assert_eq!((server.log().as_str(), fs::read(&path).unwrap().as_slice()), ("", b"mine".as_slice()));
    machine.force = true;
    assert_eq!(fs::read(machine.pull(&server, "base.en").unwrap().path).unwrap(), file);
    // One whose file is gone is in nobody's way.
    machine.force = false;
    manifest::write(&machine.settings.data, &mine).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(fs::read(machine.pull(&server, "base.en").unwrap().path).unwrap(), file);
}

#[test]
fn what_is_pinned_and_whole_will_do_where_nobody_is_asked_or_answers() {
    struct Dead;
    impl Origin for Dead {
        fn announced(&self, _: &Source) -> Result<Announced, Refusal> {
            Err(Refusal::Passing { error: Error::new(Kind::Unavailable, "nobody answers"), after: None })
        }
        fn open(&self, _: &Source, _: &Announced, _: u64) -> Result<Opened, Refusal> {
            panic!("nothing is known of it")
        }
    }
    let (mut machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("voice.onnx", &file), ("voice.onnx.json", b"{}"), ("ggml-own.bin", &file)]);
    let before = machine.pull(&server, VOICE).unwrap();
    let pull = |machine: &Machine, name: &str, told: &mut Vec<String>| {
        let packages = [catalogue::package(name, None).unwrap()];
        let ground = Ground { settings: &machine.settings, origin: &Dead, disk: Disk::REAL, force: machine.force };
        let tell = &mut |what: Told<'_>| {
            told.push(format!("{what:?}").split(' ').next().unwrap().to_owned());
            Ok(())
        };
        pull_on(&ground, &packages, &mut Caller { tell, wait: &mut |_| Ok(()) }).map(|mut all| all.remove(0))
    };
    for (offline, wanted) in [
        (Some("HF_HUB_OFFLINE"), "Found Found Done Done"),
        (None, "Asking Waiting Waiting Waiting Waiting Waiting NotAsked Found Found Done Done"),
    ] {
        let mut told = Vec::new();
        (machine.settings.offline, machine.force) = (offline, false);
        assert_eq!(pull(&machine, VOICE, &mut told).unwrap(), before);
        assert_eq!(told.join(" "), wanted);
        // Neither what is not there, nor what is to be looked at again.
        assert_eq!(pull(&machine, OWN, &mut told).unwrap_err().kind(), Kind::Unavailable);
        machine.force = true;
        assert_eq!(pull(&machine, VOICE, &mut told).unwrap_err().kind(), Kind::Unavailable);
    }
    machine.force = false;
    fs::remove_file(before.path.with_added_extension("json")).unwrap();
    assert!(pull(&machine, VOICE, &mut Vec::new()).is_err(), "a part of it is gone");
}

#[test]
fn what_was_there_before_one_waited_has_not_just_been_brought() {
    for is_brought in [false, true] {
        let (mut machine, file, newer) = (Machine::new(), noise(2500), vec![7; 2500]);
        let server = Server::with(&[("own.bin", &file)]);
        let path = machine.pull(&server, URL).unwrap().path;
        server.files.lock().unwrap().insert("own.bin".to_owned(), newer.clone());
        server.sent();
        machine.force = true;
        let announced = Announced { commit: None, etag: None, digest: None, size: Some(2500) };
        let place = super::super::files::place(&machine.settings.data, URL, &announced).unwrap();
        let mut other = place.lock().unwrap();
        let mut wait = |_| {
            // Somebody else brings it, or gives up.
            if is_brought && other.is_some() {
                fs::write(&place.partial, &newer).unwrap();
                fs::rename(&place.partial, &place.blob).unwrap();
            }
            other = None;
            Ok(())
        };
        machine.pull_by(&server, &[URL], &mut |_| Ok(()), &mut wait).unwrap();
        assert_eq!((fs::read(&path).unwrap(), server.sent()), (newer, if is_brought { 0 } else { 2500 }));
    }
}

#[test]
fn of_what_cannot_be_gone_on_with_nothing_stays_and_nobody_says_so() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("own.bin", &file)]).then([cut(1000), Fault::Refuse(Some(61))]);
    let error = machine.pull(&server, URL).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot pull `{URL}`: the hub does not answer"));
    let partials = machine.settings.data.join("models/files/partial");
    let left: Vec<_> = fs::read_dir(partials).unwrap().flatten().map(|file| file.path()).collect();
    assert!(left.iter().all(|path| path.extension().is_some_and(|end| end == "lock")), "{left:?}");
}

#[test]
fn a_server_that_fails_for_ever_is_given_up_and_says_what_is_kept() {
    let (machine, file) = (Machine::new(), noise(2500));
    let faults = std::iter::once(cut(1000)).chain((0..6).map(|_| Fault::Refuse(None)));
    let server = Server::with(&[("ggml-own.bin", &file)]).then(faults);
    let error = machine.pull(&server, OWN).unwrap_err();
    let kept = "the hub does not answer; what has come (1.0 KiB of 2.4 KiB) is kept, run it again";
    assert_eq!((error.kind(), error.to_string()), (Kind::Unavailable, format!("cannot pull `{OWN}`: {kept}")));
    let server = server.then([Fault::Refuse(Some(300))]);
    let error = machine.pull(&server, OWN).unwrap_err();
    assert_eq!((error.kind(), error.details().retry_after), (Kind::Busy, Some(Duration::from_secs(300))));
}

#[test]
fn all_is_asked_before_the_first_byte_and_the_files_of_a_package_are_of_one_commit() {
    let (machine, file) = (Machine::new(), noise(2500));
    let all = [("ggml-own.bin", file.as_slice()), ("voice.onnx", &file), ("voice.onnx.json", b"{}")];
    let server = Server { moves: true, ..Server::with(&all) };
    let models = machine.pull_by(&server, &[VOICE, OWN], &mut |_| Ok(()), &mut |_| Ok(())).unwrap();
    assert_eq!(server.log(), "?main ?1 ?main 0 0 0");
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), [VOICE, OWN]);
    let voice = &models[0];
    assert!(voice.files.iter().all(|file| file.commit == Some(commit(1))) && voice.files.len() == 2);
    assert!(voice.path.with_added_extension("json").is_file());
    // The branch is at another commit by now, with the same files.
    server.sent();
    let voice = machine.pull(&server, VOICE).unwrap();
    assert_eq!((server.log().as_str(), server.sent()), ("?main ?3", 0));
    assert!(voice.path.to_str().unwrap().contains(&commit(3)), "{voice:?}");

    let machine = Machine::new();
    let server = Server::with(&all[..2]);
    let names = [OWN, VOICE];
    let error = machine.pull_by(&server, &names, &mut |_| Ok(()), &mut |_| Ok(())).unwrap_err();
    assert!(error.kind() == Kind::NotFound && server.sent() == 0 && !machine.is_pinned(OWN));
}

#[test]
fn a_package_is_pinned_when_its_last_file_is_there_and_those_before_it_stay() {
    let (machine, file) = (Machine::new(), noise(2500));
    let all = [("ggml-own.bin", file.as_slice()), ("voice.onnx", &file), ("voice.onnx.json", b"{ }")];
    let hold = || Fault::Cut(9999, io::ErrorKind::Other);
    let server = Server::with(&all).then([hold(), hold(), Fault::Others]);
    machine.pull_by(&server, &[OWN, VOICE], &mut |_| Ok(()), &mut |_| Ok(())).unwrap_err();
    assert!(machine.is_pinned(OWN) && !machine.is_pinned(VOICE));
    server.log();
    machine.pull(&server, VOICE).unwrap();
    assert_eq!(server.log(), "?main ? 0", "only the last one comes again");
}

#[test]
fn what_is_not_what_it_was_is_refused_unless_it_is_forced() {
    let (mut machine, file, other) = (Machine::new(), noise(2500), vec![7; 2400]);
    let all = [("ggml-own.bin", file.as_slice()), ("own.bin", &file)];
    let server = Server::with(&all);
    for name in [OWN, URL] {
        machine.pull(&server, name).unwrap();
        server.log();
        machine.pull(&server, name).unwrap();
        assert!(server.log().starts_with('?') && server.sent() == 2500, "{name} comes once");
    }
    for name in ["ggml-own.bin", "own.bin"] {
        server.files.lock().unwrap().insert(name.to_owned(), other.clone());
    }
    for name in [OWN, URL] {
        machine.force = false;
        let error = machine.pull(&server, name).unwrap_err();
        assert!(error.kind() == Kind::DataLoss && error.to_string().contains("is not what it was"), "{error}");
        assert_eq!(server.sent(), 0, "{name} is refused before a byte comes");
        machine.force = true;
        assert_eq!(fs::read(machine.pull(&server, name).unwrap().path).unwrap(), other);
        server.sent();
    }
    // A later commit is an update.
    machine.force = false;
    server.files.lock().unwrap().insert("ggml-own.bin".to_owned(), file.clone());
    server.commit.store(9, Ordering::Relaxed);
    assert_eq!(fs::read(machine.pull(&server, OWN).unwrap().path).unwrap(), file);
}

#[test]
fn what_only_the_bytes_tell_is_refused_when_they_are_there() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server { hides_sizes: true, ..Server::with(&[("own.bin", &file)]) };
    let path = machine.pull(&server, URL).unwrap().path;
    fs::remove_file(&path).unwrap();
    server.files.lock().unwrap().insert("own.bin".to_owned(), vec![7; 2500]);
    let error = machine.pull(&server, URL).unwrap_err();
    assert!(error.kind() == Kind::DataLoss && !path.exists(), "{error}");
    server.files.lock().unwrap().insert("own.bin".to_owned(), file.clone());
    assert_eq!(fs::read(machine.pull(&server, URL).unwrap().path).unwrap(), file);
}

#[test]
fn what_others_have_put_there_is_taken_if_it_is_right() {
    let (mut machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]);
    let repo = machine.settings.cache.join("models--someone--models");
    let (blob, link) =
        (repo.join("blobs").join(digest(&file, false).to_string()), repo.join("snapshots").join(commit(0)));
    for folder in [&repo.join("blobs"), &link, &repo.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(repo.join("refs/main"), commit(0)).unwrap();
    let target = Path::new("../../blobs").join(blob.file_name().unwrap());
    std::os::unix::fs::symlink(target, link.join("ggml-own.bin")).unwrap();
    fs::write(&blob, &file).unwrap();
    assert_eq!(machine.pull(&server, OWN).unwrap().files[0].sha256, digest(&file, false).to_string());
    assert_eq!(server.sent(), 0);
    assert!(!machine.settings.cache.join(".locks").exists(), "nothing is written where all is in its place");

    // What was checked once is believed; by force it is looked at again, and mended.
    fs::write(&blob, vec![0; 2500]).unwrap();
    machine.pull(&server, OWN).unwrap();
    assert_eq!(server.sent(), 0);
    machine.force = true;
    machine.pull(&server, OWN).unwrap();
    assert_eq!((server.sent(), fs::read(&blob).unwrap()), (2500, file.clone()));
    machine.pull(&server, OWN).unwrap();
    assert_eq!(server.sent(), 0);

    // Of what is not pinned nothing is believed.
    manifest::delete(&machine.settings.data, OWN).unwrap();
    machine.force = false;
    fs::write(&blob, vec![0; 2500]).unwrap();
    machine.pull(&server, OWN).unwrap();
    assert_eq!((server.sent(), fs::read(&blob).unwrap()), (2500, file));
}

#[test]
fn something_unfinished_never_takes_the_place_of_a_whole_file() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]).then([cut(1000), Fault::Refuse(Some(61))]);
    machine.pull(&server, OWN).unwrap_err();
    let blob = machine.settings.cache.join("models--someone--models/blobs").join(digest(&file, false).to_string());
    fs::write(&blob, &file).unwrap();
    server.sent();
    assert_eq!(fs::read(machine.pull(&server, OWN).unwrap().path).unwrap(), file);
    assert!(server.sent() == 0 && machine.blobs().len() == 1);
}

#[test]
fn small_files_are_known_by_their_git_digest() {
    for hides_sizes in [false, true] {
        let (machine, file) = (Machine::new(), noise(2500));
        let server = Server { is_git: true, hides_sizes, ..Server::with(&[("ggml-own.bin", &file)]) }.then([cut(900)]);
        let model = machine.pull(&server, OWN).unwrap();
        assert_eq!(model.files[0].sha256, digest(&file, false).to_string());
        assert_eq!(machine.blobs()[0].0, digest(&file, true).to_string());
        assert_eq!(server.log(), "?main 0 900");
        let machine = Machine::new();
        let server = server.then([Fault::Others]);
        assert_eq!(machine.pull(&server, OWN).unwrap_err().kind(), Kind::DataLoss);
    }
}

#[test]
fn a_link_in_the_place_of_an_unfinished_file_is_not_followed() {
    let (machine, file) = (Machine::new(), noise(2500));
    let server = Server::with(&[("ggml-own.bin", &file)]);
    let blobs = machine.settings.cache.join("models--someone--models/blobs");
    let victim = machine.folder.path().join("victim");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(&victim, b"mine").unwrap();
    let partial = blobs.join(format!("{}.speechctl.incomplete", digest(&file, false)));
    std::os::unix::fs::symlink(&victim, &partial).unwrap();
    assert_eq!(machine.pull(&server, OWN).unwrap_err().kind(), Kind::Io);
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn the_real_disk_tells_its_room() {
    let folder = TempDir::new().unwrap();
    let room = (Disk::REAL.room)(folder.path()).unwrap();
    assert!(room > 0 && disk::lacks(&folder.path().join("x"), u64::MAX, Disk::REAL).is_some());
    assert!(disk::lacks(&folder.path().join("x"), 0, Disk::REAL).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// However often it is cut, stalled or given up: each byte comes once, and the file is right.
    #[test]
    fn each_byte_comes_once(
        size in 0..9000_usize,
        runs in prop::collection::vec((prop::collection::vec(1..3000_usize, 0..6), 0..9000_u64), 0..5),
    ) {
        let (machine, file) = (Machine::new(), noise(size));
        let mut server = Server::with(&[("ggml-own.bin", &file)]);
        for (cuts, gives_up) in runs {
            server = server.then(cuts.into_iter().map(cut));
            let mut tell = |told: Told<'_>| match told {
                Told::Came { bytes, .. } if bytes >= gives_up => Err(Error::new(Kind::Cancelled, "given up")),
                _ => Ok(()),
            };
            let pulled = machine.pull_by(&server, &[OWN], &mut tell, &mut |_| Ok(()));
            prop_assert_eq!(pulled.is_ok(), machine.is_pinned(OWN));
            prop_assert!(pulled.is_ok() || machine.blobs().iter().all(|(_, bytes)| file.starts_with(bytes)));
        }
        let model = machine.pull(&server, OWN).unwrap();
        prop_assert_eq!(&fs::read(model.path).unwrap(), &file);
        prop_assert_eq!(server.sent(), size as u64);
    }
}
