//! Cuts text into the words that entries are compared by.

use crate::sentence::phonemes;
use crate::speech::is_unspaced;
use std::ops::Range;
use unicode_width::UnicodeWidthChar as _;

/// A word of letters and figures, or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    /// Whether there is white space before it.
    pub(super) is_apart: bool,
    /// It in small letters. Empty for one that is too long to be an entry.
    pub(super) folded: String,
}

/// The longest word that is compared, in bytes.
pub(super) const MAX_LENGTH: usize = 256;

impl Word {
    /// It as it is written in its text.
    pub(super) fn of<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.range.clone()).unwrap_or_default()
    }
}

/// Words as they are written, with one space where there is white space.
pub(super) fn joined(text: &str, words: &[Word]) -> String {
    let mut joined = String::new();
    for word in words {
        joined.push_str(if word.is_apart && !joined.is_empty() { " " } else { "" });
        joined.push_str(word.of(text));
    }
    joined
}

/// All words of a text. What is in phonemes gives none, and what is behind them is not joined to what is before.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    for phonemes in phonemes(text) {
        gather(text, at..phonemes.start, &mut words);
        // A word of nothing that no entry has: a match cannot reach over it.
        words.push(Word { range: phonemes.end..phonemes.end, is_apart: false, folded: String::new() });
        at = phonemes.end;
    }
    gather(text, at..text.len(), &mut words);
    for word in words.iter_mut().filter(|word| word.range.len() <= MAX_LENGTH) {
        word.folded = word.of(text).chars().flat_map(char::to_lowercase).collect();
    }
    words
}

fn gather(text: &str, range: Range<usize>, words: &mut Vec<Word>) {
    // What the last character can be joined to: the letters of a script with spaces.
    let (mut is_open, mut is_apart) = (false, false);
    let mut is_first = true;
    for (index, character) in text.get(range.clone()).unwrap_or_default().char_indices() {
        let at = range.start + index;
        let end = at + character.len_utf8();
        if character.is_whitespace() {
            (is_open, is_apart) = (false, true);
            continue;
        }
        let is_letter = character.is_alphanumeric() || character == '_';
        let joins = !is_first && !is_apart && (extends(character) || is_open && is_letter && !is_unspaced(character));
        match words.last_mut() {
            Some(word) if joins => word.range.end = end,
            _ => {
                words.push(Word { range: at..end, is_apart, folded: String::new() });
                is_open = is_letter && !is_unspaced(character);
            }
        }
        (is_apart, is_first) = (false, false);
    }
}

/// Whether it belongs to the character before it.
fn extends(character: char) -> bool {
    !character.is_control() && character.width() == Some(0)
}
