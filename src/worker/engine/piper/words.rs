//! Where the words of a text are among its phonemes.
//!
//! espeak-ng does not tell. Its phonemes have spaces, but "of the" is one group of them and "25" are two. So each word
//! is also said alone, and what came of that is aligned with the phonemes of the clause.

use crate::{error::Result, speech::is_unspaced};
use std::{iter, ops::Range};

/// What stands around words and is not said.
const AROUND: &str = ".,;:!?…\"'“”„‘’‚«»‹›()[]{}<>-–—¿¡*_~`。、，！？；：「」『』（）";

/// The stress marks of IPA. They move with the sentence, so they do not count in comparisons.
const STRESS: [char; 2] = ['ˈ', 'ˌ'];

/// Cells of the table of an alignment; longer clauses have no word marks. Four million bytes, 20 ms.
const CELLS: usize = 4_000_000;

/// What a step of an alignment costs where a phoneme is exchanged, left out or put in; and a space left out or put in.
const PHONEME: u16 = 2;
const SPACE: u16 = 1;

/// The words of a text: byte ranges in order, without the marks around them.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    for token in text.split(char::is_whitespace) {
        let is_around = |c: char| AROUND.contains(c) || c.is_control();
        let behind_marks = token.trim_start_matches(is_around);
        let start = at + (token.len() - behind_marks.len());
        let word = behind_marks.trim_end_matches(is_around);
        if !word.is_empty() {
            words.push(start..start + word.len());
        }
        // Each white space is told from the next by its length, which the text has.
        at += token.len();
        at += text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    }
    words
}

