//! The thread that owns the logs.

use super::{
    Command, Reply,
    syncer::{Job, Syncer},
};
use crate::{
    error::{Error, Kind, Result},
    server::wal::{
        Note, Restored, SessionId, Syncing,
        budget::Budget,
        jobs::Trash,
        log::Log,
        store::{Form, Store, failed},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    sync::{Arc, mpsc::TrySendError},
};
use tokio::sync::{mpsc, oneshot};

/// What the thread has.
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    budget: Arc<Budget>,
    syncing: Syncing,
    syncer: Syncer,
    open: BTreeMap<SessionId, Open>,
    /// Sessions that cannot be read, and what they take.
    unreadable: BTreeMap<SessionId, u64>,
    /// Sessions whose callers, or whose next file, wait for the disk.
    urgent: BTreeSet<SessionId>,
    /// Sessions that are to be synced because it is time.
    due: BTreeSet<SessionId>,
    /// What is to be removed, and whose answer waits for it.
    trash: VecDeque<(Trash, Reply)>,
    /// The number of the last log.
    last: u64,
}

/// A session that is open.
struct Open {
    log: Log,
    /// Tells logs apart that had the same name one after the other.
    number: u64,
    /// Whether the other thread works for it.
    is_syncing: bool,
    /// Whose answer waits until this change is on the disk.
    waiting: Vec<(u64, Reply)>,
}

impl Keeper {
    /// A thread's beginning.
    pub(super) fn new(store: Arc<dyn Store>, budget: Arc<Budget>, syncing: Syncing, syncer: Syncer) -> Self {
        Self {
            store,
            budget,
            syncing,
            syncer,
            open: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            urgent: BTreeSet::new(),
            due: BTreeSet::new(),
            trash: VecDeque::new(),
            last: 0,
        }
    }

    /// The life of the thread.
    pub(super) fn live(mut self, mut inbox: mpsc::Receiver<Command>, lock: Option<fs::File>) {
        let mut end = None;
        while let Some(command) = inbox.blocking_recv() {
            if let Command::End { reply } = command {
                end = Some(reply);
                break;
            }
            self.obey(command);
            self.hand_on();
        }
        // The other thread may be waiting to tell something; nobody listens any more.
        drop(inbox);
        let Self { mut open, syncer, trash, .. } = self;
        let results: Vec<_> = open.values_mut().map(|open| open.log.sync()).collect();
        for (_, reply) in open.into_values().flat_map(|open| open.waiting) {
            drop(reply.send(Err(Error::new(Kind::Unavailable, "the server stops"))));
        }
        for (trash, reply) in trash {
            drop(reply.send(trash.empty()));
        }
        drop(syncer.jobs);
        drop(syncer.thread.join());
        drop(lock);
        if let Some(reply) = end {
            drop(reply.send(results.into_iter().collect()));
        }
    }

    /// Does what it is told. Who has stopped waiting for an answer needs none.
    fn obey(&mut self, command: Command) {
        match command {
            Command::Stored { reply } => drop(reply.send(self.stored())),
            Command::Restore { id, reply } => drop(reply.send(self.restore(id))),
            Command::Create { id, open, reply } => {
                let result = self.create(&id, open);
                self.answer(&id, result, self.syncing != Syncing::Never, reply);
            }
            Command::Audio { id, start, samples, reply } => {
                let result = self.log(&id).and_then(|log| log.append_audio(start, &samples));
                self.answer(&id, result, self.syncing == Syncing::Always, reply);
            }
            Command::Note { id, note, reply } => {
                let result = self.log(&id).and_then(|log| match note {
                    Note::Closed => log.close(),
                    _ => log.note(&note),
                });
                self.answer(&id, result, self.syncing.holds_back(&note), reply);
            }
            Command::Drop { id, before, reply } => {
                let result = self.log(&id).and_then(|log| log.drop_before(before));
                self.answer(&id, result, false, reply);
            }
            Command::Remove { id, reply } => self.remove(&id, reply),
            #[cfg(test)]
            Command::Usage { reply } => drop(reply.send(Ok(self.usage()))),
            Command::Synced { number, change, result } => self.synced(number, change, result),
            Command::Tick => self.due.extend(self.open.keys().cloned()),
            // What is next for the other thread is looked up after each command.
            Command::Emptied => {}
            // It ends the loop.
            Command::End { reply } => drop(reply),
        }
    }

    fn log(&mut self, id: &SessionId) -> Result<&mut Log> {
        let open = self.open.get_mut(id).map(|open| &mut open.log);
        open.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no session `{id}`")))
    }

    /// Answers, or lets the answer wait for the disk.
    fn answer(&mut self, id: &SessionId, result: Result<()>, waits: bool, reply: Reply) {
        let Some(open) = self.open.get_mut(id) else { return drop(reply.send(result)) };
        if open.log.wants_sync() {
            self.urgent.insert(id.clone());
        }
        if !waits || result.is_err() {
            return drop(reply.send(result));
        }
        open.waiting.push((open.log.change(), reply));
        self.urgent.insert(id.clone());
    }

    /// Gives the other thread what it can take; what somebody waits for goes first.
    fn hand_on(&mut self) {
        let urgent = std::mem::take(&mut self.urgent);
        self.urgent = self.hand_on_syncs(urgent);
        while let Some((trash, reply)) = self.trash.pop_front() {
            if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
                self.syncer.jobs.try_send(Job::Empty(trash, reply))
            {
                if let Job::Empty(trash, reply) = job {
                    self.trash.push_front((trash, reply));
                }
                break;
            }
        }
        let due = std::mem::take(&mut self.due);
        self.due = self.hand_on_syncs(due);
    }

