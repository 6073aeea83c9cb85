//! espeak-ng: the voices that always work. Some 130 languages, small, fast, built in.
//!
//! espeak-ng keeps phases and counters in static variables from one text to the next, beyond the reach of its own
//! initialisation: a text sounds a little different in a process that has spoken before. So the server lets each of
//! these workers speak once (`supervisor::roster`), which makes the same text the same samples, always.

mod data;
mod ffi;
pub(super) mod phonemes;

use crate::{
    audio::stretch::Stretch,
    error::{Error, Kind, Result},
    speech::{Gender, Mark, MarkKind, Voice},
    worker::engine::{Cancel, Script, Sink, Spoken, Synthesizer, Utterance, Voices},
};
use ffi::{Library, Made, Parameters, RawVoice};
use std::{
    fs,
    ops::{ControlFlow, Range},
    path::Path,
};

/// The voice that speaks when none is named.
const DEFAULT_VOICE: &str = "en-us";

/// Words a minute at speed 1.0: `espeakRATE_NORMAL` of speak_lib.h.
const NORMAL_RATE: f32 = 175.0;

/// `espeakRATE_MINIMUM` and `espeakRATE_MAXIMUM` of speak_lib.h. espeak-ng goes no further without libsonic; what is
/// slower or faster is stretched afterwards.
const RATES: std::ops::RangeInclusive<f32> = 80.0..=450.0;

/// espeak-ng with its data.
pub(super) struct Espeak {
    library: Library,
    /// Each voice under the id that we give it.
    voices: Vec<(String, RawVoice)>,
    variants: Vec<String>,
}

impl Espeak {
    /// Unpacks the data if need be, and initialises the library.
    ///
    /// # Errors
    /// `Io` where the cache folder cannot be used.
    pub(super) fn load(cache: &Path) -> Result<Self> {
        let folder = data::unpacked(cache)?;
        let mut library = Library::initialize(&folder)?;
        let data = folder.join("espeak-ng-data");
        let voices = library.voices().into_iter().filter(|voice| has_dictionary(&data, voice)).collect();
        let voices = with_ids(voices);
        let mut variants: Vec<String> = fs::read_dir(data.join("voices/!v"))
            .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        variants.sort();
        Ok(Self { library, voices, variants })
    }

    /// What espeak-ng calls the voice that a request means.
    fn identifier(&self, wanted: &str) -> Result<String> {
        let wanted = if wanted.is_empty() { DEFAULT_VOICE } else { wanted };
        let (base, variant) = match wanted.split_once('+') {
            Some((base, variant)) => (base, Some(variant)),
            None => (wanted, None),
        };
        let base = if base.contains('_') { &base.replace('_', "-") } else { base };
        let (_, RawVoice { identifier, .. }) = self
            .voices
            .iter()
            .find(|(id, voice)| {
                id.eq_ignore_ascii_case(base)
                    || voice.name.eq_ignore_ascii_case(base)
                    || voice.identifier.eq_ignore_ascii_case(base)
            })
            .ok_or_else(|| self.no_such_voice(base))?;
        match variant {
            None => Ok(identifier.clone()),
            Some(variant) if self.variants.iter().any(|known| known == variant) => {
                Ok(format!("{identifier}+{variant}"))
            }
            Some(variant) => {
                let message = format!(
                    "voice `{wanted}`: there is no variant `{variant}`; `f1` to `f5` and `m1` to `m8` are some"
                );
                Err(Error::new(Kind::NotFound, message).in_field("voice"))
            }
        }
    }

    fn no_such_voice(&self, wanted: &str) -> Error {
        let shown: String = wanted.chars().take(60).collect();
        let language = wanted.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let near: Vec<&str> = self
            .voices
            .iter()
            .map(|(id, _)| id.as_str())
            .filter(|id| !language.is_empty() && id.split('-').next() == Some(&language))
            .take(5)
            .collect();
        let way_out = if near.is_empty() {
            "`speechctl voices` lists them all".to_owned()
        } else {
            format!("near it are {}; `speechctl voices` lists them all", near.join(", "))
        };
        Error::new(Kind::NotFound, format!("voice `{shown}` does not exist; {way_out}")).in_field("voice")
    }
}

