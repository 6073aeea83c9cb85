//! Text to the phonemes of sentences, as Piper's voices were trained with them.
//!
//! espeak-ng reads clauses; here they become sentences, with marks and spaces between them. What stands in `[[ ]]` is
//! phonemes already. Where Piper's own way sounds wrong, there is a second manner beside it: see [`Manner`].

use super::{abbreviations, words};
use crate::{
    error::Result,
    worker::engine::espeak::phonemes::{Clause, Clauses, Reading},
};
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

/// Where sentences end, and what stands between clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Exactly as Piper: sentences end where espeak-ng ends them, also after "Dr.", and "Wait... what?" is one word.
    AsPiper,
    /// All that is given is one sentence. The dot of an abbreviation is silent, clauses always have a space between
    /// them, and an ellipsis is a pause.
    OneSentence,
}

/// What the phonemes of a voice are: `phoneme_type` in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// IPA by espeak-ng.
    Espeak,
    /// The code points of the text.
    Text,
}

/// A piece of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// What `text` is.
    pub(super) kind: PartKind,
    /// What is said.
    pub(super) text: &'a str,
    /// Where it is written, for the ranges of words.
    pub(super) at: usize,
    /// How many bytes are written there, if it is not text.
    pub(super) width: usize,
}

/// What the text of a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    /// Text, in which `[[ ]]` may hold phonemes.
    Text,
    /// Phonemes.
    Ipa,
    /// Text to be said character by character.
    Characters,
}

/// A sentence as phonemes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Code points in NFD.
    pub(super) symbols: Vec<char>,
    /// Its words, in order, those that could be placed.
    pub(super) words: Vec<Word>,
}

/// A word of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Its bytes, where the parts are written.
    pub(super) text: Range<usize>,
    /// Its phonemes among those of the sentence.
    pub(super) symbols: Range<usize>,
}

/// Turns text into phonemes.
pub(super) struct Phonemizer<'a> {
    /// Who reads.
    pub(super) reader: &'a mut dyn Clauses,
    /// What the voice wants.
    pub(super) kind: Kind,
    /// Whether the voice knows "…".
    pub(super) knows_ellipsis: bool,
    /// Whether words are to be placed.
    pub(super) places_words: bool,
}

impl Phonemizer<'_> {
    /// The sentences of what the parts say together; one in [`Manner::OneSentence`].
    ///
    /// # Errors
    /// `InvalidInput` for NUL bytes, `Internal` where espeak-ng fails.
    pub(super) fn sentences(&mut self, parts: &[Part<'_>], manner: Manner) -> Result<Vec<Sentence>> {
        let mut writer = Writer::new(manner, self.knows_ellipsis);
        for part in parts {
            match (self.kind, part.kind) {
                (Kind::Text, PartKind::Ipa) => writer.phonemes(part),
                (Kind::Text, _) => writer.code_points(part),
                (Kind::Espeak, PartKind::Ipa) => writer.phonemes(part),
                (Kind::Espeak, PartKind::Characters) => self.characters(part, &mut writer)?,
                (Kind::Espeak, PartKind::Text) => self.text(part, &mut writer)?,
            }
        }
        Ok(writer.finish())
    }

    fn text(&mut self, part: &Part<'_>, writer: &mut Writer) -> Result<()> {
        let mut from = 0;
        for block in blocks(part.text) {
            self.plain(part, from..block.start, writer)?;
            let inner = part.text.get(block.start + 2..block.end - 2).unwrap_or_default();
            let (at, width) = (part.at + block.start, block.len());
            writer.phonemes(&Part { kind: PartKind::Ipa, text: inner, at, width });
            from = block.end;
        }
        self.plain(part, from..part.text.len(), writer)
    }

    /// Text between two blocks.
    fn plain(&mut self, part: &Part<'_>, range: Range<usize>, writer: &mut Writer) -> Result<()> {
        let Some(text) = part.text.get(range.clone()).filter(|text| !text.is_empty() || part.text.is_empty()) else {
            return Ok(());
        };
        let behind = writer.marks_behind(text);
        if writer.manner == Manner::OneSentence && words::words(text).is_empty() {
            // espeak-ng would say the names of some: "asterisk asterisk asterisk".
            writer.gap.space |= text.contains(char::is_whitespace);
            return Ok(());
        }
        let (at, text) = (part.at + range.start + behind, text.get(behind..).unwrap_or_default());
        for clause in self.reader.clauses(text, Reading::Text)? {
            let written = text.get(clause.text.clone()).unwrap_or_default();
            let symbols = symbols(&clause.phonemes);
            let words = match self.places_words {
                true => self.words(written, &symbols)?,
                false => Vec::new(),
            };
            let from = at + clause.text.start;
            let words = words
                .into_iter()
                .map(|Word { text, symbols }| Word { text: from + text.start..from + text.end, symbols });
            writer.clause(&clause, written, symbols, words);
        }
        Ok(())
    }

    /// The words of a clause; none if they cannot be placed.
    fn words(&mut self, written: &str, symbols: &[char]) -> Result<Vec<Word>> {
        let ranges = words::words(written);
        let words: Vec<&str> = ranges.iter().filter_map(|range| written.get(range.clone())).collect();
        let places = words::place(&words, symbols, |word| self.alone(word))?.unwrap_or_default();
        Ok(ranges.into_iter().zip(places).map(|(text, symbols)| Word { text, symbols }).collect())
    }

    fn alone(&mut self, word: &str) -> Result<Vec<char>> {
        let clauses = self.reader.clauses(word, Reading::Text)?;
        Ok(clauses.iter().flat_map(|clause| symbols(&clause.phonemes)).collect())
    }

    fn characters(&mut self, part: &Part<'_>, writer: &mut Writer) -> Result<()> {
        let clauses = self.reader.clauses(part.text, Reading::Characters)?;
        let ipa: Vec<String> = clauses.iter().map(|clause| symbols(&clause.phonemes).into_iter().collect()).collect();
        writer.phonemes(&Part { text: &ipa.join(" "), ..*part });
        Ok(())
    }
}

