//! `speechctl models list`: what is installed, and what could be.

use super::index::Index;
use crate::{
    client::{
        json,
        output::{Output, printable},
    },
    config,
    error::{Error, Kind, Result},
    models::{
        catalogue::{self, Package, Role, voices::Entry, whisper},
        hub::{Hub, Settings},
        library::Library,
        manifest::Pinned,
        shelf::{Installed, State},
    },
    size,
};

/// The document of `--json`.
#[derive(serde::Serialize)]
struct Document {
    version: u32,
    models: Vec<Line>,
}

/// A model.
#[derive(serde::Serialize)]
struct Line {
    name: String,
    /// "recognition" or "synthesis".
    capability: &'static str,
    /// "installed", "not_pinned", "gone", "available".
    state: &'static str,
    /// BCP 47; none = many, or not known.
    languages: Vec<String>,
    /// Bytes; left out where it is not known before the hub is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// The file that engines are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File>,
}

#[derive(serde::Serialize)]
struct File {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    path: String,
}

impl From<&Installed> for Line {
    fn from(model: &Installed) -> Self {
        let file = |file: &Pinned| File {
            source: file.source.clone(),
            commit: file.commit.clone(),
            size: file.size,
            sha256: Some(file.sha256.clone()).filter(|sum| !sum.is_empty()),
            path: file.path.display().to_string(),
        };
        Self {
            name: model.name.clone(),
            capability: capability(model.role),
            state: match model.state {
                State::Pinned => "installed",
                State::NotPinned => "not_pinned",
                State::Gone => "gone",
            },
            languages: model.languages.clone(),
            size: Some(model.size),
            path: Some(model.path.display().to_string()),
            files: model.files.iter().map(file).collect(),
        }
    }
}

impl From<&Package> for Line {
    fn from(package: &Package) -> Self {
        let sizes: Option<Vec<u64>> = package.parts.iter().map(|part| part.size).collect();
        Self {
            name: package.name.clone(),
            capability: capability(package.role),
            state: "available",
            languages: package.languages(),
            size: sizes.map(|sizes| sizes.iter().sum()),
            path: None,
            files: Vec::new(),
        }
    }
}

fn capability(role: Role) -> &'static str {
    match role {
        Role::Recogniser => "recognition",
        Role::Voice => "synthesis",
    }
}

/// Lists.
///
/// # Errors
/// `NotFound` for a language that nothing knows; what is wrong with the settings.
pub(super) fn run(
    library: &Library,
    available: bool,
    language: Option<&str>,
    is_json: bool,
    output: Output,
) -> Result<()> {
    let shelf = library.shelf();
    let mut lines: Vec<Line> = shelf.models.iter().map(Line::from).collect();
    if available {
        let known: Vec<String> = shelf.models.iter().map(|model| model.name.clone()).collect();
        let packages = whisper::names().filter_map(|name| catalogue::package(name, None).ok()).chain(voices(output)?);
        lines.extend(packages.filter(|package| !known.contains(&package.name)).map(|package| Line::from(&package)));
    }
    if let Some(language) = language {
        lines.retain(|line| knows(line, language));
    }
    lines.sort_by(|a, b| a.capability.cmp(b.capability).then_with(|| order(&a.name).cmp(&order(&b.name))));
    shelf.damaged.iter().for_each(|error| output.warn(&error.to_string()));
    if let (Some(language), true, true) = (language, available, lines.is_empty()) {
        let message = format!("no model knows `{language}`; `speechctl models list --available` shows all");
        return Err(Error::new(Kind::NotFound, message));
    }
    if is_json {
        return output.line(&json::document(&Document { version: 1, models: lines })?);
    }
    if lines.is_empty() {
        nothing(language, output);
        return Ok(());
    }
    output.bytes(table(&lines).as_bytes())?;
    if lines.iter().any(|line| line.state == "not_pinned") {
        output
            .note("What is not pinned was put there by another program; `speechctl models verify` checks and pins it.");
    }
    Ok(())
}

/// An empty list is no failure.
fn nothing(language: Option<&str>, output: Output) {
    match language {
        Some(language) => {
            output.note(&format!("No model for `{language}` is installed; with `--available` you see what there is."));
        }
        None => {
            let first = whisper::FIRST;
            output
                .note(&format!("No model is installed; `speechctl models pull {first}` is a good first one (57 MiB)."));
        }
    }
}

/// All voices of the index. Where it cannot be had, the others are listed without them.
fn voices(output: Output) -> Result<Vec<Package>> {
    let settings = Settings::read(config::env)?;
    let hub = Hub::new(&settings)?;
    match Index::new(&settings, &hub).voices() {
        Ok(index) => Ok(index.voices().map(Entry::package).collect()),
        Err(error) => {
            output.warn(&format!("the voices are missing here: {error}"));
            Ok(Vec::new())
        }
    }
}

/// Whether a model knows a language, or a locale of it; what knows many, or does not say, knows all but for voices.
fn knows(line: &Line, language: &str) -> bool {
    let wanted = language.replace('_', "-").to_ascii_lowercase();
    let is_it = |known: &String| {
        let known = known.to_ascii_lowercase();
        known == wanted || known.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('-'))
    };
    match line.languages.is_empty() {
        true => line.capability == "recognition" && whisper::is_language(&wanted),
        // A recogniser of a language hears all its regions.
        false => {
            let family = wanted.split('-').next().unwrap_or_default();
            line.languages.iter().any(|known| is_it(known) || (line.capability == "recognition" && known == family))
        }
    }
}

/// Whisper's models from small to large, then by name.
fn order(name: &str) -> (usize, String) {
    let place = whisper::names().position(|known| known == name);
    (place.unwrap_or(usize::MAX), name.to_owned())
}

/// A line for each, in columns as wide as they must be.
fn table(lines: &[Line]) -> String {
    let row = |line: &Line| {
        let does = if line.capability == "recognition" { "stt" } else { "tts" };
        let languages = if line.languages.is_empty() { "many".to_owned() } else { line.languages.join(" ") };
        let size = line.size.map_or_else(|| "-".to_owned(), size::in_words);
        [printable(&line.name), does.to_owned(), printable(&languages), size, line.state.replace('_', " ")]
    };
    let head = ["MODEL", "FOR", "LANGUAGE", "SIZE", "STATE"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(lines.iter().map(row)).collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(widest);
    let line = |[name, does, language, size, state]: &[String; 5]| {
        let [first, second, third, fourth] = widths;
        format!("{name:first$}  {does:second$}  {language:third$}  {size:>fourth$}  {state}\n")
    };
    rows.iter().map(line).collect()
}
