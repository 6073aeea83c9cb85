//! What runs in the user's shell: finds a server, or has one started, calls it, and shows what comes back.

pub(crate) mod bench;
mod devices;
mod dial;
mod failure;
pub(crate) mod json;
mod lines;
mod mic;
pub(crate) mod models;
pub(crate) mod output;
pub(crate) mod ps;
pub(crate) mod session;
pub(crate) mod sound;
mod speaker;
pub(crate) mod stt;
mod target;
pub(crate) mod tts;
pub(crate) mod voices;

use crate::{
    config::DEFAULT_ADDRESS,
    error::{Error, Kind, Result},
    proto::{
        spoken::tts_service_client::TtsServiceClient,
        v1::{models_client::ModelsClient, speech_recognition_client::SpeechRecognitionClient},
    },
    shutdown::{Listener, Notice},
};
use dial::{CONNECT, LOOK, connect, connect_to_named, endpoint, look_for};
use failure::{explain, too_late};
pub(crate) use failure::{is_gone, is_unknown_call};
use output::Output;
use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tonic::{Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Flags of every verb that talks to a server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]
    #[arg(long, value_name = "ADDRESS", env = "SPEECHCTL_SERVER", help_heading = "Server")]
    server: Option<String>,

    /// Do not start a private server where none is running
    #[arg(long, help_heading = "Server")]
    no_spawn: bool,

    /// Give up after this time
    #[arg(long, value_name = "SECONDS", value_parser = output::seconds, allow_negative_numbers = true, help_heading = "Server")]
    timeout: Option<Duration>,

    /// Print one JSON document
    #[arg(long, help_heading = "Global options")]
    pub(crate) json: bool,
}

impl ConnectArgs {
    /// The same for a verb to which a private server is of no use.
    pub(crate) fn without_spawning(self) -> Self {
        Self { no_spawn: true, ..self }
    }

    /// The time that the user allows.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts a private server.
pub(crate) type Spawner = Box<dyn Fn() -> BoxFuture<Result<PrivateServer>> + Send + Sync>;

/// A server that was started for one call.
pub(crate) struct PrivateServer {
    /// Where it listens.
    pub(crate) address: String,
    /// Ends it.
    pub(crate) stop: BoxFuture<()>,
}

/// What a verb needs of its surroundings.
pub(crate) struct Context {
    server: Option<String>,
    no_spawn: bool,
    deadline: Option<Instant>,
    /// Where results and talk go.
    pub(crate) output: Output,
    spawn: Spawner,
    stop: Arc<Notice>,
}

/// A connection to a server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
    address: String,
    /// It was started for this call.
    is_private: bool,
    deadline: Option<Instant>,
}

/// What ends the private server, if there is one. To be said whatever became of the call.
#[must_use]
pub(crate) struct Farewell(Option<BoxFuture<()>>);

impl Farewell {
    /// Ends it.
    pub(crate) async fn say(self, connection: Connection) {
        drop(connection);
        if let Some(stop) = self.0 {
            stop.await;
        }
    }
}

impl Context {
    /// As the flags want it. The time that is allowed runs from now. `stop` is the notice of whoever hears signals.
    ///
    /// # Errors
    /// `Config` for an address that cannot be.
    pub(crate) fn try_new(args: &ConnectArgs, output: Output, spawn: Spawner, stop: Arc<Notice>) -> Result<Self> {
        // An empty variable is as good as none.
        let server = args.server.clone().filter(|server| !server.is_empty());
        if let Some(server) = &server {
            endpoint(server)?;
        }
        let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
        Ok(Self { server, no_spawn: args.no_spawn, deadline, output, spawn, stop })
    }

    /// For a verb that ends in order: as long as it holds this, the first signal is only told here, and the second ends
    /// the verb.
    pub(crate) fn stop_notice(&self) -> Listener {
        self.stop.listener()
    }

    /// For a verb that has minded the notice and goes on: the next signal is a first one again.
    pub(crate) fn calm(&self) {
        self.stop.calm();
    }

    /// Connects to the server that was named, else to the one on the default address, else to a private one.
    ///
    /// # Errors
    /// `Unavailable` where there is none and none may be started.
    pub(crate) async fn connect(&self) -> Result<(Connection, Farewell)> {
        let deadline = self.deadline;
        let connected = async {
            if let Some(server) = &self.server {
                return Ok((connect_to_named(server).await?, server.clone(), None));
            }
            // Where nothing else can be done, a busy server is given the time of one that was named.
            let patience = if self.no_spawn { CONNECT } else { LOOK };
            if let Some(channel) = look_for(DEFAULT_ADDRESS, patience).await {
                tracing::info!(address = DEFAULT_ADDRESS, "Found a server.");
                return Ok((channel, DEFAULT_ADDRESS.to_owned(), None));
            }
            if self.no_spawn {
                let message = format!(
                    "no server answers at {DEFAULT_ADDRESS}; start one with `speechctl serve`, or name it with `--server`"
                );
                return Err(Error::new(Kind::Unavailable, message));
            }
            let PrivateServer { address, stop } = (self.spawn)().await?;
            tracing::info!(%address, "Started a private server.");
            Ok((connect(&address).await?, address, Some(stop)))
        };
        let (channel, address, private) = before(deadline, connected).await?;
        let is_private = private.is_some();
        Ok((Connection { channel, address, is_private, deadline }, Farewell(private)))
    }

