//! What the command line asks for.

use crate::{Result, rows};
use std::{env, ffi::OsString, path::PathBuf};

const HELP: &str = "\
cargo bench --bench speed -- [OPTIONS]

  --whisper-cli PATH  whisper.cpp's program [env: SPEECHCTL_BENCH_WHISPER_CLI]; without it its rows are not measured
  --piper PYTHON      a Python that has piper-tts [env: SPEECHCTL_BENCH_PIPER]; without it its rows are not measured
  --piper-voice FILE  the Piper voice that both speak with [env: SPEECHCTL_BENCH_PIPER_VOICE]
  --espeak-ng PATH    espeak-ng's program [default: the one in PATH]
  --binary PATH       the speechctl to measure [default: the one that cargo has just built]
  --dist PATH         a binary as it is handed out, whose size is told too [default: target/dist/**/speechctl]
  --threads N         threads of both engines [default: the cores, at most 4]
  --rounds N          rounds of every row, instead of each row's own number
  --quick             a fifth of the rounds, to see that everything works
  --only NAME         only the rows of this group; may be given more than once
  --help              this text, and the groups
";

/// What this process is to do.
pub(crate) enum Asked {
    Measure(Box<Options>),
    /// Be one of the echoes that forwarding is compared with: this very program, started by itself.
    Echo(EchoPlace),
    Say(String),
}

/// Which of the two echoes.
pub(crate) enum EchoPlace {
    /// The far one, on a Unix socket.
    Far(PathBuf),
    /// The near one, on TCP, which passes everything on to the far one.
    Near { far: PathBuf },
}

/// How to measure.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) whisper_cli: Option<PathBuf>,
    pub(crate) espeak_ng: Option<PathBuf>,
    pub(crate) piper: Option<PathBuf>,
    pub(crate) piper_voice: Option<PathBuf>,
    pub(crate) binary: PathBuf,
    pub(crate) dist: Option<PathBuf>,
    threads: Option<usize>,
    rounds: Option<usize>,
    quick: bool,
    only: Vec<String>,
}

impl Options {
    /// How many rounds a row takes that would take this many.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        match (self.rounds, self.quick) {
            (Some(rounds), _) => rounds,
            (None, true) => (usual / 5).max(2),
            (None, false) => usual,
        }
    }

    /// Threads of the engines: as many as whisper.cpp and speechctl take by themselves, if nothing else is said. They wait
    /// for each other by turning in circles, so that on a machine whose cores others use all numbers but those of a
    /// single thread are worth nothing.
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4))
    }

    /// Whether a group of rows is wanted.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == group)
    }
}

/// Reads the arguments. cargo adds `--bench` when it measures; when it only tests, nothing is to be measured.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Asked> {
    let mut options = Options {
        whisper_cli: of_environment("SPEECHCTL_BENCH_WHISPER_CLI"),
        espeak_ng: in_path("espeak-ng"),
        piper: of_environment("SPEECHCTL_BENCH_PIPER"),
        piper_voice: of_environment("SPEECHCTL_BENCH_PIPER_VOICE"),
        binary: PathBuf::from(env!("CARGO_BIN_EXE_speechctl")),
        dist: None,
        threads: None,
        rounds: None,
        quick: false,
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
            "--whisper-cli" => options.whisper_cli = Some(program(value()?)?),
            "--piper" => options.piper = Some(program(value()?)?),
            "--piper-voice" => options.piper_voice = Some(program(value()?)?),
            "--espeak-ng" => options.espeak_ng = Some(program(value()?)?),
            "--binary" => options.binary = program(value()?)?,
            "--dist" => options.dist = Some(program(value()?)?),
            "--rounds" => options.rounds = Some(count(&name, value()?)?),
            "--threads" => options.threads = Some(count(&name, value()?)?),
            "--only" => options.only.push(group(value()?)?),
            "--echo-far" => return Ok(Asked::Echo(EchoPlace::Far(value()?.into()))),
            "--echo-near" => return Ok(Asked::Echo(EchoPlace::Near { far: value()?.into() })),
            // A test run hands on what is meant for harnesses of tests, such as `--list`.
            _ if !is_bench => {}
            _ => return Err(format!("no such option: `{name}`; see `--help`").into()),
        }
    }
    if !is_bench {
        return Ok(Asked::Say("nothing is measured in a test run; `cargo bench --bench speed` does\n".to_owned()));
    }
    Ok(Asked::Measure(Box::new(options)))
}

fn help() -> String {
    let groups: Vec<String> =
        rows::GROUPS.iter().map(|group| format!("  {:10} {}\n", group.name, group.about)).collect();
    format!("{HELP}\nGroups:\n{}", groups.concat())
}

fn group(name: String) -> Result<String> {
    if rows::GROUPS.iter().any(|group| group.name == name) {
        return Ok(name);
    }
    let known: Vec<&str> = rows::GROUPS.iter().map(|group| group.name).collect();
    Err(format!("no group `{name}`; there are {}", known.join(", ")).into())
}

fn count(option: &str, value: String) -> Result<usize> {
    value.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{option}` is a number from 1 on").into())
}

/// A program by its path, absolute: it is run in folders of its own.
fn program(path: String) -> Result<PathBuf> {
    let absolute = std::path::absolute(&path)?;
    if !absolute.is_file() {
        return Err(format!("`{path}` is no program").into());
    }
    Ok(absolute)
}

fn of_environment(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}
