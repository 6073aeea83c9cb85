//! The write-ahead log of streaming recognition: what a client has said is in here before anything is done with it.
//!
//! A server that is killed at any moment loses nothing that was appended. Recognised text stays, so that a client that
//! comes back gets what it has not seen. This module knows nothing of recognition: configuration, messages and states
//! are bytes to it.
//!
//! # On disk
//!
//! ```text
//! <root>/                              0700
//!   speechctl.lock                     locked by the server that uses the folder, with its process id
//!   <session id>/                      0700; ids are [A-Za-z0-9_-]{1,64}, so no other name here can be one
//!     notes.wal                        0600; what was decided, in order
//!     notes.wal.new                    a shorter one in the making; of no use after a crash
//!     <20 digits>.audio.wal            0600; audio, named by the position of its first sample
//!   <session id>.gone/                 a session that is being removed
//! ```
//!
//! All these files are alike, and numbers in them little-endian:
//!
//! ```text
//! file   = "SPCWAL\0" version:u8=1 record*
//! record = length:u32 checksum:u32 kind:u8 payload[length]        checksum: CRC-32 (IEEE) over kind and payload
//!
//! notes:  1 Open    config                                         the first, and only that
//!         2 Final   seq:i64 to:i64 message_length:u32 message state
//!         3 Commit  to:i64 state
//!         4 Epoch   number:i64
//!         5 Ended   at:i64
//!         6 Acked   seq:i64
//!         7 Closed
//! audio: 16 Audio   start:i64 sample:i16*
//! ```
//!
//! A length is at most 16 MiB, so that garbage does not make us allocate. A higher version is refused, not guessed at.
//!
//! # Invariants
//!
//! - Files only grow at their end. After a failed append the file is cut back to its last good length before anything
//!   else is appended to it; where that fails too, nothing more is.
//! - Audio has no holes. A file continues where the one before it ends; a new one is begun when the current one has
//!   256 KiB, once all of it is on the disk: so a power cut tears one file only, the last.
//! - Audio files go whole, the oldest first, after the note that commits their audio is on the disk.
//! - `notes.wal` is replaced by a shorter one when most of it is forgettable: finals that the client has, commits that
//!   later ones replace.
//! - The limits are never exceeded, and nothing is overwritten to keep them. The last part of a limit is closed to
//!   audio: the note that will free audio always has room.
//!
//! # Reading
//!
//! A record that is cut short or does not match its checksum, with no good one behind it, was being written when the
//! machine stopped: it is cut off. With a good one behind it, it is damage, and so is audio that is missing; that is told
//! (`DataLoss`), and nothing on the disk is touched. What is wholly committed may be missing or damaged: it was on its
//! way out. One thing looks like damage and is none: a record that was torn by a crash and holds, as its payload, the
//! bytes of a whole record. Nobody says that by chance, and who does it on purpose breaks only a session of their own.
//!
//! After a power cut audio may end before the position that a note speaks of, within what the sync policy allows:
//! then [`Restored::next`] says from where the client must send again.

mod budget;
mod desk;
mod jobs;
mod log;
mod notes;
mod reader;
mod record;
pub(crate) mod salvage;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use budget::Limits;
pub(crate) use desk::Desk;
pub(crate) use record::Note;

use crate::{
    error::{Error, Result},
    speech::Samples,
};
use std::{fmt, time::Duration};

/// A folder beside those of sessions, for what must not be lost; no session can have its name.
pub(crate) const QUARANTINE: &str = "quarantine";

/// The name of a session. Safe as the name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(String);

impl SessionId {
    /// Takes a name that a client gave.
    ///
    /// # Errors
    /// `InvalidInput` for one that is empty, too long, or has other than plain letters, digits, `-` and `_`.
    pub(crate) fn try_new(name: &str) -> Result<Self> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_plain || name.is_empty() || name.len() > 64 || name == QUARANTINE {
            let message = format!(
                "`{}` is no session id: use 1 to 64 of A-Z a-z 0-9 - _, and not `{QUARANTINE}`",
                name.escape_debug()
            );
            return Err(Error::invalid(message).in_field("session_id"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When what was written must have reached the disk. It matters for a power cut; the death of a process loses nothing
/// that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncing {
    /// Never. A power cut may cost sessions as a whole.
    Never,
    /// Before the answer to a note that matters: all but epochs and acknowledgements.
    Finals,
    /// As `Finals`, and everything else after so long.
    Every(Duration),
    /// Before every answer.
    Always,
}

impl Default for Syncing {
    fn default() -> Self {
        Self::Every(Duration::from_secs(1))
    }
}

impl Syncing {
    /// Whether the answer to a note waits for the disk.
    fn holds_back(self, note: &Note) -> bool {
        match self {
            Self::Never => false,
            Self::Finals | Self::Every(_) => !matches!(note, Note::Epoch { .. } | Note::Acked { .. }),
            Self::Always => true,
        }
    }

    /// How often everything is synced.
    fn period(self) -> Option<Duration> {
        match self {
            // With 0 the thread would do nothing else.
            Self::Every(period) => Some(period.max(Duration::from_millis(10))),
            Self::Never | Self::Finals | Self::Always => None,
        }
    }
}

/// What the log of a session holds after a crash.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Restored {
    /// The notes, in order, without those that could be forgotten.
    pub(crate) notes: Vec<Note>,
    /// Where the audio starts. Not behind what is committed.
    pub(crate) audio_start: Samples,
    /// The audio that is there, without holes. Some of it may be committed: files go whole.
    pub(crate) audio: Vec<i16>,
    /// The position that comes next: where the audio ends, or what is committed, if that is more.
    pub(crate) next: Samples,
    /// Bytes that were being written when the machine stopped, and were cut off.
    pub(crate) torn: u64,
}

/// Sizes only: what was said is nobody's business.
impl fmt::Debug for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restored")
            .field("notes", &self.notes)
            .field("audio_start", &self.audio_start)
            .field("audio", &self.audio.len())
            .field("next", &self.next)
            .field("torn", &self.torn)
            .finish()
    }
}
