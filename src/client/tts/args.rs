//! The flags of `speechctl tts`.

use crate::{
    audio::encode::Container,
    client::{
        ConnectArgs,
        models::PullArgs,
        output::{number, seconds_or_zero, whole_number},
    },
};
use clap::ValueHint;
use std::{path::PathBuf, time::Duration};

const EXAMPLES: &str = "\
Examples:
  speechctl tts \"hello\"                                 into output.wav
  speechctl tts \"guten Tag\" --region de -o tag.wav
  speechctl tts --voice en-gb+f3 --speed 1.2 --file letter.txt -o letter.opus
  speechctl tts --file book.txt -o book.flac
  speechctl tts --file lesson.txt --split-sentences lesson --marks lesson.jsonl
  speechctl tts \"dinner is ready\" --play               aloud, by a loudspeaker
  echo \"set a timer\" | speechctl tts - -o - | aplay
  speechctl tts --jsonl < prompts.jsonl -o prompts";

/// What is written and read as JSON, for the long help.
const JSON_FIELDS: &str = "\
A line of `--jsonl` is an object; what it leaves out is as the flags have it:
  text                         what to say
  output, or output_file       where the audio goes, from the folder that `-o` names on; else there,
                               with the number of the line: 0001.wav
  voice, region, ssml, format  as the flags
  speaker, or speaker_id       a name or a number
  speed, pitch, volume, sample_rate, seed, length_scale, noise_scale, noise_w, sentence_silence
Each gets a line on stdout, in order: {\"line\", output, voice, sample_rate, duration}, or
{\"line\", \"error\":{kind, message}}. The exit code is that of the first that failed.

A line of `--marks` tells where something begins to sound:
  type        \"sentence\", \"word\", or \"named\" for SSML's <mark>
  at, sample  seconds, and samples, from the start of the audio
  start, end  the part of the text, in bytes; for \"named\" its place, with Piper voices
  text        that part, or the name";

/// Speak a text into an audio file
///
/// Texts of any length are spoken, in constant memory. What comes through a pipe is spoken while it comes: a sentence as
/// soon as its end is certain.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON_FIELDS}"))]
pub(crate) struct Args {
    /// What to say; `-` reads it from stdin
    #[arg(value_name = "TEXT", conflicts_with_all = ["file", "jsonl", "list_devices"], allow_negative_numbers = true)]
    pub(super) text: Option<String>,

    /// Read the text from a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,

    /// Speak many texts: stdin, or the file, has a JSON object on each line
    #[arg(long)]
    pub(super) jsonl: bool,

    /// The text is SSML, up to 256 KiB
    #[arg(long)]
    pub(super) ssml: bool,

    /// Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper
    /// voice [env: SPEECHCTL_VOICE]
    #[arg(long, alias = "model", short_alias = 'm', value_name = "VOICE", value_hint = ValueHint::FilePath)]
    pub(super) voice: Option<String>,

    #[command(flatten)]
    pub(super) pull: PullArgs,

    /// Voice by region: a locale (en-GB), a language (pt) or a country (mx); an installed Piper voice goes before espeak's
    #[arg(long, value_name = "REGION", conflicts_with = "voice")]
    pub(super) region: Option<String>,

    /// Times the normal speed, 0.25 to 4
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.25, 4.0))]
    pub(super) speed: f32,

    /// Times the normal pitch, 0.5 to 2
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.5, 2.0))]
    pub(super) pitch: f32,

    /// Times the normal loudness, 0 to 2
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.0, 2.0))]
    pub(super) volume: f32,

    /// Your own pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`, in IPA for Piper voices and as espeak
    /// writes them for its own; up to 1 MiB
    #[arg(long, value_name = "FILE", conflicts_with = "ssml", value_hint = ValueHint::FilePath)]
    pub(super) lexicon: Option<PathBuf>,

    #[command(flatten)]
    pub(super) piper: PiperArgs,

    #[command(flatten)]
    pub(super) output: OutputArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What only neural voices know.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Piper voices")]
pub(super) struct PiperArgs {
    /// The name or the number of a speaker, of a voice with several [default: the voice's own]
    #[arg(long, short_alias = 's', value_name = "SPEAKER", allow_negative_numbers = true)]
    pub(super) speaker: Option<String>,

    /// What chance is made from; the same seed gives the same samples [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = seed)]
    pub(super) seed: Option<u64>,

