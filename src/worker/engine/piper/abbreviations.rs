//! Which dots do not end anything. Asked only of dots in the middle of what is known to be one sentence, so that a
//! guess too many costs no more than a pause.

use unicode_normalization::UnicodeNormalization;

/// Abbreviations with vowels, of the languages that have most voices, in lower case and without diacritics. Those
/// without vowels, such as "Mrs.", and with dots inside, such as "z.B.", need no list.
const KNOWN: &[&str] = &[
    "abb", "abs", "adm", "apr", "art", "aug", "ave", "avda", "bd", "bzw", "cap", "capt", "co", "col", "corp", "dec",
    "dep", "dept", "dipl", "doc", "ed", "etc", "evtl", "feb", "fig", "geb", "gen", "gov", "hon", "inc", "ing", "inkl",
    "jan", "lic", "maj", "max", "min", "mme", "mlle", "nov", "num", "oct", "okt", "op", "pag", "prof", "rep", "rev",
    "sen", "sep", "sept", "sra", "srta", "ste", "tel", "univ", "usw", "vol",
];

/// Whether a text ends with an abbreviation, an initial or an ordinal number ("5. Mai"), with its dot.
pub(super) fn ends(text: &str) -> bool {
    let Some(before) = text.trim_end().strip_suffix('.') else { return false };
    let is_border = |c: char| c.is_whitespace() || "([{\"'“„‘‚«‹-–—/".contains(c);
    let word = before.rsplit(is_border).next().unwrap_or_default();
    // Without diacritics, so that a vowel is a vowel.
    let word: String = word.to_lowercase().nfd().filter(|c| c.is_alphanumeric() || *c == '.').take(20).collect();
    let letters = word.chars().filter(|c| *c != '.').count();
    let is_ordinal = letters <= 2 && word.chars().all(|c| c.is_ascii_digit());
    let is_latin = word.chars().all(|c| c.is_ascii_alphabetic() || c == '.');
    let has_vowel = word.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    letters > 0
        && (letters == 1
            || is_ordinal
            || (is_latin && (word.contains('.') || !has_vowel || KNOWN.contains(&word.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_initials_and_ordinals_are_told_from_words() {
        for text in ["Dr.", "Hello Mrs. ", "(Prof.", "J.", "am 5.", "z.B.", "at 10 a.m.", "Pág.", "É.", "Nr."] {
            assert!(ends(text), "{text}");
        }
        for text in ["", ".", "No.", "Stop. ", "in 2024.", "Dr", "Dr. Smith", "ну.", "...", "!!."] {
            assert!(!ends(text), "{text}");
        }
    }
}
