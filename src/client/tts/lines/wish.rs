//! What a line of `--jsonl` asks for. Pure, but for the voice's file, which is looked for.

use super::super::{
    args::{Format, LONGEST_SILENCE},
    manner::{Manner, span, voice_of},
};
use crate::error::{Error, Result};
use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de};
use std::{path::PathBuf, time::Duration};

/// A line. What it leaves out is as the flags have it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    text: String,
    #[serde(alias = "output_file")]
    output: Option<PathBuf>,
    voice: Option<String>,
    region: Option<String>,
    #[serde(default, alias = "speaker_id", deserialize_with = "speaker")]
    speaker: Option<String>,
    speed: Option<f32>,
    pitch: Option<f32>,
    volume: Option<f32>,
    ssml: Option<bool>,
    #[serde(default, deserialize_with = "format")]
    format: Option<Format>,
    sample_rate: Option<i32>,
    seed: Option<u64>,
    length_scale: Option<f32>,
    noise_scale: Option<f32>,
    noise_w: Option<f32>,
    sentence_silence: Option<f64>,
}

impl Wish {
    /// Reads a line.
    ///
    /// # Errors
    /// `InvalidInput`, with what is wrong and where.
    pub(super) fn read(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line).map_err(|cause| {
            // A line has one line.
            let place = format!(" at line {} column {}", cause.line(), cause.column());
            let why = cause.to_string();
            let why = why.strip_suffix(&place).unwrap_or(&why);
            Error::invalid(format!("the line is wrong at byte {}: {why}", cause.column()))
        })
    }

    /// Its text, where its audio goes if it says so, and how it is spoken where the flags want it like this.
    ///
    /// # Errors
    /// `InvalidInput`, `NotFound`: what is wrong with its values, as far as it is known here.
    pub(super) fn apply(self, flags: &Manner) -> Result<(String, Option<PathBuf>, Manner)> {
        let mut manner = flags.clone();
        let request = &mut manner.request;
        // Each takes the place of the other, unless the line has both: then it is refused.
        if self.voice.is_some() || self.region.is_some() {
            request.voice = voice_of(&self.voice.unwrap_or_default())?;
            request.region = self.region.unwrap_or_default();
        }
        if let Some(silence) = self.sentence_silence {
            let span_of = Duration::try_from_secs_f64(silence).ok().filter(|silence| *silence <= LONGEST_SILENCE);
            let wrong = || Error::invalid(format!("sentence_silence {silence} is not in 0 to 60"));
            request.sentence_silence = Some(span(span_of.ok_or_else(wrong)?));
        }
        request.speaker = self.speaker.unwrap_or(std::mem::take(&mut request.speaker));
        // On the wire, 0 is the same as nothing.
        if let Some((field, _)) =
            [("speed", self.speed), ("pitch", self.pitch)].iter().find(|(_, value)| *value == Some(0.0))
        {
            return Err(Error::invalid(format!("{field} 0 is no speech at all")).in_field(*field));
        }
        request.speed = self.speed.unwrap_or(request.speed);
        request.pitch = self.pitch.unwrap_or(request.pitch);
        request.volume = self.volume.or(request.volume);
        request.seed = self.seed.or(request.seed);
        request.length_scale = self.length_scale.or(request.length_scale);
        request.noise_scale = self.noise_scale.or(request.noise_scale);
        request.noise_w = self.noise_w.or(request.noise_w);
        manner.ssml = self.ssml.unwrap_or(manner.ssml);
        manner.format = self.format.or(manner.format);
        manner.sample_rate = self.sample_rate.or(manner.sample_rate);
        if manner.ssml {
            // It is for texts, of which there may be some among the lines.
            manner.request.lexicon.clear();
        }
        Ok((self.text, self.output, manner))
    }
}

/// The name or the number of a speaker.
fn speaker<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match serde_json::Value::deserialize(from)? {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(name) => Ok(Some(name)),
        serde_json::Value::Number(number) if number.is_u64() => Ok(Some(number.to_string())),
        other => Err(de::Error::custom(format!("speaker {other} is neither a name nor a number"))),
    }
}

