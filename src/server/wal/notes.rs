//! The file with the notes of a session, and when it is replaced by a shorter one.

use super::{
    budget::{Account, Purpose},
    reader::{Found, NEW_NOTES, NOTES},
    record::{Content, MAGIC, Note, decode},
    store::{Store, failed},
    writer::Writer,
};
use crate::error::Result;
use std::{io, path::Path};

/// How long the file must be before it is worth to replace it. Tests want that soon.
const WORTH_IT: u64 = if cfg!(test) { 2 << 10 } else { 256 << 10 };

/// The notes of a session.
pub(super) struct Notes {
    writer: Writer,
    /// Finals that the client may not have: number, bytes.
    unacked: Vec<(i64, u64)>,
    /// Bytes that are kept anyway.
    open: u64,
    /// Bytes of the last note that commits.
    last_commit: u64,
    /// At which change that was noted.
    committed_at: u64,
    /// How long the file must be before it is looked at again.
    look_at: u64,
    /// Whether the file that is appended to may have lost its name to another.
    is_lost: bool,
}

impl Notes {
    /// Makes the file, with its first note, as the change 1.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `InvalidInput` for a note that is too long, `Io`.
    pub(super) fn create(store: &dyn Store, folder: &Path, open: &Note, account: &mut Account) -> Result<Self> {
        let writer = Writer::create(store, folder.join(NOTES))?;
        let mut notes = Self {
            writer,
            unacked: Vec::new(),
            open: 0,
            last_commit: 0,
            committed_at: 0,
            look_at: WORTH_IT,
            is_lost: false,
        };
        notes.append(open, account, 1)?;
        Ok(notes)
    }

    /// Goes on with what was read.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn reopen(store: &dyn Store, folder: &Path, found: &Found) -> Result<Self> {
        let writer = Writer::reopen(store, folder.join(NOTES), found.notes_length, found.notes_surplus, 1)?;
        let mut notes = Self {
            writer,
            unacked: Vec::new(),
            open: 0,
            last_commit: 0,
            committed_at: 1,
            look_at: WORTH_IT,
            is_lost: false,
        };
        for note in &found.notes {
            notes.count(note, note.encode().len() as u64);
        }
        Ok(notes)
    }

    /// Appends a note, as the change of this number.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `InvalidInput` for a note that is too long, `Io`.
    pub(super) fn append(&mut self, note: &Note, account: &mut Account, change: u64) -> Result<()> {
        let purpose = match note {
            Note::Open { .. } | Note::Final { .. } | Note::Commit { .. } => Purpose::Text,
            Note::Epoch { .. } | Note::Ended { .. } | Note::Acked { .. } | Note::Closed => Purpose::Upkeep,
        };
        let record = note.encode();
        self.writer.append(&record, account, purpose, change)?;
        if note.commits().is_some() {
            self.committed_at = change;
        }
        self.count(note, record.len() as u64);
        Ok(())
    }

    fn count(&mut self, note: &Note, bytes: u64) {
        match note {
            Note::Open { .. } => self.open = bytes,
            Note::Final { seq, .. } => {
                self.unacked.push((*seq, bytes));
                self.last_commit = bytes;
            }
            Note::Commit { .. } => self.last_commit = bytes,
            Note::Acked { seq } => self.unacked.retain(|(has, _)| has > seq),
            Note::Epoch { .. } | Note::Ended { .. } | Note::Closed => {}
        }
    }

    /// Whether more than half of a long file could be forgotten.
    pub(super) fn is_forgettable(&self) -> bool {
        let unacked: u64 = self.unacked.iter().map(|(_, bytes)| bytes).sum();
        self.writer.length() > self.look_at && self.open + self.last_commit + unacked < self.writer.length() / 2
    }

    /// Replaces the file by one without what can be forgotten, as the change of this number.
    ///
    /// # Errors
    /// `Busy` where there is no room for both, `Io`. The old file is still the one then, and good.
    pub(super) fn rewrite(
        &mut self,
        store: &dyn Store,
        folder: &Path,
        account: &mut Account,
        change: u64,
        sync: bool,
    ) -> Result<()> {
        // Where it fails it is not tried again with each note.
        self.look_at = self.writer.length() + WORTH_IT;
        let path = folder.join(NEW_NOTES);
        match store.remove(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path, &cause)),
            _ => {}
        }
        let records: Vec<u8> = kept(self.read(store)?).iter().flat_map(Note::encode).collect();
        let mut writer = Writer::create(store, path.clone())?;
        let result = writer.append_all(&records, account, Purpose::Upkeep, change).and_then(|()| match sync {
            true => writer.sync().map_err(|cause| failed("sync", &path, &cause)),
            false => Ok(()),
        });
        let renamed = result.and_then(|()| {
            // Until it is known how this ends, nobody knows which file has the name.
            self.is_lost = true;
            store.rename(&path, self.writer.path()).map_err(|cause| failed("rename", &path, &cause))
        });
        if let Err(error) = renamed {
            // What cannot be removed keeps its room, and goes with the next start.
            if store.remove(&path).is_ok() {
                account.refund(writer.takes());
                self.is_lost = false;
            }
            return Err(error);
        }
        self.is_lost = false;
        writer.renamed(self.writer.path().to_owned());
        account.refund(self.writer.takes());
        self.writer = writer;
        self.look_at = WORTH_IT;
        Ok(())
    }

    fn read(&self, store: &dyn Store) -> Result<Vec<Note>> {
        let path = self.writer.path();
        let bytes = store.read(path).map_err(|cause| failed("read", path, &cause))?;
        let mut at = MAGIC.len();
        let mut notes = Vec::new();
        while let Some((Content::Note(note), length)) = decode(bytes.get(at..).unwrap_or_default()) {
            notes.push(note);
            at += length;
        }
        match at as u64 == self.writer.length() {
            true => Ok(notes),
            false => Err(failed("read", path, &io::Error::other("it does not hold what was written"))),
        }
    }

    /// Whether the file that is appended to may have lost its name to another: then nothing more may be.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// At which change the last note was appended that commits.
    pub(super) fn committed_at(&self) -> u64 {
        self.committed_at
    }

    /// What the file takes on the disk, at most.
    pub(super) fn takes(&self) -> u64 {
        self.writer.takes()
    }

    /// The file.
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// What of these notes cannot be forgotten.
pub(super) fn kept(notes: Vec<Note>) -> Vec<Note> {
    let last = |is: fn(&Note) -> bool| notes.iter().rposition(is);
    let epoch = last(|note| matches!(note, Note::Epoch { .. }));
    let commit = last(|note| note.commits().is_some());
    let ack = last(|note| matches!(note, Note::Acked { .. }));
    let acked = notes.iter().filter_map(|note| match note {
        Note::Acked { seq } => Some(*seq),
        _ => None,
    });
    let acked = acked.max().unwrap_or(i64::MIN);
    let keep = |(at, note)| match note {
        Note::Final { seq, to, state, .. } if seq <= acked => {
            (commit == Some(at)).then_some(Note::Commit { to, state })
        }
        Note::Commit { .. } => (commit == Some(at)).then_some(note),
        Note::Epoch { .. } => (epoch == Some(at)).then_some(note),
        Note::Acked { .. } => (ack == Some(at)).then_some(Note::Acked { seq: acked }),
        Note::Open { .. } | Note::Final { .. } | Note::Ended { .. } | Note::Closed => Some(note),
    };
    notes.into_iter().enumerate().filter_map(keep).collect()
}
