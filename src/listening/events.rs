//! What happens to a session, and what is to be done about it.

use super::{closing::Gap, endpoint::TimedOut};
use crate::speech::{Samples, Segment};

/// What happens to a session.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// More audio, 16 kHz mono.
    Audio(Vec<i16>),
    /// No more will come.
    EndOfAudio,
    /// Somebody wants to know when all audio before a position has been decided.
    Marker { id: String, at: Samples },
    /// A decode is done. Times count from the start of its window.
    Decoded { job: u64, segments: Vec<Segment>, language: String },
    /// A decode's engine is lost; by the audio's own doing, where a cause is told.
    Lost { job: u64, own_doing: Option<String> },
    /// There is no room for this partial.
    Declined { job: u64 },
}

/// What a decode is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To show what is understood so far. Not needed.
    Partial,
    /// To decide.
    Final,
}

/// A window that is to be decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decode {
    /// The number of the work. A repeat has a new one.
    pub(crate) job: u64,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Its audio.
    pub(crate) from: Samples,
    /// The end of its audio.
    pub(crate) to: Samples,
    /// Silence to put behind it, in samples.
    pub(crate) silence: usize,
    /// What was said before.
    pub(crate) context: String,
}

/// An utterance that is decided, for ever.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decided {
    /// Its number.
    pub(crate) utterance: i64,
    /// Its audio.
    pub(crate) from: Samples,
    /// Where speech ends in it.
    pub(crate) speech_end: Samples,
    /// The end of its audio.
    pub(crate) to: Samples,
    /// The number of the final; `None` where nothing was said.
    pub(crate) seq: Option<i64>,
    /// What was said.
    pub(crate) segments: Vec<Segment>,
    /// ISO 639-1.
    pub(crate) language: String,
    /// What could not be written down.
    pub(crate) gaps: Vec<Gap>,
}

/// All that a session has to know of audio that is gone, to go on behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Checkpoint {
    /// Up to here the audio is decided.
    pub(crate) committed: Samples,
    /// Utterances so far.
    pub(crate) utterances: i64,
    /// Finals so far.
    pub(crate) finals: i64,
    /// Gaps so far.
    pub(crate) gaps: i64,
    /// What was said last.
    pub(crate) context: String,
    /// The end of the last speech.
    pub(crate) silent_since: Samples,
    /// Whether anybody has spoken at all.
    pub(crate) has_spoken: bool,
}

/// What is to be done. In this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Have a window decoded, and tell what came of it.
    Decode(Decode),
    /// Nobody needs this work any more.
    Cancel { job: u64 },
    /// Tell that somebody has begun to speak.
    Started { utterance: i64, at: Samples },
    /// Tell what is understood so far.
    Partial { utterance: i64, from: Samples, to: Samples, segments: Vec<Segment>, text: String, confirmed: usize },
    /// Log it, tell it, and let go of the audio.
    Decided { decided: Box<Decided>, checkpoint: Box<Checkpoint> },
    /// Log that nobody has spoken, tell it, and let go of the audio.
    Quiet { checkpoint: Box<Checkpoint> },
    /// Partials before it are void.
    Epoch(i64),
    /// Tell that all audio before the marker is decided.
    Marker(String),
    /// Everything is decided.
    Done { timed_out: Option<TimedOut> },
}

/// What is left of a session that somebody restores.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// The last checkpoint.
    pub(crate) checkpoint: Checkpoint,
    /// The audio before it, at least as much as the detector remembers, or all.
    pub(crate) before: Vec<i16>,
    /// The epoch that ended.
    pub(crate) epoch: i64,
}
