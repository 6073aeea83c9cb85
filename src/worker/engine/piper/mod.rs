//! Piper voices: a neural network (VITS) in an .onnx file, and beside it an .onnx.json that says what its numbers mean.
//!
//! Text becomes phonemes (`phonemes`, by espeak-ng), these become lines of numbers (`lines`), and lines become audio
//! while they are still being computed (`stream`).

mod abbreviations;
mod alphabet;
mod board;
mod compile;
mod cut;
mod fuse;
mod graph;
mod kernel;
mod limiter;
mod lines;
mod noise;
mod onnx;
mod part;
mod phonemes;
mod plan;
mod pointwise;
mod section;
mod ssml;
mod stream;
mod tape;
mod voice;
mod voicing;
mod words;

use crate::{
    error::{Error, Kind, Result},
    models::voice_config::{PhonemeType, Scales},
    sentence,
    worker::engine::{
        Cancel, Script, Setup, Sink, Synthesizer, Utterance, Voices,
        espeak::phonemes::{Clause, Clauses, Reader, Reading},
    },
};
use alphabet::Alphabet;
use lines::{Draft, Line, Pauses, Scribe};
use phonemes::Phonemizer;
use std::{
    collections::{BTreeSet, HashMap},
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use stream::{Event, Level};
use voicing::Voicing;

/// Silence between sentences, where nothing else is asked for.
const SENTENCE_PAUSE: Duration = Duration::from_millis(200);

/// Silence between the paragraphs of a document.
const PARAGRAPH_PAUSE: Duration = Duration::from_millis(500);

/// Lines that are made ready before the first is spoken, and afterwards at a time: phonemes take half a millisecond a
/// sentence, and nobody should wait for those of a book.
const FIRST_LINES: usize = 4;
const MORE_LINES: usize = 64;

/// A voice that is loaded.
pub(super) struct Piper {
    path: PathBuf,
    voice: voice::Voice,
    alphabet: Alphabet,
    /// What reads text; voices that take letters need nobody.
    reader: Option<Reader>,
    /// Phonemes that the voice does not know and that were told of.
    unknown: BTreeSet<String>,
    threads: usize,
}

/// Stands where text need not be read.
struct Nobody;

impl Clauses for Nobody {
    fn clauses(&mut self, _text: &str, _reading: Reading) -> Result<Vec<Clause>> {
        Err(Error::new(Kind::Internal, "the voice takes letters, which nobody has to read"))
    }
}

impl Piper {
    /// Loads the voice at `path`.
    ///
    /// # Errors
    /// As [`voice::Voice::load`]; `Io` where espeak-ng's data cannot be unpacked.
    pub(super) fn load(path: &Path, setup: &Setup) -> Result<Self> {
        let voice = voice::Voice::load(path)?;
        for warning in &voice.warnings {
            tracing::warn!(voice = %path.display(), "{warning}");
        }
        let config = &voice.config;
        let ids = |ids: &Vec<u32>| ids.iter().copied().map(i64::from).collect();
        let map: HashMap<String, Vec<i64>> =
            config.phoneme_ids.iter().map(|(phoneme, numbers)| (phoneme.clone(), ids(numbers))).collect();
        let clusters: Vec<String> = config.vowel_clusters.iter().map(|cluster| cluster.concat()).collect();
        let symbols = config.phoneme_ids.values().flatten().max().map_or(0, |last| *last as usize + 1);
        let alphabet = Alphabet::new(map, &clusters, symbols)?;
        let reader = match config.phoneme_type {
            PhonemeType::Espeak => Some(Reader::load(&setup.cache, &config.espeak_voice)?),
            PhonemeType::Text => None,
        };
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = usize::try_from(setup.threads).unwrap_or(1).min(cores);
        Ok(Self { path: path.to_owned(), voice, alphabet, reader, unknown: BTreeSet::new(), threads })
    }

    /// What the voice is called where its path is not to be known.
    fn name(&self) -> String {
        self.path.file_stem().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// BCP 47.
    fn language(&self) -> String {
        self.voice.config.language()
    }

    /// Sees whether a request means this voice, and nothing that it cannot do.
    fn check(&self, utterance: &Utterance) -> Result<()> {
        let wanted = utterance.voice.as_str();
        let language = self.language().to_ascii_lowercase();
        let is_this = wanted.is_empty()
            || Path::new(wanted) == self.path
            || wanted == self.name()
            || wanted.eq_ignore_ascii_case(&language)
            || language.split('-').next() == Some(&wanted.to_ascii_lowercase());
        if !is_this {
            let message = format!("voice `{wanted}` does not exist here; there is `{}`", self.name());
            return Err(Error::new(Kind::NotFound, message).in_field("voice"));
        }
        if utterance.pitch != 1.0 {
            let message = "a Piper voice has the pitch that it has; leave `pitch` out, or take a voice of espeak's";
            return Err(Error::invalid(message).in_field("pitch"));
        }
        Ok(())
    }

    /// The number of a speaker, by its name or its number; `None` for the voice's default.
    fn speaker(&self, wanted: &str) -> Result<Option<u32>> {
        let config = &self.voice.config;
        if wanted.is_empty() {
            return Ok(None);
        }
        let named = config.speaker_ids.get(wanted).copied();
        let numbered = || wanted.parse().ok().filter(|number| *number < config.speakers);
        named.or_else(numbered).map(Some).ok_or_else(|| {
            let shown: String = wanted.chars().take(60).collect();
            let known = self.voice.config.speaker_names();
            let there_are = match known.len() {
                0 => "it has one only; leave `speaker` out".to_owned(),
                count => {
                    let some: Vec<&str> = known.iter().map(String::as_str).take(8).collect();
                    format!("it has {count}: {}{}", some.join(", "), if count > 8 { ", …" } else { "" })
                }
            };
            let message = format!("voice `{}` has no speaker `{shown}`; {there_are}", self.name());
            Error::new(Kind::NotFound, message).in_field("speaker")
        })
    }

    /// What is to be said, before its phonemes: drafts, each with the sentence of the script that it belongs to.
    fn drafts(&self, utterance: &Utterance) -> Result<Vec<(usize, Draft)>> {
        let language = self.language();
        let ranges = |text: &str| -> Vec<Range<usize>> {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let sentences = sentence::split(text, &language).into_iter();
            sentences.map(|sentence| place(sentence.start)..place(sentence.end)).collect()
        };
        Ok(match &utterance.script {
            Script::Text(text) => {
                let drafts = lines::of_text(text, &ranges(text), 1.0, pauses(utterance));
                drafts.into_iter().map(|draft| (0, draft)).collect()
            }
            Script::Ssml(document) => {
                let drafts = lines::of_pieces(&ssml::pieces(document)?, &ranges, pauses(utterance));
                drafts.into_iter().map(|draft| (0, draft)).collect()
            }
            Script::Sentences { sentences, .. } => {
                let mut drafts = Vec::new();
                for (number, text) in sentences.iter().enumerate() {
                    let whole = std::iter::once(0..text.len()).collect::<Vec<_>>();
                    let of_sentence = lines::of_text(text, &whole, 1.0, pauses(utterance));
                    drafts.extend(of_sentence.into_iter().map(|draft| (number, draft)));
                }
                drafts
            }
        })
    }

    /// Finds the phonemes of drafts.
    fn lines(&mut self, drafts: &[(usize, Draft)], utterance: &Utterance) -> Result<Vec<Line>> {
        let kind = match self.voice.config.phoneme_type {
            PhonemeType::Espeak => phonemes::Kind::Espeak,
            PhonemeType::Text => phonemes::Kind::Text,
        };
        let mut nobody = Nobody;
        let reader: &mut dyn Clauses = match &mut self.reader {
            Some(reader) => reader,
            None => &mut nobody,
        };
        let knows_ellipsis = self.alphabet.knows('…');
        let phonemizer = Phonemizer { reader, kind, knows_ellipsis, places_words: utterance.marks };
        let pauses = pauses(utterance);
        let mut scribe = Scribe { phonemizer, alphabet: &self.alphabet, pauses, unknown: BTreeSet::new() };
        let lines = drafts.iter().map(|(_, draft)| scribe.line(draft)).collect::<Result<Vec<_>>>()?;
        let unknown = scribe.unknown;
        for phoneme in unknown {
            if self.unknown.insert(phoneme.clone()) {
                tracing::warn!(phoneme, "The voice does not know a phoneme; it is left out.");
            }
        }
        Ok(lines)
    }

    /// How a line is to be computed.
    fn scales(&self, utterance: &Utterance, rate: f32) -> Scales {
        let (own, asked) = (self.voice.config.scales, utterance.scales);
        Scales {
            noise: asked.noise.unwrap_or(own.noise),
            length: asked.length.unwrap_or(own.length) / (utterance.speed * rate),
            noise_w: asked.noise_w.unwrap_or(own.noise_w),
        }
    }
}

/// Silence between sentences.
fn between_sentences(utterance: &Utterance) -> Duration {
    utterance.silence.map_or(SENTENCE_PAUSE, Duration::from_secs_f32)
}

/// The silences of a script. Those between sentences that come one by one stand before each, which does not ask what
/// follows.
fn pauses(utterance: &Utterance) -> Pauses {
    let between = between_sentences(utterance);
    let (sentence, paragraph) = match utterance.script {
        Script::Sentences { .. } => (Duration::ZERO, Duration::ZERO),
        Script::Text(_) => (between, between),
        Script::Ssml(_) => (between, between.max(PARAGRAPH_PAUSE)),
    };
    Pauses { sentence, paragraph, wordless: SENTENCE_PAUSE }
}

impl Synthesizer for Piper {
    fn sample_rate(&self) -> u32 {
        self.voice.config.sample_rate
    }

    fn speak(&mut self, utterance: &Utterance, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        self.check(utterance)?;
        let speaker = self.speaker(&utterance.speaker)?;
        let drafts = self.drafts(utterance)?;
        let (before, last) = match &utterance.script {
            Script::Sentences { before, sentences } => (Some(*before), sentences.len().checked_sub(1)),
            Script::Text(_) | Script::Ssml(_) => (None, None),
        };
        let mut voicing = Voicing {
            sink,
            rate: self.sample_rate(),
            volume: utterance.volume,
            marks: utterance.marks,
            before,
            silence: between_sentences(utterance),
            sentence: None,
            samples: 0,
            buffer: Vec::new(),
        };
        let (mut from, mut count) = (0, FIRST_LINES);
        while let Some(some) = drafts.get(from..).filter(|rest| !rest.is_empty()) {
            let some = some.get(..count).unwrap_or(some);
            cancel.check()?;
            let lines = self.lines(some, utterance)?;
            if self.say(some, &lines, from, utterance, speaker, cancel, &mut voicing)?.is_break() {
                return cancel.check();
            }
            (from, count) = (from + some.len(), MORE_LINES);
        }
        if let Some(last) = last {
            // Sentences at the end that hold nothing to say.
            let _end = voicing.begin(last);
        }
        Ok(())
    }

    fn voices(&mut self) -> Result<Voices> {
        let voice = self.voice.config.voice(self.name());
        Ok(Voices { voices: vec![voice], variants: Vec::new() })
    }
}

impl Piper {
    /// Speaks lines, of which so many of the same script went before.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one call, which goes on from batch to batch")]
    fn say(
        &self,
        drafts: &[(usize, Draft)],
        lines: &[Line],
        from: usize,
        utterance: &Utterance,
        speaker: Option<u32>,
        cancel: &Cancel,
        voicing: &mut Voicing<'_, '_>,
    ) -> Result<ControlFlow<()>> {
        let place = |index: usize| match (voicing.before, drafts.get(index)) {
            (Some(before), Some((sentence, _))) => before + *sentence as u64,
            _ => (from + index) as u64,
        };
        // The network speaks only what has phonemes; the rest are silences between.
        let spoken: Vec<usize> = (0..lines.len()).filter(|index| !lines[*index].ids.is_empty()).collect();
        let made: Vec<stream::Line> = spoken
            .iter()
            .map(|&index| stream::Line {
                ids: lines[index].ids.iter().map(|id| u32::try_from(*id).unwrap_or(0)).collect(),
                scales: self.scales(utterance, lines[index].rate),
                speaker,
                seed: utterance.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(place(index)),
                silence: voicing.samples_of(lines[index].silence_after),
            })
            .collect();
        let level = if utterance.normalize { Level::Normalized } else { Level::Steady };
        let options = stream::Options { level, threads: self.threads };
        let mut next = 0;
        let mut flow = ControlFlow::Continue(());
        let mut ids = 0;
        let mut current = 0;
        let mut wordless_until = |voicing: &mut Voicing<'_, '_>, end: usize| -> ControlFlow<()> {
            while next < end {
                let (sentence, line) = (drafts.get(next).map_or(0, |draft| draft.0), &lines[next]);
                next += 1;
                voicing.begin(sentence)?;
                if line.ids.is_empty() {
                    for mark in line.marks.iter().filter(|_| utterance.marks) {
                        voicing.mark(&mark.what, voicing.samples)?;
                    }
                    voicing.silence(line.silence_after)?;
                }
            }
            ControlFlow::Continue(())
        };
        if !made.is_empty() {
            let mut hear = |event: Event<'_>| match event {
                Event::LineBegins { line, .. } => {
                    (current, ids) = (spoken.get(line).copied().unwrap_or(0), 0);
                    wordless_until(voicing, current + 1)
                }
                Event::Alignment(durations) => {
                    voicing.marks(&lines[current], ids, durations)?;
                    ids += durations.len();
                    ControlFlow::Continue(())
                }
                Event::Audio(samples) => voicing.audio(samples),
                Event::LineEnds { .. } => ControlFlow::Continue(()),
            };
            let mut heard = |event: Event<'_>| {
                // A sign of life for each piece: whoever waits for the next gives none.
                flow = if cancel.wanted() { ControlFlow::Break(()) } else { hear(event) };
                flow
            };
            stream::speak(&self.voice, &made, options, &|| cancel.is_wanted(), &mut heard)?;
        }
        if flow.is_continue() {
            flow = wordless_until(voicing, lines.len());
        }
        Ok(flow)
    }
}
