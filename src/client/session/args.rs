//! The flags of `speechctl session`.

use crate::{
    client::{
        ConnectArgs,
        models::PullArgs,
        output::number,
        tts::{Format, seed},
    },
    error::{Error, Kind, Result},
};
use clap::ValueHint;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  speechctl session --voice en-gb                        type, and listen
  speechctl session -o talk.flac < lines.txt             into one file
  tail -f -n 0 chat.log | speechctl session              whatever is written there, aloud
  printf '%s\\n' 'Good morning.' ':voice de' 'Guten Morgen.' | speechctl session -o greetings.wav";

/// What a line means, and what is written, for the long help.
const LINES: &str = "\
A line is said as soon as those before it are said. One that begins with a colon is a command:
  :pause       hold the sound back, and keep the place; nothing new begins
  :resume      go on where it was, without a hole
  :stop        drop what is being said, and the lines that wait; ends a pause
  :voice NAME  the lines that follow are for this voice; the language and the speaker of the flags
               were for the one before, and a `--model` must have it
  :wait        read on once all before it is said, for scripts; not while it pauses
  :quit        end at once
  ::           begins a text that begins with a colon
Commands act as soon as they are read: in a script, put `:wait` before a `:stop` that is for later.
Up to 1,000 lines wait; no more are read, commands among them; while it pauses they are read, and
lines are refused. At the end of the input a pause is over, and what waits is said. A session that
has expired on the server is begun anew; where the server goes away in the middle of a line, the
session ends (exit code 5), and what was heard is in the file of `-o`.

A line that is wrong, or a voice that cannot be had, is told on stderr with its number, and the
lines that follow are said; the exit code is that of the first that failed (3 for a command that
does not exist). Who types at a terminal is told, too, and the exit code is 0.

At a terminal, Ctrl-C drops what is being said and what waits, as `:stop` does; with nothing to
say it ends the session, exit code 130. Elsewhere the first one ends it. With `-o`, what was heard
until then is written when the session ends, also by an error; a second Ctrl-C while it does may
lose it.

Lines of `--json`, version 1, one event each (new types and fields may come). Times are seconds of
sound from the start, which is the place in the file of `-o`:
  ready    version, session, voice (if one was named), sample_rate; comes first
  begin    line, at: from here on this line of the input is heard
  end      line, at, duration, outcome: said; stopped, by a command; or failed
  command  line (none for Ctrl-C and the end of a pause with the input), command (pause, resume,
           stop, wait), timestamp_ms (when it took effect, since 1970), dropped: lines that a stop
           dropped before they began
  voice    line, voice, session: from here on it speaks
  error    line, kind, message
  done     lines: that were begun; duration; comes last, only at the end of the input or `:quit`
Guaranteed: each `begin` is followed by its `end` before the next `begin`, also when it is stopped
or fails; they come in the order of the lines; `at` and `duration` are exact places in the file of
`-o`, while a stop cuts off up to 0.3 s of what was about to be heard aloud; once a `stop` is
told, no more sound comes before the next `begin`; once a `pause` is told, only what the server
had sent by then (some 0.1 s; a line may still end).";

/// Say lines as they are typed, and act on commands among them
///
/// Lines are read from stdin and said one after the other, by a loudspeaker or into a file. Without a terminal it is a
/// script.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{LINES}"),
    mut_arg("json", |arg| arg.help("Print what happens, one JSON document a line")),
)]
pub(crate) struct Args {
    /// Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper
    /// voice [env: SPEECHCTL_VOICE]
    #[arg(long, value_name = "VOICE", value_hint = ValueHint::FilePath)]
    pub(super) voice: Option<String>,

    #[command(flatten)]
    pub(super) pull: PullArgs,

    /// Model whose voice it must be: `espeak`, or a Piper voice [default: the one that has the voice]
    #[arg(short, long, value_name = "MODEL", value_hint = ValueHint::FilePath)]
    pub(super) model: Option<String>,

    /// Language, as in en-GB: the best installed voice for it where none is named, else one that the voice must speak
    #[arg(long, value_name = "LANGUAGE")]
    pub(super) language: Option<String>,

    /// Times the normal speed, 0.25 to 4
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, value_parser = |text: &str| number(text, 0.25, 4.0))]
    pub(super) speed: Option<f32>,

    /// The name or the number of a speaker, of a Piper voice with several [default: the voice's own]
    #[arg(long, value_name = "SPEAKER", allow_negative_numbers = true)]
    pub(super) speaker: Option<String>,

    /// What chance is made from; the same seed gives the same samples [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = seed)]
    pub(super) seed: Option<u64>,

    /// Write all that is said into one audio file, as fast as it is made, instead of saying it aloud; `-` is stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = "Output")]
    pub(super) output: Option<PathBuf>,

    /// Loudspeaker to play on: its id, its name, or a part of it; `speechctl tts --list-devices` lists them [default:
    /// the system's]
    #[arg(long, value_name = "NAME", conflicts_with = "output", help_heading = "Output")]
    pub(super) device: Option<String>,

    /// Shape of the audio [default: by the name of the file, else wav]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true, requires = "output", help_heading = "Output")]
    pub(super) format: Option<Format>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

impl Args {
    /// Refuses what makes no sense together.
    ///
    /// # Errors
    /// `Config`.
    pub(super) fn check(&self) -> Result<()> {
        if self.connect.json && self.output.as_deref() == Some(Path::new("-")) {
            let message = "`--json` and `-o -` both want standard output; give a file";
            return Err(Error::new(Kind::Config, message));
        }
        Ok(())
    }
}
