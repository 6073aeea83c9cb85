//! What a lying engine does to an answer that the contract's own code has made. Only the mock lies on request; others
//! do it unasked.

use crate::{
    proto::{stt, tts},
    worker::engine::Lie,
};

/// A length that no audio has, in seconds.
const IMPOSSIBLE: f32 = 1e9;

/// An id that no request has.
const ANOTHER: &str = "another-request";

/// Tells lies in the answer to a recogniser's request.
pub(super) fn about_transcript(lies: &[Lie], reply: &mut stt::TranscribeFileResponse) {
    for lie in lies {
        match lie {
            Lie::Request => reply.request_id = ANOTHER.to_owned(),
            Lie::Length => reply.duration = IMPOSSIBLE,
            Lie::Nan => {
                reply.duration = f32::NAN;
                for segment in &mut reply.segments {
                    (segment.start, segment.end, segment.avg_logprob) = (f32::NAN, f32::NAN, f32::NAN);
                    segment.no_speech_prob = f32::NAN;
                }
                let of_segments = reply.segments.iter_mut().flat_map(|segment| &mut segment.words);
                for word in of_segments.chain(&mut reply.words) {
                    (word.start, word.end, word.probability) = (f32::NAN, f32::NAN, f32::NAN);
                }
            }
            Lie::Rate => {}
        }
    }
}

/// Tells lies in a chunk of speech, the first of which is number 0.
pub(super) fn about_speech(lies: &[Lie], number: u64, chunk: &mut tts::SynthesizeChunk) {
    for lie in lies {
        match lie {
            Lie::Request => chunk.request_id = ANOTHER.to_owned(),
            Lie::Length => chunk.duration = IMPOSSIBLE,
            Lie::Nan => chunk.duration = f32::NAN,
            Lie::Rate if number > 0 => chunk.sample_rate /= 2,
            Lie::Rate => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_stays_as_it_is() {
        let chunk = tts::SynthesizeChunk { sample_rate: 16_000, duration: 1.0, ..Default::default() };
        let mut told = chunk.clone();
        about_speech(&[], 1, &mut told);
        assert_eq!(told, chunk);
        about_speech(&[Lie::Rate], 0, &mut told);
        assert_eq!(told, chunk, "the first of its chunks is honest");
        about_speech(&[Lie::Rate], 1, &mut told);
        assert_eq!(told.sample_rate, 8_000);
    }

    #[test]
    fn numbers_become_none() {
        let segment = stt::Segment { words: vec![stt::Word::default()], ..Default::default() };
        let mut reply = stt::TranscribeFileResponse { segments: vec![segment], ..Default::default() };
        about_transcript(&[Lie::Nan, Lie::Request], &mut reply);
        assert!(reply.segments[0].start.is_nan() && reply.segments[0].words[0].probability.is_nan());
        assert_eq!(reply.request_id, ANOTHER);
    }
}
