//! Which models there are, and what a name means.

pub(crate) mod selftest;

use crate::{
    error::{Error, Kind, Result},
    speech::ModelId,
};
use std::path::Path;

/// How to come by a first model. One that fits most machines and most people.
const HOW_TO_GET_ONE: &str = "download one, such as \
    https://huggingface.co/ggerganov/whisper.cpp/resolve/main/ggml-base.en-q5_1.bin (57 MB), and name the file \
    with `--model`, or try `--model selftest`, which knows 153 English words";

/// Whether a request may name a file of this machine, or ask for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// It comes from the command line, or from a caller on this machine.
    Allowed,
    /// It comes over the network.
    Refused,
}

/// What is meant by the name of a recogniser: `selftest`, `mock[:FAULTS]`, or the path of a ggml model file.
///
/// # Errors
/// - `NotInstalled` for no name at all: nothing is chosen for a user's own audio.
/// - `NotFound` for a name that is not known.
/// - `Denied` for a path where paths are refused.
/// - `InvalidInput` for a path that is not absolute.
pub(crate) fn recognizer(name: &str, paths: Paths) -> Result<ModelId> {
    match name {
        "" => Err(none_installed()),
        "selftest" => Ok(ModelId::SelfTest),
        _ => {
            if let (Some(faults), Paths::Allowed) = (mock_faults(name), paths) {
                return Ok(ModelId::Mock(faults.to_owned()));
            }
            if name.contains('\0') {
                return Err(Error::invalid("a model name cannot hold NUL bytes").in_field("config.model"));
            }
            by_path(name, paths)
        }
    }
}

fn by_path(name: &str, paths: Paths) -> Result<ModelId> {
    let path = Path::new(name);
    if !name.contains('/') {
        let known = "there are `selftest` and, by its path, any ggml Whisper model file";
        return Err(
            Error::new(Kind::NotFound, format!("model `{name}` is not known; {known}")).in_field("config.model")
        );
    }
    if paths == Paths::Refused {
        let message = format!("model `{name}`: paths are taken only from callers on the server's own machine");
        return Err(Error::new(Kind::Denied, message).in_field("config.model"));
    }
    if !path.is_absolute() {
        let message = format!("model `{name}`: the path must be absolute");
        return Err(Error::invalid(message).in_field("config.model"));
    }
    Ok(ModelId::Whisper(path.to_owned()))
}

/// Nothing was named and nothing is installed.
pub(crate) fn none_installed() -> Error {
    Error::new(Kind::NotInstalled, format!("no speech-to-text model is installed; {HOW_TO_GET_ONE}"))
}

/// Which synthesiser speaks with a voice of this name: `mock[:FAULTS]`, the path of a Piper voice's .onnx file, or any
/// other name, for espeak.
///
/// # Errors
/// `Denied` for a path where paths are refused, `InvalidInput` for one that is not absolute.
pub(crate) fn synthesizer(voice: &str, paths: Paths) -> Result<ModelId> {
    if let (Some(faults), Paths::Allowed) = (mock_faults(voice), paths) {
        return Ok(ModelId::Mock(faults.to_owned()));
    }
    // espeak's own names have a slash too ("gmw/en"), but no such end.
    if !voice.ends_with(".onnx") && !voice.starts_with('/') {
        return Ok(ModelId::Espeak);
    }
    let wrong = |kind, why: &str| Err(Error::new(kind, format!("voice `{voice}`: {why}")).in_field("voice"));
    if paths == Paths::Refused {
        return wrong(Kind::Denied, "paths are taken only from callers on the server's own machine");
    }
    if !voice.starts_with('/') || voice.contains('\0') {
        return wrong(Kind::InvalidInput, "the path must be absolute");
    }
    Ok(ModelId::Piper(Path::new(voice).to_owned()))
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

    #[test]
    fn names_mean_models() {
        assert_eq!(recognizer("selftest", Paths::Refused).expect("known"), ModelId::SelfTest);
        assert_eq!(recognizer("mock:hang", Paths::Allowed).expect("known"), ModelId::Mock("hang".into()));
        assert_eq!(recognizer("/m.bin", Paths::Allowed).expect("a path"), ModelId::Whisper("/m.bin".into()));
    }

    #[test]
    fn each_refusal_has_its_kind() {
        let kind = |name, paths| recognizer(name, paths).expect_err("it is refused").kind();
        assert_eq!(kind("", Paths::Allowed), Kind::NotInstalled);
        assert_eq!(kind("base.en", Paths::Allowed), Kind::NotFound);
        assert_eq!(kind("/m.bin", Paths::Refused), Kind::Denied);
        assert_eq!(kind("mock:crash", Paths::Refused), Kind::NotFound);
        assert_eq!(kind("./m.bin", Paths::Allowed), Kind::InvalidInput);
        assert_eq!(kind("a\0b", Paths::Allowed), Kind::InvalidInput);
    }

    #[test]
    fn a_voice_has_its_engine() {
        let of = |voice, paths| synthesizer(voice, paths).map_err(|error| error.kind());
        assert_eq!(of("en-us", Paths::Allowed), Ok(ModelId::Espeak));
        assert_eq!(of("gmw/en", Paths::Refused), Ok(ModelId::Espeak));
        assert_eq!(of("mock:crash", Paths::Allowed), Ok(ModelId::Mock("crash".into())));
        assert_eq!(of("mock:crash", Paths::Refused), Ok(ModelId::Espeak));
        assert_eq!(of("mockingbird", Paths::Allowed), Ok(ModelId::Espeak));
        assert_eq!(of("/v/amy.onnx", Paths::Allowed), Ok(ModelId::Piper("/v/amy.onnx".into())));
        assert_eq!(of("/v/amy.onnx", Paths::Refused), Err(Kind::Denied));
        assert_eq!(of("amy.onnx", Paths::Allowed), Err(Kind::InvalidInput));
    }
}
