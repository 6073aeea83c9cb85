//! No model at all: deterministic, and faulty on request. It stands in where an engine's faults are the subject.
//!
//! `mock:FAULT[@SECONDS][,FAULT…]`. Its transcript is one segment for each second of audio, `<first sample>:<CRC-32 of
//! the samples>`, so that a test sees which samples arrived, and in which order.
//!
//! In a call, with a time once the work reaches that second of audio, without one at once:
//! - `crash` aborts, `exit` ends the process with status 0, `hang` does nothing any more;
//! - `slow` takes as long as the audio lasts, whatever its time says;
//! - `leak` takes memory until the process dies, and wants a worker with `--memory`;
//! - `flood-stderr` writes 100 MB to stderr, `stdout` 1 MB to stdout while loading and a line with each call;
//! - `fail` fails each call and goes on, `fail-after@N` each after `N` good ones; all the while it says that it is well.
//!
//! While loading:
//! - `load-crash`, `load-exit`, `load-hang` as above; the last never becomes ready;
//! - `load-slow@SECONDS` takes so long, and tells its progress;
//! - `unloadable`, alone, is a model that is refused.
//!
//! Afterwards: `ignore-term` outlives SIGTERM, and the end of its connection by a minute.
//!
//! What it answers:
//! - `garbage` adds a segment with times that cannot be;
//! - `lie-empty` ends well and gave nothing;
//! - `lie-rate` changes the rate of its audio in mid-stream;
//! - `lie-long` tells of 1e9 s of audio, and speaks for ten minutes whatever the text;
//! - `lie-nan` tells times, lengths and probabilities that are no numbers;
//! - `lie-silence` hears "you" where all samples are zero;
//! - `lie-request` answers another request.

mod fault;

use crate::{
    error::{Error, Result},
    speech::{Gender, Mark, MarkKind, Samples, Segment, Voice, Word},
    worker::{
        engine::{
            Cancel, Decoded, Hint, Lie, Manners, Recognizer, Script, Sink, Spoken, Synthesizer, Utterance, Voices,
        },
        progress::Progress,
    },
};
use fault::{Fault, Faults};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Samples of a second, the unit of its transcript.
const SECOND: usize = Samples::RATE as usize;

/// What a character of text sounds like: so many samples of a ramp.
const CHARACTER: usize = SECOND / 50;

/// How long `lie-long` speaks.
const LONG: usize = 600;

/// The mock with its faults. Clones of it are one engine, which counts its calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Mock {
    faults: Faults,
    calls: Arc<AtomicU64>,
}

/// What the faults are beyond the reach of an engine's own code.
pub(super) fn manners(faults: &str) -> Manners {
    // What cannot be read is told when it is loaded.
    let faults = Faults::parse(faults).unwrap_or_default();
    let lies = [
        (Fault::LieRate, Lie::Rate),
        (Fault::LieLong, Lie::Length),
        (Fault::LieNan, Lie::Nan),
        (Fault::LieRequest, Lie::Request),
    ];
    Manners {
        lies: lies.into_iter().filter(|(fault, _)| faults.has(*fault)).map(|(_, lie)| lie).collect(),
        ignores_term: faults.has(Fault::IgnoreTerm),
    }
}

impl Mock {
    /// Reads the faults, and lets those happen that belong to loading.
    ///
    /// # Errors
    /// `InvalidInput` for one that does not exist.
    pub(super) fn load(faults: &str, progress: &Progress) -> Result<Self> {
        if faults == "unloadable" {
            return Err(Error::invalid("model `mock:unloadable` is damaged or cut short; get it again"));
        }
        let faults = Faults::parse(faults)?;
        faults.strike_at_load(progress);
        Ok(Self { faults, calls: Arc::default() })
    }

    /// Begins a call.
    fn call(&self) -> Result<()> {
        self.faults.strike_at_call(self.calls.fetch_add(1, Ordering::Relaxed))
    }
}

