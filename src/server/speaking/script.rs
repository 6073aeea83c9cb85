//! The words that a worker gets, and where in the caller's text each of them stands.

use crate::{
    error::{Error, Result},
    lexicon::{Applied, Lexicon},
    sentence::{self, Sentence},
};
use std::{collections::VecDeque, ops::Range};

/// Text that one call takes at a time: some four hours of speech.
pub(crate) const MAX_TEXT: usize = 256 * 1024;

/// A stretch of the caller's text, with the pronunciations that the caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    words: Applied,
    /// As the caller wrote it.
    written: Sentence,
}

impl Line {
    /// A sentence as the caller wants it pronounced.
    pub(crate) fn new(written: Sentence, lexicon: &Lexicon, language: &str) -> Self {
        Self { words: lexicon.apply(&written.text, language), written }
    }

    /// What is spoken.
    pub(super) fn text(&self) -> &str {
        &self.words.text
    }

    /// Bytes of the caller's text.
    pub(crate) fn length(&self) -> usize {
        self.written.text.len()
    }

    /// Where it stands in the caller's text.
    pub(super) fn source(&self) -> Range<u64> {
        self.written.start..self.written.end
    }

    /// Where in the caller's text bytes of this one come from.
    fn source_of(&self, bytes: Range<usize>) -> Range<u64> {
        let words = self.words.span(bytes);
        let start = self.written.source(words.start);
        start..self.written.source(words.end).max(start)
    }
}

/// What one call to a worker says.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Sentence by sentence.
    Sentences(Vec<Line>),
    /// As one text, for engines that have their own way through a text.
    Whole(Whole),
    /// A document of SSML.
    Ssml(String),
}

/// Lines one after another.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    text: String,
    /// Where each begins in `text`.
    lines: Vec<(usize, Line)>,
    /// The caller's sentences that have not begun yet.
    sentences: VecDeque<Range<u64>>,
}

impl Whole {
    /// A text as it stands, which engines read best: they see its paragraphs.
    pub(super) fn of_text(text: &str, lexicon: &Lexicon, language: &str, with_sentences: bool) -> Self {
        let sentences = if with_sentences { sentence::split(text, language) } else { Vec::new() };
        let line = Line::new(Sentence::verbatim(text), lexicon, language);
        let sentences = sentences.into_iter().map(|sentence| sentence.start..sentence.end).collect();
        Self { text: line.text().to_owned(), lines: vec![(0, line)], sentences }
    }

    /// Sentences that came one by one.
    pub(super) fn of_lines(lines: Vec<Line>) -> Self {
        let mut text = String::new();
        let mut placed = Vec::with_capacity(lines.len());
        let sentences = lines.iter().map(Line::source).collect();
        for line in lines {
            if !text.is_empty() {
                text.push(' ');
            }
            let at = text.len();
            text.push_str(line.text());
            placed.push((at, line));
        }
        Self { text, lines: placed, sentences }
    }

    /// What is spoken.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where in the caller's text bytes of this one come from.
    pub(super) fn source_of(&self, bytes: Range<usize>) -> Range<u64> {
        let line = self.lines.partition_point(|(at, _)| *at <= bytes.start).checked_sub(1);
        let Some((at, line)) = line.and_then(|line| self.lines.get(line)) else { return 0..0 };
        line.source_of(bytes.start - at..bytes.end.saturating_sub(*at))
    }

    /// The sentences that have begun where this byte of the caller's text is spoken.
    pub(super) fn begun(&mut self, byte: u64) -> Vec<Range<u64>> {
        let count = self.sentences.partition_point(|sentence| sentence.start <= byte);
        self.sentences.drain(..count).collect()
    }
}

impl Script {
    /// Where in the caller's text bytes of a sentence come from, of these counted from 0.
    pub(super) fn source_of(&self, sentence: usize, bytes: Range<usize>) -> Range<u64> {
        match self {
            Script::Sentences(lines) => lines.get(sentence).map_or(0..0, |line| line.source_of(bytes)),
            Script::Whole(whole) => whole.source_of(bytes),
            Script::Ssml(_) => bytes.start as u64..bytes.end as u64,
        }
    }
}

/// Sees whether a text can be spoken at all.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check(text: &str, field: &str) -> Result<()> {
    let wrong = |message: String| Err(Error::invalid(message).in_field(field));
    if text.trim().is_empty() {
        return wrong("there is no text to speak".to_owned());
    }
    if text.len() > MAX_TEXT {
        return wrong(format!("the text has {} bytes, one call takes {MAX_TEXT}; speak it in parts", text.len()));
    }
    if text.contains('\0') {
        return wrong("the text holds a NUL byte; is it text?".to_owned());
    }
    Ok(())
}

/// espeak-ng takes what is broken for text, or stops in the middle, and says nothing.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check_ssml(text: &str) -> Result<()> {
    let wrong = |why: String| Error::invalid(format!("the SSML is wrong: {why}")).in_field("ssml");
    let document = roxmltree::Document::parse(text).map_err(|cause| wrong(cause.to_string()))?;
    if document.descendants().any(|node| node.tag_name().name() == "audio") {
        return Err(wrong("<audio> is not supported".to_owned()));
    }
    // espeak-ng reads out loud what it has no room for.
    if document.descendants().flat_map(|node| node.attributes()).any(|attribute| attribute.value().len() > 200) {
        return Err(wrong("an attribute is longer than 200 bytes".to_owned()));
    }
    let is_said = |node: roxmltree::Node<'_, '_>| match node.tag_name().name() {
        "break" | "mark" | "phoneme" | "sub" => true,
        _ => node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty()),
    };
    match document.root_element().tag_name().name() {
        "speak" if document.descendants().any(is_said) => Ok(()),
        "speak" => Err(wrong("there is nothing in it to say".to_owned())),
        other => Err(wrong(format!("its outermost element is <{other}>, not <speak>"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, lexicon: &Lexicon) -> Vec<Line> {
        sentence::split(text, "en").into_iter().map(|sentence| Line::new(sentence, lexicon, "en")).collect()
    }

    #[test]
    fn words_are_found_again_in_the_callers_text() {
        let lexicon = Lexicon::parse("SQL = sequel", "`x`").expect("it is valid");
        let text = "I know SQL well.    Do you?";
        let whole = Whole::of_lines(lines(text, &lexicon));
        assert_eq!(whole.text(), "I know sequel well. Do you?");
        let of = |word: &str| {
            let at = whole.text().find(word).expect("it is there");
            whole.source_of(at..at + word.len())
        };
        assert_eq!((of("know"), of("sequel"), of("well"), of("you")), (2..6, 7..10, 11..15, 23..26));
        let script = Script::Sentences(lines(text, &lexicon));
        assert_eq!((script.source_of(0, 7..13), script.source_of(1, 3..6)), (7..10, 23..26));
    }

    #[test]
    fn words_that_a_word_is_made_of_are_that_word() {
        let lexicon = Lexicon::parse("nginx = engine x", "`x`").expect("it is valid");
        let script = Script::Sentences(lines("nginx works", &lexicon));
        assert_eq!(script.source_of(0, 0..6), 0..5, "engine");
        assert_eq!(script.source_of(0, 7..8), 0..5, "x");
        assert_eq!(script.source_of(0, 9..14), 6..11, "works");
    }

    #[test]
    fn sentences_begin_with_their_first_word() {
        let mut whole = Whole::of_text("One two. Three.", &Lexicon::default(), "en", true);
        assert!(whole.begun(0).iter().eq([&(0..8)]) && whole.begun(4).is_empty());
        assert!(whole.begun(9).iter().eq([&(9..15)]));
    }
}
