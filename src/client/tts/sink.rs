//! One piece of audio on its way into a file or a stream.

use super::place::Place;
use crate::{
    audio::encode::{Container, Encoder},
    client::output::Output,
    error::{Error, Kind, Result},
};
use std::path::{Path, PathBuf};

/// Takes audio.
pub(in crate::client) struct Sink {
    place: Place,
    container: Container,
    /// Once the rate is known.
    encoder: Option<Encoder>,
}

impl Sink {
    /// Opens it, without touching what is there.
    ///
    /// # Errors
    /// `Io`, or `InvalidInput` for a folder.
    pub(in crate::client) fn open(path: &Path, container: Container, output: Output) -> Result<Self> {
        Ok(Self { place: Place::open(path, output)?, container, encoder: None })
    }

    /// Whether audio goes to stdout.
    pub(in crate::client) fn is_stdout(&self) -> bool {
        self.place.is_stdout()
    }

    /// The file that it will be, if it is one.
    pub(in crate::client) fn file(&self) -> Option<PathBuf> {
        self.place.file()
    }

    /// Begins, at a rate in Hz.
    ///
    /// # Errors
    /// `Io`; `Unsupported` for a rate that the container cannot hold.
    pub(in crate::client) fn begin(&mut self, rate: u32) -> Result<()> {
        let encoder = self.encoder.insert(Encoder::try_new(self.container, rate)?);
        self.place.write(&encoder.begin()?)
    }

    /// Writes samples, as the container takes them.
    ///
    /// # Errors
    /// `Io`; `Unsupported` for more than the container can hold.
    pub(in crate::client) fn write(&mut self, samples: &[u8]) -> Result<()> {
        let encoder =
            self.encoder.as_mut().ok_or_else(|| Error::new(Kind::Internal, "audio came before its format"))?;
        self.place.write(&encoder.push(samples)?)
    }

    /// Ends it: a file is whole now, and takes its place.
    ///
    /// # Errors
    /// `Io`; then what was there before is there still.
    pub(in crate::client) fn finish(mut self) -> Result<()> {
        if let Some(encoder) = self.encoder.take() {
            let (last, header) = encoder.finish()?;
            self.place.write(&last)?;
            if let Some(header) = header {
                self.place.write_header_again(&header)?;
            }
        }
        self.place.finish()
    }
}
