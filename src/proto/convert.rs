//! Between the messages of the wire and our own words. What a worker says is checked here.

use crate::{
    error::{Error, Kind, Result},
    proto::{stt, tts, v1},
    speech::{Gender, Samples, Segment, Voice, Word},
};

/// How far beyond its window an engine may place a segment. Whisper rounds to its frames and to its 30 s.
const SLACK: Samples = Samples(Samples::RATE as i64 / 2);

/// A transcript as a worker reports it, once it has been checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transcript {
    /// The segments in order, with times inside the window.
    pub(crate) segments: Vec<Segment>,
    /// ISO 639-1; empty where the engine does not say.
    pub(crate) language: String,
    /// How far the window is decided.
    pub(crate) decided: Samples,
}

/// Checks what a worker made of a window of `length`, and converts it.
///
/// # Errors
/// `Internal`, naming what is impossible: times that are not numbers, run backwards or lie outside the window.
pub(crate) fn transcript(reply: stt::TranscribeFileResponse, request_id: &str, length: Samples) -> Result<Transcript> {
    if !reply.request_id.is_empty() && reply.request_id != request_id {
        return Err(lie(format!("it answered request `{}` instead of `{request_id}`", reply.request_id)));
    }
    let mut segments = Vec::with_capacity(reply.segments.len());
    for segment in reply.segments {
        let text = segment.text.trim().to_owned();
        let (start, end) = span(segment.start, segment.end, length)?;
        let words = segment.words.into_iter().map(|word| checked_word(word, length)).collect::<Result<Vec<_>>>()?;
        if text.is_empty() {
            continue;
        }
        segments.push(Segment {
            start,
            end,
            text,
            confidence: confidence(segment.avg_logprob, &words),
            avg_logprob: finite(segment.avg_logprob),
            no_speech_probability: finite(segment.no_speech_prob).clamp(0.0, 1.0),
            words,
        });
    }
    let decided = if reply.decided > 0 { Samples(reply.decided.min(length.0)) } else { length };
    Ok(Transcript { segments, language: reply.language, decided })
}

/// How sure the model is of a segment: the probability of a token of average likelihood; of engines that do not tell that,
/// the mean of the words. The same whether words were asked for or not.
fn confidence(avg_logprob: f32, words: &[Word]) -> f32 {
    if words.is_empty() || finite(avg_logprob) < 0.0 {
        return finite(avg_logprob).exp().clamp(0.0, 1.0);
    }
    words.iter().map(|word| word.probability).sum::<f32>() / words.len() as f32
}

fn checked_word(word: stt::Word, length: Samples) -> Result<Word> {
    let (start, end) = span(word.start, word.end, length)?;
    Ok(Word { start, end, text: word.word.trim().to_owned(), probability: finite(word.probability).clamp(0.0, 1.0) })
}