/// Whether a voice knows how words are said. A few are listed whose dictionary espeak-ng does not ship: they are silent.
fn has_dictionary(data: &Path, voice: &RawVoice) -> bool {
    let file = fs::read_to_string(data.join("lang").join(&voice.identifier)).unwrap_or_default();
    let named = file.lines().find_map(|line| line.trim().strip_prefix("dictionary "));
    let language = voice.languages.first().and_then(|tag| tag.split('-').next());
    let dictionary = named.map(str::trim).or(language).unwrap_or_default();
    data.join(format!("{dictionary}_dict")).is_file()
}

/// Gives each voice its id: the first of its languages that no voice before it has.
fn with_ids(raw: Vec<RawVoice>) -> Vec<(String, RawVoice)> {
    let mut voices: Vec<(String, RawVoice)> = Vec::with_capacity(raw.len());
    for voice in raw {
        let free = |id: &&String| !voices.iter().any(|(taken, _)| taken == *id);
        if let Some(id) = voice.languages.iter().find(free).cloned() {
            voices.push((id, voice));
        }
    }
    voices.sort_by(|(a, _), (b, _)| a.cmp(b));
    voices
}

/// Our factors in espeak-ng's numbers, and the tempo that is left to do where it goes no further.
fn parameters(utterance: &Utterance) -> (Parameters, f64) {
    let wanted = NORMAL_RATE * utterance.speed;
    let rate = wanted.round().clamp(*RATES.start(), *RATES.end());
    let tempo = if rate == wanted.round() { 1.0 } else { f64::from(wanted / rate) };
    let parameters = Parameters {
        rate: rate as i32,
        // `pitch_adjust_tab` of espeak-ng doubles the pitch every 50 steps.
        pitch: (50.0 + 50.0 * utterance.pitch.log2()).round().clamp(0.0, 99.0) as i32,
        volume: (100.0 * utterance.volume).round().clamp(0.0, 200.0) as i32,
    };
    (parameters, tempo)
}

impl Synthesizer for Espeak {
    fn sample_rate(&self) -> u32 {
        self.library.sample_rate
    }

    fn speak(&mut self, utterance: &Utterance, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        refuse_what_it_cannot(utterance)?;
        let identifier = self.identifier(&utterance.voice)?;
        match &utterance.script {
            Script::Text(text) => self.say(&identifier, text, Markup::None, utterance, cancel, sink),
            Script::Ssml(document) => self.say(&identifier, document, Markup::Ssml, utterance, cancel, sink),
            Script::Sentences { sentences, .. } => {
                for (number, sentence) in sentences.iter().enumerate() {
                    if sink(Spoken::Sentence(number)).is_break() {
                        return Ok(());
                    }
                    self.say(&identifier, sentence, Markup::None, utterance, cancel, sink)?;
                }
                Ok(())
            }
        }
    }

    fn voices(&mut self) -> Result<Voices> {
        let voices = self.voices.iter().map(|(id, raw)| voice(id, raw)).collect();
        Ok(Voices { voices, variants: self.variants.clone() })
    }
}

impl Espeak {
    fn say(
        &mut self,
        identifier: &str,
        text: &str,
        markup: Markup,
        utterance: &Utterance,
        cancel: &Cancel,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let (parameters, tempo) = parameters(utterance);
        // Always, also for the voice in use: SSML may have changed it.
        self.library.set_voice(identifier)?;
        let mut stretch = Stretch::new(self.library.sample_rate, tempo);
        let mut places = Places::new(text);
        let mut until_cancelled = |made: Made<'_>| {
            if cancel.wanted() {
                return ControlFlow::Break(());
            }
            match made {
                Made::Audio(audio) if tempo == 1.0 => sink(Spoken::Audio(audio)),
                Made::Audio(audio) => sink(Spoken::Audio(&stretch.push(audio))),
                Made::Word { .. } | Made::Named { .. } if !utterance.marks => ControlFlow::Continue(()),
                // espeak-ng counts the characters of the document as it has them after it has read the tags.
                Made::Word { .. } if markup == Markup::Ssml => ControlFlow::Continue(()),
                Made::Word { sample, character, length } => {
                    let text = places.span(character, length);
                    let sample = (sample as f64 / tempo) as u64;
                    sink(Spoken::Mark(Mark { kind: MarkKind::Word, sample, text, name: String::new() }))
                }
                Made::Named { sample, name } => {
                    let sample = (sample as f64 / tempo) as u64;
                    sink(Spoken::Mark(Mark { kind: MarkKind::Named, sample, text: 0..0, name }))
                }
            }
        };
        self.library.speak(text, markup == Markup::Ssml, parameters, &mut until_cancelled)?;
        cancel.check()?;
        if tempo != 1.0 {
            // The last of it: whether anybody still wants it makes no difference any more.
            let _end = sink(Spoken::Audio(&stretch.finish()));
        }
        Ok(())
    }
}

