//! `speechctl serve`: binds, wires, serves, drains. No engine runs here: the only
//! foreign code is libopus, among the decoders of files.

mod api;
mod availability;
mod elsewhere;
mod guard;
mod listen;
mod recognisers;
mod recognition;
mod sessions;
mod settings;
mod speaking;
mod supervisor;
mod wal;

use crate::{
    error::{Error, Kind, Result},
    models::{self, Paths},
    proto::{self, example, v1},
    shutdown::{self, Stop},
    socket::{self, Socket},
    speech::ModelId,
};
use api::{models::Models, speech::Speech, tutorial::Tutorial};
use guard::{deadline::DeadlineLayer, hangup};
use recognisers::Recognisers;
use sessions::Sessions;
pub(crate) use sessions::Settings as SessionSettings;
pub(crate) use sessions::leftover;
pub(crate) use settings::Settings;
use std::{sync::Arc, time::Duration};
pub(crate) use supervisor::{Spares, memory::total as total_memory};
use supervisor::{Supervisor, registry::Registry};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tonic::{service::Routes, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::util::MapRequestLayer;
pub(crate) use wal::{Limits as SessionLimits, Syncing};

/// The voice that speaks when nothing else is said.
pub(crate) const DEFAULT_VOICE: &str = "en-us";

/// The largest message of our own contract: gRPC's default.
const MAX_MESSAGE: usize = 4 << 20;

/// The largest recording of the tutorial's contract, and room for the message around it.
const MAX_TUTORIAL_MESSAGE: usize = (64 << 20) + 1024;

/// Recordings that are written down at the same time: each has a thread, and up to 6 MB of audio.
const MAX_RECOGNITIONS: usize = 128;

/// When to come back, for callers that were sent away.
const COME_BACK: Duration = Duration::from_secs(2);

/// How long a connection may be silent before it is asked whether it lives, and how long the answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// What all calls share. Cheap to clone.
#[derive(Clone, Debug)]
struct Shared {
    supervisor: Supervisor,
    speaker: speaking::Speaker,
    recognisers: Recognisers,
    /// What requests mean that name nothing: a recogniser, if there is one, and a synthesiser.
    defaults: Vec<ModelId>,
    /// The notice to stop, for streams that nothing else would end.
    stop: shutdown::Listener,
    /// Places for recordings that are being written down.
    recognitions: Arc<Semaphore>,
    sessions: Sessions,
}

impl Shared {
    /// A place for one more recording.
    fn admit(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.recognitions).try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_RECOGNITIONS} recordings are being written down already; try again later");
            Error::new(Kind::Busy, message).retry_after(COME_BACK)
        })
    }

    /// The recogniser that a request means.
    fn recognizer(&self, name: &str, paths: Paths) -> Result<ModelId> {
        self.recognisers.find(name, paths)
    }

    /// The model of this name, whatever it does.
    fn model(&self, name: &str, paths: Paths) -> Result<ModelId> {
        // There the name is a field of its own, not one of a config or a text.
        let in_field = |error: Error| Error::new(error.kind(), error.to_string()).in_field("model");
        match name {
            "espeak" => Ok(ModelId::Espeak),
            "selftest" => Ok(ModelId::SelfTest),
            _ => match self.supervisor.directory().find(name, |_| true) {
                Some(model) => Ok(model),
                None if name.ends_with(".onnx") => models::synthesizer(name, paths).map_err(in_field),
                None => models::recognizer(name, paths).map_err(in_field),
            },
        }
    }
}

/// A server that listens and does not serve yet: its addresses are known.
#[derive(Debug)]
pub(crate) struct Bound {
    sockets: Vec<Socket>,
    settings: Settings,
    default_model: Option<ModelId>,
    /// Models of workers that somebody else runs.
    called: Vec<ModelId>,
    registry: Option<Registry>,
}

