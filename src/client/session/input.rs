//! What a line of input means: text, or a command. Pure.

use crate::error::{Error, Result};

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It is empty.
    Nothing,
    /// To be said.
    Text(String),
    /// To be done.
    Command(Command),
}

/// What can be wanted beside speech.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Hold the sound back, and keep the place.
    Pause,
    /// Go on where it was.
    Resume,
    /// Drop what is being said, and what waits.
    Stop,
    /// Take no more input until all is said.
    Wait,
    /// End at once.
    Quit,
    /// The lines that follow are for this voice.
    Voice(String),
}

/// All commands, for who mistypes one.
const COMMANDS: &str = "`:pause`, `:resume`, `:stop`, `:voice NAME`, `:wait` and `:quit`";

/// Reads a line, with or without its end.
///
/// # Errors
/// `InvalidInput` for what is no text, and for a command that does not exist or makes no sense.
pub(super) fn read(line: &[u8]) -> Result<Input> {
    let text = std::str::from_utf8(line).map_err(|cause| {
        Error::invalid(format!("the line is not UTF-8 text: byte {} is wrong", cause.valid_up_to() + 1))
    })?;
    if text.contains('\0') {
        return Err(Error::invalid("the line holds a NUL byte; is it text?"));
    }
    let text = text.trim_end();
    if text.trim_start().is_empty() {
        return Ok(Input::Nothing);
    }
    match text.strip_prefix(':') {
        None => Ok(Input::Text(text.to_owned())),
        // The first of two colons only says that the second is meant.
        Some(rest) if rest.starts_with(':') => Ok(Input::Text(rest.to_owned())),
        Some(rest) => command(rest).map(Input::Command),
    }
}

fn command(text: &str) -> Result<Command> {
    let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let value = value.trim();
    let plain = |command| match value {
        "" => Ok(command),
        _ => Err(Error::invalid(format!("`:{name}` takes nothing behind it"))),
    };
    match name {
        "pause" => plain(Command::Pause),
        "resume" => plain(Command::Resume),
        "stop" => plain(Command::Stop),
        "wait" => plain(Command::Wait),
        "quit" => plain(Command::Quit),
        "voice" if value.is_empty() => Err(Error::invalid("`:voice` wants the name of a voice, as in `:voice en-gb`")),
        "voice" => Ok(Command::Voice(value.to_owned())),
        _ => {
            let shown: String = name.chars().take(40).collect();
            let hint = "begin a text with `::` where it begins with a colon";
            Err(Error::invalid(format!("no command is called `:{shown}`; there are {COMMANDS}; {hint}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
    }

    #[test]
    fn lines_are_said_and_colons_command() {
        for (line, input) in [
            ("Hello there.\n", text("Hello there.")),
            ("Hello there.\r\n", text("Hello there.")),
            ("  indented", text("  indented")),
            (" :pause", text(" :pause")),
            ("at 10:30", text("at 10:30")),
            ("::pause\n", text(":pause")),
            (":::", text("::")),
            ("::", text(":")),
            ("", Input::Nothing),
            (" \t\r\n", Input::Nothing),
            (":pause\n", Input::Command(Command::Pause)),
            (":resume \r\n", Input::Command(Command::Resume)),
            (":stop", Input::Command(Command::Stop)),
            (":wait", Input::Command(Command::Wait)),
            (":quit", Input::Command(Command::Quit)),
            (":voice  en-gb+f3 \n", Input::Command(Command::Voice("en-gb+f3".to_owned()))),
            (":voice\t/my voices/amy.onnx", Input::Command(Command::Voice("/my voices/amy.onnx".to_owned()))),
        ] {
            assert_eq!(read(line.as_bytes()).expect(line), input, "{line:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_name() {
        for (line, told) in [
            (&b":paus"[..], "`:paus`"),
            (b":", "`:`"),
            (b": pause", "`:`"),
            (b":Pause", "`:Pause`"),
            (b":)", "`::`"),
            (b":stop it", "`:stop`"),
            (b":quit 3", "`:quit`"),
            (b":voice", "`:voice en-gb`"),
            (b":voice \n", "`:voice en-gb`"),
            (b"caf\xe9", "byte 4"),
            (b"a\0b", "NUL"),
        ] {
            let error = read(line).expect_err(told);
            assert_eq!(error.kind(), Kind::InvalidInput);
            assert!(error.to_string().contains(told), "{error}");
        }
        let long = read(&[b":", &[b'x'; 100_000][..]].concat()).expect_err("no such command").to_string();
        assert!(long.len() < 300, "{long}");
    }

    proptest! {
        #[test]
        fn every_text_can_be_said(line in "[^\\x00]{0,40}") {
            let escaped = if line.starts_with(':') { format!(":{line}") } else { line.clone() };
            let said = match read(escaped.as_bytes()) {
                Ok(Input::Text(text)) => text,
                Ok(Input::Nothing) => String::new(),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(said.trim(), line.trim());
        }
    }
}
