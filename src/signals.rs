//! The signals that ask this process to end.

use crate::error::{Error, Kind, Result};
use tokio::signal::unix::{self, SignalKind};

/// Hears Ctrl-C and its like.
#[derive(Debug)]
pub(crate) struct Signals([unix::Signal; 4]);

impl Signals {
    /// Begins to hear them: from now on none of them ends the process by itself.
    ///
    /// # Errors
    /// `Internal` where the system does not let it.
    pub(crate) fn listen() -> Result<Self> {
        let hear =
            |kind| unix::signal(kind).map_err(|cause| Error::new(Kind::Internal, "cannot hear signals").because(cause));
        Ok(Self([
            hear(SignalKind::interrupt())?,
            hear(SignalKind::terminate())?,
            hear(SignalKind::hangup())?,
            hear(SignalKind::quit())?,
        ]))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        self.next_is_ctrl_c().await;
    }

    /// Waits for the next one. Whether it was Ctrl-C: the others come from programs, which mean the end.
    pub(crate) async fn next_is_ctrl_c(&mut self) -> bool {
        let [interrupts, terminations, hangups, quits] = &mut self.0;
        tokio::select! {
            _ = interrupts.recv() => true,
            _ = terminations.recv() => false,
            _ = hangups.recv() => false,
            _ = quits.recv() => false,
        }
    }
}
