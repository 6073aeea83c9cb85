//! Which models there are to be had, and what a name means: names of Whisper's models, which are listed here; keys of
//! Piper's voices, which their index lists; a file of a repository, `hf:OWNER/REPO/FILE`; a URL. Pure.
//!
//! Only facts that are certain are built in: names, repositories and files. What a file weighs and what its digest is, the
//! hub says when it is asked.

pub(crate) mod choice;
mod near;
pub(crate) mod source;
pub(crate) mod voices;
pub(crate) mod whisper;

use super::{files, hub};
use crate::error::{Error, Kind, Result};
use source::{HubFile, Source};
use voices::Index;

/// The longest name that means anything; longer ones are not repeated in messages either.
const LONGEST: usize = 512;

/// The longest source, bytes: signed addresses are long. A manifest keeps 4096, and that of a voice's second file is
/// longer.
const LONGEST_SOURCE: usize = 4096 - ".json".len();

/// The repositories that models of the catalogue are in.
pub(super) const REPOS: &[&str] = &[whisper::REPO, whisper::TURNS_REPO, voices::REPO];

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Writes down: a ggml file for whisper.cpp.
    Recogniser,
    /// Speaks: a Piper voice, an .onnx file with its .onnx.json beside it.
    Voice,
}

/// Something that can be pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its one name: whichever alias was used, this one goes into the manifest.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: Role,
    /// Its files; the first is the one that engines are given.
    pub(crate) parts: Vec<Part>,
}

impl Package {
    /// The languages that it knows, BCP 47, as far as its name tells; none = many, or not known.
    pub(crate) fn languages(&self) -> Vec<String> {
        languages(self.role, &self.name)
    }
}

/// The languages of a model of this name, BCP 47, as far as it tells; none = many, or not known.
pub(crate) fn languages(role: Role, name: &str) -> Vec<String> {
    match role {
        Role::Recogniser => {
            let is_english = whisper::Traits::of(name).is_some_and(|traits| traits.is_english_only);
            if is_english { vec!["en".to_owned()] } else { Vec::new() }
        }
        Role::Voice => voices::Key::parse(name).map(|key| key.code.replace('_', "-")).into_iter().collect(),
    }
}

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it comes from.
    pub(crate) source: Source,
    /// About how much it is, bytes, where that is known without asking: for tables, and for a first look at the disk.
    pub(crate) size: Option<u64>,
}

/// What a name means. `index` is that of Piper's voices, if it is at hand: without it a key is believed, with it a key
/// that it does not have is refused.
///
/// # Errors
/// `NotFound` for a name that nothing has, with what is near it; `InvalidInput` for a source that cannot be.
pub(crate) fn package(name: &str, index: Option<&Index>) -> Result<Package> {
    let name = name.trim();
    let is_source = ["hf:", "http://", "https://"].iter().any(|begins| name.starts_with(begins));
    let longest = if is_source { LONGEST_SOURCE } else { LONGEST };
    if name.is_empty() || name.len() > longest || name.chars().any(char::is_control) {
        let message = "that is no name of a model; `speechctl models list --available` shows them";
        return Err(Error::new(Kind::NotFound, message));
    }
    if let Some(source) = source::parse(name)? {
        return from_source(name, source);
    }
    if let Some(model) = whisper::find(name) {
        return Ok(whisper::package(model));
    }
    let voice = match index {
        Some(index) => index.find(name).map(voices::Entry::package),
        None => voices::by_convention(name),
    };
    voice.ok_or_else(|| unknown(name, index))
}

/// A file that is not in the catalogue: its ending says what it is.
fn from_source(name: &str, source: Source) -> Result<Package> {
    let file = source.file_name().to_ascii_lowercase();
    let (role, sources) = if file.ends_with(".bin") {
        (Role::Recogniser, vec![source.clone()])
    } else if file.ends_with(".onnx") {
        (Role::Voice, vec![source.clone(), source.with_suffix(".json")])
    } else {
        let way = "a ggml Whisper model ends with .bin, a Piper voice with .onnx";
        let shown = match source {
            Source::Url(_) => hub::shown_text(name),
            Source::Hub(_) => name.to_owned(),
        };
        return Err(Error::invalid(format!("`{shown}`: its name does not say what it is; {way}")));
    };
    let parts = sources.into_iter().map(|source| Part { source, size: None }).collect();
    Ok(Package { name: named(&source), role, parts })
}

/// What a file is called that is not in the catalogue: its source. The query of a URL may be a key to the file, which
/// lists need not show: a part of its digest tells it from others.
fn named(source: &Source) -> String {
    match source {
        Source::Url(url) => match url.split_once(['?', '#']) {
            Some((path, query)) if !query.is_empty() => {
                let digest: String = files::sha256(query.as_bytes()).chars().take(8).collect();
                format!("{path}?{digest}")
            }
            _ => url.trim_end_matches(['?', '#']).to_owned(),
        },
        Source::Hub(_) => source.to_string(),
    }
}

/// Nothing has this name.
fn unknown(name: &str, index: Option<&Index>) -> Error {
    let mut known: Vec<&str> = whisper::names().collect();
    known.extend(index.into_iter().flat_map(Index::voices).map(|voice| voice.key.as_str()));
    let near = near::suggestions(name, known.into_iter());
    let way = match near.is_empty() {
        true => "`speechctl models list --available` shows what there is".to_owned(),
        false => format!("did you mean `{}`?", near.join("` or `")),
    };
    Error::new(Kind::NotFound, format!("model `{name}` is not known; {way}"))
}

/// A file of a repository at its main branch.
fn hub_file(repo: &str, path: String) -> Source {
    Source::Hub(HubFile { repo: repo.to_owned(), path, revision: source::MAIN.to_owned() })
}

#[cfg(test)]
mod tests;
