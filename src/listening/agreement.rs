//! How much of a partial is likely to stay: LocalAgreement-2, what two decodes in a row agree on.
//!
//! Dominik Macháček, Raj Dabre, Ondřej Bojar: "Turning Whisper into Real-Time Transcription System", 2023.

/// Compares each decode with the one before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Agreement {
    before: String,
}

impl Agreement {
    /// Takes the next decode's text; says how many characters of it, from its start, the last one had as well: whole
    /// words only.
    pub(super) fn confirm(&mut self, text: &str) -> usize {
        let confirmed = agreed(&self.before, text);
        text.clone_into(&mut self.before);
        confirmed
    }

    /// Forgets: another utterance, or another epoch.
    pub(super) fn forget(&mut self) {
        self.before.clear();
    }
}

/// The length in characters of the longest common start that ends where a word ends in both.
fn agreed(before: &str, now: &str) -> usize {
    let mut count = 0;
    let mut whole_words = 0;
    let (mut left, mut right) = (before.chars().peekable(), now.chars().peekable());
    while let (Some(a), Some(b)) = (left.peek().copied(), right.peek().copied()) {
        if a != b {
            break;
        }
        left.next();
        right.next();
        count += 1;
        let ends = |next: Option<&char>| next.is_none_or(|next| next.is_whitespace());
        let is_unspaced = crate::speech::is_unspaced(a);
        if !a.is_whitespace() && (is_unspaced || (ends(left.peek()) && ends(right.peek()))) {
            whole_words = count;
        }
    }
    whole_words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_two_in_a_row_agree_on() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.confirm("turn on"), 0, "nothing to compare with");
        assert_eq!(agreement.confirm("turn on the"), "turn on".len());
        assert_eq!(agreement.confirm("turn off the"), "turn".len());
        assert_eq!(agreement.confirm("turn offset"), "turn".len(), "half a word is none");
        assert_eq!(agreement.confirm("turn offset"), "turn offset".len());
        agreement.forget();
        assert_eq!(agreement.confirm("turn offset"), 0);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let mut agreement = Agreement::default();
        agreement.confirm("schöne Grüße an");
        assert_eq!(agreement.confirm("schöne Grüße und"), "schöne Grüße".chars().count());
        agreement.confirm("東京都です");
        assert_eq!(agreement.confirm("東京に"), 2, "no spaces between words there");
    }

    proptest! {
        #[test]
        fn it_is_a_common_start_of_whole_words(before in "[ab ]{0,12}", now in "[ab ]{0,12}") {
            let count = agreed(&before, &now);
            prop_assert_eq!(before.get(..count), now.get(..count));
            for text in [&before, &now] {
                let rest = text.get(count..).expect("it is plain");
                prop_assert!(count == 0 || rest.is_empty() || rest.starts_with(' '));
            }
        }
    }
}
