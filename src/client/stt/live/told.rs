//! What there is to tell the user, on the user's own clock: samples at 16 kHz since the beginning of what is heard.

use crate::proto::v1;

/// Something that became known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// The server listens.
    Ready(Listening),
    /// It does so again, after it was away.
    Resumed(Listening),
    Started {
        utterance: i64,
        at: i64,
    },
    Partial(v1::Partial),
    Final(v1::Final),
    Ended {
        utterance: i64,
        at: i64,
    },
    /// Nobody has spoken up to here.
    Silence {
        at: i64,
    },
    /// Audio that could not be written down.
    Gap {
        start: i64,
        end: i64,
        reason: String,
    },
    /// The server went away, or is too busy yet, as it says.
    Away(String),
}

/// What the server says when it begins to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) session: String,
    pub(super) model: String,
    pub(super) epoch: i64,
    /// From where on audio is sent.
    pub(super) at: i64,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) reason: v1::session_done::Reason,
    pub(super) audio_end: i64,
    pub(super) finals: i64,
    pub(super) gaps: i64,
}
