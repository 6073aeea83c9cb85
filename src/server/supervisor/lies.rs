//! What a worker answers is looked at before it is believed. What cannot be true is counted, and named.

use crate::{
    proto::{stt, tts},
    server::supervisor::death::Lie,
    speech::{Samples, Segment, Word},
};
use std::sync::atomic::{AtomicU64, Ordering};
use tonic::{Code, Status};

/// How far beyond its window an engine may place a segment. Whisper rounds to its frames and to its 30 s.
const SLACK: Samples = Samples(Samples::RATE as i64 / 2);

/// Seconds of speech that a text may have at most: for each character, and for the pauses around it. Numbers are read
/// out, emoji by their names; at normal speed nothing takes longer than this.
const LONGEST: (f64, f64) = (10.0, 60.0);

/// The same of a document of SSML, which may hold pauses of any length, in seconds.
const LONGEST_SSML: f64 = 24.0 * 3600.0;

/// The rate of audio whose worker does not tell it, where none was asked for: what most engines make.
pub(crate) const UNTOLD_RATE: i32 = 24_000;

/// How much the length that a worker states may differ from the audio that it sends, in seconds.
const TOLERANCE: f64 = 1.0;

/// The same, once all has been spoken.
const LAST_TOLERANCE: f64 = 0.1;

/// An answer that cannot be true, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caught {
    /// What is wrong with it.
    pub(super) lie: Lie,
    /// How exactly: "it said …".
    pub(super) detail: String,
}

fn caught<T>(lie: Lie, detail: String) -> Result<T, Caught> {
    Err(Caught { lie, detail })
}

/// Counts the lies of one model's workers.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; Lie::ALL.len()]);

