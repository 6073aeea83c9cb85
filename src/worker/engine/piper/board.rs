//! The board from which the threads that speak take their jobs, and on which they put what they have made.

use super::{
    plan::all_finite,
    section::{Desk, Latents, Which, stretch},
    stream::{Segment, gave_up},
    voice::{Columns, Voice},
};
use crate::error::{Error, Kind, Result};
use std::{
    collections::VecDeque,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Frames of a line's windows: the first is short, for the listener waits for it; later ones are as long as fits into
/// the second-level cache of a core, where the decoder is fastest.
const FIRST_WINDOW: usize = 8;
const LAST_WINDOW: usize = 32;

/// Frames of the flow's chunks: the first two windows' share, then more, since each chunk computes its context anew.
const FIRST_CHUNK: usize = 32;
const LAST_CHUNK: usize = 256;

/// Sentences that may be begun beside the one that is being heard.
const AHEAD: usize = 2;

/// Windows that may be made, or in the making, before they are taken: for each thread, and beside.
const SPARE_WINDOWS: usize = 4;

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Lay a sentence out.
    Plan(usize),
    /// Compute a chunk of its flow.
    Flow(usize, Range<usize>),
    /// Make one of its windows.
    Decode(usize, usize),
}

/// What is known of a sentence once it is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Samples in all.
    pub(super) samples: usize,
    /// Windows.
    pub(super) windows: usize,
    /// Frames for each id; empty when the voice does not tell.
    pub(super) durations: Vec<usize>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Waiting,
    Planning,
    Open(Box<Open>),
    Over,
}

/// A sentence that is being made.
#[derive(Debug)]
struct Open {
    layout: Layout,
    frames: usize,
    columns: Columns,
    before_flow: Vec<f32>,
    latents: Vec<f32>,
    /// Chunks of the flow that nobody has begun.
    chunks: VecDeque<Range<usize>>,
    /// Which frames have been through the flow.
    flowed: Vec<bool>,
    windows: Vec<Range<usize>>,
    /// The first window that nobody has begun.
    next: usize,
    made: Vec<Option<Vec<f32>>>,
    /// Windows made or in the making that have not been taken.
    out: usize,
}

#[derive(Debug)]
struct State {
    stages: Vec<Stage>,
    /// The sentence that is being heard.
    heard: usize,
    stopped: bool,
    failure: Option<Error>,
}

/// The board.
pub(super) struct Board<'a> {
    voice: &'a Voice,
    segments: &'a [Segment],
    cancelled: &'a (dyn Fn() -> bool + Sync),
    most_out: usize,
    state: Mutex<State>,
    jobs: Condvar,
    news: Condvar,
}

/// Stops all threads when it goes.
pub(super) struct Stop<'b, 'a>(&'b Board<'a>);

impl Drop for Stop<'_, '_> {
    fn drop(&mut self) {
        self.0.stop(None);
    }
}

impl<'a> Board<'a> {
    /// A board with all of `segments` still to do.
    pub(super) fn new(
        voice: &'a Voice,
        segments: &'a [Segment],
        threads: usize,
        cancelled: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        let stages = segments.iter().map(|_| Stage::Waiting).collect();
        let state = State { stages, heard: 0, stopped: false, failure: None };
        let (jobs, news) = (Condvar::new(), Condvar::new());
        let most_out = threads * 2 + SPARE_WINDOWS;
        Self { voice, segments, cancelled, most_out, state: Mutex::new(state), jobs, news }
    }

