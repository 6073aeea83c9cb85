//! The logs of all sessions, for async code: two threads do what blocks.
//!
//! One thread owns the logs. What has to be synced goes to a second thread, and the answer to the caller waits for that
//! where the policy says so: no session waits for the sync of another. There are two exceptions, both rare: notes that
//! are replaced by shorter ones, and a session that sends so fast that its file doubles before the second thread comes
//! to it. Both threads end when the last handle is dropped; what is not on the disk then is synced first.

mod keeper;
mod syncer;

use super::{
    Note, Restored, SessionId, Syncing,
    budget::{Budget, Limits},
    store::{Disk, Store},
};
use crate::{
    error::{Error, Kind, Result},
    speech::Samples,
};
use keeper::Keeper;
use std::{fmt, fs, path::Path, sync::Arc, thread, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Commands that wait. Each takes some microseconds, and holds a chunk of audio at most; who finds it full waits.
const QUEUE: usize = 64;

/// How long the disk may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to read a whole session, or to finish everything.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// A handle to the logs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    commands: mpsc::Sender<Command>,
    pub(super) patience: Duration,
}

#[cfg(test)]
/// What the logs take on the disk, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// All together, damaged ones and such that are being removed included.
    pub(crate) all: u64,
    /// Each that is open.
    pub(crate) sessions: Vec<(SessionId, u64)>,
}

/// Where an answer goes.
type Reply<T = ()> = oneshot::Sender<Result<T>>;

/// What the thread is told.
enum Command {
    Stored {
        reply: Reply<Vec<SessionId>>,
    },
    Restore {
        id: SessionId,
        reply: Reply<Option<Restored>>,
    },
    Create {
        id: SessionId,
        open: Vec<u8>,
        reply: Reply,
    },
    Audio {
        id: SessionId,
        start: Samples,
        samples: Vec<i16>,
        reply: Reply,
    },
    Note {
        id: SessionId,
        note: Note,
        reply: Reply,
    },
    Drop {
        id: SessionId,
        before: Samples,
        reply: Reply,
    },
    Remove {
        id: SessionId,
        reply: Reply,
    },
    #[cfg(test)]
    Usage {
        reply: Reply<Usage>,
    },
    /// The other thread is done with what the log of this number gave it.
    Synced {
        number: u64,
        change: u64,
        result: Result<()>,
    },
    /// The other thread is done with a removal.
    Emptied,
    /// It is time to sync.
    Tick,
    End {
        reply: Reply,
    },
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Takes a folder, and starts the threads.
    ///
    /// # Errors
    /// `Config` where another server uses the folder, `Io`, `Internal` where the system gives no thread.
    pub(crate) fn start(root: &Path, limits: Limits, syncing: Syncing) -> Result<Self> {
        let disk = Disk::open(root)?;
        let lock = disk.lock()?;
        Self::start_on(Arc::new(disk), Some(lock), limits, syncing)
    }

    /// Starts the threads over any store. The lock is held until they end.
    pub(super) fn start_on(
        store: Arc<dyn Store>,
        lock: Option<fs::File>,
        limits: Limits,
        syncing: Syncing,
    ) -> Result<Self> {
        let (commands, inbox) = mpsc::channel(QUEUE);
        let none = |cause| Error::new(Kind::Internal, "the system gives no thread for the log").because(cause);
        let syncer = syncer::start(commands.downgrade(), syncing.period()).map_err(none)?;
        let keeper = Keeper::new(store, Arc::new(Budget::new(limits)), syncing, syncer);
        thread::Builder::new().name("log".to_owned()).spawn(move || keeper.live(inbox, lock)).map_err(none)?;
        Ok(Self { commands, patience: PATIENCE })
    }

    /// The sessions that are on the disk. What was being removed when the last server died is gone then.
    ///
    /// # Errors
    /// `Io`, `Unavailable`.
    pub(crate) async fn stored(&self) -> Result<Vec<SessionId>> {
        self.ask(LONG_PATIENCE, |reply| Command::Stored { reply }).await
    }

