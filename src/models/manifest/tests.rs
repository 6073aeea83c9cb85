//! What manifests may hold, and every way in which one can be damaged.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    os::unix::fs::{PermissionsExt, symlink},
    time::Duration,
};

fn manifest(name: &str) -> Manifest {
    let path = "/c/models--o--r/snapshots/x/m.bin".into();
    let files = vec![Pinned {
        source: "hf:o/r/m.bin".into(),
        commit: Some("a".repeat(40)),
        size: 7,
        sha256: "b".repeat(64),
        path,
    }];
    Manifest { name: name.to_owned(), role: Role::Voice, pulled: "2026-11-22T03:00:00Z".into(), files }
}

/// What reading says of a file with this text.
fn read_text(text: &[u8]) -> Result<Option<Manifest>, Kind> {
    let data = tempfile::tempdir().expect("a folder");
    fs::create_dir(data.path().join("models")).expect("a folder");
    fs::write(data.path().join("models/m.json"), text).expect("written");
    let all = all(data.path());
    let one = read(data.path(), "m");
    assert_eq!(all.len(), 1);
    assert_eq!(one.is_ok(), all.iter().all(Result::is_ok), "both say the same");
    one.map_err(|error| error.kind())
}

fn good() -> Value {
    json!({"version": 1, "name": "m", "role": "recogniser", "pulled": "", "later": true, "files": [
        {"source": "file:/m.bin", "commit": null, "size": 1, "sha256": "0".repeat(64), "path": "/m.bin"}]})
}

#[test]
fn a_manifest_is_written_read_replaced_and_deleted() {
    let data = tempfile::tempdir().expect("a folder");
    assert_eq!(read(data.path(), "m").expect("no error"), None);
    assert!(all(data.path()).is_empty());
    delete(data.path(), "m").expect("nothing to do");
    write(data.path(), &manifest("m")).expect("written");
    let newer = Manifest { pulled: "later".into(), role: Role::Recogniser, ..manifest("m") };
    write(data.path(), &newer).expect("written");
    write(data.path(), &manifest("a")).expect("written");
    assert_eq!(read(data.path(), "m").expect("good"), Some(newer.clone()));
    let names: Vec<Manifest> = all(data.path()).into_iter().collect::<Result<_>>().expect("all are good");
    assert_eq!(names, [manifest("a"), newer]);
    let mode = |path: &str| fs::metadata(data.path().join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("models"), mode("models/m.json")), (0o700, 0o600));
    delete(data.path(), "m").expect("deleted");
    assert_eq!(read(data.path(), "m").expect("no error"), None);
    assert_eq!(fs::read_dir(data.path().join("models")).expect("there").count(), 1, "nothing temporary stays");
}

#[test]
fn the_text_is_as_it_is_told() {
    let data = tempfile::tempdir().expect("a folder");
    write(data.path(), &manifest("m")).expect("written");
    let json: Value =
        serde_json::from_slice(&fs::read(data.path().join("models/m.json")).expect("there")).expect("JSON");
    assert_eq!(
        json,
        json!({"version": 1, "name": "m", "role": "voice", "pulled": "2026-11-22T03:00:00Z", "files": [
        {"source": "hf:o/r/m.bin", "commit": "a".repeat(40), "size": 7, "sha256": "b".repeat(64), "path": "/c/models--o--r/snapshots/x/m.bin"}]})
    );
}

#[test]
fn each_damage_is_told() {
    assert!(read_text(good().to_string().as_bytes()).expect("good").is_some());
    let whole = good().to_string();
    for text in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", &whole.as_bytes()[..whole.len() - 1], &vec![b' '; 70_000]]
    {
        assert_eq!(read_text(text), Err(Kind::DataLoss));
    }
    assert_eq!(read_text(br#"{"version": 2, "all": "different"}"#), Err(Kind::Unsupported));
    let changes: [(&str, Value); 15] = [
        ("/name", json!("other")),
        ("/name", json!("")),
        ("/name", json!("m\u{7}")),
        ("/role", json!("Voice")),
        ("/pulled", json!("x".repeat(65))),
        ("/files", json!([])),
        ("/files", json!(vec![good()["files"][0].clone(); 17])),
        ("/files/0/size", json!(-1)),
        ("/files/0/commit", json!("../..")),
        ("/files/0/sha256", json!("0".repeat(63))),
        ("/files/0/sha256", json!("A".repeat(64))),
        ("/files/0/path", json!("m.bin")),
        ("/files/0/path", json!("/a/../etc/m.bin")),
        ("/files/0/source", json!("")),
        ("/version", json!("1")),
    ];
    for (place, value) in changes {
        let mut json = good();
        *json.pointer_mut(place).expect("it is there") = value;
        assert_eq!(read_text(json.to_string().as_bytes()), Err(Kind::DataLoss), "{place}");
    }
    let long = good().to_string() + &" ".repeat(64 << 10);
    assert_eq!(read_text(long.as_bytes()), Err(Kind::DataLoss));
}

#[test]
fn what_is_no_file_is_told_and_the_others_are_read() {
    let data = tempfile::tempdir().expect("a folder");
    write(data.path(), &manifest("good")).expect("written");
    let models = data.path().join("models");
    fs::create_dir(models.join("folder.json")).expect("a folder");
    symlink("round.json", models.join("round.json")).expect("a circle");
    rustix::fs::mknodat(rustix::fs::CWD, models.join("pipe.json"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("a pipe");
    fs::copy(models.join("good.json"), models.join("copy.json")).expect("copied");
    for other in ["files", ".speechctl-x.tmp", "note.txt"] {
        fs::write(models.join(other), "x").expect("written");
    }
    let (good, bad): (Vec<_>, Vec<_>) = all(data.path()).into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 4));
    assert!(bad.iter().flat_map(|bad| bad.as_ref().err()).all(|error| error.kind() == Kind::DataLoss));
    assert_eq!(delete(data.path(), "folder").expect_err("a folder").kind(), Kind::Io);
    fs::remove_dir_all(&models).expect("gone");
    fs::write(&models, "a file").expect("written");
    assert_eq!(all(data.path()).len(), 1);
    assert_eq!(write(data.path(), &manifest("m")).expect_err("no folder").kind(), Kind::Io);
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let data = tempfile::tempdir().expect("a folder");
    let mut odd = manifest("m");
    odd.files[0].path = "relative".into();
    assert_eq!(write(data.path(), &odd).expect_err("refused").kind(), Kind::Internal);
    assert!(write(data.path(), &manifest("a\nb")).is_err());
}

#[test]
fn times_are_those_of_the_calendar() {
    // From `date -u -d @SECONDS +%FT%TZ`.
    let known = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (1_795_316_400, "2026-11-22T03:00:00Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ];
    for (seconds, text) in known {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read(name in "\\PC{1,30}|[./%~]{1,9}|hf:[a-z/@]{1,300}", size: u64, file in "/[a-zé /]{0,20}[a-z]") {
        let data = tempfile::tempdir().expect("a folder");
        let mut manifest = manifest(&name);
        manifest.files[0].size = size;
        manifest.files[0].path = file.into();
        write(data.path(), &manifest).expect("written");
        prop_assert_eq!(read(data.path(), &name).expect("good"), Some(manifest.clone()));
        prop_assert_eq!(all(data.path()).into_iter().collect::<Result<Vec<_>>>().expect("good"), vec![manifest]);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\{\"version\": ?1.{0,80}|.{0,50}") {
        prop_assert!(read_text(text.as_bytes()).is_err());
    }
}
