//! The words that all parts share: positions, segments, voices, models.

use crate::error::{Error, Result};
use std::{
    fmt,
    ops::{Range, RangeInclusive},
    path::PathBuf,
};

/// What identifies a build to other processes: its engines give the same answers as those of another of the same name.
pub(crate) const BUILD_ID: &str = concat!(env!("CARGO_PKG_VERSION"), "-3");

/// The clock of a recording: samples at 16 kHz since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Samples(pub(crate) i64);

impl Samples {
    /// Samples a second.
    pub(crate) const RATE: u32 = 16_000;

    /// The nearest position to a time in seconds. Engines give times as floats, and not always sane ones.
    pub(crate) fn from_seconds(seconds: f64) -> Self {
        Self((seconds * f64::from(Self::RATE)).round() as i64)
    }

    /// The position in seconds.
    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / f64::from(Self::RATE)
    }
}

impl std::ops::Add for Samples {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// A stretch of transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Segment {
    /// Where it starts.
    pub(crate) start: Samples,
    /// Where it ends.
    pub(crate) end: Samples,
    /// What is said, without space around it.
    pub(crate) text: String,
    /// The mean probability of its tokens, 0 to 1.
    pub(crate) confidence: f32,
    /// The mean log probability of its tokens.
    pub(crate) avg_logprob: f32,
    /// How likely it is that nobody speaks here, 0 to 1.
    pub(crate) no_speech_probability: f32,
    /// Its words, where they were asked for.
    pub(crate) words: Vec<Word>,
}

impl Segment {
    /// The same stretch, of a recording that starts `by` earlier.
    pub(crate) fn shifted(mut self, by: Samples) -> Self {
        self.start = self.start + by;
        self.end = self.end + by;
        for word in &mut self.words {
            word.start = word.start + by;
            word.end = word.end + by;
        }
        self
    }
}

/// A word of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Word {
    /// Where it starts.
    pub(crate) start: Samples,
    /// Where it ends.
    pub(crate) end: Samples,
    /// The word, without space around it.
    pub(crate) text: String,
    /// How sure the model is of it, 0 to 1.
    pub(crate) probability: f32,
}

/// The text of segments. Between them is a space, but not in scripts that have none.
pub(crate) fn join(segments: &[Segment]) -> String {
    let mut text = String::new();
    segments.iter().for_each(|segment| append(&mut text, &segment.text));
    text
}

/// Puts a piece behind a text, with a space between them where their scripts have spaces.
pub(crate) fn append(text: &mut String, piece: &str) {
    let needs_space = text.chars().next_back().is_some_and(|last| !is_unspaced(last))
        || piece.chars().next().is_some_and(|first| !is_unspaced(first));
    if !text.is_empty() && needs_space {
        text.push(' ');
    }
    text.push_str(piece);
}

/// Characters of transcript that the next window is told: Whisper takes 224 tokens of at least about four.
pub(crate) const CONTEXT: usize = 800;

/// The last characters of a text, from the beginning of a word on.
pub(crate) fn tail(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().skip(count - most).collect();
    match cut.split_once(' ') {
        Some((_, words)) => words.to_owned(),
        None => cut,
    }
}

/// Whether a text says only that nothing is said, as Whisper puts it.
pub(crate) fn is_no_speech(text: &str) -> bool {
    let text = text.trim();
    let inner = text.strip_prefix(['[', '(']).and_then(|text| text.strip_suffix([']', ')']));
    text.is_empty() || inner.is_some_and(|inner| NO_SPEECH.contains(&inner.trim().to_lowercase().as_str()))
}

/// What stands between the brackets then.
const NO_SPEECH: [&str; 3] = ["blank_audio", "blank audio", "silence"];

/// Whether a character belongs to a script that is written without spaces between words.
pub(crate) fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0E00}'..='\u{0EFF}'          // Thai, Lao
        | '\u{1000}'..='\u{109F}'        // Myanmar
        | '\u{1780}'..='\u{17FF}'        // Khmer
        | '\u{3000}'..='\u{30FF}'        // CJK punctuation, kana
        | '\u{3400}'..='\u{9FFF}'        // CJK ideographs
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF00}'..='\u{FFEF}'        // full-width forms
        | '\u{20000}'..='\u{3FFFF}')
}

/// A number that somebody asks for in this field, if it lies in its range.
///
/// # Errors
/// `InvalidInput`, naming the field.
pub(crate) fn in_range(field: &str, value: Option<f32>, range: RangeInclusive<f32>) -> Result<Option<f32>> {
    match value {
        Some(value) if !range.contains(&value) => {
            let message = format!("{field} {value} is not in {} to {}", range.start(), range.end());
            Err(Error::invalid(message).in_field(field))
        }
        _ => Ok(value),
    }
}

