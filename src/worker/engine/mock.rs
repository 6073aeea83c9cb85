//! No model at all: deterministic, and faulty on request. It stands in where an engine's faults are the subject.
//!
//! `mock:FAULT[@SECONDS][,FAULT…]`; a fault with a time strikes once the work reaches that second of audio, one
//! without at once. Its transcript is one segment for each second of audio, `<first sample>:<CRC-32 of the samples>`,
//! so that a test sees which samples arrived, and in which order.

use crate::{
    error::{Error, Result},
    speech::{Gender, Samples, Segment, Voice, Word},
    worker::engine::{Cancel, Decoded, Hint, Recognizer, Sink, Synthesizer, Utterance, Voices},
};
use std::{
    io::Write,
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

/// Samples of a second, the unit of its transcript.
const SECOND: usize = Samples::RATE as usize;

/// What a character of text sounds like: so many samples of a ramp.
const CHARACTER: usize = SECOND / 50;

/// How much `flood-stderr` writes.
const FLOOD: usize = 100 * 1024 * 1024;

/// The mock with its faults.
#[derive(Clone, Debug, Default)]
pub(super) struct Mock {
    faults: Vec<(Fault, Duration)>,
}

/// What can go wrong with an engine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Aborts, as whisper.cpp does on an internal error.
    Crash,
    /// Ends the process with status 0, as if all were well.
    Exit,
    /// Does nothing any more.
    Hang,
    /// Takes as long as the audio lasts.
    Slow,
    /// Answers what cannot be.
    Garbage,
    /// Writes without end to stderr first.
    FloodStderr,
}

impl Mock {
    /// Reads the faults.
    ///
    /// # Errors
    /// `InvalidInput` for one that does not exist.
    pub(super) fn try_new(faults: &str) -> Result<Self> {
        if faults == "unloadable" {
            return Err(Error::invalid("model `mock:unloadable` is damaged or cut short; get it again"));
        }
        let faults = faults.split(',').filter(|fault| !fault.is_empty()).map(parse).collect::<Result<Vec<_>>>()?;
        let mock = Self { faults };
        Ok(mock)
    }

    /// Lets every fault happen whose time lies in `from..to` of the audio.
    fn strike(&self, from: Duration, to: Duration, cancel: &Cancel) -> Result<()> {
        for (fault, at) in &self.faults {
            if (from..to).contains(at) {
                happen(*fault, to - from, cancel)?;
            } else if *fault == Fault::Slow {
                happen(Fault::Slow, to - from, cancel)?;
            }
        }
        Ok(())
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|(has, _)| *has == fault)
    }
}

fn parse(text: &str) -> Result<(Fault, Duration)> {
    let (name, at) = match text.split_once('@') {
        Some((name, at)) => (name, at.trim_end_matches('s').parse::<f64>().ok()),
        None => (text, Some(0.0)),
    };
    let fault = match name {
        "crash" => Fault::Crash,
        "exit" => Fault::Exit,
        "hang" => Fault::Hang,
        "slow" => Fault::Slow,
        "garbage" => Fault::Garbage,
        "flood-stderr" => Fault::FloodStderr,
        _ => return Err(no_such_fault(text)),
    };
    let at = at.and_then(|at| Duration::try_from_secs_f64(at).ok()).ok_or_else(|| no_such_fault(text))?;
    Ok((fault, at))
}

fn no_such_fault(text: &str) -> Error {
    let known = "crash, exit, hang, slow, garbage and flood-stderr are some, each with `@SECONDS` if wanted";
    Error::invalid(format!("the mock engine has no fault `{text}`; {known}"))
}

fn happen(fault: Fault, span: Duration, cancel: &Cancel) -> Result<()> {
    match fault {
        Fault::Crash => {
            say("mock engine: about to abort, as asked");
            std::process::abort()
        }
        Fault::Exit => leave(),
        Fault::Hang => loop {
            thread::park();
        },
        Fault::Slow => {
            let end = Instant::now() + span;
            while Instant::now() < end {
                cancel.check().inspect_err(|_| say("mock engine: told to stop, and stops"))?;
                thread::park_timeout(Duration::from_millis(5));
            }
            Ok(())
        }
        Fault::FloodStderr => {
            let line = "all work and no play makes the mock a dull engine\n".repeat(1024);
            for _ in 0..FLOOD / line.len() {
                say(line.trim_end());
            }
            Ok(())
        }
        Fault::Garbage => Ok(()),
    }
}

