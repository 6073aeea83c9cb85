//! Which channels of a recording are given, and how they are taken out of it.

use crate::error::{Error, Result};

/// Which channels are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Channels {
    /// One: the mean of all.
    #[default]
    Mix,
    /// One of them, counted from 1.
    One(usize),
    /// Each by itself.
    Each,
}

/// Audio of the same stretch of time for each channel that is given, at 16 kHz, in -1.0..=1.0.
pub(crate) type Block = Vec<Vec<f32>>;

/// Refuses a channel that is not there.
pub(super) fn check_channel(wanted: Channels, channels: usize, name: &str) -> Result<()> {
    match wanted {
        Channels::One(number) if number > channels => {
            let has = if channels == 1 { "one channel".to_owned() } else { format!("{channels} channels") };
            Err(Error::invalid(format!("{name} has {has}; there is no channel {number}")))
        }
        _ => Ok(()),
    }
}

/// Takes the channels that are given out of frames of all.
pub(super) fn give(interleaved: &[f32], channels: usize, wanted: Channels) -> Block {
    let clean = |sample: &f32| if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) };
    let one = |number: usize| interleaved.iter().skip(number).step_by(channels).map(clean).collect();
    match wanted {
        Channels::Mix if channels > 1 => {
            let share = 1.0 / channels as f32;
            let mean = |frame: &[f32]| frame.iter().map(clean).sum::<f32>() * share;
            vec![interleaved.chunks_exact(channels).map(mean).collect()]
        }
        Channels::Mix => vec![one(0)],
        Channels::One(number) => vec![one(number - 1)],
        Channels::Each => (0..channels).map(one).collect(),
    }
}

/// Puts later audio behind a block of the same channels; either may hold nothing.
pub(super) fn join(mut block: Block, later: Block) -> Block {
    if block.is_empty() {
        return later;
    }
    for (channel, later) in block.iter_mut().zip(later) {
        channel.extend(later);
    }
    block
}
