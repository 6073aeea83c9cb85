//! What a client says to its session.

use super::{Said, Task, broken};
use crate::{
    audio,
    error::{Error, Kind, Result},
    listening::{Decided, Event},
    server::{sessions::config::scale, wal::Note},
    speech::Samples,
};
use bytes::Bytes;
use std::collections::VecDeque;

/// Markers that a client may wait for at the same time.
const MARKERS: usize = 1000;

/// The longest name of a marker, bytes.
const MARKER: usize = 256;

impl Task {
    /// Takes what the client says. What is wrong with it ends the conversation, not the session.
    pub(super) async fn hear(&mut self, listener: u64, said: Said) -> Result<()> {
        let is_present = self.listener.as_ref().is_some_and(|present| present.number == listener);
        // Who is still speaking when everything is decided, by a time-out, has done nothing wrong.
        let is_late = self.done.is_some() && !matches!(said, Said::Acknowledge(_));
        if !is_present || is_late {
            return Ok(());
        }
        let heard = match said {
            Said::Audio(data, first) => self.hear_audio(data, first).await,
            Said::Marker(id) => self.mark(id).await,
            Said::End if self.has_ended => Ok(()),
            Said::End => self.end().await,
            Said::Acknowledge(seq) => self.acknowledge(seq).await,
        };
        match heard {
            Err(error) if matches!(error.kind(), Kind::InvalidInput | Kind::Busy) => {
                self.dismiss(error);
                Ok(())
            }
            other => other,
        }
    }

    async fn hear_audio(&mut self, data: Bytes, first: Option<i64>) -> Result<()> {
        let refuse = |field: &str, message: String| Err(Error::invalid(message).in_field(field));
        // A client that is still on its way to hear that the session has ended by itself.
        if self.done.is_some() || self.is_client_gone {
            return Ok(());
        }
        if self.has_ended {
            return refuse("audio", "audio after the end".to_owned());
        }
        if !data.len().is_multiple_of(2) {
            let message = format!("{} bytes hold half a sample; samples have 16 bits", data.len());
            return refuse("audio.data", message);
        }
        if let Some(first) = first.filter(|first| *first != self.received) {
            let message = format!("first_sample is {first}, and the audio so far ends at {}", self.received);
            return refuse("audio.first_sample", message);
        }
        if data.is_empty() {
            return Ok(());
        }
        let samples = audio::bytes_to_i16(&data);
        let start = Samples(self.received);
        // What the log does not take was not said: its client has to say it again.
        let appended = self.inner.desk().await?.append_audio(&self.id, start, samples.clone()).await;
        appended.map_err(|error| match error.kind() {
            Kind::Busy => error,
            _ => broken(error),
        })?;
        self.received += samples.len() as i64;
        let heard = self.intake.push(&samples)?;
        self.on(Event::Audio(heard)).await
    }

    async fn mark(&mut self, id: String) -> Result<()> {
        if id.len() > MARKER {
            let message = format!("a marker's name has {} bytes; at most {MARKER} are taken", id.len());
            return Err(Error::invalid(message).in_field("marker.id"));
        }
        if self.markers >= MARKERS {
            let message = format!("{MARKERS} markers wait already; send the next when some have come back");
            return Err(Error::new(Kind::Busy, message).in_field("marker"));
        }
        if self.done.is_some() {
            return Ok(());
        }
        self.markers += 1;
        let at = Samples(scale(self.received, self.config.rate, Samples::RATE));
        self.on(Event::Marker { id, at }).await
    }

    /// Puts a note into the log.
    pub(super) async fn note(&self, note: Note) -> Result<()> {
        self.inner.desk().await?.note(&self.id, note).await.map_err(broken)
    }

    /// No more audio will come.
    pub(super) async fn end(&mut self) -> Result<()> {
        let at = Samples(self.received);
        self.note(Note::Ended { at }).await?;
        self.finish().await
    }

    /// Lets the rules know that no more audio will come.
    pub(super) async fn finish(&mut self) -> Result<()> {
        self.has_ended = true;
        let rest = self.intake.finish()?;
        if !rest.is_empty() {
            self.on(Event::Audio(rest)).await?;
        }
        self.on(Event::EndOfAudio).await
    }

    /// The client has finals, and the server need not keep them for it.
    async fn acknowledge(&mut self, seq: i64) -> Result<()> {
        if seq > self.finals || seq < 0 {
            let message = format!("there is no final {seq}; the last one is {}", self.finals);
            return Err(Error::invalid(message).in_field("acknowledge.seq"));
        }
        if seq > self.acknowledged {
            self.acknowledged = seq;
            forget(&mut self.decided, seq);
            self.note(Note::Acked { seq }).await?;
        }
        if self.done.is_some() {
            self.part();
        }
        Ok(())
    }
}

/// Forgets what a client has that has this final: what lies behind it, it may not have.
pub(super) fn forget(decided: &mut VecDeque<Decided>, seq: i64) {
    let known = decided.iter().rposition(|decided| decided.seq.is_some_and(|number| number <= seq));
    decided.drain(..known.map_or(0, |known| known + 1));
}
