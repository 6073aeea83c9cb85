//! The word before a dot: is it an abbreviation, an initial, an ordinal?

use super::buffer::{Atom, Buffer};
use super::characters::extends;
use super::languages::{Habit, Rules};
use crate::speech::is_unspaced;

/// The most characters of a word that may be an abbreviation, or of one that tells that a sentence begins.
pub(super) const MAX_WORD: usize = 16;

/// The most parts of "i. d. R." and the like.
const MAX_PARTS: usize = 4;

/// What the dot at an index means for its sentence, as far as the word before it tells. `None`: an ordinary end.
pub(super) fn habit(buffer: &Buffer, dot: usize, rules: &Rules) -> Option<Habit> {
    let (word, start) = word_before(buffer, dot)?;
    if word.is_empty() {
        return None;
    }
    let mut spaced = vec![(word.clone(), start)];
    while spaced.len() < MAX_PARTS {
        let Some(&(_, start)) = spaced.last() else { break };
        match part_before(buffer, start) {
            Some(part) => spaced.push(part),
            None => break,
        }
    }
    // The longest first: "u. s. w." before "w.".
    while spaced.len() > 1 {
        let parts: Vec<&str> = spaced.iter().rev().map(|(part, _)| part.as_str()).collect();
        if let Some(habit) = rules.habit(&parts.join(".")) {
            return Some(habit);
        }
        spaced.pop();
    }
    if let Some(habit) = rules.habit(&word) {
        return Some(habit);
    }
    if word == "I" && rules.has_word_i && follows_lower_case(buffer, start) {
        return None;
    }
    (is_initials(&word) || (rules.has_ordinals && is_ordinal(&word))).then_some(Habit::RarelyEnds)
}

/// The word that ends before an index, and where it starts. `None` if it is too long to matter.
fn word_before(buffer: &Buffer, end: usize) -> Option<(String, usize)> {
    let mut characters = Vec::new();
    let mut start = end;
    while let Some(character) = buffer.text_before(start).filter(|&character| is_of_word(character)) {
        if characters.len() == MAX_WORD {
            return None;
        }
        characters.push(character);
        start -= 1;
    }
    // A hyphen or an apostrophe in front belongs to what is before: "l'art.", "-Ing.".
    let word: String = characters.iter().rev().collect();
    let tail = word.rsplit(['\'', '’']).next().unwrap_or_default();
    Some((tail.trim_start_matches(['.', '-']).to_owned(), start))
}

/// The single letter with a dot and a space before an index, as "z. " in "z. B.".
fn part_before(buffer: &Buffer, start: usize) -> Option<(String, usize)> {
    let gap = start.checked_sub(1)?;
    let dot = gap.checked_sub(1)?;
    let is_part = buffer.get(gap).is_some_and(Atom::is_gap) && buffer.get(dot)?.text() == Some('.');
    let (part, start) = is_part.then(|| word_before(buffer, dot)).flatten()?;
    is_initials(&part).then_some((part, start))
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || extends(character) || matches!(character, '.' | '-' | '\'' | '’')
}

/// "J", "U.S", "J.-C", "т": letters, each by itself.
fn is_initials(word: &str) -> bool {
    word.split(['.', '-']).all(|part| {
        let mut letters = part.chars().filter(|&letter| !extends(letter));
        letters.next().is_some_and(|letter| letter.is_alphabetic() && !is_unspaced(letter)) && letters.next().is_none()
    })
}

/// "5", "24.12", "XIV": no year, and no amount with decimals.
fn is_ordinal(word: &str) -> bool {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = |word: &str| word.split('.').all(|part| is_number(part) && part.len() <= 2);
    is_number(word) || is_date(word) || is_roman(word)
}

/// Whether a word is a number in Roman figures.
pub(super) fn is_roman(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|figure| matches!(figure, 'I' | 'V' | 'X' | 'L' | 'C'))
}

/// Whether the word before another one begins or ends in lower case: "so do" before "I".
fn follows_lower_case(buffer: &Buffer, start: usize) -> bool {
    let gap = start.checked_sub(1);
    gap.and_then(|gap| buffer.text_before(gap)).is_some_and(char::is_lowercase)
}
