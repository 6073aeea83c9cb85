//! How the engine is, as both worker contracts report it.

use crate::{
    error::{Error, Result},
    proto::status,
    speech::{BUILD_ID, ModelId},
    worker::thread::{EngineThread, Stage},
};
use std::{collections::HashMap, time::Duration};

/// Answers both `Health` calls, and knows by which name a request means this worker's model.
#[derive(Clone)]
pub(super) struct Reporter {
    engine: EngineThread,
    engine_name: String,
    model_name: String,
}

/// What both `HealthResponse`s hold.
pub(super) struct Report {
    /// "ok", "loading", "error".
    pub(super) status: String,
    /// What is loaded.
    pub(super) model_name: String,
    /// By which engine.
    pub(super) engine: String,
    /// `build_id`; `pulse`, the signs of life so far; `jobs`, those not finished; `processor_ms`, the processor time of
    /// the process so far; `progress`, how much of the model is loaded (0 to 1), while that is known; `kind`, the kind of
    /// the failure.
    pub(super) metadata: HashMap<String, String>,
    /// Why the status is "error".
    pub(super) reason: String,
}

/// The processor time of this process: what its engine has worked, where it gives no other sign.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Reporter {
    /// Reports on this engine, which callers know by this name of its model.
    pub(super) fn new(engine: EngineThread, model: &ModelId, model_name: String) -> Self {
        Self { engine, engine_name: model.engine().to_owned(), model_name }
    }

    /// Checks that a request means this worker's model, or does not say.
    ///
    /// # Errors
    /// `InvalidInput`, naming both.
    pub(super) fn check_model(&self, wanted: &str) -> Result<()> {
        if wanted.is_empty() || wanted == self.model_name {
            return Ok(());
        }
        let shown: String = wanted.chars().take(200).collect();
        let message = format!("this worker has model `{}`, not `{shown}`", self.model_name);
        Err(Error::invalid(message).in_field("model"))
    }

    /// How it is now.
    pub(super) fn report(&self) -> Report {
        let mut metadata = HashMap::from([
            ("build_id".to_owned(), BUILD_ID.to_owned()),
            ("pulse".to_owned(), self.engine.pulse().count().to_string()),
            ("jobs".to_owned(), self.engine.jobs().to_string()),
            ("processor_ms".to_owned(), processor_time().as_millis().to_string()),
        ]);
        let (status, reason) = match self.engine.stage() {
            Stage::Loading => {
                if let Some(progress) = self.engine.progress() {
                    metadata.insert("progress".to_owned(), format!("{progress:.2}"));
                }
                ("loading", String::new())
            }
            Stage::Ready => ("ok", String::new()),
            Stage::Failed(kind, message) => {
                metadata.insert("kind".to_owned(), status::reason(kind).to_owned());
                ("error", message)
            }
        };
        Report {
            status: status.to_owned(),
            model_name: self.model_name.clone(),
            engine: self.engine_name.clone(),
            metadata,
            reason,
        }
    }
}
