//! The contracts on the wire, one file each. Thin: check, convert, call, answer.

pub(crate) mod models;
pub(crate) mod page;
pub(crate) mod respond;
mod sound;
pub(crate) mod speech;
mod stock;
mod streaming;
mod synthesis;
pub(crate) mod tts_service;
pub(crate) mod tutorial;

use crate::{
    error::{Error, Kind, Result},
    models::Paths,
    server::guard::owner::Told,
};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{
    Streaming,
    transport::server::{TcpConnectInfo, UdsConnectInfo},
};

/// How long the first message of a call may take.
const FIRST: Duration = Duration::from_secs(30);

/// The first message of a call that goes both ways.
///
/// # Errors
/// `Deadline` where it does not come; what the transport says.
async fn first<T>(messages: &mut Streaming<T>) -> Result<Option<T>> {
    let late = "the first message, the config, did not come within 30 s";
    let first = timeout(FIRST, messages.message()).await;
    Ok(first.map_err(|_| Error::new(Kind::Deadline, late).in_field("config"))??)
}

/// The first message says something else.
fn no_config() -> Error {
    Error::invalid("the first message must be the config").in_field("config")
}

/// A later message says it again.
fn second_config() -> Error {
    Error::invalid("a second config; only the first message holds one").in_field("config")
}

/// Whether the caller of a request is on this machine, and so may name files of it.
fn paths_of<T>(request: &tonic::Request<T>) -> Paths {
    let extensions = request.extensions();
    let over_tcp = extensions.get::<Told<TcpConnectInfo>>().and_then(|told| told.peer.remote_addr());
    let is_local = match over_tcp {
        Some(peer) => peer.ip().to_canonical().is_loopback(),
        None => extensions.get::<Told<UdsConnectInfo>>().is_some(),
    };
    if is_local { Paths::Allowed } else { Paths::Refused }
}
