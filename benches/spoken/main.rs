//! How spoken sessions are served: how soon commands are obeyed, how much in time frames are, how soon the first sound
//! comes, what a session costs, and whether all of that holds while workers are killed.
//!
//! `cargo bench --bench spoken` runs everything and writes tables to stdout and to `target/bench/spoken.md`. Options come
//! after `--`; `cargo bench --bench spoken -- --help` lists them. The exit code is 1 where the soak has found a fault.
//!
//! The real server is measured, over TCP, by callers in this one process: two threads drive them all. What they add, and
//! that both share the machine, is in every number; it is theirs to be small, not ours to be subtracted. Each session has
//! a connection of its own.

mod bed;
mod caller;
mod listener;
mod options;
mod process;
mod report;
mod rows;
mod server;
mod soak;
mod talker;
mod texts;
mod wire;

#[path = "../speed/machine.rs"]
mod machine;
#[path = "../../tests/it/harness/random.rs"]
mod random;
#[allow(dead_code, reason = "the other bench needs the rest of it")]
#[path = "../speed/stats.rs"]
mod stats;

use bed::Bed;
use options::{Asked, Options};
use report::Report;
use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

/// Any failure ends the run, but for those that the soak counts.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let outcome = match options::read(std::env::args_os().skip(1)) {
        Ok(Asked::Measure(options)) => measure(&options),
        Ok(Asked::Say(text)) => say(&text).map(|()| true),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            progress(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Measures what is wanted; says whether nothing was found to be wrong.
fn measure(options: &Options) -> Result<bool> {
    let bed = Bed::make(options)?;
    let mut report = Report::begin(options);
    for group in rows::GROUPS.iter().filter(|group| options.wants(group.name)) {
        progress(&format!("{}: {} …", group.name, group.about));
        report.add((group.run)(&bed)?);
    }
    let text = report.end();
    let place = report::save(&text)?;
    say(&text)?;
    progress(&format!("saved as {}", place.display()));
    Ok(report.is_sound())
}

/// Tells whoever waits.
fn progress(text: &str) {
    writeln!(io::stderr().lock(), "spoken: {text}").unwrap_or_default();
}

fn say(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
