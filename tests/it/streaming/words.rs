//! In calm: what is heard, in which order, in whose clock; and that nothing else shows in it than the audio.

use super::{CHUNK, COMMANDS, commands, faster, start};
use crate::harness::{
    live::{Event, Live, config, stream, text},
    pb::{block_on, v1},
    process::Sandbox,
    random::Random,
    sample, wav,
};
use v1::{session_done::Reason, speech_activity::Kind};

#[test]
fn what_is_said_is_written_down_in_order() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    let config = v1::StreamingConfig { interim_results: true, ..config("selftest", 16_000) };
    block_on(async {
        let mut live = Live::open(&server.address, config).await.expect("it begins");
        assert_eq!((live.ready.next_sample, live.ready.last_seq), (0, 0));
        assert_eq!((live.ready.model.as_str(), live.ready.sample_rate_hertz), ("selftest", 16_000));
        assert_eq!((live.ready.resume_key.len(), &live.named), (32, &live.ready.session_id));
        // In the middle of a command there is a partial of it.
        live.send_until(&recording, 3 * 16_000, CHUNK);
        let partial = live.a_partial().await;
        assert!((1..=2).contains(&partial.utterance_id) && !partial.text.is_empty(), "{partial:?}");
        live.send(&recording, CHUNK);
        let told = live.rest().await;
        let done = told.done();
        assert_eq!((done.reason(), done.finals, done.gaps), (Reason::EndOfAudio, 3, 0));
        assert_eq!(done.audio_end, recording.len() as i64);
        in_order(&told.events);
        let finals = told.finals();
        assert_eq!(finals.iter().map(|told| told.text.as_str()).collect::<Vec<_>>(), COMMANDS);
        // Where they are spoken, by expected.json.
        for (told, (start, end)) in finals.iter().zip([(0.3, 1.09), (2.29, 3.83), (4.83, 6.14)]) {
            let covered = told.audio_start as f64 / 16_000.0..told.audio_end as f64 / 16_000.0;
            assert!(covered.start <= start && end <= covered.end, "{told:?}");
            assert!(told.segments.iter().all(|part| told.audio_start <= part.start && part.end <= told.audio_end));
            assert!(told.language == "en" && (0.1..=1.0).contains(&told.confidence), "{told:?}");
        }
    });
}

/// Started, partials, final, ended, of one utterance after the other; positions and numbers only rise.
fn in_order(events: &[Event]) {
    let (mut open, mut ended, mut seq, mut at) = (None, 0, 0, 0);
    let mut decided = false;
    for event in events {
        match event {
            Event::Speech(speech) if speech.kind() == Kind::Started => {
                assert!(open.is_none() && speech.utterance_id > ended && speech.at >= at, "{speech:?}");
                (open, decided, at) = (Some(speech.utterance_id), false, speech.at);
            }
            Event::Partial(partial) => {
                assert!(open == Some(partial.utterance_id) && !decided, "{partial:?}");
                assert!(partial.confirmed as usize <= partial.text.chars().count(), "{partial:?}");
                assert!(at <= partial.audio_start && partial.audio_start < partial.audio_end, "{partial:?}");
            }
            Event::Final(told) => {
                assert!(open == Some(told.utterance_id) && told.seq == seq + 1, "{told:?}");
                assert!(at <= told.audio_start && told.audio_start < told.audio_end, "{told:?}");
                (seq, decided, at) = (told.seq, true, told.audio_start);
            }
            Event::Speech(speech) => {
                assert!(open == Some(speech.utterance_id) && speech.at >= at, "{speech:?}");
                (open, ended, at) = (None, speech.utterance_id, speech.at);
            }
            Event::Silence(silence) => {
                assert!(open.is_none() && silence.at >= at, "{silence:?}");
                at = silence.at;
            }
            other => assert!(matches!(other, Event::Ready(_) | Event::Done(_)), "{other:?}"),
        }
    }
}

#[test]
fn what_two_partials_agree_on_is_confirmed() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    // Ten digits without a pause, over and over. The mock tells each second by its samples.
    let digits = &wav::read(&sample("digits.wav")).1[3_200..49_000];
    let recording: Vec<i16> = digits.iter().copied().cycle().take(20 * 16_000).collect();
    let config = v1::StreamingConfig { interim_results: true, ..config("mock", 16_000) };
    block_on(async {
        let mut live = Live::open(&server.address, config).await.expect("it begins");
        // After so much more audio there is another partial, however slow the machine is.
        for seconds in [2, 8, 14, 20] {
            live.send_until(&recording, seconds * 16_000, CHUNK);
            let is_of_all = |event: &Event| match event {
                Event::Partial(partial) => partial.audio_end > (seconds as i64 - 1) * 16_000,
                _ => false,
            };
            live.wait_for("a partial of all", |event| is_of_all(event).then_some(())).await;
        }
        live.send(&recording, CHUNK);
        let told = live.rest().await;
        told.done();
        let partials: Vec<&v1::Partial> = told
            .events
            .iter()
            .filter_map(|event| if let Event::Partial(it) = event { Some(it) } else { None })
            .collect();
        assert!(partials.len() >= 4 && partials[0].confirmed == 0, "{partials:?}");
        for pair in partials.windows(2).filter(|pair| pair[0].utterance_id == pair[1].utterance_id) {
            let confirmed: String = pair[1].text.chars().take(pair[1].confirmed as usize).collect();
            // Whole seconds are told alike from then on.
            let whole = (pair[0].audio_end - pair[0].audio_start) as usize / 16_000;
            assert_eq!(confirmed.split_whitespace().count(), whole, "{pair:?}");
            assert!(pair[0].text.starts_with(&confirmed), "{pair:?}");
        }
    });
}

