//! Text that arrives in numbered pieces and leaves in sentences.

use super::pace::Time;
use crate::{
    error::{Error, Result},
    sentence::{Sentence, Splitter},
};
use std::{collections::VecDeque, time::Duration};

/// Text of one piece, bytes.
pub(crate) const MAX_PIECE: usize = 256 * 1024;

/// Text that waits to be spoken, bytes. More is not read.
const AHEAD: usize = 64 * 1024;

/// The text of one utterance.
#[derive(Debug)]
pub(super) struct Text {
    splitter: Splitter,
    /// How long the rest of a text may wait for its end; `None` = until the caller says that there is no more.
    flush_after: Option<Duration>,
    /// Whether there is text that no sentence has taken yet, and when the last of it came.
    open: Option<Time>,
    waiting: VecDeque<Sentence>,
    /// Bytes of the sentences that wait.
    bytes: usize,
    /// The number of the last piece.
    last: Option<i64>,
    has_ended: bool,
}

impl Text {
    pub(super) fn new(language: &str, flush_after: Option<Duration>) -> Self {
        Self {
            splitter: Splitter::new(language),
            flush_after,
            open: None,
            waiting: VecDeque::new(),
            bytes: 0,
            last: None,
            has_ended: false,
        }
    }

    /// Takes a piece. Callers that do not number theirs send 0 with each.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field, for text after the end, numbers that do not rise, and what is no text.
    pub(super) fn push(&mut self, now: Time, text: &str, number: i64, is_final: bool) -> Result<()> {
        if self.has_ended {
            let message = "text after the one that was said to be final; begin another Synthesize for it";
            return Err(Error::invalid(message).in_field("text"));
        }
        if let Some(last) = self.last.filter(|last| number < *last || (number == *last && number != 0)) {
            let message = format!("piece {number} after piece {last}; numbers rise, or are all 0");
            return Err(Error::invalid(message).in_field("sequence_number"));
        }
        if text.len() > MAX_PIECE || text.contains('\0') {
            let message = format!("a piece of text has at most {MAX_PIECE} bytes, none of them NUL");
            return Err(Error::invalid(message).in_field("text"));
        }
        self.last = Some(number);
        if !text.is_empty() {
            let sentences = self.splitter.push(text);
            self.take(sentences);
            self.open = self.splitter.pending().then_some(now);
        }
        if is_final {
            self.end();
        }
        Ok(())
    }

    /// There is no more.
    pub(super) fn end(&mut self) {
        if !self.has_ended {
            self.flush();
            self.has_ended = true;
        }
    }

    /// When the rest of what is there is to be spoken, whether its end is certain or not.
    pub(super) fn flush_at(&self) -> Option<Time> {
        Some(self.open? + self.flush_after?)
    }

    /// Looks at the clock.
    pub(super) fn tick(&mut self, now: Time) {
        if self.flush_at().is_some_and(|at| at <= now) {
            self.flush();
        }
    }

    /// The next sentence.
    pub(super) fn next(&mut self) -> Option<Sentence> {
        let sentence = self.waiting.pop_front()?;
        self.bytes -= sentence.text.len();
        Some(sentence)
    }

    /// Whether more may be read. After its end that is refused, not left unread.
    pub(super) fn has_room(&self) -> bool {
        self.has_ended || self.bytes < AHEAD
    }

    /// Whether no sentence is there.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nothing is there, and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended && self.waiting.is_empty()
    }

    /// Forgets what waits; nothing more is taken.
    pub(super) fn drop_all(&mut self) {
        self.splitter.flush();
        self.waiting.clear();
        (self.open, self.bytes, self.has_ended) = (None, 0, true);
    }

    fn flush(&mut self) {
        let sentences = self.splitter.flush();
        self.take(sentences);
        self.open = None;
    }

    fn take(&mut self, sentences: Vec<Sentence>) {
        self.bytes += sentences.iter().map(|sentence| sentence.text.len()).sum::<usize>();
        self.waiting.extend(sentences);
    }
}
