//! Every byte counts, and what is right is pinned.

use super::*;
use crate::{
    error::{Error, Kind},
    models::{
        cache::tests::{Made, ONE, WHISPER},
        shelf::Shelf,
    },
};

fn model(made: &Made) -> Installed {
    Shelf::look(made.0.path(), &data(made)).find("base").expect("there").clone()
}

fn data(made: &Made) -> PathBuf {
    made.0.path().join("data")
}

fn verified(made: &Made, model: &Installed) -> Verdict {
    verify(model, &data(made), &mut |_| Ok(())).expect("it can be read")
}

#[test]
fn what_is_right_is_pinned_and_what_changes_is_found() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    let path = made.with(WHISPER, ONE, "ggml-base.bin", "model");
    let blob = path.canonicalize().expect("a blob");
    fs::write(&blob, "modem").expect("written");
    let (found, expected) = (files::sha256(b"modem"), files::sha256(b"model"));
    let wrong = Verdict::Wrong { file: path.clone(), found: found.clone(), expected: expected.clone() };
    assert_eq!(verified(&made, &model(&made)), wrong);
    assert_eq!(model(&made).state, State::NotPinned, "what is wrong is not pinned");
    fs::write(&blob, "model").expect("written");
    assert_eq!(verified(&made, &model(&made)), Verdict::Right);
    let pinned = model(&made);
    assert_eq!((pinned.state, &pinned.files[0].sha256, &pinned.path), (State::Pinned, &expected, &path));
    assert_eq!(verified(&made, &pinned), Verdict::Right);
    fs::write(&blob, "modem").expect("written");
    assert_eq!(verified(&made, &pinned), wrong);
    fs::remove_file(&blob).expect("gone");
    assert_eq!(verified(&made, &pinned), Verdict::Missing(path));
}

#[test]
fn a_small_file_is_checked_by_its_git_digest_and_pinned_by_its_sha256() {
    let made = Made::new();
    let name = "snapshots/a.onnx";
    made.branch("o/r", "main", ONE);
    made.with("o/r", ONE, name, "voice");
    let json = made.with("o/r", ONE, &format!("{name}.json"), "{}");
    // `printf {} | git hash-object --stdin`
    let git = "9e26dfeeb6e641a33dae4961196235bdb965b21b";
    let blobs = made.repo("o/r").join("blobs");
    fs::rename(blobs.join(files::sha256(b"{}")), blobs.join(git)).expect("renamed");
    fs::remove_file(&json).expect("gone");
    std::os::unix::fs::symlink(format!("../../../blobs/{git}"), &json).expect("a link");
    let look = || Shelf::look(made.0.path(), &data(&made)).find("hf:o/r/snapshots/a.onnx").expect("there").clone();
    let mut told = Vec::new();
    let verdict = verify(&look(), &data(&made), &mut |count| {
        told.push(count);
        Ok(())
    });
    assert_eq!(verdict.expect("it can be read"), Verdict::Right);
    assert_eq!(told, [5, 7], "of both files together");
    let sums: Vec<String> = look().files.into_iter().map(|file| file.sha256).collect();
    assert_eq!(sums, [files::sha256(b"voice"), files::sha256(b"{}")]);
}

#[test]
fn where_nobody_has_said_what_it_is_nothing_is_pinned() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    let path = made.with(WHISPER, ONE, "ggml-base.bin", "model");
    fs::remove_file(&path).expect("gone");
    fs::write(&path, "a copy").expect("written");
    assert_eq!(verified(&made, &model(&made)), Verdict::Unknown(path));
    assert_eq!(model(&made).state, State::NotPinned);
}

#[test]
fn who_gives_up_ends_it() {
    let made = Made::new();
    made.branch(WHISPER, "main", ONE);
    made.with(WHISPER, ONE, "ggml-base.bin", "model");
    let ended = verify(&model(&made), &data(&made), &mut |_| Err(Error::new(Kind::Cancelled, "enough")));
    assert_eq!(ended.expect_err("it ends").kind(), Kind::Cancelled);
    assert_eq!(model(&made).state, State::NotPinned);
}
