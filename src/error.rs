//! One error for the whole program: a kind to act on, and a sentence to read.
//!
//! Nothing here knows who raises an error or how it is shown. `proto::status` turns it into a gRPC status, `cli::exit`
//! into an exit code; each in one exhaustive match.

use std::{error, fmt, time::Duration};

/// What everything that can fail returns.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error. The only thing that code branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The request is wrong: fix the text, the audio or the value.
    InvalidInput,
    /// Something that was named does not exist: a file, a voice, a model.
    NotFound,
    /// The model is known but not on this machine: pull it first.
    NotInstalled,
    /// This cannot be done at all, here or by this engine.
    Unsupported,
    /// Somebody is using it: wait, or end that first.
    InUse,
    /// No room now: try again later.
    Busy,
    /// The server or its worker is away: try again.
    Unavailable,
    /// It took too long.
    Deadline,
    /// The caller gave up.
    Cancelled,
    /// Somebody else has taken over what the caller was doing.
    Superseded,
    /// Data that was accepted can no longer be read back.
    DataLoss,
    /// A microphone, a speaker, a file or a pipe failed.
    Io,
    /// The command or the configuration cannot be used.
    Config,
    /// Who is calling? Credentials are missing or wrong.
    Unauthenticated,
    /// The caller is known and may not do this.
    Denied,
    /// A bug, here or in an engine.
    Internal,
}

impl Kind {
    /// Every kind, for tables that have to be complete.
    pub(crate) const ALL: [Kind; 16] = [
        Kind::InvalidInput,
        Kind::NotFound,
        Kind::NotInstalled,
        Kind::Unsupported,
        Kind::InUse,
        Kind::Busy,
        Kind::Unavailable,
        Kind::Deadline,
        Kind::Cancelled,
        Kind::Superseded,
        Kind::DataLoss,
        Kind::Io,
        Kind::Config,
        Kind::Unauthenticated,
        Kind::Denied,
        Kind::Internal,
    ];
}

/// A failure. Reads as `message: cause: cause`, in lower case, naming the thing and the way out.
#[derive(Debug)]
pub(crate) struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
    details: Box<Details>,
}

/// What a program wants to know of a failure beside its kind. All of it travels in the status of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// The field of the request that is at fault.
    pub(crate) field: Option<String>,
    /// When trying again makes sense.
    pub(crate) retry_after: Option<Duration>,
    /// The last lines that a dead engine wrote.
    pub(crate) last_words: Vec<String>,
    /// What ended the engine, such as "SIGKILL".
    pub(crate) cause_of_death: Option<String>,
    /// The model that would help, for `speechctl models pull`.
    pub(crate) pull: Option<String>,
}

impl Error {
    /// An error of a kind, with its sentence.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, details: Box::default() }
    }

    /// Shorthand for the commonest kind: the request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    /// Names the field of the request that is at fault.
    pub(crate) fn in_field(mut self, field: impl Into<String>) -> Self {
        self.details.field = Some(field.into());
        self
    }

    /// Says what caused it.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says when trying again makes sense.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.details.retry_after = Some(wait);
        self
    }

    /// Says which model would help, if it were pulled.
    pub(crate) fn can_pull(mut self, name: impl Into<String>) -> Self {
        self.details.pull = Some(name.into());
        self
    }

    /// Puts what was being done before the message: "cannot speak: …".
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// The same error with other details.
    pub(crate) fn with_details(mut self, details: Details) -> Self {
        *self.details = details;
        self
    }

    /// The same once more, for one more who is to be told: causes are in the sentence.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.kind, self.to_string()).with_details(self.details().clone())
    }

    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What a program wants to know beside the kind.
    pub(crate) fn details(&self) -> &Details {
        &self.details
    }
}

/// The whole sentence, causes included.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