    /// Something that stops all threads when it is dropped.
    pub(super) fn stop_at_end(&self) -> Stop<'_, 'a> {
        Stop(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, failure: Option<Error>) {
        let mut state = self.lock();
        state.stopped = true;
        if state.failure.is_none() {
            state.failure = failure;
        }
        self.jobs.notify_all();
        self.news.notify_all();
    }

    /// Waits until a sentence is laid out. `None` when all was stopped.
    ///
    /// # Errors
    /// What a thread failed with, or `Cancelled`.
    pub(super) fn layout(&self, segment: usize, look_up: Duration) -> Result<Option<Layout>> {
        self.wait(look_up, |state| match state.stages.get_mut(segment) {
            Some(Stage::Open(open)) => Some(open.layout.clone()),
            _ => None,
        })
    }

    /// Waits for a window and takes it. `None` when all was stopped.
    ///
    /// # Errors
    /// What a thread failed with, or `Cancelled`.
    pub(super) fn window(&self, segment: usize, window: usize, look_up: Duration) -> Result<Option<Vec<f32>>> {
        let taken = self.wait(look_up, |state| {
            let Some(Stage::Open(open)) = state.stages.get_mut(segment) else { return None };
            let taken = open.made.get_mut(window).and_then(Option::take)?;
            open.out -= 1;
            Some(taken)
        });
        self.jobs.notify_all();
        taken
    }

    /// A sentence has been heard to its end: its memory goes.
    pub(super) fn done(&self, segment: usize) {
        let mut state = self.lock();
        state.heard = segment + 1;
        if let Some(stage) = state.stages.get_mut(segment) {
            *stage = Stage::Over;
        }
        self.jobs.notify_all();
    }

    fn wait<T>(&self, look_up: Duration, mut ready: impl FnMut(&mut State) -> Option<T>) -> Result<Option<T>> {
        if (self.cancelled)() {
            return Err(gave_up());
        }
        let mut state = self.lock();
        loop {
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            if let Some(value) = ready(&mut state) {
                return Ok(Some(value));
            }
            if state.stopped {
                return Ok(None);
            }
            state = self.news.wait_timeout(state, look_up).unwrap_or_else(PoisonError::into_inner).0;
            drop(state);
            if (self.cancelled)() {
                return Err(gave_up());
            }
            state = self.lock();
        }
    }

    /// The next job; waits until there is one. `None` when there will be none.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(job) = self.pick(&mut state) {
                return Some(job);
            }
            if state.stages.iter().skip(state.heard).all(|stage| matches!(stage, Stage::Over)) {
                return None;
            }
            state = self.jobs.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pick(&self, state: &mut State) -> Option<Job> {
        let heard = state.heard;
        // Sentences ahead share a number of windows. The one that is being heard has as many for itself: otherwise those
        // ahead could take all, and the window that the caller waits for would never be begun.
        let out = |stage: &Stage| if let Stage::Open(open) = stage { open.out } else { 0 };
        let ahead: usize = state.stages.iter().skip(heard + 1).map(out).sum();
        for (index, stage) in state.stages.iter_mut().enumerate().skip(heard).take(AHEAD + 1) {
            match stage {
                Stage::Waiting => {
                    *stage = Stage::Planning;
                    return Some(Job::Plan(index));
                }
                Stage::Open(open) => {
                    let others = if index == heard { open.out } else { ahead };
                    if others < self.most_out
                        && let Some(window) = open.next_window(self.voice)
                    {
                        open.out += 1;
                        return Some(Job::Decode(index, window));
                    }
                    if let Some(chunk) = open.chunks.pop_front() {
                        return Some(Job::Flow(index, chunk));
                    }
                }
                Stage::Planning | Stage::Over => {}
            }
        }
        None
    }

    /// Carries out one job.
    ///
    /// # Errors
    /// As the voice's.
    fn carry_out(&self, job: &Job, desk: &mut Desk) -> Result<()> {
        match job {
            Job::Plan(index) => self.plan(*index, desk),
            Job::Flow(index, chunk) => self.flow(*index, chunk, desk),
            Job::Decode(index, window) => self.decode(*index, *window, desk),
        }
    }

