//! Transcripts as captions: SubRip, WebVTT, and LRC lyrics.

use super::{Ending, Entry, Heading, Shape, lines::channel_mark, lines::millis};
use crate::{
    error::Result,
    speech::{self, Samples, Segment, Word},
};

/// How much a caption may hold. By default a caption is a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Characters. A longer word stands alone.
    pub(crate) line_length: Option<usize>,
    /// Words.
    pub(crate) words: Option<usize>,
}

/// What is shorter cannot be read.
const FLASH: Samples = Samples(Samples::RATE as i64 * 3 / 10);

/// What is on the screen at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Caption {
    pub(super) start: Samples,
    pub(super) end: Samples,
    pub(super) text: String,
    pub(super) words: Vec<Word>,
}

/// Cuts a segment into captions.
pub(super) fn cut(segment: &Segment, limits: Limits) -> Vec<Caption> {
    let Segment { start, end, text, words, .. } = segment;
    if limits == Limits::default() {
        return vec![Caption { start: *start, end: *end, text: text.clone(), words: words.clone() }];
    }
    let words = if words.is_empty() { guessed_words(segment) } else { words.clone() };
    let mut captions: Vec<Caption> = Vec::new();
    for word in words {
        if let Some(caption) = captions.last_mut() {
            let mut text = caption.text.clone();
            speech::append(&mut text, &word.text);
            let is_full = limits.words.is_some_and(|most| caption.words.len() >= most)
                || limits.line_length.is_some_and(|most| text.chars().count() > most);
            if !is_full {
                (caption.text, caption.end) = (text, word.end.max(caption.end));
                caption.words.push(word);
                continue;
            }
        }
        captions.push(Caption { start: word.start, end: word.end, text: word.text.clone(), words: vec![word] });
    }
    // The whole segment stays covered: its own edges are surer than those of its words, which engines guess.
    if let Some(first) = captions.first_mut() {
        first.start = *start;
    }
    if let Some(last) = captions.last_mut() {
        last.end = *end;
    }
    for caption in &mut captions {
        caption.start = caption.start.clamp(*start, *end.max(start));
        caption.end = caption.end.clamp(caption.start, caption.start.max(*end));
    }
    lengthen(&mut captions);
    captions
}

/// Gives captions that would only flash the time before them, and half of their neighbour's where there is none.
fn lengthen(captions: &mut [Caption]) {
    for index in 1..captions.len() {
        let (before, rest) = captions.split_at_mut(index);
        let (Some(before), Some(caption)) = (before.last_mut(), rest.first_mut()) else { continue };
        // Words may overlap by a little; captions that do are shown above each other.
        before.end = before.end.min(caption.start).max(before.start);
        if caption.end.0 - caption.start.0 < FLASH.0 {
            let middle = Samples(i64::midpoint(before.start.0, caption.end.0));
            caption.start = Samples(caption.end.0 - FLASH.0).max(before.end.min(middle)).min(caption.start);
            before.end = before.end.min(caption.start);
        }
    }
}

/// The words of a segment whose engine tells no times of words: each gets time by its length.
fn guessed_words(segment: &Segment) -> Vec<Word> {
    let Segment { start, end, text, confidence, .. } = segment;
    let total = text.chars().count().max(1) as i64;
    let length = end.0 - start.0;
    let (mut words, mut before) = (Vec::new(), 0);
    for word in text.split_whitespace() {
        let count = word.chars().count() as i64;
        let at = |characters: i64| Samples(start.0 + length * characters / total);
        let (start, end) = (at(before), at(before + count));
        words.push(Word { start, end, text: word.to_owned(), probability: *confidence });
        before += count + 1;
    }
    words
}

/// SubRip: numbered captions.
pub(super) struct Srt {
    limits: Limits,
    number: u64,
}

impl Srt {
    /// With captions of such sizes.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, number: 0 }
    }
}

impl Shape for Srt {
    fn begin(&mut self, _: &Heading) -> Result<String> {
        Ok(String::new())
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        let mut text = String::new();
        for caption in cut(&entry.segment, self.limits) {
            self.number += 1;
            let (start, end) = (clock(caption.start, ','), clock(caption.end, ','));
            let mark = channel_mark(entry.channel);
            text.push_str(&format!("{}\n{start} --> {end}\n{mark}{}\n\n", self.number, one_block(&caption.text)));
        }
        Ok(text)
    }

