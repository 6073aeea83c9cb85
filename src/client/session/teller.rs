//! What the user is told: events on stdout for programs; on stderr what went wrong, and the prompt of whoever types.

use crate::{
    client::{
        json,
        output::{Output, printable, unless_closed},
    },
    error::{Error, Kind, Result},
    proto::status,
};
use serde::Serialize;

/// The version of what `--json` writes.
pub(super) const VERSION: u32 = 1;

/// A line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    Ready {
        version: u32,
        session: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        voice: Option<&'a str>,
        sample_rate: u32,
    },
    Begin {
        line: u64,
        at: f64,
    },
    End {
        line: u64,
        at: f64,
        duration: f64,
        outcome: Outcome,
    },
    Command {
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        command: &'static str,
        timestamp_ms: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        dropped: Option<usize>,
    },
    Voice {
        line: u64,
        voice: &'a str,
        session: &'a str,
    },
    Error {
        line: u64,
        kind: String,
        message: String,
    },
    Done {
        lines: u64,
        duration: f64,
    },
}

/// What became of a line that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// All of it was heard.
    Said,
    /// It was cut short by a command.
    Stopped,
    /// It was cut short by a failure.
    Failed,
}

/// Tells.
pub(super) struct Teller {
    output: Output,
    is_json: bool,
    /// All is written into a file, which is wanted also where nobody reads what is told of it.
    has_file: bool,
    /// Somebody types, and sees at once what is wrong.
    is_typed: bool,
    failed: u64,
    first: Option<Kind>,
}

impl Teller {
    /// Nothing is told yet.
    pub(super) fn new(output: Output, (is_json, has_file, is_typed): (bool, bool, bool)) -> Self {
        Self { output, is_json, has_file, is_typed, failed: 0, first: None }
    }

    /// Tells programs what happened.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(super) fn event(&self, event: &Event<'_>) -> Result<()> {
        if !self.is_json {
            return Ok(());
        }
        let told = self.output.line(&json::line(event)?);
        if self.has_file { unless_closed(told) } else { told }
    }

    /// A line came to nothing.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(super) fn failure(&mut self, line: u64, error: &Error) -> Result<()> {
        // What the flags get wrong ends the program with 2; what a line gets wrong is input.
        let kind = if error.kind() == Kind::Config { Kind::InvalidInput } else { error.kind() };
        self.first.get_or_insert(kind);
        self.failed += 1;
        if self.has_prompt() {
            self.output.live("\r\x1b[2K");
        }
        // Who types knows which line it was.
        let place = if self.is_typed { String::new() } else { format!("line {line}: ") };
        self.output.error(&format!("{place}{error}"));
        self.event(&Event::Error { line, kind: word(kind), message: error.to_string() })
    }

    /// A line came to nothing, and all that follow would: this is the end.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(super) fn fatal(&self, line: u64, error: &Error) -> Result<()> {
        self.event(&Event::Error { line, kind: word(error.kind()), message: error.to_string() })
    }

    /// Invites whoever types; says how things are.
    pub(super) fn prompt(&self, voice: Option<&str>, is_paused: bool) {
        if self.has_prompt() {
            self.output.live(&format!("\r\x1b[2K{}", prompt(voice, is_paused)));
        }
    }

    /// Leaves the line of the prompt.
    pub(super) fn leave(&self) {
        if self.has_prompt() {
            self.output.live("\n");
        }
    }

    /// Tells what was written where.
    pub(super) fn note(&self, note: &str) {
        self.output.note(note);
    }

    /// How all of it ended, for a script: as the first line did that failed.
    ///
    /// # Errors
    /// Of the kind of that line.
    pub(super) fn verdict(&self) -> Result<()> {
        match self.first.filter(|_| !self.is_typed) {
            None => Ok(()),
            Some(kind) if self.failed == 1 => Err(Error::new(kind, "a line failed, see above")),
            Some(kind) => Err(Error::new(kind, format!("{} lines failed, see above", self.failed))),
        }
    }

    fn has_prompt(&self) -> bool {
        self.is_typed && self.output.is_live()
    }
}

/// A kind, as programs read it.
fn word(kind: Kind) -> String {
    status::reason(kind).to_ascii_lowercase()
}

/// "en-gb, paused> ".
fn prompt(voice: Option<&str>, is_paused: bool) -> String {
    let parts: Vec<String> = voice.map(printable).into_iter().chain(is_paused.then(|| "paused".to_owned())).collect();
    format!("{}> ", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_says_how_things_are() {
        assert_eq!(prompt(None, false), "> ");
        assert_eq!(prompt(None, true), "paused> ");
        assert_eq!(prompt(Some("en-gb"), false), "en-gb> ");
        assert_eq!(prompt(Some("a\u{1b}b"), true), "a\\u{1b}b, paused> ");
    }

    #[test]
    fn events_are_lines() {
        let events = [
            Event::Ready { version: VERSION, session: "s", voice: None, sample_rate: 48_000 },
            Event::Begin { line: 1, at: 0.0 },
            Event::Command { line: Some(2), command: "pause", timestamp_ms: 5, dropped: None },
            Event::Command { line: None, command: "stop", timestamp_ms: 6, dropped: Some(3) },
            Event::End { line: 1, at: 0.0, duration: 1.5, outcome: Outcome::Stopped },
            Event::Voice { line: 4, voice: "de", session: "t" },
            Event::Error { line: 5, kind: "not_found".to_owned(), message: "no \"x\"".to_owned() },
            Event::Done { lines: 1, duration: 1.5 },
        ];
        let lines: Vec<String> = events.iter().map(|event| json::line(event).expect("it is JSON")).collect();
        assert_eq!(
            lines.join("\n"),
            r#"{"type":"ready","version":1,"session":"s","sample_rate":48000}
{"type":"begin","line":1,"at":0.0}
{"type":"command","line":2,"command":"pause","timestamp_ms":5}
{"type":"command","command":"stop","timestamp_ms":6,"dropped":3}
{"type":"end","line":1,"at":0.0,"duration":1.5,"outcome":"stopped"}
{"type":"voice","line":4,"voice":"de","session":"t"}
{"type":"error","line":5,"kind":"not_found","message":"no \"x\""}
{"type":"done","lines":1,"duration":1.5}"#
        );
    }

    #[test]
    fn a_script_ends_as_its_first_failure_and_who_types_was_told() {
        let (missing, wrong) = (Kind::NotFound, Kind::InvalidInput);
        for (is_typed, kinds, verdict) in [
            (false, &[][..], None),
            (false, &[missing, Kind::Busy], Some(missing)),
            (false, &[Kind::Config], Some(wrong)),
            (true, &[missing], None),
        ] {
            let mut teller = Teller::new(Output::new(true, 0), (false, false, is_typed));
            for (line, kind) in (1..).zip(kinds) {
                teller.failure(line, &Error::new(*kind, "x")).expect("it can be told");
            }
            assert_eq!(teller.verdict().err().map(|error| error.kind()), verdict);
        }
    }
}
