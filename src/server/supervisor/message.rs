//! What the supervisor's task is asked.

use crate::server::supervisor::Turn;
use crate::{
    error::Result,
    server::supervisor::{Granted, Watched, keeper::Guest, view::View},
    speech::ModelId,
};
use tokio::sync::oneshot;

/// What the task is asked.
#[derive(Debug)]
pub(super) enum Message {
    /// A worker, alone.
    Lease { model: ModelId, turn: Turn, reply: oneshot::Sender<Granted> },
    /// The end of a model's workers; says how many there are.
    Unload { model: ModelId, reply: oneshot::Sender<usize> },
    /// The same, where nobody uses it; says whether it is loaded.
    UnloadUnused { model: ModelId, reply: oneshot::Sender<Result<bool>> },
    /// A model afresh; says whether it was loaded.
    Reload { model: ModelId, reply: oneshot::Sender<Result<bool>> },
    /// A place for a worker that came by itself.
    Admit { model: ModelId, guest: Box<Guest>, reply: oneshot::Sender<Result<()>> },
    /// How everything is.
    View { reply: oneshot::Sender<View> },
    /// The same, and what changes from then on.
    Watch { reply: oneshot::Sender<Watched> },
    /// The end of everything.
    Stop { done: oneshot::Sender<()> },
}
