//! The index of Piper's voices: fetched once a day at most, and kept.

use crate::{
    error::{Error, Kind, Result},
    models::{
        catalogue::{
            self, Package,
            source::{self, Source},
            voices::{self, Key},
            whisper,
        },
        hub::{self, Hub},
        library::Library,
    },
};

/// Looks up what names mean, and fetches the index when it is needed.
pub(super) struct Index<'a> {
    library: Library,
    origin: &'a Hub,
    is_offline: bool,
    known: Option<voices::Index>,
    is_fresh: bool,
}

impl<'a> Index<'a> {
    pub(super) fn new(settings: &hub::Settings, origin: &'a Hub) -> Self {
        let library = Library { cache: settings.cache.clone(), data: settings.data.clone() };
        let (known, is_fresh) = (library.index(), library.has_fresh_index());
        Self { library, origin, is_offline: settings.offline.is_some(), known, is_fresh }
    }

    /// What a name means.
    ///
    /// # Errors
    /// `NotFound`, with what is near it.
    pub(super) fn package(&mut self, name: &str) -> Result<Package> {
        if name.starts_with(['/', '.', '~']) {
            let way = "`speechctl models import` takes a file that you have";
            return Err(Error::invalid(format!("`{name}` is no name of a model; {way}")));
        }
        let is_voice = Key::parse(name).is_some();
        let is_elsewhere = whisper::find(name).is_some() || source::parse(name)?.is_some();
        if self.known.is_none() && is_voice && !is_elsewhere {
            // Without an index a voice is looked for where it has to be by its name.
            self.fetch().unwrap_or_else(|error| tracing::info!(%error, "No index of voices."));
        }
        match catalogue::package(name, self.known.as_ref()) {
            // It may be newer than the index that is known.
            Err(error) if error.kind() == Kind::NotFound && !is_elsewhere && !self.is_fresh && !self.is_offline => {
                self.fetch().unwrap_or_else(|error| tracing::info!(%error, "No index of voices."));
                catalogue::package(name, self.known.as_ref())
            }
            found => found,
        }
    }

    /// The index, fetched where the one that is known is older than a day.
    ///
    /// # Errors
    /// What the hub says, where none is known at all; else what is known will do.
    pub(super) fn voices(&mut self) -> Result<&voices::Index> {
        let is_enough = self.known.is_some() && (self.is_fresh || self.is_offline);
        let fetched = if is_enough { Ok(()) } else { self.fetch() };
        match (fetched, &mut self.known) {
            (Err(error), None) => Err(error),
            (_, known) => Ok(known.get_or_insert_default()),
        }
    }

    fn fetch(&mut self) -> Result<()> {
        self.is_fresh = true;
        let bytes = self.origin.small(&Source::Hub(voices::index_file()), voices::MAX_BYTES)?;
        self.known = Some(voices::Index::parse(&bytes)?);
        self.library.keep_index(&bytes)
    }
}
