//! Where a worker lives: in a process that we started, or behind a connection.

use crate::server::supervisor::{
    connection::Connection,
    death::{Cause, Death},
    memory,
    process::Process,
};

/// What we have hold of, of a worker.
#[derive(Debug)]
pub(super) enum Host {
    /// We started it, and can wait for it and kill it.
    Process(Process),
    /// It runs elsewhere; we can only cut the connection.
    Connection(Connection),
}

impl Host {
    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> Cause {
        match self {
            Host::Process(process) => process.ended().await,
            Host::Connection(connection) => connection.ended().await,
        }
    }

    /// Ends it, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        match self {
            Host::Process(process) => process.kill().await,
            Host::Connection(connection) => connection.kill().await,
        }
    }

    /// Lets it end by itself, now that nobody uses its connection, and ends it if it does not.
    pub(super) async fn end(&mut self) {
        match self {
            Host::Process(process) => process.end().await,
            Host::Connection(connection) => connection.kill().await,
        }
    }

    /// Takes note of what a later death is to be compared with.
    pub(super) fn look(&mut self) {
        if let Host::Process(process) = self {
            process.look();
        }
    }

    /// Whether somebody has stopped its process.
    pub(super) fn is_frozen(&self) -> bool {
        matches!(self, Host::Process(process) if memory::is_frozen(process.pid))
    }

    /// Its resident memory; 0 where that is not known.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Host::Process(process) => memory::resident(process.pid).unwrap_or(0),
            Host::Connection(_) => 0,
        }
    }

    /// How it ended, with its last words.
    pub(super) async fn death(self, cause: Cause, detail: String) -> Death {
        match self {
            Host::Process(process) => process.death(cause, detail).await,
            Host::Connection(connection) => connection.death(cause, detail),
        }
    }
}
