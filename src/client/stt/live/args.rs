//! The flags of streaming, and what they mean together.

use crate::{
    client::{
        output::{number, seconds, seconds_or_zero},
        stt::args::Args,
    },
    error::{Error, Kind, Result},
    proto::v1,
};
use std::{path::Path, time::Duration};

/// The word for the microphone in place of a file.
const MIC: &str = "mic";

/// Silence after speech that ends an utterance, where nothing else is said.
const END_SILENCE: Duration = Duration::from_millis(800);

/// The fields and guarantees of streamed JSON lines, for the long help.
pub(in crate::client::stt) const EVENTS: &str = "\
Streaming (`mic`, or a FILE with `--stream`): each final is written once, as soon as it is known.
A connection or a server that goes away is waited for, and the session goes on where it was; what
could not be written down in the end is saved as WAV, with the command to go on. The first Ctrl-C
ends the listening and waits for the last words, the second ends at once.

Lines of `--format jsonl` while streaming, version 1, one event each (new types and fields may
come). Times are seconds from the start of the recording or of the listening; fields that end with
_sample are the same at 16 kHz:
  ready           version, file, session, model, epoch; comes first
  speech_started  utterance, at, at_sample
  partial         utterance, epoch, start, end, start_sample, end_sample, text, confirmed: so many
                  characters of the text, from its start, will hardly change any more; each
                  replaces the one before it
  final           seq, utterance, start, end, start_sample, end_sample, text, language,
                  confidence (0 to 1), segments[] as above
  speech_ended    utterance, at, at_sample
  silence         at, at_sample: nobody has spoken up to here
  gap             start, end, start_sample, end_sample, reason: audio that could not be written
                  down; exit code 1
  resumed         session, model, epoch, at, at_sample: the server was away; goes on from here
  done            reason (end_of_audio, no_speech, speech_ended), duration, finals, gaps, language,
                  warnings; comes last, and only where all went well
Guaranteed, also when connections break and servers die: `seq` is 1, 2, 3 … without a hole, each
once; finals never change; of each utterance come in this order, each at most once but partials:
speech_started, partial, final, speech_ended; an utterance in which no word is understood has no
final; numbers of utterances and epochs only rise.";

/// How speech is written down while it is spoken.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Streaming")]
pub(in crate::client::stt) struct StreamArgs {
    /// Write FILE down while it is read, such as a pipe from a recorder
    #[arg(long)]
    stream: bool,

    /// Read FILE no faster than it was spoken
    #[arg(long)]
    realtime: bool,

    /// Microphone to listen to, by a name or id of `--list-devices` [default: the system's]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,

    /// List the microphones, and do nothing else
    #[arg(long)]
    list_devices: bool,

    /// End once something was said: after so many seconds of silence behind it, `--until-silence=1.5`
    /// [default: those of `--end-silence`]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, value_parser = until_silence)]
    until_silence: Option<Option<Duration>>,

    /// Listen for so long at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_duration: Option<Duration>,

    /// End where nobody has begun to speak for so long, 0.5 to 3600
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| span(text, 0.5, 3600.0))]
    start_timeout: Option<Duration>,

    /// Wait so long for a server that went away, then save what it did not write down
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds_or_zero)]
    give_up_after: Duration,

    /// Name of the session, for logs: letters, digits, `_` and `-`, at most 64 [default: the server's choice]
    #[arg(long, value_name = "ID", value_parser = session)]
    session: Option<String>,

    /// Silence after speech that ends an utterance, 0.1 to 10 [default: 0.8]
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| span(text, 0.1, 10.0))]
    end_silence: Option<Duration>,

    /// Silence before any speech after which it is let go of, 0.5 to 30 [default: 2.4]
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| span(text, 0.5, 30.0))]
    start_silence: Option<Duration>,

    /// Longest utterance, 2 to 30; a longer one is cut at its last pause [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| span(text, 2.0, 30.0))]
    longest: Option<Duration>,

    /// How sure to be that somebody speaks, 0.05 to 0.95; raise it where noise is taken for speech
    #[arg(long, value_name = "P", value_parser = |text: &str| number(text, 0.05, 0.95))]
    vad_threshold: Option<f32>,

    /// Shortest sound that counts as speech, up to 1 [default: 0.1]
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| span(text, 0.0, 1.0))]
    shortest_speech: Option<Duration>,

    /// Audio before speech that is taken with it, up to 2 [default: 0.3]
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| span(text, 0.0, 2.0))]
    padding: Option<Duration>,

    /// Do not show what is understood while somebody speaks; saves the engine work
    #[arg(long)]
    no_partials: bool,
}

