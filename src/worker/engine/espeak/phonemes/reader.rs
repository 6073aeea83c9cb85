//! espeak-ng as a reader: text in, phonemes out, no sound. The voices of Piper are fed with it.

use super::clause::{Clause, Clauses, End, Reading};
use crate::{
    error::{Error, Kind, Result},
    worker::engine::espeak::{data, ffi::Library},
};
use std::path::Path;

/// The longest name of a voice that is looked up, in bytes: espeak-ng cuts names at 59.
const LONGEST_NAME: usize = 40;

/// espeak-ng, with a voice chosen.
pub(in crate::worker::engine) struct Reader {
    library: Library,
}

impl Reader {
    /// Unpacks the data if need be, initialises the library, and chooses a voice.
    ///
    /// # Errors
    /// `Io` where the cache folder cannot be used, `Internal` the second time in a process, and as
    /// [`Reader::set_voice`].
    pub(in crate::worker::engine) fn load(cache: &Path, voice: &str) -> Result<Self> {
        let library = Library::initialize(&data::unpacked(cache)?)?;
        let mut reader = Self { library };
        reader.set_voice(voice)?;
        Ok(reader)
    }

    /// Chooses the voice whose rules turn letters into phonemes, as a file of Piper's names it: "en-us", "pt-br".
    ///
    /// # Errors
    /// `InvalidInput` for one that does not exist. Names are never paths.
    pub(in crate::worker::engine) fn set_voice(&mut self, voice: &str) -> Result<()> {
        let may_be_one = !voice.is_empty()
            && voice.len() <= LONGEST_NAME
            && voice.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+'));
        let refused = || {
            let shown: String = voice.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
            Error::new(
                Kind::InvalidInput,
                format!("the voice's file asks for espeak-ng's voice `{shown}`, which does not exist"),
            )
        };
        if !may_be_one {
            return Err(refused());
        }
        self.library.set_voice(voice).map_err(|_| refused())
    }
}

impl Clauses for Reader {
    fn clauses(&mut self, text: &str, reading: Reading) -> Result<Vec<Clause>> {
        let mut clauses = Vec::new();
        let mut from = 0;
        while let Some(rest) = text.get(from..) {
            let (portion, _) = rest.split_at_checked(portion(rest)).unwrap_or((rest, ""));
            let is_last = portion.len() == rest.len();
            let shifted = |Clause { phonemes, end, text }: Clause| Clause {
                phonemes,
                end: if end.is_text_end() && !is_last { End::CUT } else { end },
                text: from + text.start..from + text.end,
            };
            clauses.extend(self.library.clauses(portion, reading)?.into_iter().map(shifted));
            if is_last {
                break;
            }
            from += portion.len();
        }
        Ok(clauses)
    }
}

/// Phonemes that surely fit a clause. espeak-ng drops what goes beyond `N_PHONEME_LIST` = 1000, and beyond
/// `N_CLAUSE_WORDS` = 300 words.
const FIT: usize = 800;

/// How many bytes of a text are read in one go: all of it, but where a clause may have too many phonemes, up to there.
fn portion(text: &str) -> usize {
    let (mut phonemes, mut before) = (0, ' ');
    // Where a word may start.
    let mut border = None;
    for (at, character) in text.char_indices() {
        if is_space(character) && ".,:;?!".contains(before) {
            phonemes = 0;
        }
        if phonemes > FIT {
            return border.unwrap_or(at);
        }
        phonemes += weight(character);
        if is_space(character) {
            border = Some(at + character.len_utf8());
        }
        before = character;
    }
    text.len()
}

/// The library takes control characters for spaces.
fn is_space(character: char) -> bool {
    character.is_whitespace() || character.is_ascii_control()
}

/// How many phonemes a character may become, when it is not one of a plain word: "w", "7", "😂" have long names.
fn weight(character: char) -> usize {
    match character {
        _ if is_space(character) => 3,
        _ if character.is_lowercase() => 1,
        _ if character.is_numeric() || character.is_uppercase() => 7,
        _ if character.is_alphabetic() => 5,
        '.' | ',' | '\'' | '-' | '’' | '"' => 1,
        _ => 30,
    }
}

