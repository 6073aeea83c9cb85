//! Clients of the wire, and a runtime to drive them.

/// `example`.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod example {
    tonic::include_proto!("example");
}

/// `speechctl.v1`.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod v1 {
    tonic::include_proto!("speechctl.v1");
}

use tonic::transport::{Channel, Endpoint};

/// Runs a test that awaits.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(super::PATIENCE, work).await.expect("it takes too long") })
}

/// A channel to a server under test.
pub(crate) async fn connect(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("it takes connections")
}

/// A client of our own contract.
pub(crate) async fn speech(address: &str) -> v1::speech_recognition_client::SpeechRecognitionClient<Channel> {
    v1::speech_recognition_client::SpeechRecognitionClient::new(connect(address).await)
}