/// What is meant, checked.
#[derive(Clone, Debug)]
pub(in crate::client::stt) enum Wanted {
    /// A recording, as a whole.
    Recordings,
    /// The list of microphones.
    Devices,
    /// Speech while it is spoken.
    Live(Box<Settings>),
}

/// How to listen.
#[derive(Clone, Debug)]
pub(in crate::client::stt) struct Settings {
    /// From the microphone; else from the file.
    pub(super) is_mic: bool,
    pub(super) device: Option<String>,
    pub(super) is_paced: bool,
    pub(super) max_duration: Option<Duration>,
    pub(super) give_up_after: Duration,
    pub(super) session: String,
    pub(super) endpointing: v1::Endpointing,
    pub(super) has_partials: bool,
}

impl StreamArgs {
    /// The first flag that was given and only matters while streaming.
    fn first(&self) -> Option<&'static str> {
        let flags = [
            ("--realtime", self.realtime),
            ("--until-silence", self.until_silence.is_some()),
            ("--max-duration", self.max_duration.is_some()),
            ("--start-timeout", self.start_timeout.is_some()),
            ("--session", self.session.is_some()),
            ("--end-silence", self.end_silence.is_some()),
            ("--start-silence", self.start_silence.is_some()),
            ("--longest", self.longest.is_some()),
            ("--vad-threshold", self.vad_threshold.is_some()),
            ("--shortest-speech", self.shortest_speech.is_some()),
            ("--padding", self.padding.is_some()),
            ("--no-partials", self.no_partials),
        ];
        flags.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
    }

    fn endpointing(&self) -> v1::Endpointing {
        let span = |span: Option<Duration>| span.and_then(|span| prost_types::Duration::try_from(span).ok());
        let until_silence =
            self.until_silence.map(|wait| wait.unwrap_or_else(|| self.end_silence.unwrap_or(END_SILENCE)));
        v1::Endpointing {
            start_silence: span(self.start_silence),
            end_silence: span(self.end_silence),
            longest: span(self.longest),
            threshold: self.vad_threshold.unwrap_or(0.0),
            shortest: span(self.shortest_speech),
            padding: span(self.padding),
            speech_start_timeout: span(self.start_timeout),
            speech_end_timeout: span(until_silence),
        }
    }
}

/// What the flags mean together.
///
/// # Errors
/// `Config` for those that make no sense together, with the way out.
pub(in crate::client::stt) fn wanted(args: &Args) -> Result<Wanted> {
    let refuse = |message: String| Err(Error::new(Kind::Config, message));
    let stream = &args.stream;
    let is_mic = args.files.iter().any(|file| file == Path::new(MIC));
    let needs_mic =
        [("--device", stream.device.is_some()), ("--list-devices", stream.list_devices && !args.files.is_empty())];
    if let (false, Some((flag, _))) = (is_mic, needs_mic.iter().find(|(_, is_given)| *is_given)) {
        return refuse(format!("`{flag}` is about microphones: `speechctl stt mic {flag}`"));
    }
    if !is_mic && !stream.stream {
        return match stream.first() {
            Some("--realtime") => refuse("`--realtime` needs `--stream`".to_owned()),
            Some(flag) => refuse(format!("`{flag}` is for speech that is streamed: give `--stream`, or `mic`")),
            None => Ok(Wanted::Recordings),
        };
    }
    if args.files.len() > 1 {
        return refuse(if is_mic {
            "`mic` is listened to alone; a file of that name is ./mic".to_owned()
        } else {
            "`--stream` takes one recording; without it, several are transcribed one after the other".to_owned()
        });
    }
    if args.output.keep_going {
        return refuse("`--keep-going` is for several recordings; one is streamed".to_owned());
    }
    if let Some(crate::audio::decode::Channels::Each) = args.input.channel {
        return refuse("`--channel all` cannot be streamed: choose a channel by its number".to_owned());
    }
    if is_mic {
        check_mic(args)?;
    }
    if stream.list_devices {
        return Ok(Wanted::Devices);
    }
    Ok(Wanted::Live(Box::new(Settings {
        is_mic,
        device: stream.device.clone(),
        is_paced: stream.realtime,
        max_duration: stream.max_duration,
        give_up_after: stream.give_up_after,
        session: stream.session.clone().unwrap_or_default(),
        endpointing: stream.endpointing(),
        has_partials: !stream.no_partials,
    })))
}

