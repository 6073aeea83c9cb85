//! Looks at logs that no server has in work: what is in them, also where they are damaged. Changes nothing.

use super::{
    SessionId,
    reader::{self, NOTES, audio_start},
    record::{Content, MAGIC, Note, decode},
    store::{Disk, Form, Store, failed},
};
use crate::{
    error::{Error, Result},
    speech::Samples,
};
use std::path::Path;

/// What is left of a session.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// The notes that can be read, in order.
    pub(crate) notes: Vec<Note>,
    /// Where its audio is decided.
    pub(crate) committed: Samples,
    /// The audio that can be read, and is not decided: in order, each with the position of its first sample.
    pub(crate) undecided: Vec<(Samples, Vec<i16>)>,
    /// What is wrong with it.
    pub(crate) damage: Option<Error>,
}

/// The sessions of a folder, by name.
///
/// # Errors
/// `Io` where it cannot be read.
pub(crate) fn sessions(root: &Path) -> Result<Vec<SessionId>> {
    let disk = Disk::at(root);
    let entries = disk.list(root).map_err(|cause| failed("read", root, &cause))?;
    let folders = entries.into_iter().filter(|entry| entry.form == Form::Folder);
    let mut ids: Vec<SessionId> = folders.filter_map(|entry| SessionId::try_new(&entry.name).ok()).collect();
    ids.sort();
    Ok(ids)
}

/// Whether a server uses a folder now.
pub(crate) fn is_in_use(root: &Path) -> bool {
    Disk::at(root).is_locked()
}

/// Reads what can be read of a session.
///
/// # Errors
/// `Io` where its folder cannot be read, `NotFound` where there is none.
pub(crate) fn read(root: &Path, id: &SessionId) -> Result<Left> {
    let disk = Disk::at(root);
    let folder = root.join(id.as_str());
    let damage = match reader::read(&disk, id) {
        Ok(_) => None,
        Err(error) if error.kind() == crate::error::Kind::NotFound => return Err(error),
        Err(error) => Some(error),
    };
    let mut left = Left { damage, ..Left::default() };
    let entries = disk.list(&folder).map_err(|cause| failed("read", &folder, &cause))?;
    let mut files = Vec::new();
    for entry in entries.iter().filter(|entry| entry.form == Form::File) {
        let path = folder.join(&entry.name);
        let bytes = || disk.read(&path).map_err(|cause| failed("read", &path, &cause));
        if entry.name == NOTES {
            each_good(&bytes()?, |content| {
                if let Content::Note(note) = content {
                    left.notes.push(note);
                }
            });
        } else if let Some(start) = audio_start(&entry.name) {
            files.push((start, bytes()?));
        }
    }
    left.committed = left.notes.iter().filter_map(Note::commits).max().unwrap_or_default();
    if left.notes.contains(&Note::Closed) {
        return Ok(left);
    }
    files.sort_by_key(|(start, _)| *start);
    for (_, bytes) in files {
        each_good(&bytes, |content| {
            if let Content::Audio(start, samples) = content {
                left.add(start, samples);
            }
        });
    }
    Ok(left)
}

impl Left {
    /// Takes audio that is not decided yet, and was not there before.
    fn add(&mut self, start: Samples, bytes: &[u8]) {
        let mut samples: Vec<i16> = bytes.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
        let end_of = |(start, audio): &(Samples, Vec<i16>)| start.0 + audio.len() as i64;
        let known = self.undecided.last().map_or(self.committed.0, end_of);
        let skipped = usize::try_from(known - start.0).unwrap_or(0).min(samples.len());
        samples.drain(..skipped);
        let start = start + Samples(skipped as i64);
        if samples.is_empty() {
            return;
        }
        match self.undecided.last_mut() {
            Some(last) if end_of(last) == start.0 => last.1.extend(samples),
            _ => self.undecided.push((start, samples)),
        }
    }
}

/// Gives the records of a file, up to the first bad one.
fn each_good<'a>(bytes: &'a [u8], mut take: impl FnMut(Content<'a>)) {
    let mut rest = bytes.strip_prefix(&MAGIC).unwrap_or_default();
    while let Some((content, length)) = decode(rest) {
        take(content);
        rest = rest.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::wal::{Desk, Limits, Syncing};
    use std::fs;

    #[tokio::test]
    async fn what_is_left_can_be_read_also_where_it_is_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = Limits { session: 1 << 20, all: 1 << 20 };
        let id = SessionId::try_new("dictation").expect("a name");
        let desk = Desk::start(folder.path(), limits, Syncing::Never).expect("the folder is free");
        desk.create(&id, b"config".to_vec()).await.expect("room");
        desk.append_audio(&id, Samples(0), (0..1000).collect()).await.expect("room");
        desk.append_audio(&id, Samples(1000), vec![7; 500]).await.expect("room");
        let note = Note::Commit { to: Samples(400), state: Vec::new() };
        desk.note(&id, note).await.expect("room");
        assert!(is_in_use(folder.path()));
        desk.end().await.expect("it ends");
        assert!(!is_in_use(folder.path()));
        assert_eq!(sessions(folder.path()).expect("it can be read"), std::slice::from_ref(&id));
        let left = read(folder.path(), &id).expect("it is there");
        assert!(left.damage.is_none() && left.notes.len() == 2);
        assert_eq!(left.undecided.len(), 1);
        assert_eq!((left.undecided[0].0, left.undecided[0].1.len()), (Samples(400), 1100));
        // The notes are damaged in their middle: what is before it counts, and all audio.
        let notes = folder.path().join("dictation/notes.wal");
        let mut bytes = fs::read(&notes).expect("it is there");
        bytes[20] ^= 1;
        fs::write(&notes, bytes).expect("it can be written");
        let left = read(folder.path(), &id).expect("it is there");
        assert!(left.damage.is_some() && left.notes.is_empty());
        assert_eq!(left.undecided[0].1.len(), 1500);
        assert!(read(folder.path(), &SessionId::try_new("other").expect("a name")).is_err());
    }
}
