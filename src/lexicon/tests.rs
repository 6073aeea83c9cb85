//! What an entry matches, what a file may hold, and where positions go.

use super::{Lexicon, MAX_BYTES, MAX_ENTRIES, Watched};
use crate::error::Kind;
use proptest::prelude::*;
use std::fs;

fn lexicon(text: &str) -> Lexicon {
    Lexicon::parse(text, "my.lex").expect("a good lexicon")
}

fn said(entries: &str, text: &str, language: &str) -> String {
    lexicon(entries).apply(text, language).text
}

fn refusal(text: &str) -> String {
    let error = Lexicon::parse(text, "my.lex").expect_err("a wrong lexicon");
    assert_eq!(error.kind(), Kind::InvalidInput);
    error.to_string()
}

#[test]
fn entries_match_as_the_manual_says() {
    let examples = [
        ("art = X", "Art, start, arts: ART's _art art_", "X, start, arts: X's _art art_"),
        ("US = X", "US us Us USA the-US", "X us Us USA the-X"),
        ("US = X\nus = Y", "US us Us", "X Y Y"),
        ("iOS = X", "iOS IOS ios", "X IOS ios"),
        ("New York = X", "new york, New\n York, NewYork, New-York", "X, X, NewYork, New-York"),
        ("New = A\nNew York = B\nNew York City Hall = C", "New York City New York City Hall New", "B City C A"),
        ("can = X\ndon = Y\nwon't = Z", "can can't Can’t don't won't don'ts", "X can't Can’t don't Z Y'ts"),
        ("eau = o", "l'eau L’EAU bureau", "l'o L’o bureau"),
        ("C++ = X\nC# = Y\n.NET = Z\nAT&T = V", "C++ c# .NET AT&T C+ .net", "X Y Z V C+ .net"),
        ("über = X", "Über ÜBER ueber darüber", "X X ueber darüber"),
        ("東京 = X", "東京都に東 京", "X都に東 京"),
        ("e = X", "e\u{301} e cafe\u{301}", "e\u{301} X cafe\u{301}"),
        ("a = X", "[[ a ]] a [[a]]a[[ a", "[[ a ]] X [[a]]X[[ X"),
        ("a b = X", "a [[c]] b a[[c]] b a b", "a [[c]] b a[[c]] b X"),
        ("a = b\nb = c", "a b", "b c"),
        ("Nguyen = [[win]]", "[Nguyen]", "[[[win]]]"),
    ];
    for (entries, text, expected) in examples {
        assert_eq!(said(entries, text, "en"), expected, "{entries:?} in {text:?}");
    }
}

#[test]
fn a_language_limits_entries_and_the_more_exact_one_counts() {
    let entries =
        "Wort = all\nde: Wort = deutsch\n[de-AT]\nWort = wienerisch\nen: Wort = english\n[*]\nre:x = y\nde: US = u";
    for (language, expected) in [
        ("de-de", "deutsch"),
        ("de", "deutsch"),
        ("de-AT", "wienerisch"),
        ("de_at", "wienerisch"),
        ("de-at-x-y", "wienerisch"),
        ("en-us", "english"),
        ("den", "all"),
        ("", "all"),
    ] {
        assert_eq!(said(entries, "wort", language), expected, "{language}");
    }
    assert_eq!(said(entries, "re:x US", "fr"), "y US");
    // Longer before more exact, and exact case before language.
    assert_eq!(said("New York = X\nde: New = Y\nUS = A\nde: us = B", "New York US us", "de"), "X A B");
    // A longer one that is not of this language leaves the shorter one.
    assert_eq!(said("New = X\nfr: New York = Y", "New York", "de"), "X York");
}

