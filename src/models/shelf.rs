//! What is installed on this machine: what manifests pin, and what others have put into the hub's cache.
//!
//! Looking writes nothing and asks nobody. It is done anew for each question, for it costs a few small files: so what was
//! pulled a moment ago is there, and what was deleted is not.

use super::{
    cache::{self, Cache, Found},
    catalogue::{
        self, Role, choice,
        source::{self, HubFile, Source},
        voices::Key,
        whisper::Traits,
    },
    files,
    manifest::{self, Manifest, Pinned},
};
use crate::error::Error;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The .onnx.json of a voice has some 5 kB.
pub(super) const MOST_VOICE_JSON: u64 = 4 << 20;

/// What is installed on this machine.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// The models, by their names.
    pub(crate) models: Vec<Installed>,
    /// Manifests that cannot be read.
    pub(crate) damaged: Vec<Error>,
    /// The memory of this machine, bytes, where that is known: no larger model is chosen unasked.
    pub(crate) memory: Option<u64>,
}

/// A model that is on this machine, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// What it is called.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: Role,
    /// The file that engines are given.
    pub(crate) path: PathBuf,
    /// All its files together, bytes.
    pub(crate) size: u64,
    /// Whether it is there.
    pub(crate) state: State,
    /// Its files, where they are now. Of those that are not pinned, `sha256` is what the cache says, or empty.
    pub(crate) files: Vec<Pinned>,
    /// What it speaks or understands ("en-US", "en"); empty = of a recogniser: all that Whisper knows; of a voice: not
    /// known.
    pub(crate) languages: Vec<String>,
}

/// Whether a model is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is, and it is known byte for byte what it has to be.
    Pinned,
    /// Somebody else has put it into the cache.
    NotPinned,
    /// There is a manifest, and a file of it is missing or has another size.
    Gone,
}

impl Shelf {
    /// Looks.
    pub(crate) fn look(cache: &Path, data: &Path) -> Self {
        Self::look_at(cache, data, Cache::all)
    }

    /// Looks at what is pinned and at the repositories of the catalogue. Requests come often, and a cache may be large.
    pub(crate) fn look_at_usual(cache: &Path, data: &Path) -> Self {
        Self::look_at(cache, data, Cache::usual)
    }

    fn look_at(cache: &Path, data: &Path, list: impl Fn(&Cache) -> Vec<Found>) -> Self {
        let cache = Cache::new(cache.to_owned());
        let mut shelf = Self { memory: memory(), ..Self::default() };
        for manifest in manifest::all(data) {
            match manifest {
                Ok(manifest) => shelf.models.push(pinned(manifest, Some(&cache))),
                Err(error) => shelf.damaged.push(error),
            }
        }
        let is_known = |found: &Found, models: &[Installed]| {
            let files =
                models.iter().filter(|model| model.state != State::Gone).filter_map(|model| model.files.first());
            files.into_iter().any(|file| file.path == found.path || is_same(file, found))
        };
        let mut others = list(&cache);
        others.retain(|found| !is_known(found, &shelf.models));
        for found in others {
            let found = not_pinned(found, &cache);
            // A name is one model's. One whose files are gone may have come back by other hands, at another commit; that is
            // told as it is. A file that is not what was pinned stays what it is not.
            match shelf.models.iter_mut().find(|model| model.name == found.name) {
                Some(model) if model.state == State::Gone && model.path != found.path => *model = found,
                Some(_) => {}
                None => shelf.models.push(found),
            }
        }
        shelf.models.sort_by(|a, b| a.name.cmp(&b.name));
        shelf
    }

    /// The model of a name, or of what else it is called: any name that the catalogue takes for the same, or the source
    /// of its file. Never one that is gone.
    pub(crate) fn find(&self, name: &str) -> Option<&Installed> {
        let name = name.trim();
        let named = |name: &str| self.models.iter().find(|model| model.state != State::Gone && model.name == name);
        named(name).or_else(|| {
            let package = catalogue::package(name, None).ok()?;
            named(&package.name).or_else(|| {
                let source = package.parts.first()?.source.to_string();
                let is_it = |model: &&Installed| model.files.first().is_some_and(|file| file.source == source);
                self.models.iter().filter(|model| model.state != State::Gone).find(is_it)
            })
        })
    }

