//! What goes, and above all what stays.

use super::*;
use crate::models::{
    cache::tests::{Made, ONE, TWO, WHISPER},
    catalogue::Role,
    manifest::{Manifest, Pinned},
    shelf::{Shelf, State},
};
use proptest::prelude::*;
use std::{os::unix::fs::symlink, time::SystemTime};

fn data(made: &Made) -> PathBuf {
    made.0.path().join("data")
}

fn model(made: &Made, name: &str) -> Installed {
    Shelf::look(made.0.path(), &data(made)).models.into_iter().find(|model| model.name == name).expect("it is listed")
}

fn removed(made: &Made, name: &str) -> Freed {
    remove(&model(made, name), made.0.path(), &data(made), false).expect("removed")
}

/// All files and links of a folder.
fn tree(folder: &Path) -> Vec<String> {
    cache::below(folder).0.into_iter().map(|(_, inside)| inside).collect()
}

fn pin(made: &Made, name: &str, paths: &[&Path]) {
    let file = |path: &&Path| {
        let text = fs::read(path).expect("there");
        let sha256 = files::sha256(&text);
        Pinned { source: "file:/m".into(), commit: None, size: text.len() as u64, sha256, path: path.to_path_buf() }
    };
    let (role, files) = (Role::Recogniser, paths.iter().map(file).collect());
    manifest::write(&data(made), &Manifest { name: name.into(), role, pulled: String::new(), files }).expect("written");
}

/// A file of ours, as import leaves it.
fn own(made: &Made, key: char, name: &str) -> PathBuf {
    let path = files::files(&data(made)).join(key.to_string().repeat(64)).join(name);
    fs::create_dir_all(files::folder_of(&path)).expect("folders");
    fs::write(&path, "model").expect("written");
    path
}

fn base(made: &Made) -> PathBuf {
    made.branch(WHISPER, "main", ONE);
    made.with(WHISPER, ONE, "ggml-base.bin", "model")
}

#[test]
fn the_last_model_takes_its_blob_its_branch_and_its_folders_along() {
    let made = Made::new();
    pin(&made, "base", &[&base(&made)]);
    made.branch(WHISPER, "refs/pr/1", ONE);
    made.branch(WHISPER, "v2", TWO);
    assert_eq!(removed(&made, "base"), Freed { bytes: 5, left: Vec::new() });
    assert_eq!(tree(&made.repo(WHISPER)), ["refs/v2"], "of another commit, which is not ours to judge");
    assert!(!made.repo(WHISPER).join("snapshots").exists() && !made.repo(WHISPER).join("refs/refs").exists());
    assert!(manifest::all(&data(&made)).is_empty());
    base(&made);
    fs::remove_dir_all(made.repo(WHISPER).join("refs")).expect("gone");
    made.branch(WHISPER, "main", ONE);
    removed(&made, "base");
    assert!(!made.repo(WHISPER).exists());
}

#[test]
fn a_blob_that_another_snapshot_leads_to_stays() {
    let made = Made::new();
    base(&made);
    let other = made.with(WHISPER, TWO, "other/name.bin", "model");
    assert_eq!(removed(&made, "base"), Freed::default());
    assert_eq!(fs::read(&other).expect("there"), b"model");
    assert_eq!(tree(&made.repo(WHISPER)).len(), 2, "the blob and that link");
    // Nor goes one while not every snapshot can be looked into.
    base(&made);
    fs::remove_file(&other).expect("gone");
    let deep = made.repo(WHISPER).join("snapshots").join(TWO).join("d/".repeat(40));
    fs::create_dir_all(&deep).expect("folders");
    assert_eq!(removed(&made, "base").bytes, 0);
    assert!(made.repo(WHISPER).join("blobs").join(files::sha256(b"model")).exists());
}

#[test]
fn other_files_of_the_snapshot_keep_it_and_its_branch() {
    let made = Made::new();
    base(&made);
    made.with(WHISPER, ONE, "ggml-tiny.bin", "tiny");
    assert_eq!(removed(&made, "base").bytes, 5);
    let shelf = Shelf::look(made.0.path(), &data(&made));
    assert_eq!(shelf.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["tiny"]);
}

