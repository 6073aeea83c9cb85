//! Answers that come in pieces: a task makes them, and the stream that carries them owns the task.
//!
//! When the caller goes away the stream is dropped, and the task with it. When the task fails, or panics, the stream
//! ends with a status; it never just ends early.

use crate::{
    error::{Error, Kind, Result},
    server::guard::deadline,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_stream::Stream;
use tonic::Status;

/// Messages that wait for a slow reader.
const AHEAD: usize = 8;

/// How long a reader may stand still: longer than somebody pauses a player, shorter than for ever.
const STALL: Duration = Duration::from_secs(600);

/// Where a task puts its messages.
#[derive(Clone, Debug)]
pub(crate) struct Outlet<T>(mpsc::Sender<T>);

impl<T> Outlet<T> {
    /// Sends one message, as soon as the caller has room for it.
    ///
    /// # Errors
    /// `Cancelled` where the caller has gone, `Deadline` where it stands still.
    pub(crate) async fn send(&self, message: T) -> Result<()> {
        self.room().await?.take(message);
        Ok(())
    }

    /// Waits until the caller has room for one message. Who waits may stop, and nothing is lost.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    pub(crate) async fn room(&self) -> Result<Room<'_, T>> {
        match timeout(STALL, self.0.reserve()).await {
            Ok(Ok(permit)) => Ok(Room(permit)),
            Ok(Err(_)) => Err(Error::new(Kind::Cancelled, "the caller has gone")),
            Err(_) => Err(Error::new(Kind::Deadline, "the caller has not read for ten minutes")),
        }
    }

    /// Waits until the caller has gone.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Room for one message.
#[derive(Debug)]
pub(crate) struct Room<'a, T>(mpsc::Permit<'a, T>);

impl<T> Room<'_, T> {
    /// Takes it.
    pub(crate) fn take(self, message: T) {
        self.0.send(message);
    }
}

/// The messages of a task, and the task.
#[derive(Debug)]
pub(crate) struct Messages<T> {
    receiver: mpsc::Receiver<T>,
    task: JoinHandle<Result<()>>,
    ended: bool,
}

/// Starts a task that answers in pieces, until its deadline.
pub(crate) fn respond<T, F>(deadline: Option<Instant>, work: impl FnOnce(Outlet<T>) -> F) -> Messages<T>
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let work = work(Outlet(sender));
    let task = tokio::spawn(deadline::within(deadline, work));
    Messages { receiver, task, ended: false }
}

impl<T> Stream for Messages<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(message) = ready!(self.receiver.poll_recv(context)) {
            return Poll::Ready(Some(Ok(message)));
        }
        let outcome = ready!(Pin::new(&mut self.task).poll(context));
        self.ended = true;
        Poll::Ready(match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error.into())),
            Err(_) => Some(Err(Error::new(Kind::Internal, "the server failed at this call").into())),
        })
    }
}

impl<T> Drop for Messages<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt;

    #[tokio::test]
    async fn what_is_sent_arrives_and_then_the_error() {
        let stream = respond(None, |out| async move {
            out.send(1).await?;
            Err(Error::invalid("enough"))
        });
        let all: Vec<_> = stream.collect().await;
        assert_eq!(all.len(), 2);
        assert_eq!(*all[0].as_ref().expect("the message"), 1);
        assert_eq!(all[1].as_ref().expect_err("the status").code(), tonic::Code::InvalidArgument);
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let stream = respond(None, |out: Outlet<u8>| async move {
            drop(out);
            panic!("on purpose");
        });
        let all: Vec<_> = stream.collect().await;
        assert_eq!(all[0].as_ref().expect_err("the status").code(), tonic::Code::Internal);
    }

    #[tokio::test]
    async fn a_deadline_ends_the_work() {
        let stream = respond(Some(Instant::now()), |out: Outlet<u8>| async move {
            std::future::pending::<()>().await;
            out.send(1).await
        });
        let all: Vec<_> = stream.collect().await;
        assert_eq!(all[0].as_ref().expect_err("the status").code(), tonic::Code::DeadlineExceeded);
    }
}
