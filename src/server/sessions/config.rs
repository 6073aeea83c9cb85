//! How a session is to be, checked.

use crate::{
    error::{Error, Result},
    listening::Rules,
    models::library::Need,
    proto::v1 as pb,
    server::{
        recognition::{Options, need},
        wal::SessionId,
    },
    speech::{ModelId, Samples},
};

/// Audio that a log has to have room for at any time, in seconds: what the voice detector looks back (12.3), silence that
/// is let go of without a word in the log (10), an utterance (30), and some to spare. With less, a log that is full could
/// not be emptied: to decide what is in it would take audio that has no room.
const KEPT: u64 = 54;

/// What a log holds beside that, bytes: the rest of a file whose beginning is not needed any more, and notes.
const BESIDE: u64 = 1 << 20;

/// Whether a log of this size does for audio of this rate.
///
/// # Errors
/// `InvalidInput`, naming the field.
pub(super) fn has_room(log: u64, rate: u32) -> Result<()> {
    // An eighth is not for audio.
    let needed = (KEPT * u64::from(rate) * 2 + BESIDE) / 7 * 8;
    if log >= needed {
        return Ok(());
    }
    let message = format!(
        "audio of {rate} Hz needs {} MB of log, and this server keeps {} MB of a session (`--session-log`); send a lower rate",
        needed.div_ceil(1_000_000),
        log / 1_000_000
    );
    Err(in_recognition(Error::invalid(message).in_field("sample_rate_hertz")))
}

/// How a session is to be.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) model: ModelId,
    pub(super) options: Options,
    pub(super) rules: Rules,
    /// The rate of the audio that comes, and the clock of all positions on the wire, Hz.
    pub(super) rate: u32,
    /// Whether partials are wanted.
    pub(super) interim: bool,
}

impl Config {
    /// Reads what a client wants. `resolve` finds a model by its name.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field; what `resolve` says.
    pub(super) fn try_new(
        config: &pb::StreamingConfig,
        resolve: impl FnOnce(Need<'_>) -> Result<ModelId>,
    ) -> Result<Self> {
        if !config.hot_words.is_empty() {
            let message = "hot words are not supported; use `recognition.prompt`";
            return Err(Error::invalid(message).in_field("config.hot_words"));
        }
        let recognition = config.recognition.clone().unwrap_or_default();
        // Before the rate, which would be at fault with a file.
        let is_file = recognition.encoding == i32::from(pb::InputEncoding::Unspecified);
        let checked = if is_file { None } else { Some(Options::try_new(&recognition).map_err(in_recognition)?) };
        let Some((options, Some(rate))) = checked else {
            let message = "streamed audio is bare samples: INPUT_ENCODING_PCM16; files go to RecognizeFile";
            return Err(Error::invalid(message).in_field("config.recognition.encoding"));
        };
        let rules = rules(config.endpointing.as_ref())?;
        let model = resolve(need(&recognition)).map_err(in_recognition)?;
        Ok(Self { model, options, rules, rate, interim: config.interim_results })
    }

    /// A position of the session, at 16 kHz, in the client's clock.
    pub(super) fn to_client(&self, position: Samples) -> i64 {
        scale(position.0, Samples::RATE, self.rate)
    }
}

/// What is wrong with a field of the recognition's config is so one level deeper here.
fn in_recognition(error: Error) -> Error {
    let field = error.details().field.as_deref().and_then(|field| field.strip_prefix("config."));
    match field.map(|field| format!("config.recognition.{field}")) {
        Some(field) => error.in_field(field),
        None => error,
    }
}

/// Checks that who resumes a session wants what it was opened with, as far as they say so.
///
/// # Errors
/// `InvalidInput`, naming the field.
pub(super) fn same(wanted: &pb::StreamingConfig, opened: &pb::StreamingConfig) -> Result<()> {
    let differs = |field: &str| {
        let message = format!("{field} is not what the session was opened with; leave it out to go on");
        Err(Error::invalid(message).in_field(format!("config.{field}")))
    };
    if wanted.recognition.is_some() && wanted.recognition != opened.recognition {
        return differs("recognition");
    }
    if wanted.endpointing.is_some() && wanted.endpointing != opened.endpointing {
        return differs("endpointing");
    }
    if wanted.hot_words.is_empty() { Ok(()) } else { differs("hot_words") }
}

/// A position in another clock, rounded down.
pub(super) fn scale(position: i64, from: u32, to: u32) -> i64 {
    i64::try_from(i128::from(position) * i128::from(to) / i128::from(from.max(1))).unwrap_or(i64::MAX)
}

/// The name that a client gives its session.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn session_id(name: &str) -> Result<SessionId> {
    SessionId::try_new(name).map_err(|error| error.in_field("config.session_id"))
}

