//! A part of a voice that works along time (its flow, its decoder), as a list of steps over planes of signal.
//!
//! It computes any window of the output from just the values that have a say in it: going backwards through the steps,
//! each says which times of its inputs it needs. So a window costs little more than its share of the whole, and is equal
//! to the bit to the same stretch of the whole.

use super::{
    kernel::{self, Plane, Rows, Weights},
    pointwise::{self, Join, Map},
};
use std::ops::Range;

/// Rows of a register.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// Which register.
    pub(super) register: usize,
    /// Which of its rows.
    pub(super) rows: Range<usize>,
}

/// One value for each channel, the same at all times.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// Known when the voice is loaded.
    Constant(Vec<f32>),
    /// Depends on the speaker: rows of one of the columns that `run` is given.
    Speaker(usize),
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Action {
    /// A convolution, and perhaps something added to it.
    Convolve { input: View, weights: Weights, shift: i64, residual: Option<View> },
    /// A transposed convolution: `weights` has `stride` outputs for each channel.
    Upsample { input: View, weights: Weights, stride: usize, pad: i64 },
    /// Each value alone.
    Map { input: View, map: Map },
    /// Two signals.
    Join { a: View, b: View, join: Join },
    /// A signal and a column; the column first, if so.
    Shade { input: View, column: Column, join: Join, column_first: bool },
    /// Signals one below the other; each with its rows in reverse order, if so.
    Stack { inputs: Vec<(View, bool)> },
}

/// One step; it fills a register that nothing else fills.
#[derive(Debug)]
pub(super) struct Step {
    /// What it does.
    pub(super) action: Action,
    /// Where the result goes.
    pub(super) output: usize,
}

/// A register: one signal between steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Register {
    /// Channels.
    pub(super) rows: usize,
    /// Values for one frame.
    pub(super) rate: usize,
}

/// The steps, in order. Register 0 is the input.
#[derive(Debug)]
pub(super) struct Tape {
    /// The registers.
    pub(super) registers: Vec<Register>,
    /// The steps.
    pub(super) steps: Vec<Step>,
    /// The result.
    pub(super) output: View,
}

impl Step {
    /// The registers that it reads, each as often as it does.
    pub(super) fn registers(&self) -> impl Iterator<Item = usize> {
        self.action.inputs().into_iter().map(|view| view.register)
    }
}

impl Action {
    fn inputs(&self) -> Vec<&View> {
        match self {
            Self::Convolve { input, residual, .. } => std::iter::once(input).chain(residual).collect(),
            Self::Upsample { input, .. } | Self::Map { input, .. } | Self::Shade { input, .. } => vec![input],
            Self::Join { a, b, .. } => vec![a, b],
            Self::Stack { inputs } => inputs.iter().map(|(view, _)| view).collect(),
        }
    }

    /// The times that it reads to make `times`, for each of `inputs`.
    fn reads(&self, times: (i64, i64)) -> Vec<(usize, (i64, i64))> {
        let first = match self {
            Self::Convolve { weights, shift, .. } => {
                (times.0 + shift, times.1 + shift + ((weights.taps - 1) * weights.dilation) as i64)
            }
            Self::Upsample { weights, stride, pad, .. } => {
                let (from, to) = phases(times, *stride, *pad);
                (from - (weights.taps as i64 - 1), to)
            }
            _ => times,
        };
        let ranges = std::iter::once(first).chain(std::iter::repeat(times));
        match self {
            Self::Convolve { .. } => self.inputs().iter().map(|view| view.register).zip(ranges).collect(),
            _ => self.inputs().iter().map(|view| (view.register, first)).collect(),
        }
    }
}

/// The steps of the input's time in which all phases of `times` lie.
fn phases(times: (i64, i64), stride: usize, pad: i64) -> (i64, i64) {
    let stride = stride as i64;
    ((times.0 + pad).div_euclid(stride), (times.1 - 1 + pad).div_euclid(stride) + 1)
}

/// Memory that a tape works in; kept from window to window.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    free: Vec<Plane>,
    phases: Plane,
}

impl Tape {
    /// Samples (or frames) of output for each frame of input.
    pub(super) fn rate(&self) -> usize {
        self.registers[self.output.register].rate
    }

    /// Channels of the input.
    pub(super) fn channels(&self) -> usize {
        self.registers[0].rows
    }

