//! How the process ends. One code for each thing that a script can do about it.

use crate::error::Kind;

/// The exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Go on.
    Ok = 0,
    /// Report it: this is a bug, or data was lost.
    Failed = 1,
    /// Fix the command or the configuration.
    Usage = 2,
    /// Fix the input: the text, the audio, the name of a file, voice or model.
    Input = 3,
    /// Get the model first.
    NotInstalled = 4,
    /// Try again later: the server is away, busy or too slow, or somebody uses the thing.
    TryAgain = 5,
    /// Look at the device or the disk.
    Io = 6,
    /// Fix the credentials.
    Credentials = 7,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Internal | Kind::DataLoss => Exit::Failed,
            Kind::Config | Kind::Unsupported => Exit::Usage,
            Kind::InvalidInput | Kind::NotFound => Exit::Input,
            Kind::NotInstalled => Exit::NotInstalled,
            Kind::Unavailable | Kind::Busy | Kind::InUse | Kind::Deadline | Kind::Superseded => Exit::TryAgain,
            Kind::Io => Exit::Io,
            Kind::Unauthenticated | Kind::Denied => Exit::Credentials,
            Kind::Cancelled => Exit::Interrupted,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}
