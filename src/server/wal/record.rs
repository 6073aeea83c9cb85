//! Notes and audio as bytes, and back. Pure. The format is in the documentation of [`super`].

use crate::speech::Samples;
use std::fmt;

/// What each file begins with; the last byte is the version.
pub(super) const MAGIC: [u8; 8] = *b"SPCWAL\0\x01";

/// Length, checksum and kind.
pub(super) const HEAD: usize = 9;

/// The longest payload.
pub(super) const LONGEST: usize = 16 << 20;

const OPEN: u8 = 1;
const FINAL: u8 = 2;
const COMMIT: u8 = 3;
const EPOCH: u8 = 4;
const ENDED: u8 = 5;
const ACKED: u8 = 6;
const CLOSED: u8 = 7;
const AUDIO: u8 = 16;

/// Something to remember of a session, beside its audio.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The session was opened, with this configuration. The first note, and only that.
    Open {
        /// Opaque.
        config: Vec<u8>,
    },
    /// A final was recognised. Commits the audio up to `to`.
    Final {
        /// Its number.
        seq: i64,
        /// Up to where it decides the audio.
        to: Samples,
        /// What the client gets. Opaque.
        message: Vec<u8>,
        /// What recognition goes on with from `to`. Opaque.
        state: Vec<u8>,
    },
    /// Audio was decided without a final: silence, a gap.
    Commit {
        /// Up to where.
        to: Samples,
        /// What recognition goes on with from there. Opaque.
        state: Vec<u8>,
    },
    /// A new epoch began.
    Epoch {
        /// Its number.
        number: i64,
    },
    /// The client has said that no more audio comes.
    Ended {
        /// Where its audio ends.
        at: Samples,
    },
    /// The client has the finals up to this one; they may be forgotten.
    Acked {
        /// Its number.
        seq: i64,
    },
    /// The session is over. Its finals stay until it is removed.
    Closed,
}

/// Sizes only: what was said is nobody's business.
impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Open { config } => write!(f, "Open({} B)", config.len()),
            Note::Final { seq, to, message, state } => {
                write!(f, "Final({seq}, to {}, {} B, {} B)", to.0, message.len(), state.len())
            }
            Note::Commit { to, state } => write!(f, "Commit(to {}, {} B)", to.0, state.len()),
            Note::Epoch { number } => write!(f, "Epoch({number})"),
            Note::Ended { at } => write!(f, "Ended(at {})", at.0),
            Note::Acked { seq } => write!(f, "Acked({seq})"),
            Note::Closed => f.write_str("Closed"),
        }
    }
}

impl Note {
    /// Up to where this decides the audio, if it does.
    pub(super) fn commits(&self) -> Option<Samples> {
        match self {
            Note::Final { to, .. } | Note::Commit { to, .. } => Some(*to),
            Note::Open { .. } | Note::Epoch { .. } | Note::Ended { .. } | Note::Acked { .. } | Note::Closed => None,
        }
    }

    /// As a record.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Note::Open { config } => record(OPEN, &[config]),
            Note::Final { seq, to, message, state } => {
                // A message that is too long for its length is too long for a record, too, and is refused as that.
                let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes();
                record(FINAL, &[&seq.to_le_bytes(), &to.0.to_le_bytes(), &length, message, state])
            }
            Note::Commit { to, state } => record(COMMIT, &[&to.0.to_le_bytes(), state]),
            Note::Epoch { number } => record(EPOCH, &[&number.to_le_bytes()]),
            Note::Ended { at } => record(ENDED, &[&at.0.to_le_bytes()]),
            Note::Acked { seq } => record(ACKED, &[&seq.to_le_bytes()]),
            Note::Closed => record(CLOSED, &[]),
        }
    }
}

/// Audio as a record.
pub(super) fn encode_audio(start: Samples, samples: &[i16]) -> Vec<u8> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    record(AUDIO, &[&start.0.to_le_bytes(), &bytes])
}

fn record(kind: u8, payload: &[&[u8]]) -> Vec<u8> {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(HEAD + length);
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.push(kind);
    payload.iter().for_each(|part| bytes.extend_from_slice(part));
    let checksum = crc32fast::hash(bytes.get(8..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(4..8) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content<'a> {
    /// A note.
    Note(Note),
    /// Audio, two bytes a sample.
    Audio(Samples, &'a [u8]),
    /// Something whose checksum is right, and that makes no sense here: a later version has written it.
    Unknown,
}

/// The record that `bytes` begins with, and its length. `None` where there is none, or a bad one.
pub(super) fn decode(bytes: &[u8]) -> Option<(Content<'_>, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > LONGEST {
        return None;
    }
    let summed = rest.get(..=length)?;
    if crc32fast::hash(summed) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (kind, payload) = summed.split_first()?;
    Some((content(*kind, payload).unwrap_or(Content::Unknown), HEAD + length))
}

fn content(kind: u8, payload: &[u8]) -> Option<Content<'_>> {
    let whole = |(number, rest): (i64, &[u8])| rest.is_empty().then_some(number);
    Some(Content::Note(match kind {
        OPEN => Note::Open { config: payload.to_vec() },
        FINAL => {
            let (seq, rest) = number(payload)?;
            let (to, rest) = number(rest)?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (message, state) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Note::Final { seq, to: Samples(to), message: message.to_vec(), state: state.to_vec() }
        }
        COMMIT => {
            let (to, state) = number(payload)?;
            Note::Commit { to: Samples(to), state: state.to_vec() }
        }
        EPOCH => Note::Epoch { number: number(payload).and_then(whole)? },
        ENDED => Note::Ended { at: Samples(number(payload).and_then(whole)?) },
        ACKED => Note::Acked { seq: number(payload).and_then(whole)? },
        CLOSED => payload.is_empty().then_some(Note::Closed)?,
        AUDIO => {
            let (start, audio) = number(payload)?;
            return audio.len().is_multiple_of(2).then_some(Content::Audio(Samples(start), audio));
        }
        _ => return None,
    }))
}

fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (i64::from_le_bytes(*number), rest))
}

/// Whether this byte is the kind of a record that we write.
pub(super) fn is_kind(byte: u8) -> bool {
    matches!(byte, OPEN..=CLOSED | AUDIO)
}
