//! Models that are installed on this machine, and those that could be, as lists of models show them.

use crate::{
    models::{
        catalogue::{self, Package, Role, voices::Index, whisper},
        shelf::{Installed, Shelf},
    },
    proto::v1 as pb,
    speech::ModelId,
};

/// What identifies an installed model to workers.
pub(super) fn id(installed: &Installed) -> ModelId {
    match installed.role {
        Role::Recogniser => ModelId::Whisper(installed.path.clone()),
        Role::Voice => ModelId::Piper(installed.path.clone()),
    }
}

/// The model with what is known of its files.
pub(super) fn described(model: pb::Model, installed: &Installed) -> pb::Model {
    pb::Model {
        name: installed.name.clone(),
        languages: installed.languages.clone(),
        size_bytes: i64::try_from(installed.size).unwrap_or(i64::MAX),
        ..model
    }
}

/// What could be installed: Whisper's models, and the voices of the index, if it is at hand.
pub(super) fn available(shelf: &Shelf, index: Option<&Index>) -> Vec<pb::Model> {
    let models = whisper::names().filter_map(|name| catalogue::package(name, None).ok());
    let voices = index.into_iter().flat_map(Index::voices).map(catalogue::voices::Entry::package);
    let missing = models.chain(voices).filter(|package| shelf.find(&package.name).is_none());
    missing.map(|package| not_installed(&package)).collect()
}

fn not_installed(package: &Package) -> pb::Model {
    let (engine, capability) = match package.role {
        Role::Recogniser => ("whisper", pb::Capability::Recognition),
        Role::Voice => ("piper", pb::Capability::Synthesis),
    };
    let size: u64 = package.parts.iter().filter_map(|part| part.size).sum();
    pb::Model {
        name: package.name.clone(),
        engine: engine.to_owned(),
        state: pb::ModelState::NotInstalled.into(),
        capabilities: vec![capability.into()],
        languages: package.languages(),
        size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        ..Default::default()
    }
}
