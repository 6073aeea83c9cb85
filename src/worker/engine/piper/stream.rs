//! Speaks lines: audio comes while the line is still being made, from all cores at once.
//!
//! A line goes through three kinds of jobs: the text is read as a whole; the flow is computed in chunks; the decoder
//! makes windows of audio, each on its own. A few threads take jobs from a common board, the earliest line first and in
//! it whatever is nearest to being audio, while the caller's thread hands finished windows on in order. Two lines ahead
//! at most are begun, and only so many windows are made that nobody has taken yet. Every sample is the same whatever the
//! number of threads and whoever is slow, since no job looks at anything but the line.

use super::{
    board::{Board, work},
    cut::{MAX_IDS, Marks},
    limiter::Limiter,
    plan::Sentence,
    section::Desk,
    voice::Voice,
};
use crate::{
    error::{Error, Kind, Result},
    models::voice_config::Scales,
};
use std::{
    ops::{ControlFlow, Range},
    time::Duration,
};

/// How often the caller is asked whether to go on while nothing happens.
const LOOK_UP: Duration = Duration::from_millis(20);

/// A line to speak.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Phonemes as ids, with the marks of beginning and end.
    pub(super) ids: Vec<u32>,
    /// How it is to be spoken.
    pub(super) scales: Scales,
    /// Who speaks; by default whom the voice names.
    pub(super) speaker: Option<u32>,
    /// What all randomness comes from.
    pub(super) seed: u64,
    /// Samples of silence after it.
    pub(super) silence: usize,
}

/// What becomes of the voice's own level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It stays.
    #[cfg(test)]
    Raw,
    /// The same gain for all lines of a voice, and no peak beyond full scale.
    Steady,
    /// Each line is brought to full scale, as piper-tts does it; its audio comes at its end.
    Normalized,
}

/// What happens while lines are spoken, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// A line begins; how many samples it will have, silence included, where that is known.
    LineBegins { line: usize, samples: Option<usize> },
    /// How many samples each of some ids lasts. Of a line that is spoken in several pieces, each piece has its own, which
    /// continue each other.
    Alignment(&'a [usize]),
    /// Samples.
    Audio(&'a [f32]),
    /// A line has ended.
    LineEnds { line: usize },
}

/// How to speak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// What becomes of the level.
    pub(super) level: Level,
    /// How many threads compute, at least 1.
    pub(super) threads: usize,
}

/// A sentence to make, and what it is to its line.
#[derive(Debug)]
pub(super) struct Segment {
    /// The sentence.
    pub(super) sentence: Sentence,
    line: usize,
    first: bool,
    last: bool,
    own: Range<usize>,
}

/// Speaks `lines`, giving `sink` what happens until it breaks. `cancelled` is asked between jobs and several times a
/// second; from then on no job is begun.
///
/// # Errors
/// `InvalidInput` for ids, scales or speakers that the voice does not have, before any event; `Cancelled`; `Internal`
/// when the voice fails.
pub(super) fn speak(
    voice: &Voice,
    lines: &[Line],
    options: Options,
    cancelled: &(dyn Fn() -> bool + Sync),
    sink: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let segments = segments(voice, lines)?;
    let mut desks: Vec<Desk> = (0..options.threads.max(1)).map(|_| Desk::new()).collect();
    let mut gains = Vec::new();
    for segment in &segments {
        gains.push(match (options.level, desks.first_mut()) {
            (Level::Steady, Some(desk)) => voice.gain(segment.sentence.speaker, desk)?,
            _ => 1.0,
        });
    }
    let board = Board::new(voice, &segments, desks.len(), cancelled);
    std::thread::scope(|scope| {
        // However this ends, by a panic of the sink even, or for want of a thread, the threads must be told, or the scope
        // would wait for ever.
        let _stop = board.stop_at_end();
        for desk in &mut desks {
            let board = &board;
            scope.spawn(move || work(board, desk));
        }
        hand_on(voice, lines, &segments, &gains, options.level, &board, sink)
    })
}

/// Checks lines and cuts them into sentences.
pub(super) fn segments(voice: &Voice, lines: &[Line]) -> Result<Vec<Segment>> {
    let marks = Marks::of(&voice.config);
    let known = voice.config.phoneme_ids.values().flatten().copied().max().unwrap_or(0);
    let mut segments = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let speaker = voice.speaker(line.speaker)?;
        check(line.scales)?;
        if let Some(id) = line.ids.iter().find(|&&id| id > known) {
            return Err(Error::invalid(format!("the voice has no phoneme {id}: its ids end with {known}")));
        }
        let ids: Vec<i32> = line.ids.iter().map(|id| id.cast_signed()).collect();
        if ids.is_empty() {
            return Err(Error::invalid("a line has no phonemes"));
        }
        // Slow speech has more frames for the same ids, and memory grows with the product.
        let most = (MAX_IDS as f32 / line.scales.length.max(1.0).sqrt()) as usize;
        let pieces = marks.cut(&ids, most.max(16));
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            let seed = line.seed.wrapping_add((index as u64).wrapping_mul(0xd134_2543_de82_ef95));
            segments.push(Segment {
                sentence: Sentence { ids: piece.ids, scales: line.scales, speaker, seed },
                line: number,
                first: index == 0,
                last: index + 1 == count,
                own: piece.own,
            });
        }
    }
    Ok(segments)
}

