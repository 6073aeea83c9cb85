//! Lines: what the network speaks in one go, with the silence behind it and the places in it that have a meaning.
//!
//! A draft is a line before its phonemes. Drafts are cheap and made for a whole request; a [`Scribe`] makes a line of
//! each when it is due, so that the first is spoken before the last is read.

use super::{
    alphabet::{Alphabet, Encoded},
    phonemes::{Manner, Part, PartKind, Phonemizer, Sentence, blocks},
    ssml::{Piece, Said},
};
use crate::error::Result;
use std::{collections::BTreeSet, iter, ops::Range, time::Duration};

/// A line to be spoken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// BOS PAD (ids PAD)* EOS; empty where nothing of it can be spoken.
    pub(super) ids: Vec<i64>,
    /// Times the normal speed.
    pub(super) rate: f32,
    /// What follows it.
    pub(super) silence_after: Duration,
    /// The places in it, in order.
    pub(super) marks: Vec<Mark>,
}

/// A place in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its ids among those of the line; an empty range stands before the id that it starts with.
    pub(super) ids: Range<usize>,
    /// What it is.
    pub(super) what: Marked,
}

/// What a place is. Ranges are bytes of the request's text, or of its SSML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// A `<mark>`, and its place.
    Name(String, usize),
    /// A word.
    Word(Range<usize>),
    /// A sentence, or as much of it as is in this line.
    Sentence(Range<usize>),
}

/// How long silences are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pauses {
    /// Between sentences.
    pub(super) sentence: Duration,
    /// Between paragraphs.
    pub(super) paragraph: Duration,
    /// In place of what holds no words, such as "…".
    pub(super) wordless: Duration,
}

/// A line before its phonemes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Draft {
    parts: Vec<DraftPart>,
    /// Where the parts are written, by where they are in the run of text that they were taken from.
    sources: Vec<Source>,
    rate: f32,
    silence_after: Duration,
    names: Vec<Named>,
}

/// A `<mark>`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    /// Its place in the run.
    at: usize,
    /// Its place in the document.
    written: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DraftPart {
    kind: PartKind,
    text: String,
    /// Its range in the run. What is not text has one byte there.
    run: Range<usize>,
}

/// Where a stretch of a run is written; nowhere, if it is an alias or has entities.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    run: Range<usize>,
    written: Option<Range<usize>>,
}

impl Source {
    /// Where a stretch of the run is written, as far as it lies in here.
    fn place(&self, stretch: &Range<usize>) -> Option<Range<usize>> {
        let written = self.written.clone()?;
        let (start, end) = (stretch.start.max(self.run.start), stretch.end.min(self.run.end));
        let is_verbatim = written.len() == self.run.len();
        let shift = |at: usize| written.start + (at - self.run.start);
        (start < end).then(|| if is_verbatim { shift(start)..shift(end) } else { written.clone() })
    }
}

/// One draft for each sentence of a text, given as byte ranges in order.
pub(super) fn of_text(text: &str, sentences: &[Range<usize>], rate: f32, pauses: Pauses) -> Vec<Draft> {
    let unsplit = |run: &str| iter::once(0..run.len()).collect();
    let mut drafter = Drafter::new(pauses);
    let whole = keep_blocks_whole(text, sentences.to_vec());
    for range in whole {
        let said = text.get(range.clone()).unwrap_or_default();
        drafter.say(PartKind::Text, &Said { text: said.to_owned(), rate, at: Some(range.start) });
        drafter.flush(&unsplit).owe(pauses.sentence);
    }
    drafter.finish(&unsplit)
}

/// The drafts of a document's pieces; `split` finds the sentences of a text.
pub(super) fn of_pieces(pieces: &[Piece], split: &dyn Fn(&str) -> Vec<Range<usize>>, pauses: Pauses) -> Vec<Draft> {
    let mut drafter = Drafter::new(pauses);
    for piece in pieces {
        match piece {
            Piece::Text(said) => drafter.change_rate(said, split).say(PartKind::Text, said),
            Piece::Phonemes(said) => drafter.change_rate(said, split).say(PartKind::Ipa, said),
            Piece::Characters(said) => drafter.change_rate(said, split).say(PartKind::Characters, said),
            Piece::Mark(name, written) => {
                let at = drafter.run.text.len();
                drafter.run.names.push(Named { name: name.clone(), at, written: *written });
            }
            Piece::Break(pause) => drafter.pause(*pause, split),
            Piece::SentenceEnd => drafter.flush(split).owe(pauses.sentence),
            Piece::ParagraphEnd => drafter.flush(split).owe(pauses.paragraph),
        }
    }
    drafter.finish(split)
}

