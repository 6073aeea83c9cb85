//! What the user sees: stdout is data, stderr is talk, and a closed pipe is success.

use crate::error::{Error, Kind, Result};
use std::{
    fmt,
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// How much is told, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    quiet: bool,
    verbose: u8,
}

/// Whoever read our standard output has seen enough.
#[derive(Debug)]
struct ClosedPipe;

impl fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for ClosedPipe {}

/// Whether an error only says that our output is not wanted any more.
pub(crate) fn is_closed_pipe(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<ClosedPipe>())
}

/// Lines that only tell of files may be missed: whoever read them has gone, and the files are still wanted.
///
/// # Errors
/// All others.
pub(crate) fn unless_closed(told: Result<()>) -> Result<()> {
    told.or_else(|error| if is_closed_pipe(&error) { Ok(()) } else { Err(error) })
}

/// The error that says so.
pub(crate) fn closed_pipe() -> Error {
    Error::new(Kind::Io, "cannot write").because(ClosedPipe)
}

impl Output {
    /// As the flags want it.
    pub(crate) fn new(quiet: bool, verbose: u8) -> Self {
        Self { quiet, verbose }
    }

    /// Writes a line of results, at once.
    ///
    /// # Errors
    /// `Io`; see [`is_closed_pipe`].
    pub(crate) fn line(&self, line: &str) -> Result<()> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Whether somebody may still read what is written: a pipe whose reader has gone tells so before anything is written.
    pub(crate) fn is_read(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut watched, Some(&now)).is_err() || watched.iter().all(|fd| !fd.revents().contains(PollFlags::ERR))
    }

    /// Writes results that are no text, at once.
    ///
    /// # Errors
    /// `Io`; see [`is_closed_pipe`].
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|cause| match cause.kind() {
            io::ErrorKind::BrokenPipe => closed_pipe(),
            _ => Error::new(Kind::Io, "cannot write to standard output").because(cause),
        })
    }

    /// Tells something that is no result, to people who look: only on a terminal, unless more was asked for.
    pub(crate) fn note(&self, note: &str) {
        if !self.quiet && (self.verbose > 0 || io::stderr().is_terminal()) {
            writeln!(io::stderr(), "{}", printable(note)).unwrap_or_default();
        }
    }

    /// Tells something to those who asked to know more.
    pub(crate) fn note_verbose(&self, note: &str) {
        if self.verbose > 0 {
            self.note(note);
        }
    }

    /// Whether a line that changes in place is wanted: on a terminal that somebody watches.
    pub(crate) fn is_live(&self) -> bool {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        !self.quiet && io::stderr().is_terminal() && !is_set("CI")
    }

    /// Whether results may be drawn in place: on a terminal that can, where somebody watches.
    pub(crate) fn is_screen(&self) -> bool {
        let term = std::env::var_os("TERM").unwrap_or_default();
        let is_log = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        io::stdout().is_terminal() && !term.is_empty() && term != "dumb" && !is_log
    }

    /// How many columns results may have, where that is limited: on a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        io::stdout().is_terminal().then(|| self.window().0)
    }

    /// The columns and rows of the window that shows results.
    pub(crate) fn window(&self) -> (usize, usize) {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Writes to a terminal what changes in place there, commands included.
    pub(crate) fn live(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // Where the terminal is gone, nobody misses it.
        stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).unwrap_or_default();
    }

    /// How many columns such a line may have.
    pub(crate) fn live_width(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0);
        size.map_or(80, |size| size.ws_col.into())
    }

    /// Tells of a failure that is not the end. Also who wants it quiet wants to know.
    pub(crate) fn error(&self, error: &str) {
        writeln!(io::stderr(), "speechctl: {}", printable(error)).unwrap_or_default();
    }

    /// Warns of something that a script's owner wants to find in the log.
    pub(crate) fn warn(&self, warning: &str) {
        if !self.quiet {
            writeln!(io::stderr(), "speechctl: warning: {}", printable(warning)).unwrap_or_default();
        }
    }
}

