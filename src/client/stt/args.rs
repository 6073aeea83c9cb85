//! The flags of `speechctl stt`.

use super::{
    format::Format,
    live::args::{EVENTS, StreamArgs},
};
use crate::{
    audio::{decode::Channels, raw::RawFormat},
    client::{
        ConnectArgs,
        models::PullArgs,
        output::{number, threads, time, whole_number},
    },
};
use clap::ValueHint;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  speechctl stt talk.mp3 --model ggml-base.en.bin
  speechctl stt talk.wav --format srt --max-line-length 42 -o talk.srt
  speechctl stt *.ogg --format json --words --output-dir transcripts --keep-going
  speechctl stt call.wav --channel all --format vtt > call.vtt
  speechctl stt talk.m4a --offset 1:30 --duration 60
  speechctl stt mic
  text=$(speechctl stt mic --until-silence)
  arecord -f S16_LE -r 16000 -t raw | speechctl stt - --raw 16000 --stream";

/// What the fields of JSON are, for the long help.
const JSON_FIELDS: &str = "\
Fields of `--format json`, version 1 (new fields may come; times are seconds from the start of the recording):
  version                1; goes up when a field is removed or means something else
  file, model, language  the recording as it was named, the model, the language asked for or found
  offset, duration       where the transcribed part begins (if not at 0), and its length
  text                   the whole text
  segments[]             start, end, text, confidence (0 to 1), no_speech_probability (0 to 1),
                         channel (from 1; with `--channel all`),
                         words[] (with `--words`): start, end, word, probability (0 to 1)
  warnings[]             what is to be known of the recording, such as that it is cut short
`--format jsonl` gives the same as events, one a line: {\"event\":\"start\", version, file, model}, then
{\"event\":\"segment\", file, and the fields of a segment}, then {\"event\":\"end\", file, language, offset, duration, warnings}.";

/// Write down what is said, in audio files or into a microphone
///
/// Reads WAV, FLAC, MP3, OGG (Vorbis, Opus), M4A/AAC, WebM/Matroska, AIFF and CAF, at any rate and with any number of
/// channels; what a file is, its content decides, not its name. Files of any length are read in constant memory.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON_FIELDS}\n\n{EVENTS}"))]
pub(crate) struct Args {
    /// The recordings; `-` reads one from stdin, `mic` listens to the microphone
    #[arg(value_name = "FILE", required_unless_present = "list_devices", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,

    /// Model: its name, as `speechctl models` has it; a ggml Whisper model file; or `selftest` [default: the server's,
    /// else the best that is installed for the language]
    #[arg(long, value_name = "MODEL", env = "SPEECHCTL_MODEL", value_hint = ValueHint::FilePath)]
    pub(super) model: Option<String>,

    #[command(flatten)]
    pub(super) pull: PullArgs,

    /// Language that is spoken: a code such as `de`, or `auto`
    #[arg(long, value_name = "LANGUAGE")]
    pub(super) language: Option<String>,

    /// Write it down in English
    #[arg(long)]
    pub(super) translate: bool,

    /// Text that the recording goes on from: names, spelling, style
    #[arg(long, value_name = "TEXT")]
    pub(super) prompt: Option<String>,

    /// Randomness, 0 to 1
    #[arg(long, value_name = "T", default_value = "0", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.0, 1.0))]
    pub(super) temperature: f32,

    /// Candidates of the search, 1 (fastest) to 8 [default: 5]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 1, 8))]
    pub(super) beam: Option<i32>,

    /// Threads of the engine [default: the cores, at most 4]
    #[arg(long, value_name = "N", env = "SPEECHCTL_THREADS", allow_negative_numbers = true, value_parser = threads)]
    pub(super) threads: Option<i32>,

    /// Short recordings in about half the time; may change words of which the model is unsure
    #[arg(long)]
    pub(super) fast: bool,

    #[command(flatten)]
    pub(super) input: InputArgs,

    #[command(flatten)]
    pub(super) output: OutputArgs,

    #[command(flatten)]
    pub(super) stream: StreamArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Which part of a recording, and how it is read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputArgs {
    /// Bare samples without a header: `RATE[,FORMAT][,CHANNELS]`, such as 16000 or 8000,mulaw or 44100,s16le,2
    #[arg(long, value_name = "RATE,…", allow_negative_numbers = true)]
    pub(super) raw: Option<RawFormat>,

    /// Begin here: seconds, or `[HOURS:]MINUTES:SECONDS`
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = time)]
    pub(super) offset: Option<f64>,

    /// Transcribe so much: seconds, or `[HOURS:]MINUTES:SECONDS`
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = length)]
    pub(super) duration: Option<f64>,

    /// One channel, counted from 1, or `all`: each by itself [default: their mix]
    #[arg(long, value_name = "N|all", allow_negative_numbers = true, value_parser = channel)]
    pub(super) channel: Option<Channels>,
}

/// What is written, and where.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Shape of the transcript [default: by the name of the file, else text]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true)]
    pub(super) format: Option<Format>,

    /// Write into this file; `-` is stdout
    #[arg(short, long, value_name = "FILE", conflicts_with = "output_dir", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,

    /// Write a file for each recording into this folder, named like it
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(super) output_dir: Option<PathBuf>,

    /// Go on to the next recording when one is wrong; the exit code is that of the first failure
    #[arg(long)]
    pub(super) keep_going: bool,

    /// Times of single words: in json, jsonl and tsv; as karaoke in vtt and lrc
    #[arg(long)]
    pub(super) words: bool,

    /// Characters of a caption, in srt, vtt and lrc; a longer word stands alone
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 1, 1_000))]
    pub(super) max_line_length: Option<i32>,

    /// Words of a caption, in srt, vtt and lrc
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 1, 1_000))]
    pub(super) max_words: Option<i32>,
}

fn length(text: &str) -> Result<f64, String> {
    time(text).and_then(|seconds| if seconds > 0.0 { Ok(seconds) } else { Err("it must be more than 0".to_owned()) })
}

fn channel(text: &str) -> Result<Channels, String> {
    match text.parse() {
        _ if text == "all" => Ok(Channels::Each),
        Ok(number) if number > 0 => Ok(Channels::One(number)),
        _ => Err("give the number of a channel, from 1, or `all`".to_owned()),
    }
}