    /// How long sounds are, 0.1 to 10; `--speed` divides it [default: the voice's own]
    #[arg(long, alias = "length_scale", value_name = "FACTOR", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.1, 10.0))]
    pub(super) length_scale: Option<f32>,

    /// How much the sound varies, 0 to 2 [default: the voice's own]
    #[arg(long, alias = "noise_scale", value_name = "FACTOR", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.0, 2.0))]
    pub(super) noise_scale: Option<f32>,

    /// How much the length of sounds varies, 0 to 2 [default: the voice's own]
    #[arg(long, alias = "noise-w-scale", alias = "noise_w", value_name = "FACTOR", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.0, 2.0))]
    pub(super) noise_w: Option<f32>,

    /// Silence between sentences, up to 60 [default: 0.2]
    #[arg(long, alias = "sentence_silence", value_name = "SECONDS", allow_negative_numbers = true, value_parser = silence)]
    pub(super) sentence_silence: Option<Duration>,

    /// Make each sentence as loud as can be
    #[arg(long)]
    pub(super) normalize: bool,
}

/// What is written, and where.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Where the audio goes; `-` is stdout; with `--jsonl` a folder [default: output.wav]
    #[arg(short, long, alias = "output-file", alias = "output_file", short_alias = 'f', value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub(super) output: Option<PathBuf>,

    /// Say it aloud, as it comes, instead of writing it; Ctrl-C is silence
    #[arg(long, conflicts_with_all = ["output", "output_raw", "format", "split_sentences", "jsonl"])]
    pub(super) play: bool,

    /// Loudspeaker to play on: its id, its name, or a part of it [default: the system's]
    #[arg(long, value_name = "NAME", requires = "play")]
    pub(super) device: Option<String>,

    /// List the loudspeakers
    #[arg(long, conflicts_with_all = ["output", "play", "jsonl"])]
    pub(super) list_devices: bool,

    /// Shape of the audio [default: by the name of the file, else wav]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true)]
    pub(super) format: Option<Format>,

    /// As piper has it: `-o - --format pcm`.
    #[arg(long, alias = "output_raw", hide = true, conflicts_with_all = ["output", "format", "split_sentences", "jsonl"])]
    pub(super) output_raw: bool,

    /// Rate of the audio, 8000 to 192000 [default: the voice's own]
    #[arg(long, value_name = "HZ", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 8_000, 192_000))]
    pub(super) sample_rate: Option<i32>,

    /// Write a file for each sentence into this folder, 0001.wav and so on; stdout tells file and text, with a tab between
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["output", "jsonl"], value_hint = ValueHint::DirPath)]
    pub(super) split_sentences: Option<PathBuf>,

    /// Write where sentences and words begin to sound, as far as the voice knows, in JSON lines; `-` is stdout
    #[arg(long, value_name = "FILE", conflicts_with = "jsonl", value_hint = ValueHint::FilePath)]
    pub(super) marks: Option<PathBuf>,
}

/// What the audio is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// WAV, 16 bits
    Wav,
    /// Bare samples: signed 16 bits little-endian
    Pcm,
    /// Bare samples: 32-bit floats little-endian
    #[value(alias = "pcm-f32")]
    F32,
    /// FLAC, without loss
    Flac,
    /// Opus in Ogg, for speech
    #[value(alias = "opus")]
    OggOpus,
}

impl Format {
    /// What names of such files end with.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Format::Wav => "wav",
            Format::Pcm => "pcm",
            Format::F32 => "f32",
            Format::Flac => "flac",
            Format::OggOpus => "opus",
        }
    }
}

impl From<Format> for Container {
    fn from(format: Format) -> Self {
        match format {
            Format::Wav => Container::Wav,
            Format::Pcm => Container::Pcm,
            Format::F32 => Container::Floats,
            Format::Flac => Container::Flac,
            Format::OggOpus => Container::OggOpus,
        }
    }
}

/// Reads a seed.
///
/// # Errors
/// A sentence for clap.
pub(in crate::client) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("it must be a whole number, 0 to {}", u64::MAX))
}

/// Reads the seconds of a silence.
///
/// # Errors
/// A sentence for clap.
fn silence(text: &str) -> Result<Duration, String> {
    let silence = seconds_or_zero(text).ok().filter(|silence| *silence <= LONGEST_SILENCE);
    silence.ok_or_else(|| "it must be 0 to 60".to_owned())
}

/// The longest silence between sentences that the contract takes.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(60);
