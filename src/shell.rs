//! Commands that users are told to run, as a shell reads them.

use std::borrow::Cow;

/// A word of a command: in quotes where a shell would take it for something else.
///
/// In single quotes POSIX shells take everything as it is but the quote itself (POSIX.1-2024, Shell Command Language, 2.2.2).
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+=:,./@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_they_were() {
        for (text, expected) in [
            ("base.en-q5_1", "base.en-q5_1"),
            ("hf:a/b/c.bin@main", "hf:a/b/c.bin@main"),
            ("/tmp/größe.wav", "/tmp/größe.wav"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$HOME;`ls`", "'$HOME;`ls`'"),
            ("~/x", "'~/x'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }
}