/// The blocks `[[ … ]]` of a text, brackets included. One that is never closed is text; within one, `[[` means nothing.
pub(super) fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some((before, rest)) = text.get(from..).and_then(|rest| rest.split_once("[[")) {
        let start = from + before.len();
        let Some((inner, _)) = rest.split_once("]]") else { break };
        from = start + inner.len() + 4;
        blocks.push(start..from);
    }
    blocks
}

/// What espeak-ng gives without its language marks "(fr)", in NFD.
fn symbols(phonemes: &str) -> Vec<char> {
    let mut kept = String::with_capacity(phonemes.len());
    let mut rest = phonemes;
    // As `\([^)]+\)`: an empty pair stays.
    while let Some((before, behind)) = rest.split_once('(') {
        kept.push_str(before);
        match behind.split_once(')') {
            Some((language, behind)) if !language.is_empty() => rest = behind,
            Some(_) => {
                kept.push('(');
                rest = behind;
            }
            None => {
                kept.push('(');
                kept.push_str(behind);
                rest = "";
            }
        }
    }
    kept.push_str(rest);
    kept.nfd().collect()
}

/// At an empty line espeak-ng tells of the paragraph, and no mark.
fn paragraph_gap(clause: &Clause, written: &str) -> Option<Gap> {
    let line = written.trim_end();
    let breaks = written.strip_prefix(line)?.chars().filter(|c| *c == '\n').count();
    let last = line.chars().next_back().filter(|last| ['.', '?', '!'].contains(last));
    let is_one = clause.end.mark().is_none() && breaks > 1;
    is_one.then(|| Gap { within: last.or(Some('.')), last, space: true })
}

fn ends_in_space(text: &str) -> bool {
    text.ends_with(char::is_whitespace)
}

/// What stands between what has been written and what follows, if anything does.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    /// The mark if something follows.
    within: Option<char>,
    /// The mark if nothing does.
    last: Option<char>,
    space: bool,
}

/// Puts sentences together.
struct Writer {
    manner: Manner,
    knows_ellipsis: bool,
    done: Vec<Sentence>,
    open: Option<Sentence>,
    gap: Gap,
    /// The last that was written is a block.
    after_block: bool,
}

impl Writer {
    fn new(manner: Manner, knows_ellipsis: bool) -> Self {
        Self { manner, knows_ellipsis, done: Vec::new(), open: None, gap: Gap::default(), after_block: false }
    }

    /// The bytes of marks that directly follow a block. espeak-ng does not see them as the end of anything.
    fn marks_behind(&mut self, text: &str) -> usize {
        if !self.after_block {
            return 0;
        }
        let behind = text.trim_start_matches(['.', ',', ':', ';', '?', '!', '…']);
        let marks = text.strip_suffix(behind).unwrap_or_default();
        if marks.starts_with("..") || marks.starts_with('…') {
            self.gap = self.ellipsis();
        } else if let Some(mark) = marks.chars().next() {
            self.gap = Gap { within: Some(mark), last: Some(mark), space: true };
        }
        self.gap.space |= behind.starts_with(char::is_whitespace);
        marks.len()
    }

