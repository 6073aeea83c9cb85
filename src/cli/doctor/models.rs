//! The models that are installed, and whether they are whole.

use super::{
    finding::Finding,
    patience::{self, LOOK},
};
use crate::{
    client::stt::is_path,
    error::{Error, Kind, Result},
    models::{
        catalogue::{Role, whisper},
        library::is_built_in,
        remove,
        shelf::{Installed, Shelf, State},
        verify,
    },
    size,
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const NAME: &str = "model";

/// The variable that asks for a model where no flag does.
pub(super) const WISH: &str = "SPEECHCTL_MODEL";

/// Bytes of a model that any disk reads in a second.
const SLOW_DISK: u64 = 10_000_000;

/// What is installed, and what is to be said of all of it together. `wish` is the model that the environment asks for.
pub(super) async fn shelf(cache: &Path, data: &Path, wish: Option<OsString>) -> (Vec<Installed>, Vec<Finding>) {
    let (cache, data) = (cache.to_owned(), data.to_owned());
    let look = move || {
        let shelf = Shelf::look(&cache, &data);
        let found = of_all(&shelf, wish, &remove::partials(&cache, &data));
        (shelf.models, found)
    };
    patience::on_thread(LOOK, look)
        .await
        .unwrap_or_else(|error| (Vec::new(), vec![Finding::of_error("models", &error)]))
}

fn of_all(shelf: &Shelf, wish: Option<OsString>, partials: &[(PathBuf, u64)]) -> Vec<Finding> {
    let mut found = vec![of_count(&shelf.models)];
    let repair = "pull the model again, or remove that file";
    found.extend(shelf.damaged.iter().map(|error| Finding::of_error("models", error).or_way_out(repair)));
    found.extend(wish.and_then(|wish| of_wish(shelf, &wish.to_string_lossy())));
    if !partials.is_empty() {
        let size: u64 = partials.iter().map(|(_, size)| size).sum();
        let files = if partials.len() == 1 { "1 file".to_owned() } else { format!("{} files", partials.len()) };
        let what = format!("{files} of downloads that have not ended, {}", size::in_words(size));
        let way_out = "`speechctl models pull` goes on with them, `speechctl models remove --partial` deletes them";
        found.push(Finding::note("downloads", what, way_out));
    }
    found
}

fn of_count(models: &[Installed]) -> Finding {
    let count = |role: Role| models.iter().filter(|model| model.role == role && model.state != State::Gone).count();
    let number = |count: usize, one: &str| match count {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let (recognisers, voices) = (count(Role::Recogniser), count(Role::Voice));
    let found = format!("{} and {} installed", number(recognisers, "recogniser"), number(voices, "Piper voice"));
    match recognisers {
        0 => Finding::note("models", found, format!("`speechctl models pull {}` gets a first one", whisper::FIRST)),
        _ => Finding::ok("models", found),
    }
}

/// The model that the environment asks for, where it cannot be had.
fn of_wish(shelf: &Shelf, name: &str) -> Option<Finding> {
    let is_installed = || shelf.find(name).is_some_and(|model| model.role == Role::Recogniser);
    let is_there = if is_path(name) { Path::new(name).exists() } else { is_installed() };
    match is_built_in(name) || is_there {
        true => None,
        false => {
            let found = format!("{WISH} asks for `{name}`, which is not here");
            Some(Finding::wrong("models", Kind::NotInstalled, found, format!("unset {WISH}, or pull that model")))
        }
    }
}

/// Looks at one: whether its files are there and as long as they were, and whether they hold what they should.
pub(super) async fn finding(model: Installed, is_full: bool) -> Finding {
    let limit = match is_full {
        true => LOOK + Duration::from_secs(model.size / SLOW_DISK),
        false => LOOK,
    };
    patience::finding(NAME, limit, move || look(&model, is_full, Instant::now() + limit)).await
}

fn look(model: &Installed, is_full: bool, deadline: Instant) -> Finding {
    let name = &model.name;
    let unreadable = || verify::looks_whole(&model.path, model.role).err();
    let changed = || if is_full { digests(model, deadline).err() } else { None };
    let fault = missing_or_cut(model).or_else(unreadable).or_else(changed);
    let role = match model.role {
        Role::Recogniser => "recogniser",
        Role::Voice => "Piper voice",
    };
    match fault {
        Some(error) => {
            let error = error.context(format!("`{name}`"));
            Finding::of_error(NAME, &error).with_way_out(verify::way_out(model, error.kind()))
        }
        None => {
            let pinned = match (is_full, model.state) {
                (true, _) => ", its digests are right",
                (false, State::NotPinned) => ", not pinned: `--full` compares its digests",
                (false, _) => "",
            };
            Finding::ok(NAME, format!("`{name}`, {role}, {}{pinned}", size::in_words(model.size)))
        }
    }
}

/// What has another size than it had, or is not there.
fn missing_or_cut(model: &Installed) -> Option<Error> {
    for file in &model.files {
        let path = file.path.display();
        let error = match fs::metadata(&file.path) {
            Ok(found) if found.len() == file.size => continue,
            Ok(found) => {
                let (has, had) = (found.len(), file.size);
                Error::new(Kind::DataLoss, format!("`{path}` has {has} bytes instead of {had}"))
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Error::new(Kind::NotInstalled, format!("`{path}` is gone"))
            }
            Err(cause) => Error::new(Kind::Io, format!("cannot look at `{path}`")).because(cause),
        };
        return Some(error);
    }
    // Whatever the shelf has seen in it.
    let is_gone = model.state == State::Gone;
    is_gone.then(|| Error::new(Kind::NotInstalled, "its files are gone"))
}

fn digests(model: &Installed, deadline: Instant) -> Result<()> {
    let mut each = |_| match Instant::now() < deadline {
        true => Ok(()),
        false => Err(Error::new(Kind::Deadline, "the disk is too slow to compare digests")),
    };
    match verify::check(model, &mut each)?.fault() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_asked_for_must_be_there() {
        let shelf = Shelf::default();
        for there in ["selftest", "mock", "mock:slow", "/proc/self/exe"] {
            assert!(of_wish(&shelf, there).is_none(), "{there}");
        }
        for gone in ["base.en", "mockingbird", "/no/such.bin"] {
            let line = of_wish(&shelf, gone).expect("it is not there").line();
            assert!(line.starts_with("wrong  models        SPEECHCTL_MODEL asks for `"), "{line}");
        }
    }

    #[test]
    fn what_downloads_have_left_is_one_note() {
        let shelf = Shelf { damaged: vec![Error::new(Kind::DataLoss, "`x.json` is cut")], ..Shelf::default() };
        let partials = [(PathBuf::from("a"), 1 << 20), (PathBuf::from("b"), 2 << 20)];
        let lines: Vec<String> = of_all(&shelf, None, &partials).iter().map(Finding::line).collect();
        assert!(lines[0].starts_with("note   models        no recogniser and no Piper voice installed; "), "{lines:?}");
        assert_eq!(lines[1], "wrong  models        `x.json` is cut; pull the model again, or remove that file");
        assert!(
            lines[2].starts_with("note   downloads     2 files of downloads that have not ended, 3.0 MiB; "),
            "{lines:?}"
        );
        assert_eq!(of_all(&shelf, None, &[]).len(), 2);
    }
}
