//! A hub to pull models from, on this machine. What it has and how it fails is up to the test.
//!
//! It speaks HTTP/1.1 by hand, for no library sends a wrong length, cuts a body at a byte or answers nonsense. It has two
//! origins, as the real one: the hub, which knows repositories and sends on, and the store, which has what is large, at
//! addresses that are signed anew for each request. What it answers is described in the protocol of `huggingface_hub`
//! (`file_download.py`), which downloads from it, too.

mod answer;
pub(crate) mod digest;
pub(crate) mod proxy;
pub(crate) mod tls;
mod wire;

use super::PATIENCE;
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener, TcpStream},
    ops::{Bound, RangeBounds},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Where a request is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// HEAD: what is announced. At the store: of a file that stands there by its own URL.
    Head,
    /// GET of the hub: it sends on, or gives a small file itself.
    Get,
    /// GET of the store: the bytes.
    Body,
}

/// How an answer goes wrong. Positions are those of the file, wherever the answer begins.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status and these headers, and no body.
    Status(u16, Vec<(&'static str, &'static str)>),
    /// A page for people.
    Page,
    /// Another address.
    RedirectTo(String),
    /// Nothing, and the connection ends.
    HangUp,
    /// Nothing, and the connection goes on.
    Mute,
    /// As always, but without its commit, with another one, another digest, another size.
    NoCommit,
    Commit(&'static str),
    Etag(String),
    Size(usize),
    /// As always, and then the branch moves on: a file has these bytes.
    Push(String, Vec<u8>),
    /// The connection ends before this byte: in order, or with a reset.
    CutAt(usize),
    ResetAt(usize),
    /// Nothing comes from this byte on, and the connection goes on.
    StallAt(usize),
    /// So many bytes at a time, so far apart.
    Trickle(usize, Duration),
    /// The whole, whatever was asked for.
    NoRanges,
    /// Another part than what was asked for.
    WrongRange,
    /// More or fewer bytes than announced, in an answer that is right in itself; or others.
    Longer,
    Shorter,
    OtherBytes,
}

/// A request as it was heard.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: At,
    /// Its path in the repository; of a request that makes no sense, the whole of its target.
    pub(crate) file: String,
    /// "main", or a commit.
    pub(crate) revision: String,
    pub(crate) method: String,
    /// As it stands in the request.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte that is wanted: `None` where all are.
    pub(crate) fn from(&self) -> Option<usize> {
        let from = self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?;
        Some(from.parse().expect("a number"))
    }
}

/// The hub and its store. Ends when dropped.
pub(crate) struct Hub {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 2],
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// "http://127.0.0.1:4711" of the hub, and of the store.
    origins: [String; 2],
    tls: Option<tls::Settings>,
    connections: AtomicUsize,
    is_over: AtomicBool,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    /// What stands at the store by its own URL.
    files: BTreeMap<String, Vec<u8>>,
    faults: Vec<Planned>,
    pauses: Vec<Held>,
    log: Vec<Asked>,
    /// So many addresses were signed, and those up to this one have run out.
    signatures: usize,
    expired: usize,
    commits: usize,
}

#[derive(Default)]
struct Repository {
    /// Branches and tags.
    revisions: BTreeMap<String, String>,
    commits: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

/// A fault for some of the requests of a kind for a file.
struct Planned {
    at: At,
    file: String,
    which: (Bound<usize>, Bound<usize>),
    fault: Fault,
}

/// A body that is to stop at a byte.
struct Held {
    file: String,
    byte: usize,
    is_reached: bool,
    is_released: bool,
}

impl Hub {
    pub(crate) fn start() -> Self {
        Self::serve(None)
    }

    /// The same, by https.
    pub(crate) fn start_with_tls(tls: tls::Settings) -> Self {
        Self::serve(Some(tls))
    }

