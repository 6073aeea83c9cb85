//! What a name means on this machine: built-in models, those that are installed, and files.

use super::{
    Paths,
    cache::Cache,
    catalogue::{
        self, Role,
        source::Source,
        voices::{self, Index, Key},
        whisper,
    },
    files, hub, place,
    shelf::{Installed, Shelf},
    verify,
};
use crate::{
    error::{Error, Kind, Result},
    speech::ModelId,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// A first model for languages other than English.
const FIRST_OF_ALL_LANGUAGES: &str = "base-q5_1";

/// The index of Piper's voices, in the folder of what is ours.
const KEPT_INDEX: &str = "voices.json";

/// How long the index is good for: a voice comes every few weeks.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// Where models are installed. Looks anew each time: what is pulled while a server runs is there at its next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Library {
    /// The hub's cache, which other programs share.
    pub(crate) cache: PathBuf,
    /// The folder for what is ours alone.
    pub(crate) data: PathBuf,
}

/// What a recogniser is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need<'a> {
    /// The model; empty = the best for the language.
    pub(crate) name: &'a str,
    /// The language that is spoken; empty or "auto" = it is not known.
    pub(crate) language: &'a str,
    /// Whether it is to be written down in English.
    pub(crate) translate: bool,
}

impl Library {
    /// The one that the environment names.
    pub(crate) fn of(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let (cache, data) = hub::Settings::places(env);
        Self { cache, data }
    }

    /// The installed model of a name, as [`Shelf::find`] has it.
    fn find(&self, name: &str) -> Option<Installed> {
        Shelf::find_in(&self.cache, &self.data, name)
    }

    /// What to say of a model that was installed and is not whole any more. Where its file came from is nobody's business
    /// who may not name files.
    fn gone(&self, name: &str, paths: Paths) -> Option<Error> {
        let installed = Shelf::gone_in(&self.cache, &self.data, name)?;
        Some(match paths {
            Paths::Allowed => verify::gone(&installed),
            Paths::Refused => {
                let name = &installed.name;
                let message =
                    format!("the files of `{name}` are gone from the server; `speechctl models verify` there");
                Error::new(Kind::NotInstalled, format!("{message} tells what to do"))
            }
        })
    }

    /// What is installed now, as far as it is pinned or of a repository of the catalogue.
    pub(crate) fn usual(&self) -> Shelf {
        Shelf::look_at_usual(&self.cache, &self.data)
    }

