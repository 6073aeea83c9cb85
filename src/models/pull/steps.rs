//! What the rules of pulling hear and what they answer: events and effects.

use crate::{error::Error, models::hub::Refusal};
use std::time::Duration;

/// What of an announcement the rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The whole file, bytes.
    pub(super) size: Option<u64>,
    /// Whether a part can be known to belong to the same file as another: by its digest, or by a strong ETag.
    pub(super) can_resume: bool,
}

/// What came of an effect.
#[derive(Debug)]
pub(super) enum Event {
    /// Ask the server what the file is.
    Start,
    /// Everything that is to be pulled is known; pull this one.
    Go,
    Announced(Facts),
    /// The server said no, to the question or to the request for bytes.
    Refused(Refusal),
    /// The lock is ours.
    Taken,
    /// Somebody else has the lock.
    Held,
    /// The whole file is there, and right.
    Blob,
    /// So many bytes are there.
    Partial(u64),
    /// What is there has gone into the sum.
    ReadBack,
    Room,
    NoRoom {
        has: u64,
    },
    /// Bytes will come, beginning with this one, of a file so long.
    Opened {
        start: u64,
        total: Option<u64>,
    },
    /// So many bytes have come, at least one.
    Bytes(u64),
    /// The answer is over.
    End,
    /// The connection broke, or nothing came for too long.
    Cut(Error),
    Checked(Verdict),
    /// The unfinished file is gone.
    Discarded,
    /// The file is in its place.
    Settled,
    /// Something on this side failed, or the caller gave up. Nothing of that passes by itself.
    Local(Error),
}

/// What the finished file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    /// Not what was announced.
    Wrong,
    /// What is announced, but not what this file was when it was first pulled.
    NotWhatItWas,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Effect {
    /// Ask what the file is: `Announced` or `Refused`.
    Ask,
    /// It is known what the file is; `Go` goes on.
    Known,
    /// `Taken` or `Held`.
    Lock,
    Unlock,
    /// Show how far the one is who has the lock, and look again a little later.
    Watch,
    /// Show why, and wait.
    Wait {
        pause: Duration,
        /// Whether the pause is ours to vary, so that those who failed together do not come back together.
        is_ours: bool,
        error: Error,
    },
    /// Look what is there: `Blob` or `Partial`.
    Measure,
    /// Put what is there into the sum: `ReadBack`.
    ReadBack,
    /// Whether so many bytes have room: `Room` or `NoRoom`.
    Space(u64),
    /// Request the file from this byte on: `Opened` or `Refused`.
    Get(u64),
    /// `Bytes`, `End` or `Cut`.
    Read,
    /// Write the bytes that `Read` brought behind what is there.
    Append,
    /// Empty the file, and begin the sum anew.
    Cut,
    /// Delete the unfinished file: `Discarded`.
    Discard,
    /// Hold the sum against what was announced: `Checked`.
    Check,
    /// Put the file into its place: `Settled`.
    Settle,
    Done,
    Fail(Failure),
}

/// Why there is no file.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server says no for good, or failed too often.
    Origin(Error),
    /// The server wants to be left alone for longer than anybody waits here.
    TooLong(Error, Duration),
    /// This side failed, or the caller gave up.
    Local(Error),
    NoRoom {
        wants: u64,
        has: u64,
    },
    /// The file is not as long as announced; `found` is what came, or what an answer said.
    WrongSize {
        found: u64,
    },
    WrongDigest,
    NotWhatItWas,
    /// An answer to another question than was asked.
    Odd,
    /// An event that cannot be.
    Bug,
}
