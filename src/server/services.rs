//! The services of the public port, and the names under which health is asked for.

use super::{
    Shared,
    api::{models::Models, speech::Speech, tts_service::TtsService, tutorial::Tutorial},
};
use crate::{
    error::{Error, Kind, Result},
    proto::{self, example, spoken, v1},
};
use tonic::service::Routes;

/// The largest message of our own contract: gRPC's default.
const MAX_MESSAGE: usize = 4 << 20;

/// The largest recording of the tutorial's contract, and room for the message around it.
const MAX_TUTORIAL_MESSAGE: usize = (64 << 20) + 1024;

/// The names under which health is asked for: the whole, each service, and what they do.
pub(super) fn names() -> [&'static str; 7] {
    [
        "",
        example::speech_recognition_server::SERVICE_NAME,
        v1::speech_recognition_server::SERVICE_NAME,
        v1::models_server::SERVICE_NAME,
        spoken::tts_service_server::SERVICE_NAME,
        "stt",
        "tts",
    ]
}

/// Every service of the public port.
///
/// # Errors
/// `Internal` where the descriptors of the contracts cannot be read.
pub(super) fn routes<H>(shared: Shared, health: tonic_health::pb::health_server::HealthServer<H>) -> Result<Routes>
where
    H: tonic_health::pb::health_server::Health,
{
    let speech = v1::speech_recognition_server::SpeechRecognitionServer::new(Speech(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE);
    let models = v1::models_server::ModelsServer::new(Models(shared.clone()));
    let spoken = spoken::tts_service_server::TtsServiceServer::new(TtsService(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE);
    let tutorial = example::speech_recognition_server::SpeechRecognitionServer::new(Tutorial(shared))
        .max_decoding_message_size(MAX_TUTORIAL_MESSAGE);
    let reflection = || {
        // What callers can call: the worker contracts are not among it.
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(example::speech_recognition_server::SERVICE_NAME)
            .with_service_name(v1::speech_recognition_server::SERVICE_NAME)
            .with_service_name(v1::models_server::SERVICE_NAME)
            .with_service_name(spoken::tts_service_server::SERVICE_NAME)
            .with_service_name("grpc.health.v1.Health")
    };
    let broken = |cause| Error::new(Kind::Internal, "the descriptors are broken").because(cause);
    let reflection_v1 = reflection().build_v1().map_err(|cause| broken(Box::new(cause)))?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(|cause| broken(Box::new(cause)))?;
    Ok(Routes::new(speech)
        .add_service(tutorial)
        .add_service(models)
        .add_service(spoken)
        .add_service(health)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .prepare())
}
