//! Transcripts as JSON: one document, or one a line.
//!
//! The fields are a promise to scripts. `version` is 1; it goes up when a field is removed or means something else.
//! New fields may come at any time. Times are seconds from the start of the recording.

use super::{Ending, Entry, Heading, Shape};
use crate::{
    client::json::{self, rounded},
    error::Result,
    speech::{self, Word},
};
use serde::Serialize;

/// Goes up when a field is removed or means something else.
pub(in crate::client::stt) const VERSION: u32 = 1;

/// The document of `--format json`.
#[derive(Default, Serialize)]
struct Document {
    version: u32,
    file: String,
    model: String,
    language: String,
    #[serde(skip_serializing_if = "is_zero")]
    offset: f64,
    duration: f64,
    text: String,
    segments: Vec<SegmentEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A segment in a document.
#[derive(Serialize)]
pub(in crate::client::stt) struct SegmentEntry {
    start: f64,
    end: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<usize>,
    text: String,
    confidence: f64,
    no_speech_probability: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<WordEntry>,
}

#[derive(Serialize)]
struct WordEntry {
    start: f64,
    end: f64,
    word: String,
    probability: f64,
}

/// A line of `--format jsonl`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Start {
        version: u32,
        file: &'a str,
        model: &'a str,
    },
    Segment {
        file: &'a str,
        #[serde(flatten)]
        segment: SegmentEntry,
    },
    End {
        file: &'a str,
        language: &'a str,
        #[serde(skip_serializing_if = "is_zero")]
        offset: f64,
        duration: f64,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
    },
}

/// One document, once all is known.
#[derive(Default)]
pub(super) struct Json(Document);

/// One document a line, as things become known.
#[derive(Default)]
pub(super) struct Jsonl(Heading);

impl Shape for Json {
    fn begin(&mut self, heading: &Heading) -> Result<String> {
        let Heading { file, model, offset } = heading.clone();
        self.0 = Document { version: VERSION, file, model, offset: rounded(offset), ..Document::default() };
        Ok(String::new())
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        speech::append(&mut self.0.text, &entry.segment.text);
        self.0.segments.push(entry.into());
        Ok(String::new())
    }

    fn end(&mut self, ending: &Ending) -> Result<String> {
        let Ending { language, duration, warnings } = ending.clone();
        (self.0.language, self.0.duration, self.0.warnings) = (language, rounded(duration), warnings);
        Ok(format!("{}\n", json::document(&self.0)?))
    }
}

impl Shape for Jsonl {
    fn begin(&mut self, heading: &Heading) -> Result<String> {
        self.0 = heading.clone();
        line(&Event::Start { version: VERSION, file: &self.0.file, model: &self.0.model })
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        line(&Event::Segment { file: &self.0.file, segment: entry.into() })
    }

    fn end(&mut self, ending: &Ending) -> Result<String> {
        line(&Event::End {
            file: &self.0.file,
            language: &ending.language,
            offset: rounded(self.0.offset),
            duration: rounded(ending.duration),
            warnings: &ending.warnings,
        })
    }
}

impl From<Entry> for SegmentEntry {
    fn from(Entry { segment, channel }: Entry) -> Self {
        Self {
            start: rounded(segment.start.seconds()),
            end: rounded(segment.end.seconds()),
            channel,
            text: segment.text,
            confidence: rounded(segment.confidence.into()),
            no_speech_probability: rounded(segment.no_speech_probability.into()),
            words: segment.words.into_iter().map(WordEntry::from).collect(),
        }
    }
}

impl From<Word> for WordEntry {
    fn from(word: Word) -> Self {
        Self {
            start: rounded(word.start.seconds()),
            end: rounded(word.end.seconds()),
            word: word.text,
            probability: rounded(word.probability.into()),
        }
    }
}

/// A document as one line.
///
/// # Errors
/// `Internal` for what cannot be JSON.
pub(in crate::client::stt) fn line(event: &impl Serialize) -> Result<String> {
    Ok(format!("{}\n", json::line(event)?))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
