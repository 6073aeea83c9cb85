//! Documents that a voice can follow, and documents that are refused.

use super::*;
use crate::error::Kind;
use proptest::prelude::*;

fn said(text: &str, rate: f32, at: Option<usize>) -> Said {
    Said { text: text.to_owned(), rate, at }
}

fn text(content: &str, rate: f32, at: usize) -> Piece {
    Piece::Text(said(content, rate, Some(at)))
}

/// What is in a `<speak>`.
fn inside(content: &str) -> Vec<Piece> {
    pieces(&format!("<speak>{content}</speak>")).expect("a good document")
}

fn refused(content: &str) -> String {
    let error = pieces(&format!("<speak>{content}</speak>")).expect_err(content);
    assert_eq!((error.kind(), error.details().field.as_deref()), (Kind::InvalidInput, Some("ssml")), "{error}");
    error.to_string()
}

#[test]
fn text_keeps_its_place_and_loses_its_lines() {
    let document = "<?xml version=\"1.0\"?>\n<speak version=\"1.1\" xml:lang=\"en\" xmlns=\"http://www.w3.org/2001/10/synthesis\">ä <!-- no -->b\n c&amp;d</speak>";
    let found = pieces(document).expect("a good document");
    let at = |text: &str| document.find(text);
    assert_eq!(found, [Piece::Text(said("ä ", 1.0, at("ä"))), Piece::Text(said("b  c&d", 1.0, None)),]);
    assert_eq!(inside("a\nb"), [text("a b", 1.0, 7)]);
}

#[test]
fn parts_end_what_goes_before_too() {
    assert_eq!(
        inside("a<p><s>b</s></p>"),
        [
            text("a", 1.0, 7),
            Piece::SentenceEnd,
            Piece::SentenceEnd,
            text("b", 1.0, 14),
            Piece::SentenceEnd,
            Piece::ParagraphEnd
        ]
    );
}

#[test]
fn breaks_have_times_and_strengths() {
    let breaks = |attributes: &str| inside(&format!("<break {attributes}/>"));
    for (attributes, milliseconds) in [
        ("", 210),
        ("time='500ms'", 500),
        ("time=' 1.5s '", 1500),
        ("time='0s'", 0),
        ("time='60s'", 60_000),
        ("time='.5s' strength='x-strong'", 500),
        ("strength='none'", 0),
        ("strength='x-weak'", 70),
        ("strength='weak'", 140),
        ("strength='medium'", 210),
        ("strength='strong'", 400),
        ("strength='x-strong'", 800),
    ] {
        assert_eq!(breaks(attributes), [Piece::Break(Duration::from_millis(milliseconds))], "{attributes}");
    }
    for time in ["", "1", "s", "-1s", "+1s", "1m", "infs", "NaNs", "1e3ms", "61s", "1.2.3s", "١s"] {
        assert!(refused(&format!("<break time='{time}'/>")).contains("up to a minute"), "{time}");
    }
    assert!(refused("<break strength='loud'/>").contains("`strength=\"loud\"` on `<break>`"));
    assert!(refused(&"<break time='60s'/>".repeat(61)).contains("an hour"));
    assert_eq!(inside(&"<break time='60s'/>".repeat(60)).len(), 60);
}

#[test]
fn rates_multiply() {
    for (rate, wanted) in [
        ("x-slow", 0.6),
        ("slow", 0.8),
        ("medium", 1.0),
        ("default", 1.0),
        ("fast", 1.25),
        ("x-fast", 1.6),
        ("50%", 0.5),
        ("+50%", 1.5),
        ("-50%", 0.5),
        ("1.2", 1.2),
        ("10", 10.0),
    ] {
        let found = inside(&format!("<prosody rate='{rate}'>a</prosody>"));
        assert!(matches!(&found[..], [Piece::Text(said)] if (said.rate - wanted).abs() < 1e-6), "{rate}: {found:?}");
    }
    let nested = inside("<prosody rate='2'>a<prosody rate='slow'>b</prosody></prosody>c");
    let rates: Vec<f32> =
        nested.iter().map(|piece| if let Piece::Text(said) = piece { said.rate } else { 0.0 }).collect();
    assert_eq!(rates, [2.0, 1.6, 1.0]);
    for rate in ["0", "-1", "-95%", "11", "inf", "NaN", "1e0", "1x", "%", "quick", "+-5%"] {
        assert!(refused(&format!("<prosody rate='{rate}'>a</prosody>")).contains("0.1 to 10"), "{rate}");
    }
    assert!(refused("<prosody rate='9'><prosody rate='9'>a</prosody></prosody>").contains("81.00"));
}