fn at(samples: usize) -> Duration {
    Duration::from_secs_f64(samples as f64 / SECOND as f64)
}

impl Recognizer for Mock {
    fn decode(&mut self, window: &[f32], hint: &Hint, cancel: &Cancel) -> Result<Decoded> {
        if !["", "auto", "en"].contains(&hint.language.as_str()) {
            let message = format!("language `{}`: model `mock` understands English only", hint.language);
            return Err(Error::invalid(message).in_field("config.language"));
        }
        self.call()?;
        // With more to follow, only whole seconds are certain.
        let decided = if hint.more_follows { window.len() / SECOND * SECOND } else { window.len() };
        let mut segments = Vec::new();
        let mut start = 0;
        for second in window.get(..decided).unwrap_or_default().chunks(SECOND) {
            cancel.check()?;
            self.faults.strike_at_samples(second);
            self.faults.strike(at(start), at(start + second.len()), cancel)?;
            segments.push(segment(second, start, hint.words));
            start += second.len();
        }
        if self.faults.has(Fault::LieEmpty) {
            segments.clear();
        }
        if self.faults.has(Fault::LieSilence) && window.iter().all(|sample| *sample == 0.0) {
            segments = vec![spoken("you", 0, window.len(), hint.words)];
        }
        if self.faults.has(Fault::Garbage) {
            segments.push(Segment {
                start: Samples(-5),
                end: Samples(i64::MAX),
                text: "garbage".into(),
                ..Segment::default()
            });
        }
        Ok(Decoded { segments, language: "en".to_owned(), decided: Samples(decided as i64) })
    }
}

fn segment(samples: &[f32], start: usize, with_words: bool) -> Segment {
    let pcm: Vec<u8> = samples.iter().flat_map(|sample| ((sample * 32768.0) as i16).to_le_bytes()).collect();
    let first = pcm.first_chunk().map_or(0, |bytes| i16::from_le_bytes(*bytes));
    spoken(&format!("{first}:{:08x}", crc32fast::hash(&pcm)), start, samples.len(), with_words)
}

/// A segment of one word.
fn spoken(text: &str, start: usize, length: usize, with_words: bool) -> Segment {
    let text = text.to_owned();
    let (start, end) = (Samples(start as i64), Samples((start + length) as i64));
    let words = if with_words { vec![Word { start, end, text: text.clone(), probability: 1.0 }] } else { Vec::new() };
    Segment { start, end, text, confidence: 1.0, avg_logprob: 0.0, no_speech_probability: 0.0, words }
}

impl Synthesizer for Mock {
    fn sample_rate(&self) -> u32 {
        Samples::RATE
    }

