//! The tables.

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

/// A table, with what has to be known to read it.
pub(crate) struct Table {
    title: &'static str,
    about: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One without a row yet.
    pub(crate) fn new(title: &'static str, about: &'static str, head: &'static [&'static str]) -> Self {
        Self { title, about, head, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Adds a row that could not be measured, and why, behind the cells that say what it is.
    pub(crate) fn push_not_measured(&mut self, mut row: Vec<String>, why: &str) {
        row.push(format!("not measured: {why}"));
        row.resize(self.head.len(), "–".to_owned());
        self.rows.push(row);
    }

    fn write(&self, text: &mut String) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let rule = format!("|{}\n", "---|".repeat(head.len()));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let parts = [format!("\n## {}\n\n{}\n\n", self.title, self.about), line(&head), rule, rows];
        parts.iter().for_each(|part| text.push_str(part));
    }
}

/// What a group has found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) tables: Vec<Table>,
    /// What is wrong, if anything is.
    pub(crate) faults: Vec<String>,
}

impl From<Table> for Findings {
    fn from(table: Table) -> Self {
        Self { tables: vec![table], faults: Vec::new() }
    }
}

/// All tables while they are made, with what stands above them.
pub(crate) struct Report {
    head: String,
    before: Load,
    findings: Findings,
}

impl Report {
    pub(crate) fn begin(options: &Options) -> Self {
        let head = machine::describe(&options.binary);
        Self { head, before: machine::load(), findings: Findings::default() }
    }

    pub(crate) fn add(&mut self, findings: Findings) {
        self.findings.tables.extend(findings.tables);
        self.findings.faults.extend(findings.faults);
    }

    /// Whether nothing was found to be wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.findings.faults.is_empty()
    }

    /// The whole of it.
    pub(crate) fn end(&self) -> String {
        let mut text = format!("# Spoken sessions\n\n{}", self.head);
        let load = format!("- load average: {} before, {} after\n", self.before, machine::load());
        text.push_str(&load);
        self.findings.tables.iter().for_each(|table| table.write(&mut text));
        if !self.is_sound() {
            text.push_str("\n## Faults\n\n");
            for fault in &self.findings.faults {
                writeln!(text, "- {fault}").expect("a string takes everything");
            }
        }
        text
    }
}

/// Median, the 95th and the 99th of a hundred, the greatest, and how many there are.
pub(crate) fn cells(sample: &Sample) -> Vec<String> {
    let quantiles = [0.5, 0.95, 0.99, 1.0].map(|share| format!("{:.2}", sample.quantile(share)));
    quantiles.into_iter().chain([sample.rounds().to_string()]).collect()
}

/// How many of a million.
pub(crate) fn per_million(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.0}", part / whole * 1e6) } else { "–".to_owned() }
}

/// Saves it beside what cargo has built, wherever that is.
pub(crate) fn save(text: &str) -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("cargo's target folder has no name")?;
    let folder = target.join("bench");
    fs::create_dir_all(&folder)?;
    let place = folder.join("spoken.md");
    fs::write(&place, text)?;
    Ok(place)
}
