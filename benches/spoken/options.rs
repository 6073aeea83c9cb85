//! What the command line asks for.

use crate::{Result, rows};
use std::{ffi::OsString, path::PathBuf, time::Duration};

const HELP: &str = "\
cargo bench --bench spoken -- [OPTIONS]

  --only NAME         only this group; may be given more than once
  --engine NAME       only this engine: mock, espeak or piper; may be given more than once (the soak takes all)
  --sessions N        sessions of lateness, cost and soak [default: 64]
  --samples N         commands of each kind of a cell of commands, and utterances of one of first [default: 200 and 50]
  --seconds N         how long lateness counts; cost takes a third of it [default: 60]
  --minutes N         how long the soak takes, 0.5 for half a minute [default: 10]
  --seed N            of what the soak leaves to chance [default: 1]
  --piper-voice FILE  the Piper voice [default: the tests' own, which is small]
  --threads N         threads of an engine [default: the server's]
  --binary PATH       the speechctl to measure [default: the one that cargo has just built]
  --quick             a fifth of the samples and of the time, a minute of soak, to see that everything works
  --help              this text, and the groups
";

/// The Piper voice that comes with the tests.
const VOICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples/voices/test-voice.onnx");

/// Every engine.
const ENGINES: [&str; 3] = ["mock", "espeak", "piper"];

/// What this process is to do.
pub(crate) enum Asked {
    Measure(Box<Options>),
    Say(String),
}

/// How to measure.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) binary: PathBuf,
    pub(crate) piper_voice: PathBuf,
    pub(crate) sessions: usize,
    pub(crate) threads: Option<usize>,
    pub(crate) seed: u64,
    seconds: f64,
    minutes: Option<f64>,
    samples: Option<usize>,
    quick: bool,
    engines: Vec<String>,
    only: Vec<String>,
}

/// An engine, and the model by which a session gets it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) engine: &'static str,
    /// What StartSession takes.
    pub(crate) id: String,
}

impl Options {
    /// The engines that are wanted.
    pub(crate) fn models(&self) -> Vec<Model> {
        let is_wanted = |model: &Model| self.engines.is_empty() || self.engines.iter().any(|name| name == model.engine);
        self.all_models().into_iter().filter(is_wanted).collect()
    }

    /// All engines.
    pub(crate) fn all_models(&self) -> Vec<Model> {
        let of = |engine: &'static str| match engine {
            "piper" => Model { engine, id: self.piper_voice.display().to_string() },
            _ => Model { engine, id: engine.to_owned() },
        };
        ENGINES.into_iter().map(of).collect()
    }

    /// How many samples a cell takes that would take this many.
    pub(crate) fn samples(&self, usual: usize) -> usize {
        match (self.samples, self.quick) {
            (Some(samples), _) => samples,
            (None, true) => (usual / 5).max(2),
            (None, false) => usual,
        }
    }

    /// How long frames are counted.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { self.seconds / 5.0 } else { self.seconds })
    }

    /// How long the soak takes.
    pub(crate) fn soak(&self) -> Duration {
        let minutes = self.minutes.unwrap_or(if self.quick { 1.0 } else { 10.0 });
        Duration::from_secs_f64(minutes * 60.0)
    }

    /// Whether a group is wanted.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == group)
    }
}

/// Reads the arguments. cargo adds `--bench` when it measures; when it only tests, nothing is to be measured.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Asked> {
    let mut options = Options {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_speechctl")),
        piper_voice: PathBuf::from(VOICE),
        sessions: 64,
        threads: None,
        seed: 1,
        seconds: 60.0,
        minutes: None,
        samples: None,
        quick: false,
        engines: Vec::new(),
        only: Vec::new(),
    };
    let arguments: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || attached.clone().or_else(|| arguments.next()).ok_or(format!("`{name}` needs a value"));
        match name.as_str() {
            "--bench" => {}
            "--quick" => options.quick = true,
            "--help" | "-h" => return Ok(Asked::Say(help())),
            "--only" => options.only.push(one_of(&name, value()?, &rows::names())?),
            "--engine" => options.engines.push(one_of(&name, value()?, &ENGINES)?),
            "--sessions" => options.sessions = count(&name, value()?)?,
            "--samples" => options.samples = Some(count(&name, value()?)?),
            "--threads" => options.threads = Some(count(&name, value()?)?),
            "--seconds" => options.seconds = amount(&name, value()?)?,
            "--minutes" => options.minutes = Some(amount(&name, value()?)?),
            "--seed" => options.seed = value()?.parse().map_err(|_| "`--seed` is a whole number from 0 on")?,
            "--piper-voice" => options.piper_voice = file(value()?)?,
            "--binary" => options.binary = file(value()?)?,
            // A test run hands on what is meant for harnesses of tests, such as `--list`.
            _ if !is_bench => {}
            _ => return Err(format!("no such option: `{name}`; see `--help`").into()),
        }
    }
    if !is_bench {
        return Ok(Asked::Say("nothing is measured in a test run; `cargo bench --bench spoken` does\n".to_owned()));
    }
    Ok(Asked::Measure(Box::new(options)))
}

fn help() -> String {
    let groups: Vec<String> =
        rows::GROUPS.iter().map(|group| format!("  {:10} {}\n", group.name, group.about)).collect();
    format!("{HELP}\nGroups:\n{}", groups.concat())
}

fn one_of(option: &str, value: String, known: &[&str]) -> Result<String> {
    if known.contains(&value.as_str()) {
        return Ok(value);
    }
    Err(format!("`{option}` cannot be `{value}`; there are {}", known.join(", ")).into())
}

fn count(option: &str, value: String) -> Result<usize> {
    let count = value.parse::<usize>().ok().filter(|count| (1..=100_000).contains(count));
    count.ok_or_else(|| format!("`{option}` is a whole number from 1 to 100000").into())
}

fn amount(option: &str, value: String) -> Result<f64> {
    let amount = value.parse::<f64>().ok().filter(|amount| (0.01..=100_000.0).contains(amount));
    amount.ok_or_else(|| format!("`{option}` is a number from 0.01 to 100000").into())
}

/// A file by its path, absolute: servers run in folders of their own.
fn file(path: String) -> Result<PathBuf> {
    let absolute = std::path::absolute(&path)?;
    if !absolute.is_file() {
        return Err(format!("`{path}` is no file").into());
    }
    Ok(absolute)
}
