//! A user's own pronunciations: names and words that a voice gets wrong.
//!
//! A lexicon is a text file in UTF-8 with one entry a line:
//!
//! ```text
//! # What is behind a hash at the beginning of a line, or between spaces, is a comment.
//! Nguyen = win                       a respelling, as one would write it for the voice
//! New York = [[nuː jɔːɹk]]           phonemes, as the voice takes them
//! GIF = jif                          capitals inside a word: exactly so written
//! de: Linux = Linnux                 in German only ("de-at" is more exact than "de")
//!
//! [fr]                               from here on in French, until [*] or the end
//! Paris = [[paʁi]]
//! ```
//!
//! - A word matches whole words only: "art" is not in "start", but "Nguyen" is in "Nguyen's" and in "Nguyen-Smith", and
//!   "eau" in "l'eau". An English "n't" belongs to its word: "can" is not in "can't".
//! - It matches without regard to case, unless there is a capital in it that is not the first letter of a word, as in
//!   "US" or "iOS": then it matches exactly. Where both "US" and "us" are entries, each gets its own.
//! - Of several that match in one place, the longest counts; of the same one, exact case before any case, and a more exact
//!   language before a less exact one.
//! - A space matches any white space. Letters are compared as they are encoded: "é" in one character is not "é" in two.
//! - Signs belong to no word: "%" is in "5%", and ".NET" in "ASP.NET".
//! - Scripts that are written without spaces (Chinese, Japanese, Thai) have no whole words: there an entry matches anywhere.
//! - A word has at most 16 words and signs, a word and a pronunciation at most 256 bytes.
//! - What is in `[[ ]]` is left alone, and what an entry gives is not looked at again.
//!
//! Documents of markup (SSML) are not its business: their words come one by one.

mod apply;
mod parse;
mod tree;
mod watched;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use apply::Applied;
pub(crate) use watched::Watched;

use crate::error::{Error, Kind, Result};
use std::io::Read as _;
use std::path::Path;
use tree::Tree;

/// The largest file: a hundred thousand entries of eighty bytes.
pub(crate) const MAX_BYTES: u64 = 8 << 20;

/// The most entries of a file.
pub(crate) const MAX_ENTRIES: usize = 100_000;

/// Entries, ready to be looked up.
#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    tree: Tree,
    count: usize,
}

impl Lexicon {
    /// Reads entries. Errors call the text `name`, the path of its file as a rule.
    ///
    /// # Errors
    /// `InvalidInput` with the line that is wrong.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self> {
        parse::parse(text, name)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// `NotFound` and `Io` if it cannot be read, `InvalidInput` if it is no lexicon.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, format!("there is no lexicon {name}")),
            _ => Error::new(Kind::Io, format!("cannot read lexicon {name}")).because(error),
        };
        // Before it is opened: opening a pipe could wait for ever.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(Error::invalid(format!("lexicon {name} is not a file")));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        parse::check_size(bytes.len(), &name)?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, &name),
            Err(error) => {
                let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
                let line = valid.filter(|&&byte| byte == b'\n').count() + 1;
                Err(Error::invalid(format!("{name}:{line}: this is not UTF-8; save the file as UTF-8")))
            }
        }
    }

    /// How many entries there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Replaces the words of a text in a language (BCP 47) by their entries.
    pub(crate) fn apply(&self, text: &str, language: &str) -> Applied {
        apply::apply(&self.tree, text, language)
    }
}
