//! What can go wrong with an engine: the names of the faults, and how each of them happens.

use crate::{
    error::{Error, Kind, Result},
    worker::{engine::Cancel, progress::Progress},
};
use std::{
    hint::black_box,
    io::Write,
    thread,
    time::{Duration, Instant},
};

/// How much `flood-stderr` writes.
const FLOOD: usize = 100 * 1024 * 1024;

/// How much `stdout` writes while it loads.
const CHATTER: usize = 1024 * 1024;

/// How much more `leak` holds with every step.
const LEAK: usize = 64 * 1024 * 1024;

/// How often a fault that takes its time looks up.
const STEP: Duration = Duration::from_millis(5);

/// What can go wrong with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Aborts, as whisper.cpp does on an internal error.
    Crash,
    /// Ends the process with status 0, as if all were well.
    Exit,
    /// Aborts where the audio holds this very sample, of 16 bits: `poison@12345`.
    Poison,
    /// Does nothing any more.
    Hang,
    /// Takes as long as the audio lasts.
    Slow,
    /// Answers what cannot be.
    Garbage,
    /// Writes without end to stderr first.
    FloodStderr,
    /// Holds more and more memory, until it has none left to take.
    Leak,
    /// Writes to stdout: much while it loads, a line with each call.
    Stdout,
    /// Fails each call, and goes on.
    Fail,
    /// Fails each call after so many good ones.
    FailAfter,
    /// As `Crash`, while it loads.
    LoadCrash,
    /// As `Exit`, while it loads.
    LoadExit,
    /// As `Hang`, while it loads: it never becomes ready.
    LoadHang,
    /// Takes so long to load.
    LoadSlow,
    /// Outlives SIGTERM, and its connection.
    IgnoreTerm,
    /// Ends well, and gave nothing.
    LieEmpty,
    /// Changes the rate of its audio in mid-stream.
    LieRate,
    /// Tells of audio that cannot be so long, and speaks for ten minutes.
    LieLong,
    /// Tells times and probabilities that are no numbers.
    LieNan,
    /// Hears "you" where nothing is.
    LieSilence,
    /// Answers another request.
    LieRequest,
}

/// Every fault by its name.
const NAMES: [(&str, Fault); 22] = [
    ("crash", Fault::Crash),
    ("exit", Fault::Exit),
    ("poison", Fault::Poison),
    ("hang", Fault::Hang),
    ("slow", Fault::Slow),
    ("garbage", Fault::Garbage),
    ("flood-stderr", Fault::FloodStderr),
    ("leak", Fault::Leak),
    ("stdout", Fault::Stdout),
    ("fail", Fault::Fail),
    ("fail-after", Fault::FailAfter),
    ("load-crash", Fault::LoadCrash),
    ("load-exit", Fault::LoadExit),
    ("load-hang", Fault::LoadHang),
    ("load-slow", Fault::LoadSlow),
    ("ignore-term", Fault::IgnoreTerm),
    ("lie-empty", Fault::LieEmpty),
    ("lie-rate", Fault::LieRate),
    ("lie-long", Fault::LieLong),
    ("lie-nan", Fault::LieNan),
    ("lie-silence", Fault::LieSilence),
    ("lie-request", Fault::LieRequest),
];

/// The faults that were asked for, and their numbers: mostly, at which second of audio each strikes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Faults(Vec<(Fault, Duration)>);

impl Faults {
    /// Reads `FAULT[@SECONDS][,FAULT…]`.
    ///
    /// # Errors
    /// `InvalidInput` for one that does not exist.
    pub(super) fn parse(faults: &str) -> Result<Self> {
        faults.split(',').filter(|fault| !fault.is_empty()).map(parse).collect::<Result<_>>().map(Self)
    }

