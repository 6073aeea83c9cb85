//! Whether a sentence ends at a mark.

use super::buffer::{Atom, Buffer, Gap, Role, Unknown};
use super::characters::{self, Mark, extends, is_closer, is_dash, is_opener, is_spaced_closer};
use super::languages::{Habit, Rules};
use super::words;

/// The most closing quotes and brackets, spaces between them included, that are taken to a sentence.
pub(super) const MAX_CLOSERS: usize = 8;

/// The most quotes, brackets and dashes that are passed over to find how a sentence begins.
const MAX_OPENERS: usize = 8;

/// What a sentence would begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A small letter, or a sign that never begins a sentence.
    Lower,
    Upper,
    Digit,
    /// A letter without case, a symbol, phonemes, or nothing.
    Other,
}

/// A mark, and what is behind it.
struct Candidate<'a> {
    buffer: &'a Buffer,
    rules: &'a Rules,
    /// Where the mark is.
    at: usize,
    mark: Mark,
    /// Whether a quotation or a bracket ends with the sentence.
    is_closed: bool,
}

/// Where the sentence ends whose mark is at an index, closing quotes included. `None` if it does not end there, or if
/// there is no mark.
pub(super) fn end(buffer: &Buffer, at: usize, rules: &Rules) -> Result<Option<usize>, Unknown> {
    let Some(mark) = buffer.get(at).and_then(Atom::text).and_then(characters::mark) else { return Ok(None) };
    Candidate { buffer, rules, at, mark, is_closed: false }.end()
}

impl Candidate<'_> {
    fn end(mut self) -> Result<Option<usize>, Unknown> {
        let mut end = self.at + 1;
        while end <= self.at + MAX_CLOSERS {
            match self.buffer.peek_text(end)? {
                Some(closer) if is_closer(closer) => self.is_closed = true,
                Some(extension) if extends(extension) => {}
                _ => break,
            }
            end += 1;
        }
        loop {
            let Some(next) = self.buffer.peek(end)? else { return Ok(Some(end)) };
            match next.role {
                // The blank line ends it.
                Role::Gap(Gap::Paragraph) => return Ok(None),
                Role::Gap(_) if end <= self.at + MAX_CLOSERS && self.is_spaced_closer(end + 1)? => {
                    self.is_closed = true;
                    end += 2;
                }
                Role::Gap(_) => return Ok(self.ends_before_gap(end + 1)?.then_some(end)),
                Role::Text if end <= self.at + MAX_CLOSERS && extends(next.character) => end += 1,
                _ => return Ok(self.ends_without_gap(next).then_some(end)),
            }
        }
    }

    /// As in « Bonjour ! », where German would begin »Hallo!« with the same mark.
    fn is_spaced_closer(&self, at: usize) -> Result<bool, Unknown> {
        Ok(self.buffer.peek_text(at)?.is_some_and(is_spaced_closer)
            && !self.buffer.peek_text(at + 1)?.is_some_and(char::is_alphanumeric))
    }

    fn ends_without_gap(&self, next: Atom) -> bool {
        let Some(character) = next.text() else { return self.mark == Mark::Hard };
        if characters::mark(character).is_some() || extends(character) {
            return false;
        }
        match self.mark {
            Mark::Hard if self.buffer.get(self.at).and_then(Atom::text) == Some('．') => !character.is_numeric(),
            Mark::Hard => !characters::is_clause_mark(character) && !self.goes_on_quoting(character),
            // Chinese and Japanese with the marks of ASCII.
            Mark::Strong => characters::is_wide(character),
            Mark::Soft => false,
        }
    }

    /// 「行くぞ。」と彼は言った。
    fn goes_on_quoting(&self, character: char) -> bool {
        self.is_closed && self.rules.quotes_go_on && matches!(character, 'と' | 'っ' | 'な' | 'の' | 'を' | 'は' | 'が')
    }

    fn ends_before_gap(&self, at: usize) -> Result<bool, Unknown> {
        if let Some(character) = self.buffer.peek_text(at)? {
            if characters::mark(character).is_some() {
                // "Quoi ? !" goes on, but ".NET" begins something.
                return Ok(self.buffer.peek_text(at + 1)?.is_some_and(char::is_alphanumeric));
            }
            if characters::is_clause_mark(character) && !is_dash(character) {
                return Ok(false);
            }
        }
        if self.mark == Mark::Hard {
            return Ok(true);
        }
        let (start, begin, has_dash) = start(self.buffer, at)?;
        if start == Start::Lower {
            return Ok(self.mark == Mark::Strong && !self.is_closed && !has_dash);
        }
        let is_ellipsis = self.buffer.get(self.at).and_then(Atom::text) == Some('…')
            || self.buffer.text_before(self.at).and_then(characters::mark).is_some();
        if self.mark == Mark::Strong || self.is_closed || is_ellipsis {
            return Ok(true);
        }
        match words::habit(self.buffer, self.at, self.rules) {
            None => Ok(true),
            Some(Habit::NeverEnds) => Ok(false),
            Some(Habit::OftenEnds) => Ok(start != Start::Digit),
            Some(Habit::RarelyEnds) => Ok(start == Start::Upper && self.is_starter(begin)?),
            Some(Habit::BeforeNumber) => Ok(start != Start::Digit && !self.is_roman(begin)?),
        }
    }

    /// A word that begins sentences, and is no initial itself.
    fn is_starter(&self, begin: usize) -> Result<bool, Unknown> {
        let word = word_at(self.buffer, begin)?;
        Ok(self.rules.is_starter(&word) && self.buffer.peek_text(begin + word.chars().count())? != Some('.'))
    }

    /// "Vol. IV", but "No. I do not."
    fn is_roman(&self, begin: usize) -> Result<bool, Unknown> {
        let word = word_at(self.buffer, begin)?;
        Ok(words::is_roman(&word) && !(self.rules.has_word_i && word == "I"))
    }
}

