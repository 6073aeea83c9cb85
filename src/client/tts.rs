//! `speechctl tts`: a text, spoken into a file, into one for each sentence, or by a loudspeaker; or many texts.

mod aloud;
mod args;
mod call;
mod lines;
mod listener;
mod manner;
mod marks;
mod place;
mod progress;
mod sentences;
mod sink;
mod text;
mod utf8;

use crate::{
    audio::encode::Container,
    client::{
        Context, devices, json,
        models::{Wanted, ensure},
        output::Output,
        sound::Role,
        speaker::{self, Loudspeaker},
        target,
    },
    error::{Error, Kind, Result},
    proto::v1::SynthesizeRequest,
};
use aloud::Aloud;
use args::OutputArgs;
pub(crate) use args::{Args, Format};
use listener::{Listener, Outlet, Spoken, Telling};
use manner::Manner;
use marks::MarksFile;
use progress::Progress;
use sentences::{Sentence, Sentences};
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};
use text::Text;

/// What other verbs need that speak, too.
pub(super) use {
    args::seed,
    manner::{format_of, voice_of},
    sink::Sink,
};

/// Where audio goes when nobody says.
const OUTPUT: &str = "output.wav";

/// What was spoken, for `--json`.
#[derive(serde::Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    voice: &'a str,
    sample_rate: u32,
    /// Seconds.
    duration: f64,
    /// With `--split-sentences`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentences: Option<&'a [Sentence]>,
}

/// Speaks.
///
/// # Errors
/// What is wrong with the text, the voice, the file or the server.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    if args.output.list_devices {
        return devices::list(Role::Loudspeaker, args.connect.json, &context).await;
    }
    if args.jsonl {
        return lines::run(args, context).await;
    }
    let output = context.output;
    let loudspeaker = match args.output.play {
        true => Some(speaker::find(args.output.device.as_deref()).await?),
        false => None,
    };
    let place = match &loudspeaker {
        Some(loudspeaker) => PathBuf::from(&loudspeaker.device().name),
        None => place_of(&args),
    };
    if loudspeaker.is_none() {
        check_stdout(&args, &place)?;
    }
    // Before anything is started: a text that cannot be read and a file that cannot be written are known at once.
    let wanted = args.clone();
    let to = place.clone();
    let (request, text, mut listener) = context.on_thread(move || prepare(&wanted, &to, loudspeaker, output)).await?;
    let (connection, farewell) = context.connect().await?;
    let wanted = request.voice.clone();
    // A text that flows may flow from the terminal.
    let may_ask = matches!(text, Text::Whole(_)) && !args.connect.json;
    let spoken = async {
        ensure(&context, &connection, Wanted::Voice(&wanted), args.pull, may_ask).await?;
        call::speak(&connection, request, text, args.ssml, &mut listener).await?;
        listener.finish().await
    };
    let spoken = spoken.await;
    farewell.say(connection).await;
    report(&args, &place, &spoken?, output)
}

/// Where the audio goes: a file, or the folder for files.
fn place_of(args: &Args) -> PathBuf {
    let OutputArgs { output, output_raw, split_sentences, .. } = &args.output;
    match (split_sentences, output, output_raw) {
        (Some(folder), ..) => folder.clone(),
        (None, _, true) => "-".into(),
        (None, Some(path), false) => path.clone(),
        (None, None, false) => OUTPUT.into(),
    }
}

/// Refuses to write two things to the same place.
fn check_stdout(args: &Args, place: &Path) -> Result<()> {
    let refuse = |message: &str| Err(Error::new(Kind::Config, message));
    let stdout = Path::new("-");
    let (to_stdout, is_split) = (place == stdout, args.output.split_sentences.is_some());
    match &args.output.marks {
        Some(marks) if marks == stdout && to_stdout => {
            return refuse("`--marks -` and `-o -` both want standard output; give a file");
        }
        Some(marks) if marks == stdout && args.connect.json => {
            return refuse("`--marks -` and `--json` both want standard output; give a file");
        }
        Some(marks) if marks == stdout && is_split => {
            return refuse("`--marks -` and `--split-sentences` both want standard output; give a file");
        }
        Some(marks) if marks == place => return refuse("`--marks` and `-o` name the same file; give another"),
        _ => {}
    }
    if args.ssml && is_split {
        return refuse("`--split-sentences` takes plain text: where the sentences of SSML begin is not told");
    }
    if to_stdout && is_split {
        return refuse("`--split-sentences` wants a folder");
    }
    if to_stdout && args.connect.json {
        return refuse("`--json` and `-o -` both want standard output; give a file");
    }
    if to_stdout && io::stdout().is_terminal() {
        return refuse("standard output is a terminal, which cannot play audio; give `-o FILE`");
    }
    Ok(())
}

