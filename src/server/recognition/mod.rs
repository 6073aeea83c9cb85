//! Writing down one recording: window after window, each on whatever worker lives.

pub(crate) mod feed;
mod options;
mod windows;

use crate::{
    error::{Error, Result},
    proto::stt,
    server::supervisor::{Ended, Supervisor, lies::Transcript},
    speech::{self, ModelId, Samples, Segment},
};
use feed::Feed;
pub(crate) use options::{Options, need, next_request_id};
use tokio::time::Instant;
use windows::{Window, Windows};

/// A recording on its way to being written down.
pub(crate) struct Recognition {
    supervisor: Supervisor,
    model: ModelId,
    options: Options,
    deadline: Option<Instant>,
    feed: Feed,
    /// What went wrong with the feed while a window was decoded.
    failed: Option<Error>,
    windows: Windows,
    language: String,
    context: String,
}

/// What one window gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided {
    /// New segments, in order; times count from the start of the recording.
    pub(crate) segments: Vec<Segment>,
    /// Up to here the recording is decided.
    pub(crate) up_to: Samples,
    /// So much has arrived.
    pub(crate) received: Samples,
}

impl Recognition {
    /// Begins.
    pub(crate) fn new(
        supervisor: Supervisor,
        model: ModelId,
        options: Options,
        deadline: Option<Instant>,
        feed: Feed,
    ) -> Self {
        let (language, context) = (options.language.clone(), options.prompt.clone());
        let (failed, windows) = (None, Windows::default());
        Self { supervisor, model, options, deadline, feed, failed, windows, language, context }
    }

    /// Decodes the next window; `None` once the whole recording is decided.
    ///
    /// # Errors
    /// What is wrong with the audio, what the engine says, or what came of its deaths.
    pub(crate) async fn next(&mut self) -> Result<Option<Decided>> {
        loop {
            if self.windows.is_done() {
                return Ok(None);
            }
            if let Some(window) = self.windows.next() {
                return self.decode(window).await.map(Some);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            match self.feed.next().await? {
                Some(samples) => self.windows.push(&samples),
                None => self.windows.finish(),
            }
        }
    }

    /// The language that was asked for or found; "auto" or empty as long as nothing is known.
    pub(crate) fn language(&self) -> &str {
        if self.language == "auto" { "" } else { &self.language }
    }

    /// How long the recording is, as far as it has arrived.
    pub(crate) fn length(&self) -> Samples {
        self.windows.received()
    }

    /// What the caller should know of the recording.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.feed.warnings
    }

    async fn decode(&mut self, window: Window) -> Result<Decided> {
        let request = self.options.request(&window.samples, &self.language, &self.context, window.more_follows);
        let call = transcribe(&self.supervisor, &self.model, self.deadline, request, &window.samples);
        let transcript = read_ahead(&mut self.feed, &mut self.windows, &mut self.failed, call).await?;
        let segments: Vec<Segment> =
            transcript.segments.into_iter().map(|segment| segment.shifted(window.start)).collect();
        if !segments.is_empty() {
            // What was guessed where nobody spoke binds nobody.
            if !transcript.language.is_empty() {
                self.language = transcript.language;
            }
            self.context = speech::tail(&speech::join(&segments), speech::CONTEXT);
        }
        let up_to = self.windows.decide(&window, transcript.decided);
        Ok(Decided { segments, up_to, received: self.windows.received() })
    }
}

/// Has a window written down by whatever worker lives.
async fn transcribe(
    supervisor: &Supervisor,
    model: &ModelId,
    deadline: Option<Instant>,
    request: stt::TranscribeFileRequest,
    samples: &[i16],
) -> Result<Transcript> {
    let length = Samples(samples.len() as i64);
    // An engine that hears words in digital silence makes them up.
    let is_silent = samples.iter().all(|sample| *sample == 0);
    let mut call = supervisor.call(model.clone(), deadline);
    loop {
        let result = match call.lease().await {
            Ok(lease) => {
                let result = lease.worker.transcribe(request.clone(), length, is_silent).await;
                lease.end(if result.is_ok() { Ended::Well } else { Ended::Somehow });
                result
            }
            Err(failure) => Err(failure),
        };
        if let Some(transcript) = call.settle(result).await? {
            return Ok(transcript);
        }
    }
}

/// Waits for work on a window, and meanwhile takes the audio of the next one. What is wrong with that audio is told in
/// its turn, after what was said before it.
async fn read_ahead<T>(
    feed: &mut Feed,
    windows: &mut Windows,
    failed: &mut Option<Error>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        let has_room = windows.has_room() && failed.is_none();
        tokio::select! {
            done = &mut work => return done,
            read = feed.next(), if has_room => match read {
                Ok(Some(samples)) => windows.push(&samples),
                Ok(None) => windows.finish(),
                Err(error) => *failed = Some(error),
            },
        }
    }
}
