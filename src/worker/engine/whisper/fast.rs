//! Short windows in less time.
//!
//! Whisper's encoder looks at 30 s, 50 positions a second, however short the recording is. whisper.cpp can be told to look
//! at fewer (`audio_ctx`); but a model that was trained on full windows does not answer quite the same then. Over 300
//! utterances of one to three seconds, by the self-test model and a beam of 5, the tokens or times changed in 67 with no
//! margin behind the audio, in 40 with 128 positions, in 23 with 512 in all, in 7 with 1024, and still in one (greedy)
//! with 1408: no shortening alone is safe. What changed were near-ties. So the short answer counts only where the model is sure
//! of every token of it, and otherwise the window is decoded again in full: then none of the 300 changed, nor of 326 harder
//! recordings (noise, pauses, unknown words, stumps of words), at 0.55 of the time for the 300. Hard recordings gain
//! nothing, or lose the time of the short look. What other models make of it was not measured.

use super::Samples;
use whisper_rs::WhisperState;

/// Positions of the encoder for a second of audio.
const POSITIONS: usize = 50;

/// Positions behind the audio.
const MARGIN: usize = 384;

/// Fewer change more.
const LEAST: usize = 512;

/// What the encoder has.
const ALL: usize = 1500;

/// A token that is less likely than this may be another one in the full window. The threshold was chosen on the 300
/// utterances; the 326 others had no part in the choice.
const SURE: f32 = 0.6;

/// How many positions are looked at for a window of so many samples; `None` where too few would be saved.
pub(super) fn context(samples: usize) -> Option<i32> {
    let audio = (samples * POSITIONS).div_ceil(Samples::RATE as usize);
    // Multiples of 64 suit the kernels.
    let context = (audio + MARGIN).next_multiple_of(64).max(LEAST);
    (context <= ALL * 2 / 3).then(|| i32::try_from(context).unwrap_or(0))
}

/// Whether the model was sure of every token, its times and its end included. Of silence it cannot be sure: there is no
/// token to doubt, and words must not be lost for speed.
pub(super) fn is_sure(state: &WhisperState) -> bool {
    let mut tokens = 0;
    for segment in state.as_iter() {
        for token in (0..segment.n_tokens()).filter_map(|index| segment.get_token(index)) {
            if token.token_probability() < SURE {
                return false;
            }
            tokens += 1;
        }
    }
    tokens > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_follows_the_length() {
        let seconds = |seconds: usize| context(seconds * Samples::RATE as usize);
        assert_eq!(seconds(0), Some(512));
        assert_eq!(seconds(2), Some(512));
        assert_eq!(seconds(3), Some(576));
        assert_eq!(seconds(10), Some(896));
        assert_eq!((seconds(13), seconds(30)), (None, None));
    }
}