/// Where in spoken audio something begins to sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// What begins.
    pub(crate) kind: MarkKind,
    /// The sample at which it begins; of what audio, says who hands it over.
    pub(crate) sample: u64,
    /// The part of the text that it is, in bytes.
    pub(crate) text: Range<usize>,
    /// The name that SSML gives it.
    pub(crate) name: String,
}

/// What a mark marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// A sentence begins.
    Sentence,
    /// A word begins.
    Word,
    /// SSML's `<mark>`.
    Named,
}

impl MarkKind {
    /// The word for it, on the wire to a worker and in files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            MarkKind::Sentence => "sentence",
            MarkKind::Word => "word",
            MarkKind::Named => "named",
        }
    }

    /// The kind that a word stands for.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [MarkKind::Sentence, MarkKind::Word, MarkKind::Named].into_iter().find(|kind| kind.word() == word)
    }
}

/// A voice that can speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Voice {
    /// What a request names it by, such as "en-gb".
    pub(crate) id: String,
    /// What a person calls it.
    pub(crate) name: String,
    /// BCP 47, the best first.
    pub(crate) languages: Vec<String>,
    /// Who it sounds like, if that is known.
    pub(crate) gender: Option<Gender>,
    /// The engine, or the worker elsewhere, that has it.
    pub(crate) engine: String,
    /// Its speakers, where there are several, in the order of their numbers.
    pub(crate) speakers: Vec<String>,
    /// The rate of its audio, Hz; 0 = it is not known before it speaks.
    pub(crate) sample_rate: u32,
}

/// Who a voice sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gender {
    /// A woman.
    Female,
    /// A man.
    Male,
}

impl Gender {
    /// The word for it on the wire and on the screen.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Gender::Female => "female",
            Gender::Male => "male",
        }
    }
}

/// A recogniser or synthesiser to load: which engine, and what it loads.
///
/// Two requests with equal `ModelId`s are served by the same worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ModelId {
    /// whisper.cpp with a ggml model file.
    Whisper(PathBuf),
    /// whisper.cpp with the model that is built in.
    SelfTest,
    /// The built-in voices of espeak-ng.
    Espeak,
    /// A Piper voice: the path of its .onnx file, beside which its .json is.
    Piper(PathBuf),
    /// No model: deterministic, and faulty on request (the text after "mock:").
    Mock(String),
    /// Whatever the worker at this address has, which somebody else runs and we call.
    Called {
        /// `http://HOST:PORT` or `unix:PATH`.
        address: String,
        /// Whether it recognises; else it speaks.
        recognises: bool,
    },
    /// What workers have that dialled in under this name.
    DialledIn {
        /// As they announced it.
        name: String,
        /// Whether they recognise.
        recognises: bool,
        /// Whether they speak.
        speaks: bool,
    },
}

