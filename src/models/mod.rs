//! Which models there are, where they are, and what a name means.

pub(crate) mod cache;
pub(crate) mod catalogue;
pub(crate) mod digest;
pub(crate) mod files;
pub(crate) mod ggml;
pub(crate) mod hub;
pub(crate) mod import;
pub(crate) mod in_use;
pub(crate) mod library;
pub(crate) mod manifest;
pub(crate) mod onnx;
mod place;
pub(crate) mod pull;
pub(crate) mod remove;
pub(crate) mod selftest;
pub(crate) mod shelf;
pub(crate) mod verify;
pub(crate) mod voice_config;

/// Whether a request may name a file of this machine, or ask for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// It comes from the command line, or from a caller on this machine.
    Allowed,
    /// It comes over the network.
    Refused,
}
