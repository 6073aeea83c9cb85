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

/// `macaw.stt`.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod stt {
    tonic::include_proto!("macaw.stt");
}

/// `macaw.tts`.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod tts {
    tonic::include_proto!("macaw.tts");
}

use std::time::Duration;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// Runs a test that awaits.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    block_on_within(super::PATIENCE, work)
}

/// The same, with a patience of its own.
pub(crate) fn block_on_within<T>(patience: Duration, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(patience, work).await.expect("it takes too long") })
}

/// A channel to a server under test.
pub(crate) async fn connect(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("it takes connections")
}

/// A client of our own contract.
pub(crate) async fn speech(address: &str) -> v1::speech_recognition_client::SpeechRecognitionClient<Channel> {
    speech_over(connect(address).await)
}

/// The same, over a channel that is there.
pub(crate) fn speech_over(channel: Channel) -> v1::speech_recognition_client::SpeechRecognitionClient<Channel> {
    v1::speech_recognition_client::SpeechRecognitionClient::new(channel)
}

/// The answer to a unary call over a bare HTTP/2 connection: no timer of the client's own stands before the server's.
pub(crate) async fn bare_call(address: &str, path: &'static str, message: Vec<u8>, timeout: &'static str) -> Status {
    let stream = tokio::net::TcpStream::connect(address).await.expect("it takes connections");
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    // The frame of a gRPC message: not compressed, then its length.
    let length = u32::try_from(message.len()).expect("it fits").to_be_bytes();
    let frame = [&[0][..], &length, &message].concat();
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(http_body_util::Full::new(bytes::Bytes::from(frame)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    connection.abort();
    Status::from_header_map(response.headers()).expect("it ends without a message")
}

/// `tts`, the spoken sessions.
#[allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod spoken {
    tonic::include_proto!("tts");
}
