//! Writing down a recording, against whisper.cpp's own program.
//!
//! Both get the same model file, the same recording, the same number of threads, and search with five beams and the
//! same thresholds, which are whisper.cpp's own. speechctl starts its server and its worker for the call. Before anything
//! is measured the two transcripts are compared: who says something else has done other work.

use crate::{
    Result, base_model,
    bed::Bed,
    corpus,
    report::{Goal, Row, Unit},
    stats::Sample,
    turns,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// How often memory is looked at: it hardly changes from run to run.
const MEMORY_ROUNDS: usize = 5;

/// A model to measure with.
struct Model {
    name: &'static str,
    file: &'static str,
    write: fn(&Path) -> Result<()>,
    rounds: usize,
}

const MODELS: [Model; 2] = [
    Model { name: "self-test model", file: "selftest.bin", write: base_model::write_selftest, rounds: 25 },
    Model { name: "model of base.en's size", file: "base.bin", write: base_model::write_base, rounds: 10 },
];

/// 60 s, of which Whisper makes at least two windows.
pub(super) fn minute(bed: &Bed<'_>) -> Result<Vec<Row>> {
    rows(bed, 60)
}

/// 3 s, of which Whisper sees 30 all the same: what a command spoken to a machine costs.
pub(super) fn moment(bed: &Bed<'_>) -> Result<Vec<Row>> {
    rows(bed, 3)
}

/// What is run.
struct Task<'a> {
    bed: &'a Bed<'a>,
    model: PathBuf,
    recording: PathBuf,
    threads: String,
}

impl Task<'_> {
    fn ours(&self) -> Command {
        let mut command = self.bed.speechctl(["stt", "--threads", &self.threads, "--model"]);
        command.arg(&self.model).arg(&self.recording);
        command
    }

    fn rival(&self, whisper_cli: &Path) -> Command {
        let flags = ["--no-gpu", "--no-prints", "--beam-size", "5", "--best-of", "5", "--threads", &self.threads];
        let mut command = self.bed.command(whisper_cli, flags);
        command.arg("--model").arg(&self.model).arg("--file").arg(&self.recording);
        command
    }
}

fn rows(bed: &Bed<'_>, seconds: usize) -> Result<Vec<Row>> {
    let recording = bed.path(&format!("{seconds}s.wav"));
    corpus::record(bed, &recording, seconds)?;
    let mut rows = Vec::new();
    for model in MODELS {
        let path = bed.path(model.file);
        if !path.exists() {
            (model.write)(&path)?;
        }
        // Said aloud, so that it is the same.
        let threads = bed.options.threads().to_string();
        let task = Task { bed, model: path, recording: recording.clone(), threads };
        rows.extend(compare(&task, &model, seconds)?);
    }
    Ok(rows)
}

fn compare(task: &Task<'_>, model: &Model, seconds: usize) -> Result<Vec<Row>> {
    let options = task.bed.options;
    let rounds = options.rounds(model.rounds);
    let name = |what: &str| format!("{what} of {seconds} s, {}, against `whisper-cli`", model.name);
    let (time, memory, factor) = (name("`stt`"), name("memory of `stt`"), name("real-time factor of `stt`"));
    let Some(whisper_cli) = &options.whisper_cli else {
        let why = "no whisper-cli; give --whisper-cli";
        let our = turns::times_alone(rounds, &|| task.ours())?;
        return Ok(vec![
            Row::not_measured(time, why),
            Row::not_measured(memory, why),
            Row::alone(factor, Unit::Factor, Goal::None, &real_time(&our, seconds)),
        ]);
    };
    let note = same_words(task, whisper_cli)?;
    let rival = || task.rival(whisper_cli);
    let (our, their) = turns::times(rounds, &|| task.ours(), &rival)?;
    let (our_peak, their_peak) =
        turns::peaks(options.rounds(MEMORY_ROUNDS).min(MEMORY_ROUNDS), &|| task.ours(), &rival)?;
    let mut rows = vec![
        Row::compared(time, Unit::Millis, Goal::TimesAtMost(1.05), &our, &their).noting(&note),
        Row::compared(memory, Unit::Mebibytes, Goal::TimesAtMost(1.10), &our_peak, &their_peak),
    ];
    if seconds >= 60 {
        let (our, their) = (real_time(&our, seconds), real_time(&their, seconds));
        rows.push(Row::compared(factor, Unit::Factor, Goal::None, &our, &their));
    }
    Ok(rows)
}

/// What share of a recording's length it takes to write it down.
fn real_time(times: &Sample, seconds: usize) -> Sample {
    times.scaled(1.0 / (seconds as f64 * 1e3))
}

/// Compares what both write down. Says how they differ, for versions of whisper.cpp do differ in a word here and there.
fn same_words(task: &Task<'_>, whisper_cli: &Path) -> Result<String> {
    let (our, their) = (words(&turns::output(task.ours())?), words(&turns::output(task.rival(whisper_cli))?));
    if our.is_empty() {
        return Err("nothing was heard; nothing is measured by that".into());
    }
    if our == their {
        return Ok(format!(" (same {} words)", our.len()));
    }
    Ok(format!(
        " (**other words**: {} against {}, the first {} the same)",
        our.len(),
        their.len(),
        common(&our, &their)
    ))
}

fn common(our: &[String], their: &[String]) -> usize {
    our.iter().zip(their).take_while(|(our, their)| our == their).count()
}

/// The words of a transcript, without the times that whisper-cli puts before each line.
fn words(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().map(|line| line.rsplit(']').next().unwrap_or(line));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}
