//! `speechctl tts`: a text, spoken into a file or by a loudspeaker.

mod sink;
mod way;

use crate::{
    audio::{encode::Container, ogg_opus},
    client::{
        ConnectArgs, Connection, Context, devices,
        output::{Output, number, whole_number},
        sound::Role,
        speaker, target,
    },
    error::{Error, Kind, Result},
    proto::v1::{self, synthesize_request::Input, synthesize_response::Event},
};
use clap::ValueHint;
use sink::Sink;
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};
use way::Way;

/// Text that one call takes; the server says so too, but not before it has all of it.
const MAX_TEXT: u64 = 256 * 1024;

const EXAMPLES: &str = "\
Examples:
  speechctl tts \"hello\"                                 into output.wav
  speechctl tts \"guten Tag\" --region de -o tag.wav
  speechctl tts --voice en-gb+f3 --speed 1.2 --file letter.txt -o letter.opus
  speechctl tts \"dinner is ready\" --play               aloud, by a loudspeaker
  echo \"set a timer\" | speechctl tts - -o - | aplay
  speechctl tts --file news.txt --format flac -o - | ffplay -nodisp -autoexit -";

/// Speak a text into an audio file
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to say, up to 256 KiB; `-` reads it from stdin
    #[arg(value_name = "TEXT", conflicts_with = "file", allow_negative_numbers = true)]
    text: Option<String>,

    /// Read the text from a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Where the audio goes; `-` is stdout
    #[arg(short, long, value_name = "FILE", default_value = "output.wav", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Say it aloud, as it comes, instead of writing it; Ctrl-C is silence
    #[arg(long, conflicts_with_all = ["output", "format"])]
    play: bool,

    /// Loudspeaker to play on: its id, its name, or a part of it [default: the system's]
    #[arg(long, value_name = "NAME", requires = "play")]
    device: Option<String>,

    /// List the loudspeakers
    #[arg(long, conflicts_with_all = ["text", "file", "output", "play"])]
    list_devices: bool,

    /// Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them [env: SPEECHCTL_VOICE]
    #[arg(long, value_name = "VOICE")]
    voice: Option<String>,

    /// Voice by region: a locale (en-GB), a language (pt) or a country (mx)
    #[arg(long, value_name = "REGION", conflicts_with = "voice")]
    region: Option<String>,

    /// Times the normal speed, 0.25 to 4
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.25, 4.0))]
    speed: f32,

    /// Times the normal pitch, 0.5 to 2
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.5, 2.0))]
    pitch: f32,

    /// Times the normal loudness, 0 to 2
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.0, 2.0))]
    volume: f32,

    /// The text is SSML
    #[arg(long)]
    ssml: bool,

    /// Rate of the audio, 8000 to 192000 [default: the voice's own]
    #[arg(long, value_name = "HZ", allow_negative_numbers = true, value_parser = |text: &str| whole_number(text, 8_000, 192_000))]
    sample_rate: Option<i32>,

    /// Shape of the audio [default: by the name of the file, else wav]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true)]
    format: Option<Format>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What the audio is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// WAV, 16 bits
    Wav,
    /// Bare samples: signed 16 bits little-endian
    Pcm,
    /// FLAC, without loss
    Flac,
    /// Opus in Ogg, for speech
    #[value(alias = "opus")]
    OggOpus,
}

impl From<Format> for Container {
    fn from(format: Format) -> Self {
        match format {
            Format::Wav => Container::Wav,
            Format::Pcm => Container::Pcm,
            Format::Flac => Container::Flac,
            Format::OggOpus => Container::OggOpus,
        }
    }
}

/// What was spoken, for `--json`.
#[derive(serde::Serialize)]
struct Report<'a> {
    output: &'a str,
    voice: &'a str,
    sample_rate: u32,
    /// Seconds.
    duration: f64,
}

