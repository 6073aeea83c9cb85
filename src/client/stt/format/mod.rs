//! What a transcript is written as. Pure: from segments, as they come, to text.

mod captions;
mod document;
mod lines;

use crate::{
    error::{Error, Kind, Result},
    speech::Segment,
};
pub(super) use captions::Limits;
pub(super) use document::{SegmentEntry, VERSION, line};

/// The shape of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One line for each segment, as soon as it is known
    Text,
    /// One document
    Json,
    /// One JSON document a line: a start, each segment as soon as it is known, an end
    Jsonl,
    /// SubRip captions
    Srt,
    /// WebVTT captions
    Vtt,
    /// A table: start and end in milliseconds, text
    Tsv,
    /// Lyrics
    Lrc,
}

/// How the user wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) format: Format,
    /// Times of single words.
    pub(super) words: bool,
    pub(super) limits: Limits,
}

/// What is known when a transcript begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Heading {
    /// The recording as the user named it.
    pub(super) file: String,
    pub(super) model: String,
    /// Where the part that is transcribed begins, in seconds.
    pub(super) offset: f64,
}

/// A segment, and the channel in which it is said, counted from 1, where channels are told apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) segment: Segment,
    pub(super) channel: Option<usize>,
}

/// What is known when a transcript ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    pub(super) language: String,
    /// The length of what was transcribed, in seconds.
    pub(super) duration: f64,
    pub(super) warnings: Vec<String>,
}

/// Writes one transcript: gives what is to be written for each thing that becomes known, perhaps nothing.
pub(super) trait Shape: Send {
    /// It begins.
    fn begin(&mut self, heading: &Heading) -> Result<String>;
    /// A segment is known. Segments come in the order of their starts.
    fn entry(&mut self, entry: Entry) -> Result<String>;
    /// It is whole.
    fn end(&mut self, ending: &Ending) -> Result<String>;
}

impl Format {
    /// What names of such files end with.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Format::Text => "txt",
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::Tsv => "tsv",
            Format::Lrc => "lrc",
        }
    }

    /// The shape that a file's name promises, if it promises one.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let all = [Format::Text, Format::Json, Format::Jsonl, Format::Srt, Format::Vtt, Format::Tsv, Format::Lrc];
        let extension = if extension == "ndjson" { "jsonl" } else { extension };
        all.into_iter().find(|format| format.extension() == extension)
    }

    /// Whether the transcripts of several recordings may follow each other in one stream.
    pub(super) fn can_follow(self) -> bool {
        matches!(self, Format::Text | Format::Jsonl)
    }
}

impl Wish {
    /// Whether the engine is to tell the times of words.
    pub(super) fn needs_words(&self) -> bool {
        self.words || self.limits != Limits::default()
    }

    /// What cannot be had together.
    ///
    /// # Errors
    /// `Config`, with the way out.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(Kind::Config, message));
        let is_limited = self.limits != Limits::default();
        match self.format {
            Format::Text if self.words => refuse("`--words` needs `--format json`, vtt, lrc or tsv: text has no times"),
            Format::Srt if self.words => refuse(
                "`--words`: srt has no times of words; give `--max-words 1` for a caption each, or `--format vtt`",
            ),
            Format::Text | Format::Json | Format::Jsonl | Format::Tsv if is_limited => {
                refuse("`--max-line-length` and `--max-words` are for captions: give `--format srt`, vtt or lrc")
            }
            _ => Ok(()),
        }
    }

    /// What writes a transcript so.
    pub(super) fn shape(&self) -> Box<dyn Shape> {
        let Self { format, words, limits } = *self;
        match format {
            Format::Text => Box::new(lines::Text),
            Format::Tsv => Box::new(lines::Tsv::new(words)),
            Format::Json => Box::new(document::Json::default()),
            Format::Jsonl => Box::new(document::Jsonl::default()),
            Format::Srt => Box::new(captions::Srt::new(limits)),
            Format::Vtt => Box::new(captions::Vtt::new(limits, words)),
            Format::Lrc => Box::new(captions::Lrc::new(limits, words)),
        }
    }
}

#[cfg(test)]
mod tests;
