//! One recording, transcribed: its audio out, its segments back, one call for each channel.

use crate::{
    client::{
        Connection,
        output::Output,
        stt::{
            format::{Ending, Entry, Heading, Shape},
            merge::Merge,
            place::Place,
            progress::Progress,
            source::{Messages, Outcome, Recording},
        },
    },
    error::{Error, Kind, Result},
    proto::v1::{RecognitionConfig, RecognitionDone, RecognizeFileResponse, recognize_file_response::Event},
    speech::{Samples, Segment},
};
use std::path::Path;
use tokio_stream::{StreamExt, StreamMap};
use tonic::Streaming;

/// A recording on its way to a transcript.
pub(super) struct Job<'a> {
    pub(super) connection: &'a Connection,
    pub(super) config: &'a RecognitionConfig,
    /// The recording as the user named it.
    pub(super) file: &'a Path,
    /// Where the part that is transcribed begins, in seconds.
    pub(super) offset: f64,
    /// Whether each channel is transcribed by itself.
    pub(super) by_channel: bool,
    /// What is written before the transcript.
    pub(super) title: String,
    pub(super) shape: Box<dyn Shape>,
    pub(super) place: Place,
    /// What stands before the line of progress.
    pub(super) label: String,
    pub(super) output: Output,
}

impl Job<'_> {
    /// Transcribes, and writes as segments come.
    ///
    /// # Errors
    /// What is wrong with the recording, the model or the server.
    pub(super) async fn run(mut self, recording: Recording) -> Result<()> {
        self.output.note_verbose(&recording.describe());
        let progress = Progress::start(recording.duration_hint(), &self.label, self.output);
        let (messages, mut outcome) = recording.send(self.config)?;
        let mut merge = Merge::new(messages.len(), self.by_channel, Samples::from_seconds(self.offset));
        let ending = self.converse(messages, &mut merge, &mut outcome, &progress).await;
        if ending.is_err() {
            // What one channel has waited with for another is not lost with it.
            for entry in merge.rest() {
                self.write_entry(entry, &progress)?;
            }
        }
        progress.end();
        let mut ending = ending?;
        ending.warnings.extend(outcome.warnings());
        ending.warnings.iter().for_each(|warning| self.output.warn(warning));
        let last = self.shape.end(&ending)?;
        self.place.write(&last)?;
        self.place.finish()
    }

    /// Talks to the server until the calls have ended, or the recording is found to be wrong.
    async fn converse(
        &mut self,
        messages: Vec<Messages>,
        merge: &mut Merge,
        outcome: &mut Outcome,
        progress: &Progress,
    ) -> Result<Ending> {
        let mut call = std::pin::pin!(self.calls(messages, merge, progress));
        // What is wrong with the recording goes before what the server makes of that.
        tokio::select! {
            biased;
            Some(error) = outcome.failure() => Err(error),
            ending = &mut call => match (ending, outcome.failure_now()) {
                (_, Some(error)) => Err(error),
                (ending, None) => ending,
            },
        }
    }

    async fn calls(&mut self, messages: Vec<Messages>, merge: &mut Merge, progress: &Progress) -> Result<Ending> {
        let mut streams: StreamMap<usize, Streaming<RecognizeFileResponse>> = StreamMap::new();
        let count = messages.len();
        for (channel, messages) in messages.into_iter().enumerate() {
            let mut client = self.connection.speech();
            let call = client.recognize_file(self.connection.request(messages));
            streams.insert(channel, self.connection.answer(call).await?.into_inner());
        }
        let offset = Samples::from_seconds(self.offset);
        let mut ending = Ending::default();
        let (mut has_begun, mut ended) = (false, 0);
        while ended < count {
            let next = async { Ok(streams.next().await) };
            let Some((channel, message)) = self.connection.answer(next).await? else { break };
            let message = self.connection.answer(std::future::ready(message)).await?;
            match message.event {
                Some(Event::Started(started)) if !has_begun => {
                    has_begun = true;
                    let file = self.file.display().to_string();
                    let heading = Heading { file, model: started.model, offset: self.offset };
                    let text = std::mem::take(&mut self.title) + &self.shape.begin(&heading)?;
                    self.write(&text, progress)?;
                }
                Some(Event::Segment(segment)) => {
                    merge.push(channel, Segment::from(segment).shifted(offset));
                }
                Some(Event::Done(done)) => {
                    ended += 1;
                    merge.decide(channel, None);
                    take(&mut ending, done);
                }
                Some(Event::Progress(so_far)) => {
                    merge.decide(channel, Some(Samples(so_far.decided) + offset));
                    if let Some(decided) = merge.decided() {
                        progress.at(Samples(decided.0 - offset.0));
                    }
                }
                // From a newer server, or said before.
                None | Some(Event::Started(_)) => {}
            }
            while let Some(entry) = merge.next() {
                self.write_entry(entry, progress)?;
            }
        }
        if ended < count {
            let message = "the server broke off before the end of the recording; try again";
            return Err(Error::new(Kind::Unavailable, message));
        }
        Ok(ending)
    }

    fn write_entry(&mut self, entry: Entry, progress: &Progress) -> Result<()> {
        let text = self.shape.entry(entry)?;
        self.write(&text, progress)?;
        self.place.note_entry();
        Ok(())
    }

    /// Writes more of the transcript, past the line of progress where both are on one terminal.
    fn write(&mut self, text: &str, progress: &Progress) -> Result<()> {
        if text.is_empty() || !self.place.is_stdout() {
            return self.place.write(text);
        }
        progress.beside(|| self.place.write(text))
    }
}

/// Adds what one call says at its end. Channels of one recording are of one length; of their languages the first
/// that is known is told.
fn take(ending: &mut Ending, done: RecognitionDone) {
    let length = done.duration.unwrap_or_default();
    ending.duration = ending.duration.max(length.seconds as f64 + f64::from(length.nanos) / 1e9);
    if ending.language.is_empty() {
        ending.language = done.language;
    }
    for warning in done.warnings {
        if !ending.warnings.contains(&warning) {
            ending.warnings.push(warning);
        }
    }
}