    /// What [`find`](Self::find) gives, without a look at all the rest where the name is a model's own.
    pub(crate) fn find_in(cache: &Path, data: &Path, name: &str) -> Option<Installed> {
        let (hub, name) = (Cache::new(cache.to_owned()), name.trim());
        let pinned_as = |name: &str| {
            let manifest = manifest::read(data, name).ok().flatten()?;
            Some(pinned(manifest, Some(&hub))).filter(|model| model.state != State::Gone)
        };
        pinned_as(name).or_else(|| {
            // What the catalogue does not know is no other name of anything.
            let package = catalogue::package(name, None).ok()?;
            let source = package.parts.first()?.source.to_string();
            pinned_as(&package.name).or_else(|| pinned_as(&source)).or_else(|| match &package.parts.first()?.source {
                Source::Hub(file) if cache::usual_name(file).is_none() => Self::look(cache, data).find(name).cloned(),
                Source::Hub(_) => Self::look_at_usual(cache, data).find(name).cloned(),
                Source::Url(_) => None,
            })
        })
    }

    /// The model that was installed under this very name, and is gone.
    pub(crate) fn gone_in(cache: &Path, data: &Path, name: &str) -> Option<Installed> {
        let manifest = manifest::read(data, name.trim()).ok().flatten()?;
        Some(pinned(manifest, Some(&Cache::new(cache.to_owned())))).filter(|model| model.state == State::Gone)
    }

    /// The best recogniser for a language (empty or "auto" = not known), as [`choice::recogniser`] has it.
    pub(crate) fn best_recogniser(&self, language: &str, translate: bool) -> Option<&Installed> {
        let there = self.there(Role::Recogniser);
        let named = |model: &&Installed| choice::Recogniser { name: telling_name(model), size: model.size };
        let all: Vec<choice::Recogniser> = there.iter().map(named).collect();
        let best = choice::recogniser(&all, choice::Need { language, translate, memory: self.memory })?;
        let place = all.iter().position(|model| model == best)?;
        there.get(place).copied()
    }

    /// The recognisers that are there.
    pub(crate) fn recognisers(&self) -> impl Iterator<Item = &Installed> {
        self.there(Role::Recogniser).into_iter()
    }

    fn there(&self, role: Role) -> Vec<&Installed> {
        self.models.iter().filter(|model| model.role == role && model.state != State::Gone).collect()
    }
}

/// A model of a manifest, and whether its files are there: where the manifest says, or else where the cache of now has
/// them.
pub(super) fn pinned(manifest: Manifest, cache: Option<&Cache>) -> Installed {
    let Manifest { name, role, files, .. } = manifest;
    let is_whole = |path: &Path, size| fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() == size);
    let mut is_there = true;
    let files = files.into_iter().map(|file| {
        if is_whole(&file.path, file.size) {
            return file;
        }
        match cache.and_then(|cache| elsewhere(&file, cache)).filter(|path| is_whole(path, file.size)) {
            Some(path) => Pinned { path, ..file },
            None => {
                is_there = false;
                file
            }
        }
    });
    let files: Vec<Pinned> = files.collect();
    // An engine is given one path; the other file of a voice has to be beside it.
    if let (Role::Voice, [voice, rest @ ..]) = (role, files.as_slice()) {
        let beside = voice.path.with_added_extension("json");
        is_there &= rest.iter().any(|file| file.path == beside);
    }
    installed(name, role, files, if is_there { State::Pinned } else { State::Gone })
}

/// Whether they are one file of one commit, wherever they lie.
fn is_same(file: &Pinned, found: &Found) -> bool {
    let Ok(Some(Source::Hub(hub))) = source::parse(&file.source) else { return false };
    hub.repo == found.file.repo && hub.path == found.file.path && file.commit.as_ref() == Some(&found.commit)
}

