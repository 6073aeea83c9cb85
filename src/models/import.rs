//! Brings a model of the user's own: looks at it, copies it, pins it.
//!
//! All is made in a folder with a temporary name, which gets its own name in one step; who is killed before leaves that
//! folder, and nothing else has changed.

use super::{
    catalogue::{Role, voices::Key, whisper},
    digest::{self, Sums},
    files::{self, unreadable},
    library::{is_built_in, is_built_in_voice},
    manifest::{self, Manifest, Pinned},
    place,
    shelf::{self, Installed, State},
};
use crate::error::{Error, Kind, Result};
use rustix::fs::{FlockOperation, flock, ioctl_ficlone};
use serde_json::{Map, Value};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The longest name, bytes.
const LONGEST_NAME: usize = 64;

/// Read and written at once, bytes.
const PIECE: usize = 1 << 20;

/// How a ggml file begins: 0x67676d6c, little-endian (whisper.cpp, `GGML_FILE_MAGIC`).
const GGML: &[u8] = b"lmgg";

/// How an ONNX file begins: field 1 of ModelProto, a number, `ir_version` (onnx.proto). It is 14 today; 127 is what one
/// byte holds.
const ONNX: u8 = 8;

/// What somebody who knows the engine says of a file before it is taken.
pub(crate) type Check<'a> = &'a dyn Fn(&Path, Role) -> Result<()>;

/// Brings a model: a ggml file that ends with .bin, or a Piper voice that ends with .onnx and has its .onnx.json beside
/// it. Without a name it is called as its file. `each` is told the bytes copied so far and ends it with an error; `check`
/// looks at the copy, whose other file is beside it.
///
/// # Errors
/// `NotFound`, `InvalidInput` for what is no model, or a name that cannot be or is another model's; `Io`; those of `each`
/// and `check`.
pub(crate) fn import(
    file: &Path,
    name: Option<&str>,
    data: &Path,
    each: &mut dyn FnMut(u64) -> Result<()>,
    check: Check<'_>,
) -> Result<Installed> {
    let file = std::path::absolute(file).map_err(|cause| unreadable(file, cause))?;
    let role = role_of(&file)?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => name_of(&file)?,
    };
    check_name(&name)?;
    let is_of_other = match role {
        Role::Recogniser => Key::parse(&name).is_some(),
        Role::Voice => whisper::find(&name).is_some(),
    };
    if is_of_other {
        let message = format!("`{name}` would be taken for a model of the other kind; give another name with --name");
        return Err(Error::invalid(message));
    }
    let sources = sources(&file, role)?;
    sources.iter().try_for_each(|path| look(path, role))?;
    // Before it is copied, what is wrong is said of the file that the user knows.
    check(&file, role)?;

    let folder = files::files(data);
    place::make_folder(&folder, 0o700)?;
    let fresh = files::temporary().tempdir_in(&folder).map_err(|cause| place::cannot_write(&folder, cause))?;
    // For as long as this is held, it is nothing that was left.
    let lock = File::open(fresh.path()).map_err(|cause| place::cannot_write(fresh.path(), cause))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap_or_default();

    let (mut pinned, mut before) = (Vec::new(), 0_u64);
    for source in &sources {
        let suffix = if source == &file { ending(role).to_owned() } else { format!("{}.json", ending(role)) };
        let copy = fresh.path().join(files::file_name(&name, &suffix));
        let mut each = |count| each(before.saturating_add(count));
        let (size, sha256) = copied(source, &copy, &mut each)?;
        before = before.saturating_add(size);
        let source = format!("file:{}", source.to_string_lossy());
        pinned.push(Pinned { source, commit: None, size, sha256, path: copy });
    }
    // Of what lies in our own folder, nobody changes anything after this.
    for copy in &pinned {
        look(&copy.path, role)?;
    }
    let first = pinned.first().map(|file| file.path.clone()).unwrap_or_default();
    check(&first, role).map_err(|error| error.context(format_args!("cannot import `{}`", file.display())))?;
    refuse_another(&name, &pinned, data)?;

    let key: String = pinned.iter().map(|file| file.sha256.as_str()).collect();
    let key = if role == Role::Voice { files::sha256(key.as_bytes()) } else { key };
    settle(fresh, &folder.join(key), &mut pinned)?;
    let manifest = Manifest { name, role, pulled: manifest::now(), files: pinned };
    manifest::write(data, &manifest)?;
    Ok(shelf::pinned(manifest, None))
}

/// Gives the folder its own name. If there is one of that name, it was made for files of the same digests; so what is in
/// it is replaced, for it may be damaged.
fn settle(fresh: tempfile::TempDir, target: &Path, files: &mut [Pinned]) -> Result<()> {
    let failed = |cause| place::cannot_write(target, cause);
    files::sync_folder(fresh.path());
    let is_new = match fs::rename(fresh.path(), target) {
        Ok(()) => true,
        Err(_) if target.is_dir() => false,
        Err(cause) => return Err(failed(cause)),
    };
    // The second file of a voice first, for the first is the one that is looked for.
    for file in files.iter_mut().rev() {
        let path = target.join(file.path.file_name().unwrap_or_default());
        if !is_new {
            fs::rename(&file.path, &path).map_err(failed)?;
        }
        file.path = path;
    }
    files::sync_folder(target);
    files::sync_folder(files::folder_of(target));
    if is_new {
        // It is not there any more under its temporary name.
        let _path = fresh.keep();
    }
    Ok(())
}

fn ending(role: Role) -> &'static str {
    match role {
        Role::Recogniser => ".bin",
        Role::Voice => ".onnx",
    }
}

