//! Writing down one recording: window after window, each on whatever worker lives.

pub(crate) mod feed;
mod windows;

use crate::{
    audio,
    error::{Error, Result},
    proto::stt,
    server::supervisor::{Ended, Supervisor, lies::Transcript},
    speech::{self, ModelId, Samples, Segment},
};
use feed::Feed;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;
use windows::{Window, Windows};

/// How a recording is to be written down. Checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// ISO 639-1, "auto", or empty for the model's own.
    pub(crate) language: String,
    /// Write down in English.
    pub(crate) translate: bool,
    /// What the recording is likely to go on from.
    pub(crate) prompt: String,
    /// Times of single words.
    pub(crate) words: bool,
    /// 0.0 to 1.0.
    pub(crate) temperature: f32,
    /// Candidates of the beam search; 0 = the engine's default.
    pub(crate) beam_size: i32,
    /// Threads; 0 = the worker's default.
    pub(crate) threads: i32,
    /// Short windows in less time, where the engine is sure.
    pub(crate) fast: bool,
}

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
        let request = self.request(&window);
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

    fn request(&self, window: &Window) -> stt::TranscribeFileRequest {
        let granularity = if self.options.words { "word" } else { "segment" };
        stt::TranscribeFileRequest {
            request_id: next_request_id(),
            audio_data: audio::i16_to_bytes(&window.samples).into(),
            language: self.language.clone(),
            temperature: self.options.temperature,
            timestamp_granularities: vec![granularity.to_owned()],
            initial_prompt: self.context.clone(),
            task: if self.options.translate { "translate" } else { "transcribe" }.to_owned(),
            beam_size: self.options.beam_size,
            threads: self.options.threads,
            more_follows: window.more_follows,
            fast: self.options.fast,
            ..Default::default()
        }
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

/// A name for a request that no other of this server has.
pub(crate) fn next_request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// What is wrong with options, by the rules that hold for every engine.
///
/// # Errors
/// `InvalidInput`, naming the field.
pub(crate) fn check(options: &Options) -> Result<()> {
    let refuse = |field: &str, message: String| Err(Error::invalid(message).in_field(format!("config.{field}")));
    if !(0.0..=1.0).contains(&options.temperature) {
        return refuse("temperature", format!("temperature {} is not between 0 and 1", options.temperature));
    }
    if !(0..=8).contains(&options.beam_size) {
        return refuse("beam_size", format!("beam size {} is not between 1 and 8", options.beam_size));
    }
    if !(0..=256).contains(&options.threads) {
        return refuse("threads", format!("{} threads: the number must be between 1 and 256", options.threads));
    }
    if options.prompt.len() > 16 * 1024 {
        return refuse("prompt", "the prompt is longer than 16 KiB; models read its last 200 words or so".to_owned());
    }
    let is_language =
        |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if !is_language(&options.language) {
        let language: String = options.language.chars().take(40).collect();
        let message = format!("language {language:?} is not a code such as `en`, nor `auto`");
        return refuse("language", message);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let field = |options: Options| check(&options).expect_err("out of range").details().field.clone();
        assert_eq!(field(Options { temperature: 2.0, ..Options::default() }).as_deref(), Some("config.temperature"));
        assert_eq!(field(Options { beam_size: 9, ..Options::default() }).as_deref(), Some("config.beam_size"));
        assert_eq!(field(Options { threads: -1, ..Options::default() }).as_deref(), Some("config.threads"));
        assert_eq!(field(Options { language: "e n".into(), ..Options::default() }).as_deref(), Some("config.language"));
        assert!(check(&Options::default()).is_ok());
    }
}
