//! The contract's client, and a runtime to drive it.

/// What is generated of the contract.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
mod generated {
    tonic::include_proto!("tts");
}

pub(crate) use generated::{
    AudioFrame, ControlCommand, ControlRequest, EndSessionRequest, GetCapabilitiesRequest, LoadModelRequest,
    StartSessionRequest, TextChunk, tts_service_client::TtsServiceClient,
};

use crate::Result;
use tokio::runtime::{Builder, Runtime};

/// A runtime of two threads, for as many callers as there are.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