/// Writes to stderr, as engines do. That it may be closed is no concern of theirs either.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}

#[expect(clippy::disallowed_methods, reason = "to end without a word is the fault that was asked for")]
fn leave() -> ! {
    std::process::exit(0)
}

fn at(samples: usize) -> Duration {
    Duration::from_secs_f64(samples as f64 / SECOND as f64)
}

impl Recognizer for Mock {
    fn decode(&mut self, window: &[f32], hint: &Hint, cancel: &Cancel) -> Result<Decoded> {
        if !["", "auto", "en"].contains(&hint.language.as_str()) {
            let message = format!("language `{}`: model `mock` understands English only", hint.language);
            return Err(Error::invalid(message).in_field("config.language"));
        }
        // With more to follow, only whole seconds are certain.
        let decided = if hint.more_follows { window.len() / SECOND * SECOND } else { window.len() };
        let mut segments = Vec::new();
        let mut start = 0;
        for second in window.get(..decided).unwrap_or_default().chunks(SECOND) {
            cancel.check()?;
            self.strike(at(start), at(start + second.len()), cancel)?;
            segments.push(segment(second, start, hint.words));
            start += second.len();
        }
        if self.has(Fault::Garbage) {
            segments.push(Segment {
                start: Samples(-5),
                end: Samples(i64::MAX),
                text: "garbage".into(),
                ..Segment::default()
            });
        }
        Ok(Decoded { segments, language: "en".to_owned(), decided: Samples(decided as i64) })
    }
}

fn segment(samples: &[f32], start: usize, with_words: bool) -> Segment {
    let pcm: Vec<u8> = samples.iter().flat_map(|sample| ((sample * 32768.0) as i16).to_le_bytes()).collect();
    let first = pcm.first_chunk().map_or(0, |bytes| i16::from_le_bytes(*bytes));
    let text = format!("{first}:{:08x}", crc32fast::hash(&pcm));
    let (start, end) = (Samples(start as i64), Samples((start + samples.len()) as i64));
    let words = if with_words { vec![Word { start, end, text: text.clone(), probability: 1.0 }] } else { Vec::new() };
    Segment { start, end, text, confidence: 1.0, avg_logprob: 0.0, no_speech_probability: 0.0, words }
}

impl Synthesizer for Mock {
    fn sample_rate(&self) -> u32 {
        Samples::RATE
    }

    fn speak(&mut self, utterance: &Utterance, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        let length = (CHARACTER as f32 / utterance.speed.max(0.01)) as usize;
        let mut made = 0;
        for character in utterance.text.chars() {
            cancel.check()?;
            self.strike(at(made), at(made + length), cancel)?;
            let audio: Vec<i16> = (0..length).map(|n| (n as u32).wrapping_mul(character as u32) as i16 / 4).collect();
            made += length;
            if let ControlFlow::Break(()) = sink(&audio) {
                break;
            }
        }
        Ok(())
    }

    fn voices(&mut self) -> Result<Voices> {
        let voice = Voice {
            id: "mock".to_owned(),
            name: "Mock".to_owned(),
            languages: vec!["en".to_owned()],
            gender: Some(Gender::Female),
            engine: String::new(),
        };
        Ok(Voices { voices: vec![voice], variants: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_tells_the_samples() {
        let mut window = vec![0.0; SECOND + 10];
        window[SECOND] = 5.0 / 32768.0;
        let hint = Hint::default();
        let decoded = Mock::default().decode(&window, &hint, &Cancel::default()).expect("it is calm");
        assert_eq!(decoded.segments.len(), 2);
        assert!(decoded.segments[1].text.starts_with("5:"), "{}", decoded.segments[1].text);
        let more = Hint { more_follows: true, ..hint };
        let decoded = Mock::default().decode(&window, &more, &Cancel::default()).expect("it is calm");
        assert_eq!(decoded.decided, Samples(SECOND as i64));
    }

    #[test]
    fn faults_are_read() {
        let mock = Mock::try_new("crash@2.5s,slow").expect("both exist");
        assert_eq!(mock.faults, [(Fault::Crash, Duration::from_millis(2500)), (Fault::Slow, Duration::ZERO)]);
        for wrong in ["explode", "crash@soon", "crash@-1"] {
            assert!(Mock::try_new(wrong).is_err(), "{wrong}");
        }
    }
}
