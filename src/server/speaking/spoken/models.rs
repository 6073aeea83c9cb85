//! What orchestrators may do to the models that speak: load them, keep them, load them afresh, unload them.

use super::{Refusal, Spoken, by_contract, casting, options};
use crate::{
    error::{Error, Kind, Result},
    models::Paths,
    server::supervisor::hold,
    speech::ModelId,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The most models that are kept because somebody has loaded them.
const MAX_KEPT: usize = 1_000;

/// Models that nothing unloads until somebody asks for that. One whose worker dies idle comes back when it is wanted.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<ModelId, hold::Held>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, HashMap<ModelId, hold::Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a model again that was to be unloaded, unless it was: also where its caller has gone meanwhile.
struct Back<'a>(Option<(&'a Spoken, ModelId)>);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if let Some((spoken, model)) = self.0.take() {
            let held = spoken.0.speaker.supervisor.hold(model.clone());
            spoken.0.kept.lock().insert(model, held);
        }
    }
}

impl Spoken {
    /// Loads a model, if it is not loaded, to stay there until it is unloaded; or, where it is only preloaded, as one
    /// that was used now. Says how long that took.
    ///
    /// # Errors
    /// What hinders the model, as no success; as a status, that there is no room, or no time.
    pub(crate) async fn load(
        &self,
        name: &str,
        is_only_preloaded: bool,
        paths: Paths,
        deadline: Option<Instant>,
    ) -> Result<Duration, Refusal> {
        let model = self.model(name, paths, deadline).await?;
        let held = self.0.speaker.supervisor.hold(model.clone());
        let took = self.0.speaker.supervisor.load(model.clone(), deadline).await.map_err(by_contract)?;
        if !is_only_preloaded {
            let mut kept = self.0.kept.lock();
            if kept.len() >= MAX_KEPT && !kept.contains_key(&model) {
                let message = format!("{MAX_KEPT} models are loaded to stay; unload one, or say preload_only");
                return Err(Refusal::Status(Error::new(Kind::Busy, message)));
            }
            kept.insert(model, held);
        }
        Ok(took)
    }

    /// Unloads a model; says whether it was loaded.
    ///
    /// # Errors
    /// `InUse` where somebody speaks or hears with it, as a status; what is wrong with its name, as no success.
    pub(crate) async fn unload(&self, name: &str, paths: Paths, deadline: Option<Instant>) -> Result<bool, Refusal> {
        let model = self.model(name, paths, deadline).await?;
        let was_kept = self.0.kept.lock().remove(&model).is_some();
        let mut back = Back(was_kept.then_some((self, model.clone())));
        let was_loaded = self.0.speaker.supervisor.unload_unused(model).await.map_err(by_contract)?;
        back.0 = None;
        Ok(was_loaded)
    }

    /// Loads the model of a session afresh. What is being said goes on with the old one.
    ///
    /// # Errors
    /// `NotFound`, as a status; and as no success, why it could not be loaded: then the old one stays.
    pub(crate) async fn reload(&self, id: &str, deadline: Option<Instant>) -> Result<Duration, Refusal> {
        let session = self.0.lock().find(id)?;
        session.touch();
        let model = session.cast.model().clone();
        self.0.speaker.supervisor.reload(model, deadline).await.map_err(by_contract)
    }

    /// The model of a name; where none is named, the one that speaks by default.
    async fn model(&self, name: &str, paths: Paths, deadline: Option<Instant>) -> Result<ModelId, Refusal> {
        let wanted = options::read(&HashMap::new())?;
        let cast = casting::cast(&self.0.speaker, name, &wanted, paths).await.map_err(by_contract)?;
        if *cast.model() == ModelId::Espeak && !matches!(name, "" | "espeak") {
            // Whatever is nobody else's may be a voice of espeak, with a variant of it.
            let voice = name.split('+').next().unwrap_or_default();
            let voices = self.0.speaker.voices(deadline).await.map_err(by_contract)?.voices;
            if !voices.iter().any(|known| known.engine == "espeak" && known.id.eq_ignore_ascii_case(voice)) {
                let message = format!("there is no model `{}`; ListModels has all", name.escape_debug());
                return Err(Refusal::NoSuccess(Error::new(Kind::NotFound, message)));
            }
        }
        Ok(cast.model().clone())
    }
}
