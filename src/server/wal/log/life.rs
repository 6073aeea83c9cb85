//! How a log begins, how it is found again after a crash, and how it ends.

use super::{Log, Older};
use crate::{
    error::{Error, Result},
    server::wal::{
        Note, Restored, SessionId, Syncing,
        budget::{Account, Budget},
        jobs::{SyncJob, Trash},
        notes::Notes,
        reader::{self, Piece},
        store::{Store, failed},
        writer::Writer,
    },
    speech::Samples,
};
use std::{collections::VecDeque, io, path::PathBuf, sync::Arc};

impl Log {
    /// One without audio. Whether what there is of it is on the disk is not known: a process before this one may have
    /// written it.
    fn over(
        store: Arc<dyn Store>,
        id: SessionId,
        folder: PathBuf,
        account: Account,
        syncing: Syncing,
        notes: Notes,
    ) -> Self {
        Self {
            store,
            id,
            folder,
            account,
            syncing,
            notes,
            older: VecDeque::new(),
            current: None,
            end: Samples(0),
            committed: Samples(0),
            is_closed: false,
            is_new: true,
            change: 1,
            synced: 0,
            names_changed: 1,
            drops: VecDeque::new(),
            unneeded: Samples(0),
            broken: None,
        }
    }

    /// Makes the log of a new session. It is not synced yet.
    ///
    /// # Errors
    /// `InvalidInput` where there is one already, `Busy` where a limit would be exceeded, `Io`.
    pub(in crate::server::wal) fn create(
        store: Arc<dyn Store>,
        id: SessionId,
        open: Vec<u8>,
        budget: &Arc<Budget>,
        syncing: Syncing,
    ) -> Result<Self> {
        let folder = store.root().join(id.as_str());
        store.create_folder(&folder).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::invalid(format!("session `{id}` exists; resume it, or take another id")).in_field("session_id")
            }
            _ => failed("make", &folder, &cause),
        })?;
        let mut account = Account::new(Arc::clone(budget), id.clone());
        match Notes::create(&*store, &folder, &Note::Open { config: open }, &mut account) {
            Ok(notes) => Ok(Self::over(store, id, folder, account, syncing, notes)),
            Err(error) => {
                // What cannot be removed is still there, and goes with the next start.
                if store.remove_all(&folder).is_ok() {
                    account.refund(account.bytes());
                }
                Err(error)
            }
        }
    }

    /// Reads a log after a crash, repairs its torn ends, and goes on with it. `None` for one that was only about to be
    /// made; what there is of it is to be removed.
    ///
    /// # Errors
    /// `DataLoss` where something is missing or damaged, `Unsupported` for the files of a newer version, `NotFound`,
    /// `Config` where there are links instead of files, `Io`. Before the first repair all is checked.
    pub(in crate::server::wal) fn restore(
        store: Arc<dyn Store>,
        id: SessionId,
        budget: &Arc<Budget>,
        syncing: Syncing,
    ) -> Result<Option<(Self, Restored)>> {
        let Some(found) = reader::read(&*store, &id)? else { return Ok(None) };
        let folder = store.root().join(id.as_str());
        let mut account = Account::new(Arc::clone(budget), id.clone());
        let notes = Notes::reopen(&*store, &folder, &found)?;
        // The notes say what is not needed. The process before may not have come to sync them.
        if !found.litter.is_empty() && syncing != Syncing::Never {
            let file = notes.writer();
            SyncJob::new(&store, 1).file(file.file(), file.path()).folder(&folder).run()?;
        }
        for path in &found.litter {
            store.remove(path).map_err(|cause| failed("remove", path, &cause))?;
        }
        let is_closed = found.notes.contains(&Note::Closed);
        let audio_start = found.audio.first().map_or(found.committed, |piece| piece.start);
        let end = found.audio.last().map_or(found.committed, Piece::end);
        let mut older: VecDeque<Older> = found
            .audio
            .iter()
            .map(|piece| Older { path: piece.path.clone(), end: piece.end(), length: piece.length })
            .collect();
        let current = match (older.pop_back(), found.audio.last()) {
            (Some(last), Some(piece)) => {
                Some((piece.start, Writer::reopen(&*store, last.path, last.length, piece.surplus, 1)?))
            }
            _ => None,
        };
        let audio_bytes: u64 = found.audio.iter().map(|piece| piece.length).sum();
        account.note(notes.takes() + audio_bytes);
        let audio = found.audio.into_iter().flat_map(|piece| piece.audio).collect();
        let restored = Restored { notes: found.notes, audio_start, audio, next: end, torn: found.torn };
        let log = Self {
            older,
            current,
            end,
            committed: found.committed,
            is_closed,
            is_new: false,
            ..Self::over(store, id, folder, account, syncing, notes)
        };
        Ok(Some((log, restored)))
    }

    /// Ends the session: its audio goes, as soon as the note of it is on the disk; its finals stay. Can be repeated.
    ///
    /// # Errors
    /// `Io`, `Busy`.
    pub(in crate::server::wal) fn close(&mut self) -> Result<()> {
        if !self.is_closed {
            self.note(&Note::Closed)?;
        }
        self.sweep()
    }

    /// Takes the log out of the way: from now on the session does not exist. What there is of it is still to be removed.
    ///
    /// # Errors
    /// `Io`.
    pub(in crate::server::wal) fn retire(&mut self) -> Result<Trash> {
        // Where this fails, nobody knows which name it has.
        self.broken = Some("it is being removed".to_owned());
        let budget = self.account.budget();
        Trash::collect(&self.store, &self.id, self.syncing, budget, self.account.bytes())
    }
}
