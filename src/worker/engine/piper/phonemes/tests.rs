//! Text to phonemes, with espeak-ng itself and with a reader of few rules.

use super::*;
use crate::worker::engine::{
    espeak::phonemes::{End, shared},
    piper::alphabet::Alphabet,
};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

fn of_text(text: &str) -> Vec<Part<'_>> {
    vec![Part { kind: PartKind::Text, text, at: 0, width: text.len() }]
}

fn said(sentences: &[Sentence]) -> Vec<String> {
    sentences.iter().map(|sentence| sentence.symbols.iter().collect()).collect()
}

/// Piper 1.8's own sentences and ids.
fn reference() -> Vec<serde_json::Value> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples/voices/piper-reference.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("the reference")).expect("JSON")
}

/// What espeak-ng 1.52 says otherwise than the espeak-ng of the reference: no "ʲ" glide, and German "r" is a tap.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("The U.S. and the U.K. signed at 10:30 a.m.", "θˈɜːɾiʲ", "θˈɜːɾi"),
    ("Das kostet 3,50 € am 5. Mai 2024.", "drˈaɪ", "dɾˈaɪ"),
    ("Z.B. die Straße Nr. 7 in Köln.", "ʃtrˈɑːsə", "ʃtɾˈɑːsə"),
    ("Prof. Dr. Müller kommt um 10:30 Uhr.", "prˈoːf", "pɾˈoːf"),
    ("Prof. Dr. Müller kommt um 10:30 Uhr.", "drˈaɪsɪ", "dɾˈaɪsɪ"),
    ("Übermäßig große Äpfel", "ɡrˈoːsə", "ɡɾˈoːsə"),
    ("El Sr. García tiene 21 años.", "ɡaɾθˈiʲa", "ɡaɾθˈia"),
    ("El Sr. García tiene 21 años.", "βˌeɪntiʲˈuno", "βˌeɪntiˈuno"),
    // The reference read the block as text, as this one text went past Piper's own treatment of blocks.
    ("Hi [[ tˈɛst ]] there.", "tˈiː stɹˈɛs ˌoʊpənˈɛː ˈɛs tˈiː", "tˈɛst"),
];

/// The alphabet of Piper's espeak voices, which the reference used.
fn default_alphabet() -> Alphabet {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples/voices/test-voice.onnx.json");
    let voice: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("a voice")).expect("JSON");
    let map: HashMap<String, Vec<i64>> =
        serde_json::from_value(voice["phoneme_id_map"].clone()).expect("a phoneme_id_map");
    Alphabet::new(map, &[], 256).expect("a good map")
}

#[test]
fn sentences_and_ids_are_those_of_piper() {
    let alphabet = default_alphabet();
    let cases = reference();
    assert_eq!(cases.len(), 50);
    let mut met = 0;
    for case in cases {
        let (voice, text) = (case["voice"].as_str().expect("a voice"), case["text"].as_str().expect("a text"));
        let theirs: Vec<String> = serde_json::from_value(case["sentences"].clone()).expect("sentences");
        let mut theirs: Vec<String> = theirs.iter().map(|sentence| sentence.nfd().collect()).collect();
        let ids: Vec<Vec<i64>> = serde_json::from_value(case["ids"].clone()).expect("ids");
        let mut differs = false;
        for (_, their, our) in DIFFERENCES.iter().filter(|(differing, ..)| *differing == text) {
            assert!(theirs.iter().any(|sentence| sentence.contains(their)), "{their} is in {text:?}");
            theirs.iter_mut().for_each(|sentence| *sentence = sentence.replace(their, our));
            (differs, met) = (true, met + 1);
        }
        let mut reader = shared(voice);
        let ours = phonemizer(&mut *reader).sentences(&of_text(text), Manner::AsPiper).expect("phonemes");
        assert_eq!(said(&ours), theirs);
        let mut unknown = BTreeSet::new();
        let our_ids: Vec<Vec<i64>> =
            ours.iter().map(|sentence| alphabet.encode(&sentence.symbols, &mut unknown).ids).collect();
        assert!(differs || our_ids == ids, "{text:?}");
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    assert_eq!(met, DIFFERENCES.len());
}

fn phonemizer(reader: &mut dyn Clauses) -> Phonemizer<'_> {
    Phonemizer { reader, kind: Kind::Espeak, knows_ellipsis: false, places_words: true }
}

/// The one sentence that a text is.
fn one(text: &str) -> Sentence {
    let mut reader = shared("en-us");
    let mut sentences = phonemizer(&mut *reader).sentences(&of_text(text), Manner::OneSentence).expect("phonemes");
    assert!(sentences.len() <= 1, "{text:?}");
    sentences.pop().unwrap_or_default()
}

fn spoken(text: &str) -> String {
    one(text).symbols.into_iter().collect()
}