    /// What is installed now.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf::look(&self.cache, &self.data)
    }

    /// The index of Piper's voices, as it was last fetched; `None` where it never was, or is damaged.
    pub(crate) fn index(&self) -> Option<Index> {
        let in_cache = || Some(Cache::new(self.cache.clone()).find(&voices::index_file())?.path);
        let kept = Some(self.data.join(KEPT_INDEX)).filter(|path| path.is_file()).or_else(in_cache)?;
        Index::parse(&files::read_small(&kept, voices::MAX_BYTES as u64).ok()?).ok()
    }

    /// Keeps the index of Piper's voices.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn keep_index(&self, bytes: &[u8]) -> Result<()> {
        let kept = self.data.join(KEPT_INDEX);
        place::make_folder(&self.data, 0o700)?;
        files::write_whole(&kept, bytes, 0o600).map_err(|cause| place::cannot_write(&kept, cause))
    }

    /// Whether the index was fetched not long ago.
    pub(crate) fn has_fresh_index(&self) -> bool {
        let age = || std::fs::metadata(self.data.join(KEPT_INDEX)).ok()?.modified().ok()?.elapsed().ok();
        age().is_some_and(|age| age < FRESH)
    }

    /// The recogniser that is meant: `selftest`, `mock[:FAULTS]`, an installed model by its name, the path of a ggml
    /// model file, or for no name the best installed one.
    ///
    /// # Errors
    /// - `NotInstalled` for a model that could be pulled, and for no name where none will do: nothing else is chosen for
    ///   a user's own audio.
    /// - `NotFound` for a name that is not known.
    /// - `Denied` for a path where paths are refused.
    /// - `InvalidInput` for a path that is not absolute, and for a voice.
    pub(crate) fn recogniser(&self, need: Need<'_>, paths: Paths) -> Result<Meant> {
        let Need { name, language, translate } = need;
        if let "selftest" = name {
            return Ok(ModelId::SelfTest.into());
        }
        if let (Some(faults), Paths::Allowed) = (mock_faults(name), paths) {
            return Ok(ModelId::Mock(faults.to_owned()).into());
        }
        if name.is_empty() {
            let shelf = self.usual();
            return match shelf.best_recogniser(language, translate) {
                Some(installed) => Ok(installed.clone().into()),
                None => Err(none_will_do(&shelf, language, translate)),
            };
        }
        let in_field = |error: Error| error.in_field("config.model");
        if name.contains('\0') {
            return Err(in_field(Error::invalid("a model name cannot hold NUL bytes")));
        }
        if is_path(name) {
            let path = checked_path("model", name, paths).map_err(in_field)?;
            return Ok(ModelId::Whisper(path).into());
        }
        match self.named(name, paths).map_err(in_field)? {
            Named::Installed(installed) if installed.role == Role::Recogniser => Ok(installed.into()),
            Named::Installed(_) => Err(in_field(Error::invalid(format!("`{name}` is a voice, which does not listen")))),
            Named::Known(Role::Recogniser, error) => Err(in_field(error)),
            Named::Known(Role::Voice, _) => {
                Err(in_field(Error::invalid(format!("`{name}` is a voice, which does not listen"))))
            }
        }
    }

    /// Which synthesiser speaks with a voice of this name: `mock[:FAULTS]`, an installed voice, the path of a Piper
    /// voice's .onnx file, or any other name, for espeak.
    ///
    /// # Errors
    /// `NotInstalled` for a voice that could be pulled, `NotFound` for one that looks like it but is not in the index,
    /// `Denied` for a path where paths are refused, `InvalidInput` for one that is not absolute.
    pub(crate) fn synthesiser(&self, voice: &str, paths: Paths) -> Result<Meant> {
        if let (Some(faults), Paths::Allowed) = (mock_faults(voice), paths) {
            return Ok(ModelId::Mock(faults.to_owned()).into());
        }
        let in_field = |error: Error| error.in_field("voice");
        // espeak's own names have a slash too ("gmw/en"), but no such end.
        if !is_source(voice) && (voice.ends_with(".onnx") || voice.starts_with('/')) {
            return checked_path("voice", voice, paths).map(ModelId::Piper).map(Meant::from).map_err(in_field);
        }
        if voice.is_empty() {
            return Ok(ModelId::Espeak.into());
        }
        if let Some(installed) = self.find(voice).filter(|installed| installed.role == Role::Voice) {
            return Ok(installed.into());
        }
        if Key::parse(voice).is_none() && !is_source(voice) {
            return self.gone(voice, paths).map_or(Ok(ModelId::Espeak.into()), |error| Err(in_field(error)));
        }
        match self.named(voice, paths).map_err(in_field)? {
            Named::Installed(_) | Named::Known(Role::Recogniser, _) => {
                Err(in_field(Error::invalid(format!("`{voice}` is a model for recognition, which does not speak"))))
            }
            Named::Known(Role::Voice, error) => Err(in_field(error)),
        }
    }

    /// The model of a name, whatever it does.
    ///
    /// # Errors
    /// As [`Library::recogniser`] and [`Library::synthesiser`].
    pub(crate) fn model(&self, name: &str, paths: Paths) -> Result<Meant> {
        let is_voice = name.ends_with(".onnx")
            || Key::parse(name).is_some()
            || self.find(name).is_some_and(|installed| installed.role == Role::Voice);
        match is_voice {
            true => self.synthesiser(name, paths),
            false => self.recogniser(Need { name, ..Need::default() }, paths),
        }
    }

    /// The name under which a model's file is installed.
    pub(crate) fn name_of(&self, model: &ModelId) -> Option<String> {
        let (ModelId::Whisper(path) | ModelId::Piper(path)) = model else { return None };
        if !path.starts_with(&self.cache) && !path.starts_with(&self.data) {
            return None;
        }
        self.shelf().models.into_iter().find(|installed| installed.path == *path).map(|installed| installed.name)
    }

    /// What a name of the catalogue means.
    ///
    /// # Errors
    /// As [`catalogue::package`].
    fn named(&self, name: &str, paths: Paths) -> Result<Named> {
        if let Some(installed) = self.find(name) {
            return Ok(Named::Installed(installed));
        }
        let package = catalogue::package(name, self.index().as_ref());
        let package = package.map_err(|error| self.gone(name, paths).unwrap_or(error))?;
        // By an alias that only the index knows.
        if let Some(installed) = self.find(&package.name) {
            return Ok(Named::Installed(installed));
        }
        let what = if package.role == Role::Voice { "voice" } else { "model" };
        let message = format!("{what} `{name}` is not installed; run `speechctl models pull {name}`");
        // The name of a URL is no address.
        let pull = match package.parts.first().map(|part| &part.source) {
            Some(source @ Source::Url(_)) => source.to_string(),
            _ => package.name,
        };
        Ok(Named::Known(package.role, Error::new(Kind::NotInstalled, message).can_pull(pull)))
    }
}

