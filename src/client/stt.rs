//! `speechctl stt`: what is said in recordings, in words.

mod call;
mod format;
mod merge;
mod place;
mod progress;
mod source;

use crate::{
    audio::{
        decode::{Channels, Part},
        raw::RawFormat,
    },
    client::{
        ConnectArgs, Connection, Context, absolute_path,
        output::{Output, number, threads, time, whole_number},
    },
    error::{Error, Kind, Result},
    proto::v1::{self, RecognitionConfig},
    speech::Samples,
};
use call::Job;
use clap::ValueHint;
use format::{Format, Limits, Wish};
use place::Place;
use source::Recording;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const EXAMPLES: &str = "\
Examples:
  speechctl stt talk.mp3 --model ggml-base.en.bin
  speechctl stt talk.wav --format srt --max-line-length 42 -o talk.srt
  speechctl stt *.ogg --format json --words --output-dir transcripts --keep-going
  speechctl stt call.wav --channel all --format vtt > call.vtt
  speechctl stt talk.m4a --offset 1:30 --duration 60
  arecord -f S16_LE -r 16000 -t raw | speechctl stt - --raw 16000";

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

/// Write down what is said in audio files
///
/// Reads WAV, FLAC, MP3, OGG (Vorbis, Opus), M4A/AAC, WebM/Matroska, AIFF and CAF, at any rate and with any number of
/// channels; what a file is, its content decides, not its name. Files of any length are read in constant memory.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON_FIELDS}"))]
pub(crate) struct Args {
    /// The recordings; `-` reads one from stdin
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,

    /// Model: a ggml Whisper model file, or `selftest` [default: the server's]
    #[arg(long, value_name = "MODEL", env = "SPEECHCTL_MODEL", value_hint = ValueHint::FilePath)]
    model: Option<String>,

    /// Language that is spoken: a code such as `de`, or `auto`
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,

    /// Write it down in English
    #[arg(long)]
    translate: bool,

    /// Text that the recording goes on from: names, spelling, style
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,

    /// Randomness, 0 to 1
    #[arg(long, value_name = "T", default_value = "0", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.0, 1.0))]
    temperature: f32,

    /// Candidates of the search, 1 (fastest) to 8 [default: 5]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 1, 8))]
    beam: Option<i32>,

    /// Threads of the engine [default: the cores, at most 4]
    #[arg(long, value_name = "N", env = "SPEECHCTL_THREADS", allow_negative_numbers = true, value_parser = threads)]
    threads: Option<i32>,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Which part of a recording, and how it is read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Input")]
struct InputArgs {
    /// Bare samples without a header: RATE[,FORMAT][,CHANNELS], such as 16000 or 8000,mulaw or 44100,s16le,2
    #[arg(long, value_name = "RATE,…")]
    raw: Option<RawFormat>,

    /// Begin here: seconds, or [HOURS:]MINUTES:SECONDS
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = time)]
    offset: Option<f64>,

    /// Transcribe so much: seconds, or [HOURS:]MINUTES:SECONDS
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = length)]
    duration: Option<f64>,

    /// One channel, counted from 1, or `all`: each by itself [default: their mix]
    #[arg(long, value_name = "N|all", allow_negative_numbers = true, value_parser = channel)]
    channel: Option<Channels>,
}

/// What is written, and where.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Shape of the transcript [default: by the name of the file, else text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,

    /// Write into this file; `-` is stdout
    #[arg(short, long, value_name = "FILE", conflicts_with = "output_dir", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Write a file for each recording into this folder, named like it
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    output_dir: Option<PathBuf>,

    /// Go on to the next recording when one is wrong; the exit code is that of the first failure
    #[arg(long)]
    keep_going: bool,

    /// Times of single words: in json, jsonl and tsv; as karaoke in vtt and lrc
    #[arg(long)]
    words: bool,

    /// Characters of a caption, in srt, vtt and lrc; a longer word stands alone
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 1, 1_000))]
    max_line_length: Option<i32>,

    /// Words of a caption, in srt, vtt and lrc
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 1, 1_000))]
    max_words: Option<i32>,
}

