//! A disk in memory that is cut off from power, and fails when it is told to.

use crate::server::wal::store::{Entry, Form, LogFile, Store};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The disk is full after so many bytes of it.
    Full(usize),
    /// The disk breaks after so many bytes of it.
    Broken(usize),
    /// The disk has done it, and says that it has not.
    Lie,
}

/// A file, or a folder. What was synced is known apart from what is there.
#[derive(Clone, Default)]
struct Node {
    is_folder: bool,
    /// A file: what is in it, and what of that is on the disk.
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// A folder: the names in it, on the disk and what was done since.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    changes: Vec<BTreeMap<String, usize>>,
}

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    /// Operations so far.
    operations: u64,
    /// Which of them fail.
    faults: BTreeMap<u64, Fault>,
    /// Whether any of them did.
    has_failed: bool,
}

/// The disk. Clones are the same one.
#[derive(Clone)]
pub(super) struct Memory {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

struct MemoryFile {
    state: Arc<Mutex<State>>,
    node: usize,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(fault: Fault) -> io::Error {
    io::Error::from_raw_os_error(match fault {
        Fault::Full(_) => 28,
        Fault::Broken(_) | Fault::Lie => 5,
    })
}

impl Memory {
    /// An empty disk.
    pub(super) fn new() -> Self {
        let root = Node { is_folder: true, ..Node::default() };
        let state = State { nodes: vec![root], ..State::default() };
        Self { root: PathBuf::from("/memory"), state: Arc::new(Mutex::new(state)) }
    }

    /// Has an operation fail, counted from now.
    pub(super) fn fail(&self, after: u64, fault: Fault) {
        let mut state = locked(&self.state);
        let at = state.operations + after;
        state.faults.insert(at, fault);
    }

    /// Has nothing fail any more, and says whether something did since the last time.
    pub(super) fn heal(&self) -> bool {
        let mut state = locked(&self.state);
        state.faults.clear();
        std::mem::take(&mut state.has_failed)
    }

    /// Whether something failed since it was healed.
    pub(super) fn has_failed(&self) -> bool {
        locked(&self.state).has_failed
    }

    /// Whether a power cut would change nothing.
    pub(super) fn is_synced(&self) -> bool {
        let state = locked(&self.state);
        state.nodes.iter().all(|node| node.bytes == node.synced && node.changes.is_empty())
    }

    /// The power goes: what is left is what was synced, and as much of the rest as `choose` says. It is given a number of
    /// possibilities, and 0 always is to keep no more than must be.
    pub(super) fn power_cut(&self, mut choose: impl FnMut(usize) -> usize) {
        let mut state = locked(&self.state);
        for node in &mut state.nodes {
            if node.is_folder {
                let kept = choose(node.changes.len() + 1);
                if let Some(names) = kept.checked_sub(1).and_then(|last| node.changes.get(last)) {
                    node.synced_names.clone_from(names);
                }
                node.names.clone_from(&node.synced_names);
                node.changes.clear();
                continue;
            }
            let mut bytes = node.synced.clone();
            if node.bytes.starts_with(&node.synced) {
                let more = choose(node.bytes.len() - node.synced.len() + 1);
                bytes.extend_from_slice(&node.bytes[bytes.len()..bytes.len() + more]);
                let zeros = choose(node.bytes.len() - bytes.len() + 1);
                bytes.resize(bytes.len() + zeros, 0);
            } else if choose(2) == 1 {
                bytes.clone_from(&node.bytes);
            }
            node.bytes.clone_from(&bytes);
            node.synced = bytes;
        }
    }

    /// Changes a file as no program would.
    pub(super) fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = locked(&self.state);
        let node = state.find(&self.root, &self.root.join(path)).expect("it is there");
        change(&mut state.nodes[node].bytes);
    }

    /// Puts a file there.
    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let file = self.create(&self.root.join(path)).expect("it is new");
        file.append(bytes).expect("it does not fail");
    }

    /// What is in a folder, by name.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.list(&self.root.join(folder)).unwrap_or_default();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    /// What all files take.
    pub(super) fn size(&self) -> u64 {
        let state = locked(&self.state);
        // Nodes that no name leads to are not there any more.
        let mut size = 0;
        let mut reached = vec![0];
        while let Some(node) = reached.pop() {
            size += state.nodes[node].bytes.len() as u64;
            reached.extend(state.nodes[node].names.values());
        }
        size
    }
}

