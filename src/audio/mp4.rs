//! What has to be known of an MP4 before it is read: where its index is, and how much of its first packet is no audio.
//!
//! Encoders of AAC begin with a lead of their own, 1024 samples or more, which the edit list of the index says to leave
//! out (ISO/IEC 14496-12, 8.6.6). symphonia 0.6 does not read that list. It also gives up a whole file for the end that
//! it lacks, unless it is read forward; but forward alone it cannot follow sound and film that lie far apart.

use std::io::{self, Seek, SeekFrom};

use symphonia::core::io::{MediaSource as _, MediaSourceStream, ReadBytes};

/// The boxes that are looked at before a file is given up: fragmented ones have many, but their index comes first.
const MOST_BOXES: usize = 256;

/// What the boxes say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// It is there, whole.
    pub(super) is_there: bool,
    /// It lies in front of the audio, whose end is not there.
    pub(super) is_cut_behind: bool,
    /// Seconds of sound before the recording begins.
    pub(super) lead: f64,
}

/// A box: its name, and where its content lies.
struct Atom {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

/// Looks for the index of a file that can seek, and goes back to where it was.
pub(super) fn look(stream: &mut MediaSourceStream<'static>) -> io::Result<Index> {
    let (start, end) = (stream.pos(), stream.byte_len().unwrap_or(0));
    let mut index = Index::default();
    let mut has_audio = false;
    let atoms = atoms(stream, start, end)?;
    let is_cut = atoms.iter().any(|atom| atom.end > end);
    for atom in atoms {
        match &atom.kind {
            b"moov" if atom.end <= end => {
                let lead = match lead(stream, &atom) {
                    // A box that claims more than there is; who reads the file will say what is wrong with it.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                    lead => lead?,
                };
                index = Index { is_there: true, is_cut_behind: is_cut && !has_audio, lead: lead.unwrap_or(0.0) };
                break;
            }
            b"mdat" => has_audio = true,
            _ => {}
        }
    }
    stream.seek(SeekFrom::Start(start))?;
    Ok(index)
}

/// The boxes between two places. Lengths are not believed beyond the place where the next box must be.
fn atoms(stream: &mut MediaSourceStream<'static>, start: u64, end: u64) -> io::Result<Vec<Atom>> {
    let mut atoms = Vec::new();
    let mut at = start;
    while atoms.len() < MOST_BOXES && at.saturating_add(8) <= end {
        stream.seek(SeekFrom::Start(at))?;
        let (short, kind) = (stream.read_be_u32()?, stream.read_quad_bytes()?);
        let (head, length) = match short {
            0 => (8, end - at),
            1 if at.saturating_add(16) <= end => (16, stream.read_be_u64()?),
            short => (8, u64::from(short)),
        };
        let next = at.saturating_add(length.max(head));
        atoms.push(Atom { kind, start: at + head, end: next });
        at = next;
    }
    Ok(atoms)
}

fn child(stream: &mut MediaSourceStream<'static>, parent: &Atom, kind: [u8; 4]) -> io::Result<Option<Atom>> {
    let found = atoms(stream, parent.start, parent.end)?.into_iter().find(|atom| atom.kind == kind);
    Ok(found.filter(|atom| atom.end <= parent.end))
}

/// Seconds that the edit list of the first sound track leaves out at its start.
fn lead(stream: &mut MediaSourceStream<'static>, index: &Atom) -> io::Result<Option<f64>> {
    let tracks = atoms(stream, index.start, index.end)?.into_iter();
    for track in tracks.filter(|atom| &atom.kind == b"trak" && atom.end <= index.end) {
        let Some(media) = child(stream, &track, *b"mdia")? else { continue };
        let (Some(handler), Some(header)) = (child(stream, &media, *b"hdlr")?, child(stream, &media, *b"mdhd")?) else {
            continue;
        };
        stream.seek(SeekFrom::Start(handler.start + 8))?;
        if &stream.read_quad_bytes()? != b"soun" {
            continue;
        }
        stream.seek(SeekFrom::Start(header.start))?;
        let is_long = stream.read_be_u32()? >> 24 == 1;
        stream.seek(SeekFrom::Start(header.start + if is_long { 20 } else { 12 }))?;
        let ticks = stream.read_be_u32()?;
        let Some(edits) = child(stream, &track, *b"edts")? else { return Ok(None) };
        let Some(list) = child(stream, &edits, *b"elst")? else { return Ok(None) };
        stream.seek(SeekFrom::Start(list.start))?;
        let is_long = stream.read_be_u32()? >> 24 == 1;
        // One edit is a lead; more are a film's cuts, which nobody makes in recordings.
        if stream.read_be_u32()? != 1 || ticks == 0 {
            return Ok(None);
        }
        let start = if is_long {
            stream.read_be_u64()?;
            stream.read_be_u64()? as i64
        } else {
            stream.read_be_u32()?;
            i64::from(stream.read_be_u32()? as i32)
        };
        let seconds = start as f64 / f64::from(ticks);
        // More than a second is no encoder's lead, and nothing is left out for it.
        return Ok((0.0..1.0).contains(&seconds).then_some(seconds));
    }
    Ok(None)
}
