//! Speech on its way out: sentences, silences, samples and marks, one after another.

use super::lines::{Line, Marked};
use crate::{
    speech::{Mark, MarkKind},
    worker::engine::{Sink, Spoken},
};
use std::{ops::ControlFlow, time::Duration};

/// Speech on its way out: one sentence after another, in samples of 16 bits.
pub(super) struct Voicing<'a, 'b> {
    /// Who hears it.
    pub(super) sink: &'a mut Sink<'b>,
    /// Hz.
    pub(super) rate: u32,
    /// Times the voice's own loudness.
    pub(super) volume: f32,
    /// Whether marks are wanted.
    pub(super) marks: bool,
    /// Whether the script has sentences, and how many of the text went before it.
    pub(super) before: Option<u64>,
    /// What stands before each sentence but the first of the text.
    pub(super) silence: Duration,
    /// The one that is being spoken.
    pub(super) sentence: Option<usize>,
    /// Samples since the beginning of the sentence, or of the script where it has none.
    pub(super) samples: u64,
    /// Used again and again.
    pub(super) buffer: Vec<i16>,
}

impl Voicing<'_, '_> {
    /// What follows is of this sentence.
    pub(super) fn begin(&mut self, sentence: usize) -> ControlFlow<()> {
        let Some(before) = self.before.filter(|_| self.sentence != Some(sentence)) else {
            return ControlFlow::Continue(());
        };
        // Those without anything to say begin too.
        let next = self.sentence.map_or(0, |last| last + 1);
        for number in next..=sentence {
            self.samples = 0;
            (self.sink)(Spoken::Sentence(number))?;
            if before + number as u64 > 0 {
                self.silence(self.silence)?;
            }
            if self.marks {
                let (kind, sample) = (MarkKind::Sentence, self.samples);
                (self.sink)(Spoken::Mark(Mark { kind, sample, text: 0..0, name: String::new() }))?;
            }
        }
        self.sentence = Some(sentence);
        ControlFlow::Continue(())
    }

    /// How many samples last so long.
    pub(super) fn samples_of(&self, duration: Duration) -> usize {
        (duration.as_secs_f64() * f64::from(self.rate)).round() as usize
    }

    /// Says nothing for so long.
    pub(super) fn silence(&mut self, duration: Duration) -> ControlFlow<()> {
        let second = vec![0; self.rate as usize];
        let mut left = self.samples_of(duration);
        // In parts: a break may last a minute.
        while let Some(part) = second.get(..left.min(second.len())).filter(|part| !part.is_empty()) {
            left -= part.len();
            self.samples += part.len() as u64;
            (self.sink)(Spoken::Audio(part))?;
        }
        ControlFlow::Continue(())
    }

    /// Samples of the voice, full scale at 1.0.
    pub(super) fn audio(&mut self, samples: &[f32]) -> ControlFlow<()> {
        self.buffer.clear();
        // As piper-tts does it.
        let sixteen = |sample: &f32| ((sample * self.volume).clamp(-1.0, 1.0) * 32_767.0) as i16;
        self.buffer.extend(samples.iter().map(sixteen));
        self.samples += samples.len() as u64;
        (self.sink)(Spoken::Audio(&self.buffer))
    }

    /// The marks of a line whose ids from `first` on last so many samples each.
    pub(super) fn marks(&mut self, line: &Line, first: usize, durations: &[usize]) -> ControlFlow<()> {
        if !self.marks {
            return ControlFlow::Continue(());
        }
        let (mut at, mut sample) = (first, self.samples);
        let end = first + durations.len();
        // Those behind the last id are heard with it.
        let is_here = |at: usize| first <= at && (at < end || end >= line.ids.len());
        for mark in line.marks.iter().filter(|mark| is_here(mark.ids.start)) {
            let passed = durations.get(at - first..mark.ids.start - first).unwrap_or_default();
            sample += passed.iter().sum::<usize>() as u64;
            at = mark.ids.start;
            self.mark(&mark.what, sample)?;
        }
        ControlFlow::Continue(())
    }

    /// One mark, at this sample.
    pub(super) fn mark(&mut self, what: &Marked, sample: u64) -> ControlFlow<()> {
        let (kind, text, name) = match what {
            Marked::Name(name, place) => (MarkKind::Named, *place..*place, name.clone()),
            Marked::Word(text) => (MarkKind::Word, text.clone(), String::new()),
            // Whoever took the text apart knows its sentences.
            Marked::Sentence(_) => return ControlFlow::Continue(()),
        };
        (self.sink)(Spoken::Mark(Mark { kind, sample, text, name }))
    }
}
