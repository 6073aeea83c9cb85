//! What the splitter knows of languages: which lists are theirs, and what a word in them means.

use super::abbreviations::{
    COMMON, DUTCH, ENGLISH, FRENCH, GERMAN, HINDI, ITALIAN, NONE, ORDINALS, POLISH, PORTUGUESE, RUSSIAN, SCANDINAVIAN,
    SPANISH,
};

/// What a dot behind a word means, where it is not simply an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Something always follows: "Dr.".
    NeverEnds,
    /// A name may follow, so that only a word that begins sentences tells: "U.S.", "J.", German "5.".
    RarelyEnds,
    /// It stands at ends and in the middle, so that a capital tells: "etc.".
    OftenEnds,
    /// It is an abbreviation in front of a number only: "No. 5", "Jan. 5".
    BeforeNumber,
}

/// The words that are known of a language. The fields are as in [`Habit`].
#[derive(Debug)]
pub(super) struct Table {
    pub(super) never_ends: &'static [&'static str],
    pub(super) rarely_ends: &'static [&'static str],
    pub(super) often_ends: &'static [&'static str],
    pub(super) before_number: &'static [&'static str],
    /// Words with a capital that begin sentences, and hardly ever stand behind an abbreviation.
    pub(super) starters: &'static [&'static str],
}

/// What is known of one language, and of all.
#[derive(Debug)]
pub(super) struct Rules {
    tables: [&'static Table; 2],
    /// Whether a number with a dot is an ordinal.
    pub(super) has_ordinals: bool,
    /// Whether "I" is a word, not only an initial.
    pub(super) has_word_i: bool,
    /// Whether a quotation goes on without a space, with "to" or "tte".
    pub(super) quotes_go_on: bool,
}

impl Rules {
    /// The rules of a language in BCP 47, of which only the language itself counts.
    pub(super) fn of(language: &str) -> Self {
        let primary = language.split(['-', '_']).next().unwrap_or_default().to_lowercase();
        let table = match primary.as_str() {
            "en" => &ENGLISH,
            "de" | "gsw" | "nds" | "lb" => &GERMAN,
            "fr" => &FRENCH,
            "es" => &SPANISH,
            "it" => &ITALIAN,
            "pt" => &PORTUGUESE,
            "nl" => &DUTCH,
            "ru" => &RUSSIAN,
            "pl" => &POLISH,
            "sv" | "da" | "no" | "nb" | "nn" => &SCANDINAVIAN,
            "hi" => &HINDI,
            _ => &NONE,
        };
        Self {
            tables: [table, &COMMON],
            has_ordinals: ORDINALS.contains(&primary.as_str()),
            has_word_i: primary == "en",
            quotes_go_on: primary == "ja",
        }
    }

    /// What a dot behind this word means, if it is in a list. What a language says goes before what is common.
    pub(super) fn habit(&self, word: &str) -> Option<Habit> {
        let mut letters = word.chars();
        let lower: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
        let has = |list: &[&str]| list.iter().any(|&entry| entry == word || entry == lower);
        self.tables.iter().find_map(|table| {
            let lists = [
                (table.never_ends, Habit::NeverEnds),
                (table.rarely_ends, Habit::RarelyEnds),
                (table.often_ends, Habit::OftenEnds),
                (table.before_number, Habit::BeforeNumber),
            ];
            lists.into_iter().find_map(|(list, habit)| has(list).then_some(habit))
        })
    }

    /// Whether a word hardly ever stands behind an abbreviation, and often begins a sentence.
    pub(super) fn is_starter(&self, word: &str) -> bool {
        self.tables.iter().any(|table| table.starters.contains(&word))
    }
}
