//! Makes characters into atoms: finds white space and `[[ phonemes ]]`.

use super::MAX_PHONEMES;
use super::buffer::{Atom, Buffer, Gap, Role};

/// Reads a text character by character.
#[derive(Debug)]
pub(super) struct Reader {
    /// Bytes that were read.
    at: u64,
    /// The white space before the next character. It grows until that is there.
    gap: Option<(Gap, u64)>,
    /// Whether the next character is the first of its line.
    opens_line: bool,
    /// What may become phonemes: "[", or "[[" and what follows.
    held: Vec<char>,
    /// Whether there was only white space since the last line break in these.
    is_blank: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self { at: 0, gap: None, opens_line: true, held: Vec::new(), is_blank: false }
    }
}

impl Reader {
    /// Reads one character.
    pub(super) fn read(&mut self, character: char, buffer: &mut Buffer) {
        if self.held.is_empty() && character != '[' {
            self.read_plain(character, buffer);
            return;
        }
        self.held.push(character);
        if self.held.len() <= 2 {
            self.is_blank = false;
            if character != '[' {
                self.release(buffer);
            }
            return;
        }
        let has_blank_line = self.is_blank && is_line_break(character);
        self.is_blank = is_line_break(character) || (self.is_blank && character.is_whitespace());
        if self.held.len() >= 4 && self.held.ends_with(&[']', ']']) {
            self.read_phonemes(buffer);
        } else if self.held.ends_with(&['[', '[']) {
            // The innermost ones count, so that a forgotten end costs only itself.
            self.release_but(2, buffer);
        } else if has_blank_line || character == '\u{2029}' {
            self.release(buffer);
        } else if self.held.len() >= MAX_PHONEMES {
            self.release_but(usize::from(character == '['), buffer);
        }
    }

    /// Whether it holds text back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives what it held back for phonemes as plain text.
    pub(super) fn release(&mut self, buffer: &mut Buffer) {
        self.release_but(0, buffer);
    }

    fn release_but(&mut self, kept: usize, buffer: &mut Buffer) {
        let kept = self.held.split_off(self.held.len().saturating_sub(kept));
        for character in std::mem::replace(&mut self.held, kept) {
            self.read_plain(character, buffer);
        }
        self.is_blank = false;
    }

    fn read_phonemes(&mut self, buffer: &mut Buffer) {
        let mut role = Role::Phonemes;
        for character in std::mem::take(&mut self.held) {
            self.add(character, role, buffer);
            role = Role::PhonemesGoOn;
        }
    }

    fn read_plain(&mut self, character: char, buffer: &mut Buffer) {
        if !character.is_whitespace() {
            self.add(character, Role::Text, buffer);
            return;
        }
        let (gap, at) = self.gap.unwrap_or((Gap::Space, self.at));
        let wider = match (gap, character) {
            (_, '\u{2029}') => Gap::Paragraph,
            (Gap::Space, _) if is_line_break(character) => Gap::Line,
            (Gap::Line, _) if is_line_break(character) => Gap::Paragraph,
            _ => gap,
        };
        self.at += character.len_utf8() as u64;
        self.gap = Some((wider, at));
        // A blank line is certain at once, whatever follows.
        if wider == Gap::Paragraph && gap != Gap::Paragraph {
            buffer.add(Atom { character: ' ', at, role: Role::Gap(wider), opens_line: false });
        }
    }

    fn add(&mut self, character: char, role: Role, buffer: &mut Buffer) {
        if let Some((gap, at)) = self.gap.take() {
            self.opens_line |= gap != Gap::Space;
            if gap != Gap::Paragraph {
                buffer.add(Atom { character: ' ', at, role: Role::Gap(gap), opens_line: false });
            }
        }
        let opens_line = std::mem::take(&mut self.opens_line);
        buffer.add(Atom { character, at: self.at, role, opens_line });
        self.at += character.len_utf8() as u64;
    }
}

/// Whether a character ends a line. A carriage return does not: it stands before one that does.
fn is_line_break(character: char) -> bool {
    matches!(character, '\n' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}')
}
