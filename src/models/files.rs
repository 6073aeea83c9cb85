//! Files that are ours alone, below `$XDG_DATA_HOME/speechctl/models`: what came from a URL or was imported; and how any
//! file is written in one step, or read without being led astray.

use super::{
    catalogue::source::Source,
    digest::Sums,
    hub::Announced,
    place::{Place, PlaceKind},
};
use crate::error::{Error, Kind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rustix::fs::OFlags;
use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What may stand in a file's name as it is. Not `~`, which marks names that were cut.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Bytes of a file's name without its ending; file systems have 255 for both.
const LONGEST: usize = 200;

/// What the names of temporary files begin and end with.
const TEMPORARY: (&str, &str) = (".speechctl-", ".tmp");

/// The folder of manifests.
pub(super) fn models(data: &Path) -> PathBuf {
    data.join("models")
}

/// The folder of files.
pub(super) fn files(data: &Path) -> PathBuf {
    models(data).join("files")
}

/// The folder of files of URLs that have not come whole.
pub(super) fn partial(data: &Path) -> PathBuf {
    files(data).join("partial")
}

/// Where a URL's file comes to lie: models/files/KEY/NAME. KEY is made of the URL without the `.json` of a voice's second
/// file, for the two must lie side by side.
///
/// # Errors
/// `InvalidInput` for a URL that names no file.
pub(crate) fn place(data: &Path, url: &str, announced: &Announced) -> Result<Place> {
    let source = Source::Url(url.to_owned());
    let name = percent_decode_str(source.file_name()).decode_utf8_lossy().into_owned();
    if name.is_empty() {
        return Err(Error::invalid(format!("`{url}` names no file")));
    }
    let (name, suffix) = match name.strip_suffix(".onnx.json").map(str::to_owned) {
        Some(stem) => (format!("{stem}.onnx"), ".json"),
        None => (name, ""),
    };
    let (path, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let path = path.strip_suffix(suffix).unwrap_or(path);
    let blob = files(data).join(sha256(format!("{path}{query}").as_bytes())).join(file_name(&name, suffix));
    let partial = partial(data).join(sha256(url.as_bytes()));
    let (tag, etag) = (partial.with_extension("etag"), announced.etag.clone());
    Ok(Place { lock: partial.with_extension("lock"), partial, blob, kind: PlaceKind::Url { tag, etag } })
}

/// A file's name for any name, and for each another one: with %XX for what cannot stand in it, cut where it is too long.
pub(super) fn file_name(name: &str, suffix: &str) -> String {
    let mut plain = utf8_percent_encode(name, PLAIN).to_string();
    // Neither hidden nor "..".
    if let Some(rest) = plain.strip_prefix('.') {
        plain = format!("%2E{rest}");
    }
    if plain.len() > LONGEST {
        // The ending stays: engines and people look at it.
        let ending = [".onnx", ".bin"].into_iter().find(|ending| plain.ends_with(ending)).unwrap_or_default();
        plain = format!("{}~{}{ending}", plain.chars().take(100).collect::<String>(), sha256(name.as_bytes()));
    }
    plain + suffix
}

/// The SHA-256 of a few bytes, in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut sums = Sums::new(None, None);
    sums.add(bytes);
    sums.end().sha256
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Makes names that are known as temporary.
pub(super) fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    builder
}

/// Whether a name is one of those.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// Writes a file in one step: it is there whole, or as it was.
///
/// # Errors
/// Whatever the system says.
pub(super) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    let mut fresh = temporary().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|failed| failed.error)?;
    sync_folder(folder);
    Ok(())
}

/// Makes a rename outlast a power cut, where the file system can. If it cannot, what was renamed is there all the same.
pub(super) fn sync_folder(folder: &Path) {
    File::open(folder).and_then(|folder| folder.sync_all()).unwrap_or_default();
}

/// Why a file of a model cannot be read: `NotFound` where it is not there, else `Io`.
pub(super) fn unreadable(path: &Path, cause: io::Error) -> Error {
    let kind = if cause.kind() == ErrorKind::NotFound { Kind::NotFound } else { Kind::Io };
    Error::new(kind, format!("cannot read `{}`", path.display())).because(cause)
}

/// Opens a file to read it. What is no file is refused, and no pipe makes this wait.
///
/// # Errors
/// Whatever the system says.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

/// A small file whole.
///
/// # Errors
/// Whatever the system says; for what has more than `most` bytes, too.
pub(super) fn read_small(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        true => Ok(bytes),
        false => Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))),
    }
}

/// Deletes a file or a link, if it is there; says whether it was.
///
/// # Errors
/// Whatever the system says.
pub(super) fn unlink(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn announced() -> Announced {
        Announced { commit: None, etag: None, digest: None, size: None }
    }

    #[test]
    fn both_files_of_a_voice_lie_side_by_side() {
        let data = Path::new("/d");
        let voice = place(data, "https://h/v/amy%20x.onnx?a=b", &announced()).expect("a place");
        let beside = place(data, "https://h/v/amy%20x.onnx.json?a=b", &announced()).expect("a place");
        assert_eq!(format!("{}.json", voice.blob.display()), beside.blob.display().to_string());
        assert!(voice.blob.ends_with("amy%20x.onnx") && voice.partial != beside.partial && voice.lock != beside.lock);
        let other = place(data, "https://h/v/amy%20x.onnx?a=c", &announced()).expect("a place");
        assert_ne!(other.blob, voice.blob, "another query may be another file");
        assert!(place(data, "https://h/", &announced()).is_err());
    }

    #[test]
    fn a_pipe_a_folder_and_what_is_too_large_are_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        assert!(read_small(&pipe, 9).is_err() && read_small(folder.path(), 9).is_err());
        let file = folder.path().join("file");
        fs::write(&file, "123").expect("written");
        assert_eq!(read_small(&file, 3).expect("it fits"), b"123");
        assert_eq!(read_small(&file, 2).expect_err("too large").kind(), ErrorKind::FileTooLarge);
        assert!(unlink(&file).expect("gone") && !unlink(&file).expect("it was gone"));
    }

    proptest! {
        #[test]
        fn any_name_makes_a_files_name_of_its_own(a in "\\PC{0,20}|[./%~a]{0,9}|.{90,120}", b in "\\PC{0,3}|[./%~a]{0,9}") {
            let (of_a, of_b) = (file_name(&a, ".json"), file_name(&b, ".json"));
            prop_assert_eq!(a == b, of_a == of_b);
            prop_assert!(of_a.len() <= 255 && !of_a.contains('/') && (a.is_empty() || !of_a.starts_with('.')));
            prop_assert!(!is_temporary(&of_a));
            if !of_a.contains('~') {
                let back = percent_decode_str(of_a.strip_suffix(".json").expect("its end")).decode_utf8_lossy().into_owned();
                prop_assert_eq!(back, a);
            }
        }

        #[test]
        fn no_url_leads_out_of_the_folder(url in "https://h/[a-z./%25eE2fF?#]{0,40}") {
            if let Ok(place) = place(Path::new("/d"), &url, &announced()) {
                let inside = place.blob.strip_prefix("/d/models/files").expect("inside");
                prop_assert_eq!(inside.components().filter(|part| matches!(part, std::path::Component::Normal(_))).count(), 2);
                prop_assert_eq!(inside.components().count(), 2);
            }
        }
    }
}