fn format<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Format>, D::Error> {
    let Some(name) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let known = || {
        let names = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let unknown = |_| de::Error::custom(format!("format `{name}` is none of {}", known()));
    <Format as ValueEnum>::from_str(&name, true).map(Some).map_err(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::SynthesizeRequest;

    fn flags() -> Manner {
        let request = SynthesizeRequest { voice: "en-us".to_owned(), speed: 1.5, seed: Some(7), ..Default::default() };
        Manner { request, format: Some(Format::Flac), sample_rate: Some(8_000), ssml: false }
    }

    fn applied(line: &str) -> Result<(String, Option<PathBuf>, Manner)> {
        Wish::read(line.as_bytes())?.apply(&flags())
    }

    #[test]
    fn what_a_line_leaves_out_is_as_the_flags_have_it() {
        let (text, output, manner) = applied(r#"{"text": "hi", "speed": 2, "voice": null}"#).expect("it is right");
        assert_eq!((text.as_str(), output), ("hi", None));
        let expected = SynthesizeRequest { speed: 2.0, ..flags().request };
        assert_eq!((manner.request, manner.format, manner.sample_rate), (expected, Some(Format::Flac), Some(8_000)));
    }

    #[test]
    fn names_of_piper_are_known() {
        let (_, output, manner) =
            applied(r#"{"text": "hi", "speaker_id": 3, "output_file": "a/b.wav"}"#).expect("it is right");
        assert_eq!((manner.request.speaker.as_str(), output), ("3", Some("a/b.wav".into())));
        let (.., manner) = applied(r#"{"text": "hi", "speaker": "anna", "format": "OPUS"}"#).expect("it is right");
        assert_eq!((manner.request.speaker.as_str(), manner.format), ("anna", Some(Format::OggOpus)));
    }

    #[test]
    fn a_region_takes_the_place_of_a_voice() {
        let (.., manner) = applied(r#"{"text": "hi", "region": "de"}"#).expect("it is right");
        assert_eq!((manner.request.voice.as_str(), manner.request.region.as_str()), ("", "de"));
    }

    #[test]
    fn silence_is_a_time() {
        let (.., manner) = applied(r#"{"text": "hi", "sentence_silence": 0.25}"#).expect("it is right");
        assert_eq!(manner.request.sentence_silence, Some(prost_types::Duration { seconds: 0, nanos: 250_000_000 }));
        for wrong in ["-1", "60.5", "1e300"] {
            let line = format!(r#"{{"text": "hi", "sentence_silence": {wrong}}}"#);
            assert!(applied(&line).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        for (line, told) in [
            ("hello", "the line is wrong at byte 1: expected value"),
            (r#"{"txt": "hi"}"#, "the line is wrong at byte 6: unknown field `txt`, expected one of "),
            (r#"{"voice": "en"}"#, "the line is wrong at byte 15: missing field `text`"),
            (r#"{"text": 3}"#, "the line is wrong at byte 10: invalid type: integer `3`, expected a string"),
            (r#"{"text": "a", "text": "b"}"#, "the line is wrong at byte 20: duplicate field `text`"),
            (r#"{"text": "a", "speaker": [1]}"#, "the line is wrong at byte 29: speaker [1] is neither a name"),
            (
                r#"{"text": "a", "format": "mp3"}"#,
                "the line is wrong at byte 30: format `mp3` is none of wav, pcm, f32",
            ),
            (r#"{"text": "a", "voice": "./no.onnx"}"#, "voice file `./no.onnx` does not exist"),
            (r#"{"text": "a"} {}"#, "the line is wrong at byte 15: trailing characters"),
        ] {
            let error = applied(line).expect_err("it is wrong").to_string();
            assert!(error.starts_with(told), "{line}: {error}");
        }
        assert!(Wish::read(b"{\"text\": \"caf\xe9\"}").is_err());
    }
}