    fn speak(&mut self, utterance: &Utterance, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        self.call()?;
        let mut made = 0;
        let (parts, before) = match &utterance.script {
            Script::Text(text) | Script::Ssml(text) => (std::slice::from_ref(text), None),
            Script::Sentences { sentences, before } => (sentences.as_slice(), Some(*before)),
        };
        for (number, part) in parts.iter().enumerate() {
            let place = before.map(|before| before + number as u64);
            if place.is_some() && sink(Spoken::Sentence(number)).is_break() {
                return Ok(());
            }
            if self.say(part, place.unwrap_or(0), utterance, &mut made, cancel, sink)?.is_break() {
                return Ok(());
            }
        }
        if self.faults.has(Fault::LieLong) {
            let second = vec![1; SECOND];
            for _ in 0..LONG {
                cancel.check()?;
                if let ControlFlow::Break(()) = sink(Spoken::Audio(&second)) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn voices(&mut self) -> Result<Voices> {
        let voice = Voice {
            id: "mock".to_owned(),
            name: "Mock".to_owned(),
            languages: vec!["en".to_owned()],
            gender: Some(Gender::Female),
            sample_rate: Samples::RATE,
            ..Voice::default()
        };
        Ok(Voices { voices: vec![voice], variants: Vec::new() })
    }
}

impl Mock {
    /// Says a sentence: the sound tells its characters, its place in the text, and the seed.
    fn say(
        &self,
        sentence: &str,
        place: u64,
        utterance: &Utterance,
        made: &mut usize,
        cancel: &Cancel,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>> {
        let length = (CHARACTER as f32 / utterance.speed.max(0.01)) as usize;
        let accent = place.wrapping_add(utterance.seed) as i16;
        let begun = *made;
        let silence = if place > 0 { utterance.silence.unwrap_or(0.0) } else { 0.0 };
        let silence = vec![0; (silence * SECOND as f32) as usize];
        *made += silence.len();
        if !silence.is_empty() && sink(Spoken::Audio(&silence)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let begins = |kind, sample: usize, text| Mark { kind, sample: sample as u64, text, name: String::new() };
        let whole = begins(MarkKind::Sentence, silence.len(), 0..sentence.len());
        if utterance.marks && sink(Spoken::Mark(whole)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let mut is_space = true;
        for (index, character) in sentence.char_indices() {
            cancel.check()?;
            self.faults.strike(at(*made), at(*made + length), cancel)?;
            if utterance.marks && is_space && !character.is_whitespace() {
                let rest = sentence.get(index..).unwrap_or_default();
                let word = rest.split_whitespace().next().unwrap_or_default();
                let mark = begins(MarkKind::Word, *made - begun, index..index + word.len());
                if sink(Spoken::Mark(mark)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            is_space = character.is_whitespace();
            let ramp = (0..length).map(|n| ((n as u32).wrapping_mul(character as u32) as i16 / 4).wrapping_add(accent));
            let audio: Vec<i16> = ramp.collect();
            *made += length;
            if !self.faults.has(Fault::LieEmpty) && sink(Spoken::Audio(&audio)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mock(faults: &str) -> Mock {
        Mock::load(faults, &Progress::default()).expect("they exist")
    }

    #[test]
    fn the_transcript_tells_the_samples() {
        let mut window = vec![0.0; SECOND + 10];
        window[SECOND] = 5.0 / 32768.0;
        let hint = Hint::default();
        let decoded = mock("").decode(&window, &hint, &Cancel::default()).expect("it is calm");
        assert_eq!(decoded.segments.len(), 2);
        assert!(decoded.segments[1].text.starts_with("5:"), "{}", decoded.segments[1].text);
        let more = Hint { more_follows: true, ..hint };
        let decoded = mock("").decode(&window, &more, &Cancel::default()).expect("it is calm");
        assert_eq!(decoded.decided, Samples(SECOND as i64));
    }

    #[test]
    fn lies_of_a_recogniser() {
        let (hint, silence) = (Hint::default(), vec![0.0; SECOND]);
        let decode = |faults: &str, window: &[f32]| {
            mock(faults).decode(window, &hint, &Cancel::default()).expect("it is calm").segments
        };
        assert!(decode("lie-empty", &silence).is_empty());
        assert_eq!(decode("lie-silence", &silence)[0].text, "you");
        assert_ne!(decode("lie-silence", &[0.5; 100])[0].text, "you");
    }

    #[test]
    fn both_halves_count_calls_together() {
        let mut recogniser = mock("fail-after@1");
        let mut synthesiser = recogniser.clone();
        let mut sink = |_: Spoken<'_>| ControlFlow::Continue(());
        assert!(synthesiser.speak(&Utterance::default(), &Cancel::default(), &mut sink).is_ok());
        assert!(recogniser.decode(&[], &Hint::default(), &Cancel::default()).is_err());
    }

    #[test]
    fn manners_are_good_without_faults() {
        assert_eq!(manners("crash@1,slow"), Manners::default());
        let bad = manners("lie-nan,ignore-term,lie-request");
        assert!(bad.ignores_term && bad.lies == [Lie::Nan, Lie::Request], "{bad:?}");
    }
}
