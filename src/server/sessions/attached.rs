//! A session as its client's call sees it.

use super::{
    task::{Command, Said},
    tell::Message,
};
use crate::error::{Error, Kind, Result};
use tokio::sync::{mpsc, watch};

/// A client's end of a session.
#[derive(Debug)]
pub(crate) struct Attached {
    /// The session's name.
    pub(crate) id: String,
    /// What it tells. It ends with the session, or with an error.
    pub(crate) messages: mpsc::Receiver<Result<Message>>,
    /// Where to say something.
    pub(crate) mouth: Mouth,
}

/// Where a client says something.
#[derive(Clone, Debug)]
pub(crate) struct Mouth {
    listener: u64,
    commands: mpsc::Sender<Command>,
    room: watch::Receiver<bool>,
}

impl Mouth {
    /// Where client number `listener` says something.
    pub(super) fn new(listener: u64, commands: mpsc::Sender<Command>, room: watch::Receiver<bool>) -> Self {
        Self { listener, commands, room }
    }

    /// Waits until the session has room for more.
    ///
    /// # Errors
    /// `Cancelled` where it has ended.
    pub(crate) async fn room(&mut self) -> Result<()> {
        self.room.wait_for(|room| *room).await.map(drop).map_err(|_| ended())
    }

    /// Says something.
    ///
    /// # Errors
    /// `Cancelled` where the session has ended.
    pub(crate) async fn say(&self, said: Said) -> Result<()> {
        self.commands.send(Command::Say { listener: self.listener, said }).await.map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::new(Kind::Cancelled, "the session has ended")
}
