//! Who can speak: the built-in voices, and those of workers elsewhere.

use crate::{
    error::Result,
    models::{catalogue::Role, library::Library, shelf::State, voice_config::Config},
    server::supervisor::{Supervisor, view::ModelState},
    speech::{ModelId, Voice},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};

/// How long the voices of a worker elsewhere are remembered: it may be replaced by one that has others.
const MEMORY: Duration = Duration::from_secs(60);

/// How long it is remembered that a worker elsewhere lists none.
const SHORT_MEMORY: Duration = Duration::from_secs(10);

/// How long a worker elsewhere may take to list its voices, before the others are listed without them.
const PATIENCE: Duration = Duration::from_secs(3);

/// Voices, as workers have listed them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voices {
    /// In the order of their ids.
    pub(crate) voices: Vec<Voice>,
    /// What may follow a voice of espeak's after a "+".
    pub(crate) variants: Vec<String>,
}

/// When a worker elsewhere listed its voices, and which.
type Listed = (Instant, Vec<Voice>);

/// Knows who has which voice. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Casting {
    supervisor: Supervisor,
    /// Who speaks when no voice is named.
    default: ModelId,
    library: Library,
    built_in: Arc<OnceCell<Voices>>,
    elsewhere: Arc<Mutex<HashMap<ModelId, Listed>>>,
}

impl Casting {
    pub(super) fn new(supervisor: Supervisor, default: ModelId, library: Library) -> Self {
        Self { supervisor, default, library, built_in: Arc::default(), elsewhere: Arc::default() }
    }

    /// All voices. Those of a worker elsewhere that cannot be had now are missing.
    ///
    /// # Errors
    /// What the built-in engine says, or what came of its deaths.
    pub(super) async fn all(&self, deadline: Option<Instant>) -> Result<Voices> {
        let built_in = self.built_in(deadline).await?;
        let mut all = built_in.clone();
        let installed = tokio::task::block_in_place(|| installed(&self.library));
        let is_listed = |path: &Path| installed.iter().any(|(listed, _)| listed == path);
        if let model @ ModelId::Piper(path) = &self.default
            && !is_listed(path)
        {
            // It is asked for by its path.
            let named = |voice| Voice { id: model.to_string(), engine: "piper".to_owned(), ..voice };
            all.voices.extend(self.of(model).await.into_iter().map(named));
        }
        all.voices.extend(installed.into_iter().map(|(_, voice)| voice));
        for model in self.speakers().await {
            let voices = self.of(&model).await.into_iter();
            all.voices.extend(voices.map(|voice| Voice { id: self.public(built_in, &model, &voice.id), ..voice }));
        }
        all.voices.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// The model that has a voice, and what it calls that: one elsewhere, if it lists the voice; else the built-in one,
    /// which knows best what is wrong with a voice that nobody has.
    ///
    /// # Errors
    /// What the built-in engine says, or what came of its deaths.
    pub(super) async fn cast(&self, voice: &str, deadline: Option<Instant>) -> Result<(ModelId, String)> {
        if voice.is_empty() {
            return Ok((self.default.clone(), String::new()));
        }
        let speakers = self.speakers().await;
        if speakers.is_empty() {
            return Ok((ModelId::Espeak, voice.to_owned()));
        }
        // What is built in keeps its names, whoever comes.
        let built_in = self.built_in(deadline).await?;
        let plain = voice.split('+').next().unwrap_or(voice);
        if has(built_in, plain) {
            return Ok((ModelId::Espeak, voice.to_owned()));
        }
        for model in speakers {
            let voices = self.of(&model).await;
            let found = voices.into_iter().find(|known| self.public(built_in, &model, &known.id) == voice);
            if let Some(found) = found {
                return Ok((model, found.id));
            }
        }
        Ok((ModelId::Espeak, voice.to_owned()))
    }

    /// The name of a voice elsewhere, for callers: its own, or with its model's before it where that one is built in.
    fn public(&self, built_in: &Voices, model: &ModelId, id: &str) -> String {
        if has(built_in, id) { format!("{}/{id}", self.supervisor.directory().name(model)) } else { id.to_owned() }
    }

    /// The models elsewhere that speak, and can be asked: nobody waits for those that have gone.
    async fn speakers(&self) -> Vec<ModelId> {
        let speakers: Vec<ModelId> = self.supervisor.directory().models().into_iter().filter(ModelId::speaks).collect();
        if speakers.is_empty() {
            return speakers;
        }
        let seen = self.supervisor.view().await.map(|view| view.models).unwrap_or_default();
        let is_there = |model: &ModelId| seen.iter().any(|seen| seen.id == *model && seen.state != ModelState::Failed);
        speakers.into_iter().filter(is_there).collect()
    }

    async fn built_in(&self, deadline: Option<Instant>) -> Result<&Voices> {
        self.built_in
            .get_or_try_init(|| async {
                let list = self.supervisor.voices(ModelId::Espeak, deadline).await?;
                let voices = named(list.voices.into_iter().map(Voice::from), "espeak");
                Ok(Voices { voices, variants: list.variants })
            })
            .await
    }

    /// The voices of a worker elsewhere; none, if it does not say.
    async fn of(&self, model: &ModelId) -> Vec<Voice> {
        // The lock is gone before anybody waits.
        let known = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        if let Some((since, voices)) = known
            && since.elapsed() < if voices.is_empty() { SHORT_MEMORY } else { MEMORY }
        {
            return voices;
        }
        let deadline = Instant::now() + PATIENCE;
        let listed = timeout(PATIENCE, self.supervisor.voices(model.clone(), Some(deadline))).await;
        let voices = match listed {
            Ok(Ok(list)) => named(list.voices.into_iter().map(Voice::from), &self.supervisor.directory().name(model)),
            Ok(Err(error)) => {
                tracing::warn!(%model, %error, "Its voices cannot be listed.");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(%model, "Its voices were not listed in time.");
                Vec::new()
            }
        };
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.insert(model.clone(), (Instant::now(), voices.clone()));
        voices
    }
}

/// The voices that are installed, by their files. One whose description cannot be read is told of when it is to speak.
fn installed(library: &Library) -> Vec<(PathBuf, Voice)> {
    let voices =
        library.usual().models.into_iter().filter(|model| model.role == Role::Voice && model.state != State::Gone);
    let described = voices.filter_map(|model| {
        let voice = Config::beside(&model.path).ok()?.voice(model.name);
        Some((model.path, Voice { engine: "piper".to_owned(), ..voice }))
    });
    described.collect()
}

fn has(voices: &Voices, id: &str) -> bool {
    voices.voices.iter().any(|voice| voice.id == id)
}

fn named(voices: impl Iterator<Item = Voice>, engine: &str) -> Vec<Voice> {
    let mut voices: Vec<Voice> = voices.map(|voice| Voice { engine: engine.to_owned(), ..voice }).collect();
    voices.sort_by(|a, b| a.id.cmp(&b.id));
    voices
}
