//! Sentences and pieces to lines, read by a reader that says letters as they are.

use super::*;
use crate::worker::engine::{
    espeak::phonemes::{Clause, Clauses, End, Reading},
    piper::{alphabet::tests::alphabet, phonemes::Kind, ssml::pieces},
};
use proptest::prelude::*;

const PAUSES: Pauses = Pauses {
    sentence: Duration::from_millis(200),
    paragraph: Duration::from_millis(500),
    wordless: Duration::from_millis(300),
};

/// Says letters as they are; a dot ends a clause.
struct Plain;

impl Clauses for Plain {
    fn clauses(&mut self, text: &str, reading: Reading) -> Result<Vec<Clause>> {
        let is_said = |c: &char| c.is_alphanumeric() || *c == ' ';
        let mut phonemes: String = text.chars().filter(is_said).collect();
        if reading == Reading::Characters {
            phonemes = phonemes.chars().flat_map(|c| [c, ' ']).collect();
        }
        let end = End::of(text.trim_end().chars().next_back().unwrap_or(' '));
        Ok(vec![Clause { phonemes: phonemes.trim().to_owned(), end, text: 0..text.len() }])
    }
}

/// A line in words: what is said, the silence behind it in milliseconds, and its marks with what is said there.
#[derive(Debug, PartialEq)]
struct Told(String, u128, Vec<String>);

fn told(source: &str, drafts: &[Draft]) -> Vec<Told> {
    let letters = ["a", "b", "c", "d", "e", "f", "x", "y", " ", ".", ","];
    let alphabet = alphabet(&letters, &[]);
    let phonemizer = Phonemizer { reader: &mut Plain, kind: Kind::Espeak, knows_ellipsis: false, places_words: true };
    let mut scribe = Scribe { phonemizer, alphabet: &alphabet, pauses: PAUSES, unknown: BTreeSet::new() };
    let said = |ids: &[i64]| -> String {
        ids.iter().filter_map(|id| letters.get(usize::try_from(id - 3).ok()?)).copied().collect()
    };
    let written = |range: &Range<usize>| source.get(range.clone()).expect("a place in the source");
    let line = |draft| {
        let line = scribe.line(draft).expect("a line");
        let mark = |mark: &Mark| {
            let here = said(&line.ids[mark.ids.clone()]);
            match &mark.what {
                Marked::Name(name, _) => format!("{name} before {}", said(&line.ids[mark.ids.start..])),
                Marked::Word(range) => format!("{}={here}", written(range)),
                Marked::Sentence(range) => format!("[{}]={here}", written(range)),
            }
        };
        Told(said(&line.ids), line.silence_after.as_millis(), line.marks.iter().map(mark).collect())
    };
    drafts.iter().map(line).collect()
}

/// Sentences end behind dots.
fn split(text: &str) -> Vec<Range<usize>> {
    let mut from = 0;
    let mut ranges = Vec::new();
    for sentence in text.split_inclusive(". ") {
        ranges.push(from..from + sentence.len());
        from += sentence.len();
    }
    ranges
}

fn of_document(content: &str) -> Vec<Told> {
    let document = format!("<speak>{content}</speak>");
    told(&document, &of_pieces(&pieces(&document).expect("a good document"), &split, PAUSES))
}

fn line(said: &str, silence: u128, marks: &[&str]) -> Told {
    Told(said.to_owned(), silence, marks.iter().map(|mark| (*mark).to_owned()).collect())
}

#[test]
fn sentences_become_lines_with_silence_between_them() {
    let text = "ab cd. ef.";
    assert_eq!(
        told(text, &of_text(text, &split(text), 1.0, PAUSES)),
        [line("ab cd.", 200, &["[ab cd. ]=ab cd.", "ab=ab", "cd=cd"]), line("ef.", 0, &["[ef.]=ef.", "ef=ef"])]
    );
    assert_eq!(told("", &of_text("", &[], 1.0, PAUSES)), []);
}

#[test]
fn what_holds_no_words_is_a_pause() {
    for text in ["...", "*", "Ω"] {
        let drafts = of_text(text, &split(text), 1.0, PAUSES);
        assert_eq!(told(text, &drafts), [line("", 300, &[])], "{text}");
    }
    assert_eq!(told("  ", &of_text("  ", &split("  "), 1.0, PAUSES)), []);
}

#[test]
fn sentences_do_not_end_within_blocks() {
    let text = "a [[b. c]] d. e";
    let said: Vec<String> = told(text, &of_text(text, &split(text), 1.0, PAUSES)).into_iter().map(|t| t.0).collect();
    assert_eq!(said, ["a b. c d.", "e"]);
    assert_eq!(keep_blocks_whole("[[. ]]. [[. ]]", vec![0..4, 4..8, 8..12, 12..14]), [0..8, 8..14]);
}