#[test]
fn what_lies_in_the_shared_store_or_elsewhere_stays() {
    let made = Made::new();
    let link = base(&made);
    let store = made.0.path().join("blobs/ab");
    fs::create_dir_all(&store).expect("folders");
    let blob = link.canonicalize().expect("a blob");
    fs::rename(&blob, store.join("xet")).expect("moved");
    symlink("../../blobs/ab/xet", &blob).expect("a link");
    assert_eq!(removed(&made, "base"), Freed::default());
    assert!(store.join("xet").is_file() && !made.repo(WHISPER).exists());
    // A link of the user's to a file of theirs.
    let link = base(&made);
    fs::remove_file(&link).expect("gone");
    symlink(store.join("xet"), &link).expect("a link");
    assert_eq!(removed(&made, "base").bytes, 0);
    assert!(store.join("xet").is_file() && fs::symlink_metadata(&link).is_err());
    // A copy, where there were no links.
    let link = base(&made);
    fs::remove_file(&link).expect("gone");
    fs::write(&link, "a copy").expect("written");
    assert_eq!(removed(&made, "base").bytes, 6);
    // A file with another name elsewhere frees nothing.
    let link = base(&made);
    fs::hard_link(link.canonicalize().expect("a blob"), store.join("same")).expect("a second name");
    assert_eq!(removed(&made, "base").bytes, 0);
    assert!(store.join("same").is_file());
}

#[test]
fn nothing_outside_the_cache_and_our_folder_is_deleted() {
    let made = Made::new();
    let outside = tempfile::tempdir().expect("a folder");
    let theirs = outside.path().join("ggml-base.bin");
    fs::write(&theirs, "theirs").expect("written");
    pin(&made, "theirs", &[&theirs]);
    assert_eq!(removed(&made, "theirs"), Freed { bytes: 0, left: vec![theirs.clone()] });
    // Folders that are links and lead out: of ours, of a snapshot, of a repository.
    fs::create_dir_all(files::files(&data(&made))).expect("folders");
    let ours = files::files(&data(&made)).join("a".repeat(64));
    symlink(outside.path(), &ours).expect("a link");
    pin(&made, "ours", &[&ours.join("ggml-base.bin")]);
    base(&made);
    let snapshot = made.repo(WHISPER).join("snapshots").join(ONE);
    fs::remove_dir_all(&snapshot).expect("gone");
    symlink(outside.path(), &snapshot).expect("a link");
    pin(&made, "base", &[&snapshot.join("ggml-base.bin")]);
    for name in ["ours", "base"] {
        assert_eq!((removed(&made, name).left.len(), theirs.is_file()), (1, true), "{name}");
    }
    // What is in the cache and is no file of a snapshot.
    let lock = made.0.path().join("CACHEDIR.TAG");
    fs::write(&lock, "x").expect("written");
    let blob = made.repo(WHISPER).join("blobs").join(files::sha256(b"model"));
    pin(&made, "odd", &[&lock, &blob]);
    assert_eq!(removed(&made, "odd").left, [lock, blob]);
}

#[test]
fn files_of_ours_go_unless_another_model_has_them_too() {
    let made = Made::new();
    let path = own(&made, 'a', "m.bin");
    pin(&made, "one", &[&path]);
    pin(&made, "two", &[&path]);
    assert_eq!(removed(&made, "one"), Freed { bytes: 0, left: vec![path.clone()] });
    assert_eq!(removed(&made, "two"), Freed { bytes: 5, left: Vec::new() });
    assert!(!files::folder_of(&path).exists() && files::files(&data(&made)).exists());
}

#[test]
fn one_whose_files_are_gone_loses_its_manifest() {
    let made = Made::new();
    let (path, beside) = (own(&made, 'a', "m.bin"), own(&made, 'a', "n.bin"));
    pin(&made, "one", &[&path, &beside]);
    fs::remove_file(&path).expect("gone");
    assert_eq!(model(&made, "one").state, State::Gone);
    assert_eq!(removed(&made, "one").bytes, 5, "what is left of it goes, too");
    assert!(manifest::all(&data(&made)).is_empty());
}

#[test]
fn a_model_in_use_is_not_removed_unless_that_is_forced() {
    let made = Made::new();
    let link = base(&made);
    pin(&made, "base", &[&link]);
    let held = in_use::hold(&link).expect("held");
    let (model, cache, data) = (model(&made, "base"), made.0.path(), data(&made));
    let error = remove(&model, cache, &data, false).expect_err("in use");
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("model `base` is in use by process"), "{error}");
    assert!(link.exists() && manifest::read(&data, "base").expect("good").is_some());
    assert_eq!(remove(&model, cache, &data, true).expect("forced").bytes, 5);
    drop(held);
    assert!(!link.exists());
}

#[test]
fn a_model_that_is_being_pulled_is_not_removed() {
    let made = Made::new();
    let link = base(&made);
    let lock = made.cache().lock_of(&made.repo(WHISPER), &files::sha256(b"model"));
    fs::create_dir_all(files::folder_of(&lock)).expect("folders");
    let held = place::lock_file(&lock).expect("no error").expect("free");
    let error = remove(&model(&made, "base"), made.0.path(), &data(&made), false).expect_err("being pulled");
    assert_eq!((error.kind(), link.exists()), (Kind::Busy, true));
    drop(held);
    assert_eq!(removed(&made, "base").bytes, 5);
    assert!(lock.exists(), "others may wait for it");
}

