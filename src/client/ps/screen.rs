//! A part of the terminal that is written again and again in place.
//!
//! No cursor is hidden and no other screen is used: whatever ends us, the terminal stays as it was, with the last table.

use super::table::cut;
use crate::{client::output::Output, error::Result};
use unicode_width::UnicodeWidthStr;

/// What is on it.
pub(super) struct Screen {
    output: Output,
    /// All lines that were last drawn, also those that the window had no room for.
    whole: Vec<String>,
    /// How wide each line is that stands above the cursor.
    drawn: Vec<usize>,
}

impl Screen {
    /// A part that is empty yet, below what is on the terminal.
    pub(super) fn new(output: Output) -> Self {
        Self { output, whole: Vec::new(), drawn: Vec::new() }
    }

    /// How wide the window is.
    pub(super) fn width(&self) -> usize {
        self.output.window().0
    }

    /// Draws lines in place of those that are there. What is too high for the window cannot be drawn again: so much
    /// of it is shown as there is room for.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn draw(&mut self, lines: Vec<String>) -> Result<()> {
        let room = self.output.window().1.saturating_sub(1).max(2);
        self.whole = lines;
        let shown = match self.whole.len() {
            count if count <= room => self.whole.clone(),
            count => {
                let rest = count - (room - 1);
                let note = format!("… and {rest} more lines; make the window higher");
                self.whole.iter().take(room - 1).cloned().chain([note]).collect()
            }
        };
        self.put(shown)
    }

    fn put(&mut self, lines: Vec<String>) -> Result<()> {
        let width = self.width();
        let lines: Vec<String> = lines.iter().map(|line| cut(line, width)).collect();
        let bytes = redrawn(&self.drawn, &lines, width);
        self.drawn = lines.iter().map(|line| line.width()).collect();
        self.output.bytes(bytes.as_bytes())
    }
}

/// Leaves the last table, whole, over what the terminal itself may have written since ("^C").
impl Drop for Screen {
    fn drop(&mut self) {
        if !self.drawn.is_empty() {
            let whole = std::mem::take(&mut self.whole);
            // Where the terminal is gone, nobody misses it.
            self.put(whole).unwrap_or_default();
        }
    }
}

/// What moves the cursor up over old lines and writes new ones there. A window that has been made narrower has wrapped
/// the old ones since.
fn redrawn(old: &[usize], new: &[String], width: usize) -> String {
    let rows: usize = old.iter().map(|line| line.div_ceil(width.max(1)).max(1)).sum();
    // A character whose width the terminal sees otherwise must not make a line two: nothing wraps.
    let mut text = "\x1b[?7l\r".to_owned();
    if rows > 0 {
        text.push_str(&format!("\x1b[{rows}A"));
    }
    for line in new {
        // Each line is emptied before it is written: behind one that is full, the last character would go.
        text.push_str("\x1b[2K");
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\x1b[J\x1b[?7h");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_goes_up_over_what_was_drawn() {
        let new = ["a".to_owned()];
        assert_eq!(redrawn(&[], &new, 80), "\x1b[?7l\r\x1b[2Ka\r\n\x1b[J\x1b[?7h");
        assert!(redrawn(&[80, 0, 5], &new, 80).contains("\r\x1b[3A\x1b[2Ka"));
    }

    #[test]
    fn a_window_made_narrower_has_wrapped_what_was_drawn() {
        assert!(redrawn(&[80, 0, 5], &[], 40).contains("\x1b[4A"));
        assert!(redrawn(&[80, 0, 5], &[], 0).contains("\x1b[86A"));
    }
}
