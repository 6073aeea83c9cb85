//! How a worker ended, in words, and what that means for the call that it had.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

/// The end of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// What ended it.
    pub(crate) cause: Cause,
    /// What exactly, where the cause alone does not say: the lie, the engine's own sentence, the address.
    pub(crate) detail: String,
    /// The last lines that it wrote.
    pub(crate) last_words: Vec<String>,
}

/// What ended a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A signal, by its number.
    Signal(i32),
    /// It ended by itself, with this status.
    Exit(i32),
    /// It wanted more memory than it may have, or than there is.
    OutOfMemory,
    /// It gave no sign of life, and we ended it.
    Hung,
    /// Somebody stopped its process (SIGSTOP) and did not let it go on; we ended it.
    Frozen,
    /// It lives but does not speak its contract any more, and we ended it.
    Garbled,
    /// It never became ready, and we ended it.
    NeverReady,
    /// It says that it is well, and cannot do its work; we ended it.
    Failed,
    /// Its answer could not be true; we ended it.
    Lied(Lie),
    /// The system gave no process for it.
    NotStarted,
    /// The connection to a worker elsewhere broke.
    Disconnected,
    /// A worker elsewhere cannot be reached.
    Unreachable,
    /// Another worker answers than the one that is meant.
    Mistaken,
    /// We ended it, for it is not needed any more.
    Stopped,
}

/// What can be wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lie {
    /// Words where there is nothing but digital silence.
    Silence,
    /// Audio of another rate than was asked for, or of two rates.
    SampleRate,
    /// Audio, or times, of an impossible length.
    Length,
    /// A number that is none.
    NotANumber,
    /// Text that is not UTF-8.
    NotText,
    /// The answer to another request.
    OtherRequest,
    /// The word that all is done, and nothing that was.
    Empty,
}

impl Lie {
    /// Every lie, for tables.
    pub(crate) const ALL: [Lie; 7] =
        [Lie::Silence, Lie::SampleRate, Lie::Length, Lie::NotANumber, Lie::NotText, Lie::OtherRequest, Lie::Empty];

    /// One word for programs. Clients compare it, so it never changes.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Lie::Silence => "SILENCE",
            Lie::SampleRate => "SAMPLE_RATE",
            Lie::Length => "LENGTH",
            Lie::NotANumber => "NOT_A_NUMBER",
            Lie::NotText => "NOT_TEXT",
            Lie::OtherRequest => "OTHER_REQUEST",
            Lie::Empty => "EMPTY",
        }
    }
}

impl Death {
    /// A death that its cause tells all of.
    pub(crate) fn of(cause: Cause) -> Self {
        Self { cause, detail: String::new(), last_words: Vec::new() }
    }
}

/// A sentence that begins with "it": "it was killed by SIGKILL".
impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl Cause {
    /// The cause behind what the system says of a child, and what the child said.
    pub(crate) fn of(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Cause::Signal(signal),
            None => Cause::Exit(status.code().unwrap_or(-1)),
        }
    }

    /// The same, once it is known what the dying process said, and whether the system killed for want of memory.
    pub(crate) fn in_the_light_of(self, last_words: &[String], has_system_killed: impl FnOnce() -> bool) -> Self {
        // What Rust, C++, ggml and the C library say before they abort.
        const SIGNS: [&str; 6] = [
            "memory allocation of",
            "bad_alloc",
            "insufficient memory",
            "out of memory",
            "failed to allocate",
            "annot allocate memory",
        ];
        let has_said = || last_words.iter().rev().take(5).any(|line| SIGNS.iter().any(|sign| line.contains(sign)));
        match self {
            Cause::Signal(_) if signal_name_of(self) == "SIGKILL" && has_system_killed() => Cause::OutOfMemory,
            Cause::Signal(signal) if !from_outside(signal) && has_said() => Cause::OutOfMemory,
            Cause::Exit(status) if status != 0 && has_said() => Cause::OutOfMemory,
            other => other,
        }
    }

    /// Whether the call may have done it. What comes from outside says nothing of the call.
    pub(crate) fn is_own_doing(self) -> bool {
        match self {
            Cause::Signal(signal) => !from_outside(signal),
            Cause::Exit(_)
            | Cause::OutOfMemory
            | Cause::Hung
            | Cause::Garbled
            | Cause::NeverReady
            | Cause::Failed
            | Cause::Lied(_) => true,
            Cause::Frozen
            | Cause::NotStarted
            | Cause::Disconnected
            | Cause::Unreachable
            | Cause::Mistaken
            | Cause::Stopped => false,
        }
    }

    /// Whether it says something of the model: that the next worker may go the same way.
    pub(crate) fn is_models_doing(self) -> bool {
        self.is_own_doing() || matches!(self, Cause::Disconnected | Cause::Unreachable | Cause::Mistaken)
    }

    /// One word for programs: "SIGKILL", "EXIT_3", "HUNG".
    pub(crate) fn word(self) -> String {
        match self {
            Cause::Signal(signal) => signal_name(signal),
            Cause::Exit(status) => format!("EXIT_{status}"),
            Cause::OutOfMemory => "OUT_OF_MEMORY".to_owned(),
            Cause::Hung => "HUNG".to_owned(),
            Cause::Frozen => "FROZEN".to_owned(),
            Cause::Garbled => "GARBLED".to_owned(),
            Cause::NeverReady => "NEVER_READY".to_owned(),
            Cause::Failed => "FAILED".to_owned(),
            Cause::Lied(lie) => format!("LIED_{}", lie.word()),
            Cause::NotStarted => "NOT_STARTED".to_owned(),
            Cause::Disconnected => "DISCONNECTED".to_owned(),
            Cause::Unreachable => "UNREACHABLE".to_owned(),
            Cause::Mistaken => "MISTAKEN".to_owned(),
            Cause::Stopped => "STOPPED".to_owned(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Cause::Signal(signal) => {
                let meaning = match signal_name(*signal).as_str() {
                    "SIGILL" => ": this binary needs instructions that this processor lacks",
                    "SIGABRT" => ": it aborted",
                    "SIGSEGV" | "SIGBUS" => ": it touched memory that is not its own",
                    _ => "",
                };
                return write!(f, "it was killed by {}{meaning}", signal_name(*signal));
            }
            Cause::Exit(0) => "it ended without an answer",
            Cause::Exit(status) => return write!(f, "it ended with exit status {status}"),
            Cause::OutOfMemory => "it ran out of memory",
            Cause::Hung => "it gave no sign of life any more",
            Cause::Frozen => "it was stopped by SIGSTOP, and not let go on",
            Cause::Garbled => "it broke off its answer",
            Cause::NeverReady => "it did not become ready in time",
            Cause::Failed => "its engine failed",
            Cause::Lied(_) => "its answer makes no sense",
            Cause::NotStarted => "it could not be started",
            Cause::Disconnected => "the connection to it broke",
            Cause::Unreachable => "it cannot be reached",
            Cause::Mistaken => "another worker answers in its place",
            Cause::Stopped => "it was stopped",
        };
        f.write_str(words)
    }
}

