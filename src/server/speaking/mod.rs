//! Speaking texts: audio flows on as it is made, and a worker that dies is not heard.

mod passage;
mod region;
mod script;
pub(crate) mod spoken;
mod style;
mod voices;

use crate::{
    error::{Kind, Result},
    lexicon::Watched,
    models::{
        Paths,
        library::{Library, Meant},
    },
    sentence::{self, Sentence},
    server::{
        guard::deadline,
        supervisor::{Supervisor, lies::UNTOLD_RATE},
    },
    speech::{MarkKind, ModelId},
};
use bytes::Bytes;
use passage::Passage;
use script::{Script, Whole};
use std::{
    future::Future,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use voices::Casting;
pub(crate) use {
    script::{Line, MAX_TEXT},
    style::Style,
    voices::Voices,
};

/// How long a voice may take to show that it speaks.
const LONGEST_TRIAL: Duration = Duration::from_secs(30);

/// What to say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Words {
    /// A text.
    Text(String),
    /// A document of SSML.
    Ssml(String),
}

/// Where in the audio of a passage something begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpeechMark {
    /// What begins.
    pub(crate) kind: MarkKind,
    /// The sample, counted from the first of the passage.
    pub(crate) sample: u64,
    /// The part of the caller's text, in bytes.
    pub(crate) text: Range<u64>,
    /// The name of a `<mark>`.
    pub(crate) name: String,
}

/// Speaks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    supervisor: Supervisor,
    default_voice: String,
    casting: Casting,
    library: Library,
    /// Pronunciations for callers that bring none of their own.
    lexicon: Option<Arc<Mutex<Watched>>>,
}

/// Who speaks.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    model: ModelId,
    /// What the model calls the voice.
    voice: String,
    /// What the caller calls it.
    shown: String,
}

impl Cast {
    /// What has to be loaded for it.
    pub(crate) fn model(&self) -> &ModelId {
        &self.model
    }

    /// The language of the voice, as far as its name tells: BCP 47, or empty.
    pub(crate) fn language(&self) -> String {
        match &self.model {
            // Piper's voices are called en_US-lessac-medium.
            ModelId::Piper(path) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let locale = name.split('-').next().unwrap_or_default();
                let is_locale = locale.split_once('_').is_some_and(|(language, region)| {
                    (2..=3).contains(&language.len()) && (2..=3).contains(&region.len())
                });
                if is_locale { locale.replace('_', "-").to_ascii_lowercase() } else { String::new() }
            }
            _ => self.voice.split('+').next().unwrap_or_default().to_ascii_lowercase(),
        }
    }

    /// Whether the words are best given sentence by sentence: by engines that compute each by itself.
    fn takes_sentences(&self) -> bool {
        matches!(self.model, ModelId::Piper(_) | ModelId::Mock(_))
    }
}

/// Takes what is spoken, in order. It is given, and then waited for: who waits may be interrupted and wait again.
pub(crate) trait Listener {
    /// Hears the rate of the audio, Hz, and the voice; once a passage, before any audio.
    ///
    /// # Errors
    /// What cannot be taken.
    fn format(&mut self, sample_rate: u32, voice: &str) -> Result<()>;

    /// Hears some audio: 16 bits little-endian, mono.
    ///
    /// # Errors
    /// What cannot be taken.
    fn audio(&mut self, audio: Bytes) -> Result<()>;

    /// Hears where something begins, before the audio of it.
    fn mark(&mut self, _mark: SpeechMark) {}

    /// Hears that a worker has made so much audio, and how long it took; what it waited for the listener is not in it.
    fn worked(&mut self, _audio: Duration, _took: Duration) {}

    /// Waits until all that was given is taken.
    fn deliver(&mut self) -> impl Future<Output = Result<()>> + Send;
}

