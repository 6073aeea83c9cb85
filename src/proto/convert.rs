//! Between the messages of the wire and our own words.

use crate::{
    proto::{stt, tts, v1},
    speech::{Gender, Mark, Samples, Segment, Voice, Word},
};

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
        Voice {
            id: voice.voice_id,
            name: voice.name,
            languages,
            gender,
            engine: String::new(),
            speakers: voice.speakers,
            sample_rate: u32::try_from(voice.sample_rate).unwrap_or(0),
        }
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
            speakers: voice.speakers,
            sample_rate: i32::try_from(voice.sample_rate).unwrap_or(0),
        }
    }
}

impl From<Mark> for tts::Mark {
    fn from(mark: Mark) -> Self {
        let number = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
        tts::Mark {
            kind: mark.kind.word().to_owned(),
            sample: i64::try_from(mark.sample).unwrap_or(i64::MAX),
            start: number(mark.text.start),
            end: number(mark.text.end),
            name: mark.name,
        }
    }
}