/// What is meant by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    /// What workers load.
    pub(crate) model: ModelId,
    /// What it is called, where it is installed.
    pub(crate) name: Option<String>,
}

impl From<ModelId> for Meant {
    fn from(model: ModelId) -> Self {
        Self { model, name: None }
    }
}

impl From<Installed> for Meant {
    fn from(installed: Installed) -> Self {
        let Installed { name, role, path, .. } = installed;
        let model = match role {
            Role::Recogniser => ModelId::Whisper(path),
            Role::Voice => ModelId::Piper(path),
        };
        Self { model, name: Some(name) }
    }
}

/// What a name means.
enum Named {
    Installed(Installed),
    /// It could be installed; the error says so.
    Known(Role, Error),
}

/// Whether a name is that of a recogniser which is always there, and is no file: `selftest`, `mock`, `mock:FAULTS`.
pub(crate) fn is_built_in(name: &str) -> bool {
    name == "selftest" || mock_faults(name).is_some()
}

/// What espeak's voices are called, in lower case.
const ESPEAK_VOICES: &str = include_str!(concat!(env!("OUT_DIR"), "/espeak-voices.txt"));

/// Whether a name is that of a synthesiser which is always there, or of one of its voices: `espeak`, `en-us`, `de+f3`.
pub(crate) fn is_built_in_voice(name: &str) -> bool {
    let name = name.split_once('+').map_or(name, |(name, _)| name).to_ascii_lowercase();
    name == "espeak" || ESPEAK_VOICES.lines().any(|voice| voice == name)
}

/// Whether a name is that of a file somewhere else: `hf:…`, or a URL.
pub(crate) fn is_source(name: &str) -> bool {
    ["hf:", "https://", "http://"].iter().any(|start| name.starts_with(start))
}

/// Whether the name of a model means a file of this machine.
fn is_path(name: &str) -> bool {
    name.contains('/') && !is_source(name)
}

fn checked_path(what: &str, name: &str, paths: Paths) -> Result<PathBuf> {
    if paths == Paths::Refused {
        let message = format!("{what} `{name}`: paths are taken only from callers on the server's own machine");
        return Err(Error::new(Kind::Denied, message));
    }
    if !name.starts_with('/') || name.contains('\0') {
        return Err(Error::invalid(format!("{what} `{name}`: the path must be absolute")));
    }
    Ok(Path::new(name).to_owned())
}

/// No model was named, and none that is installed will do.
fn none_will_do(shelf: &Shelf, language: &str, translate: bool) -> Error {
    let is_english = matches!(language.to_ascii_lowercase().as_str(), "" | "auto" | "en" | "english");
    let first = if is_english && !translate { whisper::FIRST } else { FIRST_OF_ALL_LANGUAGES };
    let pull = format!("run `speechctl models pull {first}` (57 MiB)");
    let names: Vec<&str> = shelf.recognisers().map(|model| model.name.as_str()).collect();
    let message = match shelf.best_recogniser("", false) {
        None if names.is_empty() => format!(
            "no speech-to-text model is installed; {pull}, or try `--model selftest`, which knows 153 English words"
        ),
        None => {
            let names = names.join("`, `");
            format!("none of the installed models is taken unasked; name one with `--model` (`{names}`), or {pull}")
        }
        Some(_) if translate => format!("no installed model translates; {pull}"),
        Some(_) => format!("no installed model knows the language `{language}`; {pull}"),
    };
    Error::new(Kind::NotInstalled, message).can_pull(first.to_owned())
}

