//! How fast and how large speechctl is, beside the programs that people would use instead of it.
//!
//! `cargo bench --bench speed` runs everything and writes a table to stdout and to `target/bench/speed.md`. Options
//! come after `--`; `cargo bench --bench speed -- --help` lists them.
//!
//! Whole processes are measured against whole processes, for that is what a user waits for. The two take turns, so that
//! whatever else the machine does falls on both; the first turn of each only warms the caches and is not counted. What is
//! told is the median, for a machine that is disturbed only ever gets slower. A row whose rival is not there says so:
//! a table that leaves it out would look like one that is complete.

mod base_model;
mod bed;
mod corpus;
mod echo;
mod machine;
mod memory;
mod options;
mod report;
mod rows;
mod stats;
mod turns;
mod wire;

#[path = "../../tests/it/harness/grammar.rs"]
mod grammar;
#[path = "../../tests/it/harness/random.rs"]
mod random;

use bed::Bed;
use options::{Asked, Options};
use report::Report;
use std::{
    error::Error,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

/// Any failure ends the run: a table with a hole that nobody explains is worth nothing.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match options::read(std::env::args_os().skip(1)) {
        Ok(Asked::Measure(options)) => measure(&options),
        Ok(Asked::Echo(place)) => echo::serve(&place),
        Ok(Asked::Say(text)) => say(&text),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr().lock(), "speed: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    refuse_beside_a_server()?;
    let bed = Bed::make(options)?;
    let mut report = Report::begin(options);
    for group in rows::GROUPS.iter().filter(|group| options.wants(group.name)) {
        writeln!(io::stderr().lock(), "speed: {}: {} …", group.name, group.about)?;
        report.rows.extend((group.run)(&bed)?);
    }
    let table = report.end();
    let place = report::save(&table)?;
    say(&table)?;
    writeln!(io::stderr().lock(), "speed: saved as {}", place.display())?;
    Ok(())
}

/// A server on the default address would answer the calls that are to start one of their own.
fn refuse_beside_a_server() -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50051));
    match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        Ok(_) => Err(format!("something answers on {address}, and would be measured instead; stop it first").into()),
        Err(_) => Ok(()),
    }
}

fn say(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
