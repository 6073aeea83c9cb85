//! The client of a session, while it is there. It may read slowly, or not at all: what it can do without is left out
//! then, and in the end it is let go of; a session keeps everything that is decided for its return.

use super::tell::Message;
use crate::{
    error::{Error, Kind, Result},
    proto::v1::streaming_recognize_response::Event,
};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Messages on their way to the wire.
pub(super) const AHEAD: usize = 32;

/// Messages that wait for a slow reader, beyond those on their way. As much as hours of speech make.
const PATIENCE: usize = 4096;

/// A client that listens.
#[derive(Debug)]
pub(super) struct Listener {
    /// Which of the clients that this session has had.
    pub(super) number: u64,
    sender: mpsc::Sender<Result<Message>>,
    unsent: VecDeque<Message>,
    /// Nothing more will come.
    has_all: bool,
}

/// What has become of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attended {
    /// It took what waited for it, or some of it.
    Took,
    /// It has gone, or has all that it can have.
    Gone,
}

impl Listener {
    /// A client, and what it is to hear first.
    pub(super) fn new(number: u64, sender: mpsc::Sender<Result<Message>>, first: Vec<Message>) -> Self {
        let mut listener = Self { number, sender, unsent: first.into(), has_all: false };
        listener.flush();
        listener
    }

    /// Tells something.
    ///
    /// # Errors
    /// `Busy` where the client has not read for so long that it is to be let go of.
    pub(super) fn tell(&mut self, message: Message) -> Result<()> {
        self.flush();
        let can_do_without = matches!(message.event, Some(Event::Partial(_) | Event::Silence(_)));
        if self.unsent.is_empty() {
            match self.sender.try_send(Ok(message)) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(_)) if can_do_without => {}
                Err(mpsc::error::TrySendError::Full(message)) => self.unsent.extend(message),
            }
            return Ok(());
        }
        if can_do_without {
            return Ok(());
        }
        if self.unsent.len() >= PATIENCE {
            let message = "the client does not read what it is told; resume the session to go on";
            return Err(Error::new(Kind::Busy, message));
        }
        self.unsent.push_back(message);
        Ok(())
    }

    /// Ends the conversation with an error. Where even that finds no room, the stream just ends.
    pub(super) fn fail(self, error: Error) {
        if let Err(unheard) = self.sender.try_send(Err(error)) {
            tracing::debug!(%unheard, "A client did not hear why its stream ended.");
        }
    }

    /// Nothing more will come: once the client has taken what waits for it, its stream ends.
    pub(super) fn end(&mut self) {
        self.has_all = true;
    }

    fn flush(&mut self) {
        while let Some(message) = self.unsent.pop_front() {
            match self.sender.try_send(Ok(message)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(Ok(message))) => {
                    self.unsent.push_front(message);
                    return;
                }
                Err(_) => return self.unsent.clear(),
            }
        }
    }
}

/// Waits until a client takes what waits for it, or has gone. Without a client, for ever.
pub(super) async fn attend(listener: &mut Option<Listener>) -> Attended {
    let Some(listener) = listener else { return std::future::pending().await };
    if listener.unsent.is_empty() {
        if !listener.has_all {
            listener.sender.closed().await;
        }
        return Attended::Gone;
    }
    if listener.sender.reserve().await.is_err() {
        return Attended::Gone;
    }
    listener.flush();
    Attended::Took
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{self as pb};

    fn message(event: Event) -> Message {
        Message { event: Some(event) }
    }

    fn final_number(seq: i64) -> Message {
        message(Event::Final(pb::Final { seq, ..pb::Final::default() }))
    }

    #[tokio::test]
    async fn who_reads_slowly_misses_partials_and_no_final() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut listener = Some(Listener::new(1, sender, Vec::new()));
        for seq in 1..=20 {
            let told = listener.as_mut().expect("it is there");
            told.tell(final_number(seq)).expect("there is room");
            told.tell(message(Event::Partial(pb::Partial::default()))).expect("there is room");
        }
        let mut seqs = Vec::new();
        while seqs.len() < 20 {
            tokio::select! {
                Some(Ok(message)) = receiver.recv() => match message.event {
                    Some(Event::Final(told)) => seqs.push(told.seq),
                    _ => assert!(seqs.len() <= 2, "partials only as long as there was room"),
                },
                attended = attend(&mut listener) => assert_eq!(attended, Attended::Took),
            }
        }
        assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
        drop(receiver);
        assert_eq!(attend(&mut listener).await, Attended::Gone);
    }

    #[test]
    fn who_never_reads_is_let_go_of() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut listener = Listener::new(1, sender, Vec::new());
        let told = (0..2 * PATIENCE as i64).take_while(|seq| listener.tell(final_number(*seq)).is_ok()).count();
        assert_eq!(told, PATIENCE + 1);
    }
}
