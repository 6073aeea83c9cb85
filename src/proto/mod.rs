//! The wire: code generated from `proto/`, and the two places where it meets our own words.
//!
//! Nothing generated is checked in; `build.rs` makes it with protox.

pub(crate) mod convert;
pub(crate) mod status;

/// The descriptors of every contract, for server reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `example.SpeechRecognition`, the tutorial's contract.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod example {
    tonic::include_proto!("example");
}

/// `speechctl.v1`, ours.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod v1 {
    tonic::include_proto!("speechctl.v1");
}

/// `macaw.stt`, what a recognising worker speaks.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod stt {
    tonic::include_proto!("macaw.stt");
}

/// `macaw.tts`, what a speaking worker speaks.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod tts {
    tonic::include_proto!("macaw.tts");
}

/// `tts`, what orchestrators of voice chat speak.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod spoken {
    tonic::include_proto!("tts");
}
