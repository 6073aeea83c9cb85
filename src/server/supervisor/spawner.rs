//! The one thread that starts workers, and lives as long as any of them.
//!
//! A worker asks the kernel to kill it when its parent dies. To the kernel the parent is the thread that started it, not
//! the process; a thread of a runtime may end at any time, this one ends last.

use crate::error::{Error, Kind, Result};
use std::{io, thread};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::{mpsc, oneshot},
};

/// Orders that wait. Each takes a millisecond or two.
const QUEUE: usize = 64;

/// A handle to the thread; it ends when the last of them is dropped. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Spawner {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread. Called inside a runtime, which will wait for the children.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(super) fn start() -> Result<Self> {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let runtime = Handle::current();
        thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || live(&runtime, inbox))
            .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread for workers").because(cause))?;
        Ok(Self { orders })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts workers has ended");
        self.orders.send(Order { command, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn live(runtime: &Handle, mut inbox: mpsc::Receiver<Order>) {
    let _inside = runtime.enter();
    while let Some(Order { mut command, reply }) = inbox.blocking_recv() {
        // Whatever our own parent left open for us is none of a worker's business. All that we open ourselves is closed
        // at the start of another program anyway; so nothing is lost by marking everything, each time.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        // Where nobody waits any more the child is dropped here, and with it killed.
        drop(reply.send(command.spawn()));
    }
}
