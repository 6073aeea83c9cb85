//! Reads the log of a session after a crash, and tells what was torn from what is damaged. Changes nothing.

use super::{
    SessionId,
    record::{Content, HEAD, MAGIC, Note, decode, is_kind},
    store::{Entry, Form, Store, failed},
};
use crate::{
    error::{Error, Kind, Result},
    speech::Samples,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The notes of a session.
pub(super) const NOTES: &str = "notes.wal";

/// Shorter ones in the making.
pub(super) const NEW_NOTES: &str = "notes.wal.new";

/// What a search for good records behind a bad one may cost, bytes to sum. Who makes it cost more has damaged a file.
const SEARCH: usize = 256 << 20;

/// What a session has on the disk.
pub(super) struct Found {
    /// The notes; the first one is `Open`.
    pub(super) notes: Vec<Note>,
    /// How much of their file is good.
    pub(super) notes_length: u64,
    /// How much behind that is to be cut off.
    pub(super) notes_surplus: u64,
    /// The files with audio, without holes between them.
    pub(super) audio: Vec<Piece>,
    /// Files that nobody needs.
    pub(super) litter: Vec<PathBuf>,
    /// Up to where everything is decided.
    pub(super) committed: Samples,
    /// Bytes that were being written when the machine stopped.
    pub(super) torn: u64,
}

/// A file with audio.
pub(super) struct Piece {
    /// Its path.
    pub(super) path: PathBuf,
    /// The position of its first sample.
    pub(super) start: Samples,
    /// Its audio.
    pub(super) audio: Vec<i16>,
    /// How much of it is good.
    pub(super) length: u64,
    /// How much behind that is to be cut off.
    pub(super) surplus: u64,
}

impl Piece {
    /// Where its audio ends.
    pub(super) fn end(&self) -> Samples {
        self.start + Samples(self.audio.len() as i64)
    }
}

/// The name of the file for audio from there.
pub(super) fn audio_name(start: Samples) -> String {
    format!("{:020}.audio.wal", start.0)
}

/// The position in the name of a file with audio.
pub(super) fn audio_start(name: &str) -> Option<Samples> {
    let digits = name.strip_suffix(".audio.wal")?;
    let is_one = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    // What is beyond that no recording reaches, and positions can be added without care.
    is_one.then(|| digits.parse().ok().filter(|start| *start < i64::MAX / 2).map(Samples)).flatten()
}

/// Whether a log has files of this name.
fn is_ours(name: &str) -> bool {
    name == NOTES || name == NEW_NOTES || audio_start(name).is_some()
}

/// What is wrong with a file.
enum Fault {
    /// It is damaged, for this reason.
    Damaged(String),
    /// It was written by a later version.
    Newer,
}

impl Fault {
    fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    fn told(self, id: &SessionId, path: &Path) -> Error {
        let path = path.display();
        match self {
            Fault::Damaged(why) => Error::new(
                Kind::DataLoss,
                format!("the log of session `{id}` is damaged: `{path}` {why}; run `speechctl sessions recover {id}`"),
            ),
            Fault::Newer => Error::new(
                Kind::Unsupported,
                format!("`{path}` was written by a newer version of speechctl; start that one, or remove the session"),
            ),
        }
    }
}

/// What a file holds, up to the first bad record.
struct Scan<'a> {
    contents: Vec<Content<'a>>,
    /// How much of it is good.
    good: usize,
    /// Whether good records follow behind the first bad one.
    has_hole: bool,
}

/// Reads the records of a file.
fn scan(bytes: &[u8]) -> Result<Scan<'_>, Fault> {
    let nothing = Scan { contents: Vec::new(), good: 0, has_hole: false };
    // Zeros are what a power cut leaves where a length reached the disk and the bytes did not.
    let as_it_must = bytes.iter().zip(MAGIC).take_while(|(is, must)| *is == must).count();
    if as_it_must < MAGIC.len() && bytes.iter().skip(as_it_must).all(|byte| *byte == 0) {
        return Ok(nothing);
    }
    let [magic @ .., version] = MAGIC;
    match bytes.strip_prefix(&magic).and_then(<[u8]>::first) {
        Some(is) if *is == version => {}
        Some(is) if *is > version => return Err(Fault::Newer),
        _ => return Err(Fault::damaged("is no log file")),
    }
    let mut scan = Scan { good: MAGIC.len(), ..nothing };
    while let Some((content, length)) = decode(bytes.get(scan.good..).unwrap_or_default()) {
        if content == Content::Unknown {
            return Err(Fault::Newer);
        }
        scan.contents.push(content);
        scan.good += length;
    }
    scan.has_hole = has_record(bytes.get(scan.good..).unwrap_or_default());
    Ok(scan)
}

