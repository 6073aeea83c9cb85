//! Loudness without knowing the future: a constant gain for a voice, and a limiter for the peaks that it lifts too high.
//!
//! Piper scales each sentence to its own peak, which it can only know at the end. Here every sentence of a voice gets the
//! same gain, and a look-ahead limiter turns the sound down before a peak, never after. The limiter knows 5 ms of what
//! is to come, holds its output back by as much, and gives it all in the end: what comes out is as long as what went in,
//! and does not depend on how it was cut into pieces.

use std::collections::VecDeque;

/// Peaks of typical speech come to this: -3 dB below full scale.
const TYPICAL_PEAK: f32 = 0.707_945_8;

/// What no sample exceeds.
const CEILING: f32 = 1.0;

/// How far the limiter looks ahead, in seconds: attack and release are that gentle.
const LOOK_AHEAD: f64 = 0.005;

/// Gains beyond these would mean that the calibration failed, not that a voice is that quiet or loud.
const GAINS: std::ops::RangeInclusive<f32> = 0.125..=8.0;

/// The gain that brings a typical peak to where it should be; 1 for what is as good as silent.
pub(super) fn gain_for(peak: f32) -> f32 {
    if peak.is_finite() && peak > 1e-4 { (TYPICAL_PEAK / peak).clamp(*GAINS.start(), *GAINS.end()) } else { 1.0 }
}

/// Gain and limiter for one line.
#[derive(Debug)]
pub(super) struct Limiter {
    gain: f32,
    ahead: usize,
    /// Samples that went in and have not come out, amplified.
    held: VecDeque<f32>,
    /// The lowest factors that samples within reach ask for, rising: (sample number, factor).
    lowest: VecDeque<(u64, f32)>,
    /// The last `ahead + 1` lowest factors, whose mean is the factor in force.
    recent: VecDeque<f32>,
    /// Sum over `recent` of what each lacks to 1: exactly 0 while nothing is limited.
    lack: f64,
    /// How many of `recent` limit anything.
    limiting: usize,
    taken: u64,
}

impl Limiter {
    /// A limiter at rest.
    pub(super) fn new(gain: f32, rate: u32) -> Self {
        let ahead = (f64::from(rate) * LOOK_AHEAD) as usize;
        let recent = VecDeque::from(vec![1.0; ahead + 1]);
        Self { gain, ahead, held: VecDeque::new(), lowest: VecDeque::new(), recent, lack: 0.0, limiting: 0, taken: 0 }
    }

    /// Takes samples, gives those that are ready.
    pub(super) fn push(&mut self, samples: &[f32], output: &mut Vec<f32>) {
        for &sample in samples {
            let sample = sample * self.gain;
            self.held.push_back(sample);
            self.demand(if sample.abs() > CEILING { CEILING / sample.abs() } else { 1.0 });
            if self.held.len() > self.ahead {
                self.release(output);
            }
        }
    }

    /// Gives what is still held.
    pub(super) fn finish(&mut self, output: &mut Vec<f32>) {
        // A line shorter than the look-ahead has not yet filled it.
        let missing = self.ahead.saturating_sub(self.held.len());
        if !self.held.is_empty() {
            (0..missing).for_each(|_| self.demand(1.0));
        }
        while !self.held.is_empty() {
            self.demand(1.0);
            self.release(output);
        }
    }

    /// Notes the factor that the next sample needs.
    fn demand(&mut self, factor: f32) {
        while self.lowest.back().is_some_and(|&(_, other)| other >= factor) {
            self.lowest.pop_back();
        }
        self.lowest.push_back((self.taken, factor));
        self.taken += 1;
    }

    /// Lets the oldest sample go. The lowest factor from it on to `ahead` samples later goes into a mean over as many;
    /// each of these covers the sample, so their mean suffices for it.
    fn release(&mut self, output: &mut Vec<f32>) {
        let Some(sample) = self.held.pop_front() else { return };
        let oldest = self.taken.saturating_sub(self.ahead as u64 + 1);
        while self.lowest.front().is_some_and(|&(number, _)| number < oldest) {
            self.lowest.pop_front();
        }
        let lowest = self.lowest.front().map_or(1.0, |&(_, factor)| factor);
        let lack = |factor: f32| 1.0 - f64::from(factor);
        self.recent.push_back(lowest);
        self.lack += lack(lowest);
        self.limiting += usize::from(lowest < 1.0);
        if let Some(gone) = self.recent.pop_front() {
            self.lack -= lack(gone);
            self.limiting -= usize::from(gone < 1.0);
        }
        if self.limiting == 0 {
            // Rounding may have left a trace of what has gone.
            self.lack = 0.0;
        }
        let factor = (1.0 - self.lack / self.recent.len() as f64) as f32;
        output.push((sample * factor).clamp(-CEILING, CEILING));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limited(gain: f32, samples: &[f32], pieces: &[usize]) -> Vec<f32> {
        let (mut limiter, mut output, mut rest) = (Limiter::new(gain, 16_000), Vec::new(), samples);
        for &piece in pieces {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            limiter.push(now, &mut output);
            rest = later;
        }
        limiter.push(rest, &mut output);
        limiter.finish(&mut output);
        output
    }

    fn sound() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(prop_oneof![4 => -0.5f32..0.5, 1 => -9.0f32..9.0], 0..600)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_nothing_is_lost_and_nothing_is_too_loud(
            samples in sound(), gain in 0.1f32..8.0, pieces in prop::collection::vec(0usize..200, 0..9)
        ) {
            let whole = limited(gain, &samples, &[]);
            prop_assert_eq!(whole.len(), samples.len());
            prop_assert!(whole.iter().all(|sample| sample.abs() <= 1.0));
            prop_assert_eq!(limited(gain, &samples, &pieces), whole);
        }

        #[test]
        fn a_peak_turns_down_only_what_lies_within_reach_of_it(at in 0usize..600, peak in 1.5f32..20.0) {
            let mut samples = vec![0.25; 600];
            samples[at] = peak;
            let output = limited(1.0, &samples, &[]);
            prop_assert!(output[at] <= 1.0 && output[at] > 0.999, "{}", output[at]);
            for (index, (&input, &output)) in samples.iter().zip(&output).enumerate() {
                prop_assert!(index.abs_diff(at) <= 80 || input == output, "sample {index} changed");
                prop_assert!(output <= input);
            }
        }
    }

    #[test]
    fn what_is_not_too_loud_is_only_amplified() {
        let samples: Vec<f32> = (0..500).map(|n| (n as f32 * 0.1).sin() * 0.4).collect();
        let louder: Vec<f32> = samples.iter().map(|sample| sample * 2.0).collect();
        assert_eq!(limited(2.0, &samples, &[3]), louder);
    }

    #[test]
    fn the_gain_brings_a_peak_to_minus_three_decibels_within_reason() {
        assert!((gain_for(0.5) * 0.5 - 0.708).abs() < 0.001);
        assert_eq!(gain_for(0.0), 1.0);
        assert_eq!(gain_for(f32::NAN), 1.0);
        assert_eq!(gain_for(0.001), 8.0);
        assert_eq!(gain_for(1e9), 0.125);
    }
}
