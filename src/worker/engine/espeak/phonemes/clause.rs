//! A clause: what espeak-ng reads of a text in one go, as phonemes, and what stands at its end.

use crate::error::Result;
use std::{ffi::c_int, ops::Range};

/// A clause of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::worker::engine) struct Clause {
    /// IPA as espeak-ng gives it: spaces between words, "(fr)" where it changes the language.
    pub(in crate::worker::engine) phonemes: String,
    /// What it ends with.
    pub(in crate::worker::engine) end: End,
    /// Its bytes in the text, with the space that follows. Clauses lie side by side and cover the text.
    pub(in crate::worker::engine) text: Range<usize>,
}

/// What turns text into clauses.
pub(in crate::worker::engine) trait Clauses {
    /// The clauses of a text, at least one. Bytes count in `text`.
    ///
    /// # Errors
    /// `InvalidInput` for NUL bytes, `Internal` where it fails.
    fn clauses(&mut self, text: &str, reading: Reading) -> Result<Vec<Clause>>;
}

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker::engine) enum Reading {
    /// As text.
    Text,
    /// Character by character.
    Characters,
}

/// How a clause ends: espeak-ng's own number, and what it says of the tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker::engine) struct End {
    terminator: c_int,
    tone: c_int,
}

/// `CLAUSE_*` of espeak-ng's translate.h: the pause in units of 10 ms, the intonation, the type.
const PERIOD: c_int = 40 | SENTENCE;
const QUESTION: c_int = 40 | 0x2000 | SENTENCE;
const EXCLAMATION: c_int = 45 | 0x3000 | SENTENCE;
const COMMA: c_int = 20 | 0x1000 | 0x4_0000;
const COLON: c_int = 30 | 0x4_0000;
const SEMICOLON: c_int = 30 | 0x1000 | 0x4_0000;

/// The bits of them that tell which it is.
const WHICH: c_int = 0xF_FFFF;

/// `CLAUSE_TYPE_SENTENCE`.
const SENTENCE: c_int = 0x8_0000;

/// `CLAUSE_TYPE_EOF`.
const TEXT_END: c_int = 0x1_0000;

/// `CLAUSE_NONE`.
const CUT: c_int = 0x4000;

/// `CLAUSE_SPEAK_PUNCTUATION_NAME`, which espeak-ng sets for an ellipsis only.
const ELLIPSIS: c_int = 0x20_0000;

/// `CLAUSE_DOT_AFTER_LAST_WORD`.
const DOT: c_int = 0x40_0000;

/// The tone of a clause whose last word has a dot by its dictionary: "Mr.", "B.".
const TONE_OF_ABBREVIATIONS: c_int = 4;

impl End {
    /// That of a clause which goes on with the next, as where espeak-ng itself has no room for more.
    pub(super) const CUT: Self = Self { terminator: CUT, tone: 0 };

    /// From `TranslateClauseWithTerminator`.
    pub(super) fn new(terminator: c_int, tone: c_int) -> Self {
        Self { terminator, tone }
    }

    /// The end that a mark makes; of anything else, that of a text without one.
    #[cfg(test)]
    pub(in crate::worker::engine) fn of(mark: char) -> Self {
        let terminator = match mark {
            '.' => PERIOD,
            '?' => QUESTION,
            '!' => EXCLAMATION,
            ',' => COMMA,
            ':' => COLON,
            ';' => SEMICOLON,
            '…' => SEMICOLON | ELLIPSIS | 0x8000,
            _ => PERIOD | TEXT_END,
        };
        Self::new(terminator, 0)
    }

    /// The mark that Piper's voices have learnt to expect. None for what they never met: an ellipsis, marks of Chinese
    /// and Japanese, the end of a text or of a paragraph.
    pub(in crate::worker::engine) fn mark(self) -> Option<char> {
        match self.terminator & WHICH {
            PERIOD => Some('.'),
            QUESTION => Some('?'),
            EXCLAMATION => Some('!'),
            COMMA => Some(','),
            COLON => Some(':'),
            SEMICOLON => Some(';'),
            _ => None,
        }
    }

    /// Whether espeak-ng ends a sentence here.
    pub(in crate::worker::engine) fn ends_sentence(self) -> bool {
        self.terminator & SENTENCE != 0
    }

    /// Whether the text ends here, without a mark.
    pub(in crate::worker::engine) fn is_text_end(self) -> bool {
        self.terminator & TEXT_END != 0
    }

    /// Whether espeak-ng had no room for more and cut here, if it must in the middle of a word.
    pub(in crate::worker::engine) fn is_cut(self) -> bool {
        self.terminator & WHICH == CUT
    }

    /// Whether it is "…", or three dots or more.
    pub(in crate::worker::engine) fn is_ellipsis(self) -> bool {
        self.terminator & ELLIPSIS != 0
    }

    /// Whether espeak-ng's dictionary takes the dot for that of an abbreviation.
    pub(in crate::worker::engine) fn is_abbreviation(self) -> bool {
        self.terminator & DOT != 0 && self.tone == TONE_OF_ABBREVIATIONS
    }
}