    fn end(&mut self, _: &Ending) -> Result<String> {
        Ok(String::new())
    }
}

/// WebVTT; with words, each appears when it is said.
pub(super) struct Vtt {
    limits: Limits,
    words: bool,
}

impl Vtt {
    /// With captions of such sizes, and times of words if wanted.
    pub(super) fn new(limits: Limits, words: bool) -> Self {
        Self { limits, words }
    }
}

impl Shape for Vtt {
    fn begin(&mut self, _: &Heading) -> Result<String> {
        Ok("WEBVTT\n\n".to_owned())
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        let voice = entry.channel.map(|channel| format!("<v Channel {channel}>")).unwrap_or_default();
        let mut text = String::new();
        for caption in cut(&entry.segment, self.limits) {
            let (start, end) = (clock(caption.start, '.'), clock(caption.end, '.'));
            let body = if self.words { karaoke(&caption) } else { escaped(&one_block(&caption.text)) };
            text.push_str(&format!("{start} --> {end}\n{voice}{body}\n\n"));
        }
        Ok(text)
    }

    fn end(&mut self, _: &Ending) -> Result<String> {
        Ok(String::new())
    }
}

/// The words of a caption, each behind the time at which it appears. WebVTT wants such times to rise, and to lie
/// within the caption; one that does not is left out, and its word appears with the one before.
fn karaoke(caption: &Caption) -> String {
    let mut body = String::new();
    let mut plain = String::new();
    let mut last = caption.start;
    for word in &caption.words {
        let before = plain.len();
        speech::append(&mut plain, &one_block(&word.text));
        let with_space = plain.get(before..).unwrap_or_default();
        let word_text = escaped(with_space.trim_start());
        if with_space.starts_with(' ') {
            body.push(' ');
        }
        if millis(word.start) > millis(last) && millis(word.start) < millis(caption.end) {
            body.push_str(&format!("<{}>", clock(word.start, '.')));
            last = word.start;
        }
        body.push_str(&format!("<c>{word_text}</c>"));
    }
    if body.is_empty() { escaped(&one_block(&caption.text)) } else { body }
}

/// Lyrics: a line, and when it is sung; with words, also when each of them is (the "enhanced" form).
pub(super) struct Lrc {
    limits: Limits,
    words: bool,
    end: Option<Samples>,
}

impl Lrc {
    /// With lines of such sizes, and times of words if wanted.
    pub(super) fn new(limits: Limits, words: bool) -> Self {
        Self { limits, words, end: None }
    }
}

impl Shape for Lrc {
    fn begin(&mut self, _: &Heading) -> Result<String> {
        Ok("[re:speechctl]\n".to_owned())
    }

    fn entry(&mut self, entry: Entry) -> Result<String> {
        let mut text = String::new();
        for caption in cut(&entry.segment, self.limits) {
            let mark = channel_mark(entry.channel);
            let body = match caption.words.as_slice() {
                [] => one_block(&caption.text),
                words if self.words => {
                    let timed =
                        words.iter().map(|word| format!("<{}> {}", lyrics_clock(word.start), one_block(&word.text)));
                    timed.collect::<Vec<_>>().join(" ")
                }
                _ => one_block(&caption.text),
            };
            text.push_str(&format!("[{}]{mark}{body}\n", lyrics_clock(caption.start)));
            self.end = Some(caption.end);
        }
        Ok(text)
    }

    /// A line without words takes the last one off the screen.
    fn end(&mut self, _: &Ending) -> Result<String> {
        Ok(self.end.map(|end| format!("[{}]\n", lyrics_clock(end))).unwrap_or_default())
    }
}

/// `01:02:03,004`
fn clock(position: Samples, point: char) -> String {
    let millis = millis(position);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}{point}{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `62:03.04`: minutes, also beyond sixty.
fn lyrics_clock(position: Samples) -> String {
    let hundredths = (millis(position) + 5) / 10;
    format!("{:02}:{:02}.{:02}", hundredths / 6000, hundredths / 100 % 60, hundredths % 100)
}

/// Text that cannot end its caption: an empty line would.
fn one_block(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text in which nothing means anything to WebVTT.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
