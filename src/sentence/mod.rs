//! Splits text into sentences for speech, also text that is still arriving.
//!
//! An engine speaks one sentence at a time: the sooner a sentence is known to be whole, the sooner it sounds. A language
//! model writes word by word, so the splitter takes text in pieces of any size and gives a sentence out as soon as
//! nothing that may follow could change its end. Nothing here knows of voices or engines.
//!
//! - `reader` makes characters into atoms: white space becomes gaps, `[[ phonemes ]]` become something that is never cut.
//! - `ends` decides at each mark (`.`, `?`, `。` …) whether a sentence ends there; `words` knows abbreviations, by language.
//! - `lines` decides at line breaks: headings, list items, dialogue.
//! - `limit` cuts what goes on for too long.
//!
//! Each decision looks only at atoms before it and at a bounded number behind it, and waits (`Unknown`) for those that
//! are not there yet. So the sentences do not depend on how the text was cut into pieces, the memory is bounded, and the
//! work is linear, whatever comes.
//!
//! When in doubt between a cut too many and one too few: a wrong pause in "Dr. | Smith" is heard, two short sentences
//! that are spoken in one go are not. So abbreviations, initials and ordinals are held together unless a word follows
//! that hardly ever stands after them ("The", "Er").

mod abbreviations;
mod buffer;
mod characters;
mod ends;
mod languages;
mod limit;
mod lines;
mod reader;
mod words;

#[cfg(test)]
mod tests;

use buffer::{Buffer, Gap, Role, Unknown};
use languages::Rules;
use lines::Line;
use reader::Reader;
use std::ops::Range;

/// The most characters of a sentence: about 25 s of speech at 15 characters a second. Longer than nearly all real
/// sentences, and what a voice of ordinary size speaks in bounded memory and with a first sound in a fraction of a
/// second. Chinese and Japanese characters count as [`WIDE_WEIGHT`], since each is a syllable or more.
pub(crate) const MAX: usize = 400;

/// What a character of a script without spaces counts towards [`MAX`].
const WIDE_WEIGHT: usize = 3;

/// The most characters of `[[ phonemes ]]`, brackets included. Longer ones, and those with a blank line in them, are
/// plain text: somebody forgot the end. Less than [`MAX`], so that a cut beside them is always possible.
pub(crate) const MAX_PHONEMES: usize = 300;

/// A sentence, as it is to be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// Trimmed, and every run of white space is one space (but in `[[ phonemes ]]`, which are as they were written).
    pub(crate) text: String,
    /// Where it starts: bytes of all text that was pushed so far.
    pub(crate) start: u64,
    /// Where it ends: one byte behind its last.
    pub(crate) end: u64,
    /// Whether a blank line follows. False for the last sentence before a flush: nobody knows what follows.
    pub(crate) ends_paragraph: bool,
    /// From which byte of `text` on, how many bytes of white space are not in it.
    shifts: Vec<(usize, u64)>,
}

impl Sentence {
    /// A whole text as it stands, as if it were one.
    pub(crate) fn verbatim(text: &str) -> Self {
        Self { text: text.to_owned(), start: 0, end: text.len() as u64, ends_paragraph: true, shifts: Vec::new() }
    }

    /// Where a byte of `text` stands in all text that was pushed.
    pub(crate) fn source(&self, byte: usize) -> u64 {
        let passed = self.shifts.partition_point(|(from, _)| *from <= byte);
        let shift = passed.checked_sub(1).and_then(|last| self.shifts.get(last)).map_or(0, |(_, shift)| *shift);
        (self.start + byte as u64 + shift).min(self.end)
    }
}

/// Splits text that arrives in pieces.
#[derive(Debug)]
pub(crate) struct Splitter {
    rules: Rules,
    reader: Reader,
    buffer: Buffer,
    /// How many atoms of the buffer have been looked at, and no sentence ends in them.
    seen: usize,
    /// What these count towards [`MAX`].
    weight: usize,
    /// Whether there is anything in them that can be spoken.
    has_words: bool,
    line: Line,
}

impl Splitter {
    /// A splitter for a language in BCP 47, such as "en-us". Of an unknown or empty one, it knows what is common to all.
    pub(crate) fn new(language: &str) -> Self {
        Self {
            rules: Rules::of(language),
            reader: Reader::default(),
            buffer: Buffer::default(),
            seen: 0,
            weight: 0,
            has_words: false,
            line: Line::default(),
        }
    }

