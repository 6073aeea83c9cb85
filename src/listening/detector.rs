//! What tells speech from silence.

use crate::speech::Samples;

/// Judges audio frame by frame. The probability of a frame is a function of a bounded stretch of audio before its end,
/// so that a session can be restored from the middle of its audio.
pub(crate) trait Detector: Sized {
    /// Samples of a frame. Frames lie on a grid from the start of the session.
    const FRAME: usize;

    /// How far back from its start the audio reaches on which a frame's probability depends. A multiple of `FRAME`.
    const MEMORY: Samples;

    /// One that goes on at `position`, a multiple of `FRAME`, as if it had heard everything before. `before` ends there
    /// and holds at least `MEMORY`, or everything since the session's start.
    fn at(position: Samples, before: &[i16]) -> Self;

    /// Takes audio in pieces of any length, and adds the probability of speech, 0 to 1, of each frame that is whole now.
    fn push(&mut self, samples: &[i16], probabilities: &mut Vec<f32>);

    /// The end of the audio: the probability of the last, incomplete frame, if there is one.
    fn finish(&mut self) -> Option<f32>;
}