/// What is to be done, checked.
struct Plan {
    args: Args,
    wish: Wish,
    part: Part,
    config: RecognitionConfig,
    /// Where each recording's transcript goes, in the order of the recordings.
    places: Vec<PathBuf>,
    output: Output,
}

/// Transcribes.
///
/// # Errors
/// What is wrong with the recordings, the model or the server.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    let plan = Arc::new(Plan::try_new(args, context.output)?);
    // A recording that is none is known before a server is started for it.
    let mut first = Some(plan.open(0, &context).await);
    if !plan.args.output.keep_going
        && let Some(Err(error)) = first
    {
        return Err(error);
    }
    let mut failures = Failures::default();
    let mut server = None;
    for number in 0..plan.args.files.len() {
        let opened = match first.take() {
            Some(opened) => opened,
            None => plan.open(number, &context).await,
        };
        let transcribed = match opened {
            Err(error) => Err(error),
            Ok(recording) => {
                if server.is_none() {
                    server = Some(context.connect().await?);
                }
                match &server {
                    Some((connection, _)) => plan.transcribe(number, recording, connection).await,
                    None => Ok(()),
                }
            }
        };
        let Err(error) = transcribed else { continue };
        let goes_on = plan.args.output.keep_going && is_of_recording(&error);
        if !goes_on || plan.args.files.len() == 1 {
            failures.last_word = Some(error);
            break;
        }
        failures.note(error);
    }
    if let Some((connection, farewell)) = server {
        farewell.say(connection).await;
    }
    failures.verdict(plan.args.files.len())
}

/// Whether another recording may fare better.
fn is_of_recording(error: &Error) -> bool {
    let of_request = error.details().field.as_deref().is_some_and(|field| field.starts_with("config"));
    let of_input = matches!(error.kind(), Kind::InvalidInput | Kind::NotFound | Kind::Io | Kind::DataLoss);
    let of_engine = error.details().cause_of_death.is_some();
    (of_input || of_engine) && !of_request && !crate::client::output::is_closed_pipe(error)
}

/// What went wrong on the way.
#[derive(Default)]
struct Failures {
    first: Option<Kind>,
    count: usize,
    /// What ended it all.
    last_word: Option<Error>,
}

impl Failures {
    /// Tells of a recording that is passed over.
    fn note(&mut self, error: Error) {
        writeln!(io::stderr(), "speechctl: cannot transcribe: {error}").unwrap_or_default();
        self.first.get_or_insert(error.kind());
        self.count += 1;
    }

    fn verdict(self, all: usize) -> Result<()> {
        if let Some(error) = self.last_word {
            return Err(error);
        }
        match self.first {
            Some(kind) => Err(Error::new(kind, format!("{} of {all} recordings failed, see above", self.count))),
            None => Ok(()),
        }
    }
}

impl Plan {
    fn try_new(args: Args, output: Output) -> Result<Self> {
        let OutputArgs { words, max_line_length, max_words, .. } = args.output;
        let limit = |limit: Option<i32>| limit.and_then(|limit| usize::try_from(limit).ok());
        let limits = Limits { line_length: limit(max_line_length), words: limit(max_words) };
        let wish = Wish { format: format(&args)?, words, limits };
        wish.check()?;
        let InputArgs { raw, offset, duration, channel } = args.input;
        let part =
            Part { raw, from: offset.unwrap_or(0.0), length: duration, channels: channel.unwrap_or(Channels::Mix) };
        let config = config(&args, &wish)?;
        let places = places(&args, wish.format)?;
        Ok(Self { args, wish, part, config, places, output })
    }

    /// Opens a recording, and looks whether it is one.
    async fn open(self: &Arc<Self>, number: usize, context: &Context) -> Result<Recording> {
        let plan = Arc::clone(self);
        let open = move || match plan.args.files.get(number) {
            Some(file) => Recording::open(file, plan.part),
            None => Err(Error::new(Kind::Internal, "no such recording")),
        };
        context.on_thread(open).await
    }

