//! The engines: the home of foreign code. Here is the table of them, and what an engine is.
//!
//! An engine blocks, is used by one thread at a time, and remembers nothing between calls: each answer is a function
//! of the request alone. So a worker that died can be replaced by calling again.

mod espeak;
mod mock;
mod piper;
mod whisper;

use crate::{
    error::{Error, Kind, Result},
    proto::v1::Capability,
    speech::{Mark, ModelId, Samples, Segment, Voice},
    worker::progress::Progress,
};
use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
pub(crate) use whisper::processor;

/// The libraries of engines that log much, as logs name them.
pub(crate) const CHATTY: &[&str] = &["whisper_rs"];

/// The caller's wish that the work should end. Engines look at it often, and show by looking that they are alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel {
    wanted: Arc<AtomicBool>,
    pulse: Pulse,
}

/// Counts signs of life. A count that stands still under work says that the engine hangs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// One more sign of life.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Cancel {
    /// A wish that is not there yet, for work that beats this pulse.
    pub(crate) fn new(pulse: Pulse) -> Self {
        Self { wanted: Arc::default(), pulse }
    }

    /// Asks for the end of the work.
    pub(crate) fn request(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether this is the same wish, not only one like it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.wanted, &other.wanted)
    }

    /// Whether the work should end. Counts as a sign of life.
    pub(crate) fn wanted(&self) -> bool {
        self.pulse.beat();
        self.wanted.load(Ordering::Relaxed)
    }

    /// The same, by somebody who only waits: that is no sign of life.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// An error if the work should end.
    pub(crate) fn check(&self) -> Result<()> {
        if self.wanted() { Err(Error::new(Kind::Cancelled, "the caller gave up")) } else { Ok(()) }
    }
}

/// All the context that a recogniser has beside the audio.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Hint {
    /// ISO 639-1, "auto", or empty for the model's own.
    pub(crate) language: String,
    /// Write down in English.
    pub(crate) translate: bool,
    /// What went before.
    pub(crate) prompt: String,
    /// Times and probabilities of single words are wanted.
    pub(crate) words: bool,
    /// 0.0 to 1.0.
    pub(crate) temperature: f32,
    /// Candidates of the beam search; 0 = the default, 1 = greedy.
    pub(crate) beam_size: i32,
    /// Threads; 0 = the default.
    pub(crate) threads: i32,
    /// More audio follows the window.
    pub(crate) more_follows: bool,
    /// Look at no more of the window than it holds, where the outcome is sure enough.
    pub(crate) fast: bool,
}

/// What a recogniser made of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Decoded {
    /// In order; times count from the start of the window.
    pub(crate) segments: Vec<Segment>,
    /// ISO 639-1.
    pub(crate) language: String,
    /// How far the window is decided, where more audio follows; else all of it.
    pub(crate) decided: Samples,
}

/// A loaded speech-to-text model.
pub(crate) trait Recognizer: Send {
    /// Writes down one window of 16 kHz mono audio.
    ///
    /// # Errors
    /// `InvalidInput` for a hint that the model cannot follow, `Cancelled`, `Internal` where the engine fails.
    fn decode(&mut self, window: &[f32], hint: &Hint, cancel: &Cancel) -> Result<Decoded>;
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Script {
    /// A text, which the engine takes apart as it likes.
    Text(String),
    /// A document of SSML.
    Ssml(String),
    /// Sentences, each of which is spoken by itself.
    Sentences {
        /// In order.
        sentences: Vec<String>,
        /// How many of the same text went before them.
        before: u64,
    },
}

impl Default for Script {
    fn default() -> Self {
        Script::Text(String::new())
    }
}

/// What to say, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Utterance {
    /// The words.
    pub(crate) script: Script,
    /// The voice; empty = the engine's default.
    pub(crate) voice: String,
    /// The name or the number of the voice's speaker; empty = its default.
    pub(crate) speaker: String,
    /// Sentence k of a text is made from this and k.
    pub(crate) seed: u64,
    /// What a computed voice lets one change.
    pub(crate) scales: Scales,
    /// Seconds of silence before each sentence but the first of a text.
    pub(crate) silence: Option<f32>,
    /// Each sentence as loud as can be.
    pub(crate) normalize: bool,
    /// Whether marks are wanted.
    pub(crate) marks: bool,
    /// Times the normal speed.
    pub(crate) speed: f32,
    /// Times the normal pitch.
    pub(crate) pitch: f32,
    /// Times the normal loudness.
    pub(crate) volume: f32,
}

/// What a voice computes with; `None` = as the voice itself says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scales {
    /// How long phonemes are.
    pub(crate) length: Option<f32>,
    /// How much the sound varies.
    pub(crate) noise: Option<f32>,
    /// How much the length of phonemes varies.
    pub(crate) noise_w: Option<f32>,
}

