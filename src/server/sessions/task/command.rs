//! What clients want of a session.

use crate::{error::Result, server::sessions::tell::Message};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

/// What a client wants of its session.
pub(in crate::server::sessions) enum Command {
    /// To listen, from a final on.
    Attach(Attach),
    /// To say something.
    Say { listener: u64, said: Said },
}

/// A client that wants to listen.
pub(in crate::server::sessions) struct Attach {
    /// Whether it wants partials.
    pub(in crate::server::sessions) interim: bool,
    /// The last final that it has.
    pub(in crate::server::sessions) last_seq: i64,
    pub(in crate::server::sessions) sender: mpsc::Sender<Result<Message>>,
    /// Whether it may, under which number, and when it may send.
    pub(in crate::server::sessions) reply: oneshot::Sender<Result<(u64, watch::Receiver<bool>)>>,
}

/// What a client says.
#[derive(Debug)]
pub(crate) enum Said {
    /// More audio, and where it begins, if that is said.
    Audio(Bytes, Option<i64>),
    /// Whether everything until here is decided?
    Marker(String),
    /// That was all.
    End,
    /// It has the finals up to this one.
    Acknowledge(i64),
}
