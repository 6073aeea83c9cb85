//! Where spoken audio goes: a file that appears when it is whole, or a stream.

use crate::{
    audio::{self, wav::WavFile},
    client::{
        output::{self, Output},
        target::{Target, cannot_write},
        tts::Format,
    },
    error::Result,
};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Takes audio.
pub(super) enum Sink {
    /// A file, written beside its place and renamed at the end.
    File(Beside, Format, Option<WavFile>),
    /// What cannot be replaced by renaming: stdout, a pipe, a device. Flows as it is made.
    Stream(Stream, Format),
}

/// A new file beside the place of the one that it will be.
pub(super) struct Beside {
    new: NamedTempFile,
    place: PathBuf,
}

/// Something that audio flows into.
pub(super) enum Stream {
    Stdout(Output),
    Device(File, PathBuf),
}

impl Sink {
    /// Opens it, without touching what is there.
    ///
    /// # Errors
    /// `Io`, or `InvalidInput` for a folder.
    pub(super) fn open(path: &Path, format: Format, output: Output) -> Result<Self> {
        Ok(match Target::of(path)? {
            Target::Stdout => Sink::Stream(Stream::Stdout(output), format),
            Target::Device(file) => Sink::Stream(Stream::Device(file, path.to_owned()), format),
            Target::File(place, permissions) => Sink::File(Beside::create(&place, permissions)?, format, None),
        })
    }

    /// Begins, at a rate in Hz.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn begin(&mut self, rate: u32) -> Result<()> {
        match self {
            Sink::File(beside, Format::Wav, wav) => {
                let file = beside.new.as_file().try_clone().map_err(|cause| cannot_write(&beside.place, cause))?;
                *wav = Some(WavFile::over(file, &beside.place.display().to_string(), rate)?);
                Ok(())
            }
            Sink::Stream(stream, Format::Wav) => stream.write(&audio::wav::header(rate, None)),
            Sink::File(_, Format::Pcm, _) | Sink::Stream(_, Format::Pcm) => Ok(()),
        }
    }

    /// Writes samples: 16 bits little-endian.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn write(&mut self, samples: &[u8]) -> Result<()> {
        match self {
            Sink::File(_, _, Some(wav)) => wav.write(&audio::bytes_to_i16(samples)),
            Sink::File(beside, _, None) => {
                beside.new.write_all(samples).map_err(|cause| cannot_write(&beside.place, cause))
            }
            Sink::Stream(stream, _) => stream.write(samples),
        }
    }

    /// Ends it: a file is whole now, and takes its place.
    ///
    /// # Errors
    /// `Io`; then what was there before is there still.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Sink::File(beside, _, wav) => {
                if let Some(wav) = wav {
                    wav.finish()?;
                }
                beside.put_in_place()
            }
            Sink::Stream(..) => Ok(()),
        }
    }
}

impl Beside {
    fn create(place: &Path, permissions: Option<fs::Permissions>) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // As any new file: the umask takes away from this.
        let permissions = permissions.unwrap_or_else(|| fs::Permissions::from_mode(0o666));
        let new = tempfile::Builder::new()
            .prefix(".speechctl-")
            .permissions(permissions)
            .tempfile_in(folder)
            .map_err(|cause| cannot_write(place, cause))?;
        Ok(Self { new, place: place.to_owned() })
    }

    fn put_in_place(self) -> Result<()> {
        let place = self.place;
        self.new.persist(&place).map(drop).map_err(|cause| cannot_write(&place, cause.error))
    }
}

impl Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Stream::Stdout(output) => output.bytes(bytes),
            Stream::Device(file, path) => file.write_all(bytes).map_err(|cause| match cause.kind() {
                io::ErrorKind::BrokenPipe => output::closed_pipe(),
                _ => cannot_write(path, cause),
            }),
        }
    }
}
