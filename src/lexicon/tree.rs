//! Entries by their words: one step down for each, so that a text is looked through once, however many entries there are.

use super::words::{Word, joined};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// All entries.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// By the next word in small letters: the node for it, with white space before the word and without.
    next: HashMap<Box<str>, [Option<usize>; 2]>,
    values: HashMap<Key, Value>,
}

/// Which of the entries that differ only in language and case.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// BCP 47 in small letters, empty for all.
    pub(super) language: String,
    /// The words as they must be written, empty for any case.
    pub(super) exact: String,
}

#[derive(Debug)]
struct Value {
    said: Box<str>,
    line: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// Adds an entry of a line. If it is there already, gives the line where.
    pub(super) fn add(&mut self, words: &[Word], key: Key, said: &str, line: usize) -> Result<(), usize> {
        let mut at = 0;
        for (index, word) in words.iter().enumerate() {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            let [joined, apart] = node.next.entry(word.folded.as_str().into()).or_default();
            let next = if index > 0 && word.is_apart { apart } else { joined };
            at = *next.get_or_insert(fresh);
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        match self.nodes.get_mut(at).map(|node| node.values.entry(key)) {
            Some(Entry::Occupied(there)) => Err(there.get().line),
            Some(Entry::Vacant(place)) => {
                place.insert(Value { said: said.into(), line });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The longest entry that the words of a text begin with: how many of them, and what is said instead. `languages`
    /// are those that count, the best first.
    pub(super) fn find(&self, text: &str, words: &[Word], languages: &[String]) -> Option<(usize, &str)> {
        let mut node = self.nodes.first()?;
        let mut found = None;
        for (index, word) in words.iter().enumerate() {
            let next = node.next.get(word.folded.as_str()).and_then(|[joined, apart]| {
                let next = if index > 0 && word.is_apart { apart } else { joined };
                self.nodes.get((*next)?)
            });
            let Some(next) = next else { break };
            node = next;
            if node.values.is_empty() {
                continue;
            }
            let (taken, rest) = words.split_at(index + 1);
            let said = node.value(&joined(text, taken), languages);
            if let Some(said) = said.filter(|_| !is_contracted(text, word, rest)) {
                found = Some((index + 1, said));
            }
        }
        found
    }
}

impl Node {
    fn value(&self, written: &str, languages: &[String]) -> Option<&str> {
        let with = |exact: &str| {
            let key = |language: &String| Key { language: language.clone(), exact: exact.to_owned() };
            languages.iter().find_map(|language| self.values.get(&key(language)))
        };
        with(written).or_else(|| with("")).map(|value| &*value.said)
    }
}

/// Whether "n't" takes the end of a word: "can" in "can't".
fn is_contracted(text: &str, word: &Word, rest: &[Word]) -> bool {
    let [mark, letter, ..] = rest else { return false };
    let is_joined = !mark.is_apart && !letter.is_apart;
    is_joined
        && word.of(text).ends_with(['n', 'N'])
        && matches!(mark.of(text), "'" | "’")
        && letter.of(text).eq_ignore_ascii_case("t")
}
