//! What may be imported, under which name, and that nobody sees half of it.

use super::*;
use crate::models::{
    remove,
    shelf::Shelf,
    verify::{self, Verdict},
};

const MODEL: &[u8] = b"lmgg and the rest";
const VOICE: &[u8] = &[8, 8, 18, 7, 112];

struct Bed(tempfile::TempDir);

impl Bed {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A file of the user's.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    fn voice(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.json"), br#"{"language": {"code": "de_DE"}}"#);
        self.file(name, VOICE)
    }

    fn import(&self, file: &Path, name: Option<&str>) -> Result<Installed> {
        import(file, name, &self.data(), &mut |_| Ok(()), &|_, _| Ok(()))
    }

    fn refused(&self, file: &Path, name: Option<&str>) -> (Kind, String) {
        let before = self.names();
        let error = self.import(file, name).expect_err("refused");
        assert_eq!(self.names(), before, "nothing stays");
        (error.kind(), error.to_string())
    }

    /// What is seen of the data folder: all that has no temporary name.
    fn names(&self) -> Vec<String> {
        let all = crate::models::cache::below(&self.data()).0.into_iter().map(|(_, inside)| inside);
        all.filter(|inside| !inside.split('/').any(files::is_temporary)).collect()
    }

    fn shelf(&self) -> Shelf {
        Shelf::look(&self.0.path().join("cache"), &self.data())
    }
}

#[test]
fn a_recogniser_is_copied_pinned_found_and_removed() {
    let bed = Bed::new();
    let file = bed.file("my model.bin", MODEL);
    let model = bed.import(&file, None).expect("imported");
    assert_eq!((model.name.as_str(), model.role, model.state), ("my model", Role::Recogniser, State::Pinned));
    assert_eq!(model.path, bed.data().join("models/files").join(files::sha256(MODEL)).join("my%20model.bin"));
    assert_eq!(model.files[0].source, format!("file:{}", file.display()));
    fs::remove_file(&file).expect("gone");
    assert_eq!(bed.shelf().find("my model"), Some(&model));
    let verdict = verify::verify(&model, &bed.data(), &mut |_| Ok(())).expect("it can be read");
    assert_eq!(verdict, Verdict::Right);
    let freed = remove::remove(&model, &bed.0.path().join("cache"), &bed.data(), false).expect("removed");
    assert_eq!((freed.bytes, bed.names()), (MODEL.len() as u64, Vec::new()));
}

#[test]
fn a_voice_comes_with_its_other_file_and_its_language() {
    let bed = Bed::new();
    let mut told = Vec::new();
    let each = &mut |count| {
        told.push(count);
        Ok(())
    };
    let checked = std::cell::RefCell::new(Vec::new());
    let check = |path: &Path, role| {
        checked.borrow_mut().push((path.with_added_extension("json").is_file(), role));
        Ok(())
    };
    let voice = import(&bed.voice("Anna.ONNX"), Some("anna"), &bed.data(), each, &check).expect("imported");
    assert_eq!((voice.languages.as_slice(), voice.files.len()), (&["de-DE".to_owned()][..], 2));
    assert!(voice.path.ends_with("anna.onnx") && voice.path.with_added_extension("json").is_file());
    assert_eq!(told.last().copied(), Some(voice.size));
    assert_eq!(checked.into_inner(), [(true, Role::Voice); 2], "the user's files, and the copies");
    assert_eq!(bed.shelf().find("anna").expect("there").languages, ["de-DE"]);
}

#[test]
fn nobody_sees_half_of_it() {
    let bed = Bed::new();
    let nothing = |bed: &Bed| assert_eq!(bed.names(), Vec::<String>::new());
    let each = &mut |_| {
        nothing(&bed);
        assert!(!remove::partials(&bed.0.path().join("cache"), &bed.data()).is_empty());
        // What is being made is not taken for what was left.
        let left = remove::remove_partials(&bed.0.path().join("cache"), &bed.data()).expect("no error").left;
        assert_eq!(left.len(), 1);
        Ok(())
    };
    let check = |_: &Path, _| {
        nothing(&bed);
        Ok(())
    };
    import(&bed.voice("anna.onnx"), None, &bed.data(), each, &check).expect("imported");
    assert_eq!(bed.names().len(), 3);
    assert!(remove::partials(&bed.0.path().join("cache"), &bed.data()).is_empty());
    let file = bed.file("m.bin", MODEL);
    let stop = |_| Err(Error::new(Kind::Cancelled, "enough"));
    let ended = import(&file, None, &bed.data(), &mut { stop }, &|_, _| Ok(()));
    assert_eq!(ended.expect_err("it ends").kind(), Kind::Cancelled);
    let refused = import(&file, None, &bed.data(), &mut |_| Ok(()), &|_, _| Err(Error::invalid("half a file")));
    assert_eq!(refused.expect_err("refused").to_string(), "half a file", "of the user's file");
    let check = |path: &Path, _| if path == file { Ok(()) } else { Err(Error::invalid("half a file")) };
    let refused = import(&file, None, &bed.data(), &mut |_| Ok(()), &check);
    let error = refused.expect_err("refused").to_string();
    assert!(error.starts_with("cannot import `/") && error.ends_with("m.bin`: half a file"), "{error}");
    assert_eq!(bed.names().len(), 3);
    assert!(remove::partials(&bed.0.path().join("cache"), &bed.data()).is_empty());
}

