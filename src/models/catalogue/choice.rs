//! Which of the installed models is meant by a language: the best for it. Pure.
//!
//! Best is what makes the fewest mistakes, not what is fastest: who has pulled a large model wants it used, and who does
//! not can name another.

use super::whisper::Traits;
use std::cmp::Reverse;

/// A recogniser that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recogniser {
    /// What it is called: "base.en-q5_1", or what its file is called.
    pub(crate) name: String,
    /// Its file's size, bytes.
    pub(crate) size: u64,
}

/// What a recogniser is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need<'a> {
    /// The language that is spoken, as Whisper has it; empty or "auto" = it is not known.
    pub(crate) language: &'a str,
    /// Whether it is to be written down in English.
    pub(crate) translate: bool,
    /// The memory of this machine, bytes, where that is known.
    pub(crate) memory: Option<u64>,
}

/// The best recogniser for this; `None` where none will do.
///
/// In this order: it knows the language (and translates, if that is wanted), and its file is smaller than the memory; the
/// more accurate network; of one network the one for English alone where English is spoken, else the one for all
/// languages; the one whose weights have more bits; the name. What is not named like one of Whisper's models is
/// chosen only where there is no other, for nothing is known of it; what puts marks of speakers into the text never is.
pub(crate) fn recogniser<'a>(installed: &'a [Recogniser], need: Need<'_>) -> Option<&'a Recogniser> {
    let language = need.language.trim().to_ascii_lowercase();
    let is_english = matches!(language.as_str(), "en" | "english");
    // Of one alone that is not named like Whisper's, it can only be meant.
    let only = match installed {
        [only] if Traits::of(&only.name).is_none() => Some(only),
        _ => None,
    };
    let fits = |model: &Recogniser| need.memory.is_none_or(|memory| model.size < memory);
    installed
        .iter()
        .filter_map(|model| Some((model, Traits::of(&model.name)?)))
        .filter(|(model, traits)| !traits.marks_turns && traits.knows(&language) && fits(model))
        .filter(|(_, traits)| !need.translate || traits.translates())
        .max_by_key(|(model, traits)| {
            (traits.rank(), traits.is_english_only == is_english, traits.bits, Reverse(&model.name))
        })
        .map(|(model, _)| model)
        .or(only)
}