/// A text as one line that does nothing to a terminal: names of files may hold anything.
pub(crate) fn printable(text: &str) -> String {
    let shown = |character: char| match is_harmful(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Whether a character does something to a terminal other than to be seen there: commands it, ends the line, or turns
/// the direction of what follows.
pub(crate) fn is_harmful(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads a flag's seconds: "10", "0.5", with or without "s".
///
/// # Errors
/// A sentence for clap.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| "it is no number of seconds".to_owned())?;
    if seconds.is_nan() || seconds <= 0.0 {
        return Err("it must be more than 0".to_owned());
    }
    if seconds > LONGEST {
        return Err("they are more than a year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds.max(SHORTEST)))
}

/// The longest time that a flag takes, in seconds: a year. Sums of such times are times, too.
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

/// The shortest, in seconds: what timers can tell from nothing.
const SHORTEST: f64 = 0.001;

/// Reads a flag's seconds, of which there may be none.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn seconds_or_zero(text: &str) -> Result<Duration, String> {
    if text.trim_end_matches('s').parse() == Ok(0.0) { Ok(Duration::ZERO) } else { seconds(text) }
}

/// Reads a flag's place in a recording: "90", "1:30", "1:01:30.5", with or without "s". In seconds.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn time(text: &str) -> Result<f64, String> {
    let wrong = || "it is no time: give seconds, or [HOURS:]MINUTES:SECONDS".to_owned();
    let parts: Vec<&str> = text.strip_suffix('s').unwrap_or(text).split(':').collect();
    let (seconds, rest) = parts.split_last().ok_or_else(wrong)?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let mut total: f64 = seconds.parse().ok().filter(|_| plain(seconds)).ok_or_else(wrong)?;
    if rest.len() > 2 || (!rest.is_empty() && total >= 60.0) {
        return Err(wrong());
    }
    for (part, unit) in rest.iter().rev().zip([60.0, 3600.0]) {
        let value: u32 = part.parse().map_err(|_| wrong())?;
        total += f64::from(value) * unit;
    }
    // Beyond any recording, and below what positions can count.
    if total < 1e9 { Ok(total) } else { Err("it is too long".to_owned()) }
}

/// Reads a flag's number that must lie in a range.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn number(text: &str, least: f32, most: f32) -> Result<f32, String> {
    let number: f32 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(format!("it must be {least} to {most}")) }
}

/// Reads a flag's whole number that must lie in a range.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn whole_number(text: &str, least: i32, most: i32) -> Result<i32, String> {
    let number: i32 = text.parse().map_err(|_| "it is no whole number".to_owned())?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(format!("it must be {least} to {most}")) }
}

/// Reads a number of threads; an empty variable of the environment is as good as none.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn threads(text: &str) -> Result<i32, String> {
    if text.is_empty() { Ok(0) } else { whole_number(text, 1, 256) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_nothing_to_a_terminal() {
        assert_eq!(printable("a\nb \u{1b}[31m ü"), "a\\nb \\u{1b}[31m ü");
        assert_eq!(printable("\u{9b}31m \u{202e}gnp.x"), "\\u{9b}31m \\u{202e}gnp.x");
    }

    #[test]
    fn times_are_read() {
        let good = [("90", 90.0), ("1:30", 90.0), ("1:01:30.5", 3690.5), ("0", 0.0), ("2.5s", 2.5), ("90:00", 5400.0)];
        for (text, seconds) in good {
            assert_eq!(time(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "-1", "soon", "1:60", "1:2:3:4", ":5", "1:", "1e3", "nan", "1.5:00", "9999999999"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(seconds_or_zero("0"), Ok(Duration::ZERO));
        assert_eq!(seconds_or_zero("2"), Ok(Duration::from_secs(2)));
        assert!(seconds_or_zero("-1").is_err());
        assert_eq!(seconds("10"), Ok(Duration::from_secs(10)));
        assert_eq!(seconds("0.5s"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "-1", "soon", "1e300", "NaN"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