    /// Hands on the syncs of these sessions, and returns those that have to come later.
    fn hand_on_syncs(&mut self, ids: BTreeSet<SessionId>) -> BTreeSet<SessionId> {
        let mut later = BTreeSet::new();
        let mut is_full = false;
        for id in ids {
            let Some(open) = self.open.get_mut(&id) else { continue };
            if is_full || open.is_syncing {
                later.insert(id);
                continue;
            }
            let Some(job) = open.log.sync_job() else {
                open.tell();
                continue;
            };
            match self.syncer.jobs.try_send(Job::Sync(open.number, job)) {
                Ok(()) => open.is_syncing = true,
                Err(_) => {
                    is_full = true;
                    later.insert(id);
                }
            }
        }
        later
    }

    fn synced(&mut self, number: u64, change: u64, result: Result<()>) {
        // One that was removed meanwhile needs nothing.
        let Some((id, open)) = self.open.iter_mut().find(|(_, open)| open.number == number) else { return };
        open.is_syncing = false;
        if let Err(error) = open.log.synced(change, result) {
            tracing::error!(kind = ?error.kind(), "The disk refused to sync; the log of a session takes no more.");
        }
        open.tell();
        // One that could not even begin: its caller has been told that there is none.
        if open.log.is_stillborn() {
            let (id, (reply, _)) = (id.clone(), oneshot::channel());
            return self.remove(&id, reply);
        }
        if !open.waiting.is_empty() || open.log.wants_sync() {
            self.urgent.insert(id.clone());
        }
    }

    fn stored(&self) -> Result<Vec<SessionId>> {
        let root = self.store.root();
        let mut ids = Vec::new();
        for entry in self.store.list(root).map_err(|cause| failed("read", root, &cause))? {
            let left_behind = Trash::left_behind(&self.store, &entry.name, self.syncing, &self.budget);
            if let Some(Err(error)) = left_behind.map(Trash::empty) {
                tracing::warn!(kind = ?error.kind(), "A session that was removed could not be cleared away.");
            }
            match SessionId::try_new(&entry.name) {
                // A link is told of where it is to be read.
                Ok(id) if entry.form != Form::File => ids.push(id),
                _ => {}
            }
        }
        ids.sort();
        Ok(ids)
    }

    fn restore(&mut self, id: SessionId) -> Result<Option<Restored>> {
        // Whoever had it open broke off: what is on the disk counts.
        if let Some(before) = self.open.remove(&id) {
            self.budget.refund(before.log.bytes());
            for (_, reply) in before.waiting {
                drop(reply.send(Err(Error::new(Kind::Unavailable, format!("session `{id}` was opened anew")))));
            }
        }
        self.budget.refund(self.unreadable.remove(&id).unwrap_or(0));
        match Log::restore(Arc::clone(&self.store), id.clone(), &self.budget, self.syncing) {
            Ok(Some((log, restored))) => {
                self.admit(id, log);
                Ok(Some(restored))
            }
            Ok(None) => {
                Trash::collect(&self.store, &id, Syncing::Never, &self.budget, 0)?.empty()?;
                Ok(None)
            }
            Err(error) => {
                // It still takes room, until it is removed.
                let entries = self.store.list(&self.store.root().join(id.as_str())).unwrap_or_default();
                let bytes = entries.iter().filter(|entry| entry.form == Form::File).map(|entry| entry.length).sum();
                self.budget.note(bytes);
                self.unreadable.insert(id, bytes);
                Err(error)
            }
        }
    }

    fn create(&mut self, id: &SessionId, open: Vec<u8>) -> Result<()> {
        let log = Log::create(Arc::clone(&self.store), id.clone(), open, &self.budget, self.syncing)?;
        self.admit(id.clone(), log);
        Ok(())
    }

    fn admit(&mut self, id: SessionId, log: Log) {
        self.last += 1;
        self.open.insert(id, Open { log, number: self.last, is_syncing: false, waiting: Vec::new() });
    }

    fn remove(&mut self, id: &SessionId, reply: Reply) {
        let trash = match self.open.get_mut(id) {
            Some(open) => open.log.retire(),
            None => {
                let bytes = self.unreadable.get(id).copied().unwrap_or(0);
                Trash::collect(&self.store, id, self.syncing, &self.budget, bytes)
            }
        };
        let trash = match trash {
            Ok(trash) => trash,
            Err(error) => return drop(reply.send(Err(error))),
        };
        self.unreadable.remove(id);
        for (_, reply) in self.open.remove(id).into_iter().flat_map(|open| open.waiting) {
            drop(reply.send(Err(Error::new(Kind::NotFound, format!("session `{id}` was removed")))));
        }
        self.trash.push_back((trash, reply));
    }

    #[cfg(test)]
    fn usage(&self) -> super::Usage {
        let sessions = self.open.iter().map(|(id, open)| (id.clone(), open.log.bytes())).collect();
        super::Usage { all: self.budget.used(), sessions }
    }
}

impl Open {
    /// Answers those whose change is on the disk, or never will be.
    fn tell(&mut self) {
        let synced = self.log.sync_state();
        let is_over = |change: &u64| synced.as_ref().map_or(true, |synced| *change <= *synced);
        let (over, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(change, _)| is_over(change));
        self.waiting = waiting;
        let over: Vec<(u64, Reply)> = over;
        for (_, reply) in over {
            drop(reply.send(self.log.sync_state().map(drop)));
        }
    }
}
