//! `speechctl models remove`: away with what is not wanted any more, but not with what somebody uses.

use super::named;
use crate::{
    client::output::Output,
    error::Result,
    models::{library::Library, remove},
    size,
};

/// Removes models, and what is left of downloads if that is wanted.
///
/// # Errors
/// `NotInstalled`, `NotFound`; `Busy` for a model that is in use; `Io`. All names are looked up before the first goes.
pub(super) fn run(library: &Library, names: &[String], force: bool, partial: bool, output: Output) -> Result<()> {
    let shelf = library.shelf();
    let models = names.iter().map(|name| named(&shelf, name));
    let mut models = models.collect::<Result<Vec<_>>>()?;
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models.dedup_by(|a, b| a.name == b.name);
    for model in models {
        let freed = remove::remove(model, &library.cache, &library.data, force)?;
        output.note(&format!("{}: removed, {} free", model.name, size::in_words(freed.bytes)));
        for file in &freed.left {
            output.note(&format!("`{}` stays: it lies elsewhere, or another model has it, too", file.display()));
        }
    }
    if partial {
        let freed = remove::remove_partials(&library.cache, &library.data)?;
        output.note(&format!("downloads that broke off: removed, {} free", size::in_words(freed.bytes)));
    }
    Ok(())
}
