//! The frames of an utterance, as its caller reads them.

use super::{
    frames,
    session::Session,
    talk::{Talk, Told},
};
use crate::proto::spoken as pb;
use bytes::Bytes;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, Sleep, sleep_until},
};
use tokio_stream::Stream;
use tonic::Status;

/// The frames, and the task that makes them.
pub(crate) struct Reader {
    session: Arc<Session>,
    talk: Arc<Talk>,
    maker: JoinHandle<()>,
    /// When the next frame is due.
    timer: Pin<Box<Sleep>>,
}

impl Reader {
    /// Reads what this task makes.
    pub(super) fn new(session: Arc<Session>, talk: Arc<Talk>, maker: JoinHandle<()>) -> Self {
        Self { session, talk, maker, timer: Box::pin(sleep_until(Instant::now())) }
    }

    fn frame(&self, number: i64, audio: Bytes) -> pb::AudioFrame {
        pb::AudioFrame {
            session_id: self.session.id().to_owned(),
            is_final: audio.is_empty(),
            audio_data: audio,
            sample_rate: frames::RATE as i32,
            frame_duration_ms: frames::LENGTH.as_millis() as i32,
            sequence_number: number,
        }
    }
}

impl Stream for Reader {
    type Item = Result<pb::AudioFrame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.talk.next(context) {
                Told::Frame { number, audio } => return Poll::Ready(Some(Ok(self.frame(number, audio)))),
                Told::Last(number) => {
                    // Who reads it may begin to speak again at once.
                    self.session.release(&self.talk);
                    return Poll::Ready(Some(Ok(self.frame(number, Bytes::new()))));
                }
                Told::Over(error) => {
                    self.session.release(&self.talk);
                    return Poll::Ready(error.map(|error| Err(error.into())));
                }
                Told::Wait(None) => return Poll::Pending,
                Told::Wait(Some(at)) => {
                    self.timer.as_mut().reset(at);
                    ready!(self.timer.as_mut().poll(context));
                }
            }
        }
    }
}

/// Its caller has all of it, or has gone.
impl Drop for Reader {
    fn drop(&mut self) {
        self.maker.abort();
        self.talk.abandon();
        self.session.release(&self.talk);
    }
}