impl ModelId {
    /// The engine that loads it.
    pub(crate) fn engine(&self) -> &'static str {
        match self {
            ModelId::Whisper(_) | ModelId::SelfTest => "whisper",
            ModelId::Espeak => "espeak",
            ModelId::Piper(_) => "piper",
            ModelId::Mock(_) => "mock",
            ModelId::Called { .. } | ModelId::DialledIn { .. } => "elsewhere",
        }
    }

    /// Whether it writes down what is said.
    pub(crate) fn recognises(&self) -> bool {
        match self {
            ModelId::Whisper(_) | ModelId::SelfTest | ModelId::Mock(_) => true,
            ModelId::Espeak | ModelId::Piper(_) => false,
            ModelId::Called { recognises, .. } | ModelId::DialledIn { recognises, .. } => *recognises,
        }
    }

    /// Whether it speaks.
    pub(crate) fn speaks(&self) -> bool {
        match self {
            ModelId::Whisper(_) | ModelId::SelfTest => false,
            ModelId::Espeak | ModelId::Piper(_) | ModelId::Mock(_) => true,
            ModelId::Called { recognises, .. } => !recognises,
            ModelId::DialledIn { speaks, .. } => *speaks,
        }
    }

    /// What a worker's command line says to load it: `--engine ENGINE`, and `--model MODEL` where there is one.
    /// `None` for what runs elsewhere.
    pub(crate) fn arguments(&self) -> Option<(String, Option<PathBuf>)> {
        Some(match self {
            ModelId::Whisper(path) => ("whisper".to_owned(), Some(path.clone())),
            ModelId::SelfTest => ("whisper".to_owned(), Some(PathBuf::from("selftest"))),
            ModelId::Espeak => ("espeak".to_owned(), None),
            ModelId::Piper(path) => ("piper".to_owned(), Some(path.clone())),
            ModelId::Mock(faults) if faults.is_empty() => ("mock".to_owned(), None),
            ModelId::Mock(faults) => (format!("mock:{faults}"), None),
            ModelId::Called { .. } | ModelId::DialledIn { .. } => return None,
        })
    }

    /// The inverse of [`ModelId::arguments`].
    ///
    /// # Errors
    /// `InvalidInput` for an engine that does not exist, a model where none is taken, or none where one is needed.
    pub(crate) fn from_arguments(engine: &str, model: Option<PathBuf>) -> Result<Self> {
        match (engine, model) {
            ("whisper", Some(model)) if model.as_os_str() == "selftest" => Ok(ModelId::SelfTest),
            ("whisper", Some(model)) => Ok(ModelId::Whisper(model)),
            ("whisper", None) => {
                Err(Error::invalid("the whisper engine needs `--model`: a ggml model file, or `selftest`"))
            }
            ("espeak", None) => Ok(ModelId::Espeak),
            ("piper", Some(voice)) => Ok(ModelId::Piper(voice)),
            ("piper", None) => Err(Error::invalid("the piper engine needs `--model`: a voice's .onnx file")),
            ("mock", None) => Ok(ModelId::Mock(String::new())),
            (mock, None) if mock.starts_with("mock:") => {
                Ok(ModelId::Mock(mock.strip_prefix("mock:").unwrap_or_default().to_owned()))
            }
            ("espeak" | "mock", Some(_)) => Err(Error::invalid(format!("the {engine} engine takes no `--model`"))),
            _ => Err(Error::invalid(format!("engine `{engine}` does not exist; there are whisper, espeak and piper"))),
        }
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelId::Whisper(path) | ModelId::Piper(path) => write!(f, "{}", path.display()),
            ModelId::SelfTest => f.write_str("selftest"),
            ModelId::Espeak => f.write_str("espeak"),
            ModelId::Mock(faults) if faults.is_empty() => f.write_str("mock"),
            ModelId::Mock(faults) => write!(f, "mock:{faults}"),
            ModelId::Called { address, .. } => f.write_str(address),
            ModelId::DialledIn { name, .. } => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_begins_with_a_word() {
        assert_eq!(tail("turn on the light", 100), "turn on the light");
        assert_eq!(tail("turn on the light", 8), "light");
        assert_eq!(tail("ööööööööö", 3), "ööö");
    }

    #[test]
    fn marks_of_silence_are_no_speech() {
        for text in ["", " [BLANK_AUDIO]", "[ Silence ]", "(silence)"] {
            assert!(is_no_speech(text), "{text:?}");
        }
        assert!(!is_no_speech("silence") && !is_no_speech("[Music]") && !is_no_speech("(silence) then"));
    }

    fn segment(text: &str) -> Segment {
        Segment { text: text.to_owned(), ..Segment::default() }
    }

    #[test]
    fn segments_are_joined_as_their_script_wants() {
        assert_eq!(join(&[segment("turn on"), segment("the light")]), "turn on the light");
        assert_eq!(join(&[segment("你好。"), segment("世界")]), "你好。世界");
        assert_eq!(join(&[segment("你好"), segment("world")]), "你好 world");
        assert_eq!(join(&[]), "");
    }

    #[test]
    fn a_model_survives_the_command_line() {
        for id in [
            ModelId::Whisper("/models/base.bin".into()),
            ModelId::SelfTest,
            ModelId::Espeak,
            ModelId::Piper("/voices/amy.onnx".into()),
            ModelId::Mock(String::new()),
            ModelId::Mock("crash@2.5s".to_owned()),
        ] {
            let (engine, model) = id.arguments().expect("it runs here");
            assert_eq!(ModelId::from_arguments(&engine, model).expect("it is valid"), id);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(ModelId::from_arguments("whisper", None).is_err());
        assert!(ModelId::from_arguments("espeak", Some("x".into())).is_err());
        assert!(ModelId::from_arguments("festival", None).is_err());
    }

    #[test]
    fn insane_times_do_not_wrap() {
        assert_eq!(Samples::from_seconds(f64::NAN), Samples(0));
        assert!(Samples::from_seconds(f64::INFINITY).0 > 0);
        assert_eq!(Samples::from_seconds(1.5), Samples(24_000));
    }
}
