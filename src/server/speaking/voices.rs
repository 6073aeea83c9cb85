//! Who can speak: the built-in voices, and those of workers elsewhere.

use crate::{
    error::Result,
    server::supervisor::Supervisor,
    speech::{ModelId, Voice},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};

/// How long the voices of a worker elsewhere are remembered: it may be replaced by one that has others.
const MEMORY: Duration = Duration::from_secs(60);

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

/// Knows who has which voice. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Casting {
    supervisor: Supervisor,
    built_in: Arc<OnceCell<Voices>>,
    elsewhere: Arc<Mutex<HashMap<ModelId, (Instant, Vec<Voice>)>>>,
}

impl Casting {
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self { supervisor, built_in: Arc::default(), elsewhere: Arc::default() }
    }

    /// All voices. Those of a worker elsewhere that cannot be had now are missing.
    ///
    /// # Errors
    /// What the built-in engine says, or what came of its deaths.
    pub(super) async fn all(&self, deadline: Option<Instant>) -> Result<Voices> {
        let mut all = self.built_in(deadline).await?.clone();
        for model in self.speakers() {
            all.voices.extend(self.of(&model).await);
        }
        all.voices.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// The model that has a voice: one elsewhere, if it lists the voice; else the built-in one, which knows best what is
    /// wrong with a voice that nobody has. No voice at all is the first one elsewhere.
    pub(super) async fn model_of(&self, voice: &str, deadline: Option<Instant>) -> ModelId {
        let speakers = self.speakers();
        if voice.is_empty() {
            return speakers.into_iter().next().unwrap_or(ModelId::Espeak);
        }
        for model in speakers {
            let looking = self.of(&model);
            let within = deadline.map_or(PATIENCE, |deadline| deadline.saturating_duration_since(Instant::now()));
            if let Ok(voices) = timeout(within.min(PATIENCE), looking).await
                && voices.iter().any(|known| known.id == voice)
            {
                return model;
            }
        }
        ModelId::Espeak
    }

    /// The models elsewhere that speak.
    fn speakers(&self) -> Vec<ModelId> {
        self.supervisor.directory().models().into_iter().filter(ModelId::speaks).collect()
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
        let known = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        if let Some((since, voices)) = known
            && since.elapsed() < MEMORY
        {
            return voices;
        }
        let deadline = Instant::now() + PATIENCE;
        let listed = timeout(PATIENCE, self.supervisor.voices(model.clone(), Some(deadline))).await;
        let voices = match listed {
            Ok(Ok(list)) => named(list.voices.into_iter().map(Voice::from), &model.to_string()),
            Ok(Err(error)) => {
                tracing::warn!(%model, %error, "Its voices cannot be listed.");
                return Vec::new();
            }
            Err(_) => {
                tracing::warn!(%model, "Its voices were not listed in time.");
                return Vec::new();
            }
        };
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.insert(model.clone(), (Instant::now(), voices.clone()));
        voices
    }
}

fn named(voices: impl Iterator<Item = Voice>, engine: &str) -> Vec<Voice> {
    let mut voices: Vec<Voice> = voices.map(|voice| Voice { engine: engine.to_owned(), ..voice }).collect();
    voices.sort_by(|a, b| a.id.cmp(&b.id));
    voices
}
