//! Where a sentence is cut that goes on for too long.

use super::MAX;
use super::buffer::{Atom, Buffer, Role};
use super::characters::{self, is_clause_mark, is_closer, is_joined, is_wide_clause_mark};
use super::ends::MAX_CLOSERS;

/// Where a sentence is cut, so that the closing quotes of one that is about to end still find room.
pub(super) const SOFT_MAX: usize = MAX - MAX_CLOSERS - 1;

/// How far back a cut is moved out of what belongs together: more than any emoji or accented letter needs.
const MAX_JOINED: usize = 32;

/// How many of the first atoms are given out when there is no room for the one at an index: up to the last clause mark,
/// else the last space, else all of them. A clause mark in the first quarter does not count: that would be a cut every
/// few words, and the work of looking for it.
pub(super) fn cut(buffer: &Buffer, at: usize) -> usize {
    let after_clause = (at / 4..=at).rev().find(|&cut| ends_clause(buffer, cut));
    let at_space = || (1..=at).rev().find(|&cut| buffer.get(cut).is_some_and(Atom::is_gap));
    after_clause.or_else(at_space).unwrap_or_else(|| hard(buffer, at))
}

fn ends_clause(buffer: &Buffer, cut: usize) -> bool {
    let Some(mark) = buffer.text_before(cut) else { return false };
    let Some(next) = buffer.get(cut) else { return false };
    let goes_on = next.text().is_some_and(|next| is_closer(next) || is_joined(mark, next));
    is_wide_clause_mark(mark) && !goes_on || is_clause_mark(mark) && next.is_gap()
}

/// A cut within a word: not before what closes, if a better place is near, nor before a combining mark. Never within
/// phonemes, which are shorter than a sentence.
fn hard(buffer: &Buffer, at: usize) -> usize {
    let is_whole = |cut: &usize| match (buffer.before(*cut), buffer.get(*cut)) {
        (Some(before), Some(next)) if next.role == Role::Text => !is_joined(before.character, next.character),
        (_, next) => next.is_some_and(|next| next.role == Role::Phonemes),
    };
    let is_good = |cut: &usize| {
        let next = buffer.get(*cut).and_then(Atom::text);
        is_whole(cut) && !next.is_some_and(|next| is_closer(next) || characters::mark(next).is_some())
    };
    let is_possible = |cut: &usize| buffer.get(*cut).is_some_and(|next| next.role != Role::PhonemesGoOn);
    let near = || (at.saturating_sub(MAX_JOINED).max(1)..=at).rev();
    let cut = near().find(is_good).or_else(|| near().find(is_whole));
    cut.or_else(|| (1..=at).rev().find(is_possible)).unwrap_or(at).max(1)
}
