//! What is measured, in groups that can be measured one by one.

mod commands;
mod cost;
mod first;
mod lateness;

use crate::{Result, bed::Bed, report::Findings, soak};

/// What is measured together.
pub(crate) struct Group {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bed<'_>) -> Result<Findings>,
}

/// All of them, in the order of the report.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "commands", about: "how soon PAUSE and STOP are answered", run: commands::measure },
    Group { name: "lateness", about: "frames that come late", run: lateness::measure },
    Group { name: "first", about: "from the first text to the first sound", run: first::measure },
    Group { name: "cost", about: "processor and memory of a session", run: cost::measure },
    Group { name: "soak", about: "what is heard, and what leaks, while workers are killed", run: soak::measure },
];

/// What `--only` takes.
pub(crate) fn names() -> Vec<&'static str> {
    GROUPS.iter().map(|group| group.name).collect()
}

/// Why a row may be missing.
const NO_ROOM: &str = "the server refuses so many";