fn signal_name_of(cause: Cause) -> String {
    if let Cause::Signal(signal) = cause { signal_name(signal) } else { String::new() }
}

/// Signals that a process hardly sends to itself.
fn from_outside(signal: i32) -> bool {
    matches!(
        signal_name(signal).as_str(),
        "SIGKILL" | "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGQUIT" | "SIGUSR1" | "SIGUSR2"
    )
}

/// The usual name of a signal. The numbers are Linux's on x86-64 and aarch64, for these also macOS's but 7 and 10.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_from_outside_is_not_the_calls_doing() {
        assert!(!Cause::Signal(9).is_own_doing());
        assert!(!Cause::Signal(15).is_own_doing());
        assert!(!Cause::Frozen.is_own_doing());
        assert!(!Cause::Disconnected.is_own_doing() && Cause::Disconnected.is_models_doing());
        assert!(Cause::Signal(6).is_own_doing());
        assert!(Cause::Signal(11).is_own_doing());
        assert!(Cause::Exit(0).is_own_doing());
        assert!(Cause::Hung.is_own_doing());
        assert!(Cause::OutOfMemory.is_own_doing());
    }

    #[test]
    fn deaths_are_told_in_words() {
        assert_eq!(Death::of(Cause::Signal(9)).to_string(), "it was killed by SIGKILL");
        assert_eq!(Cause::Signal(34).to_string(), "it was killed by signal 34");
        assert_eq!(Cause::Exit(3).word(), "EXIT_3");
        let death = Death { detail: "it said 3 Hz".to_owned(), ..Death::of(Cause::Lied(Lie::SampleRate)) };
        assert_eq!(death.to_string(), "its answer makes no sense: it said 3 Hz");
        assert_eq!(death.cause.word(), "LIED_SAMPLE_RATE");
    }

    #[test]
    fn want_of_memory_is_recognised() {
        let said = |line: &str| vec!["loading".to_owned(), line.to_owned()];
        let abort = Cause::Signal(6);
        for line in ["memory allocation of 4096 bytes failed", "  what():  std::bad_alloc", "insufficient memory"] {
            assert_eq!(abort.in_the_light_of(&said(line), || false), Cause::OutOfMemory, "{line}");
        }
        assert_eq!(abort.in_the_light_of(&said("assertion failed"), || false), abort);
        assert_eq!(Cause::Signal(9).in_the_light_of(&[], || true), Cause::OutOfMemory);
        assert_eq!(Cause::Signal(9).in_the_light_of(&said("bad_alloc"), || false), Cause::Signal(9), "somebody's kill");
        assert_eq!(Cause::Exit(0).in_the_light_of(&said("bad_alloc"), || false), Cause::Exit(0));
    }
}
