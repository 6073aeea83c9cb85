//! What a session keeps in its log, beside the audio: how it was opened, and what was decided. In protobuf, so that a
//! server can read what one of another release has left. Positions are samples at 16 kHz.

use crate::{
    error::{Error, Kind, Result},
    listening::{Checkpoint, Decided, Gap},
    proto::v1,
    speech::{Samples, Segment},
};
use prost::Message;

/// How a session was opened.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Opened {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<v1::StreamingConfig>,
    /// The name of the model that was meant.
    #[prost(string, tag = "2")]
    pub(super) model: String,
    #[prost(string, tag = "3")]
    pub(super) resume_key: String,
}

/// See [`Checkpoint`].
#[derive(Clone, PartialEq, Message)]
struct StoredCheckpoint {
    #[prost(int64, tag = "1")]
    committed: i64,
    #[prost(int64, tag = "2")]
    utterances: i64,
    #[prost(int64, tag = "3")]
    finals: i64,
    #[prost(int64, tag = "4")]
    gaps: i64,
    #[prost(string, tag = "5")]
    context: String,
    #[prost(int64, tag = "6")]
    silent_since: i64,
    #[prost(bool, tag = "7")]
    has_spoken: bool,
}

/// See [`Decided`].
#[derive(Clone, PartialEq, Message)]
struct StoredDecided {
    #[prost(int64, tag = "1")]
    utterance: i64,
    #[prost(int64, tag = "2")]
    from: i64,
    #[prost(int64, tag = "3")]
    speech_end: i64,
    #[prost(int64, tag = "4")]
    to: i64,
    #[prost(int64, optional, tag = "5")]
    seq: Option<i64>,
    #[prost(message, repeated, tag = "6")]
    segments: Vec<v1::Segment>,
    #[prost(string, tag = "7")]
    language: String,
    #[prost(message, repeated, tag = "8")]
    gaps: Vec<v1::Gap>,
}

/// A checkpoint, and the utterance that led to it where there was one.
#[derive(Clone, PartialEq, Message)]
struct Step {
    #[prost(message, optional, tag = "1")]
    checkpoint: Option<StoredCheckpoint>,
    #[prost(message, optional, tag = "2")]
    decided: Option<StoredDecided>,
    /// How the session ended.
    #[prost(message, optional, tag = "3")]
    done: Option<v1::SessionDone>,
}

/// The bytes of a checkpoint, and of what was decided with it.
pub(super) fn step(checkpoint: &Checkpoint, decided: Option<&Decided>) -> Vec<u8> {
    let checkpoint = StoredCheckpoint {
        committed: checkpoint.committed.0,
        utterances: checkpoint.utterances,
        finals: checkpoint.finals,
        gaps: checkpoint.gaps,
        context: checkpoint.context.clone(),
        silent_since: checkpoint.silent_since.0,
        has_spoken: checkpoint.has_spoken,
    };
    Step { checkpoint: Some(checkpoint), decided: decided.map(StoredDecided::from), done: None }.encode_to_vec()
}

/// The same, of the last checkpoint, with how the session ended.
pub(super) fn last_step(checkpoint: &Checkpoint, done: v1::SessionDone) -> Vec<u8> {
    let step = Step { done: Some(done), ..Step::default() }.encode_to_vec();
    // Messages that follow one another are one.
    [self::step(checkpoint, None), step].concat()
}

/// How the session ended, if it had with this step.
///
/// # Errors
/// `DataLoss` where the bytes are none of ours.
pub(super) fn read_done(bytes: &[u8]) -> Result<Option<v1::SessionDone>> {
    Ok(Step::decode(bytes).map_err(unreadable)?.done)
}

/// The inverse of [`step`].
///
/// # Errors
/// `DataLoss` where the bytes are none of ours.
pub(super) fn read_step(bytes: &[u8]) -> Result<(Checkpoint, Option<Decided>)> {
    let Step { checkpoint: Some(checkpoint), decided, .. } = Step::decode(bytes).map_err(unreadable)? else {
        return Err(Error::new(Kind::DataLoss, "a session's log holds a step without a checkpoint"));
    };
    let checkpoint = Checkpoint {
        committed: Samples(checkpoint.committed),
        utterances: checkpoint.utterances,
        finals: checkpoint.finals,
        gaps: checkpoint.gaps,
        context: checkpoint.context,
        silent_since: Samples(checkpoint.silent_since),
        has_spoken: checkpoint.has_spoken,
    };
    Ok((checkpoint, decided.map(Decided::from)))
}

/// How a session was opened, of its log's first note.
///
/// # Errors
/// `DataLoss` where the bytes are none of ours.
pub(super) fn read_opened(bytes: &[u8]) -> Result<Opened> {
    Opened::decode(bytes).map_err(unreadable)
}

fn unreadable(cause: prost::DecodeError) -> Error {
    Error::new(Kind::DataLoss, "a session's log cannot be read").because(cause)
}

impl From<&Decided> for StoredDecided {
    fn from(decided: &Decided) -> Self {
        let gap = |gap: &Gap| v1::Gap {
            start: gap.start.0,
            end: gap.end.0,
            reason: gap.reason.clone(),
            utterance_id: decided.utterance,
        };
        Self {
            utterance: decided.utterance,
            from: decided.from.0,
            speech_end: decided.speech_end.0,
            to: decided.to.0,
            seq: decided.seq,
            segments: decided.segments.iter().map(v1::Segment::from).collect(),
            language: decided.language.clone(),
            gaps: decided.gaps.iter().map(gap).collect(),
        }
    }
}

impl From<StoredDecided> for Decided {
    fn from(stored: StoredDecided) -> Self {
        let gap = |gap: v1::Gap| Gap {
            start: Samples(gap.start),
            end: Samples(gap.end),
            reason: gap.reason,
            audio: Vec::new(),
        };
        Self {
            utterance: stored.utterance,
            from: Samples(stored.from),
            speech_end: Samples(stored.speech_end),
            to: Samples(stored.to),
            seq: stored.seq,
            segments: stored.segments.into_iter().map(Segment::from).collect(),
            language: stored.language,
            gaps: stored.gaps.into_iter().map(gap).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_survives_the_log() {
        let gap = Gap { start: Samples(1), end: Samples(2), reason: "SIGABRT".to_owned(), audio: Vec::new() };
        let segment = Segment { end: Samples(9), text: "turn on".to_owned(), confidence: 0.5, ..Segment::default() };
        let decided = Decided {
            utterance: 3,
            from: Samples(100),
            speech_end: Samples(200),
            to: Samples(300),
            seq: Some(2),
            segments: vec![segment],
            language: "en".to_owned(),
            gaps: vec![gap],
        };
        let checkpoint = Checkpoint {
            committed: Samples(300),
            utterances: 3,
            finals: 2,
            gaps: 1,
            context: "turn on".to_owned(),
            silent_since: Samples(200),
            has_spoken: true,
        };
        let bytes = step(&checkpoint, Some(&decided));
        assert_eq!(read_step(&bytes).expect("it is one"), (checkpoint.clone(), Some(decided)));
        assert_eq!(read_step(&step(&checkpoint, None)).expect("it is one"), (checkpoint, None));
        assert_eq!(read_step(b"\xff\xff").expect_err("garbage").kind(), Kind::DataLoss);
        assert_eq!(read_step(b"").expect_err("nothing").kind(), Kind::DataLoss);
    }
}
