//! The size of the program.

use crate::{
    Result,
    bed::Bed,
    report::{Goal, Row, Unit},
    turns,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The largest that it may be, in MiB. That goes for the static binary that is handed out.
const MOST: f64 = 25.0;

/// A stripped copy of the binary that is measured, and the one that is handed out, if there is one.
pub(super) fn rows(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let what = "size of the binary, stripped";
    let copy = bed.path("stripped");
    fs::copy(&bed.options.binary, &copy)?;
    let mut strip = Command::new("strip");
    strip.arg(&copy);
    let built = match strip.output() {
        Ok(output) if output.status.success() => row(what, &copy)?,
        Ok(output) => return Err(turns::failure(&strip, String::from_utf8_lossy(&output.stderr).trim())),
        Err(_) => Row::not_measured(what, "no strip; install binutils"),
    };
    let what = "size of the binary that is handed out";
    let handed_out = match bed.options.dist.clone().or_else(find_dist) {
        Some(path) => row(what, &path)?,
        None => Row::not_measured(what, "no target/dist/**/speechctl; give --dist"),
    };
    Ok(vec![built, handed_out])
}

fn row(what: &str, path: &Path) -> Result<Row> {
    let size = fs::metadata(path)?.len() as f64 / f64::from(1 << 20);
    Ok(Row::of_numbers(what, Unit::Mebibytes, Goal::AtMost(MOST), size, None))
}

/// The program somewhere below `target/dist`.
fn find_dist() -> Option<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("dist")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && entry.file_name() == "speechctl" => return Some(entry.path()),
                _ => {}
            }
        }
    }
    None
}
