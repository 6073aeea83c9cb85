//! Random sentences that the self-test model knows, by the rules of its own recipe.

use super::random::Random;
use std::collections::HashMap;

/// The rules, as the recipe has them.
const RECIPE: &str = include_str!("../../../src/models/selftest/recipe/grammar.py");

/// A source of sentences; the same seed gives the same ones.
pub(crate) struct Grammar {
    rules: HashMap<String, Vec<String>>,
    random: Random,
}

impl Grammar {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rules: rules(), random: Random::new(seed) }
    }

    /// One sentence.
    pub(crate) fn sentence(&mut self) -> String {
        self.expand("S")
    }

    fn expand(&mut self, rule: &str) -> String {
        let choices = self.rules[rule].clone();
        let choice = &choices[self.random.below(choices.len())];
        let words: Vec<String> = choice
            .split_whitespace()
            .map(|word| if self.rules.contains_key(word) { self.expand(word) } else { word.to_owned() })
            .collect();
        words.join(" ")
    }
}

/// Reads the dictionary of the recipe: a string before a colon is a rule's name, the others are its choices.
fn rules() -> HashMap<String, Vec<String>> {
    let text = RECIPE.split("RULES = {").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the rules");
    let mut rules: HashMap<String, Vec<String>> = HashMap::new();
    let mut name = String::new();
    let mut parts = text.split('"').skip(1);
    while let (Some(string), Some(after)) = (parts.next(), parts.next()) {
        if after.trim_start().starts_with(':') {
            name = string.to_owned();
        } else {
            rules.entry(name.clone()).or_default().push(string.to_owned());
        }
    }
    // The recipe makes this one by code: any word that sounds the same wherever it stands.
    let dependent = ["to", "for", "a", "the", "and", "at", "you"];
    let mut words: Vec<String> = rules
        .values()
        .flatten()
        .flat_map(|choice| choice.split_whitespace())
        .filter(|word| !rules.contains_key(*word) && *word != "W" && !dependent.contains(word))
        .map(str::to_owned)
        .collect();
    words.sort();
    words.dedup();
    rules.insert("W".to_owned(), words);
    rules
}
