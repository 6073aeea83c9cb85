//! What has become of a call that failed, in words for a user.

use crate::error::{Error, Kind};
use std::fmt;
use tonic::Status;

/// What the transport says of a call that the server has not answered, behind our own words for it.
#[derive(Debug)]
enum Unanswered {
    /// The connection is gone.
    Gone(String),
    /// It knows no such call.
    Unknown(String),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unanswered::Gone(why) | Unanswered::Unknown(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Unanswered {}

/// Whether an error says that the server is gone, not only what was asked of it.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(unanswered(error), Some(Unanswered::Gone(_)))
}

/// Whether an error says that the server knows no such call: it is of an earlier version.
pub(crate) fn is_unknown_call(error: &Error) -> bool {
    matches!(unanswered(error), Some(Unanswered::Unknown(_)))
}

/// The error that says that the server is gone, as far as can be known.
pub(super) fn gone(why: impl Into<String>) -> Error {
    let message = "the server does not answer any more; try again";
    Error::new(Kind::Unavailable, message).because(Unanswered::Gone(why.into()))
}

fn unanswered(error: &Error) -> Option<&Unanswered> {
    std::error::Error::source(error)?.downcast_ref()
}

/// A status as a user can understand it. What a transport makes of a broken connection is not for reading.
pub(super) fn explain(status: Status) -> Error {
    if crate::proto::status::is_ours(&status) {
        return status.into();
    }
    let error = Error::from(status);
    // What our own transport says when the deadline that we gave it has passed.
    if error.kind() == Kind::Deadline || (error.kind() == Kind::Cancelled && error.to_string() == "Timeout expired") {
        return too_late();
    }
    match error.kind() {
        Kind::Unavailable | Kind::Internal | Kind::Cancelled => {
            let message = "the server went away in the middle of the call; try again";
            Error::new(Kind::Unavailable, message).because(Unanswered::Gone(error.to_string()))
        }
        Kind::Unsupported => {
            let message = "the server does not know this call; is it speechctl, and as new as this one?";
            Error::new(Kind::Unsupported, message).because(Unanswered::Unknown(error.to_string()))
        }
        _ => error,
    }
}

/// The user's time is over.
pub(super) fn too_late() -> Error {
    Error::new(Kind::Deadline, "it took longer than `--timeout` allows")
}