/// Refuses two things in one place where their names do not show it, as in `x.wav` and `./x.wav`.
fn check_apart(args: &Args, outlet: &Outlet, marks: Option<&MarksFile>) -> Result<()> {
    let refuse = |message: &str| Err(Error::new(Kind::Config, message));
    let (to_stdout, file) = match outlet {
        Outlet::One(sink) => (sink.is_stdout(), sink.file()),
        Outlet::Sentences(_) | Outlet::Aloud(_) => (false, None),
    };
    let marks_to_stdout = marks.is_some_and(MarksFile::is_stdout);
    if usize::from(to_stdout) + usize::from(marks_to_stdout) + usize::from(args.connect.json) > 1 {
        return refuse("two of `-o`, `--marks` and `--json` want standard output; give a file");
    }
    if to_stdout && io::stdout().is_terminal() {
        return refuse("standard output is a terminal, which cannot play audio; give `-o FILE`");
    }
    match (file, marks.and_then(MarksFile::file)) {
        (Some(audio), Some(marks)) if audio == marks => refuse("`--marks` and `-o` name the same file; give another"),
        _ => Ok(()),
    }
}

/// All that can be known before the server is asked: how, what, and for whom. May block.
fn prepare(
    args: &Args,
    place: &Path,
    loudspeaker: Option<Loudspeaker>,
    output: Output,
) -> Result<(SynthesizeRequest, Text, Listener)> {
    let manner = Manner::of(args)?;
    let format = match (&args.output.split_sentences, &loudspeaker) {
        (None, None) => manner.format(place)?,
        _ => manner.format.unwrap_or(Format::Wav),
    };
    let request = manner.request(format)?;
    let text = text::open(args.text.as_deref(), args.file.as_deref(), args.ssml)?;
    if let Some(file) = &args.file {
        target::check_apart(place, file, "the audio")?;
        if let Some(marks) = &args.output.marks {
            target::check_apart(marks, file, "the marks")?;
        }
    }
    let container = match Container::from(format) {
        // A book in a few hours is longer than 4 GiB. Who reads a stream does not need to know.
        Container::Wav if matches!(text, Text::Flowing(_)) && place != Path::new("-") => Container::LongWav,
        other => other,
    };
    // First, for it may be a pipe that waits for its reader: nothing may lie about meanwhile.
    let marks = args.output.marks.as_deref().map(|path| MarksFile::open(path, output)).transpose()?;
    let outlet = match (&args.output.split_sentences, loudspeaker) {
        (_, Some(loudspeaker)) => Outlet::Aloud(Box::new(Aloud::new(loudspeaker, output))),
        (Some(folder), None) => {
            Outlet::Sentences(Box::new(Sentences::open(folder, container, format.extension(), output)?))
        }
        (None, None) => Outlet::One(Box::new(Sink::open(place, container, output)?)),
    };
    check_apart(args, &outlet, marks.as_ref())?;
    let telling = if args.connect.json { Telling::AtOnce } else { Telling::Lines };
    let listener = Listener::new((outlet, container), marks, telling, Progress::start(text.length(), output), output);
    Ok((request, text, listener))
}

fn report(args: &Args, place: &Path, spoken: &Spoken, output: Output) -> Result<()> {
    let is_split = args.output.split_sentences.is_some();
    let (voice, duration) = (spoken.voice.as_str(), spoken.duration());
    let name = place.to_string_lossy();
    if args.connect.json {
        let report = Report {
            output: (!is_split).then_some(&name),
            voice,
            sample_rate: spoken.sample_rate,
            duration,
            sentences: is_split.then_some(&spoken.sentences),
        };
        return output.line(&json::document(&report)?);
    }
    if is_split {
        output.note(&format!("{name}: {} sentences, {duration:.1} s, {voice}", spoken.files));
    } else if place != Path::new("-") {
        output.note(&format!("{name}: {duration:.1} s, {voice}"));
    }
    Ok(())
}