#[test]
fn how_audio_is_cut_and_whether_partials_are_wanted_does_not_show() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--linger", "0.1"]);
    let recording = commands();
    let mut random = Random::new(7);
    block_on(async {
        for rate in [16_000, 48_000] {
            let recording = faster(&recording, rate as usize / 16_000);
            let calm = stream(&server.address, config("mock", rate), &recording, recording.len()).await;
            let (calm, done) = (calm.finals(), calm.done());
            assert_eq!(calm.len(), 3);
            for chunk in [7, 160, 255, 256, 257, 4_097, 50_000] {
                for interim_results in [false, true] {
                    let config = v1::StreamingConfig { interim_results, ..config("mock", rate) };
                    let told = stream(&server.address, config, &recording, chunk).await;
                    assert_eq!((told.finals(), told.done()), (calm.clone(), done), "{rate} Hz, chunks of {chunk}");
                }
            }
            let mut live = Live::open(&server.address, config("mock", rate)).await.expect("it begins");
            while live.sent < recording.len() {
                let until = recording.len().min(live.sent + 1 + random.below(9_000));
                live.send_until(&recording, until, 1 + random.below(9_000));
            }
            live.send(&recording, CHUNK);
            assert_eq!(live.rest().await.finals(), calm, "{rate} Hz, chunks of any length");
        }
    });
}

#[test]
fn single_samples_are_chunks_too() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = wav::read(&sample("kitchen-light.wav")).1;
    block_on(async {
        let calm = stream(&server.address, config("selftest", 16_000), &recording, CHUNK).await;
        assert_eq!(calm.text(), "turn on the kitchen light");
        let told = stream(&server.address, config("selftest", 16_000), &recording, 1).await;
        assert_eq!((told.finals(), told.done()), (calm.finals(), calm.done()));
    });
}

#[test]
fn audio_of_other_rates_gives_the_words_in_its_own_clock() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    let half: Vec<i16> = recording
        .chunks(2)
        .map(|pair| (pair.iter().map(|s| i32::from(*s)).sum::<i32>() / pair.len() as i32) as i16)
        .collect();
    block_on(async {
        let calm = stream(&server.address, config("selftest", 16_000), &recording, CHUNK).await;
        for (rate, recording) in [(48_000, faster(&recording, 3)), (8_000, half)] {
            // A length that no other clock knows.
            let recording = &recording[..recording.len() - 1];
            let mut config = config("selftest", rate);
            config.recognition.as_mut().expect("it has one").word_times = true;
            let told = stream(&server.address, config, recording, CHUNK).await;
            // The self-test model has never heard a telephone.
            if rate > 16_000 {
                assert_eq!(told.text(), COMMANDS.join(" "), "{rate} Hz");
            }
            assert_eq!(told.finals().len(), COMMANDS.len(), "{rate} Hz");
            let seconds = |at: i64, rate: u32| at as f64 / f64::from(rate);
            for (told, calm) in told.finals().iter().zip(calm.finals()) {
                for (at, calm) in [(told.audio_start, calm.audio_start), (told.audio_end, calm.audio_end)] {
                    let apart = seconds(at, rate) - seconds(calm, 16_000);
                    assert!(apart.abs() < 0.2, "{rate} Hz: {at}, {calm}");
                }
                let words: Vec<&v1::Word> = told.segments.iter().flat_map(|part| &part.words).collect();
                assert_eq!(words.iter().map(|word| word.text.trim()).collect::<Vec<_>>().join(" "), told.text);
                let is_inside = |word: &&v1::Word| told.audio_start <= word.start && word.end <= told.audio_end;
                assert!(words.iter().all(is_inside), "{told:?}");
            }
            assert!(told.finals().iter().all(|told| told.audio_end <= recording.len() as i64), "{:?}", told.finals());
            let done = told.done();
            let missing = recording.len() as i64 - done.audio_end;
            assert!((0..=i64::from(rate) / 1_000).contains(&missing), "{rate} Hz: {missing} samples are not decided");
        }
    });
}

#[test]
fn the_prompt_and_the_order_of_sessions_do_not_matter_to_the_others() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let recording = commands();
    block_on(async {
        let calm = stream(&server.address, config("selftest", 16_000), &recording, CHUNK).await.finals();
        assert_eq!(text(&calm), COMMANDS.join(" "));
        let mut sessions = tokio::task::JoinSet::new();
        for n in 0..4 {
            let (address, recording) = (server.address.clone(), recording.clone());
            sessions.spawn(async move {
                stream(&address, config("selftest", 16_000), &recording, 400 + 333 * n).await.finals()
            });
        }
        for finals in sessions.join_all().await {
            assert_eq!(finals, calm);
        }
    });
}
