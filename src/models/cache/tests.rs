//! What is found in the cache, whoever has put it there, and what is passed over.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::{PermissionsExt, symlink};

pub(in crate::models) const ONE: &str = "1111111111111111111111111111111111111111";
pub(in crate::models) const TWO: &str = "2222222222222222222222222222222222222222";
pub(in crate::models) const WHISPER: &str = "ggerganov/whisper.cpp";

fn file(repo: &str, path: &str, revision: &str) -> HubFile {
    HubFile { repo: repo.into(), path: path.into(), revision: revision.into() }
}

/// A cache as Python leaves it, made by hand.
pub(in crate::models) struct Made(pub(in crate::models) tempfile::TempDir);

impl Made {
    pub(in crate::models) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(in crate::models) fn cache(&self) -> Cache {
        Cache::new(self.0.path().to_owned())
    }

    pub(in crate::models) fn repo(&self, repo: &str) -> PathBuf {
        self.0.path().join(format!("models--{}", repo.replace('/', "--")))
    }

    pub(in crate::models) fn branch(&self, repo: &str, branch: &str, text: &str) {
        let path = self.repo(repo).join("refs").join(branch);
        fs::create_dir_all(files::folder_of(&path)).expect("folders");
        fs::write(path, text).expect("written");
    }

    /// A blob and the link to it.
    pub(in crate::models) fn with(&self, repo: &str, commit: &str, path: &str, text: &str) -> PathBuf {
        let (blobs, link) = (self.repo(repo).join("blobs"), self.repo(repo).join("snapshots").join(commit).join(path));
        fs::create_dir_all(&blobs).expect("folders");
        fs::create_dir_all(files::folder_of(&link)).expect("folders");
        let blob = files::sha256(text.as_bytes());
        fs::write(blobs.join(&blob), text).expect("written");
        symlink(format!("{}blobs/{blob}", "../".repeat(path.split('/').count() + 1)), &link).expect("a link");
        link
    }
}

#[test]
fn a_file_is_found_by_its_branch_and_by_its_commit() {
    let made = Made::new();
    let link = made.with("o/r", ONE, "a/b.bin", "model");
    assert_eq!(made.cache().find(&file("o/r", "a/b.bin", "main")), None, "no branch says so");
    made.branch("o/r", "main", ONE);
    made.branch("o/r", "refs/pr/1", &format!("{ONE}\n"));
    for revision in ["main", "refs/pr/1", ONE] {
        let found = made.cache().find(&file("o/r", "a/b.bin", revision)).expect("it is there");
        assert_eq!((found.path.as_path(), found.commit.as_str(), found.size), (link.as_path(), ONE, 5));
        assert_eq!(found.digest.expect("known").to_string(), files::sha256(b"model"));
        assert_eq!(found.file.revision, revision);
    }
    for (path, revision) in [("a/c.bin", "main"), ("a/b.bin", TWO), ("a/b.bin", "other"), ("a", "main")] {
        assert_eq!(made.cache().find(&file("o/r", path, revision)), None, "{path} {revision}");
    }
}

#[test]
fn a_branch_that_is_rubbish_means_nothing() {
    let made = Made::new();
    made.with("o/r", ONE, "m.bin", "model");
    for text in [
        "",
        "main",
        "../../..",
        ONE.trim_end_matches('1'),
        "1234567",
        &ONE.repeat(9),
        &"A".repeat(40),
        "é".repeat(20).as_str(),
    ] {
        made.branch("o/r", "main", text);
        assert_eq!(made.cache().find(&file("o/r", "m.bin", "main")), None, "{text}");
    }
    fs::remove_file(made.repo("o/r").join("refs/main")).expect("gone");
    fs::create_dir(made.repo("o/r").join("refs/main")).expect("a folder");
    assert_eq!(made.cache().find(&file("o/r", "m.bin", "main")), None);
    assert!(made.cache().find(&file("o/r", "m.bin", ONE)).is_some());
}