/// What a file is, by its ending.
fn role_of(file: &Path) -> Result<Role> {
    let ending = file.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("bin") => Ok(Role::Recogniser),
        Some("onnx") => Ok(Role::Voice),
        _ if file.is_dir() => {
            Err(Error::invalid(format!("`{}` is a folder; name the file of a model in it", file.display())))
        }
        _ => {
            let way = "a ggml Whisper model ends with .bin, a Piper voice with .onnx";
            Err(Error::invalid(format!("`{}`: its name does not say what it is; {way}", file.display())))
        }
    }
}

/// What a model is called that was given no name.
fn name_of(file: &Path) -> Result<String> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| Error::invalid(format!("`{}`: give it a name with --name", file.display())))?;
    Ok(whisper::find(stem).unwrap_or(stem).to_owned())
}

/// A name that means nothing else yet, can be typed, and is no path.
fn check_name(name: &str) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    let why = if name.is_empty() || name.len() > LONGEST_NAME {
        "it wants 1 to 64 bytes"
    } else if name.contains(char::is_control) || name.contains(['/', '\\']) || name.trim() != name {
        "it may have no slash, no control character, and no space at its ends"
    } else if name.starts_with(['.', '-']) {
        "it may not begin with . or -"
    } else if is_built_in_voice(&lower) {
        "that is a voice of espeak, which is built in"
    } else if is_built_in(&lower) || lower.starts_with("hf:") || lower.starts_with("http") || lower.ends_with(".onnx") {
        "that means something else"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "`{}` cannot be the name of a model: {why}; give another with --name",
        name.escape_debug()
    )))
}

/// The files of a model.
fn sources(file: &Path, role: Role) -> Result<Vec<PathBuf>> {
    let beside = file.with_added_extension("json");
    let mut all = vec![file.to_owned()];
    if role == Role::Voice {
        if !beside.is_file() && file.is_file() {
            let why = "a Piper voice is both files; put it there";
            let message = format!("`{}` has no `{}` beside it; {why}", file.display(), beside.display());
            return Err(Error::new(Kind::NotFound, message));
        }
        all.push(beside);
    }
    Ok(all)
}

/// Looks at how a file begins, or, of a voice's second file, whether it can be read.
fn look(path: &Path, role: Role) -> Result<()> {
    let wrong = |what: &str| Err(Error::invalid(format!("`{}` is no {what}", path.display())));
    if path.extension().is_some_and(|end| end == "json") {
        let json = files::read_small(path, shelf::MOST_VOICE_JSON).map_err(|cause| unreadable(path, cause))?;
        return match serde_json::from_slice::<Map<String, Value>>(&json) {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::invalid(format!("`{}` is no JSON object", path.display())).because(cause)),
        };
    }
    let mut begin = Vec::new();
    let read = files::open(path).and_then(|file| file.take(4).read_to_end(&mut begin));
    read.map_err(|cause| unreadable(path, cause))?;
    match (role, begin.as_slice()) {
        (Role::Recogniser, GGML) => Ok(()),
        (Role::Recogniser, _) => wrong("ggml file, as whisper.cpp has them"),
        (Role::Voice, [ONNX, 1..=127, ..]) => Ok(()),
        (Role::Voice, _) => wrong("ONNX file"),
    }
}

/// Copies a file: shares its blocks where the file system can, else byte for byte. Gives its size and SHA-256.
fn copied(source: &Path, copy: &Path, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<(u64, String)> {
    let mut from = files::open(source).map_err(|cause| unreadable(source, cause))?;
    let size = from.metadata().map_err(|cause| unreadable(source, cause))?.len();
    let mut to = File::options().read(true).write(true).create_new(true).open(copy);
    let to = to.as_mut().map_err(|cause| place::cannot_write(copy, io::Error::from(cause.kind())))?;
    let (length, sha256) = if ioctl_ficlone(&*to, &from).is_ok() {
        let length = to.metadata().map_err(|cause| unreadable(copy, cause))?.len();
        (length, digest::of_file(copy, None, each)?.sha256)
    } else {
        let (mut sums, mut length, mut piece) = (Sums::new(None, None), 0_u64, vec![0; PIECE]);
        loop {
            let count = match from.read(&mut piece) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|cause| unreadable(source, cause))?,
            };
            let bytes = piece.get(..count).unwrap_or_default();
            length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            // One that grows all the time would never end.
            if count == 0 || length > size {
                break;
            }
            sums.add(bytes);
            to.write_all(bytes).map_err(|cause| place::cannot_write(copy, cause))?;
            each(length)?;
        }
        (length, sums.end().sha256)
    };
    if length != size {
        return Err(Error::new(Kind::Io, format!("`{}` changes while it is read; try again", source.display())));
    }
    to.sync_all().map_err(|cause| place::cannot_write(copy, cause))?;
    Ok((size, sha256))
}

/// A name stays that of the model it was given to.
fn refuse_another(name: &str, files: &[Pinned], data: &Path) -> Result<()> {
    // One that cannot be read is no reason not to write a good one.
    let Ok(Some(there)) = manifest::read(data, name) else { return Ok(()) };
    let is_same = there.files.iter().map(|file| &file.sha256).eq(files.iter().map(|file| &file.sha256));
    let is_gone = shelf::pinned(there, None).state == State::Gone;
    if is_same || is_gone {
        return Ok(());
    }
    let way = format!("`speechctl models remove {name}` first, or give another name with --name");
    Err(Error::invalid(format!("there is another model of the name `{name}`; {way}")))
}

#[cfg(test)]
mod tests;
