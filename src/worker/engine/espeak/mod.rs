//! espeak-ng: the voices that always work. Some 130 languages, small, fast, built in.
//!
//! espeak-ng keeps phases and counters in static variables from one text to the next, beyond the reach of its own
//! initialisation: a text sounds a little different in a process that has spoken before. So the server lets each of
//! these workers speak once (`supervisor::roster`), which makes the same text the same samples, always.

mod data;
mod ffi;

use crate::{
    audio::stretch::Stretch,
    error::{Error, Kind, Result},
    speech::{Gender, Voice},
    worker::engine::{Cancel, Sink, Synthesizer, Utterance, Voices},
};
use ffi::{Library, Parameters, RawVoice};
use std::{fs, ops::ControlFlow, path::Path};

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
        let (parameters, tempo) = parameters(utterance);
        let identifier = self.identifier(&utterance.voice)?;
        // Always, also for the voice in use: SSML may have changed it.
        self.library.set_voice(&identifier)?;
        let mut stretch = Stretch::new(self.library.sample_rate, tempo);
        let mut until_cancelled = |audio: &[i16]| {
            if cancel.wanted() {
                return ControlFlow::Break(());
            }
            if tempo == 1.0 { sink(audio) } else { sink(&stretch.push(audio)) }
        };
        self.library.speak(&utterance.text, utterance.ssml, parameters, &mut until_cancelled)?;
        cancel.check()?;
        if tempo != 1.0 {
            // The last of it: whether anybody still wants it makes no difference any more.
            let _end = sink(&stretch.finish());
        }
        Ok(())
    }

    fn voices(&mut self) -> Result<Voices> {
        let voices = self.voices.iter().map(|(id, raw)| voice(id, raw)).collect();
        Ok(Voices { voices, variants: self.variants.clone() })
    }
}

fn voice(id: &str, raw: &RawVoice) -> Voice {
    let gender = match raw.gender {
        1 => Some(Gender::Male),
        2 => Some(Gender::Female),
        _ => None,
    };
    Voice { id: id.to_owned(), name: raw.name.clone(), languages: raw.languages.clone(), gender, engine: String::new() }
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
