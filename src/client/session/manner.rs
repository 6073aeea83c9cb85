//! How a session speaks, as the contract has it.

use super::args::Args;
use crate::{client::tts::voice_of, config, error::Result, proto::spoken::StartSessionRequest};
use std::collections::HashMap;

/// Who speaks, and how.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    model: Option<String>,
    voice: Option<String>,
    language: Option<String>,
    speaker: Option<String>,
    speed: Option<f32>,
    seed: Option<u64>,
    /// Frames come as they are heard; else as fast as they are made.
    is_paced: bool,
}

impl Manner {
    /// As the flags want it; where they name nobody, as the environment does.
    pub(super) fn of(args: &Args) -> Self {
        let is_named = args.voice.is_some() || args.model.is_some() || args.language.is_some();
        let of_environment = || config::env("SPEECHCTL_VOICE").and_then(|voice| voice.into_string().ok());
        let voice = if is_named { args.voice.clone() } else { of_environment() };
        Self {
            model: args.model.clone(),
            voice: voice.filter(|voice| !voice.is_empty()),
            language: args.language.clone(),
            speaker: args.speaker.clone(),
            speed: args.speed,
            seed: args.seed,
            is_paced: args.output.is_none(),
        }
    }

    /// The same with another voice. What was said of the language and the speaker was meant for the one before.
    pub(super) fn with_voice(&self, name: String) -> Self {
        Self { voice: Some(name), language: None, speaker: None, ..self.clone() }
    }

    /// What was named, for people: the voice, else the model.
    pub(super) fn name(&self) -> Option<&str> {
        self.voice.as_deref().or(self.model.as_deref())
    }

    /// What must be installed for it, as far as it was named.
    pub(super) fn needed(&self) -> &str {
        self.model.as_deref().or(self.voice.as_deref()).unwrap_or_default()
    }

    /// What to ask the server for. Looks at the voice, where that is a file.
    ///
    /// # Errors
    /// `NotFound` for a file that is not there, `InvalidInput` for a folder.
    pub(super) fn request(&self, session_id: String) -> Result<StartSessionRequest> {
        let mut options = HashMap::new();
        let mut set = |name: &str, value: Option<String>| {
            options.extend(value.map(|value| (name.to_owned(), value)));
        };
        let mut model_id = voice_of(self.model.as_deref().unwrap_or_default())?;
        let mut voice = self.voice.as_deref().map(voice_of).transpose()?;
        // Paths are longer than names of voices may be; a file is a model of its own.
        if model_id.is_empty() && voice.as_deref().is_some_and(|voice| voice.starts_with('/')) {
            model_id = voice.take().unwrap_or_default();
        }
        set("voice", voice);
        set("language", self.language.clone());
        set("speaker", self.speaker.clone());
        set("speed", self.speed.map(|speed| speed.to_string()));
        set("seed", self.seed.map(|seed| seed.to_string()));
        let pacing = if self.is_paced { "realtime" } else { "none" };
        set("pacing", Some(pacing.to_owned()));
        Ok(StartSessionRequest { session_id, model_id, options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner() -> Manner {
        Manner {
            model: None,
            voice: Some("en-gb".to_owned()),
            language: Some("en".to_owned()),
            speaker: Some("amy".to_owned()),
            speed: Some(1.1),
            seed: Some(7),
            is_paced: true,
        }
    }

    fn options(manner: &Manner) -> Vec<(String, String)> {
        let mut options: Vec<_> = manner.request("a".to_owned()).expect("no file").options.into_iter().collect();
        options.sort();
        options
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_wanted_is_an_option_and_nothing_else() {
        let all = [("language", "en"), ("pacing", "realtime"), ("seed", "7"), ("speaker", "amy"), ("speed", "1.1")];
        assert_eq!(options(&manner()), pairs(&[&all[..], &[("voice", "en-gb")]].concat()));
        let bare = Manner { voice: None, language: None, speaker: None, speed: None, seed: None, ..manner() };
        assert_eq!(options(&Manner { is_paced: false, ..bare }), pairs(&[("pacing", "none")]));
    }

    #[test]
    fn another_voice_has_its_own_language_and_speakers() {
        let other = manner().with_voice("de".to_owned());
        let all = [("pacing", "realtime"), ("seed", "7"), ("speed", "1.1"), ("voice", "de")];
        assert_eq!((options(&other), other.name()), (pairs(&all), Some("de")));
    }

    #[test]
    fn a_file_is_a_model_by_its_whole_path() {
        let of_file = |model: Option<&str>| {
            let model = model.map(str::to_owned);
            let manner = Manner { model, voice: Some("./Cargo.toml".to_owned()), ..manner() };
            manner.request("a".to_owned()).expect("it is there")
        };
        let request = of_file(None);
        assert!(request.model_id.starts_with('/') && request.model_id.ends_with("/Cargo.toml"), "{}", request.model_id);
        assert!(!request.options.contains_key("voice"));
        let request = of_file(Some("espeak"));
        assert_eq!(request.model_id, "espeak");
        assert!(request.options["voice"].starts_with('/'));
        assert!(manner().with_voice("no/such.onnx".to_owned()).request("a".to_owned()).is_err());
    }
}