/// A span in seconds as positions, cut to the window.
fn span(start: f32, end: f32, length: Samples) -> Result<(Samples, Samples)> {
    if !start.is_finite() || !end.is_finite() || start < 0.0 || end < start {
        return Err(lie(format!("it placed words from {start} s to {end} s")));
    }
    let (start, end) = (Samples::from_seconds(start.into()), Samples::from_seconds(end.into()));
    // Whisper always sees 30 s, padded with silence, and may end a segment anywhere in it.
    let limit = length.max(Samples::from_seconds(30.0)) + SLACK;
    if start > limit || end > limit {
        return Err(lie(format!("it placed words at {:.1} s of {:.1} s", end.seconds(), length.seconds())));
    }
    Ok((start.min(length), end.min(length)))
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// An answer that cannot be true.
fn lie(what: String) -> Error {
    Error::new(Kind::Internal, format!("the engine's answer makes no sense: {what}"))
}

/// Chained to a worker's reply: our segments in its words, seconds from the start of the window.
pub(crate) fn worker_segment((id, segment): (usize, &Segment)) -> stt::Segment {
    stt::Segment {
        id: i32::try_from(id).unwrap_or(i32::MAX),
        start: segment.start.seconds() as f32,
        end: segment.end.seconds() as f32,
        text: segment.text.clone(),
        avg_logprob: segment.avg_logprob,
        no_speech_prob: segment.no_speech_probability,
        compression_ratio: 0.0,
        words: segment.words.iter().map(worker_word).collect(),
    }
}

/// One word in a worker's reply.
pub(crate) fn worker_word(word: &Word) -> stt::Word {
    stt::Word {
        word: word.text.clone(),
        start: word.start.seconds() as f32,
        end: word.end.seconds() as f32,
        probability: word.probability,
    }
}

impl From<&Segment> for v1::Segment {
    fn from(segment: &Segment) -> Self {
        v1::Segment {
            start: segment.start.0,
            end: segment.end.0,
            text: segment.text.clone(),
            confidence: segment.confidence,
            avg_logprob: segment.avg_logprob,
            no_speech_probability: segment.no_speech_probability,
            words: segment.words.iter().map(v1::Word::from).collect(),
        }
    }
}

impl From<&Word> for v1::Word {
    fn from(word: &Word) -> Self {
        v1::Word { start: word.start.0, end: word.end.0, text: word.text.clone(), probability: word.probability }
    }
}

impl From<v1::Segment> for Segment {
    fn from(segment: v1::Segment) -> Self {
        Segment {
            start: Samples(segment.start),
            end: Samples(segment.end),
            text: segment.text,
            confidence: segment.confidence,
            avg_logprob: segment.avg_logprob,
            no_speech_probability: segment.no_speech_probability,
            words: segment.words.into_iter().map(Word::from).collect(),
        }
    }
}

impl From<v1::Word> for Word {
    fn from(word: v1::Word) -> Self {
        Word { start: Samples(word.start), end: Samples(word.end), text: word.text, probability: word.probability }
    }
}

impl From<tts::VoiceInfoProto> for Voice {
    fn from(voice: tts::VoiceInfoProto) -> Self {
        let languages = if voice.languages.is_empty() { vec![voice.language] } else { voice.languages };
        let gender = match voice.gender.as_str() {
            "female" => Some(Gender::Female),
            "male" => Some(Gender::Male),
            _ => None,
        };
        Voice { id: voice.voice_id, name: voice.name, languages, gender }
    }
}

impl From<Voice> for tts::VoiceInfoProto {
    fn from(voice: Voice) -> Self {
        tts::VoiceInfoProto {
            language: voice.languages.first().cloned().unwrap_or_default(),
            gender: voice.gender.map(|gender| gender.word().to_owned()).unwrap_or_default(),
            voice_id: voice.id,
            name: voice.name,
            languages: voice.languages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(start: f32, end: f32) -> stt::TranscribeFileResponse {
        let segment = stt::Segment { start, end, text: " hello ".to_owned(), avg_logprob: -0.1, ..Default::default() };
        stt::TranscribeFileResponse { segments: vec![segment], ..Default::default() }
    }

    #[test]
    fn a_good_reply_is_taken() {
        let transcript = transcript(reply(0.5, 1.5), "1", Samples(16_000)).expect("it is good");
        assert_eq!(transcript.segments[0].text, "hello");
        assert_eq!(transcript.segments[0].end, Samples(16_000), "cut to the window");
        assert_eq!(transcript.decided, Samples(16_000));
    }

    #[test]
    fn impossible_times_are_refused() {
        for (start, end) in [(f32::NAN, 1.0), (0.0, f32::INFINITY), (-1.0, 1.0), (2.0, 1.0), (0.0, 900.0)] {
            let error = transcript(reply(start, end), "1", Samples(16_000)).expect_err("it is impossible");
            assert_eq!(error.kind(), Kind::Internal);
        }
    }

    #[test]
    fn the_answer_to_another_request_is_refused() {
        let mut reply = reply(0.0, 1.0);
        reply.request_id = "7".to_owned();
        assert!(transcript(reply, "8", Samples(16_000)).is_err());
    }
}