    /// Whether this one was asked for.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.iter().any(|(has, _)| *has == fault)
    }

    /// What stands behind the `@` of this one.
    pub(super) fn number(&self, fault: Fault) -> Option<Duration> {
        self.0.iter().find(|(has, _)| *has == fault).map(|(_, number)| *number)
    }

    /// Lets happen what happens with certain samples.
    pub(super) fn strike_at_samples(&self, samples: &[f32]) {
        let Some(deadly) = self.number(Fault::Poison) else { return };
        if samples.iter().any(|sample| u64::try_from((sample * 32768.0) as i64) == Ok(deadly.as_secs())) {
            crash();
        }
    }

    /// Lets every fault happen whose time lies in `from..to` of the audio.
    ///
    /// # Errors
    /// `Cancelled`, where it took so long that the caller gave up.
    pub(super) fn strike(&self, from: Duration, to: Duration, cancel: &Cancel) -> Result<()> {
        for (fault, at) in &self.0 {
            if *fault == Fault::Poison {
                // Its number is no time.
            } else if (from..to).contains(at) {
                happen(*fault, to - from, cancel)?;
            } else if *fault == Fault::Slow {
                slow(to - from, cancel)?;
            }
        }
        Ok(())
    }

    /// Lets happen what happens while a model is loaded.
    pub(super) fn strike_at_load(&self, progress: &Progress) {
        for (fault, number) in &self.0 {
            match fault {
                Fault::LoadCrash => crash(),
                Fault::LoadExit => leave(),
                Fault::LoadHang => hang(),
                Fault::LoadSlow => load_slowly(*number, progress),
                Fault::Stdout => {
                    let line = "the mock engine has been told to be talkative\n";
                    print(&line.repeat(CHATTER / line.len()));
                }
                _ => {}
            }
        }
    }

    /// Lets happen what happens with call number `call`, counted from 0, before its work.
    ///
    /// # Errors
    /// `Internal` where that is the fault.
    pub(super) fn strike_at_call(&self, call: u64) -> Result<()> {
        if self.has(Fault::Stdout) {
            print("the mock engine works\n");
        }
        let good = self.number(Fault::FailAfter).map_or(u64::MAX, |number| number.as_secs());
        if self.has(Fault::Fail) || call >= good {
            return Err(Error::new(Kind::Internal, "the engine failed, as asked"));
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<(Fault, Duration)> {
    let (name, number) = match text.split_once('@') {
        Some((name, number)) => (name, number.trim_end_matches('s').parse::<f64>().ok()),
        None => (text, Some(0.0)),
    };
    let fault = NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault);
    let number = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    fault.zip(number).ok_or_else(|| {
        let known = NAMES.map(|(name, _)| name).join(", ");
        Error::invalid(format!("the mock engine has no fault `{text}`; there are {known}, with `@SECONDS` if wanted"))
    })
}

fn happen(fault: Fault, span: Duration, cancel: &Cancel) -> Result<()> {
    match fault {
        Fault::Crash => crash(),
        Fault::Exit => leave(),
        Fault::Hang => hang(),
        Fault::Slow => slow(span, cancel),
        Fault::Leak => leak(),
        Fault::FloodStderr => {
            let line = "all work and no play makes the mock a dull engine\n".repeat(1024);
            for _ in 0..FLOOD / line.len() {
                say(line.trim_end());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn crash() -> ! {
    say("mock engine: about to abort, as asked");
    std::process::abort()
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

#[expect(clippy::disallowed_methods, reason = "to end without a word is the fault that was asked for")]
fn leave() -> ! {
    std::process::exit(0)
}

fn slow(span: Duration, cancel: &Cancel) -> Result<()> {
    let end = Instant::now() + span;
    while Instant::now() < end {
        cancel.check().inspect_err(|_| say("mock engine: told to stop, and stops"))?;
        thread::park_timeout(STEP);
    }
    Ok(())
}

fn load_slowly(span: Duration, progress: &Progress) {
    let start = Instant::now();
    while start.elapsed() < span {
        progress.tell(start.elapsed().as_secs_f32() / span.as_secs_f32());
        thread::park_timeout(STEP);
    }
}

/// Takes memory until the process dies of it. Only where something limits the process: else the machine would die first.
fn leak() -> Result<()> {
    if rustix::process::getrlimit(rustix::process::Resource::Data).current.is_none() {
        return Err(Error::invalid("the fault `leak` wants a worker that was started with `--memory`"));
    }
    say("mock engine: about to take all memory, as asked");
    let mut held = Vec::new();
    loop {
        held.push(vec![1u8; LEAK]);
        black_box(&held);
    }
}

/// Writes to stderr, as engines do. That it may be closed is no concern of theirs either.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}

/// Writes to stdout, where an engine has no business.
fn print(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let faults = Faults::parse("crash@2.5s,slow,fail-after@3").expect("they exist");
        let expected = [
            (Fault::Crash, Duration::from_millis(2500)),
            (Fault::Slow, Duration::ZERO),
            (Fault::FailAfter, Duration::from_secs(3)),
        ];
        assert_eq!(faults.0, expected);
        for wrong in ["explode", "crash@soon", "crash@-1"] {
            assert!(Faults::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn calls_fail_as_asked() {
        let faults = Faults::parse("fail-after@2").expect("it exists");
        let good: Vec<bool> = (0..4).map(|call| faults.strike_at_call(call).is_ok()).collect();
        assert_eq!(good, [true, true, false, false]);
        assert!(Faults::parse("fail").expect("it exists").strike_at_call(0).is_err());
    }
}