/// The faults of `mock` or `mock:FAULTS`. Only who may name files may ask for faults: they cost the server something.
fn mock_faults(name: &str) -> Option<&str> {
    match name.strip_prefix("mock")? {
        "" => Some(""),
        faults => faults.strip_prefix(':'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library with nothing in it.
    fn empty() -> Library {
        Library { cache: "/nowhere/hub".into(), data: "/nowhere/data".into() }
    }

    fn recogniser(name: &str, paths: Paths) -> Result<ModelId> {
        empty().recogniser(Need { name, ..Need::default() }, paths).map(|meant| meant.model)
    }

    #[test]
    fn names_mean_models() {
        assert_eq!(recogniser("selftest", Paths::Refused).expect("known"), ModelId::SelfTest);
        assert_eq!(recogniser("mock:hang", Paths::Allowed).expect("known"), ModelId::Mock("hang".into()));
        assert_eq!(recogniser("/m.bin", Paths::Allowed).expect("a path"), ModelId::Whisper("/m.bin".into()));
    }

    #[test]
    fn each_refusal_has_its_kind() {
        let kind = |name, paths| recogniser(name, paths).expect_err("it is refused").kind();
        assert_eq!(kind("", Paths::Allowed), Kind::NotInstalled);
        assert_eq!(kind("base.en", Paths::Refused), Kind::NotInstalled);
        assert_eq!(kind("hf:owner/repo/ggml-x.bin", Paths::Refused), Kind::NotInstalled);
        assert_eq!(kind("base.english", Paths::Allowed), Kind::NotFound);
        assert_eq!(kind("en_GB-alan-medium", Paths::Allowed), Kind::InvalidInput);
        assert_eq!(kind("/m.bin", Paths::Refused), Kind::Denied);
        assert_eq!(kind("mock:crash", Paths::Refused), Kind::NotFound);
        assert_eq!(kind("./m.bin", Paths::Allowed), Kind::InvalidInput);
        assert_eq!(kind("a\0b", Paths::Allowed), Kind::InvalidInput);
    }

    #[test]
    fn what_could_be_pulled_is_told_to_programs_too() {
        let pull = |need| empty().recogniser(need, Paths::Allowed).expect_err("none is here").details().pull.clone();
        assert_eq!(pull(Need { name: "ggml-base.en.bin", ..Need::default() }).as_deref(), Some("base.en"));
        assert_eq!(pull(Need::default()).as_deref(), Some("base.en-q5_1"));
        assert_eq!(pull(Need { language: "EN", ..Need::default() }).as_deref(), Some("base.en-q5_1"));
        assert_eq!(pull(Need { language: "de", ..Need::default() }).as_deref(), Some("base-q5_1"));
        assert_eq!(pull(Need { translate: true, ..Need::default() }).as_deref(), Some("base-q5_1"));
    }

    #[test]
    fn a_voice_has_its_engine() {
        let of =
            |voice, paths| empty().synthesiser(voice, paths).map(|meant| meant.model).map_err(|error| error.kind());
        assert_eq!(of("en-us", Paths::Allowed), Ok(ModelId::Espeak));
        assert_eq!(of("gmw/en", Paths::Refused), Ok(ModelId::Espeak));
        assert_eq!(of("mock:crash", Paths::Allowed), Ok(ModelId::Mock("crash".into())));
        assert_eq!(of("mock:crash", Paths::Refused), Ok(ModelId::Espeak));
        assert_eq!(of("mockingbird", Paths::Allowed), Ok(ModelId::Espeak));
        assert_eq!(of("/v/amy.onnx", Paths::Allowed), Ok(ModelId::Piper("/v/amy.onnx".into())));
        assert_eq!(of("/v/amy.onnx", Paths::Refused), Err(Kind::Denied));
        assert_eq!(of("amy.onnx", Paths::Allowed), Err(Kind::InvalidInput));
        assert_eq!(of("en_GB-alan-medium", Paths::Refused), Err(Kind::NotInstalled));
        assert_eq!(of("hf:owner/repo/my.onnx", Paths::Refused), Err(Kind::NotInstalled));
        assert_eq!(of("hf:owner/repo/ggml-x.bin", Paths::Refused), Err(Kind::InvalidInput));
    }
}
