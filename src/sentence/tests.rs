//! The laws of splitting, and what a listener waits for.

mod table;

use super::{Gap, MAX, MAX_PHONEMES, Role, Sentence, Splitter, characters, phonemes, split};
use proptest::prelude::*;

const LANGUAGES: [&str; 8] = ["", "en-us", "de", "fr", "es", "ja", "zh", "ru"];

fn texts(sentences: &[Sentence]) -> Vec<&str> {
    sentences.iter().map(|sentence| sentence.text.as_str()).collect()
}

/// Pushes a text in pieces that end where `cuts` says, and flushes.
fn in_pieces(text: &str, cuts: &[usize], language: &str) -> Vec<Sentence> {
    let mut splitter = Splitter::new(language);
    let mut sentences = Vec::new();
    let mut piece = String::new();
    for (index, character) in text.chars().enumerate() {
        if cuts.contains(&index) {
            sentences.extend(splitter.push(&piece));
            piece.clear();
        }
        piece.push(character);
    }
    sentences.extend(splitter.push(&piece));
    sentences.extend(splitter.flush());
    assert!(!splitter.pending());
    sentences
}

/// Text of what matters to the rules, so that they meet each other.
fn text() -> impl Strategy<Value = String> {
    const PIECES: &str = concat!(
        ".|.|.|?|!|…|...|。|！|؟|।|．| | | | |  |\n|\n|\n\n|\r\n|\u{2029}|\u{A0}|\"|'|“|”|„|«|»|(|)|[|]|[[|]]|",
        "[[ a. B ]]|「|」|、|,|:|;|-|—|•|*|#|- |1. |a) |## |word|Word|The|Er|I|J|z|B|Dr|No|etc|e.g|5|24|iPhone|",
        "日本|と|é|e\u{301}|👩\u{200D}👩|🇩🇪|IV|&|\u{0}",
    );
    let pieces: Vec<&str> = PIECES.split('|').collect();
    let piece = prop_oneof![
        40 => prop::sample::select(pieces.clone()).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => (prop::sample::select(pieces), 1..450_usize).prop_map(|(piece, count)| piece.repeat(count)),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn language() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&LANGUAGES[..])
}