    /// Waits for something until the deadline.
    ///
    /// # Errors
    /// What it says; `Deadline`.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        before(self.deadline, work).await
    }

    /// Does something that blocks, such as waiting for input, on a thread of its own, until the deadline.
    ///
    /// # Errors
    /// What the work says; `Deadline`; `Internal` where the system gives no thread.
    pub(crate) async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        let failed = || Error::new(Kind::Internal, "the input cannot be read");
        std::thread::Builder::new()
            .name("decode".to_owned())
            .spawn(move || drop(done.send(work())))
            .map_err(|cause| failed().because(cause))?;
        before(self.deadline, async { result.await.unwrap_or_else(|_| Err(failed())) }).await
    }
}

impl Connection {
    /// A connection to the server at an address, whatever else there may be.
    ///
    /// # Errors
    /// `Config` for what is no address, `Unavailable` where no server of ours answers.
    pub(crate) async fn to(address: &str) -> Result<Self> {
        let channel = connect_to_named(address).await?;
        Ok(Self { channel, address: address.to_owned(), is_private: false, deadline: None })
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the server was started for this call.
    pub(crate) fn is_private(&self) -> bool {
        self.is_private
    }

    /// Whether the server is on this machine, as far as its address tells.
    pub(crate) fn is_local(&self) -> bool {
        let authority = self.address.strip_prefix("http://").unwrap_or(&self.address);
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
        self.address.starts_with("unix:")
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// A fresh connection to the same server, or to the one that is now at its address.
    ///
    /// # Errors
    /// `Unavailable` where there is none; `Deadline`.
    pub(crate) async fn again(&self) -> Result<Self> {
        let channel = before(self.deadline, connect(&self.address)).await?;
        Ok(Self { channel, ..self.clone() })
    }

    /// Whether the user allows only so much time.
    pub(crate) fn is_limited(&self) -> bool {
        self.deadline.is_some()
    }

    /// Waits until the time that the user allows is over.
    pub(crate) async fn too_late(&self) -> Error {
        match self.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
        too_late()
    }

    /// A client of our own contract.
    pub(crate) fn speech(&self) -> SpeechRecognitionClient<Channel> {
        SpeechRecognitionClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    /// A client of the contract about models and workers.
    pub(crate) fn models(&self) -> ModelsClient<Channel> {
        ModelsClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    /// A client of the contract of spoken sessions.
    pub(crate) fn spoken(&self) -> TtsServiceClient<Channel> {
        TtsServiceClient::new(self.channel.clone())
    }

    /// Whether the server is still there, whatever it says.
    pub(crate) async fn answers(&self) -> bool {
        let mut health = HealthClient::new(self.channel.clone());
        timeout(CONNECT, health.check(HealthCheckRequest::default())).await.is_ok()
    }

    /// A request that carries the deadline.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        request
    }

    /// Waits for an answer, until the deadline.
    ///
    /// # Errors
    /// What the server says; `Unavailable` where it is gone; `Deadline`.
    pub(crate) async fn answer<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T> {
        let result = before(self.deadline, async { call.await.map_err(explain) }).await;
        // Server and client see the same deadline pass; whoever is first, it is told in the user's words.
        result.map_err(|error| match (error.kind(), self.deadline) {
            (Kind::Deadline, Some(_)) => too_late(),
            // What would help is to be done elsewhere.
            (Kind::NotInstalled, _) if error.details().pull.is_some() && !self.is_local() => {
                error.context(format!("on the machine of the server at {}", self.address))
            }
            _ => error,
        })
    }
}

/// Does something until it is done or the deadline is there.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    match deadline {
        None => work.await,
        Some(deadline) => timeout_at(deadline, work).await.unwrap_or_else(|_| Err(too_late())),
    }
}

/// A path as a process that runs elsewhere can find it.
///
/// # Errors
/// `InvalidInput` for an empty one, `Io` where the current folder is gone.
pub(crate) fn absolute_path(path: &str) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|cause| Error::new(Kind::Io, format!("cannot tell where `{path}` is")).because(cause))?;
    absolute.into_os_string().into_string().map_err(|_| Error::invalid(format!("the path of `{path}` is not UTF-8")))
}
