//! The file beside a voice, `VOICE.onnx.json`: what its ids mean and how it wants to be spoken.
//!
//! The format is that of piper-tts 1.8.0, `piper/config.py`, and of older voices, where the later keys are missing.

use crate::{
    error::{Error, Kind, Result},
    speech::Voice,
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

/// No such file is anywhere near as large.
const MAX_BYTES: u64 = 16 << 20;

/// How text becomes phonemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhonemeType {
    /// By espeak-ng, in the international phonetic alphabet.
    Espeak,
    /// Letters, as they are.
    Text,
}

/// What a voice wants when nothing else is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scales {
    /// How much the sound varies.
    pub(crate) noise: f32,
    /// How long everything lasts; 2 is half as fast.
    pub(crate) length: f32,
    /// How much durations vary.
    pub(crate) noise_w: f32,
}

/// A voice's configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// Samples per second.
    pub(crate) sample_rate: u32,
    /// The voice of espeak-ng whose phonemes it knows; empty for voices that take letters and name none.
    pub(crate) espeak_voice: String,
    /// How text becomes phonemes.
    pub(crate) phoneme_type: PhonemeType,
    /// Ids of each phoneme, which may have several code points.
    pub(crate) phoneme_ids: BTreeMap<String, Vec<u32>>,
    /// Vowels that are one phoneme together.
    pub(crate) vowel_clusters: Vec<Vec<String>>,
    /// How many speakers it has, at least 1.
    pub(crate) speakers: u32,
    /// Names of speakers.
    pub(crate) speaker_ids: BTreeMap<String, u32>,
    /// Who speaks when nobody is named.
    pub(crate) default_speaker: u32,
    /// How it wants to be spoken.
    pub(crate) scales: Scales,
    /// Samples for one frame.
    pub(crate) hop: usize,
    /// Language, such as "en_US", when the file says.
    pub(crate) language: Option<String>,
    /// Its English name.
    pub(crate) language_name: Option<String>,
    /// The voice's name: what it was trained on, mostly.
    pub(crate) name: Option<String>,
}

impl Config {
    /// Finds and reads the configuration of the voice at `voice`: beside `X.onnx`, `X.onnx.json` or `X.json`.
    ///
    /// # Errors
    /// `NotFound` when there is neither, `Io` when it cannot be read; otherwise as [`parse`](Self::parse).
    pub(crate) fn beside(voice: &Path) -> Result<Self> {
        let mut long = voice.as_os_str().to_owned();
        long.push(".json");
        let (long, short) = (PathBuf::from(long), voice.with_extension("json"));
        let path = if long.exists() || !short.exists() { long } else { short };
        let file = std::fs::File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(
                Kind::NotFound,
                format!("a Piper voice needs its configuration {}, which is not there", path.display()),
            ),
            _ => Error::new(Kind::Io, format!("cannot read {}", path.display())).because(error),
        })?;
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|error| Error::new(Kind::Io, format!("cannot read {}", path.display())).because(error))?;
        Self::parse(&text).map_err(|error| error.context(path.display()))
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// `InvalidInput` names the key at fault; `Unsupported` a kind of phonemes that is not known here.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::invalid("larger than 16 MiB, so it is no configuration of a voice"));
        }
        let json: Value =
            serde_json::from_slice(text).map_err(|error| Error::invalid("not valid JSON").because(error))?;
        let Value::Object(root) = json else { return Err(Error::invalid("not a JSON object")) };
        let empty = Map::new();
        let section = |key: &str| root.get(key).and_then(Value::as_object).unwrap_or(&empty);
        let (inference, language) = (section("inference"), section("language"));
        let speakers = whole(&root, "num_speakers", 1..=1 << 20, Some(1))? as u32;
        let phoneme_type = phoneme_type(&root)?;
        let espeak_voice = match section("espeak").get("voice") {
            Some(Value::String(voice)) => voice.clone(),
            _ if phoneme_type == PhonemeType::Text => String::new(),
            _ => return Err(Error::invalid("espeak.voice is missing or no string")),
        };
        let config = Self {
            sample_rate: whole(section("audio"), "sample_rate", 8_000..=192_000, None)? as u32,
            espeak_voice,
            phoneme_type,
            phoneme_ids: phoneme_ids(&root)?,
            vowel_clusters: vowel_clusters(&root)?,
            speakers,
            speaker_ids: speaker_ids(&root, speakers)?,
            default_speaker: whole(&root, "default_speaker_id", 0..=u64::from(speakers - 1), Some(0))? as u32,
            scales: Scales {
                noise: scale(inference, "noise_scale", 0.667, 0.0)?,
                length: scale(inference, "length_scale", 1.0, 0.05)?,
                noise_w: scale(inference, "noise_w", 0.8, 0.0)?,
            },
            hop: whole(&root, "hop_length", 1..=1 << 16, Some(256))? as usize,
            language: string(language, "code"),
            language_name: string(language, "name_english"),
            name: string(&root, "name").or_else(|| string(&root, "dataset")),
        };
        for (mark, what) in [("^", "the beginning"), ("$", "the end"), ("_", "the space between phonemes")] {
            if config.phoneme_ids.get(mark).is_none_or(Vec::is_empty) {
                return Err(Error::invalid(format!("phoneme_id_map has no {mark:?}, which marks {what}")));
            }
        }
        Ok(config)
    }

    /// The language that is spoken, BCP 47.
    pub(crate) fn language(&self) -> String {
        self.language.as_deref().unwrap_or(&self.espeak_voice).replace('_', "-")
    }

    /// The language, and without its region.
    fn languages(&self) -> Vec<String> {
        let language = self.language();
        let family = language.split_once('-').map(|(family, _)| family.to_owned());
        [language].into_iter().chain(family).collect()
    }

    /// The names of its speakers, by their numbers; none where there is only one.
    pub(crate) fn speaker_names(&self) -> Vec<String> {
        if self.speakers < 2 {
            return Vec::new();
        }
        let mut names: Vec<String> = (0..self.speakers).map(|number| number.to_string()).collect();
        for (name, number) in &self.speaker_ids {
            if let Some(place) = names.get_mut(*number as usize) {
                name.clone_into(place);
            }
        }
        names
    }

    /// The voice, as lists of voices have it.
    pub(crate) fn voice(&self, id: String) -> Voice {
        Voice {
            name: self.name.clone().unwrap_or_else(|| id.clone()),
            id,
            languages: self.languages(),
            speakers: self.speaker_names(),
            sample_rate: self.sample_rate,
            ..Voice::default()
        }
    }
}

