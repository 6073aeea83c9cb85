//! How a file comes to its place, and what may be in the way.

use super::*;
use crate::models::{cache::Cache, catalogue::source::HubFile, digest::Sums, hub::Announced};
use std::os::unix::fs::FileTypeExt;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn sum(bytes: &[u8]) -> String {
    let mut sums = Sums::new(None, None);
    sums.add(bytes);
    sums.end().sha256
}

fn announced(bytes: &[u8]) -> Announced {
    let digest = Digest::parse(&sum(bytes));
    Announced { commit: Some(COMMIT.to_owned()), etag: Some(sum(bytes)), digest, size: None }
}

fn place_in(root: &Path, path: &str, bytes: &[u8]) -> Place {
    let file = HubFile { repo: "o/r".into(), path: path.into(), revision: "main".into() };
    Cache::new(root.to_owned()).place(&file, &announced(bytes)).expect("a place")
}

#[test]
fn a_whole_file_gets_its_blob_its_link_and_its_branch() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("hub");
    let place = place_in(&root, "a/b/m.bin", b"model");
    place.prepare().expect("folders");
    let _lock = place.lock().expect("no error").expect("nobody has it");
    assert!(!place.has(None));
    fs::write(&place.partial, "model").expect("written");
    let path = place.settle(&sum(b"model")).expect("settled");
    let repo = root.join("models--o--r");
    assert_eq!(path, repo.join(format!("snapshots/{COMMIT}/a/b/m.bin")));
    assert_eq!(fs::read_link(&path).expect("a link"), Path::new(&format!("../../../../blobs/{}", sum(b"model"))));
    assert_eq!(fs::read(&path).expect("it leads there"), b"model");
    assert_eq!(fs::read_to_string(repo.join("refs/main")).expect("a branch"), COMMIT);
    assert!(root.join("CACHEDIR.TAG").is_file() && !place.partial.exists());
    assert!(place.has(Some(5)) && place.has(None) && !place.has(Some(4)));
    // Once more, with nothing that came: the same, and nothing temporary.
    assert_eq!(place.settle(&sum(b"model")).expect("settled"), path);
    let names = crate::models::cache::below(&root).0.into_iter().map(|(_, inside)| inside).collect::<Vec<_>>();
    assert_eq!(names.len(), 5, "tag, lock, blob, link, branch: {names:?}");
}

#[test]
fn what_is_in_the_way_is_replaced_or_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = place_in(folder.path(), "m.bin", b"model");
    place.prepare().expect("folders");
    let (digest, settle) = (sum(b"model"), || {
        fs::write(&place.partial, "model").expect("written");
        place.settle(&sum(b"model")).map_err(|error| error.kind())
    });
    // Damaged, a dangling link, a circle: the rename takes their place.
    fs::write(&place.blob, "mod").expect("written");
    assert!(!place.has(Some(5)));
    let link = settle().expect("a damaged blob is replaced");
    fs::remove_file(&place.blob).expect("gone");
    symlink(&digest, &place.blob).expect("a circle");
    assert!(!place.has(None));
    assert_eq!(settle(), Ok(link.clone()));
    fs::remove_file(&link).expect("gone");
    symlink("/nowhere/at/all", &link).expect("a link");
    fs::write(folder.path().join("models--o--r/refs/main"), "x".repeat(9999)).expect("written");
    settle().expect("the link and the branch are put right");
    assert_eq!(fs::read(&link).expect("it leads there"), b"model");
    assert_eq!(fs::read_to_string(folder.path().join("models--o--r/refs/main")).expect("a branch"), COMMIT);
    // Folders are not deleted.
    fs::remove_file(&link).expect("gone");
    fs::create_dir(&link).expect("a folder");
    assert_eq!(settle(), Err(Kind::Io));
    fs::remove_dir(&link).expect("gone");
    fs::remove_file(&place.blob).expect("gone");
    fs::create_dir(&place.blob).expect("a folder");
    assert_eq!(settle(), Err(Kind::Io));
    assert!(!place.has(None));
}

#[test]
fn nothing_and_the_wrong_thing_are_not_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = place_in(folder.path(), "m.bin", b"model");
    place.prepare().expect("folders");
    assert_eq!(place.settle(&sum(b"model")).expect_err("nothing came").kind(), Kind::Io);
    fs::write(&place.partial, "other").expect("written");
    assert_eq!(place.settle(&sum(b"other")).expect_err("another file").kind(), Kind::DataLoss);
    assert!(place.partial.exists() && !place.blob.exists());
}

#[test]
fn what_an_earlier_pull_has_left_never_takes_the_place_of_a_whole_blob() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = place_in(folder.path(), "m.bin", b"model");
    place.prepare().expect("folders");
    for left in ["mod", "modem", "model"] {
        fs::write(&place.blob, "model").expect("another program has brought it");
        fs::write(&place.partial, left).expect("written");
        let path = place.settle(&sum(b"model")).expect("settled");
        assert_eq!(fs::read(path).expect("it leads there"), b"model");
        assert!(!place.partial.exists());
    }
    // A blob that is damaged makes room for what has come.
    fs::write(&place.blob, "modem").expect("damaged");
    fs::write(&place.partial, "model").expect("written");
    assert_eq!(fs::read(place.settle(&sum(b"model")).expect("settled")).expect("it leads there"), b"model");
}

