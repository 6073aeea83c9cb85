//! Replaces the words of a text, and remembers where each came from.

use super::tree::Tree;
use super::words::words;
use std::ops::Range;

/// The most parts of a language tag that are looked at: BCP 47 has no more of use.
const MAX_SUBTAGS: usize = 8;

/// A text with its words replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The new text.
    pub(crate) text: String,
    /// What was replaced, in order.
    pub(crate) edits: Vec<Edit>,
    /// Bytes of the old text.
    old_length: usize,
}

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Its bytes in the old text.
    pub(crate) old: Range<usize>,
    /// Its bytes in the new text.
    pub(crate) new: Range<usize>,
}

impl Applied {
    /// Where a byte of the new text was in the old one, always between two characters. What is within a replacement was
    /// where the replaced word begins; what is behind the end, at the end.
    pub(crate) fn source(&self, position: usize) -> usize {
        let mut position = position.min(self.text.len());
        while !self.text.is_char_boundary(position) {
            position -= 1;
        }
        let before = self.edits.partition_point(|edit| edit.new.start <= position);
        match before.checked_sub(1).and_then(|last| self.edits.get(last)) {
            Some(edit) if position < edit.new.end => edit.old.start,
            Some(edit) => (edit.old.end + (position - edit.new.end)).min(self.old_length),
            None => position.min(self.old_length),
        }
    }

    /// Where a stretch of the new text was in the old one: words within a replacement were the whole replaced word.
    pub(crate) fn span(&self, stretch: Range<usize>) -> Range<usize> {
        let start = self.source(stretch.start);
        let inside = |edit: &&Edit| edit.new.start < stretch.end && stretch.end < edit.new.end;
        let last = self.edits.partition_point(|edit| edit.new.start < stretch.end).checked_sub(1);
        let replaced = last.and_then(|last| self.edits.get(last)).filter(inside);
        let end = replaced.map_or_else(|| self.source(stretch.end), |edit| edit.old.end);
        start..end.max(start)
    }
}

/// Replaces the words of a text in a language by their entries.
pub(super) fn apply(tree: &Tree, text: &str, language: &str) -> Applied {
    let languages = tags(language);
    let words = words(text);
    let mut applied = Applied { text: String::with_capacity(text.len()), edits: Vec::new(), old_length: text.len() };
    let (mut index, mut copied) = (0, 0);
    while let Some(rest) = words.get(index..).filter(|rest| !rest.is_empty()) {
        let Some((count, said)) = tree.find(text, rest, &languages) else {
            index += 1;
            continue;
        };
        if let (Some(first), Some(last)) = (rest.first(), rest.get(count - 1)) {
            let old = first.range.start..last.range.end;
            applied.text.push_str(text.get(copied..old.start).unwrap_or_default());
            let start = applied.text.len();
            applied.text.push_str(said);
            copied = old.end;
            applied.edits.push(Edit { old, new: start..applied.text.len() });
        }
        index += count;
    }
    applied.text.push_str(text.get(copied..).unwrap_or_default());
    applied
}

/// "de-at", "de" and "" for "de-AT": whose entries count, the best first.
fn tags(language: &str) -> Vec<String> {
    let parts: Vec<String> = language.split(['-', '_']).take(MAX_SUBTAGS).map(str::to_lowercase).collect();
    let tags = (1..=parts.len()).rev().filter_map(|count| Some(parts.get(..count)?.join("-")));
    tags.filter(|tag| !tag.is_empty()).chain([String::new()]).collect()
}