impl Bound {
    /// Checks the settings and binds every address.
    ///
    /// # Errors
    /// `Config` for an address that must not or cannot be, `Io` where it is taken, `NotFound` for a model that is not
    /// there.
    pub(crate) async fn bind(settings: Settings) -> Result<Self> {
        let default_model = match settings.model.as_deref() {
            None | Some("") => None,
            Some(name) => Some(default_model(name)?),
        };
        let called = settings.workers.iter().map(|worker| elsewhere::parse(worker)).collect::<Result<Vec<_>>>()?;
        let default_model = default_model.or_else(|| called.iter().find(|model| model.recognises()).cloned());
        let mut sockets = Vec::new();
        for address in &settings.listen {
            sockets.push(Socket::bind(address, settings.insecure).await?);
        }
        let registry = match &settings.registration {
            Some((address, token_file)) => {
                let (listener, _) = socket::bind_tcp(address, settings.insecure).await?;
                Some(Registry::try_new(listener, token_file.clone())?)
            }
            None => None,
        };
        Ok(Self { sockets, settings, default_model, called, registry })
    }

    /// Where workers may dial in, with the port that the system chose.
    pub(crate) fn registration(&self) -> Option<String> {
        self.registry.as_ref().map(|registry| registry.address().to_owned())
    }

    /// What requests mean that name nothing: a recogniser, if there is one, and then who speaks.
    fn defaults(&self) -> Vec<ModelId> {
        let speaker = match self.settings.voice.as_deref() {
            // What is wrong with the name of a voice is said when it is tried.
            Some(voice) => {
                models::synthesizer(voice, Paths::Allowed).ok().filter(|model| matches!(model, ModelId::Piper(_)))
            }
            None => self.called.iter().find(|model| model.speaks()).cloned(),
        };
        self.default_model.iter().cloned().chain([speaker.unwrap_or(ModelId::Espeak)]).collect()
    }

    /// Who speaks.
    fn speaker(&self, supervisor: &Supervisor, defaults: &[ModelId]) -> Result<speaking::Speaker> {
        let model = defaults.last().cloned().unwrap_or(ModelId::Espeak);
        // A worker elsewhere has a voice of its own when none is named.
        let own_voice = if model == ModelId::Espeak { DEFAULT_VOICE } else { "" };
        let voice = self.settings.voice.clone().unwrap_or_else(|| own_voice.to_owned());
        let speaker = speaking::Speaker::new(supervisor.clone(), voice, model);
        match &self.settings.lexicon {
            Some(file) => speaker.with_lexicon(file),
            None => Ok(speaker),
        }
    }

    /// Every address, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.sockets.iter().map(Socket::address).collect()
    }

    /// Serves until asked to stop, then lets open calls end, up to the deadline for that. Calls `ready` with every
    /// address once calls can come.
    ///
    /// # Errors
    /// `Io` where a socket fails, `NotFound` for a default voice that does not exist, what `ready` says.
    pub(crate) async fn serve(
        self,
        mut stop: shutdown::Listener,
        ready: impl FnOnce(&[String]) -> Result<()>,
    ) -> Result<()> {
        let drain = self.settings.drain;
        let mut tasks = JoinSet::new();
        let defaults = self.defaults();
        let settings = self.settings.of_supervisor(&defaults, &self.called);
        let supervisor = Supervisor::start(settings, &mut tasks)?;
        let speaker = self.speaker(&supervisor, &defaults)?;
        if self.settings.voice.as_deref().is_some_and(|voice| voice != DEFAULT_VOICE) {
            tokio::select! {
                tried = speaker.try_default() => tried?,
                () = stop.wanted(Stop::Drain) => return Ok(()),
            }
        }
        let addresses = self.addresses();
        let directory = supervisor.directory().clone();
        let recognisers = Recognisers { default: self.default_model.clone(), directory };
        let sessions = self.settings.sessions.clone();
        let sessions = Sessions::new(sessions, supervisor.clone(), recognisers.clone(), stop.clone());
        let shared = Shared {
            supervisor: supervisor.clone(),
            speaker,
            recognisers,
            defaults: defaults.clone(),
            stop: stop.clone(),
            recognitions: Arc::new(Semaphore::new(MAX_RECOGNITIONS)),
            sessions: sessions.clone(),
        };

        let (health, health_service) = tonic_health::server::health_reporter();
        for name in names() {
            health.set_service_status(name, ServingStatus::Serving).await;
        }
        // What is told now is true by the time that somebody can ask.
        let states = supervisor.defaults();
        let at_first = states.borrow().clone();
        availability::tell(&health, &at_first).await;
        let availability = tasks.spawn(availability::follow(health.clone(), states));
        if let Some(registry) = self.registry {
            tasks.spawn(registry.serve(supervisor.clone()));
        }
        let routes = routes(shared, health_service)?;
        let mut servers = JoinSet::new();
        for socket in self.sockets {
            let server = Server::builder()
                .http2_keepalive_interval(Some(KEEPALIVE.0))
                .http2_keepalive_timeout(Some(KEEPALIVE.1))
                .layer(MapRequestLayer::new(hangup::told))
                .layer(DeadlineLayer)
                .add_routes(routes.clone());
            servers.spawn(listen::serve(socket, server, stop.clone()));
        }
        supervisor.meet(&self.called).await;
        if self.settings.restores {
            tokio::select! {
                restored = sessions.restore() => restored?,
                () = stop.wanted(Stop::Drain) => tracing::warn!("Stopping; sessions are left for the next server."),
            }
        }
        ready(&addresses)?;
        // A socket that fails ends the server: half a server is harder to notice than none.
        let outcome = tokio::select! {
            () = stop.wanted(Stop::Drain) => Ok(()),
            Some(ended) = servers.join_next() => ended.unwrap_or_else(|_| Err(failed())),
        };
        availability.abort();
        say_not_serving(&health).await;
        let drained = async { while servers.join_next().await.is_some() {} };
        // Where a socket has failed, the others were not told to stop, and would never be drained.
        let drain = if outcome.is_ok() { drain } else { Duration::ZERO };
        tokio::select! {
            () = stop.wanted(Stop::Now) => tracing::warn!("Stopping at once."),
            drained = timeout(drain, drained) => if drained.is_err() {
                tracing::warn!(seconds = drain.as_secs(), "Calls were still open at the deadline for draining.");
            },
        }
        servers.shutdown().await;
        sessions.stop().await;
        supervisor.stop().await;
        tasks.shutdown().await;
        outcome
    }
}