#[test]
fn one_at_a_time_has_the_lock_and_a_deleted_lock_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = place_in(folder.path(), "m.bin", b"model");
    place.prepare().expect("folders");
    let lock = place.lock().expect("no error").expect("nobody has it");
    assert!(place.lock().expect("no error").is_none());
    drop(lock);
    let lock = place.lock().expect("no error").expect("free again");
    fs::remove_file(&place.lock).expect("deleted");
    let other = place.lock().expect("no error").expect("another file");
    assert!(place.lock().expect("no error").is_none());
    drop((lock, other));
    assert!(place.lock.ends_with(format!(".locks/models--o--r/{}.lock", sum(b"model"))));
    // A lock is never followed elsewhere, and is a file.
    fs::remove_file(&place.lock).expect("deleted");
    symlink("elsewhere", &place.lock).expect("a link");
    assert_eq!(place.lock().expect_err("a link").kind(), Kind::Io);
    assert!(!place.lock.with_file_name("elsewhere").exists());
    fs::remove_file(&place.lock).expect("deleted");
    rustix::fs::mknodat(rustix::fs::CWD, &place.lock, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    assert!(fs::metadata(&place.lock).expect("there").file_type().is_fifo());
    assert_eq!(place.lock().expect_err("a pipe").kind(), Kind::Io);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("hub"), "a file").expect("written");
    let error = place_in(&folder.path().join("hub"), "m.bin", b"m").prepare().expect_err("a file is in the way");
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("/hub`; something else is there"), "{error}");
    let denied = cannot_write(Path::new("/c"), ErrorKind::ReadOnlyFilesystem.into());
    assert!(denied.to_string().starts_with("cannot write `/c`; set HF_"), "{denied}");
}

#[test]
fn the_way_out_names_the_variable_that_counts() {
    let way = |path: &str, cause, more: &'static [(&'static str, &'static str)]| {
        let pairs = [("HF_HOME", "/d/speechctl/hf"), ("XDG_DATA_HOME", "/d")];
        let env = |name: &str| more.iter().chain(&pairs).find(|(key, _)| *key == name).map(|(_, value)| value.into());
        way_out(Path::new(path), cause, env)
    };
    use ErrorKind::{PermissionDenied, QuotaExceeded, TimedOut};
    let of_yours = |variable: &str| format!("; set {variable} to a folder of yours");
    let both = &[("HF_HUB_CACHE", "/c"), ("HUGGINGFACE_HUB_CACHE", "/o")];
    assert_eq!(way("/c/blobs/x", PermissionDenied, both), of_yours("HF_HUB_CACHE"));
    assert_eq!(way("/o/x", PermissionDenied, &[("HUGGINGFACE_HUB_CACHE", "/o")]), of_yours("HUGGINGFACE_HUB_CACHE"));
    assert_eq!(way("/d/speechctl/models/x", PermissionDenied, both), of_yours("XDG_DATA_HOME"));
    assert_eq!(way("/d/speechctl/hf/hub/x", PermissionDenied, &[]), of_yours("HF_HOME"), "a cache among our files");
    let elsewhere = "; free some room, or set HF_HOME to a folder elsewhere";
    assert_eq!(way("/c/x", QuotaExceeded, &[("HF_HUB_CACHE", "")]), elsewhere);
    assert_eq!(way("/c/x", TimedOut, both), "");
}

#[test]
fn a_partial_file_of_a_url_is_gone_on_with_only_if_it_is_the_same_file_still() {
    let folder = tempfile::tempdir().expect("a folder");
    let place_of = |etag: Option<&str>| {
        let announced = Announced { commit: None, etag: etag.map(str::to_owned), digest: None, size: None };
        let place = files::place(folder.path(), "https://h/m.bin", &announced).expect("a place");
        place.prepare().expect("folders");
        place
    };
    let goes_on = |etag: Option<&str>| {
        let place = place_of(etag);
        drop(place.lock().expect("no error").expect("nobody has it"));
        let goes_on = place.partial.exists();
        fs::write(&place.partial, "some").expect("written");
        goes_on
    };
    let long = "x".repeat(2000);
    let asked = [None, Some("\"a\""), Some("\"a\""), Some("\"b\""), None, Some("\"b\""), Some(&long), Some(&long)];
    assert_eq!(asked.map(goes_on), [false, false, true, false, false, false, false, false]);
    let place = place_of(Some("\"c\""));
    // While somebody else is at it, nothing is touched.
    let _lock = place_of(Some(&long)).lock().expect("no error").expect("nobody has it");
    fs::write(&place.partial, "some").expect("written");
    assert!(place.lock().expect("no error").is_none() && place.partial.exists());
    let path = place.settle(&sum(b"some")).expect("settled");
    assert!(path.starts_with(folder.path().join("models/files")) && path.ends_with("m.bin"));
    let mode = fs::metadata(folder.path().join("models")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let left = fs::read_dir(files::partial(folder.path())).expect("there").count();
    assert_eq!(left, 1, "the lock alone");
}