/// Where the cache of now has a file that a manifest has elsewhere.
fn elsewhere(file: &Pinned, cache: &Cache) -> Option<PathBuf> {
    let Ok(Some(Source::Hub(hub))) = source::parse(&file.source) else { return None };
    let revision = file.commit.clone().unwrap_or_else(|| hub.revision.clone());
    cache.find(&HubFile { revision, ..hub }).map(|found| found.path)
}

/// A model that is in the cache without a manifest.
fn not_pinned(found: Found, cache: &Cache) -> Installed {
    let role = if found.file.path.ends_with(".onnx") { Role::Voice } else { Role::Recogniser };
    let source = Source::Hub(found.file.clone());
    let name = cache::usual_name(&found.file).unwrap_or_else(|| source.to_string());
    let beside = match (role, source.with_suffix(".json")) {
        (Role::Voice, Source::Hub(file)) => {
            cache.find(&HubFile { revision: found.commit.clone(), ..file.clone() }).map(|found| Found { file, ..found })
        }
        _ => None,
    };
    let files = [Some(found), beside].into_iter().flatten().map(|found| Pinned {
        source: Source::Hub(found.file).to_string(),
        commit: Some(found.commit),
        size: found.size,
        sha256: found.digest.map(|digest| digest.to_string()).filter(|sum| sum.len() == 64).unwrap_or_default(),
        path: found.path,
    });
    installed(name, role, files.collect(), State::NotPinned)
}

/// Puts the rest together.
fn installed(name: String, role: Role, files: Vec<Pinned>, state: State) -> Installed {
    let size = files.iter().map(|file| file.size).fold(0, u64::saturating_add);
    let path = files.first().map(|file| file.path.clone()).unwrap_or_default();
    let mut model = Installed { name, role, path, size, state, files, languages: Vec::new() };
    model.languages = languages(&model).into_iter().collect();
    model
}

/// The name that tells what a model is: its own, or else that of its file, or of the file that was imported.
fn telling_name(model: &Installed) -> String {
    let tells = |name: &str| match model.role {
        Role::Recogniser => Traits::of(name).is_some(),
        Role::Voice => Key::parse(name).is_some(),
    };
    let source = model.files.first().map(|file| file.source.as_str()).unwrap_or_default();
    let file = source.split(['?', '#']).next().unwrap_or(source);
    let file = file.rsplit('/').next().unwrap_or(file).split('@').next().unwrap_or_default();
    let file = file.strip_suffix(".onnx").unwrap_or(file);
    if !tells(&model.name) && tells(file) { file.to_owned() } else { model.name.clone() }
}

/// The one language of a model, if it is one and known.
fn languages(model: &Installed) -> Option<String> {
    let name = telling_name(model);
    match model.role {
        Role::Recogniser => Traits::of(&name).filter(|traits| traits.is_english_only).map(|_| "en".to_owned()),
        Role::Voice => match Key::parse(&name) {
            Some(key) => Some(locale(key.code)),
            None => said_by_itself(&model.path),
        },
    }
}

/// What a voice's .onnx.json says: `language.code`, or in older ones the voice of espeak that it was trained with.
fn said_by_itself(voice: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Voice {
        language: Option<Language>,
        espeak: Option<Espeak>,
    }
    #[derive(Deserialize)]
    struct Language {
        code: String,
    }
    #[derive(Deserialize)]
    struct Espeak {
        voice: String,
    }
    let json = files::read_small(&voice.with_added_extension("json"), MOST_VOICE_JSON).ok()?;
    let Voice { language, espeak } = serde_json::from_slice(&json).ok()?;
    let code = language.map(|language| language.code).or_else(|| espeak.map(|espeak| espeak.voice))?;
    let is_code =
        (2..=35).contains(&code.len()) && code.chars().all(|part| part.is_ascii_alphanumeric() || "-_".contains(part));
    is_code.then(|| locale(&code))
}

/// "en_US" and "en-us" as "en-US".
fn locale(code: &str) -> String {
    let code = code.trim().replace('_', "-");
    match code.split_once('-') {
        Some((family, region)) if region.len() == 2 => format!("{}-{}", family.to_lowercase(), region.to_uppercase()),
        _ => code,
    }
}

/// The memory of this machine, bytes (proc(5), /proc/meminfo: in kibibytes).
fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests;