/// Whether there is a good record anywhere in these bytes.
fn has_record(bytes: &[u8]) -> bool {
    let mut cost = 0;
    (1..bytes.len()).any(|at| {
        let candidate = bytes.get(at..).unwrap_or_default();
        let length = candidate.first_chunk::<4>().map_or(usize::MAX, |length| u32::from_le_bytes(*length) as usize);
        if length > candidate.len().saturating_sub(HEAD) || !candidate.get(8).is_some_and(|kind| is_kind(*kind)) {
            return false;
        }
        cost += length;
        cost > SEARCH || decode(candidate).is_some()
    })
}

/// Reads a session. `None` for one that was only about to be made: nobody was told of it.
///
/// # Errors
/// `DataLoss` where something is missing or damaged, `Unsupported` for the files of a newer version, `Config` where
/// there are links instead of files, `Io`.
pub(super) fn read(store: &dyn Store, id: &SessionId) -> Result<Option<Found>> {
    let folder = store.root().join(id.as_str());
    let entries = store.list(&folder).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotADirectory => refused(&folder),
        io::ErrorKind::NotFound => Error::new(Kind::NotFound, format!("there is no session `{id}`")),
        _ => failed("read", &folder, &cause),
    })?;
    let (notes, notes_length, whole) = read_notes(store, id, &folder, &entries)?;
    let mut found = Found {
        committed: notes.iter().filter_map(Note::commits).max().unwrap_or_default(),
        notes,
        notes_length,
        notes_surplus: whole - notes_length,
        audio: Vec::new(),
        litter: Vec::new(),
        torn: whole - notes_length,
    };
    if entries.iter().any(|entry| entry.name == NEW_NOTES) {
        found.litter.push(folder.join(NEW_NOTES));
    }
    let files = audio_files(&folder, &entries)?;
    if found.notes.contains(&Note::Closed) {
        found.litter.extend(files.into_iter().map(|(_, path, _)| path));
        return Ok(Some(found));
    }
    read_audio(store, id, files, &mut found)?;
    match found.notes.first() {
        Some(Note::Open { .. }) => Ok(Some(found)),
        None if entries.iter().any(|entry| !is_ours(&entry.name)) => {
            Err(Fault::damaged("holds no session: what is in it is somebody else's").told(id, &folder))
        }
        None if found.audio.is_empty() => Ok(None),
        None => Err(Fault::damaged("is missing or has nothing, and there is audio").told(id, &folder.join(NOTES))),
        Some(_) => Err(Fault::damaged("does not begin as it must").told(id, &folder.join(NOTES))),
    }
}

fn refused(path: &Path) -> Error {
    let path = path.display();
    Error::new(Kind::Config, format!("`{path}` is a link or the like, where the log has its own files; remove it"))
}

/// The notes, how much of their file is good, and how long it is.
fn read_notes(store: &dyn Store, id: &SessionId, folder: &Path, entries: &[Entry]) -> Result<(Vec<Note>, u64, u64)> {
    let path = folder.join(NOTES);
    match entries.iter().find(|entry| entry.name == NOTES) {
        None => return Ok((Vec::new(), 0, 0)),
        Some(entry) if entry.form != Form::File => return Err(refused(&path)),
        Some(_) => {}
    }
    let bytes = store.read(&path).map_err(|cause| failed("read", &path, &cause))?;
    let read = |scan: Scan<'_>| {
        if scan.has_hole {
            return Err(Fault::damaged(format!("has a bad record at byte {}, and good ones behind it", scan.good)));
        }
        let note = |content| match content {
            Content::Note(note) => Ok(note),
            _ => Err(Fault::damaged("holds what is no note")),
        };
        Ok((scan.contents.into_iter().map(note).collect::<Result<Vec<_>, _>>()?, scan.good as u64))
    };
    let (notes, good) = scan(&bytes).and_then(read).map_err(|fault| fault.told(id, &path))?;
    Ok((notes, good, bytes.len() as u64))
}

