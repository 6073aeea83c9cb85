//! How a worker ended, in words, and what that means for the call that it had.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

/// The end of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// What ended it.
    pub(crate) cause: Cause,
    /// The last lines that it wrote to its standard error.
    pub(crate) last_words: Vec<String>,
}

/// What ended a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A signal, by its number.
    Signal(i32),
    /// It ended by itself, with this status.
    Exit(i32),
    /// It gave no sign of life, and we ended it.
    Hung,
    /// It lives but does not speak its contract any more, and we ended it.
    Garbled,
    /// It never became ready, and we ended it.
    NeverReady,
    /// We ended it, for we are stopping.
    Stopped,
}

impl Cause {
    /// The cause behind what the system says of a child.
    pub(crate) fn of(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Cause::Signal(signal),
            None => Cause::Exit(status.code().unwrap_or(-1)),
        }
    }

    /// Whether the call may have done it. A signal from outside says nothing of the call.
    pub(crate) fn is_own_doing(self) -> bool {
        match self {
            Cause::Signal(signal) => !from_outside(signal),
            Cause::Exit(_) | Cause::Hung | Cause::Garbled | Cause::NeverReady => true,
            Cause::Stopped => false,
        }
    }

    /// One word for programs: "SIGKILL", "EXIT_3", "HUNG".
    pub(crate) fn word(self) -> String {
        match self {
            Cause::Signal(signal) => signal_name(signal),
            Cause::Exit(status) => format!("EXIT_{status}"),
            Cause::Hung => "HUNG".to_owned(),
            Cause::Garbled => "GARBLED".to_owned(),
            Cause::NeverReady => "NEVER_READY".to_owned(),
            Cause::Stopped => "STOPPED".to_owned(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Signal(signal) => {
                let meaning = match signal_name(*signal).as_str() {
                    "SIGILL" => ": this binary needs instructions that this processor lacks",
                    "SIGABRT" => ": it aborted",
                    "SIGSEGV" | "SIGBUS" => ": it touched memory that is not its own",
                    _ => "",
                };
                write!(f, "it was killed by {}{meaning}", signal_name(*signal))
            }
            Cause::Exit(0) => f.write_str("it ended without an answer"),
            Cause::Exit(status) => write!(f, "it ended with exit status {status}"),
            Cause::Hung => f.write_str("it gave no sign of life any more"),
            Cause::Garbled => f.write_str("it broke off its answer"),
            Cause::NeverReady => f.write_str("it did not become ready in time"),
            Cause::Stopped => f.write_str("it was stopped"),
        }
    }
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
        assert!(Cause::Signal(6).is_own_doing());
        assert!(Cause::Signal(11).is_own_doing());
        assert!(Cause::Exit(0).is_own_doing());
        assert!(Cause::Hung.is_own_doing());
    }

    #[test]
    fn deaths_are_told_in_words() {
        assert_eq!(Cause::Signal(9).to_string(), "it was killed by SIGKILL");
        assert_eq!(Cause::Signal(34).to_string(), "it was killed by signal 34");
        assert_eq!(Cause::Exit(3).word(), "EXIT_3");
    }
}
