//! The table.

use crate::{
    Result,
    machine::{self, Load},
    options::Options,
    stats::Sample,
};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// A line of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    what: String,
    ours: String,
    rival: String,
    ratio: String,
    goal: String,
    reached: &'static str,
    spread: String,
    rounds: String,
}

/// What a number counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Milliseconds.
    Millis,
    /// Binary megabytes.
    Mebibytes,
    /// Binary megabytes a second.
    Throughput,
    /// Time for a second of audio, in seconds.
    Factor,
    /// What the row itself says.
    Number,
}

impl Unit {
    fn show(self, number: f64) -> String {
        match self {
            Unit::Millis if number >= 1000.0 => format!("{:.2} s", number / 1e3),
            Unit::Millis if number < 10.0 => format!("{number:.2} ms"),
            Unit::Millis => format!("{number:.1} ms"),
            Unit::Mebibytes => format!("{number:.1} MiB"),
            Unit::Throughput => format!("{number:.0} MiB/s"),
            Unit::Factor => format!("{number:.4}"),
            Unit::Number => format!("{number:.1}"),
        }
    }

    fn quartiles(self, sample: &Sample) -> String {
        format!("{} – {}", self.show(sample.quantile(0.25)), self.show(sample.quantile(0.75)))
    }
}

/// What product.md wants of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Ours is at most so many times the rival's.
    TimesAtMost(f64),
    /// Ours is at least so many times the rival's.
    TimesAtLeast(f64),
    /// Ours is at most the rival's and so much, in the row's unit.
    MoreByAtMost(f64),
    /// Ours is at most so much, in the row's unit.
    AtMost(f64),
    /// Nothing; the row is there to be known.
    None,
}

impl Row {
    /// A row of both.
    pub(crate) fn compared(what: impl Into<String>, unit: Unit, goal: Goal, ours: &Sample, rival: &Sample) -> Self {
        let (our, their) = (ours.median(), rival.median());
        Self::of_numbers(what, unit, goal, our, Some(their)).with_spread(unit, ours, Some(rival))
    }

    /// A row of ours alone.
    pub(crate) fn alone(what: impl Into<String>, unit: Unit, goal: Goal, ours: &Sample) -> Self {
        Self::of_numbers(what, unit, goal, ours.median(), None).with_spread(unit, ours, None)
    }

    /// A row of two numbers that are no medians, or of one.
    pub(crate) fn of_numbers(what: impl Into<String>, unit: Unit, goal: Goal, our: f64, their: Option<f64>) -> Self {
        let ratio = their.map(|their| our / their);
        let (goal_text, is_reached) = match (goal, ratio) {
            (Goal::TimesAtMost(most), Some(ratio)) => (format!("≤ {most} ×"), Some(ratio <= most)),
            (Goal::TimesAtLeast(least), Some(ratio)) => (format!("≥ {least} ×"), Some(ratio >= least)),
            (Goal::MoreByAtMost(most), Some(_)) => {
                (format!("≤ {} more", unit.show(most)), their.map(|their| our - their <= most))
            }
            (Goal::AtMost(most), _) => (format!("≤ {}", unit.show(most)), Some(our <= most)),
            _ => ("–".to_owned(), None),
        };
        Self {
            what: what.into(),
            ours: unit.show(our),
            rival: their.map_or("–".to_owned(), |their| unit.show(their)),
            ratio: ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2} ×")),
            goal: goal_text,
            reached: is_reached.map_or("–", |is_reached| if is_reached { "yes" } else { "**no**" }),
            spread: "–".to_owned(),
            rounds: "1".to_owned(),
        }
    }

    /// A row that could not be measured, and why.
    pub(crate) fn not_measured(what: impl Into<String>, why: &str) -> Self {
        let dash = || "–".to_owned();
        Self {
            what: what.into(),
            ours: format!("not measured: {why}"),
            rival: dash(),
            ratio: dash(),
            goal: dash(),
            reached: "–",
            spread: dash(),
            rounds: "0".to_owned(),
        }
    }

    /// Says more about what the row is.
    pub(crate) fn noting(mut self, note: &str) -> Self {
        self.what.push_str(note);
        self
    }

    /// Of so many runs.
    pub(crate) fn counting(mut self, rounds: usize) -> Self {
        self.rounds = rounds.to_string();
        self
    }

    fn with_spread(mut self, unit: Unit, ours: &Sample, rival: Option<&Sample>) -> Self {
        self.spread = unit.quartiles(ours);
        if let Some(rival) = rival {
            self.spread = format!("{}; {}", self.spread, unit.quartiles(rival));
        }
        self.rounds = ours.rounds().to_string();
        self
    }
}

/// The table while it grows, with what stands above it.
pub(crate) struct Report {
    head: String,
    before: Load,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    pub(crate) fn begin(options: &Options) -> Self {
        let version = |path: &Option<PathBuf>| path.as_deref().map_or("not there".to_owned(), machine::version);
        let (espeak_ng, whisper_cli) = (version(&options.espeak_ng), version(&options.whisper_cli));
        let ours = machine::describe(&options.binary);
        let head = format!("{ours}- espeak-ng: {espeak_ng}\n- whisper-cli: {whisper_cli}\n");
        Self { head, before: machine::load(), rows: Vec::new() }
    }

    /// The whole of it.
    pub(crate) fn end(&self) -> String {
        let mut text = format!("# Speed and size\n\n{}", self.head);
        let heading = "\
            | what | ours (median) | rival (median) | ratio | goal | reached | quartiles: ours; rival | rounds |\n\
            |---|---|---|---|---|---|---|---|\n";
        let load = format!("- load average: {} before, {} after\n\n{heading}", self.before, machine::load());
        text.push_str(&load);
        for row in &self.rows {
            let Row { what, ours, rival, ratio, goal, reached, spread, rounds } = row;
            let line = format!("| {what} | {ours} | {rival} | {ratio} | {goal} | {reached} | {spread} | {rounds} |");
            writeln!(text, "{line}").expect("a string takes everything");
        }
        text
    }
}

/// Saves it beside what cargo has built, wherever that is.
pub(crate) fn save(table: &str) -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("cargo's target folder has no name")?;
    let folder = target.join("bench");
    fs::create_dir_all(&folder)?;
    let place = folder.join("speed.md");
    fs::write(&place, table)?;
    Ok(place)
}
