//! One streaming recognition: events in, effects out.

use super::{
    agreement::Agreement,
    closing::{Closing, Utterance},
    detector::Detector,
    endpoint::{Endpointer, Mark, Silence, TimedOut},
    events::{Checkpoint, Decided, Decode, Effect, Event, Past, Purpose},
    rules::Rules,
};
use crate::speech::{self, Samples, Segment};
use std::collections::VecDeque;

/// Silence behind the last word that a decode is given at least, for models leave a word unsaid that may go on.
const AFTER_SPEECH: i64 = Samples::RATE as i64 / 2;

/// The shortest audio that is worth a partial.
const WORTH: i64 = Samples::RATE as i64 / 2;

/// What Whisper sees at once.
const WINDOW: i64 = 30 * Samples::RATE as i64;

/// The stretch whose loudness is compared where a deadly utterance is cut.
const QUIET: usize = Samples::RATE as usize / 50;

#[derive(Clone, Debug)]
struct Job {
    id: u64,
    purpose: Purpose,
    from: Samples,
    to: Samples,
}

/// An utterance that is being spoken.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: i64,
    from: Samples,
    /// So much of it has been decoded for partials, or is being.
    heard: Samples,
    /// It has killed an engine: it is left alone until it has ended.
    is_deadly: bool,
}

/// The state of a session.
#[derive(Debug)]
pub(crate) struct Session<D> {
    detector: D,
    endpointer: Endpointer,
    past: Checkpoint,
    /// What was said before the first final: the caller's own words.
    prompt: String,
    /// The audio from `past.committed` on.
    audio: Vec<i16>,
    marks: VecDeque<Mark>,
    markers: VecDeque<(Samples, String)>,
    open: Option<Open>,
    closing: Option<Closing>,
    job: Option<Job>,
    next_job: u64,
    epoch: i64,
    agreement: Agreement,
    /// New audio that a partial waits for; `None` = no partials.
    step: Option<Samples>,
    has_ended: bool,
    is_done: bool,
    timed_out: Option<TimedOut>,
    longest: Samples,
}

impl<D: Detector> Session<D> {
    /// Begins a session.
    pub(crate) fn new(rules: &Rules, prompt: String) -> Self {
        Self::restore(rules, prompt, Past::default())
    }

    /// Goes on behind a checkpoint. The audio behind it is to follow, as events.
    pub(crate) fn restore(rules: &Rules, prompt: String, past: Past) -> Self {
        let Past { checkpoint, mut before, epoch } = past;
        // Only the end of a session lies within a frame: behind it there is nothing to judge.
        let within = checkpoint.committed.0 % D::FRAME as i64;
        before.truncate(before.len().saturating_sub(usize::try_from(within).unwrap_or(0)));
        let start = Samples(checkpoint.committed.0 - within);
        let silence = Silence { since: checkpoint.silent_since, has_spoken: checkpoint.has_spoken };
        Self {
            detector: D::at(start, &before),
            endpointer: Endpointer::at(rules.clone(), D::FRAME, start, silence),
            past: checkpoint,
            prompt,
            audio: Vec::new(),
            marks: VecDeque::new(),
            markers: VecDeque::new(),
            open: None,
            closing: None,
            job: None,
            next_job: 0,
            epoch: epoch + 1,
            agreement: Agreement::default(),
            step: None,
            has_ended: false,
            is_done: false,
            timed_out: None,
            longest: rules.longest,
        }
    }

    /// How much new audio a partial waits for; `None` = no partials.
    pub(crate) fn set_partials(&mut self, step: Option<Samples>) {
        self.step = step;
    }

