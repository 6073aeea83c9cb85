//! Frames of one sample, so that positions are easy to read.

use super::*;
use proptest::prelude::*;

fn rules() -> Rules {
    Rules {
        start_silence: Samples(20),
        end_silence: Samples(5),
        longest: Samples(40),
        threshold: 0.5,
        shortest: Samples(3),
        padding: Samples(2),
        start_timeout: None,
        end_timeout: None,
    }
}

/// `#` is speech, `+` may go on with speech, `.` is silence.
fn frames(text: &str) -> Vec<f32> {
    let probability = |frame| match frame {
        '#' => 0.9,
        '+' => 0.4,
        _ => 0.1,
    };
    text.chars().map(probability).collect()
}

fn marks(rules: &Rules, text: &str) -> Vec<Mark> {
    let mut endpointer = Endpointer::at(rules.clone(), 1, Samples(0), Silence::default());
    let mut found = Vec::new();
    endpointer.push(&frames(text), &mut found);
    endpointer.finish(Samples(text.len() as i64), &mut found);
    found
}

fn ended(from: i64, speech_end: i64, to: i64) -> Mark {
    let silence = Silence { since: Samples(speech_end), has_spoken: true };
    Mark::Ended { from: Samples(from), speech_end: Samples(speech_end), to: Samples(to), silence }
}

#[test]
fn speech_has_a_beginning_and_an_end() {
    let found = marks(&rules(), "......####.....###");
    assert_eq!(
        found,
        [Mark::Started { at: Samples(4) }, ended(4, 10, 15), Mark::Started { at: Samples(15) }, ended(15, 18, 18),]
    );
}

#[test]
fn a_click_is_no_speech_and_words_trail_off() {
    assert_eq!(marks(&rules(), "...##...."), [Mark::Quiet { to: Samples(9) }]);
    assert_eq!(marks(&rules(), "..###+++....."), [Mark::Started { at: Samples(0) }, ended(0, 8, 13)]);
    assert_eq!(marks(&rules(), "..+++++......"), [Mark::Quiet { to: Samples(13) }], "nothing begins with a trail");
}

#[test]
fn silence_is_let_go_of_but_for_the_padding() {
    let found = marks(&rules(), &format!("{}###.....", ".".repeat(50)));
    let expected = [
        Mark::Quiet { to: Samples(20) },
        Mark::Quiet { to: Samples(40) },
        Mark::Started { at: Samples(48) },
        ended(48, 53, 58),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_too_long_is_cut_at_its_last_long_pause() {
    let text = format!("{}..{}...{}", "#".repeat(25), "#".repeat(5), "#".repeat(30));
    let found = marks(&rules(), &text);
    assert_eq!(found[..2], [Mark::Started { at: Samples(0) }, ended(0, 34, 34)], "in the middle of 32..35");
    assert_eq!(found[2], Mark::Started { at: Samples(34) });
    let without_pause = marks(&rules(), &"#".repeat(45));
    assert_eq!(without_pause[1], ended(0, 39, 39), "anywhere, for everywhere is alike");
}

#[test]
fn time_outs_are_counted_in_samples() {
    let both = Rules { start_timeout: Some(Samples(30)), end_timeout: Some(Samples(12)), ..rules() };
    let nobody = marks(&both, &".".repeat(60));
    assert_eq!(nobody.last(), Some(&Mark::TimedOut { at: Samples(30), why: TimedOut::NoSpeech }));
    let somebody = marks(&both, &format!("####{}", ".".repeat(60)));
    assert_eq!(somebody.last(), Some(&Mark::TimedOut { at: Samples(16), why: TimedOut::SpeechEnded }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// However frames arrive, and wherever it begins anew after a mark, the same is found.
    #[test]
    fn marks_are_a_function_of_the_frames(
        runs in proptest::collection::vec((0usize..3, 1usize..30), 0..20),
        chunk in 1usize..50,
        restart in 0usize..12,
        limit in proptest::option::of(6i64..80),
    ) {
        let rules = Rules { start_timeout: limit.map(Samples), end_timeout: limit.map(Samples), ..rules() };
        let text: String = runs.iter().map(|(kind, length)| ["#", "+", "."][*kind].repeat(*length)).collect();
        let calm = marks(&rules, &text);
        let mut at = 0;
        for mark in &calm {
            match mark {
                Mark::Started { at: start } => prop_assert!(start.0 >= at),
                Mark::Ended { from, speech_end, to, .. } => {
                    prop_assert!(from.0 >= at && from < speech_end && speech_end <= to);
                    prop_assert!(to.0 - from.0 <= rules.longest.0);
                    at = to.0;
                }
                Mark::Quiet { to } => {
                    prop_assert!(to.0 > at);
                    at = to.0;
                }
                Mark::TimedOut { at: end, .. } => prop_assert!(end.0 >= at),
            }
        }
        // In chunks, and once anew behind one of the marks that commit.
        let all = frames(&text);
        let mut found = Vec::new();
        let mut endpointer = Endpointer::at(rules.clone(), 1, Samples(0), Silence::default());
        all.chunks(chunk).for_each(|chunk| endpointer.push(chunk, &mut found));
        endpointer.finish(Samples(text.len() as i64), &mut found);
        prop_assert_eq!(&found, &calm);
        let mut silence = Silence::default();
        for (number, mark) in calm.iter().enumerate() {
            let to = match mark {
                Mark::Ended { to, silence: behind, .. } => { silence = *behind; *to }
                Mark::Quiet { to } => *to,
                _ => continue,
            };
            if number < restart {
                continue;
            }
            let mut endpointer = Endpointer::at(rules.clone(), 1, to, silence);
            let mut found = Vec::new();
            endpointer.push(&all[to.0 as usize..], &mut found);
            endpointer.finish(Samples(text.len() as i64), &mut found);
            prop_assert_eq!(&found[..], &calm[number + 1..]);
            break;
        }
    }
}
