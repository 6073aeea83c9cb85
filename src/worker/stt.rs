//! `macaw.stt.STTWorker`: the worker contract of a recogniser, over the engine's thread.

use crate::{
    audio,
    error::{Error, Kind, Result},
    proto::{convert, stt as pb},
    speech::Samples,
    worker::{
        engine::{Cancel, Decoded, Hint},
        health::Reporter,
        thread::EngineThread,
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// The contract's service.
pub(super) struct Service {
    engine: EngineThread,
    health: Reporter,
    /// What `Cancel` can end: the calls in work, by their ids.
    running: Arc<Mutex<HashMap<String, Cancel>>>,
}

impl Service {
    /// Serves this engine.
    pub(super) fn new(engine: EngineThread, health: Reporter) -> Self {
        Self { engine, health, running: Arc::default() }
    }
}

/// A call in work. Dropped with the call, also when the caller goes away: then the engine stops too.
struct Running {
    id: String,
    cancel: Cancel,
    all: Arc<Mutex<HashMap<String, Cancel>>>,
}

impl Running {
    fn begin(service: &Service, id: &str) -> Self {
        let cancel = Cancel::new(service.engine.pulse().clone());
        if !id.is_empty() {
            lock(&service.running).insert(id.to_owned(), cancel.clone());
        }
        Self { id: id.to_owned(), cancel, all: Arc::clone(&service.running) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.request();
        lock(&self.all).remove(&self.id);
    }
}

/// The map is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock(running: &Mutex<HashMap<String, Cancel>>) -> std::sync::MutexGuard<'_, HashMap<String, Cancel>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tonic::async_trait]
impl pb::stt_worker_server::SttWorker for Service {
    type TranscribeStreamStream = ReceiverStream<Result<pb::TranscriptEvent, Status>>;

    async fn transcribe_file(
        &self,
        request: Request<pb::TranscribeFileRequest>,
    ) -> Result<Response<pb::TranscribeFileResponse>, Status> {
        let request = request.into_inner();
        let hint = hint(&request)?;
        let window = window(&request.audio_data)?;
        let length = Samples(i64::try_from(window.len()).unwrap_or(i64::MAX));
        let running = Running::begin(self, &request.request_id);
        let decoded = self.engine.decode(window, hint, running.cancel.clone()).await?;
        Ok(Response::new(reply(decoded, length, request.request_id)))
    }

    async fn transcribe_stream(
        &self,
        _request: Request<Streaming<pb::AudioFrame>>,
    ) -> Result<Response<Self::TranscribeStreamStream>, Status> {
        Err(Error::new(Kind::Unsupported, "this worker does not stream; call TranscribeFile").into())
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Result<Response<pb::CancelResponse>, Status> {
        let request = request.into_inner();
        let found = lock(&self.running).get(&request.request_id).cloned();
        if let Some(cancel) = &found {
            cancel.request();
        }
        Ok(Response::new(pb::CancelResponse { acknowledged: found.is_some() }))
    }

    async fn health(&self, _request: Request<pb::HealthRequest>) -> Result<Response<pb::HealthResponse>, Status> {
        let report = self.health.report();
        Ok(Response::new(pb::HealthResponse {
            status: report.status,
            model_name: report.model_name,
            engine: report.engine,
            metadata: report.metadata,
            reason: report.reason,
        }))
    }
}

/// The request's wishes, checked. What no engine of ours can do is refused by name.
fn hint(request: &pb::TranscribeFileRequest) -> Result<Hint> {
    let translate = match request.task.as_str() {
        "" | "transcribe" => false,
        "translate" => true,
        other => return Err(unsupported("task", format!("task `{other}` is neither `transcribe` nor `translate`"))),
    };
    if !["", "json", "verbose_json", "text"].contains(&request.response_format.as_str()) {
        let message = format!("response_format `{}` is not made by this worker", request.response_format);
        return Err(unsupported("response_format", message));
    }
    if request.language == "mixed" {
        return Err(unsupported("language", "language `mixed` is not supported; `auto` finds one language".to_owned()));
    }
    if !request.hot_words.is_empty() {
        return Err(unsupported("hot_words", "hot words are not supported; use `initial_prompt`".to_owned()));
    }
    let mut words = false;
    for granularity in &request.timestamp_granularities {
        match granularity.as_str() {
            "segment" => {}
            "word" => words = true,
            other => {
                let message = format!("timestamp granularity `{other}` is neither `segment` nor `word`");
                return Err(unsupported("timestamp_granularities", message));
            }
        }
    }
    if !(0.0..=1.0).contains(&request.temperature) {
        let message = format!("temperature {} is not between 0 and 1", request.temperature);
        return Err(Error::invalid(message).in_field("temperature"));
    }
    Ok(Hint {
        language: request.language.clone(),
        translate,
        prompt: request.initial_prompt.clone(),
        words,
        temperature: request.temperature,
        beam_size: request.beam_size,
        threads: request.threads,
        more_follows: request.more_follows,
        fast: request.fast,
    })
}

fn unsupported(field: &str, message: String) -> Error {
    Error::invalid(message).in_field(field)
}

/// The audio of a request: a WAV file, or bare samples.
fn window(data: &[u8]) -> Result<Vec<f32>> {
    if data.starts_with(b"RIFF") {
        let source = audio::decode::Source::Bytes(data.to_vec());
        let mut decoder = audio::decode::Decoder::open(source, "audio_data")?;
        let mut window = Vec::new();
        while let Some(block) = decoder.next()? {
            window.extend(block);
        }
        return Ok(window);
    }
    if !data.len().is_multiple_of(2) {
        return Err(Error::invalid("audio_data holds half a sample; it takes 16-bit samples").in_field("audio_data"));
    }
    Ok(audio::bytes_to_i16(data).into_iter().map(audio::to_f32).collect())
}

fn reply(decoded: Decoded, length: Samples, request_id: String) -> pb::TranscribeFileResponse {
    let text: Vec<&str> = decoded.segments.iter().map(|segment| segment.text.as_str()).collect();
    pb::TranscribeFileResponse {
        text: text.join(" "),
        language: decoded.language,
        duration: length.seconds() as f32,
        words: decoded.segments.iter().flat_map(|segment| segment.words.iter().map(convert::worker_word)).collect(),
        segments: decoded.segments.iter().enumerate().map(convert::worker_segment).collect(),
        decided: decoded.decided.0,
        request_id,
    }
}
