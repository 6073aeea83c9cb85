//! `speechctl models verify`: whether files still are what was pulled.

use super::named;
use crate::{
    client::{json, output::Output},
    error::{Error, Result},
    models::{library::Library, shelf::Installed, verify},
};

/// The document of `--json`.
#[derive(serde::Serialize)]
struct Document {
    version: u32,
    models: Vec<Line>,
}

#[derive(serde::Serialize)]
struct Line {
    name: String,
    is_right: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// Reads the models, or all of them, and says what is wrong.
///
/// # Errors
/// `DataLoss` where one is not what it was; `NotInstalled`, `NotFound`; `Io`.
pub(super) fn run(library: &Library, names: &[String], is_json: bool, output: Output) -> Result<()> {
    let shelf = library.shelf();
    let models: Vec<&Installed> = match names {
        [] => shelf.models.iter().collect(),
        names => names.iter().map(|name| named(&shelf, name)).collect::<Result<_>>()?,
    };
    shelf.damaged.iter().for_each(|error| output.warn(&error.to_string()));
    let (mut lines, mut first) = (Vec::new(), None);
    for model in models {
        let fault = match verify::verify(model, &library.data, &mut |_| Ok(())) {
            Ok(verdict) => verdict.fault(),
            Err(error) => Some(error),
        };
        let told = fault.as_ref().map(|error| format!("{error}; {}", verify::way_out(model, error.kind())));
        if !is_json {
            output.line(&format!("{}: {}", model.name, told.as_deref().unwrap_or("right")))?;
        }
        first = first.or(fault.map(|error| error.kind()));
        lines.push(Line { name: model.name.clone(), is_right: told.is_none(), fault: told });
    }
    let (all, wrong) = (lines.len(), lines.iter().filter(|line| !line.is_right).count());
    if is_json {
        output.line(&json::document(&Document { version: 1, models: lines })?)?;
    } else if all == 0 {
        output.note("No model is installed.");
    }
    match (first, shelf.damaged.first()) {
        (Some(kind), _) => Err(Error::new(kind, format!("{wrong} of {all} models are not what they were, see above"))),
        (None, Some(error)) => Err(Error::new(error.kind(), "what was pulled is not known of all models, see above")),
        (None, None) => Ok(()),
    }
}