/// The word at an index, or its first letters if it is long.
fn word_at(buffer: &Buffer, begin: usize) -> Result<String, Unknown> {
    let mut word = String::new();
    for index in begin..begin + words::MAX_WORD {
        match buffer.peek_text(index)? {
            Some(letter) if letter.is_alphabetic() => word.push(letter),
            _ => break,
        }
    }
    Ok(word)
}

/// What begins at an index behind quotes, brackets and dashes: what it is, where, and whether there was a dash.
pub(super) fn start(buffer: &Buffer, at: usize) -> Result<(Start, usize, bool), Unknown> {
    let mut has_dash = false;
    for index in at..at + MAX_OPENERS {
        let Some(atom) = buffer.peek(index)? else { return Ok((Start::Other, index, has_dash)) };
        let Some(character) = atom.text() else {
            if atom.role == Role::Gap(Gap::Space) && index > at {
                continue;
            }
            return Ok((Start::Other, index, has_dash));
        };
        has_dash |= is_dash(character);
        if !is_dash(character) && !is_opener(character) {
            return Ok((kind(buffer, index, character)?, index, has_dash));
        }
    }
    Ok((Start::Other, at + MAX_OPENERS, has_dash))
}

fn kind(buffer: &Buffer, at: usize, character: char) -> Result<Start, Unknown> {
    Ok(match character {
        _ if character.is_lowercase() => {
            // "iPhone" has its capital, only later.
            let is_camel = buffer.peek_text(at + 1)?.is_some_and(char::is_uppercase);
            if is_camel { Start::Upper } else { Start::Lower }
        }
        '&' | '+' | '=' | '/' | '%' | '<' | '>' | '|' | '\\' => Start::Lower,
        _ if character.is_uppercase() => Start::Upper,
        _ if character.is_numeric() => Start::Digit,
        _ => Start::Other,
    })
}
