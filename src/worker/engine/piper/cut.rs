//! Lines that are too long for a voice to take at once, cut at pauses.
//!
//! The text part of a voice looks at all pairs of phonemes, so its memory grows with the square of the length. A line of
//! ordinary length is one sentence to the voice; a longer one becomes several, cut after the last pause that fits, then
//! after the last space, and in one endless word anywhere.

use crate::models::voice_config::Config;
use std::ops::Range;

/// Ids that a voice is given at once: some 40 seconds of speech. Sentences of 300 letters have 600.
pub(super) const MAX_IDS: usize = 1_024;

/// The ids that matter for cutting.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Marks {
    begin: Vec<i32>,
    end: Vec<i32>,
    pad: Vec<i32>,
    pauses: Vec<i32>,
    spaces: Vec<i32>,
}

/// A piece of a line: the ids to speak, and where those of the line itself lie in them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    /// With the marks of beginning and end.
    pub(super) ids: Vec<i32>,
    /// The line's own ids.
    pub(super) own: Range<usize>,
}

impl Marks {
    /// The marks of a voice.
    pub(super) fn of(config: &Config) -> Self {
        let ids = |keys: &[&str]| -> Vec<i32> {
            let found = keys.iter().filter_map(|key| config.phoneme_ids.get(*key));
            found.flatten().map(|&id| id.cast_signed()).collect()
        };
        let pauses = ids(&[".", "?", "!", ";", ":", ",", "。", "？", "！", "、", "，"]);
        Self { begin: ids(&["^"]), end: ids(&["$"]), pad: ids(&["_"]), pauses, spaces: ids(&[" "]) }
    }

    /// Cuts a line so that no piece has more than `most` ids.
    pub(super) fn cut(&self, line: &[i32], most: usize) -> Vec<Piece> {
        if line.len() <= most {
            return vec![Piece { ids: line.to_vec(), own: 0..line.len() }];
        }
        let frame = self.begin.len() + self.pad.len() + self.end.len();
        let room = most.saturating_sub(frame).max(1);
        let (mut pieces, mut rest) = (Vec::new(), line);
        while !rest.is_empty() {
            let at = if rest.len() <= room { rest.len() } else { self.place(&rest[..room]) };
            let (now, later) = rest.split_at(at);
            let mut ids = Vec::new();
            if !pieces.is_empty() {
                ids.extend(self.begin.iter().chain(&self.pad));
            }
            let from = ids.len();
            ids.extend(now);
            let own = from..ids.len();
            if !later.is_empty() {
                ids.extend(&self.end);
            }
            pieces.push(Piece { ids, own });
            rest = later;
        }
        pieces
    }

    /// Where to cut: after what follows the last pause or space, of which at least a quarter of the room is used.
    fn place(&self, ids: &[i32]) -> usize {
        let after = |marks: &[i32]| {
            let at = ids.iter().rposition(|id| marks.contains(id)).filter(|&at| at >= ids.len() / 4)?;
            let pads = ids[at + 1..].iter().take_while(|id| self.pad.contains(id)).count();
            Some(at + 1 + pads)
        };
        after(&self.pauses).or_else(|| after(&self.spaces)).or_else(|| after(&self.pad)).unwrap_or(ids.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marks() -> Marks {
        Marks { begin: vec![1], end: vec![2], pad: vec![0], pauses: vec![8, 10], spaces: vec![3] }
    }

    proptest! {
        #[test]
        fn pieces_are_short_enough_and_together_are_the_line(
            line in prop::collection::vec(0i32..20, 1..400), most in 4usize..100
        ) {
            let pieces = marks().cut(&line, most);
            prop_assert!(pieces.iter().all(|piece| piece.ids.len() <= most || pieces.len() == 1 && line.len() <= most));
            let own: Vec<i32> = pieces.iter().flat_map(|piece| &piece.ids[piece.own.clone()]).copied().collect();
            prop_assert_eq!(own, line);
        }
    }

    #[test]
    fn a_line_is_cut_after_a_pause_rather_than_a_space_and_each_piece_has_its_marks() {
        let line = [1, 0, 20, 0, 8, 0, 3, 0, 21, 0, 3, 0, 22, 0, 23, 0, 2];
        let pieces = marks().cut(&line, 13);
        assert_eq!(pieces[0].ids, [1, 0, 20, 0, 8, 0, 2]);
        assert_eq!(pieces[1].ids, [1, 0, 3, 0, 21, 0, 3, 0, 2]);
        assert_eq!(pieces[1].own, 2..8);
        assert_eq!(pieces[2].ids, [1, 0, 22, 0, 23, 0, 2]);
        assert_eq!(marks().cut(&line, 17), [Piece { ids: line.to_vec(), own: 0..17 }]);
    }

    #[test]
    fn one_endless_word_is_cut_between_phonemes() {
        let word: Vec<i32> = (0..5_000).map(|n| if n % 2 == 0 { 20 } else { 0 }).collect();
        let pieces = marks().cut(&word, MAX_IDS);
        assert!(pieces.iter().all(|piece| piece.ids.len() <= MAX_IDS));
        assert!(pieces.iter().rev().skip(1).all(|piece| piece.ids[piece.own.end - 1] == 0));
    }
}
