//! What the sessions of a bench say: sentences of words that the self-test model knows, spoken by the server itself, with
//! pauses between them. The same seed gives the same audio.

use super::random::Random;
use crate::{
    client::Connection,
    error::{Error, Kind, Result},
    proto::v1::{self, synthesize_request::Input, synthesize_response::Event},
};
use bytes::Bytes;
use std::{ops::Range, time::Duration};
use tokio::time::timeout;

/// Who speaks: the voice that the self-test model knows best.
const VOICE: &str = "en-us";

/// How long a sentence may take to be spoken. The first one starts an engine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Silence between sentences, in seconds: some is so short that they become one utterance, some so long that it is let
/// go of.
const PAUSE: Range<f64> = 0.3..2.0;

/// Sentences. A word in capitals is any of the list of that name.
const SENTENCES: &[&str] = &[
    "turn on the DEVICE",
    "turn off the PLACE lights",
    "switch on the DEVICE in the PLACE",
    "please turn the DEVICE off",
    "set a timer for NUMBER minutes",
    "set the volume to NUMBER percent",
    "set the temperature to NUMBER degrees",
    "wake me up at NUMBER on DAY",
    "remind me to call PERSON tomorrow",
    "lock the DOOR and open the DOOR",
    "is the DOOR closed",
    "what is the weather on DAY",
    "what time is it",
    "add FOOD and FOOD to the shopping list",
    "buy NUMBER FOOD today",
    "find my phone",
    "send a message to PERSON",
    "play some music in the PLACE",
    "tell PERSON the DOOR is open",
    "the code is NUMBER NUMBER NUMBER NUMBER",
];

/// The lists.
const LISTS: &[(&str, &[&str])] = &[
    ("DEVICE", &["light", "lamp", "fan", "heater", "oven", "television", "radio", "camera"]),
    ("PLACE", &["kitchen", "bedroom", "bathroom", "garden", "office", "garage", "hall"]),
    ("NUMBER", &["two", "three", "four", "five", "seven", "eight", "nine", "ten", "twenty", "thirty"]),
    ("DAY", &["Monday", "Tuesday", "Friday", "Sunday"]),
    ("PERSON", &["mother", "father", "brother", "sister", "John", "Mary"]),
    ("DOOR", &["door", "window", "gate", "box"]),
    ("FOOD", &["milk", "bread", "coffee", "water", "apples", "sugar", "eggs", "cheese", "rice"]),
];

/// Audio that a session says: 16 bits, mono.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    /// Samples a second.
    pub(super) rate: u32,
    /// The samples, little-endian.
    pub(super) data: Bytes,
}

impl Speech {
    /// Its length.
    pub(super) fn samples(&self) -> i64 {
        (self.data.len() / 2) as i64
    }

    /// Its length.
    pub(super) fn seconds(&self) -> f64 {
        self.samples() as f64 / f64::from(self.rate)
    }

    /// A part of it.
    pub(super) fn part(&self, from: i64, to: i64) -> Bytes {
        let byte = |sample: i64| usize::try_from(sample * 2).unwrap_or(0).min(self.data.len());
        self.data.slice(byte(from)..byte(to))
    }
}

/// Has the server speak until there are so many seconds.
///
/// # Errors
/// What the server says; `Deadline` where it says nothing.
pub(super) async fn make(connection: &Connection, mut random: Random, rate: u32, seconds: f64) -> Result<Speech> {
    let wanted = (seconds * f64::from(rate)) as usize * 2;
    let mut data = Vec::new();
    while data.len() < wanted {
        let text = sentence(&mut random);
        let late = |_| Error::new(Kind::Deadline, format!("the server does not speak `{text}` within {PATIENCE:?}"));
        data.extend(timeout(PATIENCE, speak(connection, &text, rate)).await.map_err(late)??);
        let pause = random.between(PAUSE.start, PAUSE.end) * f64::from(rate);
        data.resize(data.len() + pause as usize * 2, 0);
    }
    // Whole hundredths of a second, which are whole samples at every rate.
    let hundredth = rate as usize / 100 * 2;
    data.resize(data.len().next_multiple_of(hundredth), 0);
    Ok(Speech { rate, data: data.into() })
}

/// One sentence.
fn sentence(random: &mut Random) -> String {
    let pattern = SENTENCES[random.below(SENTENCES.len())];
    let words = pattern.split(' ').map(|word| match LISTS.iter().find(|(name, _)| *name == word) {
        Some((_, words)) => words[random.below(words.len())],
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn speak(connection: &Connection, text: &str, rate: u32) -> Result<Vec<u8>> {
    let request = v1::SynthesizeRequest {
        input: Some(Input::Text(text.to_owned())),
        voice: VOICE.to_owned(),
        sample_rate_hertz: i32::try_from(rate).unwrap_or(0),
        ..Default::default()
    };
    let mut stream = connection.answer(connection.speech().synthesize(request)).await?.into_inner();
    let mut audio = Vec::new();
    while let Some(message) = connection.answer(stream.message()).await? {
        if let Some(Event::Audio(bytes)) = message.event {
            audio.extend(bytes);
        }
    }
    Ok(audio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_only_words_of_the_model() {
        let mut random = Random::new(3, 0);
        let sentences: Vec<String> = (0..200).map(|_| sentence(&mut random)).collect();
        assert!(sentences.iter().all(|text| LISTS.iter().all(|(name, _)| !text.contains(name))), "{sentences:?}");
        let recipe = include_str!("../../models/selftest/recipe/grammar.py");
        let known = |word: &str| recipe.contains(word);
        assert!(sentences.iter().flat_map(|text| text.split(' ')).all(known), "{sentences:?}");
    }

    #[test]
    fn parts_are_cut_by_samples() {
        let speech = Speech { rate: 8000, data: Bytes::from_static(&[0, 0, 1, 1, 2, 2]) };
        assert_eq!(speech.part(1, 2).as_ref(), [1, 1]);
        assert_eq!(speech.part(2, 9).as_ref(), [2, 2]);
        assert_eq!(speech.samples(), 3);
    }
}
