//! Brings models to this machine: asks what their files are, fetches what is missing, checks it, and writes down what it is.
//!
//! All runs on the thread that calls, which is told of each step and may give up at any; what has come is kept then.

mod disk;
mod failure;
mod fetch;
mod state;
mod steps;

use super::{
    cache::Cache,
    catalogue::Package,
    hub::{Origin, Settings},
    manifest::{self, Manifest, Pinned},
    shelf::{self, Installed, Shelf, State},
};
use crate::error::{Error, Kind, Result};
use disk::{Disk, Missing};
use fetch::Fetch;
use std::{path::Path, time::Duration};

/// What it tells while it goes on; an error in return ends the pull, and what has come is kept.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    /// The server is asked what the files of this package are.
    Asking { name: &'a str },
    /// What is known of a file, before the first byte of any comes.
    Found {
        /// The package.
        name: &'a str,
        file: &'a str,
        /// Bytes, if the server says so.
        size: Option<u64>,
        /// Bytes that are there already.
        has: u64,
    },
    /// Nobody says what this package is now. All of it is here as it was pulled, and that will do.
    NotAsked { name: &'a str, error: &'a Error },
    /// So much of this file is on disk now, in bytes: less than before if it had to be begun anew.
    Came {
        /// The package, here as below: files of two packages may have one name.
        name: &'a str,
        file: &'a str,
        bytes: u64,
        /// Somebody else is pulling it.
        is_others: bool,
    },
    /// Nothing comes now.
    Waiting {
        name: &'a str,
        file: &'a str,
        for_what: &'a str,
        /// When it goes on.
        pause: Duration,
        /// What has failed.
        error: Option<&'a Error>,
    },
    /// What is on disk is read; so many bytes of it have been.
    Checking { name: &'a str, file: &'a str, bytes: u64 },
    /// The file is there, and right.
    Done {
        name: &'a str,
        file: &'a str,
        path: &'a Path,
        /// Bytes that came for it now, those included that were of no use.
        from_network: u64,
    },
}

/// What is wanted.
pub(crate) struct Wants<'a> {
    pub(crate) packages: &'a [Package],
    /// Whatever is there is checked again, and what is not what it was when it was first pulled is taken all the same.
    pub(crate) force: bool,
}

/// Who is told, and who waits.
struct Caller<'a> {
    tell: &'a mut dyn FnMut(Told<'_>) -> Result<()>,
    wait: &'a mut dyn FnMut(Duration) -> Result<()>,
}

/// What a pull stands on.
struct Ground<'a> {
    settings: &'a Settings,
    origin: &'a dyn Origin,
    disk: Disk<'a>,
    force: bool,
}

/// A package on its way.
struct Errand<'a> {
    package: &'a Package,
    way: Way<'a>,
}

/// How a package comes here.
enum Way<'a> {
    /// By its files.
    Fetch(Vec<Fetch<'a>>),
    /// It is here, and nobody is asked, or answers.
    Here(Installed),
}

impl Errand<'_> {
    /// What has yet to come.
    fn missing(&self) -> impl Iterator<Item = Missing<'_>> {
        let fetches = match &self.way {
            Way::Fetch(fetches) => fetches.as_slice(),
            Way::Here(_) => &[],
        };
        fetches.iter().filter_map(Fetch::missing).filter(|missing| missing.wants > 0)
    }
}