#[test]
fn a_blob_in_a_store_that_repositories_share_keeps_its_digest() {
    let made = Made::new();
    let link = made.with("o/r", ONE, "m.bin", "model");
    let store = made.0.path().join("blobs/ab");
    fs::create_dir_all(&store).expect("folders");
    let (blob, digest) = blob_of(&made.repo("o/r"), &link).expect("a blob");
    fs::rename(&blob, store.join("f".repeat(64))).expect("moved");
    symlink(format!("../../blobs/ab/{}", "f".repeat(64)), &blob).expect("a link");
    let found = made.cache().find(&file("o/r", "m.bin", ONE)).expect("it is there");
    assert_eq!((found.digest, found.size), (Some(digest), 5));
}

#[test]
fn links_that_lead_elsewhere_tell_no_digest_and_circles_are_nothing() {
    let made = Made::new();
    let link = made.with("o/r", ONE, "m.bin", "model");
    let digest = files::sha256(b"model");
    let other = made.0.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join(&digest), "another").expect("written");
    let again = |target: &Path| {
        fs::remove_file(&link).expect("gone");
        symlink(target, &link).expect("a link");
        made.cache().find(&file("o/r", "m.bin", ONE))
    };
    let found = again(&other.join(&digest)).expect("users put links to their files");
    assert_eq!((found.digest, found.size), (None, 7));
    let blobs = made.repo("o/r").join("blobs");
    assert!(again(&blobs.join(&digest)).expect("there").digest.is_some(), "an absolute one is as good");
    fs::write(blobs.join("odd"), "x").expect("written");
    assert_eq!(again(&blobs.join("odd")).expect("there").digest, None);
    assert_eq!(again(&link), None, "a circle");
    assert_eq!(again(&blobs.join("none")), None, "nothing");
    assert_eq!(again(&blobs), None, "a folder");
    let pipe = other.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    assert_eq!(again(&pipe), None, "a pipe");
    fs::remove_file(&link).expect("gone");
    fs::write(&link, "plain").expect("written");
    let plain = made.cache().find(&file("o/r", "m.bin", ONE)).expect("a copy, where there are no links");
    assert_eq!((plain.digest, plain.size), (None, 5));
}

#[test]
fn names_that_lead_out_are_never_looked_up_nor_made() {
    let made = Made::new();
    fs::write(made.0.path().join("secret"), "s").expect("written");
    let digest = Digest::parse(&"a".repeat(64));
    let announced = Announced { commit: Some(ONE.into()), etag: None, digest, size: None };
    let bad = [
        ("o/r", "../../../secret", ONE),
        ("o/r", "a//b", "main"),
        ("o/r", "/secret", "main"),
        ("..", "m.bin", "main"),
        ("o/../r", "m.bin", "main"),
        ("o/r/s", "m.bin", "main"),
        ("o", "m.bin", "main"),
        ("o/r", "m.bin", "../main"),
        ("o/r", "m.bin", ""),
        ("o/r", "m\n.bin", "main"),
    ];
    for (repo, path, revision) in bad {
        let file = file(repo, path, revision);
        assert_eq!(made.cache().find(&file), None);
        assert_eq!(made.cache().place(&file, &announced).expect_err("refused").kind(), Kind::InvalidInput, "{file:?}");
    }
    let good = file("o/r", "m.bin", "main");
    for (commit, digest) in [(None, digest), (Some("../../x"), digest), (Some(ONE), None)] {
        let announced = Announced { commit: commit.map(str::to_owned), digest, ..announced.clone() };
        assert_eq!(made.cache().place(&good, &announced).expect_err("refused").kind(), Kind::Unavailable);
    }
}

