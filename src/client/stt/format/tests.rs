//! Every shape of the same two segments, and captions cut every way.

use super::{captions::cut, *};
use crate::speech::{Samples, Word};
use proptest::prelude::*;

fn at(seconds: f64) -> Samples {
    Samples::from_seconds(seconds)
}

fn segment(start: f64, text: &str) -> Segment {
    let mut words = Vec::new();
    let mut time = start;
    for word in text.split(' ') {
        words.push(Word { start: at(time), end: at(time + 0.4), text: word.to_owned(), probability: 0.75 });
        time += 0.5;
    }
    Segment {
        start: at(start),
        end: at(time),
        text: text.to_owned(),
        confidence: 0.875,
        avg_logprob: -0.1,
        no_speech_probability: 0.0625,
        words,
    }
}

fn write(wish: Wish, channels: bool) -> String {
    let mut shape = wish.shape();
    let heading = Heading { file: "talk.wav".into(), model: "base".into(), offset: 60.0 };
    let ending = Ending { language: "en".into(), duration: 7.25, warnings: vec!["it ends early".into()] };
    let mut text = shape.begin(&heading).expect("begin");
    for (number, (start, said)) in
        [(60.2, "turn on the <kitchen> light & the fan"), (3_663.5, "call my mother")].into_iter().enumerate()
    {
        let mut segment = segment(start, said);
        if !wish.needs_words() {
            segment.words.clear();
        }
        let channel = channels.then_some(number + 1);
        text.push_str(&shape.entry(Entry { segment, channel }).expect("entry"));
    }
    text + &shape.end(&ending).expect("end")
}

const ALL: [Format; 7] =
    [Format::Text, Format::Json, Format::Jsonl, Format::Srt, Format::Vtt, Format::Tsv, Format::Lrc];

#[test]
fn every_shape() {
    let wish = |format, words| Wish { format, words, limits: Limits::default() };
    let mut all = String::new();
    for format in ALL {
        all.push_str(&format!("---- {format:?}\n{}", write(wish(format, false), false)));
    }
    for format in ALL.into_iter().filter(|format| wish(*format, true).check().is_ok()) {
        all.push_str(&format!("---- {format:?}, with words\n{}", write(wish(format, true), false)));
    }
    for format in ALL.into_iter().filter(|format| *format != Format::Json) {
        all.push_str(&format!("---- {format:?}, by channel\n{}", write(wish(format, false), true)));
    }
    for format in [Format::Srt, Format::Vtt, Format::Lrc] {
        let limits = Limits { line_length: Some(14), words: None };
        all.push_str(&format!("---- {format:?}, short\n{}", write(Wish { format, words: false, limits }, false)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn nothing_said_is_still_a_file_of_its_kind() {
    let mut all = String::new();
    for format in ALL {
        let mut shape = Wish { format, words: false, limits: Limits::default() }.shape();
        let begin = shape.begin(&Heading::default()).expect("begin");
        all.push_str(&format!("---- {format:?}\n{begin}{}", shape.end(&Ending::default()).expect("end")));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn text_cannot_break_out_of_its_caption() {
    let word = |text: &str| Word { end: at(0.5), text: text.into(), ..Word::default() };
    let words = vec![word("a\n\nb\tc"), word("-->"), word("d\r")];
    let segment = Segment { text: "a\n\nb\tc --> d\r".into(), end: at(1.0), words, ..Segment::default() };
    for (format, words) in [
        (Format::Srt, false),
        (Format::Vtt, false),
        (Format::Vtt, true),
        (Format::Tsv, false),
        (Format::Lrc, false),
        (Format::Lrc, true),
    ] {
        let mut shape = Wish { format, words, limits: Limits::default() }.shape();
        shape.begin(&Heading::default()).expect("begin");
        let text = shape.entry(Entry { segment: segment.clone(), channel: None }).expect("entry");
        assert!(!text.trim_end().contains("\n\n"), "{format:?}: {text}");
        let lines = text.trim_end().lines().count();
        let due = match format {
            Format::Srt => 3,
            Format::Vtt | Format::Tsv => 2,
            _ => 1,
        };
        assert_eq!(lines, due, "{format:?}, {words}: {text}");
        assert!(format != Format::Vtt || text.matches("-->").count() == 1, "{text}");
    }
}

#[test]
fn engines_without_times_of_words_are_captioned_too() {
    let mut said = segment(10.0, "set a timer for ten minutes");
    said.words.clear();
    let captions = cut(&said, Limits { line_length: None, words: Some(2) });
    let texts: Vec<&str> = captions.iter().map(|caption| caption.text.as_str()).collect();
    assert_eq!(texts, ["set a", "timer for", "ten minutes"]);
    assert_eq!((captions[0].start, captions[2].end), (said.start, said.end));
}

#[test]
fn scripts_without_spaces_get_none() {
    let word =
        |start: f64, text: &str| Word { start: at(start), end: at(start + 0.1), text: text.into(), probability: 1.0 };
    let said = Segment {
        end: at(1.0),
        text: "今日は天気".into(),
        words: vec![word(0.0, "今日"), word(0.3, "は"), word(0.5, "天気")],
        ..Segment::default()
    };
    let texts = |limits| cut(&said, limits).into_iter().map(|caption| caption.text).collect::<Vec<_>>();
    assert_eq!(texts(Limits { line_length: Some(3), words: None }), ["今日は", "天気"]);
}

#[test]
fn no_caption_flashes() {
    let mut said = segment(0.0, "call my mother at five");
    let end = at(2.5);
    said.words.last_mut().expect("five").start = end;
    said.words.last_mut().expect("five").end = at(9.0);
    let captions = cut(&said, Limits { line_length: None, words: Some(2) });
    let times: Vec<_> = captions.iter().map(|caption| (caption.start.seconds(), caption.end.seconds())).collect();
    assert_eq!(times, [(0.0, 0.9), (1.0, 1.9), (2.2, 2.5)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However a segment is cut: no word is lost or doubled, no limit is passed, and time runs forward.
    #[test]
    fn captions_hold_what_was_said(
        words in prop::collection::vec("[a-zäß,.]{1,12}", 1..30),
        line_length in prop::option::of(1usize..40),
        most in prop::option::of(1usize..9),
        timed in any::<bool>(),
    ) {
        let mut said = segment(5.0, &words.join(" "));
        if !timed {
            said.words.clear();
        }
        let captions = cut(&said, Limits { line_length, words: most });
        let text: Vec<&str> = captions.iter().map(|caption| caption.text.as_str()).collect();
        prop_assert_eq!(text.join(" "), words.join(" "));
        for caption in &captions {
            let count = caption.text.split(' ').count();
            prop_assert!(most.is_none_or(|most| count <= most));
            prop_assert!(count == 1 || line_length.is_none_or(|length| caption.text.chars().count() <= length));
            prop_assert!(caption.start <= caption.end);
        }
        prop_assert!(captions.windows(2).all(|pair| pair[0].end <= pair[1].start));
        prop_assert!(captions.iter().all(|caption| caption.end > caption.start));
        prop_assert_eq!((captions[0].start, captions[captions.len() - 1].end), (said.start, said.end));
    }
}