#[test]
fn twice_is_once_and_mends_what_is_damaged() {
    let bed = Bed::new();
    let file = bed.voice("anna.onnx");
    let first = bed.import(&file, None).expect("imported");
    fs::write(&first.path, "damaged").expect("written");
    fs::remove_file(first.path.with_added_extension("json")).expect("gone");
    let again = bed.import(&file, None).expect("imported");
    assert_eq!((&again, bed.names().len()), (&first, 3));
    assert_eq!(fs::read(&again.path).expect("there"), VOICE);
    // Half of another process's: a folder of that name without files.
    let other = bed.file("m.bin", MODEL);
    fs::create_dir(bed.data().join("models/files").join(files::sha256(MODEL))).expect("a folder");
    assert_eq!(bed.import(&other, None).expect("imported").state, State::Pinned);
}

#[test]
fn a_name_stays_the_models_it_was_given_to() {
    let bed = Bed::new();
    let (one, other) = (bed.file("one.bin", MODEL), bed.file("other.bin", b"lmgg other"));
    let first = bed.import(&one, Some("mine")).expect("imported");
    let (kind, message) = bed.refused(&other, Some("mine"));
    assert_eq!(kind, Kind::InvalidInput);
    assert!(message.contains("speechctl models remove mine"), "{message}");
    bed.import(&other, Some("yours")).expect("another name");
    fs::remove_file(&first.path).expect("gone");
    bed.import(&other, Some("mine")).expect("what is gone has no name");
    fs::write(bed.data().join("models/mine.json"), "{").expect("damaged");
    bed.import(&one, Some("mine")).expect("what is damaged is replaced");
}

#[test]
fn names_that_mean_something_else_are_refused() {
    let bed = Bed::new();
    let file = bed.file("ggml-base.en.bin", MODEL);
    let long = "x".repeat(65);
    for name in [
        "",
        " ",
        "a ",
        "a/b",
        "..",
        ".a",
        "-a",
        "a\\b",
        "a\nb",
        "a\0b",
        "selftest",
        "SelfTest",
        "mock",
        "mock:crash",
        "hf:o/r/f",
        "HF:x",
        "http://h",
        "https",
        "a.onnx",
        "espeak",
        "en-us",
        "EN-GB",
        "de+f3",
        &long,
    ] {
        assert_eq!(bed.refused(&file, Some(name)).0, Kind::InvalidInput, "{name:?}");
    }
    for name in ["amy", "english", "mockingbird", "Größe 2", "large-v3"] {
        assert_eq!(bed.import(&file, Some(name)).expect("a good name").name, name);
    }
    assert_eq!(bed.import(&file, None).expect("imported").name, "base.en", "as everybody calls it");
    let hidden = bed.file(".bin.bin", MODEL);
    assert_eq!(bed.refused(&hidden, None).0, Kind::InvalidInput);
}

#[test]
fn what_is_no_model_is_refused() {
    let bed = Bed::new();
    let refused = |name: &str, bytes: &[u8]| bed.refused(&bed.file(name, bytes), None).0;
    assert_eq!(refused("text.txt", b"lmgg"), Kind::InvalidInput);
    assert_eq!(refused("none", b"lmgg"), Kind::InvalidInput);
    for bytes in [&b""[..], b"lmg", b"PK\x03\x04", b"ggml"] {
        assert_eq!(refused("m.bin", bytes), Kind::InvalidInput);
    }
    assert_eq!(refused("lonely.onnx", VOICE), Kind::NotFound);
    bed.file("v.onnx.json", b"{}");
    for bytes in [&b""[..], b"\x08", b"\x08\x00x", b"\x08\x80x", b"<html>"] {
        assert_eq!(refused("v.onnx", bytes), Kind::InvalidInput);
    }
    for json in [&b""[..], b"[]", b"{\"a\":", b"<html>"] {
        bed.file("v.onnx.json", json);
        assert_eq!(refused("v.onnx", VOICE), Kind::InvalidInput);
    }
    bed.file("v.onnx.json", format!("{{}}{}", " ".repeat(4 << 20)).as_bytes());
    assert_eq!(refused("v.onnx", VOICE), Kind::Io);
    assert_eq!(bed.refused(&bed.0.path().join("none.bin"), None).0, Kind::NotFound);
    fs::create_dir(bed.0.path().join("folder.bin")).expect("a folder");
    assert_eq!(bed.refused(&bed.0.path().join("folder.bin"), None).0, Kind::Io);
    let pipe = bed.0.path().join("pipe.bin");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    assert_eq!(bed.refused(&pipe, None).0, Kind::Io);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused() {
    let bed = Bed::new();
    let file = bed.file("m.bin", &[MODEL, &vec![0; PIECE]].concat());
    let grow = &mut |_| {
        let mut file = File::options().append(true).open(&file).expect("opened");
        file.write_all(&[0; 9]).expect("written");
        Ok(())
    };
    let ended = import(&file, None, &bed.data(), grow, &|_, _| Ok(()));
    // Where blocks are shared, the copy was made in one step and is whole.
    if let Err(error) = ended {
        assert!(error.to_string().contains("changes while it is read"), "{error}");
        assert!(bed.names().is_empty());
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let bed = Bed::new();
    bed.file("data", b"a file");
    let file = bed.file("m.bin", MODEL);
    assert_eq!(bed.refused(&file, None).0, Kind::Io);
}