fn string(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(String::from)
}

/// A whole number within bounds.
fn whole(
    object: &Map<String, Value>,
    key: &str,
    bounds: std::ops::RangeInclusive<u64>,
    missing: Option<u64>,
) -> Result<u64> {
    match object.get(key).filter(|value| !value.is_null()) {
        None => missing.ok_or_else(|| Error::invalid(format!("{key} is missing"))),
        Some(value) => value.as_u64().filter(|number| bounds.contains(number)).ok_or_else(|| {
            Error::invalid(format!("{key} is {value}, not a whole number from {} to {}", bounds.start(), bounds.end()))
        }),
    }
}

/// A number from `least` to 20, as for every line that is spoken.
fn scale(object: &Map<String, Value>, key: &str, missing: f32, least: f32) -> Result<f32> {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else { return Ok(missing) };
    let number = value.as_f64().map(|number| number as f32).filter(|number| (least..=20.0).contains(number));
    number.ok_or_else(|| Error::invalid(format!("inference.{key} is {value}, not a number from {least} to 20")))
}

fn phoneme_type(root: &Map<String, Value>) -> Result<PhonemeType> {
    match root.get("phoneme_type") {
        None | Some(Value::Null) => Ok(PhonemeType::Espeak),
        Some(Value::String(name)) if name == "espeak" => Ok(PhonemeType::Espeak),
        Some(Value::String(name)) if name == "text" => Ok(PhonemeType::Text),
        Some(other) => Err(Error::new(
            Kind::Unsupported,
            format!(
                "phoneme_type is {other}: only \"espeak\" and \"text\" can be spoken, others need a program of their own"
            ),
        )),
    }
}

/// The most ids of a phoneme: voices have one.
const MOST_IDS: usize = 8;

fn phoneme_ids(root: &Map<String, Value>) -> Result<BTreeMap<String, Vec<u32>>> {
    let Some(Value::Object(map)) = root.get("phoneme_id_map") else {
        return Err(Error::invalid("phoneme_id_map is missing or no object"));
    };
    let ids = |value: &Value| -> Option<Vec<u32>> {
        value
            .as_array()?
            .iter()
            .map(|id| id.as_u64().and_then(|id| i32::try_from(id).ok()).map(i32::cast_unsigned))
            .collect()
    };
    map.iter()
        .map(|(phoneme, value)| match ids(value) {
            Some(ids) if ids.len() > MOST_IDS => {
                Err(Error::invalid(format!("phoneme_id_map[{phoneme:?}] has {} ids, more than {MOST_IDS}", ids.len())))
            }
            Some(ids) if !phoneme.is_empty() => Ok((phoneme.clone(), ids)),
            _ => Err(Error::invalid(format!("phoneme_id_map[{phoneme:?}] is {value}, not a list of ids"))),
        })
        .collect()
}

/// Each is a list of phonemes or, in hand-made files, one string of them.
fn vowel_clusters(root: &Map<String, Value>) -> Result<Vec<Vec<String>>> {
    let wrong = || Error::invalid("vowel_clusters is no list of lists of phonemes");
    let list = match root.get("vowel_clusters") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) if map.is_empty() => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong()),
    };
    let cluster = |value: &Value| match value {
        Value::String(text) => Some(text.chars().map(String::from).collect()),
        Value::Array(parts) => parts.iter().map(|part| part.as_str().map(String::from)).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    list.iter().map(|value| cluster(value).filter(|parts| !parts.is_empty()).ok_or_else(wrong)).collect()
}

fn speaker_ids(root: &Map<String, Value>, speakers: u32) -> Result<BTreeMap<String, u32>> {
    let Some(map) = root.get("speaker_id_map").and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
    map.iter()
        .map(|(name, value)| {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|&id| id < speakers);
            id.map(|id| (name.clone(), id)).ok_or_else(|| {
                Error::invalid(format!("speaker_id_map[{name:?}] is {value}, but there are {speakers} speakers"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
