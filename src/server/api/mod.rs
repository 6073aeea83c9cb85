//! The contracts on the wire, one file each. Thin: check, convert, call, answer.

pub(crate) mod models;
pub(crate) mod page;
pub(crate) mod respond;
mod sound;
pub(crate) mod speech;
mod streaming;
mod synthesis;
pub(crate) mod tutorial;

use crate::models::Paths;
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};

/// Whether the caller of a request is on this machine, and so may name files of it.
fn paths_of<T>(request: &tonic::Request<T>) -> Paths {
    let extensions = request.extensions();
    let over_tcp = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let is_local = match over_tcp {
        Some(peer) => peer.ip().to_canonical().is_loopback(),
        None => extensions.get::<UdsConnectInfo>().is_some(),
    };
    if is_local { Paths::Allowed } else { Paths::Refused }
}