    /// Takes more text, and gives the sentences whose end is certain by now.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Sentence> {
        let mut sentences = Vec::new();
        for character in text.chars() {
            // One at a time, so that the buffer stays short whatever the length of the text.
            self.reader.read(character, &mut self.buffer);
            self.advance(&mut sentences);
        }
        sentences
    }

    /// Gives all that is there, to be spoken now. What follows is a new sentence, even in the middle of a word.
    pub(crate) fn flush(&mut self) -> Vec<Sentence> {
        let mut sentences = Vec::new();
        self.reader.release(&mut self.buffer);
        self.buffer.set_complete(true);
        self.advance(&mut sentences);
        self.give(self.buffer.len(), false, &mut sentences);
        self.buffer.set_complete(false);
        sentences
    }

    /// Whether there is text that has not been given out.
    pub(crate) fn pending(&self) -> bool {
        !self.buffer.is_empty() || self.reader.holds()
    }

    fn advance(&mut self, sentences: &mut Vec<Sentence>) {
        while self.seen < self.buffer.len() {
            if self.step(sentences).is_err() {
                return;
            }
        }
    }

    /// Looks at one more atom. Changes nothing when what follows has to be known first.
    fn step(&mut self, sentences: &mut Vec<Sentence>) -> Result<(), Unknown> {
        let at = self.seen;
        let Some(atom) = self.buffer.get(at) else { return Ok(()) };
        if let Role::Gap(gap) = atom.role {
            match gap {
                Gap::Paragraph => self.give(at, true, sentences),
                Gap::Line if self.line.is_heading() => self.give(at, false, sentences),
                Gap::Space | Gap::Line => (self.seen, self.weight) = (at + 1, self.weight + 1),
            }
            return Ok(());
        }
        let mut line = self.line.clone();
        if atom.opens_line {
            let opening = lines::opening(&self.buffer, at)?;
            if at > 0 && lines::is_parted(&self.buffer, at, &self.line, &opening) {
                self.give(at, false, sentences);
                return Ok(());
            }
            line = Line::new(at, &opening);
        }
        let weight = self.weight + atom.weight();
        if weight > limit::SOFT_MAX {
            self.give(limit::cut(&self.buffer, at), false, sentences);
            return Ok(());
        }
        let has_words = self.has_words || atom.is_word();
        let is_end = has_words && !line.is_marker(at);
        let end = if is_end { ends::end(&self.buffer, at, &self.rules)? } else { None };
        (self.seen, self.weight, self.has_words, self.line) = (at + 1, weight, has_words, line);
        if let Some(end) = end {
            self.give(end, false, sentences);
        }
        Ok(())
    }

    /// Gives out the first atoms as a sentence, and forgets the gap behind them.
    fn give(&mut self, count: usize, ends_paragraph: bool, sentences: &mut Vec<Sentence>) {
        sentences.extend(self.buffer.take(count, ends_paragraph));
        let gone = count + self.buffer.drop_gaps();
        self.line.forget(gone);
        self.seen = self.seen.saturating_sub(gone);
        let rest = (0..self.seen).filter_map(|index| self.buffer.get(index));
        (self.weight, self.has_words) =
            rest.fold((0, false), |(weight, has), atom| (weight + atom.weight(), has || atom.is_word()));
    }
}

/// Splits a whole text into its sentences.
pub(crate) fn split(text: &str, language: &str) -> Vec<Sentence> {
    let mut splitter = Splitter::new(language);
    let mut sentences = splitter.push(text);
    sentences.extend(splitter.flush());
    sentences
}

/// Where there are `[[ phonemes ]]` in a text: their bytes, brackets included. What is in there is nobody's to change.
pub(crate) fn phonemes(text: &str) -> Vec<Range<usize>> {
    let (mut reader, mut buffer) = (Reader::default(), Buffer::default());
    let mut found = Vec::new();
    let mut at = 0;
    for character in text.chars() {
        at += character.len_utf8();
        reader.read(character, &mut buffer);
        let length = buffer.take_phonemes();
        if length > 0 {
            found.push(at - length..at);
        }
    }
    found
}
