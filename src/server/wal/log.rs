//! The log of one session. Blocks; whoever calls it decides when it syncs.

mod life;

use super::{
    SessionId, Syncing,
    budget::{Account, Purpose},
    jobs::SyncJob,
    notes::Notes,
    reader::audio_name,
    record::{Note, encode_audio},
    store::{Store, failed},
    writer::Writer,
};
use crate::{
    error::{Error, Kind, Result},
    speech::Samples,
};
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How long a file with audio becomes before the next one is begun: 8 s. They go whole. Tests want many files of little.
pub(super) const FILE: u64 = if cfg!(test) { 4 << 10 } else { 256 << 10 };

/// How long it may become while it is waited for the disk, before everybody has to wait.
const LONGEST_FILE: u64 = 2 * FILE;

/// The log of one session.
///
/// Each change of it has a number. What was changed at a number up to `synced` is on the disk.
pub(super) struct Log {
    store: Arc<dyn Store>,
    id: SessionId,
    folder: PathBuf,
    account: Account,
    syncing: Syncing,
    notes: Notes,
    /// Files that nothing is appended to any more.
    older: VecDeque<Older>,
    /// The file that audio is appended to, and where it starts.
    current: Option<(Samples, Writer)>,
    /// Where the audio ends.
    end: Samples,
    committed: Samples,
    is_closed: bool,
    /// Whether it was made by this process, and has never been synced.
    is_new: bool,
    /// The last change.
    change: u64,
    /// Up to which change everything is on the disk.
    synced: u64,
    /// When a file was last made or renamed.
    names_changed: u64,
    /// The change after which audio is not needed, and up to where, once that change is on the disk.
    drops: VecDeque<(u64, Samples)>,
    /// Up to where audio is not needed.
    unneeded: Samples,
    /// Why nothing can be appended any more.
    broken: Option<String>,
}

struct Older {
    path: PathBuf,
    end: Samples,
    length: u64,
}

// === impl Log: what is written ===

impl Log {
    /// Appends audio, which starts where the audio before it ends.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `Io`, `Internal` for audio from elsewhere.
    pub(super) fn append_audio(&mut self, start: Samples, samples: &[i16]) -> Result<()> {
        self.check()?;
        if start != self.end {
            let message = format!("audio from sample {} was appended where {} must come", start.0, self.end.0);
            return Err(Error::new(Kind::Internal, message));
        }
        if samples.is_empty() {
            return Ok(());
        }
        self.change += 1;
        self.turn_over()?;
        let change = self.change;
        let (_, current) = match &mut self.current {
            Some(current) => current,
            None => {
                let writer = Writer::create(&*self.store, self.folder.join(audio_name(start)))?;
                self.names_changed = change;
                self.current.insert((start, writer))
            }
        };
        current.append(&encode_audio(start, samples), &mut self.account, Purpose::Audio, change)?;
        self.end = start + Samples(samples.len() as i64);
        Ok(())
    }

    /// Puts the current file aside where it is long enough. Before another is made all of it must be on the disk: else
    /// a power cut could leave a hole between the two.
    fn turn_over(&mut self) -> Result<()> {
        let Some((_, current)) = &mut self.current else { return Ok(()) };
        if current.length() < FILE {
            return Ok(());
        }
        current.cut(&mut self.account, self.change)?;
        if self.syncing != Syncing::Never && current.changed() > self.synced {
            if current.length() < LONGEST_FILE {
                return Ok(());
            }
            if let Err(cause) = current.sync() {
                let error = failed("sync", current.path(), &cause);
                return Err(self.break_down(error));
            }
        }
        if let Some((_, full)) = self.current.take() {
            self.older.push_back(Older { path: full.path().to_owned(), end: self.end, length: full.length() });
        }
        Ok(())
    }

    /// Appends a note.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `Io`, `InvalidInput` for one that is too long, `Internal` for one that
    /// cannot be true.
    pub(super) fn note(&mut self, note: &Note) -> Result<()> {
        match note {
            // Its finals are fetched and acknowledged after its end, too.
            Note::Acked { .. } | Note::Epoch { .. } => drop(self.sync_state()?),
            _ => self.check()?,
        }
        let commits = note.commits();
        if commits.is_some_and(|to| to < self.committed || to > self.end) || matches!(note, Note::Open { .. }) {
            let (from, end) = (self.committed.0, self.end.0);
            let message = format!("{note:?} was noted where the audio is committed up to {from} and ends at {end}");
            return Err(Error::new(Kind::Internal, message));
        }
        self.change += 1;
        self.notes.append(note, &mut self.account, self.change)?;
        self.committed = commits.unwrap_or(self.committed);
        if *note == Note::Closed {
            self.is_closed = true;
            self.drops.push_back((self.change, Samples(i64::MAX)));
        }
        if self.notes.is_forgettable() {
            let sync = self.syncing != Syncing::Never;
            match self.notes.rewrite(&*self.store, &self.folder, &mut self.account, self.change, sync) {
                Ok(()) => self.names_changed = self.change,
                // The note is in both files, whichever has the name now.
                Err(error) if self.notes.is_lost() => drop(self.break_down(error)),
                Err(error) => tracing::warn!(kind = ?error.kind(), "Notes could not be shortened; they stay long."),
            }
        }
        Ok(())
    }