/// Whether a text is to be read as a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Markup {
    None,
    Ssml,
}

/// Finds the bytes of characters, which are asked for in about their order.
struct Places<'a> {
    text: &'a str,
    /// The last character that was asked for, and its byte.
    character: usize,
    byte: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, character: 0, byte: 0 }
    }

    /// The bytes of so many characters from this one on, counted from 0.
    fn span(&mut self, character: usize, length: usize) -> Range<usize> {
        if character < self.character {
            (self.character, self.byte) = (0, 0);
        }
        let rest = self.text.get(self.byte..).unwrap_or_default();
        self.byte += rest.chars().take(character - self.character).map(char::len_utf8).sum::<usize>();
        self.character = character;
        let word = self.text.get(self.byte..).unwrap_or_default();
        self.byte..self.byte + word.chars().take(length).map(char::len_utf8).sum::<usize>()
    }
}

/// What is asked of computed voices only is refused by name.
fn refuse_what_it_cannot(utterance: &Utterance) -> Result<()> {
    let scales = utterance.scales;
    let asked = [
        (!utterance.speaker.is_empty(), "speaker"),
        (scales.length.is_some(), "length_scale"),
        (scales.noise.is_some(), "noise_scale"),
        (scales.noise_w.is_some(), "noise_w"),
        (utterance.silence.is_some(), "sentence_silence"),
        (utterance.normalize, "normalize"),
    ];
    match asked.iter().find(|(is_asked, _)| *is_asked) {
        None => Ok(()),
        Some((_, field)) => {
            let message = format!("espeak's voices know no `{field}`; it is for Piper voices");
            Err(Error::invalid(message).in_field(*field))
        }
    }
}

fn voice(id: &str, raw: &RawVoice) -> Voice {
    let gender = match raw.gender {
        1 => Some(Gender::Male),
        2 => Some(Gender::Female),
        _ => None,
    };
    Voice {
        id: id.to_owned(),
        name: raw.name.clone(),
        languages: raw.languages.clone(),
        gender,
        sample_rate: 22_050,
        ..Voice::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utterance(speed: f32, pitch: f32, volume: f32) -> Utterance {
        Utterance { speed, pitch, volume, ..Utterance::default() }
    }

    #[test]
    fn factors_become_espeaks_numbers() {
        let (normal, tempo) = parameters(&utterance(1.0, 1.0, 1.0));
        assert_eq!((normal.rate, normal.pitch, normal.volume, tempo), (175, 50, 100, 1.0));
        let (extreme, tempo) = parameters(&utterance(2.0, 2.0, 2.0));
        assert_eq!((extreme.rate, extreme.pitch, extreme.volume, tempo), (350, 99, 200, 1.0));
        assert_eq!(parameters(&utterance(1.0, 0.5, 0.0)).0.pitch, 0);
    }

    #[test]
    fn what_espeak_cannot_do_is_stretched() {
        let (slow, tempo) = parameters(&utterance(0.25, 1.0, 1.0));
        assert!(slow.rate == 80 && (tempo - 43.75 / 80.0).abs() < 1e-6, "{slow:?} {tempo}");
        let (fast, tempo) = parameters(&utterance(4.0, 1.0, 1.0));
        assert!(fast.rate == 450 && (tempo - 700.0 / 450.0).abs() < 1e-6, "{fast:?} {tempo}");
    }

    #[test]
    fn characters_are_found_in_any_order() {
        let mut places = Places::new("für uns");
        assert_eq!([places.span(0, 3), places.span(4, 3), places.span(1, 1)], [0..4, 5..8, 1..3]);
        assert_eq!(places.span(100, 5), 8..8);
    }

    #[test]
    fn ids_are_unique() {
        let raw = |identifier: &str, languages: &[&str]| RawVoice {
            name: String::new(),
            identifier: identifier.to_owned(),
            languages: languages.iter().map(|language| (*language).to_owned()).collect(),
            gender: 0,
        };
        let voices = with_ids(vec![raw("a", &["en-gb", "en"]), raw("b", &["en-gb", "en"]), raw("c", &["en"])]);
        let ids: Vec<&str> = voices.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["en", "en-gb"]);
    }
}