#[test]
fn what_replaces_text_has_no_place_and_characters_have() {
    assert_eq!(
        inside("<phoneme alphabet='ipa' ph='tˈɛst'>no</phoneme><sub alias='a\nb'>no</sub><mark name='m'/>"),
        [
            Piece::Phonemes(said("tˈɛst", 1.0, None)),
            Piece::Text(said("a b", 1.0, None)),
            Piece::Mark("m".to_owned(), 81)
        ]
    );
    let say_as = |how: &str| inside(&format!("<say-as interpret-as='{how}'>ab</say-as>"));
    assert_eq!(say_as("characters"), [Piece::Characters(said("ab", 1.0, Some(41)))]);
    assert_eq!(say_as("spell-out"), [Piece::Characters(said("ab", 1.0, Some(40)))]);
    assert_eq!(say_as("cardinal"), [text("ab", 1.0, 39)]);
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (content, named) in [
        ("<voice name='x'>a</voice>", "`<voice>`"),
        ("<audio src='/etc/passwd'/>", "`<audio>`"),
        ("<emphasis>a</emphasis>", "`<emphasis>`"),
        ("<lexicon/>", "`<lexicon>`"),
        ("<speak>a</speak>", "`<speak>`"),
        ("<p xml:lang='de'>a</p>", "`lang` on `<p>`"),
        ("<break size='1'/>", "`size` on `<break>`"),
        ("<prosody rate='1' pitch='high'>a</prosody>", "`pitch` on `<prosody>`"),
        ("<prosody>a</prosody>", "needs `rate`"),
        ("<say-as interpret-as='date'>a</say-as>", "interpret-as=\"date\""),
        ("<say-as interpret-as='cardinal'><break/></say-as>", "`<break>` stands in `<say-as>`"),
        ("<say-as>a</say-as>", "needs `interpret-as`"),
        ("<phoneme alphabet='x-sampa' ph='a'/>", "alphabet=\"x-sampa\""),
        ("<phoneme alphabet='ipa' ph=' '/>", "needs `ph`"),
        ("<sub>a</sub>", "needs `alias`"),
        ("<mark/>", "needs `name`"),
    ] {
        assert!(refused(content).contains(named), "{content}: {}", refused(content));
    }
    assert!(pieces("<speak onlangfailure='x'/>").expect_err("unknown").to_string().contains("`onlangfailure`"));
    assert!(pieces("<p>a</p>").expect_err("no root").to_string().contains("`<p>`"));
    assert!(refused("<b").contains("cannot be read"));
}

#[test]
fn documents_do_not_grow_and_are_not_deep() {
    let bomb = "<!DOCTYPE speak [<!ENTITY a 'aaaa'>]><speak>&a;</speak>";
    assert!(pieces(bomb).expect_err("a bomb").to_string().contains("cannot be read"));
    let nested = |depth: usize| format!("{}a{}", "<p>".repeat(depth), "</p>".repeat(depth));
    assert_eq!(inside(&nested(DEEPEST - 1)).iter().filter(|piece| matches!(piece, Piece::Text(_))).count(), 1);
    assert!(refused(&nested(DEEPEST)).contains("deep"));
    assert!(refused(&nested(30_000)).contains("deep"));
    assert!(refused(&"<p/>".repeat(200_000)).contains("cannot be read"));
}

proptest! {
    #[test]
    fn any_document_is_read_or_refused(content in "(<(p|s|sub|mark|break|prosody|b)( (rate|time|name|alias)='[0-9a-z%]{0,3}')?/?>|</(p|s|prosody)>|[a-z&;ä ]{0,4}){0,12}") {
        let document = format!("<speak>{content}</speak>");
        for piece in pieces(&document).unwrap_or_default() {
            if let Piece::Text(Said { text, at: Some(at), .. }) = piece {
                prop_assert!(document.get(at..).is_some_and(|rest| rest.starts_with(&text)));
            }
        }
    }
}
