//! An utterance that has ended and is being decided. Audio that kills engines is bisected here, until what kills is
//! found: the rest is written down, the stretch itself is told as a gap.

use super::endpoint::Silence;
use crate::speech::{Samples, Segment};

/// Deaths by the audio's own doing after which an utterance counts as deadly.
const STRIKES: u32 = 3;

/// A deadly stretch of this length is not cut any further.
const SMALLEST: Samples = Samples(Samples::RATE as i64);

/// Deaths after which nothing more is cut, which bounds the time that a deadly utterance takes: what is deadly then is
/// a gap as it is. A single deadly moment in 30 s of audio takes 8.
const DEATHS: u32 = 16;

/// An utterance, as the endpointer found it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Utterance {
    /// 1, 2, 3 …
    pub(super) id: i64,
    /// Where its audio starts.
    pub(super) from: Samples,
    /// Where speech ends in it.
    pub(super) speech_end: Samples,
    /// Where its audio ends.
    pub(super) to: Samples,
    /// Since when nobody has spoken, behind it.
    pub(super) silence: Silence,
}

/// A stretch that could not be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Where it starts.
    pub(crate) start: Samples,
    /// Where it ends.
    pub(crate) end: Samples,
    /// What killed the engines.
    pub(crate) reason: String,
    /// The audio itself, for a report; empty once the gap has been logged.
    pub(crate) audio: Vec<i16>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from: Samples,
    to: Samples,
}

/// The work on an utterance.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) utterance: Utterance,
    /// What is still to be decoded; the next piece is the last.
    pieces: Vec<Piece>,
    strikes: u32,
    deaths: u32,
    pub(super) segments: Vec<Segment>,
    pub(super) gaps: Vec<Gap>,
    pub(super) language: String,
}

impl Closing {
    /// Begins.
    pub(super) fn new(utterance: Utterance) -> Self {
        let whole = Piece { from: utterance.from, to: utterance.to };
        let (segments, gaps, language) = (Vec::new(), Vec::new(), String::new());
        Self { utterance, pieces: vec![whole], strikes: 0, deaths: 0, segments, gaps, language }
    }

    /// What is to be decoded next; `None` once everything is decided.
    pub(super) fn next(&self) -> Option<(Samples, Samples)> {
        self.pieces.last().map(|piece| (piece.from, piece.to))
    }

    /// Takes what was heard in the piece; times count from its start.
    pub(super) fn decoded(&mut self, segments: Vec<Segment>, language: String) {
        let Some(piece) = self.pieces.pop() else { return };
        self.segments.extend(segments.into_iter().map(|segment| segment.shifted(piece.from)));
        if self.language.is_empty() {
            self.language = language;
        }
    }

    /// Takes note that the piece has killed an engine, and how. `quietest` finds the quietest place in a stretch.
    pub(super) fn killed(&mut self, reason: &str, quietest: impl FnOnce(Samples, Samples) -> Samples) {
        self.deaths += 1;
        self.strikes += 1;
        let Some(piece) = self.pieces.last().copied() else { return };
        let is_whole = piece == Piece { from: self.utterance.from, to: self.utterance.to };
        // A part of what has killed three times is believed at once.
        if is_whole && self.strikes < STRIKES {
            return;
        }
        self.pieces.pop();
        let length = piece.to.0 - piece.from.0;
        if length <= SMALLEST.0 || self.deaths >= DEATHS {
            self.gap(piece, reason);
            return;
        }
        // Cut at a pause of the middle half, so that as few words as possible are cut.
        let quarter = length / 4;
        let middle = quietest(Samples(piece.from.0 + quarter), Samples(piece.to.0 - quarter));
        self.pieces.push(Piece { from: middle, to: piece.to });
        self.pieces.push(Piece { from: piece.from, to: middle });
    }

    fn gap(&mut self, piece: Piece, reason: &str) {
        match self.gaps.last_mut() {
            Some(last) if last.end == piece.from => last.end = piece.to,
            _ => {
                let (start, end, reason) = (piece.from, piece.to, reason.to_owned());
                self.gaps.push(Gap { start, end, reason, audio: Vec::new() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = Samples::RATE as i64;

    fn close(length: i64, deadly: &[i64]) -> (Closing, u32) {
        let silence = Silence::default();
        let (from, to) = (Samples(1000), Samples(1000 + length));
        let mut closing = Closing::new(Utterance { id: 1, from, speech_end: to, to, silence });
        let mut decodes = 0;
        while let Some((from, to)) = closing.next() {
            decodes += 1;
            if deadly.iter().any(|at| (from.0..to.0).contains(&(at + 1000))) {
                closing.killed("SIGABRT", |from, to| Samples((from.0 + to.0) / 2));
            } else {
                let segment = Segment { end: Samples(to.0 - from.0), text: "x".to_owned(), ..Segment::default() };
                closing.decoded(vec![segment], "en".to_owned());
            }
        }
        (closing, decodes)
    }

    #[test]
    fn a_deadly_moment_is_found() {
        let (closing, decodes) = close(30 * SECOND, &[10 * SECOND]);
        assert_eq!((closing.gaps.len(), closing.deaths), (1, 8));
        let gap = &closing.gaps[0];
        assert!(
            gap.end.0 - gap.start.0 <= SECOND && (gap.start.0..gap.end.0).contains(&(10 * SECOND + 1000)),
            "{gap:?}"
        );
        assert!(decodes <= 13, "{decodes}");
    }

    #[test]
    fn an_utterance_that_kills_twice_is_not_deadly() {
        let to = Samples(SECOND);
        let silence = Silence::default();
        let mut closing = Closing::new(Utterance { id: 1, from: Samples(0), speech_end: to, to, silence });
        closing.killed("SIGSEGV", |from, _| from);
        closing.killed("SIGSEGV", |from, _| from);
        assert_eq!(closing.next(), Some((Samples(0), to)));
        closing.killed("SIGSEGV", |from, _| from);
        assert_eq!(closing.next(), None);
        assert_eq!(closing.gaps, [Gap { start: Samples(0), end: to, reason: "SIGSEGV".to_owned(), audio: Vec::new() }]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Whatever is deadly: every sample is either heard or in a gap, each deadly one in a gap, in bounded work.
        #[test]
        fn every_sample_is_heard_or_told_missing(
            length in 1i64..30 * SECOND,
            deadly in proptest::collection::vec(0i64..30 * SECOND, 0..40),
        ) {
            let deadly: Vec<i64> = deadly.into_iter().filter(|at| *at < length).collect();
            let (closing, decodes) = close(length, &deadly);
            prop_assert!(decodes <= 2 * DEATHS + 8, "{} decodes", decodes);
            let mut covered: Vec<(i64, i64)> = closing.segments.iter().map(|s| (s.start.0, s.end.0)).collect();
            covered.extend(closing.gaps.iter().map(|gap| (gap.start.0, gap.end.0)));
            covered.sort_unstable();
            let mut at = 1000;
            for (start, end) in covered {
                prop_assert_eq!(start, at);
                at = end;
            }
            prop_assert_eq!(at, 1000 + length);
            for at in deadly {
                prop_assert!(closing.gaps.iter().any(|gap| (gap.start.0..gap.end.0).contains(&(at + 1000))));
            }
        }
    }
}