#[test]
fn pieces_of_one_sentence_are_one_line() {
    assert_eq!(
        of_document("ab <phoneme alphabet='ipa' ph='x. y'>cd</phoneme> <say-as interpret-as='characters'>ef</say-as>. c"),
        [
            line("ab x. y e f.", 200, &["[ab ... ]", "ab=ab", "ef=e f"]),
            line("c", 0, &["[c]=c", "c=c"])
        ]
        .map(|mut told| {
            if let Some(first) = told.2.first_mut().filter(|first| first.starts_with("[ab")) {
                let source = "ab <phoneme alphabet='ipa' ph='x. y'>cd</phoneme> <say-as interpret-as='characters'>ef</say-as>. ";
                *first = format!("[{source}]=ab x. y e f.");
            }
            told
        })
    );
}

#[test]
fn names_stand_before_the_word_that_follows_them() {
    let told = of_document("<mark name='m'/>ab <mark name='n'/>cd. <mark name='o'/>ef<mark name='p'/>");
    let marks = |line: usize| told[line].2.iter().filter(|mark| mark.contains("before")).cloned().collect::<Vec<_>>();
    assert_eq!(told.iter().map(|line| line.0.as_str()).collect::<Vec<_>>(), ["ab cd.", "ef"]);
    assert_eq!(marks(0), ["m before ab cd.", "n before cd."]);
    assert_eq!(marks(1), ["o before ef", "p before "]);
    assert_eq!(of_document("<mark name='m'/>"), [line("", 0, &["m before "])]);
}

#[test]
fn breaks_take_the_place_of_pauses() {
    let silences = |content: &str| of_document(content).into_iter().map(|t| (t.0, t.1)).collect::<Vec<_>>();
    let line = |said: &str, silence| (said.to_owned(), silence);
    assert_eq!(silences("a <break time='1s'/> b"), [line("a", 1000), line("b", 0)]);
    assert_eq!(silences("<s>a.</s><break time='1s'/><s>b</s>"), [line("a.", 1000), line("b", 0)]);
    assert_eq!(silences("<break time='1s'/>b"), [line("", 1000), line("b", 0)]);
    assert_eq!(silences("b<break time='1s'/><break time='2s'/>"), [line("b", 3000)]);
    assert_eq!(silences("<p>a</p><p>b</p>c"), [line("a", 500), line("b", 500), line("c", 0)]);
    assert_eq!(silences("<p><s>a</s> <s>b</s></p>"), [line("a", 200), line("b", 0)]);
    assert_eq!(silences("<s>a</s><mark name='m'/><break time='1s'/>b"), [line("a", 200), line("", 1000), line("b", 0)]);
}

#[test]
fn a_change_of_rate_is_a_new_line() {
    let document = "<speak>a <prosody rate='2'>b</prosody> c. <prosody rate='0.5'>d</prosody></speak>";
    let drafts = of_pieces(&pieces(document).expect("a good document"), &split, PAUSES);
    assert_eq!(drafts.iter().map(|draft| draft.rate).collect::<Vec<_>>(), [1.0, 2.0, 1.0, 0.5]);
    assert_eq!(told(document, &drafts).iter().map(|line| line.1).collect::<Vec<_>>(), [0, 0, 200, 0]);
}

#[test]
fn aliases_and_entities_have_no_places() {
    assert_eq!(
        of_document("<sub alias='ab'>x</sub> &#97;"),
        [line("ab a", 0, &[])].map(|told| Told(told.0, told.1, told.2))
    );
}

proptest! {
    #[test]
    fn lines_are_framed_and_their_marks_in_order(
        content in "([a-d]{1,3}|[ .,*]|\\[\\[|\\]\\]|<mark name='m'/>|<break/>|<s>a</s>|<sub alias='b\\. c'>x</sub>|<prosody rate='2'>a\\. b</prosody>|&amp;|é){0,20}",
    ) {
        let document = format!("<speak>{content}</speak>");
        let drafts = of_pieces(&pieces(&document).expect("a good document"), &split, PAUSES);
        let alphabet = alphabet(&["a", "b", "c", " ", "."], &[]);
        let phonemizer = Phonemizer { reader: &mut Plain, kind: Kind::Espeak, knows_ellipsis: false, places_words: true };
        let mut scribe = Scribe { phonemizer, alphabet: &alphabet, pauses: PAUSES, unknown: BTreeSet::new() };
        let mut names = 0;
        for draft in &drafts {
            let line = scribe.line(draft).expect("a line");
            prop_assert!(line.ids.is_empty() || line.ids.starts_with(&[1, 0]) && line.ids.ends_with(&[2]));
            prop_assert!(line.marks.is_sorted_by_key(|mark| mark.ids.start));
            for Mark { ids, what } in &line.marks {
                prop_assert!(line.ids.get(ids.clone()).is_some());
                match what {
                    Marked::Name(_, place) => {
                        prop_assert!(document.get(*place..).is_some_and(|rest| rest.starts_with("<mark")));
                        names += 1;
                    }
                    Marked::Word(range) | Marked::Sentence(range) => prop_assert!(document.get(range.clone()).is_some()),
                }
            }
        }
        prop_assert_eq!(names, content.matches("<mark").count(), "no name is lost");
    }
}
