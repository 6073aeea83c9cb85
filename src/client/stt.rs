//! `speechctl stt`: what is said in recordings, or into a microphone, in words.

mod args;
mod call;
mod format;
mod live;
mod merge;
mod place;
pub(in crate::client) mod progress;
mod source;

use crate::{
    audio::decode::{Channels, Part},
    client::{
        Connection, Context, absolute_path, devices,
        models::{Wanted, ensure},
        output::{Output, is_closed_pipe, printable},
        sound::Role,
        target::{check_apart, make_folder},
    },
    error::{Error, Kind, Result},
    models::{
        catalogue::whisper,
        library::{is_built_in, is_source},
    },
    proto::v1::{self, RecognitionConfig},
    speech::Samples,
};
pub(crate) use args::Args;
use args::{InputArgs, OutputArgs};
use call::Job;
use format::{Format, Limits, Wish};
use live::args::Wanted as Manner;
use place::Place;
use source::Recording;
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// What is to be done, checked.
struct Plan {
    args: Args,
    wish: Wish,
    part: Part,
    config: RecognitionConfig,
    /// Where each recording's transcript goes, in the order of the recordings.
    places: Vec<PathBuf>,
    /// A transcript on stdout has had its title.
    has_title: AtomicBool,
    output: Output,
}

/// Transcribes.
///
/// # Errors
/// What is wrong with the recordings, the model or the server.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    let wanted = live::args::wanted(&args)?;
    if let Manner::Devices = wanted {
        return devices::list(Role::Microphone, args.connect.json, &context).await;
    }
    let plan = Plan::try_new(args, context.output)?;
    if let Manner::Live(settings) = &wanted {
        let Plan { args, wish, part, config, places, output, .. } = &plan;
        let (file, place) = (&args.files[0], &places[0]);
        if let Some(folder) = &args.output.output_dir {
            make_folder(folder)?;
        }
        let job = live::Job { settings, config, wish, part: *part, file, place, pull: args.pull, output: *output };
        return job.run(&context).await;
    }
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
                    let (connection, _) = server.insert(context.connect().await?);
                    let wanted = Wanted::Recogniser(&plan.config);
                    if let Err(error) =
                        ensure(&context, connection, wanted, plan.args.pull, !plan.args.connect.json).await
                    {
                        failures.last_word = Some(error);
                        break;
                    }
                }
                let Some((connection, _)) = &server else { break };
                plan.transcribe(number, recording, connection).await
            }
        };
        let Err(error) = transcribed else { continue };
        let goes_on = plan.args.output.keep_going && is_of_recording(&error);
        if !goes_on || plan.args.files.len() == 1 {
            failures.last_word = Some(error);
            break;
        }
        failures.note(error, plan.output);
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
    (of_input || of_engine) && !of_request && !is_closed_pipe(error)
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
    fn note(&mut self, error: Error, output: Output) {
        output.error(&format!("cannot transcribe: {error}"));
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
        Ok(Self { args, wish, part, config, places, has_title: AtomicBool::new(false), output })
    }

    /// Opens a recording, and looks whether it is one.
    async fn open(&self, number: usize, context: &Context) -> Result<Recording> {
        let (file, part) = (self.args.files[number].clone(), self.part);
        context.on_thread(move || Recording::open(&file, part)).await
    }

    async fn transcribe(&self, number: usize, recording: Recording, connection: &Connection) -> Result<()> {
        let (file, count) = (&self.args.files[number], self.args.files.len());
        let is_one_of_many = count > 1;
        if let Some(folder) = &self.args.output.output_dir {
            make_folder(folder)?;
        }
        let place = Place::open(&self.places[number], self.output)?;
        let title = if is_one_of_many && place.is_stdout() && self.wish.format == Format::Text {
            let gap = if self.has_title.swap(true, Ordering::Relaxed) { "\n" } else { "" };
            format!("{gap}==> {} <==\n", printable(&file.to_string_lossy()))
        } else {
            String::new()
        };
        let name = recording.name().to_owned();
        let job = Job {
            connection,
            config: &self.config,
            file,
            offset: self.part.from,
            by_channel: self.part.channels == Channels::Each,
            title,
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
            args.files.iter().try_for_each(|file| check_apart(path, file, "the transcript"))?;
            Ok(vec![path.clone(); args.files.len()])
        }
        None => Ok(vec!["-".into(); args.files.len()]),
    }
}

/// What names of recordings end with. A slip on the command line must not put a transcript in the place of one.
const AUDIO: &[&str] = &["wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "aac", "mp4", "webm", "mkv", "aiff", "caf"];

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
    let extension = extension.map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    if AUDIO.contains(&extension.as_str()) {
        let message =
            format!("`-o`: a name that ends with .{extension} is one of audio; a transcript is .txt, .srt, .json");
        return Err(Error::new(Kind::Config, message));
    }
    Ok(Format::of_extension(&extension).unwrap_or(Format::Text))
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
        fast: args.fast,
    })
}

/// Whether a model's name means a file.
pub(crate) fn is_path(name: &str) -> bool {
    // Built-in names first: a file of such a name wants "./".
    !is_built_in(name) && !is_source(name) && (name.contains('/') || Path::new(name).is_file() || is_file_name(name))
}

/// Whether a name can only be that of a file, also of one that is not there.
fn is_file_name(name: &str) -> bool {
    name.ends_with(".bin") && whisper::find(name).is_none()
}