#[test]
fn comments_and_spaces_do_not_matter() {
    let entries =
        "\u{FEFF}# one\r\n  #two\r\n\r\n  a   b  =  c d   # three\r\nx = [[ # ]] # four\nC# = y#z\nv = 1 = 2\n";
    let lexicon = lexicon(entries);
    assert_eq!(lexicon.len(), 4);
    assert_eq!(lexicon.apply("a b x c# v", "").text, "c d [[ # ]] y#z 1 = 2");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let long = "x".repeat(257);
    let examples = [
        ("# a\nword", "my.lex:2: there is no `=`; write `WORD = pronunciation`"),
        (" = x", "my.lex:1: there is no word before the `=`"),
        ("de:  = x", "my.lex:1: there is no word before the `=`"),
        ("a =  # b", "my.lex:1: there is no pronunciation behind the `=`"),
        ("a = b\n\nA = c", "my.lex:3: `A` is in line 1 already; take one out"),
        ("US = b\nUS = c", "my.lex:2: `US` is in line 1 already; take one out"),
        ("[de]\na = b\nde: a = c", "my.lex:3: `a` is in line 2 already; take one out"),
        ("a = [[b", "my.lex:1: `[[` has no `]]` behind it"),
        ("a = [[b]] [[c", "my.lex:1: `[[` has no `]]` behind it"),
        ("a = b]]", "my.lex:1: `]]` has no `[[` before it"),
        ("[[a]] = b", "my.lex:1: phonemes belong behind the `=`"),
        ("[Deutsch]", "my.lex:1: `[Deutsch]` is no language; write one as in [de], or [*] for all"),
        (&format!("{} = b", ". ".repeat(17)), "my.lex:1: the entry has more than 16 words and signs"),
        (&format!("{long} = a"), "my.lex:1: the word is longer than 256 bytes"),
        (&format!("a = {long}"), "my.lex:1: the pronunciation is longer than 256 bytes"),
    ];
    for (text, expected) in examples {
        assert_eq!(refusal(text), expected);
    }
    assert_eq!(said(&format!("{} = b", ". ".repeat(16)), &". ".repeat(17), ""), "b . ");
    let most: String = (0..MAX_ENTRIES).map(|number| format!("w{number} = x\n")).collect();
    assert_eq!(lexicon(&most).len(), MAX_ENTRIES);
    assert_eq!(refusal(&format!("{most}more = x")), "my.lex:100001: there are more than 100000 entries; take some out");
    assert!(refusal(&" ".repeat(MAX_BYTES as usize + 1)).contains("more than 8 MiB"));
    assert_eq!(lexicon(&" ".repeat(MAX_BYTES as usize)).len(), 0);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my.lex");
    let refused = |path| Lexicon::load(path).map(|_| ()).expect_err("not readable");
    assert_eq!(refused(&path).kind(), Kind::NotFound);
    assert!(refused(folder.path()).to_string().ends_with("is not a file"));
    fs::write(&path, b"a = b\nc = \xff\n").expect("written");
    let error = refused(&path);
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.to_string().ends_with("my.lex:2: this is not UTF-8; save the file as UTF-8"), "{error}");
    fs::File::create(&path).and_then(|file| file.set_len(MAX_BYTES + 1)).expect("written");
    assert!(refused(&path).to_string().ends_with("has more than 8 MiB; make it smaller"));
}

#[test]
fn positions_within_a_replacement_are_those_of_its_word() {
    let applied = lexicon("New York = [[nuː]]\né = eeee").apply("in New York é!", "en");
    assert_eq!(applied.text, "in [[nuː]] eeee!");
    let sources: Vec<usize> = (0..=18).map(|position| applied.source(position)).collect();
    assert_eq!(sources, [0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 11, 12, 12, 12, 12, 14, 15, 15]);
    assert_eq!(lexicon("").apply("é", "").source(1), 0);
}

