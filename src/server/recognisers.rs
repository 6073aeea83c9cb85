//! What is meant by the name of a recogniser.

use crate::{
    error::Result,
    models::{
        Paths,
        library::{Library, Meant, Need},
    },
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
    /// Those that are installed.
    pub(crate) library: Library,
}

impl Recognisers {
    /// The one that a request means.
    ///
    /// # Errors
    /// As [`Library::recogniser`].
    pub(crate) fn find(&self, need: Need<'_>, paths: Paths) -> Result<ModelId> {
        match (need.name, &self.default) {
            ("", Some(model)) => Ok(model.clone()),
            ("" | "selftest", _) => self.installed(need, paths),
            (name, _) => match self.directory.find(name, ModelId::recognises) {
                Some(model) => Ok(model),
                None => self.installed(need, paths),
            },
        }
    }

    /// One of this machine. It goes by the name under which it is installed.
    fn installed(&self, need: Need<'_>, paths: Paths) -> Result<ModelId> {
        tokio::task::block_in_place(|| Ok(self.called(self.library.recogniser(need, paths)?)))
    }

    /// The model of this machine that has a name, whatever it does.
    ///
    /// # Errors
    /// As [`Library::model`].
    pub(crate) fn any(&self, name: &str, paths: Paths) -> Result<ModelId> {
        tokio::task::block_in_place(|| Ok(self.called(self.library.model(name, paths)?)))
    }

    /// The model, which goes by its name from now on.
    pub(crate) fn called(&self, Meant { model, name }: Meant) -> ModelId {
        // A session that goes on names its file.
        let name = name.or_else(|| match self.directory.said(&model) {
            Some(_) => None,
            None => self.library.name_of(&model),
        });
        if let Some(name) = name {
            self.directory.call(&name, &model);
        }
        model
    }
}
