//! Calls as tests make them, and what their failures say.

use super::{
    pb::{connect, speech, v1},
    wav,
};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use v1::{models_client::ModelsClient, synthesize_response::Event};

/// A request to write down samples at 16 kHz.
pub(crate) fn recognize(model: &str, samples: &[i16]) -> v1::RecognizeRequest {
    let config = v1::RecognitionConfig {
        model: model.to_owned(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: 16_000,
        threads: 1,
        ..Default::default()
    };
    v1::RecognizeRequest {
        config: Some(config),
        audio: samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>().into(),
    }
}

/// The same, with a prompt.
pub(crate) fn prompted(model: &str, prompt: &str, samples: &[i16]) -> v1::RecognizeRequest {
    let mut request = recognize(model, samples);
    request.config.as_mut().expect("it has one").prompt = prompt.to_owned();
    request
}

/// The text of a request's answer.
pub(crate) async fn hear(address: &str, request: v1::RecognizeRequest) -> Result<String, Status> {
    Ok(speech(address).await.recognize(request).await?.into_inner().text)
}

/// What the mock engine, and the Python worker, make of samples, as the text of an answer.
pub(crate) fn mock_text(samples: &[i16]) -> String {
    wav::mock_transcript(samples).trim_end().replace('\n', " ")
}

/// What a call for speech gives.
#[derive(Debug, PartialEq)]
pub(crate) struct Spoken {
    pub(crate) rate: i32,
    /// In the encoding that was asked for.
    pub(crate) audio: Vec<u8>,
    pub(crate) marks: Vec<v1::SpeechMark>,
}

/// Has a text spoken in one call.
pub(crate) async fn synthesize(address: &str, request: v1::SynthesizeRequest) -> Result<Spoken, Status> {
    let mut stream = speech(address).await.synthesize(request).await?.into_inner();
    let mut spoken = Spoken { rate: 0, audio: Vec::new(), marks: Vec::new() };
    while let Some(message) = stream.message().await? {
        match message.event {
            Some(Event::Format(format)) => spoken.rate = format.sample_rate_hertz,
            Some(Event::Audio(bytes)) => spoken.audio.extend(bytes),
            Some(Event::Mark(mark)) => spoken.marks.push(mark),
            None => {}
        }
    }
    Ok(spoken)
}

/// Has a voice speak; gives the rate and the samples.
pub(crate) async fn speak(address: &str, voice: &str, text: &str) -> Result<(i32, Vec<u8>), Status> {
    let request = v1::SynthesizeRequest {
        input: Some(v1::synthesize_request::Input::Text(text.to_owned())),
        voice: voice.to_owned(),
        ..Default::default()
    };
    synthesize(address, request).await.map(|spoken| (spoken.rate, spoken.audio))
}

/// What a model does and has done, as the server lists it.
pub(crate) async fn model(address: &str, name: &str) -> v1::Model {
    let request = v1::ListModelsRequest { filter: format!("name={name}"), ..Default::default() };
    let page = ModelsClient::new(connect(address).await).list_models(request).await.expect("a page").into_inner();
    page.models.into_iter().next().unwrap_or_else(|| panic!("{name} is not listed"))
}

/// Whether a service of the server says that it serves.
pub(crate) async fn serves(address: &str, service: &str) -> bool {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(connect(address).await).check(request).await.expect("it is known");
    answer.into_inner().status().as_str_name() == "SERVING"
}

/// The field that a call was refused for.
pub(crate) fn field_of(status: &Status) -> Option<String> {
    let violations = status.get_details_bad_request()?.field_violations;
    violations.first().map(|violation| violation.field.clone())
}

/// What ended the engine under a call, in one word.
pub(crate) fn cause(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.and_then(|info| info.metadata.get("cause_of_death").cloned()).unwrap_or_default()
}

/// When to try again. The call must have been refused for now.
#[track_caller]
pub(crate) fn retry_after(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::Unavailable, "{}", status.message());
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    retry.unwrap_or_else(|| panic!("it does not say when to try again: {}", status.message()))
}