    async fn transcribe(&self, number: usize, recording: Recording, connection: &Connection) -> Result<()> {
        let (file, count) = (&self.args.files[number], self.args.files.len());
        let is_one_of_many = count > 1;
        if let Some(folder) = &self.args.output.output_dir {
            place::make_folder(folder)?;
        }
        let mut place = Place::open(&self.places[number], self.output)?;
        if is_one_of_many && place.is_stdout() && self.wish.format == Format::Text {
            let gap = if number > 0 { "\n" } else { "" };
            place.write(&format!("{gap}==> {} <==\n", file.display()))?;
        }
        let name = recording.name().to_owned();
        let job = Job {
            connection,
            config: &self.config,
            file,
            offset: self.part.from,
            by_channel: self.part.channels == Channels::Each,
            shape: self.wish.shape(),
            place,
            label: if is_one_of_many { format!("{}/{count} ", number + 1) } else { String::new() },
            output: self.output,
        };
        let outcome = job.run(recording).await;
        // Of many recordings, the one is named that is meant.
        outcome.map_err(|error| match error.to_string().contains(&name) {
            false if is_one_of_many => error.context(name),
            _ => error,
        })
    }
}

/// Where each transcript goes.
fn places(args: &Args, format: Format) -> Result<Vec<PathBuf>> {
    let OutputArgs { output, output_dir, .. } = &args.output;
    let refuse = |message: String| Err(Error::new(Kind::Config, message));
    if args.files.iter().filter(|file| *file == Path::new("-")).count() > 1 {
        return refuse("standard input can be read only once".to_owned());
    }
    if let Some(folder) = output_dir {
        return place::in_folder(folder, &args.files, format);
    }
    let is_several = args.files.len() > 1;
    match output {
        Some(path) if is_several && path != Path::new("-") => {
            refuse("`--output` takes the transcript of one recording; give `--output-dir` for several".to_owned())
        }
        _ if is_several && !format.can_follow() => {
            let name = format.extension();
            refuse(format!("several recordings do not fit into one {name}; give `--output-dir`, or `--format jsonl`"))
        }
        Some(path) => {
            args.files.iter().try_for_each(|file| place::check_apart(path, file))?;
            Ok(vec![path.clone(); args.files.len()])
        }
        None => Ok(vec!["-".into(); args.files.len()]),
    }
}

/// The shape: as asked for, else as the name of the file promises.
fn format(args: &Args) -> Result<Format> {
    match (args.output.format, args.connect.json) {
        (Some(format), false) => return Ok(format),
        (None | Some(Format::Json), true) => return Ok(Format::Json),
        (Some(Format::Jsonl), true) => return Ok(Format::Jsonl),
        (Some(_), true) => {
            return Err(Error::new(Kind::Config, "`--json` and `--format` disagree; give one of them"));
        }
        (None, false) => {}
    }
    let extension = args.output.output.as_ref().and_then(|path| path.extension());
    let promised = extension.and_then(|extension| Format::of_extension(&extension.to_string_lossy().to_lowercase()));
    Ok(promised.unwrap_or(Format::Text))
}

fn config(args: &Args, wish: &Wish) -> Result<RecognitionConfig> {
    let task = if args.translate { v1::RecognitionTask::Translate } else { v1::RecognitionTask::Transcribe };
    let model = match args.model.as_deref() {
        Some(name) if is_path(name) => absolute_path(name)?,
        Some(name) => name.to_owned(),
        None => String::new(),
    };
    Ok(RecognitionConfig {
        model,
        language: args.language.clone().unwrap_or_default(),
        task: task.into(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: Samples::RATE as i32,
        prompt: args.prompt.clone().unwrap_or_default(),
        word_times: wish.needs_words(),
        temperature: args.temperature,
        beam_size: args.beam.unwrap_or(0),
        threads: args.threads.unwrap_or(0),
    })
}

/// Whether a model's name means a file.
pub(crate) fn is_path(name: &str) -> bool {
    // Built-in names first: a file of such a name wants "./".
    let is_built_in = name == "selftest" || name == "mock" || name.starts_with("mock:");
    !is_built_in && (name.contains('/') || name.ends_with(".bin") || Path::new(name).is_file())
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
