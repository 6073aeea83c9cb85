//! What could not be written down is saved as a recording, so that it can be some other time.

use crate::{
    audio::wav,
    error::{Error, Kind, Result},
    speech::Samples,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Recordings of one name before somebody has to look at them.
const MOST: usize = 99;

/// Saves audio that begins at a position, as `speechctl-SESSION-START.wav` in the current folder, else in that for
/// temporary files. Only its owner may read it.
///
/// # Errors
/// `Io` where neither can be written.
pub(super) fn save(session: &str, start: Samples, samples: &[i16]) -> Result<PathBuf> {
    save_in(&[Path::new(""), &std::env::temp_dir()], session, start, samples)
}

fn save_in(folders: &[&Path], session: &str, start: Samples, samples: &[i16]) -> Result<PathBuf> {
    let session = if session.is_empty() { "session" } else { session };
    // The server's word for it may hold what no name of a file should.
    let session: String =
        session.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(64).collect();
    let name = format!("speechctl-{session}-{:.1}s", start.seconds());
    let bytes = wav::from_samples(Samples::RATE, samples);
    let mut last = None;
    for folder in folders {
        match create(folder, &name).and_then(|(mut file, path)| {
            // Half of it would be taken for all.
            file.write_all(&bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
                std::fs::remove_file(&path).unwrap_or_default();
            })?;
            Ok(path)
        }) {
            Ok(path) => return Ok(path),
            Err(cause) => last = Some(cause),
        }
    }
    let message = format!("cannot write `{name}.wav`, neither here nor in the folder for temporary files");
    let error = Error::new(Kind::Io, message);
    Err(match last {
        Some(cause) => error.because(cause),
        None => error,
    })
}

/// A new file, never one that is there.
fn create(folder: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let mut taken = None;
    for number in 1..=MOST {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{name}{suffix}.wav"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => taken = Some(cause),
            Err(cause) => return Err(cause),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_saved_where_it_can_be_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let save = || save_in(&[&missing, folder.path()], "a/b", Samples(16_000), &[1, -2, 3]).unwrap();
        let (first, second) = (save(), save());
        assert_eq!(first, folder.path().join("speechctl-a-b-1.0s.wav"));
        assert_eq!(second, folder.path().join("speechctl-a-b-1.0s-2.wav"));
        let mode = first.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let samples: Vec<i16> = hound::WavReader::open(&first).unwrap().samples().map(Result::unwrap).collect();
        assert_eq!(samples, [1, -2, 3]);
        assert!(save_in(&[&missing], "a", Samples(0), &[1]).is_err());
    }
}
