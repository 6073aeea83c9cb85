//! The atoms of text that have been read and not yet been given out.

use super::Sentence;
use super::characters::is_wide;
use std::collections::VecDeque;

/// What follows has to be known first, and has not arrived.
#[derive(Debug)]
pub(super) struct Unknown;

/// A character, or a run of white space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom {
    /// The character; of a gap, a space.
    pub(super) character: char,
    /// Its first byte in all that was pushed.
    pub(super) at: u64,
    pub(super) role: Role,
    /// Whether it is the first on a line that is not white.
    pub(super) opens_line: bool,
}

/// What an atom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Text,
    /// The first bracket of `[[ phonemes ]]`.
    Phonemes,
    /// The rest of them. No cut is made in front of these.
    PhonemesGoOn,
    Gap(Gap),
}

/// A run of white space, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    Space,
    /// One line break.
    Line,
    /// A blank line.
    Paragraph,
}

impl Atom {
    /// The character, if it stands for itself.
    pub(super) fn text(self) -> Option<char> {
        (self.role == Role::Text).then_some(self.character)
    }

    /// Whether it is white space.
    pub(super) fn is_gap(self) -> bool {
        matches!(self.role, Role::Gap(_))
    }

    /// Whether it can be spoken.
    pub(super) fn is_word(self) -> bool {
        !self.is_gap() && (self.role != Role::Text || self.character.is_alphanumeric())
    }

    /// What it counts towards the length of a sentence.
    pub(super) fn weight(self) -> usize {
        if self.text().is_some_and(is_wide) { super::WIDE_WEIGHT } else { 1 }
    }
}

/// The atoms, the oldest first. Never begins with a gap.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    atoms: VecDeque<Atom>,
    is_complete: bool,
    /// How often an atom was looked at.
    #[cfg(test)]
    pub(super) looks: std::cell::Cell<u64>,
}

impl Buffer {
    /// Adds an atom. A gap in front of everything is dropped.
    pub(super) fn add(&mut self, atom: Atom) {
        if !(self.atoms.is_empty() && atom.is_gap()) {
            self.atoms.push_back(atom);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.atoms.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// Says whether the text ends with the last atom.
    pub(super) fn set_complete(&mut self, is_complete: bool) {
        self.is_complete = is_complete;
    }

    pub(super) fn get(&self, index: usize) -> Option<Atom> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.atoms.get(index).copied()
    }

    /// The atom before an index.
    pub(super) fn before(&self, index: usize) -> Option<Atom> {
        self.get(index.checked_sub(1)?)
    }

    /// The character before an index, if it stands for itself.
    pub(super) fn text_before(&self, index: usize) -> Option<char> {
        self.before(index)?.text()
    }

    /// The atom at an index, and `None` where the text ends before it.
    pub(super) fn peek(&self, index: usize) -> Result<Option<Atom>, Unknown> {
        match self.get(index) {
            None if !self.is_complete => Err(Unknown),
            atom => Ok(atom),
        }
    }

    /// The character at an index. `None` where there is another thing, or nothing.
    pub(super) fn peek_text(&self, index: usize) -> Result<Option<char>, Unknown> {
        Ok(self.peek(index)?.and_then(Atom::text))
    }

    /// Takes the first atoms as a sentence. `None` if there is nothing in them.
    pub(super) fn take(&mut self, count: usize, ends_paragraph: bool) -> Option<Sentence> {
        let taken: Vec<Atom> = self.atoms.drain(..count.min(self.atoms.len())).collect();
        let trimmed = taken.iter().rposition(|atom| !atom.is_gap())?;
        let (first, last) = (taken.first()?, taken.get(trimmed)?);
        let (mut text, mut shifts, mut shift) = (String::new(), Vec::new(), 0);
        for atom in taken.iter().take(trimmed + 1) {
            let passed = (atom.at - first.at).saturating_sub(text.len() as u64);
            if passed != shift {
                shift = passed;
                shifts.push((text.len(), shift));
            }
            text.push(atom.character);
        }
        let end = last.at + last.character.len_utf8() as u64;
        Some(Sentence { text, start: first.at, end, ends_paragraph, shifts })
    }

    /// Drops all atoms, and tells how many bytes of phonemes are in them.
    pub(super) fn take_phonemes(&mut self) -> usize {
        let is_phonemes = |atom: &Atom| matches!(atom.role, Role::Phonemes | Role::PhonemesGoOn);
        self.atoms.drain(..).filter(is_phonemes).map(|atom| atom.character.len_utf8()).sum()
    }

    /// Drops the gaps in front, and tells how many there were.
    pub(super) fn drop_gaps(&mut self) -> usize {
        let gaps = self.atoms.iter().take_while(|atom| atom.is_gap()).count();
        self.atoms.drain(..gaps);
        gaps
    }
}