    /// Every voice has learnt a comma and a full stop.
    fn ellipsis(&self) -> Gap {
        let (within, last) = if self.knows_ellipsis { ('…', '…') } else { (',', '.') };
        Gap { within: Some(within), last: Some(last), space: true }
    }

    fn clause(&mut self, clause: &Clause, written: &str, symbols: Vec<char>, words: impl Iterator<Item = Word>) {
        let is_silent = symbols.iter().all(|symbol| symbol.is_whitespace());
        let gap = self.gap_behind(clause, written);
        if self.manner == Manner::OneSentence && is_silent {
            if self.open.is_some() {
                self.gap.within = self.gap.within.or(gap.within);
                self.gap.last = self.gap.last.or(gap.last);
                self.gap.space |= gap.space;
            }
            return;
        }
        self.append(symbols, words);
        self.gap = gap;
        self.after_block = false;
        if self.manner == Manner::AsPiper && clause.end.ends_sentence() && !clause.end.is_text_end() {
            self.close();
        }
    }

    fn gap_behind(&self, clause: &Clause, written: &str) -> Gap {
        let (end, mark) = (clause.end, clause.end.mark());
        // The text may go on behind a block, and espeak-ng cuts what is very long.
        let goes_on = end.is_text_end() || end.is_cut();
        if self.manner == Manner::AsPiper {
            let space = matches!(mark, Some(',' | ':' | ';')) || (end.is_text_end() && ends_in_space(written));
            return Gap { within: mark, last: mark, space };
        }
        if end.is_ellipsis() {
            return self.ellipsis();
        }
        if let Some(gap) = paragraph_gap(clause, written) {
            return gap;
        }
        let is_silent = mark == Some('.') && (end.is_abbreviation() || abbreviations::ends(written));
        Gap { within: mark.filter(|_| !is_silent), last: mark, space: !goes_on || ends_in_space(written) }
    }

    fn phonemes(&mut self, part: &Part<'_>) {
        let symbols: Vec<char> = part.text.trim().nfd().collect();
        if symbols.is_empty() {
            return;
        }
        let word = Word { text: part.at..part.at + part.width, symbols: 0..symbols.len() };
        self.append(symbols, [word].into_iter());
        self.gap = Gap::default();
        self.after_block = true;
    }

    fn code_points(&mut self, part: &Part<'_>) {
        let mut words = Vec::new();
        let mut symbols: Vec<char> = Vec::new();
        let mut from = 0;
        for range in words::words(part.text) {
            symbols.extend(part.text.get(from..range.start).unwrap_or_default().nfd());
            let start = symbols.len();
            symbols.extend(part.text.get(range.clone()).unwrap_or_default().nfd());
            from = range.end;
            words.push(Word { text: part.at + range.start..part.at + range.end, symbols: start..symbols.len() });
        }
        symbols.extend(part.text.get(from..).unwrap_or_default().nfd());
        if self.manner == Manner::OneSentence {
            symbols.iter_mut().filter(|symbol| symbol.is_whitespace()).for_each(|space| *space = ' ');
        }
        self.append(symbols, words.into_iter());
    }

    /// Writes the gap and what follows it.
    fn append(&mut self, symbols: Vec<char>, words: impl Iterator<Item = Word>) {
        let gap = std::mem::take(&mut self.gap);
        let open = self.open.get_or_insert_default();
        open.symbols.extend(gap.within);
        if gap.space && !open.symbols.is_empty() && open.symbols.last() != Some(&' ') {
            open.symbols.push(' ');
        }
        let at = open.symbols.len();
        open.symbols.extend(symbols);
        open.words
            .extend(words.map(|Word { text, symbols }| Word { text, symbols: at + symbols.start..at + symbols.end }));
    }

    /// Ends the open sentence.
    fn close(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        let Some(mut sentence) = self.open.take() else { return };
        sentence.symbols.extend(gap.last);
        if self.manner == Manner::AsPiper && matches!(gap.last, Some(',' | ':' | ';')) {
            sentence.symbols.push(' ');
        }
        self.done.push(sentence);
    }

    fn finish(mut self) -> Vec<Sentence> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests;
