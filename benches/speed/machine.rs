//! What the numbers were measured on, without which they say nothing.

use std::{fmt, fs, path::Path, process::Command};

/// The load average: of the last minute, five, fifteen.
pub(crate) struct Load(String);

impl fmt::Display for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The load average now.
pub(crate) fn load() -> Load {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Load(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// The machine and the speechctl that is measured, as a list.
pub(crate) fn describe(binary: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory =
        field("/proc/meminfo", "MemTotal").and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let date = first_line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let commit = first_line(
        Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    format!(
        "- machine: {cpu}, {cores} cores, {:.1} GiB of memory, Linux {}\n- date: {date}\n\
         - speechctl: {}, commit {commit}\n",
        memory.unwrap_or(0.0) / f64::from(1 << 20),
        kernel.trim(),
        version(binary),
    )
}

/// What a program says of its version: the first line with a number in it, for some tell of their hardware first.
pub(crate) fn version(program: &Path) -> String {
    let text = output(Command::new(program).arg("--version"));
    let line = text.lines().find(|line| line.chars().any(|character| character.is_ascii_digit()));
    let line = line.and_then(|line| line.split("  Data at").next()).unwrap_or("of unknown version");
    line.trim().to_owned()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(command: &mut Command) -> String {
    output(command).lines().next().unwrap_or("unknown").to_owned()
}

fn output(command: &mut Command) -> String {
    let shown = command.output().map(|output| [output.stdout, b"\n".to_vec(), output.stderr].concat());
    String::from_utf8_lossy(&shown.unwrap_or_default()).trim().to_owned()
}
