//! JSON as programs read it: a document, a line, and numbers that say no more than is known.

use crate::error::{Error, Kind, Result};
use serde::Serialize;

/// A document, over several lines.
///
/// # Errors
/// `Internal` for what cannot be JSON.
pub(crate) fn document(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(unwritten)
}

/// The same in one line, without its end.
///
/// # Errors
/// `Internal` for what cannot be JSON.
pub(crate) fn line(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(unwritten)
}

fn unwritten(cause: serde_json::Error) -> Error {
    Error::new(Kind::Internal, "cannot write JSON").because(cause)
}

/// To a thousandth, beyond which nothing is known.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
