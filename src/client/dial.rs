//! How a server is reached: by TCP or by a Unix socket, and whether what answers there is one.

use crate::{
    error::{Error, Kind, Result},
    proto::v1,
};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// How long a server on the default address may take to say that it is there.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// How long a server that was named may take to take a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// Where a server is.
pub(super) enum Place {
    Tcp(Box<Endpoint>),
    Unix(String),
}

/// What an address means.
///
/// # Errors
/// `Config` for one that cannot be.
pub(super) fn endpoint(address: &str) -> Result<Place> {
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

/// A channel to whatever takes connections at an address.
///
/// # Errors
/// `Config` for what is no address, `Unavailable` where nothing does.
pub(super) async fn connect(address: &str) -> Result<Channel> {
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
///
/// # Errors
/// As [`connect`]; `Unavailable` for what is no server of ours.
pub(super) async fn connect_to_named(address: &str) -> Result<Channel> {
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
pub(super) async fn look_for(address: &str, patience: Duration) -> Option<Channel> {
    let looking = async {
        let channel = connect(address).await.ok()?;
        let service = v1::speech_recognition_server::SERVICE_NAME.to_owned();
        let reply = HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await.ok()?;
        (reply.into_inner().status() == ServingStatus::Serving).then_some(channel)
    };
    timeout(patience, looking).await.ok().flatten()
}
