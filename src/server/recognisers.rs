//! What is meant by the name of a recogniser.

use crate::{
    error::Result,
    models::{self, Paths},
    server::supervisor::directory::Directory,
    speech::ModelId,
};

/// The recognisers of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recognisers {
    /// What is meant where none is named.
    pub(crate) default: Option<ModelId>,
    /// Those of workers from elsewhere.
    pub(crate) directory: Directory,
}

impl Recognisers {
    /// The one that a request means.
    ///
    /// # Errors
    /// As [`models::recognizer`].
    pub(crate) fn find(&self, name: &str, paths: Paths) -> Result<ModelId> {
        match (name, &self.default) {
            ("", Some(model)) => Ok(model.clone()),
            ("" | "selftest", _) => models::recognizer(name, paths),
            _ => match self.directory.find(name, ModelId::recognises) {
                Some(model) => Ok(model),
                None => models::recognizer(name, paths),
            },
        }
    }
}