    /// Drops the audio that is wholly below a position, file by file, once the note that commits it is on the disk. What
    /// is not committed stays.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn drop_before(&mut self, position: Samples) -> Result<()> {
        let position = position.min(self.committed);
        let last = self.drops.back().map_or(self.unneeded, |(_, last)| *last);
        if position > last {
            self.drops.push_back((self.notes.committed_at(), position));
        }
        self.sweep()
    }

    fn sweep(&mut self) -> Result<()> {
        self.sync_state()?;
        let synced = if self.syncing == Syncing::Never { u64::MAX } else { self.synced };
        while let Some((change, position)) = self.drops.front()
            && *change <= synced
        {
            self.unneeded = self.unneeded.max(*position);
            self.drops.pop_front();
        }
        while let Some(file) = self.older.front()
            && file.end <= self.unneeded
        {
            remove(&*self.store, &file.path)?;
            self.account.refund(file.length);
            self.older.pop_front();
        }
        if let Some((start, current)) = &self.current
            && self.end <= self.unneeded
            && (*start < self.end || self.is_closed)
        {
            remove(&*self.store, current.path())?;
            self.account.refund(current.takes());
            self.current = None;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match self.is_closed {
            true => Err(Error::new(Kind::Internal, format!("session `{}` is closed", self.id))),
            false => self.sync_state().map(drop),
        }
    }

    fn useless(&self, why: &str) -> Error {
        let message = format!("the log of session `{}` takes no more: {why}; start the server again", self.id);
        Error::new(Kind::Io, message)
    }

    /// After a sync that failed nobody knows what is on the disk; a second one would say that all is well.
    fn break_down(&mut self, error: Error) -> Error {
        self.broken = Some(error.to_string());
        error
    }
}

// === impl Log: the disk ===

impl Log {
    /// What is not on the disk yet, for any thread to wait for; then [`Log::synced`] has to be told. `None` where that
    /// is nothing.
    pub(super) fn sync_job(&mut self) -> Option<SyncJob> {
        if self.syncing == Syncing::Never || self.broken.is_some() || self.change == self.synced {
            return None;
        }
        // Audio first: a note that tells of its end is worth little without it.
        let audio = self.current.iter().map(|(_, writer)| writer);
        let dirty = audio.chain([self.notes.writer()]).filter(|writer| writer.changed() > self.synced);
        let job = SyncJob::new(&self.store, self.change);
        let job = dirty.fold(job, |job, writer| job.file(writer.file(), writer.path()));
        Some(match self.names_changed > self.synced {
            true => job.folder(&self.folder).folder(self.store.root()),
            false => job,
        })
    }

    /// Takes note of how a job went.
    ///
    /// # Errors
    /// What the job failed with. The log takes nothing more then.
    pub(super) fn synced(&mut self, change: u64, result: Result<()>) -> Result<()> {
        if let Err(error) = result {
            return Err(self.break_down(error));
        }
        self.synced = self.synced.max(change);
        self.is_new = false;
        if let Err(error) = self.sweep() {
            // They stay in the list, and are tried again with the next ones.
            tracing::warn!(kind = ?error.kind(), "Old audio could not be removed.");
        }
        Ok(())
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// `Io`. The log takes nothing more then.
    pub(super) fn sync(&mut self) -> Result<()> {
        match self.sync_job() {
            Some(job) => self.synced(job.change(), job.run()),
            None => Ok(()),
        }
    }

    /// Whether something waits for the disk, though no answer does.
    pub(super) fn wants_sync(&self) -> bool {
        let is_full = |(_, current): &(Samples, Writer)| current.length() >= FILE && current.changed() > self.synced;
        let waits = self.drops.iter().any(|(change, _)| *change > self.synced);
        self.syncing != Syncing::Never && self.broken.is_none() && (waits || self.current.as_ref().is_some_and(is_full))
    }

    /// Up to which change everything is on the disk.
    ///
    /// # Errors
    /// `Io` where nobody knows, and nobody ever will.
    pub(super) fn sync_state(&self) -> Result<u64> {
        match &self.broken {
            None => Ok(self.synced),
            Some(why) => Err(self.useless(why)),
        }
    }

    /// Whether it broke before its beginning reached the disk.
    pub(super) fn is_stillborn(&self) -> bool {
        self.broken.is_some() && self.is_new
    }

    /// The number of the last change.
    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// What it takes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.account.bytes()
    }
}

/// Removes a file. One that is gone already needs no more.
fn remove(store: &dyn Store, path: &Path) -> Result<()> {
    match store.remove(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, &cause)),
        _ => Ok(()),
    }
}