/// A text as it is spoken: every run of white space one space. Phonemes are not looked for.
fn spoken(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn sentences_do_not_depend_on_the_pieces(
        text in text(),
        cuts in prop::collection::vec(0..400_usize, 0..40),
        language in language(),
    ) {
        let whole = split(&text, language);
        prop_assert_eq!(&in_pieces(&text, &cuts, language), &whole);
        let each: Vec<usize> = (0..600).collect();
        prop_assert_eq!(&in_pieces(&text, &each, language), &whole);
    }

    #[test]
    fn nothing_is_lost_doubled_or_moved(text in text(), language in language()) {
        let mut end = 0;
        for sentence in split(&text, language) {
            let (start, next) = (sentence.start as usize, sentence.end as usize);
            prop_assert!(start < next && end <= start);
            let between = text.get(end..start);
            prop_assert!(between.is_some_and(|between| between.trim().is_empty()), "lost {:?}", between);
            let source = text.get(start..next);
            prop_assert!(source.is_some_and(|source| spoken(source) == spoken(&sentence.text)), "{:?} is {:?}", source, sentence);
            prop_assert_eq!(sentence.text.trim(), &sentence.text);
            if !sentence.text.contains("[[") {
                prop_assert_eq!(spoken(&sentence.text), sentence.text);
            }
            end = next;
        }
        prop_assert!(text.get(end..).is_some_and(|rest| rest.trim().is_empty()));
    }

    #[test]
    fn no_sentence_is_too_long_and_no_character_is_cut(text in text(), language in language()) {
        let sentences = split(&text, language);
        for sentence in &sentences {
            prop_assert!(sentence.text.chars().count() <= MAX);
        }
        for pair in sentences.windows(2) {
            let (Some(last), Some(first)) = (pair[0].text.chars().last(), pair[1].text.chars().next()) else { continue };
            let is_long = pair[0].text.chars().rev().take_while(|&character| characters::extends(character)).count() > 8;
            let is_adjacent = pair[0].end == pair[1].start && !is_long;
            prop_assert!(!(is_adjacent && characters::extends(first)), "{:?} | {:?}", last, first);
        }
    }

    #[test]
    fn phonemes_are_never_cut_nor_changed(
        before in text(),
        inside in "([a-z.!?。]{1,5}([ \n][a-z.!?。]{1,5}){0,40} {0,9})?",
        after in text(),
        language in language(),
    ) {
        let phonemes = format!("[[{inside}]]");
        let text = format!("{before} {phonemes} {after}");
        let sentences = split(&text, language);
        prop_assert!(sentences.iter().any(|sentence| sentence.text.contains(&phonemes)), "{:?}", sentences);
    }

    #[test]
    fn memory_is_bounded(text in text(), language in language()) {
        let mut splitter = Splitter::new(language);
        for character in text.repeat(4).chars() {
            splitter.push(character.encode_utf8(&mut [0; 4]));
            prop_assert!(splitter.buffer.len() <= MAX + MAX_PHONEMES, "{}", splitter.buffer.len());
        }
    }

    #[test]
    fn a_flush_anywhere_loses_nothing(text in text(), at in 0..200_usize, language in language()) {
        let mut splitter = Splitter::new(language);
        let cut = text.char_indices().nth(at).map_or(text.len(), |(cut, _)| cut);
        let (head, tail) = text.split_at(cut);
        let mut sentences = splitter.push(head);
        sentences.extend(splitter.flush());
        prop_assert!(!splitter.pending());
        sentences.extend(splitter.push(tail));
        sentences.extend(splitter.flush());
        let bare = |text: &str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
        prop_assert_eq!(bare(&texts(&sentences).concat()), bare(&text));
        for sentence in &sentences {
            let source = text.get(sentence.start as usize..sentence.end as usize);
            prop_assert!(source.is_some_and(|source| bare(source) == bare(&sentence.text)));
        }
    }
}

/// How often atoms are looked at for each character, and the most that are held.
fn effort(text: &str, language: &str) -> (f64, usize) {
    let mut splitter = Splitter::new(language);
    let mut held = 0;
    let mut count = 0;
    for character in text.chars() {
        splitter.push(character.encode_utf8(&mut [0; 4]));
        held = held.max(splitter.buffer.len());
        count += 1;
    }
    splitter.flush();
    (splitter.buffer.looks.get() as f64 / f64::from(count), held)
}

#[test]
fn the_work_and_the_memory_do_not_grow_with_the_text() {
    let unclosed = format!("[[{}", "a. ".repeat(200));
    let initials = "a. b. c. d. e. f. ".to_owned();
    let word = format!("a {}", "b".repeat(400));
    let pieces = [
        "a", "a. ", ". ", ".", "(", "(. ", ".\"", ".) ", "。", "。」", "。 ", "日", "[", "[[", "[[a", "[[]]", "[[a]]",
        "[[a]] ", "a\n", "A\n", "- ", "- a\n", "1. ", "a, ", ", ", "—", "e\u{301}", "\u{301}", "\u{200D}", "#", "1",
        "J. The ", "z. B. ", " ", " \n", "a \n", "[[ \n", "! \"", "! - ", ". —", ".»", ". »", "I", "I. ", "Dr. ", "🇩",
        "a.b", "The. ", &unclosed, &initials, &word,
    ];
    for piece in pieces {
        for language in ["en", "de", "ja"] {
            let text = |length: usize| piece.chars().cycle().take(length).collect::<String>();
            let (few, many) = (effort(&text(5_000), language), effort(&text(50_000), language));
            assert!(many.0 < 60.0 && many.0 < few.0 * 1.2 + 1.0, "{piece:?}: {few:?} then {many:?}");
            assert!(many.1 <= MAX + MAX_PHONEMES, "{piece:?}: {many:?}");
        }
    }
}

