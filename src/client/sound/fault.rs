//! What goes wrong between us and a sound server.

use pulseaudio::protocol::{ProtocolError, PulseError};
use std::{error, fmt, io};

/// Why there is no sound.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Nobody listens where a sound server would.
    Absent(Option<io::Error>),
    /// The server answered, and said no.
    Refused(PulseError),
    /// The connection has ended.
    Ended(Option<io::Error>),
    /// The device is not there any more.
    Unplugged,
    /// The device takes no sound.
    Stalled,
    /// The server speaks no sense.
    Garbled(String),
}

impl Fault {
    /// Whether the system does not let us.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Fault::Refused(PulseError::AccessDenied | PulseError::AuthKey))
    }

    /// Whether somebody else has the device.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Fault::Refused(PulseError::Busy | PulseError::Timeout))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Absent(Some(cause)) => write!(f, "{cause}"),
            Fault::Absent(None) => f.write_str("there is no socket"),
            Fault::Refused(answer) => write!(f, "the sound server says `{answer}`"),
            Fault::Ended(Some(cause)) => write!(f, "the connection has ended: {cause}"),
            Fault::Ended(None) => f.write_str("the connection has ended"),
            Fault::Unplugged => f.write_str("it is not listed any more"),
            Fault::Stalled => f.write_str("the sound server asks for no more"),
            Fault::Garbled(what) => write!(f, "the sound server speaks no sense: {what}"),
        }
    }
}

impl error::Error for Fault {}

impl From<ProtocolError> for Fault {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::ServerError(answer) => Fault::Refused(answer),
            other => Fault::Garbled(other.to_string()),
        }
    }
}