#[test]
fn all_models_are_listed_and_nothing_else() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    made.with(WHISPER, ONE, "ggml-base.en.bin", "b");
    made.with(WHISPER, ONE, "README.md", "r");
    made.with(WHISPER, ONE, "ggml-unheard-of.bin", "u");
    made.with(WHISPER, TWO, "ggml-base.en.bin", "older");
    made.with("o/voices", TWO, "a/amy.onnx", "v");
    made.with("o/voices", TWO, "a/amy.onnx.json", "{}");
    made.with("o/voices", TWO, "lonely.onnx", "v");
    made.with("o/voices", "main", "b/c.onnx", "no commit");
    // What is no repository, no snapshot, or in circles.
    fs::create_dir_all(made.0.path().join("models--gpt2/snapshots").join(ONE)).expect("folders");
    fs::write(made.0.path().join("models--o--file"), "x").expect("written");
    fs::create_dir_all(made.repo("o/empty")).expect("folders");
    fs::write(made.repo("o/empty").join("snapshots"), "a file").expect("written");
    symlink(".", made.repo("o/voices").join("snapshots").join(TWO).join("round")).expect("a circle");
    let all = made.cache().all();
    let names: Vec<String> = all.iter().map(|found| Source::Hub(found.file.clone()).to_string()).collect();
    assert_eq!(
        names,
        [
            "hf:ggerganov/whisper.cpp/ggml-base.en.bin",
            &format!("hf:ggerganov/whisper.cpp/ggml-base.en.bin@{TWO}"),
            &format!("hf:o/voices/a/amy.onnx@{TWO}"),
        ]
    );
    for found in &all {
        assert_eq!(made.cache().find(&found.file).as_ref(), Some(found), "each is found by what it says it is");
    }
    assert_eq!(all.iter().filter_map(|found| usual_name(&found.file)).collect::<Vec<_>>(), ["base.en"]);
}

#[test]
fn a_cache_that_is_not_there_or_cannot_be_read_has_nothing() {
    let made = Made::new();
    assert_eq!(Cache::new(made.0.path().join("none")).all(), []);
    made.with(WHISPER, ONE, "ggml-base.bin", "b");
    made.with("o/r", ONE, "ggml-tiny.bin", "t");
    let snapshots = made.repo("o/r").join("snapshots");
    fs::set_permissions(&snapshots, fs::Permissions::from_mode(0o0)).expect("closed");
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(made.cache().all().len(), if is_root { 2 } else { 1 });
    fs::set_permissions(&snapshots, fs::Permissions::from_mode(0o700)).expect("opened");
}

#[test]
fn folders_without_end_are_left() {
    let made = Made::new();
    let deep = "d/".repeat(DEEPEST + 1);
    made.with(WHISPER, ONE, &format!("{deep}ggml-base.bin"), "b");
    let (found, is_all) = below(&made.repo(WHISPER).join("snapshots").join(ONE));
    assert!(found.is_empty() && !is_all);
    made.with(WHISPER, ONE, &format!("{}ggml-base.bin", "e/".repeat(DEEPEST)), "b");
    assert_eq!(made.cache().all().len(), 1);
    assert_eq!(below(&made.repo("o/none")), (Vec::new(), true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_settled_is_found(
        repo in "[a-z]{1,5}/[a-zA-Z0-9_.]{0,3}[a-z]", path in "([a-zé @%+-]{1,4}/){0,3}[a-z@ ]{1,5}\\.bin", bytes in "[a-z]{0,9}",
        revision in "main|v1|refs/pr/[0-9]|[0-9a-f]{40}",
    ) {
        let made = Made::new();
        let file = file(&repo, &path, &revision);
        prop_assume!(checked(&file).is_some());
        let digest = Digest::parse(&files::sha256(bytes.as_bytes()));
        let commit = if is_commit(&revision) { revision } else { ONE.to_owned() };
        let announced = Announced { commit: Some(commit), etag: None, digest, size: None };
        let place = made.cache().place(&file, &announced).expect("a place");
        place.prepare().expect("folders");
        fs::write(&place.partial, &bytes).expect("written");
        let path = place.settle(&files::sha256(bytes.as_bytes())).expect("settled");
        prop_assert!(path.starts_with(made.0.path()));
        let found = made.cache().find(&file).expect("found");
        prop_assert_eq!((found.path, found.digest, found.file), (path, digest, file));
    }
}
