//! The models of workers from elsewhere, by the names that requests use.

use crate::speech::ModelId;
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Who is known under which name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory(Arc<RwLock<Names>>);

#[derive(Debug, Default)]
struct Names {
    /// A recogniser and a synthesiser may go by one name.
    by_name: BTreeMap<String, Vec<ModelId>>,
    /// What the workers of a model call it, once one of them has said so.
    said: BTreeMap<ModelId, String>,
}

impl Names {
    fn add(&mut self, name: String, model: &ModelId) {
        let models = self.by_name.entry(name).or_default();
        if !models.contains(model) {
            models.push(model.clone());
        }
    }
}

impl Directory {
    /// Makes a model known under its own name.
    pub(super) fn announce(&self, model: &ModelId) {
        self.write().add(model.to_string(), model);
    }

    /// Writes down what the workers of a model call it. The first word counts: who says another is another.
    pub(super) fn learn(&self, name: &str, model: &ModelId) {
        if name.is_empty() {
            return;
        }
        let mut names = self.write();
        names.said.entry(model.clone()).or_insert_with(|| name.to_owned());
        names.add(name.to_owned(), model);
    }

    /// Writes down under which name a model of this machine is installed. Requests look that up each time: by then
    /// another file may have the name.
    pub(crate) fn call(&self, name: &str, model: &ModelId) {
        if self.said(model).is_none_or(|said| said != name) {
            self.write().said.insert(model.clone(), name.to_owned());
        }
    }

    /// What the workers of a model call it, where that is known.
    pub(crate) fn said(&self, model: &ModelId) -> Option<String> {
        self.read().said.get(model).cloned()
    }

    /// The name by which people know a model.
    pub(crate) fn name(&self, model: &ModelId) -> String {
        self.said(model).unwrap_or_else(|| model.to_string())
    }

    /// The model of this name that does what is wanted.
    pub(crate) fn find(&self, name: &str, does: impl Fn(&ModelId) -> bool) -> Option<ModelId> {
        self.read().by_name.get(name)?.iter().find(|model| does(model)).cloned()
    }

    /// Every model that is known.
    pub(crate) fn models(&self) -> Vec<ModelId> {
        let mut models: Vec<ModelId> = self.read().by_name.values().flatten().cloned().collect();
        models.sort();
        models.dedup();
        models
    }

    /// The map is whole between any two statements, so a panic elsewhere does not spoil it.
    fn read(&self) -> RwLockReadGuard<'_, Names> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Names> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
