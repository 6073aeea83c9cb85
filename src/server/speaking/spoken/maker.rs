//! The task of an utterance: reads its text, and has it spoken sentence by sentence.

use super::{frames, session::Session, state::Event, talk::Talk};
use crate::{
    audio::{self, resample::Resampler},
    error::{Error, Kind, Result},
    proto::spoken as pb,
    sentence::Sentence,
    server::{
        guard::deadline,
        speaking::{Line, Listener, Speaker},
    },
};
use bytes::Bytes;
use std::{
    future::{Future, pending},
    pin::Pin,
    sync::Arc,
};
use tokio::time::{Instant, sleep_until};
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

/// The sentence that is being spoken.
type Speaking = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Makes the audio of an utterance, until all of it is made, or it is stopped.
pub(super) async fn make(
    speaker: Speaker,
    session: Arc<Session>,
    talk: Arc<Talk>,
    chunks: impl Stream<Item = Result<pb::TextChunk, Status>> + Send + Unpin,
    deadline: Option<Instant>,
) {
    let unmade = Unmade(&talk);
    match deadline::within(deadline, run(&speaker, &session, &talk, chunks)).await {
        Ok(()) => {}
        // What is wrong with the call is told at once; a voice that fails has said what it has said.
        Err(error) if matches!(error.kind(), Kind::InvalidInput | Kind::Deadline) => talk.refuse(error),
        Err(error) => talk.fail(error),
    }
    std::mem::forget(unmade);
}

/// Nobody makes what is left: dropped where the work has panicked, so that the reader does not wait for ever.
struct Unmade<'a>(&'a Talk);

impl Drop for Unmade<'_> {
    fn drop(&mut self) {
        self.0.fail(Error::new(Kind::Internal, "the server has failed while it spoke; try again"));
    }
}

async fn run(
    speaker: &Speaker,
    session: &Arc<Session>,
    talk: &Arc<Talk>,
    mut chunks: impl Stream<Item = Result<pb::TextChunk, Status>> + Send + Unpin,
) -> Result<()> {
    let mut is_open = true;
    let mut speaking: Option<Speaking> = None;
    loop {
        // The worker hears of it when its call is dropped.
        if talk.is_stopped() {
            return Ok(());
        }
        if speaking.is_none()
            && let Some((before, sentence)) = talk.next_sentence()
        {
            speaking = Some(Box::pin(speak(speaker.clone(), Arc::clone(session), Arc::clone(talk), before, sentence)));
        }
        if !is_open && talk.is_said() {
            return Ok(());
        }
        let tick = talk.tick_at();
        tokio::select! {
            spoken = end_of(&mut speaking) => {
                speaking = None;
                spoken?;
                talk.on(Event::Spoken)?;
            }
            chunk = chunks.next(), if is_open && talk.has_room_for_text() => match chunk {
                Some(chunk) => take(session, talk, &chunk.map_err(Error::from)?)?,
                None => {
                    is_open = false;
                    talk.on(Event::Closed)?;
                }
            },
            () = talk.changed() => {}
            () = sleep_until(tick.unwrap_or_else(Instant::now)), if tick.is_some() => talk.on(Event::Tick)?,
        }
    }
}

async fn end_of(speaking: &mut Option<Speaking>) -> Result<()> {
    match speaking {
        Some(speaking) => speaking.await,
        None => pending().await,
    }
}

fn take(session: &Session, talk: &Talk, chunk: &pb::TextChunk) -> Result<()> {
    if !chunk.session_id.is_empty() && chunk.session_id != session.id() {
        let message = "the chunk is for another session; one call speaks for one";
        return Err(Error::invalid(message).in_field("session_id"));
    }
    talk.on(Event::Text { text: &chunk.text, number: chunk.sequence_number, is_final: chunk.is_final })
}

async fn speak(
    speaker: Speaker,
    session: Arc<Session>,
    talk: Arc<Talk>,
    before: u64,
    sentence: Sentence,
) -> Result<()> {
    let line = Line::new(sentence, &session.style.lexicon, &session.rules.language);
    let mut ear = Ear { talk, resampler: None };
    speaker.go_on(&session.cast, &session.style, vec![line], before, None, &mut ear).await?;
    ear.finish()
}

/// Hears a sentence, and gives it to the utterance at the rate of its frames.
struct Ear {
    talk: Arc<Talk>,
    /// For workers that make another rate than they are asked for.
    resampler: Option<Resampler>,
}

impl Ear {
    fn finish(&mut self) -> Result<()> {
        match self.resampler.take() {
            Some(resampler) => {
                let rest = resampler.finish()?;
                self.talk.on(Event::Audio(&to_bytes(&rest)))
            }
            None => Ok(()),
        }
    }
}

fn to_bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| audio::to_i16(*sample).to_le_bytes()).collect()
}

impl Listener for Ear {
    fn format(&mut self, sample_rate: u32, _voice: &str) -> Result<()> {
        if sample_rate != frames::RATE {
            self.resampler = Some(Resampler::try_new(sample_rate, frames::RATE)?);
        }
        Ok(())
    }

    fn audio(&mut self, audio: Bytes) -> Result<()> {
        match &mut self.resampler {
            Some(resampler) => {
                let samples: Vec<f32> = audio::bytes_to_i16(&audio).into_iter().map(audio::to_f32).collect();
                let samples = resampler.push(&samples)?;
                self.talk.on(Event::Audio(&to_bytes(&samples)))
            }
            None => self.talk.on(Event::Audio(&audio)),
        }
    }

    async fn deliver(&mut self) -> Result<()> {
        self.talk.room().await;
        Ok(())
    }

    fn worked(&mut self, audio: std::time::Duration, took: std::time::Duration) {
        self.talk.worked(audio, took);
    }
}