#[test]
fn what_was_left_is_ours_alone_and_goes_unless_somebody_is_at_it() {
    let made = Made::new();
    base(&made);
    let (repo, files) = (made.repo(WHISPER), files::files(&data(&made)));
    let put = |path: PathBuf| {
        fs::create_dir_all(files::folder_of(&path)).expect("folders");
        fs::write(&path, "some").expect("written");
        path
    };
    let digest = "b".repeat(64);
    let ours = [
        put(repo.join("blobs").join(format!("{digest}{}", cache::PARTIAL))),
        put(repo.join("refs/.speechctl-a.tmp")),
        put(files.join("partial").join("c".repeat(64))),
        put(files.join("partial").join("c".repeat(64) + ".etag")),
        put(files.join(".speechctl-b.tmp/m.bin")),
        put(files::models(&data(&made)).join(".speechctl-c.tmp")),
    ];
    for theirs in ["blobs/x.1234abcd.incomplete", "blobs/.tmp", ".no_exist/x", "snapshots/x.speechctl.incomplete"] {
        put(repo.join(theirs));
    }
    put(files.join("partial").join("c".repeat(64) + ".lock"));
    let before = tree(made.0.path());
    let all = partials(made.0.path(), &data(&made));
    assert_eq!((all.len(), all.iter().map(|(_, bytes)| bytes).sum::<u64>()), (ours.len(), 24), "{all:?}");
    let lock = put(made.cache().lock_of(&repo, &digest));
    let one = place::lock_file(&lock).expect("no error").expect("free");
    let import = File::open(files.join(".speechctl-b.tmp")).expect("a folder");
    flock(&import, FlockOperation::NonBlockingLockExclusive).expect("free");
    let url = place::lock_file(&files.join("partial").join("c".repeat(64) + ".lock")).expect("no error").expect("free");
    let freed = remove_partials(made.0.path(), &data(&made)).expect("removed");
    assert_eq!((freed.bytes, freed.left.len()), (8, 4));
    drop((one, import, url));
    assert_eq!(remove_partials(made.0.path(), &data(&made)).expect("removed"), Freed { bytes: 16, left: Vec::new() });
    assert!(partials(made.0.path(), &data(&made)).is_empty());
    assert_eq!(tree(made.0.path()).len(), before.len() - ours.len() + 1, "all but ours, and the lock");
}

#[test]
fn files_that_no_manifest_names_are_left_over_after_a_day() {
    let made = Made::new();
    let (named, old, new) = (own(&made, 'a', "m.bin"), own(&made, 'b', "m.bin"), own(&made, 'c', "m.bin"));
    pin(&made, "one", &[&named]);
    let yesterday = SystemTime::now() - 2 * LEFT_ALONE;
    for path in [&named, &old] {
        let folder = File::open(files::folder_of(path)).expect("a folder");
        folder.set_modified(yesterday).expect("set");
    }
    let damaged = files::models(&data(&made)).join("x.json");
    fs::write(&damaged, "{").expect("written");
    assert!(partials(made.0.path(), &data(&made)).is_empty(), "it might name them");
    fs::remove_file(damaged).expect("gone");
    assert_eq!(partials(made.0.path(), &data(&made)), [(files::folder_of(&old).to_owned(), 5)]);
    assert_eq!(remove_partials(made.0.path(), &data(&made)).expect("removed").bytes, 5);
    assert!(named.exists() && !old.exists() && new.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn removing_one_model_changes_no_other_file_of_the_cache(
        files in proptest::collection::btree_set((0_usize..2, 0_usize..4, "[ab]"), 1..9), which in 0_usize..9,
    ) {
        let made = Made::new();
        let names = ["ggml-base.bin", "ggml-tiny.bin", "d/ggml-small.bin", "d/note.txt"];
        let mut links = std::collections::BTreeMap::new();
        for (commit, name, text) in files {
            let (commit, name) = ([ONE, TWO][commit], names[name]);
            let link = made.repo(WHISPER).join("snapshots").join(commit).join(name);
            if fs::symlink_metadata(&link).is_err() {
                links.insert(made.with(WHISPER, commit, name, &text), text);
            }
        }
        made.branch(WHISPER, "main", ONE);
        let models = Shelf::look(made.0.path(), &data(&made)).models;
        prop_assume!(!models.is_empty());
        let model = &models[which % models.len()];
        remove(model, made.0.path(), &data(&made), false).expect("removed");
        prop_assert!(fs::symlink_metadata(&model.path).is_err());
        let text = links.remove(&model.path).expect("it was there");
        for (link, text) in &links {
            prop_assert_eq!(&fs::read_to_string(link).expect("it is there still"), text);
        }
        let blob = made.repo(WHISPER).join("blobs").join(files::sha256(text.as_bytes()));
        prop_assert_eq!(blob.exists(), links.values().any(|other| *other == text));
    }
}