    /// Takes an event; says what is to be done.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_done {
            return effects;
        }
        match event {
            Event::Audio(samples) => self.hear(&samples),
            Event::EndOfAudio => self.end(),
            Event::Marker { id, at } => self.markers.push_back((at, id)),
            Event::Decoded { job, segments, language } => self.decoded(job, segments, language, &mut effects),
            Event::Lost { job, own_doing } => self.lost(job, own_doing.as_deref(), &mut effects),
            Event::Declined { job } => {
                self.take_job(job);
            }
        }
        self.next(&mut effects);
        effects
    }

    /// The audio of a window, with the silence behind it.
    pub(crate) fn window(&self, decode: &Decode) -> Vec<i16> {
        let mut window = self.stretch(decode.from, decode.to).to_vec();
        window.resize(window.len() + decode.silence, 0);
        window
    }

    /// A stretch of audio that is not decided yet.
    pub(crate) fn stretch(&self, from: Samples, to: Samples) -> &[i16] {
        let index = |at: Samples| usize::try_from(at.0 - self.past.committed.0).unwrap_or(0).min(self.audio.len());
        self.audio.get(index(from)..index(to)).unwrap_or_default()
    }

    /// Whether something waits for an engine to decide it.
    pub(crate) fn is_deciding(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Up to here the audio is decided.
    pub(crate) fn committed(&self) -> Samples {
        self.past.committed
    }

    /// All that is to be known of what is decided.
    pub(crate) fn checkpoint(&self) -> &Checkpoint {
        &self.past
    }

    /// The audio from here on must be kept, to restore a session from a checkpoint.
    pub(crate) fn needed_by(checkpoint: &Checkpoint) -> Samples {
        Samples((checkpoint.committed.0 - D::MEMORY.0).max(0))
    }

    /// So much audio has come.
    pub(crate) fn end_of_audio(&self) -> Samples {
        Samples(self.past.committed.0 + self.audio.len() as i64)
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The utterance that is being spoken, and where it starts, as far as that has been told.
    pub(crate) fn speaking(&self) -> Option<(i64, Samples)> {
        self.open.map(|open| (open.id, open.from))
    }

    fn hear(&mut self, samples: &[i16]) {
        if self.has_ended {
            return;
        }
        self.audio.extend_from_slice(samples);
        let mut probabilities = Vec::new();
        self.detector.push(samples, &mut probabilities);
        self.judge(&probabilities);
    }

    fn judge(&mut self, probabilities: &[f32]) {
        let mut found = Vec::new();
        self.endpointer.push(probabilities, &mut found);
        self.has_ended |= matches!(found.last(), Some(Mark::TimedOut { .. }));
        self.marks.extend(found);
    }

    fn end(&mut self) {
        if self.has_ended {
            return;
        }
        let end = self.end_of_audio();
        let last = self.detector.finish();
        let mut found = Vec::new();
        self.endpointer.push(last.as_slice(), &mut found);
        self.endpointer.finish(end, &mut found);
        // The last frame may go on behind the audio.
        self.marks.extend(found.into_iter().map(|mark| mark.until(end)));
        self.has_ended = true;
    }

    fn decoded(&mut self, id: u64, mut segments: Vec<Segment>, language: String, effects: &mut Vec<Effect>) {
        let Some(job) = self.take_job(id) else { return };
        segments.retain(|segment| !speech::is_no_speech(&segment.text));
        let length = Samples(job.to.0 - job.from.0);
        segments.iter_mut().for_each(|segment| confine(segment, length));
        if job.purpose == Purpose::Final {
            if let Some(closing) = &mut self.closing {
                closing.decoded(segments, language);
            }
            return;
        }
        let Some(open) = self.open else { return };
        let segments: Vec<Segment> = segments.into_iter().map(|segment| segment.shifted(job.from)).collect();
        let text = speech::join(&segments);
        let confirmed = self.agreement.confirm(&text);
        if !text.is_empty() {
            effects.push(Effect::Partial { utterance: open.id, from: job.from, to: job.to, segments, text, confirmed });
        }
    }

    fn lost(&mut self, id: u64, own_doing: Option<&str>, effects: &mut Vec<Effect>) {
        let Some(job) = self.take_job(id) else { return };
        self.epoch += 1;
        effects.push(Effect::Epoch(self.epoch));
        self.agreement.forget();
        match (job.purpose, own_doing) {
            (Purpose::Final, Some(reason)) => {
                let (audio, start) = (&self.audio, self.past.committed);
                if let Some(closing) = &mut self.closing {
                    closing.killed(reason, |from, to| quietest(audio, start, from, to));
                }
            }
            (Purpose::Final, None) => {}
            (Purpose::Partial, _) => {
                if let Some(open) = &mut self.open {
                    open.heard = open.from;
                    open.is_deadly |= own_doing.is_some();
                }
            }
        }
    }

    fn take_job(&mut self, id: u64) -> Option<Job> {
        self.job.take_if(|job| job.id == id)
    }

    /// Does what can be done now.
    fn next(&mut self, effects: &mut Vec<Effect>) {
        while let Some(mark) = self.marks.front().cloned() {
            match mark {
                Mark::Started { at } => {
                    self.past.utterances += 1;
                    let utterance = self.past.utterances;
                    self.open = Some(Open { id: utterance, from: at, heard: at, is_deadly: false });
                    self.agreement.forget();
                    effects.push(Effect::Started { utterance, at });
                }
                Mark::Quiet { to } if to <= self.past.committed => {}
                Mark::Quiet { to } => {
                    self.commit(to);
                    effects.push(Effect::Quiet { checkpoint: Box::new(self.past.clone()) });
                }
                Mark::TimedOut { at, why } => {
                    self.commit(at);
                    self.audio.clear();
                    self.timed_out = Some(why);
                    effects.push(Effect::Quiet { checkpoint: Box::new(self.past.clone()) });
                }
                Mark::Ended { from, speech_end, to, silence } => {
                    let utterance = Utterance { id: self.past.utterances, from, speech_end, to, silence };
                    if !self.close(utterance, effects) {
                        break;
                    }
                }
            }
            self.marks.pop_front();
        }
        let is_decided = |at: Samples| at <= self.past.committed || self.timed_out.is_some();
        while let Some((_, id)) = self.markers.front().filter(|(at, _)| is_decided(*at)).cloned() {
            self.markers.pop_front();
            effects.push(Effect::Marker(id));
        }
        if !self.marks.is_empty() {
            return;
        }
        if self.has_ended {
            self.is_done = true;
            effects.push(Effect::Done { timed_out: self.timed_out });
        } else {
            self.partial(effects);
        }
    }

    /// Works on an utterance that has ended; says whether it is decided.
    fn close(&mut self, utterance: Utterance, effects: &mut Vec<Effect>) -> bool {
        if let Some(job) = self.job.take_if(|job| job.purpose == Purpose::Partial) {
            effects.push(Effect::Cancel { job: job.id });
        }
        if self.job.is_some() {
            return false;
        }
        let closing = self.closing.get_or_insert_with(|| Closing::new(utterance));
        if let Some((from, to)) = closing.next() {
            let speech_end = closing.utterance.speech_end;
            self.decode(Purpose::Final, from, to, speech_end, effects);
            return false;
        }
        if let Some(closing) = self.closing.take() {
            self.decide(closing, effects);
        }
        true
    }

    fn decide(&mut self, closing: Closing, effects: &mut Vec<Effect>) {
        let Closing { utterance, segments, mut gaps, language, .. } = closing;
        for gap in &mut gaps {
            gap.audio = self.stretch(gap.start, gap.end).to_vec();
        }
        self.commit(utterance.to);
        self.past.gaps += gaps.len() as i64;
        (self.past.silent_since, self.past.has_spoken) = (utterance.silence.since, utterance.silence.has_spoken);
        let seq = (!segments.is_empty()).then(|| {
            self.past.finals += 1;
            self.past.context = speech::tail(&speech::join(&segments), speech::CONTEXT);
            self.past.finals
        });
        self.open = None;
        let Utterance { id, from, speech_end, to, .. } = utterance;
        let decided = Decided { utterance: id, from, speech_end, to, seq, segments, language, gaps };
        effects.push(Effect::Decided { decided: Box::new(decided), checkpoint: Box::new(self.past.clone()) });
    }

    /// Lets go of audio.
    fn commit(&mut self, to: Samples) {
        let decided = usize::try_from(to.0 - self.past.committed.0).unwrap_or(0).min(self.audio.len());
        self.audio.drain(..decided);
        self.past.committed = to;
    }

    /// Begins a partial, if one is due.
    fn partial(&mut self, effects: &mut Vec<Effect>) {
        let (Some(open), Some(step), None) = (self.open, self.step, &self.job) else { return };
        let end = Samples(self.end_of_audio().0.min(open.from.0 + self.longest.0));
        let is_new = end.0 - open.heard.0 >= if open.heard == open.from { WORTH } else { step.0.max(1) };
        if open.is_deadly || !is_new {
            return;
        }
        self.open = Some(Open { heard: end, ..open });
        self.decode(Purpose::Partial, open.from, end, end, effects);
    }

    fn decode(&mut self, purpose: Purpose, from: Samples, to: Samples, speech_end: Samples, effects: &mut Vec<Effect>) {
        self.next_job += 1;
        let job = self.next_job;
        self.job = Some(Job { id: job, purpose, from, to });
        let silence = (AFTER_SPEECH - (to.0 - speech_end.0.min(to.0))).min(WINDOW - (to.0 - from.0));
        let silence = usize::try_from(silence).unwrap_or(0);
        let context = match self.past.context.is_empty() {
            true => self.prompt.clone(),
            false => self.past.context.clone(),
        };
        effects.push(Effect::Decode(Decode { job, purpose, from, to, silence, context }));
    }
}

/// Sees to it that a segment lies in its window: behind it, there is only the silence that was put there.
fn confine(segment: &mut Segment, length: Samples) {
    segment.start = segment.start.min(length);
    segment.end = segment.end.min(length);
    for word in &mut segment.words {
        word.start = word.start.min(length);
        word.end = word.end.min(length);
    }
}

/// The middle of the quietest stretch in `from..to`, of audio that starts at `start`.
fn quietest(audio: &[i16], start: Samples, from: Samples, to: Samples) -> Samples {
    let index = |at: Samples| usize::try_from(at.0 - start.0).unwrap_or(0).min(audio.len());
    let middle = Samples(i64::midpoint(from.0, to.0));
    let stretches = audio.get(index(from)..index(to)).unwrap_or_default().chunks_exact(QUIET);
    let energy = |stretch: &[i16]| stretch.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum::<i64>();
    let quietest = stretches.enumerate().min_by_key(|(_, stretch)| energy(stretch));
    quietest.map_or(middle, |(number, _)| Samples(from.0 + (number * QUIET + QUIET / 2) as i64))
}

#[cfg(test)]
mod tests;
