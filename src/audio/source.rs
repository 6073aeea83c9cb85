//! Where encoded audio comes from, and what went wrong with it there.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};

use crate::error::{Error, Kind};

/// Where encoded audio comes from.
pub(crate) enum Source {
    /// A file, or anything else that was opened as one: what cannot seek is read as a pipe.
    File(File),
    /// A whole file in memory.
    Bytes(Vec<u8>),
    /// Something that can only be read forward.
    Pipe(Box<dyn Read + Send + Sync>),
}

impl Source {
    /// Opens the source for reading, as far as `budget` goes; errors of reads are kept in `failure`.
    pub(super) fn into_stream(self, failure: Failure, budget: Budget) -> MediaSourceStream<'static> {
        let inner: Box<dyn MediaSource> = match self {
            Self::File(file) => Box::new(file),
            Self::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Self::Pipe(pipe) => Box::new(ReadOnlySource::new(pipe)),
        };
        MediaSourceStream::new(Box::new(Watched { inner, failure, budget }), Default::default())
    }
}

/// Whether a file became longer while it was read: somebody is still recording it.
pub(super) struct Growth(Option<(File, u64)>);

impl Growth {
    /// Takes note of how long the source is now.
    pub(super) fn of(source: &Source) -> Self {
        let Source::File(file) = source else { return Self(None) };
        let known = file.try_clone().and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        Self(known.ok().filter(|(_, metadata)| metadata.is_file()).map(|(file, metadata)| (file, metadata.len())))
    }

    /// Whether it is longer now.
    pub(super) fn is_seen(&self) -> bool {
        let grown = |(file, length): &(File, u64)| file.metadata().is_ok_and(|now| now.len() > *length);
        self.0.as_ref().is_some_and(grown)
    }
}

/// How much may be read for one packet, or for a header. Readers of formats believe the lengths that they find, and
/// would gather what never ends until memory does.
#[derive(Clone)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// More than a packet of sound or film has, and than the pictures in front of music.
    const BYTES: usize = 64 << 20;

    /// The whole of it.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(Self::BYTES)))
    }

    /// The whole of it again.
    pub(super) fn renew(&self) {
        self.0.store(Self::BYTES, Ordering::Relaxed);
    }

    /// Whether nothing is left of it.
    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn spend(&self, count: usize) {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(count);
        self.0.store(left, Ordering::Relaxed);
    }

    /// The error that says so.
    pub(super) fn overdrawn(name: &str) -> Error {
        Error::new(Kind::InvalidInput, format!("{name} is damaged: a piece of it claims to be larger than 64 MiB"))
    }
}

/// The first error of the input itself. Readers of formats turn such errors into "end of stream" or "unsupported",
/// so it is kept beside them.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn note(&self, error: io::Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Hands the error over, once.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What went wrong first: the input, or else what a reader made of it.
    pub(super) fn instead_of(&self, error: Error, name: &str) -> Error {
        self.take().map_or(error, |failure| unreadable(name, failure))
    }
}

/// An input whose errors are noted.
struct Watched {
    inner: Box<dyn MediaSource>,
    failure: Failure,
    budget: Budget,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.is_spent() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure.note(error);
                    return Err(kind.into());
                }
                Ok(count) => {
                    self.budget.spend(count);
                    return Ok(count);
                }
            }
        }
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl MediaSource for Watched {
    fn is_seekable(&self) -> bool {
        self.inner.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.inner.byte_len()
    }
}

pub(super) fn unreadable(name: &str, error: io::Error) -> Error {
    Error::new(Kind::Io, format!("{name} cannot be read")).because(error)
}
