//! Piper's voices: the index that lists them, `voices.json` of rhasspy/piper-voices, read and checked.
//!
//! The index comes over the network, so nothing in it is believed that could do harm: a voice with a path that leads
//! elsewhere, or without its files, is left out, and the others are there all the same.

use super::{
    Package, Part, Role, hub_file,
    near::folded,
    source::{self, HubFile},
};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the voices are.
pub(crate) const REPO: &str = "rhasspy/piper-voices";

/// The index.
pub(crate) const INDEX: &str = "voices.json";

/// The index, as a file of the hub.
pub(crate) fn index_file() -> HubFile {
    HubFile { repo: REPO.to_owned(), path: INDEX.to_owned(), revision: source::MAIN.to_owned() }
}

/// The index of 2023 has 116 kB.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// No file of a voice is anywhere near as large.
const MAX_FILE: u64 = 1 << 34;

/// A voice that can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name, which [`Key`] takes apart: "en_US-lessac-medium".
    pub(crate) key: String,
    /// Its language and country in English, for people.
    pub(crate) language: String,
    /// How many speakers it has.
    pub(crate) speakers: u32,
    /// The .onnx file, then the .onnx.json: paths in the repository, with their sizes in bytes.
    files: [(String, u64); 2],
}

/// All voices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    voices: BTreeMap<String, Entry>,
    /// Keys by what else they are called, and by their letters alone.
    aliases: BTreeMap<String, String>,
    /// Voices that were left out, and why: for who asks for more.
    pub(crate) left_out: Vec<String>,
}

/// A voice as the index has it. Its key tells the rest; the hub announces better digests than MD5.
#[derive(Deserialize)]
struct Raw {
    key: String,
    language: RawLanguage,
    num_speakers: u32,
    files: BTreeMap<String, RawFile>,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct RawLanguage {
    name_english: String,
    country_english: String,
}

#[derive(Deserialize)]
struct RawFile {
    size_bytes: u64,
}

impl Index {
    /// Reads the index.
    ///
    /// # Errors
    /// `InvalidInput` for what is none, or has no voice that could be used.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let wrong = |why: &str| Error::invalid(format!("the index of Piper's voices {why}"));
        if json.len() > MAX_BYTES {
            return Err(wrong("is larger than 16 MiB"));
        }
        let root: BTreeMap<String, Value> =
            serde_json::from_slice(json).map_err(|cause| wrong("is no JSON object").because(cause))?;
        let mut index = Self::default();
        for (key, value) in root {
            match entry(&key, value) {
                Ok((entry, aliases)) => {
                    index.aliases.extend(aliases.iter().map(|alias| (folded(alias), key.clone())));
                    index.voices.insert(key, entry);
                }
                Err(why) => index.left_out.push(format!("{}: {why}", key.escape_debug())),
            }
        }
        if index.voices.is_empty() {
            return Err(wrong("lists no voice that can be used"));
        }
        // A voice's own name goes before what another one is called beside its own.
        index.aliases.extend(index.voices.keys().map(|key| (folded(key), key.clone())));
        Ok(index)
    }

    /// The voice of a name: its key, or what else it is called, in any case of letters, with - or _.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.voices.get(name).or_else(|| self.voices.get(self.aliases.get(&folded(name))?))
    }

    /// All voices, in the order of their keys.
    pub(crate) fn voices(&self) -> impl Iterator<Item = &Entry> {
        self.voices.values()
    }
}

impl Entry {
    /// What is pulled for it.
    pub(crate) fn package(&self) -> Package {
        let part = |(path, size): &(String, u64)| Part { source: hub_file(REPO, path.clone()), size: Some(*size) };
        Package { name: self.key.clone(), role: Role::Voice, parts: self.files.iter().map(part).collect() }
    }
}

/// Checks a voice; gives what else it is called, too.
fn entry(key: &str, value: Value) -> Result<(Entry, Vec<String>), String> {
    let raw: Raw = serde_json::from_value(value).map_err(|cause| cause.to_string())?;
    let mut models = raw.files.iter().filter(|(path, _)| path.ends_with(".onnx"));
    let (Some((model, file)), None) = (models.next(), models.next()) else {
        return Err("it has not one .onnx, but none or several".to_owned());
    };
    let config = format!("{model}.json");
    let beside = raw.files.get(&config).ok_or("it has no .onnx.json beside its .onnx")?;
    let files = [(model.clone(), file.size_bytes), (config, beside.size_bytes)];
    let can_be = |(path, size): &(String, u64)| source::is_path(path) && (1..=MAX_FILE).contains(size);
    if raw.key != key || Key::parse(key).is_none() || raw.num_speakers == 0 || !files.iter().all(can_be) {
        return Err("its key, its speakers or its files cannot be".to_owned());
    }
    let language = format!("{}, {}", raw.language.name_english, raw.language.country_english);
    Ok((Entry { key: key.to_owned(), language, speakers: raw.num_speakers, files }, raw.aliases))
}

/// What the key of a voice is made of: `FAMILY_REGION-NAME-QUALITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// The language: "en".
    pub(crate) family: &'a str,
    /// The language and the region: "en_US".
    pub(crate) code: &'a str,
    name: &'a str,
    quality: &'a str,
}

impl<'a> Key<'a> {
    /// Reads a key, as piper-tts has it (`piper/download_voices.py`).
    pub(crate) fn parse(key: &'a str) -> Option<Self> {
        let mut parts = key.splitn(3, '-');
        let (code, name, quality) = (parts.next()?, parts.next()?, parts.next()?);
        let (family, region) = code.split_once('_')?;
        let is_odd = |character: char| !character.is_alphanumeric() && character != '_';
        let is_word = |word: &str| !word.is_empty() && !word.contains(is_odd);
        let is_key = key.len() <= 200 && [family, region, name, quality].into_iter().all(is_word);
        is_key.then_some(Self { family, code, name, quality })
    }

    /// How good the voice is beside others.
    pub(crate) fn rank(&self) -> Option<usize> {
        ["x_low", "low", "medium", "high"].iter().position(|quality| *quality == self.quality)
    }
}

/// Where a voice of this key is by convention, as piper's own downloader has it: for who cannot ask the index.
pub(super) fn by_convention(key: &str) -> Option<Package> {
    let Key { family, code, name, quality } = Key::parse(key)?;
    let path = format!("{family}/{code}/{name}/{quality}/{key}.onnx");
    let parts = [hub_file(REPO, path.clone()), hub_file(REPO, format!("{path}.json"))];
    let parts = parts.into_iter().map(|source| Part { source, size: None }).collect();
    Some(Package { name: key.to_owned(), role: Role::Voice, parts })
}