#[test]
fn dots_of_abbreviations_are_silent_within_a_sentence_only() {
    assert_eq!(spoken("Dr. Smith left."), "dˈɑːktɚ smˈɪθ lˈɛft.");
    assert_eq!(spoken("Bring J. R. Tolkien vs. Dr."), "bɹˈɪŋ dʒˈeɪ ˈɑːɹ tolkˈiːn vˌiːˈɛs dˈɑːktɚ.");
    assert_eq!(spoken("“Stop. Now.” he said"), "stˈɑːp. nˈaʊ. hiː sˈɛd");
}

#[test]
fn an_ellipsis_is_a_pause_that_the_voice_knows() {
    for text in ["Wait... what...", "Wait… what…", "Wait…what..."] {
        assert_eq!(spoken(text), "wˈeɪt, wˌʌt.", "{text}");
    }
    let mut reader = shared("en-us");
    let mut knowing = Phonemizer { knows_ellipsis: true, ..phonemizer(&mut *reader) };
    let sentences = knowing.sentences(&of_text("Wait... what..."), Manner::OneSentence).expect("phonemes");
    assert_eq!(said(&sentences), ["wˈeɪt… wˌʌt…"]);
}

#[test]
fn paragraphs_within_a_sentence_are_pauses() {
    assert_eq!(spoken("Head\n\nOne.\n\nTwo?\n\n"), "hˈɛd. wˌʌn. tˈuː?");
    assert_eq!(spoken("One\n\n"), "wˌʌn");
}

#[test]
fn silent_clauses_leave_no_marks_behind() {
    assert_eq!(spoken("— Hi! — “…” , you!"), "hˈaɪ! juː!");
    for text in ["", " ", "...", "***", "---", "( )", "“”", "!?", "\n\n.", "—"] {
        assert_eq!(one(text), Sentence::default(), "{text:?}");
    }
}

#[test]
fn blocks_are_taken_as_they_are_and_spaced_as_written() {
    assert_eq!(spoken("Hi [[ tˈɛst ]] there."), "hˈaɪ tˈɛst ðˈɛɹ.");
    assert_eq!(spoken("Hi[[tˈɛst]]there"), "hˈaɪtˈɛstðˈɛɹ");
    assert_eq!(spoken("[[a]][[b]] [[c]]"), "ab c");
    assert_eq!(spoken("Say [[a]], [[b]]… and [[c]]."), "sˈeɪ a, b, ænd c.");
    assert_eq!(spoken("Say. [[a]]"), "sˈeɪ. a");
    assert_eq!(spoken("Dr. [[a]]!"), "dˈɑːktɚ a!");
    assert_eq!(spoken("[[ɪç]]"), "ɪc\u{327}", "as the voice has learnt them: in NFD");
    assert_eq!(spoken("[[]] [[ ]]"), "");
    assert_eq!(spoken("[[a [[ b]] yes"), "a [[ b jˈɛs", "the voice does not know brackets");
}

#[test]
fn blocks_that_are_none_are_text() {
    for text in ["yes [[ no", "yes ]] no", "yes [ no ]", "yes ]] [[ no"] {
        assert_eq!(spoken(text), "jˈɛs nˈoʊ", "{text}");
    }
    assert_eq!(spoken(&"[[ ".repeat(10_000)), "");
    assert_eq!(spoken(&"]] ".repeat(10_000)), "");
    assert_eq!(spoken(&"[[a]]".repeat(10_000)), "a".repeat(10_000));
    let nested = format!("{}a{}", "[[".repeat(10_000), "]]".repeat(10_000));
    assert_eq!(spoken(&nested).matches('a').count(), 1);
}

#[test]
fn very_long_words_are_said_in_part() {
    let sentence = one(&"wonder".repeat(1000));
    assert!((100..10_000).contains(&sentence.symbols.len()), "{}", sentence.symbols.len());
}

#[test]
fn emoji_are_named() {
    assert_eq!(spoken("😀"), "ɡɹˈɪnɪŋ fˈeɪs");
}

#[test]
fn language_marks_are_dropped() {
    assert_eq!(symbols("a(en)b(fr)c").iter().collect::<String>(), "abc");
    assert_eq!(symbols("a()b(c").iter().collect::<String>(), "a()b(c");
    assert_eq!(symbols("ç").len(), 2);
}

fn placed(text: &str) -> Vec<(String, String)> {
    let sentence = one(text);
    let said = |word: &Word| sentence.symbols[word.symbols.clone()].iter().collect();
    sentence.words.iter().map(|word| (text.get(word.text.clone()).expect("a word").to_owned(), said(word))).collect()
}