    fn serve(tls: Option<tls::Settings>) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().expect("an address"));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            origins: addresses.map(|address| format!("{scheme}://{address}")),
            tls,
            connections: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        for (listener, is_store) in listeners.into_iter().zip([false, true]) {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if shared.is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || wire::converse(&shared, is_store, stream));
                }
            });
        }
        Self { shared, addresses }
    }

    /// What HF_ENDPOINT is to be.
    pub(crate) fn endpoint(&self) -> &str {
        &self.shared.origins[0]
    }

    /// The origin of what is large.
    pub(crate) fn store(&self) -> &str {
        &self.shared.origins[1]
    }

    /// The hub's "127.0.0.1:4711", then the store's.
    pub(crate) fn addresses(&self) -> [String; 2] {
        self.addresses.map(|address| address.to_string())
    }

    /// Puts a file into a repository, at its present commit.
    pub(crate) fn put(&self, repository: &str, file: &str, bytes: &[u8]) {
        let mut state = self.state();
        if !state.repositories.contains_key(repository) {
            state.commit(repository);
        }
        state.tree(repository).insert(file.to_owned(), bytes.to_vec());
    }

    /// Takes a file out of a repository, at its present commit.
    pub(crate) fn remove(&self, repository: &str, file: &str) {
        self.state().tree(repository).remove(file).expect("it was there");
    }

    /// Makes a new commit of the main branch, in which a file has these bytes.
    pub(crate) fn push(&self, repository: &str, file: &str, bytes: &[u8]) {
        let mut state = self.state();
        state.commit(repository);
        state.tree(repository).insert(file.to_owned(), bytes.to_vec());
    }

    /// Gives the present commit another name.
    pub(crate) fn tag(&self, repository: &str, tag: &str) {
        let commit = self.commit(repository);
        let mut state = self.state();
        let repository = state.repositories.get_mut(repository).expect("it is there");
        repository.revisions.insert(tag.to_owned(), commit);
    }

    /// The present commit of the main branch.
    pub(crate) fn commit(&self, repository: &str) -> String {
        self.state().repositories[repository].revisions["main"].clone()
    }

    /// Puts a file at the store, without any repository; gives its URL. `At::Head` and `At::Body` tell of it.
    pub(crate) fn put_at_store(&self, name: &str, bytes: &[u8]) -> String {
        self.state().files.insert(name.to_owned(), bytes.to_vec());
        format!("{}/files/{name}", self.store())
    }

    /// From now on, has these of the requests for a file go wrong, counted from 0 and from the last [`Hub::forget`].
    pub(crate) fn on(&self, at: At, file: &str, which: impl RangeBounds<usize>, fault: Fault) {
        let which = (which.start_bound().cloned(), which.end_bound().cloned());
        self.state().faults.push(Planned { at, file: file.to_owned(), which, fault });
    }

    /// Has none go wrong any more.
    pub(crate) fn calm(&self) {
        self.state().faults.clear();
    }

    /// Lets all addresses run out that were signed until now.
    pub(crate) fn expire(&self) {
        let mut state = self.state();
        state.expired = state.signatures;
    }

    /// Has the next body of a file that comes to this byte wait there.
    pub(crate) fn pause_at(&self, file: &str, byte: usize) -> Pause {
        let mut state = self.state();
        state.pauses.push(Held { file: file.to_owned(), byte, is_reached: false, is_released: false });
        Pause { shared: Arc::clone(&self.shared), which: state.pauses.len() - 1 }
    }

    /// All requests, in their order.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.state().log.clone()
    }

    /// Forgets them.
    pub(crate) fn forget(&self) {
        self.state().log.clear();
    }

    /// How often a file was asked for.
    pub(crate) fn count(&self, at: At, file: &str) -> usize {
        self.log().iter().filter(|asked| asked.at == at && asked.file == file).count()
    }

    /// The first byte of each of the bodies of a file that were asked for.
    pub(crate) fn bodies(&self, file: &str) -> Vec<usize> {
        let log = self.log();
        let bodies = log.iter().filter(|asked| asked.at == At::Body && asked.file == file);
        bodies.map(|asked| asked.from().unwrap_or(0)).collect()
    }

    /// How many connections there were, requests or not.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.state().pauses.iter_mut().for_each(|held| held.is_released = true);
        self.shared.changed.notify_all();
        // Wakes those that wait for somebody to come.
        self.addresses.into_iter().for_each(|address| drop(TcpStream::connect(address)));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that fails has more to end after that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, until something is true; says whether it was in time.
    fn wait_until(&self, is_true: impl Fn(&State) -> bool) -> bool {
        let waiting = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !is_true(state));
        !waiting.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl State {
    /// Makes a commit of the main branch, with the files of the one before.
    fn commit(&mut self, repository: &str) {
        self.commits += 1;
        let id = digest::git_sha1(format!("{repository} {}", self.commits).as_bytes());
        let repository = self.repositories.entry(repository.to_owned()).or_default();
        let parent = repository.revisions.insert("main".to_owned(), id.clone());
        let tree = parent.map(|parent| repository.commits[&parent].clone());
        repository.commits.insert(id, tree.unwrap_or_default());
    }

    /// The files of the present commit.
    fn tree(&mut self, repository: &str) -> &mut BTreeMap<String, Vec<u8>> {
        let repository = self.repositories.get_mut(repository).expect("it is there");
        repository.commits.get_mut(&repository.revisions["main"]).expect("it is there")
    }
}

/// A body that waits, or will. Goes on when dropped.
pub(crate) struct Pause {
    shared: Arc<Shared>,
    which: usize,
}

impl Pause {
    /// Waits until all bytes before have been sent.
    pub(crate) fn wait(&self) {
        let is_reached = self.shared.wait_until(|state| state.pauses[self.which].is_reached);
        assert!(is_reached, "in vain: a body comes to the byte where it is held");
    }

    pub(crate) fn go_on(self) {}
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.shared.state().pauses[self.which].is_released = true;
        self.shared.changed.notify_all();
    }
}
