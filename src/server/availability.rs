//! Health of what the server does, as load balancers ask for it: "stt" and "tts" are served as long as the models can be
//! had that requests mean when they name none. A server that was given no recogniser serves those that requests name.

use crate::{
    server::supervisor::view::{ModelState, ModelView},
    speech::ModelId,
};
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Tells health how the default models are, each time that changes.
pub(super) async fn follow(health: HealthReporter, mut models: watch::Receiver<Vec<ModelView>>) {
    while models.changed().await.is_ok() {
        let models = models.borrow_and_update().clone();
        tell(&health, &models).await;
    }
}

/// Tells health how the default models are now: the last of them speaks, one before it recognises.
pub(super) async fn tell(health: &HealthReporter, models: &[ModelView]) {
    let (speaker, recognisers) = models.split_last().map_or((None, models), |(last, rest)| (Some(last), rest));
    let is_had = |mut models: std::slice::Iter<'_, ModelView>| models.all(can_be_had);
    for (name, is_served) in [("stt", is_had(recognisers.iter())), ("tts", speaker.is_none_or(can_be_had))] {
        let status = if is_served { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status(name, status).await;
    }
}

/// Whether a request would be served. What we start ourselves is started by the request; what runs elsewhere must be
/// there.
fn can_be_had(model: &ModelView) -> bool {
    match model.id {
        ModelId::Called { .. } => model.state == ModelState::Ready,
        _ => model.state != ModelState::Failed,
    }
}