/// Pulls packages. All that there is to know of their files is asked before the first byte comes, and the files of one
/// package are of one commit. A package is installed when all of its files are there; those before one that fails stay.
/// Where nobody may be asked, or the server does not answer, what is pinned and whole will do, unless by force.
///
/// `wait` sleeps so long, or says why not.
///
/// # Errors
/// `InvalidInput` for the name of what was imported, what the server says, `Unavailable` after several tries, `Busy` if it asks for a long wait, `DataLoss` for what is not
/// what it was announced to be or was at first, `Io` for the disk, and what `tell` and `wait` say.
pub(crate) fn pull(
    wants: &Wants<'_>,
    settings: &Settings,
    origin: &dyn Origin,
    tell: &mut dyn FnMut(Told<'_>) -> Result<()>,
    wait: &mut dyn FnMut(Duration) -> Result<()>,
) -> Result<Vec<Installed>> {
    let ground = Ground { settings, origin, disk: Disk::REAL, force: wants.force };
    pull_on(&ground, wants.packages, &mut Caller { tell, wait })
}

fn pull_on(ground: &Ground<'_>, packages: &[Package], caller: &mut Caller<'_>) -> Result<Vec<Installed>> {
    let mut errands: Vec<Errand<'_>> = Vec::new();
    for package in packages {
        if errands.iter().all(|errand| errand.package.name != package.name) {
            let asked = asked(ground, package, caller);
            errands.push(asked.map_err(|error| error.context(format!("cannot pull `{}`", package.name)))?);
        }
    }
    let wanting: Vec<&str> =
        errands.iter().filter(|errand| errand.missing().next().is_some()).map(|errand| &*errand.package.name).collect();
    let missing: Vec<Missing<'_>> = errands.iter().flat_map(Errand::missing).collect();
    disk::look_for_room(&missing, ground.disk)
        .map_err(|error| error.context(format!("cannot pull `{}`", wanting.join("`, `"))))?;
    drop(missing);
    let mut installed = Vec::new();
    for Errand { package, way } in errands {
        let one = match way {
            Way::Fetch(fetches) => brought(ground, package, fetches, caller),
            Way::Here(installed) => here(package, installed, caller),
        };
        installed.push(one.map_err(|error| error.context(format!("cannot pull `{}`", package.name)))?);
    }
    Ok(installed)
}

/// Asks for all files of a package, where somebody can be asked.
fn asked<'a>(ground: &'a Ground<'a>, package: &'a Package, caller: &mut Caller<'_>) -> Result<Errand<'a>> {
    let (name, data) = (&package.name, &ground.settings.data);
    let before = match manifest::read(data, name) {
        Ok(manifest) => manifest,
        // One that is damaged is written anew; one of a later version knows more than this program.
        Err(error) if ground.force || error.kind() == Kind::DataLoss => None,
        Err(error) => return Err(error),
    };
    let pins = before.as_ref().map(|manifest| manifest.files.clone()).unwrap_or_default();
    let whole = before.filter(|_| !ground.force).and_then(|before| whole(ground, before));
    if let Some(file) = whole.as_ref().and_then(|whole| whole.files.first())
        && file.source.starts_with("file:")
    {
        let way = "remove it first, or `--force`";
        return Err(Error::invalid(format!("`{name}` is a model that you imported; {way}")));
    }
    let sources = package.parts.iter().map(|part| part.source.to_string());
    let whole = whole.filter(|whole| sources.eq(whole.files.iter().map(|file| file.source.clone())));
    if let (Some(_), Some(whole)) = (ground.settings.offline, &whole) {
        tell_found(package, whole, caller)?;
        return Ok(Errand { package, way: Way::Here(whole.clone()) });
    }
    (caller.tell)(Told::Asking { name })?;
    match (asked_for_all(ground, package, &pins, caller), whole) {
        (Ok(fetches), _) => Ok(Errand { package, way: Way::Fetch(fetches) }),
        (Err(error), Some(whole)) if error.kind() == Kind::Unavailable => {
            (caller.tell)(Told::NotAsked { name, error: &error })?;
            tell_found(package, &whole, caller)?;
            Ok(Errand { package, way: Way::Here(whole) })
        }
        (Err(error), _) => Err(error),
    }
}

/// What a manifest pins, if all of it is there.
fn whole(ground: &Ground<'_>, manifest: Manifest) -> Option<Installed> {
    let cache = Cache::new(ground.settings.cache.clone());
    Some(shelf::pinned(manifest, Some(&cache))).filter(|model| model.state == State::Pinned)
}

fn tell_found(package: &Package, whole: &Installed, caller: &mut Caller<'_>) -> Result<()> {
    package.parts.iter().zip(&whole.files).try_for_each(|(part, Pinned { size, .. })| {
        let file = part.source.file_name();
        (caller.tell)(Told::Found { name: &package.name, file, size: Some(*size), has: *size })
    })
}

/// Asks for all files of a package, those after the first at the commit of the first.
fn asked_for_all<'a>(
    ground: &'a Ground<'a>,
    package: &'a Package,
    pins: &[Pinned],
    caller: &mut Caller<'_>,
) -> Result<Vec<Fetch<'a>>> {
    let mut fetches: Vec<Fetch<'a>> = Vec::new();
    for part in &package.parts {
        let source = part.source.to_string();
        let pinned = pins.iter().find(|pinned| pinned.source == source).cloned();
        let commit = fetches.first().and_then(Fetch::commit);
        let mut fetch = Fetch::new(ground, &package.name, &part.source, commit, pinned);
        fetch.ask(caller)?;
        fetches.push(fetch);
    }
    for fetch in &fetches {
        let (size, has) = (fetch.size(), fetch.has());
        (caller.tell)(Told::Found { name: &package.name, file: fetch.file(), size, has })?;
    }
    Ok(fetches)
}

/// A package that is here already.
fn here(package: &Package, whole: Installed, caller: &mut Caller<'_>) -> Result<Installed> {
    for (part, Pinned { path, .. }) in package.parts.iter().zip(&whole.files) {
        let file = part.source.file_name();
        (caller.tell)(Told::Done { name: &package.name, file, path, from_network: 0 })?;
    }
    Ok(whole)
}

/// Brings all files of a package, and writes down what they are.
fn brought(
    ground: &Ground<'_>,
    package: &Package,
    fetches: Vec<Fetch<'_>>,
    caller: &mut Caller<'_>,
) -> Result<Installed> {
    let files: Result<Vec<Pinned>> = fetches.into_iter().map(|fetch| fetch.pull(caller)).collect();
    let settings = ground.settings;
    let manifest = Manifest { name: package.name.clone(), role: package.role, pulled: manifest::now(), files: files? };
    manifest::write(&settings.data, &manifest)?;
    let shelf = Shelf::look(&settings.cache, &settings.data);
    let found = shelf.models.into_iter().find(|model| model.name == package.name);
    found.ok_or_else(|| Error::new(Kind::Io, "its files are there, but it does not show; somebody removes it"))
}

#[cfg(test)]
mod tests;
