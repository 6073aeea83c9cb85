//! What runs in the user's shell: finds a server, or has one started, calls it, and shows what comes back.

pub(crate) mod bench;
mod devices;
mod failure;
mod json;
mod mic;
pub(crate) mod output;
pub(crate) mod ps;
mod sound;
mod speaker;
pub(crate) mod stt;
mod target;
pub(crate) mod tts;
pub(crate) mod voices;

use crate::{
    config::DEFAULT_ADDRESS,
    error::{Error, Kind, Result},
    proto::v1::{self, models_client::ModelsClient, speech_recognition_client::SpeechRecognitionClient},
    shutdown::{Listener, Notice},
};
use failure::{explain, too_late};
pub(crate) use failure::{is_gone, is_unknown_call};
use hyper_util::rt::TokioIo;
use output::Output;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{
    net::UnixStream,
    sync::oneshot,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// How long a server on the default address may take to say that it is there.
const LOOK: Duration = Duration::from_millis(200);

/// How long a server that was named may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

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
        Ok((Connection { channel, address, deadline }, Farewell(private)))
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
    /// A fresh connection to the same server, or to the one that is now at its address.
    ///
    /// # Errors
    /// `Unavailable` where there is none; `Deadline`.
    pub(crate) async fn again(&self) -> Result<Self> {
        let channel = before(self.deadline, connect(&self.address)).await?;
        Ok(Self { channel, ..self.clone() })
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

/// Where a server is.
enum Place {
    Tcp(Box<Endpoint>),
    Unix(String),
}

fn endpoint(address: &str) -> Result<Place> {
    let wrong = |why: &str| Error::new(Kind::Config, format!("server `{address}`: {why}"));
    match address.strip_prefix("unix:") {
        Some("") => return Err(wrong("the path is missing")),
        Some(path) => return Ok(Place::Unix(path.to_owned())),
        None => {}
    }
    if address.starts_with("https:") {
        return Err(wrong("encrypted connections are not supported yet; give HOST:PORT or unix:PATH"));
    }
    let authority = address.strip_prefix("http://").unwrap_or(address);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !has_port {
        return Err(wrong("it is not an address; give HOST:PORT or unix:PATH"));
    }
    let endpoint = Endpoint::from_shared(format!("http://{authority}"));
    let endpoint =
        endpoint.map_err(|cause| wrong("it is not an address; give HOST:PORT or unix:PATH").because(cause))?;
    Ok(Place::Tcp(Box::new(endpoint.tcp_nodelay(true).connect_timeout(CONNECT))))
}

async fn connect(address: &str) -> Result<Channel> {
    let no_answer = |cause: Box<dyn std::error::Error + Send + Sync>| {
        let message = format!("no server answers at {address}; start one with `speechctl serve`");
        Error::new(Kind::Unavailable, message).because(root(cause))
    };
    let connecting = async {
        match endpoint(address)? {
            Place::Tcp(endpoint) => endpoint.connect().await.map_err(|cause| no_answer(cause.into())),
            Place::Unix(path) => {
                let connector = tower::service_fn(move |_| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                let endpoint = Endpoint::from_static("http://unix");
                endpoint.connect_with_connector(connector).await.map_err(|cause| no_answer(cause.into()))
            }
        }
    };
    timeout(CONNECT, connecting).await.unwrap_or_else(|elapsed| Err(no_answer(elapsed.into())))
}

/// Connects to a server that was named, and sees that it is one: others take connections too, and never answer.
async fn connect_to_named(address: &str) -> Result<Channel> {
    let channel = connect(address).await?;
    let service = v1::speech_recognition_server::SERVICE_NAME.to_owned();
    let mut health = HealthClient::new(channel.clone());
    let unlike = || Error::new(Kind::Unavailable, format!("what answers at {address} is no speechctl server"));
    match timeout(CONNECT, health.check(HealthCheckRequest { service })).await {
        // A server of the same contract may have no health service.
        Ok(Ok(_)) => Ok(channel),
        // What has no status of gRPC was sent by something else.
        Ok(Err(status)) if status.code() == Code::Unimplemented && !status.message().contains("grpc-status header") => {
            Ok(channel)
        }
        Ok(Err(status)) => Err(unlike().because(Error::from(status).to_string())),
        Err(_) => Err(Error::new(
            Kind::Unavailable,
            format!("the server at {address} takes connections, but does not answer"),
        )),
    }
}

/// The last cause of an error, which is the one that says something: "Connection refused".
fn root(error: Box<dyn std::error::Error + Send + Sync>) -> String {
    let mut cause: &dyn std::error::Error = &*error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// A channel to a server of ours at an address, if one says in time that it serves.
async fn look_for(address: &str, patience: Duration) -> Option<Channel> {
    let looking = async {
        let channel = connect(address).await.ok()?;
        let service = v1::speech_recognition_server::SERVICE_NAME.to_owned();
        let reply = HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await.ok()?;
        (reply.into_inner().status() == ServingStatus::Serving).then_some(channel)
    };
    timeout(patience, looking).await.ok().flatten()
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