impl Counters {
    /// One more.
    pub(super) fn count(&self, lie: Lie) {
        if let Some(counter) = Lie::ALL.iter().position(|other| *other == lie).and_then(|index| self.0.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All that were told at all.
    pub(crate) fn told(&self) -> Vec<(Lie, u64)> {
        let counts = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        Lie::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

/// A transcript as a worker reports it, once it has been looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transcript {
    /// The segments in order, with times inside the window.
    pub(crate) segments: Vec<Segment>,
    /// ISO 639-1; empty where the engine does not say.
    pub(crate) language: String,
    /// How far the window is decided.
    pub(crate) decided: Samples,
}

/// What was sent to be written down, as far as the answer is to be compared with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    /// The name of the request.
    pub(super) request_id: &'a str,
    /// The length of the audio.
    pub(super) length: Samples,
    /// Whether the audio is digital silence.
    pub(super) is_silent: bool,
    /// Whether the recording goes on behind it.
    pub(super) more_follows: bool,
}

/// Looks at what a worker made of a window. Words in digital silence are dropped: what is true is known there.
///
/// # Errors
/// The lie.
pub(super) fn transcript(
    reply: stt::TranscribeFileResponse,
    window: Window<'_>,
    counters: &Counters,
) -> Result<Transcript, Caught> {
    let length = window.length;
    same_request(&reply.request_id, window.request_id)?;
    number(reply.duration, "its duration")?;
    if reply.duration > 0.0 && (f64::from(reply.duration) - length.seconds()).abs() > TOLERANCE {
        return caught(Lie::Length, format!("it read {:.1} s of {:.1} s of audio", reply.duration, length.seconds()));
    }
    let mut segments = Vec::with_capacity(reply.segments.len());
    for segment in reply.segments {
        let text = segment.text.trim().to_owned();
        let (start, end) = span(segment.start, segment.end, length)?;
        number(segment.avg_logprob, "a probability")?;
        number(segment.no_speech_prob, "a probability")?;
        let words = segment.words.into_iter().map(|word| checked_word(word, length)).collect::<Result<Vec<_>, _>>()?;
        if text.is_empty() {
            continue;
        }
        let confidence = confidence(segment.avg_logprob, &words);
        segments.push(Segment {
            start,
            end,
            text,
            confidence,
            avg_logprob: segment.avg_logprob,
            no_speech_probability: segment.no_speech_prob.clamp(0.0, 1.0),
            words,
        });
    }
    if segments.is_empty() && !reply.text.trim().is_empty() {
        // Workers of the original contract may give the text alone.
        let text = reply.text.trim().to_owned();
        segments.push(Segment { end: length, text, ..Segment::default() });
    }
    if window.is_silent && !segments.is_empty() {
        tracing::debug!(words = segments.len(), "Words in digital silence were dropped.");
        counters.count(Lie::Silence);
        segments.clear();
    }
    let decided = match (reply.decided, segments.last()) {
        (1.., _) => Samples(reply.decided.min(length.0)),
        // Workers of the original contract do not say how far they are sure: as far as they wrote something down.
        (_, Some(last)) if window.more_follows => last.end,
        _ => length,
    };
    Ok(Transcript { segments, language: reply.language, decided })
}

/// How sure the model is of a segment: the probability of a token of average likelihood; of engines that do not tell
/// that, the mean of the words. The same whether words were asked for or not.
fn confidence(avg_logprob: f32, words: &[Word]) -> f32 {
    if words.is_empty() || avg_logprob < 0.0 {
        return avg_logprob.exp().clamp(0.0, 1.0);
    }
    words.iter().map(|word| word.probability).sum::<f32>() / words.len() as f32
}

fn checked_word(word: stt::Word, length: Samples) -> Result<Word, Caught> {
    let (start, end) = span(word.start, word.end, length)?;
    number(word.probability, "a probability")?;
    Ok(Word { start, end, text: word.word.trim().to_owned(), probability: word.probability.clamp(0.0, 1.0) })
}

/// A span in seconds as positions, cut to the window.
fn span(start: f32, end: f32, length: Samples) -> Result<(Samples, Samples), Caught> {
    number(start, "a time")?;
    number(end, "a time")?;
    if start < 0.0 || end < start {
        return caught(Lie::Length, format!("it placed words from {start} s to {end} s"));
    }
    let (start, end) = (Samples::from_seconds(start.into()), Samples::from_seconds(end.into()));
    // Whisper always sees 30 s, padded with silence, and may end a segment anywhere in it.
    let limit = length.max(Samples::from_seconds(30.0)) + SLACK;
    if start > limit || end > limit {
        let detail = format!("it placed words at {:.1} s of {:.1} s", end.seconds(), length.seconds());
        return caught(Lie::Length, detail);
    }
    Ok((start.min(length), end.min(length)))
}

fn number(value: f32, what: &str) -> Result<(), Caught> {
    if value.is_finite() { Ok(()) } else { caught(Lie::NotANumber, format!("{what} is {value}")) }
}

fn same_request(answered: &str, asked: &str) -> Result<(), Caught> {
    if answered.is_empty() || answered == asked {
        return Ok(());
    }
    caught(Lie::OtherRequest, format!("it answered request `{answered}` instead of `{asked}`"))
}

/// Listens to what a worker says of a text.
#[derive(Debug)]
pub(super) struct Ear {
    request_id: String,
    wanted_rate: i32,
    rate: i32,
    samples: u64,
    /// The longest that it may be, seconds.
    longest: f64,
    /// Whether there must be something to hear.
    is_speakable: bool,
}

impl Ear {
    /// For the answer to this request.
    pub(super) fn new(request: &tts::SynthesizeRequest) -> Self {
        let speed = if request.speed > 0.0 { f64::from(request.speed) } else { 1.0 };
        let (per_character, around) = LONGEST;
        let texts = || request.sentences.iter().chain([&request.text]);
        let characters = texts().map(|text| text.chars().count()).sum::<usize>() as f64;
        let silences = request.sentences.len() as f64 * f64::from(request.sentence_silence.unwrap_or(1.0));
        let slowness = f64::from(request.length_scale.unwrap_or(1.0)).max(1.0) / speed;
        let longest = (characters * per_character + around) * slowness + silences;
        // A document of SSML may hold pauses of any length, and nothing but pauses.
        let is_speakable = !request.ssml && texts().any(|text| text.bytes().any(|byte| byte.is_ascii_alphanumeric()));
        Self {
            request_id: request.request_id.clone(),
            wanted_rate: request.sample_rate,
            rate: 0,
            samples: 0,
            longest: if request.ssml { LONGEST_SSML } else { longest },
            is_speakable,
        }
    }

    /// Looks at the next chunk.
    ///
    /// # Errors
    /// The lie.
    pub(super) fn hear(&mut self, chunk: &tts::SynthesizeChunk) -> Result<(), Caught> {
        same_request(&chunk.request_id, &self.request_id)?;
        number(chunk.duration, "its duration")?;
        if !chunk.audio_data.len().is_multiple_of(2) {
            return caught(Lie::Length, "it sent half a sample".to_owned());
        }
        if !matches!(chunk.codec.as_str(), "" | "pcm" | "pcm16" | "pcm_s16le") {
            return caught(Lie::SampleRate, format!("it sent `{}` where samples were asked for", chunk.codec));
        }
        self.check_rate(chunk.sample_rate)?;
        self.samples += chunk.audio_data.len() as u64 / 2;
        if chunk.is_last && self.samples == 0 && self.is_speakable {
            return caught(Lie::Empty, "it said that all was spoken, and had sent no audio".to_owned());
        }
        let rate = [self.rate, self.wanted_rate].into_iter().find(|rate| *rate > 0).unwrap_or(UNTOLD_RATE);
        let seconds = self.samples as f64 / f64::from(rate);
        if seconds > self.longest {
            return caught(Lie::Length, format!("it spoke for {seconds:.0} s, and had not ended"));
        }
        // It may be a chunk behind, or ahead, of what it counts; not in the end, though, nor by another rate.
        let stated = f64::from(chunk.duration);
        let tolerance = if chunk.is_last { LAST_TOLERANCE } else { TOLERANCE };
        if stated > 0.0 && (stated - seconds).abs() > tolerance + seconds / 10.0 {
            // Samples enough for another time are samples at another rate.
            let lie = if stated > self.longest { Lie::Length } else { Lie::SampleRate };
            let detail = format!("it spoke of {stated:.1} s and sent {seconds:.1} s at the rate of {rate} Hz");
            return caught(lie, detail);
        }
        Ok(())
    }

    fn check_rate(&mut self, rate: i32) -> Result<(), Caught> {
        if rate == 0 {
            return Ok(());
        }
        if self.wanted_rate > 0 && rate != self.wanted_rate {
            return caught(Lie::SampleRate, format!("it spoke at {rate} Hz instead of {} Hz", self.wanted_rate));
        }
        if !(4_000..=768_000).contains(&rate) {
            return caught(Lie::SampleRate, format!("it spoke at {rate} Hz"));
        }
        if self.rate > 0 && rate != self.rate {
            return caught(Lie::SampleRate, format!("its rate went from {} Hz to {rate} Hz", self.rate));
        }
        self.rate = rate;
        Ok(())
    }
}

/// Whether a call failed because what came could not be read, and what was wrong with it.
pub(super) fn unreadable(status: &Status) -> Option<Result<Caught, String>> {
    // tonic makes such a status itself, and marks it by its words alone.
    if status.code() != Code::Internal || !status.message().starts_with("failed to decode Protobuf message") {
        return None;
    }
    if status.message().contains("UTF-8") {
        return Some(Ok(Caught { lie: Lie::NotText, detail: "it sent text that is not UTF-8".to_owned() }));
    }
    Some(Err(status.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(start: f32, end: f32) -> stt::TranscribeFileResponse {
        let segment = stt::Segment { start, end, text: " hello ".to_owned(), avg_logprob: -0.1, ..Default::default() };
        stt::TranscribeFileResponse { segments: vec![segment], ..Default::default() }
    }

    fn judge(reply: stt::TranscribeFileResponse, is_silent: bool) -> Result<Transcript, Lie> {
        let window = Window { request_id: "1", length: Samples(16_000), is_silent, more_follows: false };
        transcript(reply, window, &Counters::default()).map_err(|caught| caught.lie)
    }

    #[test]
    fn a_good_reply_is_taken() {
        let transcript = judge(reply(0.5, 1.5), false).expect("it is good");
        assert_eq!(transcript.segments[0].text, "hello");
        assert_eq!(transcript.segments[0].end, Samples(16_000), "cut to the window");
        assert_eq!(transcript.decided, Samples(16_000));
    }

    #[test]
    fn impossible_answers_are_named() {
        assert_eq!(judge(reply(f32::NAN, 1.0), false), Err(Lie::NotANumber));
        assert_eq!(judge(reply(0.0, f32::INFINITY), false), Err(Lie::NotANumber));
        for (start, end) in [(-1.0, 1.0), (2.0, 1.0), (0.0, 900.0)] {
            assert_eq!(judge(reply(start, end), false), Err(Lie::Length));
        }
        let of = |change: fn(&mut stt::TranscribeFileResponse)| {
            let mut reply = reply(0.0, 1.0);
            change(&mut reply);
            judge(reply, false)
        };
        assert_eq!(of(|reply| reply.request_id = "7".to_owned()), Err(Lie::OtherRequest));
        assert_eq!(of(|reply| reply.duration = 30.0), Err(Lie::Length));
        assert_eq!(of(|reply| reply.segments[0].no_speech_prob = f32::NAN), Err(Lie::NotANumber));
    }

    #[test]
    fn words_in_digital_silence_are_dropped_and_counted() {
        let counters = Counters::default();
        let window = Window { request_id: "1", length: Samples(16_000), is_silent: true, more_follows: false };
        let transcript = transcript(reply(0.0, 1.0), window, &counters).expect("the rest is good");
        assert!(transcript.segments.is_empty());
        assert_eq!(counters.told(), [(Lie::Silence, 1)]);
    }

    #[test]
    fn without_a_word_on_it_the_last_segment_decides() {
        let mut window = Window { request_id: "1", length: Samples(32_000), is_silent: false, more_follows: true };
        let judge = |reply, window| transcript(reply, window, &Counters::default()).expect("it is good").decided;
        assert_eq!(judge(reply(0.0, 1.5), window), Samples(24_000));
        let told = stt::TranscribeFileResponse { decided: 5, ..reply(0.0, 1.5) };
        assert_eq!(judge(told, window), Samples(5));
        window.more_follows = false;
        assert_eq!(judge(reply(0.0, 1.5), window), Samples(32_000));
    }

    #[test]
    fn text_without_segments_is_taken() {
        let reply = stt::TranscribeFileResponse { text: "hello".to_owned(), ..Default::default() };
        assert_eq!(judge(reply, false).expect("it is good").segments[0].text, "hello");
    }

    fn speak(chunks: &[tts::SynthesizeChunk]) -> Result<(), Lie> {
        let request =
            tts::SynthesizeRequest { text: "hi".to_owned(), request_id: "1".to_owned(), ..Default::default() };
        let mut ear = Ear::new(&request);
        chunks.iter().try_for_each(|chunk| ear.hear(chunk)).map_err(|caught| caught.lie)
    }

    fn chunk(samples: usize, sample_rate: i32, duration: f32, is_last: bool) -> tts::SynthesizeChunk {
        let audio_data = vec![0; samples * 2].into();
        tts::SynthesizeChunk { audio_data, sample_rate, duration, is_last, ..Default::default() }
    }

    #[test]
    fn impossible_speech_is_named() {
        assert_eq!(speak(&[chunk(8_000, 8_000, 1.0, false), chunk(0, 8_000, 1.0, true)]), Ok(()));
        assert_eq!(speak(&[chunk(0, 8_000, 0.0, true)]), Err(Lie::Empty));
        assert_eq!(speak(&[chunk(9, 8_000, 0.0, false), chunk(9, 16_000, 0.0, false)]), Err(Lie::SampleRate));
        assert_eq!(speak(&[chunk(9, 1, 0.0, false)]), Err(Lie::SampleRate));
        assert_eq!(speak(&[chunk(800_000, 8_000, 0.0, false)]), Err(Lie::Length));
        assert_eq!(speak(&[chunk(8_000, 8_000, 1e9, false)]), Err(Lie::Length));
        assert_eq!(speak(&[chunk(8_000, 8_000, 0.5, true)]), Err(Lie::SampleRate));
        assert_eq!(speak(&[chunk(9, 8_000, f32::NAN, false)]), Err(Lie::NotANumber));
    }
}