fn check(scales: Scales) -> Result<()> {
    let fields =
        [("noise scale", scales.noise, 0.0), ("length scale", scales.length, 0.05), ("noise w", scales.noise_w, 0.0)];
    match fields.iter().find(|(_, value, least)| !(*least..=20.0).contains(value)) {
        None => Ok(()),
        Some((name, value, least)) => {
            let hint = if *name == "length scale" { "; all speeds divide it" } else { "" };
            Err(Error::invalid(format!("{name} {value} is not in {least} to 20{hint}")))
        }
    }
}

/// Gives finished windows to the sink, in order.
fn hand_on(
    voice: &Voice,
    lines: &[Line],
    segments: &[Segment],
    gains: &[f32],
    level: Level,
    board: &Board<'_>,
    sink: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let mut output = Output { sink, level, limiter: Limiter::new(1.0, voice.config.sample_rate), held: Vec::new() };
    for (index, (segment, &gain)) in segments.iter().zip(gains).enumerate() {
        let Some(layout) = board.layout(index, LOOK_UP)? else { return Ok(()) };
        let hop = voice.config.hop;
        let silence = lines.get(segment.line).map_or(0, |line| line.silence);
        if segment.first {
            output.limiter = Limiter::new(gain, voice.config.sample_rate);
            let samples = segment.last.then_some(layout.samples + silence);
            if (output.sink)(Event::LineBegins { line: segment.line, samples }).is_break() {
                return Ok(());
            }
        }
        let aligned = own_durations(&layout.durations, &segment.own, hop);
        if !aligned.is_empty() && (output.sink)(Event::Alignment(&aligned)).is_break() {
            return Ok(());
        }
        for window in 0..layout.windows {
            let Some(samples) = board.window(index, window, LOOK_UP)? else { return Ok(()) };
            if output.audio(samples).is_break() {
                return Ok(());
            }
        }
        board.done(index);
        if segment.last
            && (output.end(silence).is_break() || (output.sink)(Event::LineEnds { line: segment.line }).is_break())
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Samples for each of the line's own ids: marks that a cut has added count with their neighbours.
fn own_durations(frames: &[usize], own: &Range<usize>, hop: usize) -> Vec<usize> {
    let mut samples: Vec<usize> =
        frames.get(own.clone()).unwrap_or_default().iter().map(|frames| frames * hop).collect();
    let before: usize = frames.iter().take(own.start).sum();
    let after: usize = frames.iter().skip(own.end).sum();
    if let Some(first) = samples.first_mut() {
        *first += before * hop;
    }
    if let Some(last) = samples.last_mut() {
        *last += after * hop;
    }
    samples
}

/// The way of samples to the sink.
struct Output<'a> {
    sink: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    level: Level,
    limiter: Limiter,
    /// A line that is held back until its peak is known.
    held: Vec<f32>,
}

impl Output<'_> {
    fn audio(&mut self, samples: Vec<f32>) -> ControlFlow<()> {
        match self.level {
            #[cfg(test)]
            Level::Raw => self.give(&samples),
            Level::Steady => {
                let mut limited = Vec::with_capacity(samples.len());
                self.limiter.push(&samples, &mut limited);
                self.give(&limited)
            }
            Level::Normalized => {
                self.held.extend(samples);
                ControlFlow::Continue(())
            }
        }
    }

    fn end(&mut self, silence: usize) -> ControlFlow<()> {
        let mut rest = std::mem::take(&mut self.held);
        match self.level {
            #[cfg(test)]
            Level::Raw => {}
            Level::Steady => self.limiter.finish(&mut rest),
            Level::Normalized => normalize(&mut rest),
        }
        self.give(&rest)?;
        let mut left = silence;
        let nothing = vec![0.0; silence.min(1 << 14)];
        while left > 0 {
            let now = left.min(nothing.len());
            self.give(&nothing[..now])?;
            left -= now;
        }
        ControlFlow::Continue(())
    }

    fn give(&mut self, samples: &[f32]) -> ControlFlow<()> {
        if samples.is_empty() { ControlFlow::Continue(()) } else { (self.sink)(Event::Audio(samples)) }
    }
}

/// Brings a line to full scale as piper-tts 1.8.0 does (`PiperVoice.synthesize`): divided by its peak, or silenced when
/// that is below 1e-8.
fn normalize(samples: &mut [f32]) {
    let peak = samples.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    for sample in samples {
        *sample = if peak < 1e-8 { 0.0 } else { (*sample / peak).clamp(-1.0, 1.0) };
    }
}

/// That a caller gave up.
pub(super) fn gave_up() -> Error {
    Error::new(Kind::Cancelled, "cancelled")
}

#[cfg(test)]
mod tests;