    fn plan(&self, index: usize, desk: &mut Desk) -> Result<()> {
        let sentence = &self.segments[index].sentence;
        let plan = self.voice.plan(sentence, desk)?;
        let columns = self.voice.columns(sentence.speaker, desk)?;
        let (frames, durations) = (plan.frames, plan.durations);
        let open = if self.voice.streams() {
            let windows = grown(frames, FIRST_WINDOW, LAST_WINDOW);
            Open {
                layout: Layout { samples: frames * self.voice.config.hop, windows: windows.len(), durations },
                frames,
                columns,
                latents: vec![0.0; plan.latents.len()],
                before_flow: plan.latents,
                chunks: grown(frames, FIRST_CHUNK, LAST_CHUNK).into(),
                flowed: vec![false; frames],
                made: windows.iter().map(|_| None).collect(),
                windows,
                next: 0,
                out: 0,
            }
        } else {
            Open {
                layout: Layout { samples: plan.latents.len(), windows: 1, durations },
                frames,
                columns,
                latents: Vec::new(),
                before_flow: Vec::new(),
                chunks: VecDeque::new(),
                flowed: Vec::new(),
                made: vec![Some(plan.latents)],
                windows: Vec::new(),
                next: 0,
                out: 1,
            }
        };
        self.lock().stages[index] = Stage::Open(Box::new(open));
        Ok(())
    }

    fn flow(&self, index: usize, chunk: &Range<usize>, desk: &mut Desk) -> Result<()> {
        let (Some(flow), channels) = (self.voice.section(Which::Flow), self.voice.channels()) else { return Ok(()) };
        let speaker = self.segments[index].sentence.speaker;
        let (input, first, frames, columns) = {
            let state = self.lock();
            let Some(Stage::Open(open)) = state.stages.get(index) else { return Ok(()) };
            let needs = flow.needs(chunk, open.frames);
            let all = Latents { data: &open.before_flow, first: 0, frames: open.frames };
            (stretch(all, channels, &needs), needs.start, open.frames, open.columns.clone())
        };
        let made = flow.run(Latents { data: &input, first, frames }, chunk, (speaker, &columns[0]), desk)?;
        let mut state = self.lock();
        let Some(Stage::Open(open)) = state.stages.get_mut(index) else { return Ok(()) };
        for (row, made) in open.latents.chunks_exact_mut(frames).zip(made.chunks_exact(chunk.len())) {
            row[chunk.clone()].copy_from_slice(made);
        }
        open.flowed[chunk.clone()].fill(true);
        Ok(())
    }

    fn decode(&self, index: usize, window: usize, desk: &mut Desk) -> Result<()> {
        let (Some(decoder), channels) = (self.voice.section(Which::Decoder), self.voice.channels()) else {
            return Ok(());
        };
        let speaker = self.segments[index].sentence.speaker;
        let (input, first, frames, range, columns) = {
            let state = self.lock();
            let Some(Stage::Open(open)) = state.stages.get(index) else { return Ok(()) };
            let range = open.windows[window].clone();
            let needs = decoder.needs(&range, open.frames);
            let all = Latents { data: &open.latents, first: 0, frames: open.frames };
            (stretch(all, channels, &needs), needs.start, open.frames, range, open.columns.clone())
        };
        let samples = decoder.run(Latents { data: &input, first, frames }, &range, (speaker, &columns[1]), desk)?;
        all_finite(&samples)?;
        let mut state = self.lock();
        if let Some(Stage::Open(open)) = state.stages.get_mut(index) {
            open.made[window] = Some(samples);
        }
        Ok(())
    }
}