    /// Goes on with a session that is on the disk. `None` for one that was only about to be made when the last server
    /// died; it is gone then.
    ///
    /// # Errors
    /// `DataLoss` where something is missing or damaged, `Unsupported` for the files of a newer version, `NotFound`,
    /// `Config` where there are links instead of files, `Io`, `Unavailable`, `Internal` for one that is open.
    pub(crate) async fn restore(&self, id: &SessionId) -> Result<Option<Restored>> {
        let id = id.clone();
        self.ask(LONG_PATIENCE, |reply| Command::Restore { id, reply }).await
    }

    /// Begins the log of a session.
    ///
    /// # Errors
    /// `InvalidInput` where there is one already, `Busy` where a limit would be exceeded, `Io`, `Unavailable`.
    pub(crate) async fn create(&self, id: &SessionId, open: Vec<u8>) -> Result<()> {
        let id = id.clone();
        self.ask(self.patience, |reply| Command::Create { id, open, reply }).await
    }

    /// Appends audio, which starts where the audio before it ends. After `Unavailable` it may be there or not.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `Io`, `Unavailable`, `NotFound`, `Internal` for audio from elsewhere.
    pub(crate) async fn append_audio(&self, id: &SessionId, start: Samples, samples: Vec<i16>) -> Result<()> {
        let id = id.clone();
        self.ask(self.patience, |reply| Command::Audio { id, start, samples, reply }).await
    }

    /// Appends a note. Once it is answered the note outlives the server; the policy says whether also a power cut. After
    /// `Unavailable` it may be there or not.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `Io`, `Unavailable`, `NotFound`, `InvalidInput` for one that is too long,
    /// `Internal` for one that cannot be true.
    pub(crate) async fn note(&self, id: &SessionId, note: Note) -> Result<()> {
        let id = id.clone();
        self.ask(self.patience, |reply| Command::Note { id, note, reply }).await
    }

    /// Drops the audio that is wholly below a position, file by file, as soon as what commits it is on the disk. What is
    /// not committed stays.
    ///
    /// # Errors
    /// `Io`, `Unavailable`, `NotFound`.
    pub(crate) async fn drop_before(&self, id: &SessionId, position: Samples) -> Result<()> {
        let id = id.clone();
        self.ask(self.patience, |reply| Command::Drop { id, before: position, reply }).await
    }

    /// Ends a session: its audio goes, its finals stay.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `Io`, `Unavailable`, `NotFound`.
    pub(crate) async fn close(&self, id: &SessionId) -> Result<()> {
        self.note(id, Note::Closed).await
    }

    /// Removes all of a session, damaged or not.
    ///
    /// # Errors
    /// `Io`, `Unavailable`, `NotFound`.
    pub(crate) async fn remove(&self, id: &SessionId) -> Result<()> {
        let id = id.clone();
        self.ask(self.patience, |reply| Command::Remove { id, reply }).await
    }

    #[cfg(test)]
    /// What the logs take on the disk.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn usage(&self) -> Result<Usage> {
        self.ask(self.patience, |reply| Command::Usage { reply }).await
    }

    /// Syncs everything and ends the threads, though there are other handles. The folder is free then.
    ///
    /// # Errors
    /// `Io` where something may not be on the disk, `Unavailable`.
    pub(crate) async fn end(self) -> Result<()> {
        self.ask(LONG_PATIENCE, |reply| Command::End { reply }).await
    }

    async fn ask<T>(&self, patience: Duration, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::new(Kind::Unavailable, "the log has ended: the server stops");
        let asked = async {
            self.commands.send(command(reply)).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        timeout(patience, asked).await.unwrap_or_else(|_| {
            let message = format!(
                "the disk of the state folder does not answer within {} s; look at it, or give another folder with \
                 `--state-folder`",
                patience.as_secs()
            );
            Err(Error::new(Kind::Unavailable, message))
        })
    }
}