#[test]
fn words_are_found_among_the_phonemes() {
    let found = placed("“The end” of the [[ dˈeɪ ]] is $3.50, e.g. 25% of www.a.com — or Dr. X");
    let found: Vec<(&str, &str)> = found.iter().map(|(word, said)| (word.as_str(), said.as_str())).collect();
    assert_eq!(
        found,
        [
            ("The", "ðɪ"),
            ("end", "ˈɛnd"),
            ("of", "ʌv"),
            ("the", "ðə"),
            ("[[ dˈeɪ ]]", "dˈeɪ"),
            ("is", "ɪz"),
            ("$3.50", "dˈɑːlɚ θɹˈiː pɔɪnt fˈaɪv zˈiəɹoʊ"),
            ("e.g", "ˌiːdʒˈiː"),
            ("25%", "twˈɛnti fˈaɪv pɚsˈɛnt"),
            ("of", "ʌv"),
            ("www.a.com", "dˌʌbəljˌuːdˌʌbəljˌuːdˈʌbəljˌuː dˈɑːt ˈeɪ dˈɑːt kˈɑːm"),
            ("or", "ɔːɹ"),
            ("Dr", "dˈɑːktɚ"),
            ("X", "ˈɛks"),
        ]
    );
}

#[test]
fn voices_of_text_get_its_code_points() {
    let mut reader = shared("en-us");
    let mut of_code_points = Phonemizer { kind: Kind::Text, ..phonemizer(&mut *reader) };
    let sentences = of_code_points.sentences(&of_text("Für. Dich\n!"), Manner::OneSentence).expect("symbols");
    assert_eq!(said(&sentences), ["Fu\u{308}r. Dich !"]);
    let words: Vec<_> = sentences[0].words.iter().map(|word| (word.text.clone(), word.symbols.clone())).collect();
    assert_eq!(words, [(0..4, 0..4), (6..10, 6..10)]);
}

#[test]
fn characters_are_said_one_by_one() {
    let parts = [
        Part { kind: PartKind::Text, text: "The ", at: 0, width: 4 },
        Part { kind: PartKind::Characters, text: "AB", at: 4, width: 1 },
        Part { kind: PartKind::Text, text: ".", at: 5, width: 1 },
    ];
    let mut reader = shared("en-us");
    let sentences = phonemizer(&mut *reader).sentences(&parts, Manner::OneSentence).expect("phonemes");
    assert_eq!(said(&sentences), ["ðə ˌeɪbˈiː."]);
}

/// Reads each word as itself, and ends clauses at marks.
struct Plain;

impl Clauses for Plain {
    fn clauses(&mut self, text: &str, _: Reading) -> Result<Vec<Clause>> {
        let mut clauses = Vec::new();
        let mut from = 0;
        for piece in text.split_inclusive(['.', ',', '…']) {
            let to = from + piece.len();
            let end = End::of(piece.chars().next_back().unwrap_or(' '));
            let phonemes = piece.trim_end_matches(['.', ',', '…']).trim().to_owned();
            clauses.push(Clause { phonemes, end, text: from..to });
            from = to;
        }
        Ok(clauses)
    }
}

fn check(sentences: &[Sentence], text: &str) -> Result<(), TestCaseError> {
    for sentence in sentences {
        let (mut text_end, mut symbols_end) = (0, 0);
        for word in &sentence.words {
            prop_assert!(text.get(word.text.clone()).is_some_and(|word| !word.is_empty()), "{word:?}");
            prop_assert!(sentence.symbols.get(word.symbols.clone()).is_some(), "{word:?}");
            prop_assert!(word.text.start >= text_end && word.symbols.start >= symbols_end, "{word:?}");
            (text_end, symbols_end) = (word.text.end, word.symbols.end);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_becomes_sentences_with_words_in_order(
        text in "[ -~¡-ʯΑ-ωА-я、。…—“”\n😀]{0,60}|([a-zA-Z]{1,4}|[0-9$%.]{1,4}|\\[\\[|\\]\\]|[ .,!?…\n\"(]|of the |ß|é|。){0,40}",
        as_piper: bool,
    ) {
        let manner = if as_piper { Manner::AsPiper } else { Manner::OneSentence };
        for voice in ["en-us", "de"] {
            let mut reader = shared(voice);
            check(&phonemizer(&mut *reader).sentences(&of_text(&text), manner).expect("phonemes"), &text)?;
        }
        check(&phonemizer(&mut Plain).sentences(&of_text(&text), manner).expect("phonemes"), &text)?;
    }

    #[test]
    fn one_sentence_is_one_and_has_no_gap_at_its_ends(text in "[a-c .,…\\[\\]]{0,30}") {
        let sentences = phonemizer(&mut Plain).sentences(&of_text(&text), Manner::OneSentence).expect("phonemes");
        prop_assert!(sentences.len() <= 1);
        let said = said(&sentences).concat();
        prop_assert!(said.trim() == said && !said.contains("  ") || text.contains("  "), "{said:?}");
    }

    #[test]
    fn blocks_lie_side_by_side(text in "[\\[\\]a]{0,40}") {
        let mut end = 0;
        for range in blocks(&text) {
            prop_assert!(range.start >= end);
            let block = text.get(range.clone()).unwrap_or_default();
            prop_assert!(block.len() >= 4 && block.starts_with("[[") && block.ends_with("]]"));
            end = range.end;
        }
        let rest = text.get(end..).unwrap_or_default();
        prop_assert!(!rest.split_once("[[").is_some_and(|(_, rest)| rest.contains("]]")));
    }
}
