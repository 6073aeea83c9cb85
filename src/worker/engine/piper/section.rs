//! The flow or the decoder of a voice: windows of frames in, windows of frames or samples out.

use super::{
    compile::{Compiled, compile},
    graph::{Context, Cuts},
    onnx::Graph,
    part::Part,
    tape::{Tape, Workspace},
};
use crate::error::{Error, Kind, Result};
use rten::{ThreadPool, Value};
use rten_tensor::{NdTensor, prelude::*};
use std::{ops::Range, sync::Arc};

/// What a thread needs to run sections, and keeps from one run to the next.
#[derive(Debug)]
pub(super) struct Desk {
    /// Where rten computes.
    pub(super) pool: Arc<ThreadPool>,
    space: Workspace,
}

impl Desk {
    /// A desk for one thread.
    pub(super) fn new() -> Self {
        Self { pool: Arc::new(ThreadPool::with_num_threads(1)), space: Workspace::default() }
    }
}

/// Which section of the cut voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// From latents to latents.
    Flow,
    /// From latents to samples.
    Decoder,
}

/// One of the two sections.
#[derive(Debug)]
pub(super) struct Section {
    how: How,
    channels: usize,
    /// Of what it makes.
    rows: usize,
    rate: usize,
}

#[derive(Debug)]
enum How {
    Tape { tape: Tape, columns: Option<Part>, count: usize },
    Rten { part: Part, from: String, mask: String, context: Context },
}

/// A stretch of latents, row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latents<'a> {
    /// All rows, equally long.
    pub(super) data: &'a [f32],
    /// The frame with which they begin.
    pub(super) first: usize,
    /// Frames of the whole line.
    pub(super) frames: usize,
}

impl Section {
    /// A section as a tape.
    ///
    /// # Errors
    /// `Unsupported` when the graph does what tapes cannot.
    pub(super) fn tape(graph: &Graph, cuts: &Cuts, output: &str, which: Which) -> Result<Self> {
        let (from, mask, to, rate) = ends(cuts, output, which);
        let unknown = |why: String| Error::new(Kind::Unsupported, why);
        let Compiled { tape, columns } = compile(graph, (from, cuts.channels), mask, to).map_err(unknown)?;
        let rows = rows_of(cuts, which);
        if tape.rate() != rate || tape.output.rows.len() != rows {
            return Err(unknown(format!("{} rows of {} values a frame", tape.output.rows.len(), tape.rate())));
        }
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let count = names.len();
        let columns = if count > 0 { Some(Part::load(graph, &[], &names)?) } else { None };
        Ok(Self { how: How::Tape { tape, columns, count }, channels: cuts.channels, rows, rate })
    }

    /// A section as a model of rten's.
    ///
    /// # Errors
    /// As [`Part::load`].
    pub(super) fn rten(graph: &Graph, cuts: &Cuts, output: &str, which: Which) -> Result<Self> {
        let (from, mask, to, rate) = ends(cuts, output, which);
        let part = Part::load(graph, &std::iter::once(from).chain(mask).collect::<Vec<_>>(), &[to])?;
        let context = if which == Which::Flow { cuts.flow_context } else { cuts.decoder_context };
        let (from, mask) = (from.into(), mask.unwrap_or_default().into());
        let rows = rows_of(cuts, which);
        Ok(Self { how: How::Rten { part, from, mask, context }, channels: cuts.channels, rows, rate })
    }

    /// What depends on the speaker alone.
    ///
    /// # Errors
    /// `Internal` when it is not what the network of the voice should give.
    pub(super) fn columns(&self, speaker: Option<u32>, desk: &Desk) -> Result<Vec<Vec<f32>>> {
        let How::Tape { columns: Some(part), tape, count } = &self.how else { return Ok(Vec::new()) };
        let values = part.run(|_| speaker.map(speaker_value), &(0..*count).collect::<Vec<_>>(), &desk.pool)?;
        let columns = values.into_iter().map(floats).collect::<Result<Vec<_>>>()?;
        match tape.misfit(&columns) {
            None => Ok(columns),
            Some(why) => Err(Error::new(Kind::Internal, format!("the voice failed: {why}"))),
        }
    }

    /// The frames that have a say in a window.
    pub(super) fn needs(&self, window: &Range<usize>, frames: usize) -> Range<usize> {
        match &self.how {
            How::Tape { tape, .. } => tape.needs(window, frames),
            How::Rten { context, .. } => {
                window.start.saturating_sub(context.before)..(window.end + context.after).min(frames)
            }
        }
    }

    /// Makes a window of the output, row by row, from latents that hold at least what it needs.
    ///
    /// # Errors
    /// `Internal` when rten fails, or the result is not finite.
    pub(super) fn run(
        &self,
        latents: Latents<'_>,
        window: &Range<usize>,
        (speaker, columns): (Option<u32>, &[Vec<f32>]),
        desk: &mut Desk,
    ) -> Result<Vec<f32>> {
        let mut output = Vec::new();
        match &self.how {
            How::Tape { tape, .. } => {
                let input = (latents.data, latents.first);
                tape.run(input, (window, latents.frames), columns, &mut desk.space, &mut output);
            }
            How::Rten { part, from, mask, .. } => {
                let needs = self.needs(window, latents.frames);
                let input = stretch(latents, self.channels, &needs);
                let input = NdTensor::from_data([1, self.channels, needs.len()], input);
                let ones = NdTensor::full([1, 1, needs.len()], 1.0f32);
                let give = |name: &str| match name {
                    _ if name == from => Some(input.view().into()),
                    _ if name == mask => Some(ones.view().into()),
                    _ => speaker.map(speaker_value),
                };
                let made = floats(part.run(give, &[0], &desk.pool)?.remove(0))?;
                let row = needs.len() * self.rate;
                if made.len() != row * self.rows {
                    return Err(Error::new(Kind::Internal, "the voice failed: its parts differ in length"));
                }
                let from = (window.start - needs.start) * self.rate;
                for row in made.chunks_exact(row) {
                    output.extend_from_slice(&row[from..from + window.len() * self.rate]);
                }
            }
        }
        Ok(output)
    }
}

/// Some frames out of a stretch of latents, row by row; they must lie in it.
pub(super) fn stretch(latents: Latents<'_>, channels: usize, frames: &Range<usize>) -> Vec<f32> {
    let held = latents.data.len() / channels;
    let from = frames.start - latents.first;
    latents.data.chunks_exact(held).flat_map(|row| &row[from..from + frames.len()]).copied().collect()
}

/// How many rows a section makes.
fn rows_of(cuts: &Cuts, which: Which) -> usize {
    if which == Which::Flow { cuts.channels } else { 1 }
}

fn ends<'a>(cuts: &'a Cuts, output: &'a str, which: Which) -> (&'a str, Option<&'a str>, &'a str, usize) {
    match which {
        Which::Flow => (&cuts.before_flow, Some(&cuts.mask), &cuts.latents, 1),
        Which::Decoder => (&cuts.latents, None, output, cuts.hop),
    }
}

/// A speaker as a model wants it.
pub(super) fn speaker_value<'a>(speaker: u32) -> rten::ValueOrView<'a> {
    NdTensor::from_data([1], vec![i32::try_from(speaker).unwrap_or(0)]).into()
}

/// The floats of a value, in a row.
///
/// # Errors
/// `Internal` when it holds something else.
pub(super) fn floats(value: Value) -> Result<Vec<f32>> {
    let tensor = value.into_tensor::<f32>();
    tensor
        .map(|tensor| tensor.into_data())
        .ok_or_else(|| Error::new(Kind::Internal, "the voice failed: it made no floats"))
}