/// Speaks.
///
/// # Errors
/// What is wrong with the text, the voice, the file or the server.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    if args.list_devices {
        return devices::list(Role::Loudspeaker, args.connect.json, &context).await;
    }
    let to_stdout = args.output == Path::new("-");
    if to_stdout && args.connect.json {
        return Err(Error::new(Kind::Config, "`--json` and `-o -` both want standard output; give a file"));
    }
    if to_stdout && io::stdout().is_terminal() {
        return Err(Error::new(Kind::Config, "standard output is a terminal, which cannot play audio; give `-o FILE`"));
    }
    let output = context.output;
    // Before anything is started: a text that cannot be read and a file that cannot be written are known at once.
    let format = format(&args)?;
    let rate = sample_rate(&args, format)?;
    let wanted = args.clone();
    let (text, sink) = context
        .on_thread(move || {
            let text = text(&wanted)?;
            if wanted.play {
                return Ok((text, None));
            }
            if let Some(file) = &wanted.file {
                target::check_apart(&wanted.output, file, "the audio")?;
            }
            Ok((text, Some(Sink::open(&wanted.output, format.into(), output)?)))
        })
        .await?;
    let (way, name) = match sink {
        Some(sink) => (Way::Write(Box::new(sink)), args.output.to_string_lossy().into_owned()),
        None => {
            let loudspeaker = speaker::find(args.device.as_deref()).await?;
            let name = loudspeaker.device().name.clone();
            (Way::Play(loudspeaker, output), name)
        }
    };
    let (connection, farewell) = context.connect().await?;
    let spoken = speak(&args, text, rate, &connection, way).await;
    farewell.say(connection).await;
    let spoken = spoken?;
    report(&args, &spoken, &name, output)
}

/// What was spoken.
struct Spoken {
    voice: String,
    sample_rate: u32,
    samples: u64,
}

async fn speak(args: &Args, text: String, rate: i32, connection: &Connection, mut way: Way) -> Result<Spoken> {
    let request = v1::SynthesizeRequest {
        input: Some(if args.ssml { Input::Ssml(text) } else { Input::Text(text) }),
        voice: voice(args),
        region: args.region.clone().unwrap_or_default(),
        speed: args.speed,
        pitch: args.pitch,
        volume: Some(args.volume),
        sample_rate_hertz: rate,
        ..Default::default()
    };
    let mut client = connection.speech();
    let mut stream = connection.answer(client.synthesize(connection.request(request))).await?.into_inner();
    let mut spoken = Spoken { voice: String::new(), sample_rate: 0, samples: 0 };
    while let Some(message) = connection.answer(stream.message()).await? {
        match message.event {
            Some(Event::Format(format)) => {
                let rate = u32::try_from(format.sample_rate_hertz).ok().filter(|rate| *rate > 0);
                let rate = rate.ok_or_else(|| Error::new(Kind::Internal, "the server announced an impossible rate"))?;
                (spoken.voice, spoken.sample_rate) = (format.voice, rate);
                way = way.begin(rate).await?;
            }
            Some(Event::Audio(audio)) if spoken.sample_rate > 0 => {
                spoken.samples += audio.len() as u64 / 2;
                way.write(&audio).await?;
            }
            Some(Event::Audio(_)) => return Err(Error::new(Kind::Internal, "the server sent audio before its format")),
            Some(Event::Mark(_)) => {}
            // From a newer server.
            None => {}
        }
    }
    way.finish().await?;
    Ok(spoken)
}

fn report(args: &Args, spoken: &Spoken, name: &str, output: Output) -> Result<()> {
    let duration = spoken.samples as f64 / f64::from(spoken.sample_rate.max(1));
    if args.connect.json {
        let (voice, sample_rate) = (spoken.voice.as_str(), spoken.sample_rate);
        let report = Report { output: name, voice, sample_rate, duration: (duration * 1e3).round() / 1e3 };
        let json = serde_json::to_string_pretty(&report)
            .map_err(|cause| Error::new(Kind::Internal, "cannot write JSON").because(cause))?;
        return output.line(&json);
    }
    if args.play || args.output != Path::new("-") {
        output.note(&format!("{name}: {duration:.1} s, {}", spoken.voice));
    }
    Ok(())
}

