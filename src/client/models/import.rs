//! `speechctl models import`: a file that the user has becomes a model that has a name.

use crate::{
    client::output::Output,
    error::Result,
    models::{import, library::Library, verify},
    size,
};
use std::path::Path;

/// Copies the file, and what belongs to it, to where models are kept.
///
/// # Errors
/// `NotFound`, `InvalidInput` for what is no model, `Io`.
pub(super) fn run(library: &Library, file: &Path, name: Option<&str>, output: Output) -> Result<()> {
    let installed = import::import(file, name, &library.data, &mut |_| Ok(()), &verify::looks_whole)?;
    output.note(&format!("{}: {}, copied", installed.name, size::in_words(installed.size)));
    output.line(&format!("{}\t{}", installed.name, installed.path.display()))
}
