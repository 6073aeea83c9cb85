//! Endpointing: where utterances begin and end. A function of the probabilities of frames, from a commit on.

use super::rules::Rules;
use crate::speech::Samples;
use std::collections::VecDeque;

/// What is found in the audio, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    /// Somebody has begun to speak; the utterance's audio begins here.
    Started { at: Samples },
    /// The utterance's audio is `from..to`; speech ends at `speech_end`, `to` at the latest.
    Ended { from: Samples, speech_end: Samples, to: Samples, silence: Silence },
    /// Nobody has spoken since the last mark.
    Quiet { to: Samples },
    /// The session is to end here.
    TimedOut { at: Samples, why: TimedOut },
}

impl Mark {
    /// The same, of audio that ends at `end`.
    pub(super) fn until(self, end: Samples) -> Self {
        match self {
            Mark::Started { at } => Mark::Started { at: at.min(end) },
            Mark::Ended { from, speech_end, to, silence } => {
                let silence = Silence { since: silence.since.min(end), ..silence };
                Mark::Ended { from, speech_end: speech_end.min(end), to: to.min(end), silence }
            }
            Mark::Quiet { to } => Mark::Quiet { to: to.min(end) },
            Mark::TimedOut { at, why } => Mark::TimedOut { at: at.min(end), why },
        }
    }
}

/// Which time-out ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimedOut {
    /// Nobody has begun to speak.
    NoSpeech,
    /// Nobody has spoken again.
    SpeechEnded,
}

/// Since when nobody has spoken: what time-outs need to know of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Silence {
    /// The end of the last speech, or the session's start.
    pub(super) since: Samples,
    /// Whether anybody has spoken at all.
    pub(super) has_spoken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Nobody speaks; `run` frames in a row up to now may be the beginning of speech.
    Quiet { run: i64 },
    /// Somebody speaks. In frames: where the utterance's audio starts, and where its last frame of speech ended.
    Speaking { from: i64, speech_end: i64 },
}

/// Finds marks in the probabilities of frames.
#[derive(Clone, Debug)]
pub(super) struct Endpointer {
    rules: Rules,
    /// Samples of a frame.
    frame: i64,
    /// Where the search began: the last mark, in frames.
    start: i64,
    silence: Silence,
    phase: Phase,
    /// The frames since `start`, and how many of them have been looked at.
    frames: VecDeque<f32>,
    seen: usize,
    is_over: bool,
}

impl Endpointer {
    /// One that searches from `start` on, a multiple of the frame's length.
    pub(super) fn at(rules: Rules, frame: usize, start: Samples, silence: Silence) -> Self {
        let frame = i64::try_from(frame).unwrap_or(i64::MAX).max(1);
        let phase = Phase::Quiet { run: 0 };
        let frames = VecDeque::new();
        Self { rules, frame, start: start.0 / frame, silence, phase, frames, seen: 0, is_over: false }
    }

    /// Takes the probabilities of the next frames, and adds what is found.
    pub(super) fn push(&mut self, probabilities: &[f32], found: &mut Vec<Mark>) {
        if self.is_over {
            return;
        }
        self.frames.extend(probabilities);
        while let Some(probability) = self.frames.get(self.seen).copied() {
            self.seen += 1;
            self.step(probability, found);
            if self.is_over {
                self.frames.clear();
                return;
            }
        }
    }