impl State {
    /// Counts an operation, and fails it if it is its turn: then the fault says how.
    fn turn(&mut self) -> Option<Fault> {
        self.operations += 1;
        let fault = self.faults.get(&self.operations).copied();
        self.has_failed |= fault.is_some();
        fault
    }

    fn find(&self, root: &Path, path: &Path) -> io::Result<usize> {
        let mut node = 0;
        for name in path.strip_prefix(root).map_err(io::Error::other)? {
            node = *self.nodes[node].names.get(&*name.to_string_lossy()).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    fn place(&self, root: &Path, path: &Path) -> io::Result<(usize, String)> {
        let folder = self.find(root, path.parent().ok_or(io::ErrorKind::NotFound)?)?;
        Ok((folder, path.file_name().unwrap_or_default().to_string_lossy().into_owned()))
    }

    fn changed(&mut self, folder: usize) {
        let names = self.nodes[folder].names.clone();
        self.nodes[folder].changes.push(names);
    }

    fn add(&mut self, root: &Path, path: &Path, is_folder: bool) -> io::Result<usize> {
        let (folder, name) = self.place(root, path)?;
        if self.nodes[folder].names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.nodes.push(Node { is_folder, ..Node::default() });
        let node = self.nodes.len() - 1;
        self.nodes[folder].names.insert(name, node);
        self.changed(folder);
        Ok(node)
    }
}

impl Memory {
    /// Does something that works as a whole or not at all.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = locked(&self.state);
        match state.turn() {
            None => act(&mut state),
            Some(fault) => {
                if fault == Fault::Lie {
                    act(&mut state)?;
                }
                Err(error(fault))
            }
        }
    }
}

impl Store for Memory {
    fn root(&self) -> &Path {
        &self.root
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.change(|state| {
            let node = state.find(&self.root, folder)?;
            let entry = |(name, node): (&String, &usize)| {
                let node = &state.nodes[*node];
                let form = if node.is_folder { Form::Folder } else { Form::File };
                Entry { name: name.clone(), form, length: node.bytes.len() as u64 }
            };
            Ok(state.nodes[node].names.iter().map(entry).collect())
        })
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|state| state.add(&self.root, folder, true)).map(drop)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let node = self.change(|state| state.add(&self.root, path, false))?;
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), node }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let node = self.change(|state| state.find(&self.root, path))?;
        Ok(Arc::new(MemoryFile { state: Arc::clone(&self.state), node }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.change(|state| state.find(&self.root, path).map(|node| state.nodes[node].bytes.clone()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let (folder, old) = state.place(&self.root, from)?;
            let (_, new) = state.place(&self.root, to)?;
            let node = state.nodes[folder].names.remove(&old).ok_or(io::ErrorKind::NotFound)?;
            state.nodes[folder].names.insert(new, node);
            state.changed(folder);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            let (folder, name) = state.place(&self.root, path)?;
            state.nodes[folder].names.remove(&name).ok_or(io::ErrorKind::NotFound)?;
            state.changed(folder);
            Ok(())
        })
    }

    fn remove_all(&self, folder: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = state.find(&self.root, folder)?;
            while state.nodes[node].names.pop_first().is_some() {
                state.changed(node);
            }
            let (parent, name) = state.place(&self.root, folder)?;
            state.nodes[parent].names.remove(&name);
            state.changed(parent);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = state.find(&self.root, folder)?;
            let node = &mut state.nodes[node];
            node.synced_names = node.names.clone();
            node.changes.clear();
            Ok(())
        })
    }
}

impl LogFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = locked(&self.state);
        let fault = state.turn();
        let length = match fault {
            Some(Fault::Full(length) | Fault::Broken(length)) => length.min(bytes.len()),
            Some(Fault::Lie) | None => bytes.len(),
        };
        state.nodes[self.node].bytes.extend_from_slice(&bytes[..length]);
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = locked(&self.state);
        match state.turn() {
            None => {
                state.nodes[self.node].bytes.truncate(length as usize);
                Ok(())
            }
            Some(fault) => Err(error(fault)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = locked(&self.state);
        match state.turn() {
            None => {
                let node = &mut state.nodes[self.node];
                node.synced = node.bytes.clone();
                Ok(())
            }
            Some(fault) => Err(error(fault)),
        }
    }
}