impl Speaker {
    /// A speaker whose default voice is this one, of this model.
    pub(crate) fn new(supervisor: Supervisor, default_voice: String, default_model: ModelId, library: Library) -> Self {
        let casting = Casting::new(supervisor.clone(), default_model, library.clone());
        Self { supervisor, default_voice, casting, library, lexicon: None }
    }

    /// The same, with pronunciations of a file for callers that bring none of their own.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn with_lexicon(mut self, file: &Path) -> Result<Self> {
        let mut lexicon = Watched::new(file);
        lexicon.get()?;
        self.lexicon = Some(Arc::new(Mutex::new(lexicon)));
        Ok(self)
    }

    /// The style with the server's pronunciations, where the caller brings none.
    pub(crate) fn styled(&self, mut style: Style) -> Style {
        let Some(file) = self.lexicon.clone().filter(|_| style.lexicon.is_empty()) else { return style };
        // A look at the file as a rule; once it has changed, as long as it takes to read it.
        let looked_up = tokio::task::block_in_place(|| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let lexicon = file.get();
            if let Some(error) = file.take_error() {
                tracing::warn!(%error, "Lexicon cannot be read; it stays as it was.");
            }
            lexicon
        });
        if let Ok(lexicon) = looked_up {
            style.lexicon = lexicon;
        }
        style
    }

    /// The voice that speaks when none is named.
    pub(crate) fn default_voice(&self) -> &str {
        &self.default_voice
    }

    /// All voices.
    ///
    /// # Errors
    /// What the engine says, or what came of its deaths.
    pub(crate) async fn voices(&self, deadline: Option<Instant>) -> Result<Voices> {
        self.casting.all(deadline).await
    }

    /// Sees whether the default voice can speak.
    ///
    /// # Errors
    /// `NotFound` where it does not exist, or what the engine says.
    pub(crate) async fn try_default(&self) -> Result<()> {
        let (words, style, mut nobody) = (Words::Text("a".to_owned()), Style::default(), Nobody);
        let deadline = Some(Instant::now() + LONGEST_TRIAL);
        let speaking = self.speak(&words, &style, Paths::Allowed, deadline, &mut nobody);
        deadline::within(deadline, speaking).await
    }

    /// Sees whether somebody can speak in this style; then the model is loaded, too.
    ///
    /// # Errors
    /// What the engine says, or what came of its deaths.
    pub(crate) async fn try_cast(&self, cast: &Cast, style: &Style) -> Result<()> {
        let line = Line::new(Sentence::verbatim("a"), &style.lexicon, &cast.language());
        let deadline = Some(Instant::now() + LONGEST_TRIAL);
        let mut nobody = Nobody;
        deadline::within(deadline, self.go_on(cast, style, vec![line], 0, deadline, &mut nobody)).await
    }

    /// Speaks a text to a listener.
    ///
    /// # Errors
    /// `InvalidInput` for a text, a style or a region that cannot be spoken, `NotFound` for a voice that does not exist,
    /// what the listener says, or what came of an engine's deaths.
    pub(crate) async fn speak(
        &self,
        words: &Words,
        style: &Style,
        paths: Paths,
        deadline: Option<Instant>,
        listener: &mut (impl Listener + Send),
    ) -> Result<()> {
        style.check()?;
        match words {
            Words::Text(text) => script::check(text, "text")?,
            Words::Ssml(document) => {
                script::check(document, "ssml")?;
                script::check_ssml(document)?;
            }
        }
        let cast = self.cast(style, paths, deadline).await?;
        let script = match words {
            Words::Ssml(document) => Script::Ssml(document.clone()),
            Words::Text(text) => {
                let language = cast.language();
                if cast.takes_sentences() {
                    let sentences = sentence::split(text, &language).into_iter();
                    Script::Sentences(
                        sentences.map(|sentence| Line::new(sentence, &style.lexicon, &language)).collect(),
                    )
                } else {
                    Script::Whole(Whole::of_text(text, &style.lexicon, &language, style.marks))
                }
            }
        };
        self.say(&cast, style, script, 0, deadline, listener).await
    }

    /// Speaks some sentences of a text of which so many went before.
    ///
    /// # Errors
    /// What the listener says, what the engine refuses, or what came of its deaths.
    pub(crate) async fn go_on(
        &self,
        cast: &Cast,
        style: &Style,
        lines: Vec<Line>,
        before: u64,
        deadline: Option<Instant>,
        listener: &mut (impl Listener + Send),
    ) -> Result<()> {
        let script =
            if cast.takes_sentences() { Script::Sentences(lines) } else { Script::Whole(Whole::of_lines(lines)) };
        self.say(cast, style, script, before, deadline, listener).await
    }

    async fn say(
        &self,
        cast: &Cast,
        style: &Style,
        script: Script,
        before: u64,
        deadline: Option<Instant>,
        listener: &mut (impl Listener + Send),
    ) -> Result<()> {
        let mut request = style.request(&cast.voice);
        if matches!(cast.model, ModelId::Called { .. }) && request.sample_rate == 0 {
            // Workers of the original contract do not say what their own rate is.
            request.sample_rate = UNTOLD_RATE;
        }
        let mut passage = Passage::new(script, before, request, &cast.shown, listener);
        passage.speak(&self.supervisor, cast.model.clone(), deadline).await
    }

    /// Who speaks in a style.
    ///
    /// # Errors
    /// `InvalidInput` for a region that no voice has, `Denied` for a path where paths are refused.
    pub(crate) async fn cast(&self, style: &Style, paths: Paths, deadline: Option<Instant>) -> Result<Cast> {
        let shown = self.voice(style, deadline).await?;
        // What the server itself was told to use is no path of the caller's.
        let paths = if shown == self.default_voice { Paths::Allowed } else { paths };
        let named = tokio::task::block_in_place(|| self.library.synthesiser(&shown, paths));
        let (model, voice) = match named {
            // A worker elsewhere may have one of that name.
            Err(error) if matches!(error.kind(), Kind::NotInstalled | Kind::NotFound) => {
                match self.casting.cast(&shown, deadline).await? {
                    (ModelId::Espeak, _) => return Err(error),
                    found => found,
                }
            }
            named => match named? {
                Meant { model: ModelId::Espeak, .. } => self.casting.cast(&shown, deadline).await?,
                // By its file, whatever it is called here.
                Meant { model: model @ ModelId::Piper(_), name } => {
                    if let Some(name) = name {
                        self.supervisor.directory().call(&name, &model);
                    }
                    let file = model.to_string();
                    (model, file)
                }
                Meant { model, .. } => (model, shown.clone()),
            },
        };
        Ok(Cast { model, voice, shown })
    }

    /// The voice that is meant.
    async fn voice(&self, style: &Style, deadline: Option<Instant>) -> Result<String> {
        if !style.voice.is_empty() {
            return Ok(style.voice.clone());
        }
        if style.region.is_empty() {
            return Ok(self.default_voice.clone());
        }
        let voices = self.voices(deadline).await?;
        Ok(region::voice(&style.region, &voices.voices, &self.default_voice)?.id.clone())
    }
}

/// Takes no note of what is said.
struct Nobody;

impl Listener for Nobody {
    fn format(&mut self, _sample_rate: u32, _voice: &str) -> Result<()> {
        Ok(())
    }

    fn audio(&mut self, _audio: Bytes) -> Result<()> {
        Ok(())
    }

    async fn deliver(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_tells_its_language() {
        let language =
            |model: ModelId, voice: &str| Cast { model, voice: voice.to_owned(), shown: String::new() }.language();
        assert_eq!(language(ModelId::Espeak, "en-gb+f3"), "en-gb");
        assert_eq!(language(ModelId::Piper("/v/de_DE-thorsten-medium.onnx".into()), ""), "de-de");
        assert_eq!(language(ModelId::Piper("/v/my_voice.onnx".into()), ""), "");
    }
}