/// The files with audio that a folder has, in their order, and how long they are.
fn audio_files(folder: &Path, entries: &[Entry]) -> Result<Vec<(Samples, PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in entries {
        if let Some(start) = audio_start(&entry.name) {
            let path = folder.join(&entry.name);
            if entry.form != Form::File {
                return Err(refused(&path));
            }
            files.push((start, path, entry.length));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the audio, as far back as there are no holes. From the position that is committed on there must be none.
fn read_audio(store: &dyn Store, id: &SessionId, files: Vec<(Samples, PathBuf, u64)>, found: &mut Found) -> Result<()> {
    let mut read = Vec::new();
    for (start, path, length) in files {
        let bytes = store.read(&path).map_err(|cause| failed("read", &path, &cause))?;
        match read_piece(start, &path, &bytes) {
            Ok(piece) if piece.audio.is_empty() => {
                found.torn += length;
                found.litter.push(path);
            }
            Err(Fault::Newer) => return Err(Fault::Newer.told(id, &path)),
            piece => read.push((start, path, piece)),
        }
    }
    if let Some((start, path, _)) = read.first()
        && *start > found.committed
    {
        let why = format!("is the first with audio: from {} to {} it is missing", found.committed.0, start.0);
        return Err(Fault::damaged(why).told(id, path));
    }
    let needed = read.iter().rposition(|(start, ..)| *start <= found.committed).unwrap_or(0);
    let optional = read.drain(..needed).collect::<Vec<_>>();
    for (_, path, piece) in read {
        let piece = piece.and_then(|piece| follow(found.audio.last(), piece)).map_err(|fault| fault.told(id, &path))?;
        found.audio.push(piece);
    }
    // What is committed may be of use to the caller, but was on its way out: the first trouble ends it.
    for (_, path, piece) in optional.into_iter().rev() {
        let next = found.audio.first().map(|piece| piece.start);
        match piece {
            Ok(piece) if piece.surplus == 0 && Some(piece.end()) == next => found.audio.insert(0, piece),
            _ => found.litter.push(path),
        }
    }
    // After a power cut the notes may know more than the audio.
    if found.audio.last().is_some_and(|last| last.end() < found.committed) {
        found.litter.extend(found.audio.drain(..).map(|piece| piece.path));
    }
    found.torn += found.audio.last().map_or(0, |last| last.surplus);
    Ok(())
}

fn read_piece(start: Samples, path: &Path, bytes: &[u8]) -> Result<Piece, Fault> {
    let scan = scan(bytes)?;
    if scan.has_hole {
        return Err(Fault::damaged(format!("has a bad record at byte {}, and good ones behind it", scan.good)));
    }
    let mut audio = Vec::new();
    for content in scan.contents {
        match content {
            Content::Audio(at, bytes) if at.0 == start.0 + audio.len() as i64 => {
                let samples = bytes.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample));
                audio.extend(samples);
            }
            Content::Audio(at, _) => {
                let next = start.0 + audio.len() as i64;
                return Err(Fault::damaged(format!("goes on with sample {} where {next} must come", at.0)));
            }
            _ => return Err(Fault::damaged("holds what is no audio")),
        }
    }
    let surplus = (bytes.len() - scan.good) as u64;
    Ok(Piece { path: path.to_owned(), start, audio, length: scan.good as u64, surplus })
}

/// Checks that a piece follows the one before it.
fn follow(before: Option<&Piece>, piece: Piece) -> Result<Piece, Fault> {
    let Some(before) = before else { return Ok(piece) };
    let (end, start) = (before.end().0, piece.start.0);
    match end.cmp(&start) {
        std::cmp::Ordering::Equal if before.surplus == 0 => Ok(piece),
        std::cmp::Ordering::Equal => {
            Err(Fault::damaged(format!("follows a file with a bad record, `{}`", name(before))))
        }
        std::cmp::Ordering::Less => Err(Fault::damaged(format!(
            "starts at sample {start}, and `{}` ends at {end}: audio is missing",
            name(before)
        ))),
        std::cmp::Ordering::Greater => Err(Fault::damaged(format!(
            "starts at sample {start}, but `{}` goes up to {end}: they overlap",
            name(before)
        ))),
    }
}

fn name(piece: &Piece) -> std::borrow::Cow<'_, str> {
    piece.path.file_name().unwrap_or_default().to_string_lossy()
}
