//! `Error` to `tonic::Status` and back. The kind itself travels, so that a client exits as it would have, had it done
//! the work itself.
//!
//! The kind is in `google.rpc.ErrorInfo.reason` under the domain "speechctl"; the gRPC code is for clients that know
//! nothing of it, and for servers that are not ours.

use crate::error::{Details, Error, Kind};
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Who defines the reasons in `ErrorInfo`.
const DOMAIN: &str = "speechctl";

/// The key of `ErrorInfo.metadata` that says what ended an engine.
const CAUSE_OF_DEATH: &str = "cause_of_death";

/// The key that says which model would help, if it were pulled.
const PULL: &str = "pull";

/// A status travels in HTTP/2 headers, for which 16 KiB is the usual limit in all.
const MAX_MESSAGE: usize = 2048;

impl From<Kind> for Code {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::InvalidInput => Code::InvalidArgument,
            Kind::NotFound => Code::NotFound,
            Kind::NotInstalled | Kind::InUse => Code::FailedPrecondition,
            Kind::Unsupported => Code::Unimplemented,
            Kind::Busy => Code::ResourceExhausted,
            Kind::Unavailable => Code::Unavailable,
            Kind::Deadline => Code::DeadlineExceeded,
            Kind::Cancelled => Code::Cancelled,
            Kind::Superseded => Code::Aborted,
            Kind::DataLoss => Code::DataLoss,
            Kind::Unauthenticated => Code::Unauthenticated,
            Kind::Denied => Code::PermissionDenied,
            Kind::Io | Kind::Config | Kind::Internal => Code::Internal,
        }
    }
}

/// The best guess for a status that does not come from us.
impl From<Code> for Kind {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Kind::InvalidInput,
            Code::NotFound => Kind::NotFound,
            Code::FailedPrecondition => Kind::NotInstalled,
            Code::Unimplemented => Kind::Unsupported,
            Code::ResourceExhausted => Kind::Busy,
            Code::Unavailable | Code::Aborted => Kind::Unavailable,
            Code::DeadlineExceeded => Kind::Deadline,
            Code::Cancelled => Kind::Cancelled,
            Code::DataLoss => Kind::DataLoss,
            Code::Unauthenticated => Kind::Unauthenticated,
            Code::PermissionDenied => Kind::Denied,
            Code::Ok | Code::Unknown | Code::AlreadyExists | Code::Internal => Kind::Internal,
        }
    }
}

/// The word for a kind in `ErrorInfo.reason`. Clients compare it, so it never changes.
pub(crate) fn reason(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidInput => "INVALID_INPUT",
        Kind::NotFound => "NOT_FOUND",
        Kind::NotInstalled => "NOT_INSTALLED",
        Kind::Unsupported => "UNSUPPORTED",
        Kind::InUse => "IN_USE",
        Kind::Busy => "BUSY",
        Kind::Unavailable => "UNAVAILABLE",
        Kind::Deadline => "DEADLINE",
        Kind::Cancelled => "CANCELLED",
        Kind::Superseded => "SUPERSEDED",
        Kind::DataLoss => "DATA_LOSS",
        Kind::Io => "IO",
        Kind::Config => "CONFIG",
        Kind::Unauthenticated => "UNAUTHENTICATED",
        Kind::Denied => "DENIED",
        Kind::Internal => "INTERNAL",
    }
}

/// The kind for the word of [`reason`].
pub(crate) fn kind_of(reason_word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| reason(*kind) == reason_word)
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = shortened(&error.to_string());
        let details = error.details();
        let mut metadata = HashMap::new();
        if let Some(cause) = &details.cause_of_death {
            metadata.insert(CAUSE_OF_DEATH.to_owned(), cause.clone());
        }
        if let Some(name) = &details.pull {
            metadata.insert(PULL.to_owned(), name.clone());
        }
        let mut rich = ErrorDetails::new();
        rich.set_error_info(reason(error.kind()), DOMAIN, metadata);
        if let Some(field) = &details.field {
            rich.add_bad_request_violation(field, &message);
        }
        if details.retry_after.is_some() {
            rich.set_retry_info(details.retry_after);
        }
        if !details.last_words.is_empty() {
            rich.set_debug_info(details.last_words.clone(), "the last lines that the engine wrote");
        }
        Status::with_error_details(error.kind().into(), message, rich)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let rich = status.get_error_details();
        let info = rich.error_info().filter(|info| info.domain == DOMAIN);
        let kind = info.and_then(|info| kind_of(&info.reason)).unwrap_or_else(|| status.code().into());
        let details = Details {
            field: rich.bad_request().and_then(|bad| bad.field_violations.first()).map(|bad| bad.field.clone()),
            retry_after: rich.retry_info().and_then(|info| info.retry_delay),
            last_words: rich.debug_info().map(|debug| debug.stack_entries.clone()).unwrap_or_default(),
            cause_of_death: info.and_then(|info| info.metadata.get(CAUSE_OF_DEATH).cloned()),
            pull: info.and_then(|info| info.metadata.get(PULL).cloned()),
        };
        Error::new(kind, status.message()).with_details(details)
    }
}

/// Whether a status was made by a speechctl process on purpose. What a transport makes of a broken connection was not.
pub(crate) fn is_ours(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN)
}

/// At most [`MAX_MESSAGE`] bytes of a message, cut between characters.
fn shortened(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let mut short: String = message.chars().take(MAX_MESSAGE / 4).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_kind_survives_the_wire() {
        for kind in Kind::ALL {
            let status = Status::from(Error::new(kind, "x").because("y"));
            assert_eq!(status.message(), "x: y");
            assert!(is_ours(&status));
            assert_eq!(Error::from(status).kind(), kind);
        }
    }

    #[test]
    fn details_survive_the_wire() {
        let details = Details {
            field: Some("text".to_owned()),
            retry_after: Some(Duration::from_secs(2)),
            last_words: vec!["boom".to_owned()],
            cause_of_death: Some("SIGABRT".to_owned()),
            pull: Some("base.en".to_owned()),
        };
        let status = Status::from(Error::invalid("x").with_details(details.clone()));
        assert_eq!(Error::from(status).details(), &details);
    }

    #[test]
    fn a_foreign_status_is_read_by_its_code() {
        let status = Status::new(Code::Unavailable, "tcp connect error");
        assert!(!is_ours(&status));
        assert_eq!(Error::from(status).kind(), Kind::Unavailable);
    }

    #[test]
    fn a_message_of_any_length_fits_into_headers() {
        let status = Status::from(Error::invalid("ü".repeat(100_000)));
        assert!(status.message().len() <= MAX_MESSAGE);
    }
}
