//! `tts.TTSService`: spoken sessions for orchestrators of voice chat.

use crate::{
    error::{Error, Kind, Result},
    proto::spoken as pb,
    server::{
        Shared,
        api::paths_of,
        guard::{deadline, owner::Owner},
        speaking::spoken::{Command, Reader, Refusal},
        supervisor::view::{ModelState, ModelView},
    },
    shutdown::Stop,
    speech::Voice,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status, Streaming};

/// The contract's service.
pub(crate) struct TtsService(pub(crate) Shared);

#[tonic::async_trait]
impl pb::tts_service_server::TtsService for TtsService {
    type SynthesizeStream = Reader;

    async fn start_session(
        &self,
        request: Request<pb::StartSessionRequest>,
    ) -> Result<Response<pb::StartSessionResponse>, Status> {
        let (deadline, paths, owner) = (deadline::of(&request), paths_of(&request), Owner::of(&request));
        let request = request.into_inner();
        let starting = self.0.spoken.start(request.session_id, &request.model_id, &request.options, paths, owner);
        let failure = answered(deadline, starting).await?.err();
        Ok(Response::new(pb::StartSessionResponse { success: failure.is_none(), message: told(failure) }))
    }

    async fn end_session(
        &self,
        request: Request<pb::EndSessionRequest>,
    ) -> Result<Response<pb::EndSessionResponse>, Status> {
        self.0.spoken.end(&request.into_inner().session_id)?;
        Ok(Response::new(pb::EndSessionResponse { success: true }))
    }

    async fn synthesize(
        &self,
        request: Request<Streaming<pb::TextChunk>>,
    ) -> Result<Response<Self::SynthesizeStream>, Status> {
        let (deadline, owner) = (deadline::of(&request), Owner::of(&request));
        let mut chunks = request.into_inner();
        // Who opens it before there is anything to say waits no longer than a session may be idle.
        let late = |_| Error::new(Kind::Deadline, "no text has come for too long, and no session was named");
        let mut stop = self.0.stop.clone();
        let first = tokio::select! {
            first = timeout(self.0.spoken.patience(), chunks.message()) => first.map_err(late)??,
            () = stop.wanted(Stop::Drain) => {
                return Err(Error::new(Kind::Unavailable, "the server is stopping").into());
            }
        };
        let Some(chunk) = first else {
            return Err(Error::invalid("no text came, and no session was named").in_field("session_id").into());
        };
        Ok(Response::new(self.0.spoken.speak(chunk, chunks, owner, deadline)?))
    }