    /// What is wrong with the columns that depend on the speaker, if something is.
    pub(super) fn misfit(&self, columns: &[Vec<f32>]) -> Option<String> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Shade { input, column: Column::Speaker(index), .. } => {
                let (has, wants) = (columns.get(*index).map_or(0, Vec::len), input.rows.len());
                (has != 1 && has != wants).then(|| format!("a speaker has {has} values instead of {wants}"))
            }
            _ => None,
        })
    }

    /// The frames of input that have a say in `window`, which is in frames too, of a line of `frames`.
    pub(super) fn needs(&self, window: &Range<usize>, frames: usize) -> Range<usize> {
        let (from, to) = self.times(window)[0];
        let inside = |at: i64| at.clamp(0, frames as i64) as usize;
        inside(from)..inside(to).max(inside(from))
    }

    /// For each register, the times that are needed for a window; before 0 and after the end there is silence.
    fn times(&self, window: &Range<usize>) -> Vec<(i64, i64)> {
        let rate = self.rate() as i64;
        let mut times = vec![(i64::MAX, i64::MIN); self.registers.len()];
        times[self.output.register] = (window.start as i64 * rate, window.end as i64 * rate);
        for step in self.steps.iter().rev() {
            let made = times[step.output];
            if made.0 < made.1 {
                for (register, (from, to)) in step.action.reads(made) {
                    let range = &mut times[register];
                    *range = (range.0.min(from), range.1.max(to));
                }
            }
        }
        times
    }

    /// Computes a window of the output.
    ///
    /// `input` holds at least the frames that the window `needs`, row by row, its first frame being `first`, of a line
    /// that has `frames` in all; `columns` is what depends on the speaker. Into `output` goes row after row.
    pub(super) fn run(
        &self,
        (input, first): (&[f32], usize),
        (window, frames): (&Range<usize>, usize),
        columns: &[Vec<f32>],
        space: &mut Workspace,
        output: &mut Vec<f32>,
    ) {
        let times = self.times(window);
        let mut planes: Vec<Plane> = self.registers.iter().map(|_| Plane::default()).collect();
        let mut last_use = vec![0; planes.len()];
        for (index, step) in self.steps.iter().enumerate() {
            step.action.inputs().iter().for_each(|view| last_use[view.register] = index);
        }
        last_use[self.output.register] = usize::MAX;
        planes[0] = self.load((input, first), times[0], space);
        for (index, step) in self.steps.iter().enumerate() {
            let (from, to) = times[step.output];
            if from >= to {
                continue;
            }
            let register = self.registers[step.output];
            let mut plane = space.free.pop().unwrap_or_default();
            plane.shape(register.rows, from, (to - from) as usize);
            perform(&step.action, &planes, columns, &mut space.phases, &mut plane);
            plane.silence_outside(frames as i64 * register.rate as i64);
            planes[step.output] = plane;
            for view in step.action.inputs() {
                if last_use[view.register] == index {
                    space.free.push(std::mem::take(&mut planes[view.register]));
                }
            }
        }
        let result = &planes[self.output.register];
        let rate = self.rate() as i64;
        let from = (window.start as i64 * rate - result.start) as usize;
        for row in self.output.rows.clone() {
            output.extend_from_slice(&result.row(row)[from..from + window.len() * self.rate()]);
        }
        space.free.extend(planes.into_iter().filter(|plane| plane.data.capacity() > 0));
    }

    /// The input as a plane: what lies outside of it is silent.
    fn load(&self, (input, first): (&[f32], usize), (from, to): (i64, i64), space: &mut Workspace) -> Plane {
        let mut plane = space.free.pop().unwrap_or_default();
        let rows = self.channels();
        plane.shape(rows, from, (to - from).max(0) as usize);
        let held = input.len() / rows.max(1);
        let skip = (from - first as i64).max(0) as usize;
        let gap = (first as i64 - from).max(0) as usize;
        for row in 0..rows {
            let source = input[row * held..][..held].get(skip..).unwrap_or_default();
            let target = plane.row_mut(row);
            target.fill(0.0);
            for (to, &value) in target.iter_mut().skip(gap).zip(source) {
                *to = value;
            }
        }
        plane
    }
}

/// The part of a row that goes with `output`'s times.
fn part<'a>(planes: &'a [Plane], view: &View, row: usize, output: &Plane) -> &'a [f32] {
    let plane = &planes[view.register];
    &plane.row(view.rows.start + row)[(output.start - plane.start) as usize..][..output.len]
}

fn rows<'a>(planes: &'a [Plane], view: &View) -> Rows<'a> {
    Rows { plane: &planes[view.register], first: view.rows.start }
}

/// Fills `output` by one step.
fn perform(action: &Action, planes: &[Plane], columns: &[Vec<f32>], phased: &mut Plane, output: &mut Plane) {
    match action {
        Action::Convolve { input, weights, shift, residual } => {
            let residual = residual.as_ref().map(|view| rows(planes, view));
            kernel::convolve(weights, rows(planes, input), *shift, residual, output);
        }
        Action::Upsample { input, weights, stride, pad } => {
            let (from, to) = phases((output.start, output.start + output.len as i64), *stride, *pad);
            phased.shape(weights.outputs, from, (to - from) as usize);
            kernel::convolve(weights, rows(planes, input), -(weights.taps as i64 - 1), None, phased);
            kernel::interleave(phased, *stride, *pad, output);
        }
        Action::Map { input, map } => {
            for row in 0..output.rows {
                let source = part(planes, input, row, output);
                pointwise::map(*map, source, output.row_mut(row));
            }
        }
        Action::Join { a, b, join } => {
            for row in 0..output.rows {
                let (a, b) = (part(planes, a, row, output), part(planes, b, row, output));
                pointwise::join(*join, a, b, output.row_mut(row));
            }
        }
        Action::Shade { input, column, join, column_first } => {
            let column = match column {
                Column::Constant(column) => column,
                Column::Speaker(index) => &columns[*index],
            };
            for row in 0..output.rows {
                let (source, shade) = (part(planes, input, row, output), column[row.min(column.len() - 1)]);
                for (out, &value) in output.row_mut(row).iter_mut().zip(source) {
                    *out = if *column_first { join.numbers(shade, value) } else { join.numbers(value, shade) };
                }
            }
        }
        Action::Stack { inputs } => {
            let mut at = 0;
            for (view, reversed) in inputs {
                let count = view.rows.len();
                for row in 0..count {
                    let source = part(planes, view, if *reversed { count - 1 - row } else { row }, output);
                    output.row_mut(at + row).copy_from_slice(source);
                }
                at += count;
            }
        }
    }
}