#[test]
fn a_watched_lexicon_follows_its_file_and_survives_its_faults() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my.lex");
    let mut watched = Watched::new(&path);
    let said = |watched: &mut Watched| watched.get().map(|lexicon| lexicon.apply("a", "").text);
    assert_eq!(said(&mut watched).expect_err("no file").kind(), Kind::NotFound);
    fs::write(&path, "a").expect("written");
    assert_eq!(said(&mut watched).expect_err("a wrong file").kind(), Kind::InvalidInput);
    fs::write(&path, "a = one").expect("written");
    assert_eq!(said(&mut watched).expect("good"), "one");
    let (first, again) = (watched.get().expect("good"), watched.get().expect("good"));
    assert!(std::sync::Arc::ptr_eq(&first, &again), "it was read again");

    fs::write(&path, "a = three").expect("written");
    assert_eq!(said(&mut watched).expect("good"), "three");
    fs::write(&path, "wrong").expect("written");
    assert_eq!(said(&mut watched).expect("the last good one"), "three");
    assert!(watched.take_error().is_some_and(|error| error.to_string().contains("my.lex:1: there is no `=`")));
    assert_eq!(said(&mut watched).expect("the last good one"), "three");
    assert!(watched.take_error().is_none(), "said once");

    fs::remove_file(&path).expect("removed");
    assert_eq!(said(&mut watched).expect("the last good one"), "three");
    assert_eq!(watched.take_error().map(|error| error.kind()), Some(Kind::NotFound));
    // The same size, and perhaps the same time: another file, by its inode.
    fs::write(&path, "a = four!").expect("written");
    let other = folder.path().join("other.lex");
    fs::write(&other, "a = five!").expect("written");
    assert_eq!(said(&mut watched).expect("good"), "four!");
    fs::rename(&other, &path).expect("renamed");
    assert_eq!(said(&mut watched).expect("good"), "five!");
    assert!(watched.take_error().is_none());
}

fn text() -> impl Strategy<Value = String> {
    const PIECES: [&str; 20] = [
        "art", "Art", "US", "us", "New", "York", " ", " ", "  ", "\n", "'", "t", "é", "e\u{301}", "東京", "[[", "]]",
        ".", "_", "1",
    ];
    let piece = prop_oneof![9 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

const ENTRIES: &str =
    "art = [[ɑːt]]\nUS = you ess\nus = ʌs\nNew York = x\nYork = a long one\n東 = とう\né = e\n. = dot";

proptest! {
    #[test]
    fn without_entries_nothing_changes(text in text(), language in "[a-z-]{0,6}") {
        let applied = Lexicon::default().apply(&text, &language);
        prop_assert_eq!(&applied.text, &text);
        for position in (0..=text.len()).filter(|&position| text.is_char_boundary(position)) {
            prop_assert_eq!(applied.source(position), position);
        }
    }

    #[test]
    fn positions_are_in_order_and_between_characters(text in text()) {
        let applied = lexicon(ENTRIES).apply(&text, "en");
        let mut last = 0;
        for position in 0..=applied.text.len() + 2 {
            let source = applied.source(position);
            prop_assert!(source >= last && text.is_char_boundary(source));
            last = source;
        }
        prop_assert_eq!(last, text.len());
    }

    #[test]
    fn only_what_the_edits_say_changes(text in text()) {
        let applied = lexicon(ENTRIES).apply(&text, "en");
        let (mut old, mut new) = (0, 0);
        for edit in &applied.edits {
            prop_assert_eq!(text.get(old..edit.old.start), applied.text.get(new..edit.new.start));
            (old, new) = (edit.old.end, edit.new.end);
        }
        prop_assert_eq!(text.get(old..), applied.text.get(new..));
    }

    #[test]
    fn words_inside_other_words_are_not_touched(word in "[a-zA-Zé1_]{1,6}", before in "[a-zé1_]{0,3}", after in "[a-zé1_]{0,3}") {
        let inside = format!("{before}{word}{after}");
        let applied = lexicon(&format!("{word} = !")).apply(&format!("{inside} {word}. ({inside})"), "en");
        let expected = if inside == word { "! !. (!)".to_owned() } else { format!("{inside} !. ({inside})") };
        prop_assert_eq!(applied.text, expected);
    }

    #[test]
    fn phonemes_are_left_alone(inside in "[a-zA-Z .'é]{0,40}", before in text(), after in text()) {
        let phonemes = format!("[[{inside}]]");
        let applied = lexicon(ENTRIES).apply(&format!("{before} {phonemes} {after}"), "en");
        prop_assert!(applied.text.contains(&phonemes));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), language in any::<String>(), spoken in any::<String>()) {
        if let Ok(lexicon) = Lexicon::parse(&text, "my.lex") {
            lexicon.apply(&spoken, &language);
        }
    }
}
