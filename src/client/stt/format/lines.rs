//! Transcripts of one line for each thing said.

use super::{Ending, Entry, Heading, Shape};
use crate::{error::Result, speech::Samples};

/// The bare text.
pub(super) struct Text;

impl Shape for Text {
    fn begin(&mut self, _: &Heading) -> Result<String> {
        Ok(String::new())
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        Ok(format!("{}{}\n", channel_mark(entry.channel), entry.segment.text))
    }

    fn end(&mut self, _: &Ending) -> Result<String> {
        Ok(String::new())
    }
}

/// A table as OpenAI's whisper writes it: `start`, `end` in milliseconds, `text`; with a column for the channel where
/// channels are told apart.
pub(super) struct Tsv {
    words: bool,
    has_head: bool,
}

impl Tsv {
    /// A row for each word, or for each segment.
    pub(super) fn new(words: bool) -> Self {
        Self { words, has_head: false }
    }

    /// The head waits for the first row, which tells whether there are channels.
    fn head(&mut self, with_channel: bool) -> &'static str {
        match (std::mem::replace(&mut self.has_head, true), with_channel) {
            (true, _) => "",
            (false, true) => "start\tend\tchannel\ttext\n",
            (false, false) => "start\tend\ttext\n",
        }
    }
}

impl Shape for Tsv {
    fn begin(&mut self, _: &Heading) -> Result<String> {
        Ok(String::new())
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        let mut table = self.head(entry.channel.is_some()).to_owned();
        let channel = entry.channel.map(|channel| format!("{channel}\t")).unwrap_or_default();
        let mut row = |start: Samples, end: Samples, text: &str| {
            // What parts fields and rows cannot stand in one.
            let text = text.replace(['\t', '\n', '\r'], " ");
            table.push_str(&format!("{}\t{}\t{channel}{text}\n", millis(start), millis(end)));
        };
        if self.words && !entry.segment.words.is_empty() {
            entry.segment.words.iter().for_each(|word| row(word.start, word.end, &word.text));
        } else {
            row(entry.segment.start, entry.segment.end, &entry.segment.text);
        }
        Ok(table)
    }

    fn end(&mut self, _: &Ending) -> Result<String> {
        Ok(self.head(false).to_owned())
    }
}

/// What stands in front of a line that is said in a channel of its own.
pub(super) fn channel_mark(channel: Option<usize>) -> String {
    channel.map(|channel| format!("{channel}: ")).unwrap_or_default()
}

/// A position in whole milliseconds.
pub(super) fn millis(position: Samples) -> i64 {
    (position.seconds() * 1e3).round() as i64
}
