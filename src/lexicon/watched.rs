//! A lexicon that is loaded again when its file changes.

use super::Lexicon;
use crate::error::{Error, Result};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// A lexicon and its file. While the file is wrong, or away, the last good lexicon stays.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    good: Option<Arc<Lexicon>>,
    /// The file as it was when it was last tried; `None` if it was away.
    tried: Option<Stamp>,
    error: Option<Error>,
}

/// What changes with a file: inode, size, and time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

impl Watched {
    /// Watches a file, without a look at it yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), good: None, tried: None, error: None }
    }

    /// The lexicon as it is now. Looks at the file's inode, size and time, and reads it only if one of them changed.
    ///
    /// # Errors
    /// As [`Lexicon::load`], as long as the file never was good.
    pub(crate) fn get(&mut self) -> Result<Arc<Lexicon>> {
        // Before it is read: what is written meanwhile is seen the next time.
        let now = self.path.metadata().ok().map(|file| stamp(&file));
        if let Some(good) = self.good.as_ref().filter(|_| now == self.tried) {
            return Ok(Arc::clone(good));
        }
        self.tried = now;
        match (Lexicon::load(&self.path), &self.good) {
            (Ok(lexicon), _) => {
                let lexicon = Arc::new(lexicon);
                (self.good, self.error) = (Some(Arc::clone(&lexicon)), None);
                Ok(lexicon)
            }
            (Err(error), Some(good)) => {
                self.error = Some(error);
                Ok(Arc::clone(good))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Why the file is not what is used, once for each change of it: to be logged.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }
}

fn stamp(file: &Metadata) -> Stamp {
    (file.ino(), file.size(), file.mtime(), file.mtime_nsec())
}
