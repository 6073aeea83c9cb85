//! Compares what is heard with what an undisturbed server says, frame by frame.

use crate::{caller::FRAME, wire::AudioFrame};
use bytes::Bytes;

/// What was heard of an utterance so far.
pub(super) struct Check<'a> {
    session: &'a str,
    reference: &'a Bytes,
    /// Bytes of sound.
    heard: usize,
    /// Of the frame that came last.
    number: i64,
    is_over: bool,
    /// Frames that are missing, or are not as the contract says.
    holes: u64,
    /// The first frame of sound that is another than it should be.
    difference: Option<usize>,
}

impl<'a> Check<'a> {
    pub(super) fn new(session: &'a str, reference: &'a Bytes) -> Self {
        Self { session, reference, heard: 0, number: 0, is_over: false, holes: 0, difference: None }
    }

    /// Frames of sound that were heard.
    pub(super) fn frames(&self) -> usize {
        self.heard / FRAME
    }

    /// Bytes of sound that were heard.
    pub(super) fn bytes(&self) -> usize {
        self.heard
    }

    /// A frame has come.
    pub(super) fn hears(&mut self, frame: &AudioFrame) {
        let length = if frame.is_final { 0 } else { FRAME };
        let is_next = !self.is_over && frame.sequence_number == self.number + 1;
        let is_ours = frame.session_id == self.session && frame.audio_data.len() == length;
        let is_usual = frame.sample_rate == 48_000 && frame.frame_duration_ms == 20;
        self.holes += u64::from(!(is_next && is_ours && is_usual));
        // A hole counts once.
        self.number = frame.sequence_number;
        self.is_over |= frame.is_final;
        let end = self.heard + frame.audio_data.len();
        if self.reference.get(self.heard..end) != Some(&frame.audio_data[..]) {
            self.difference.get_or_insert(self.heard / FRAME);
        }
        self.heard = end;
    }

    /// Frames that are missing, or are not as the contract says; where the stream has ended well, the final one is one.
    pub(super) fn holes(&self, has_ended: bool) -> u64 {
        self.holes + u64::from(has_ended && !self.is_over)
    }

    /// The first frame of sound that is another than it should be, or is missing where all should be there.
    pub(super) fn difference(&self, is_whole: bool) -> Option<usize> {
        let is_short = is_whole && self.heard != self.reference.len();
        self.difference.or_else(|| is_short.then(|| self.frames()))
    }
}
