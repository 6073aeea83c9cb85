//! From ids to latents: the part of a voice that reads a whole sentence at once.

use super::{
    graph::{Anatomy, Cuts, frontier},
    noise::Noise,
    onnx::Graph,
    part::Part,
    section::{floats, speaker_value},
};
use crate::error::{Error, Kind, Result};
use rten::{ThreadPool, Value, ValueOrView};
use rten_tensor::{NdTensor, Tensor, prelude::*};
use std::sync::Arc;

/// Ids times frames that a sentence may have: between durations and latents there are a few tables of that size, so this
/// bounds memory to about 100 MB a table.
const MAX_TABLE: usize = 24 << 20;

/// The most frames of a sentence: eleven minutes of a voice of ordinary size.
const MAX_FRAMES: f64 = 60_000.0;

/// What to say, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sentence {
    /// Phonemes as ids, with the marks of beginning and end.
    pub(super) ids: Vec<i32>,
    /// How it is to be spoken.
    pub(super) scales: crate::models::voice_config::Scales,
    /// Who speaks, in voices of several speakers.
    pub(super) speaker: Option<u32>,
    /// What all randomness comes from.
    pub(super) seed: u64,
}

/// A sentence, laid out in time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Frames for each id.
    pub(super) durations: Vec<usize>,
    /// Frames in all.
    pub(super) frames: usize,
    /// The latents before the flow, channel by channel.
    pub(super) latents: Vec<f32>,
}

/// Makes plans.
#[derive(Debug)]
pub(super) struct Planner {
    text: Part,
    latents: Part,
    durations: String,
    duration_noise: Option<String>,
    /// The shape of the noise of durations, where `None` stands for the number of ids.
    noise_shape: Vec<Option<usize>>,
    frontier: Vec<String>,
    noise: String,
    channels: usize,
}

impl Planner {
    /// Loads the parts.
    ///
    /// # Errors
    /// As [`Part::load`].
    pub(super) fn load(graph: &Graph, anatomy: &Anatomy, cuts: &Cuts) -> Result<Self> {
        let durations = anatomy.durations.clone().unwrap_or_default();
        let frontier = frontier(graph, &[&durations, &cuts.noise.value], &cuts.before_flow);
        let given = anatomy.duration_noise.as_ref().map(|noise| noise.value.as_str());
        let like = anatomy.duration_noise.as_ref().map(|noise| noise.like.as_str());
        let made = std::iter::once(durations.as_str()).chain(frontier.iter().map(String::as_str)).chain(like);
        let text = Part::load(graph, given.as_slice(), &made.collect::<Vec<_>>())?;
        let given = [durations.as_str(), cuts.noise.value.as_str()];
        let given: Vec<&str> = given.into_iter().chain(frontier.iter().map(String::as_str)).collect();
        let latents = Part::load(graph, &given, &[&cuts.before_flow, &cuts.noise.like])?;
        Ok(Self {
            text,
            latents,
            durations,
            duration_noise: given_name(anatomy),
            noise_shape: Vec::new(),
            frontier,
            noise: cuts.noise.value.clone(),
            channels: cuts.channels,
        })
    }

    /// Finds out the shape of the noise of durations with a sentence whose length is no other dimension of it.
    ///
    /// # Errors
    /// `Internal` when the voice fails.
    pub(super) fn learn_noise(&mut self, sentence: &Sentence, pool: &Arc<ThreadPool>) -> Result<()> {
        if self.duration_noise.is_some() {
            let inputs = Inputs::new(sentence);
            let like = self.text.run(|name| inputs.give(name), &[1 + self.frontier.len()], pool)?.remove(0);
            let ids = sentence.ids.len();
            self.noise_shape = like.shape().iter().map(|&size| (size != ids).then_some(size)).collect();
        }
        Ok(())
    }

