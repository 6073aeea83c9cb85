//! The thread that waits for the disk.

use super::{Command, Reply};
use crate::server::wal::jobs::{SyncJob, Trash};
use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::WeakSender;

/// Jobs that wait. Few: what somebody waits for goes first, as long as it is not in here.
const QUEUE: usize = 1;

/// How often the thread looks up where it has no period.
const IDLE: Duration = Duration::from_secs(3600);

/// What the thread does.
pub(super) enum Job {
    /// Waits for the disk, and tells the log of this number.
    Sync(u64, SyncJob),
    /// Removes a session, and tells the caller.
    Empty(Trash, Reply),
}

/// The thread, and the way to it. It ends when that is dropped, once it has done what waits.
pub(super) struct Syncer {
    /// The way to it.
    pub(super) jobs: SyncSender<Job>,
    /// The thread.
    pub(super) thread: JoinHandle<()>,
}

/// Starts the thread. It holds no handle that would keep the other thread alive.
pub(super) fn start(commands: WeakSender<Command>, period: Option<Duration>) -> io::Result<Syncer> {
    let (jobs, inbox) = sync_channel(QUEUE);
    let live = move || live(&inbox, &commands, period);
    let thread = thread::Builder::new().name("log-sync".to_owned()).spawn(live)?;
    Ok(Syncer { jobs, thread })
}

fn live(inbox: &Receiver<Job>, commands: &WeakSender<Command>, period: Option<Duration>) {
    let mut ticked = Instant::now();
    loop {
        let wait = period.unwrap_or(IDLE).saturating_sub(ticked.elapsed());
        match inbox.recv_timeout(wait) {
            Ok(Job::Sync(number, job)) => {
                let result = job.run();
                // Where the other thread has ended, it has synced everything itself.
                if let Some(commands) = commands.upgrade() {
                    drop(commands.blocking_send(Command::Synced { number, change: job.change(), result }));
                }
            }
            Ok(Job::Empty(trash, reply)) => {
                drop(reply.send(trash.empty()));
                if let Some(commands) = commands.upgrade() {
                    drop(commands.blocking_send(Command::Emptied));
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                ticked = Instant::now();
                // Where its queue is full, it comes with the next one.
                if let Some(commands) = commands.upgrade().filter(|_| period.is_some()) {
                    drop(commands.try_send(Command::Tick));
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