/// How many characters of a text have to arrive before its first sentence is out.
fn wait(text: &str, language: &str) -> Option<usize> {
    let mut splitter = Splitter::new(language);
    text.chars().position(|character| !splitter.push(character.encode_utf8(&mut [0; 4])).is_empty()).map(|at| at + 1)
}

#[test]
fn a_sentence_is_out_as_soon_as_its_end_is_certain() {
    // Language, what has to arrive, and what may follow.
    let waits = [
        ("en", "Hello there. H", "i"),
        ("en", "Hello there! ho", " ho"),
        ("en", "Hello there. 5", " men"),
        ("en", "Hello there. “H", "i”"),
        ("en", "Hello there.\n\n", "Hi"),
        ("en", "Hello there\n\n", "Hi"),
        ("en", "Hello there.\nH", "i"),
        ("en", "\"Hello!\" H", "e"),
        ("en", "In the U.S. The ", "end"),
        ("en", "Milk etc. C", "ome"),
        ("ja", "今日は。元", "気"),
        ("ja", "「今日は。」元", "気"),
        ("ja", "今日は。 ", "元気"),
        ("hi", "नमस्ते। आ", "प"),
        ("en", "- milk\n- e", "ggs"),
        ("en", "# Title\nT", "ext"),
        ("en", "Title\nTe", "xt"),
    ];
    for (language, needed, rest) in waits {
        let whole = format!("{needed}{rest} ");
        let count = needed.chars().count();
        let slack = usize::from(needed.ends_with([' ', 'o']));
        let waited = wait(&whole, language);
        assert!(
            waited.is_some_and(|waited| waited <= count + slack && waited + 1 >= count),
            "{needed:?}: {waited:?} of {count}"
        );
    }
    for (language, text) in
        [("en", "Hello there."), ("en", "Hello there. "), ("ja", "今日は。"), ("en", "Hello there.\n")]
    {
        assert_eq!(wait(text, language), None, "{text:?} could go on");
    }
}

#[test]
fn a_flush_gives_all_and_the_next_text_is_new() {
    let mut splitter = Splitter::new("en");
    assert!(!splitter.pending() && splitter.flush().is_empty());
    assert!(splitter.push("Hello wor").is_empty() && splitter.pending());
    assert_eq!(texts(&splitter.flush()), ["Hello wor"]);
    assert!(!splitter.pending());
    assert!(splitter.push("ld.").is_empty());
    let rest = splitter.flush();
    assert_eq!((rest[0].text.as_str(), rest[0].start, rest[0].end, rest.len()), ("ld.", 9, 12, 1));
    assert!(splitter.push(" [").is_empty() && splitter.pending());
    assert!(splitter.push("[ a").is_empty() && splitter.pending());
    assert_eq!(texts(&splitter.flush()), ["[[ a"]);
    assert!(splitter.push(" \n\n ").is_empty() && !splitter.pending());
    assert_eq!(texts(&splitter.push("One. Two")), ["One."]);
    assert_eq!(texts(&splitter.flush()), ["Two"]);
}