    /// Lays a sentence out.
    ///
    /// # Errors
    /// `InvalidInput` when it is too long; `Internal` when the voice fails.
    pub(super) fn plan(&self, sentence: &Sentence, pool: &Arc<ThreadPool>) -> Result<Plan> {
        let ids = sentence.ids.len();
        let shape: Vec<usize> = self.noise_shape.iter().map(|size| size.unwrap_or(ids)).collect();
        let noise = Tensor::from_data(&shape, draw(sentence.seed, 0, sentence.scales.noise_w, shape.iter().product()));
        let inputs = Inputs::new(sentence);
        let give = |name: &str| match self.duration_noise.as_deref() {
            Some(this) if this == name => Some(noise.view().into()),
            _ => inputs.give(name),
        };
        let mut made = self.text.run(give, &(0..=self.frontier.len()).collect::<Vec<_>>(), pool)?;
        let durations = made.remove(0);
        let counted = durations_of(floats(durations.clone())?, ids)?;
        let frames = counted.iter().sum::<usize>().max(1);
        let noise = draw(sentence.seed, 1, sentence.scales.noise, self.channels * frames);
        let noise = NdTensor::from_data([1, self.channels, frames], noise);
        let give = |name: &str| match self.frontier.iter().position(|other| other == name) {
            Some(index) => made.get(index).map(|value| value.as_view().into()),
            None if name == self.durations => Some(durations.as_view().into()),
            None if name == self.noise => Some(noise.view().into()),
            None => inputs.give(name),
        };
        let latents = self.latents.run(give, &[0], pool)?.remove(0);
        if latents.shape().as_slice() != [1, self.channels, frames] {
            return Err(failed(format!("its latents have the shape {:?}", latents.shape())));
        }
        Ok(Plan { durations: counted, frames, latents: floats(latents)? })
    }
}

fn given_name(anatomy: &Anatomy) -> Option<String> {
    anatomy.duration_noise.as_ref().map(|noise| noise.value.clone())
}

/// Noise of a seed, or none where it has no effect.
fn draw(seed: u64, stream: u64, scale: f32, count: usize) -> Vec<f32> {
    if scale == 0.0 { vec![0.0; count] } else { Noise::new(seed, stream).take(count) }
}

fn failed(why: String) -> Error {
    Error::new(Kind::Internal, format!("the voice failed: {why}"))
}

/// Checks durations and makes them whole numbers.
///
/// # Errors
/// `Internal` when they are no numbers of frames, `InvalidInput` when they are too many.
pub(super) fn durations_of(durations: Vec<f32>, ids: usize) -> Result<Vec<usize>> {
    if durations.len() != ids {
        return Err(failed(format!("{} durations for {ids} phonemes", durations.len())));
    }
    if durations.iter().any(|duration| !duration.is_finite() || *duration < 0.0) {
        return Err(failed("it made durations that are none".into()));
    }
    let total: f64 = durations.iter().map(|&duration| f64::from(duration)).sum();
    if total * ids as f64 > MAX_TABLE as f64 || total > MAX_FRAMES {
        return Err(Error::invalid(format!(
            "{ids} phonemes would last {total} frames, which is too long to make: speak faster or in shorter sentences"
        )));
    }
    Ok(durations.into_iter().map(|duration| duration as usize).collect())
}

/// What every voice is given.
pub(super) struct Inputs {
    ids: NdTensor<i32, 2>,
    length: NdTensor<i32, 1>,
    scales: NdTensor<f32, 1>,
    speaker: Option<u32>,
}

impl Inputs {
    /// The inputs of a sentence.
    pub(super) fn new(sentence: &Sentence) -> Self {
        let count = sentence.ids.len();
        let scales = sentence.scales;
        Self {
            ids: NdTensor::from_data([1, count], sentence.ids.clone()),
            length: NdTensor::from_data([1], vec![i32::try_from(count).unwrap_or(i32::MAX)]),
            scales: NdTensor::from_data([3], vec![scales.noise, scales.length, scales.noise_w]),
            speaker: sentence.speaker,
        }
    }

    /// The input of this name.
    pub(super) fn give(&self, name: &str) -> Option<ValueOrView<'_>> {
        match name {
            "input" => Some(self.ids.view().into()),
            "input_lengths" => Some(self.length.view().into()),
            "scales" => Some(self.scales.view().into()),
            "sid" => self.speaker.map(speaker_value),
            _ => None,
        }
    }
}

/// Whether all numbers are numbers.
///
/// # Errors
/// `Internal` when they are not.
pub(super) fn all_finite(samples: &[f32]) -> Result<()> {
    // The sum of what is finite and multiplied by zero is zero; one pass that vectorises.
    if samples.iter().map(|sample| sample * 0.0).sum::<f32>() == 0.0 {
        return Ok(());
    }
    Err(Error::new(Kind::Internal, "the voice made numbers that are none: its weights are broken"))
}

/// The only value of a run, as floats.
///
/// # Errors
/// `Internal` when there is none.
pub(super) fn only(values: Vec<Value>) -> Result<Vec<f32>> {
    floats(values.into_iter().next().ok_or_else(|| failed("it made nothing".into()))?)
}
