//! `speechctl serve`: binds, wires, serves, drains. No engine runs here: the only
//! foreign code is libopus, among the decoders of files.

mod api;
mod availability;
mod elsewhere;
mod guard;
mod listen;
mod load;
mod recognisers;
mod recognition;
mod services;
mod sessions;
mod settings;
mod speaking;
mod supervisor;
mod wal;

use crate::{
    error::{Error, Kind, Result},
    models::{
        Paths,
        library::{Library, Need},
    },
    shutdown::{self, Stop},
    socket::{self, Socket},
    speech::ModelId,
};
use guard::{deadline::DeadlineLayer, hangup};
use load::Load;
use recognisers::Recognisers;
use services::{names, routes};
use sessions::Sessions;
pub(crate) use sessions::Settings as SessionSettings;
pub(crate) use sessions::leftover;
pub(crate) use settings::Settings;
pub(crate) use speaking::spoken::Settings as SpokenSettings;
use speaking::spoken::Spoken;
use std::{sync::Arc, time::Duration};
pub(crate) use supervisor::{Spares, memory::total as total_memory};
use supervisor::{Supervisor, registry::Registry};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tonic::transport::Server;
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::util::MapRequestLayer;
pub(crate) use wal::{Limits as SessionLimits, Syncing};

/// The voice that speaks when nothing else is said.
pub(crate) const DEFAULT_VOICE: &str = "en-us";

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
    spoken: Spoken,
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
    fn recognizer(&self, need: Need<'_>, paths: Paths) -> Result<ModelId> {
        self.recognisers.find(need, paths)
    }

    /// The model of this name, whatever it does.
    fn model(&self, name: &str, paths: Paths) -> Result<ModelId> {
        // There the name is a field of its own, not one of a config or a text.
        let in_field = |error: Error| {
            let details = error.details().clone();
            Error::new(error.kind(), error.to_string()).with_details(details).in_field("model")
        };
        match name {
            "espeak" => Ok(ModelId::Espeak),
            "selftest" => Ok(ModelId::SelfTest),
            _ => match self.supervisor.directory().find(name, |_| true) {
                Some(model) => Ok(model),
                None => self.recognisers.any(name, paths).map_err(in_field),
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
    /// Models that are loaded before it is ready.
    preloaded: Vec<ModelId>,
    /// Models of workers that somebody else runs.
    called: Vec<ModelId>,
    registry: Option<Registry>,
}

impl Bound {
    /// Checks the settings and binds every address.
    ///
    /// # Errors
    /// `Config` for an address that must not or cannot be, and for more models to be preloaded than may be loaded; `Io`
    /// where an address is taken, `NotFound` for a model that is not there.
    pub(crate) async fn bind(settings: Settings) -> Result<Self> {
        let default_model = match settings.model.as_deref() {
            None | Some("") => None,
            Some(name) => Some(default_model(&settings.library, name)?),
        };
        let preloaded = preloaded(&settings)?;
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
        Ok(Self { sockets, settings, default_model, preloaded, called, registry })
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
                let named = self.settings.library.synthesiser(voice, Paths::Allowed);
                named.ok().map(|meant| meant.model).filter(|model| matches!(model, ModelId::Piper(_)))
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
        let library = self.settings.library.clone();
        let speaker = speaking::Speaker::new(supervisor.clone(), voice, model, library);
        match &self.settings.lexicon {
            Some(file) => speaker.with_lexicon(file),
            None => Ok(speaker),
        }
    }

    /// Does what has to be done before anybody is served: tries the voice that was chosen, and loads models.
    async fn warm_up(&self, supervisor: &Supervisor, speaker: &speaking::Speaker) -> Result<()> {
        if self.settings.voice.as_deref().is_some_and(|voice| voice != DEFAULT_VOICE) {
            speaker.try_default().await?;
        }
        for model in &self.preloaded {
            let loaded = supervisor.load(model.clone(), None).await;
            let took = loaded.map_err(|error| error.context(format_args!("cannot preload `{model}`")))?;
            tracing::info!(%model, ?took, "Model preloaded.");
        }
        Ok(())
    }

    /// Spoken sessions, of which there are none yet.
    fn spoken(&self, speaker: &speaking::Speaker) -> Spoken {
        let load = Load::new(self.settings.sessions.cores, self.settings.sessions.threads);
        Spoken::new(self.settings.spoken, speaker.clone(), load)
    }

    /// Every address, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.sockets.iter().map(Socket::address).collect()
    }

    /// Serves until asked to stop, then lets open calls end, up to the deadline for that. Calls `ready` with every
    /// address once calls can come.
    ///
    /// # Errors
    /// `Io` where a socket fails, `NotFound` for a default voice that does not exist, what came of models that are to be
    /// preloaded, what `ready` says.
    pub(crate) async fn serve(
        self,
        mut stop: shutdown::Listener,
        ready: impl FnOnce(&[String]) -> Result<()>,
    ) -> Result<()> {
        let drain = self.settings.drain;
        let mut tasks = JoinSet::new();
        let defaults = self.defaults();
        let settings = self.settings.of_supervisor(&defaults, &self.preloaded, &self.called);
        let supervisor = Supervisor::start(settings, &mut tasks)?;
        let speaker = self.speaker(&supervisor, &defaults)?;
        tokio::select! {
            warm = self.warm_up(&supervisor, &speaker) => warm?,
            () = stop.wanted(Stop::Drain) => return Ok(()),
        }
        let addresses = self.addresses();
        let (directory, library) = (supervisor.directory().clone(), self.settings.library.clone());
        let recognisers = Recognisers { default: self.default_model.clone(), directory, library };
        let known = defaults.iter().chain(&self.preloaded);
        known.for_each(|model| drop(recognisers.called(model.clone().into())));
        let settings = self.settings.sessions.clone();
        let sessions = Sessions::new(settings, supervisor.clone(), recognisers.clone(), stop.clone());
        let spoken = self.spoken(&speaker);
        let shared = Shared {
            supervisor: supervisor.clone(),
            speaker,
            recognisers,
            defaults: defaults.clone(),
            stop: stop.clone(),
            recognitions: Arc::new(Semaphore::new(MAX_RECOGNITIONS)),
            sessions: sessions.clone(),
            spoken: spoken.clone(),
        };
        tasks.spawn(spoken.tidy(stop.clone()));

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
fn default_model(library: &Library, name: &str) -> Result<ModelId> {
    let model = library.recogniser(Need { name, ..Need::default() }, Paths::Allowed)?.model;
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

/// The models of `--preload`, each once.
fn preloaded(settings: &Settings) -> Result<Vec<ModelId>> {
    let mut models = Vec::new();
    for name in &settings.preload {
        let model = match name.as_str() {
            "espeak" => ModelId::Espeak,
            _ => settings.library.model(name, Paths::Allowed)?.model,
        };
        if !models.contains(&model) {
            models.push(model);
        }
    }
    match settings.max_models {
        most if most > 0 && models.len() > most => {
            let message = format!("`--max-models {most}` leaves no place for all models of `--preload`; allow more");
            Err(Error::new(Kind::Config, message))
        }
        _ => Ok(models),
    }
}
