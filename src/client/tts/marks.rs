//! Where sentences and words begin to sound: read of the wire, and written as JSON lines.

use super::place::Place;
use crate::{
    client::{json, output::Output},
    error::Result,
    proto::v1::{SpeechMark, SpeechMarkKind},
    speech::MarkKind,
};
use std::path::{Path, PathBuf};

/// The most text that is kept for marks that do not come.
const MOST_KEPT: usize = 1 << 20;

/// Where something begins to sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: MarkKind,
    /// From the first sample of the audio.
    pub(super) sample: u64,
    /// The part of the text, in bytes.
    pub(super) start: u64,
    pub(super) end: u64,
    /// That part, or the name.
    pub(super) text: String,
}

/// The text that was sent and has not been spoken yet, for those who want to know what a mark speaks of.
#[derive(Debug, Default)]
pub(super) struct Window {
    text: String,
    /// Where it begins, in bytes.
    start: usize,
}

/// Takes marks, a JSON line each.
pub(super) struct MarksFile(Place);

/// A line of it.
#[derive(serde::Serialize)]
struct Line<'a> {
    r#type: &'static str,
    /// Seconds.
    at: f64,
    sample: u64,
    start: u64,
    end: u64,
    text: &'a str,
}

impl Window {
    /// More text was sent.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        if self.text.len() > MOST_KEPT {
            self.forget_before(self.start + self.text.len() - MOST_KEPT / 2);
        }
    }

    /// Nobody will ask for what comes before this byte.
    pub(super) fn forget_before(&mut self, at: usize) {
        let wanted = at.saturating_sub(self.start).min(self.text.len());
        // Never half of a character.
        let count = (0..=wanted).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        self.text.drain(..count);
        self.start += count;
    }

    /// All that is kept.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A mark of the wire, with what it speaks of; none for a kind that is not known here. `skipped` are the bytes that
    /// stood before the text.
    pub(super) fn read(&mut self, mark: SpeechMark, skipped: u64) -> Option<Mark> {
        let kind = match mark.kind() {
            SpeechMarkKind::Sentence => MarkKind::Sentence,
            SpeechMarkKind::Word => MarkKind::Word,
            SpeechMarkKind::Named => MarkKind::Named,
            SpeechMarkKind::Unspecified => return None,
        };
        // What is below 0 is wrong, and as good as 0.
        let place = |value: i64| usize::try_from(value).unwrap_or(0);
        let (start, end) = (place(mark.text_start), place(mark.text_end));
        if kind == MarkKind::Sentence {
            self.forget_before(start);
        }
        let inside = start.checked_sub(self.start).zip(end.checked_sub(self.start));
        let text = match (kind, inside) {
            (MarkKind::Named, _) => mark.name,
            (_, Some((from, to))) => self.text.get(from..to).unwrap_or_default().to_owned(),
            (_, None) => String::new(),
        };
        let sample = u64::try_from(mark.sample).unwrap_or(0);
        Some(Mark { kind, sample, start: start as u64 + skipped, end: end as u64 + skipped, text })
    }
}

impl MarksFile {
    /// Opens it, without touching what is there.
    ///
    /// # Errors
    /// `Io`, or `InvalidInput` for a folder.
    pub(super) fn open(path: &Path, output: Output) -> Result<Self> {
        Place::open(path, output).map(Self)
    }

    /// Whether marks share the terminal with a line of progress.
    pub(super) fn is_stdout(&self) -> bool {
        self.0.is_stdout()
    }

    /// The file that it will be, if it is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.0.file()
    }

    /// Writes a mark of audio at so many Hz.
    ///
    /// # Errors
    /// `Io`; a closed pipe.
    pub(super) fn write(&mut self, mark: &Mark, rate: u32) -> Result<()> {
        let Mark { kind, sample, start, end, text } = mark;
        let at = json::rounded(*sample as f64 / f64::from(rate.max(1)));
        let line = Line { r#type: kind.word(), at, sample: *sample, start: *start, end: *end, text };
        self.0.write(format!("{}\n", json::line(&line)?).as_bytes())
    }

    /// All marks are there: the file takes its place.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn finish(self) -> Result<()> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(kind: SpeechMarkKind, start: i64, end: i64) -> SpeechMark {
        SpeechMark { kind: kind.into(), sample: 5, text_start: start, text_end: end, name: "n".to_owned() }
    }

    #[test]
    fn a_mark_has_its_part_of_the_text() {
        let mut window = Window::default();
        window.push("Über ");
        window.push("uns. Wir. ");
        let mut read = |kind, start, end| window.read(mark(kind, start, end), 3).map(|mark| (mark.start, mark.text));
        assert_eq!(read(SpeechMarkKind::Sentence, 0, 10), Some((3, "Über uns.".to_owned())));
        assert_eq!(read(SpeechMarkKind::Word, 6, 9), Some((9, "uns".to_owned())));
        assert_eq!(read(SpeechMarkKind::Named, 6, 6), Some((9, "n".to_owned())));
        assert_eq!(read(SpeechMarkKind::Sentence, 11, 15), Some((14, "Wir.".to_owned())));
        // What is gone, what never was, half of a character, and what is no place.
        for (start, end) in [(0, 5), (11, 99), (14, 12), (-4, i64::MAX)] {
            assert_eq!(read(SpeechMarkKind::Word, start, end).map(|(_, text)| text), Some(String::new()));
        }
        assert_eq!(read(SpeechMarkKind::Unspecified, 0, 1), None);
    }

    #[test]
    fn text_whose_marks_do_not_come_is_let_go_of() {
        let mut window = Window::default();
        for _ in 0..5_000 {
            window.push(&"ü".repeat(500));
            assert!(window.text.len() <= MOST_KEPT && window.start + window.text.len() <= 5_000_000);
        }
        window.push("end.");
        let found = window.read(mark(SpeechMarkKind::Sentence, 5_000_000, 5_000_004), 0);
        assert_eq!(found.map(|mark| mark.text), Some("end.".to_owned()));
    }
}