impl Open {
    /// Begins the next window, if the flow has got that far.
    fn next_window(&mut self, voice: &Voice) -> Option<usize> {
        let window = self.windows.get(self.next)?;
        let needs = voice.section(Which::Decoder)?.needs(window, self.frames);
        if !self.flowed[needs].iter().all(|&flowed| flowed) {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

/// What a thread does: jobs, until there are none.
pub(super) fn work(board: &Board<'_>, desk: &mut Desk) {
    while let Some(job) = board.next() {
        if (board.cancelled)() {
            board.stop(Some(gave_up()));
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(|| board.carry_out(&job, desk)));
        match done {
            Ok(Ok(())) => {
                drop(board.lock());
                board.jobs.notify_all();
                board.news.notify_all();
            }
            Ok(Err(error)) => board.stop(Some(error)),
            Err(_) => board.stop(Some(Error::new(Kind::Internal, "a thread that makes speech has failed"))),
        }
    }
}

/// Ranges that cover `0..length`, beginning with `first` and growing by half up to `last`.
fn grown(length: usize, first: usize, last: usize) -> Vec<Range<usize>> {
    let (mut ranges, mut at, mut size) = (Vec::new(), 0, first);
    while at < length {
        let end = (at + size).min(length);
        ranges.push(at..end);
        (at, size) = (end, (size + size / 2).min(last));
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::voice_config::Scales;
    use crate::worker::engine::piper::{
        stream::{Line, segments},
        voice::tests::voice,
    };
    use proptest::prelude::*;

    #[test]
    fn what_nobody_takes_is_not_made_for_ever() {
        let voice = voice("test-voice.onnx");
        let scales = Scales { noise: 0.0, length: 3.0, noise_w: 0.0 };
        let ids = [1].into_iter().chain((0..200).map(|n| 14 + n % 26)).chain([2]).collect();
        let line = Line { ids, scales, speaker: None, seed: 0, silence: 0 };
        let segments = segments(&voice, &vec![line; 9]).unwrap();
        let board = Board::new(&voice, &segments, 2, &|| false);
        let mut desk = Desk::new();
        let made = |board: &Board<'_>| {
            let state = board.lock();
            let open =
                state.stages.iter().filter_map(|stage| if let Stage::Open(open) = stage { Some(open) } else { None });
            open.map(|open| open.made.iter().flatten().count()).collect::<Vec<_>>()
        };
        let run_dry = |desk: &mut Desk| {
            loop {
                let job = board.pick(&mut board.lock());
                let Some(job) = job else { break };
                board.carry_out(&job, desk).unwrap();
            }
        };
        run_dry(&mut desk);
        assert_eq!(made(&board), [8, 8, 0]);
        assert!(board.window(0, 0, Duration::ZERO).unwrap().is_some());
        run_dry(&mut desk);
        assert_eq!(made(&board), [8, 8, 0]);
    }

    #[test]
    fn the_window_that_is_waited_for_is_always_made_whoever_is_fast() {
        let voice = voice("test-voice.onnx");
        let line = |count: u32| Line {
            ids: [1].into_iter().chain((0..count).map(|n| 14 + n % 26)).chain([2]).collect(),
            scales: Scales { noise: 0.0, length: 1.0, noise_w: 0.0 },
            speaker: None,
            seed: 0,
            silence: 0,
        };
        let segments = segments(&voice, &[line(150), line(3), line(150), line(40), line(1)]).unwrap();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
        // Three threads of which now one, now the other ends its job.
        let orders = prop::collection::vec(0usize..3, 1..50);
        let ran = runner.run(&orders, |order| {
            let mut desk = Desk::new();
            let board = Board::new(&voice, &segments, 1, &|| false);
            let (mut running, mut order): (Vec<Job>, _) = (Vec::new(), order.into_iter().cycle());
            for segment in 0..segments.len() {
                let mut window = 0;
                loop {
                    while running.len() < 3
                        && let Some(job) = board.pick(&mut board.lock())
                    {
                        running.push(job);
                    }
                    let taken = match &mut board.lock().stages[segment] {
                        Stage::Open(open) if window == open.layout.windows => break,
                        Stage::Open(open) => open.made[window].take().map(|_| open.out -= 1).is_some(),
                        _ => false,
                    };
                    window += usize::from(taken);
                    if !taken {
                        prop_assert!(!running.is_empty(), "sentence {segment} stands still at window {window}");
                        let job = running.remove(order.next().unwrap() % running.len());
                        board.carry_out(&job, &mut desk).unwrap();
                    }
                }
                board.done(segment);
            }
            Ok(())
        });
        ran.unwrap();
    }

    #[test]
    fn ranges_cover_everything_once_and_grow() {
        assert_eq!(grown(60, 8, 16), [0..8, 8..20, 20..36, 36..52, 52..60]);
        assert_eq!(grown(9, 8, 16), [0..8, 8..9]);
        assert!(grown(0, 8, 16).is_empty());
    }
}