/// The groups of phonemes between spaces.
fn groups(symbols: &[char]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = None;
    for (at, symbol) in symbols.iter().chain([&' ']).enumerate() {
        match (start, symbol.is_whitespace()) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                groups.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    groups
}

/// Whether espeak-ng makes one group of a word, or joins it with a neighbour, but never makes more than one.
fn is_plain(word: &str) -> bool {
    let has_capitals = word.chars().skip(1).any(char::is_uppercase);
    let is_letter = |c: char| (c.is_alphabetic() && !is_unspaced(c)) || matches!(c, '\'' | '’');
    !has_capitals && word.chars().all(is_letter)
}

/// Finds each of `words` among the phonemes of their clause; `alone` says one of them. Ranges are in order and do not
/// overlap. None where the two are too unlike, or the clause is too long.
///
/// # Errors
/// What `alone` says.
pub(super) fn place(
    words: &[&str],
    symbols: &[char],
    mut alone: impl FnMut(&str) -> Result<Vec<char>>,
) -> Result<Option<Vec<Range<usize>>>> {
    let groups = groups(symbols);
    if words.is_empty() || groups.is_empty() {
        return Ok(None);
    }
    if let [_] = words {
        let (first, last) = (groups.first().map_or(0, |g| g.start), groups.last().map_or(0, |g| g.end));
        return Ok(Some(iter::once(first..last).collect()));
    }
    if words.len() == groups.len() && words.iter().all(|word| is_plain(word)) {
        return Ok(Some(groups));
    }
    let mut said = Vec::new();
    for (owner, word) in words.iter().enumerate() {
        if owner > 0 {
            said.push((' ', owner));
        }
        said.extend(alone(word)?.into_iter().filter(|c| !STRESS.contains(c)).map(|c| (c, owner)));
        if said.len().saturating_mul(symbols.len()) > CELLS {
            return Ok(None);
        }
    }
    let heard: Vec<(char, usize)> =
        symbols.iter().enumerate().filter(|(_, c)| !STRESS.contains(c)).map(|(at, c)| (*c, at)).collect();
    let Some(owners) = aligned(&said, &heard) else { return Ok(None) };
    Ok(Some(ranges(words.len(), symbols, &heard, &owners)))
}

/// How a cell of the table was reached.
#[derive(Clone, Copy)]
enum Step {
    Both,
    Said,
    Heard,
}

/// For each phoneme that is heard the word it belongs to, never falling: the cheapest alignment, if it is a good one.
fn aligned(said: &[(char, usize)], heard: &[(char, usize)]) -> Option<Vec<usize>> {
    let alone = |c: char| if c == ' ' { SPACE } else { PHONEME };
    let width = heard.len() + 1;
    let mut steps = vec![Step::Heard; width * (said.len() + 1)];
    let mut row: Vec<u16> = Vec::with_capacity(width);
    row.push(0);
    for (heard, _) in heard {
        row.push(row.last().map_or(0, |cost| cost.saturating_add(alone(*heard))));
    }
    for (from, (said, _)) in said.iter().enumerate() {
        let mut diagonal = row.first().copied().unwrap_or(0);
        let mut left = diagonal.saturating_add(alone(*said));
        let steps = steps.get_mut((from + 1) * width..(from + 2) * width)?;
        *steps.first_mut()? = Step::Said;
        *row.first_mut()? = left;
        for (((heard, _), above), step) in heard.iter().zip(row.iter_mut().skip(1)).zip(steps.iter_mut().skip(1)) {
            let exchange = match (*said == *heard, *said == ' ' || *heard == ' ') {
                (true, _) => 0,
                (false, false) => PHONEME,
                (false, true) => 3 * PHONEME,
            };
            let ways = [
                (diagonal.saturating_add(exchange), Step::Both),
                (above.saturating_add(alone(*said)), Step::Said),
                (left.saturating_add(alone(*heard)), Step::Heard),
            ];
            let (cost, best) = ways.into_iter().min_by_key(|(cost, _)| *cost)?;
            (diagonal, *above, left, *step) = (*above, cost, cost, best);
        }
    }
    // Half of it wrong is no alignment. Costs that are cut at 65,535 come of clauses longer than the table.
    let most = PHONEME.saturating_mul(u16::try_from(heard.len()).unwrap_or(u16::MAX)) / 2;
    (*row.last()? <= most).then(|| traced(said, heard.len(), &steps))
}

/// Goes back through the table.
fn traced(said: &[(char, usize)], heard: usize, steps: &[Step]) -> Vec<usize> {
    let mut owners = vec![0; heard];
    let (mut from, mut to) = (said.len(), heard);
    while to > 0 {
        match steps.get(from * (heard + 1) + to).copied().unwrap_or(Step::Heard) {
            Step::Said => from = from.saturating_sub(1),
            step => {
                to -= 1;
                if matches!(step, Step::Both) {
                    from = from.saturating_sub(1);
                }
                // What was put in belongs to the word before it.
                let at = if matches!(step, Step::Both) { from } else { from.saturating_sub(1) };
                if let (Some(owner), Some((_, word))) = (owners.get_mut(to), said.get(at)) {
                    *owner = *word;
                }
            }
        }
    }
    owners
}

/// The range of each word, from the owners of what is heard. A word that lost all its phonemes has an empty one.
fn ranges(words: usize, symbols: &[char], heard: &[(char, usize)], owners: &[usize]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Option<Range<usize>>> = vec![None; words];
    for ((symbol, at), owner) in heard.iter().zip(owners) {
        if let Some(range) = ranges.get_mut(*owner).filter(|_| *symbol != ' ') {
            let start = range.as_ref().map_or(*at, |range| range.start);
            *range = Some(start..at + 1);
        }
    }
    let mut end = 0;
    ranges
        .into_iter()
        .map(|range| {
            let range = range.unwrap_or(end..end);
            let marks = symbols.get(end..range.start).unwrap_or_default().iter().rev();
            let start = range.start - marks.take_while(|symbol| STRESS.contains(symbol)).count();
            end = range.end.max(end);
            start..end
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Places words that are said as given.
    fn placed(words: &[(&str, &str)], symbols: &str) -> Option<Vec<String>> {
        let symbols: Vec<char> = symbols.chars().collect();
        let spelled: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let alone =
            |word: &str| Ok(words.iter().find(|(known, _)| *known == word).map_or("", |w| w.1).chars().collect());
        let ranges = place(&spelled, &symbols, alone).expect("nothing fails")?;
        Some(ranges.into_iter().map(|range| symbols[range].iter().collect()).collect())
    }

    #[test]
    fn words_have_no_marks_around_them() {
        let text = " “He said:\t(e-mail) — 50% & C++?”\u{3000}o'clock…";
        let found: Vec<&str> = words(text).into_iter().filter_map(|range| text.get(range)).collect();
        assert_eq!(found, ["He", "said", "e-mail", "50%", "&", "C++", "o'clock"]);
    }

    #[test]
    fn plain_words_are_the_groups() {
        assert_eq!(placed(&[("a", "?"), ("b's", "?")], " xa  yb"), Some(vec!["xa".to_owned(), "yb".to_owned()]));
    }

    #[test]
    fn words_that_are_said_together_are_told_apart() {
        let words = [("of", "ˈɒv"), ("the", "ðə"), ("25", "twˈɛnti fˈaɪv")];
        assert_eq!(placed(&words, "ɒvðə twˈɛnti fˈaɪv").expect("places"), ["ɒv", "ðə", "twˈɛnti fˈaɪv"]);
    }

    #[test]
    fn stress_marks_belong_to_the_word_behind_them() {
        let words = [("1", "wan"), ("2", "tu")];
        assert_eq!(placed(&words, "wanˈtu").expect("places"), ["wan", "ˈtu"]);
    }

    #[test]
    fn a_single_word_is_all_there_is() {
        assert_eq!(placed(&[("2024", "")], " tˈuː θˈaʊzənd ").expect("places"), ["tˈuː θˈaʊzənd"]);
    }

    #[test]
    fn what_is_too_unlike_has_no_places() {
        assert_eq!(placed(&[("1", "wan"), ("2", "tu")], "xxxxxx yyyyyyy zzzzzzz"), None);
        assert_eq!(placed(&[("1", "wan")], " "), None);
        assert_eq!(placed(&[], "wan"), None);
        let long = "a".repeat(3000);
        assert_eq!(placed(&[("1", &long), ("2", &long)], &long), None);
    }

    proptest! {
        #[test]
        fn places_are_in_order_and_words_on_borders(text in "\\PC{0,40}", said in "[abˈ ]{0,12}", symbols in "[abcˈ ]{0,20}") {
            let ranges = words(&text);
            prop_assert!(ranges.iter().all(|range| text.get(range.clone()).is_some_and(|word| !word.is_empty())));
            prop_assert!(ranges.iter().is_sorted_by(|a, b| a.end < b.start));
            let symbols: Vec<char> = symbols.chars().collect();
            let spelled: Vec<&str> = ranges.iter().filter_map(|range| text.get(range.clone())).collect();
            let places = place(&spelled, &symbols, |_| Ok(said.chars().collect())).expect("nothing fails");
            if let Some(places) = places {
                prop_assert_eq!(places.len(), spelled.len());
                prop_assert!(places.iter().is_sorted_by(|a, b| a.end <= b.start));
                prop_assert!(places.iter().all(|place| symbols.get(place.clone()).is_some()));
            }
        }
    }
}
