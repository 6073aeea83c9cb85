//! What a line break means: nothing, in wrapped text, but the end of a heading, a list item or a turn of a dialogue.

use super::buffer::{Atom, Buffer, Gap, Role, Unknown};
use super::characters::{self, is_closer};
use super::ends::{self, Start};

/// The most columns of a line that may be a heading or an item. Text that is wrapped has longer lines, as a rule.
const SHORT: usize = 50;

/// How a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// "- ", "1. ", "a) ": so many atoms are its marker.
    Item(usize),
    /// "## ", as in Markdown.
    Heading(usize),
    /// As a sentence does.
    Capital,
    /// As nothing in particular.
    Plain,
}

/// The line that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    is_item: bool,
    is_heading: bool,
    /// Where its marker ends, if it has one: the dot in it is no end.
    marker_end: usize,
}

impl Line {
    /// A line that begins at an index.
    pub(super) fn new(at: usize, opening: &Opening) -> Self {
        match opening {
            Opening::Item(length) => Self { is_item: true, is_heading: false, marker_end: at + length },
            Opening::Heading(length) => Self { is_item: false, is_heading: true, marker_end: at + length },
            Opening::Capital | Opening::Plain => Self::default(),
        }
    }

    /// Whether an index is in the marker of the line.
    pub(super) fn is_marker(&self, at: usize) -> bool {
        at < self.marker_end
    }

    /// Whether it ends with its line break, whatever follows.
    pub(super) fn is_heading(&self) -> bool {
        self.is_heading
    }

    /// Says that so many atoms are gone from the front of the buffer.
    pub(super) fn forget(&mut self, gone: usize) {
        self.marker_end = self.marker_end.saturating_sub(gone);
    }
}

/// How the line begins that starts at an index.
pub(super) fn opening(buffer: &Buffer, at: usize) -> Result<Opening, Unknown> {
    if let Some(opening) = marker(buffer, at)? {
        return Ok(opening);
    }
    let (start, _, _) = ends::start(buffer, at)?;
    let is_capital = match start {
        Start::Upper => true,
        Start::Lower | Start::Digit => false,
        Start::Other => buffer.get(at).and_then(Atom::text).is_none_or(|character| !character.is_ascii()),
    };
    Ok(if is_capital { Opening::Capital } else { Opening::Plain })
}

fn marker(buffer: &Buffer, at: usize) -> Result<Option<Opening>, Unknown> {
    let is_gap = |index: usize| Ok(buffer.peek(index)?.is_some_and(|atom| atom.role == Role::Gap(Gap::Space)));
    match buffer.peek_text(at)? {
        Some('•' | '‣' | '◦' | '▪' | '▫' | '●' | '○' | '·' | '*' | '+' | '-' | '–') if is_gap(at + 1)? => {
            Ok(Some(Opening::Item(2)))
        }
        // Dialogue: "— Привет", "—Hola".
        Some('—' | '–' | '―') => {
            let (start, _, _) = ends::start(buffer, at + 1)?;
            Ok((is_gap(at + 1)? || start == Start::Upper).then_some(Opening::Item(1)))
        }
        Some('#') => {
            let mut length = 1;
            while length <= 6 && buffer.peek_text(at + length)? == Some('#') {
                length += 1;
            }
            Ok((length <= 6 && is_gap(at + length)?).then_some(Opening::Heading(length + 1)))
        }
        Some(first) if first.is_ascii_digit() => {
            let mut length = 1;
            while length <= 3 && buffer.peek_text(at + length)?.is_some_and(|figure| figure.is_ascii_digit()) {
                length += 1;
            }
            match buffer.peek_text(at + length)? {
                _ if length > 3 => Ok(None),
                Some('、' | '．') => Ok(Some(Opening::Item(length + 1))),
                Some('.' | ')') if is_gap(at + length + 1)? => Ok(Some(Opening::Item(length + 2))),
                _ => Ok(None),
            }
        }
        Some(first) if first.is_ascii_alphabetic() => {
            let is_item = buffer.peek_text(at + 1)? == Some(')') && is_gap(at + 2)?;
            Ok(is_item.then_some(Opening::Item(3)))
        }
        _ => Ok(None),
    }
}

/// Whether a line break ends what is before it: the line that begins at an index is another thing than the one before.
pub(super) fn is_parted(buffer: &Buffer, at: usize, before: &Line, opening: &Opening) -> bool {
    let Some(gap) = at.checked_sub(1).filter(|&gap| buffer.get(gap).is_some_and(Atom::is_gap)) else { return false };
    let (is_short, is_whole) = line_before(buffer, gap);
    let last = buffer.text_before(gap);
    match opening {
        Opening::Heading(_) => true,
        Opening::Item(_) => before.is_item || is_short || matches!(last, Some(':' | '：')),
        Opening::Capital => is_short && (is_whole || before.is_item) && last.is_none_or(may_end_heading),
        Opening::Plain => false,
    }
}

/// Whether the line before a gap is short, and whether it is all that is pending.
fn line_before(buffer: &Buffer, gap: usize) -> (bool, bool) {
    let mut columns = 0;
    for index in (0..gap).rev() {
        let Some(atom) = buffer.get(index) else { break };
        columns += characters::columns(atom.character);
        if columns > SHORT {
            return (false, false);
        }
        if atom.opens_line {
            return (true, index == 0);
        }
    }
    (true, false)
}

/// A comma says that it goes on, and a dot that was no end does too.
fn may_end_heading(last: char) -> bool {
    last.is_alphanumeric() || characters::extends(last) || matches!(last, ':' | '：') || is_closer(last)
}