/// Tells whoever asks for health, and ends the streams of whoever watches it.
async fn say_not_serving(health: &HealthReporter) {
    for name in names() {
        health.set_service_status(name, ServingStatus::NotServing).await;
    }
    // Whoever watches has seen it by now, or sees it first; then their streams end, which nothing else would end.
    for name in names() {
        health.clone().clear_service_status(name).await;
    }
}

fn failed() -> Error {
    Error::new(Kind::Internal, "the server failed")
}

/// The model of `--model`, which comes from the command line and so may be a path.
fn default_model(name: &str) -> Result<ModelId> {
    let model = models::recognizer(name, Paths::Allowed)?;
    if let ModelId::Whisper(path) = &model {
        let name = path.display();
        let metadata = std::fs::metadata(path)
            .map_err(|cause| Error::new(Kind::NotFound, format!("model `{name}` cannot be read")).because(cause))?;
        // The rest is checked when it is loaded.
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(Error::invalid(format!("model `{name}` is no file with a model in it")));
        }
    }
    Ok(model)
}

/// The names under which health is asked for: the whole, each service, and what they do.
fn names() -> [&'static str; 6] {
    [
        "",
        example::speech_recognition_server::SERVICE_NAME,
        v1::speech_recognition_server::SERVICE_NAME,
        v1::models_server::SERVICE_NAME,
        "stt",
        "tts",
    ]
}

/// Every service of the public port.
fn routes<H>(shared: Shared, health: tonic_health::pb::health_server::HealthServer<H>) -> Result<Routes>
where
    H: tonic_health::pb::health_server::Health,
{
    let speech = v1::speech_recognition_server::SpeechRecognitionServer::new(Speech(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE);
    let models = v1::models_server::ModelsServer::new(Models(shared.clone()));
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
            .with_service_name("grpc.health.v1.Health")
    };
    let broken = |cause| Error::new(Kind::Internal, "the descriptors are broken").because(cause);
    let reflection_v1 = reflection().build_v1().map_err(|cause| broken(Box::new(cause)))?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(|cause| broken(Box::new(cause)))?;
    Ok(Routes::new(speech)
        .add_service(tutorial)
        .add_service(models)
        .add_service(health)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .prepare())
}
