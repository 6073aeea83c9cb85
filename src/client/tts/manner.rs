//! How a text is spoken: the request without the text, and what the audio is written as.

use super::{
    args::{Args, Format},
    text,
};
use crate::{
    audio::ogg_opus,
    client::absolute_path,
    error::{Error, Kind, Result},
    models::library::is_source,
    proto::v1::{OutputEncoding, SynthesizeRequest},
};
use std::{path::Path, time::Duration};

/// The largest lexicon that the contract takes.
const MAX_LEXICON: u64 = 1024 * 1024;

/// How to speak.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// All but the text, the rate and the encoding.
    pub(super) request: SynthesizeRequest,
    /// What is asked for; else the name of the file decides.
    pub(super) format: Option<Format>,
    /// Hz.
    pub(super) sample_rate: Option<i32>,
    /// The text is SSML.
    pub(super) ssml: bool,
}

impl Manner {
    /// As the flags want it. Looks at files, and so may block.
    ///
    /// # Errors
    /// What is wrong with the voice's file, or with the lexicon.
    pub(super) fn of(args: &Args) -> Result<Self> {
        let piper = &args.piper;
        let lexicon = match &args.lexicon {
            Some(path) => text::small_file(path, MAX_LEXICON).map_err(|error| error.context("the lexicon"))?,
            None => String::new(),
        };
        let request = SynthesizeRequest {
            voice: voice_of(&voice(args))?,
            region: args.region.clone().unwrap_or_default(),
            speed: args.speed,
            pitch: args.pitch,
            volume: Some(args.volume),
            speaker: piper.speaker.clone().unwrap_or_default(),
            seed: piper.seed,
            length_scale: piper.length_scale,
            noise_scale: piper.noise_scale,
            noise_w: piper.noise_w,
            sentence_silence: piper.sentence_silence.map(span),
            normalize: piper.normalize,
            lexicon,
            ..Default::default()
        };
        let format = if args.output.output_raw { Some(Format::Pcm) } else { args.output.format };
        Ok(Self { request, format, sample_rate: args.output.sample_rate, ssml: args.ssml })
    }

    /// The shape of the audio: as asked for, else as the name of the file promises.
    ///
    /// # Errors
    /// `Config` for a name that promises what cannot be written.
    pub(super) fn format(&self, output: &Path) -> Result<Format> {
        format_of(self.format, output)
    }

    /// What to ask the server for, when it is written as this.
    ///
    /// # Errors
    /// `Config` for a rate that the format does not know.
    pub(super) fn request(&self, format: Format) -> Result<SynthesizeRequest> {
        // Files are encoded here, where one can go back to their headers.
        let encoding = match format {
            Format::F32 => OutputEncoding::Float32,
            Format::Wav | Format::Pcm | Format::Flac | Format::OggOpus => OutputEncoding::Pcm16,
        };
        let sample_rate_hertz = sample_rate(self.sample_rate, format)?;
        Ok(SynthesizeRequest { sample_rate_hertz, encoding: encoding.into(), ..self.request.clone() })
    }
}

/// The shape of audio: as asked for, else as the name of the file promises.
///
/// # Errors
/// `Config` for a name that promises what cannot be written.
pub(in crate::client) fn format_of(asked: Option<Format>, output: &Path) -> Result<Format> {
    let extension = output.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match (asked, extension.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("pcm" | "raw")) => Ok(Format::Pcm),
        (None, Some("f32")) => Ok(Format::F32),
        (None, Some("flac")) => Ok(Format::Flac),
        (None, Some("opus" | "ogg" | "oga")) => Ok(Format::OggOpus),
        (None, Some(foreign @ ("mp3" | "m4a" | "aac" | "webm" | "aiff"))) => {
            let name = output.display();
            let message = format!(
                "`{name}` would be no {foreign}: WAV, FLAC and Ogg Opus can be written; name it .wav, .flac or .opus"
            );
            Err(Error::new(Kind::Config, message))
        }
        (None, _) => Ok(Format::Wav),
    }
}

/// The rate to ask for, in Hz; 0 for the voice's own. Opus knows few, of which the highest loses nothing.
fn sample_rate(wanted: Option<i32>, format: Format) -> Result<i32> {
    let is_opus = |rate: i32| ogg_opus::RATES.iter().any(|known| i64::from(*known) == i64::from(rate));
    match (format, wanted) {
        (Format::OggOpus, None) => Ok(48_000),
        (Format::OggOpus, Some(rate)) if !is_opus(rate) => {
            let rates = ogg_opus::RATES.map(|rate| rate.to_string()).join(", ");
            Err(Error::new(
                Kind::Config,
                format!("Opus has no rate of {rate} Hz: it knows {rates}; leave the rate out, or give one"),
            ))
        }
        (_, rate) => Ok(rate.unwrap_or(0)),
    }
}

/// The voice: of the flag, else of the environment, which a region on the command line overrides.
fn voice(args: &Args) -> String {
    let of_environment = || match args.region {
        Some(_) => None,
        None => crate::config::env("SPEECHCTL_VOICE").and_then(|voice| voice.into_string().ok()),
    };
    args.voice.clone().or_else(of_environment).unwrap_or_default()
}

/// A voice as the server can find it: the file of a Piper voice by its whole path.
///
/// # Errors
/// `NotFound` for a file that is not there, `InvalidInput` for a folder.
pub(in crate::client) fn voice_of(name: &str) -> Result<String> {
    let is_file = !is_source(name) && (name.contains('/') || name.to_ascii_lowercase().ends_with(".onnx"));
    if !is_file {
        return Ok(name.to_owned());
    }
    match std::fs::metadata(name) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Error::invalid(format!("voice `{name}` is a folder; name the .onnx file in it")))
        }
        Ok(_) => absolute_path(name),
        Err(_) => Err(Error::new(Kind::NotFound, format!("voice file `{name}` does not exist"))),
    }
}

/// A time as the wire has it.
pub(super) fn span(time: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: time.subsec_nanos().cast_signed() }
}