fn rules(endpointing: Option<&pb::Endpointing>) -> Result<Rules> {
    let defaults = Rules::default();
    let Some(wanted) = endpointing else { return Ok(defaults) };
    let or = |wanted: &Option<prost_types::Duration>, default: Samples| wanted.as_ref().map_or(default, samples);
    let rules = Rules {
        start_silence: or(&wanted.start_silence, defaults.start_silence),
        end_silence: or(&wanted.end_silence, defaults.end_silence),
        longest: or(&wanted.longest, defaults.longest),
        threshold: if wanted.threshold == 0.0 { defaults.threshold } else { wanted.threshold },
        shortest: or(&wanted.shortest, defaults.shortest),
        padding: or(&wanted.padding, defaults.padding),
        start_timeout: wanted.speech_start_timeout.as_ref().map(samples),
        end_timeout: wanted.speech_end_timeout.as_ref().map(samples),
    };
    rules.check()?;
    Ok(rules)
}

/// A span in samples; one that is too long to count becomes the longest, which no rule lets pass.
fn samples(span: &prost_types::Duration) -> Samples {
    let rate = i64::from(Samples::RATE);
    let of_nanos = i64::from(span.nanos) * rate / 1_000_000_000;
    Samples(span.seconds.saturating_mul(rate).saturating_add(of_nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> pb::StreamingConfig {
        let recognition = pb::RecognitionConfig {
            encoding: pb::InputEncoding::Pcm16.into(),
            sample_rate_hertz: 48_000,
            ..pb::RecognitionConfig::default()
        };
        pb::StreamingConfig { recognition: Some(recognition), ..pb::StreamingConfig::default() }
    }

    fn read(config: &pb::StreamingConfig) -> Result<Config> {
        Config::try_new(config, |_| Ok(ModelId::SelfTest))
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        let field = |config: pb::StreamingConfig| {
            read(&config).expect_err("it is wrong").details().field.clone().expect("it is named")
        };
        let recognition = |recognition| pb::StreamingConfig { recognition: Some(recognition), ..config() };
        assert_eq!(field(pb::StreamingConfig::default()), "config.recognition.encoding");
        assert_eq!(field(pb::StreamingConfig { hot_words: vec!["x".into()], ..config() }), "config.hot_words");
        let base = config().recognition.expect("it has one");
        let slow = pb::RecognitionConfig { sample_rate_hertz: 100, ..base.clone() };
        assert_eq!(field(recognition(slow)), "config.recognition.sample_rate_hertz");
        let hot = pb::RecognitionConfig { temperature: 7.0, ..base };
        assert_eq!(field(recognition(hot)), "config.recognition.temperature");
        let endless = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
        let endpointing = pb::Endpointing { end_silence: Some(endless), ..pb::Endpointing::default() };
        let wrong = pb::StreamingConfig { endpointing: Some(endpointing), ..config() };
        assert_eq!(field(wrong), "config.endpointing.end_silence");
    }

    #[test]
    fn positions_go_by_the_clients_clock() {
        let config = read(&config()).expect("it is right");
        assert_eq!(config.to_client(Samples(16_001)), 48_003);
        assert_eq!(scale(48_001, 48_000, 16_000), 16_000);
        assert_eq!(config.rules, Rules::default());
    }
}