/// Joins ranges so that none ends within a block `[[ … ]]`, where a dot ends no sentence.
fn keep_blocks_whole(text: &str, ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut blocks = blocks(text).into_iter().peekable();
    let mut whole: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    let mut is_cut = false;
    for range in ranges {
        let (end, before) = (range.end, is_cut);
        while blocks.next_if(|block| block.end <= end).is_some() {}
        is_cut = blocks.peek().is_some_and(|block| block.start < end);
        match whole.last_mut().filter(|_| before) {
            Some(last) => last.end = end,
            None => whole.push(range),
        }
    }
    whole
}

/// Text that is said in one way, up to something that ends it.
#[derive(Default)]
struct Run {
    text: String,
    parts: Vec<DraftPart>,
    sources: Vec<Source>,
    names: Vec<Named>,
    rate: f32,
}

/// Makes drafts.
struct Drafter {
    pauses: Pauses,
    drafts: Vec<Draft>,
    run: Run,
    /// Silence that follows the last draft if anything else does.
    owed: Duration,
    /// The last was a break, which takes the place of what would be owed.
    is_paid: bool,
}

impl Drafter {
    fn new(pauses: Pauses) -> Self {
        Self { pauses, drafts: Vec::new(), run: Run::default(), owed: Duration::ZERO, is_paid: false }
    }

    /// Ends the run if what comes has another rate.
    fn change_rate(&mut self, said: &Said, split: &dyn Fn(&str) -> Vec<Range<usize>>) -> &mut Self {
        if said.rate != self.run.rate {
            let ends = self.run.text.trim_end().ends_with(['.', '!', '?', '…']);
            let pause = if ends { self.pauses.sentence } else { Duration::ZERO };
            self.flush(split).owe(pause);
        }
        self
    }

    fn say(&mut self, kind: PartKind, said: &Said) {
        let run = &mut self.run;
        run.rate = said.rate;
        let start = run.text.len();
        // For whoever splits sentences, what is not text is a letter.
        run.text.push_str(if kind == PartKind::Text { &said.text } else { "x" });
        let range = start..run.text.len();
        run.sources.push(Source { run: range.clone(), written: said.at.map(|at| at..at + said.text.len()) });
        match run.parts.last_mut().filter(|last| kind == PartKind::Text && last.kind == kind) {
            Some(last) => {
                last.text.push_str(&said.text);
                last.run.end = range.end;
            }
            None => run.parts.push(DraftPart { kind, text: said.text.clone(), run: range }),
        }
    }

    /// Makes drafts of the run. Names without text wait for the next.
    fn flush(&mut self, split: &dyn Fn(&str) -> Vec<Range<usize>>) -> &mut Self {
        let Run { text, parts, sources, mut names, rate } = std::mem::take(&mut self.run);
        let ranges = if text.trim().is_empty() { Vec::new() } else { keep_blocks_whole(&text, split(&text)) };
        let mut ranges = ranges.into_iter().filter(|range| is_said(&text, range)).peekable();
        if ranges.peek().is_none() {
            names.iter_mut().for_each(|name| name.at = 0);
            self.run.names = names;
            return self;
        }
        while let Some(range) = ranges.next() {
            // What stands between two sentences is heard when the second begins.
            let here = match ranges.peek() {
                Some(next) => names.iter().take_while(|name| name.at <= range.end && name.at < next.start).count(),
                None => names.len(),
            };
            let draft = Draft {
                parts: parts.iter().filter_map(|part| part.within(&range)).collect(),
                sources: sources.iter().filter(|source| overlap(&source.run, &range)).cloned().collect(),
                rate,
                silence_after: Duration::ZERO,
                names: names.drain(..here).collect(),
            };
            self.push(draft);
            if ranges.peek().is_some() {
                self.owe(self.pauses.sentence);
            }
        }
        self
    }

    fn owe(&mut self, pause: Duration) {
        if !self.is_paid {
            self.owed = self.owed.max(pause);
        }
    }

    fn push(&mut self, draft: Draft) {
        let owed = std::mem::take(&mut self.owed);
        self.is_paid = false;
        if let Some(last) = self.drafts.last_mut() {
            last.silence_after += owed;
        }
        self.drafts.push(draft);
    }

    /// A break takes the place of the pause that would be there.
    fn pause(&mut self, pause: Duration, split: &dyn Fn(&str) -> Vec<Range<usize>>) {
        self.flush(split);
        self.place_names();
        (self.owed, self.is_paid) = (Duration::ZERO, true);
        match self.drafts.last_mut() {
            Some(last) => last.silence_after += pause,
            None => self.drafts.push(Draft { rate: 1.0, silence_after: pause, ..Draft::default() }),
        }
    }

    /// Names behind which no text comes have a draft of their own.
    fn place_names(&mut self) {
        let names = std::mem::take(&mut self.run.names);
        if !names.is_empty() {
            self.push(Draft { rate: 1.0, names, ..Draft::default() });
        }
    }

