//! How speech is to be written down.

use crate::{
    audio,
    error::{Error, Result},
    models::library::Need,
    proto::{stt, v1 as pb},
};
use std::sync::atomic::{AtomicU64, Ordering};

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

/// What a recogniser is wanted for.
pub(crate) fn need(config: &pb::RecognitionConfig) -> Need<'_> {
    let translate = config.task == i32::from(pb::RecognitionTask::Translate);
    Need { name: &config.model, language: &config.language, translate }
}

impl Options {
    /// What a caller wants, checked by the rules that hold for every engine; and the rate of bare samples, where that is
    /// what the caller sends.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field.
    pub(crate) fn try_new(config: &pb::RecognitionConfig) -> Result<(Self, Option<u32>)> {
        let invalid = |field: &str, message: String| Err(Error::invalid(message).in_field(format!("config.{field}")));
        let Ok(task) = pb::RecognitionTask::try_from(config.task) else {
            return invalid("task", format!("task {} does not exist", config.task));
        };
        let Ok(encoding) = pb::InputEncoding::try_from(config.encoding) else {
            return invalid("encoding", format!("encoding {} does not exist", config.encoding));
        };
        let rate = u32::try_from(config.sample_rate_hertz).unwrap_or(u32::MAX);
        let pcm_rate = match (encoding, rate) {
            (pb::InputEncoding::Unspecified, 0) => None,
            (pb::InputEncoding::Unspecified, _) => {
                let message = "sample_rate_hertz is for bare samples; a file says its own".to_owned();
                return invalid("sample_rate_hertz", message);
            }
            (pb::InputEncoding::Pcm16, 8_000..=192_000) => Some(rate),
            (pb::InputEncoding::Pcm16, _) => {
                let message = format!("sample rate {} Hz is not in 8000 to 192000", config.sample_rate_hertz);
                return invalid("sample_rate_hertz", message);
            }
        };
        let options = Self {
            language: config.language.clone(),
            translate: task == pb::RecognitionTask::Translate,
            prompt: config.prompt.clone(),
            words: config.word_times,
            temperature: config.temperature,
            beam_size: config.beam_size,
            threads: config.threads,
            fast: config.fast,
        };
        check(&options)?;
        Ok((options, pcm_rate))
    }

    /// The request to a worker that writes this down.
    pub(crate) fn request(
        &self,
        samples: &[i16],
        language: &str,
        context: &str,
        more_follows: bool,
    ) -> stt::TranscribeFileRequest {
        let granularity = if self.words { "word" } else { "segment" };
        stt::TranscribeFileRequest {
            request_id: next_request_id(),
            audio_data: audio::i16_to_bytes(samples).into(),
            language: language.to_owned(),
            temperature: self.temperature,
            timestamp_granularities: vec![granularity.to_owned()],
            initial_prompt: context.to_owned(),
            task: if self.translate { "translate" } else { "transcribe" }.to_owned(),
            beam_size: self.beam_size,
            threads: self.threads,
            more_follows,
            fast: self.fast,
            ..Default::default()
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
fn check(options: &Options) -> Result<()> {
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