/// What a microphone cannot do.
fn check_mic(args: &Args) -> Result<()> {
    let input = &args.input;
    let of_files = [
        ("--realtime", args.stream.realtime),
        ("--raw", input.raw.is_some()),
        ("--offset", input.offset.is_some()),
        ("--channel", input.channel.is_some()),
        ("--duration", input.duration.is_some()),
    ];
    match of_files.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some(("--duration", _)) => {
            Err(Error::new(Kind::Config, "`--duration` is for files; give `--max-duration` with `mic`"))
        }
        Some((flag, _)) => {
            Err(Error::new(Kind::Config, format!("`{flag}` is for files; a file that is called mic is ./mic")))
        }
    }
}

/// Reads seconds within a range.
fn span(text: &str, least: f64, most: f64) -> Result<Duration, String> {
    let span = seconds_or_zero(text)?;
    if (least..=most).contains(&span.as_secs_f64()) { Ok(span) } else { Err(format!("it must be {least} to {most}")) }
}

/// Reads the seconds of `--until-silence`, which may be left out.
fn until_silence(text: &str) -> Result<Duration, String> {
    span(text, 0.1, 3600.0)
}

fn session(text: &str) -> Result<String, String> {
    let is_good = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    if (1..=64).contains(&text.len()) && text.chars().all(is_good) {
        return Ok(text.to_owned());
    }
    Err("it must be letters, digits, `_` and `-`, at most 64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn meant(line: &str) -> Result<Wanted, String> {
        let words = format!("stt {line}");
        let cli = Cli::try_parse_from(words.split(' ')).map_err(|error| error.to_string())?;
        wanted(&cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn ends_after_the_silence_that_is_meant() {
        let end = |line: &str| match meant(line) {
            Ok(Wanted::Live(settings)) => {
                settings.endpointing.speech_end_timeout.map(|span| (span.seconds, span.nanos))
            }
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(end("mic"), None);
        assert_eq!(end("--until-silence mic"), Some((0, 800_000_000)));
        assert_eq!(end("mic --until-silence --end-silence 2"), Some((2, 0)));
        assert_eq!(end("mic --until-silence=3 --end-silence 2"), Some((3, 0)));
    }

    #[test]
    fn a_file_is_transcribed_as_a_whole_unless_it_is_streamed() {
        assert!(matches!(meant("a.wav b.wav"), Ok(Wanted::Recordings)));
        assert!(matches!(meant("./mic"), Ok(Wanted::Recordings)));
        assert!(matches!(meant("a.wav --stream --realtime"), Ok(Wanted::Live(_))));
        assert!(matches!(meant("mic --list-devices"), Ok(Wanted::Devices)));
    }

    #[test]
    fn ranges_are_those_of_the_contract() {
        for good in ["--end-silence 0.1", "--longest 30", "--padding 0", "--shortest-speech 1s", "--give-up-after 0"] {
            assert!(matches!(meant(&format!("mic {good}")), Ok(Wanted::Live(_))), "{good}");
        }
        let wrong = [
            "--end-silence 0.05",
            "--longest 31",
            "--padding 2.1",
            "--vad-threshold 1",
            "--start-silence 0",
            "--start-timeout 0.1",
            "--until-silence=0",
            "--session a/b",
            "--realtime",
            "b.wav",
        ];
        for wrong in wrong {
            assert!(meant(&format!("mic {wrong}")).is_err(), "{wrong}");
        }
    }
}
