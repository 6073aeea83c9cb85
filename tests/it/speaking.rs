//! Texts that are spoken while they are written, and what of them survives.

use crate::harness::{
    calls::{field_of, speak, synthesize},
    pb::{block_on, speech, v1},
    process::Sandbox,
    server::Server,
    speaker::{Speaker, voice},
    wav,
};
use tonic::{Code, Status};
use v1::{streaming_synthesize_request::Message, streaming_synthesize_response::Event, synthesize_request::Input};

/// Bytes that the mock makes of a character.
const CHARACTER: usize = 2 * 320;

const TEXT: &str = "Hello there. How are you? It is 3.14 o'clock, they say; Dr. Smith agrees. Good";

/// The whole of a text by the unary call.
async fn whole(address: &str, request: v1::SynthesizeRequest) -> Result<(Vec<u8>, Vec<v1::SpeechMark>), Status> {
    synthesize(address, request).await.map(|spoken| (spoken.audio, spoken.marks))
}

fn text(request: v1::SynthesizeRequest, text: &str) -> v1::SynthesizeRequest {
    v1::SynthesizeRequest { input: Some(Input::Text(text.to_owned())), ..request }
}

/// The texts that marks of a kind stand for.
fn marked<'a>(text: &'a str, marks: &[v1::SpeechMark], kind: v1::SpeechMarkKind) -> Vec<&'a str> {
    let of_kind = marks.iter().filter(|mark| mark.kind() == kind);
    of_kind.map(|mark| &text[mark.text_start as usize..mark.text_end as usize]).collect()
}

#[test]
fn however_a_text_is_cut_it_sounds_as_in_one_piece() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let config = v1::SynthesizeRequest { marks: true, seed: Some(7), ..voice("mock") };
        let (audio, marks) = whole(&server.address, text(config.clone(), TEXT)).await.expect("it speaks");
        let sentences = ["Hello there.", "How are you?", "It is 3.14 o'clock, they say; Dr. Smith agrees.", "Good"];
        assert_eq!(marked(TEXT, &marks, v1::SpeechMarkKind::Sentence), sentences);
        let words: Vec<&str> = TEXT.split_whitespace().collect();
        assert_eq!(marked(TEXT, &marks, v1::SpeechMarkKind::Word), words);
        for size in [1, 3, 7, 1_000] {
            let mut speaker = Speaker::begin(&server.address, config.clone()).await.expect("it begins");
            for piece in TEXT.as_bytes().chunks(size) {
                speaker.write(std::str::from_utf8(piece).expect("it is ASCII")).await;
            }
            let done = speaker.end().await.expect("it speaks all");
            assert!(speaker.audio == audio, "pieces of {size} bytes");
            assert_eq!(done.samples as usize * 2, audio.len());
            assert_eq!(speaker.marks, marks, "pieces of {size} bytes");
        }
    });
}

#[test]
fn a_sentence_is_spoken_as_soon_as_its_end_is_certain() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let mut speaker = Speaker::begin(&server.address, voice("mock")).await.expect("it begins");
        speaker.write("One two. Th").await;
        speaker.hears("One two.".len() * CHARACTER).await;
        speaker.write("ree four").await;
        speaker.say(Message::Flush(v1::Flush { id: "now".to_owned() })).await;
        let heard = ("One two.".len() + "Three four".len()) * CHARACTER;
        let flushed = v1::Flushed { id: "now".to_owned(), samples: heard as i64 / 2 };
        assert_eq!(speaker.next().await.expect("it goes on"), Some(Event::Flushed(flushed)));
        assert_eq!(speaker.audio.len(), heard);
        speaker.write(" five.").await;
        speaker.end().await.expect("it ends");
        assert_eq!(speaker.audio.len(), heard + "five.".len() * CHARACTER);
    });
}

