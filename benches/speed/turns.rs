//! Runs of whole processes, in turns.

use crate::{Result, memory, stats::Sample};
use std::{
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long the machine may rest between two runs. A server that was just called starts a worker for the next call, and
/// the kernel takes down what has ended: neither may fall on whoever runs next.
const REST: Duration = Duration::from_millis(60);

/// What makes the command of a run.
pub(crate) type Maker<'a> = &'a dyn Fn() -> Command;

/// The times of ours and of the rival, in milliseconds, after one turn each that does not count.
pub(crate) fn times(rounds: usize, ours: Maker<'_>, rival: Maker<'_>) -> Result<(Sample, Sample)> {
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        for (make, times) in [(ours, &mut our), (rival, &mut their)] {
            let time = time(make())?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok((Sample::of_times(&our), Sample::of_times(&their)))
}

/// The times of ours alone, likewise.
pub(crate) fn times_alone(rounds: usize, ours: Maker<'_>) -> Result<Sample> {
    time(ours())?;
    let times = (0..rounds).map(|_| time(ours())).collect::<Result<Vec<_>>>()?;
    Ok(Sample::of_times(&times))
}

/// The peaks of memory of ours and of the rival, in MiB. Runs of their own: who looks at memory takes time.
pub(crate) fn peaks(rounds: usize, ours: Maker<'_>, rival: Maker<'_>) -> Result<(Sample, Sample)> {
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our.push(memory::peak(ours())?);
        their.push(memory::peak(rival())?);
    }
    Ok((Sample::of(our), Sample::of(their)))
}

/// The wall time of one run, from before its start to after its end.
fn time(mut command: Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if !status.success() {
        return Err(failure(&command, &status.to_string()));
    }
    thread::sleep(REST);
    Ok(time)
}

/// What a run writes to standard output.
pub(crate) fn output(mut command: Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(failure(&command, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(output.stdout)
}

/// What went wrong with a run.
pub(crate) fn failure(command: &Command, why: &str) -> Box<dyn std::error::Error> {
    format!("{command:?} failed: {why}").into()
}

/// Something that should be there is not.
pub(crate) fn gone(what: &str) -> Box<dyn std::error::Error> {
    format!("{what} is gone").into()
}

/// The first line that a process writes, which tells that it is ready.
pub(crate) fn first_line(mut source: impl Read) -> Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    // Byte by byte: nothing behind the line is taken, and nothing is waited for.
    while source.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(String::from_utf8(line)?)
}
