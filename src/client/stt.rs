//! `speechctl stt`: what is said in a recording, in words.

mod progress;
mod source;

use crate::{
    client::{
        ConnectArgs, Connection, Context, absolute_path,
        output::{Output, number, threads, whole_number},
    },
    error::{Error, Kind, Result},
    proto::v1::{self, RecognitionConfig, recognize_file_response::Event},
    speech::{self, Samples, Segment, Word},
};
use progress::Progress;
use source::Recording;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  speechctl stt talk.wav --model ggml-base.en.bin
  speechctl stt talk.wav --model selftest --words --format json
  arecord -f S16_LE -r 16000 -d 5 | speechctl stt - --model ggml-base.en.bin";

/// Write down what is said in an audio file
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Model: a ggml Whisper model file, or `selftest` [default: the server's]
    #[arg(long, value_name = "MODEL", env = "SPEECHCTL_MODEL")]
    model: Option<String>,

    /// Language that is spoken: a code such as `de`, or `auto`
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,

    /// Write it down in English
    #[arg(long)]
    translate: bool,

    /// Times of single words, in JSON
    #[arg(long)]
    words: bool,

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

    /// Shape of the transcript
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What the transcript is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line for each segment, as soon as it is known
    Text,
    /// One document, with times
    Json,
}

/// The document of `--format json`. Times are seconds from the start of the recording.
#[derive(Default, serde::Serialize)]
struct Document {
    text: String,
    language: String,
    model: String,
    duration: f64,
    segments: Vec<SegmentEntry>,
}

#[derive(serde::Serialize)]
struct SegmentEntry {
    start: f64,
    end: f64,
    text: String,
    confidence: f64,
    no_speech_probability: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<WordEntry>,
}

#[derive(serde::Serialize)]
struct WordEntry {
    start: f64,
    end: f64,
    word: String,
    probability: f64,
}

/// Transcribes.
///
/// # Errors
/// What is wrong with the recording, the model or the server.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    let output = context.output;
    let format = if args.connect.json { Format::Json } else { args.format };
    if args.words && format == Format::Text {
        return Err(Error::new(Kind::Config, "`--words` needs `--format json`: text has no times"));
    }
    let config = config(&args)?;
    let file = args.file.clone();
    let recording = context.on_thread(move || Recording::open(&file)).await?;
    let (connection, farewell) = context.connect().await?;
    let transcribed = transcribe(config, recording, &connection, format, output).await;
    farewell.say(connection).await;
    let document = transcribed?;
    if format == Format::Json {
        let json = serde_json::to_string_pretty(&document)
            .map_err(|cause| Error::new(Kind::Internal, "cannot write JSON").because(cause))?;
        output.line(&json)?;
    }
    Ok(())
}

fn config(args: &Args) -> Result<RecognitionConfig> {
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
        word_times: args.words,
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

async fn transcribe(
    config: RecognitionConfig,
    recording: Recording,
    connection: &Connection,
    format: Format,
    output: Output,
) -> Result<Document> {
    let mut client = connection.speech();
    output.note_verbose(&recording.describe());
    let progress = Progress::start(recording.duration_hint(), output);
    let (messages, mut outcome) = recording.send(config)?;
    let call = client.recognize_file(connection.request(messages));
    let call = async {
        let mut stream = connection.answer(call).await?.into_inner();
        let mut document = Document::default();
        let mut segments = Vec::new();
        while let Some(message) = connection.answer(stream.message()).await? {
            match message.event {
                Some(Event::Started(started)) => document.model = started.model,
                Some(Event::Segment(segment)) => {
                    let segment = Segment::from(segment);
                    if format == Format::Text {
                        progress.beside(|| output.line(&segment.text))?;
                    }
                    segments.push(segment);
                }
                Some(Event::Done(done)) => {
                    document.language = done.language;
                    let length = done.duration.unwrap_or_default();
                    document.duration = millis(length.seconds as f64 + f64::from(length.nanos) / 1e9);
                    done.warnings.iter().for_each(|warning| output.warn(warning));
                    document.text = speech::join(&segments);
                    document.segments = segments.into_iter().map(entry).collect();
                    return Ok(document);
                }
                Some(Event::Progress(so_far)) => progress.at(Samples(so_far.decided)),
                // From a newer server.
                None => {}
            }
        }
        Err(Error::new(Kind::Unavailable, "the server broke off before the end of the recording; try again"))
    };
    let mut call = std::pin::pin!(call);
    // What is wrong with the recording goes before what the server makes of that.
    let document = tokio::select! {
        biased;
        Some(error) = outcome.failure() => return Err(error),
        document = &mut call => match (document, outcome.failure_now()) {
            (_, Some(error)) => return Err(error),
            (document, None) => document?,
        },
    };
    progress.end();
    outcome.warnings().iter().for_each(|warning| output.warn(warning));
    Ok(document)
}

fn entry(segment: Segment) -> SegmentEntry {
    SegmentEntry {
        start: millis(segment.start.seconds()),
        end: millis(segment.end.seconds()),
        text: segment.text,
        confidence: millis(segment.confidence.into()),
        no_speech_probability: millis(segment.no_speech_probability.into()),
        words: segment.words.into_iter().map(word_entry).collect(),
    }
}

fn word_entry(word: Word) -> WordEntry {
    WordEntry {
        start: millis(word.start.seconds()),
        end: millis(word.end.seconds()),
        word: word.text,
        probability: millis(word.probability.into()),
    }
}

/// To a thousandth, beyond which nothing is known.
fn millis(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