    async fn control(&self, request: Request<pb::ControlRequest>) -> Result<Response<pb::ControlResponse>, Status> {
        let deadline = deadline::of(&request);
        let request = request.into_inner();
        let command = pb::ControlCommand::try_from(request.command).map_err(|_| {
            let message = format!("command {} does not exist", request.command);
            Error::invalid(message).in_field("command")
        })?;
        let (id, spoken) = (&request.session_id, &self.0.spoken);
        let failure = match command {
            pb::ControlCommand::Pause => spoken.control(id, Command::Pause).await.map(|()| None)?,
            pb::ControlCommand::Resume => spoken.control(id, Command::Resume).await.map(|()| None)?,
            pb::ControlCommand::Stop => spoken.control(id, Command::Stop).await.map(|()| None)?,
            pb::ControlCommand::Reload => answered(deadline, spoken.reload(id, deadline)).await?.err(),
        };
        let (success, message) = (failure.is_none(), told(failure));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Ok(Response::new(pb::ControlResponse { success, message, timestamp_ms }))
    }

    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let deadline = deadline::of(&request);
        let (_, models) = deadline::within(deadline, self.models(deadline)).await?;
        Ok(Response::new(pb::ListModelsResponse { models }))
    }

    async fn load_model(
        &self,
        request: Request<pb::LoadModelRequest>,
    ) -> Result<Response<pb::LoadModelResponse>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let request = request.into_inner();
        let loading = self.0.spoken.load(&request.model_id, request.preload_only, paths, deadline);
        let (took, failure) = match answered(deadline, loading).await? {
            Ok(took) => (took, None),
            Err(error) => (Duration::ZERO, Some(error)),
        };
        Ok(Response::new(pb::LoadModelResponse {
            success: failure.is_none(),
            message: told(failure),
            load_duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        }))
    }

    async fn unload_model(
        &self,
        request: Request<pb::UnloadModelRequest>,
    ) -> Result<Response<pb::UnloadModelResponse>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let model = request.into_inner().model_id;
        let (success, message) = match answered(deadline, self.0.spoken.unload(&model, paths, deadline)).await? {
            Ok(true) => (true, String::new()),
            Ok(false) => (true, "it was not loaded".to_owned()),
            Err(error) => (false, error.to_string()),
        };
        Ok(Response::new(pb::UnloadModelResponse { success, message }))
    }

    async fn get_capabilities(
        &self,
        request: Request<pb::GetCapabilitiesRequest>,
    ) -> Result<Response<pb::GetCapabilitiesResponse>, Status> {
        let deadline = deadline::of(&request);
        let (seen, models) = deadline::within(deadline, self.models(deadline)).await?;
        let waiting: usize = seen.iter().map(|view| view.waiting).sum();
        let languages: BTreeSet<String> = models.iter().flat_map(|model| model.languages.iter().cloned()).collect();
        let resident = models.into_iter().filter(|model| model.is_loaded).map(|model| model.model_id).collect();
        let mut metrics = self.0.spoken.metrics();
        metrics.insert("queue_depth".to_owned(), waiting as f64);
        Ok(Response::new(pb::GetCapabilitiesResponse {
            capabilities: Some(pb::Capabilities {
                streaming: true,
                zero_shot: false,
                lora: false,
                cpu_ok: true,
                languages: languages.into_iter().collect(),
                emotive_zero_prompt: false,
                max_concurrent_sessions: i32::try_from(self.0.spoken.most()).unwrap_or(i32::MAX),
            }),
            resident_models: resident,
            metrics,
        }))
    }
}

impl TtsService {
    /// The models that speak, as the supervisor sees them, and each with the languages of its voices.
    async fn models(&self, deadline: Option<Instant>) -> Result<(Vec<ModelView>, Vec<pb::ModelInfo>)> {
        let view = self.0.supervisor.view().await?;
        let seen: Vec<ModelView> = view.models.into_iter().filter(|model| model.id.speaks()).collect();
        let directory = self.0.supervisor.directory();
        let is_loaded = |name: &str| {
            let mut ready = seen.iter().filter(|model| model.state == ModelState::Ready);
            ready.any(|model| directory.name(&model.id) == name)
        };
        let mut models: BTreeMap<String, pb::ModelInfo> = BTreeMap::new();
        for voice in self.0.speaker.voices(deadline).await?.voices {
            // A Piper voice is a model; the voices of others have one together.
            let name = if voice.engine == "piper" { voice.id.clone() } else { voice.engine.clone() };
            let model = models.entry(name.clone()).or_insert_with(|| pb::ModelInfo {
                is_loaded: is_loaded(&name),
                model_id: name,
                family: voice.engine.clone(),
                languages: Vec::new(),
                metadata: described(&voice),
            });
            model.languages.extend(voice.languages);
        }
        for model in models.values_mut() {
            model.languages.sort();
            model.languages.dedup();
        }
        Ok((seen, models.into_values().collect()))
    }
}

/// Waits for an answer until the deadline. What the contract calls no success comes as the error of the inner result.
///
/// # Errors
/// What the contract calls a status.
async fn answered<T>(deadline: Option<Instant>, answer: impl Future<Output = Result<T, Refusal>>) -> Result<Result<T>> {
    let answer = async {
        match answer.await {
            Ok(answer) => Ok(Ok(answer)),
            Err(Refusal::NoSuccess(error)) => Ok(Err(error)),
            Err(Refusal::Status(error)) => Err(error),
        }
    };
    deadline::within(deadline, answer).await
}

/// What went wrong, where something did.
fn told(failure: Option<Error>) -> String {
    failure.map(|error| error.to_string()).unwrap_or_default()
}

/// What else there is to know of a model, by one of its voices.
fn described(voice: &Voice) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    if voice.engine == "piper" {
        metadata.insert("sample_rate".to_owned(), voice.sample_rate.to_string());
        metadata.insert("speakers".to_owned(), voice.speakers.len().max(1).to_string());
    }
    metadata
}
