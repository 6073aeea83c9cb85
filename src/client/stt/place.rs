//! Where transcripts go: stdout, or files that appear when they are whole.

use crate::{
    client::{
        output::Output,
        stt::format::Format,
        target::{Device, Target, cannot_write, check_apart},
    },
    error::{Error, Kind, Result},
};
use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Files that broke off before somebody has to look at them.
const MOST_PARTS: usize = 99;

/// Takes one transcript.
pub(super) enum Place {
    Stdout(Output),
    Device(Device),
    File(Partial),
}

/// A transcript on its way to being a file. It grows beside its place, under the same name with `.part` behind it, so
/// that what was recognised so far is there whatever happens, and nobody takes it for the whole. One that an earlier run
/// has left, or another is writing, is not touched: then it is `.part.2`, and so on.
pub(super) struct Partial {
    file: Option<File>,
    part: PathBuf,
    place: PathBuf,
    /// It holds more than the head of an empty transcript.
    has_entries: bool,
    output: Output,
}

impl Place {
    /// Opens it, without touching what is there.
    ///
    /// # Errors
    /// `Io`, or `InvalidInput` for a folder.
    pub(super) fn open(path: &Path, output: Output) -> Result<Self> {
        Ok(match Target::of(path)? {
            Target::Stdout => Place::Stdout(output),
            Target::Device(device) => Place::Device(device),
            Target::File(place, permissions) => {
                let (file, part) = create_beside(&place, permissions)?;
                Place::File(Partial { file: Some(file), part, place, has_entries: false, output })
            }
        })
    }

    /// Whether results share the terminal with a line of progress.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Place::Stdout(_))
    }

    /// Writes more of the transcript, at once.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        match self {
            Place::Stdout(output) => output.bytes(text.as_bytes()),
            Place::Device(device) => device.write(text.as_bytes()),
            Place::File(partial) => {
                let Partial { file, place, .. } = &mut *partial;
                if let Some(file) = file {
                    file.write_all(text.as_bytes()).map_err(|cause| cannot_write(place, cause))?;
                }
                Ok(())
            }
        }
    }

    /// Takes note that what is written is worth keeping, whatever comes.
    pub(super) fn note_entry(&mut self) {
        if let Place::File(partial) = self {
            partial.has_entries = true;
        }
    }

    /// The transcript is whole: a file takes its place.
    ///
    /// # Errors
    /// `Io`; then what was there before is there still.
    pub(super) fn finish(self) -> Result<()> {
        let Place::File(mut partial) = self else { return Ok(()) };
        fs::rename(&partial.part, &partial.place).map_err(|cause| cannot_write(&partial.place, cause))?;
        partial.file = None;
        Ok(())
    }
}

/// Makes the new file. It is ours alone: never one that is there already, nor what a link points to.
fn create_beside(place: &Path, permissions: Option<Permissions>) -> Result<(File, PathBuf)> {
    for number in 1..=MOST_PARTS {
        let mut part = OsString::from(place);
        part.push(if number == 1 { ".part".to_owned() } else { format!(".part.{number}") });
        let part = PathBuf::from(part);
        match OpenOptions::new().write(true).create_new(true).open(&part) {
            Ok(file) => {
                if let Some(permissions) = permissions {
                    // Of one's own file; in the place of somebody else's stands one with the permissions of a new one.
                    file.set_permissions(permissions).unwrap_or_default();
                }
                return Ok((file, part));
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cannot_write(place, cause)),
        }
    }
    let message =
        format!("`{0}.part` and others of that name are left from runs that broke off; remove them", place.display());
    Err(Error::new(Kind::Io, message))
}

/// Where it did not become whole, what there is stays, and is told of.
impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.take().is_none() {
            return;
        }
        if self.has_entries {
            self.output.warn(&format!("what was transcribed so far is in `{}`", self.part.display()));
        } else {
            fs::remove_file(&self.part).unwrap_or_default();
        }
    }
}

/// The files of `--output-dir`, one for each recording: its own name with another ending.
///
/// # Errors
/// `Config` where two recordings would have the same.
pub(super) fn in_folder(folder: &Path, recordings: &[PathBuf], format: Format) -> Result<Vec<PathBuf>> {
    let mut taken: HashMap<PathBuf, &PathBuf> = HashMap::new();
    let mut places = Vec::new();
    for recording in recordings {
        let stem = match recording.file_stem() {
            Some(stem) if recording != Path::new("-") => stem.to_owned(),
            _ => "stdin".into(),
        };
        let mut name = stem;
        name.push(format!(".{}", format.extension()));
        let place = folder.join(name);
        if let Some(other) = taken.insert(place.clone(), recording) {
            let (one, two) = (other.display(), recording.display());
            let message = format!("`{one}` and `{two}` would both become `{}`; transcribe them apart", place.display());
            return Err(Error::new(Kind::Config, message));
        }
        check_apart(&place, recording, "the transcript")?;
        places.push(place);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_named_like_their_recordings() {
        let named = |recordings: &[&str]| {
            let recordings: Vec<PathBuf> = recordings.iter().map(PathBuf::from).collect();
            in_folder(Path::new("out"), &recordings, Format::Srt)
        };
        let places = named(&["a/talk.wav", "-", "notes"]).expect("they differ");
        assert_eq!(places, ["out/talk.srt", "out/stdin.srt", "out/notes.srt"].map(PathBuf::from));
        let error = named(&["a/talk.wav", "b/talk.mp3"]).expect_err("the same name");
        assert!(error.to_string().contains("would both become `out/talk.srt`"), "{error}");
    }
}
