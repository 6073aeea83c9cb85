//! Reads the lines of a lexicon.

use super::tree::Key;
use super::words::{MAX_LENGTH, Word, joined, words};
use super::{Lexicon, MAX_BYTES, MAX_ENTRIES};
use crate::error::{Error, Result};
use crate::sentence::phonemes;

/// The most words of an entry, signs included: each is looked for at every word of a text.
const MAX_WORDS: usize = 16;

/// Refuses a file that is too large.
pub(super) fn check_size(bytes: usize, name: &str) -> Result<()> {
    if bytes as u64 > MAX_BYTES {
        return Err(Error::invalid(format!("lexicon {name} has more than {} MiB; make it smaller", MAX_BYTES >> 20)));
    }
    Ok(())
}

/// Reads all lines.
pub(super) fn parse(text: &str, name: &str) -> Result<Lexicon> {
    check_size(text.len(), name)?;
    let mut lexicon = Lexicon::default();
    let mut section = String::new();
    for (index, line) in text.trim_start_matches('\u{FEFF}').lines().enumerate() {
        let number = index + 1;
        parse_line(line, number, &mut section, &mut lexicon)
            .map_err(|wrong| Error::invalid(format!("{name}:{number}: {wrong}")))?;
    }
    Ok(lexicon)
}

/// Reads one line. The error says what is wrong with it.
fn parse_line(line: &str, number: usize, section: &mut String, lexicon: &mut Lexicon) -> Result<(), String> {
    let line = without_comment(line).trim();
    if line.is_empty() {
        return Ok(());
    }
    if let Some(language) = section_of(line) {
        *section = match language {
            "*" => String::new(),
            language if is_language(language) => language.to_lowercase(),
            _ => return Err(format!("`{line}` is no language; write one as in [de], or [*] for all")),
        };
        return Ok(());
    }
    let Some((word, said)) = line.split_once('=') else {
        return Err("there is no `=`; write `WORD = pronunciation`".to_owned());
    };
    let (language, word) = match word.split_once(':') {
        Some((language, word)) if is_language(language) && word.starts_with(char::is_whitespace) => {
            (language.to_lowercase(), word)
        }
        _ => (section.clone(), word),
    };
    let (word, said) = (word.trim(), said.trim());
    check_said(said)?;
    let words = check_word(word)?;
    if lexicon.count == MAX_ENTRIES {
        return Err(format!("there are more than {MAX_ENTRIES} entries; take some out"));
    }
    let exact = if has_inner_capital(word, &words) { joined(word, &words) } else { String::new() };
    lexicon
        .tree
        .add(&words, Key { language, exact }, said, number)
        .map_err(|line| format!("`{word}` is in line {line} already; take one out"))?;
    lexicon.count += 1;
    Ok(())
}

fn check_word(word: &str) -> Result<Vec<Word>, String> {
    if word.is_empty() {
        return Err("there is no word before the `=`".to_owned());
    }
    if word.contains("[[") || word.contains("]]") {
        return Err("phonemes belong behind the `=`".to_owned());
    }
    if word.len() > MAX_LENGTH {
        return Err(format!("the word is longer than {MAX_LENGTH} bytes"));
    }
    let words = words(word);
    if words.len() > MAX_WORDS {
        return Err(format!("the entry has more than {MAX_WORDS} words and signs"));
    }
    Ok(words)
}

/// Refuses pronunciations that are cut short, and those so long that a text would grow beyond measure, or its phonemes
/// would no longer be told as such.
fn check_said(said: &str) -> Result<(), String> {
    if said.is_empty() {
        return Err("there is no pronunciation behind the `=`".to_owned());
    }
    if said.len() > MAX_LENGTH {
        return Err(format!("the pronunciation is longer than {MAX_LENGTH} bytes"));
    }
    let found = phonemes(said).len();
    if said.matches("[[").count() > found {
        return Err("`[[` has no `]]` behind it".to_owned());
    }
    if said.matches("]]").count() > found {
        return Err("`]]` has no `[[` before it".to_owned());
    }
    Ok(())
}

/// Cuts off a comment: a hash at the beginning, or one with space around it that is not in phonemes.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    let phonemes = phonemes(line);
    let is_space = |character: Option<char>| character.is_none_or(char::is_whitespace);
    let comment = line.match_indices('#').map(|(at, _)| at).find(|&at| {
        let (before, after) = line.split_at(at);
        let is_apart = is_space(before.chars().next_back()) && is_space(after.chars().nth(1));
        is_apart && !phonemes.iter().any(|range| range.contains(&at))
    });
    comment.map_or(line, |at| line.split_at(at).0)
}

/// What is between the brackets of a section.
fn section_of(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    (!inner.contains(['[', ']', '='])).then(|| inner.trim())
}

/// Whether it is written as a language of BCP 47: two or three small letters, and what else it may have.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let is_primary =
        |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_lowercase());
    let is_more =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_alphanumeric());
    parts.next().is_some_and(is_primary) && parts.all(is_more)
}

fn has_inner_capital(text: &str, words: &[Word]) -> bool {
    words.iter().any(|word| word.of(text).chars().skip(1).any(char::is_uppercase))
}