#[test]
fn what_is_too_long_is_cut_at_a_clause_else_a_space_else_anywhere() {
    let words = |count: usize| "word ".repeat(count);
    let clauses = split(&format!("{}end, {}", words(50), words(100)), "en");
    assert!(clauses[0].text.ends_with("end,") && clauses[1].text.ends_with("word"), "{clauses:?}");
    // A comma in the first quarter is no help, nor is one inside a number.
    let spaces = split(&format!("So, {}1,5 {}", words(60), words(100)), "en");
    assert!(spaces[0].text.ends_with("word") && spaces[0].text.chars().count() > MAX - 20, "{spaces:?}");
    let hard = split(&"x".repeat(5_000), "en");
    assert!(hard.iter().all(|sentence| sentence.text.len() <= MAX) && hard.len() <= 13, "{}", hard.len());
    let closed = split(&format!("{})).", "x".repeat(MAX - 9)), "en");
    assert!(closed.len() == 2 && closed[1].text.starts_with('x'), "what closes is not alone: {closed:?}");
    assert_eq!(texts(&split(&format!("a {}", "b".repeat(500)), "en"))[0], "a");

    let chinese = split(&"天地玄黄宇宙洪荒，".repeat(50), "zh");
    assert!(chinese[0].text.ends_with('，') && chinese[0].text.chars().count() <= MAX / 3, "{chinese:?}");
    let families = split(&"👩\u{200D}👩\u{200D}👧".repeat(200), "en");
    assert!(families.len() > 1 && families.iter().all(|sentence| sentence.text.starts_with('👩')));
    let flags = split(&"🇩🇪".repeat(400), "en");
    assert!(flags.len() > 1);
    let joined = |text: &str, joiner: char| !split(text, "en").iter().any(|sentence| sentence.text.starts_with(joiner));
    assert!(joined(&format!("{}、\u{FE00}{}", "\"".repeat(150), "。".repeat(100)), '\u{FE00}'), "behind a clause mark");
    assert!(joined("1. ． »\u{200B}", '\u{200B}'), "behind what closes with a space before it");
    let mut runs = (370..400).map(|count| format!("\",{}」\u{200B}.", ".".repeat(count)));
    assert!(runs.all(|run| joined(&run, '\u{200B}')), "behind a long run of marks");
    let phonemes = split(&format!("{} [[{}]]", "x".repeat(300), "a".repeat(200)), "en");
    assert_eq!(texts(&phonemes)[1], format!("[[{}]]", "a".repeat(200)));
}

#[test]
fn phonemes_without_an_end_swallow_nothing() {
    let long = format!("[[{}]] End. Yes", "a ".repeat(MAX_PHONEMES));
    let sentences = split(&long, "en");
    assert!(sentences.len() > 2 && texts(&sentences).ends_with(&["Yes"]), "{sentences:?}");
    let most = format!("[[{}]]", "!  ".repeat((MAX_PHONEMES - 4) / 3));
    assert_eq!(texts(&split(&most, "en")), [most.as_str()]);
}

#[test]
fn phonemes_are_found_where_they_are() {
    let found = |text: &str| {
        phonemes(text).iter().map(|range| text.get(range.clone()).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("a [[b]] é[[ c. ]][[d]]"), ["[[b]]", "[[ c. ]]", "[[d]]"]);
    assert_eq!(found("[[[win]]]"), ["[[win]]"]);
    assert_eq!(found(&format!("[[{}[[ a. B ]] c", "a".repeat(MAX_PHONEMES - 3))), ["[[ a. B ]]"]);
    assert_eq!(found("[[ a\u{2029} ]] [[a\n \nb]] [[a\nb\n]]"), ["[[a\nb\n]]"]);
    assert_eq!(found("[[ a [[b]] ]] [[]] [ [c] ] [[\n\n]] [[d"), ["[[b]]", "[[]]"]);
}

#[test]
fn a_buffer_never_begins_with_a_gap() {
    let mut splitter = Splitter::new("");
    for character in " a. B\n\n\n c! D \n- e ".repeat(50).chars() {
        splitter.push(character.encode_utf8(&mut [0; 4]));
        let first = splitter.buffer.get(0).map(|atom| atom.role);
        assert!(!matches!(first, Some(Role::Gap(Gap::Space | Gap::Line | Gap::Paragraph))));
    }
}

proptest! {
    #[test]
    fn each_character_is_found_again(text in "([a-zäß中.!?]{1,5}[ \n\t]{0,3}){0,30}") {
        for sentence in split(&text, "en") {
            for (byte, character) in sentence.text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
                let at = sentence.source(byte) as usize;
                prop_assert!(text.get(at..).is_some_and(|rest| rest.starts_with(character)), "byte {byte} of {sentence:?}");
            }
            prop_assert_eq!(sentence.source(sentence.text.len()), sentence.end);
        }
    }
}