#[test]
fn what_is_cancelled_is_not_spoken_and_the_next_text_is() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        // So slowly that all but the first words are still to come.
        let mut speaker = Speaker::begin(&server.address, voice("mock:slow")).await.expect("it begins");
        speaker.write(&"This goes on and on. ".repeat(500)).await;
        speaker.hears(CHARACTER).await;
        speaker.say(Message::Cancel(v1::CancelSpeech { id: "enough".to_owned() })).await;
        let cancelled = loop {
            match speaker.next().await.expect("it goes on") {
                Some(Event::Cancelled(cancelled)) => break cancelled,
                Some(_) => {}
                None => panic!("it ended"),
            }
        };
        assert_eq!((cancelled.id.as_str(), cancelled.samples as usize * 2), ("enough", speaker.audio.len()));
        assert!(speaker.audio.len() < 100 * 20 * CHARACTER, "{} bytes", speaker.audio.len());
        let before = speaker.audio.len();
        speaker.write("No.").await;
        speaker.end().await.expect("it ends");
        assert_eq!(speaker.audio.len() - before, "No.".len() * CHARACTER);
    });
}

#[test]
fn a_worker_that_dies_is_not_heard() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let story = "One sentence here. Another one.";
        let request = |voice: &str| v1::SynthesizeRequest { marks: true, ..text(self::voice(voice), story) };
        let calm = whole(&server.address, request("mock")).await.expect("it speaks");
        // The worker dies in the second sentence, when the first has been heard: it takes its time. The one after it
        // begins with the second, and does not come so far.
        for fault in ["mock:slow,crash@0.5", "mock:slow,exit@0.45"] {
            assert!(whole(&server.address, request(fault)).await.expect("it speaks") == calm, "{fault}");
        }
    });
    assert!(server.log(&sandbox).contains("Worker died."));
}

#[test]
fn encodings_hold_the_same_samples() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let (_, pcm) = speak(&server.address, "mock", TEXT).await.expect("it speaks");
        let samples = wav::of_pcm(&pcm);
        let encoded = async |encoding: v1::OutputEncoding| {
            let request = v1::SynthesizeRequest { encoding: encoding.into(), ..text(voice("mock"), TEXT) };
            whole(&server.address, request).await.expect("it speaks").0
        };
        let floats = encoded(v1::OutputEncoding::Float32).await;
        let floats = floats.chunks(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        assert!(floats.eq(samples.iter().map(|sample| f32::from(*sample) / 32_768.0)));
        let wav = encoded(v1::OutputEncoding::Wav).await;
        assert!(wav.starts_with(b"RIFF") && wav.ends_with(&pcm));
        for (encoding, magic) in [(v1::OutputEncoding::Flac, &b"fLaC"[..]), (v1::OutputEncoding::OggOpus, b"OggS")] {
            let file = encoded(encoding).await;
            assert!(file.starts_with(magic));
            // Our own recogniser reads it, and the mock tells of which samples.
            let config = v1::RecognitionConfig { model: "mock".to_owned(), ..Default::default() };
            let request = v1::RecognizeRequest { config: Some(config), audio: file.into() };
            let heard = speech(&server.address).await.recognize(request).await.expect("it is a file").into_inner();
            let length = heard.duration.expect("it is told");
            let seconds = length.seconds as f64 + f64::from(length.nanos) / 1e9;
            assert!((seconds - samples.len() as f64 / 16_000.0).abs() < 0.001, "{encoding:?}: {seconds} s");
            if encoding == v1::OutputEncoding::Flac {
                assert_eq!(heard.text, crate::harness::calls::mock_text(&samples));
            }
        }
    });
}

#[test]
fn a_lexicon_changes_what_is_said_but_not_where_it_stands() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let written = "I know SQL well. Do you?";
        let request = |lexicon: &str, written: &str| v1::SynthesizeRequest {
            lexicon: lexicon.to_owned(),
            marks: true,
            ..text(voice("mock"), written)
        };
        let with = whole(&server.address, request("SQL = sequel\n", written)).await.expect("it speaks");
        let plain = whole(&server.address, request("", "I know sequel well. Do you?")).await.expect("it speaks");
        assert!(with.0 == plain.0, "it is spoken as it is spelt there");
        let words = ["I", "know", "SQL", "well.", "Do", "you?"];
        assert_eq!(marked(written, &with.1, v1::SpeechMarkKind::Word), words);
        let refused = whole(&server.address, request("SQL sequel", written)).await.expect_err("no `=`");
        assert_eq!((refused.code(), field_of(&refused).as_deref()), (Code::InvalidArgument, Some("lexicon")));
    });
}