/// What comes out of a synthesiser.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spoken<'a> {
    /// What follows is of this sentence of the script, counted from 0.
    Sentence(usize),
    /// Samples, mono.
    Audio(&'a [i16]),
    /// Where something begins, before the audio of it. Samples count from the beginning of the sentence; of a script
    /// without sentences, from that of the utterance.
    Mark(Mark),
}

/// Takes speech as it is made; breaks when no more is wanted.
pub(crate) type Sink<'a> = dyn FnMut(Spoken<'_>) -> ControlFlow<()> + 'a;

/// What a synthesiser can speak with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Voices {
    /// The voices themselves.
    pub(crate) voices: Vec<Voice>,
    /// What may follow a voice after a "+".
    pub(crate) variants: Vec<String>,
}

/// A loaded text-to-speech engine.
pub(crate) trait Synthesizer: Send {
    /// The rate of the audio that it makes, Hz.
    fn sample_rate(&self) -> u32;

    /// Speaks into `sink`, in order, until done or told to break.
    ///
    /// # Errors
    /// `NotFound` for a voice or a speaker that does not exist, `InvalidInput` for what the voice cannot do.
    fn speak(&mut self, utterance: &Utterance, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()>;

    /// All that it can speak with.
    ///
    /// # Errors
    /// `Internal` where the engine fails.
    fn voices(&mut self) -> Result<Voices>;
}

/// An engine with its model in memory.
pub(crate) enum Engine {
    /// Speech to text.
    Recognizer(Box<dyn Recognizer>),
    /// Text to speech.
    Synthesizer(Box<dyn Synthesizer>),
    /// Both, as only the mock can.
    Both(Box<dyn Recognizer>, Box<dyn Synthesizer>),
}

/// What an engine is told when it is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Threads for a call that names none.
    pub(crate) threads: i32,
    /// A folder for what has to be unpacked.
    pub(crate) cache: PathBuf,
    /// Where an engine that knows tells how much is loaded.
    pub(crate) progress: Progress,
}

/// What an engine does that its code cannot do itself, for the contract's code does it. Only the mock has bad manners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manners {
    /// What is not true in its answers.
    pub(crate) lies: Vec<Lie>,
    /// Whether it outlives SIGTERM, and its connection.
    pub(crate) ignores_term: bool,
}

/// Something that is not true in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// The request that is answered.
    Request,
    /// The rate of audio, which changes in mid-stream.
    Rate,
    /// The length of audio.
    Length,
    /// Numbers that are none.
    Nan,
}

/// The manners of a model's engine.
pub(crate) fn manners(model: &ModelId) -> Manners {
    match model {
        ModelId::Mock(faults) => mock::manners(faults),
        _ => Manners::default(),
    }
}

/// What a model's engine can do.
pub(crate) fn capabilities(model: &ModelId) -> &'static [Capability] {
    match model {
        ModelId::Whisper(_) | ModelId::SelfTest => &[Capability::Recognition],
        ModelId::Espeak | ModelId::Piper(_) => &[Capability::Synthesis],
        ModelId::Mock(_) => &[Capability::Recognition, Capability::Synthesis],
        // None of an engine here.
        ModelId::Called { .. } | ModelId::DialledIn { .. } => &[],
    }
}

/// The progress of a model that is about to be loaded. Whisper's files are in memory as they are on the disk.
pub(crate) fn progress(model: &ModelId) -> Progress {
    match model {
        ModelId::Whisper(path) => Progress::of_file(std::fs::metadata(path).map_or(0, |file| file.len())),
        _ => Progress::default(),
    }
}

/// Loads an engine. Takes as long as it takes.
///
/// # Errors
/// What the engine says: `NotFound`, `InvalidInput` for a file that is no model, `Io` for a folder that cannot be
/// written.
pub(crate) fn load(model: &ModelId, setup: &Setup) -> Result<Engine> {
    Ok(match model {
        ModelId::Whisper(path) => Engine::Recognizer(Box::new(whisper::Whisper::from_file(path, setup.threads)?)),
        ModelId::SelfTest => Engine::Recognizer(Box::new(whisper::Whisper::selftest(setup.threads)?)),
        ModelId::Espeak => Engine::Synthesizer(Box::new(espeak::Espeak::load(&setup.cache)?)),
        ModelId::Piper(path) => Engine::Synthesizer(Box::new(piper::Piper::load(path, setup)?)),
        ModelId::Mock(faults) => {
            let mock = mock::Mock::load(faults, &setup.progress)?;
            Engine::Both(Box::new(mock.clone()), Box::new(mock))
        }
        ModelId::Called { .. } | ModelId::DialledIn { .. } => {
            return Err(Error::new(Kind::Unsupported, format!("`{model}` runs elsewhere")));
        }
    })
}
