//! What a session is about to do, left to chance.

use crate::{
    caller::{FRAME, piece},
    random::Random,
    wire::TextChunk,
};
use bytes::Bytes;
use std::{iter, time::Duration};

/// Characters of the longest piece of text.
const LONGEST_PIECE: usize = 24;

/// Milliseconds before the next piece, fewer than these.
const BEFORE_PIECE: usize = 120;

/// Milliseconds of a pause, fewer than these.
const PAUSE: usize = 501;

/// What is done in an utterance once so many of its frames were heard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Nothing,
    Pause { at: usize, lasts: Duration },
    Stop { at: usize },
    Cut { at: usize },
}

impl Deed {
    /// Whether it is to be done, after so many frames.
    pub(super) fn is_due(self, frames: usize) -> bool {
        match self {
            Deed::Nothing => false,
            Deed::Pause { at, .. } | Deed::Stop { at } | Deed::Cut { at } => frames >= at,
        }
    }
}

/// An utterance to be.
pub(super) struct Plan {
    /// Pieces of text, each with how long to wait before it.
    pub(super) chunks: Vec<(Duration, TextChunk)>,
    pub(super) deed: Deed,
    /// What it sounds like undisturbed.
    pub(super) reference: Bytes,
    /// Whose utterance it is, for who has to look into it.
    pub(super) name: String,
}

/// Text as messages: in one piece or in many; with an end that comes with the last of them, or behind it, or is told by
/// closing.
pub(super) fn chunks(random: &mut Random, session: &str, text: &str) -> Vec<(Duration, TextChunk)> {
    let pieces = if random.below(2) == 0 { vec![text.to_owned()] } else { pieces(random, text) };
    let numbered = pieces.iter().zip(1_i64..);
    let mut chunks: Vec<TextChunk> = numbered.map(|(text, number)| piece(session, text, number)).collect();
    let (end, number) = (random.below(3), chunks.last().map_or(1, |last| last.sequence_number + 1));
    if end == 0 {
        chunks.push(TextChunk { is_final: true, ..piece("", "", number) });
    } else if let Some(last) = chunks.last_mut() {
        last.is_final = end == 1;
    }
    let mut wait = || Duration::from_millis(random.below(BEFORE_PIECE) as u64);
    chunks.into_iter().map(|chunk| (wait(), chunk)).collect()
}

/// Cuts a text anywhere.
fn pieces(random: &mut Random, text: &str) -> Vec<String> {
    let mut characters = text.chars();
    let next = || {
        let piece: String = characters.by_ref().take(1 + random.below(LONGEST_PIECE)).collect();
        (!piece.is_empty()).then_some(piece)
    };
    iter::from_fn(next).collect()
}

/// What is done while this is heard.
pub(super) fn deed(random: &mut Random, reference: &Bytes) -> Deed {
    let at = random.below(reference.len() / FRAME + 1);
    match random.below(100) {
        0..2 => Deed::Cut { at },
        2..25 => Deed::Stop { at },
        25..60 => Deed::Pause { at, lasts: Duration::from_millis(random.below(PAUSE) as u64) },
        _ => Deed::Nothing,
    }
}