#[cfg(test)]
pub(in crate::worker::engine) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

    /// The one reader of the tests, with a voice chosen: espeak-ng can be had once a process.
    pub(in crate::worker::engine) fn shared(voice: &str) -> MutexGuard<'static, Reader> {
        static READER: OnceLock<(tempfile::TempDir, Mutex<Reader>)> = OnceLock::new();
        let (_, reader) = READER.get_or_init(|| {
            let cache = tempfile::tempdir().expect("a folder");
            let reader = Reader::load(cache.path(), "en-us").expect("espeak-ng");
            (cache, Mutex::new(reader))
        });
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.set_voice(voice).expect("a voice");
        reader
    }

    #[test]
    fn voices_that_do_not_exist_are_refused_and_the_last_one_stays() {
        let mut reader = shared("de");
        let before = reader.clauses("Straße", Reading::Text).expect("phonemes");
        for name in ["", "nonexist", "../../etc/passwd", "en\0us", "en us", "ü", &"x".repeat(1000), "mb-en1", "+f3"] {
            let error = reader.set_voice(name).expect_err(name);
            assert_eq!(error.kind(), Kind::InvalidInput, "{name}");
        }
        assert_eq!(reader.clauses("Straße", Reading::Text).expect("phonemes"), before);
    }

    fn read(reader: &mut Reader, text: &str) -> Vec<Clause> {
        reader.clauses(text, Reading::Text).expect("phonemes")
    }

    #[test]
    fn nothing_of_a_long_clause_is_lost() {
        let mut reader = shared("en-us");
        let mut groups = |text: &str| -> usize {
            read(&mut reader, text).iter().map(|clause| clause.phonemes.split_whitespace().count()).sum()
        };
        for word in ["😀 ", "a ", "77 ", "12345678 ", "WWW ", "5% ", "$3.50 ", "word "] {
            let one = groups(word);
            assert_eq!(groups(&word.repeat(1000)), one * 1000, "{word}");
        }
    }

    #[test]
    fn nothing_of_a_text_stays_for_the_next() {
        let mut reader = shared("en-us");
        let alone = read(&mut reader, "Yes. No");
        for text in [
            "Wait. N",
            "a\u{1}Vde b",
            "\u{1}18Y x",
            "[\u{2}h@l'oU",
            "<speak>hi <say-as interpret-as='characters'>",
            "[[",
            "“",
        ] {
            read(&mut reader, text);
            reader.clauses(text, Reading::Characters).expect("phonemes");
            assert_eq!(read(&mut reader, "Yes. No"), alone, "{text:?}");
        }
    }

    #[test]
    fn characters_are_named() {
        let mut reader = shared("en-us");
        let said = reader.clauses("aW3", Reading::Characters).expect("phonemes");
        assert_eq!(said.iter().map(|clause| clause.phonemes.as_str()).collect::<Vec<_>>(), ["ˌeɪdˌʌbəljˌuːθɹˈiː"]);
    }

    #[test]
    fn abbreviations_and_ellipses_are_told() {
        let mut reader = shared("en-us");
        let ends: Vec<End> = read(&mut reader, "Dr. Who. Wait… so, no").iter().map(|clause| clause.end).collect();
        let told = |what: fn(End) -> bool| ends.iter().map(|end| what(*end)).collect::<Vec<_>>();
        assert_eq!(told(End::is_abbreviation), [true, false, false, false, false]);
        assert_eq!(told(End::is_ellipsis), [false, false, true, false, false]);
        assert_eq!(told(End::is_text_end), [false, false, false, false, true]);
        assert_eq!(
            ends.iter().map(|end| end.mark()).collect::<Vec<_>>(),
            [Some('.'), Some('.'), None, Some(','), None]
        );
    }

    #[test]
    fn a_text_with_nul_is_refused() {
        let error = shared("en-us").clauses("a\0b", Reading::Text).expect_err("NUL");
        assert_eq!(error.kind(), Kind::InvalidInput);
    }

    /// What texts are drawn from. Not all of Unicode: espeak-ng 1.52 itself is killed by some mixtures of scripts, such
    /// as German "🚼 か", when it has changed the language twice.
    const ANY_TEXT: &str = "[ -~¡-ʯΑ-ωА-яא-ת、。…—“”\n]{0,200}|[a-z0-9A-Z .,!?;:…—'\"\\[\\]()<>&%\n😀。！ß]{0,200}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn clauses_cover_any_text(text in ANY_TEXT, voice in 0..4_usize) {
            let mut reader = shared(["en-us", "de", "fr", "ar"][voice]);
            let clauses = read(&mut reader, &text);
            let mut at = 0;
            for clause in &clauses {
                prop_assert_eq!(clause.text.start, at);
                prop_assert!(text.get(clause.text.clone()).is_some(), "{:?}", clause.text);
                at = clause.text.end;
            }
            prop_assert_eq!(at, text.len());
        }

        #[test]
        fn control_characters_are_spaces(text in "[\u{1}-\u{8}\u{b}-\u{1f}\u{7f} a0-9BVYF\\[\\]]{0,40}") {
            let mut reader = shared("en-us");
            let plain: String = text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
            prop_assert_eq!(read(&mut reader, &text), read(&mut reader, &plain));
        }
    }
}