#[test]
fn espeak_tells_where_its_words_are() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let written = "Guten Tag, schöne Welt! Wie geht es?";
        let request = v1::SynthesizeRequest { marks: true, ..text(voice("de"), written) };
        let (audio, marks) = whole(&server.address, request).await.expect("it speaks");
        let words = ["Guten", "Tag", "schöne", "Welt", "Wie", "geht", "es"];
        let told = marked(written, &marks, v1::SpeechMarkKind::Word);
        assert!(told.iter().zip(words).all(|(told, word)| told.starts_with(word)), "{told:?}");
        assert_eq!(told.len(), words.len());
        let sentences = marked(written, &marks, v1::SpeechMarkKind::Sentence);
        assert_eq!(sentences, ["Guten Tag, schöne Welt!", "Wie geht es?"]);
        let samples: Vec<i64> = marks.iter().map(|mark| mark.sample).collect();
        assert!(samples.is_sorted() && samples.last().is_some_and(|last| *last < audio.len() as i64 / 2));

        let document = "<speak>one <mark name=\"here\"/>two</speak>".to_owned();
        let request = v1::SynthesizeRequest {
            marks: true,
            input: Some(Input::Ssml(document)),
            ..v1::SynthesizeRequest::default()
        };
        let (_, marks) = whole(&server.address, request).await.expect("it speaks");
        assert_eq!(marks.len(), 1, "{marks:?}");
        assert!(marks[0].name == "here" && marks[0].sample > 0);
    });
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let refusal = async |first: Message, then: Option<Message>| {
        let mut speaker = match Speaker::begin_with(&server.address, first).await {
            Ok(speaker) => speaker,
            Err(status) => return (status.code(), field_of(&status)),
        };
        if let Some(message) = then {
            speaker.say(message).await;
        }
        let status = speaker.end().await.expect_err("it is refused");
        (status.code(), field_of(&status))
    };
    let config = |change: fn(&mut v1::SynthesizeRequest)| {
        let mut config = voice("mock");
        change(&mut config);
        Message::Config(config)
    };
    let plain = || Message::Config(voice("mock"));
    let invalid = |field: &str| (Code::InvalidArgument, Some(field.to_owned()));
    block_on(async {
        assert_eq!(refusal(Message::Text("hello".to_owned()), None).await, invalid("config"));
        assert_eq!(refusal(plain(), Some(plain())).await, invalid("config"));
        let with_text = config(|config| config.input = Some(Input::Text("hello".to_owned())));
        assert_eq!(refusal(with_text, None).await, invalid("config"));
        assert_eq!(refusal(plain(), Some(Message::Text("a\0b".to_owned()))).await, invalid("text"));
        assert_eq!(refusal(plain(), Some(Message::Text("a".repeat(300_000)))).await, invalid("text"));
        let flush = Message::Flush(v1::Flush { id: "x".repeat(257) });
        assert_eq!(refusal(plain(), Some(flush)).await, invalid("flush.id"));
        assert_eq!(refusal(config(|config| config.speed = 100.0), None).await, invalid("speed"));
        assert_eq!(refusal(config(|config| config.encoding = 99), None).await, invalid("encoding"));
        let opus = config(|config| {
            config.encoding = v1::OutputEncoding::OggOpus.into();
            config.sample_rate_hertz = 22_050;
        });
        assert_eq!(refusal(opus, None).await, invalid("sample_rate_hertz"));
        assert_eq!(refusal(config(|config| config.noise_scale = Some(3.0)), None).await, invalid("noise_scale"));
        // What espeak cannot do, it says when it speaks.
        let espeak = Message::Config(v1::SynthesizeRequest { normalize: true, ..voice("en-us") });
        assert_eq!(refusal(espeak, Some(Message::Text("hello".to_owned()))).await, invalid("normalize"));
        // Nothing to say is nothing said.
        let mut speaker = Speaker::begin(&server.address, voice("mock")).await.expect("it begins");
        assert_eq!(speaker.end().await.expect("it ends").samples, 0);
    });
}