    fn finish(mut self, split: &dyn Fn(&str) -> Vec<Range<usize>>) -> Vec<Draft> {
        self.flush(split);
        self.place_names();
        self.drafts
    }
}

fn is_said(text: &str, range: &Range<usize>) -> bool {
    text.get(range.clone()).is_some_and(|text| !text.trim().is_empty())
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

impl DraftPart {
    /// As much of it as lies in a range of the run.
    fn within(&self, range: &Range<usize>) -> Option<Self> {
        let (start, end) = (self.run.start.max(range.start), self.run.end.min(range.end));
        if start >= end {
            return None;
        }
        let text = match self.kind {
            PartKind::Text => self.text.get(start - self.run.start..end - self.run.start)?.to_owned(),
            PartKind::Ipa | PartKind::Characters => self.text.clone(),
        };
        Some(Self { kind: self.kind, text, run: start..end })
    }
}

impl Draft {
    /// Where a stretch of the run is written.
    fn written(&self, stretch: &Range<usize>) -> Option<Range<usize>> {
        let places = self.sources.iter().filter_map(|source| source.place(stretch));
        places.reduce(|all, place| all.start.min(place.start)..all.end.max(place.end))
    }

    fn whole(&self) -> Option<Range<usize>> {
        Some(self.parts.first()?.run.start..self.parts.last()?.run.end)
    }
}

/// Writes lines for a voice.
pub(super) struct Scribe<'a> {
    /// Finds the phonemes.
    pub(super) phonemizer: Phonemizer<'a>,
    /// Knows their numbers.
    pub(super) alphabet: &'a Alphabet,
    /// For what holds no words.
    pub(super) pauses: Pauses,
    /// Phonemes that the voice does not know and that were left out, each once.
    pub(super) unknown: BTreeSet<String>,
}

impl Scribe<'_> {
    /// The line of a draft. Where nothing of it can be spoken, silence.
    ///
    /// # Errors
    /// `InvalidInput` for NUL bytes, `Internal` where espeak-ng fails.
    pub(super) fn line(&mut self, draft: &Draft) -> Result<Line> {
        let parts = draft.parts.iter();
        let parts: Vec<Part<'_>> = parts
            .map(|DraftPart { kind, text, run }| Part { kind: *kind, text, at: run.start, width: run.len() })
            .collect();
        let sentences = self.phonemizer.sentences(&parts, Manner::OneSentence)?;
        let sentence = sentences.into_iter().next().unwrap_or_default();
        let Encoded { ids, starts } = self.alphabet.encode(&sentence.symbols, &mut self.unknown);
        let mut line = Line { rate: draft.rate, silence_after: draft.silence_after, ..Line::default() };
        if is_spoken(&sentence, &starts) {
            line.marks = marks(draft, &sentence, &starts, ids.len());
            line.ids = ids;
        } else {
            line.marks = draft.names.iter().map(|name| named(name, 0)).collect();
            if !draft.parts.is_empty() {
                line.silence_after = line.silence_after.max(self.pauses.wordless);
            }
        }
        Ok(line)
    }
}

/// Whether a sentence has a phoneme that the voice knows, beside marks and spaces.
fn is_spoken(sentence: &Sentence, starts: &[usize]) -> bool {
    let has_ids = starts.iter().zip(starts.iter().skip(1)).map(|(start, next)| start < next);
    sentence.symbols.iter().zip(has_ids).any(|(symbol, has_ids)| has_ids && symbol.is_alphanumeric())
}

fn named(name: &Named, at: usize) -> Mark {
    Mark { ids: at..at, what: Marked::Name(name.name.clone(), name.written) }
}

fn marks(draft: &Draft, sentence: &Sentence, starts: &[usize], end: usize) -> Vec<Mark> {
    let id = |symbol: usize| starts.get(symbol).copied().unwrap_or(end);
    let whole = draft.whole().and_then(|whole| draft.written(&whole));
    let whole = whole.map(|text| Mark { ids: 0..end, what: Marked::Sentence(text) });
    let words = sentence.words.iter().filter_map(|word| {
        let what = Marked::Word(draft.written(&word.text)?);
        Some(Mark { ids: id(word.symbols.start)..id(word.symbols.end), what })
    });
    let names = draft.names.iter().map(|name| {
        let next = sentence.words.iter().find(|word| word.text.start >= name.at);
        named(name, next.map_or(id(usize::MAX), |word| id(word.symbols.start)))
    });
    let mut marks: Vec<Mark> = whole.into_iter().chain(names).chain(words).collect();
    marks.sort_by_key(|mark| mark.ids.start);
    marks
}

#[cfg(test)]
mod tests;