/// The voice: of the flag, else of the environment, which a region on the command line overrides.
fn voice(args: &Args) -> String {
    let of_environment = || match args.region {
        Some(_) => None,
        None => crate::config::env("SPEECHCTL_VOICE").and_then(|voice| voice.into_string().ok()),
    };
    args.voice.clone().or_else(of_environment).unwrap_or_default()
}

/// The shape of the audio: as asked for, else as the name of the file promises.
fn format(args: &Args) -> Result<Format> {
    let extension = args.output.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match (args.format, extension.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("pcm" | "raw")) => Ok(Format::Pcm),
        (None, Some("flac")) => Ok(Format::Flac),
        (None, Some("opus" | "ogg" | "oga")) => Ok(Format::OggOpus),
        (None, Some(foreign @ ("mp3" | "m4a" | "aac" | "webm" | "aiff"))) => {
            let name = args.output.display();
            let message = format!(
                "`{name}` would be no {foreign}: WAV, FLAC and Ogg Opus can be written; name it .wav, .flac or .opus"
            );
            Err(Error::new(Kind::Config, message))
        }
        (None, _) => Ok(Format::Wav),
    }
}

/// The rate to ask for, in Hz; 0 for the voice's own. Opus knows few, of which the highest loses nothing.
fn sample_rate(args: &Args, format: Format) -> Result<i32> {
    let is_opus = |rate: i32| ogg_opus::RATES.iter().any(|known| i64::from(*known) == i64::from(rate));
    match (format, args.sample_rate) {
        (Format::OggOpus, None) => Ok(48_000),
        (Format::OggOpus, Some(rate)) if !is_opus(rate) => {
            let rates = ogg_opus::RATES.map(|rate| rate.to_string()).join(", ");
            Err(Error::new(
                Kind::Config,
                format!("`--sample-rate {rate}`: Opus knows {rates}; leave it out, or give one"),
            ))
        }
        (_, rate) => Ok(rate.unwrap_or(0)),
    }
}

/// The text, from wherever it comes.
fn text(args: &Args) -> Result<String> {
    let (text, name) = match (&args.text, &args.file) {
        (_, Some(path)) if path.as_os_str() != "-" => (from_file(path)?, format!("`{}`", path.display())),
        (Some(text), None) if text != "-" => (text.clone(), "the text".to_owned()),
        (None, None) if io::stdin().is_terminal() => {
            return Err(Error::new(Kind::Config, "nothing to say: give a text, `-` for stdin, or `--file FILE`"));
        }
        _ => (read(io::stdin().lock(), "standard input")?, "standard input".to_owned()),
    };
    if text.trim().is_empty() {
        return Err(Error::invalid(format!("{name} holds nothing to say")));
    }
    if text.len() as u64 > MAX_TEXT {
        return Err(too_long(&name));
    }
    if text.contains('\0') {
        return Err(Error::invalid(format!("{name} holds a NUL byte; is it text?")));
    }
    Ok(text)
}

fn from_file(path: &Path) -> Result<String> {
    let name = format!("`{}`", path.display());
    let cannot = |cause: io::Error| {
        if cause.kind() == io::ErrorKind::NotFound {
            return Error::new(Kind::NotFound, format!("{name} does not exist"));
        }
        Error::new(Kind::Io, format!("cannot read {name}")).because(cause)
    };
    if path.is_dir() {
        return Err(Error::invalid(format!("{name} is a folder; name a file in it")));
    }
    read(File::open(path).map_err(cannot)?, &name)
}

fn too_long(name: &str) -> Error {
    let message = format!("{name} holds more than {MAX_TEXT} bytes, some four hours of speech; speak it in parts");
    Error::invalid(message)
}

/// Reads text, but no more than can be spoken: the source may be endless.
fn read(source: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    source
        .take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::new(Kind::Io, format!("cannot read {name}")).because(cause))?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(too_long(name));
    }
    // What Windows puts in front of a text is no part of it.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|cause| {
        let at = cause.utf8_error().valid_up_to();
        Error::invalid(format!("{name} is not UTF-8 text: byte {} is wrong; convert it with iconv", at + 1))
    })
}