    /// The end of the audio, at `end`, which need not be the end of a frame: an utterance that is open ends here.
    pub(super) fn finish(&mut self, end: Samples, found: &mut Vec<Mark>) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        if let Phase::Speaking { from, speech_end } = self.phase {
            let speech_end = self.samples(speech_end).min(end);
            let silence = Silence { since: speech_end, has_spoken: true };
            found.push(Mark::Ended { from: self.samples(from), speech_end, to: end, silence });
        } else if end > self.samples(self.start) {
            found.push(Mark::Quiet { to: end });
        }
    }

    fn step(&mut self, probability: f32, found: &mut Vec<Mark>) {
        let now = self.start + self.seen as i64;
        match self.phase {
            Phase::Quiet { run } => {
                let threshold = if run > 0 { self.rules.silence_threshold() } else { self.rules.threshold };
                let run = if probability >= threshold { run + 1 } else { 0 };
                self.phase = Phase::Quiet { run };
                self.quiet(now, run, found);
            }
            Phase::Speaking { from, speech_end } => {
                let speech_end = if probability >= self.rules.silence_threshold() { now } else { speech_end };
                self.phase = Phase::Speaking { from, speech_end };
                if now - speech_end >= self.frames_of(self.rules.end_silence) {
                    self.ended(from, speech_end, now, found);
                } else if now - from >= self.rules.longest.0 / self.frame {
                    let cut = self.last_pause(from, now);
                    self.ended(from, cut.min(speech_end), cut, found);
                }
            }
        }
    }

    fn quiet(&mut self, now: i64, run: i64, found: &mut Vec<Mark>) {
        let padding = self.frames_of(self.rules.padding);
        let from = (now - run - padding).max(self.start);
        if run > 0 && run >= self.frames_of(self.rules.shortest) {
            self.phase = Phase::Speaking { from, speech_end: now };
            found.push(Mark::Started { at: self.samples(from) });
            return;
        }
        if from - self.start >= self.frames_of(self.rules.start_silence) {
            found.push(Mark::Quiet { to: self.samples(from) });
            self.search_from(from);
            return;
        }
        let silence = self.samples(now).0 - self.silence.since.0;
        let (limit, why) = match self.silence.has_spoken {
            true => (self.rules.end_timeout, TimedOut::SpeechEnded),
            false => (self.rules.start_timeout, TimedOut::NoSpeech),
        };
        if run == 0 && limit.is_some_and(|limit| silence >= limit.0) {
            self.is_over = true;
            found.push(Mark::TimedOut { at: self.samples(now), why });
        }
    }

    fn ended(&mut self, from: i64, speech_end: i64, to: i64, found: &mut Vec<Mark>) {
        self.silence = Silence { since: self.samples(speech_end), has_spoken: true };
        let (from, speech_end) = (self.samples(from), self.samples(speech_end));
        found.push(Mark::Ended { from, speech_end, to: self.samples(to), silence: self.silence });
        self.search_from(to);
    }

    /// Begins anew at a frame. What was heard behind it is looked at once more, as it would be after a restart.
    fn search_from(&mut self, start: i64) {
        let decided = usize::try_from(start - self.start).unwrap_or(0).min(self.frames.len());
        self.frames.drain(..decided);
        self.start = start;
        self.seen = 0;
        self.phase = Phase::Quiet { run: 0 };
    }

    /// Where an utterance that is too long is cut: in the middle of the longest pause of its second half, the last of
    /// them; without a pause, where speech is least likely.
    fn last_pause(&self, from: i64, now: i64) -> i64 {
        let first = from + (now - from) / 2;
        let probability = |frame: i64| {
            let index = usize::try_from(frame - self.start).unwrap_or(0);
            self.frames.get(index).copied().unwrap_or(0.0)
        };
        let (mut longest, mut pause) = (0, None);
        let mut run = 0;
        let (mut least, mut least_at) = (f32::INFINITY, now);
        for frame in first..now {
            let likely = probability(frame);
            run = if likely < self.rules.silence_threshold() { run + 1 } else { 0 };
            if run > 0 && run >= longest {
                (longest, pause) = (run, Some(frame + 1 - run / 2));
            }
            if likely <= least {
                (least, least_at) = (likely, frame);
            }
        }
        pause.unwrap_or(least_at).clamp(first + 1, now)
    }

    /// A length in frames, rounded up.
    fn frames_of(&self, length: Samples) -> i64 {
        length.0.div_euclid(self.frame) + i64::from(length.0.rem_euclid(self.frame) > 0)
    }

    fn samples(&self, frames: i64) -> Samples {
        Samples(frames * self.frame)
    }
}

#[cfg(test)]
mod tests;
